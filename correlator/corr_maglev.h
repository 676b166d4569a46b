/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_maglev.h - Maglev hashing: a table that shares keys among weighted members. */
#ifndef CORRELATOR_CORR_MAGLEV_H
#define CORRELATOR_CORR_MAGLEV_H

#include <stdbool.h>

#include "correlator/corr_sip.h"

#define CORR_MAGLEV_MEMBERS 255	  /* of one table; entries are bytes */
#define CORR_MAGLEV_SIZE    65537 /* the usual size: 1 % of imbalance with 655 members */
#define CORR_MAGLEV_MAX	    655373

/** A member of a table. */
struct corr_maglev_member {
	const char *name; /* what its places follow from: the same on every gateway */
	uint32_t weight;  /* 1 to 1000000; 0: gets nothing */
};

/** True for sizes a table may have: primes up to CORR_MAGLEV_MAX. */
bool corr_maglev_size_ok(uint32_t size);

/**
 * Fills table[size] with indexes of members. Depends on the names and weights, not on the order of
 * m[]. 0; EINVAL: no member with a weight, more than CORR_MAGLEV_MEMBERS, the same name twice, or
 * a size that is no prime; ENOMEM. Control thread: it takes milliseconds.
 */
int corr_maglev_build(const struct corr_sip_key *key, const struct corr_maglev_member *m,
		      uint32_t n, uint8_t *table, uint32_t size);

/** Entry of a hash. */
static inline uint8_t corr_maglev_at(const uint8_t *table, uint32_t size, uint64_t hash)
{
	return table[((hash >> 32) * size) >> 32];
}

#endif
