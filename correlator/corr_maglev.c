/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_maglev.c - Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network
 * Load Balancer", NSDI 2016, section 3.4).
 *
 * Every member walks the table in an order of its own: offset, offset + skip, offset + 2 skip, ...
 * modulo a prime size. In turn, each takes the first place of its walk that is still free, until
 * all are taken. A member with w of the largest weight W takes a turn only in w of W rounds; the
 * debt is carried as an integer, so shares are exact to one place per member. The members take
 * turns in the order of their hashed names: the table follows from the set alone.
 */
#include "correlator/corr_maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY	   0xff
#define WEIGHT_MAX 1000000u

/** One member's walk. */
struct walk {
	uint64_t hash;	  /* of its name: its turn */
	const char *name; /* decides between equal hashes */
	uint64_t debt;	  /* it takes a turn when round * weight has come up to this */
	uint32_t weight;  /* of the member */
	uint32_t at;	  /* place to try next */
	uint32_t skip;	  /* 1 to size - 1 */
	uint8_t index;	  /* into the caller's members */
};

bool corr_maglev_size_ok(uint32_t size)
{
	if (size < 3 || size > CORR_MAGLEV_MAX || size % 2 == 0)
		return false;
	for (uint32_t d = 3; d * d <= size; d += 2)
		if (size % d == 0)
			return false;
	return true;
}

static int by_hash(const void *a, const void *b)
{
	const struct walk *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Starts the walks of all members with a weight. Their number; 0: a weight is not allowed. */
static uint32_t start(const struct corr_sip_key *key, const struct corr_maglev_member *m,
		      uint32_t n, uint32_t size, struct walk *w)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t h, h2;

		if (m[i].weight > WEIGHT_MAX)
			return 0;
		if (m[i].weight == 0)
			continue;
		h = corr_sip(key, m[i].name, strlen(m[i].name));
		h2 = corr_sip_next(h);
		w[used++] = (struct walk){.hash = h,
					  .name = m[i].name,
					  .weight = m[i].weight,
					  .at = (uint32_t)(h % size),
					  .skip = 1 + (uint32_t)(h2 % (size - 1)),
					  .index = (uint8_t)i};
	}
	qsort(w, used, sizeof(*w), by_hash);
	for (uint32_t i = 1; i < used; i++)
		if (strcmp(w[i - 1].name, w[i].name) == 0)
			return 0;
	return used;
}

/* Takes turns until the table is full. */
static void fill(struct walk *w, uint32_t n, uint8_t *table, uint32_t size)
{
	uint32_t left = size, max = 0;

	for (uint32_t i = 0; i < n; i++)
		max = w[i].weight > max ? w[i].weight : max;
	memset(table, EMPTY, size);
	for (uint64_t round = 1;; round++) {
		for (uint32_t i = 0; i < n; i++) {
			if (round * w[i].weight < w[i].debt)
				continue;
			w[i].debt += max;
			while (table[w[i].at] != EMPTY)
				w[i].at = (w[i].at + w[i].skip) % size;
			table[w[i].at] = w[i].index;
			if (--left == 0)
				return;
		}
	}
}

int corr_maglev_build(const struct corr_sip_key *key, const struct corr_maglev_member *m,
		      uint32_t n, uint8_t *table, uint32_t size)
{
	struct walk *w;
	uint32_t used;

	if (n > CORR_MAGLEV_MEMBERS || !corr_maglev_size_ok(size))
		return EINVAL;
	w = calloc(n + 1, sizeof(*w));
	if (!w)
		return ENOMEM;
	used = start(key, m, n, size, w);
	if (used)
		fill(w, used, table, size);
	free(w);
	return used ? 0 : EINVAL;
}
