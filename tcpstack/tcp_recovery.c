/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_recovery.c - loss detection and recovery (RFC 6675, RFC 6582, RFC 6937,
 * RFC 3522, with the reordering timer of RFC 8985).
 *
 * The core keeps no record per segment, so that time-based detection works on
 * sequence order: whatever lies below a SACKed byte was sent before it, unless
 * it was retransmitted.
 *
 * Loss is declared (a) by the DupThresh rule of RFC 6675, (b) when a hole
 * below a SACKed range stays open for the reordering window, (c) for all that
 * was sent before recovery began, when a retransmission made since has been
 * acknowledged, (d) for all retransmissions, when DupThresh new segments sent
 * after the last of them were SACKed, and for the one at snd_una, when as many
 * segments retransmitted after it were, (e) by timeout, for everything.
 *
 * During fast recovery cwnd follows proportional rate reduction. A reduction
 * whose first retransmission turns out needless, because the client echoes a
 * timestamp older than it, is undone. Duplicate SACKs widen the tolerance for
 * reordering.
 */
#include "tcpstack/tcp_priv.h"

static void set_recovery(struct tcp_conn *c, enum tcp_recovery_state s)
{
	c->recovery = s;
	if (s == TCP_R_OPEN) {
		c->una_retx = c->una_lost = false;
		c->new_recovery = false;
		c->undo_ok = false;
		c->dup_acks = 0;
		c->lost_edge = c->high_rxt = c->snd_una;
	}
}

/* Remembers what a reduction will change. */
static void undo_save(struct tcp_conn *c)
{
	c->undo_cwnd = c->cwnd;
	c->undo_ssthresh = c->ssthresh;
	c->undo_ok = true;
}

void tcp_recovery_enter(struct tcp_conn *c, uint64_t now)
{
	undo_save(c);
	if (tcp_plpmtu_lost(c, false, now))
		c->ssthresh = c->cwnd; /* what was lost was too large, not too much */
	else
		tcp_cc_reduce(c);
	c->recover = c->snd_nxt;
	c->high_rxt = c->snd_una;
	c->una_retx = c->una_lost = false;
	c->prr_delivered = 0;
	c->prr_out = 0;
	c->prr_flight = tcp_max(tcp_flight(c), 1);
	c->new_recovery = true;
	c->tlp_out = false;
	c->stats.recoveries++;
	set_recovery(c, TCP_R_RECOVERY);
}

/* All that is in flight and not SACKed is to be sent again, in slow start. */
static void all_lost(struct tcp_conn *c)
{
	c->recover = c->snd_nxt;
	c->lost_edge = c->snd_nxt;
	c->high_rxt = c->snd_una;
	c->una_retx = c->una_lost = false;
	c->dup_acks = 0;
	c->reo_mult = 1;
	c->new_recovery = true;
	c->rtt_timing = false;
	c->tlp_out = c->tlp_due = false;
	set_recovery(c, TCP_R_LOSS);
}

void tcp_recovery_loss(struct tcp_conn *c, uint64_t now)
{
	bool first = c->recovery == TCP_R_OPEN;

	tcp_plpmtu_lost(c, true, now);
	if (first)
		undo_save(c);
	if (first || !c->backoff)
		tcp_cc_reduce(c);
	if (c->backoff)
		c->n_sacked = 0; /* a second timeout: trust nothing, RFC 2018 section 8 */
	c->cwnd = c->mss;
	all_lost(c);
}

void tcp_recovery_resize(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_flight(c))
		return;
	c->ssthresh = tcp_max(c->ssthresh, c->cwnd);
	c->cwnd = tcp_min(c->cwnd, tcp_cc_initial(c));
	c->undo_ok = false;
	all_lost(c);
}

bool tcp_recovery_spurious(struct tcp_conn *c, const struct tcp_seg *seg)
{
	bool old_echo = c->ts_ok && seg->has_ts && tcp_lt(seg->tsecr, c->undo_tsval);

	if (c->recovery == TCP_R_OPEN || !c->undo_ok)
		return false;
	c->undo_ok = false;
	if (!c->new_recovery && !old_echo)
		return false;
	c->cwnd = tcp_max(c->cwnd, c->undo_cwnd);
	c->ssthresh = c->undo_ssthresh;
	c->w_max = tcp_max(c->w_max, c->undo_cwnd);
	c->epoch_valid = false;
	if (c->recovery == TCP_R_LOSS)
		c->stats.undone_rto++;
	else
		c->stats.undone_fr++;
	if (c->reo_mult < TCP_REO_MULT_MAX)
		c->reo_mult++;
	set_recovery(c, TCP_R_OPEN);
	return true;
}

/* RFC 6937: cwnd is what is in the network plus what may be sent for this ACK. */
static void prr(struct tcp_conn *c, uint32_t delivered)
{
	uint32_t pipe = tcp_sack_pipe(c), mss = tcp_eff_mss(c);
	int64_t may;

	c->prr_delivered += delivered;
	if (pipe > c->ssthresh) {
		uint64_t part = (uint64_t)c->prr_delivered * c->ssthresh;

		may = (int64_t)((part + c->prr_flight - 1) / c->prr_flight) - c->prr_out;
	} else {
		int64_t limit = (int64_t)c->prr_delivered - c->prr_out;

		if (limit < delivered)
			limit = delivered;
		limit += mss;
		may = (int64_t)c->ssthresh - pipe;
		if (may > limit)
			may = limit;
	}
	if (c->new_recovery && may < mss)
		may = mss;
	c->cwnd = pipe + (may > 0 ? (uint32_t)may : 0);
	c->cwnd = tcp_max(c->cwnd, c->mss);
}

/* snd_una reached the recovery point. */
static void finish(struct tcp_conn *c)
{
	if (c->recovery == TCP_R_RECOVERY) {
		c->cwnd = c->ssthresh;
		c->reo_mult -= c->reo_mult > 1; /* what was seen to reorder may have changed */
	}
	set_recovery(c, TCP_R_OPEN);
}

/* SACKed bytes at and above seq. */
static uint32_t sacked_from(const struct tcp_conn *c, uint32_t seq)
{
	return tcp_range_covered(c->sacked, c->n_sacked, seq, c->snd_nxt);
}

/* Rule (d) of the head comment. */
static void detect_lost_again(struct tcp_conn *c)
{
	uint32_t thresh = (TCP_DUP_THRESH * c->reo_mult - 1) * (uint32_t)tcp_eff_mss(c);

	if (c->una_retx && c->retx_proof + sacked_from(c, c->una_mark) > thresh)
		c->una_lost = true;
	if (!tcp_lt(c->snd_una, c->high_rxt) || sacked_from(c, c->retx_mark) <= thresh)
		return;
	c->high_rxt = c->snd_una;
	c->retx_mark = c->snd_nxt;
	c->una_retx = c->una_lost = false;
}

static void detect_open(struct tcp_conn *c)
{
	if (c->sack_ok)
		tcp_sack_lost(c);
	else if (c->dup_acks >= TCP_DUP_THRESH)
		c->lost_edge = c->snd_una + tcp_min(tcp_eff_mss(c), tcp_flight(c));
}

static void detect_recovery(struct tcp_conn *c, uint32_t acked, bool retransmitted)
{
	if (!c->sack_ok) {
		if (acked) {
			c->lost_edge = c->snd_una + tcp_min(tcp_eff_mss(c), tcp_flight(c));
			c->high_rxt = c->snd_una;
		}
		return;
	}
	tcp_sack_lost(c);
	if (acked && retransmitted && tcp_lt(c->lost_edge, c->recover))
		c->lost_edge = c->recover;
	if (!acked)
		detect_lost_again(c);
}

void tcp_recovery_ack(struct tcp_conn *c, uint32_t acked, uint32_t delivered, bool dup,
		      uint64_t now)
{
	if (c->recovery != TCP_R_OPEN && tcp_leq(c->recover, c->snd_una)) {
		finish(c);
		acked = 0; /* the window does not grow for what recovery delivered */
	}
	switch (c->recovery) {
	case TCP_R_OPEN:
		detect_open(c);
		if (tcp_lt(c->snd_una, c->lost_edge)) {
			tcp_recovery_enter(c, now);
			prr(c, delivered);
		} else if (acked && c->cwnd_limited) {
			tcp_cc_acked(c, acked, now);
		}
		break;
	case TCP_R_RECOVERY:
		detect_recovery(c, acked, !c->new_recovery);
		if (delivered)
			prr(c, delivered);
		break;
	case TCP_R_LOSS:
		if (!acked)
			detect_lost_again(c);
		else
			tcp_cc_acked(c, acked, now);
		break;
	}
}

void tcp_recovery_dsack(struct tcp_conn *c)
{
	c->stats.dsacks++;
	/* The network may duplicate as well: what was not retransmitted tells nothing. */
	if (c->stats.retx_segs && c->reo_mult < TCP_REO_MULT_MAX)
		c->reo_mult++;
}

void tcp_recovery_reo(struct tcp_conn *c, uint64_t now)
{
	if (c->recovery != TCP_R_OPEN || !c->n_sacked)
		return;
	c->lost_edge = c->sacked[c->n_sacked - 1].start;
	tcp_recovery_enter(c, now);
	prr(c, 0);
}

void tcp_recovery_mark(struct tcp_conn *c, uint32_t high)
{
	c->una_retx = true;
	c->una_lost = false;
	c->una_mark = c->retx_mark;
	c->retx_high = high;
	c->retx_proof = 0;
}

void tcp_recovery_retx(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now)
{
	c->rtt_timing = false;
	if (c->recovery == TCP_R_OPEN)
		return;
	if (c->new_recovery) {
		c->new_recovery = false;
		c->undo_tsval = tcp_tsval(c, now);
	}
	c->retx_mark = c->snd_nxt;
	if (tcp_lt(c->high_rxt, end))
		c->high_rxt = end;
	if (seq == c->snd_una)
		tcp_recovery_mark(c, c->high_rxt);
	c->prr_out += end - seq;
}
