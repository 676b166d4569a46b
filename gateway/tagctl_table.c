/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_table.c - aligned tables with upper-case headings from JSON.
 */
#include "gateway/tagctl.h"

#include <stdlib.h>
#include <string.h>

#define CELL 256

/* 1536 -> "1.5 kB", powers of 1000. */
static void put_bytes(char cell[CELL], json_int_t n)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double v = (double)n;
	size_t u = 0;

	while (v >= 1000 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		u++;
	}
	snprintf(cell, CELL, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

/* 3723.5 -> "1h02m". */
static void put_seconds(char cell[CELL], double s)
{
	unsigned long t = s < 0 ? 0 : (unsigned long)s;

	if (t < 60)
		snprintf(cell, CELL, "%.1fs", s);
	else if (t < 3600)
		snprintf(cell, CELL, "%lum%02lus", t / 60, t % 60);
	else
		snprintf(cell, CELL, "%luh%02lum", t / 3600, t / 60 % 60);
}

/* A value as text. */
static void put_text(char cell[CELL], const json_t *v)
{
	size_t n = 0, i;
	const json_t *e;

	cell[0] = '\0';
	if (json_is_string(v)) {
		snprintf(cell, CELL, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(cell, CELL, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_real(v)) {
		snprintf(cell, CELL, "%.3f", json_real_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(cell, CELL, "%s", json_is_true(v) ? "yes" : "no");
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, e)
		{
			char part[CELL];

			put_text(part, e);
			if (n + strlen(part) + 2 < CELL)
				n += (size_t)snprintf(cell + n, CELL - n, "%s%s", i ? "," : "",
						      part);
		}
	} else {
		snprintf(cell, CELL, "none");
	}
}

/* One cell. */
static void put_cell(char cell[CELL], const json_t *v, enum tab_form form)
{
	switch (form) {
	case TAB_BYTES:
		put_bytes(cell, json_integer_value(v));
		break;
	case TAB_HEX:
		if (json_integer_value(v))
			snprintf(cell, CELL, "0x%08llx", (unsigned long long)json_integer_value(v));
		else
			snprintf(cell, CELL, "-");
		break;
	case TAB_SECONDS:
		put_seconds(cell, json_number_value(v));
		break;
	default:
		put_text(cell, v);
	}
}

/* True for columns whose values are aligned to the right. */
static bool right(enum tab_form form)
{
	return form == TAB_BYTES || form == TAB_NUMBER || form == TAB_SECONDS;
}

/* Prints a cell; the last of a line without trailing blanks. */
static void print_cell(FILE *out, const char *cell, int width, enum tab_form form, bool last)
{
	if (right(form))
		fprintf(out, "%*s%s", width, cell, last ? "\n" : "  ");
	else if (last)
		fprintf(out, "%s\n", cell);
	else
		fprintf(out, "%-*s  ", width, cell);
}

void tab_rows(FILE *out, const json_t *rows, const struct tab_col *cols, const char *empty)
{
	int width[32] = {0}, n = 0;
	char cell[CELL];
	const json_t *row;
	size_t i;

	if (json_array_size(rows) == 0) {
		fprintf(out, "%s\n", empty);
		return;
	}
	while (cols[n].head && n < 32) {
		width[n] = (int)strlen(cols[n].head);
		json_array_foreach(rows, i, row)
		{
			int len;

			put_cell(cell, json_object_get(row, cols[n].key), cols[n].form);
			len = (int)strlen(cell);
			width[n] = len > width[n] ? len : width[n];
		}
		n++;
	}
	for (int c = 0; c < n; c++)
		print_cell(out, cols[c].head, width[c], cols[c].form, c + 1 == n);
	json_array_foreach(rows, i, row)
	{
		for (int c = 0; c < n; c++) {
			put_cell(cell, json_object_get(row, cols[c].key), cols[c].form);
			print_cell(out, cell, width[c], cols[c].form, c + 1 == n);
		}
	}
}

/* Width of the widest name, prefixes included. */
static int name_width(const json_t *obj, int prefix)
{
	const char *key;
	json_t *v;
	int width = 0;

	json_object_foreach((json_t *)obj, key, v)
	{
		int len = prefix + (int)strlen(key);

		if (json_is_object(v))
			len = name_width(v, len + 1);
		width = len > width ? len : width;
	}
	return width;
}

/* Prints the members. */
static void print_pairs(FILE *out, const json_t *obj, const char *prefix, int width)
{
	char name[CELL], cell[CELL];
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)obj, key, v)
	{
		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(v)) {
			print_pairs(out, v, name, width);
		} else {
			put_text(cell, v);
			fprintf(out, "%-*s  %s\n", width, name, cell);
		}
	}
}

void tab_pairs(FILE *out, const json_t *obj, const char *empty)
{
	int width;

	if (json_object_size(obj) == 0) {
		fprintf(out, "%s\n", empty);
		return;
	}
	width = name_width(obj, 0);
	width = width < 4 ? 4 : width;
	fprintf(out, "%-*s  VALUE\n", width, "NAME");
	print_pairs(out, obj, "", width);
}
