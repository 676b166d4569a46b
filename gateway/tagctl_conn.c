/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_conn.c - prints one connection: its fields and counters as pairs, then its black box as a
 * table, the newest event last.
 */
#include "gateway/tagctl.h"

static const struct tab_col event_cols[] = {
	{"US-AGO", "us_ago", TAB_NUMBER},
	{"EVENT", "event", TAB_TEXT},
	{"DETAIL", "detail", TAB_TEXT},
	{NULL, NULL, TAB_TEXT},
};

void conn_print(FILE *out, const json_t *row)
{
	const json_t *box = json_object_get(row, "black_box");
	json_t *rest = json_copy((json_t *)row); /* shares the members */

	if (!rest)
		return;
	json_object_del(rest, "black_box");
	tab_pairs(out, rest, "");
	json_decref(rest);
	if (!box)
		return; /* native */
	fputc('\n', out);
	tab_rows(out, box, event_cols, "no events are remembered of it");
}
