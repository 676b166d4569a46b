/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_epoll.c - epoll memberships. The kernel keys them by (open file, descriptor): when another
 * file takes the descriptor's place they must be made again. So those of connections that may be
 * taken over are remembered; more than a few of them, and the connection stays native. Those of
 * accelerated ones are remembered for sock_epoll_again().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/sock.h"
#include "host/sock_real.h"

static struct sock_memb *find(struct sock_conn *c, int epfd, int fd)
{
	for (uint32_t i = 0; i < c->n_memb; i++)
		if (c->memb[i].epfd == epfd && c->memb[i].fd == fd)
			return &c->memb[i];
	return NULL;
}

/* Notes what a successful epoll_ctl() did. */
static void note(struct sock_conn *c, int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct sock_memb *m = find(c, epfd, fd);

	if (op == EPOLL_CTL_DEL) {
		if (m)
			*m = c->memb[--c->n_memb];
		return;
	}
	if (!m) {
		if (c->n_memb == SOCK_MAX_MEMB) {
			atomic_store(&c->pinned, true);
			return;
		}
		m = &c->memb[c->n_memb++];
	}
	*m = (struct sock_memb){epfd, fd, *ev};
}

SOCK_EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	SOCK_CALL(k);
	int r;

	sock_enter(&k, fd);
	r = REAL(epoll_ctl)(epfd, op, fd, ev);
	if (!r && k.c && sock_state(k.c) != SOCK_S_NATIVE) {
		pthread_mutex_lock(&k.c->mtx);
		note(k.c, epfd, op, fd, ev);
		pthread_mutex_unlock(&k.c->mtx);
	}
	return r;
}

/* An EPOLLONESHOT membership that has fired waits to be armed again: fdinfo tells its true mask. */
static bool disarmed(const struct sock_memb *m)
{
	char buf[8192], path[64], *p;
	int want = -1, tfd, f;
	unsigned int mask;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", m->epfd);
	f = open(path, O_RDONLY | O_CLOEXEC);
	if (f < 0)
		return false;
	/* Read on until the line is found; a line that is cut between two reads is rare and errs
	 * on the side of one event too many. */
	while (want < 0 && (n = sys_read(f, buf, sizeof(buf) - 1)) > 0) {
		buf[n] = 0;
		for (p = buf; (p = strstr(p, "tfd:")); p++)
			if (sscanf(p, "tfd: %d events: %x", &tfd, &mask) == 2 && tfd == m->fd) {
				want = !(mask & (EPOLLIN | EPOLLOUT | EPOLLERR));
				break;
			}
	}
	sys_close(f);
	return want > 0;
}

int sock_epoll_move(struct sock_conn *c, int fd, int p)
{
	int flags = sys_fcntl(fd, F_GETFD, 0), err = 0;
	bool in[SOCK_MAX_MEMB];
	struct epoll_event ev;
	struct sock_memb *m;

	for (uint32_t i = 0; i < c->n_memb; i++) {
		m = &c->memb[i];
		in[i] = false;
		if (m->fd != fd)
			continue;
		if (m->ev.events & EPOLLONESHOT && disarmed(m))
			m->ev.events &= EPOLLONESHOT | EPOLLET;
		in[i] = !sys_epoll_ctl(m->epfd, EPOLL_CTL_DEL, fd, &m->ev);
	}
	if (sys_dup3(p, fd, flags > 0 && flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		err = errno;
	for (uint32_t i = 0; i < c->n_memb; i++) {
		ev = c->memb[i].ev;
		if (in[i] && sys_epoll_ctl(c->memb[i].epfd, EPOLL_CTL_ADD, fd, &ev))
			sock_log("descriptor %d fell out of epoll %d: %s", fd, c->memb[i].epfd,
				 strerror(errno));
	}
	return err;
}

void sock_epoll_again(struct sock_conn *c, int fd)
{
	struct epoll_event ev;

	pthread_mutex_lock(&c->mtx);
	for (uint32_t i = 0; i < c->n_memb; i++) {
		const struct sock_memb *m = &c->memb[i];

		if (m->fd != fd || !(m->ev.events & EPOLLET) ||
		    m->ev.events & (EPOLLONESHOT | EPOLLEXCLUSIVE))
			continue;
		ev = m->ev;
		sys_epoll_ctl(m->epfd, EPOLL_CTL_MOD, fd, &ev);
	}
	pthread_mutex_unlock(&c->mtx);
}
