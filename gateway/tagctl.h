/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl.h - what the files of tagctl share: the conversation with the daemon, lists of
 * connections, and tables.
 */
#ifndef GATEWAY_TAGCTL_H
#define GATEWAY_TAGCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/** Connects; NULL with a message. The caller closes it. */
FILE *daemon_open(const char *path);
/** Sends a request and returns the answer, the caller's; NULL with a message. */
json_t *daemon_ask(FILE *daemon, const json_t *req);

/** What is shown of a list of connections. */
struct conn_view {
	const char *sort; /* member to sort by, NULL: as they come */
	long limit;	  /* rows, more than 0 */
};

/** Arguments of `conn list` into the request and the view. False, with a message: nonsense. */
bool conn_list_args(struct conn_view *view, json_t *req, char **args, int n);
/** Asks for all pages; one document with all rows, or one with an error, or NULL with a message. */
json_t *conn_list_fetch(FILE *daemon, json_t *req);
/** Sorts and cuts the rows. 0, or an errno with a message. */
int conn_list_view(const struct conn_view *view, json_t *reply);

/** How a value is written. */
enum tab_form {
	TAB_TEXT,    /* as it is; lists joined by commas */
	TAB_BYTES,   /* number with a unit */
	TAB_HEX,     /* number in hexadecimal, - for 0 */
	TAB_SECONDS, /* duration */
	TAB_NUMBER,  /* number, right-aligned; null as "none" */
};

/** A column. */
struct tab_col {
	const char *head;   /* heading, upper case */
	const char *key;    /* member of the row's object */
	enum tab_form form; /* of its values */
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

/** The command that leading words name, and how many words they are; NULL: none. */
const struct command *command_find(int argc, char **argv, int *used);
/** Usage: every command, and what its arguments are. */
void command_usage(FILE *out);
/** Every command and its help, between them a tab: for completion. */
void command_list(FILE *out);

/** Prints a list of objects under headings; `empty` when there is none. */
void tab_rows(FILE *out, const json_t *rows, const struct tab_col *cols, const char *empty);
/** Prints an object as two columns, nested ones with a prefix; `empty` when there is nothing. */
void tab_pairs(FILE *out, const json_t *obj, const char *empty);

/** Prints everything about one connection, its black box behind the rest (tagctl_conn.c). */
void conn_print(FILE *out, const json_t *row);

/** Arguments of `config ...` into the request; confirm_s 0: none given. (tagctl_config.c) */
void config_args(json_t *req, char **args, int n, unsigned int confirm_s);
/** Prints what `config diff`, `reload` or `show` answered. (tagctl_config.c) */
void config_print(FILE *out, const json_t *reply);

/** map export: the connection tables to a file; what tagctl prints, NULL: no daemon. (tagctl_map.c)
 */
json_t *map_export(FILE *daemon, const char *path);
/** map import: and back. (tagctl_map.c) */
json_t *map_import(FILE *daemon, const char *path);

/** FILE and what follows it into the request. False, with a message: nonsense.
 * (tagctl_capture.c) */
bool capture_args(json_t *req, char **args, int n);
/** capture run: starts, waits for the end or a signal; the last answer, NULL: no daemon. */
json_t *capture_run(FILE *daemon, json_t *req);

/** server drain and server ready (cmd) of n servers: their rows and what is `left` at them, or an
 * error; NULL: no daemon. (tagctl_drain.c) */
json_t *server_turn(FILE *daemon, const char *cmd, char **names, int n);
/** Waits until nothing is left at them, or for so many seconds (0: however long); tells out how
 * many there are, NULL: nobody. The same document. */
json_t *server_wait(FILE *daemon, char **names, int n, unsigned int seconds, FILE *out);

/** Prints what `drops` answered, and what is new since it was called last. (tagctl_drops.c) */
void drops_print(FILE *out, const json_t *reply);

/** PACKET of trace packet into the request. False, with a message: it cannot be read.
 * (tagctl_trace.c) */
bool trace_args(json_t *req, char **args, int n);
/** Prints the answer. */
void trace_print(FILE *out, const json_t *reply);

#endif
