/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rec.c - a connection's transmission records (RFC 8985 section 5.2, RFC
 * 6675 section 3).
 *
 * The records cover [snd_una, snd_nxt) without a gap, in order. A burst is one
 * record; SACK blocks, losses and partial retransmissions split it, and what
 * agrees again is joined. So their number follows the number of holes and of
 * bursts, not that of segments.
 *
 * When records are scarce, precision is given up where it is safe. Bursts that
 * follow each other within a small part of the RTT share a record: its loss is
 * judged by the last of them, and what its delivery says of others by the first.
 * Else new payload waits, for an ACK or, with nothing in flight, for a timer. A
 * split that finds no record first joins others the same way, else what it
 * should have told apart stays undecided: a SACKed part counts as in flight, a
 * retransmitted part makes the whole count as retransmitted.
 */
#include "tcpstack/tcp_priv.h"

#define QUANTUM_PART 32 /* of the RTT: bursts closer than that may share a record */
#define FATE	     (TCP_REC_SACKED | TCP_REC_LOST | TCP_REC_RETX)

/* Bursts closer than this may share a record. */
static uint32_t quantum(const struct tcp_conn *c)
{
	return c->srtt_us / QUANTUM_PART;
}

/* True when a run sent now may be made part of the last record. */
static bool absorbs(const struct tcp_conn *c, uint64_t now)
{
	return c->rec_tail && !(c->rec_tail->flags & FATE) &&
	       (uint32_t)now - c->rec_tail->xmit_us <= quantum(c);
}

bool tcp_rec_room(struct tcp_conn *c, uint64_t now)
{
	struct tcp_pool *p = c->cfg->pool;

	c->rec_wait = !absorbs(c, now) && (p->n_free <= p->reserve || c->n_rec >= p->max_conn);
	p->waits += c->rec_wait;
	return !c->rec_wait;
}

uint32_t tcp_rec_last(const struct tcp_conn *c, const struct tcp_txrec *r)
{
	return r->xmit_us + (r->flags & TCP_REC_SPREAD ? quantum(c) : 0);
}

static void stamp(struct tcp_conn *c, struct tcp_txrec *r, uint64_t now)
{
	r->xmit_us = (uint32_t)now;
	r->flags &= ~(uint32_t)TCP_REC_SPREAD;
}

/* Part of r left at `us` as well. */
static void spread(struct tcp_conn *c, struct tcp_txrec *r, uint32_t us)
{
	uint32_t last = tcp_rec_last(c, r);

	if (us == r->xmit_us)
		return;
	if (tcp_lt(last, us))
		last = us;
	if (tcp_lt(us, r->xmit_us))
		r->xmit_us = us;
	if (last - r->xmit_us > quantum(c))
		r->xmit_us = last - quantum(c);
	r->flags |= TCP_REC_SPREAD;
}

void tcp_rec_sent(struct tcp_conn *c, uint32_t start, uint32_t end, uint64_t now)
{
	struct tcp_pool *p = c->cfg->pool;
	struct tcp_txrec *r = NULL;

	if (absorbs(c, now) && c->rec_tail->xmit_us == (uint32_t)now) {
		c->rec_tail->end = end;
		return;
	}
	if (c->n_rec < p->max_conn / 2 || !absorbs(c, now))
		r = tcp_pool_get(p, false);
	if (!r) {
		c->rec_tail->end = end;
		spread(c, c->rec_tail, (uint32_t)now);
		p->coalesced++;
		return;
	}
	*r = (struct tcp_txrec){.start = start, .end = end};
	stamp(c, r, now);
	if (c->rec_tail)
		SLIST_INSERT_AFTER(c->rec_tail, r, next);
	else
		c->rec = r;
	c->rec_tail = r;
	c->n_rec++;
	if (c->modelled)
		tcp_rate_sent(c, r, now);
}

/* Takes the record behind r out of the list. */
static void drop_next(struct tcp_conn *c, struct tcp_txrec *r)
{
	struct tcp_txrec *n = SLIST_NEXT(r, next);

	SLIST_NEXT(r, next) = SLIST_NEXT(n, next);
	if (c->rec_tail == n)
		c->rec_tail = r;
	tcp_pool_put(c->cfg->pool, n);
	c->n_rec--;
}

/* r takes in its successor; both have the same fate. */
static void join(struct tcp_conn *c, struct tcp_txrec *r)
{
	struct tcp_txrec *n = SLIST_NEXT(r, next);

	spread(c, r, n->xmit_us);
	if (n->flags & TCP_REC_SPREAD)
		spread(c, r, tcp_rec_last(c, n));
	r->end = n->end;
	c->n_sacked -= (n->flags & TCP_REC_SACKED) != 0;
	drop_next(c, r);
}

/* Of a SACKed or lost run the time does not matter any more. */
static bool agree(const struct tcp_txrec *a, const struct tcp_txrec *b)
{
	uint32_t fate = a->flags & FATE;

	if ((a->flags & b->flags & TCP_REC_SACKED) != 0)
		return true;
	if (fate != (b->flags & FATE))
		return false;
	return (fate & TCP_REC_LOST) ||
	       (a->xmit_us == b->xmit_us && !((a->flags ^ b->flags) & TCP_REC_SPREAD));
}

void tcp_rec_tidy(struct tcp_conn *c)
{
	struct tcp_txrec *r = c->rec;

	while (r && SLIST_NEXT(r, next)) {
		if (agree(r, SLIST_NEXT(r, next)))
			join(c, r);
		else
			r = SLIST_NEXT(r, next);
	}
}

/* Joins two neighbours whose times differ, but neither of them `keep`, to have a record. */
static void squeeze(struct tcp_conn *c, const struct tcp_txrec *keep)
{
	struct tcp_txrec *r, *n;

	for (r = c->rec; r && (n = SLIST_NEXT(r, next)); r = n) {
		bool later = tcp_lt(r->xmit_us, n->xmit_us);
		uint32_t apart = later ? n->xmit_us - r->xmit_us : r->xmit_us - n->xmit_us;

		if (r == keep || n == keep || (r->flags & FATE) != (n->flags & FATE) ||
		    apart > quantum(c))
			continue;
		join(c, r);
		c->cfg->pool->coalesced++;
		return;
	}
}

struct tcp_txrec *tcp_rec_split(struct tcp_conn *c, struct tcp_txrec *r, uint32_t at)
{
	struct tcp_pool *p = c->cfg->pool;
	struct tcp_txrec *n = NULL;

	if (c->n_rec >= 2 * p->max_conn || !p->n_free)
		squeeze(c, r);
	if (c->n_rec < 2 * p->max_conn)
		n = tcp_pool_get(p, true);
	if (!n) {
		p->blurred++;
		return NULL;
	}
	*n = *r;
	n->start = at;
	r->end = at;
	SLIST_INSERT_AFTER(r, n, next);
	if (c->rec_tail == r)
		c->rec_tail = n;
	c->n_rec++;
	c->n_sacked += (n->flags & TCP_REC_SACKED) != 0;
	return n;
}

/* The counts of a record that changes or goes. */
static void uncount(struct tcp_conn *c, const struct tcp_txrec *r, uint32_t len)
{
	if (r->flags & TCP_REC_SACKED)
		c->sacked -= len;
	if (r->flags & TCP_REC_LOST)
		c->lost -= len;
}

void tcp_rec_set(struct tcp_conn *c, struct tcp_txrec *r, uint32_t fate)
{
	uint32_t len = r->end - r->start;

	uncount(c, r, len);
	if (r->flags & TCP_REC_SACKED)
		c->n_sacked--;
	if (fate)
		c->marked = true;
	r->flags = (r->flags & ~(uint32_t)(TCP_REC_SACKED | TCP_REC_LOST)) | fate;
	if (fate & TCP_REC_SACKED) {
		c->sacked += len;
		c->n_sacked++;
	} else if (fate & TCP_REC_LOST) {
		c->lost += len;
		if (c->modelled)
			tcp_rate_lost(c, r);
	}
}

/* True when [seq, end) is behind a record retransmitted before, whose end may move instead. */
static bool extends(const struct tcp_txrec *prev, uint32_t within, uint64_t now)
{
	return prev && (prev->flags & FATE) == TCP_REC_RETX &&
	       (uint32_t)now - prev->xmit_us <= within;
}

/* The front of r, up to end, goes to the record before it. */
static void move_front(struct tcp_conn *c, struct tcp_txrec *prev, struct tcp_txrec *r,
		       uint32_t end, uint64_t now)
{
	uncount(c, r, end - r->start);
	prev->end = r->start = end;
	spread(c, prev, (uint32_t)now);
}

void tcp_rec_retx(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now)
{
	struct tcp_txrec *r, *n, *prev = NULL;

	for (r = c->rec; r && tcp_leq(r->end, seq); r = SLIST_NEXT(r, next))
		prev = r;
	if (r && tcp_lt(r->start, seq)) {
		n = tcp_rec_split(c, r, seq);
		if (n) {
			prev = r;
			r = n;
		}
	}
	for (; r && tcp_lt(r->start, end); prev = r, r = SLIST_NEXT(r, next)) {
		if (r->flags & TCP_REC_SACKED)
			continue;
		if (tcp_lt(end, r->end)) {
			if (extends(prev, 0, now) ||
			    (!tcp_rec_split(c, r, end) && extends(prev, quantum(c), now))) {
				move_front(c, prev, r, end, now);
				break;
			}
		}
		tcp_rec_set(c, r, 0);
		r->flags |= TCP_REC_RETX;
		stamp(c, r, now);
		if (c->modelled)
			tcp_rate_sent(c, r, now);
	}
	tcp_rec_tidy(c);
}

void tcp_rec_wire(struct tcp_conn *c, uint32_t seq, uint32_t end, uint64_t now)
{
	struct tcp_txrec *r = c->rec_tail;

	if (!r || r->xmit_us == (uint32_t)now)
		return;
	if (!tcp_leq(r->start, seq))
		r = c->rec;
	for (; r && tcp_lt(r->start, end); r = SLIST_NEXT(r, next)) {
		if (!tcp_leq(seq, r->start) || !tcp_leq(r->end, end))
			continue;
		if (r->flags & TCP_REC_RATED)
			tcp_rate_wire(r, (uint32_t)now - r->xmit_us);
		r->xmit_us = (uint32_t)now;
	}
}

void tcp_rec_trim(struct tcp_conn *c, uint32_t una)
{
	struct tcp_txrec *r;

	while ((r = c->rec) != NULL && tcp_lt(r->start, una)) {
		if (tcp_lt(una, r->end)) {
			uncount(c, r, una - r->start);
			r->start = una;
			return;
		}
		uncount(c, r, r->end - r->start);
		if (r->flags & TCP_REC_SACKED)
			c->n_sacked--;
		c->rec = SLIST_NEXT(r, next);
		if (!c->rec)
			c->rec_tail = NULL;
		tcp_pool_put(c->cfg->pool, r);
		c->n_rec--;
	}
}

void tcp_rec_release(struct tcp_conn *c)
{
	if (c->rec)
		tcp_rec_trim(c, c->rec_tail->end);
}

const struct tcp_txrec *tcp_rec_lost(const struct tcp_conn *c)
{
	const struct tcp_txrec *r;

	if (!tcp_lost(c))
		return NULL;
	TCP_FOREACH_REC(r, c)
	{
		if (r->flags & TCP_REC_LOST)
			return r;
	}
	return NULL;
}
