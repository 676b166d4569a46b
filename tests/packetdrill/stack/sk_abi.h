/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_abi.h - the binary interface between packetdrill and a stack in a shared object
 * (`packetdrill --so_filename=FILE --so_flags=TEXT`): packetdrill looks up
 * packetdrill_interface_init() and calls the stack through the table that it filled.
 *
 * Calls answer as the socket calls they are named for: -1 with errno. Order and types of the
 * members are the interface.
 */
#ifndef TESTS_PACKETDRILL_SK_ABI_H
#define TESTS_PACKETDRILL_SK_ABI_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

/** The table; `ud` is always the member `ud`. */
struct sk_abi {
	void *ud;	      /* the stack */
	void (*free)(void *); /* end of the script; the table is dead */
	int (*socket)(void *ud, int domain, int type, int protocol);
	int (*bind)(void *ud, int fd, const struct sockaddr *a, socklen_t n);
	int (*listen)(void *ud, int fd, int backlog);
	int (*accept)(void *ud, int fd, struct sockaddr *a, socklen_t *n);
	int (*connect)(void *ud, int fd, const struct sockaddr *a, socklen_t n);
	ssize_t (*read)(void *ud, int fd, void *buf, size_t n);
	ssize_t (*readv)(void *ud, int fd, const struct iovec *v, int n);
	ssize_t (*recv)(void *ud, int fd, void *buf, size_t n, int flags);
	ssize_t (*recvfrom)(void *ud, int fd, void *buf, size_t n, int flags, struct sockaddr *a,
			    socklen_t *alen);
	ssize_t (*recvmsg)(void *ud, int fd, struct msghdr *m, int flags);
	ssize_t (*write)(void *ud, int fd, const void *buf, size_t n);
	ssize_t (*writev)(void *ud, int fd, const struct iovec *v, int n);
	ssize_t (*send)(void *ud, int fd, const void *buf, size_t n, int flags);
	ssize_t (*sendto)(void *ud, int fd, const void *buf, size_t n, int flags,
			  const struct sockaddr *a, socklen_t alen);
	ssize_t (*sendmsg)(void *ud, int fd, const struct msghdr *m, int flags);
	int (*fcntl)(void *ud, int fd, int cmd, ...);
	int (*ioctl)(void *ud, int fd, unsigned long request, ...);
	int (*close)(void *ud, int fd);
	int (*shutdown)(void *ud, int fd, int how);
	int (*getsockopt)(void *ud, int fd, int level, int name, void *v, socklen_t *n);
	int (*setsockopt)(void *ud, int fd, int level, int name, const void *v, socklen_t n);
	int (*poll)(void *ud, struct pollfd *fds, nfds_t n, int timeout_ms);
	/** An IP packet into the stack. */
	int (*netdev_send)(void *ud, const void *buf, size_t n);
	/** The next IP packet out of the stack: *n is room, then length, 0: there will be none. */
	int (*netdev_receive)(void *ud, void *buf, size_t *n, long long *usecs);
	int (*usleep)(void *ud, useconds_t usecs);
	int (*gettimeofday)(void *ud, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *ud, int size);
	int (*epoll_ctl)(void *ud, int epfd, int op, int fd, struct epoll_event *ev);
	int (*epoll_wait)(void *ud, int epfd, struct epoll_event *ev, int max, int timeout_ms);
	int (*pipe)(void *ud, int fds[2]);
	int (*splice)(void *ud, int in, loff_t *off_in, int out, loff_t *off_out, size_t n,
		      unsigned int flags);
};

#define SK_EXPORT __attribute__((visibility("default")))

/** What packetdrill looks up; flags may be NULL. */
SK_EXPORT void packetdrill_interface_init(const char *flags, struct sk_abi *abi);

/** What the runner of this directory asks for besides, by the name tagd_packetdrill_extra. */
struct sk_extra {
	/** netdev_receive() lets the time pass up to there, no further. */
	void (*limit)(void *ud, long long usecs);
	/** Calls that are blocked in the stack at this moment. */
	unsigned int (*blocked)(void *ud);
};
SK_EXPORT extern const struct sk_extra tagd_packetdrill_extra;

#endif
