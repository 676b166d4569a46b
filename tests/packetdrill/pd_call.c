/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_call.c - call lines: name, arguments, expected result. */
#include <stdio.h>
#include <string.h>

#include "pd.h"

/* A number with sign, or names joined by '|'. */
static int64_t parse_value(struct pd_cur *k, char *text, size_t n)
{
	bool minus = pd_accept(k, "-");
	int64_t v = 0, one;
	char name[40];

	text[0] = 0;
	do {
		if (pd_number(k, &one)) {
			v |= one;
			continue;
		}
		if (!pd_word(k, name, sizeof(name)))
			pd_die(k->file, k->line, "syntax error: value expected at '%.12s'", k->p);
		snprintf(text, n, "%s", name);
		if (!pd_constant(name, &one))
			pd_die(k->file, k->line, "unknown name %s", name);
		v |= one;
	} while (pd_accept(k, "|"));
	return minus ? -v : v;
}

/* "onoff=1, linger=0}" */
static void parse_linger(struct pd_cur *k, struct pd_arg *a)
{
	a->kind = PD_LINGER;
	pd_need(k, "onoff");
	pd_need(k, "=");
	a->v[0] = pd_u32(k);
	pd_need(k, ",");
	pd_need(k, "linger");
	pd_need(k, "=");
	a->v[1] = pd_u32(k);
	pd_need(k, "}");
}

static short parse_events(struct pd_cur *k, const char *member)
{
	char name[40];

	pd_need(k, member);
	pd_need(k, "=");
	return (short)parse_value(k, name, sizeof(name));
}

/* "{fd=4, events=POLLIN, revents=POLLIN}, ...]" */
static void parse_poll(struct pd_cur *k, struct pd_arg *a)
{
	a->kind = PD_POLL;
	do {
		struct pollfd *f = &a->poll[a->n_poll];

		if (a->n_poll++ == PD_POLL_MAX)
			pd_die(k->file, k->line, "too many descriptors");
		pd_need(k, "{");
		pd_need(k, "fd");
		pd_need(k, "=");
		f->fd = (int)pd_u32(k);
		pd_need(k, ",");
		f->events = parse_events(k, "events");
		if (pd_accept(k, ","))
			f->revents = parse_events(k, "revents");
		pd_need(k, "}");
	} while (pd_accept(k, ","));
	pd_need(k, "]");
}

static void parse_list(struct pd_cur *k, struct pd_arg *a)
{
	struct pd_cur look = *k;

	if (pd_accept(&look, "{")) {
		parse_poll(k, a);
		return;
	}
	a->kind = PD_LIST;
	a->v[0] = parse_value(k, a->text, sizeof(a->text));
	pd_need(k, "]");
}

static void parse_arg(struct pd_cur *k, struct pd_arg *a)
{
	*a = (struct pd_arg){.kind = PD_INT};
	if (pd_accept(k, "...")) {
		a->kind = PD_ANY;
	} else if (pd_accept(k, "[")) {
		parse_list(k, a);
	} else if (pd_accept(k, "{")) {
		parse_linger(k, a);
	} else if (pd_accept(k, "\"")) {
		a->kind = PD_TEXT;
		pd_text(k, a->text, sizeof(a->text));
	} else {
		a->v[0] = parse_value(k, a->text, sizeof(a->text));
	}
}

/* " = -1 EAGAIN (Resource temporarily unavailable)" */
static void parse_result(struct pd_cur *k, struct pd_call *c)
{
	char name[40];
	int64_t v;

	pd_need(k, "=");
	c->ret = parse_value(k, name, sizeof(name));
	if (c->ret != -1)
		return;
	if (!pd_word(k, name, sizeof(name)) || !pd_constant(name, &v))
		pd_die(k->file, k->line, "name of an error expected at '%.12s'", k->p);
	c->err = (int)v;
	if (!pd_accept(k, "("))
		return;
	while (*k->p && *k->p != ')' && *k->p != '\n')
		k->p++;
	pd_need(k, ")");
}

void pd_call_parse(struct pd_cur *k, struct pd_call *c)
{
	*c = (struct pd_call){.ret = 0};
	if (!pd_word(k, c->name, sizeof(c->name)))
		pd_die(k->file, k->line, "syntax error at '%.12s'", k->p);
	pd_need(k, "(");
	if (!pd_accept(k, ")")) {
		do {
			if (c->n == sizeof(c->arg) / sizeof(c->arg[0]))
				pd_die(k->file, k->line, "too many arguments");
			parse_arg(k, &c->arg[c->n++]);
		} while (pd_accept(k, ","));
		pd_need(k, ")");
	}
	parse_result(k, c);
}
