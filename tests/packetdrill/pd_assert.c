/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_assert.c - code blocks: assert statements over fields of TCP_INFO.
 *
 * packetdrill gives such a block to Python. Here it may hold assertions with
 * integers, names, arithmetic, comparisons (chained, too), and, or, not and
 * parentheses; a message behind a comma is taken as an expression. Everything
 * else is an error.
 */
#include <stdio.h>
#include <string.h>

#include "pd.h"

#define PD_TCP_INFO 11 /* TCP_INFO of netinet/tcp.h, which does not go with linux/tcp.h */

/** An evaluation. */
struct ev {
	struct pd_cur k;	  /* where we are */
	const struct tcp_info *i; /* NULL: syntax only */
	char used[512];		  /* "name = value" of what was looked up, for the message */
};

static int64_t expr_or(struct ev *e);

static int64_t name_value(struct ev *e, const char *name)
{
	size_t n = strlen(e->used);
	int64_t v;

	if (!strcmp(name, "True") || !strcmp(name, "False"))
		return name[0] == 'T';
	if (!pd_info(e->i, name, &v))
		pd_die(e->k.file, e->k.line, "unsupported name in code: %s", name);
	if (n < sizeof(e->used) - 80)
		snprintf(e->used + n, sizeof(e->used) - n, "%s%s = %lld", n ? ", " : "", name,
			 (long long)v);
	return v;
}

static int64_t primary(struct ev *e)
{
	char name[64];
	int64_t v;

	if (pd_accept(&e->k, "(")) {
		v = expr_or(e);
		pd_need(&e->k, ")");
		return v;
	}
	if (pd_accept(&e->k, "-"))
		return -primary(e);
	if (pd_number(&e->k, &v))
		return v;
	if (!pd_word(&e->k, name, sizeof(name)))
		pd_die(e->k.file, e->k.line, "syntax error in code at '%.12s'", e->k.p);
	return name_value(e, name);
}

static int64_t product(struct ev *e)
{
	int64_t v = primary(e), r;

	for (;;) {
		if (pd_accept(&e->k, "*")) {
			v *= primary(e);
			continue;
		}
		if (pd_accept(&e->k, "%")) {
			r = primary(e);
			v = r ? v % r : 0;
			continue;
		}
		return v;
	}
}

static int64_t sum(struct ev *e)
{
	int64_t v = product(e);

	for (;;) {
		if (pd_accept(&e->k, "+"))
			v += product(e);
		else if (pd_accept(&e->k, "-"))
			v -= product(e);
		else
			return v;
	}
}

/* Chained as in Python: a <= b < c. */
static int64_t comparison(struct ev *e)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};
	int64_t a = sum(e), b;
	bool any = false, all = true;
	unsigned int i;

	for (;;) {
		for (i = 0; i < 6 && !pd_accept(&e->k, ops[i]); i++)
			;
		if (i == 6)
			return any ? all : a;
		b = sum(e);
		all &= i == 0	? a == b
		       : i == 1 ? a != b
		       : i == 2 ? a <= b
		       : i == 3 ? a >= b
		       : i == 4 ? a < b
				: a > b;
		any = true;
		a = b;
	}
}

static int64_t expr_not(struct ev *e)
{
	return pd_accept(&e->k, "not") ? !expr_not(e) : comparison(e);
}

static int64_t expr_and(struct ev *e)
{
	int64_t v = expr_not(e), r;

	while (pd_accept(&e->k, "and")) {
		r = expr_not(e);
		v = v && r;
	}
	return v;
}

static int64_t expr_or(struct ev *e)
{
	int64_t v = expr_and(e), r;

	while (pd_accept(&e->k, "or")) {
		r = expr_and(e);
		v = v || r;
	}
	return v;
}

/* TCP_INFO of the connection that the script is about. */
static void ask(struct pd_run *r, const char *file, unsigned int line, struct tcp_info *i)
{
	socklen_t n = sizeof(*i);

	memset(i, 0, sizeof(*i));
	if (r->code_fd < 0 ||
	    r->so.getsockopt(r->so.ud, r->code_fd, IPPROTO_TCP, PD_TCP_INFO, i, &n))
		pd_die(file, line, "no connection to assert about");
}

void pd_assert(struct pd_run *r, const char *file, unsigned int line, const char *code)
{
	struct ev e = {.k = {.file = file, .p = code, .line = line}};
	struct tcp_info info;
	const char *from;
	unsigned int at;

	if (r) {
		ask(r, file, line, &info);
		e.i = &info;
	}
	for (pd_space(&e.k); *e.k.p; pd_space(&e.k)) {
		if (pd_accept(&e.k, ";"))
			continue;
		pd_need(&e.k, "assert");
		pd_space(&e.k);
		at = e.k.line;
		from = e.k.p;
		e.used[0] = 0;
		if (!expr_or(&e) && r)
			pd_die(file, at, "error in code: assertion failed: %.*s (%s)",
			       (int)(e.k.p - from), from, e.used);
		if (pd_accept(&e.k, ","))
			expr_or(&e);
	}
}
