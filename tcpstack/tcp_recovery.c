/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_recovery.c - the states of loss recovery (RFC 6675 section 5, RFC 6582
 * section 3.2, RFC 5681 section 3).
 *
 *	       something is lost                    a timeout
 *	OPEN --------------------> RECOVERY ---------------------> LOSS
 *	  ^                           |                              |
 *	  `--- recover reached, or ---+--- found spurious (undo) ----'
 *
 * What is lost is for tcp_rack.c and tcp_dupack.c to say, or a timeout says it
 * of everything. Fast recovery reduces once and lets tcp_prr.c pace what leaves;
 * after a timeout slow start does. tcp_undo.c and tcp_frto.c take reductions
 * back. Lost retransmissions are lost records like others.
 */
#include "tcpstack/tcp_priv.h"

void tcp_recovery_open(struct tcp_conn *c)
{
	c->recovery = TCP_R_OPEN;
	c->dup_acks = 0;
	c->frto = TCP_FRTO_OFF;
}

void tcp_recovery_enter(struct tcp_conn *c, uint32_t delivered, uint64_t now)
{
	tcp_undo_save(c);
	if (tcp_plpmtu_lost(c, false, now))
		/* what was lost was too large, not too much */
		c->ssthresh = tcp_max(c->cwnd, 2u * c->mss);
	else
		tcp_cc_reduce(c);
	tcp_prr_begin(c, delivered);
	c->recover = c->snd_nxt;
	c->rtt_seq = c->snd_una;
	c->undo_judged = false;
	c->tlp_out = false;
	tcp_ecn_reduced(c);
	c->stats.recoveries++;
	c->recovery = TCP_R_RECOVERY;
}

/* Everything that is not SACKed is lost. */
static void lose_all(struct tcp_conn *c)
{
	struct tcp_txrec *r;

	if (c->backoff || tcp_sack_reneged(c))
		tcp_sack_clear(c);
	TCP_FOREACH_REC(r, c)
	{
		if (!(r->flags & (TCP_REC_SACKED | TCP_REC_LOST)))
			tcp_rec_set(c, r, TCP_REC_LOST);
	}
	tcp_rec_tidy(c);
}

/* All that is in flight and not SACKed is to be sent again, in slow start. */
static void start_over(struct tcp_conn *c)
{
	lose_all(c);
	c->recover = c->snd_nxt;
	c->rtt_seq = c->snd_una;
	c->dup_acks = 0;
	c->undo_judged = false;
	c->reo_wait = false;
	c->tlp_out = c->tlp_due = false;
	c->recovery = TCP_R_LOSS;
}

void tcp_recovery_loss(struct tcp_conn *c, uint64_t now)
{
	bool first = c->recovery == TCP_R_OPEN;

	tcp_plpmtu_lost(c, true, now);
	tcp_frto_begin(c);
	if (first)
		tcp_undo_save(c);
	if (first || !c->backoff)
		tcp_cc_reduce(c);
	c->cwnd = c->mss;
	tcp_ecn_reduced(c);
	start_over(c);
}

void tcp_recovery_resize(struct tcp_conn *c, uint64_t now)
{
	if (!tcp_flight(c))
		return;
	c->ssthresh = tcp_max(c->ssthresh, c->cwnd);
	c->cwnd = tcp_min(c->cwnd, tcp_cc_initial(c));
	c->undo_ok = false;
	c->frto = TCP_FRTO_OFF;
	start_over(c);
}

/* snd_una reached the recovery point. */
static void finish(struct tcp_conn *c)
{
	if (c->modelled)
		tcp_cc_of(c)->path->recovered(c);
	else if (c->recovery == TCP_R_RECOVERY)
		c->cwnd = c->ssthresh;
	tcp_rack_recovered(c);
	tcp_recovery_open(c);
}

static void detect(struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->sack_ok)
		tcp_rack_detect(c, a->now);
	else
		tcp_dupack_detect(c, a);
}

void tcp_recovery_ack(struct tcp_conn *c, const struct tcp_ack *a)
{
	uint32_t acked = a->acked, lost = tcp_lost(c);

	if (c->ecn_ok && (a->seg->flags & TCP_ECE))
		acked = 0; /* nor when the client says that there is congestion */
	if (c->recovery != TCP_R_OPEN && tcp_leq(c->recover, c->snd_una)) {
		finish(c);
		acked = 0; /* the window does not grow for what recovery delivered */
	}
	detect(c, a);
	switch (c->recovery) {
	case TCP_R_OPEN:
		if (tcp_lost(c)) {
			tcp_recovery_enter(c, a->delivered, a->now);
			tcp_prr_ack(c, a->delivered, false);
		} else if (acked && tcp_cc_may_grow(c)) {
			tcp_cc_acked(c, acked, a->now);
		}
		break;
	case TCP_R_RECOVERY:
		if (a->delivered)
			tcp_prr_ack(c, a->delivered, acked && c->lost <= lost);
		break;
	case TCP_R_LOSS:
		if (!tcp_frto_ack(c, a) && acked)
			tcp_cc_acked(c, acked, a->now);
		break;
	}
}

void tcp_recovery_reo(struct tcp_conn *c, uint64_t now)
{
	tcp_rack_detect(c, now);
	if (!c->lost)
		return;
	if (c->recovery == TCP_R_OPEN)
		tcp_recovery_enter(c, 0, now);
	if (c->recovery == TCP_R_RECOVERY)
		tcp_prr_ack(c, 0, false);
}

void tcp_recovery_retx(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now)
{
	tcp_rec_retx(c, seq, end, now);
	if (c->recovery == TCP_R_OPEN)
		return;
	tcp_undo_retx(c, end - seq, now);
	c->prr_out += end - seq;
}
