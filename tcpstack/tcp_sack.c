/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_sack.c - the sender's scoreboard (RFC 2018 section 5, RFC 6675 section
 * 4, RFC 2883).
 *
 * What was SACKed is marked in the transmission records, as many ranges as the
 * client reports. A block that needs a record when none is left is not taken
 * in: that can cost a needless retransmission, never correctness.
 *
 * A client may take back what it SACKed (RFC 2018 section 8). It shows when the
 * client acknowledges up to a SACKed range and not over it; then no mark is
 * trusted any more. A second timeout in a row clears them as well.
 *
 * Without SACK each duplicate ACK stands for one segment that has left the
 * network (RFC 6582).
 */
#include "tcpstack/tcp_priv.h"

bool tcp_sack_is_dsack(const struct tcp_seg *seg)
{
	const struct tcp_range *b = seg->sack;

	if (!seg->n_sack)
		return false;
	if (tcp_lt(b[0].start, seg->ack))
		return true;
	return seg->n_sack > 1 && tcp_leq(b[1].start, b[0].start) && tcp_leq(b[0].end, b[1].end);
}

/* True when a block names something in flight beyond snd_una, whatever the client says. */
static bool block_valid(const struct tcp_conn *c, const struct tcp_range *b)
{
	uint32_t flight = tcp_flight(c), start = b->start - c->snd_una, end = b->end - c->snd_una;

	return start && start < end && end <= flight;
}

/* Marks what one block covers and was not marked. */
static void mark(struct tcp_conn *c, const struct tcp_range *b, struct tcp_ack *a)
{
	struct tcp_txrec *r, *n;

	for (r = c->rec; r && tcp_lt(r->start, b->end); r = SLIST_NEXT(r, next)) {
		if (tcp_leq(r->end, b->start) || (r->flags & TCP_REC_SACKED))
			continue;
		if (tcp_lt(r->start, b->start)) {
			n = tcp_rec_split(c, r, b->start);
			if (!n)
				continue;
			r = n;
		}
		if (tcp_lt(b->end, r->end) && !tcp_rec_split(c, r, b->end))
			continue;
		tcp_delivered(c, r, r->end, a);
		tcp_rec_set(c, r, TCP_REC_SACKED);
		a->sacked = true;
	}
}

/* The valid blocks of a segment in ascending order, D-SACK left out. Returns their number. */
static unsigned int valid_blocks(const struct tcp_conn *c, const struct tcp_seg *seg,
				 struct tcp_range *b)
{
	unsigned int n = 0, max = tcp_min(seg->n_sack, TCP_MAX_SACK);

	for (unsigned int i = tcp_sack_is_dsack(seg) ? 1 : 0; i < max; i++) {
		unsigned int at = n;

		if (!block_valid(c, &seg->sack[i]))
			continue;
		for (; at && tcp_lt(seg->sack[i].start, b[at - 1].start); at--)
			b[at] = b[at - 1];
		b[at] = seg->sack[i];
		n++;
	}
	return n;
}

void tcp_sack_in(struct tcp_conn *c, struct tcp_ack *a)
{
	struct tcp_range b[TCP_MAX_SACK];
	unsigned int n;

	if (!c->sack_ok || !a->seg->n_sack)
		return;
	n = valid_blocks(c, a->seg, b);
	for (unsigned int i = 0; i < n; i++)
		mark(c, &b[i], a);
	if (a->sacked)
		tcp_rec_tidy(c);
}

void tcp_sack_clear(struct tcp_conn *c)
{
	struct tcp_txrec *r;

	TCP_FOREACH_REC(r, c)
	{
		if (r->flags & TCP_REC_SACKED)
			tcp_rec_set(c, r, 0);
	}
}

bool tcp_sack_reneged(const struct tcp_conn *c)
{
	return c->rec && (c->rec->flags & TCP_REC_SACKED);
}

uint32_t tcp_sack_bytes(const struct tcp_conn *c)
{
	uint32_t dup;

	if (!c->marked)
		return 0;
	if (c->sack_ok)
		return c->sacked;
	dup = c->dup_acks * (uint32_t)tcp_eff_mss(c);
	return tcp_min(dup, tcp_flight(c) - tcp_min(tcp_flight(c), tcp_eff_mss(c)));
}

uint32_t tcp_sack_pipe(const struct tcp_conn *c)
{
	uint32_t pipe = tcp_flight(c), gone = tcp_sack_bytes(c) + tcp_lost(c);

	return pipe > gone ? pipe - gone : 0;
}

unsigned int tcp_sack_get(const struct tcp_conn *c, struct tcp_range *b, unsigned int max)
{
	const struct tcp_txrec *r;
	unsigned int n = 0;

	TCP_FOREACH_REC(r, c)
	{
		if ((r->flags & TCP_REC_SACKED) && n < max)
			b[n++] = (struct tcp_range){r->start, r->end};
	}
	return n;
}
