/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_poll.c - poll() and select(). Readiness is the kernel's own, before and after a takeover;
 * but a thread that sleeps on a native socket would sleep on when another file takes its place. So
 * the sleep counts as a native call, and no takeover happens during it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/select.h>

#include "host/sock.h"
#include "host/sock_real.h"

#define LOCAL 64

SOCK_EXPORT int __poll(struct pollfd *pf, nfds_t n, int timeout);
SOCK_EXPORT int __poll_chk(struct pollfd *pf, nfds_t n, int timeout, size_t room);
SOCK_EXPORT int __ppoll_chk(struct pollfd *pf, nfds_t n, const struct timespec *ts,
			    const sigset_t *mask, size_t room);
extern void __chk_fail(void) __attribute__((noreturn));

/** Calls on several descriptors. */
struct calls {
	struct sock_call local[LOCAL]; /* enough for most */
	struct sock_call *k;	       /* these, or allocated ones */
	size_t n;		       /* used */
	size_t room;		       /* of k */
};

static void add(struct calls *s, int fd)
{
	struct sock_call k = {NULL, false}, *more;

	if (fd < 0)
		return;
	sock_enter(&k, fd);
	if (!k.counted) {
		sock_leave(&k);
		return;
	}
	if (s->n == s->room) {
		more = reallocarray(s->k == s->local ? NULL : s->k, s->room * 2, sizeof(*more));
		if (!more) { /* it must not be taken over then */
			atomic_store(&k.c->pinned, true);
			sock_leave(&k);
			return;
		}
		if (s->k == s->local)
			for (size_t i = 0; i < s->n; i++)
				more[i] = s->k[i];
		s->k = more;
		s->room *= 2;
	}
	s->k[s->n++] = k;
}

static void leave_all(struct calls *s)
{
	int saved = errno;

	for (size_t i = 0; i < s->n; i++)
		sock_leave(&s->k[i]);
	if (s->k != s->local)
		free(s->k);
	errno = saved;
}

#define CALLS(s)                                            \
	struct calls s __attribute__((cleanup(leave_all))); \
	s.k = s.local;                                      \
	s.n = 0;                                            \
	s.room = LOCAL

static void add_poll(struct calls *s, const struct pollfd *pf, nfds_t n)
{
	if (sock_n_undecided())
		for (nfds_t i = 0; i < n; i++)
			add(s, pf[i].fd);
}

static void add_select(struct calls *s, int n, const fd_set *r, const fd_set *w, const fd_set *e)
{
	if (!sock_n_undecided())
		return;
	for (int fd = 0; fd < n; fd++)
		if ((r && FD_ISSET(fd, r)) || (w && FD_ISSET(fd, w)) || (e && FD_ISSET(fd, e)))
			add(s, fd);
}

SOCK_EXPORT int poll(struct pollfd *pf, nfds_t n, int timeout)
{
	CALLS(s);

	if (timeout)
		add_poll(&s, pf, n);
	return REAL(poll)(pf, n, timeout);
}

SOCK_EXPORT int __poll(struct pollfd *pf, nfds_t n, int timeout) __attribute__((alias("poll")));

SOCK_EXPORT int ppoll(struct pollfd *pf, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	CALLS(s);

	add_poll(&s, pf, n);
	return REAL(ppoll)(pf, n, ts, mask);
}

SOCK_EXPORT int __poll_chk(struct pollfd *pf, nfds_t n, int timeout, size_t room)
{
	if (room / sizeof(*pf) < n)
		__chk_fail();
	return poll(pf, n, timeout);
}

SOCK_EXPORT int __ppoll_chk(struct pollfd *pf, nfds_t n, const struct timespec *ts,
			    const sigset_t *mask, size_t room)
{
	if (room / sizeof(*pf) < n)
		__chk_fail();
	return ppoll(pf, n, ts, mask);
}

SOCK_EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *tv)
{
	CALLS(s);

	add_select(&s, n, r, w, e);
	return REAL(select)(n, r, w, e, tv);
}

SOCK_EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *ts,
			const sigset_t *mask)
{
	CALLS(s);

	add_select(&s, n, r, w, e);
	return REAL(pselect)(n, r, w, e, ts, mask);
}
