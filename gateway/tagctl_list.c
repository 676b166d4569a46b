/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_list.c - `conn list`: filters in, pages out of the daemon, put together, sorted and cut
 * here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* Adds the counters of a second row of a connection to the first. */
static void merge(json_t *into, const json_t *o)
{
	static const char *const sums[] = {"tx_bytes", "rx_bytes"};

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		json_object_set_new(
			into, sums[i],
			json_integer(json_integer_value(json_object_get(into, sums[i])) +
				     json_integer_value(json_object_get(o, sums[i]))));
}

/* Appends the rows of a page. A connection that two workers have seen natively is one row; of one
 * that is accelerated, what was native before does not count. */
static void add_page(json_t *list, json_t *seen, const json_t *page)
{
	json_t *o, *first;
	size_t i;

	json_array_foreach(json_object_get(page, "connections"), i, o)
	{
		const char *client = json_string_value(json_object_get(o, "client"));
		const char *server = json_string_value(json_object_get(o, "server"));
		const char *mode;
		char key[160];

		snprintf(key, sizeof(key), "%s %s", client ? client : "", server ? server : "");
		first = json_object_get(seen, key);
		if (!first) {
			json_object_set(seen, key, o);
			json_array_append(list, o);
			continue;
		}
		mode = json_string_value(json_object_get(first, "mode"));
		if (!mode || strcmp(mode, "accelerated"))
			merge(first, o);
	}
}

json_t *conn_list_fetch(FILE *daemon, json_t *req)
{
	json_t *list = json_array(), *seen = json_object(), *page = NULL;

	do {
		json_object_set(req, "from", json_object_get(page, "next"));
		json_decref(page);
		page = daemon_ask(daemon, req);
		add_page(list, seen, page);
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
