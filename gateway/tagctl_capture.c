/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_capture.c - captures: what a request says, and `capture run`, which stays until the end.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/tagctl.h"

#define LOOK_MS 100 /* between looks at a capture that runs */

/** What may follow the file. */
static const struct {
	const char *key;
	bool number;
} options[] = {
	{"bytes", true}, {"packets", true}, {"seconds", true},
	{"side", false}, {"filter", false}, {"conn", false},
};

/* One KEY=VALUE; false: nonsense. */
static bool put_option(json_t *req, const char *arg)
{
	const char *value = strchr(arg, '=');
	size_t len = value ? (size_t)(value - arg) : 0;
	char *end;
	long long n;

	for (size_t i = 0; value && i < sizeof(options) / sizeof(options[0]); i++) {
		if (strlen(options[i].key) != len || memcmp(options[i].key, arg, len))
			continue;
		if (!options[i].number)
			return json_object_set_new(req, options[i].key, json_string(value + 1)) ==
			       0;
		errno = 0;
		n = strtoll(value + 1, &end, 10);
		if (*end || n <= 0 || errno)
			return false;
		return json_object_set_new(req, options[i].key, json_integer(n)) == 0;
	}
	return false;
}

bool capture_args(json_t *req, char **args, int n)
{
	char path[PATH_MAX * 2], here[PATH_MAX];

	for (int i = 1; i < n; i++) {
		if (put_option(req, args[i]))
			continue;
		fprintf(stderr,
			"tagctl: %s: no such limit or choice; there are bytes=N, packets=N, "
			"seconds=N, side=lan|fabric|both, filter=EXPRESSION and conn=CONN\n",
			args[i]);
		return false;
	}
	if (n > 0 && args[0][0] != '/' && getcwd(here, sizeof(here))) {
		snprintf(path, sizeof(path), "%s/%s", here, args[0]);
		json_object_set_new(req, "file", json_string(path));
	} else if (n > 0) {
		json_object_set_new(req, "file", json_string(args[0]));
	}
	return true;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* Asks for something about captures. */
static json_t *ask(FILE *daemon, const char *cmd)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd), *reply = daemon_ask(daemon, req);

	json_decref(req);
	return reply;
}

json_t *capture_run(FILE *daemon, json_t *req)
{
	const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000};
	const struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	json_t *reply;

	json_object_set_new(req, "cmd", json_string("capture start"));
	json_object_set_new(req, "attached", json_true());
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	reply = daemon_ask(daemon, req);
	while (reply && json_is_true(json_object_get(reply, "running"))) {
		json_decref(reply);
		nanosleep(&nap, NULL);
		reply = ask(daemon, interrupted ? "capture stop" : "capture show");
	}
	return reply;
}
