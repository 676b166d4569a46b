/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_pump.c - native again, while the program is still on its rings: bytes move between the
 * rings and the kernel's socket. In this mode we write the gateway line, and arm kicks in it,
 * as the gateway did before (host_shm.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define ROUNDS 8 /* times around before other events get a turn */

/* Ring bytes [at, at + n) as at most two pieces; returns how many. */
static int ring_iov(uint8_t *ring, uint32_t size, uint64_t at, size_t n, struct iovec iov[2])
{
	size_t off = at & (size - 1);
	size_t first = n < size - off ? n : size - off;

	iov[0] = (struct iovec){.iov_base = ring + off, .iov_len = first};
	iov[1] = (struct iovec){.iov_base = ring, .iov_len = n - first};
	return n > first ? 2 : 1;
}

static void publish(struct host_conn *c)
{
	__atomic_store_n(&c->gl->tx_sent, c->p_tx_acked, __ATOMIC_RELEASE);
	__atomic_store_n(&c->gl->tx_acked, c->p_tx_acked, __ATOMIC_RELEASE);
	__atomic_store_n(&c->gl->rx_prod, c->p_rx_prod, __ATOMIC_RELEASE);
}

/* Send ring to kernel. Bytes moved, or -errno. */
static ssize_t pump_tx(struct host_conn *c)
{
	size_t n = (size_t)(c->tx_prod - c->p_tx_acked);
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov};
	ssize_t done;

	if (!n)
		return 0;
	m.msg_iovlen = (size_t)ring_iov(c->tx, c->arena->tx_size, c->p_tx_acked, n, iov);
	done = sendmsg(c->kfd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->p_tx_acked += (uint64_t)done;
	return done;
}

/* Kernel to receive ring. Bytes moved, or -errno. */
static ssize_t pump_rx(struct host_conn *c)
{
	size_t room = c->arena->rx_size - (size_t)(c->p_rx_prod - c->rx_cons);
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov};
	ssize_t done;

	if (!room || c->k_eof || c->p_gone)
		return 0;
	m.msg_iovlen = (size_t)ring_iov(c->rx, c->arena->rx_size, c->p_rx_prod, room, iov);
	done = recvmsg(c->kfd, &m, MSG_DONTWAIT);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (done == 0) {
		c->k_eof = true;
		if (!c->rx_fin)
			host_wake_eof(c);
	}
	c->p_rx_prod += (uint64_t)done;
	return done;
}

/* What the kernel's socket is watched for. */
static void watch(struct host_conn *c)
{
	bool room = c->p_rx_prod - c->rx_cons < c->arena->rx_size;
	int ev = (room && !c->k_eof && !c->p_gone ? EV_READ : 0) |
		 (c->tx_prod != c->p_tx_acked ? EV_WRITE : 0);

	if (ev_is_active(&c->kio) && c->kio.events == ev)
		return;
	ev_io_stop(c->h->loop, &c->kio);
	if (ev) {
		ev_io_set(&c->kio, c->kfd, ev);
		ev_io_start(c->h->loop, &c->kio);
	}
}

/* Asks for kicks where we would wait for the program; true: it moved meanwhile. */
static bool arm(struct host_conn *c)
{
	bool drained = c->tx_prod == c->p_tx_acked;
	bool full = c->p_rx_prod - c->rx_cons == c->arena->rx_size;
	uint64_t tx = c->tx_prod, rx = c->rx_cons;

	__atomic_store_n(&c->gl->arm_tx, drained ? tx : IB_ARM_NEVER, __ATOMIC_RELAXED);
	__atomic_store_n(&c->gl->arm_rx, full ? rx : IB_ARM_NEVER, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return host_conn_cursors(c) && (c->tx_prod != tx || (full && c->rx_cons != rx));
}

/* Both ends' closing. True: the connection is gone. */
static bool finish(struct host_conn *c)
{
	bool drained = c->tx_prod == c->p_tx_acked && !c->unmarked;

	if (c->p_gone && (c->p_reset || c->p_rx_prod != c->rx_cons)) {
		host_pump_end(c, true);
		return true;
	}
	if (c->p_gone && drained) {
		host_pump_end(c, false);
		return true;
	}
	if (c->p_shut && drained && !c->k_fin) {
		c->k_fin = true;
		shutdown(c->kfd, SHUT_WR);
	}
	return false;
}

void host_pump_end(struct host_conn *c, bool rst)
{
	struct sockaddr sa = {.sa_family = AF_UNSPEC};
	struct host_flow *f = c->flow;

	if (rst && c->kfd >= 0) /* disconnecting resets, however many hold the socket */
		connect(c->kfd, &sa, sizeof(sa));
	if (!rst && !c->k_fin && c->kfd >= 0)
		shutdown(c->kfd, SHUT_WR);
	if (c->kfd >= 0)
		close(c->kfd);
	c->kfd = -1;
	if (f)
		f->last = host_now(c->h);
	host_conn_free(c);
}

/* The kernel's socket failed: the client reset it, or stopped answering. */
static void pump_failed(struct host_conn *c, int err)
{
	if (c->flow)
		c->flow->conn = NULL;
	c->flow = NULL;
	host_wake_dead(c, err);
}

/* Room and bytes for the program. */
static void pump_wake(struct host_conn *c)
{
	host_wake_reader(c);
	if (!c->unmarked)
		host_wake_writer(c);
}

void host_pump_run(struct host_conn *c)
{
	ev_timer_stop(c->h->loop, &c->timer);
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t tx, rx;

		if (!host_conn_cursors(c)) {
			host_pump_end(c, true);
			return;
		}
		if (c->unmarked)
			host_wake_unmarked(c);
		tx = pump_tx(c);
		rx = tx < 0 ? 0 : pump_rx(c);
		if (tx < 0 || rx < 0) {
			pump_failed(c, (int)-(tx < 0 ? tx : rx));
			return;
		}
		publish(c);
		if (tx || rx)
			c->progress = host_now(c->h);
		if (rx > 0)
			host_wake_reader(c);
		if (finish(c))
			return;
		if (!tx && !rx && !arm(c)) {
			pump_wake(c);
			watch(c);
			return;
		}
	}
	pump_wake(c);
	ev_timer_set(&c->timer, 0., 0.); /* go on in the next turn */
	ev_timer_start(c->h->loop, &c->timer);
}

void host_pump_start(struct host_conn *c)
{
	c->progress = host_now(c->h);
	publish(c);
	atomic_store(&c->meta->mode, HOST_M_PUMP);
	host_pump_run(c);
}
