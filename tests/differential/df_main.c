/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df_main.c - plays traces against the kernel and the core and judges the differences.
 *
 *   tcp-differential [-v] TABLE DIRECTORY|TRACE...
 *
 * TABLE is docs/linux-differences.md: the first cell of each row in backticks is the name of a
 * difference. Every difference must be declared by its trace under a name of the table, every
 * declared one must occur, every row must be used. Exit status 77: no namespace or TUN here.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "df.h"

#define ROWS_MAX 64
#define TURNS	 4 /* times that what differs is played again */

/** The table of explained differences. */
struct table {
	unsigned int n;
	char id[ROWS_MAX][DF_NAME];
	bool used[ROWS_MAX];
};

static bool verbose;

static int read_table(struct table *t, const char *file)
{
	FILE *f = fopen(file, "r");
	char line[4096];

	if (!f) {
		perror(file);
		return EINVAL;
	}
	while (fgets(line, sizeof(line), f) && t->n < ROWS_MAX)
		if (sscanf(line, "| `%63[^`]` |", t->id[t->n]) == 1)
			t->n++;
	fclose(f);
	return t->n ? 0 : EINVAL;
}

static bool use_row(struct table *t, const char *id)
{
	for (unsigned int i = 0; i < t->n; i++) {
		if (strcmp(t->id[i], id) == 0)
			return t->used[i] = true;
	}
	printf("  no row `%s` in the table\n", id);
	return false;
}

static void print_notes(const char *who, const struct df_peer *p)
{
	for (unsigned int i = 0; i < p->notes.n; i++)
		printf("  %s %9.1f  %s\n", who, p->notes.line[i].ms, p->notes.line[i].text);
}

/* True when what differs is what the trace declares. */
static bool as_declared(const struct df_trace *t, const struct df_peer *kernel,
			const struct df_peer *core, struct table *table)
{
	static char diff[DF_LINES][DF_TEXT];
	unsigned int n = df_compare(&kernel->notes, &core->notes, diff);
	bool ok = n == t->n_diff && !kernel->full && !core->full;

	for (unsigned int i = 0; i < n && ok; i++)
		ok = strcmp(diff[i], t->diff[i].text) == 0;
	for (unsigned int i = 0; i < t->n_diff && ok; i++)
		ok = use_row(table, t->diff[i].id);
	if (ok && !verbose)
		return true;
	printf("%s: %s\n", t->name, ok ? "as declared" : "differs otherwise than declared");
	print_notes("kernel", kernel);
	print_notes("core  ", core);
	for (unsigned int i = 0; i < n; i++)
		printf("  difference %s\n", diff[i]);
	for (unsigned int i = 0; i < t->n_diff; i++)
		printf("  declared   %s (%s)\n", t->diff[i].text, t->diff[i].id);
	return ok;
}

/*
 * Those that differ otherwise than declared are played to the kernel again, together, a few times:
 * a busy machine may have kept the peer from the processor. Returns how many still do.
 */
static unsigned int judge(const struct df_trace *traces, const struct df_peer *kernel,
			  const struct df_peer *core, unsigned int n, struct table *table)
{
	struct df_peer *some = calloc(n, sizeof(*some));
	unsigned int left = n, turn = 0, *which = calloc(n, sizeof(*which));

	if (!some || !which)
		abort();
	memcpy(some, kernel, n * sizeof(*some));
	for (unsigned int i = 0; i < n; i++)
		which[i] = i;
	for (;;) {
		unsigned int bad = 0;

		for (unsigned int i = 0; i < left; i++) {
			if (!as_declared(&traces[which[i]], &some[i], &core[which[i]], table))
				which[bad++] = which[i];
		}
		left = bad;
		if (!left || turn++ == TURNS)
			break;
		printf("%u once more\n", left);
		for (unsigned int i = 0; i < left; i++)
			df_peer_init(&some[i], &traces[which[i]], which[i]);
		if (df_linux_play(some, left))
			break;
	}
	free(some);
	free(which);
	return left;
}

/* Plays n traces to both and judges them. Returns an exit status. */
static int run(char **files, unsigned int n, struct table *table, bool all)
{
	struct df_trace *traces = calloc(n, sizeof(*traces));
	struct df_peer *kernel = calloc(n, sizeof(*kernel)), *core = calloc(n, sizeof(*core));
	unsigned int failed = 0, declared = 0;
	struct utsname host;
	int err;

	if (!traces || !kernel || !core)
		abort();
	for (unsigned int i = 0; i < n; i++) {
		if (df_trace_read(&traces[i], files[i]))
			return 2;
		df_peer_init(&kernel[i], &traces[i], i);
		df_peer_init(&core[i], &traces[i], i);
		df_core_play(&core[i]);
		declared += traces[i].n_diff > 0;
	}
	err = df_linux_play(kernel, n);
	if (err) {
		printf("no namespace or TUN device here (%s): skipped\n", strerror(err));
		return 77;
	}
	failed = judge(traces, kernel, core, n, table);
	for (unsigned int i = 0; i < table->n && all; i++) {
		if (table->used[i])
			continue;
		printf("row `%s` of the table: no trace shows it\n", table->id[i]);
		failed++;
	}
	uname(&host);
	printf("%u traces against Linux %s: %u without any difference, %u with explained ones, %u "
	       "failed\n",
	       n, host.release, n - declared, declared, failed);
	free(traces);
	free(kernel);
	free(core);
	return failed != 0;
}

int main(int argc, char **argv)
{
	struct table table = {0};
	char pattern[512];
	glob_t found;
	int rc;

	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		verbose = true;
		argc--;
		argv++;
	}
	if (argc < 3 || read_table(&table, argv[1])) {
		fprintf(stderr, "usage: tcp-differential [-v] TABLE DIRECTORY|TRACE...\n");
		return 2;
	}
	snprintf(pattern, sizeof(pattern), "%s/*.trace", argv[2]);
	if (glob(pattern, 0, NULL, &found))
		return run(argv + 2, (unsigned int)argc - 2, &table, false);
	rc = run(found.gl_pathv, (unsigned int)found.gl_pathc, &table, true);
	globfree(&found);
	return rc;
}
