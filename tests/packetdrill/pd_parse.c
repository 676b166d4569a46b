/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_parse.c - a whole script: options, time stamps, the kinds of lines. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pd.h"

static char *read_file(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = NULL;
	size_t n;

	if (!f)
		pd_die(file, 0, "cannot be opened");
	text = calloc(1, 1 << 20);
	n = fread(text, 1, (1 << 20) - 1, f);
	if (n == (1 << 20) - 1)
		pd_die(file, 0, "too long");
	if (strlen(text) != n)
		pd_die(file, 0, "not a text");
	fclose(f);
	return text;
}

static const char *const versions[PD_VERSIONS] = {"ipv4", "ipv6", "ipv4-mapped-ipv6"};

static void parse_version(struct pd_script *s, struct pd_cur *k)
{
	for (int i = PD_VERSIONS - 1; i >= 0; i--) {
		size_t n = strlen(versions[i]);

		if (!strncmp(k->p, versions[i], n) && isspace((unsigned char)k->p[n])) {
			s->only[i] = true;
			k->p += n;
			return;
		}
	}
	pd_die(k->file, k->line, "unknown IP version at '%.12s'", k->p);
}

static void parse_option_line(struct pd_script *s, struct pd_cur *k)
{
	if (pd_accept(k, "tolerance_usecs")) {
		pd_need(k, "=");
		s->tolerance = pd_u32(k);
	} else if (pd_accept(k, "ip_version")) {
		pd_need(k, "=");
		parse_version(s, k);
	} else if (pd_accept(k, "so_flags")) {
		pd_need(k, "=");
		pd_need(k, "\"");
		pd_text(k, s->so_flags, sizeof(s->so_flags));
	} else {
		pd_die(k->file, k->line, "unsupported option --%.20s", k->p);
	}
}

static void parse_time(struct pd_cur *k, struct pd_event *e)
{
	bool rel;

	if (pd_accept(k, "*")) {
		e->when = PD_ANY_TIME;
		return;
	}
	rel = pd_accept(k, "+");
	e->lo = e->hi = pd_seconds(k);
	e->when = rel ? PD_REL : PD_ABS;
	if (pd_accept(k, "~")) {
		if (pd_accept(k, "+") != rel)
			pd_die(k->file, k->line, "both ends of a range are relative, or none");
		e->hi = pd_seconds(k);
		e->when = rel ? PD_REL_RANGE : PD_ABS_RANGE;
		if (e->hi < e->lo)
			pd_die(k->file, k->line, "range ends before it begins");
	} else if (pd_accept(k, "...")) {
		e->blocks = true; /* the end counts from where the start does */
		e->end = pd_seconds(k);
	}
}

static void parse_code(struct pd_cur *k, struct pd_event *e)
{
	const char *end = strstr(k->p, "}%");
	unsigned int line = k->line;

	if (!end)
		pd_die(k->file, k->line, "code without an end");
	e->code = strndup(k->p, (size_t)(end - k->p));
	for (; k->p < end; k->p++)
		k->line += *k->p == '\n';
	k->p += 2;
	e->line = line;
	pd_assert(NULL, k->file, line, e->code);
}

static void parse_event(struct pd_cur *k, struct pd_event *e)
{
	*e = (struct pd_event){.line = k->line};
	parse_time(k, e);
	pd_space(k);
	e->line = k->line;
	if (*k->p == '<' || *k->p == '>') {
		e->kind = PD_PACKET;
		pd_packet_parse(k, &e->p);
	} else if (pd_accept(k, "`sleep")) {
		e->kind = PD_SLEEP;
		e->end = pd_seconds(k);
		pd_need(k, "`");
	} else if (pd_accept(k, "%{")) {
		e->kind = PD_CODE;
		parse_code(k, e);
	} else {
		e->kind = PD_CALL;
		pd_call_parse(k, &e->c);
	}
	if (e->blocks && e->kind != PD_CALL)
		pd_die(k->file, e->line, "only a call may take time");
	if (e->kind != PD_PACKET || e->p.in)
		if (e->when != PD_ABS && e->when != PD_REL)
			pd_die(k->file, e->line, "only an expected packet may come in a range");
}

void pd_parse(struct pd_script *s, const char *file)
{
	struct pd_cur k = {.file = file, .line = 1};
	unsigned int cap = 0;

	*s = (struct pd_script){.file = file, .tolerance = 4000, .text = read_file(file)};
	k.p = s->text;
	while (pd_accept(&k, "--"))
		parse_option_line(s, &k);
	while (pd_accept(&k, "`../common/defaults.sh`"))
		;
	for (pd_space(&k); *k.p; pd_space(&k)) {
		if (s->n == cap) {
			cap = cap ? 2 * cap : 64;
			s->ev = realloc(s->ev, cap * sizeof(*s->ev));
			if (!s->ev)
				pd_die(file, k.line, "out of memory");
		}
		parse_event(&k, &s->ev[s->n++]);
	}
	if (!s->n)
		pd_die(file, k.line, "no events");
}

void pd_free(struct pd_script *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		free(s->ev[i].code);
	free(s->ev);
	free(s->text);
}
