/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_eal.c - starts DPDK's environment abstraction layer the way a gateway wants it: nothing
 * left behind in the file system, no secondary processes, no telemetry; huge pages when the
 * machine has some free, ordinary memory otherwise; lcore 0 is the control thread, lcores 1.. are
 * the workers, floating over the process's CPUs unless [gateway] cpus says otherwise.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_int.h"

#define MAX_ARGS      64
#define LCORE_LEN     600 /* text of an lcore and the CPUs that it may have */
#define MBUF_OVERHEAD 320 /* bytes of an mbuf beside its data room: headers, private area */
#define FLOW_BYTES    256 /* of a flow in all tables of the policy */
#define MB_BASE	      192 /* rings, hash tables, payload chunks of one worker */

/** Arguments being collected. */
struct args {
	char *v[MAX_ARGS + 1]; /* owned */
	int n;		       /* used */
};

static struct args eal_args; /* of the running EAL */

static void add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends a formatted argument. */
static void add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == MAX_ARGS)
		return;
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) >= 0)
		a->n++;
	va_end(ap);
}

unsigned long gw_eal_huge_free_mb(void)
{
	unsigned long pages = 0, kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "HugePages_Free: %lu", &pages);
		sscanf(line, "Hugepagesize: %lu", &kb);
	}
	fclose(f);
	return pages * kb / 1024;
}

/* The process's CPUs as a list. */
static void cpu_list(char *buf, size_t room)
{
	cpu_set_t set;
	size_t n = 0;

	CPU_ZERO(&set);
	buf[0] = '\0';
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int i = 0; i < CPU_SETSIZE && n + 8 < room; i++)
		if (CPU_ISSET(i, &set))
			n += (size_t)snprintf(buf + n, room - n, "%s%d", n ? "," : "", i);
}

/* True when a port is a PCI device ("0000:03:00.0" or "03:00.0"). */
static bool wants_pci(const struct gw_cfg *cfg)
{
	unsigned int a, b, c, d;

	for (uint32_t i = 0; i < cfg->n_port; i++) {
		const char *s = cfg->port[i].devargs;

		if (strncmp(s, "pci:", 4) == 0 || sscanf(s, "%x:%x:%x.%x", &a, &b, &c, &d) == 4 ||
		    sscanf(s, "%x:%x.%x", &a, &b, &c) == 3)
			return true;
	}
	return false;
}

unsigned long gw_eal_need_mb(const struct gw_cfg *cfg)
{
	unsigned long frame = gw_mem_data_room(cfg) + MBUF_OVERHEAD;
	unsigned long flows = (unsigned long)cfg->flows * FLOW_BYTES;

	return cfg->workers * (MB_BASE + ((cfg->mbufs * frame + flows) >> 20) + 1) +
	       cfg->max_accelerated / 512; /* maps and connections */
}

/* Arguments about memory. */
static void add_memory(struct args *a, const struct gw_cfg *cfg)
{
	unsigned long need = gw_eal_need_mb(cfg);

	if (gw_eal_huge_free_mb() >= need) {
		add(a, "--in-memory");
		return;
	}
	add(a, "--no-huge");
	add(a, "--no-shconf");
	add(a, "-m");
	add(a, "%lu", cfg->memory_mb ? (unsigned long)cfg->memory_mb : need);
}

/* Level of DPDK's own lines. By default the EAL's warnings are left out: they are about what a
 * gateway leaves out on purpose. */
static void add_log_level(struct args *a, const struct gw_cfg *cfg)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	uint8_t level = cfg->log_module[GW_LM_DPDK];

	add(a, "--log-level=*:%s", names[level ? level - 1 : GW_LOG_WARNING]);
	if (!level)
		add(a, "--log-level=lib.eal:error");
}

/* CPU number i of a list as "2,3-5"; -1: there are fewer, or it is no such list. */
static int nth_cpu(const char *list, uint32_t i)
{
	while (*list) {
		unsigned int first, last;
		int n;

		if (sscanf(list, "%u-%u%n", &first, &last, &n) != 2) {
			if (sscanf(list, "%u%n", &first, &n) != 1)
				return -1;
			last = first;
		}
		if (last < first || (list[n] && list[n] != ','))
			return -1;
		if (i <= last - first)
			return (int)(first + i);
		i -= last - first + 1;
		list += n + (list[n] == ',');
	}
	return -1;
}

/* Which CPUs each lcore has. A worker has one of its own when [gateway] cpus names enough. */
static void add_lcores(char *buf, size_t room, const struct gw_cfg *cfg)
{
	const bool own = nth_cpu(cfg->cpus, cfg->workers - 1) >= 0;
	char any[LCORE_LEN - 8], one[16];
	size_t n;

	cpu_list(any, sizeof(any));
	n = (size_t)snprintf(buf, room, "--lcores=0@(%s)", any);
	for (uint32_t i = 0; i < cfg->workers && n < room; i++) {
		snprintf(one, sizeof(one), "%d", nth_cpu(cfg->cpus, i));
		n += (size_t)snprintf(buf + n, room - n, ",%u@(%s)", i + 1,
				      own	     ? one
				      : cfg->cpus[0] ? cfg->cpus
						     : any);
	}
}

int gw_eal_open(const struct gw_cfg *cfg)
{
	struct args a = {.n = 0};
	char lcores[(GW_MAX_WORKERS + 1) * LCORE_LEN], extra[256], *p = extra, *word;
	char *argv[MAX_ARGS + 1];
	int rc;

	add_lcores(lcores, sizeof(lcores), cfg);
	add(&a, "tagd");
	add(&a, "%s", lcores);
	add(&a, "--no-telemetry");
	add_log_level(&a, cfg);
	add_memory(&a, cfg);
	if (!wants_pci(cfg))
		add(&a, "--no-pci");
	snprintf(extra, sizeof(extra), "%s", cfg->eal);
	while ((word = strsep(&p, " \t")))
		if (*word)
			add(&a, "%s", word);
	memcpy(argv, a.v, sizeof(argv)); /* EAL reorders its copy */
	argv[a.n] = NULL;
	rc = rte_eal_init(a.n, argv) < 0 ? (rte_errno ? rte_errno : EINVAL) : 0;
	if (rc)
		gw_log(GW_LOG_ERROR,
		       "DPDK did not start: %s; check [gateway] eal, cpus and memory, and free memory",
		       strerror(rc));
	gw_log_configure(cfg); /* EAL has set the levels of all log types */
	eal_args = a;	       /* EAL keeps pointers to them */
	return rc;
}

void gw_eal_free(void)
{
	while (eal_args.n > 0)
		free(eal_args.v[--eal_args.n]);
}
