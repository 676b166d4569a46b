/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_accel.c - the two accelerated maps of one worker (Pettey, figure 11): flow to connection by
 * a hash table, token to connection by a table of slots. Belongs to one worker, so nothing here
 * locks; nothing allocates after corr_accel_new().
 *
 * Freed slots go to the end of a queue, and there are more slots than connections, so a slot
 * rests while the others are used up; with its generation that keeps a token from coming back
 * before (spare slots x generations) other connections have come and gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "correlator/corr_int.h"

#define SPARE_SLOTS(max) ((max) / 8 + 64)
#define NO_SLOT		 UINT32_MAX

/** One connection's entry. */
struct slot {
	void *conn;	       /* the caller's; NULL: free */
	uint32_t token;	       /* current token; of the next user while free */
	uint32_t gen;	       /* generation inside token */
	uint32_t next_free;    /* the slot freed after this one, or NO_SLOT */
	struct corr_flow flow; /* key of by_flow, for removal */
};

/** Both maps of one worker. */
struct corr_accel {
	struct rte_hash *by_flow;	/* struct corr_flow -> conn */
	struct slot *slots;		/* owned; n_slots of them */
	struct corr_token_shape tokens; /* how tokens divide */
	uint32_t n_slots;		/* more than max */
	uint32_t max;			/* connections at most */
	uint32_t count;			/* connections now */
	uint32_t free_head;		/* slot that rested longest */
	uint32_t free_tail;		/* slot freed last */
};

struct corr_accel *corr_accel_new(uint32_t max, uint32_t worker)
{
	struct corr_accel *m;
	uint32_t i;

	if (max == 0 || max > CORR_MAX_CONNS)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->max = max;
	m->n_slots = max + SPARE_SLOTS(max);
	if (corr_token_shape_init(&m->tokens, m->n_slots, worker))
		goto fail;
	m->by_flow = corr_hash_new(max, sizeof(struct corr_flow));
	m->slots = rte_zmalloc("corr_slots", m->n_slots * sizeof(*m->slots), 64);
	if (!m->by_flow || !m->slots)
		goto fail;
	for (i = 0; i < m->n_slots; i++) {
		m->slots[i].gen = 1;
		m->slots[i].token = corr_token_make(&m->tokens, i, 1);
		m->slots[i].next_free = i + 1 < m->n_slots ? i + 1 : NO_SLOT;
	}
	m->free_tail = m->n_slots - 1;
	return m;
fail:
	corr_accel_free(m);
	return NULL;
}

void corr_accel_free(struct corr_accel *m)
{
	if (!m)
		return;
	rte_hash_free(m->by_flow);
	rte_free(m->slots);
	free(m);
}

int corr_accel_add(struct corr_accel *m, const struct corr_flow *f, void *conn, uint32_t *token)
{
	struct slot *s = &m->slots[m->free_head]; /* never empty: there are spare slots */
	int err;

	if (!conn)
		return EINVAL;
	if (rte_hash_lookup(m->by_flow, f) >= 0)
		return EEXIST;
	if (m->count == m->max)
		return ENOSPC;
	err = -rte_hash_add_key_data(m->by_flow, f, conn);
	if (err)
		return err;
	m->free_head = s->next_free;
	s->conn = conn;
	s->flow = *f;
	m->count++;
	*token = s->token;
	return 0;
}

/* The slot in use under a token, or NULL. */
static struct slot *slot_of(const struct corr_accel *m, uint32_t token)
{
	const uint32_t i = corr_token_slot(&m->tokens, token);

	if (i >= m->n_slots || m->slots[i].token != token || !m->slots[i].conn)
		return NULL;
	return &m->slots[i];
}

int corr_accel_del(struct corr_accel *m, uint32_t token)
{
	struct slot *s = slot_of(m, token);
	uint32_t i;

	if (!s)
		return ENOENT;
	i = (uint32_t)(s - m->slots);
	rte_hash_del_key(m->by_flow, &s->flow);
	s->conn = NULL;
	s->gen = corr_token_next_gen(&m->tokens, s->gen);
	s->token = corr_token_make(&m->tokens, i, s->gen);
	s->next_free = NO_SLOT;
	m->slots[m->free_tail].next_free = i;
	m->free_tail = i;
	m->count--;
	return 0;
}

void *corr_accel_by_flow(const struct corr_accel *m, const struct corr_flow *f)
{
	void *conn;

	return rte_hash_lookup_data(m->by_flow, f, &conn) < 0 ? NULL : conn;
}

void corr_accel_by_flow_bulk(const struct corr_accel *m, const struct corr_flow *const *f,
			     uint32_t n, void **conns)
{
	uint64_t hits = 0;
	uint32_t i;

	if (n > 0)
		rte_hash_lookup_bulk_data(m->by_flow, (const void **)(uintptr_t)f, n, &hits, conns);
	for (i = 0; i < n; i++) {
		if (!(hits >> i & 1))
			conns[i] = NULL;
	}
}

void *corr_accel_by_token(const struct corr_accel *m, uint32_t token)
{
	const struct slot *s = slot_of(m, token);

	return s ? s->conn : NULL;
}

uint32_t corr_accel_count(const struct corr_accel *m)
{
	return m->count;
}

uint32_t corr_accel_max(const struct corr_accel *m)
{
	return m->max;
}

void *corr_accel_next(const struct corr_accel *m, uint32_t *it)
{
	while (*it < m->n_slots) {
		void *conn = m->slots[(*it)++].conn;

		if (conn)
			return conn;
	}
	return NULL;
}
