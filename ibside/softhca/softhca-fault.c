/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * softhca-fault: makes things go wrong on the subnet of software HCAs, while programs run.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

static int usage(FILE *to, int status)
{
	fprintf(to,
		"usage: softhca-fault [--dir DIR] add KIND[=VALUE] [KEY=VALUE...]\n"
		"       softhca-fault [--dir DIR] list\n"
		"       softhca-fault [--dir DIR] clear\n"
		"kinds: ud-loss=PERCENT ud-delay=MS ud-reorder=PERCENT ud-dup=PERCENT\n"
		"       retry-exc rnr[=MS] rem-access qp-fatal slow-read=MS\n"
		"       port-down[=MS] port-up lid-change\n"
		"keys:  proc=NAME pid=N lid=N qpn=N (who acts), to-proc= to-pid= to-lid= to-qpn=\n"
		"       op=read|write|send|atomic type=rc|uc|ud\n"
		"       count=N (0: always) after=N chance=PERCENT seed=N\n");
	return status;
}

/* Tells the ports that the file has changed. */
static int announce(int dirfd, struct fault_page *pg)
{
	uint32_t gen = atomic_load(&pg->gen) + 1;
	int fd = openat(dirfd, FAULT_FILE, O_RDWR | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 ||
	    pwrite(fd, &gen, sizeof(gen), offsetof(struct fault_page, gen)) != sizeof(gen))
		rc = errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int cmd_add(struct fault_page *pg, char **words)
{
	struct fault_rule r;
	char why[128];
	int rc = 0;

	fault_rule_init(&r);
	for (; *words && !rc; words++)
		rc = fault_parse_word(&r, *words, why, sizeof(why));
	if (!rc)
		rc = fault_rule_finish(&r, why, sizeof(why));
	if (rc) {
		fprintf(stderr, "softhca-fault: %s\n", why);
		return 2;
	}
	if (!fault_add(pg, &r))
		return 0;
	fprintf(stderr, "softhca-fault: no more than %u rules at a time: clear them\n",
		FAULT_RULES);
	return 1;
}

static void cmd_list(const struct fault_page *pg)
{
	char text[512];

	for (uint32_t i = 0; i < FAULT_RULES; i++)
		if (atomic_load(&pg->rule[i].live)) {
			fault_format(&pg->rule[i], text, sizeof(text));
			puts(text);
		}
}

static int command(int dirfd, struct fault_page *pg, char **argv)
{
	int status = 0, rc;

	if (!strcmp(argv[0], "list")) {
		cmd_list(pg);
		return 0;
	}
	if (!strcmp(argv[0], "add"))
		status = cmd_add(pg, argv + 1);
	else
		fault_clear(pg);
	if (!atomic_load(&pg->n) && !fault_ports(dirfd)) {
		unlinkat(dirfd, FAULT_FILE, 0);
		return status;
	}
	rc = status ? 0 : announce(dirfd, pg);
	if (rc)
		fprintf(stderr, "softhca-fault: cannot tell the ports: %s\n", strerror(rc));
	return rc ? 1 : status;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{"dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *dir = fault_dir();
	struct fault_page *pg;
	int c, dirfd;

	while ((c = getopt_long(argc, argv, "+d:h", opts, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != 'd')
			return usage(stderr, 2);
		dir = optarg;
	}
	argv += optind;
	if (!argv[0] ||
	    (strcmp(argv[0], "add") && strcmp(argv[0], "list") && strcmp(argv[0], "clear")) ||
	    (strcmp(argv[0], "add") ? !!argv[1] : !argv[1]))
		return usage(stderr, 2);
	dirfd = fault_lock_dir(dir);
	if (dirfd < 0) {
		fprintf(stderr, "softhca-fault: cannot use %s: %s\n", dir, strerror(-dirfd));
		return 1;
	}
	pg = fault_map(dirfd, !strcmp(argv[0], "add"));
	if (!pg && errno == ENOENT)
		return 0; /* no file, no faults */
	if (!pg) {
		fprintf(stderr, "softhca-fault: cannot use %s/%s: %s\n", dir, FAULT_FILE,
			strerror(errno));
		return 1;
	}
	return command(dirfd, pg, argv);
}
