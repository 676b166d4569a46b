/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_table.c - a bounded hash table whose entries age: rte_hash finds the place of a key, an
 * array has the entries, one bit each tells which places are taken.
 */
#include "correlator/corr_table.h"

#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "correlator/corr_int.h"

struct corr_table {
	struct rte_hash *hash; /* key -> place */
	uint8_t *entries;      /* max + 1 of `size` bytes: rte_hash has one spare place */
	uint64_t *used;	       /* a bit per place */
	uint32_t size;	       /* of an entry, a multiple of 8 */
	uint32_t max;	       /* entries at most */
	uint32_t count;	       /* entries now */
	uint32_t at;	       /* where corr_table_step() goes on */
};

struct corr_table *corr_table_new(uint32_t max, uint32_t key_len, uint32_t size)
{
	struct corr_table *t = calloc(1, sizeof(*t));

	if (!t || max == 0) {
		free(t);
		return NULL;
	}
	t->max = max;
	t->size = (size + 7) & ~7u;
	t->hash = corr_hash_new(max, key_len);
	t->entries = rte_zmalloc("corr_table", (size_t)(max + 1) * t->size, 64);
	t->used = rte_zmalloc("corr_used", (max / 64 + 1) * sizeof(uint64_t), 64);
	if (!t->hash || !t->entries || !t->used) {
		corr_table_free(t);
		return NULL;
	}
	return t;
}

void corr_table_free(struct corr_table *t)
{
	if (!t)
		return;
	rte_hash_free(t->hash);
	rte_free(t->entries);
	rte_free(t->used);
	free(t);
}

static void *entry_at(const struct corr_table *t, uint32_t place)
{
	return t->entries + (size_t)place * t->size;
}

static uint32_t place_of(const struct corr_table *t, const void *entry)
{
	return (uint32_t)((size_t)((const uint8_t *)entry - t->entries) / t->size);
}

void *corr_table_find(const struct corr_table *t, const void *key)
{
	const int32_t place = rte_hash_lookup(t->hash, key);

	return place < 0 ? NULL : entry_at(t, (uint32_t)place);
}

void *corr_table_add(struct corr_table *t, const void *key)
{
	int32_t place;
	void *e;

	if (t->count == t->max)
		return NULL;
	place = rte_hash_add_key(t->hash, key);
	if (place < 0)
		return NULL;
	e = entry_at(t, (uint32_t)place);
	memset(e, 0, t->size);
	t->used[place / 64] |= UINT64_C(1) << place % 64;
	t->count++;
	return e;
}

void corr_table_del(struct corr_table *t, void *entry)
{
	const uint32_t place = place_of(t, entry);

	rte_hash_del_key(t->hash, corr_table_key(t, entry));
	t->used[place / 64] &= ~(UINT64_C(1) << place % 64);
	t->count--;
}

const void *corr_table_key(const struct corr_table *t, const void *entry)
{
	void *key = NULL;

	rte_hash_get_key_with_position(t->hash, (int32_t)place_of(t, entry), &key);
	return key;
}

uint32_t corr_table_count(const struct corr_table *t)
{
	return t->count;
}

uint32_t corr_table_max(const struct corr_table *t)
{
	return t->max;
}

void *corr_table_next(const struct corr_table *t, uint32_t *it)
{
	while (*it <= t->max) {
		const uint32_t place = (*it)++;

		if (t->used[place / 64] >> place % 64 & 1)
			return entry_at(t, place);
	}
	return NULL;
}

void *corr_table_step(struct corr_table *t, uint32_t *n)
{
	while (*n > 0) {
		const uint32_t place = t->at;

		t->at = place == t->max ? 0 : place + 1;
		(*n)--;
		if (t->used[place / 64] >> place % 64 & 1)
			return entry_at(t, place);
	}
	return NULL;
}
