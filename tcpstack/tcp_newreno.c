/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_newreno.c - the congestion window of RFC 5681 and RFC 6582, with
 * appropriate byte counting (RFC 3465).
 *
 * Congestion halves what was in flight. In congestion avoidance the window
 * grows by a segment for each window of acknowledged bytes; in slow start by
 * what an ACK acknowledges, at most two segments, one after a timeout.
 */
#include "tcpstack/tcp_priv.h"

#define ABC_L 2 /* RFC 3465 section 2.2: segments that one ACK adds at most */

static void rest(struct tcp_conn *c)
{
	c->w_est_acked = 0;
}

/* RFC 3465 section 2.1. */
static void avoid(struct tcp_conn *c, uint32_t acked, uint32_t now_ms)
{
	c->w_est_acked += acked;
	if (c->w_est_acked < c->cwnd)
		return;
	c->w_est_acked -= c->cwnd;
	c->cwnd += c->mss;
}

static uint32_t slow_start(const struct tcp_conn *c, uint32_t acked)
{
	return tcp_min(acked, (c->recovery == TCP_R_LOSS ? 1u : ABC_L) * c->mss);
}

/*
 * Equation 4 of RFC 5681. FlightSize is the largest one of the round trip: what is in flight when
 * the loss is noticed may be little, since ACKs still came in.
 */
static uint32_t reduce(struct tcp_conn *c)
{
	uint32_t flight = tcp_max(c->used_max, tcp_flight(c));

	rest(c);
	return tcp_min(c->cwnd, flight) / 2;
}

const struct tcp_cc tcp_cc_newreno = {
	.rest = rest, .avoid = avoid, .slow_start = slow_start, .reduce = reduce, .undo = rest};
