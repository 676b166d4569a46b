/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_map.c - map export and map import: the connection tables, and the neighbours on the client
 * LANs, to and from a file.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/tagctl.h"

#define CHUNK 100 /* rows of one request */

/* What a command without arguments answers. */
static json_t *ask(FILE *daemon, const char *cmd)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd), *reply = daemon_ask(daemon, req);

	json_decref(req);
	return reply;
}

json_t *map_export(FILE *daemon, const char *path)
{
	json_t *reply = ask(daemon, "map show flows"), *neighbours, *result;

	if (!reply || json_object_get(reply, "error"))
		return reply;
	neighbours = ask(daemon, "neigh list");
	if (!neighbours || json_object_get(neighbours, "error")) {
		json_decref(reply);
		return neighbours;
	}
	json_object_update(reply, neighbours);
	json_decref(neighbours);
	if (json_dump_file(reply, path, JSON_INDENT(1)))
		result = json_pack("{s:s}", "error", "the file cannot be written");
	else
		result = json_pack(
			"{s:I, s:I}", "exported",
			(json_int_t)json_array_size(json_object_get(reply, "flows")), "neighbours",
			(json_int_t)json_array_size(json_object_get(reply, "neighbours")));
	json_decref(reply);
	return result;
}

/* Sends the neighbours of a file; *taken: how many there was a port for. NULL, or what it says. */
static json_t *send_neighbours(FILE *daemon, const json_t *list, json_int_t *taken)
{
	json_t *reply = NULL;
	size_t at = 0;

	do {
		json_t *chunk = json_array(), *req;

		json_decref(reply);
		for (size_t i = 0; i < CHUNK && at < json_array_size(list); i++)
			json_array_append(chunk, json_array_get(list, at++));
		req = json_pack("{s:s, s:o}", "cmd", "neigh import", "neighbours", chunk);
		reply = daemon_ask(daemon, req);
		json_decref(req);
		*taken += json_integer_value(json_object_get(reply, "neighbours"));
	} while (reply && !json_object_get(reply, "error") && at < json_array_size(list));
	return reply;
}

/* Sends one request's flows and adds up what came of them; NULL or an error ends it. */
static json_t *send_chunk(FILE *daemon, json_t *flows, json_t *sum)
{
	static const char *const names[] = {"imported", "known", "refused"};
	json_t *req = json_pack("{s:s, s:O}", "cmd", "map import", "flows", flows);
	json_t *reply = daemon_ask(daemon, req);

	json_decref(req);
	for (size_t i = 0; reply && i < sizeof(names) / sizeof(names[0]); i++)
		json_object_set_new(
			sum, names[i],
			json_integer(json_integer_value(json_object_get(sum, names[i])) +
				     json_integer_value(json_object_get(reply, names[i]))));
	return reply;
}

json_t *map_import(FILE *daemon, const char *path)
{
	json_error_t err;
	json_t *file = json_load_file(path, 0, &err), *sum = json_object(), *bad = NULL;
	const json_t *flows = json_object_get(file, "flows");
	json_int_t neighbours = 0;
	size_t at = 0;

	if (!json_is_array(flows)) {
		json_decref(file);
		json_decref(sum);
		return json_pack("{s:s}", "error", "the file has no flows: map export writes one");
	}
	bad = send_neighbours(daemon, json_object_get(file, "neighbours"), &neighbours);
	if (!bad || json_object_get(bad, "error")) {
		json_decref(file);
		json_decref(sum);
		return bad;
	}
	json_decref(bad);
	bad = NULL;
	while (at < json_array_size(flows)) {
		json_t *chunk = json_array(), *reply;

		for (size_t i = 0; i < CHUNK && at < json_array_size(flows); i++)
			json_array_append(chunk, json_array_get(flows, at++));
		reply = send_chunk(daemon, chunk, sum);
		json_decref(chunk);
		if (!reply || json_object_get(reply, "error")) {
			bad = reply;
			json_decref(sum);
			sum = NULL;
			break;
		}
		json_decref(reply);
	}
	json_decref(file);
	if (sum)
		json_object_set_new(sum, "neighbours", json_integer(neighbours));
	return sum ? sum : bad;
}
