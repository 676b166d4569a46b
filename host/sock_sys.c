/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_sys.c - system calls past any interposition, for the library's own use. None of them is a
 * cancellation point.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/sock.h"

int sys_close(int fd)
{
	return syscall(SYS_close, fd);
}

int sys_fcntl(int fd, int cmd, long arg)
{
	return syscall(SYS_fcntl, fd, cmd, arg);
}

int sys_dup3(int from, int to, int flags)
{
	return syscall(SYS_dup3, from, to, flags);
}

ssize_t sys_read(int fd, void *p, size_t n)
{
	return syscall(SYS_read, fd, p, n);
}

ssize_t sys_pread(int fd, void *p, size_t n, off_t off)
{
	return syscall(SYS_pread64, fd, p, n, off);
}

ssize_t sys_write(int fd, const void *p, size_t n)
{
	return syscall(SYS_write, fd, p, n);
}

ssize_t sys_recv(int fd, void *p, size_t n, int flags)
{
	return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t sys_send(int fd, const void *p, size_t n, int flags)
{
	return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t sys_sendmsg(int fd, const void *msg, int flags)
{
	return syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t sys_recvmsg(int fd, void *msg, int flags)
{
	return syscall(SYS_recvmsg, fd, msg, flags);
}

int sys_getsockopt(int fd, int level, int name, void *val, unsigned int *len)
{
	return syscall(SYS_getsockopt, fd, level, name, val, len);
}

int sys_setsockopt(int fd, int level, int name, const void *val, unsigned int len)
{
	return syscall(SYS_setsockopt, fd, level, name, val, len);
}

int sys_getsockname(int fd, void *addr, unsigned int *len)
{
	return syscall(SYS_getsockname, fd, addr, len);
}

int sys_getpeername(int fd, void *addr, unsigned int *len)
{
	return syscall(SYS_getpeername, fd, addr, len);
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

int sys_poll(int fd, short events, int timeout_ms, short *revents)
{
	struct pollfd pf = {.fd = fd, .events = events};
	struct timespec ts = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	int r = syscall(SYS_ppoll, &pf, 1, timeout_ms < 0 ? NULL : &ts, NULL, 8);

	*revents = pf.revents;
	return r;
}

int sys_ioctl(int fd, unsigned long req, void *arg)
{
	return syscall(SYS_ioctl, fd, req, arg);
}
