/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_real.h - the functions that libtagsock.so stands in front of: REAL(read)(fd, p, n) calls
 * the next definition in the search order, which is the C library's or another preloaded one.
 */
#ifndef HOST_SOCK_REAL_H
#define HOST_SOCK_REAL_H

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SOCK_FOREACH_REAL(_) \
	_(accept)            \
	_(accept4)           \
	_(close)             \
	_(dup)               \
	_(dup2)              \
	_(dup3)              \
	_(epoll_ctl)         \
	_(fcntl)             \
	_(fdopen)            \
	_(getpeername)       \
	_(getsockname)       \
	_(getsockopt)        \
	_(ioctl)             \
	_(listen)            \
	_(poll)              \
	_(ppoll)             \
	_(preadv2)           \
	_(pselect)           \
	_(pwritev2)          \
	_(read)              \
	_(readv)             \
	_(recv)              \
	_(recvfrom)          \
	_(recvmmsg)          \
	_(recvmsg)           \
	_(select)            \
	_(send)              \
	_(sendfile)          \
	_(sendmmsg)          \
	_(sendmsg)           \
	_(sendto)            \
	_(setsockopt)        \
	_(shutdown)          \
	_(splice)            \
	_(write)             \
	_(writev)

/** Index of each function in the table. */
enum sock_real_id {
#define _(f) SOCK_R_##f,
	SOCK_FOREACH_REAL(_)
#undef _
		SOCK_R_COUNT
};

/** Address of a function behind us; looks it up when needed (also before our constructor). */
void *sock_real(enum sock_real_id id);
/** Looks all of them up. */
void sock_real_init(void);

#define REAL(f) ((__typeof__(&f))sock_real(SOCK_R_##f))

#endif
