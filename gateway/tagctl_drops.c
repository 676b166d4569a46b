/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_drops.c - drops: a table of reasons, in total and by worker, and with --watch what is new
 * since the last look.
 */
#include <string.h>

#include "gateway/tagctl.h"

#define WORKERS 16 /* columns at most */

/* Rows of the table: the object of reasons turned into a list. */
static json_t *rows_of(const json_t *reply, const json_t *before)
{
	const json_t *workers = json_object_get(reply, "workers");
	json_t *rows = json_array(), *n, *w;
	const char *reason;
	size_t i;

	json_object_foreach(json_object_get(reply, "drops"), reason, n)
	{
		json_int_t new =
			json_integer_value(n) - json_integer_value(json_object_get(before, reason));
		json_t *row = json_pack("{s:s, s:O, s:I}", "reason", reason, "total", n, "new",
					(json_int_t) new);

		json_array_foreach(workers, i, w)
		{
			char key[24];

			snprintf(key, sizeof(key), "w%zu", i);
			json_object_set_new(
				row, key,
				json_integer(json_integer_value(json_object_get(w, reason))));
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

void drops_print(FILE *out, const json_t *reply)
{
	static const char *const heads[WORKERS] = {"W0",  "W1",	 "W2",	"W3", "W4",  "W5",
						   "W6",  "W7",	 "W8",	"W9", "W10", "W11",
						   "W12", "W13", "W14", "W15"};
	static const char *const keys[WORKERS] = {"w0",	 "w1",	"w2",  "w3", "w4",  "w5",
						  "w6",	 "w7",	"w8",  "w9", "w10", "w11",
						  "w12", "w13", "w14", "w15"};
	static json_t *before; /* the last answer's reasons: of --watch */
	struct tab_col cols[WORKERS + 4] = {{"REASON", "reason", TAB_TEXT},
					    {"TOTAL", "total", TAB_NUMBER}};
	size_t n = 2, workers = json_array_size(json_object_get(reply, "workers"));
	json_t *rows = rows_of(reply, before);

	for (size_t i = 0; workers > 1 && i < workers && i < WORKERS; i++)
		cols[n++] = (struct tab_col){heads[i], keys[i], TAB_NUMBER};
	if (before)
		cols[n++] = (struct tab_col){"NEW", "new", TAB_NUMBER};
	tab_rows(out, rows, cols, "nothing was dropped");
	fprintf(out, "since the start, %.0f s ago\n",
		json_number_value(json_object_get(reply, "since_s")));
	json_decref(rows);
	json_decref(before);
	before = json_deep_copy(json_object_get(reply, "drops"));
}
