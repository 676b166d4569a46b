/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_call.c - call lines: name, arguments, expected result; and the names of constants. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "pd.h"

static const struct {
	const char *name;
	int64_t v;
} constants[] = {
#define _(x)          \
	{             \
#x, x \
	}
	_(AF_INET), _(AF_INET6),     _(SOCK_STREAM),  _(IPPROTO_TCP),  _(SOL_SOCKET),
	_(SOL_TCP), _(SO_REUSEADDR), _(SO_RCVBUF),    _(SO_LINGER),    _(TCP_NODELAY),
	_(F_SETFL), _(F_GETFL),	     _(O_RDWR),	      _(O_NONBLOCK),   _(SHUT_RD),
	_(SHUT_WR), _(SHUT_RDWR),    _(MSG_DONTWAIT), _(MSG_NOSIGNAL), _(EAGAIN),
	_(EPIPE),   _(ECONNRESET),   _(ETIMEDOUT),    _(ENOTCONN),     _(EBADF),
	_(EINVAL),  _(EWOULDBLOCK),
#undef _
};

bool pd_constant(const char *name, int64_t *v)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (!strcmp(constants[i].name, name)) {
			*v = constants[i].v;
			return true;
		}
	}
	return false;
}

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
		if (pd_constant(name, &one))
			v |= one;
		else if (strncmp(name, "TAGD_", 5) && strcmp(name, "SOL_TAGD"))
			pd_die(k->file, k->line, "unknown name %s", name);
	} while (pd_accept(k, "|"));
	return minus ? -v : v;
}

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

static void parse_arg(struct pd_cur *k, struct pd_arg *a)
{
	*a = (struct pd_arg){.kind = PD_INT};
	if (pd_accept(k, "...")) {
		a->kind = PD_ANY;
	} else if (pd_accept(k, "[")) {
		a->kind = PD_LIST;
		a->v[0] = parse_value(k, a->text, sizeof(a->text));
		pd_need(k, "]");
	} else if (pd_accept(k, "{")) {
		parse_linger(k, a);
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
