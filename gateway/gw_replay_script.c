/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_script.c - the text files of a case: lines of words, `#` begins a comment. A word may
 * hold "quoted" parts, with \r \n \t \\ \" \0 and \xHH for single bytes. In host.script the
 * first word is a time: seconds since the start, or +seconds since the line before.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_replay.h"

static int hex(int c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* The byte that an escape at *p (behind the backslash) stands for; moves *p past it. */
static char escape(const char **p)
{
	char c = *(*p)++;

	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case '0':
		return '\0';
	case 'x':
		if (hex((*p)[0]) >= 0 && hex((*p)[1]) >= 0) {
			*p += 2;
			return (char)(hex((*p)[-2]) << 4 | hex((*p)[-1]));
		}
		return 'x';
	default:
		return c;
	}
}

/* Splits l->text in place. False: too many words, or a quote that does not end. */
static bool split(struct gw_rep_line *l)
{
	const char *p = l->text;
	char *to = l->text;

	for (;;) {
		bool quoted = false;

		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == '\0' || *p == '\n' || *p == '#')
			return true;
		if (l->n == GW_REP_WORDS)
			return false;
		l->word[l->n] = to;
		while (*p && *p != '\n' && (quoted || (*p != ' ' && *p != '\t'))) {
			if (*p == '"') {
				quoted = !quoted;
				p++;
			} else if (quoted && *p == '\\' && p[1]) {
				p++;
				*to++ = escape(&p);
			} else {
				*to++ = *p++;
			}
		}
		if (quoted)
			return false;
		l->len[l->n] = (uint32_t)(to - l->word[l->n]);
		if (*p)
			p++; /* the separator's place takes the NUL */
		*to++ = '\0';
		l->n++;
		if (p[-1] == '\n')
			return true;
	}
}

/* Takes the time off the front of a line. */
static bool take_time(struct gw_rep_line *l, uint64_t before)
{
	char *end;
	double s;

	if (l->n < 3)
		return false;
	s = strtod(l->word[0], &end);
	if (*end || end == l->word[0] || s < 0 || s > 1e6)
		return false;
	l->us = (uint64_t)(s * 1e6 + .5) + (l->word[0][0] == '+' ? before : 0);
	l->n--;
	memmove(l->word, l->word + 1, l->n * sizeof(l->word[0]));
	memmove(l->len, l->len + 1, l->n * sizeof(l->len[0]));
	return l->us >= before;
}

/* Adds a line of the file. */
static bool add(struct gw_rep_script *s, const char *text, unsigned int number, bool timed)
{
	struct gw_rep_line *l = reallocarray(s->line, s->n + 1, sizeof(*l));

	if (!l)
		return false;
	s->line = l;
	l += s->n;
	*l = (struct gw_rep_line){.number = number, .text = strdup(text)};
	if (!l->text)
		return false;
	s->n++;
	if (!split(l))
		return false;
	if (l->n == 0) {
		free(l->text);
		s->n--;
		return true;
	}
	return !timed || take_time(l, s->n > 1 ? l[-1].us : 0);
}

int gw_rep_script_read(struct gw_rep_script *s, const char *path, bool timed)
{
	FILE *f = fopen(path, "r");
	unsigned int number = 0;
	char *text = NULL;
	size_t room = 0;
	int rc = 0;

	snprintf(s->path, sizeof(s->path), "%s", path);
	if (!f)
		return errno;
	while (rc == 0 && getline(&text, &room, f) > 0) {
		if (!add(s, text, ++number, timed)) {
			fprintf(stderr,
				"%s:%u: cannot be read; allowed: %swords, \"quoted\" or not, "
				"%u at most%s\n",
				path, number, timed ? "a time, who, what, then " : "", GW_REP_WORDS,
				timed ? "; times do not go back" : "");
			rc = EINVAL;
		}
	}
	free(text);
	fclose(f);
	return rc;
}

void gw_rep_script_free(struct gw_rep_script *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->line[i].text);
	free(s->line);
	memset(s, 0, sizeof(*s));
}

const char *gw_rep_arg(const struct gw_rep_line *l, const char *key, uint32_t *len)
{
	size_t n = strlen(key);

	for (uint32_t i = 0; i < l->n; i++)
		if (strncmp(l->word[i], key, n) == 0 && l->word[i][n] == '=') {
			if (len)
				*len = l->len[i] - (uint32_t)n - 1;
			return l->word[i] + n + 1;
		}
	return NULL;
}

uint64_t gw_rep_num(const struct gw_rep_line *l, const char *key, uint64_t def)
{
	const char *v = gw_rep_arg(l, key, NULL);

	return v ? strtoull(v, NULL, 0) : def;
}
