/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock_pair.h - a server's and a client's end of one TCP connection in one process. Under tagrun
 * the server's end is accelerated (policy first-send) and the client's is the kernel's; without it
 * both are the kernel's: what the tests expect is what the kernel does.
 */
#ifndef SOCK_PAIR_H
#define SOCK_PAIR_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/** A connection. */
struct pair {
	int a; /* server's end */
	int c; /* client's end */
};

/** Connects, without a byte sent. */
static inline struct pair pair_native(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	struct pair p;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(l, 8), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&in, &len), 0);
	p.c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(p.c, (struct sockaddr *)&in, sizeof(in)), 0);
	p.a = accept(l, NULL, NULL);
	assert_true(p.a >= 0);
	close(l);
	return p;
}

/** Receives exactly n bytes. */
static inline void need(int fd, void *buf, size_t n)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = recv(fd, (char *)buf + done, n - done, 0);
		assert_true(r > 0);
		done += r;
	}
}

/** Connects, and the server has sent one byte that the client has received. */
static inline struct pair pair_open(void)
{
	struct pair p = pair_native();
	char b;

	assert_int_equal(send(p.a, "!", 1, 0), 1);
	need(p.c, &b, 1);
	assert_int_equal(b, '!');
	return p;
}

static inline void pair_close(struct pair *p)
{
	close(p->a);
	close(p->c);
}

/** The client sends, and the server's end has it. */
static inline void arrive(struct pair *p, const char *s)
{
	int n = 0, want;

	assert_int_equal(ioctl(p->a, FIONREAD, &n), 0);
	want = n + strlen(s);
	assert_int_equal(send(p->c, s, strlen(s), 0), strlen(s));
	for (int i = 0; i < 2000 && n < want; i++) {
		assert_int_equal(ioctl(p->a, FIONREAD, &n), 0);
		if (n < want)
			usleep(1000);
	}
	assert_int_equal(n, want);
}

/** Readiness of fd now, after waiting up to ms for any of `events`. */
static inline int ready(int fd, short events, int ms)
{
	struct pollfd pf = {fd, events, 0};

	assert_true(poll(&pf, 1, ms) >= 0);
	return pf.revents;
}

#endif
