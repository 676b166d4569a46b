/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_call.c - calls that make, open and close sockets. Descriptors are real ones, of /dev/null:
 * packetdrill closes what a script left open.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "sk.h"
#include "tcpstack/net_wire.h"

/** Room for an address of either family. */
union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct sk_sock *sk_fd(struct sk_stack *st, int fd)
{
	for (unsigned int i = 0; i < SK_SOCKS && fd >= 0; i++) {
		if (st->sock[i].kind != SK_FREE && st->sock[i].fd == fd)
			return &st->sock[i];
	}
	errno = EBADF;
	return NULL;
}

static int fail(int err)
{
	errno = err;
	return -1;
}

int sk_socket(struct sk_stack *st, int domain, int type, int protocol)
{
	struct sk_sock *s;

	if (domain != AF_INET && domain != AF_INET6)
		return fail(EAFNOSUPPORT);
	if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
	    (protocol && protocol != IPPROTO_TCP))
		return fail(EPROTONOSUPPORT);
	s = sk_new(st);
	if (!s)
		return fail(EMFILE);
	s->form6 = domain == AF_INET6;
	s->nonblock = type & SOCK_NONBLOCK;
	s->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return s->fd;
}

static int addr_in(const struct sk_sock *s, const struct sockaddr *a, socklen_t n,
		   struct net_addr *ip, uint16_t *port)
{
	union addr u = {0};

	if (!a || n < (s->form6 ? sizeof(u.in6) : sizeof(u.in)))
		return EINVAL;
	memcpy(&u, a, n < sizeof(u) ? n : sizeof(u));
	if (u.sa.sa_family != (s->form6 ? AF_INET6 : AF_INET))
		return EAFNOSUPPORT;
	if (s->form6) {
		memcpy(ip->b, &u.in6.sin6_addr, 16);
		*port = u.in6.sin6_port;
	} else {
		net_addr_v4(ip, &u.in.sin_addr);
		*port = u.in.sin_port;
	}
	return 0;
}

static void addr_out(const struct sk_sock *s, const struct net_addr *ip, uint16_t port,
		     struct sockaddr *a, socklen_t *n)
{
	union addr u = {0};
	socklen_t len = s->form6 ? sizeof(u.in6) : sizeof(u.in);

	if (!a || !n)
		return;
	u.sa.sa_family = s->form6 ? AF_INET6 : AF_INET;
	if (s->form6) {
		memcpy(&u.in6.sin6_addr, ip->b, 16);
		u.in6.sin6_port = port;
	} else {
		memcpy(&u.in.sin_addr, ip->b + 12, 4);
		u.in.sin_port = port;
	}
	memcpy(a, &u, *n < len ? *n : len);
	*n = len;
}

int sk_bind(struct sk_stack *st, int fd, const struct sockaddr *a, socklen_t n)
{
	struct sk_sock *s = sk_fd(st, fd);
	int err;

	if (!s)
		return -1;
	if (s->kind != SK_NEW || s->flow.lport)
		return fail(EINVAL);
	err = addr_in(s, a, n, &s->flow.local, &s->flow.lport);
	return err ? fail(err) : 0;
}

int sk_listen(struct sk_stack *st, int fd, int backlog)
{
	struct sk_sock *s = sk_fd(st, fd);

	if (!s)
		return -1;
	if (s->kind != SK_NEW && s->kind != SK_LISTENING)
		return fail(EINVAL);
	s->kind = SK_LISTENING;
	s->backlog = backlog;
	sk_listen_core(s);
	return 0;
}

/* The oldest connection that waits for accept(). */
static struct sk_sock *waiting(struct sk_sock *l)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &l->st->sock[i];

		if (s->kind == SK_CONN && s->parent == l && s->live && s->c.state != TCP_S_SYN_RCVD)
			return s;
	}
	return NULL;
}

static bool can_accept(struct sk_stack *st, void *x)
{
	struct sk_sock *l = x;

	return l->kind != SK_LISTENING || waiting(l);
}

int sk_accept(struct sk_stack *st, int fd, struct sockaddr *a, socklen_t *n)
{
	struct sk_sock *l = sk_fd(st, fd), *s;

	if (!l)
		return -1;
	if (l->kind != SK_LISTENING)
		return fail(EINVAL);
	sk_block(st, can_accept, l, l->nonblock ? 0 : TCP_NEVER);
	s = waiting(l);
	if (!s)
		return fail(EAGAIN);
	s->parent = NULL;
	s->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	addr_out(s, &s->flow.remote, s->flow.rport, a, n);
	return s->fd;
}

static bool connected(struct sk_stack *st, void *x)
{
	return !((struct sk_sock *)x)->connecting;
}

int sk_connect(struct sk_stack *st, int fd, const struct sockaddr *a, socklen_t n)
{
	struct sk_sock *s = sk_fd(st, fd);
	int err;

	if (!s)
		return -1;
	if (s->kind == SK_LISTENING)
		return fail(EISCONN);
	if (s->connecting)
		return fail(EALREADY);
	if (s->kind == SK_CONN && (s->err || s->c.state != TCP_S_CLOSED)) {
		err = s->err ? s->err : EISCONN;
		s->err = 0;
		return fail(err);
	}
	err = addr_in(s, a, n, &s->flow.remote, &s->flow.rport);
	err = err ? err : sk_connect_core(s);
	if (err)
		return fail(err);
	if (s->nonblock)
		return fail(EINPROGRESS);
	sk_block(st, connected, s, TCP_NEVER);
	err = s->err;
	s->err = 0;
	return err ? fail(err) : 0;
}

/* What was on its way to a listener is aborted with it. */
static void close_listener(struct sk_sock *l)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &l->st->sock[i];

		if (s->kind != SK_CONN || s->parent != l)
			continue;
		s->parent = NULL;
		if (!s->live) {
			s->kind = SK_FREE;
			continue;
		}
		tcp_abort(&s->c, l->st->now);
		sk_output(s);
		sk_drop(s);
	}
	l->kind = SK_FREE;
}

int sk_close(struct sk_stack *st, int fd)
{
	struct sk_sock *s = sk_fd(st, fd);

	if (!s)
		return -1;
	close(s->fd);
	s->fd = -1;
	if (s->kind == SK_LISTENING) {
		close_listener(s);
		return 0;
	}
	if (s->kind != SK_CONN || !s->live) {
		s->kind = SK_FREE;
		return 0;
	}
	if (s->linger0 || sk_readable(s)) /* RFC 1122 section 4.2.2.13: data would be lost */
		tcp_abort(&s->c, st->now);
	else
		tcp_shutdown(&s->c, st->now);
	s->shut_wr = s->shut_rd = true;
	sk_output(s);
	sk_drop(s);
	return 0;
}

int sk_shutdown(struct sk_stack *st, int fd, int how)
{
	struct sk_sock *s = sk_fd(st, fd);

	if (!s)
		return -1;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return fail(EINVAL);
	if (s->kind != SK_CONN || !s->live || s->c.state == TCP_S_CLOSED)
		return fail(ENOTCONN);
	if (how != SHUT_WR)
		s->shut_rd = true;
	if (how != SHUT_RD) {
		s->shut_wr = true;
		tcp_shutdown(&s->c, st->now);
		sk_output(s);
	}
	sk_release(st);
	return 0;
}

int sk_fcntl(struct sk_stack *st, int fd, int cmd, long arg)
{
	struct sk_sock *s = sk_fd(st, fd);

	if (!s)
		return -1;
	if (cmd == F_GETFL)
		return O_RDWR | (s->nonblock ? O_NONBLOCK : 0);
	if (cmd != F_SETFL)
		return fail(EINVAL);
	s->nonblock = arg & O_NONBLOCK;
	return 0;
}

short sk_readiness(const struct sk_sock *s)
{
	bool over = s->live && s->c.state == TCP_S_CLOSED;
	uint32_t end;
	bool eof = s->shut_rd || (s->live && s->c.fin_placed) || over;
	short r = 0;

	if (s->kind == SK_LISTENING)
		return waiting((struct sk_sock *)s) ? POLLIN : 0;
	if (s->kind != SK_CONN)
		return POLLOUT | POLLHUP;
	if (s->connecting)
		return 0;
	if (s->err)
		r |= POLLERR;
	if (sk_readable(s) >= s->lowat || eof)
		r |= POLLIN;
	if (s->open && tcp_urgent_end(&s->c, &end) && tcp_lt(s->consumed, end))
		r |= POLLPRI;
	if (eof)
		r |= POLLRDHUP;
	if (over || (s->shut_wr && eof))
		r |= POLLHUP;
	if (!s->sndbuf || s->c.snd_avail - s->c.snd_una < s->sndbuf || s->shut_wr)
		r |= POLLOUT;
	return r;
}

/** A poll() that waits. */
struct polled {
	struct pollfd *fds; /* the caller's */
	nfds_t n;	    /* their number */
	int ready;	    /* how many have something */
};

static bool can_poll(struct sk_stack *st, void *x)
{
	struct polled *p = x;
	struct sk_sock *s;

	p->ready = 0;
	for (nfds_t i = 0; i < p->n; i++) {
		struct pollfd *f = &p->fds[i];

		s = sk_fd(st, f->fd);
		f->revents = s		 ? sk_readiness(s) & (f->events | POLLERR | POLLHUP)
			     : f->fd < 0 ? 0
					 : POLLNVAL;
		p->ready += f->revents != 0;
	}
	return p->ready > 0;
}

int sk_poll(struct sk_stack *st, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct polled p = {fds, n, 0};

	sk_block(st, can_poll, &p,
		 timeout_ms < 0 ? TCP_NEVER : st->now + (uint64_t)timeout_ms * 1000);
	return p.ready;
}
