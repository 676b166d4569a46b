/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_file.c - sendfile() and splice(). A file's bytes are read straight into the send ring: one
 * copy. splice() between a pipe and an accelerated socket copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#include "host/sock.h"
#include "host/sock_real.h"

#define MAX_COUNT 0x7ffff000u /* what the kernel moves in one call */

/** Source: a file or pipe. */
struct file_src {
	struct sock_src src; /* first: what sock_tx() knows */
	int fd;		     /* read from here */
	off_t *off;	     /* at this offset, which moves; NULL: at the file's own */
};

static ssize_t file_fill(struct sock_src *src, void *to, size_t n)
{
	struct file_src *s = (struct file_src *)src;
	ssize_t r;

	r = s->off ? sys_pread(s->fd, to, n, *s->off) : sys_read(s->fd, to, n);
	if (r < 0)
		return -errno;
	if (s->off)
		*s->off += r;
	return r;
}

SOCK_EXPORT ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
	struct file_src s = {.src.fill = file_fill, .fd = in, .off = off};
	SOCK_CALL(k);

	if (!sock_enter_out(&k, out, n))
		return sock_sent(&k, REAL(sendfile)(out, in, off, n));
	return sock_tx(k.c, out, &s.src, n > MAX_COUNT ? MAX_COUNT : n, 0);
}

SOCK_EXPORT ssize_t sendfile64(int out, int in, off_t *off, size_t n)
	__attribute__((alias("sendfile")));

/* Waits until a pipe is ready: 1, or 0: end, or -1: errno. */
static int pipe_ready(int fd, short events, unsigned int flags)
{
	short rev = 0;
	int r;

	sys_poll(fd, events, 0, &rev);
	if (!rev) {
		r = flags & SPLICE_F_NONBLOCK || sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK
			    ? EAGAIN
			    : sock_wait(fd, events, 0, &rev);
		if (r) {
			errno = r;
			return -1;
		}
	}
	return rev & events ? 1 : 0;
}

static ssize_t from_pipe(struct sock_call *k, int in, int out, size_t n, unsigned int flags)
{
	struct file_src s = {.src.fill = file_fill, .fd = in};
	int have = 0, r = pipe_ready(in, POLLIN, flags);

	if (r <= 0)
		return r;
	if (sys_ioctl(in, FIONREAD, &have) || !have)
		return 0;
	return sock_tx(k->c, out, &s.src, n > (size_t)have ? (size_t)have : n, 0);
}

static ssize_t to_pipe_take(const void *p, size_t n, void *ctx)
{
	return sys_write(*(int *)ctx, p, n);
}

/* A pipe that is writable takes PIPE_BUF bytes without waiting. */
static ssize_t to_pipe(struct sock_call *k, int in, int out, size_t n, unsigned int flags)
{
	ssize_t done = 0, r;
	short rev;

	if (pipe_ready(out, POLLOUT, flags) < 0)
		return -1;
	do {
		r = sock_rx_take(k->c, in, n - done > PIPE_BUF ? PIPE_BUF : n - done,
				 done ? MSG_DONTWAIT : 0, to_pipe_take, &out);
		if (r > 0)
			done += r;
		sys_poll(out, POLLOUT, 0, &rev);
	} while (r > 0 && (size_t)done < n && rev & POLLOUT);
	return done ? done : r;
}

SOCK_EXPORT ssize_t splice(int in, off_t *in_off, int out, off_t *out_off, size_t n,
			   unsigned int flags)
{
	SOCK_CALL(ki);
	SOCK_CALL(ko);

	if (sock_enter(&ki, in)) {
		if (in_off || out_off) {
			errno = ESPIPE;
			return -1;
		}
		return to_pipe(&ki, in, out, n, flags);
	}
	if (sock_enter_out(&ko, out, n)) {
		if (in_off || out_off) {
			errno = ESPIPE;
			return -1;
		}
		return from_pipe(&ko, in, out, n, flags);
	}
	return sock_sent(&ko, REAL(splice)(in, in_off, out, out_off, n, flags));
}
