/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_map.c - map export and map import: the connection tables to and from a file.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/tagctl.h"

#define CHUNK 100 /* flows of one request */

json_t *map_export(FILE *daemon, const char *path)
{
	json_t *req = json_pack("{s:s}", "cmd", "map show flows");
	json_t *reply = daemon_ask(daemon, req), *result;

	json_decref(req);
	if (!reply || json_object_get(reply, "error"))
		return reply;
	if (json_dump_file(reply, path, JSON_INDENT(1)))
		result = json_pack("{s:s}", "error", "the file cannot be written");
	else
		result = json_pack("{s:I}", "exported",
				   (json_int_t)json_array_size(json_object_get(reply, "flows")));
	json_decref(reply);
	return result;
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
	size_t at = 0;

	if (!json_is_array(flows)) {
		json_decref(file);
		json_decref(sum);
		return json_pack("{s:s}", "error", "the file has no flows: map export writes one");
	}
	do {
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
	} while (at < json_array_size(flows));
	json_decref(file);
	return sum ? sum : bad;
}
