/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rtt.c - round-trip time and retransmission timeout (RFC 6298, RFC 7323
 * section 4).
 *
 * One run per round trip is timed in microseconds, from the moment it was given
 * to the wire: the first one sent at or behind rtt_seq. An ACK for anything
 * that was retransmitted times nothing (Karn); the echoed timestamp serves
 * instead, in its milliseconds.
 *
 * What ends the back-off is a sample, RFC 6298 section 5, or that something arrived
 * which was sent after the last timeout and only once (RFC 8961 section 4, 4a),
 * whether it can be timed or not, and the oldest segment with it.
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

/*
 * RTT by the echoed timestamp, in its milliseconds. Returns TCP_NO_RTT when there is none.
 *
 * An echo older than the last transmission of what is acknowledged is no sample. The client may
 * have had it long ago, and the ACK was lost: what it answers now is a duplicate, which does not
 * move TS.Recent (RFC 7323 section 4.3), so the echo is as old as the timeout was long. Taken
 * for the RTT, each lost ACK would multiply the next timeout.
 */
static uint32_t echoed(const struct tcp_conn *c, const struct tcp_ack *a)
{
	uint32_t ms;

	if (!c->ts_ok || !a->seg->has_ts || !a->seg->tsecr)
		return TCP_NO_RTT;
	ms = tcp_tsval(c, a->now) - a->seg->tsecr;
	if (ms > RTT_MAX_US / 1000 || ms > ((uint32_t)a->now - a->sent_us) / 1000 + 1)
		return TCP_NO_RTT;
	return tcp_max(ms, 1) * 1000;
}

void tcp_rtt_in(struct tcp_conn *c, const struct tcp_ack *a)
{
	uint32_t us = a->retx ? TCP_NO_RTT : a->rtt_us;

	if (a->fresh && a->acked)
		c->backoff = 0;
	if (!a->retx && a->rtt_min_us != TCP_NO_RTT) {
		tcp_rack_min_rtt(c, a->rtt_min_us, a->now);
		if (a->acked)
			tcp_hystart_rtt(c, tcp_min(a->rtt_min_us, RTT_MAX_US) / 1000);
	}
	if (!a->acked)
		return;
	if (us == TCP_NO_RTT && tcp_lt(c->rtt_seq, c->snd_una))
		us = echoed(c, a);
	if (us == TCP_NO_RTT)
		return;
	tcp_rtt_sample(c, us);
	c->rtt_seq = c->snd_nxt;
	tcp_cwv_round(c, a->now);
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
