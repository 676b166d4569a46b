/* SPDX-License-Identifier: BSD-3-Clause */
/* test_sock_calls.c - calls that move bytes, and the readiness they leave behind. */
#include "sock_pair.h"

#define BIG (8 << 20)

static void peek_then_read(void **state)
{
	struct pair p = pair_open();
	char b[16] = {0};

	arrive(&p, "hello");
	assert_int_equal(recv(p.a, b, 3, MSG_PEEK), 3);
	assert_memory_equal(b, "hel", 3);
	assert_int_equal(recv(p.a, b, sizeof(b), MSG_PEEK), 5);
	assert_int_equal(ready(p.a, POLLIN, 0), POLLIN);
	assert_int_equal(read(p.a, b, 2), 2);
	assert_int_equal(ready(p.a, POLLIN, 0), POLLIN);
	assert_int_equal(read(p.a, b, sizeof(b)), 3);
	assert_memory_equal(b, "llo", 3);
	assert_int_equal(ready(p.a, POLLIN, 0), 0);
	assert_int_equal(recv(p.a, b, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	pair_close(&p);
}

static void discard_with_trunc(void **state)
{
	struct pair p = pair_open();
	char b[16] = "untouched";

	arrive(&p, "hello");
	assert_int_equal(recv(p.a, b, 2, MSG_TRUNC), 2);
	assert_string_equal(b, "untouched");
	assert_int_equal(recv(p.a, b, 16, 0), 3);
	assert_memory_equal(b, "llo", 3);
	pair_close(&p);
}

static void *send_late(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < 4; i++) {
		usleep(20000);
		assert_int_equal(send(p->c, "abcd", 4, 0), 4);
	}
	return NULL;
}

static void wait_for_all(void **state)
{
	struct pair p = pair_open();
	char b[16];
	pthread_t t;

	pthread_create(&t, NULL, send_late, &p);
	assert_int_equal(recv(p.a, b, 16, MSG_WAITALL), 16);
	assert_memory_equal(b, "abcdabcdabcdabcd", 16);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, send_late, &p);
	assert_int_equal(read(p.a, b, 16), 4); /* blocks for the first */
	pthread_join(t, NULL);
	shutdown(p.c, SHUT_WR);
	assert_int_equal(recv(p.a, b, 16, MSG_WAITALL), 12);
	assert_int_equal(recv(p.a, b, 16, MSG_WAITALL), 0);
	pair_close(&p);
}

static void vectors(void **state)
{
	struct pair p = pair_open();
	char a[3], b[4], all[16];
	struct iovec out[3] = {{"one", 3}, {NULL, 0}, {"two!", 4}};
	struct iovec in[3] = {{a, 3}, {NULL, 0}, {b, 4}};
	struct msghdr m = {.msg_iov = in, .msg_iovlen = 3, .msg_namelen = 9};
	char addr[64];

	arrive(&p, "one");
	arrive(&p, "two!");
	assert_int_equal(readv(p.a, in, 3), 7);
	assert_memory_equal(a, "one", 3);
	assert_memory_equal(b, "two!", 4);
	assert_int_equal(writev(p.a, out, 3), 7);
	need(p.c, all, 7);
	assert_memory_equal(all, "onetwo!", 7);
	arrive(&p, "onetwo!");
	m.msg_name = addr;
	assert_int_equal(recvmsg(p.a, &m, 0), 7);
	assert_int_equal(m.msg_namelen, 0);
	assert_int_equal(m.msg_flags, 0);
	assert_memory_equal(b, "two!", 4);
	m = (struct msghdr){.msg_iov = out, .msg_iovlen = 3};
	assert_int_equal(sendmsg(p.a, &m, 0), 7);
	need(p.c, all, 7);
	assert_memory_equal(all, "onetwo!", 7);
	pair_close(&p);
}

static void many_messages(void **state)
{
	struct pair p = pair_open();
	char b[8];
	struct iovec out[2] = {{"abc", 3}, {"de", 2}}, in[2] = {{b, 3}, {b + 3, 2}};
	struct mmsghdr v[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};

	assert_int_equal(sendmmsg(p.a, v, 2, 0), 2);
	assert_int_equal(v[0].msg_len, 3);
	assert_int_equal(v[1].msg_len, 2);
	need(p.c, b, 5);
	assert_memory_equal(b, "abcde", 5);
	arrive(&p, "vwxyz");
	v[0].msg_hdr.msg_iov = &in[0];
	v[1].msg_hdr.msg_iov = &in[1];
	assert_int_equal(recvmmsg(p.a, v, 2, MSG_WAITFORONE, NULL), 2);
	assert_memory_equal(b, "vwxyz", 5);
	pair_close(&p);
}

static void counts(void **state)
{
	struct pair p = pair_open();
	char b[8];
	int n = -1;

	arrive(&p, "12345");
	assert_int_equal(read(p.a, b, 2), 2);
	assert_int_equal(ioctl(p.a, FIONREAD, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(read(p.a, b, 0), 0);
	assert_int_equal(send(p.a, "x", 1, 0), 1);
	need(p.c, b, 1);
	for (int i = 0; i < 1000 && n; i++) {
		assert_int_equal(ioctl(p.a, TIOCOUTQ, &n), 0);
		usleep(1000);
	}
	assert_int_equal(n, 0);
	pair_close(&p);
}

static void time_limits(void **state)
{
	struct timeval tv = {0, 60000}, got = {0}, t0, t1;
	socklen_t len = sizeof(got);
	struct pair p = pair_open();
	char b[8];

	assert_int_equal(setsockopt(p.a, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(getsockopt(p.a, SOL_SOCKET, SO_RCVTIMEO, &got, &len), 0);
	assert_int_equal(got.tv_usec, 60000);
	gettimeofday(&t0, NULL);
	assert_int_equal(recv(p.a, b, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	gettimeofday(&t1, NULL);
	timersub(&t1, &t0, &t1);
	assert_in_range(t1.tv_usec, 50000, 500000);
	pair_close(&p);
}

static size_t fill(int fd)
{
	static char buf[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		sum += n;
	assert_int_equal(errno, EAGAIN);
	return sum;
}

/* Also what the kernel's own buffers take. */
static size_t fill_all(int fd)
{
	size_t sum = 0, n;

	do
		sum += n = fill(fd);
	while (ready(fd, POLLOUT, 200) || n);
	return sum;
}

static void full_is_not_writable(void **state)
{
	struct timeval tv = {0, 60000};
	struct pair p = pair_open();
	static char buf[65536];
	size_t sum, got = 0;

	assert_int_equal(ready(p.a, POLLOUT, 0), POLLOUT);
	sum = fill_all(p.a);
	assert_int_equal(ready(p.a, POLLOUT, 0), 0);
	assert_int_equal(setsockopt(p.a, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(send(p.a, buf, sizeof(buf), 0), -1);
	assert_int_equal(errno, EAGAIN);
	while (got < sum) {
		ssize_t n = recv(p.c, buf, sizeof(buf), 0);

		assert_true(n > 0);
		got += n;
	}
	assert_int_equal(ready(p.a, POLLOUT, 2000), POLLOUT);
	assert_int_equal(send(p.a, "x", 1, 0), 1);
	need(p.c, buf, 1);
	assert_int_equal(ready(p.a, POLLOUT, 2000), POLLOUT);
	pair_close(&p);
}

static void edges(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 77};
	struct pair p = pair_native();
	int ep = epoll_create1(0);
	static char buf[65536];
	size_t sum, got = 0;

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.a, &ev), 0);
	assert_int_equal(send(p.a, "!", 1, 0), 1); /* the membership must follow the takeover */
	need(p.c, buf, 1);
	while (epoll_wait(ep, &ev, 1, 50) == 1) /* an edge too many is allowed */
		assert_int_equal(ev.data.u64, 77);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(send(p.c, "abc", 3, 0), 3);
		assert_int_equal(epoll_wait(ep, &ev, 1, 2000), 1);
		assert_true(ev.events & EPOLLIN);
		need(p.a, buf, 3);
		assert_int_equal(recv(p.a, buf, 1, MSG_DONTWAIT), -1);
	}
	while (epoll_wait(ep, &ev, 1, 20) == 1)
		;
	sum = fill_all(p.a);
	while (got < sum)
		got += recv(p.c, buf, sizeof(buf), 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 2000), 1);
	assert_true(ev.events & EPOLLOUT);
	close(ep);
	pair_close(&p);
}

/* Each arrival makes an edge, also while older bytes lie unread; and what epoll_ctl() asked for
 * after the takeover counts. */
static void edge_for_each_arrival(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 1};
	struct pair p = pair_native();
	int ep = epoll_create1(0);
	char b[8];

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.a, &ev), 0);
	assert_int_equal(send(p.a, "!", 1, 0), 1);
	need(p.c, b, 1);
	ev = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 2};
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, p.a, &ev), 0);
	for (int round = 0; round < 10; round++) {
		arrive(&p, "abc");
		while (epoll_wait(ep, &ev, 1, 20) == 1)
			;
		assert_int_equal(read(p.a, b, 1), 1);
		assert_int_equal(send(p.c, "d", 1, 0), 1);
		assert_int_equal(epoll_wait(ep, &ev, 1, 2000), 1);
		assert_int_equal(ev.data.u64, 2);
		assert_int_equal(ev.events, EPOLLIN | EPOLLOUT);
		need(p.a, b, 3);
	}
	close(ep);
	pair_close(&p);
}

static void *drain_all(void *arg)
{
	struct pair *p = arg;
	unsigned char *buf = malloc(BIG), *at = buf;
	ssize_t n;

	while ((n = recv(p->c, at, buf + BIG - at, 0)) > 0)
		at += n;
	return (at == buf + BIG) ? buf : NULL;
}

static void files(void **state)
{
	struct pair p = pair_open();
	FILE *f = tmpfile();
	unsigned char *data = malloc(BIG), *got;
	off_t off = BIG / 2;
	size_t left = BIG / 2;
	pthread_t t;
	ssize_t n;

	for (int i = 0; i < BIG; i++)
		data[i] = i * 2654435761u >> 24;
	assert_int_equal(write(fileno(f), data, BIG), BIG);
	lseek(fileno(f), 0, SEEK_SET);
	pthread_create(&t, NULL, drain_all, &p);
	for (; left; left -= n) { /* the file's own position */
		n = sendfile(p.a, fileno(f), NULL, left);
		assert_true(n > 0);
	}
	assert_int_equal(lseek(fileno(f), 0, SEEK_CUR), BIG / 2);
	while ((n = sendfile(p.a, fileno(f), &off, BIG)) > 0)
		;
	assert_int_equal(n, 0);
	assert_int_equal(off, BIG);
	assert_int_equal(lseek(fileno(f), 0, SEEK_CUR), BIG / 2);
	shutdown(p.a, SHUT_WR);
	pthread_join(t, (void **)&got);
	assert_non_null(got);
	assert_memory_equal(got, data, BIG);
	free(got);
	free(data);
	fclose(f);
	pair_close(&p);
}

static void splices(void **state)
{
	struct pair p = pair_open();
	char b[8];
	int pi[2];

	assert_int_equal(pipe(pi), 0);
	fcntl(p.a, F_SETFL, O_NONBLOCK);
	assert_int_equal(splice(p.a, NULL, pi[1], NULL, 10, 0), -1);
	assert_int_equal(errno, EAGAIN);
	fcntl(p.a, F_SETFL, 0);
	arrive(&p, "water");
	assert_int_equal(splice(p.a, NULL, pi[1], NULL, 10, 0), 5);
	assert_int_equal(splice(pi[0], NULL, p.a, NULL, 10, 0), 5);
	need(p.c, b, 5);
	assert_memory_equal(b, "water", 5);
	shutdown(p.c, SHUT_WR);
	assert_int_equal(splice(p.a, NULL, pi[1], NULL, 10, 0), 0);
	close(pi[0]);
	close(pi[1]);
	pair_close(&p);
}

static volatile sig_atomic_t hits;

static void on_signal(int sig)
{
	hits++;
}

static void *interrupt(void *arg)
{
	struct pair *p = arg;

	usleep(30000);
	kill(getpid(), SIGUSR1);
	usleep(30000);
	send(p->c, "x", 1, 0);
	return NULL;
}

static void signals(void **state)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct pair p = pair_open();
	sigset_t set;
	pthread_t t;
	char b;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (int restart = 0; restart < 2; restart++) {
		hits = 0;
		sa.sa_flags = restart ? SA_RESTART : 0;
		sigaction(SIGUSR1, &sa, NULL);
		pthread_sigmask(SIG_BLOCK, &set, NULL); /* for the thread */
		pthread_create(&t, NULL, interrupt, &p);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		errno = 0;
		assert_int_equal(recv(p.a, &b, 1, 0), restart ? 1 : -1);
		assert_int_equal(errno, restart ? 0 : EINTR);
		pthread_join(t, NULL);
		assert_int_equal(hits, 1);
		if (!restart)
			need(p.a, &b, 1);
	}
	pair_close(&p);
}

static void ends(void **state)
{
	struct pair p = pair_open();
	char b[8];

	arrive(&p, "last");
	shutdown(p.c, SHUT_WR);
	for (int i = 0; i < 1000 && !(ready(p.a, POLLRDHUP, 10) & POLLRDHUP); i++)
		;
	assert_int_equal(ready(p.a, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
	assert_int_equal(read(p.a, b, 8), 4);
	assert_int_equal(read(p.a, b, 8), 0);
	assert_int_equal(read(p.a, b, 8), 0);
	assert_int_equal(ready(p.a, POLLIN, 0), POLLIN);
	assert_int_equal(send(p.a, "still", 5, 0), 5); /* half closed */
	need(p.c, b, 5);
	assert_int_equal(shutdown(p.a, SHUT_WR), 0);
	assert_int_equal(recv(p.c, b, 8, 0), 0);
	assert_int_equal(send(p.a, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	pair_close(&p);
}

/* Both sides shut their sending before the server has read what came. */
static void both_shut_then_read(void **state)
{
	struct pair p = pair_open();
	char b[8];

	arrive(&p, "later");
	shutdown(p.c, SHUT_WR);
	shutdown(p.a, SHUT_WR);
	assert_int_equal(recv(p.c, b, 8, 0), 0);
	usleep(50000);
	assert_int_equal(read(p.a, b, 8), 5);
	assert_memory_equal(b, "later", 5);
	assert_int_equal(read(p.a, b, 8), 0);
	pair_close(&p);
}

static void broken_pipe(void **state)
{
	struct linger l = {1, 0};
	struct pair p = pair_open();
	char b[8];

	signal(SIGPIPE, on_signal);
	arrive(&p, "data");
	setsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(p.c); /* RST */
	for (int i = 0; i < 1000 && !(ready(p.a, POLLIN, 10) & POLLHUP); i++)
		;
	assert_int_equal(read(p.a, b, 8), 4);
	assert_int_equal(read(p.a, b, 8), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(read(p.a, b, 8), 0);
	hits = 0;
	assert_int_equal(send(p.a, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(hits, 0);
	assert_int_equal(write(p.a, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(hits, 1);
	close(p.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peek_then_read),
		cmocka_unit_test(discard_with_trunc),
		cmocka_unit_test(wait_for_all),
		cmocka_unit_test(vectors),
		cmocka_unit_test(many_messages),
		cmocka_unit_test(counts),
		cmocka_unit_test(time_limits),
		cmocka_unit_test(full_is_not_writable),
		cmocka_unit_test(edges),
		cmocka_unit_test(edge_for_each_arrival),
		cmocka_unit_test(files),
		cmocka_unit_test(splices),
		cmocka_unit_test(signals),
		cmocka_unit_test(ends),
		cmocka_unit_test(both_shut_then_read),
		cmocka_unit_test(broken_pipe),
	};

	alarm(60);
	return cmocka_run_group_tests_name("calls on sockets", tests, NULL, NULL);
}
