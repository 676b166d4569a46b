/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_world.c - what the gateway asks of the world beside frames and completions: the time, and
 * numbers that nobody can guess. A replay (gw_replay.c) gives it both, so that a run can be had
 * again, bit for bit.
 */
#include <errno.h>
#include <rte_random.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "gateway/gw_int.h"

static uint64_t set_us; /* time of a replay; 0: the machine's. One thread runs then */

void gw_now_set(uint64_t us)
{
	set_us = us;
}

uint64_t gw_now_us(void)
{
	struct timespec ts;

	if (set_us)
		return set_us;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int gw_random(void *buf, size_t len)
{
	uint8_t *at = buf;

	if (!set_us)
		return getrandom(buf, len, 0) == (ssize_t)len ? 0 : EAGAIN;
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)rte_rand();
	return 0;
}
