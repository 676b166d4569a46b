/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl.h - how tagctl prints documents as tables.
 */
#ifndef GATEWAY_TAGCTL_H
#define GATEWAY_TAGCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

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

/** Prints a list of objects under headings; `empty` when there is none. */
void tab_rows(FILE *out, const json_t *rows, const struct tab_col *cols, const char *empty);
/** Prints an object as two columns, nested ones with a prefix; `empty` when there is nothing. */
void tab_pairs(FILE *out, const json_t *obj, const char *empty);

/** Prints everything about one connection, its black box behind the rest (tagctl_conn.c). */
void conn_print(FILE *out, const json_t *row);

#endif
