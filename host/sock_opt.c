/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_opt.c - options, names and ioctls of an accelerated connection are those of the kernel's
 * socket, which taghostd and a hidden duplicate keep alive; what concerns readiness is P's, and
 * what counts bytes is the rings'.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "host/sock.h"
#include "host/sock_real.h"

/* Options that taghostd could not carry on with. */
static bool native_only(int level, int name)
{
	return (level == SOL_SOCKET && name == SO_ZEROCOPY) ||
	       (level == IPPROTO_TCP &&
		(name == TCP_ULP || name == TCP_MD5SIG || name == TCP_MD5SIG_EXT ||
		 name == TCP_REPAIR || name == TCP_ZEROCOPY_RECEIVE));
}

static int kernel_fd(const struct sock_call *k, int fd)
{
	int kfd = atomic_load(&k->c->kfd);

	return kfd >= 0 ? kfd : fd;
}

/* Fields of the IP header that taghostd tells the gateway. */
static bool ip_field(int level, int name)
{
	return (level == IPPROTO_IP && (name == IP_TOS || name == IP_TTL)) ||
	       (level == IPPROTO_IPV6 && (name == IPV6_TCLASS || name == IPV6_UNICAST_HOPS));
}

/* The kernel's socket has the option now; taghostd looks at it. */
static void ip_changed(struct sock_conn *c)
{
	if (!sock_slot_valid(c))
		return;
	atomic_store(&c->meta->ip_changed, 1);
	sock_kick(c);
}

SOCK_EXPORT int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	SOCK_CALL(k);
	int r;

	if (!sock_enter(&k, fd)) {
		if (k.c && native_only(level, name))
			atomic_store(&k.c->pinned, true);
		return REAL(setsockopt)(fd, level, name, val, len);
	}
	if (native_only(level, name)) {
		errno = level == SOL_SOCKET ? EOPNOTSUPP : ENOPROTOOPT;
		return -1;
	}
	if (level == SOL_SOCKET && name == SO_RCVTIMEO &&
	    REAL(setsockopt)(fd, level, name, val, len))
		return -1;
	r = REAL(setsockopt)(kernel_fd(&k, fd), level, name, val, len);
	if (!r && ip_field(level, name))
		ip_changed(k.c);
	return r;
}

SOCK_EXPORT int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	SOCK_CALL(k);
	int err;

	if (!sock_enter(&k, fd))
		return REAL(getsockopt)(fd, level, name, val, len);
	if (level == SOL_SOCKET && name == SO_ERROR && sock_slot_valid(k.c)) {
		err = (int)sock_take_err(k.c);
		if (!err)
			err = sock_take_soft(k.c);
		*len = *len < sizeof(err) ? *len : sizeof(err);
		memcpy(val, &err, *len);
		return 0;
	}
	return REAL(getsockopt)(kernel_fd(&k, fd), level, name, val, len);
}

SOCK_EXPORT int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	SOCK_CALL(k);

	return REAL(getsockname)(sock_enter(&k, fd) ? kernel_fd(&k, fd) : fd, addr, len);
}

SOCK_EXPORT int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	SOCK_CALL(k);

	return REAL(getpeername)(sock_enter(&k, fd) ? kernel_fd(&k, fd) : fd, addr, len);
}

static int queued(const struct sock_conn *c, bool unsent)
{
	const uint64_t *from = unsent ? &c->gl->tx_sent : &c->gl->tx_acked;
	uint64_t n = __atomic_load_n(&c->hl->tx_prod, __ATOMIC_RELAXED) -
		     __atomic_load_n(from, __ATOMIC_ACQUIRE);

	return n > c->arena->tx_size ? 0 : n;
}

SOCK_EXPORT int ioctl(int fd, unsigned long req, ...)
{
	SOCK_CALL(k);
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!sock_enter(&k, fd))
		return REAL(ioctl)(fd, req, arg);
	switch (req) {
	case FIONREAD:
		*(int *)arg = sock_rx_avail(k.c);
		return 0;
	case SIOCOUTQ:
		*(int *)arg = queued(k.c, false);
		return 0;
	case SIOCOUTQNSD:
		*(int *)arg = queued(k.c, true);
		return 0;
	case SIOCATMARK:
		*(int *)arg = 0;
		return 0;
	case FIONBIO:
	case FIOASYNC:
	case FIOCLEX:
	case FIONCLEX:
	case FIOSETOWN:
	case SIOCSPGRP:
	case FIOGETOWN:
	case SIOCGPGRP:
		return REAL(ioctl)(fd, req, arg);
	default:
		return REAL(ioctl)(kernel_fd(&k, fd), req, arg);
	}
}

/* Nothing more will be read: what is there is dropped, so that closing both sides ends with FIN. */
static void drop_unread(struct sock_conn *c)
{
	if (!sock_slot_lock(c, &c->meta->rx_lock))
		return;
	__atomic_store_n(&c->hl->rx_cons, c->hl->rx_cons + sock_rx_avail(c), __ATOMIC_RELEASE);
	pthread_mutex_unlock(&c->meta->rx_lock);
	sock_kick(c);
}

/* taghostd sees it at the other end of P. */
SOCK_EXPORT int shutdown(int fd, int how)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd))
		return REAL(shutdown)(fd, how);
	if (how == SHUT_WR || how == SHUT_RDWR)
		atomic_store(&k.c->tx_shut, true);
	if (how == SHUT_RD || how == SHUT_RDWR)
		atomic_store(&k.c->rx_shut, true);
	if (how == SHUT_RDWR && sock_slot_valid(k.c))
		drop_unread(k.c);
	return REAL(shutdown)(fd, how);
}
