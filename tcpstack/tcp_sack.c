/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_sack.c - the sender's scoreboard (RFC 2018 section 5, RFC 6675 section
 * 4, RFC 2883).
 *
 * The scoreboard holds a fixed number of SACKed ranges. When a new one does
 * not fit, one is forgotten: the lowest, if what lies around it has been
 * retransmitted already (nothing will be sent twice because of it), else the
 * shortest. Forgetting can cost a needless retransmission, never correctness.
 *
 * Two marks describe what lies between the ranges. Un-SACKed bytes below
 * lost_edge are deemed lost; those of them below high_rxt were retransmitted.
 * una_lost says that the segment at snd_una was retransmitted and lost again.
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

/* Makes room for one range. */
static void forget_one(struct tcp_conn *c)
{
	unsigned int least = 0;

	if (tcp_lt(c->high_rxt, c->sacked[0].end)) {
		for (unsigned int i = 1; i < c->n_sacked; i++) {
			if (c->sacked[i].end - c->sacked[i].start <
			    c->sacked[least].end - c->sacked[least].start)
				least = i;
		}
	}
	tcp_range_drop(c->sacked, &c->n_sacked, least);
}

/* True when a block names something in flight beyond snd_una, whatever the client says. */
static bool block_valid(const struct tcp_conn *c, const struct tcp_range *b)
{
	uint32_t flight = tcp_flight(c), start = b->start - c->snd_una, end = b->end - c->snd_una;

	return start && start < end && end <= flight;
}

void tcp_sack_in(struct tcp_conn *c, const struct tcp_seg *seg)
{
	unsigned int first = tcp_sack_is_dsack(seg) ? 1 : 0;
	unsigned int n = tcp_min(seg->n_sack, TCP_MAX_SACK);

	if (!c->sack_ok)
		return;
	/* Oldest first, so that the most recent is there when there are too many. */
	while (n-- > first) {
		const struct tcp_range *b = &seg->sack[n];

		if (!block_valid(c, b))
			continue;
		while (!tcp_range_add(c->sacked, &c->n_sacked, TCP_SACKED_MAX, b->start, b->end))
			forget_one(c);
	}
}

void tcp_sack_trim(struct tcp_conn *c)
{
	tcp_range_trim(c->sacked, &c->n_sacked, c->snd_una);
	/* A client that acknowledges up to a range but not over it has taken it back. */
	if (c->n_sacked && c->sacked[0].start == c->snd_una)
		c->n_sacked = 0;
	if (tcp_lt(c->lost_edge, c->snd_una))
		c->lost_edge = c->snd_una;
	if (tcp_lt(c->high_rxt, c->snd_una))
		c->high_rxt = c->snd_una;
}

uint32_t tcp_sack_bytes(const struct tcp_conn *c)
{
	uint32_t dup;

	if (c->sack_ok)
		return tcp_range_covered(c->sacked, c->n_sacked, c->snd_una, c->snd_nxt);
	dup = c->dup_acks * (uint32_t)tcp_eff_mss(c);
	return tcp_min(dup, tcp_flight(c) - tcp_min(tcp_flight(c), tcp_eff_mss(c)));
}

void tcp_sack_lost(struct tcp_conn *c)
{
	uint32_t bytes = 0, count = 0, thresh = TCP_DUP_THRESH * c->reo_mult;

	/* On a path that reorders only time tells (RFC 8985 section 6.2 step 4). */
	if (c->reo_mult > 1 && c->recovery == TCP_R_OPEN)
		return;
	for (unsigned int i = c->n_sacked; i-- > 0;) {
		bytes += c->sacked[i].end - c->sacked[i].start;
		count++;
		if (count < thresh && bytes <= (thresh - 1) * tcp_eff_mss(c))
			continue;
		if (tcp_lt(c->lost_edge, c->sacked[i].start))
			c->lost_edge = c->sacked[i].start;
		return;
	}
}

/* The first un-SACKed range at or above seq, cut to lost_edge. Returns false when none. */
static bool hole_from(const struct tcp_conn *c, uint32_t seq, struct tcp_range *hole)
{
	uint32_t end = c->lost_edge;

	for (unsigned int i = 0; i < c->n_sacked; i++) {
		if (tcp_leq(c->sacked[i].end, seq))
			continue;
		if (tcp_leq(c->sacked[i].start, seq)) {
			seq = c->sacked[i].end;
			continue;
		}
		if (tcp_lt(c->sacked[i].start, end))
			end = c->sacked[i].start;
		break;
	}
	*hole = (struct tcp_range){seq, end};
	return tcp_lt(seq, end);
}

bool tcp_sack_hole(const struct tcp_conn *c, struct tcp_range *hole)
{
	uint32_t from = tcp_lt(c->high_rxt, c->snd_una) ? c->snd_una : c->high_rxt;

	if (c->una_lost && hole_from(c, c->snd_una, hole)) {
		hole->end = hole->start + tcp_min(hole->end - hole->start, tcp_eff_mss(c));
		return true;
	}
	return hole_from(c, from, hole);
}

uint32_t tcp_sack_pipe(const struct tcp_conn *c)
{
	uint32_t from = tcp_lt(c->high_rxt, c->snd_una) ? c->snd_una : c->high_rxt;
	uint32_t pipe = tcp_flight(c), gone = tcp_sack_bytes(c);

	if (tcp_lt(from, c->lost_edge)) {
		gone += c->lost_edge - from;
		gone -= tcp_range_covered(c->sacked, c->n_sacked, from, c->lost_edge);
	}
	if (c->una_lost)
		gone += tcp_min(tcp_eff_mss(c), pipe);
	return pipe > gone ? pipe - gone : 0;
}
