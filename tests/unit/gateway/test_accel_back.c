/* SPDX-License-Identifier: BSD-3-Clause */
/* test_accel_back.c - hand-back, close, resets, lost hosts, and hosts that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "accel_bench.h"

#define S 1000000ull /* a second */

static void steps(int n, uint64_t us)
{
	while (n--)
		b_step(us);
}

/* The final line agrees with what both ends have. */
static void check_final(const struct b_conn *k)
{
	const struct ib_gw_line *g = b_gw_line(k->slot);

	assert_true(g->flags & IB_GL_BACK);
	assert_int_equal(g->token, k->token);
	assert_int_equal(g->arm_tx, IB_ARM_NEVER);
	assert_int_equal(g->rx_prod, k->c.snd_nxt - k->cisn - k->c.fin_sent);
	assert_true(g->tx_acked <= g->tx_sent && g->tx_sent <= k->produced);
	/* Everything placed has been acknowledged before the hand-back. */
	assert_int_equal(k->c.snd_una, k->c.snd_nxt);
}

static void test_close(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct b_msg *m;

	b_take(k);
	b_client_send(k, 777);
	k->to_send = 200000;
	k->close = true;
	m = b_wait(IB_MID_DISCONN);
	assert_int_equal(be16toh(m->ctl.reason), IB_R_CLOSE);
	assert_int_equal(be32toh(m->ctl.token), k->token);
	steps(20, 10);
	check_final(k);
	assert_int_equal(k->got, 200000);
	assert_int_equal(b_gw_line(0)->tx_acked, 200000);
	/* What the client sends now is held, then goes natively, in order. */
	b_client_send(k, 3000);
	steps(5, 10);
	assert_int_equal(B.n_native, 0);
	assert_int_equal(b_gw(k)->held, 3);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_int_equal(B.n_native, 3);
	assert_null(b_gw(k));
	assert_int_equal(B.w->stats.back[IB_R_CLOSE], 1);
	assert_int_equal(B.reason, IB_R_CLOSE);
}

static void test_revoke_in_flight(void **state)
{
	struct b_conn *k = b_conn_new(0);
	const struct ib_gw_line *g = b_gw_line(0);

	b_take(k);
	k->to_send = 1000000;
	b_client_send(k, 1000000);
	steps(30, 100);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	assert_int_equal(be16toh(b_wait(IB_MID_DISCONN)->ctl.reason), IB_R_COMMAND);
	assert_true(g->flags & IB_GL_BACK);
	assert_true(g->tx_acked < 1000000 && k->got <= g->tx_sent);
	assert_true(g->rx_prod <= k->c.snd_nxt - k->cisn);
	/* Held frames are bounded. */
	steps(50, 1000);
	assert_true(b_gw(k)->held <= GW_CONN_HELD);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_null(b_gw(k));
}

static void test_no_back_ack(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	b_wait(IB_MID_DISCONN);
	b_client_send(k, 100);
	steps(10, 10);
	steps(60, S / 10);
	assert_null(b_gw(k));
	assert_true(B.n_native > 0);
}

static void test_client_fin(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct b_msg *m;

	b_take(k);
	b_client_send(k, 100000);
	tcp_shutdown(&k->c, B.w->now_us);
	k->to_send = 100000;
	assert_true(b_transfer(k, 10 * S));
	steps(20, 10);
	assert_int_equal(b_gw_line(0)->flags, IB_GL_RX_FIN);
	assert_int_equal(b_gw_line(0)->rx_prod, 100000);
	assert_int_equal(k->c.state, TCP_S_FIN_WAIT_2);
	assert_int_equal(b_tcp(k)->state, TCP_S_CLOSE_WAIT);
	for (uint32_t i = 0; i < B.n_msg; i++) {
		if (B.msg[i].mid == IB_MID_WR_COMPL && B.msg[i].cursor.flags)
			break;
		assert_true(i + 1 < B.n_msg);
	}
	/* The server goes on, then closes. */
	k->to_send = 300000;
	k->close = true;
	m = b_wait(IB_MID_DISCONN);
	assert_int_equal(be16toh(m->ctl.reason), IB_R_CLOSE);
	assert_int_equal(k->got, 300000);
	assert_int_equal(b_gw_line(0)->flags, IB_GL_RX_FIN | IB_GL_BACK);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
}

static void test_client_reset(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct b_msg *m;

	b_take(k);
	k->to_send = 300000;
	b_client_send(k, 5000);
	steps(10, 100);
	tcp_abort(&k->c, B.w->now_us);
	m = b_wait(IB_MID_ABORT);
	assert_int_equal(be16toh(m->ctl.reason), IB_R_RESET);
	assert_true(b_gw_line(0)->flags & IB_GL_BACK);
	assert_int_equal(B.w->stats.client_resets, 1);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_null(b_gw(k));
	assert_false(k->rst);
}

static void test_host_abort(void **state)
{
	struct b_conn *k = b_conn_new(0);
	uint64_t got;

	b_take(k);
	k->to_send = 300000;
	steps(10, 100);
	b_ctl(IB_MID_ABORT, k->token, 0, IB_R_CLOSE);
	b_wait(IB_MID_DISCONN);
	got = k->got;
	steps(100, 1000);
	assert_int_equal(k->got, got);
	assert_false(k->rst || k->fin);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_int_equal(B.w->stats.host_aborts, 1);
}

static void test_kill(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	k->to_send = 300000;
	steps(10, 100);
	assert_int_equal(gw_accel_kill(B.w, k->token), 0);
	steps(5, 10);
	assert_true(k->rst);
	assert_int_equal(be16toh(b_wait(IB_MID_ABORT)->ctl.reason), IB_R_COMMAND);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_int_equal(gw_accel_kill(B.w, k->token), ENOENT);
	assert_int_equal(B.ended, 1);
}

static void test_bad_cursors(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_cursor m = {0};

	b_take(k);
	k->manual = true;
	m.token = htobe32(k->token);
	m.cursor = htobe64(B_RING + 1);
	b_send(IB_MID_SRC_AVAIL, &m);
	steps(10, 10);
	assert_true(k->rst);
	assert_int_equal(be16toh(b_wait(IB_MID_ABORT)->ctl.reason), IB_R_BAD_STATE);
	assert_int_equal(B.w->stats.drop[GW_DROP_BAD_CURSOR], 1);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	/* A token that is over, or was never given. */
	steps(2, 10);
	b_send(IB_MID_SRC_AVAIL, &m);
	b_ctl(IB_MID_REVOKE, 0xdeadbeef, 0, IB_R_NONE);
	b_ctl(IB_MID_GRANT, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_int_equal(B.w->stats.drop[GW_DROP_STALE_TOKEN], 2);
	assert_int_equal(B.w->stats.drop[GW_DROP_BAD_MESSAGE], 1);
}

static void test_wrong_line(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	k->manual = true;
	b_host_line(0)->token ^= 1;
	b_client_send(k, 40000); /* makes it READ the line */
	steps(20, 10);
	assert_true(k->rst);
	b_wait(IB_MID_ABORT);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
}

static void test_host_lost(void **state)
{
	struct b_conn *k = b_conn_new(0), *fresh = b_conn_new(1);
	struct ib_req r;
	uint64_t una;

	b_take(k);
	k->to_send = 300000;
	b_client_send(k, 300000);
	b_req(fresh, &r);
	b_send(IB_MID_REQ, &r);
	steps(10, 100);
	gw_accel_link_down(B.link, true);
	ib_set_fence(&B.link->set);
	una = k->c.snd_una;
	steps(100, 10000);
	/* Stands still: no ACK, no RST, no FIN; frames are dropped, not forwarded. */
	assert_int_equal(k->c.snd_una, una);
	assert_false(k->rst || k->fin);
	assert_int_equal(B.n_native, 1); /* an ACK of the one that was only granted */
	assert_true(B.w->stats.drop[GW_DROP_HELD_LOST] > 0);
	assert_int_equal(corr_accel_count(B.w->accel->map), 1);
	gw_accel_host_gone(B.w, B.host);
	steps(3, 10);
	assert_true(k->rst);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
}

static void test_set_dead_host_alive(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	k->to_send = 300000;
	b_client_send(k, 300000);
	steps(10, 100);
	/* A wrong rkey: the next WRITE kills the set. */
	B.host->arena[0].rx_rkey ^= 0x5555;
	steps(200, 1000);
	assert_int_equal(b_gw(k)->state, GW_C_LOST);
	assert_int_equal(B.n_native, 0);
	assert_true(B.events > 0);
	/* Nobody says that the host is gone: its kernel goes on natively. */
	steps(20, 50000);
	assert_null(b_gw(k));
	b_step(10);
	assert_false(k->rst || k->fin);
	assert_true(B.n_native > 0);
}

/* What `conn show` is made of, and what is left of it when the connection has been handed back. */
static void test_detail(void **state)
{
	static struct gw_conn_detail d;
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	k->to_send = 100000;
	assert_true(b_transfer(k, S));
	b_client_send(k, 5000);
	steps(50, 100);
	assert_int_equal(gw_accel_detail(B.w, k->token ^ 1, &d), ENOENT);
	assert_int_equal(gw_accel_detail(B.w, k->token, &d), 0);
	assert_int_equal(d.estats.v[TCP_ES_HCThruOctetsAcked], 100000);
	assert_int_equal(d.estats.v[TCP_ES_HCThruOctetsReceived], 5000);
	assert_true(d.count > d.n_ev);
	assert_int_equal(d.n_ev, B.gw->cfg->box_entries);
	for (uint32_t i = 1; i < d.n_ev; i++)
		assert_true(d.ev[i - 1].us <= d.ev[i].us);
	assert_true(d.ev[d.n_ev - 1].us <= d.now);
	assert_int_equal(gw_accel_handback(B.w, k->token, IB_R_COMMAND), 0);
	b_wait(IB_MID_DISCONN);
	assert_int_equal(gw_accel_detail(B.w, k->token, &d), 0);
	assert_int_equal(d.ev[d.n_ev - 1].ev.kind, TCP_TR_OWNER);
	assert_string_equal(gw_accel_state_name(d.ev[d.n_ev - 1].ev.what), "back");
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
	assert_int_equal(gw_accel_detail(B.w, k->token, &d), ENOENT);
	assert_int_equal(B.carried_tx, 100000);
	assert_int_equal(B.carried_rx, 5000);
}

static void test_rows(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct gw_conn_row row;
	struct gw_accel_mem mem;
	uint32_t it = 0;

	b_take(k);
	k->to_send = 100000;
	assert_true(b_transfer(k, S));
	steps(5, 100);
	assert_true(gw_accel_next(B.w, &it, &row));
	assert_memory_equal(&row.flow, &k->flow, sizeof(k->flow));
	assert_string_equal(row.state, "ESTABLISHED");
	assert_int_equal(row.tx_bytes, 100000);
	assert_int_equal(row.qpn, B.link->peer.qpn);
	assert_true(row.rdma_read_bytes >= 100000);
	assert_false(gw_accel_next(B.w, &it, &row));
	gw_accel_mem(B.w, &mem);
	assert_int_equal(mem.conns, 1);
	assert_int_equal(mem.conn_bytes, sizeof(struct gw_conn));
	assert_int_equal(mem.boxes_used, 1);
	assert_int_equal(mem.chunks_used, 0);
	assert_int_equal(gw_accel_handback(B.w, k->token, IB_R_COMMAND), 0);
	b_wait(IB_MID_DISCONN);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(2, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_close, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_revoke_in_flight, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_no_back_ack, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_client_fin, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_client_reset, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_host_abort, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_kill, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_bad_cursors, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_wrong_line, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_host_lost, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_set_dead_host_alive, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_detail, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_rows, b_open, b_close),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
