/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_mark.c - a table that workers share without locks: a hash names a set of eight places, and
 * in it a place is found by its tag, which is the hash itself. Nothing moves and nothing is freed,
 * so that a reader needs no protection: the worst that can happen is that a place becomes somebody
 * else's between two looks at it. SipHash under a random key keeps strangers from filling one set
 * on purpose, and from having the tag of another one.
 *
 * A place is taken by one compare-and-swap of its tag. Two workers that meet somebody new at the
 * same time may both take one: each looks at the set again, and the one further behind is given
 * back. (A worker that stands still in the middle of this can end up with a second one; what was
 * counted in the other is forgotten then.)
 */
#include "correlator/corr_mark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int corr_marks_open(struct corr_marks *t, uint32_t max)
{
	uint32_t sets = 1;

	memset(t, 0, sizeof(*t));
	while (sets < max / (CORR_MARK_SET / 2)) /* twice the room: sets fill unevenly */
		sets *= 2;
	t->mark = calloc((size_t)sets * CORR_MARK_SET, sizeof(*t->mark));
	t->mask = sets - 1;
	if (!t->mark || getrandom(&t->key, sizeof(t->key), 0) != sizeof(t->key)) {
		corr_marks_close(t);
		return ENOMEM;
	}
	return 0;
}

void corr_marks_close(struct corr_marks *t)
{
	free(t->mark);
	t->mark = NULL;
}

/* The first place of a set with a tag, or NULL. */
static struct corr_mark *find(struct corr_mark *set, uint64_t tag)
{
	for (uint32_t i = 0; i < CORR_MARK_SET; i++)
		if (atomic_load(&set[i].tag) == tag)
			return &set[i];
	return NULL;
}

/* The place of a set that a new one may have: free, or without count and unused for the longest. */
static struct corr_mark *victim(struct corr_mark *set)
{
	struct corr_mark *best = NULL;

	for (uint32_t i = 0; i < CORR_MARK_SET; i++) {
		struct corr_mark *m = &set[i];

		if (!atomic_load(&m->tag))
			return m;
		if (!atomic_load(&m->count) &&
		    (!best || atomic_load(&m->seen_s) < atomic_load(&best->seen_s)))
			best = m;
	}
	return best;
}

/* Takes a place in a set; NULL: there is none. */
static struct corr_mark *take(struct corr_mark *set, uint64_t tag, uint32_t now_s)
{
	struct corr_mark *m, *first;
	uint64_t was;

	do {
		m = victim(set);
		if (!m)
			return NULL;
		was = atomic_load(&m->tag);
	} while (!atomic_compare_exchange_strong(&m->tag, &was, tag));
	atomic_store(&m->word, 0);
	atomic_store(&m->seen_s, now_s);
	first = find(set, tag);
	if (first && first < m) { /* another worker was faster */
		was = tag;
		atomic_compare_exchange_strong(&m->tag, &was, 0);
		return first;
	}
	return m;
}

struct corr_mark *corr_marks_get(struct corr_marks *t, const void *key, size_t len, uint64_t now_ms,
				 bool make)
{
	const uint64_t hash = t->mark ? corr_sip(&t->key, key, len) : 0, tag = hash ? hash : 1;
	const uint32_t now_s = (uint32_t)(now_ms / 1000);
	struct corr_mark *set, *m;

	if (!t->mark)
		return NULL;
	set = &t->mark[(size_t)(tag & t->mask) * CORR_MARK_SET];
	m = find(set, tag);
	if (!make)
		return m;
	if (!m)
		return take(set, tag, now_s);
	atomic_store_explicit(&m->seen_s, now_s, memory_order_relaxed);
	return m;
}

uint32_t corr_marks_used(const struct corr_marks *t)
{
	uint32_t n = 0;

	for (size_t i = 0; t->mark && i < ((size_t)t->mask + 1) * CORR_MARK_SET; i++)
		n += atomic_load(&t->mark[i].tag) != 0;
	return n;
}
