/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagrun.c - runs an unmodified program with the socket layer: puts libtagsock.so in front of
 * LD_PRELOAD and becomes the program.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/host_ipc.h"

#define LIB "libtagsock.so"

static const char usage[] =
	"usage: tagrun [-d] [-s SOCKET] [--] PROGRAM [ARGUMENT...]\n"
	"Runs PROGRAM with its TCP connections offered to taghostd.\n"
	"  -d, --debug          say on standard error what becomes of each connection\n"
	"  -s, --socket SOCKET  taghostd's socket (default " HOST_IPC_PATH ")\n"
	"  -h, --help           this text\n"
	"  -V, --version        version\n";

/* Beside this program, in the library folder of its prefix, or where it was to be installed. */
static int find_library(char path[PATH_MAX])
{
	char dir[PATH_MAX];
	char *slash;
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	if (n > 0) {
		dir[n] = 0;
		slash = strrchr(dir, '/');
		*slash = 0;
		if (snprintf(path, PATH_MAX, "%s/" LIB, dir) < PATH_MAX && !access(path, R_OK))
			return 0;
	}
	snprintf(path, PATH_MAX, "%s/" LIB, TAG_LIBDIR);
	return access(path, R_OK) ? errno : 0;
}

static int preload(const char *lib)
{
	const char *old = getenv("LD_PRELOAD");
	char *all;
	int r;

	if (!old || !*old)
		return setenv("LD_PRELOAD", lib, 1);
	if (asprintf(&all, "%s:%s", lib, old) < 0)
		return -1;
	r = setenv("LD_PRELOAD", all, 1);
	free(all);
	return r;
}

/* Handles options; returns the index of the program, 0: done, -1: wrong. */
static int options(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--")) {
			i++;
			break;
		}
		if (!strcmp(a, "-h") || !strcmp(a, "--help")) {
			fputs(usage, stdout);
			return 0;
		} else if (!strcmp(a, "-V") || !strcmp(a, "--version")) {
			puts("tagrun " TAG_VERSION);
			return 0;
		} else if (!strcmp(a, "-d") || !strcmp(a, "--debug")) {
			setenv("TAG_SOCK_DEBUG", "1", 1);
		} else if ((!strcmp(a, "-s") || !strcmp(a, "--socket")) && i + 1 < argc) {
			setenv(HOST_IPC_ENV, argv[++i], 1);
		} else {
			fprintf(stderr, "tagrun: unknown or incomplete option %s\n", a);
			return -1;
		}
	}
	return i < argc ? i : -1;
}

int main(int argc, char **argv)
{
	char lib[PATH_MAX];
	int i = options(argc, argv), r;

	if (i < 0)
		fputs(usage, stderr);
	if (i <= 0)
		return i ? 2 : 0;
	r = find_library(lib);
	if (r) {
		fprintf(stderr, "tagrun: %s: %s\n", lib, strerror(r));
		return 125;
	}
	if (preload(lib)) {
		perror("tagrun");
		return 125;
	}
	execvp(argv[i], argv + i);
	r = errno;
	fprintf(stderr, "tagrun: %s: %s\n", argv[i], strerror(r));
	return r == ENOENT ? 127 : 126;
}
