/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_token.c - tokens: 32-bit names of accelerated connections on shared queue pairs.
 *
 *     | worker (6) | generation | slot (as many bits as the map needs) |
 *
 * A slot's generation moves on each time it is freed, so a message for a connection that is gone
 * does not reach the one that took its slot. Generations start at 1: no token is 0.
 */
#include <errno.h>

#include "correlator/corr_int.h"

#define WORKER_SHIFT (32 - CORR_TOKEN_WORKER_BITS)

int corr_token_shape_init(struct corr_token_shape *t, uint32_t slots, uint32_t worker)
{
	unsigned int bits = 1;

	while (bits < WORKER_SHIFT && (1u << bits) < slots)
		bits++;
	if (worker >> CORR_TOKEN_WORKER_BITS || bits > WORKER_SHIFT - CORR_TOKEN_MIN_GEN_BITS)
		return EINVAL;
	t->worker = worker << WORKER_SHIFT;
	t->index_bits = bits;
	t->gen_max = (1u << (WORKER_SHIFT - bits)) - 1;
	return 0;
}

uint32_t corr_token_make(const struct corr_token_shape *t, uint32_t slot, uint32_t gen)
{
	return t->worker | gen << t->index_bits | slot;
}

uint32_t corr_token_slot(const struct corr_token_shape *t, uint32_t token)
{
	return token & ((1u << t->index_bits) - 1);
}

uint32_t corr_token_next_gen(const struct corr_token_shape *t, uint32_t gen)
{
	return gen == t->gen_max ? 1 : gen + 1;
}

uint32_t corr_token_worker(uint32_t token)
{
	return token >> WORKER_SHIFT;
}
