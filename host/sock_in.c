/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_in.c - the receiving calls of the C library, and the checked variants that _FORTIFY_SOURCE
 * makes of them.
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "host/sock.h"
#include "host/sock_real.h"

SOCK_EXPORT ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
SOCK_EXPORT ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
SOCK_EXPORT ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags,
				   __SOCKADDR_ARG addr, socklen_t *len);
extern void __chk_fail(void) __attribute__((noreturn));

static ssize_t rx_one(struct sock_call *k, int fd, void *p, size_t n, int flags)
{
	struct iovec iov = {p, n > SSIZE_MAX ? SSIZE_MAX : n};

	return sock_rx(k->c, fd, &iov, 1, flags);
}

SOCK_EXPORT ssize_t read(int fd, void *p, size_t n)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd))
		return REAL(read)(fd, p, n);
	return rx_one(&k, fd, p, n, 0);
}

SOCK_EXPORT ssize_t __read(int fd, void *p, size_t n) __attribute__((alias("read")));

SOCK_EXPORT ssize_t __read_chk(int fd, void *p, size_t n, size_t room)
{
	if (n > room)
		__chk_fail();
	return read(fd, p, n);
}

SOCK_EXPORT ssize_t recv(int fd, void *p, size_t n, int flags)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd))
		return REAL(recv)(fd, p, n, flags);
	return rx_one(&k, fd, p, n, flags);
}

SOCK_EXPORT ssize_t __recv(int fd, void *p, size_t n, int flags) __attribute__((alias("recv")));

SOCK_EXPORT ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags)
{
	if (n > room)
		__chk_fail();
	return recv(fd, p, n, flags);
}

SOCK_EXPORT ssize_t recvfrom(int fd, void *p, size_t n, int flags, __SOCKADDR_ARG addr,
			     socklen_t *len)
{
	SOCK_CALL(k);
	ssize_t r;

	if (!sock_enter(&k, fd))
		return REAL(recvfrom)(fd, p, n, flags, addr, len);
	r = rx_one(&k, fd, p, n, flags);
	if (r >= 0 && addr.__sockaddr__ && len)
		*len = 0; /* as TCP does */
	return r;
}

SOCK_EXPORT ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags,
				   __SOCKADDR_ARG addr, socklen_t *len)
{
	if (n > room)
		__chk_fail();
	return recvfrom(fd, p, n, flags, addr, len);
}

SOCK_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd) || n < 0 || n > IOV_MAX)
		return REAL(readv)(fd, iov, n);
	return sock_rx(k.c, fd, iov, n, 0);
}

/* On a socket only offset -1 (no offset) is meaningful. */
SOCK_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd) || off != -1 || n < 0 || n > IOV_MAX)
		return REAL(preadv2)(fd, iov, n, off, flags);
	return sock_rx(k.c, fd, iov, n, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

SOCK_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("preadv2")));

static ssize_t rx_msg(struct sock_call *k, int fd, struct msghdr *m, int flags)
{
	ssize_t r = sock_rx(k->c, fd, m->msg_iov, m->msg_iovlen, flags);

	if (r < 0)
		return r;
	m->msg_namelen = 0;
	m->msg_controllen = 0;
	m->msg_flags = flags & MSG_CMSG_CLOEXEC;
	return r;
}

SOCK_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	SOCK_CALL(k);

	if (!sock_enter(&k, fd) || m->msg_iovlen > IOV_MAX)
		return REAL(recvmsg)(fd, m, flags);
	return rx_msg(&k, fd, m, flags);
}

SOCK_EXPORT int recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags,
			 struct timespec *timeout)
{
	SOCK_CALL(k);
	uint64_t end = 0;
	unsigned int i;
	ssize_t r;

	if (!sock_enter(&k, fd))
		return REAL(recvmmsg)(fd, v, n, flags, timeout);
	if (timeout)
		end = sock_now() + timeout->tv_sec * UINT64_C(1000000000) + timeout->tv_nsec;
	for (i = 0; i < n; i++) {
		r = rx_msg(&k, fd, &v[i].msg_hdr, flags & ~MSG_WAITFORONE);
		if (r < 0)
			return i ? (int)i : -1;
		v[i].msg_len = r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (!r || (end && sock_now() >= end)) {
			i++;
			break;
		}
	}
	return i;
}
