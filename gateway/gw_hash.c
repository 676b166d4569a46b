/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_hash.c - how a worker's own hash tables are made: Jenkins' hash with a random seed, since the
 * keys are what strangers send (a CRC is linear: keys that collide under one seed collide under
 * all), of keys that need not be aligned, since they are looked up where they lie in a packet.
 */
#include <rte_jhash.h>
#include <rte_random.h>
#include <stdio.h>
#include <string.h>

#include "gateway/gw_int.h"

static uint32_t hash_unaligned(const void *key, uint32_t len, uint32_t seed)
{
	uint64_t copy[8];

	memcpy(copy, key, RTE_MIN(len, sizeof(copy)));
	return rte_jhash(copy, len, seed);
}

struct rte_hash *gw_hash_new(const struct gw_worker *w, const char *what, uint32_t entries,
			     uint32_t key_len)
{
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters hp = {.name = name,
					 .entries = entries,
					 .key_len = key_len,
					 .hash_func = hash_unaligned,
					 .hash_func_init_val = (uint32_t)rte_rand(),
					 .socket_id = SOCKET_ID_ANY};

	snprintf(name, sizeof(name), "%s%u", what, w->index);
	return key_len <= 64 ? rte_hash_create(&hp) : NULL;
}
