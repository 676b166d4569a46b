/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl.c - the operator's command: sends one request to tagd's control socket and prints the
 * answer, as a table or, with --json, as the document itself.
 *
 * Exit status: 0 good, 1 the daemon refused, 2 wrong usage, 3 no daemon to talk to, 4 the time to
 * wait is over.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/tagctl.h"

#define DEFAULT_SOCKET "/run/tag/tagd.sock"

enum {
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
	EXIT_BUSY = 4, /* --wait: the time is over, connections are left */
};

/** What options say. */
struct settings {
	const char *path;	/* control socket */
	bool json;		/* print documents */
	unsigned int watch_s;	/* again after so many seconds, 0: once */
	unsigned int confirm_s; /* a reload is undone after so many, 0: it is not */
	bool wait;		/* until a server is empty */
	unsigned int wait_s;	/* but no longer, 0: however long */
};

/* Prints an answer as tables. */
static void print(const struct command *c, const json_t *reply)
{
	const json_t *rows;

	if (strcmp(c->words, "conn show") == 0) {
		const json_t *row;
		size_t i;

		json_array_foreach(json_object_get(reply, "connections"), i, row)
			conn_print(stdout, row);
	} else if (strcmp(c->words, "drops") == 0) {
		drops_print(stdout, reply);
	} else if (strcmp(c->words, "trace packet") == 0) {
		trace_print(stdout, reply);
	} else if (json_object_get(reply, "changes") || json_object_get(reply, "text")) {
		config_print(stdout, reply);
	} else if (c->list && json_object_get(reply, c->list)) {
		rows = json_object_get(reply, c->list);
		tab_rows(stdout, rows, c->cols, c->empty);
	} else {
		tab_pairs(stdout, reply, c->empty);
	}
}

/* What a command's arguments add to its request; false, with a message: they make no sense. */
static bool put_args(const struct command *c, json_t *req, struct conn_view *view, char **args,
		     int n, const struct settings *set)
{
	if (strcmp(c->words, "conn list") == 0)
		return conn_list_args(view, req, args, n);
	if (strncmp(c->words, "config", 6) == 0) {
		config_args(req, args, n, set->confirm_s);
		return true;
	}
	if (strncmp(c->words, "capture", 7) == 0)
		return capture_args(req, args, n);
	if (strcmp(c->words, "trace packet") == 0)
		return trace_args(req, args, n);
	if (strcmp(c->words, "log level") == 0) {
		json_object_set_new(req, "module", json_string(args[0]));
		json_object_set_new(req, "level", json_string(args[1]));
		return true;
	}
	if (n > 0)
		json_object_set_new(req, "conn", json_string(args[0]));
	if (n > 1)
		json_object_set_new(req, "server", json_string(args[1]));
	return true;
}

/* Prints an answer, or says what was wrong. */
static int show(const struct command *c, const struct conn_view *view, json_t *reply, bool json)
{
	const char *why = json_string_value(json_object_get(reply, "error"));

	if (why) {
		fprintf(stderr, "tagctl: %s\n", why);
		return EXIT_REFUSED;
	}
	if (strcmp(c->words, "conn list") == 0 && conn_list_view(view, reply))
		return EXIT_USAGE;
	if (json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print(c, reply);
	}
	return 0;
}

/* Asks and shows, once. */
static int once(const struct command *c, const struct conn_view *view, json_t *req,
		const char *path, bool json)
{
	FILE *daemon = daemon_open(path);
	json_t *reply;
	int rc;

	if (!daemon)
		return EXIT_NO_DAEMON;
	if (strcmp(c->words, "conn list") == 0)
		reply = conn_list_fetch(daemon, req);
	else if (strcmp(c->words, "map export") == 0)
		reply = map_export(daemon, json_string_value(json_object_get(req, "conn")));
	else if (strcmp(c->words, "map import") == 0)
		reply = map_import(daemon, json_string_value(json_object_get(req, "conn")));
	else if (strcmp(c->words, "capture run") == 0)
		reply = capture_run(daemon, req);
	else
		reply = daemon_ask(daemon, req);
	fclose(daemon);
	if (!reply)
		return EXIT_NO_DAEMON;
	rc = show(c, view, reply, json);
	json_decref(reply);
	return rc;
}

/* server drain and server ready. */
static int turn(const struct command *c, char **names, int n, const struct settings *set)
{
	FILE *daemon = daemon_open(set->path);
	json_t *reply;
	int rc;

	if (!daemon)
		return EXIT_NO_DAEMON;
	reply = server_turn(daemon, c->words, names, n);
	if (set->wait && reply && !json_object_get(reply, "error")) {
		json_decref(reply);
		reply = server_wait(daemon, names, n, set->wait_s, set->json ? NULL : stdout);
	}
	fclose(daemon);
	if (!reply)
		return EXIT_NO_DAEMON;
	rc = show(c, NULL, reply, set->json);
	if (rc == 0 && set->wait && json_integer_value(json_object_get(reply, "left")))
		rc = EXIT_BUSY;
	json_decref(reply);
	return rc;
}

/* The one command that needs no running daemon: the program itself looks at the machine. */
static int doctor(const char *file, bool json)
{
	const char *argv[] = {"tagd", json ? "-Dj" : "-D", file ? "-c" : NULL, file, NULL};

	execvp("tagd", (char **)argv);
	execv("/usr/sbin/tagd", (char **)argv);
	fprintf(stderr, "tagctl: tagd is not in the PATH\n");
	return EXIT_NO_DAEMON;
}

static int run(const struct command *c, char **args, int n_args, const struct settings *set)
{
	json_t *req = json_pack("{s:s}", "cmd", c->words);
	struct conn_view view;
	int rc = EXIT_USAGE;

	if (put_args(c, req, &view, args, n_args, set)) {
		rc = once(c, &view, req, set->path, set->json);
		while (set->watch_s && rc == 0) {
			fflush(stdout);
			sleep(set->watch_s);
			/* A terminal is wiped; whoever reads a pipe gets one answer after the
			 * other. */
			fputs(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n", stdout);
			rc = once(c, &view, req, set->path, set->json);
		}
	}
	json_decref(req);
	return rc;
}

/* The value of an option in seconds; false, with a message: it is none. */
static bool seconds(const char *option, const char *text, unsigned int *v)
{
	*v = (unsigned int)atoi(text);
	if (*v >= 1 && *v <= 86400)
		return true;
	fprintf(stderr, "tagctl: --%s takes 1 to 86400 seconds\n", option);
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"socket", required_argument, NULL, 's'},
		{"watch", optional_argument, NULL, 'w'},
		{"confirm-within", required_argument, NULL, 'C'},
		{"wait", optional_argument, NULL, 'W'},
		{"commands", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct settings set = {.path = getenv("TAGD_SOCKET")};
	const struct command *c;
	int opt, used, left;

	if (!set.path || !*set.path)
		set.path = DEFAULT_SOCKET;
	while ((opt = getopt_long(argc, argv, "js:w::hV", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			set.json = true;
			break;
		case 's':
			set.path = optarg;
			break;
		case 'w':
			if (!seconds("watch", optarg ? optarg : "1", &set.watch_s))
				return EXIT_USAGE;
			break;
		case 'C':
			if (!seconds("confirm-within", optarg, &set.confirm_s))
				return EXIT_USAGE;
			break;
		case 'W':
			set.wait = true;
			if (optarg && !seconds("wait", optarg, &set.wait_s))
				return EXIT_USAGE;
			break;
		case 'c':
			command_list(stdout);
			return 0;
		case 'h':
			command_usage(stdout);
			return 0;
		case 'V':
			puts("tagctl " TAG_VERSION);
			return 0;
		default:
			command_usage(stderr);
			return EXIT_USAGE;
		}
	}
	c = command_find(argc - optind, argv + optind, &used);
	left = argc - optind - (c ? used : 0);
	if (!c || left < c->min_args || left > c->max_args) {
		if (c)
			fprintf(stderr, "tagctl: %s %s\n", c->words,
				left < c->min_args ? "lacks an argument"
						   : "has too many arguments");
		else if (argc > optind)
			fprintf(stderr, "tagctl: unknown command \"%s\"\n", argv[optind]);
		command_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(c->words, "doctor") == 0)
		return doctor(left ? argv[optind + used] : NULL, set.json);
	if ((set.wait && strcmp(c->words, "server drain") == 0) ||
	    (left > 1 && c->list && strcmp(c->list, "servers") == 0))
		return turn(c, argv + optind + used, left, &set);
	return run(c, argv + optind + used, left, &set);
}
