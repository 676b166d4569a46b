/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_mark.h - what all workers of a gateway remember together of strangers: a word and a count
 * under a hash. See corr_mark.c.
 */
#ifndef CORRELATOR_CORR_MARK_H
#define CORRELATOR_CORR_MARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "correlator/corr_sip.h"

/** What is remembered of somebody. A mark with a count of 0 may become another's at any time: then
 * what is added to it meanwhile is lost or somebody else's, which a limit can stand. */
struct corr_mark {
	_Atomic uint64_t tag;	 /* hash of who it is; 0: free */
	_Atomic uint64_t word;	 /* the user's; 0 at first */
	_Atomic uint32_t count;	 /* the user's; not taken away while it is not 0 */
	_Atomic uint32_t seen_s; /* when it was last asked for, seconds */
};

/** A table of marks. All zero: one that is always full. */
struct corr_marks {
	struct corr_mark *mark;	 /* sets of CORR_MARK_SET, owned */
	uint32_t mask;		 /* of the number of a set */
	struct corr_sip_key key; /* of the hash, random */
};

#define CORR_MARK_SET 8u /* marks that one hash may have */

/** Room for `max` of them. 0 or ENOMEM. */
int corr_marks_open(struct corr_marks *t, uint32_t max);
/** Frees it; nobody may use it any more. */
void corr_marks_close(struct corr_marks *t);
/**
 * The mark of who a key of `len` bytes names, made when it is new and `make` is set: the one
 * without a count that was not asked for for the longest time makes room. NULL: not known, or all
 * that it could have are in use. Any thread, at the same time.
 */
struct corr_mark *corr_marks_get(struct corr_marks *t, const void *key, size_t len, uint64_t now_ms,
				 bool make);
/** How many are in use. For tests and people: it looks at all. */
uint32_t corr_marks_used(const struct corr_marks *t);

#endif
