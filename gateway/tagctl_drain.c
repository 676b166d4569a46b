/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_drain.c - server drain and server ready, of several servers; --wait stays until the last
 * flow has gone.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/tagctl.h"

#define LOOK_S 1 /* between two looks */

/* What is left at a server: TCP flows, and what it carries without being shared. Datagrams find
 * another server by themselves. */
static json_int_t left(const json_t *row)
{
	json_int_t flows = json_integer_value(json_object_get(row, "tcp_flows"));
	json_int_t accel = json_integer_value(json_object_get(row, "accelerated"));

	return flows > accel ? flows : accel;
}

/* Asks one thing about one server, or all; NULL with a message. */
static json_t *ask(FILE *daemon, const char *cmd, const char *server)
{
	json_t *req = json_pack("{s:s, s:s*}", "cmd", cmd, "conn", server), *reply;

	reply = daemon_ask(daemon, req);
	json_decref(req);
	return reply;
}

/* Rows of the servers named, of `server list`; *sum: what is left at them. NULL: no daemon. */
static json_t *look(FILE *daemon, char **names, int n, json_int_t *sum)
{
	json_t *all = ask(daemon, "server list", NULL), *rows = json_array(), *row;
	size_t i;

	*sum = 0;
	json_array_foreach(json_object_get(all, "servers"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		for (int k = 0; k < n; k++) {
			if (strcmp(names[k], name))
				continue;
			*sum += left(row);
			json_array_append(rows, row);
			break;
		}
	}
	if (!all) {
		json_decref(rows);
		return NULL;
	}
	json_decref(all);
	return json_pack("{s:o, s:I}", "servers", rows, "left", *sum);
}

json_t *server_turn(FILE *daemon, const char *cmd, char **names, int n)
{
	json_int_t sum;

	for (int i = 0; i < n; i++) {
		json_t *reply = ask(daemon, cmd, names[i]);

		if (!reply || json_object_get(reply, "error"))
			return reply;
		json_decref(reply);
	}
	return look(daemon, names, n, &sum);
}

json_t *server_wait(FILE *daemon, char **names, int n, unsigned int seconds, FILE *out)
{
	time_t end = time(NULL) + seconds;
	json_int_t sum = 0, told = -1;
	json_t *reply;

	for (;;) {
		reply = look(daemon, names, n, &sum);
		if (reply && out && sum != told && sum)
			fprintf(out, "%" JSON_INTEGER_FORMAT " left\n", sum);
		if (out)
			fflush(out);
		told = sum;
		if (!reply || !sum || (seconds && time(NULL) >= end))
			return reply;
		json_decref(reply);
		sleep(LOOK_S);
	}
}
