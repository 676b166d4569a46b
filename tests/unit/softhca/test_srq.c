/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared receive queues, resized CQs and the two extended interfaces, ibv_wr_* and CQ polling.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

static void shared(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .srq = true};
	struct ibv_srq_attr lim = {.srq_limit = 2}, q;
	struct ibv_async_event ev;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	assert_int_equal(ibv_modify_srq(b.srq, &lim, IBV_SRQ_LIMIT), 0);
	for (uint64_t i = 0; i < 3; i++)
		rig_recv(&b, i, (uint32_t)i * 100, 64);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
		assert_int_equal(rig_wait(b.rcq).wr_id, i);
	}
	assert_int_equal(ibv_get_async_event(b.ctx, &ev), 0);
	assert_int_equal(ev.event_type, IBV_EVENT_SRQ_LIMIT_REACHED);
	assert_ptr_equal(ev.element.srq, b.srq);
	ibv_ack_async_event(&ev);
	assert_int_equal(ibv_query_srq(b.srq, &q), 0);
	assert_int_equal(q.srq_limit, 0);
	assert_int_equal(ibv_destroy_srq(b.srq), EBUSY);
	rig_to(b.qp, IBV_QPS_ERR);
	assert_int_equal(ibv_get_async_event(b.ctx, &ev), 0);
	assert_int_equal(ev.event_type, IBV_EVENT_QP_LAST_WQE_REACHED);
	ibv_ack_async_event(&ev);
	rig_down(&a);
	rig_down(&b);
}

static void resize(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .cqe = 16};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	for (uint64_t i = 0; i < 40; i++) {
		if (i == 10) {
			assert_int_equal(ibv_resize_cq(b.rcq, 64), 0);
			assert_true(b.rcq->cqe >= 64);
		}
		rig_recv(&b, i, 0, 8);
		assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
		rig_ok(a.scq);
	}
	assert_int_equal(ibv_resize_cq(b.rcq, 16), EINVAL); /* does not hold what is there */
	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(rig_wait(b.rcq).wr_id, i);
	assert_int_equal(ibv_resize_cq(b.rcq, 16), 0);
	rig_down(&a);
	rig_down(&b);
}

static void wr_interface(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .ex = true, .inl = 32, .depth = 8};
	struct ibv_qp_ex *x;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	x = ibv_qp_to_qp_ex(a.qp);
	assert_non_null(x);
	memcpy(a.buf, "via wr", 7);
	rig_recv(&b, 1, 0, 64);
	ibv_wr_start(x);
	x->wr_id = 11;
	x->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send_imm(x, 0x77);
	ibv_wr_set_sge(x, a.mr->lkey, (uintptr_t)a.buf, 7);
	x->wr_id = 12;
	ibv_wr_rdma_write(x, b.me.rkey, b.me.addr + 100);
	ibv_wr_set_inline_data(x, "inline", 7);
	x->wr_id = 13;
	ibv_wr_rdma_read(x, b.me.rkey, b.me.addr + 100);
	ibv_wr_set_sge(x, a.mr->lkey, (uintptr_t)a.buf + 200, 7);
	x->wr_id = 14;
	ibv_wr_atomic_fetch_add(x, b.me.rkey, b.me.addr + 1024, 5);
	ibv_wr_set_sge(x, a.mr->lkey, (uintptr_t)a.buf + 1024, 8);
	assert_int_equal(ibv_wr_complete(x), 0);
	for (uint64_t i = 11; i < 15; i++) {
		struct ibv_wc wc = rig_wait(a.scq);

		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(wc.wr_id, i);
	}
	assert_int_equal(rig_wait(b.rcq).imm_data, 0x77);
	assert_string_equal((char *)b.buf, "via wr");
	assert_string_equal((char *)a.buf + 200, "inline");
	assert_int_equal(*(uint64_t *)(void *)(b.buf + 1024), 5);
	/* nothing of an aborted or failed batch is executed */
	ibv_wr_start(x);
	ibv_wr_rdma_write(x, b.me.rkey, b.me.addr);
	ibv_wr_set_inline_data(x, "aborted", 8);
	ibv_wr_abort(x);
	ibv_wr_start(x);
	for (int i = 0; i < 9; i++)
		ibv_wr_rdma_write(x, b.me.rkey, b.me.addr);
	assert_int_equal(ibv_wr_complete(x), ENOMEM);
	assert_string_equal((char *)b.buf, "via wr");
	rig_none(a.scq);
	rig_down(&a);
	rig_down(&b);
}

static void not_extended(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_end a;

	(void)state;
	rig_up(&a, &o);
	assert_null(ibv_qp_to_qp_ex(a.qp));
	rig_down(&a);
}

static void extended_poll(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct ibv_cq_init_attr_ex ca = {
		.cqe = 64, .wc_flags = IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP};
	struct ibv_poll_cq_attr pa = {0};
	struct rig_end a, b;
	struct ibv_cq_ex *x;
	struct ibv_qp *qp;
	struct ibv_qp_init_attr qa = {.qp_type = IBV_QPT_RC, .cap = {8, 8, 1, 1, 0}};
	struct ibv_qp *kept;

	(void)state;
	rig_up(&a, &o);
	rig_up(&b, &o);
	x = ibv_create_cq_ex(b.ctx, &ca);
	assert_non_null(x);
	qa.send_cq = qa.recv_cq = ibv_cq_ex_to_cq(x);
	qp = ibv_create_qp(b.pd, &qa);
	assert_non_null(qp);
	kept = b.qp;
	b.qp = qp;
	b.me.qpn = qp->qp_num;
	rig_connect(&a, &b.me, NULL);
	rig_connect(&b, &a.me, NULL);
	assert_int_equal(ibv_start_poll(x, &pa), ENOENT);
	for (uint64_t i = 0; i < 3; i++) {
		rig_recv(&b, i, 0, 8);
		assert_int_equal(rig_post(&a, IBV_WR_SEND_WITH_IMM, i, 0, 8, NULL, 0, 0), 0);
	}
	assert_int_equal(ibv_start_poll(x, &pa), 0);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(x->wr_id, i);
		assert_int_equal(x->status, IBV_WC_SUCCESS);
		assert_int_equal(ibv_wc_read_opcode(x), IBV_WC_RECV);
		assert_int_equal(ibv_wc_read_byte_len(x), 8);
		assert_int_equal(ibv_wc_read_imm_data(x), i);
		assert_int_equal(ibv_wc_read_qp_num(x), qp->qp_num);
		assert_int_equal(ibv_wc_read_slid(x), a.me.lid);
		assert_true(ibv_wc_read_completion_ts(x) > 0);
		assert_int_equal(ibv_next_poll(x), i < 2 ? 0 : ENOENT);
	}
	ibv_end_poll(x);
	assert_int_equal(ibv_destroy_qp(qp), 0);
	b.qp = kept;
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(x)), 0);
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared),	 cmocka_unit_test(resize),
		cmocka_unit_test(wr_interface),	 cmocka_unit_test(not_extended),
		cmocka_unit_test(extended_poll),
	};

	rig_dir();
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
