/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_qp.c - devices, completion queues and queue pairs, on a device.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

/* Connects a.qp and b.qp, RC, with these depths. */
static void pair(uint32_t sq, uint32_t rq)
{
	struct ib_addr aa, ab;

	assert_int_equal(ib_qp_open(&a.qp, a.dev, &a.cq, IBV_QPT_RC, sq, rq, &bench_qp_ops, &a), 0);
	assert_int_equal(ib_qp_open(&b.qp, b.dev, &b.cq, IBV_QPT_RC, sq, rq, &bench_qp_ops, &b), 0);
	ib_qp_addr(&a.qp, &aa);
	ib_qp_addr(&b.qp, &ab);
	assert_int_equal(ib_qp_connect(&a.qp, &ab), 0);
	assert_int_equal(ib_qp_connect(&b.qp, &aa), 0);
}

static void fill(struct end *e)
{
	for (size_t i = 0; i < BENCH_MEM; i++)
		((uint8_t *)e->mem.addr)[i] = random();
}

static void errors_say_what_to_do(void **state)
{
	char err[IB_ERRLEN];
	struct ib_dev d;

	assert_int_equal(ib_dev_open(&d, "nosuch9", 1, 0, err), ENODEV);
	assert_non_null(strstr(err, "\"nosuch9\""));
	assert_non_null(strstr(err, bench_dev.name));
	assert_int_equal(ib_dev_open(&d, bench_dev.name, 99, 0, err), EINVAL);
	assert_non_null(strstr(err, "port 99"));
	assert_int_equal(ib_dev_open(&d, "", 1, 0, err), 0); /* the first there is */
	ib_dev_close(&d);
	ib_explain(EACCES, "opening", err);
	assert_non_null(strstr(err, "/dev/infiniband"));
}

static void errors_name_the_limit_of_locked_memory(void **state)
{
	struct rlimit was, low;
	char err[IB_ERRLEN];

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	low = was;
	low.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	ib_explain(ENOMEM, "registering 384 MiB", err);
	setrlimit(RLIMIT_MEMLOCK, &was);
	assert_non_null(strstr(err, "registering 384 MiB"));
	assert_non_null(strstr(err, "64 KiB"));
	assert_non_null(strstr(err, "ulimit -l unlimited"));
	assert_non_null(strstr(err, "LimitMEMLOCK=infinity"));
}

static void limits_come_from_the_device(void **state)
{
	struct ib_cq q;
	struct ib_qp qp;

	assert_in_range(bench_dev.rd_atomic, 1, 16);
	assert_in_range(bench_dev.mtu, 256, 4096);
	assert_in_range(bench_dev.max_sge, 1, 16);
	assert_int_equal(ib_cq_open(&q, &bench_dev, bench_dev.attr.max_cqe + 1, false), EINVAL);
	assert_int_equal(ib_qp_open(&qp, a.dev, &a.cq, IBV_QPT_RC, bench_dev.attr.max_qp_wr, 1,
				    &bench_qp_ops, &a),
			 EINVAL);
	assert_int_equal(ib_qp_open(&qp, a.dev, &a.cq, IBV_QPT_RC, 0, 1, &bench_qp_ops, &a),
			 EINVAL);
}

static void ud_carries_datagrams(void **state)
{
	uint32_t len = bench_dev.mtu < 1500 ? bench_dev.mtu : 1500;
	struct ibv_sge sge[2] = {sge_of(&a, 0, 4), sge_of(&a, 1000, len - 4)}, big;
	struct counted op;
	struct ib_addr to;
	struct ibv_ah *ah;

	fill(&a);
	assert_int_equal(ib_qp_open(&a.qp, a.dev, &a.cq, IBV_QPT_UD, 16, 4, &bench_qp_ops, &a), 0);
	assert_int_equal(ib_qp_open(&b.qp, b.dev, &b.cq, IBV_QPT_UD, 16, 4, &bench_qp_ops, &b), 0);
	assert_int_equal(ib_qp_recv(&b.qp, b.mem.addr, 2048, b.mem.mr->lkey, &b), 0);
	ib_qp_addr(&b.qp, &to);
	ah = ib_ah(&bench_dev, &to);
	assert_non_null(ah);
	assert_int_equal(ib_qp_send_ud(&a.qp, ah, to.qpn, sge, 2, counted(&op)), 0);
	assert_true(poll_until(&b.received, 1));
	assert_true(poll_until(&op.done, 1));
	assert_int_equal(op.status, IBV_WC_SUCCESS);
	assert_int_equal(b.last.byte_len, IB_GRH_LEN + len);
	assert_int_equal(b.last.src_qp, a.qp.qp->qp_num);
	assert_ptr_equal(b.last_cookie, &b);
	assert_memory_equal((uint8_t *)b.mem.addr + IB_GRH_LEN, a.mem.addr, 4);
	assert_memory_equal((uint8_t *)b.mem.addr + IB_GRH_LEN + 4, (uint8_t *)a.mem.addr + 1000,
			    len - 4);
	big = sge_of(&a, 0, bench_dev.mtu + 1);
	assert_int_equal(ib_qp_send_ud(&a.qp, ah, to.qpn, &big, 1, NULL), EMSGSIZE);
	/* Nobody posted a buffer: the datagram is lost, the sender does not care. */
	assert_int_equal(ib_qp_send_ud(&a.qp, ah, to.qpn, sge, 1, counted(&op)), 0);
	assert_true(poll_until(&op.done, 1));
	assert_int_equal(op.status, IBV_WC_SUCCESS);
	ib_qp_fence(&a.qp);
	poll_quiet();
	assert_true(ib_qp_drained(&a.qp));
	ibv_destroy_ah(ah);
}

static void unsignaled_work_is_released(void **state)
{
	struct ibv_sge sge = sge_of(&a, 0, 64);
	int full = 0;

	pair(8, 4);
	for (int sent = 0; sent < 500;) {
		int rc = ib_qp_write(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey, NULL);

		if (rc == ENOBUFS) {
			full++;
			poll_quiet();
			continue;
		}
		assert_int_equal(rc, 0);
		sent++;
	}
	assert_in_range(full, 1, 500);
	assert_int_equal(a.deaths, 0);
}

static void write_and_read_move_memory(void **state)
{
	struct counted w, r;
	struct ibv_sge src[3] = {sge_of(&a, 0, 1), sge_of(&a, 10, 70000), sge_of(&a, 99999, 333)};
	struct ibv_sge dst[2] = {sge_of(&a, 500000, 35000), sge_of(&a, 600000, 35334)};
	uint8_t *am = a.mem.addr, *bm = b.mem.addr;

	fill(&a);
	pair(16, 4);
	assert_int_equal(ib_qp_write(&a.qp, src, 3, (uintptr_t)bm + 7, b.mem.mr->rkey, counted(&w)),
			 0);
	assert_int_equal(ib_qp_read(&a.qp, dst, 2, (uintptr_t)bm + 7, b.mem.mr->rkey, counted(&r)),
			 0);
	assert_true(poll_until(&r.done, 1));
	assert_int_equal(w.done, 1);
	assert_int_equal(w.status, IBV_WC_SUCCESS);
	assert_int_equal(r.status, IBV_WC_SUCCESS);
	assert_memory_equal(bm + 7, am, 1);
	assert_memory_equal(bm + 8, am + 10, 70000);
	assert_memory_equal(bm + 70008, am + 99999, 333);
	assert_memory_equal(am + 500000, bm + 7, 35000);
	assert_memory_equal(am + 600000, bm + 35007, 35334);
}

static void send_waits_for_a_buffer(void **state)
{
	struct counted op;
	struct ibv_sge sge = sge_of(&a, 0, 3000);

	fill(&a);
	pair(16, 4);
	assert_int_equal(ib_qp_send(&a.qp, &sge, 1, counted(&op)), 0);
	poll_quiet(); /* receiver not ready: retried without limit */
	assert_int_equal(op.done, 0);
	assert_int_equal(ib_qp_recv(&b.qp, b.mem.addr, 4096, b.mem.mr->lkey, NULL), 0);
	assert_true(poll_until(&b.received, 1));
	assert_true(poll_until(&op.done, 1));
	assert_int_equal(b.last.byte_len, 3000);
	assert_memory_equal(b.mem.addr, a.mem.addr, 3000);
}

/* An access that b must refuse; a dies, everything outstanding is flushed, b is told too. */
static void refused(bool read, uint64_t raddr, uint32_t rkey)
{
	struct counted bad, after[5];
	struct ibv_sge sge = sge_of(&a, 0, 4096);

	pair(16, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ib_qp_recv(&a.qp, a.mem.addr, 64, a.mem.mr->lkey, NULL), 0);
	assert_int_equal(read ? ib_qp_read(&a.qp, &sge, 1, raddr, rkey, counted(&bad))
			      : ib_qp_write(&a.qp, &sge, 1, raddr, rkey, counted(&bad)),
			 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ib_qp_write(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey,
					     counted(&after[i])),
				 0);
	assert_true(poll_until(&a.deaths, 1));
	poll_quiet();
	assert_int_equal(a.deaths, 1);
	assert_int_equal(a.cause, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(bad.done, 1);
	assert_int_equal(bad.status, IBV_WC_REM_ACCESS_ERR);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(after[i].done, 1);
		assert_int_equal(after[i].status, IBV_WC_WR_FLUSH_ERR);
	}
	assert_int_equal(a.flushed, 4);
	assert_true(ib_qp_drained(&a.qp));
	assert_int_equal(ib_qp_write(&a.qp, &sge, 1, 0, 0, counted(&bad)), EPIPE);
	assert_int_equal(ib_qp_recv(&a.qp, a.mem.addr, 64, a.mem.mr->lkey, NULL), EPIPE);
	assert_int_equal(bad.done, 0);
	assert_int_equal(((uint8_t *)b.mem.addr)[0], 0);
}

/* Whose memory it was hears of the attempt, though no completion of its own failed. */
static void victim_is_told(void **state)
{
	struct ibv_sge sge = sge_of(&a, 0, 64);
	struct ib_event e = {0};
	struct pollfd pfd = {.events = POLLIN};

	assert_int_equal(ib_dev_events(b.dev, &pfd.fd), 0);
	while (ib_dev_event(b.dev, &e) == 0)
		;
	pair(4, 4);
	assert_int_equal(ib_qp_write(&a.qp, &sge, 1, 4096, 0xdead, NULL), 0);
	assert_true(poll_until(&a.deaths, 1));
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	do {
		assert_int_equal(ib_dev_event(b.dev, &e), 0);
	} while (e.qpn != b.qp.qp->qp_num);
	assert_int_equal(e.type, IBV_EVENT_QP_ACCESS_ERR);
	assert_non_null(strstr(e.text, b.dev->name));
	while (ib_dev_event(b.dev, &e) == 0)
		;
	assert_int_equal(ib_dev_event(b.dev, &e), EAGAIN);
}

static void forged_rkey(void **state)
{
	refused(false, (uintptr_t)b.mem.addr, b.mem.mr->rkey + 0x1000);
}

static void write_beyond_the_end(void **state)
{
	refused(false, (uintptr_t)b.mem.addr + BENCH_MEM - 4095, b.mem.mr->rkey);
}

static void read_before_the_start(void **state)
{
	refused(true, (uintptr_t)b.mem.addr - 1, b.mem.mr->rkey);
}

static void read_without_the_right(void **state)
{
	struct ib_mem closed;

	assert_int_equal(ib_mem_alloc(&closed, b.dev, 8192, IBV_ACCESS_LOCAL_WRITE), 0);
	refused(true, (uintptr_t)closed.addr, closed.mr->rkey);
	ib_mem_free(&closed);
}

static void fence_then_drain(void **state)
{
	struct counted op[8];
	struct ibv_sge sge = sge_of(&a, 0, 65536);

	pair(16, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(ib_qp_recv(&a.qp, a.mem.addr, 64, a.mem.mr->lkey, NULL), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(ib_qp_read(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey,
					    counted(&op[i])),
				 0);
	assert_int_equal(ib_qp_write(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey, NULL),
			 0);
	assert_false(ib_qp_drained(&a.qp));
	ib_qp_fence(&a.qp);
	ib_qp_fence(&a.qp); /* once more does nothing */
	poll_quiet();
	assert_true(ib_qp_drained(&a.qp));
	assert_int_equal(a.qp.sq_tail, a.qp.sq_head); /* the unsignaled one is settled, too */
	for (int i = 0; i < 8; i++)
		assert_int_equal(op[i].done, 1);
	assert_int_equal(a.flushed, 8);
	assert_int_equal(a.deaths, 0);
}

static void peer_gone(void **state)
{
	struct counted op;
	struct ibv_sge sge = sge_of(&a, 0, 64);

	pair(16, 4);
	ib_qp_close(&b.qp);
	assert_int_equal(
		ib_qp_write(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey, counted(&op)),
		0);
	assert_true(poll_until(&a.deaths, 1));
	assert_int_equal(a.cause, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(op.done, 1);
	for (int i = 0; i < 1000 && !ib_qp_drained(&a.qp); i++) /* 5 s: a device may be slow */
		poll_quiet();
	assert_true(ib_qp_drained(&a.qp));
}

/** An op that posts itself again. */
struct again {
	struct ib_op op; /* first */
	int left;	 /* times to post */
};

static void post_again(struct ib_op *op, enum ibv_wc_status status)
{
	struct again *g = (struct again *)op;
	struct ibv_sge sge = sge_of(&a, 0, 8);

	assert_int_equal(status, IBV_WC_SUCCESS);
	if (--g->left)
		assert_int_equal(
			ib_qp_read(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey, op), 0);
}

static void done_may_post(void **state)
{
	struct again g = {.op.done = post_again, .left = 201};
	time_t end = time(NULL) + 5;

	pair(1, 1); /* one request at a time: done() finds the slot free */
	post_again(&g.op, IBV_WC_SUCCESS);
	while (g.left && time(NULL) <= end)
		ib_cq_poll(&a.cq, 1);
	assert_int_equal(g.left, 0);
}

static void channel_wakes(void **state)
{
	struct pollfd pfd = {.fd = a.cq.channel->fd, .events = POLLIN};
	struct counted op;
	struct ibv_sge sge = sge_of(&a, 0, 8);

	pair(16, 1);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(ib_cq_arm(&a.cq), 0);
		assert_int_equal(ib_cq_poll(&a.cq, 16), 0);
		assert_int_equal(poll(&pfd, 1, 0), 0);
		assert_int_equal(ib_qp_read(&a.qp, &sge, 1, (uintptr_t)b.mem.addr, b.mem.mr->rkey,
					    counted(&op)),
				 0);
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		ib_cq_ack(&a.cq);
		assert_true(poll_until(&op.done, 1));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(errors_say_what_to_do),
		T(errors_name_the_limit_of_locked_memory),
		T(limits_come_from_the_device),
		T(ud_carries_datagrams),
		T(unsignaled_work_is_released),
		T(write_and_read_move_memory),
		T(send_waits_for_a_buffer),
		T(victim_is_told),
		T(forged_rkey),
		T(write_beyond_the_end),
		T(read_before_the_start),
		T(read_without_the_right),
		T(fence_then_drain),
		T(peer_gone),
		T(done_may_post),
		T(channel_wakes),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
