/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics on request: with SOFTHCA_STATS=1 a process counts the time it spends moving payload,
 * which on a real adapter is not the processor's, and prints its ports' counters when they close.
 */
#include <stdlib.h>
#include <unistd.h>

#include "soft.h"

/* Whether copies are timed; set before the first port opens. */
bool soft_stats_on;

/* Name of each counter, in order. */
static const char *const names[] = {
#define NAME(n) [SOFT_CTR(n)] = #n
	NAME(ud_delivered),  NAME(ud_no_buffer),   NAME(ud_bad_qp),	NAME(ud_bad_qkey),
	NAME(ud_too_long),   NAME(ud_lost),	   NAME(ud_unroutable), NAME(rnr),
	NAME(bytes_mapped),  NAME(bytes_syscall),  NAME(bytes_staged),	NAME(copy_ns),
	NAME(access_errors), NAME(peers_attached), NAME(peers_died),	NAME(cq_overruns),
	NAME(faults),
#undef NAME
};

static_assert(sizeof(names) / sizeof(names[0]) == sizeof(struct softhca_counters) / 8, "names");

/* Reads the environment. */
void soft_stats_init(void)
{
	const char *e = getenv("SOFTHCA_STATS");

	soft_stats_on = e && *e && *e != '0';
}

/* Prints the counters of @p that are not zero, if wanted. */
void soft_stats_print(const struct soft_port *p)
{
	if (!soft_stats_on)
		return;
	fprintf(stderr, "softhca: process %d, soft%u, LID %u:", getpid(), p->dev, p->lid);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t v = atomic_load(&p->shm->ctr[i]);

		if (v)
			fprintf(stderr, " %s=%llu", names[i], (unsigned long long)v);
	}
	fputc('\n', stderr);
}
