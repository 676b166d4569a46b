/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay.c - `tagd --replay CASE...`: cases, one process each.
 *
 * Theory of operation
 *
 * A case is a folder: a configuration, captures of what clients and servers send, a script of what
 * the servers' agents and programs do, captures of what the gateway must answer, and a list of
 * things that must be true (docs/replay.md). The data path that replays it is the daemon's, not a
 * model of it: its workers, correlator, TCP core, verbs and messages. Only what is outside is
 * replaced:
 *
 *	ports		ring devices of DPDK, filled from captures (gw_replay_lan.c)
 *	fabric		the software HCA; the servers are in this process (gw_replay_host.c)
 *	time		jumps from event to event (gw_replay_run.c, gw_world.c)
 *	random numbers	always the same
 *	threads		one: the worker's turns and the servers' alternate
 *
 * So a case gives the same bytes at the same times on every machine, needs no privileges, and
 * minutes of time-outs pass at once. The control thread's part is called at its usual intervals.
 *
 * Each case runs in a process of its own, in a folder of its own, so that one that crashes is one
 * that failed. What a failed case left is kept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/gw_replay.h"

#define MAX_CASES 4096u
#define MAX_JOBS  64

/** What was asked for. */
struct options {
	bool record;		    /* write the expected outputs */
	bool verbose;		    /* name each case */
	bool figure;		    /* keep no outputs, say how fast it was */
	unsigned long jobs;	    /* cases at a time */
	char keep[GW_REP_PATH / 2]; /* where failed cases go */
};

/** A case that runs. */
struct job {
	pid_t pid;	 /* 0: free */
	const char *dir; /* of the case */
	char work[GW_REP_PATH];
};

/** All cases and how they went. */
struct cases {
	struct options opt;
	char *dir[MAX_CASES]; /* ours */
	uint32_t n, good, bad;
	struct job job[MAX_JOBS];
};

static const char usage[] =
	"usage: tagd --replay [-r] [-v] [-f] [-j JOBS] [-k FOLDER] CASE...\n"
	"  CASE       a case, or a folder of cases\n"
	"  -r, --record\n"
	"             write the outputs that are expected from now on\n"
	"  -v         name each case\n"
	"  -f         keep no outputs, check only counters, say how fast it was\n"
	"  -j JOBS    cases at a time (default 1)\n"
	"  -k FOLDER  where to keep what failed cases left (default /tmp/tagd-replay-...)\n";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool is_case(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY);
	bool yes = fd >= 0 && faccessat(fd, "tagd.conf", R_OK, 0) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

static bool add_case(struct cases *c, const char *dir)
{
	if (c->n == MAX_CASES || strlen(dir) >= GW_REP_PATH)
		return false;
	c->dir[c->n] = strdup(dir);
	return c->dir[c->n++] != NULL;
}

/* A case, or those in a folder, by name. */
static bool find_cases(struct cases *c, const char *given)
{
	uint32_t before = c->n;
	struct dirent **list;
	char arg[PATH_MAX];
	int n;

	if (!realpath(given, arg)) {
		fprintf(stderr, "tagd: %s: %s\n", given, strerror(errno));
		return false;
	}
	if (is_case(arg))
		return add_case(c, arg);
	n = scandir(arg, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[2 * GW_REP_PATH];

		snprintf(path, sizeof(path), "%.400s/%s", arg, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && is_case(path))
			add_case(c, path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (c->n == before)
		fprintf(stderr, "tagd: %s: no case (a folder with a tagd.conf) and none in it\n",
			arg);
	return c->n > before;
}

/* In the process of its own: what it says goes to its folder. */
static int run_one(const struct options *opt, const struct job *j)
{
	char path[GW_REP_PATH + 16], devices[16];
	static struct gw_rep r;
	bool good;
	int fd;

	snprintf(path, sizeof(path), "%s/log", j->work);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return 1;
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	snprintf(path, sizeof(path), "%s/fabric", j->work);
	snprintf(devices, sizeof(devices), "%d", 16);
	if (mkdir(path, 0700) || setenv("SOFTHCA_DIR", path, 1) ||
	    setenv("SOFTHCA_DEVICES", devices, 1) || setenv("SOFTHCA_NODE", "1", 1))
		return 1;
	snprintf(r.dir, sizeof(r.dir), "%s", j->dir);
	snprintf(r.work, sizeof(r.work), "%s", j->work);
	r.record = opt->record;
	r.figure = opt->figure;
	if (gw_log_open())
		return 1;
	good = gw_rep_run(&r);
	gw_log_close();
	if (good && opt->figure)
		printf("%s: %lu frames, %lu bytes in %.3f s of processor time: %.3f million frames/s, %.2f Gbit/s\n",
		       j->dir, r.fed, r.fed_bytes, (double)r.cpu_us / 1e6,
		       (double)r.fed / (double)RTE_MAX(r.cpu_us, 1ull),
		       (double)r.fed_bytes * 8e-3 / (double)RTE_MAX(r.cpu_us, 1ull));
	remove_tree(path);
	fflush(stdout);
	return good ? 0 : 1;
}

static bool start(struct cases *c, const char *dir)
{
	const char *name = strrchr(dir, '/') ? strrchr(dir, '/') + 1 : dir;
	struct job *j = c->job;

	while (j->pid)
		j++;
	j->dir = dir;
	snprintf(j->work, sizeof(j->work), "%s/%.200s", c->opt.keep, name);
	remove_tree(j->work);
	if (mkdir(j->work, 0755)) {
		fprintf(stderr, "tagd: %s: %s\n", j->work, strerror(errno));
		return false;
	}
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0)
		exit(run_one(&c->opt, j));
	return j->pid > 0;
}

static void copy(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

/* The files of a case beside what it left. */
static void keep(const struct job *j)
{
	struct dirent **list;
	int n = scandir(j->dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char from[2 * GW_REP_PATH], to[2 * GW_REP_PATH];

		snprintf(from, sizeof(from), "%s/%s", j->dir, list[i]->d_name);
		snprintf(to, sizeof(to), "%s/%s", j->work, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			copy(from, to);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static void show_log(const struct job *j, FILE *to)
{
	char path[GW_REP_PATH + 16], *line = NULL;
	size_t room = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", j->work);
	f = fopen(path, "r");
	while (f && getline(&line, &room, f) > 0)
		fputs(line, to);
	free(line);
	if (f)
		fclose(f);
}

/* Waits for one of them. */
static void finish(struct cases *c)
{
	struct job *j = c->job;
	int status;
	pid_t pid = wait(&status);

	while (j < c->job + MAX_JOBS && j->pid != pid)
		j++;
	if (pid < 0 || j == c->job + MAX_JOBS)
		return;
	j->pid = 0;
	if (status == 0) {
		c->good++;
		if (c->opt.verbose)
			printf("%s: %s\n", j->dir, c->opt.record ? "recorded" : "as expected");
		if (c->opt.figure || c->opt.verbose)
			show_log(j, stdout);
		remove_tree(j->work);
		return;
	}
	c->bad++;
	show_log(j, stderr);
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: ended by signal %s\n", j->dir, strsignal(WTERMSIG(status)));
	keep(j);
	fprintf(stderr, "%s: FAILED; everything of it is in %s\n", j->dir, j->work);
}

static int run_all(struct cases *c)
{
	uint32_t running = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		if (running == c->opt.jobs) {
			finish(c);
			running--;
		}
		if (!start(c, c->dir[i])) {
			c->bad++;
			continue;
		}
		running++;
	}
	while (running-- > 0)
		finish(c);
	printf("%u case%s: %u %s, %u failed\n", c->n, c->n == 1 ? "" : "s", c->good,
	       c->opt.record ? "recorded" : "as expected", c->bad);
	if (!c->bad)
		rmdir(c->opt.keep);
	return c->bad ? 1 : 0;
}

/* Reads the options; -1: all is well. */
static int options(struct cases *c, int argc, char **argv)
{
	static const struct option names[] = {{"record", no_argument, NULL, 'r'}, {0}};
	int opt;

	c->opt.jobs = 1;
	while ((opt = getopt_long(argc, argv, "rvfj:k:h", names, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		c->opt.record |= opt == 'r';
		c->opt.verbose |= opt == 'v';
		c->opt.figure |= opt == 'f';
		if (opt == 'j')
			c->opt.jobs = strtoul(optarg, NULL, 10);
		else if (opt == 'k')
			snprintf(c->opt.keep, sizeof(c->opt.keep), "%s", optarg);
		if (opt == '?' || c->opt.jobs < 1 || c->opt.jobs > MAX_JOBS) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (!c->opt.keep[0]) {
		strcpy(c->opt.keep, "/tmp/tagd-replay-XXXXXX");
		if (!mkdtemp(c->opt.keep)) {
			fprintf(stderr, "tagd: %s: %s\n", c->opt.keep, strerror(errno));
			return 1;
		}
	} else if (mkdir(c->opt.keep, 0755) && errno != EEXIST) {
		fprintf(stderr, "tagd: %s: %s\n", c->opt.keep, strerror(errno));
		return 1;
	}
	return -1;
}

int gw_replay_main(int argc, char **argv)
{
	static struct cases c;
	int rc = options(&c, argc, argv);

	for (int i = optind; rc < 0 && i < argc; i++)
		if (!find_cases(&c, argv[i]))
			rc = 2;
	if (rc < 0)
		rc = run_all(&c);
	for (uint32_t i = 0; i < c.n; i++)
		free(c.dir[i]);
	return rc;
}
