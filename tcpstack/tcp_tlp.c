/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_tlp.c - tail loss probe (RFC 8985 section 7).
 *
 * When the end of a flight stays unanswered for two round trips, a segment is
 * sent that makes the client report what it has: new payload if there is any,
 * else the last segment again. On a fast network two round trips are over
 * before a busy client has got its processor, so there is slack beyond them:
 * the variation seen, and at least two ticks of a slow clock (as in Linux, which
 * adds two of its own). A single segment gets the time of a delayed ACK instead,
 * as section 7.2 says.
 */
#include "tcpstack/tcp_priv.h"

#define TLP_SLACK_US 20000u /* beyond two round trips, at least */

uint32_t tcp_tlp_pto(const struct tcp_conn *c)
{
	uint64_t pto = 2ull * c->srtt_us;

	if (!c->sack_ok || !c->srtt_us || c->recovery != TCP_R_OPEN || tcp_n_sacked(c) ||
	    c->tlp_out)
		return 0;
	if (tcp_lt(c->snd_una + c->snd_wnd, tcp_data_nxt(c)))
		return 0; /* the client shrank its window */
	if (tcp_flight(c) <= tcp_eff_mss(c))
		pto += c->cfg->rto_min_us; /* the client may delay this ACK */
	else
		pto += tcp_max(TLP_SLACK_US, c->rttvar_us);
	return pto < tcp_rto(c) ? (uint32_t)pto : 0;
}

void tcp_tlp_fire(struct tcp_conn *c, uint64_t now)
{
	c->tlp_due = tcp_flight(c) > 0;
	tcp_alive_keep(c, now);
	c->rto_us = (uint32_t)now;
	tcp_timer_set(c, TCP_T_RTO, now + tcp_rto(c));
}

/* Sends new payload as the probe. Returns false when there is none that may be sent. */
static bool probe_new(struct tcp_conn *c, uint64_t now)
{
	uint32_t len = tcp_min(tcp_window_usable(c), tcp_payload_ready(c));

	len = tcp_min(len, tcp_eff_mss(c));
	if (c->fin_sent || c->quiesced || !len)
		return false;
	if (len < tcp_eff_mss(c) && c->snd_nxt + len != c->snd_avail)
		return false;
	return tcp_emit_run(c, c->snd_nxt, len, 0, false, now) == 0;
}

/* Sends the last segment again. Returns false when its payload is not there yet. */
static bool probe_last(struct tcp_conn *c, uint64_t now)
{
	uint32_t end = tcp_data_nxt(c), seq = end - tcp_eff_mss(c);
	uint8_t fin = c->fin_sent ? TCP_FIN : 0;

	if (tcp_lt(seq, c->snd_una))
		seq = c->snd_una;
	if (tcp_leq(end, seq))
		seq = end;
	else if (tcp_payload_retx(c, seq, end - seq) < end - seq)
		return false;
	if (tcp_emit_run(c, seq, end - seq, fin ? fin : TCP_PSH, true, now))
		return false;
	tcp_payload_used(c, seq, end - seq);
	return true;
}

void tcp_tlp_output(struct tcp_conn *c, uint64_t now)
{
	bool fresh;

	if (!c->tlp_due)
		return;
	if (c->recovery != TCP_R_OPEN || !tcp_flight(c)) {
		c->tlp_due = false;
		return;
	}
	fresh = probe_new(c, now);
	if (!fresh && !probe_last(c, now))
		return;
	c->tlp_due = false;
	c->tlp_out = true;
	c->tlp_retx = !fresh;
	c->tlp_end = c->snd_nxt;
	c->stats.probes++;
}

void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_ack *a)
{
	const struct tcp_seg *seg = a->seg;

	if (!c->tlp_out || tcp_lt(seg->ack, c->tlp_end))
		return;
	if (c->tlp_retx && !a->dsack && seg->ack == c->tlp_end) {
		/* It does not say which copy it is for, unless it is the second to say so. */
		if (!a->acked && !seg->len && !seg->n_sack)
			c->tlp_out = false;
		return;
	}
	c->tlp_out = false;
	/* Only the probe can have filled the hole: a loss without recovery, section 7.4.2. */
	if (c->tlp_retx && !a->dsack && c->recovery == TCP_R_OPEN) {
		tcp_cc_signal(c);
	}
}
