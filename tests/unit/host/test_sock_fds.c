/* SPDX-License-Identifier: BSD-3-Clause */
/* test_sock_fds.c - descriptors: duplicates, closing, processes, options, streams, epoll sets. */
#include "sock_pair.h"

#include <linux/close_range.h>
#include <sys/resource.h>

static void duplicates(void **state)
{
	struct pair p = pair_open();
	char b[8];
	int d = dup(p.a), e = fcntl(p.a, F_DUPFD_CLOEXEC, 100), f;

	assert_true(d >= 0 && e >= 100);
	f = dup2(p.a, 90);
	assert_int_equal(f, 90);
	arrive(&p, "abcd");
	assert_int_equal(read(d, b, 1), 1);
	assert_int_equal(read(e, b + 1, 1), 1);
	assert_int_equal(read(f, b + 2, 1), 1);
	close(p.a);
	close(e);
	assert_int_equal(read(d, b + 3, 1), 1);
	assert_memory_equal(b, "abcd", 4);
	assert_int_equal(send(f, "x", 1, 0), 1);
	need(p.c, b, 1);
	close(f);
	assert_int_equal(recv(p.c, b, 1, MSG_DONTWAIT), -1); /* not closed yet */
	assert_int_equal(errno, EAGAIN);
	close(d);
	assert_int_equal(recv(p.c, b, 1, 0), 0);
	close(p.c);
}

static void duplicated_before(void **state)
{
	struct pair p = pair_native();
	int d = dup(p.a);
	char b[8];

	assert_int_equal(send(p.a, "!", 1, 0), 1);
	assert_int_equal(send(d, "?", 1, 0), 1);
	need(p.c, b, 2);
	assert_memory_equal(b, "!?", 2);
	arrive(&p, "ab");
	assert_int_equal(read(p.a, b, 1), 1);
	assert_int_equal(read(d, b, 1), 1);
	close(d);
	pair_close(&p);
}

static void replaced_by_dup2(void **state)
{
	struct pair p = pair_open();
	char b[8];
	int pi[2];

	assert_int_equal(pipe(pi), 0);
	assert_int_equal(dup2(pi[0], p.a), p.a); /* closes the connection */
	assert_int_equal(recv(p.c, b, 1, 0), 0);
	assert_int_equal(write(pi[1], "pipe", 4), 4);
	assert_int_equal(read(p.a, b, 8), 4);
	assert_int_equal(recv(p.a, b, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ENOTSOCK);
	close(pi[0]);
	close(pi[1]);
	pair_close(&p);
}

static void ranges(void **state)
{
	struct pair p = pair_open(), q = pair_open();
	int high = fcntl(p.a, F_DUPFD, 200);
	char b[8];

	close(p.a);
	assert_int_equal(close_range(200, ~0u, 0), 0); /* leaves q, and what q needs */
	assert_int_equal(recv(p.c, b, 1, 0), 0);
	assert_int_equal(fcntl(high, F_GETFD), -1);
	arrive(&q, "ok");
	assert_int_equal(read(q.a, b, 2), 2);
	assert_int_equal(send(q.a, "fine", 4, 0), 4);
	need(q.c, b, 4);
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	assert_int_equal(getpeername(q.a, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(in.sin_family, AF_INET);
	pair_close(&q);
	close(p.c);
}

static void close_every_number(void **state)
{
	struct pair p = pair_open();
	struct rlimit rl;
	char b[8];

	getrlimit(RLIMIT_NOFILE, &rl);
	for (int fd = 20; fd < (int)rl.rlim_cur && fd < 70000; fd++)
		if (fd != p.a && fd != p.c)
			close(fd);
	arrive(&p, "ok");
	assert_int_equal(read(p.a, b, 2), 2);
	assert_int_equal(send(p.a, "ok", 2, 0), 2);
	need(p.c, b, 2);
	pair_close(&p);
}

static void processes(void **state)
{
	struct pair p = pair_open();
	int status;
	char b[8];
	pid_t pid;

	arrive(&p, "pc");
	assert_int_equal(read(p.a, b, 1), 1);
	assert_int_equal(b[0], 'p');
	pid = fork();
	if (!pid) {
		close(p.c);
		if (read(p.a, b, 1) != 1 || b[0] != 'c' || send(p.a, "child", 5, 0) != 5)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	need(p.c, b, 5);
	assert_memory_equal(b, "child", 5);
	assert_int_equal(send(p.a, "parent", 6, 0), 6);
	need(p.c, b, 6);
	assert_memory_equal(b, "parent", 6);
	pair_close(&p);
}

/* The pattern of servers with a process per connection. */
static void forked_before_the_first_byte(void **state)
{
	struct pair p = pair_native();
	int status;
	char b[8];
	pid_t pid = fork();

	if (!pid) {
		close(p.c);
		_exit(send(p.a, "child", 5, 0) == 5 ? 0 : 1);
	}
	close(p.a);
	need(p.c, b, 5);
	assert_int_equal(recv(p.c, b, 1, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(p.c);
}

static void vfork_and_exec(void **state)
{
	struct pair p = pair_open();
	char b[8];
	int status;
	pid_t pid;

	pid = vfork();
	if (!pid) {
		close(p.a); /* must not end the parent's */
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(system("exit 3") >> 8, 3);
	arrive(&p, "ok");
	assert_int_equal(read(p.a, b, 2), 2);
	assert_int_equal(send(p.a, "ok", 2, 0), 2);
	need(p.c, b, 2);
	pair_close(&p);
}

static void options(void **state)
{
	struct pair p = pair_open();
	struct sockaddr_in a, c;
	socklen_t len = sizeof(a), l2 = sizeof(c);
	int v = 1, one = 1;
	char b[2];

	assert_int_equal(getpeername(p.a, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(getsockname(p.c, (struct sockaddr *)&c, &l2), 0);
	assert_int_equal(a.sin_port, c.sin_port);
	assert_int_equal(setsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	len = sizeof(v);
	v = 0;
	assert_int_equal(getsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
	assert_true(v);
	assert_int_equal(getsockopt(p.a, SOL_SOCKET, SO_DOMAIN, &v, &len), 0);
	assert_int_equal(v, AF_INET);
	assert_int_equal(getsockopt(p.a, SOL_SOCKET, SO_ERROR, &v, &len), 0);
	assert_int_equal(v, 0);
	assert_int_equal(ioctl(p.a, FIONBIO, &one), 0);
	assert_true(fcntl(p.a, F_GETFL) & O_NONBLOCK);
	assert_int_equal(read(p.a, b, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(p.a, F_SETFL, O_RDWR), 0);
	assert_int_equal(lseek(p.a, 0, SEEK_CUR), -1);
	assert_int_equal(errno, ESPIPE);
	pair_close(&p);
}

static void keeps_flags(void **state)
{
	struct pair p = pair_native();
	char b;

	assert_int_equal(fcntl(p.a, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(p.a, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	assert_int_equal(send(p.a, "!", 1, 0), 1);
	assert_int_equal(fcntl(p.a, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(p.a, F_GETFL) & O_NONBLOCK);
	need(p.c, &b, 1);
	pair_close(&p);
}

static void oneshot_stays_disarmed(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = 5};
	struct pair p = pair_native();
	int ep = epoll_create1(EPOLL_CLOEXEC);
	char b[8];

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.a, &ev), 0);
	arrive(&p, "first");
	assert_int_equal(epoll_wait(ep, &ev, 1, 1000), 1);
	assert_int_equal(send(p.a, "!", 1, 0), 1); /* taken over while disarmed */
	need(p.c, b, 1);
	assert_int_equal(epoll_wait(ep, &ev, 1, 100), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, p.a, &ev), 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 1000), 1);
	assert_int_equal(ev.data.u32, 5);
	need(p.a, b, 5);
	close(ep);
	pair_close(&p);
}

static void epoll_sets(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct pair p = pair_native();
	int ep[3];
	char b[8];

	for (int i = 0; i < 3; i++) {
		ep[i] = epoll_create1(EPOLL_CLOEXEC);
		ev.data.u32 = i;
		ev.events = EPOLLIN;
		assert_int_equal(epoll_ctl(ep[i], EPOLL_CTL_ADD, p.a, &ev), 0);
	}
	assert_int_equal(epoll_ctl(ep[1], EPOLL_CTL_DEL, p.a, NULL), 0);
	ev.data.u32 = 99;
	assert_int_equal(epoll_ctl(ep[2], EPOLL_CTL_MOD, p.a, &ev), 0);
	assert_int_equal(send(p.a, "!", 1, 0), 1);
	arrive(&p, "x");
	assert_int_equal(epoll_wait(ep[0], &ev, 1, 1000), 1);
	assert_int_equal(ev.data.u32, 0);
	assert_int_equal(epoll_wait(ep[1], &ev, 1, 0), 0);
	assert_int_equal(epoll_wait(ep[2], &ev, 1, 1000), 1);
	assert_int_equal(ev.data.u32, 99);
	need(p.a, b, 1);
	assert_int_equal(epoll_ctl(ep[1], EPOLL_CTL_ADD, p.a, &ev), 0);
	assert_int_equal(epoll_ctl(ep[0], EPOLL_CTL_DEL, p.a, NULL), 0);
	for (int i = 0; i < 3; i++)
		close(ep[i]);
	pair_close(&p);
}

static void streams(void **state)
{
	struct pair p = pair_open(), q = pair_native();
	char line[32];
	FILE *f = fdopen(p.a, "r+");

	assert_non_null(f);
	arrive(&p, "line one\nline two\n");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "line one\n");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "line two\n");
	fflush(f);
	assert_true(fprintf(f, "answer %d\n", 42) > 0);
	fflush(f);
	need(p.c, line, 10);
	assert_memory_equal(line, "answer 42\n", 10);
	assert_int_equal(fileno(f), p.a);
	fclose(f);
	assert_int_equal(recv(p.c, line, 1, 0), 0);
	close(p.c);

	f = fdopen(q.a, "w"); /* before the first byte */
	assert_non_null(f);
	fputs("hello", f);
	fclose(f);
	need(q.c, line, 5);
	assert_int_equal(recv(q.c, line, 1, 0), 0);
	close(q.c);
}

/* Calls from inside the C library reach P as they are: bytes of the stream all the same. */
static void unmarked_bytes(void **state)
{
	struct pair p = pair_open();
	char b[8];

	assert_int_equal(dprintf(p.a, "%s", "raw"), 3);
	need(p.c, b, 3);
	assert_memory_equal(b, "raw", 3);
	pair_close(&p);
}

static void abortive_close(void **state)
{
	struct linger l = {1, 0};
	struct pair p = pair_open();
	char b;

	assert_int_equal(setsockopt(p.a, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(p.a);
	assert_int_equal(recv(p.c, &b, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(p.c);
}

static void close_with_unread_bytes(void **state)
{
	struct pair p = pair_open();
	char b;

	arrive(&p, "ignored");
	close(p.a);
	assert_int_equal(recv(p.c, &b, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(p.c);
}

static void *block_in_recv(void *arg)
{
	struct pair *p = arg;
	char b;

	return (void *)(intptr_t)recv(p->a, &b, 1, 0);
}

static void shutdown_wakes_a_reader(void **state)
{
	struct pair p = pair_open();
	void *r;
	pthread_t t;

	pthread_create(&t, NULL, block_in_recv, &p);
	usleep(30000);
	assert_int_equal(shutdown(p.a, SHUT_RDWR), 0);
	pthread_join(t, &r);
	assert_null(r);
	assert_true(ready(p.a, POLLIN, 0) & POLLHUP);
	pair_close(&p);
}

static void cancellation(void **state)
{
	struct pair p = pair_open();
	pthread_t t;
	void *r;
	char b;

	pthread_create(&t, NULL, block_in_recv, &p);
	usleep(30000);
	pthread_cancel(t);
	pthread_join(t, &r);
	assert_ptr_equal(r, PTHREAD_CANCELED);
	arrive(&p, "x");
	assert_int_equal(read(p.a, &b, 1), 1);
	pair_close(&p);
}

static void *block_in_poll(void *arg)
{
	struct pair *p = arg;
	char b;

	ready(p->a, POLLIN, 3000);
	return (void *)(intptr_t)recv(p->a, &b, 1, MSG_DONTWAIT);
}

/* One thread waits for bytes while another sends the first ones. */
static void first_send_beside_a_reader(void **state)
{
	struct pair p;
	pthread_t t;
	void *r;
	char b;

	for (int i = 0; i < 2; i++) {
		p = pair_native();
		pthread_create(&t, NULL, i ? block_in_poll : block_in_recv, &p);
		usleep(30000);
		assert_int_equal(send(p.a, "!", 1, 0), 1);
		need(p.c, &b, 1);
		assert_int_equal(send(p.c, "x", 1, 0), 1);
		pthread_join(t, &r);
		assert_int_equal((intptr_t)r, 1);
		pair_close(&p);
	}
}

/* Everything at once: two first sends, a reader, duplicates, an epoll set. */
struct race {
	struct pair p; /* the connection */
	int ep;	       /* an epoll set it is added to */
	pthread_barrier_t go;
};

static void *race_send(void *arg)
{
	struct race *r = arg;

	pthread_barrier_wait(&r->go);
	return (void *)(intptr_t)(send(r->p.a, "s", 1, 0) == 1);
}

static void *race_dup(void *arg)
{
	struct race *r = arg;
	bool ok = true;
	int d;

	pthread_barrier_wait(&r->go);
	for (int i = 0; i < 5 && ok; i++) {
		d = dup(r->p.a);
		ok = d >= 0 && send(d, "d", 1, 0) == 1 && !close(d);
	}
	return (void *)(intptr_t)ok;
}

static void *race_epoll(void *arg)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = 9};
	struct race *r = arg;
	char b;

	pthread_barrier_wait(&r->go);
	if (epoll_ctl(r->ep, EPOLL_CTL_ADD, r->p.a, &ev) || epoll_wait(r->ep, &ev, 1, 5000) != 1)
		return NULL;
	while (recv(r->p.a, &b, 1, MSG_DONTWAIT) != 1)
		if (errno != EAGAIN || epoll_wait(r->ep, &ev, 1, 5000) != 1)
			return NULL;
	return r;
}

static void races(void **state)
{
	void *(*const f[])(void *) = {race_send, race_send, race_dup, race_epoll};
	pthread_t t[4];
	struct race r;
	char b[7];
	void *ok;

	for (int round = 0; round < 100; round++) {
		r.p = pair_native();
		r.ep = epoll_create1(EPOLL_CLOEXEC);
		pthread_barrier_init(&r.go, NULL, 5);
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, f[i], &r);
		pthread_barrier_wait(&r.go);
		assert_int_equal(send(r.p.c, "x", 1, 0), 1);
		need(r.p.c, b, 7);
		for (int i = 0; i < 4; i++) {
			pthread_join(t[i], &ok);
			assert_non_null(ok);
		}
		close(r.ep);
		pair_close(&r.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(duplicates),
		cmocka_unit_test(duplicated_before),
		cmocka_unit_test(replaced_by_dup2),
		cmocka_unit_test(ranges),
		cmocka_unit_test(close_every_number),
		cmocka_unit_test(processes),
		cmocka_unit_test(forked_before_the_first_byte),
		cmocka_unit_test(vfork_and_exec),
		cmocka_unit_test(options),
		cmocka_unit_test(keeps_flags),
		cmocka_unit_test(oneshot_stays_disarmed),
		cmocka_unit_test(epoll_sets),
		cmocka_unit_test(streams),
		cmocka_unit_test(unmarked_bytes),
		cmocka_unit_test(abortive_close),
		cmocka_unit_test(close_with_unread_bytes),
		cmocka_unit_test(shutdown_wakes_a_reader),
		cmocka_unit_test(cancellation),
		cmocka_unit_test(first_send_beside_a_reader),
		cmocka_unit_test(races),
	};

	alarm(60);
	return cmocka_run_group_tests_name("descriptors of sockets", tests, NULL, NULL);
}
