/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_undo.c - taking back a reduction that was not called for (RFC 3522, RFC
 * 4015, RFC 3708).
 *
 * The client tells in two ways that nothing was lost. The first ACK for
 * what was deemed lost echoes a timestamp older than the first retransmission
 * (Eifel), or comes before any retransmission has left. Or it reports a duplicate for each
 * byte that was retransmitted. In both cases the window returns to what it was,
 * and the path is known to reorder.
 */
#include "tcpstack/tcp_priv.h"

void tcp_undo_save(struct tcp_conn *c)
{
	const struct tcp_txrec *lost = tcp_rec_lost(c);

	c->undo_cwnd = c->cwnd;
	c->undo_ssthresh = c->ssthresh;
	c->undo_bytes = 0;
	c->undo_seq = lost ? lost->start : c->snd_una;
	c->undo_ok = true;
	c->undo_retx = false;
}

void tcp_undo_retx(struct tcp_conn *c, uint32_t bytes, uint64_t now)
{
	if (!c->undo_retx)
		c->undo_tsval = tcp_tsval(c, now);
	c->undo_retx = true;
	c->undo_bytes += bytes;
}

void tcp_undo(struct tcp_conn *c)
{
	struct tcp_txrec *r;

	c->undo_ok = false;
	tcp_cc_undo(c);
	if (c->recovery == TCP_R_LOSS)
		c->stats.undone_rto++;
	else
		c->stats.undone_fr++;
	TCP_FOREACH_REC(r, c)
	{
		if (!(r->flags & TCP_REC_LOST))
			continue;
		tcp_rec_set(c, r, 0);
		r->flags |= TCP_REC_RETX; /* lost runs were joined: their times are not known */
	}
	tcp_recovery_open(c);
}

bool tcp_undo_eifel(struct tcp_conn *c, const struct tcp_seg *seg)
{
	bool old_echo;

	if (c->recovery == TCP_R_OPEN || !c->undo_ok || c->undo_judged ||
	    tcp_leq(c->snd_una, c->undo_seq))
		return false;
	c->undo_judged = true; /* only the first ACK tells, RFC 3522 section 3.2 step 3 */
	old_echo = c->ts_ok && seg->has_ts && tcp_lt(seg->tsecr, c->undo_tsval);
	if (c->undo_retx && !old_echo)
		return false;
	c->reordering = true;
	tcp_undo(c);
	return true;
}

bool tcp_undo_dsack(struct tcp_conn *c, const struct tcp_range *dup)
{
	uint32_t len = dup->end - dup->start;

	if (!c->undo_ok || !c->undo_bytes || tcp_lt(dup->start, c->undo_seq) ||
	    tcp_lt(c->snd_nxt, dup->end))
		return false;
	c->undo_bytes -= tcp_min(len, c->undo_bytes);
	if (c->undo_bytes)
		return false;
	c->reordering = true;
	tcp_undo(c);
	return true;
}
