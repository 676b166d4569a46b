/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rtt.c - round-trip time and retransmission timeout (RFC 6298, RFC 7323
 * section 4).
 *
 * One run per round trip is timed in microseconds, from the moment it was given
 * to the wire: the first one sent at or behind rtt_seq. An ACK for anything
 * that was retransmitted times nothing (Karn); the echoed timestamp serves
 * instead, in its milliseconds. Only a sample ends the back-off, RFC 6298 section 5.
 */
#include "tcpstack/tcp_priv.h"

#define RTT_MAX_US 60000000u /* longer samples are not believed */

void tcp_rtt_sample(struct tcp_conn *c, uint32_t us)
{
	uint32_t diff;

	us = tcp_max(us, 1);
	if (us > RTT_MAX_US)
		return;
	tcp_stats_rtt(c, us);
	c->backoff = 0;
	if (!c->srtt_us) {
		c->srtt_us = us;
		c->rttvar_us = us / 2;
		return;
	}
	diff = us > c->srtt_us ? us - c->srtt_us : c->srtt_us - us;
	c->rttvar_us = (uint32_t)((3ull * c->rttvar_us + diff) / 4);
	c->srtt_us = (uint32_t)((7ull * c->srtt_us + us) / 8);
	c->srtt_us = tcp_max(c->srtt_us, 1);
}

/* RTT by the echoed timestamp, in its milliseconds. Returns TCP_NO_RTT when there is none. */
static uint32_t echoed(const struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	uint32_t ms;

	if (!c->ts_ok || !seg->has_ts || !seg->tsecr)
		return TCP_NO_RTT;
	ms = tcp_tsval(c, now) - seg->tsecr;
	return ms <= RTT_MAX_US / 1000 ? tcp_max(ms, 1) * 1000 : TCP_NO_RTT;
}

void tcp_rtt_in(struct tcp_conn *c, const struct tcp_ack *a)
{
	uint32_t us = a->retx ? TCP_NO_RTT : a->rtt_us;

	if (!a->retx && a->rtt_min_us != TCP_NO_RTT) {
		tcp_rack_min_rtt(c, a->rtt_min_us, a->now);
		if (a->acked)
			tcp_hystart_rtt(c, tcp_min(a->rtt_min_us, RTT_MAX_US) / 1000);
	}
	if (!a->acked)
		return;
	if (us == TCP_NO_RTT && tcp_lt(c->rtt_seq, c->snd_una))
		us = echoed(c, a->seg, a->now);
	if (us == TCP_NO_RTT)
		return;
	tcp_rtt_sample(c, us);
	c->rtt_seq = c->snd_nxt;
	c->used_max = tcp_flight(c) + a->acked;
}

uint32_t tcp_rto(const struct tcp_conn *c)
{
	uint64_t rto;

	if (!c->srtt_us)
		rto = tcp_max(c->syn_lost && !tcp_opening(c) ? TCP_RTO_SYN_LOST_US
							     : TCP_RTO_INITIAL_US,
			      c->cfg->rto_min_us);
	else
		rto = c->srtt_us + tcp_max(4 * c->rttvar_us, c->cfg->rto_min_us);
	rto <<= tcp_min(c->backoff, 16);
	return rto < c->cfg->rto_max_us ? (uint32_t)rto : c->cfg->rto_max_us;
}
