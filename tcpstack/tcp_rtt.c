/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rtt.c - round-trip time and retransmission timeout (RFC 6298, RFC 7323
 * section 4).
 *
 * One segment per round trip is timed in microseconds, from the moment it was
 * given to the wire; a retransmission ends the timing (Karn). After one, the
 * echoed timestamp serves, in its milliseconds.
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

/* RTT in milliseconds by the echoed timestamp. Returns false when there is none to believe. */
static bool echoed(const struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now, uint32_t *ms)
{
	if (!c->ts_ok || !seg->has_ts || !seg->tsecr)
		return false;
	*ms = tcp_tsval(c, now) - seg->tsecr;
	return *ms <= RTT_MAX_US / 1000;
}

void tcp_rtt_in(struct tcp_conn *c, const struct tcp_seg *seg, bool advanced, uint64_t now)
{
	bool timed = c->rtt_timing && tcp_leq(c->rtt_seq, c->snd_una);
	uint32_t ms, us = (uint32_t)now - c->rtt_us;

	if (!advanced)
		return;
	if (echoed(c, seg, now, &ms)) {
		if (!c->rtt_timing)
			tcp_rtt_sample(c, tcp_max(ms, 1) * 1000);
		tcp_hystart_rtt(c, ms);
	} else if (timed) {
		tcp_hystart_rtt(c, tcp_min(us / 1000, RTT_MAX_US / 1000));
	}
	if (timed) {
		c->rtt_timing = false;
		tcp_rtt_sample(c, us);
	}
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
