/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reliable connections within one process: every way to fail, and what is left of both ends then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

static const struct rig_opt rc = {.type = IBV_QPT_RC};

/* After an error at @e, what else is posted there is flushed. */
static void flushed(struct rig_end *e)
{
	struct ibv_qp_attr at;
	struct ibv_qp_init_attr in;
	struct ibv_wc wc;

	assert_int_equal(ibv_query_qp(e->qp, &at, IBV_QP_STATE, &in), 0);
	assert_int_equal(at.qp_state, IBV_QPS_ERR);
	assert_int_equal(rig_post(e, IBV_WR_SEND, 99, 0, 1, NULL, 0, 0), 0);
	wc = rig_wait(e->scq);
	assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(wc.wr_id, 99);
	rig_recv(e, 98, 0, 1);
	wc = rig_wait(e->rcq);
	assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(wc.wr_id, 98);
}

/* One operation from a fresh pair fails with @want at the sender; both ends are then in error if
 * @both. */
static void fails(const struct rig_opt *o, const struct rig_conn *c, enum ibv_wr_opcode op,
		  uint32_t off, uint32_t len, uint64_t roff, uint32_t rkey_change,
		  enum ibv_wc_status want, bool both)
{
	struct rig_end a, b;

	rig_pair(&a, &b, o, c);
	rig_recv(&b, 5, 0, 64);
	b.me.rkey += rkey_change;
	assert_int_equal(rig_post(&a, op, 1, off, len, &b.me, roff, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, want);
	flushed(&a);
	if (both) {
		/* the receive posted above */
		struct ibv_wc wc = rig_wait(b.rcq);

		assert_int_equal(wc.wr_id, 5);
		assert_int_not_equal(wc.status, IBV_WC_SUCCESS);
		flushed(&b);
	} else {
		rig_none(b.rcq);
	}
	rig_down(&a);
	rig_down(&b);
}

static void refusals(void **state)
{
	const struct rig_opt ro = {.type = IBV_QPT_RC, .access = IBV_ACCESS_LOCAL_WRITE};
	const struct rig_conn shut = {.access = 1u << 31};

	(void)state;
	/* wrong key, out of bounds at either end, region or QP forbids it */
	fails(&rc, NULL, IBV_WR_RDMA_READ, 0, 64, 0, 1, IBV_WC_REM_ACCESS_ERR, true);
	fails(&rc, NULL, IBV_WR_RDMA_READ, 0, 64, 0, 0x100, IBV_WC_REM_ACCESS_ERR, true);
	fails(&rc, NULL, IBV_WR_RDMA_WRITE, 0, 64, RIG_BUF - 63, 0, IBV_WC_REM_ACCESS_ERR, true);
	fails(&rc, NULL, IBV_WR_RDMA_WRITE, 0, 64, (uint64_t)-1, 0, IBV_WC_REM_ACCESS_ERR, true);
	fails(&ro, NULL, IBV_WR_RDMA_READ, 0, 64, 0, 0, IBV_WC_REM_ACCESS_ERR, true);
	fails(&rc, &shut, IBV_WR_RDMA_WRITE, 0, 64, 0, 0, IBV_WC_REM_ACCESS_ERR, true);
	/* message longer than the receive buffer */
	fails(&rc, NULL, IBV_WR_SEND, 0, 65, 0, 0, IBV_WC_REM_INV_REQ_ERR, true);
	/* the sender's own memory */
	fails(&rc, NULL, IBV_WR_SEND, RIG_BUF - 10, 11, 0, 0, IBV_WC_LOC_PROT_ERR, false);
}

static void local_protection(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .access = IBV_ACCESS_REMOTE_READ};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	/* READ into memory without local write; then a receive buffer without it */
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_LOC_PROT_ERR);
	rig_down(&a);
	rig_down(&b);
	rig_pair(&a, &b, &o, NULL);
	rig_recv(&b, 3, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_OP_ERR);
	assert_int_equal(rig_wait(b.rcq).status, IBV_WC_LOC_PROT_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void other_domain(void **state)
{
	struct rig_end a, b;
	struct ibv_pd *pd;
	struct ibv_mr *mr;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	pd = ibv_alloc_pd(b.ctx);
	mr = ibv_reg_mr(pd, b.buf, 4096, RIG_ALL_ACC);
	assert_non_null(mr);
	assert_int_equal(ibv_dealloc_pd(pd), EBUSY);
	b.me.rkey = mr->rkey;
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
	rig_down(&a);
	rig_down(&b);
}

static void stale_key(void **state)
{
	struct rig_end a, b;
	struct ibv_mr *mr;
	uint32_t old;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	mr = ibv_reg_mr(b.pd, b.buf, 4096, RIG_ALL_ACC);
	old = b.me.rkey = mr->rkey;
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	rig_ok(a.scq);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	mr = ibv_reg_mr(b.pd, b.buf, 4096, RIG_ALL_ACC);
	assert_int_not_equal(mr->rkey, old);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	rig_down(&a);
	rig_down(&b);
}

static void not_ready(void **state)
{
	const struct rig_conn few = {.rnr_retry = 2}, none = {.rnr_retry = -1};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, &few);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RNR_RETRY_EXC_ERR);
	rig_down(&a);
	rig_down(&b);
	rig_pair(&a, &b, &rc, &none);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RNR_RETRY_EXC_ERR);
	rig_down(&a);
	rig_down(&b);
	/* For ever: it goes when the receive comes, in order, also without a poll of the sender's.
	 */
	rig_pair(&a, &b, &rc, NULL);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(rig_post(&a, IBV_WR_SEND_WITH_IMM, i, 0, 8, NULL, 0, 0), 0);
	usleep(20000);
	rig_none(b.rcq);
	for (uint64_t i = 0; i < 3; i++)
		rig_recv(&b, 10 + i, 0, 8);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(rig_wait(b.rcq).imm_data, i);
	rig_down(&a);
	rig_down(&b);
}

static void nobody_there(void **state)
{
	const struct rig_conn quick = {.timeout = 8, .retry = 2}; /* 3 ms */
	struct rig_addr nobody = {.lid = 0x1234, .qpn = 0x5678};
	struct rig_end a, b;

	(void)state;
	rig_up(&a, &rc);
	rig_connect(&a, &nobody, &quick);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RETRY_EXC_ERR);
	rig_down(&a);
	/* a QP that is not connected to this one, and one in error */
	rig_up(&a, &rc);
	rig_up(&b, &rc);
	rig_connect(&a, &b.me, &quick);
	rig_connect(&b, &nobody, &quick);
	rig_recv(&b, 1, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RETRY_EXC_ERR);
	rig_none(b.rcq);
	rig_down(&a);
	rig_down(&b);
	rig_pair(&a, &b, &rc, &quick);
	rig_to(b.qp, IBV_QPS_ERR);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_RETRY_EXC_ERR);
	rig_down(&a);
	rig_down(&b);
}

static void late_peer(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_up(&a, &rc);
	rig_up(&b, &rc);
	rig_connect(&a, &b.me, NULL);
	rig_recv(&a, 0, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	usleep(2000);
	rig_none(a.scq);
	rig_connect(&b, &a.me, NULL);
	rig_recv(&b, 0, 0, 8);
	rig_ok(a.scq);
	rig_ok(b.rcq);
	rig_down(&a);
	rig_down(&b);
}

static void overrun(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .cqe = 16};
	struct softhca_counters ctr;
	struct ibv_async_event ev;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	for (int i = 0; i < 17; i++)
		rig_recv(&b, (uint64_t)i, 0, 8);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(rig_post(&a, IBV_WR_SEND, 0, 0, 8, NULL, 0, 0), 0);
		rig_ok(a.scq);
	}
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 0, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(ibv_get_async_event(b.ctx, &ev), 0);
	assert_int_equal(ev.event_type, IBV_EVENT_CQ_ERR);
	assert_ptr_equal(ev.element.cq, b.rcq);
	ibv_ack_async_event(&ev);
	assert_int_equal(softhca_query_counters(b.ctx, &ctr), 0);
	assert_int_equal(ctr.cq_overruns, 1);
	rig_down(&a);
	rig_down(&b);
}

static void error_flushes_all(void **state)
{
	struct rig_end a, b;
	struct ibv_wc wc;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	for (uint64_t i = 0; i < 5; i++)
		rig_recv(&a, i, 0, 8);
	for (uint64_t i = 0; i < 5; i++) /* nothing posted at b: they wait */
		assert_int_equal(rig_post(&a, IBV_WR_SEND, i, 0, 8, NULL, 0, 0), 0);
	rig_to(a.qp, IBV_QPS_ERR);
	for (uint64_t i = 0; i < 5; i++) {
		wc = rig_wait(a.rcq);
		assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(wc.wr_id, i);
		wc = rig_wait(a.scq);
		assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(wc.wr_id, i);
	}
	/* through RESET it is as new */
	rig_to(a.qp, IBV_QPS_RESET);
	rig_connect(&a, &b.me, NULL);
	rig_recv(&b, 1, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	rig_ok(b.rcq);
	rig_ok(a.scq);
	rig_down(&a);
	rig_down(&b);
}

static void access_event(void **state)
{
	struct ibv_async_event ev;
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	b.me.rkey++;
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(ibv_get_async_event(b.ctx, &ev), 0);
	assert_int_equal(ev.event_type, IBV_EVENT_QP_ACCESS_ERR);
	assert_ptr_equal(ev.element.qp, b.qp);
	ibv_ack_async_event(&ev);
	rig_down(&a);
	rig_down(&b);
}

static void destroy_withdraws(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	rig_recv(&b, 1, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	assert_int_equal(ibv_destroy_cq(a.scq), EBUSY);
	assert_int_equal(ibv_destroy_qp(a.qp), 0);
	rig_none(a.scq);
	a.qp = NULL;
	rig_ok(b.rcq);
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),	     cmocka_unit_test(local_protection),
		cmocka_unit_test(other_domain),	     cmocka_unit_test(stale_key),
		cmocka_unit_test(not_ready),	     cmocka_unit_test(nobody_there),
		cmocka_unit_test(late_peer),	     cmocka_unit_test(overrun),
		cmocka_unit_test(error_flushes_all), cmocka_unit_test(access_event),
		cmocka_unit_test(destroy_withdraws),
	};

	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
