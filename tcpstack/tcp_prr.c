/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_prr.c - proportional rate reduction (RFC 9937).
 *
 * During fast recovery cwnd is what is in the network plus what may be sent
 * for this ACK. While more than ssthresh is in the network the reduction is
 * spread over the round trip; below it, as many bytes leave as were delivered,
 * and one segment more per ACK that makes progress and shows no further loss.
 */
#include "tcpstack/tcp_priv.h"

void tcp_prr_begin(struct tcp_conn *c, uint32_t delivered)
{
	uint32_t flight = tcp_flight(c) + delivered, before = tcp_sack_bytes(c);

	c->prr_delivered = 0;
	c->prr_out = 0;
	/* What was SACKed earlier is not delivered during recovery. */
	c->prr_flight = flight > before ? flight - before : 1;
}

void tcp_prr_ack(struct tcp_conn *c, uint32_t delivered, bool safe)
{
	uint32_t pipe = tcp_sack_pipe(c), mss = tcp_eff_mss(c);
	int64_t may;

	if (c->modelled)
		return;
	c->prr_delivered += delivered;
	if (pipe > c->ssthresh) {
		uint64_t part = (uint64_t)c->prr_delivered * c->ssthresh;

		may = (int64_t)((part + c->prr_flight - 1) / c->prr_flight) - c->prr_out;
	} else {
		may = (int64_t)c->prr_delivered - c->prr_out;
		if (may < delivered)
			may = delivered;
		if (safe)
			may += mss;
		if (may > (int64_t)c->ssthresh - pipe)
			may = (int64_t)c->ssthresh - pipe;
	}
	if (!c->prr_out && may < mss)
		may = mss; /* the first retransmission always leaves */
	c->cwnd = pipe + (may > 0 ? (uint32_t)may : 0);
	c->cwnd = tcp_max(c->cwnd, c->mss);
}
