/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_syscall.c - the program's calls, as a socket would answer them.
 *
 * SOL_TAGD is the runner's own: what a script says of takeover, of slow
 * payload and of slow placement. See README.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "pd.h"

/** A call being made. */
struct call {
	struct pd_shell *s;	 /* the server */
	const struct pd_call *c; /* the line */
	const char *file;	 /* for messages */
	unsigned int line;	 /* for messages */
};

static int64_t arg(const struct call *k, unsigned int i)
{
	if (i >= k->c->n)
		pd_die(k->file, k->line, "%s: argument %u is missing", k->c->name, i + 1);
	return k->c->arg[i].v[0];
}

static void check_args(const struct call *k, unsigned int n)
{
	if (k->c->n != n)
		pd_die(k->file, k->line, "%s takes %u arguments", k->c->name, n);
}

static bool on_conn(const struct call *k)
{
	return k->s->conn_fd >= 0 && arg(k, 0) == k->s->conn_fd;
}

static bool on_listener(const struct call *k)
{
	return k->s->listen_fd >= 0 && arg(k, 0) == k->s->listen_fd;
}

/* Bytes the program can read. */
static uint32_t readable(const struct pd_shell *s)
{
	return s->c.rcv_placed - s->consumed - s->c.fin_placed;
}

static int64_t do_socket(const struct call *k)
{
	check_args(k, 3);
	k->s->listen_fd = (int)k->c->ret;
	return k->c->ret;
}

static int64_t do_listen(const struct call *k)
{
	check_args(k, 2);
	if (!on_listener(k))
		return -EBADF;
	k->s->listening = true;
	return 0;
}

static int64_t do_bind(const struct call *k)
{
	check_args(k, 3);
	return on_listener(k) ? 0 : -EBADF;
}

static int64_t do_accept(const struct call *k)
{
	check_args(k, 3);
	if (!on_listener(k))
		return -EBADF;
	if (!k->s->live || k->s->accepted)
		return -EAGAIN;
	k->s->accepted = true;
	k->s->conn_fd = (int)k->c->ret;
	return k->c->ret < 0 ? 0 : k->c->ret;
}

static int64_t do_write(const struct call *k)
{
	struct pd_shell *s = k->s;
	int64_t n = arg(k, 2);

	check_args(k, strcmp(k->c->name, "send") ? 3 : 4);
	if (!on_conn(k))
		return -EBADF;
	if (s->events[TCP_E_RESET] == 1) {
		s->events[TCP_E_RESET]++; /* told once, EPIPE from then on */
		return -ECONNRESET;
	}
	if (s->events[TCP_E_TIMEOUT] == 1) {
		s->events[TCP_E_TIMEOUT]++;
		return -ETIMEDOUT;
	}
	if (s->shut_wr || s->c.state == TCP_S_CLOSED)
		return -EPIPE;
	tcp_produced(&s->c, (uint32_t)n, s->now);
	return n;
}

static int64_t do_read(const struct call *k)
{
	struct pd_shell *s = k->s;
	int64_t n = arg(k, 2);
	uint32_t have;

	check_args(k, strcmp(k->c->name, "recv") ? 3 : 4);
	if (!on_conn(k))
		return -EBADF;
	have = readable(s);
	if (have) {
		n = n < have ? n : have;
		s->consumed += (uint32_t)n;
		tcp_room(&s->c, s->consumed + s->ring, s->now);
		return n;
	}
	if (s->events[TCP_E_RESET] == 1) {
		s->events[TCP_E_RESET]++;
		return -ECONNRESET;
	}
	if (s->events[TCP_E_TIMEOUT] == 1) {
		s->events[TCP_E_TIMEOUT]++;
		return -ETIMEDOUT;
	}
	if (s->c.fin_placed || s->c.state == TCP_S_CLOSED)
		return 0;
	if (!s->nonblock && !(k->c->n == 4 && arg(k, 3) & MSG_DONTWAIT))
		pd_die(k->file, k->line, "runtime error in %s call: it blocks", k->c->name);
	return -EAGAIN;
}

static int64_t do_shutdown(const struct call *k)
{
	check_args(k, 2);
	if (!on_conn(k))
		return -EBADF;
	if (k->s->c.state == TCP_S_CLOSED)
		return -ENOTCONN;
	if (arg(k, 1) == SHUT_RD)
		pd_die(k->file, k->line, "SHUT_RD is not supported");
	k->s->shut_wr = true;
	tcp_shutdown(&k->s->c, k->s->now);
	return 0;
}

static int64_t do_close(const struct call *k)
{
	struct pd_shell *s = k->s;

	check_args(k, 1);
	if (on_listener(k)) {
		s->listen_fd = -1;
		return 0;
	}
	if (!on_conn(k))
		return -EBADF;
	if (s->linger0 || readable(s)) /* RFC 1122 section 4.2.2.13: data would be lost */
		tcp_abort(&s->c, s->now);
	else
		tcp_shutdown(&s->c, s->now);
	s->shut_wr = s->closed = true;
	s->conn_fd = -1;
	return 0;
}

static int64_t do_fcntl(const struct call *k)
{
	if (!on_conn(k) && !on_listener(k))
		return -EBADF;
	if (arg(k, 1) == F_GETFL)
		return O_RDWR | (k->s->nonblock ? O_NONBLOCK : 0);
	check_args(k, 3);
	if (arg(k, 1) != F_SETFL)
		pd_die(k->file, k->line, "only F_GETFL and F_SETFL are supported");
	k->s->nonblock = arg(k, 2) & O_NONBLOCK;
	return 0;
}

/* Options of the runner's own. */
static int64_t set_tagd(const struct call *k, const char *name, uint32_t v)
{
	struct pd_shell *s = k->s;
	const struct {
		const char *name;
		uint32_t *v;
	} numbers[] = {{"TAGD_IN_FLIGHT", &s->in_flight},
		       {"TAGD_EXPECT_LATE", &s->expect_late},
		       {"TAGD_READ_DELAY", &s->read_delay},
		       {"TAGD_PLACE_DELAY", &s->place_delay},
		       {"TAGD_USER_TIMEOUT", &s->cfg.user_timeout_us}};

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!strcmp(name, numbers[i].name)) {
			*numbers[i].v = v;
			return 0;
		}
	}
	if (!strcmp(name, "TAGD_COURTESY_ACK"))
		s->courtesy_ack = v;
	else if (!strcmp(name, "TAGD_RESUME_LOSS"))
		s->resume_loss = v;
	else if (!strcmp(name, "TAGD_SUCCESSOR") && s->live)
		pd_successor(s);
	else if (!strcmp(name, "TAGD_QUIESCE") && s->live)
		tcp_quiesce(&s->c, s->now);
	else
		pd_die(k->file, k->line, "%s is not supported here", name);
	return 0;
}

static int64_t do_setsockopt(const struct call *k)
{
	const struct pd_arg *a = k->c->arg;

	check_args(k, 5);
	if (!on_conn(k) && !on_listener(k))
		return -EBADF;
	if (!strcmp(a[1].text, "SOL_TAGD") && a[3].kind == PD_LIST)
		return set_tagd(k, a[2].text, (uint32_t)a[3].v[0]);
	if (a[1].v[0] == SOL_SOCKET && a[2].v[0] == SO_REUSEADDR)
		return 0;
	if (a[1].v[0] == SOL_TCP && a[2].v[0] == TCP_NODELAY)
		return 0; /* there is no Nagle delay */
	if (a[1].v[0] == SOL_SOCKET && a[2].v[0] == SO_LINGER && a[3].kind == PD_LINGER) {
		k->s->linger0 = a[3].v[0] && !a[3].v[1];
		return 0;
	}
	if (a[1].v[0] == SOL_SOCKET && a[2].v[0] == SO_RCVBUF && a[3].kind == PD_LIST &&
	    !k->s->live) {
		k->s->ring = (uint32_t)a[3].v[0];
		return 0;
	}
	pd_die(k->file, k->line, "unsupported socket option %s", a[2].text);
}

static const struct {
	const char *name;
	int64_t (*run)(const struct call *k); /* result, or minus errno */
} calls[] = {{"socket", do_socket}, {"bind", do_bind},	 {"listen", do_listen},
	     {"accept", do_accept}, {"write", do_write}, {"send", do_write},
	     {"read", do_read},	    {"recv", do_read},	 {"shutdown", do_shutdown},
	     {"close", do_close},   {"fcntl", do_fcntl}, {"setsockopt", do_setsockopt}};

bool pd_blocked(const struct pd_shell *s, const struct pd_call *c)
{
	if (!strcmp(c->name, "accept"))
		return !s->live;
	if (!strcmp(c->name, "read") || !strcmp(c->name, "recv"))
		return !readable(s) && !s->c.fin_placed && s->c.state != TCP_S_CLOSED;
	return false;
}

void pd_syscall(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e)
{
	const struct call k = {s, &e->c, t->file, e->line};
	int64_t ret;

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, e->c.name))
			continue;
		ret = calls[i].run(&k);
		if (ret >= 0 && ret != e->c.ret)
			pd_die(t->file, e->line,
			       "runtime error in %s call: Expected result %lld but got %lld",
			       e->c.name, (long long)e->c.ret, (long long)ret);
		if (ret < 0 && (e->c.ret != -1 || e->c.err != -ret))
			pd_die(t->file, e->line,
			       "runtime error in %s call: Expected result %lld errno %d (%s) but "
			       "got -1 with errno %d (%s)",
			       e->c.name, (long long)e->c.ret, e->c.err, strerror(e->c.err),
			       (int)-ret, strerror((int)-ret));
		pd_output(s);
		return;
	}
	pd_die(t->file, e->line, "unsupported call %s", e->c.name);
}
