/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn_rows.c - see gw_conn_rows.h.
 */
#include "gateway/gw_conn_rows.h"

#include <stdio.h>
#include <string.h>

/* Adds the counters of a second row of a connection to the first. */
static void merge(json_t *into, const json_t *row)
{
	static const char *const sums[] = {"tx_bytes", "rx_bytes"};

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		json_object_set_new(
			into, sums[i],
			json_integer(json_integer_value(json_object_get(into, sums[i])) +
				     json_integer_value(json_object_get(row, sums[i]))));
}

void gw_conn_rows_add(json_t *list, json_t *seen, json_t *row)
{
	const char *client = json_string_value(json_object_get(row, "client"));
	const char *server = json_string_value(json_object_get(row, "server"));
	const char *mode;
	char key[160];
	json_t *first;

	snprintf(key, sizeof(key), "%s %s", client ? client : "", server ? server : "");
	first = json_object_get(seen, key);
	if (!first) {
		json_object_set(seen, key, row);
		json_array_append(list, row);
		return;
	}
	mode = json_string_value(json_object_get(first, "mode"));
	if (!mode || strcmp(mode, "accelerated"))
		merge(first, row);
}
