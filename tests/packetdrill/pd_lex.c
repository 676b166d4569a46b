/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_lex.c - the characters of a script: blanks, comments, names, numbers. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pd.h"

void pd_die(const char *file, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s:%u: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void skip_to(struct pd_cur *k, const char *mark)
{
	const char *end = strstr(k->p, mark);

	if (!end)
		pd_die(k->file, k->line, "comment without an end");
	for (; k->p < end; k->p++)
		k->line += *k->p == '\n';
	k->p += strlen(mark);
}

void pd_space(struct pd_cur *k)
{
	for (;;) {
		if (isspace((unsigned char)*k->p)) {
			k->line += *k->p++ == '\n';
		} else if (!strncmp(k->p, "//", 2)) {
			while (*k->p && *k->p != '\n')
				k->p++;
		} else if (!strncmp(k->p, "/*", 2)) {
			skip_to(k, "*/");
		} else {
			return;
		}
	}
}

bool pd_accept(struct pd_cur *k, const char *text)
{
	const struct pd_cur before = *k;
	size_t n = strlen(text);

	pd_space(k);
	/* A name ends where no letter follows. */
	if (!strncmp(k->p, text, n) && !(isalpha((unsigned char)text[n - 1]) &&
					 (isalnum((unsigned char)k->p[n]) || k->p[n] == '_'))) {
		k->p += n;
		return true;
	}
	*k = before; /* errors name the line of what was read, not of what follows */
	return false;
}

void pd_need(struct pd_cur *k, const char *text)
{
	if (!pd_accept(k, text))
		pd_die(k->file, k->line, "syntax error: '%s' expected at '%.12s'", text, k->p);
}

bool pd_word(struct pd_cur *k, char *out, size_t n)
{
	size_t i = 0;

	pd_space(k);
	if (!isalpha((unsigned char)*k->p) && *k->p != '_')
		return false;
	while (isalnum((unsigned char)*k->p) || *k->p == '_') {
		if (i + 1 >= n)
			pd_die(k->file, k->line, "syntax error: name too long");
		out[i++] = *k->p++;
	}
	out[i] = 0;
	return true;
}

bool pd_number(struct pd_cur *k, int64_t *v)
{
	bool hex;
	char *end;

	pd_space(k);
	if (!isdigit((unsigned char)*k->p))
		return false;
	hex = k->p[0] == '0' && (k->p[1] == 'x' || k->p[1] == 'X');
	*v = (int64_t)strtoull(k->p, &end, hex ? 16 : 10);
	if (isalnum((unsigned char)*end) || *end == '_')
		pd_die(k->file, k->line, "syntax error: bad number at '%.12s'", k->p);
	k->p = end;
	return true;
}

int64_t pd_u32(struct pd_cur *k)
{
	int64_t v;

	if (!pd_number(k, &v) || v < 0 || v > UINT32_MAX)
		pd_die(k->file, k->line, "syntax error: number of 32 bits expected at '%.12s'",
		       k->p);
	return v;
}

int64_t pd_seconds(struct pd_cur *k)
{
	int64_t us = 0, unit = 1000000;
	bool any = false;

	pd_space(k);
	for (; isdigit((unsigned char)*k->p); any = true)
		us = us * 10 + (*k->p++ - '0') * 1000000;
	/* "0...0.2" is a time and three dots. */
	if (*k->p == '.' && k->p[1] != '.') {
		for (k->p++; isdigit((unsigned char)*k->p); any = true) {
			unit /= 10;
			us += (*k->p++ - '0') * unit;
		}
	}
	if (!any)
		pd_die(k->file, k->line, "syntax error: time expected at '%.12s'", k->p);
	return us;
}

void pd_text(struct pd_cur *k, char *out, size_t n)
{
	size_t i = 0;

	while (*k->p && *k->p != '"' && *k->p != '\n') {
		if (i + 1 >= n)
			pd_die(k->file, k->line, "syntax error: text too long");
		out[i++] = *k->p++;
	}
	out[i] = 0;
	if (*k->p++ != '"')
		pd_die(k->file, k->line, "syntax error: text without an end");
}
