/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_dupack.c - loss detection without SACK (RFC 5681 section 3.2, RFC 6582).
 *
 * The third duplicate ACK says that the oldest segment is lost; during fast
 * recovery each partial ACK says it of the segment it stops at. Duplicates that
 * only cover what a recovery retransmitted begin no other one: more than the
 * recovery point must be acknowledged first.
 */
#include "tcpstack/tcp_priv.h"

/* The oldest segment is lost. */
static void mark_head(struct tcp_conn *c)
{
	struct tcp_txrec *r = c->rec;
	uint32_t mss = tcp_eff_mss(c);

	if (!r || (r->flags & TCP_REC_LOST))
		return;
	if (r->end - r->start > mss)
		tcp_rec_split(c, r, r->start + mss);
	tcp_rec_set(c, r, TCP_REC_LOST);
}

void tcp_dupack_detect(struct tcp_conn *c, const struct tcp_ack *a)
{
	if (c->recovery == TCP_R_RECOVERY && a->acked)
		mark_head(c);
	else if (c->recovery == TCP_R_OPEN && c->dup_acks >= TCP_DUP_THRESH &&
		 tcp_lt(c->recover, c->snd_una))
		mark_head(c);
}

void tcp_dupack_deflate(struct tcp_conn *c, uint32_t acked)
{
	uint32_t segs = (acked + tcp_eff_mss(c) - 1) / tcp_eff_mss(c);

	if (!c->marked)
		return;
	if (c->sack_ok || c->recovery == TCP_R_OPEN || segs > c->dup_acks)
		c->dup_acks = 0;
	else
		c->dup_acks -= (uint8_t)(segs - 1);
}

uint32_t tcp_dupack_delivered(const struct tcp_conn *c, const struct tcp_ack *a, uint32_t before)
{
	if (a->dup)
		return tcp_eff_mss(c);
	return a->acked > before ? a->acked - before : tcp_min(a->acked, c->mss);
}
