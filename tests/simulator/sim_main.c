/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_main.c - many runs from consecutive seeds; or one of them again.
 *
 *   tcp-simulator [--runs N] [--first SEED]     N runs (10000); a failing seed is printed
 *   tcp-simulator --seed SEED [--verbose]       that run again, with a trace
 *   tcp-simulator --replay FILE...              runs kept in files: "seed options..." per line
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

#define LIMIT	 (6 * SIM_HOUR) /* of virtual time: user timeout and back-off fit many times */
#define SHOW_MAX 10		/* failures printed in full */

/** Sums over all runs. */
struct totals {
	unsigned int runs, failed;
	unsigned long long sent, lost, late, retx, timeouts, moves, parks, bytes, virtual_us;
	unsigned int aborted, ideal, havoc, slow, open[SIM_OPEN_COUNT]; /* runs of a kind */
};

static void add(struct totals *t, const struct sim *s)
{
	t->runs++;
	t->sent += s->sent;
	t->lost += s->lost;
	t->parks += s->parks;
	t->late += s->late;
	t->virtual_us += s->now;
	t->aborted += s->aborted;
	t->ideal += s->o.ideal;
	t->havoc += s->o.havoc > 0;
	t->open[s->o.open]++;
	t->slow += s->o.read_us > 2 * s->o.delay_us;
	for (int i = 0; i < 2; i++) {
		t->bytes += s->e[i].acked;
		t->retx += s->e[i].c.stats.retx_segs;
		t->timeouts += s->e[i].c.stats.rto_count;
		t->moves += s->e[i].moves;
	}
}

static bool run(const struct sim_opts *o, uint64_t seed, bool verbose, struct totals *t)
{
	struct sim s;
	bool ok;

	sim_init(&s, o, seed);
	s.trace |= verbose;
	ok = sim_run(&s, LIMIT);
	add(t, &s);
	if (!ok) {
		t->failed++;
		if (t->failed <= SHOW_MAX) {
			printf("seed %llu: %s\n  %llu ", (unsigned long long)seed,
			       s.broken[0] ? s.broken : "no end", (unsigned long long)seed);
			sim_opts_print(stdout, o);
			putchar('\n');
			sim_print(stdout, &s);
		}
	} else if (verbose) {
		printf("ok\n");
		sim_print(stdout, &s);
	}
	sim_fini(&s);
	return ok;
}

/* Runs every line of a file. Returns 0, or EINVAL when the file is not readable. */
static int replay(const char *file, bool verbose, struct totals *t)
{
	char line[2048];
	FILE *f = fopen(file, "r");
	int rc = 0;

	if (!f) {
		perror(file);
		return EINVAL;
	}
	while (!rc && fgets(line, sizeof(line), f)) {
		struct sim_opts o;
		char *rest;
		unsigned long long seed = strtoull(line, &rest, 0);

		if (line[0] == '#' || line[0] == '\n')
			continue;
		sim_defaults(&o);
		rc = rest == line ? EINVAL : sim_opts_parse(&o, rest);
		if (rc)
			fprintf(stderr, "%s: cannot be read: %s", file, line);
		else
			run(&o, seed, verbose, t);
	}
	fclose(f);
	return rc;
}

static void summary(const struct totals *t, double seconds)
{
	printf("%u runs, %u failed, in %.1f s: %.0f virtual hours, %llu MB acknowledged, %llu segments, "
	       "%llu lost, %llu duplicated, late, marked or damaged, %llu sent again, %llu timeouts, "
	       "%llu moves between gateways, %llu rests; %u runs with READs slower than the round trip, %u with "
	       "failing READs, %u with an ideal peer, %u with random damage; opened by the cores: %u, by cookies %u, "
	       "by both at once %u\n",
	       t->runs, t->failed, seconds, (double)t->virtual_us / SIM_HOUR, t->bytes >> 20,
	       t->sent, t->lost, t->late, t->retx, t->timeouts, t->moves, t->parks, t->slow,
	       t->aborted, t->ideal, t->havoc, t->open[SIM_OPEN_LISTEN], t->open[SIM_OPEN_COOKIE],
	       t->open[SIM_OPEN_BOTH]);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"runs", 1, NULL, 'n'},	{"first", 1, NULL, 'f'},
					      {"seed", 1, NULL, 's'},	{"verbose", 0, NULL, 'v'},
					      {"replay", 0, NULL, 'r'}, {0}};
	uint64_t runs = 10000, first = (uint64_t)time(NULL) * 1000003;
	bool verbose = false, files = false;
	struct totals t = {0};
	clock_t start = clock();
	struct sim_opts o;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'n')
			runs = strtoull(optarg, NULL, 0);
		else if (c == 'f' || c == 's')
			first = strtoull(optarg, NULL, 0);
		else if (c == 'v')
			verbose = true;
		else if (c == 'r')
			files = true;
		else
			return 2;
		if (c == 's')
			runs = 1;
	}
	for (int i = optind; i < argc; i++)
		if (!files || replay(argv[i], verbose, &t))
			return 2;
	if (!files)
		printf("first seed %llu\n", (unsigned long long)first);
	for (uint64_t i = 0; i < runs && !files; i++) {
		sim_random(&o, first + i);
		run(&o, first + i, verbose, &t);
	}
	summary(&t, (double)(clock() - start) / CLOCKS_PER_SEC);
	return t.failed || !t.runs;
}
