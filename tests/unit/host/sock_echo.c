/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_echo.c - an ordinary echo server, to be run under tagrun: sock_echo MODE PORT. MODE is how
 * it waits: threads, select, poll, epoll-lt, epoll-et, epoll-oneshot. Each connection has a buffer
 * of 64 KB; when that is full it stops reading, so that the client feels the back-pressure. At the
 * client's end of file it sends what it holds, and closes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX  1024
#define ROOM 65536
#define EDGE 1
#define SHOT 2

/** A connection. */
struct conn {
	int fd;		/* -1: none */
	size_t n;	/* bytes held */
	bool eof;	/* the client sends no more */
	char buf[ROOM]; /* what is to go back */
};

static struct conn *conns[MAX];
static int listener;

static void drop(struct conn *c)
{
	conns[c->fd] = NULL;
	close(c->fd);
	free(c);
}

/* Moves bytes until nothing moves; false: the connection is over. */
static bool move(struct conn *c)
{
	bool moved;
	ssize_t n;

	do {
		moved = false;
		if (!c->eof && c->n < ROOM) {
			n = read(c->fd, c->buf + c->n, ROOM - c->n);
			if (n > 0) {
				c->n += n;
				moved = true;
			} else if (!n) {
				c->eof = true;
			} else if (errno != EAGAIN) {
				return false;
			}
		}
		if (c->n) {
			n = send(c->fd, c->buf, c->n, MSG_NOSIGNAL);
			if (n > 0) {
				memmove(c->buf, c->buf + n, c->n - n);
				c->n -= n;
				moved = true;
			} else if (n < 0 && errno != EAGAIN) {
				return false;
			}
		}
	} while (moved);
	return !c->eof || c->n;
}

static struct conn *admit(bool nonblock)
{
	int fd = accept4(listener, NULL, NULL, nonblock ? SOCK_NONBLOCK : 0);
	struct conn *c;

	if (fd < 0 || fd >= MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	c->fd = fd;
	return conns[fd] = c;
}

static void *thread(void *arg)
{
	struct conn *c = arg;
	ssize_t n, done, r;

	while ((n = recv(c->fd, c->buf, ROOM, 0)) > 0)
		for (done = 0; done < n; done += r) {
			r = send(c->fd, c->buf + done, n - done, MSG_NOSIGNAL);
			if (r < 0)
				break;
		}
	drop(c);
	return NULL;
}

static void threads(void)
{
	struct conn *c;
	pthread_t t;

	while ((c = admit(false)))
		if (!pthread_create(&t, NULL, thread, c))
			pthread_detach(t);
}

static uint32_t wants(const struct conn *c)
{
	return (c->eof || c->n == ROOM ? 0 : POLLIN) | (c->n ? POLLOUT : 0);
}

static void with_poll(void)
{
	struct pollfd pf[MAX];
	int n;

	for (;;) {
		pf[0] = (struct pollfd){listener, POLLIN, 0};
		n = 1;
		for (int i = 0; i < MAX; i++)
			if (conns[i])
				pf[n++] = (struct pollfd){i, wants(conns[i]), 0};
		poll(pf, n, -1);
		for (int i = 1; i < n; i++)
			if (pf[i].revents && !move(conns[pf[i].fd]))
				drop(conns[pf[i].fd]);
		if (pf[0].revents)
			admit(true);
	}
}

static void with_select(void)
{
	fd_set r, w;

	for (;;) {
		FD_ZERO(&r);
		FD_ZERO(&w);
		FD_SET(listener, &r);
		for (int i = 0; i < MAX; i++) {
			if (conns[i] && wants(conns[i]) & POLLIN)
				FD_SET(i, &r);
			if (conns[i] && wants(conns[i]) & POLLOUT)
				FD_SET(i, &w);
		}
		select(MAX, &r, &w, NULL, NULL);
		for (int i = 0; i < MAX; i++)
			if (conns[i] && (FD_ISSET(i, &r) || FD_ISSET(i, &w)) && !move(conns[i]))
				drop(conns[i]);
		if (FD_ISSET(listener, &r))
			admit(true);
	}
}

static void with_epoll(int how)
{
	int ep = epoll_create1(0), n;
	struct epoll_event e[64], ev = {.events = EPOLLIN, .data.fd = listener};
	struct conn *c;

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++) {
			bool fresh = e[i].data.fd == listener;

			c = fresh ? admit(true) : conns[e[i].data.fd];
			if (!c)
				continue;
			if (!fresh && !move(c)) {
				drop(c);
				continue;
			}
			ev.data.fd = c->fd;
			ev.events = how == EDGE ? EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP
						: wants(c) | (how == SHOT ? EPOLLONESHOT : 0);
			if (fresh || how != EDGE)
				epoll_ctl(ep, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->fd, &ev);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	const char *mode;
	int one = 1;

	if (argc != 3)
		return 2;
	mode = argv[1];
	a.sin_port = htons(atoi(argv[2]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 128)) {
		perror("sock_echo");
		return 1;
	}
	if (!strcmp(mode, "threads"))
		threads();
	else if (!strcmp(mode, "select"))
		with_select();
	else if (!strcmp(mode, "poll"))
		with_poll();
	else
		with_epoll(!strcmp(mode, "epoll-et")	    ? EDGE
			   : !strcmp(mode, "epoll-oneshot") ? SHOT
							    : 0);
	return 0;
}
