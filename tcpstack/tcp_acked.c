/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_acked.c - what an acceptable ACK means (RFC 9293 section 3.10.7.4 fifth,
 * RFC 5681 section 2, RFC 6675 section 2).
 *
 * Here an ACK is turned into the few numbers the other mechanisms work with:
 * bytes acknowledged, bytes delivered (acknowledged or SACKed for the first
 * time), and whether it is a duplicate.
 */
#include "tcpstack/tcp_priv.h"

/* snd_una moves to ack. */
static void advance_una(struct tcp_conn *c, uint32_t ack, uint64_t now)
{
	bool fin = c->fin_sent && ack == c->snd_nxt;

	c->snd_una = ack;
	c->backoff = 0;
	c->alive_ms = tcp_ms(now);
	c->tlp_due = false;
	tcp_sack_trim(c);
	tcp_payload_trim(c);
	tcp_pmtu_acked(c, now);
	c->una_retx = false;
	if (tcp_lt(ack, c->high_rxt))
		tcp_recovery_mark(c, ack); /* holes are retransmitted in ascending order */
	c->ops->acked(c, fin ? c->snd_avail : ack);
	if (fin)
		tcp_fin_acked(c, now);
}

/* Duplicate ACKs of a client without SACK that an advance by `acked` has used up. */
static void deflate(struct tcp_conn *c, uint32_t acked)
{
	uint32_t segs = (acked + tcp_eff_mss(c) - 1) / tcp_eff_mss(c);

	if (c->sack_ok || c->recovery == TCP_R_OPEN || segs > c->dup_acks)
		c->dup_acks = 0;
	else
		c->dup_acks -= (uint8_t)(segs - 1);
}

/* Bytes the ACK reported as delivered that were not known to be so. */
static uint32_t delivered_by(const struct tcp_conn *c, uint32_t acked, bool dup,
			     uint32_t sacked_before)
{
	uint32_t after;

	if (!c->sack_ok && dup)
		return tcp_eff_mss(c);
	if (!c->sack_ok)
		return acked > sacked_before ? acked - sacked_before : tcp_min(acked, c->mss);
	after = acked + tcp_sack_bytes(c);
	return after > sacked_before ? after - sacked_before : 0;
}

/* SACKed bytes that were sent again after the retransmission at snd_una. */
static uint32_t sacked_after_retx(const struct tcp_conn *c)
{
	return tcp_range_covered(c->sacked, c->n_sacked, c->retx_high, c->high_rxt);
}

/* The sender's timer after an ACK that may have changed what it should wait for. */
static void restart_timer(struct tcp_conn *c, bool progress, uint64_t now)
{
	if (c->timer == TCP_T_TIME_WAIT || c->state == TCP_S_CLOSED)
		return;
	if (!tcp_flight(c) && !tcp_persist_needed(c)) {
		c->backoff = 0;
		c->probe_due = false;
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	} else if (progress || (!tcp_flight(c) && c->timer != TCP_T_PERSIST)) {
		tcp_timer_rearm(c, now);
	}
}

void tcp_acked(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	uint32_t acked = seg->ack - c->snd_una, wnd = c->snd_wnd, flight = tcp_flight(c);
	uint32_t sacked = tcp_sack_bytes(c), delivered, proof;
	bool dsack, dup;

	if (tcp_lt(seg->ack, c->snd_una))
		return;
	tcp_window_in(c, seg);
	if (!c->snd_wnd || !flight)
		c->alive_ms = tcp_ms(now);
	dsack = c->sack_ok && tcp_sack_is_dsack(seg);
	if (dsack)
		tcp_recovery_dsack(c);
	if (acked) {
		deflate(c, acked);
		advance_una(c, seg->ack, now);
		if (c->state == TCP_S_CLOSED)
			return;
	}
	proof = sacked_after_retx(c);
	tcp_sack_in(c, seg);
	if (c->una_retx)
		c->retx_proof += tcp_max(sacked_after_retx(c), proof) - proof;
	delivered = delivered_by(c, acked, false, sacked);
	dup = !acked && flight && !seg->len && !(seg->flags & TCP_FIN) &&
	      (c->sack_ok ? delivered > 0 : c->snd_wnd == wnd);
	if (dup) {
		c->stats.dup_acks++;
		c->dup_acks += c->dup_acks < UINT8_MAX;
		delivered = delivered_by(c, acked, dup, sacked);
	}
	tcp_rtt_in(c, seg, acked != 0, now);
	tcp_tlp_ack(c, seg, dsack, acked != 0);
	if (flight && (!acked || !tcp_recovery_spurious(c, seg)))
		tcp_recovery_ack(c, acked, delivered, dup, now);
	if (acked && c->timer == TCP_T_REO)
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER); /* another hole, another wait */
	restart_timer(c, acked || (dup && c->sack_ok && c->recovery == TCP_R_OPEN), now);
}
