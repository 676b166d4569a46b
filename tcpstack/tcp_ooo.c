/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_ooo.c - accepted positions: in order, and intervals beyond (RFC 9293
 * section 3.10.7.4, seventh and eighth; RFC 2018 section 4; RFC 2883).
 *
 * A segment's payload is cut to the window, then either moves rcv_nxt (over
 * intervals it reaches) or joins an interval. Intervals are kept with the one
 * that changed last first, the order SACK wants. There are at most four: a
 * segment that would make a fifth is dropped, never an interval that may have
 * been SACKed.
 */
#include "tcpstack/tcp_priv.h"

/* True when [start, end) touches or overlaps r. */
static bool touches(const struct tcp_range *r, uint32_t start, uint32_t end)
{
	return tcp_leq(r->start, end) && tcp_leq(start, r->end);
}

/* True when r covers [start, end). */
static bool covers(const struct tcp_range *r, uint32_t start, uint32_t end)
{
	return tcp_leq(r->start, start) && tcp_leq(end, r->end);
}

/*
 * Notes [start, end) as received twice, if the client may be told: only what
 * is in the server's memory is named.
 */
static void note_dsack(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	bool placed = tcp_leq(end, c->rcv_placed);

	if (!c->sack_ok || !tcp_lt(start, end))
		return;
	for (unsigned int i = 0; i < c->n_ooo_placed; i++)
		placed |= covers(&c->ooo_placed[i], start, end);
	if (!placed)
		return;
	c->dsack = (struct tcp_range){start, end};
	c->dsack_due = true;
}

/* The same of the first part of [start, end) that is in an interval (RFC 2883 section 4.2). */
static void note_overlap(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	struct tcp_range dup = {end, end};

	for (unsigned int i = 0; i < c->n_ooo; i++) {
		const struct tcp_range *r = &c->ooo[i];

		if (!tcp_lt(r->start, end) || !tcp_lt(start, r->end) ||
		    !tcp_lt(r->start, dup.start))
			continue;
		dup.start = tcp_lt(r->start, start) ? start : r->start;
		dup.end = tcp_lt(r->end, end) ? r->end : end;
	}
	note_dsack(c, dup.start, dup.end);
}

/* True when something was accepted beyond seq. */
static bool beyond(const struct tcp_conn *c, uint32_t seq)
{
	for (unsigned int i = 0; i < c->n_ooo; i++) {
		if (tcp_lt(seq, c->ooo[i].end))
			return true;
	}
	return false;
}

/* Removes interval i. */
static void drop_interval(struct tcp_conn *c, unsigned int i)
{
	for (; i + 1u < c->n_ooo; i++)
		c->ooo[i] = c->ooo[i + 1];
	c->n_ooo--;
}

/* Moves rcv_nxt to `to` and on over every interval that is reached. */
static void advance(struct tcp_conn *c, uint32_t to)
{
	unsigned int i = 0;

	while (i < c->n_ooo) {
		if (tcp_leq(c->ooo[i].start, to)) {
			if (tcp_lt(to, c->ooo[i].end))
				to = c->ooo[i].end;
			drop_interval(c, i);
			i = 0;
		} else {
			i++;
		}
	}
	tcp_rcv_to(c, to);
}

/* Puts [start, end) among the intervals, first. Returns false when there is no place. */
static bool add_interval(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	unsigned int hits = 0;

	for (unsigned int i = 0; i < c->n_ooo; i++)
		hits += touches(&c->ooo[i], start, end);
	if (!hits && c->n_ooo == TCP_MAX_SACK)
		return false;
	for (unsigned int i = 0; i < c->n_ooo;) {
		if (!touches(&c->ooo[i], start, end)) {
			i++;
			continue;
		}
		if (tcp_lt(c->ooo[i].start, start))
			start = c->ooo[i].start;
		if (tcp_lt(end, c->ooo[i].end))
			end = c->ooo[i].end;
		drop_interval(c, i);
	}
	for (unsigned int i = c->n_ooo++; i; i--)
		c->ooo[i] = c->ooo[i - 1];
	c->ooo[0] = (struct tcp_range){start, end};
	return true;
}

/* Out-of-order payload [start, end). */
static enum tcp_verdict accept_ooo(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	for (unsigned int i = 0; i < c->n_ooo; i++) {
		if (covers(&c->ooo[i], start, end)) {
			add_interval(c, start, end);
			return TCP_V_OLD;
		}
	}
	return add_interval(c, start, end) ? TCP_V_OK : TCP_V_OOO_FULL;
}

/* An out-of-order segment deserves an ACK of its own, when it has been placed. */
static void ack_ooo(struct tcp_conn *c)
{
	if (c->ack_on_place && !c->sack_ok && c->dup_due < UINT8_MAX)
		c->dup_due++;
	c->ack_on_place = true;
}

/* Remembers where the client's FIN is, and consumes it when it is next. */
static void accept_fin(struct tcp_conn *c, uint64_t now, struct tcp_rx *rx)
{
	if (c->fin_rcvd || c->rcv_nxt != c->fin_seq)
		return;
	tcp_rcv_to(c, c->rcv_nxt + 1);
	c->fin_rcvd = true;
	c->ack_on_place = true;
	rx->fin = true;
	tcp_fin_in(c, now);
}

/* Payload that is all below rcv_nxt, or a FIN that is. */
static enum tcp_verdict accept_old(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
{
	note_dsack(c, seg->seq, seg->seq + seg->len);
	c->ack_now = true;
	tcp_time_wait_old(c, seg, now);
	return TCP_V_OLD;
}

/* What is left of a segment when it is cut to the window. */
struct cut {
	uint32_t start; /* first sequence number not accepted in order before */
	uint32_t end;	/* one past the last in the window */
	bool fin;	/* the FIN is left */
};

/* Cuts a segment to what is new, in the window and before the client's FIN. */
static struct cut cut(struct tcp_conn *c, const struct tcp_seg *seg)
{
	struct cut k = {seg->seq, seg->seq + seg->len, seg->flags & TCP_FIN};
	uint32_t edge = c->rcv_edge;

	if (tcp_lt(c->rcv_room, edge))
		edge = c->rcv_room;
	if (c->fin_known && tcp_lt(c->fin_seq, edge))
		edge = c->fin_seq;
	if (tcp_lt(edge, k.end)) {
		k.end = edge;
		k.fin = false;
	}
	if (k.fin && beyond(c, k.end))
		k.fin = false; /* a FIN before payload we have is none */
	if (tcp_lt(k.start, c->rcv_nxt)) {
		note_dsack(c, k.start, c->rcv_nxt);
		k.start = c->rcv_nxt;
	}
	return k;
}

/* Takes [start, end) and says which ACK it deserves. */
static enum tcp_verdict take(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	enum tcp_verdict v;

	if (start == c->rcv_nxt) {
		if (c->n_ooo)
			c->ack_on_place = true;
		advance(c, end);
		return TCP_V_OK;
	}
	if (start == end) {
		c->ack_now = true; /* a FIN beyond a hole: remembered */
		return TCP_V_OK;
	}
	v = accept_ooo(c, start, end);
	if (v == TCP_V_OK)
		ack_ooo(c);
	else
		c->ack_now = true;
	return v;
}

enum tcp_verdict tcp_accept(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now,
			    struct tcp_rx *rx)
{
	bool fin = seg->flags & TCP_FIN;
	enum tcp_verdict v;
	struct cut k;

	if (!seg->len && !fin)
		return TCP_V_OK;
	if (tcp_leq(seg->seq + seg->len + fin, c->rcv_nxt))
		return accept_old(c, seg, now);
	if (!tcp_may_receive(c))
		return TCP_V_WINDOW;
	k = cut(c, seg);
	if (tcp_lt(k.end, k.start) || (k.start == k.end && !k.fin)) {
		c->ack_now = true;
		return TCP_V_WINDOW;
	}
	if (k.fin && !c->fin_known) {
		c->fin_known = true;
		c->fin_seq = k.end;
	}
	rx->seq = k.start;
	rx->skip = k.start - seg->seq;
	rx->len = k.end - k.start;
	if (rx->len > c->rcv_mss)
		c->rcv_mss = (uint16_t)tcp_min(rx->len, c->mss);
	if (k.start == seg->seq) /* else cut() has noted what comes before */
		note_overlap(c, k.start, k.end);
	v = take(c, k.start, k.end);
	if (c->fin_known)
		accept_fin(c, now, rx);
	if (v != TCP_V_OK)
		rx->len = 0;
	return v;
}
