/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cwv.c - a congestion window that is not used says nothing about the path
 * (RFC 7661, congestion window validation).
 *
 * A round trip in which less than half of the window was in flight leaves it
 * unvalidated until another one uses half. Meanwhile the window does not grow
 * (tcp_cc_may_grow()); a loss reduces not the window but what was really in flight
 * (section 4.4.1); and after five minutes it is halved, down to the initial
 * one, with ssthresh left where it may soon be again (section 4.4.3).
 *
 * What was in flight, the RFC's pipeACK, is the largest of the last second or three round
 * trips, kept in two slots, of which the older one goes. A window not above the
 * initial one needs no validation, so most connections never come here. The restart
 * after an idle RTO (tcp_cc_idle()) is stricter than this RFC: section 4.1 of RFC 5681.
 */
#include "tcpstack/tcp_priv.h"

#define NVP_MS	    300000u /* the non-validated period */
#define PIPE_MIN_MS 1000u
#define PIPE_ROUNDS 3

/* Section 4.4.3. */
static void decay(struct tcp_conn *c, uint32_t ms)
{
	c->ssthresh = tcp_max(c->ssthresh, c->cwnd - c->cwnd / 4);
	c->cwnd = tcp_max(c->cwnd / 2, tcp_cc_initial(c));
	c->unused_ms = ms;
}

void tcp_cwv_round(struct tcp_conn *c, uint64_t now)
{
	uint32_t used = c->used_max, ms = tcp_ms(now);

	if (used >= c->cwnd - c->cwnd / 2 || c->cwnd <= tcp_cc_initial(c) || c->modelled) {
		c->cwnd_unused = false;
		return;
	}
	if (!c->cwnd_unused) {
		c->cwnd_unused = true;
		c->unused_ms = c->pipe_ms = ms;
		c->pipe_ack[0] = c->cwnd; /* it was used until now */
		c->pipe_ack[1] = used;
	} else if (ms - c->pipe_ms > tcp_max(PIPE_MIN_MS, PIPE_ROUNDS * (c->srtt_us / 1000))) {
		c->pipe_ms = ms;
		c->pipe_ack[0] = c->pipe_ack[1];
		c->pipe_ack[1] = used;
	} else {
		c->pipe_ack[1] = tcp_max(c->pipe_ack[1], used);
	}
	if (c->recovery == TCP_R_OPEN && ms - c->unused_ms >= NVP_MS)
		decay(c, ms);
}

uint32_t tcp_cwv_window(const struct tcp_conn *c)
{
	uint32_t used = tcp_max(c->used_max, tcp_flight(c));

	if (!c->cwnd_unused)
		return c->cwnd;
	used = tcp_max(used, tcp_max(c->pipe_ack[0], c->pipe_ack[1]));
	return tcp_min(c->cwnd, used);
}
