/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_fd.c - calls that end or multiply descriptors: close, dup, fcntl(F_DUPFD), close_range. The
 * hidden duplicate of the kernel's socket is closed before P, so that taghostd, which hears of the
 * close at the other end of P, holds the last reference and decides how the connection ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/sock.h"
#include "host/sock_real.h"

#define LINGER_STEP_MS 5

SOCK_EXPORT int __close(int fd);
SOCK_EXPORT int __dup2(int from, int to);
SOCK_EXPORT int __fcntl(int fd, int cmd, ...);

/* SO_LINGER with a time: close() waits until the client has everything, or for so long. */
static void linger(struct sock_conn *c, int fd, int kfd)
{
	struct linger l = {0};
	unsigned int len = sizeof(l);
	uint64_t end;
	short rev;

	if (sys_getsockopt(kfd, SOL_SOCKET, SO_LINGER, &l, &len) || !l.l_onoff || !l.l_linger ||
	    sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
		return;
	syscall(SYS_shutdown, fd, SHUT_WR);
	end = sock_now() + l.l_linger * UINT64_C(1000000000);
	while (sock_slot_valid(c) && !sock_hung_up(fd) && sock_now() < end &&
	       __atomic_load_n(&c->gl->tx_acked, __ATOMIC_ACQUIRE) != c->hl->tx_prod)
		sys_poll(fd, 0, LINGER_STEP_MS, &rev);
}

/* A dup'd descriptor that goes leaves its membership behind in epoll: nothing could move it. */
static void pin_ghosts(struct sock_conn *c, int fd)
{
	pthread_mutex_lock(&c->mtx);
	for (uint32_t i = 0; i < c->n_memb; i++)
		if (c->memb[i].fd == fd)
			atomic_store(&c->pinned, true);
	pthread_mutex_unlock(&c->mtx);
}

/* The program is about to end descriptor fd. */
static void forget(int fd)
{
	struct sock_conn *c;
	int saved = errno, kfd;
	bool last = false;

	c = sock_get(fd);
	if (!c)
		return;
	sock_put(c);
	if (!sock_own_process())
		return;
	c = sock_table_drop(fd, c, &last);
	if (!c)
		return;
	if (!last) {
		pin_ghosts(c, fd);
	} else if (sock_state(c) == SOCK_S_ACCEL) {
		kfd = atomic_exchange(&c->kfd, -1);
		if (kfd >= 0) {
			linger(c, fd, kfd);
			sock_unhide_close(kfd);
		}
	}
	sock_put(c);
	errno = saved;
}

SOCK_EXPORT int close(int fd)
{
	if (sock_hidden(fd)) {
		errno = EBADF;
		return -1;
	}
	forget(fd);
	return REAL(close)(fd);
}

SOCK_EXPORT int __close(int fd) __attribute__((alias("close")));

static void range_forget(int fd, struct sock_conn *c, void *ctx)
{
	if (c)
		forget(fd);
}

/** Closing a range around hidden descriptors. */
struct range {
	unsigned int from; /* next to close */
	int flags;	   /* of close_range() */
};

static void range_step(int fd, struct sock_conn *c, void *ctx)
{
	struct range *r = ctx;

	if (c)
		return;
	if ((unsigned int)fd > r->from)
		syscall(SYS_close_range, r->from, fd - 1, r->flags);
	r->from = fd + 1;
}

SOCK_EXPORT int close_range(unsigned int lo, unsigned int hi, int flags)
{
	struct range r = {lo, flags};

	if (flags & CLOSE_RANGE_CLOEXEC || lo > hi)
		return syscall(SYS_close_range, lo, hi, flags);
	sock_table_each(lo, hi, range_forget, NULL);
	sock_table_each(lo, hi, range_step, &r);
	return r.from > hi ? 0 : syscall(SYS_close_range, r.from, hi, flags);
}

SOCK_EXPORT void closefrom(int lo)
{
	close_range(lo < 0 ? 0 : lo, ~0u, 0);
}

/* `to` names what `from` names, after the kernel has made it so. */
static int dup_done(struct sock_call *k, int to)
{
	if (to >= 0 && k->c && sock_own_process())
		sock_table_set(to, k->c);
	return to;
}

SOCK_EXPORT int dup(int fd)
{
	SOCK_CALL(k);

	sock_enter(&k, fd);
	return dup_done(&k, REAL(dup)(fd));
}

/* dup2() and dup3() end what `to` named, unless they fail. */
static bool dup_onto(int from, int to)
{
	if (sock_hidden(to)) {
		errno = EBUSY;
		return false;
	}
	if (from != to && sys_fcntl(from, F_GETFD, 0) >= 0)
		forget(to);
	return true;
}

SOCK_EXPORT int dup2(int from, int to)
{
	SOCK_CALL(k);

	sock_enter(&k, from);
	if (!dup_onto(from, to))
		return -1;
	return from == to ? REAL(dup2)(from, to) : dup_done(&k, REAL(dup2)(from, to));
}

SOCK_EXPORT int __dup2(int from, int to)
{
	return dup2(from, to);
}

SOCK_EXPORT int dup3(int from, int to, int flags)
{
	SOCK_CALL(k);

	sock_enter(&k, from);
	if (!dup_onto(from, to))
		return -1;
	return dup_done(&k, REAL(dup3)(from, to, flags));
}

SOCK_EXPORT int fcntl(int fd, int cmd, ...)
{
	SOCK_CALL(k);
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)
		return REAL(fcntl)(fd, cmd, arg);
	sock_enter(&k, fd);
	return dup_done(&k, REAL(fcntl)(fd, cmd, arg));
}

SOCK_EXPORT int __fcntl(int fd, int cmd, ...) __attribute__((alias("fcntl")));
SOCK_EXPORT int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));
