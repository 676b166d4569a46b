/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk.c - every state that can be reached, breadth first, without any chance in it.
 *
 * Each state found is checked; so is each that has come to rest, that is, where only the
 * environment could go on. A second pass takes states away that nothing leads to any more: if
 * some are left, they lie on a circle, and there is a run without end.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/model.h"

/** A state and how it was found. */
struct m_node {
	struct m_state s;
	uint32_t parent;   /* found from it first */
	uint32_t in;	   /* transitions that lead here */
	const char *label; /* of the first */
};

static_assert(sizeof(struct m_state) ==
		      21 + M_WORKERS * (sizeof(struct m_gconn) + 2 * sizeof(struct m_chan)),
	      "no padding: states are compared as bytes");

static uint32_t hash(const struct m_state *s)
{
	const uint8_t *b = (const uint8_t *)s;
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ b[i]) * 1099511628211ull;
	return (uint32_t)(h ^ h >> 32);
}

/* Place of a state in the hash: its own, or the empty one it would take. */
static uint32_t *find(const struct m_walk *w, const struct m_state *s)
{
	uint32_t i = hash(s) & w->mask;

	while (w->slot[i] && memcmp(&w->node[w->slot[i] - 1].s, s, sizeof(*s)))
		i = (i + 1) & w->mask;
	return &w->slot[i];
}

static void *must(void *p)
{
	if (!p) {
		fputs("no memory\n", stderr);
		exit(1);
	}
	return p;
}

/* Room for more. */
static void grow(struct m_walk *w)
{
	w->cap = w->cap ? 2 * w->cap : 4096;
	w->node = must(realloc(w->node, w->cap * sizeof(*w->node)));
	w->mask = 4 * w->cap - 1;
	free(w->slot);
	w->slot = must(calloc(w->mask + 1u, sizeof(*w->slot)));
	for (uint32_t i = 0; i < w->n; i++)
		*find(w, &w->node[i].s) = i + 1;
}

static void report(struct m_walk *w, enum m_finding f, uint32_t where)
{
	if (w->found != M_F_NOTHING)
		return;
	w->found = f;
	w->where = where;
}

static bool host_owns(const struct m_state *s)
{
	return s->flow == HOST_F_NATIVE || s->flow == HOST_F_MAPPED;
}

/* Never both, and never two workers. */
static void check(struct m_walk *w, const struct m_state *s, uint32_t i)
{
	int gw = (m_running(&s->c[0]) + m_running(&s->c[1])) * !s->fenced;

	if (gw + host_owns(s) > 1)
		report(w, M_F_BOTH, i);
}

/* The gateway keeps the client's frames to itself. */
static bool keeps(const struct m_state *s)
{
	bool keeps = false;

	for (int k = 0; k < M_WORKERS; k++)
		keeps |= s->c[k].state != GW_C_FREE && s->c[k].state != GW_C_PREPARED;
	return keeps;
}

/* Nothing more happens by itself: the connection has one owner, who has what it needs. */
static void check_settled(struct m_walk *w, const struct m_state *s, uint32_t i)
{
	bool none = !s->c[0].state && !s->c[1].state;
	bool up = s->gw == HOST_G_UP && s->host == GW_HOST_UP;

	w->settled++;
	if (up && none && (s->reset || s->gone))
		w->owned[2]++;
	else if (up && none && host_owns(s) && (s->conn == M_NONE || s->conn == HOST_S_PUMP))
		w->owned[1]++;
	else if (up && s->conn == HOST_S_ACCEL && s->flow == HOST_F_COMMITTED &&
		 s->c[s->worker].state == GW_C_ACTIVE && s->c[s->worker].tok == s->tok &&
		 !s->c[s->worker ^ 1].state)
		w->owned[0]++;
	else
		report(w, host_owns(s) && !keeps(s) ? M_F_GRANT_LEFT : M_F_NEITHER, i);
}

void m_step(struct m_walk *w, const struct m_state *n, const char *label, bool forced)
{
	uint32_t *at = find(w, n), i;

	w->forced |= forced;
	if (w->again) {
		i = *at - 1;
		if (--w->node[i].in == 0)
			w->ready[w->n_ready++] = i;
		return;
	}
	w->steps++;
	if (!*at) {
		if (w->n == w->cap) {
			grow(w);
			at = find(w, n);
		}
		w->node[w->n] = (struct m_node){.s = *n, .parent = w->from, .label = label};
		*at = ++w->n;
		check(w, n, w->n - 1);
	}
	i = *at - 1;
	w->node[i].in++;
	if (w->misstep != M_F_NOTHING) {
		if (w->found == M_F_NOTHING) /* the trace is to end with this very step */
			w->last = label;
		report(w, w->misstep, w->last ? w->from : i);
		w->misstep = M_F_NOTHING;
	}
}

/* Successors of state i. */
static void expand(struct m_walk *w, uint32_t i)
{
	struct m_state s = w->node[i].s;

	w->from = i;
	w->forced = false;
	m_fabric_steps(w, &s);
	m_host_steps(w, &s);
	m_gw_steps(w, &s);
	if (!w->again && !w->forced)
		check_settled(w, &s, i);
}

/* Every run ends: states can be put into an order. */
static void order(struct m_walk *w)
{
	w->again = true;
	w->ready = must(malloc(w->n * sizeof(*w->ready)));
	w->ready[w->n_ready++] = 0;
	for (uint32_t i = 0; i < w->n_ready; i++)
		expand(w, w->ready[i]);
	for (uint32_t i = 0; i < w->n && w->n_ready < w->n; i++)
		if (w->node[i].in)
			report(w, M_F_ENDLESS, i);
}

void m_walk(struct m_walk *w)
{
	static const struct m_state start = {.conn = M_NONE,
					     .flow = HOST_F_NATIVE,
					     .gw = HOST_G_UP,
					     .host = GW_HOST_UP,
					     .faults = M_FAULTS,
					     .wishes = M_WISHES,
					     .strays = M_STRAYS,
					     .doubles = M_DOUBLES};
	struct m_state s = start;

	if (!w->lax)
		s.doubles = 0;
	else
		s.faults = 1;
	grow(w);
	m_step(w, &s, "start", false);
	w->node[0].in = 0;
	for (uint32_t i = 0; i < w->n && w->found == M_F_NOTHING; i++)
		expand(w, i);
	if (w->found == M_F_NOTHING)
		order(w);
}

void m_free(struct m_walk *w)
{
	free(w->node);
	free(w->slot);
	free(w->ready);
	w->node = NULL;
	w->slot = w->ready = NULL;
}

static const char *gconn_name(uint8_t s)
{
	static const char *const names[] = {
#define _(sym, name) [GW_C_##sym] = #sym,
		GW_FOREACH_CONN_STATE(_)
#undef _
	};

	return s == GW_C_FREE ? "-" : names[s];
}

static const char *conn_name(uint8_t s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_S_##sym] = #sym,
		HOST_FOREACH_CSTATE(_)
#undef _
			[M_NONE] = "-",
	};

	return names[s];
}

static const char *flow_name(uint8_t s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_F_##sym] = #sym,
		HOST_FOREACH_FSTATE(_)
#undef _
	};

	return names[s];
}

static void print(const struct m_walk *w, uint32_t i)
{
	const struct m_node *d = &w->node[i];

	if (i)
		print(w, d->parent);
	fprintf(stderr, "  %-28s host %s/%s%s%s  gateway %s %s%s%s%s\n", d->label,
		conn_name(d->s.conn), flow_name(d->s.flow), d->s.gw == HOST_G_UP ? "" : " detached",
		d->s.fenced ? " fenced" : "", gconn_name(d->s.c[0].state),
		gconn_name(d->s.c[1].state), d->s.host == GW_HOST_UP ? "" : " no host",
		d->s.reset ? " reset" : "", d->s.gone ? " gone" : "");
}

void m_trace(const struct m_walk *w)
{
	print(w, w->where);
	if (w->last)
		fprintf(stderr, "  %s\n", w->last);
}
