/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_track.c - the connection table of a worker.
 *
 * Only a server's own packets, and a client's that acknowledge them, confirm a flow: a SYN, or an
 * ACK out of the blue, is unconfirmed, ages in seconds, and is the first to go when the table is
 * full. There is room for a quarter of unconfirmed flows, so a flood of SYNs cannot push out a
 * single connection. A RST may be forged: the flow is only marked, and when its server still speaks
 * it is open again.
 *
 * Times follow RFC 5382 section 5 (TCP) and RFC 4787 section 4.3 (UDP).
 */
#include "correlator/corr_track.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[] = {
#define _(sym, name) name,
	CORR_FOREACH_FLOW(_)
#undef _
};

const char *corr_flow_state_name(enum corr_flow_state s)
{
	return state_names[s];
}

int corr_tracks_open(struct corr_tracks *t, uint32_t max, struct corr_live *live)
{
	memset(t, 0, sizeof(*t));
	t->table = corr_table_new(max, sizeof(struct corr_track_key), sizeof(struct corr_track));
	t->live = live;
	TAILQ_INIT(&t->oldest);
	t->times = (struct corr_track_times)CORR_TRACK_TIMES;
	t->half_max = max / 4 ? max / 4 : 1;
	return t->table ? 0 : ENOMEM;
}

/* Adds by (1 or -1) to everything a flow counts in. */
static void count(struct corr_tracks *t, const struct corr_track *e, uint32_t by)
{
	const struct corr_track_key *k = corr_table_key(t->table, e);
	struct corr_live *live = t->live;

	atomic_fetch_add_explicit(&live->server[e->server].conns, by, memory_order_relaxed);
	if (k->proto == CORR_TCP)
		atomic_fetch_add_explicit(&live->server[e->server].tcp, by, memory_order_relaxed);
	if (e->service != CORR_NONE)
		atomic_fetch_add_explicit(&live->service_conns[e->service], by,
					  memory_order_relaxed);
	if (e->rule != CORR_NONE)
		atomic_fetch_add_explicit(&live->rule_conns[e->rule], by, memory_order_relaxed);
	for (int i = 0; i < 2; i++)
		if (e->client[i])
			atomic_fetch_add_explicit(&e->client[i]->count, by, memory_order_relaxed);
}

void corr_tracks_close(struct corr_tracks *t)
{
	struct corr_track *e;
	uint32_t it = 0;

	while (t->table && (e = corr_table_next(t->table, &it)))
		corr_track_del(t, e);
	corr_table_free(t->table);
	t->table = NULL;
}

/* True for states that no server has confirmed. */
static bool is_half(uint8_t s)
{
	return s == CORR_FLOW_OPENING || s == CORR_FLOW_ANSWERED || s == CORR_FLOW_GUESSED ||
	       s == CORR_FLOW_ONE_WAY;
}

/* The one place where a flow changes its state. */
static void set_state(struct corr_tracks *t, struct corr_track *e, enum corr_flow_state s)
{
	if (is_half(e->state) && !is_half((uint8_t)s)) {
		TAILQ_REMOVE(&t->oldest, e, half);
		t->half--;
	}
	e->state = (uint8_t)s;
}

struct corr_track *corr_track_find(const struct corr_tracks *t, const struct corr_track_key *k)
{
	return corr_table_find(t->table, k);
}

void corr_track_del(struct corr_tracks *t, struct corr_track *e)
{
	count(t, e, (uint32_t)-1);
	if (is_half(e->state)) {
		TAILQ_REMOVE(&t->oldest, e, half);
		t->half--;
	}
	corr_table_del(t->table, e);
}

/* Forgets the flow that has been unconfirmed for longest. */
static bool evict(struct corr_tracks *t)
{
	struct corr_track *victim = TAILQ_FIRST(&t->oldest);

	if (victim)
		corr_track_del(t, victim);
	return victim != NULL;
}

struct corr_track *corr_track_add(struct corr_tracks *t, const struct corr_track_key *k,
				  const struct corr_track *set)
{
	struct corr_track *e;

	if (is_half(set->state) && t->half >= t->half_max && !evict(t))
		return NULL;
	e = corr_table_add(t->table, k);
	if (!e && evict(t))
		e = corr_table_add(t->table, k);
	if (!e)
		return NULL;
	*e = *set;
	if (is_half(e->state)) {
		TAILQ_INSERT_TAIL(&t->oldest, e, half);
		t->half++;
	}
	count(t, e, 1);
	return e;
}

void corr_track_move(struct corr_tracks *t, struct corr_track *e, uint16_t server)
{
	count(t, e, (uint32_t)-1);
	e->server = server;
	count(t, e, 1);
}

enum corr_flow_state corr_track_first(const struct corr_pkt *p)
{
	if (p->key.proto != CORR_TCP)
		return CORR_FLOW_ONE_WAY;
	if (p->flags & CORR_TCP_RST)
		return CORR_FLOW_CLOSED;
	if ((p->flags & (CORR_TCP_SYN | CORR_TCP_ACK)) == CORR_TCP_SYN)
		return CORR_FLOW_OPENING;
	return p->from_server ? CORR_FLOW_OPEN : CORR_FLOW_GUESSED;
}

/* True when a client's segment proves that it got the server's SYN: it acknowledges it. */
static bool proves(const struct corr_track *e, const struct corr_pkt *p)
{
	return e->state == CORR_FLOW_ANSWERED && p->flags & CORR_TCP_ACK &&
	       p->ack - e->isn - 1 < 0x10000;
}

/* A segment without SYN and RST. */
static void segment(struct corr_tracks *t, struct corr_track *e, const struct corr_pkt *p)
{
	const bool certain = p->from_server || !is_half(e->state) || proves(e, p);

	if (!certain)
		return;
	if (p->flags & CORR_TCP_FIN)
		e->fins |= p->from_server ? 2 : 1;
	if (e->fins)
		set_state(t, e, e->fins == 3 ? CORR_FLOW_CLOSED : CORR_FLOW_CLOSING);
	else if (p->from_server || e->state == CORR_FLOW_ANSWERED)
		set_state(t, e, CORR_FLOW_OPEN);
}

void corr_track_packet(struct corr_tracks *t, struct corr_track *e, const struct corr_pkt *p,
		       uint64_t now_ms)
{
	const bool answer = p->from_server != e->outbound;

	e->seen_ms = now_ms;
	if (p->key.proto != CORR_TCP) {
		if (answer)
			set_state(t, e, CORR_FLOW_TWO_WAY);
	} else if (p->flags & CORR_TCP_RST) {
		set_state(t, e, CORR_FLOW_CLOSED);
	} else if (p->flags & CORR_TCP_SYN) {
		if (!answer || e->state > CORR_FLOW_ANSWERED)
			return;
		e->isn = p->seq;
		set_state(t, e, CORR_FLOW_ANSWERED);
	} else {
		segment(t, e, p);
	}
}

/* Milliseconds that a quiet flow is kept. */
static uint32_t keep_ms(const struct corr_track_times *m, uint8_t state)
{
	switch (state) {
	case CORR_FLOW_OPEN:
		return m->open_ms;
	case CORR_FLOW_CLOSING:
		return m->closing_ms;
	case CORR_FLOW_CLOSED:
		return m->closed_ms;
	case CORR_FLOW_ONE_WAY:
		return m->one_way_ms;
	case CORR_FLOW_TWO_WAY:
		return m->two_way_ms;
	default:
		return m->opening_ms;
	}
}

void corr_tracks_age(struct corr_tracks *t, uint32_t n, uint64_t now_ms)
{
	struct corr_track *e;

	while ((e = corr_table_step(t->table, &n))) {
		const struct corr_track_key *k;

		if (now_ms - e->seen_ms <= keep_ms(&t->times, e->state))
			continue;
		k = corr_table_key(t->table, e);
		if (k->proto == CORR_TCP && t->in_use && t->in_use(t->ctx, &k->flow))
			e->seen_ms = now_ms;
		else
			corr_track_del(t, e);
	}
}
