/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_hash.c - how the correlator's hash tables are made.
 *
 * Clients choose their ports, and with IPv6 their addresses, so the hash is seeded at random per
 * table. It is Jenkins' and not CRC: a CRC is linear, and keys that collide under one seed
 * collide under all. Buckets that overflow are extended, so a table holds what it was made for.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <rte_jhash.h>
#include <rte_lcore.h>
#include <rte_random.h>

#include "correlator/corr_int.h"

#define MIN_ENTRIES 8 /* smallest table rte_hash makes */

/* Jenkins' hash of a key that lies anywhere: rte_jhash() loads words, packets are not aligned. */
static uint32_t hash_unaligned(const void *key, uint32_t len, uint32_t seed)
{
	uint64_t copy[8];

	if (len > sizeof(copy))
		return rte_jhash(key, len, seed);
	memcpy(copy, key, len);
	return rte_jhash(copy, len, seed);
}

struct rte_hash *corr_hash_new(uint32_t entries, uint32_t key_len)
{
	static atomic_uint serial; /* names are global to the process */
	char name[RTE_HASH_NAMESIZE];
	uint32_t seed;
	struct rte_hash_parameters hp = {
		.name = name,
		.entries = entries < MIN_ENTRIES ? MIN_ENTRIES : entries,
		.key_len = key_len,
		.hash_func = hash_unaligned,
		.socket_id = (int)rte_socket_id(),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint32_t)rte_rand();
	hp.hash_func_init_val = seed;
	snprintf(name, sizeof(name), "corr-%u", atomic_fetch_add(&serial, 1));
	return rte_hash_create(&hp);
}
