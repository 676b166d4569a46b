/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_rx.c - reading from the receive ring, and the readiness byte (host_shm.h). Waiting is a
 * blocking MSG_PEEK on P: time limits, interruption by signals, restarts and cancellation are then
 * the kernel's own.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "host/sock.h"
#include "host/sock_real.h"

#define TAKE_TRIES 4 /* looks for a readiness byte that is on its way */

static uint64_t rx_prod(const struct sock_conn *c)
{
	return __atomic_load_n(&c->gl->rx_prod, __ATOMIC_ACQUIRE);
}

static uint64_t rx_cons(const struct sock_conn *c)
{
	return __atomic_load_n(&c->hl->rx_cons, __ATOMIC_RELAXED);
}

size_t sock_rx_avail(const struct sock_conn *c)
{
	uint64_t n = sock_slot_valid(c) ? rx_prod(c) - rx_cons(c) : 0;

	return n > c->arena->rx_size ? 0 : n;
}

ssize_t sock_iov_len(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > SSIZE_MAX - sum) {
			errno = EINVAL;
			return -1;
		}
		sum += iov[i].iov_len;
	}
	return sum;
}

/* Copies ring bytes [at, at + n) to iov, skipping the first `done` bytes of it. */
static void copy_out(const struct sock_conn *c, uint64_t at, size_t n, const struct iovec *iov,
		     size_t done)
{
	uint32_t size = c->arena->rx_size;
	size_t off, k;

	while (done >= iov->iov_len)
		done -= iov++->iov_len;
	while (n) {
		off = at & (size - 1);
		k = iov->iov_len - done;
		if (k > n)
			k = n;
		if (k > size - off)
			k = size - off;
		memcpy((char *)iov->iov_base + done, c->rx + off, k);
		at += k;
		n -= k;
		done += k;
		while (n && done == iov->iov_len) {
			iov++;
			done = 0;
		}
	}
}

static void consume(struct sock_conn *c, size_t n)
{
	uint64_t cons = rx_cons(c);

	__atomic_store_n(&c->hl->rx_cons, cons + n, __ATOMIC_RELEASE);
	sock_kick_armed(c, &c->gl->arm_rx, cons, cons + n);
}

/* The ring is empty: takes the readiness byte out of P. `force`: one is known to be there. Returns
 * true when bytes have come meanwhile. After the end the byte stays: P is readable for good, and a
 * byte in its queue tells taghostd that P is not closed. */
static bool unsignal(struct sock_conn *c, int fd, bool force)
{
	char b[16];
	int saved = errno;
	ssize_t r;

	if (atomic_load(&c->meta->rx_eof) || sock_dead(c) ||
	    (!force && !atomic_load(&c->meta->rx_signaled)))
		return false;
	for (int i = 0; i < TAKE_TRIES; i++) {
		r = sys_recv(fd, b, sizeof(b), MSG_DONTWAIT);
		if (r >= 0 || errno != EAGAIN)
			break;
		sched_yield();
	}
	errno = saved;
	if (r <= 0)
		return false;
	atomic_store(&c->meta->rx_signaled, 0);
	atomic_thread_fence(memory_order_seq_cst);
	return sock_rx_avail(c) > 0;
}

/* How reading ends when the ring is empty: 1: it does not, 0: end of file, -1: errno, which is then
 * spent unless `keep`. */
static int rx_end(struct sock_conn *c, bool keep)
{
	uint32_t e;

	if (!sock_slot_valid(c)) { /* reset, and the slot has another owner */
		if (atomic_load(&c->told))
			return 0;
		if (!keep)
			atomic_store(&c->told, true);
		errno = ECONNRESET;
		return -1;
	}
	e = atomic_load(&c->meta->err);
	if (e && !keep)
		e = sock_take_err(c);
	if (e) {
		errno = e;
		return -1;
	}
	if (atomic_load(&c->told))
		return 0;
	if (atomic_load(&c->meta->rx_eof) || atomic_load(&c->rx_shut) || sock_dead(c))
		return sock_rx_avail(c) ? 1 : 0;
	return 1;
}

bool sock_hung_up(int fd)
{
	short rev = 0;

	sys_poll(fd, 0, 0, &rev);
	return rev & POLLHUP;
}

/* P ended and nothing says why: did this side shut it, or has taghostd gone? Like rx_end(). */
static int p_ended(struct sock_conn *c, int fd)
{
	int r = rx_end(c, false);

	if (r != 1 || sock_rx_avail(c))
		return r;
	if (!sock_hung_up(fd))
		return 0;
	atomic_store(&c->told, true);
	errno = ECONNRESET;
	return -1;
}

/* Moves what there is into iov beyond `done`; returns how much. */
static size_t rx_some(struct sock_conn *c, int fd, const struct iovec *iov, size_t want,
		      size_t done, int flags, bool force)
{
	bool taken = false;
	size_t n, got = 0;

	for (;;) {
		n = sock_rx_avail(c);
		if (n > want - done - got)
			n = want - done - got;
		if (n && !(flags & MSG_TRUNC))
			copy_out(c, rx_cons(c), n, iov, done + got);
		got += n;
		if (flags & MSG_PEEK)
			break;
		if (n)
			consume(c, n);
		if (sock_rx_avail(c))
			break;
		if (!unsignal(c, fd, force && !got))
			break;
		force = false;
		taken = true;
		if (done + got == want)
			break;
	}
	/* What is left has no readiness byte, and what announced it may be long over. */
	if (taken && sock_rx_avail(c))
		sock_kick(c);
	return got;
}

/* Waits for bytes: 1: look again (*force: a byte was seen), 0: end of file, -1: errno. */
static int rx_wait(struct sock_conn *c, int fd, int flags, bool *force)
{
	char b;
	ssize_t r = REAL(recv)(fd, &b, 1, MSG_PEEK | (flags & MSG_DONTWAIT));

	*force = r > 0;
	if (r < 0 && errno == ECONNRESET) /* D was closed with filler in it */
		r = 0;
	if (!r)
		return p_ended(c, fd);
	return r < 0 ? -1 : 1;
}

ssize_t sock_rx(struct sock_conn *c, int fd, const struct iovec *iov, int n, int flags)
{
	ssize_t want = sock_iov_len(iov, n);
	size_t done = 0;
	bool force = false;
	int saved = errno, r;

	if (want <= 0)
		return want;
	if (flags & (MSG_OOB | MSG_ERRQUEUE)) {
		errno = flags & MSG_OOB ? EINVAL : EAGAIN;
		return -1;
	}
	for (;;) {
		if (!sock_slot_lock(c, &c->meta->rx_lock)) {
			errno = ECONNRESET;
			return -1;
		}
		if (flags & MSG_PEEK)
			done = 0;
		done += rx_some(c, fd, iov, want, done, flags, force);
		/* An error waits for the next call when this one has bytes to give. */
		r = sock_rx_avail(c) ? 1 : rx_end(c, done > 0);
		pthread_mutex_unlock(&c->meta->rx_lock);
		if (done == (size_t)want || (done && (!(flags & MSG_WAITALL) || r != 1)))
			break;
		if (flags & MSG_PEEK && done) /* the ring may be smaller than what is wanted */
			break;
		if (r == 1)
			r = rx_wait(c, fd, flags, &force);
		if (r != 1) {
			if (!done)
				return r;
			break;
		}
	}
	if (!(flags & MSG_PEEK) && sock_rx_avail(c))
		sock_epoll_again(c, fd);
	errno = saved;
	return done;
}

ssize_t sock_rx_take(struct sock_conn *c, int fd, size_t max, int flags,
		     ssize_t (*take)(const void *p, size_t n, void *ctx), void *ctx)
{
	uint32_t size = c->arena->rx_size;
	bool force = false, taken = false;
	size_t n, off;
	ssize_t got;
	int r;

	for (;;) {
		if (!sock_slot_lock(c, &c->meta->rx_lock)) {
			errno = ECONNRESET;
			return -1;
		}
		n = sock_rx_avail(c);
		if (n) {
			off = rx_cons(c) & (size - 1);
			n = n > max ? max : n;
			n = n > size - off ? size - off : n;
			got = take(c->rx + off, n, ctx);
			if (got > 0)
				consume(c, got);
			if (got > 0 && !sock_rx_avail(c))
				taken |= unsignal(c, fd, false);
			if (taken && sock_rx_avail(c))
				sock_kick(c);
			pthread_mutex_unlock(&c->meta->rx_lock);
			if (sock_rx_avail(c))
				sock_epoll_again(c, fd);
			return got;
		}
		taken |= unsignal(c, fd, force);
		r = rx_end(c, false);
		pthread_mutex_unlock(&c->meta->rx_lock);
		if (r == 1 && !sock_rx_avail(c))
			r = rx_wait(c, fd, flags, &force);
		if (r != 1)
			return r;
	}
}
