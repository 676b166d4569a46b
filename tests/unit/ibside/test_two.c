/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_two.c - two processes: messages, READ and WRITE of the other's memory, and its sudden death.
 */
#include "bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int sock = -1;
static pid_t child;
static int answers;
static struct ib_cursor answer;

/** What the processes tell each other. */
struct hello {
	char addr[2][80]; /* texts as in the bootstrap */
	uint64_t base;	  /* of the memory */
	uint32_t rkey;	  /* of it */
};

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	answers += n;
	memcpy(&answer, entries, sizeof(answer));
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	fprintf(stderr, "bad message %s, %u bytes\n", ib_mid_name(mid), bytes);
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	struct end *e = s->owner;

	e->deaths++;
	e->cause = status;
}

static const struct ib_set_ops ops = {.msg = on_msg, .bad = on_bad, .dead = on_dead};

/* Child: answers a cursor by the same plus one, and writes it at the start of its memory. */
static void on_child_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	for (int i = 0; i < n; i++) {
		struct ib_cursor c = ((const struct ib_cursor *)entries)[i];

		*(uint64_t *)a.mem.addr = be64toh(c.cursor);
		c.cursor = htobe64(be64toh(c.cursor) + 1);
		ib_set_msg(s, IB_MID_WR_COMPL, &c);
	}
}

static const struct ib_set_ops child_ops = {.msg = on_child_msg, .bad = on_bad, .dead = on_dead};

/* Opens end a's set and connects it with the other process. */
static bool meet(const struct ib_set_ops *o, struct hello *peer)
{
	struct hello me = {.base = (uintptr_t)a.mem.addr, .rkey = a.mem.mr->rkey};
	struct ib_addr addr[2];

	if (ib_set_open(&a.set, &bench_dev, &a.cq, 64, o, &a))
		return false;
	ib_set_addr(&a.set, addr);
	ib_addr_str(&addr[0], me.addr[0]);
	ib_addr_str(&addr[1], me.addr[1]);
	if (write(sock, &me, sizeof(me)) != sizeof(me) ||
	    read(sock, peer, sizeof(*peer)) != sizeof(*peer))
		return false;
	if (ib_addr_parse(peer->addr[0], &addr[0]) || ib_addr_parse(peer->addr[1], &addr[1]) ||
	    ib_set_connect(&a.set, addr))
		return false;
	/* Both are connected before anybody sends. */
	return write(sock, "x", 1) == 1 && read(sock, &addr, 1) == 1;
}

static void run_child(void)
{
	struct hello peer;

	alarm(60);
	if (bench_open(NULL) || ends_open(NULL) || !meet(&child_ops, &peer))
		_exit(1);
	for (;;) {
		if (!ib_cq_poll(&a.cq, 64))
			usleep(50);
		ib_set_flush(&a.set);
	}
}

static void another_process(void **state)
{
	struct hello peer;
	struct counted w, r;
	struct ibv_sge out, in;
	time_t end;

	assert_true(meet(&ops, &peer));
	for (int i = 1; i <= 300; i++) {
		struct ib_cursor c = {.token = htobe32(i), .cursor = htobe64(1000 + i)};

		assert_int_equal(ib_set_msg(&a.set, IB_MID_SRC_AVAIL, &c), 0);
		assert_true(poll_until(&answers, i));
		assert_int_equal(be64toh(answer.cursor), 1001 + i);
	}
	memset(a.mem.addr, 0x5a, 300000);
	out = sge_of(&a, 0, 300000);
	in = sge_of(&a, 500000, 300000);
	assert_int_equal(ib_qp_read(&a.set.rd, &in, 1, peer.base, peer.rkey, counted(&r)), 0);
	assert_true(poll_until(&r.done, 1));
	assert_int_equal(*(uint64_t *)((uint8_t *)a.mem.addr + 500000), 1300);
	assert_int_equal(ib_qp_write(&a.set.ctl, &out, 1, peer.base + 4096, peer.rkey, counted(&w)),
			 0);
	assert_true(poll_until(&w.done, 1));
	assert_int_equal(ib_qp_read(&a.set.rd, &in, 1, peer.base + 4096, peer.rkey, counted(&r)),
			 0);
	assert_true(poll_until(&r.done, 1));
	assert_memory_equal(a.mem.addr, (uint8_t *)a.mem.addr + 500000, 300000);

	/* Its sudden death is an error of the next operation, not a hang. */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
	end = time(NULL) + 5;
	while (!a.deaths && time(NULL) <= end) {
		ib_qp_read(&a.set.rd, &in, 1, peer.base, peer.rkey, counted(&r));
		poll_until(&r.done, 1);
	}
	assert_int_equal(a.deaths, 1);
	assert_int_not_equal(r.status, IBV_WC_SUCCESS);
	poll_quiet();
	assert_true(ib_set_drained(&a.set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_process, ends_open, ends_close),
	};
	int sv[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) || bench_dir())
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	sock = sv[child == 0];
	close(sv[child != 0]);
	if (child == 0) {
		bench_other_process();
		run_child();
	}
	rc = cmocka_run_group_tests(tests, bench_open, bench_close);
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return rc;
}
