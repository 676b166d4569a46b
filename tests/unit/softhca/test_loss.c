/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loss on request: SOFTHCA_UD_LOSS per cent of datagrams, the same ones for the same SOFTHCA_SEED.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

#define N 2000

static void loses(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_ah_attr aa = {.port_num = 1};
	struct softhca_counters c;
	struct rig_end a, b;
	unsigned int got = 0;
	struct ibv_ah *ah;
	struct ibv_wc wc;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	aa.dlid = b.me.lid;
	ah = ibv_create_ah(a.pd, &aa);
	for (int i = 0; i < N; i++) {
		struct ibv_sge s = {(uintptr_t)a.buf, 4, a.mr->lkey};
		struct ibv_send_wr w = {.sg_list = &s,
					.num_sge = 1,
					.opcode = IBV_WR_SEND,
					.send_flags = IBV_SEND_SIGNALED},
				   *bad;

		w.wr.ud.ah = ah;
		w.wr.ud.remote_qpn = b.me.qpn;
		w.wr.ud.remote_qkey = RIG_QKEY;
		rig_recv(&b, 0, 0, 64);
		assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
		rig_ok(a.scq);
		if (ibv_poll_cq(b.rcq, 1, &wc))
			got++;
		else
			rig_to(b.qp, IBV_QPS_RESET), rig_connect(&b, &a.me, NULL);
	}
	assert_int_equal(softhca_query_counters(a.ctx, &c), 0);
	print_message("seed 7: lost %llu of %d\n", (unsigned long long)c.ud_lost, N);
	assert_int_equal(c.ud_lost + got, N);
	assert_in_range(c.ud_lost, N * 7 / 100, N * 13 / 100);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(loses)};

	rig_dir();
	setenv("SOFTHCA_UD_LOSS", "10", 1);
	setenv("SOFTHCA_SEED", "7", 1);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
