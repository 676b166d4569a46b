/* SPDX-License-Identifier: BSD-3-Clause */
/* test_sock_arena.c - mapping arenas, slots, kicks and robust locks of the socket layer. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/sock.h"

/* What the tested file needs of the others. */
int sock_hide_dup(int fd)
{
	return dup(fd);
}

/** An arena in the making. */
struct fixture {
	int memfd;
	int evfd;
	struct host_arena_hdr *h; /* mapped */
	size_t size;		  /* of the memfd */
};

static void make(struct fixture *f)
{
	struct host_arena_hdr h = {.magic = HOST_ARENA_MAGIC, .version = HOST_ARENA_VERSION};

	h.slots = 130;
	h.tx_size = 8192;
	h.rx_size = 4096;
	h.off_host = 4096;
	h.off_gw = h.off_host + h.slots * sizeof(struct ib_host_line);
	h.off_meta = h.off_gw + h.slots * sizeof(struct ib_gw_line);
	h.off_tx = h.off_meta + h.slots * sizeof(struct host_meta);
	h.off_rx = h.off_tx + (uint64_t)h.slots * h.tx_size;
	h.size = h.off_rx + (uint64_t)h.slots * h.rx_size;
	f->size = h.size;
	f->memfd = memfd_create("arena", MFD_CLOEXEC);
	f->evfd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(ftruncate(f->memfd, h.size), 0);
	f->h = mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	assert_ptr_not_equal(f->h, MAP_FAILED);
	memcpy(f->h, &h, sizeof(h));
}

static void unmake(struct fixture *f, struct sock_arena *a)
{
	munmap(f->h, f->size);
	close(f->memfd);
	close(f->evfd);
	if (a) {
		munmap(a->hdr, f->size);
		close(a->evfd);
		free(a);
	}
}

static void refuses(struct fixture *f)
{
	assert_null(sock_arena_map(f->memfd, f->evfd, 0));
	unmake(f, NULL);
}

#define REFUSED(change)      \
	do {                 \
		make(&f);    \
		change;      \
		refuses(&f); \
	} while (0)

static void unsound_headers(void **state)
{
	struct fixture f;

	REFUSED(f.h->magic++);
	REFUSED(f.h->version++);
	REFUSED(f.h->slots = 0);
	REFUSED(f.h->slots = HOST_MAX_SLOTS + 1);
	REFUSED(f.h->slots++);
	REFUSED(f.h->tx_size = 0);
	REFUSED(f.h->tx_size = 8191);
	REFUSED(f.h->tx_size = 1u << 31);
	REFUSED(f.h->rx_size = 2048);
	REFUSED(f.h->rx_size = 8192);
	REFUSED(f.h->off_host = UINT64_MAX - 7);
	REFUSED(f.h->off_gw = f.size);
	REFUSED(f.h->off_meta += 4);
	REFUSED(f.h->off_tx = UINT64_MAX & ~UINT64_C(7));
	REFUSED(f.h->off_rx += 8);
	REFUSED(assert_int_equal(ftruncate(f.memfd, f.size - 8), 0));
	REFUSED(assert_int_equal(ftruncate(f.memfd, 100), 0));
}

static void slots(void **state)
{
	struct fixture f;
	struct sock_conn c = {0};
	struct sock_arena *a;

	make(&f);
	a = sock_arena_map(f.memfd, f.evfd, 7);
	assert_non_null(a);
	assert_int_equal(a->number, 7);
	f.h->off_rx = UINT64_MAX; /* too late to matter */
	f.h->slots = 4000;
	assert_false(sock_arena_slot(&c, a, 130, 0));
	assert_true(sock_arena_slot(&c, a, 129, 0));
	assert_ptr_equal(c.rx + 4096, (unsigned char *)a->hdr + f.size);
	assert_false(sock_arena_slot(&c, a, 129, 1));
	c.meta->gen = 1;
	assert_true(sock_slot_valid(&c));
	unmake(&f, a);
}

static void kicks(void **state)
{
	struct fixture f;
	struct sock_conn c = {0};
	struct sock_arena *a;
	uint64_t arm = 10, n;

	make(&f);
	a = sock_arena_map(f.memfd, f.evfd, 0);
	assert_true(sock_arena_slot(&c, a, 129, 0));
	sock_kick(&c);
	assert_int_equal(f.h->kick[2], 2);
	assert_int_equal(read(f.evfd, &n, sizeof(n)), -1); /* nobody sleeps */
	f.h->asleep = 1;
	sock_kick(&c);
	assert_int_equal(read(f.evfd, &n, sizeof(n)), sizeof(n));
	f.h->kick[2] = 0;
	sock_kick_armed(&c, &arm, 5, 10);
	sock_kick_armed(&c, &arm, 11, 20);
	assert_int_equal(f.h->kick[2], 0);
	sock_kick_armed(&c, &arm, 10, 11);
	assert_int_equal(f.h->kick[2], 2);
	f.h->kick[2] = 0;
	arm = IB_ARM_NEVER;
	sock_kick_armed(&c, &arm, 0, UINT64_MAX);
	assert_int_equal(f.h->kick[2], 0);
	unmake(&f, a);
}

static void owner_died(void **state)
{
	pthread_mutexattr_t at;
	struct fixture f;
	struct sock_conn c = {0};
	struct sock_arena *a;
	pid_t pid;

	make(&f);
	a = sock_arena_map(f.memfd, f.evfd, 0);
	assert_true(sock_arena_slot(&c, a, 3, 0));
	pthread_mutexattr_init(&at);
	pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&c.meta->tx_lock, &at);
	pid = fork();
	if (!pid) {
		sock_slot_lock(&c, &c.meta->tx_lock);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(sock_slot_lock(&c, &c.meta->tx_lock));
	assert_int_equal(f.h->kick[0], 8); /* taghostd is to look what is half done */
	pthread_mutex_unlock(&c.meta->tx_lock);
	f.h->kick[0] = 0;
	assert_true(sock_slot_lock(&c, &c.meta->tx_lock));
	assert_int_equal(f.h->kick[0], 0);
	pthread_mutex_unlock(&c.meta->tx_lock);
	unmake(&f, a);
}

static void errors_are_seen_once(void **state)
{
	struct fixture f;
	struct sock_conn c = {0};
	struct sock_arena *a;

	make(&f);
	a = sock_arena_map(f.memfd, f.evfd, 0);
	assert_true(sock_arena_slot(&c, a, 0, 0));
	assert_int_equal(sock_take_err(&c), 0);
	assert_false(c.told);
	c.meta->err = ECONNRESET;
	assert_int_equal(sock_take_err(&c), ECONNRESET);
	assert_int_equal(sock_take_err(&c), 0);
	assert_true(c.told);
	assert_true(sock_dead(&c)); /* a free slot */
	c.meta->mode = HOST_M_PUMP;
	assert_false(sock_dead(&c));
	unmake(&f, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsound_headers),
		cmocka_unit_test(slots),
		cmocka_unit_test(kicks),
		cmocka_unit_test(owner_died),
		cmocka_unit_test(errors_are_seen_once),
	};

	return cmocka_run_group_tests_name("arenas of the socket layer", tests, NULL, NULL);
}
