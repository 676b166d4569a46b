/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_takeover.c - one connection becomes accelerated: taghostd gets the kernel's socket, and the
 * end of its socket pair takes the place of the program's descriptor, with everything the program
 * had arranged for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "host/sock.h"

#define RETRY_NS UINT64_C(1000000000)

/** Replaces every descriptor of a connection. */
struct replace {
	struct sock_conn *c; /* whose */
	int p;		     /* what takes their place */
	int err;	     /* first errno */
};

static void replace_one(int fd, struct sock_conn *c, void *ctx)
{
	struct replace *r = ctx;
	int e;

	if (c != r->c)
		return;
	e = sock_epoll_move(c, fd, r->p);
	if (e && !r->err)
		r->err = e;
}

/* What the program set on the kernel's socket and P must know too. */
static void copy_options(int fd, int p)
{
	int fl = sys_fcntl(fd, F_GETFL, 0), least = 0;
	struct timeval tv;
	unsigned int len = sizeof(tv);

	if (fl > 0 && fl & O_NONBLOCK)
		sys_fcntl(p, F_SETFL, O_RDWR | O_NONBLOCK);
	if (!sys_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len) && (tv.tv_sec || tv.tv_usec))
		sys_setsockopt(p, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	/* The least there is, so that the filler makes P unwritable. */
	sys_setsockopt(p, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

/* Asks and switches. Returns the state that follows. */
static enum sock_state take(struct sock_conn *c, int fd)
{
	struct replace rp = {.c = c};
	struct sock_grant g = {.p = -1};
	int kfd, r, fl = sys_fcntl(fd, F_GETFL, 0);

	if (fl < 0 || fl & O_ASYNC)
		return SOCK_S_NATIVE;
	kfd = sock_hide_dup(fd);
	if (kfd < 0)
		return SOCK_S_NATIVE;
	r = sock_ipc_takeover(kfd, c, &g);
	if (!r && !g.result && !sock_arena_slot(c, g.arena, g.slot, g.gen))
		r = EPROTO;
	if (r || g.result) {
		sock_unhide_close(kfd);
		if (g.p >= 0)
			sys_close(g.p);
		sock_log("descriptor %d stays native: error %d, reason %u", fd, r, g.result);
		if (r != ENOTCONN && !g.retry)
			return SOCK_S_NATIVE;
		atomic_store(&c->next_try, sock_now() + RETRY_NS);
		return SOCK_S_UNDECIDED;
	}
	copy_options(fd, g.p);
	atomic_store(&c->kfd, kfd);
	rp.p = g.p;
	if (atomic_load(&c->nfds) == 1)
		replace_one(fd, c, &rp);
	else
		sock_table_each(0, UINT32_MAX, replace_one, &rp);
	sys_close(g.p);
	sock_log("descriptor %d accelerated: arena %u slot %u", fd, g.arena->number, g.slot);
	return SOCK_S_ACCEL;
}

bool sock_takeover(struct sock_call *k, int fd)
{
	struct sock_conn *c = k->c;
	enum sock_state next;
	int saved = errno;

	pthread_mutex_lock(&c->mtx);
	if (!sock_set_state(c, SOCK_S_UNDECIDED, SOCK_S_TAKING)) {
		pthread_mutex_unlock(&c->mtx);
		return false; /* somebody is inside the kernel with it, or has decided already */
	}
	next = take(c, fd);
	sock_set_state(c, SOCK_S_TAKING, next);
	pthread_mutex_unlock(&c->mtx);
	if (next == SOCK_S_NATIVE && atomic_load(&c->nfds) == 1) {
		bool last;
		struct sock_conn *gone = sock_table_drop(fd, c, &last);

		if (gone)
			sock_put(gone);
	}
	errno = saved;
	return next == SOCK_S_ACCEL;
}
