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

/** A command of tagctl. */
struct command {
	const char *words;	    /* "OBJECT VERB", also the request */
	int min_args, max_args;	    /* arguments after the words */
	const char *args;	    /* their names, for the usage */
	const char *list;	    /* member of the answer with rows, NULL: pairs */
	const struct tab_col *cols; /* columns of the rows */
	const char *empty;	    /* said when there are none */
	const char *help;	    /* one line */
};

static const struct tab_col conn_cols[] = {
	{"CLIENT", "client", TAB_TEXT},
	{"SERVER", "server", TAB_TEXT},
	{"HOST", "host", TAB_TEXT},
	{"MODE", "mode", TAB_TEXT},
	{"REASON", "reason", TAB_TEXT},
	{"STATE", "state", TAB_TEXT},
	{"DLID", "dlid", TAB_NUMBER},
	{"QPN", "qpn", TAB_NUMBER},
	{"TOKEN", "token", TAB_HEX},
	{"TX", "tx_bytes", TAB_BYTES},
	{"RX", "rx_bytes", TAB_BYTES},
	{"RETX", "retransmits", TAB_NUMBER},
	{"SRTT-US", "srtt_us", TAB_NUMBER},
	{"CWND", "cwnd", TAB_NUMBER},
	{"RDMA-READ", "rdma_read_bytes", TAB_BYTES},
	{"RDMA-WRITE", "rdma_write_bytes", TAB_BYTES},
	{"AGE", "age_s", TAB_SECONDS},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col native_cols[] = {
	{"ADDRESS", "address", TAB_TEXT}, {"HOST", "host", TAB_TEXT}, {"DLID", "dlid", TAB_NUMBER},
	{"DGID", "dgid", TAB_TEXT},	  {"QPN", "qpn", TAB_NUMBER}, {"MAC", "mac", TAB_TEXT},
	{"LAN-MAC", "lan_mac", TAB_TEXT}, {NULL, NULL, TAB_TEXT},
};

static const struct tab_col accel_cols[] = {
	{"CLIENT", "client", TAB_TEXT}, {"SERVER", "server", TAB_TEXT},
	{"HOST", "host", TAB_TEXT},	{"DLID", "dlid", TAB_NUMBER},
	{"DGID", "dgid", TAB_TEXT},	{"QPN", "qpn", TAB_NUMBER},
	{"TOKEN", "token", TAB_HEX},	{"WORKER", "worker", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col server_cols[] = {
	{"NAME", "name", TAB_TEXT},
	{"STATE", "state", TAB_TEXT},
	{"ADDRESSES", "addresses", TAB_TEXT},
	{"DLID", "dlid", TAB_NUMBER},
	{"QPN", "qpn", TAB_NUMBER},
	{"ACCELERATED", "accelerated", TAB_NUMBER},
	{"ARENAS", "arenas", TAB_NUMBER},
	{"HEALTH", "health", TAB_TEXT},
	{"WEIGHT", "weight", TAB_NUMBER},
	{"SHARE%", "share_percent", TAB_NUMBER},
	{"FLOWS", "flows", TAB_NUMBER},
	{"READ-US", "read_us", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col service_cols[] = {
	{"NAME", "name", TAB_TEXT},
	{"ADDRESS", "address", TAB_TEXT},
	{"PORT", "port", TAB_TEXT},
	{"BALANCE", "balance", TAB_TEXT},
	{"FLOWS", "flows", TAB_NUMBER},
	{"TOTAL", "flows_total", TAB_NUMBER},
	{"ACCELERATE", "accelerate", TAB_TEXT},
	{"ACCELERATED", "accelerated", TAB_NUMBER},
	{"LIMIT", "max_accelerated", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col rule_cols[] = {
	{"ORDER", "order", TAB_NUMBER}, {"NAME", "name", TAB_TEXT},
	{"ACTION", "action", TAB_TEXT}, {"ASKS-FOR", "asks_for", TAB_TEXT},
	{"VIA", "via", TAB_TEXT},	{"HITS", "hits", TAB_NUMBER},
	{"FLOWS", "flows", TAB_NUMBER}, {NULL, NULL, TAB_TEXT},
};

static const struct tab_col flow_cols[] = {
	{"CLIENT", "client", TAB_TEXT},	   {"ADDRESS", "address", TAB_TEXT},
	{"PROTO", "protocol", TAB_NUMBER}, {"SERVER", "server", TAB_TEXT},
	{"VIA", "via", TAB_TEXT},	   {"STATE", "state", TAB_TEXT},
	{"RULE", "rule", TAB_TEXT},	   {"AGE", "age_s", TAB_SECONDS},
	{"IDLE", "idle_s", TAB_SECONDS},   {NULL, NULL, TAB_TEXT},
};

static const struct tab_col log_cols[] = {
	{"MODULE", "module", TAB_TEXT}, {"LEVEL", "level", TAB_TEXT},
	{"LINES", "lines", TAB_NUMBER}, {"SUPPRESSED", "suppressed", TAB_NUMBER},
	{"ABOUT", "about", TAB_TEXT},	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col type_cols[] = {
	{"TYPE", "type", TAB_TEXT},
	{"LEVEL", "level", TAB_TEXT},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col memory_cols[] = {
	{"WORKER", "worker", TAB_NUMBER},
	{"MBUFS", "mbufs", TAB_NUMBER},
	{"USED", "mbufs_used", TAB_NUMBER},
	{"POSTED", "mbufs_posted", TAB_NUMBER},
	{"CONNS", "connections", TAB_NUMBER},
	{"BYTES-EACH", "connection_bytes", TAB_NUMBER},
	{"CHUNKS", "chunks", TAB_NUMBER},
	{"CHUNKS-USED", "chunks_used", TAB_NUMBER},
	{"HELD", "frames_held", TAB_NUMBER},
	{"FLOWS", "native_flows", TAB_NUMBER},
	{"QPS", "queue_pairs", TAB_NUMBER},
	{"AT-WORK", "at_work", TAB_NUMBER},
	{"BOXES", "boxes", TAB_NUMBER},
	{"BOXES-USED", "boxes_used", TAB_NUMBER},
	{"RECORDS", "tx_records", TAB_NUMBER},
	{"RECORDS-USED", "tx_records_used", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col neigh_cols[] = {
	{"ADDRESS", "address", TAB_TEXT}, {"MAC", "mac", TAB_TEXT},
	{"PORT", "port", TAB_TEXT},	  {"STATE", "state", TAB_TEXT},
	{"AGE", "age_s", TAB_SECONDS},	  {"IDLE", "idle_s", TAB_SECONDS},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col worker_cols[] = {
	{"WORKER", "worker", TAB_NUMBER},	 {"CPUS", "cpus", TAB_TEXT},
	{"LOAD%", "load_percent", TAB_NUMBER},	 {"QUEUES", "queues", TAB_TEXT},
	{"LAN-RX", "lan_rx_frames", TAB_NUMBER}, {"LAN-TX", "lan_tx_frames", TAB_NUMBER},
	{"HANDED", "handed_frames", TAB_NUMBER}, {"TAKEN", "taken_frames", TAB_NUMBER},
	{"WAITING", "waiting", TAB_NUMBER},	 {"PEAK", "waiting_peak", TAB_NUMBER},
	{"DROPS", "handing_drops", TAB_NUMBER},	 {"ACCELERATED", "accelerated", TAB_NUMBER},
	{"NATIVE", "native", TAB_NUMBER},	 {NULL, NULL, TAB_TEXT},
};

static const struct command commands[] = {
	{"config check", 0, 1, "[FILE]", NULL, NULL, "", "every error of a configuration"},
	{"config diff", 0, 1, "[FILE]", NULL, NULL, "", "what it would change, and for whom"},
	{"config reload", 0, 1, "[FILE]", NULL, NULL, "", "puts it into force, or says why not"},
	{"config confirm", 0, 0, "", NULL, NULL, "", "keeps what reload --confirm-within did"},
	{"config rollback", 0, 0, "", NULL, NULL, "", "undoes it now"},
	{"config show", 0, 0, "", NULL, NULL, "", "the one in force, every key"},
	{"config status", 0, 0, "", NULL, NULL, "", "reloads so far, and who leaves"},
	{"conn list", 0, 16, "[KEY=VALUE...]", "connections", conn_cols, "no TCP connections",
	 "connections, all or some"},
	{"conn show", 1, 2, "CONN", "connections", conn_cols, "", "one connection, every field"},
	{"conn accelerate", 1, 2, "CONN", NULL, NULL, "",
	 "ask its host for it, before its policy would"},
	{"conn decelerate", 1, 2, "CONN", NULL, NULL, "", "hand it back to its server's kernel"},
	{"conn kill", 1, 2, "CONN", NULL, NULL, "", "reset it at both ends"},
	{"log show", 0, 0, "", "modules", log_cols, "", "levels of the log by module, and counts"},
	{"log types", 0, 0, "", "types", type_cols, "", "levels of DPDK's libraries and drivers"},
	{"log level", 2, 2, "MODULE LEVEL", NULL, NULL, "", "changes one until the next start"},
	{"map show native", 0, 0, "", "native", native_cols, "no host is attached",
	 "destination address to fabric address"},
	{"map show accelerated", 0, 0, "", "accelerated", accel_cols, "no accelerated connections",
	 "connection to fabric address and token"},
	{"map show flows", 0, 0, "", "flows", flow_cols, "no flows of shared addresses or rules",
	 "which server each flow has"},
	{"map export", 1, 1, "FILE", NULL, NULL, "", "the flows to a file"},
	{"map import", 1, 1, "FILE", NULL, NULL, "",
	 "flows of a file, so that they keep their servers"},
	{"neigh list", 0, 0, "", "neighbours", neigh_cols, "no neighbours on the client LANs",
	 "MACs of clients and routers, configured and learned"},
	{"rule list", 0, 0, "", "rules", rule_cols, "no rules", "rules in order, and their hits"},
	{"server drain", 1, 64, "[--wait[=SECONDS]] SERVER...", "servers", server_cols, "",
	 "no new flows for it; it keeps its own"},
	{"server ready", 1, 64, "SERVER...", "servers", server_cols, "", "ends a drain"},
	{"server list", 0, 0, "", "servers", server_cols, "no servers configured",
	 "configured servers and their hosts"},
	{"service list", 0, 0, "", "services", service_cols, "no services configured",
	 "what is shared and accelerated, and how much"},
	{"service pick", 2, 2, "CLIENT:PORT SERVER:PORT", NULL, NULL, "",
	 "where a new connection would go, and why"},
	{"trace packet", 1, 32, "PACKET", NULL, NULL, "",
	 "what would become of it, step by step, with no effect"},
	{"capture run", 1, 7, "FILE [CHOICE...]", NULL, NULL, "",
	 "packets of both sides to a file, until Ctrl-C"},
	{"capture start", 1, 7, "FILE [CHOICE...]", NULL, NULL, "",
	 "the same, until a limit or capture stop"},
	{"capture stop", 0, 0, "", NULL, NULL, "", "ends it"},
	{"capture show", 0, 0, "", NULL, NULL, "", "the running capture, or the last one"},
	{"stats", 0, 0, "", NULL, NULL, "no counters", "counters since the start"},
	{"drops", 0, 0, "", NULL, NULL, "nothing was dropped",
	 "what was dropped or refused, and why"},
	{"worker list", 0, 0, "", "workers", worker_cols, "no workers",
	 "how busy workers are, and what they give each other"},
	{"memory", 0, 0, "", "workers", memory_cols, "no workers", "buffers and tables in use"},
	{"doctor", 0, 1, "[FILE]", NULL, NULL, "", "what this machine lacks, and what to type"},
	{"version", 0, 0, "", NULL, NULL, "", "of the daemon"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	fprintf(out, "usage: tagctl [--json] [--socket PATH] [--watch[=SECONDS]] "
		     "[--confirm-within=SECONDS] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s %s", commands[i].words, commands[i].args);
		fprintf(out, "  %-36s %s\n", text, commands[i].help);
	}
	fprintf(out,
		"\nKEY is client, server, token, host, mode, state, reason, older or bytes; sort or limit.\n");
	fprintf(out,
		"CHOICE is bytes=N, packets=N, seconds=N, side=lan|fabric|both, filter=EXPRESSION or "
		"conn=CONN.\n");
	fprintf(out, "PACKET is as 'tcp 192.0.2.7:40000 > 10.77.0.100:80 syn in lan0', FILE#N or "
		     "hexadecimal.\n");
	fprintf(out, "CONN is a token, or CLIENT:PORT, or CLIENT:PORT SERVER:PORT.\n");
}

/* Matches leading words; returns the command and how many words it took. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *p = commands[i].words;
		int n = 0;

		while (*p && n < argc) {
			size_t len = strcspn(p, " ");

			if (strlen(argv[n]) != len || memcmp(argv[n], p, len))
				break;
			n++;
			p += len;
			p += *p == ' ';
		}
		if (!*p) {
			*used = n;
			return &commands[i];
		}
	}
	return NULL;
}

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
			for (size_t i = 0; i < N_COMMANDS; i++)
				printf("%s\t%s\n", commands[i].words, commands[i].help);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("tagctl " TAG_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	c = find_command(argc - optind, argv + optind, &used);
	left = argc - optind - (c ? used : 0);
	if (!c || left < c->min_args || left > c->max_args) {
		if (c)
			fprintf(stderr, "tagctl: %s %s\n", c->words,
				left < c->min_args ? "lacks an argument"
						   : "has too many arguments");
		else if (argc > optind)
			fprintf(stderr, "tagctl: unknown command \"%s\"\n", argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(c->words, "doctor") == 0)
		return doctor(left ? argv[optind + used] : NULL, set.json);
	if ((set.wait && strcmp(c->words, "server drain") == 0) ||
	    (left > 1 && c->list && strcmp(c->list, "servers") == 0))
		return turn(c, argv + optind + used, left, &set);
	return run(c, argv + optind + used, left, &set);
}
