/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reliable connections within one process: every operation.
 */
#include <endian.h>
#include <string.h>
#include <stdlib.h>
#include <errno.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

static const struct rig_opt rc = {.type = IBV_QPT_RC};

static void send_recv(void **state)
{
	struct rig_end a, b;
	struct ibv_wc wc;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	memcpy(a.buf, "hello", 6);
	rig_recv(&b, 7, 100, 64);
	assert_int_equal(rig_post(&a, IBV_WR_SEND_WITH_IMM, 0x1234, 0, 6, NULL, 0, 0), 0);
	wc = rig_wait(b.rcq);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.opcode, IBV_WC_RECV);
	assert_int_equal(wc.wr_id, 7);
	assert_int_equal(wc.byte_len, 6);
	assert_int_equal(wc.imm_data, 0x1234);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(wc.qp_num, b.qp->qp_num);
	assert_int_equal(wc.src_qp, a.qp->qp_num);
	assert_int_equal(wc.slid, a.me.lid);
	assert_string_equal((char *)b.buf + 100, "hello");
	wc = rig_wait(a.scq);
	assert_int_equal(wc.opcode, IBV_WC_SEND);
	assert_int_equal(wc.wr_id, 0x1234);
	rig_down(&a);
	rig_down(&b);
}

static void by_gid(void **state)
{
	const struct rig_conn c = {.global = true};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, &c);
	rig_recv(&b, 0, 0, 64);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 0, 0, 6, NULL, 0, 0), 0);
	rig_ok(b.rcq);
	rig_down(&a);
	rig_down(&b);
}

static void gather_scatter(void **state)
{
	struct rig_end a, b;
	struct ibv_sge s[3], r[2];
	struct ibv_send_wr w = {.sg_list = s,
				.num_sge = 3,
				.opcode = IBV_WR_SEND,
				.send_flags = IBV_SEND_SIGNALED},
			   *bad;
	struct ibv_recv_wr rw = {.sg_list = r, .num_sge = 2}, *rbad;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	memcpy(a.buf, "abcdefghij", 10);
	for (int i = 0; i < 3; i++)
		s[i] = (struct ibv_sge){(uintptr_t)a.buf + (i == 1 ? 0 : 5), i == 2 ? 0 : 5,
					a.mr->lkey};
	r[0] = (struct ibv_sge){(uintptr_t)b.buf, 3, b.mr->lkey};
	r[1] = (struct ibv_sge){(uintptr_t)b.buf + 100, 50, b.mr->lkey};
	assert_int_equal(ibv_post_recv(b.qp, &rw, &rbad), 0);
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	assert_int_equal(rig_wait(b.rcq).byte_len, 10);
	assert_memory_equal(b.buf, "fgh", 4);
	assert_memory_equal(b.buf + 100, "ijabcde", 8);
	rig_down(&a);
	rig_down(&b);
}

static void inline_data(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .inl = 64};
	char mine[] = "unregistered";
	struct ibv_sge s = {(uintptr_t)mine, sizeof(mine), 0};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.opcode = IBV_WR_SEND,
				.send_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE},
			   *bad;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	/* No receive yet: the data must be kept although the program reuses its memory. */
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	memset(mine, 0, sizeof(mine));
	rig_recv(&b, 0, 0, 64);
	rig_ok(b.rcq);
	assert_string_equal((char *)b.buf, "unregistered");
	rig_ok(a.scq);
	s.length = 65;
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), EINVAL);
	assert_ptr_equal(bad, &w);
	rig_down(&a);
	rig_down(&b);
}

static void read_write(void **state)
{
	struct rig_end a, b;
	struct ibv_wc wc;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	memset(b.buf, 0x5a, 65536);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 4096, 65536, &b.me, 0, 0), 0);
	wc = rig_wait(a.scq);
	assert_int_equal(wc.opcode, IBV_WC_RDMA_READ);
	assert_int_equal(wc.byte_len, 65536);
	assert_memory_equal(a.buf + 4096, b.buf, 65536);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 2, 0, 100, &b.me, 10, 0), 0);
	assert_int_equal(rig_wait(a.scq).opcode, IBV_WC_RDMA_WRITE);
	assert_memory_equal(b.buf + 10, a.buf, 100);
	rig_none(b.rcq);
	rig_recv(&b, 9, 0, 0);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE_WITH_IMM, 3, 0, 100, &b.me, 0, 0), 0);
	wc = rig_wait(b.rcq);
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.byte_len, 100);
	assert_int_equal(wc.imm_data, 3);
	rig_ok(a.scq);
	/* No bytes, no key: a zero-length request may name any region. */
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 4, 0, 0, NULL, 0, 0), 0);
	rig_ok(a.scq);
	rig_down(&a);
	rig_down(&b);
}

/* A region known to peers by other addresses than its own. */
static void translated(void **state)
{
	struct rig_end a, b;
	struct ibv_mr *mr;

	(void)state;
	for (int zero = 0; zero < 2; zero++) {
		rig_pair(&a, &b, &rc, NULL);
		mr = zero ? ibv_reg_mr(b.pd, b.buf + 4096, 4096,
				       RIG_ALL_ACC | IBV_ACCESS_ZERO_BASED)
			  : ibv_reg_mr_iova(b.pd, b.buf + 4096, 4096, 0x7000, RIG_ALL_ACC);
		assert_non_null(mr);
		b.me.rkey = mr->rkey;
		b.me.addr = zero ? 0 : 0x7000;
		memset(b.buf + 4096, 0x3c, 4096);
		assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 4096, &b.me, 0, 0), 0);
		rig_ok(a.scq);
		assert_memory_equal(a.buf, b.buf + 4096, 4096);
		assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 2, &b.me, 4095, 0), 0);
		assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
		assert_int_equal(ibv_dereg_mr(mr), 0);
		rig_down(&a);
		rig_down(&b);
	}
}

static void atomics(void **state)
{
	struct ibv_sge s;
	struct ibv_send_wr w = {.sg_list = &s, .num_sge = 1, .send_flags = IBV_SEND_SIGNALED}, *bad;
	struct rig_end a, b;
	uint64_t *mem, *res;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	mem = (uint64_t *)(void *)b.buf;
	res = (uint64_t *)(void *)a.buf;
	s = (struct ibv_sge){(uintptr_t)a.buf, 8, a.mr->lkey};
	*mem = 40;
	w.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	w.wr.atomic.remote_addr = b.me.addr;
	w.wr.atomic.rkey = b.me.rkey;
	w.wr.atomic.compare_add = 2;
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	assert_int_equal(rig_wait(a.scq).opcode, IBV_WC_FETCH_ADD);
	assert_int_equal(*res, 40);
	assert_int_equal(*mem, 42);
	w.opcode = IBV_WR_ATOMIC_CMP_AND_SWP;
	w.wr.atomic.compare_add = 41;
	w.wr.atomic.swap = 7;
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	assert_int_equal(rig_wait(a.scq).opcode, IBV_WC_COMP_SWAP);
	assert_int_equal(*mem, 42);
	w.wr.atomic.compare_add = 42;
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	rig_ok(a.scq);
	assert_int_equal(*mem, 7);
	w.wr.atomic.remote_addr += 4;
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_INV_REQ_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void queue_depth(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .depth = 4};
	struct ibv_send_wr w = {.opcode = IBV_WR_RDMA_WRITE}, *bad;
	struct ibv_recv_wr rw = {0}, *rbad;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	/* A slot comes back when a completion at or behind it has been polled. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 0, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 0, 0, 8, &b.me, 0, 0), ENOMEM);
	rig_ok(a.scq);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 0, 0, 8, &b.me, 0, 0), 0);
	for (int i = 0; i < 4; i++)
		rig_ok(a.scq);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0); /* unsignalled */
	rig_none(a.scq);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 0, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), ENOMEM);
	rig_ok(a.scq);
	assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ibv_post_recv(b.qp, &rw, &rbad), 0);
	assert_int_equal(ibv_post_recv(b.qp, &rw, &rbad), ENOMEM);
	assert_ptr_equal(rbad, &rw);
	rig_down(&a);
	rig_down(&b);
}

static void drained(void **state)
{
	struct ibv_qp_attr at = {.qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1};
	struct ibv_async_event ev;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	assert_int_equal(ibv_modify_qp(a.qp, &at, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY), 0);
	assert_int_equal(ibv_get_async_event(a.ctx, &ev), 0);
	assert_int_equal(ev.event_type, IBV_EVENT_SQ_DRAINED);
	assert_ptr_equal(ev.element.qp, a.qp);
	ibv_ack_async_event(&ev);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 0, 0, 8, &b.me, 0, 0), 0);
	rig_none(a.scq);
	rig_to(a.qp, IBV_QPS_RTS);
	rig_ok(a.scq);
	rig_down(&a);
	rig_down(&b);
}

static void to_itself(void **state)
{
	struct rig_end a;

	(void)state;
	rig_up(&a, &rc);
	rig_connect(&a, &a.me, NULL);
	memcpy(a.buf, "self", 5);
	rig_recv(&a, 1, 100, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 5, NULL, 0, 0), 0);
	rig_ok(a.rcq);
	rig_ok(a.scq);
	assert_string_equal((char *)a.buf + 100, "self");
	a.me.rkey ^= 1;
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 5, &a.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	rig_down(&a);
}

static void two_devices(void **state)
{
	const struct rig_opt o1 = {.type = IBV_QPT_RC, .dev = "soft1"};
	struct rig_end a, b;

	(void)state;
	rig_up(&a, &rc);
	rig_up(&b, &o1);
	assert_int_not_equal(a.me.lid, b.me.lid);
	rig_connect(&a, &b.me, NULL);
	rig_connect(&b, &a.me, NULL);
	memcpy(a.buf, "across", 7);
	rig_recv(&b, 1, 0, 64);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 7, NULL, 0, 0), 0);
	rig_ok(b.rcq);
	assert_string_equal((char *)b.buf, "across");
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_recv),	  cmocka_unit_test(by_gid),
		cmocka_unit_test(gather_scatter), cmocka_unit_test(inline_data),
		cmocka_unit_test(read_write),	  cmocka_unit_test(atomics),
		cmocka_unit_test(translated),	  cmocka_unit_test(queue_depth),
		cmocka_unit_test(drained),	  cmocka_unit_test(to_itself),
		cmocka_unit_test(two_devices),
	};

	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
