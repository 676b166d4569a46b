/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_trace.c - black boxes (tcp_trace.h).
 *
 * Times are kept in 32 bits, good for 71 minutes. Two events farther apart are
 * divided by a GAP entry, so that a reader who goes back from the newest entry
 * finds the time of each.
 */
#include <string.h>

#include "tcpstack/tcp_priv.h"

#define IDLE_US 1000000u /* a box is taken only from who was silent for so long */
#define LOOK_AT 16u	 /* boxes looked at to find one */
#define GAP_US	(1ull << 31)
#define NUMBER	0xffffu /* in tcp_conn.box: which box, from 1; above: which of its users */
#define SECOND	1000000u

static size_t box_size(uint32_t entries)
{
	return sizeof(struct tcp_box) + entries * sizeof(struct tcp_trace_ev);
}

static struct tcp_box *box_at(const struct tcp_boxes *p, uint32_t i)
{
	return (struct tcp_box *)(p->mem + i * box_size(p->entries));
}

/* Box of a connection; NULL: it never had one, or somebody else has it now. */
static struct tcp_box *box_of(const struct tcp_conn *c)
{
	struct tcp_box *b = c->box ? box_at(c->cfg->boxes, (c->box & NUMBER) - 1) : NULL;

	return b && b->id == c->box ? b : NULL;
}

/* Takes a box from whoever has it. */
static void put_back(struct tcp_boxes *p, struct tcp_box *b)
{
	b->id = 0;
	SLIST_INSERT_HEAD(&p->free, b, free);
	p->used--;
}

size_t tcp_boxes_size(uint32_t n, uint32_t entries)
{
	return n * box_size(entries);
}

void tcp_boxes_init(struct tcp_boxes *p, void *mem, uint32_t n, uint32_t entries)
{
	*p = (struct tcp_boxes){.mem = mem, .n = n, .entries = entries};
	SLIST_INIT(&p->free);
	for (uint32_t i = n; i-- > 0;) {
		box_at(p, i)->id = 0;
		box_at(p, i)->users = 0;
		SLIST_INSERT_HEAD(&p->free, box_at(p, i), free);
	}
}

/* Takes the box of the connection that was silent longest among a few; the others follow later. */
static bool take(struct tcp_boxes *p, uint64_t now)
{
	struct tcp_box *old = NULL;

	for (uint32_t i = 0; i < LOOK_AT && i < p->n; i++) {
		struct tcp_box *b = box_at(p, p->hand++ % p->n);

		if (now - b->last >= IDLE_US && (!old || b->last < old->last))
			old = b;
	}
	if (!old)
		return false;
	put_back(p, old);
	p->taken++;
	return true;
}

bool tcp_box_attach(struct tcp_conn *c, uint64_t now)
{
	struct tcp_boxes *p = c->cfg->boxes;
	struct tcp_box *b;

	if (!p || !p->n || box_of(c))
		return c->box;
	if (SLIST_EMPTY(&p->free) && !take(p, now)) {
		p->refused++;
		return false;
	}
	b = SLIST_FIRST(&p->free);
	SLIST_REMOVE_HEAD(&p->free, free);
	p->used++;
	b->now = b->last = now;
	b->count = 0;
	b->state = c->state;
	b->recovery = c->recovery;
	b->closed = false;
	b->id = (uint32_t)((size_t)((uint8_t *)b - p->mem) / box_size(p->entries) + 1);
	b->id |= ++b->users * (NUMBER + 1);
	c->box = b->id;
	c->boxed = true;
	return true;
}

void tcp_box_detach(struct tcp_conn *c)
{
	struct tcp_box *b = box_of(c);

	if (b)
		put_back(c->cfg->boxes, b);
	c->box = 0;
	c->boxed = false;
}

/* Writes an entry behind the newest one. */
static void append(const struct tcp_conn *c, struct tcp_box *b, struct tcp_trace_ev ev)
{
	uint64_t gap = b->now - b->last;

	ev.us = (uint32_t)b->now;
	if (gap >= GAP_US && ev.kind != TCP_TR_GAP)
		append(c, b,
		       (struct tcp_trace_ev){.kind = TCP_TR_GAP, .b = (uint32_t)(gap / SECOND)});
	b->ev[b->count++ % c->cfg->boxes->entries] = ev;
	b->last = b->now;
}

/* Records what changed since the last entry. */
static void notice(const struct tcp_conn *c, struct tcp_box *b)
{
	bool closed = !c->snd_wnd;
	struct tcp_trace_ev ev;

	if (c->state != b->state) {
		ev = (struct tcp_trace_ev){.kind = TCP_TR_STATE, .what = c->state, .len = b->state};
		ev.a = c->snd_nxt;
		ev.b = c->rcv_nxt;
		append(c, b, ev);
		b->state = c->state;
	}
	if (c->recovery != b->recovery) {
		ev = (struct tcp_trace_ev){.kind = TCP_TR_RECOVERY, .what = c->recovery};
		ev.len = b->recovery;
		ev.a = c->cwnd;
		ev.b = c->ssthresh;
		append(c, b, ev);
		b->recovery = c->recovery;
	}
	if (closed != b->closed) {
		ev = (struct tcp_trace_ev){.kind = TCP_TR_WINDOW, .b = c->snd_wnd};
		ev.a = c->snd_una + c->snd_wnd;
		append(c, b, ev);
		b->closed = closed;
	}
}

void tcp_trace_clock(const struct tcp_conn *c, uint64_t now)
{
	struct tcp_box *b = box_of(c);

	if (b)
		b->now = now;
}

void tcp_trace_add(const struct tcp_conn *c, struct tcp_trace_ev ev)
{
	struct tcp_box *b = box_of(c);

	if (!b)
		return;
	notice(c, b);
	append(c, b, ev);
}

void tcp_trace_owner(const struct tcp_conn *c, uint8_t what, uint16_t len, uint32_t a, uint32_t b,
		     uint64_t now)
{
	tcp_trace_now(c, now);
	tcp_trace(c, TCP_TR_OWNER, what, len, a, b);
}

uint64_t tcp_box_count(const struct tcp_conn *c)
{
	const struct tcp_box *b = box_of(c);

	return b ? b->count : 0;
}

uint32_t tcp_box_read(const struct tcp_conn *c, struct tcp_trace_at *out, uint32_t max)
{
	struct tcp_box *b = box_of(c);
	uint32_t n, size;
	uint64_t us;

	if (!b)
		return 0;
	notice(c, b);
	size = c->cfg->boxes->entries;
	n = tcp_min(max, b->count < size ? (uint32_t)b->count : size);
	us = b->last;
	for (uint32_t i = n, at = 1; i-- > 0; at++) {
		const struct tcp_trace_ev *ev = &b->ev[(b->count - at) % size];

		us -= (uint32_t)us - ev->us;
		out[i] = (struct tcp_trace_at){.us = us, .ev = *ev};
		if (ev->kind == TCP_TR_GAP) /* the seconds, and what they leave of 32 bits */
			us -= (uint64_t)ev->b * SECOND;
	}
	return n;
}

const char *tcp_trace_name(enum tcp_trace_kind k)
{
	static const char *const names[] = {
#define _(sym, name) [TCP_TR_##sym] = name,
		TCP_FOREACH_TRACE(_)
#undef _
	};

	return (unsigned int)k < TCP_TR_COUNT ? names[k] : "invalid";
}
