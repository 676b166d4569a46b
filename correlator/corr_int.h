/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_int.h - what the correlator's files share: hash tables and the shape of tokens. */
#ifndef CORRELATOR_CORR_INT_H
#define CORRELATOR_CORR_INT_H

#include <assert.h>

#include <rte_hash.h>

#include "correlator/corr.h"

#define CORR_TOKEN_WORKER_BITS	6	   /* up to 64 workers */
#define CORR_TOKEN_MIN_GEN_BITS 4	   /* a slot has at least 15 generations */
#define CORR_MAX_CONNS		(1u << 21) /* of one worker */

static_assert(sizeof(struct corr_flow) == 36, "keys are hashed and compared as bytes");

/** How the 26 bits below the worker are divided; depends on the size of the map. */
struct corr_token_shape {
	uint32_t worker;	 /* worker number, in place */
	unsigned int index_bits; /* low bits: slot */
	uint32_t gen_max;	 /* largest generation; they run from 1, so no token is 0 */
};

/** Shape for `slots` slots of `worker`. 0, or EINVAL when it does not fit into 32 bits. */
int corr_token_shape_init(struct corr_token_shape *t, uint32_t slots, uint32_t worker);

/** Token of a slot in its generation (1 to gen_max). */
uint32_t corr_token_make(const struct corr_token_shape *t, uint32_t slot, uint32_t gen);

/** Slot inside a token; compare the token stored there to learn whether it is stale. */
uint32_t corr_token_slot(const struct corr_token_shape *t, uint32_t token);

/** Generation after `gen`. */
uint32_t corr_token_next_gen(const struct corr_token_shape *t, uint32_t gen);

/**
 * A hash table for `entries` keys of `key_len` bytes, all of which are certain to fit. The caller
 * frees it with rte_hash_free(). NULL: out of memory.
 */
struct rte_hash *corr_hash_new(uint32_t entries, uint32_t key_len);

#endif
