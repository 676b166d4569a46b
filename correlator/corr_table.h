/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_table.h - a bounded hash table whose entries age, for what a worker remembers of packets:
 * connections, clients, affinities. Belongs to one worker; nothing allocates after it was made.
 */
#ifndef CORRELATOR_CORR_TABLE_H
#define CORRELATOR_CORR_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct corr_table;

/** A table for `max` entries of `size` bytes under keys of `key_len` bytes. NULL: no memory. */
struct corr_table *corr_table_new(uint32_t max, uint32_t key_len, uint32_t size);
/** NULL is fine. */
void corr_table_free(struct corr_table *t);

/** Entry of a key, or NULL. */
void *corr_table_find(const struct corr_table *t, const void *key);
/** A new entry, all zero, of a key that is not there; NULL: the table is full. */
void *corr_table_add(struct corr_table *t, const void *key);
/** Removes an entry. */
void corr_table_del(struct corr_table *t, void *entry);
/** Key of an entry; valid while the entry is there. */
const void *corr_table_key(const struct corr_table *t, const void *entry);

/** Entries in use, and the limit. */
uint32_t corr_table_count(const struct corr_table *t);
uint32_t corr_table_max(const struct corr_table *t);

/** Walks the entries: start with *it = 0; NULL at the end. The current one may be removed. */
void *corr_table_next(const struct corr_table *t, uint32_t *it);

/**
 * Next entry in use among the next `n` places, going round for ever from where the last call
 * stopped; *n counts down. NULL: none among them. For ageing in small steps.
 */
void *corr_table_step(struct corr_table *t, uint32_t *n);

#endif
