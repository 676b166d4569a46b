/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_acked.c - what an acceptable ACK means (RFC 9293 section 3.10.7.4 fifth,
 * RFC 5681 section 2, RFC 6675 section 2).
 *
 * Here an ACK is turned into the few numbers the other mechanisms work with:
 * bytes acknowledged, bytes delivered (acknowledged or SACKed for the first
 * time), round-trip times, and whether it is a duplicate (struct tcp_ack).
 */
#include "tcpstack/tcp_priv.h"

/* Notes the RTT of something that was sent once; the longest and the shortest of an ACK matter. */
static void note_rtt(struct tcp_conn *c, const struct tcp_txrec *r, struct tcp_ack *a)
{
	uint32_t us = (uint32_t)a->now - r->xmit_us;

	if (us < a->rtt_min_us)
		a->rtt_min_us = us;
	if (a->rtt_us == TCP_NO_RTT && !tcp_lt(r->start, c->rtt_seq))
		a->rtt_us = us;
}

void tcp_delivered(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t end, struct tcp_ack *a)
{
	a->delivered += end - r->start;
	tcp_rack_delivered(c, r, end, a);
	if (a->sample)
		tcp_rate_delivered(c, r, end, a);
	if (r->flags & TCP_REC_RETX) {
		a->retx = true;
		return;
	}
	note_rtt(c, r, a);
	if (c->backoff && !tcp_lt(r->start, c->recover))
		a->fresh = true;
	if (c->recovery == TCP_R_LOSS && tcp_leq(end, c->recover))
		a->orig = true;
}

/* Everything below the ACK number has been delivered. */
static void cumulative(struct tcp_conn *c, struct tcp_ack *a)
{
	uint32_t ack = a->seg->ack;
	const struct tcp_txrec *r;

	a->sent_us = c->rec ? c->rec->xmit_us : (uint32_t)a->now;
	TCP_FOREACH_REC(r, c)
	{
		if (!tcp_lt(r->start, ack))
			break;
		if (!(r->flags & TCP_REC_SACKED))
			tcp_delivered(c, r, tcp_lt(ack, r->end) ? ack : r->end, a);
	}
	tcp_rec_trim(c, ack);
	if (tcp_sack_reneged(c))
		tcp_sack_clear(c);
}

/* snd_una moves to the ACK number. */
static void advance_una(struct tcp_conn *c, struct tcp_ack *a)
{
	uint32_t ack = a->seg->ack;
	bool fin = c->fin_sent && ack == c->snd_nxt;

	cumulative(c, a);
	c->snd_una = ack;
	c->rto_us = (uint32_t)a->now;
	c->alive_known = false;
	c->tlp_due = false;
	tcp_payload_trim(c);
	tcp_pmtu_acked(c, a->now);
	c->cfg->ops->acked(c, fin ? c->snd_avail : ack);
	if (fin)
		tcp_fin_acked(c, a->now);
}

/* The sender's timer after an ACK that may have changed what it should wait for. */
static void restart_timer(struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->timer == TCP_T_TIME_WAIT || c->state == TCP_S_CLOSED)
		return;
	if (!tcp_flight(c) && !tcp_persist_needed(c)) {
		if (c->timer == TCP_T_PERSIST)
			c->backoff = 0; /* of the probes: the window is open */
		c->probe_due = false;
		tcp_timer_set(c, TCP_T_NONE, TCP_NEVER);
	} else if (a->delivered || (!tcp_flight(c) && c->timer != TCP_T_PERSIST)) {
		tcp_timer_rearm(c, a->now);
	}
}

/* True for an ACK that reports something but acknowledges nothing new, RFC 5681 section 2. */
static bool is_duplicate(const struct tcp_conn *c, const struct tcp_ack *a, uint32_t wnd)
{
	if (a->acked || a->seg->len || (a->seg->flags & TCP_FIN))
		return false;
	return c->sack_ok ? a->delivered > 0 : c->snd_wnd == wnd;
}

/* What the ACK and its SACK blocks cover. Returns false when the connection is over. */
static bool take_in(struct tcp_conn *c, struct tcp_ack *a)
{
	if (a->acked) {
		tcp_dupack_deflate(c, a->acked);
		advance_una(c, a);
		if (c->state == TCP_S_CLOSED)
			return false;
	}
	tcp_sack_in(c, a);
	a->dsack = c->sack_ok && tcp_sack_is_dsack(a->seg);
	if (a->dsack) {
		c->stats.dsacks++;
		/* The network may duplicate as well: without a retransmission it tells nothing. */
		if (c->stats.retx_segs)
			tcp_rack_dsack(c);
	}
	return true;
}

void tcp_acked(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	struct tcp_ack a = {.seg = seg, .now = now, .rtt_us = TCP_NO_RTT, .rtt_min_us = TCP_NO_RTT};
	uint32_t wnd = c->snd_wnd, flight = tcp_flight(c), sacked = tcp_sack_bytes(c);
	struct tcp_sample sample;
	bool undone;

	if (tcp_lt(seg->ack, c->snd_una))
		return;
	if (c->modelled && flight) {
		tcp_rate_dry(c, now);
		sample = (struct tcp_sample){.any = false};
		a.sample = &sample;
	}
	a.acked = seg->ack - c->snd_una;
	tcp_window_in(c, seg);
	if (!c->snd_wnd || c->timer == TCP_T_PERSIST)
		tcp_alive(c, now);
	if (!take_in(c, &a))
		return;
	a.dup = flight && is_duplicate(c, &a, wnd);
	if (a.dup) {
		c->stats.dup_acks++;
		c->dup_acks += c->dup_acks < UINT8_MAX;
		c->marked = true;
	}
	if (!c->sack_ok)
		a.delivered = tcp_dupack_delivered(c, &a, sacked);
	tcp_rtt_in(c, &a);
	tcp_tlp_ack(c, &a);
	undone = (a.acked && tcp_undo_eifel(c, seg)) ||
		 (a.dsack && tcp_undo_dsack(c, &seg->sack[0]));
	if (flight && !undone)
		tcp_recovery_ack(c, &a);
	tcp_ecn_ack(c, &a);
	if (a.sample)
		tcp_rate_ack(c, &a);
	restart_timer(c, &a);
	if (c->marked)
		c->marked = c->sacked || c->lost || c->dup_acks;
}
