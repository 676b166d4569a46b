/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_tx.c - putting bytes into the send ring, and the filler that withdraws EPOLLOUT
 * (host_shm.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "host/sock.h"
#include "host/sock_real.h"

#define CHUNK (128u << 10) /* bytes placed before the cursor moves: the gateway can start early */

static uint32_t tx_room(const struct sock_conn *c)
{
	uint64_t used = __atomic_load_n(&c->hl->tx_prod, __ATOMIC_RELAXED) -
			__atomic_load_n(&c->gl->tx_acked, __ATOMIC_ACQUIRE);

	return used > c->arena->tx_size ? 0 : c->arena->tx_size - used;
}

/* Errno that sending ends with, 0: it does not. */
static int tx_end(struct sock_conn *c)
{
	uint32_t e;

	if (!sock_slot_valid(c))
		return atomic_exchange(&c->told, true) ? EPIPE : ECONNRESET;
	e = sock_take_err(c);
	if (e)
		return e;
	if (atomic_load(&c->told) || atomic_load(&c->tx_shut) || atomic_load(&c->meta->wr_shut) ||
	    sock_dead(c))
		return EPIPE;
	return 0;
}

/* Places up to `want` bytes; *ended: the source has no more. Returns how many, or -errno. */
static ssize_t place(struct sock_conn *c, struct sock_src *s, size_t want, bool *ended)
{
	uint32_t size = c->arena->tx_size;
	uint64_t prod = c->hl->tx_prod;
	size_t done = 0, n, off;
	ssize_t r;

	while (done < want && (n = tx_room(c))) {
		off = prod & (size - 1);
		n = n > want - done ? want - done : n;
		n = n > size - off ? size - off : n;
		n = n > CHUNK ? CHUNK : n;
		r = s->fill(s, c->tx + off, n);
		if (r <= 0) {
			*ended = true;
			return r < 0 && !done ? r : (ssize_t)done;
		}
		__atomic_store_n(&c->hl->tx_prod, prod + r, __ATOMIC_RELEASE);
		sock_kick_armed(c, &c->gl->arm_tx, prod, prod + r);
		prod += r;
		done += r;
	}
	return done;
}

/* Writes filler into P unless P is unwritable already. 0, or how sending ends. */
static int fill_p(struct sock_conn *c, int fd)
{
	static const char filler[HOST_FILLER];
	short rev = 0;
	ssize_t r;
	int e;

	sys_poll(fd, POLLOUT, 0, &rev);
	if (!rev)
		return 0;
	atomic_fetch_add(&c->meta->filler_written, HOST_FILLER);
	r = sys_send(fd, filler, sizeof(filler), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < HOST_FILLER)
		atomic_fetch_sub(&c->meta->filler_written, HOST_FILLER - (r < 0 ? 0 : r));
	if (r >= 0 || errno == EAGAIN || errno == EINTR)
		return 0;
	e = tx_end(c);
	if (!e && sock_hung_up(fd)) {
		atomic_store(&c->told, true);
		e = ECONNRESET;
	}
	return e ? e : EPIPE;
}

/*
 * No room: makes P unwritable. 0: it is, EAGAIN: there is room again, else how sending ends.
 *
 * When this returns 0, P was unwritable after tx_blocked was set: taghostd taking the filler out is
 * what makes the edge. Filler of an earlier time does as well as new one, and whether it is still
 * there P itself tells best: it may be on its way out just now, whatever the counters say.
 */
static int block(struct sock_conn *c, int fd)
{
	bool was = atomic_exchange(&c->meta->tx_blocked, 1);
	int e;

	atomic_thread_fence(memory_order_seq_cst);
	if (tx_room(c)) {
		if (!was)
			atomic_store(&c->meta->tx_blocked, 0);
		return EAGAIN;
	}
	e = fill_p(c, fd);
	if (e)
		return e;
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&c->meta->tx_blocked))
		sock_kick(c);
	return 0;
}

/* Would the kernel restart a call that a signal interrupted? Only when every handler asks so. */
static bool restarts(void)
{
	struct sigaction sa;

	for (int s = 1; s < NSIG; s++)
		if (!sigaction(s, NULL, &sa) && sa.sa_handler != SIG_DFL &&
		    sa.sa_handler != SIG_IGN && !(sa.sa_flags & SA_RESTART))
			return false;
	return true;
}

int sock_wait(int fd, short events, uint64_t timeout, short *revents)
{
	uint64_t end = timeout ? sock_now() + timeout : 0, now;
	struct pollfd pf = {.fd = fd, .events = events};
	struct timespec ts;
	int r;

	for (;;) {
		if (end) {
			now = sock_now();
			now = now < end ? end - now : 0;
			ts.tv_sec = now / 1000000000u;
			ts.tv_nsec = now % 1000000000u;
		}
		r = REAL(ppoll)(&pf, 1, end ? &ts : NULL, NULL);
		*revents = pf.revents;
		if (r > 0)
			return 0;
		if (!r)
			return EAGAIN;
		if (errno != EINTR || end || !restarts())
			return errno;
	}
}

static uint64_t send_timeout(const struct sock_conn *c)
{
	struct timeval tv = {0};
	unsigned int len = sizeof(tv);

	if (sys_getsockopt(atomic_load(&c->kfd), SOL_SOCKET, SO_SNDTIMEO, &tv, &len))
		return 0;
	return tv.tv_sec * UINT64_C(1000000000) + tv.tv_usec * UINT64_C(1000);
}

/* Waits for room as the descriptor says; 0: look again. */
static int tx_wait(struct sock_conn *c, int fd, int flags)
{
	short rev = 0;
	int r;

	if (flags & MSG_DONTWAIT || sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
		return EAGAIN;
	r = sock_wait(fd, POLLOUT, send_timeout(c), &rev);
	if (!r && rev & (POLLHUP | POLLERR | POLLNVAL) && sock_slot_valid(c) && !tx_room(c)) {
		r = tx_end(c);
		atomic_store(&c->told, true);
		return r ? r : ECONNRESET;
	}
	return r;
}

/* Ends a call that could place nothing more. */
static ssize_t finish(size_t done, int err, int flags)
{
	if (done)
		return done;
	if (err == EPIPE && !(flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	errno = err;
	return -1;
}

ssize_t sock_tx(struct sock_conn *c, int fd, struct sock_src *s, size_t want, int flags)
{
	int saved = errno, e;
	bool ended = false;
	size_t done = 0;
	ssize_t n;

	if (flags & MSG_OOB)
		return finish(0, EOPNOTSUPP, flags);
	while (want) {
		if (!sock_slot_lock(c, &c->meta->tx_lock))
			return finish(done, EPIPE, flags);
		/* An error waits for the next call when this one has placed bytes. */
		e = done && atomic_load(&c->meta->err) ? EPIPE : tx_end(c);
		n = e ? 0 : place(c, s, want - done, &ended);
		if (n < 0)
			e = -n;
		else
			done += n;
		if (!e && done < want && !ended) {
			e = block(c, fd);
			n = e == EAGAIN;
			e = n ? 0 : e;
		} else {
			n = 0;
		}
		pthread_mutex_unlock(&c->meta->tx_lock);
		if (e)
			return finish(done, e, flags);
		if (done == want || ended)
			break;
		e = n ? 0 : tx_wait(c, fd, flags);
		if (e)
			return finish(done, e, flags);
	}
	errno = saved;
	return done;
}

/** Source: a program's buffers. */
struct iov_src {
	struct sock_src src;	 /* first: what sock_tx() knows */
	const struct iovec *iov; /* current buffer */
	size_t off;		 /* bytes of it that are placed */
	int n;			 /* buffers left, the current one included */
};

static ssize_t iov_fill(struct sock_src *src, void *to, size_t n)
{
	struct iov_src *s = (struct iov_src *)src;
	size_t done = 0, k;

	while (done < n && s->n) {
		k = s->iov->iov_len - s->off;
		k = k > n - done ? n - done : k;
		if (k)
			memcpy((char *)to + done, (char *)s->iov->iov_base + s->off, k);
		done += k;
		s->off += k;
		if (s->off == s->iov->iov_len) {
			s->iov++;
			s->n--;
			s->off = 0;
		}
	}
	return done;
}

ssize_t sock_tx_iov(struct sock_conn *c, int fd, const struct iovec *iov, int n, int flags)
{
	struct iov_src s = {.src.fill = iov_fill, .iov = iov, .n = n};
	ssize_t want = sock_iov_len(iov, n);

	return want < 0 ? -1 : sock_tx(c, fd, &s.src, want, flags);
}
