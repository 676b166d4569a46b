/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_list.c - `conn list`: filters in, pages out of the daemon, put together, sorted and cut
 * here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_conn_rows.h"
#include "gateway/tagctl.h"

#define LIMIT_MAX 1000000000L

bool conn_list_args(struct conn_view *view, json_t *req, char **args, int n)
{
	json_t *filter = json_object();

	*view = (struct conn_view){.limit = LIMIT_MAX};
	if (n)
		json_object_set(req, "filter", filter);
	json_decref(filter);
	filter = json_object_get(req, "filter");
	for (int i = 0; i < n; i++) {
		char *value = strchr(args[i], '='), *end = "";

		if (!value || value == args[i] || !value[1]) {
			fprintf(stderr, "tagctl: %s: give KEY=VALUE\n", args[i]);
			return false;
		}
		*value++ = '\0';
		if (strcmp(args[i], "sort") == 0)
			view->sort = value;
		else if (strcmp(args[i], "limit") == 0)
			view->limit = strtol(value, &end, 10);
		else
			json_object_set_new(filter, args[i], json_string(value));
		if (*end || view->limit <= 0) {
			fprintf(stderr, "tagctl: limit=%s is no number of rows\n", value);
			return false;
		}
	}
	return true;
}

json_t *conn_list_fetch(FILE *daemon, json_t *req)
{
	json_t *list = json_array(), *seen = json_object(), *page = NULL, *row;
	size_t i;

	do {
		json_object_set(req, "from", json_object_get(page, "next"));
		json_decref(page);
		page = daemon_ask(daemon, req);
		json_array_foreach(json_object_get(page, "connections"), i, row)
			gw_conn_rows_add(list, seen, row);
	} while (json_object_get(page, "next"));
	json_decref(seen);
	if (page && !json_object_get(page, "error")) {
		json_object_set(page, "connections", list);
		json_object_del(page, "next");
	}
	json_decref(list);
	return page;
}

static const char *sort_key; /* of the comparison under way */

/* Numbers from large to small, texts in their order. */
static int compare(const void *a, const void *b)
{
	const json_t *x = json_object_get(*(json_t *const *)a, sort_key);
	const json_t *y = json_object_get(*(json_t *const *)b, sort_key);

	if (json_is_number(x) && json_is_number(y)) {
		double dx = json_number_value(x), dy = json_number_value(y);

		return dx < dy ? 1 : dx > dy ? -1 : 0;
	}
	if (json_is_string(x) && json_is_string(y))
		return strcmp(json_string_value(x), json_string_value(y));
	return 0;
}

static int sort_rows(json_t *reply, const char *key)
{
	json_t *rows = json_object_get(reply, "connections"), **v, *sorted;
	size_t n = json_array_size(rows);

	if (n && !json_object_get(json_array_get(rows, 0), key)) {
		fprintf(stderr, "tagctl: sort=%s: rows have no such member; --json shows them\n",
			key);
		return EINVAL;
	}
	v = calloc(n + 1, sizeof(json_t *));
	if (!v)
		return ENOMEM;
	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(rows, i);
	sort_key = key;
	qsort(v, n, sizeof(json_t *), compare);
	sorted = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, v[i]);
	json_object_set_new(reply, "connections", sorted);
	free(v);
	return 0;
}

int conn_list_view(const struct conn_view *view, json_t *reply)
{
	int rc = view->sort ? sort_rows(reply, view->sort) : 0;
	json_t *rows = json_object_get(reply, "connections");

	while (json_array_size(rows) > (size_t)view->limit)
		json_array_remove(rows, json_array_size(rows) - 1);
	return rc;
}
