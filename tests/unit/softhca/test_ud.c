/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams, and UC: what arrives, what is dropped, how it is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

static const struct rig_opt ud = {.type = IBV_QPT_UD};

static struct ibv_ah *ah_to(struct rig_end *e, const struct rig_addr *to, bool grh, bool lid)
{
	struct ibv_ah_attr a = {.port_num = 1, .is_global = grh, .dlid = lid ? to->lid : 0};
	struct ibv_ah *ah;

	a.grh.dgid = to->gid;
	a.grh.hop_limit = 5;
	a.grh.traffic_class = 0x12;
	a.grh.flow_label = 0x34567;
	ah = ibv_create_ah(e->pd, &a);
	assert_non_null(ah);
	return ah;
}

static int ud_send(struct rig_end *e, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey, uint32_t len)
{
	struct ibv_sge s = {(uintptr_t)e->buf, len, e->mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.opcode = IBV_WR_SEND,
				.send_flags = IBV_SEND_SIGNALED},
			   *bad;

	w.wr.ud.ah = ah;
	w.wr.ud.remote_qpn = qpn;
	w.wr.ud.remote_qkey = qkey;
	return ibv_post_send(e->qp, &w, &bad);
}

static struct softhca_counters counters(struct rig_end *e)
{
	struct softhca_counters c;

	assert_int_equal(softhca_query_counters(e->ctx, &c), 0);
	return c;
}

static void by_lid(void **state)
{
	struct rig_end a, b;
	struct ibv_ah *ah;
	struct ibv_wc wc;

	(void)state;
	rig_pair(&a, &b, &ud, NULL);
	ah = ah_to(&a, &b.me, false, true);
	memset(a.buf, 'x', 4096);
	memset(b.buf, 'y', 8192);
	rig_recv(&b, 3, 0, 4096 + 40);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 4096), 0);
	rig_ok(a.scq);
	wc = rig_wait(b.rcq);
	assert_int_equal(wc.byte_len, 4096 + 40);
	assert_int_equal(wc.src_qp, a.me.qpn);
	assert_int_equal(wc.slid, a.me.lid);
	assert_int_equal(wc.wc_flags & IBV_WC_GRH, 0);
	assert_memory_equal(b.buf + 40, a.buf, 4096);
	assert_int_equal(b.buf[39], 'y'); /* no GRH: those bytes are not written */
	assert_int_equal(b.buf[40 + 4096], 'y');
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&a);
	rig_down(&b);
}

static void with_grh(void **state)
{
	struct rig_end a, b;
	struct ibv_ah *ah, *back;
	struct ibv_grh *g;
	struct ibv_wc wc;

	(void)state;
	for (int lid = 0; lid < 2; lid++) {
		rig_pair(&a, &b, &ud, NULL);
		ah = ah_to(&a, &b.me, true, lid);
		memcpy(a.buf, "datagram", 9);
		rig_recv(&b, 3, 0, 200);
		assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 9), 0);
		wc = rig_wait(b.rcq);
		assert_int_equal(wc.byte_len, 49);
		assert_int_equal(wc.wc_flags & IBV_WC_GRH, IBV_WC_GRH);
		assert_string_equal((char *)b.buf + 40, "datagram");
		g = (struct ibv_grh *)(void *)b.buf;
		assert_memory_equal(&g->sgid, &a.me.gid, 16);
		assert_memory_equal(&g->dgid, &b.me.gid, 16);
		assert_int_equal(g->next_hdr, 0x1b);
		assert_int_equal(g->hop_limit, 5);
		/* and the way back, from what arrived */
		back = ibv_create_ah_from_wc(b.pd, &wc, g, 1);
		assert_non_null(back);
		rig_recv(&a, 4, 100, 100);
		assert_int_equal(ud_send(&b, back, wc.src_qp, RIG_QKEY, 1), 0);
		rig_ok(a.rcq);
		assert_int_equal(ibv_destroy_ah(ah), 0);
		assert_int_equal(ibv_destroy_ah(back), 0);
		rig_down(&a);
		rig_down(&b);
	}
}

static void drops(void **state)
{
	struct rig_addr nobody = {.lid = 0x777};
	struct rig_end a, b;
	struct ibv_ah *ah, *nowhere;

	(void)state;
	rig_pair(&a, &b, &ud, NULL);
	ah = ah_to(&a, &b.me, false, true);
	nowhere = ah_to(&a, &nobody, false, true);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 10), 0);
	assert_int_equal(counters(&b).ud_no_buffer, 1);
	rig_recv(&b, 1, 0, 49);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 10), 0);
	assert_int_equal(counters(&b).ud_too_long, 1);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, 3, 9), 0);
	assert_int_equal(counters(&b).ud_bad_qkey, 1);
	assert_int_equal(ud_send(&a, ah, b.me.qpn + 16384, RIG_QKEY, 9), 0);
	assert_int_equal(ud_send(&a, ah, 1, RIG_QKEY, 9), 0);
	assert_int_equal(counters(&b).ud_bad_qp, 2);
	assert_int_equal(ud_send(&a, nowhere, b.me.qpn, RIG_QKEY, 9), 0);
	assert_int_equal(counters(&a).ud_unroutable, 1);
	for (int i = 0; i < 6; i++)
		rig_ok(a.scq); /* the sender hears nothing of it */
	rig_none(b.rcq);
	/* the buffer is still there; the QP's own Q_Key serves for a controlled one */
	assert_int_equal(ud_send(&a, ah, b.me.qpn, 0x80000000u, 9), 0);
	rig_ok(b.rcq);
	assert_int_equal(counters(&b).ud_delivered, 1);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	assert_int_equal(ibv_destroy_ah(nowhere), 0);
	rig_down(&a);
	rig_down(&b);
}

static void too_long_to_send(void **state)
{
	struct ibv_qp_attr at;
	struct ibv_qp_init_attr in;
	struct rig_end a, b;
	struct ibv_ah *ah;

	(void)state;
	rig_pair(&a, &b, &ud, NULL);
	ah = ah_to(&a, &b.me, false, true);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 4097), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(ibv_query_qp(a.qp, &at, IBV_QP_STATE, &in), 0);
	assert_int_equal(at.qp_state, IBV_QPS_SQE);
	rig_to(a.qp, IBV_QPS_RTS);
	rig_recv(&b, 1, 0, 100);
	assert_int_equal(ud_send(&a, ah, b.me.qpn, RIG_QKEY, 1), 0);
	rig_ok(a.scq);
	rig_ok(b.rcq);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&a);
	rig_down(&b);
}

static void wrong_ops(void **state)
{
	struct ibv_ah_attr bad = {.port_num = 2, .dlid = 1};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &ud, NULL);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, 0, 0), EINVAL);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), EINVAL); /* no AH */
	assert_null(ibv_create_ah(a.pd, &bad));
	bad = (struct ibv_ah_attr){.port_num = 1};
	assert_null(ibv_create_ah(a.pd, &bad));
	rig_down(&a);
	rig_down(&b);
}

static void uc(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UC};
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	memcpy(a.buf, "uc", 3);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 3, NULL, 0, 0), 0); /* lost */
	rig_ok(a.scq);
	rig_recv(&b, 2, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 9, NULL, 0, 0), 0); /* too long: lost */
	rig_ok(a.scq);
	rig_none(b.rcq);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 3, NULL, 0, 0), 0);
	rig_ok(a.scq);
	assert_int_equal(rig_wait(b.rcq).byte_len, 3);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_WRITE, 1, 0, 3, &b.me, 50, 0), 0);
	rig_ok(a.scq);
	assert_string_equal((char *)b.buf + 50, "uc");
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 3, &b.me, 50, 0), EINVAL);
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_lid),    cmocka_unit_test(with_grh),
		cmocka_unit_test(drops),     cmocka_unit_test(too_long_to_send),
		cmocka_unit_test(wrong_ops), cmocka_unit_test(uc),
	};

	rig_dir();
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
