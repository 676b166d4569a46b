/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_io.c - reading and writing. The stream has no content: only lengths go through the core. */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "sk.h"
#include "tcpstack/tcp_priv.h"

static ssize_t fail(int err)
{
	errno = err;
	return -1;
}

uint32_t sk_readable(const struct sk_sock *s)
{
	return s->open ? s->c.rcv_placed - s->consumed - s->c.fin_placed : 0;
}

static bool can_read(struct sk_stack *st, void *x)
{
	struct sk_sock *s = x;

	if (s->connecting)
		return false;
	return s->kind != SK_CONN || s->err || sk_readable(s) >= s->lowat || s->shut_rd ||
	       s->c.fin_placed || s->c.state == TCP_S_CLOSED;
}

ssize_t sk_recv(struct sk_stack *st, int fd, size_t n, int flags)
{
	struct sk_sock *s = sk_fd(st, fd);
	uint32_t have;
	int err;

	if (!s)
		return -1;
	if (s->kind != SK_CONN)
		return fail(ENOTCONN);
	sk_block(st, can_read, s, s->nonblock || flags & MSG_DONTWAIT ? 0 : TCP_NEVER);
	have = sk_readable(s);
	if (have) {
		n = n < have ? n : have;
		if (flags & MSG_PEEK)
			return (ssize_t)n;
		s->consumed += (uint32_t)n;
		tcp_room(&s->c, s->consumed + s->ring, st->now);
		sk_output(s);
		return (ssize_t)n;
	}
	err = s->err;
	s->err = 0;
	if (err)
		return fail(err);
	if (s->shut_rd || s->c.fin_placed || s->c.state == TCP_S_CLOSED)
		return 0;
	return fail(EAGAIN);
}

/* Bytes that the send buffer takes. */
static size_t room(const struct sk_sock *s)
{
	uint32_t used = s->c.snd_avail - s->c.snd_una;

	if (!s->sndbuf)
		return SIZE_MAX;
	return used < s->sndbuf ? s->sndbuf - used : 0;
}

static bool broken(const struct sk_sock *s)
{
	if (s->connecting)
		return false;
	return s->kind != SK_CONN || s->err || s->shut_wr || !s->live || s->c.state == TCP_S_CLOSED;
}

static bool can_write(struct sk_stack *st, void *x)
{
	struct sk_sock *s = x;

	return broken(s) || (room(s) && !s->connecting);
}

/* Nothing could be written: why. */
static ssize_t no_write(struct sk_sock *s)
{
	int err = s->err;

	s->err = 0;
	if (err)
		return fail(err);
	if (!s->live && !s->connecting)
		return fail(s->events[TCP_E_RESET] ? EPIPE : ENOTCONN);
	return fail(broken(s) && !s->connecting ? EPIPE : EAGAIN);
}

ssize_t sk_send(struct sk_stack *st, int fd, size_t n, int flags)
{
	struct sk_sock *s = sk_fd(st, fd);
	size_t done = 0, part;

	if (!s)
		return -1;
	if (s->kind != SK_CONN)
		return fail(EPIPE);
	while (done < n) {
		sk_block(st, can_write, s, s->nonblock || flags & MSG_DONTWAIT ? 0 : TCP_NEVER);
		part = room(s) < n - done ? room(s) : n - done;
		if (broken(s) || !part || s->connecting)
			break;
		tcp_produced(&s->c, (uint32_t)part, st->now);
		if (flags & MSG_OOB)
			tcp_urgent(&s->c);
		tcp_set_cork(&s->c, s->set.cork || flags & MSG_MORE);
		sk_output(s);
		done += part;
	}
	return done || !n ? (ssize_t)done : no_write(s);
}

int sk_ioctl(struct sk_stack *st, int fd, unsigned long request, int *v)
{
	struct sk_sock *s = sk_fd(st, fd);
	uint32_t end;

	if (!s)
		return -1;
	if (s->kind != SK_CONN)
		return (int)fail(EINVAL);
	switch (request) {
	case SIOCINQ:
		*v = (int)sk_readable(s);
		return 0;
	case SIOCOUTQ:
		*v = (int)(s->c.snd_avail - s->c.snd_una);
		return 0;
	case SIOCOUTQNSD:
		*v = (int)(s->c.snd_avail - tcp_data_nxt(&s->c));
		return 0;
	case SIOCATMARK: /* the next byte is the one behind the urgent ones */
		*v = s->open && tcp_urgent_end(&s->c, &end) && end == s->consumed;
		return 0;
	}
	return (int)fail(EINVAL);
}
