/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_so.c - the stack as packetdrill loads it (sk_abi.h).
 *
 * packetdrill asks the C library, not the stack, for TCP_INFO. Loaded by LD_PRELOAD as well, the
 * getsockopt() of this file answers for the descriptors of the stack. Otherwise those of
 * /dev/null answer ENOTSOCK: an assertion can fail then, but never pass on the host's numbers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sk.h"

/* Virtual time at the start, microseconds. Milliseconds wrap 32 bits five seconds later. */
#define START	 (((400ull << 32) - 5000) * 1000)
#define PATIENCE 3600000000ull /* how long nothing may be sent */
#define WSCALE	 7	       /* of our windows */
#define MAX_RUN	 64000	       /* payload of the longest packet */

static struct sk_stack *preloaded; /* the stack that getsockopt() below knows */

static struct sk_stack *lock(void *ud)
{
	struct sk_stack *st = ud;

	pthread_mutex_lock(&st->lock);
	return st;
}

/* Gives the lock back; r is the call's result and errno its error. */
static ssize_t done(struct sk_stack *st, ssize_t r)
{
	int err = errno;

	pthread_mutex_unlock(&st->lock);
	errno = err;
	return r;
}

static void so_free(void *ud)
{
	struct sk_stack *st = ud;
	struct sk_pkt *p;

	while ((p = STAILQ_FIRST(&st->out))) {
		STAILQ_REMOVE_HEAD(&st->out, link);
		free(p);
	}
	preloaded = NULL;
	free(st);
}

static int so_socket(void *ud, int domain, int type, int protocol)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_socket(st, domain, type, protocol));
}

static int so_bind(void *ud, int fd, const struct sockaddr *a, socklen_t n)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_bind(st, fd, a, n));
}

static int so_listen(void *ud, int fd, int backlog)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_listen(st, fd, backlog));
}

static int so_accept(void *ud, int fd, struct sockaddr *a, socklen_t *n)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_accept(st, fd, a, n));
}

static int so_connect(void *ud, int fd, const struct sockaddr *a, socklen_t n)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_connect(st, fd, a, n));
}

static ssize_t so_recv(void *ud, int fd, void *buf, size_t n, int flags)
{
	struct sk_stack *st = lock(ud);
	ssize_t r = sk_recv(st, fd, n, flags);

	if (r > 0 && buf)
		memset(buf, 0, (size_t)r);
	return done(st, r);
}

static ssize_t so_read(void *ud, int fd, void *buf, size_t n)
{
	return so_recv(ud, fd, buf, n, 0);
}

static ssize_t so_recvfrom(void *ud, int fd, void *buf, size_t n, int flags, struct sockaddr *a,
			   socklen_t *alen)
{
	if (alen)
		*alen = 0;
	return so_recv(ud, fd, buf, n, flags);
}

static size_t total(const struct iovec *v, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += v[i].iov_len;
	return len;
}

/* The stream is zeroes, and so are fresh buffers of packetdrill's. */
static ssize_t so_readv(void *ud, int fd, const struct iovec *v, int n)
{
	return so_recv(ud, fd, NULL, total(v, (size_t)n), 0);
}

static ssize_t so_recvmsg(void *ud, int fd, struct msghdr *m, int flags)
{
	m->msg_controllen = 0;
	m->msg_flags = 0;
	return so_recv(ud, fd, NULL, total(m->msg_iov, m->msg_iovlen), flags);
}

static ssize_t so_send(void *ud, int fd, const void *buf, size_t n, int flags)
{
	struct sk_stack *st = lock(ud);

	return done(st, sk_send(st, fd, n, flags));
}

static ssize_t so_write(void *ud, int fd, const void *buf, size_t n)
{
	return so_send(ud, fd, buf, n, 0);
}

static ssize_t so_sendto(void *ud, int fd, const void *buf, size_t n, int flags,
			 const struct sockaddr *a, socklen_t alen)
{
	return so_send(ud, fd, buf, n, flags);
}

static ssize_t so_writev(void *ud, int fd, const struct iovec *v, int n)
{
	return so_send(ud, fd, NULL, total(v, (size_t)n), 0);
}

static ssize_t so_sendmsg(void *ud, int fd, const struct msghdr *m, int flags)
{
	return so_send(ud, fd, NULL, total(m->msg_iov, m->msg_iovlen), flags);
}

static int so_fcntl(void *ud, int fd, int cmd, ...)
{
	struct sk_stack *st = lock(ud);
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)done(st, sk_fcntl(st, fd, cmd, arg));
}

static int so_ioctl(void *ud, int fd, unsigned long request, ...)
{
	struct sk_stack *st = lock(ud);
	va_list ap;
	int *v;

	va_start(ap, request);
	v = va_arg(ap, int *);
	va_end(ap);
	return (int)done(st, sk_ioctl(st, fd, request, v));
}

static int so_close(void *ud, int fd)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_close(st, fd));
}

static int so_shutdown(void *ud, int fd, int how)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_shutdown(st, fd, how));
}

static int so_getsockopt(void *ud, int fd, int level, int name, void *v, socklen_t *n)
{
	struct sk_stack *st = lock(ud);
	struct sk_sock *s = sk_fd(st, fd);

	return (int)done(st, s ? sk_getsockopt(s, level, name, v, n) : -1);
}

static int so_setsockopt(void *ud, int fd, int level, int name, const void *v, socklen_t n)
{
	struct sk_stack *st = lock(ud);
	struct sk_sock *s = sk_fd(st, fd);

	return (int)done(st, s ? sk_setsockopt(s, level, name, v, n) : -1);
}

static int so_poll(void *ud, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_poll(st, fds, n, timeout_ms));
}

static int so_netdev_send(void *ud, const void *buf, size_t n)
{
	struct sk_stack *st = lock(ud);

	return (int)done(st, sk_receive(st, buf, n) ? -1 : 0);
}

static int so_netdev_receive(void *ud, void *buf, size_t *n, long long *usecs)
{
	struct sk_stack *st = lock(ud);
	uint64_t end = st->limit ? st->limit : st->now + PATIENCE;
	struct sk_pkt *p;

	while (STAILQ_EMPTY(&st->out) && sk_next(st) <= end)
		sk_step(st, sk_next(st));
	p = STAILQ_FIRST(&st->out);
	*n = p ? p->len < *n ? p->len : *n : 0;
	if (p) {
		memcpy(buf, p->ip, *n);
		*usecs = (long long)p->at;
		STAILQ_REMOVE_HEAD(&st->out, link);
		free(p);
	}
	return (int)done(st, 0);
}

static int so_usleep(void *ud, useconds_t usecs)
{
	struct sk_stack *st = lock(ud);

	sk_advance(st, st->now + usecs);
	return (int)done(st, 0);
}

/* Who looks at the clock again and again waits for it to move. */
static int so_gettimeofday(void *ud, struct timeval *tv, struct timezone *tz)
{
	struct sk_stack *st = lock(ud);

	tv->tv_sec = (time_t)(st->now / 1000000);
	tv->tv_usec = (suseconds_t)(st->now % 1000000);
	if (st->held) {
		st->held--;
		pthread_cond_signal(&st->read);
	} else if (!st->limit) {
		sk_advance(st, st->now + 1);
	}
	return (int)done(st, 0);
}

static int unsupported(void)
{
	errno = ENOSYS;
	return -1;
}

static int so_epoll_create(void *ud, int size)
{
	return unsupported();
}

static int so_epoll_ctl(void *ud, int epfd, int op, int fd, struct epoll_event *ev)
{
	return unsupported();
}

static int so_epoll_wait(void *ud, int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
	return unsupported();
}

static int so_pipe(void *ud, int fds[2])
{
	return unsupported();
}

static int so_splice(void *ud, int in, loff_t *off_in, int out, loff_t *off_out, size_t n,
		     unsigned int flags)
{
	return unsupported();
}

static void limit(void *ud, long long usecs)
{
	struct sk_stack *st = lock(ud);

	st->limit = (uint64_t)usecs;
	done(st, 0);
}

static unsigned int blocked(void *ud)
{
	struct sk_stack *st = lock(ud);
	unsigned int n = st->blocked;

	done(st, 0);
	return n;
}

const struct sk_extra tagd_packetdrill_extra = {limit, blocked};

static struct sk_stack *new_stack(const char *flags)
{
	static const uint8_t seed[4 * TCP_KEY_LEN] = "no secret: runs are to be the same";
	struct sk_stack *st = calloc(1, sizeof(*st));

	if (!st)
		abort();
	pthread_mutex_init(&st->lock, NULL);
	pthread_cond_init(&st->wake, NULL);
	pthread_cond_init(&st->read, NULL);
	STAILQ_INIT(&st->out);
	st->now = st->start = START;
	st->iss = 0xfffff000u;
	st->opts = TCP_O_ALL;
	st->wscale = WSCALE;
	st->ecn = SK_ECN_ACCEPT;
	st->cookies = TCP_COOKIE_FULL;
	tcp_keys_init(&st->keys, seed);
	tcp_cfg_default(&st->cfg);
	st->cfg.ops = &sk_ops;
	tcp_pool_init(&st->pool, st->rec, SK_REC, SK_REC / 2);
	st->cfg.pool = &st->pool;
	st->cfg.keys = &st->keys;
	st->cfg.max_burst = MAX_RUN;
	sk_flags(st, flags);
	return st;
}

void packetdrill_interface_init(const char *flags, struct sk_abi *abi)
{
	struct sk_stack *st = new_stack(flags);

	preloaded = st;
	*abi = (struct sk_abi){
		.ud = st,
		.free = so_free,
		.socket = so_socket,
		.bind = so_bind,
		.listen = so_listen,
		.accept = so_accept,
		.connect = so_connect,
		.read = so_read,
		.readv = so_readv,
		.recv = so_recv,
		.recvfrom = so_recvfrom,
		.recvmsg = so_recvmsg,
		.write = so_write,
		.writev = so_writev,
		.send = so_send,
		.sendto = so_sendto,
		.sendmsg = so_sendmsg,
		.fcntl = so_fcntl,
		.ioctl = so_ioctl,
		.close = so_close,
		.shutdown = so_shutdown,
		.getsockopt = so_getsockopt,
		.setsockopt = so_setsockopt,
		.poll = so_poll,
		.netdev_send = so_netdev_send,
		.netdev_receive = so_netdev_receive,
		.usleep = so_usleep,
		.gettimeofday = so_gettimeofday,
		.epoll_create = so_epoll_create,
		.epoll_ctl = so_epoll_ctl,
		.epoll_wait = so_epoll_wait,
		.pipe = so_pipe,
		.splice = so_splice,
	};
}

/* See above. Only the shared object that packetdrill loads may replace the C library's. */
#ifdef SK_PRELOAD
SK_EXPORT int getsockopt(int fd, int level, int name, void *v, socklen_t *n)
{
	int (*real)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");

	if (preloaded && sk_fd(preloaded, fd))
		return so_getsockopt(preloaded, fd, level, name, v, n);
	return real(fd, level, name, v, n);
}
#endif
