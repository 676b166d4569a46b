/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_out.c - the sending calls of the C library. Each of them may be the one that makes the
 * connection accelerated.
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "host/sock.h"
#include "host/sock_real.h"

static ssize_t tx_one(struct sock_call *k, int fd, const void *p, size_t n, int flags)
{
	struct iovec iov = {(void *)p, n > SSIZE_MAX ? SSIZE_MAX : n};

	return sock_tx_iov(k->c, fd, &iov, 1, flags);
}

/* What a call would send; 0: nothing, or nothing valid. */
static size_t iov_sum(const struct iovec *iov, size_t n)
{
	size_t sum = 0;

	if (n <= IOV_MAX)
		for (size_t i = 0; i < n; i++)
			sum += iov[i].iov_len;
	return sum;
}

SOCK_EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	SOCK_CALL(k);

	if (!sock_enter_out(&k, fd, n))
		return sock_sent(&k, REAL(write)(fd, p, n));
	return tx_one(&k, fd, p, n, 0);
}

SOCK_EXPORT ssize_t __write(int fd, const void *p, size_t n) __attribute__((alias("write")));

SOCK_EXPORT ssize_t send(int fd, const void *p, size_t n, int flags)
{
	SOCK_CALL(k);

	if (!sock_enter_out(&k, fd, n))
		return sock_sent(&k, REAL(send)(fd, p, n, flags));
	return tx_one(&k, fd, p, n, flags);
}

SOCK_EXPORT ssize_t __send(int fd, const void *p, size_t n, int flags)
	__attribute__((alias("send")));

SOCK_EXPORT ssize_t sendto(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
			   socklen_t len)
{
	SOCK_CALL(k);

	if (!sock_enter_out(&k, fd, n))
		return sock_sent(&k, REAL(sendto)(fd, p, n, flags, addr, len));
	return tx_one(&k, fd, p, n, flags);
}

SOCK_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	SOCK_CALL(k);

	if (n < 0 || n > IOV_MAX)
		return REAL(writev)(fd, iov, n);
	if (!sock_enter_out(&k, fd, iov_sum(iov, n)))
		return sock_sent(&k, REAL(writev)(fd, iov, n));
	return sock_tx_iov(k.c, fd, iov, n, 0);
}

/* On a socket only offset -1 (no offset) is meaningful. */
SOCK_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	SOCK_CALL(k);

	if (off != -1 || n < 0 || n > IOV_MAX || !sock_enter_out(&k, fd, iov_sum(iov, n)))
		return sock_sent(&k, REAL(pwritev2)(fd, iov, n, off, flags));
	return sock_tx_iov(k.c, fd, iov, n, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

SOCK_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("pwritev2")));

/* A message that passes tracked descriptors to another process makes them stay native. */
static void pin_passed(const struct msghdr *m)
{
	struct cmsghdr *h;
	struct sock_conn *c;
	int *fd;

	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR((struct msghdr *)m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		fd = (int *)CMSG_DATA(h);
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			c = sock_get(fd[i]);
			if (!c)
				continue;
			atomic_store(&c->pinned, true);
			if (sock_state(c) == SOCK_S_ACCEL)
				sock_log("descriptor %d is accelerated: passing it on is not "
					 "supported",
					 fd[i]);
			sock_put(c);
		}
	}
}

SOCK_EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	SOCK_CALL(k);

	if (!sock_enter_out(&k, fd, iov_sum(m->msg_iov, m->msg_iovlen))) {
		if (!k.c && m->msg_controllen)
			pin_passed(m);
		return sock_sent(&k, REAL(sendmsg)(fd, m, flags));
	}
	if (m->msg_iovlen > IOV_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return sock_tx_iov(k.c, fd, m->msg_iov, m->msg_iovlen, flags);
}

SOCK_EXPORT int sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags)
{
	SOCK_CALL(k);
	unsigned int i;
	ssize_t r, len;

	if (!sock_enter_out(&k, fd, n)) {
		r = REAL(sendmmsg)(fd, v, n, flags);
		for (i = 0; r > 0 && i < (unsigned int)r; i++)
			sock_sent(&k, v[i].msg_len);
		return r;
	}
	for (i = 0; i < n; i++) {
		r = sock_tx_iov(k.c, fd, v[i].msg_hdr.msg_iov, v[i].msg_hdr.msg_iovlen, flags);
		if (r < 0)
			return i ? (int)i : -1;
		v[i].msg_len = r;
		len = sock_iov_len(v[i].msg_hdr.msg_iov, v[i].msg_hdr.msg_iovlen);
		if (r < len)
			return i + 1;
	}
	return i;
}
