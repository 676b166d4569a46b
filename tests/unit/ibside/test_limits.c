/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_limits.c - a device that can do little: one scatter/gather entry, one READ at a time,
 * nothing inline, short queues.
 */
#include "bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define READS 40

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	((struct end *)s->owner)->received += n;
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	fail_msg("bad message %s, %u bytes", ib_mid_name(mid), bytes);
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	fail_msg("dead: %s", ibv_wc_status_str(status));
}

static const struct ib_set_ops ops = {.msg = on_msg, .bad = on_bad, .dead = on_dead};

static void sets(void)
{
	struct ib_addr of_a[2], of_b[2];
	uint32_t depth = ib_set_depth(&bench_dev, 512);

	assert_int_equal(depth, 200 - IB_SET_BUFS - 1);
	assert_int_equal(ib_set_open(&a.set, &bench_dev, &a.cq, 512, &ops, &a), EINVAL);
	assert_int_equal(ib_set_open(&a.set, &bench_dev, &a.cq, depth, &ops, &a), 0);
	assert_int_equal(ib_set_open(&b.set, &bench_dev, &b.cq, depth, &ops, &b), 0);
	ib_set_addr(&a.set, of_a);
	ib_set_addr(&b.set, of_b);
	assert_int_equal(ib_set_connect(&a.set, of_b), 0);
	assert_int_equal(ib_set_connect(&b.set, of_a), 0);
}

static void limits_are_kept(void **state)
{
	struct ibv_sge two[2] = {sge_of(&a, 0, 8), sge_of(&a, 8, 8)};
	struct ibv_qp_init_attr ia;
	struct ibv_qp_attr at;
	struct counted c = {0};

	assert_int_equal(bench_dev.max_sge, 1);
	assert_int_equal(bench_dev.max_sge_rd, 1);
	assert_int_equal(bench_dev.rd_atomic, 1);
	sets();
	assert_int_equal(ibv_query_qp(a.set.rd.qp, &at, IBV_QP_STATE, &ia), 0);
	assert_int_equal(at.max_rd_atomic, 1);
	assert_int_equal(at.max_dest_rd_atomic, 1);
	assert_int_equal(ia.cap.max_inline_data, 0);
	assert_int_equal(a.set.ctl.max_inline, 0);
	assert_int_equal(ia.cap.max_send_sge, 1);
	assert_int_equal(
		ib_qp_write(&a.set.ctl, two, 2, (uintptr_t)b.mem.addr, b.mem.mr->rkey, counted(&c)),
		EINVAL);
	assert_int_equal(c.done, 0);
}

/* A chain of work requests that is longer than everything the device has. */
static void work_gets_done(void **state)
{
	struct counted c[READS] = {0};
	struct ib_cursor cur = {.token = 1};
	int done = 0;

	sets();
	for (uint32_t i = 0; i < BENCH_MEM; i++)
		((uint8_t *)b.mem.addr)[i] = (uint8_t)(i * 31 >> 3);
	for (uint32_t i = 0; i < READS; i++) {
		struct ibv_sge sge = sge_of(&a, i * 4096, 4096);

		assert_int_equal(ib_qp_read(&a.set.rd, &sge, 1, (uintptr_t)b.mem.addr + i * 4096,
					    b.mem.mr->rkey, counted(&c[i])),
				 0);
	}
	for (uint32_t i = 0; i < READS; i++) {
		assert_true(poll_until(&c[i].done, 1));
		assert_int_equal(c[i].status, IBV_WC_SUCCESS);
		done += c[i].done;
	}
	assert_int_equal(done, READS);
	assert_memory_equal(a.mem.addr, b.mem.addr, READS * 4096);
	for (uint32_t i = 0; i < 1000; i++) {
		cur.token = htobe32(i + 1);
		assert_int_equal(ib_set_msg(&a.set, IB_MID_WR_COMPL, &cur), 0);
	}
	assert_true(poll_until(&b.received, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limits_are_kept, ends_open, ends_close),
		cmocka_unit_test_setup_teardown(work_gets_done, ends_open, ends_close),
	};

	setenv("SOFTHCA_LIMITS", "sge=1,rd_atomic=1,inline=0,wr=200,cqe=4096", 1);
	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
