/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_syscall.c - the program's calls, to the stack's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "pd.h"

#define PORT 8080 /* of bind() and connect() */

/** A call being made. */
struct call {
	struct pd_run *r;	 /* the run */
	const struct pd_call *c; /* the line */
	unsigned int line;	 /* for messages */
};

/** Room for an address of either family. */
union addr {
	struct sockaddr sa;	 /* family */
	struct sockaddr_in in;	 /* IPv4 */
	struct sockaddr_in6 in6; /* IPv6, IPv4-mapped included */
};

static _Noreturn void die(const struct call *k, const char *what)
{
	pd_die(k->r->t->file, k->line, "%s: %s", k->c->name, what);
}

static const struct pd_arg *arg(const struct call *k, unsigned int i)
{
	if (i >= k->c->n)
		die(k, "an argument is missing");
	return &k->c->arg[i];
}

static void check_args(const struct call *k, unsigned int n)
{
	if (k->c->n != n)
		pd_die(k->r->t->file, k->line, "%s takes %u arguments", k->c->name, n);
}

/* Descriptor of the stack for one of the script. */
static int fd(const struct call *k, int64_t script)
{
	return script >= 0 && script < PD_FDS ? k->r->fd[script] : -1;
}

static int fd_arg(const struct call *k)
{
	return fd(k, arg(k, 0)->v[0]);
}

/* The script's name for a new descriptor. */
static int64_t new_fd(const struct call *k, int live)
{
	if (live < 0)
		return -1;
	if (k->c->ret < 0 || k->c->ret >= PD_FDS)
		return live;
	k->r->fd[k->c->ret] = live;
	return k->c->ret;
}

static socklen_t address(const struct call *k, bool local, union addr *u)
{
	memset(u, 0, sizeof(*u));
	if (k->r->version == PD_IPV4) {
		u->in.sin_family = AF_INET;
		u->in.sin_port = htons(PORT);
		memcpy(&u->in.sin_addr, local ? pd_local4 : pd_remote4, 4);
		return sizeof(u->in);
	}
	u->in6.sin6_family = AF_INET6;
	u->in6.sin6_port = htons(PORT);
	if (k->r->version == PD_IPV6) {
		memcpy(&u->in6.sin6_addr, local ? pd_local6 : pd_remote6, 16);
	} else {
		memset(u->in6.sin6_addr.s6_addr + 10, 0xff, 2);
		memcpy(u->in6.sin6_addr.s6_addr + 12, local ? pd_local4 : pd_remote4, 4);
	}
	return sizeof(u->in6);
}

static int64_t do_socket(const struct call *k)
{
	int domain = k->r->version == PD_IPV4 ? AF_INET : AF_INET6;
	int live;

	check_args(k, 3);
	if (arg(k, 0)->kind != PD_ANY)
		domain = (int)arg(k, 0)->v[0];
	live = k->r->so.socket(k->r->so.ud, domain, (int)arg(k, 1)->v[0], (int)arg(k, 2)->v[0]);
	k->r->code_fd = live;
	return new_fd(k, live);
}

static int64_t do_bind(const struct call *k)
{
	union addr u;
	socklen_t n = address(k, true, &u);

	check_args(k, 3);
	return k->r->so.bind(k->r->so.ud, fd_arg(k), &u.sa, n);
}

static int64_t do_listen(const struct call *k)
{
	check_args(k, 2);
	return k->r->so.listen(k->r->so.ud, fd_arg(k), (int)arg(k, 1)->v[0]);
}

static int64_t do_accept(const struct call *k)
{
	union addr u;
	socklen_t n = sizeof(u);
	int live;

	check_args(k, 3);
	live = k->r->so.accept(k->r->so.ud, fd_arg(k), &u.sa, &n);
	if (live >= 0)
		k->r->code_fd = live;
	return new_fd(k, live);
}

static int64_t do_connect(const struct call *k)
{
	union addr u;
	socklen_t n = address(k, false, &u);

	check_args(k, 3);
	k->r->connecting = true;
	k->r->code_fd = fd_arg(k);
	return k->r->so.connect(k->r->so.ud, fd_arg(k), &u.sa, n);
}

static int64_t do_write(const struct call *k)
{
	bool send = !strcmp(k->c->name, "send");
	size_t n = (size_t)arg(k, 2)->v[0];
	void *buf = calloc(1, n + 1);
	int64_t r;

	check_args(k, send ? 4 : 3);
	r = send ? k->r->so.send(k->r->so.ud, fd_arg(k), buf, n, (int)arg(k, 3)->v[0])
		 : k->r->so.write(k->r->so.ud, fd_arg(k), buf, n);
	free(buf);
	return r;
}

static int64_t do_read(const struct call *k)
{
	bool recv = !strcmp(k->c->name, "recv");
	size_t n = (size_t)arg(k, 2)->v[0];
	void *buf = malloc(n + 1);
	int64_t r;

	check_args(k, recv ? 4 : 3);
	r = recv ? k->r->so.recv(k->r->so.ud, fd_arg(k), buf, n, (int)arg(k, 3)->v[0])
		 : k->r->so.read(k->r->so.ud, fd_arg(k), buf, n);
	free(buf);
	return r;
}

static int64_t do_shutdown(const struct call *k)
{
	check_args(k, 2);
	return k->r->so.shutdown(k->r->so.ud, fd_arg(k), (int)arg(k, 1)->v[0]);
}

static int64_t do_close(const struct call *k)
{
	int live = fd_arg(k);

	check_args(k, 1);
	if (live >= 0)
		k->r->fd[arg(k, 0)->v[0]] = -1;
	if (live == k->r->code_fd)
		k->r->code_fd = -1;
	return k->r->so.close(k->r->so.ud, live);
}

static int64_t do_fcntl(const struct call *k)
{
	long v = k->c->n > 2 ? (long)arg(k, 2)->v[0] : 0;

	return k->r->so.fcntl(k->r->so.ud, fd_arg(k), (int)arg(k, 1)->v[0], v);
}

static int64_t do_ioctl(const struct call *k)
{
	int v = -1;
	int64_t r;

	check_args(k, 3);
	r = k->r->so.ioctl(k->r->so.ud, fd_arg(k), (unsigned long)arg(k, 1)->v[0], &v);
	if (!r && v != arg(k, 2)->v[0])
		pd_die(k->r->t->file, k->line, "ioctl: expected [%lld] but got [%d]",
		       (long long)arg(k, 2)->v[0], v);
	return r;
}

static int64_t do_setsockopt(const struct call *k)
{
	const struct pd_arg *a = k->c->arg;
	struct linger l;
	const void *v;
	socklen_t n;
	int x;

	check_args(k, 5);
	x = (int)a[3].v[0];
	l = (struct linger){(int)a[3].v[0], (int)a[3].v[1]};
	v = a[3].kind == PD_LINGER ? (void *)&l : a[3].kind == PD_TEXT ? (void *)a[3].text : &x;
	n = a[3].kind == PD_LINGER ? sizeof(l) : (socklen_t)a[4].v[0];
	if (a[3].kind == PD_TEXT && n > strlen(a[3].text))
		die(k, "length beyond the text");
	if (a[3].kind != PD_LINGER && a[3].kind != PD_TEXT && n > sizeof(x))
		die(k, "length beyond the value");
	return k->r->so.setsockopt(k->r->so.ud, fd_arg(k), (int)a[1].v[0], (int)a[2].v[0], v, n);
}

static int64_t do_getsockopt(const struct call *k)
{
	const struct pd_arg *a = k->c->arg;
	char text[64] = "";
	socklen_t n;
	int64_t r;
	int x = 0;

	check_args(k, 5);
	n = a[3].kind == PD_TEXT ? sizeof(text) - 1 : sizeof(x);
	r = k->r->so.getsockopt(k->r->so.ud, fd_arg(k), (int)a[1].v[0], (int)a[2].v[0],
				a[3].kind == PD_TEXT ? (void *)text : &x, &n);
	if (!r && a[3].kind == PD_TEXT && strcmp(text, a[3].text))
		pd_die(k->r->t->file, k->line, "getsockopt: expected \"%s\" but got \"%s\"",
		       a[3].text, text);
	if (!r && a[3].kind == PD_LIST && x != a[3].v[0])
		pd_die(k->r->t->file, k->line, "getsockopt: expected [%lld] but got [%d]",
		       (long long)a[3].v[0], x);
	return r;
}

static int64_t do_poll(const struct call *k)
{
	const struct pd_arg *a = arg(k, 0);
	struct pollfd fds[PD_POLL_MAX];
	int64_t r;

	check_args(k, 3);
	if (a->kind != PD_POLL)
		die(k, "a list of descriptors is expected");
	for (unsigned int i = 0; i < a->n_poll; i++)
		fds[i] = (struct pollfd){.fd = fd(k, a->poll[i].fd), .events = a->poll[i].events};
	r = k->r->so.poll(k->r->so.ud, fds, a->n_poll, (int)arg(k, 2)->v[0]);
	for (unsigned int i = 0; r >= 0 && i < a->n_poll; i++) {
		if (fds[i].revents != a->poll[i].revents)
			pd_die(k->r->t->file, k->line,
			       "poll: descriptor %d: expected revents %#x but got %#x",
			       a->poll[i].fd, (unsigned int)a->poll[i].revents,
			       (unsigned int)fds[i].revents);
	}
	return r;
}

static const struct {
	const char *name;
	int64_t (*run)(const struct call *k); /* as the call, errno set */
} calls[] = {{"socket", do_socket},   {"bind", do_bind},
	     {"listen", do_listen},   {"accept", do_accept},
	     {"connect", do_connect}, {"write", do_write},
	     {"send", do_write},      {"read", do_read},
	     {"recv", do_read},	      {"shutdown", do_shutdown},
	     {"close", do_close},     {"fcntl", do_fcntl},
	     {"ioctl", do_ioctl},     {"setsockopt", do_setsockopt},
	     {"poll", do_poll},	      {"getsockopt", do_getsockopt}};

int64_t pd_syscall(struct pd_run *r, const struct pd_event *e, int *err)
{
	const struct call k = {r, &e->c, e->line};
	int64_t ret;

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, e->c.name))
			continue;
		errno = 0;
		ret = calls[i].run(&k);
		*err = errno;
		return ret;
	}
	die(&k, "unsupported call");
}

void pd_check(struct pd_run *r, const struct pd_event *e, int64_t ret, int err)
{
	if (ret >= 0 && ret != e->c.ret)
		pd_die(r->t->file, e->line,
		       "runtime error in %s call: Expected result %lld but got %lld", e->c.name,
		       (long long)e->c.ret, (long long)ret);
	if (ret < 0 && (e->c.ret != -1 || e->c.err != err))
		pd_die(r->t->file, e->line,
		       "runtime error in %s call: Expected result %lld errno %d (%s) but got -1 "
		       "with errno %d (%s)",
		       e->c.name, (long long)e->c.ret, e->c.err, strerror(e->c.err), err,
		       strerror(err));
}
