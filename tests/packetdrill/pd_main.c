/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_main.c - runs the scripts named on the command line; 0 when all pass. */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pd.h"

static const char *const names[PD_VERSIONS] = {"ipv4", "ipv6", "ipv4-mapped-ipv6"};

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--ip_version=ipv4|ipv6|ipv4-mapped-ipv6]... [--so_filename=FILE] "
		"[--so_flags=FLAGS] "
		"SCRIPT...\n",
		name);
	return 2;
}

/* Every version that was asked for and that the script allows. */
static void run_versions(const char *file, const bool *asked, const char *so_filename,
			 const char *so_flags)
{
	struct pd_script s;
	bool any = false;

	pd_parse(&s, file);
	for (int v = 0; v < PD_VERSIONS; v++)
		any |= s.only[v];
	for (int v = 0; v < PD_VERSIONS; v++) {
		if (!asked[v] || (any && !s.only[v]))
			continue;
		pd_run(&s, (enum pd_version)v, so_filename, so_flags);
		printf("%s: %s ok\n", file, names[v]);
	}
	pd_free(&s);
}

/* In a process of its own: the first error ends it, and the other scripts run nevertheless. */
static bool passes(const char *file, const bool *asked, const char *so_filename,
		   const char *so_flags)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		err(2, "fork");
	if (!child) {
		run_versions(file, asked, so_filename, so_flags);
		exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: %s\n", file, strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"ip_version", required_argument, NULL, 'v'},
		{"so_filename", required_argument, NULL, 's'},
		{"so_flags", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	bool asked[PD_VERSIONS] = {false}, any = false;
	const char *so_filename = NULL, *so_flags = "";
	int c, v, failed = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's') {
			so_filename = optarg;
			continue;
		}
		if (c == 'f') {
			so_flags = optarg;
			continue;
		}
		for (v = 0; c == 'v' && v < PD_VERSIONS && strcmp(optarg, names[v]); v++)
			;
		if (c != 'v' || v == PD_VERSIONS)
			return usage(argv[0]);
		asked[v] = any = true;
	}
	if (optind == argc)
		return usage(argv[0]);
	for (v = 0; v < PD_VERSIONS && !any; v++)
		asked[v] = true;
	for (; optind < argc; optind++)
		failed += !passes(argv[optind], asked, so_filename, so_flags);
	return failed ? 1 : 0;
}
