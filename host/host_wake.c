/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_wake.c - the program's descriptor seen from our end D (host_shm.h): the readiness byte,
 * the filler, end of file, and what the program does with its end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "host/host_daemon.h"

#define FILLER_MAX (1u << 20) /* more than a program can have in flight */
#define LOCK_RETRY 0.001      /* seconds until the program's lock is tried again */
#define GONE_RETRY 0.002      /* seconds until a closed P has given its queue back */
#define RESET_TIME 0.2	      /* seconds for what was sent before a close with SO_LINGER 0 */
#define MARK_LEN   256	      /* bytes; many more than a reader takes for readiness */

static uint64_t rx_prod(const struct host_conn *c)
{
	return __atomic_load_n(&c->gl->rx_prod, __ATOMIC_ACQUIRE);
}

/* recv() that does not let an error of the other end hide what it had written. */
static ssize_t wake_recv(int fd, void *buf, size_t n)
{
	ssize_t got;

	do
		got = recv(fd, buf, n, MSG_DONTWAIT);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	return got;
}

void host_wake_abort(struct host_conn *c)
{
	if (c->state != HOST_S_ACCEL || c->aborting)
		return;
	c->aborting = true;
	host_count(&c->h->count, HOST_C_ABORTS);
	host_conn_ctl(c, IB_MID_ABORT, IB_R_CLOSE);
}

void host_wake_reader(struct host_conn *c)
{
	if (!host_conn_cursors(c) || rx_prod(c) == c->rx_cons)
		return;
	if (c->p_gone) { /* nobody will ever read this: RFC 9293 3.6.1, as a kernel would */
		host_wake_abort(c);
		return;
	}
	if (atomic_exchange(&c->meta->rx_signaled, 1) == 0 &&
	    send(c->dfd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE)
		host_log(HOST_LOG_WARN, "connection %08x: readiness: %s", c->id, strerror(errno));
}

/* Filler bytes in the program's direction that we have not taken out. */
static size_t filler_left(const struct host_conn *c)
{
	uint64_t n = atomic_load(&c->meta->filler_written) - atomic_load(&c->meta->filler_drained);

	return n > FILLER_MAX ? 0 : (size_t)n;
}

/*
 * Takes the filler out. It is counted before it is taken: taking makes the edge, and a writer that
 * answers to the edge must not find filler on the books that is gone.
 */
static void filler_drain(struct host_conn *c)
{
	char buf[4096];
	int queued = 0;
	size_t left;

	while ((left = filler_left(c)) > 0) {
		if (ioctl(c->dfd, FIONREAD, &queued) || queued <= 0)
			return; /* written in a moment: a kick will follow */
		if (left > (size_t)queued)
			left = (size_t)queued;
		if (left > sizeof(buf))
			left = sizeof(buf);
		atomic_fetch_add(&c->meta->filler_drained, left);
		if (wake_recv(c->dfd, buf, left) < (ssize_t)left)
			host_log(HOST_LOG_WARN, "connection %08x: filler is missing", c->id);
	}
}

void host_wake_writer(struct host_conn *c)
{
	uint64_t acked = __atomic_load_n(&c->gl->tx_acked, __ATOMIC_ACQUIRE);
	uint64_t tx = __atomic_load_n(&c->hl->tx_prod, __ATOMIC_ACQUIRE);
	uint64_t used = tx - acked;

	if (c->unmarked && c->state == HOST_S_ACCEL)
		host_wake_event(c);
	if (atomic_load(&c->meta->tx_blocked)) {
		if (used > c->arena->tx_size - c->arena->tx_size / 3)
			return;
		atomic_store(&c->meta->tx_blocked, 0);
		atomic_thread_fence(memory_order_seq_cst);
	}
	filler_drain(c);
}

/*
 * Once both directions of the pair are shut, D looks the same whether P lives or not. So before we
 * shut ours, P's queue gets bytes that stay there: as long as they count as ours (SIOCOUTQ), P
 * is open. They do no harm, since P is readable from now on.
 */
static void wake_mark(struct host_conn *c)
{
	static const char mark[MARK_LEN];

	atomic_store(&c->meta->rx_signaled, 1);
	c->marked = send(c->dfd, mark, sizeof(mark), MSG_DONTWAIT | MSG_NOSIGNAL) == MARK_LEN;
}

void host_wake_eof(struct host_conn *c)
{
	c->rx_fin = true;
	atomic_store(&c->meta->rx_eof, 1);
	wake_mark(c);
	shutdown(c->dfd, SHUT_WR);
}

void host_wake_dead(struct host_conn *c, int err)
{
	atomic_store(&c->meta->err, (uint32_t)err);
	atomic_store(&c->meta->mode, HOST_M_DEAD);
	atomic_store(&c->meta->tx_blocked, 0);
	if (c->kfd >= 0) {
		ev_io_stop(c->h->loop, &c->kio);
		close(c->kfd);
		c->kfd = -1;
	}
	host_conn_set_state(c, HOST_S_DEAD);
	if (c->p_gone) {
		host_conn_free(c);
		return;
	}
	if (!c->marked)
		wake_mark(c);
	filler_drain(c);
	shutdown(c->dfd, SHUT_RDWR);
}

bool host_wake_gone(const struct host_conn *c)
{
	struct pollfd p = {.fd = c->dfd, .events = POLLRDHUP};
	int queued = 0;

	poll(&p, 1, 0);
	if (c->p_gone || !(p.revents & POLLHUP))
		return c->p_gone;
	return !c->marked || ioctl(c->dfd, SIOCOUTQ, &queued) || queued == 0;
}

/* D is to be looked at again. */
static void wake_again(struct host_conn *c, double after)
{
	ev_timer_stop(c->h->loop, &c->look);
	ev_timer_set(&c->look, after, 0.);
	ev_timer_start(c->h->loop, &c->look);
}

/* Takes the program's sending lock, without waiting. */
static bool lock_tx(struct host_conn *c)
{
	int rc = pthread_mutex_trylock(&c->meta->tx_lock);

	if (rc == EOWNERDEAD) /* its owner died in the middle; cursors are whole in any case */
		rc = pthread_mutex_consistent(&c->meta->tx_lock);
	return rc == 0;
}

/* Moves up to n unmarked bytes into the send ring; returns how many. */
static size_t relay_some(struct host_conn *c, size_t n)
{
	const uint32_t size = c->arena->tx_size;
	size_t moved = 0;

	while (moved < n && host_conn_cursors(c)) {
		uint64_t used = c->tx_prod - __atomic_load_n(&c->gl->tx_acked, __ATOMIC_ACQUIRE);
		size_t off = c->tx_prod & (size - 1);
		size_t room = used > size ? 0 : size - (size_t)used;
		ssize_t got;

		if (room > size - off)
			room = size - off;
		if (room > n - moved)
			room = n - moved;
		if (!room)
			break;
		got = wake_recv(c->dfd, c->tx + off, room);
		if (got <= 0)
			break;
		moved += (size_t)got;
		__atomic_store_n(&c->hl->tx_prod, c->tx_prod + (uint64_t)got, __ATOMIC_RELEASE);
	}
	host_conn_cursors(c);
	return moved;
}

/*
 * Bytes written to P by calls that nobody intercepted belong into the stream. False: some are
 * left (no room, or the program holds its lock).
 */
bool host_wake_unmarked(struct host_conn *c)
{
	int queued = 0;
	size_t n, moved;

	if (ioctl(c->dfd, FIONREAD, &queued) || (size_t)queued <= filler_left(c)) {
		c->unmarked = false;
		return true;
	}
	filler_drain(c); /* it lies in front */
	if (ioctl(c->dfd, FIONREAD, &queued) || queued <= 0)
		return true;
	n = (size_t)queued;
	c->unmarked = true;
	if (!lock_tx(c)) {
		wake_again(c, LOCK_RETRY);
		return false;
	}
	moved = relay_some(c, n);
	pthread_mutex_unlock(&c->meta->tx_lock);
	c->h->count.v[HOST_C_UNMARKED] += moved;
	if (moved < n)
		return false;
	c->unmarked = false;
	return true;
}

/* A close with SO_LINGER 0 is a reset (tcp(7)); what is not sent soon is thrown away. */
static bool linger_reset(const struct host_conn *c)
{
	struct linger l = {0};
	socklen_t len = sizeof(l);

	return getsockopt(c->kfd, SOL_SOCKET, SO_LINGER, &l, &len) == 0 && l.l_onoff && !l.l_linger;
}

/* The program shut its sending side, or closed. */
static void program_ended(struct host_conn *c, bool gone)
{
	c->p_shut = true;
	c->p_gone |= gone;
	c->p_reset |= gone && linger_reset(c);
	c->flags |= IB_HL_TX_FIN | (c->p_gone ? IB_HL_CLOSED : 0);
	c->progress = host_now(c->h);
	atomic_store(&c->meta->wr_shut, 1);
	__atomic_store_n(&c->hl->flags, c->flags, __ATOMIC_RELEASE);
	if (c->p_reset && c->state == HOST_S_ACCEL) {
		ev_timer_stop(c->h->loop, &c->timer);
		ev_timer_set(&c->timer, RESET_TIME, 0.);
		ev_timer_start(c->h->loop, &c->timer);
	}
}

void host_wake_event(struct host_conn *c)
{
	struct pollfd p = {.fd = c->dfd, .events = POLLIN | POLLRDHUP};
	bool shut, gone;

	if (c->state == HOST_S_DEAD) {
		if (host_wake_gone(c))
			host_conn_free(c);
		else if (c->looks++ < 2)
			wake_again(c, GONE_RETRY);
		return;
	}
	if (c->state == HOST_S_FROZEN || c->state == HOST_S_CANCEL)
		return;
	/* What ended is looked at first: bytes written before the end are then in the queue. */
	gone = host_wake_gone(c);
	poll(&p, 1, 0);
	shut = gone || (p.revents & (POLLRDHUP | POLLHUP));
	if (!host_wake_unmarked(c) && !gone)
		return;
	if ((shut && !c->p_shut) || (gone && !c->p_gone))
		program_ended(c, gone);
	else if ((p.revents & POLLHUP) && !gone && c->looks++ < 2)
		wake_again(c, GONE_RETRY);
	host_conn_cursors(c);
	if (c->state == HOST_S_PUMP) {
		host_pump_run(c);
		return;
	}
	host_conn_doorbell(c);
	if (gone)
		host_wake_reader(c);
}
