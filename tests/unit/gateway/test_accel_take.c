/* SPDX-License-Identifier: BSD-3-Clause */
/* test_accel_take.c - takeover: what is granted, refused, cancelled, forgotten; bounced frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "accel_bench.h"
#include "gateway/gw_spread.h"

#define S 1000000ull /* a second */

/* Sends a request and returns why it was denied; NONE: granted (and cancelled). */
static enum ib_reason ask(const struct ib_req *req)
{
	struct b_msg *m;

	B.n_msg = 0;
	b_send(IB_MID_REQ, req);
	for (int i = 0; i < 100; i++) {
		b_step(10);
		m = b_find(IB_MID_DENY);
		if (m)
			return be16toh(m->ctl.reason);
		if (b_find(IB_MID_GRANT)) {
			b_ctl(IB_MID_CANCEL, 0, req->req_id, IB_R_NONE);
			b_wait(IB_MID_CANCEL_ACK);
			return IB_R_NONE;
		}
	}
	fail();
	return IB_R_COUNT;
}

static void test_refusals(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req ok, r;

	b_req(k, &ok);
	assert_int_equal(ask(&ok), IB_R_NONE);
	r = ok;
	r.local[15] = 99;
	assert_int_equal(ask(&r), IB_R_NOT_OWNER);
	r = ok;
	r.lport = htobe16(81);
	assert_int_equal(ask(&r), IB_R_POLICY);
	r = ok;
	r.arena = htobe16(1);
	assert_int_equal(ask(&r), IB_R_BAD_SLOT);
	r = ok;
	r.slot = htobe16(B_SLOTS);
	assert_int_equal(ask(&r), IB_R_BAD_SLOT);
	r = ok;
	r.mss = htobe32(100);
	assert_int_equal(ask(&r), IB_R_BAD_STATE);
	r = ok;
	r.remote[11] = 0;
	assert_int_equal(ask(&r), IB_R_BAD_STATE);
	r = ok;
	r.snd_nxt = htobe32(be32toh(r.snd_una) + 1);
	assert_int_equal(ask(&r), IB_R_BAD_STATE);
	r = ok;
	r.rcv_edge = htobe32(be32toh(r.rcv_nxt) + B_RING + 1);
	assert_int_equal(ask(&r), IB_R_WINDOW);
	B.no_route = true;
	assert_int_equal(ask(&ok), IB_R_NO_ROUTE);
	B.no_route = false;
	B.gw->cfg->service[0].accelerate = GW_ACCEL_OFF;
	assert_int_equal(ask(&ok), IB_R_POLICY);
	B.gw->cfg->service[0].accelerate = GW_ACCEL_ACCEPT;
	assert_int_equal(ask(&ok), IB_R_NONE);
	assert_int_equal(B.w->stats.accel_denies, 10);
	assert_int_equal(B.w->stats.deny[IB_R_BAD_STATE], 3);
}

/* A host that asks a worker that does not have the flow is told whom to ask. */
static void test_redirect(void **state)
{
	uint32_t granted = 0, redirected = 0;

	B.gw->n_worker = 2;
	for (uint16_t slot = 0; slot < B_SLOTS; slot++) {
		struct b_conn *k = b_conn_new(slot);
		const uint32_t owner = gw_spread_flow(B.gw, &k->flow);
		struct ib_req r;
		struct b_msg *m;

		b_req(k, &r);
		if (owner == B.w->index) {
			assert_int_equal(ask(&r), IB_R_NONE);
			granted++;
			continue;
		}
		B.n_msg = 0;
		b_send(IB_MID_REQ, &r);
		m = b_wait(IB_MID_REDIRECT);
		assert_int_equal(be16toh(m->ctl.worker), owner);
		assert_int_equal(m->ctl.req_id, r.req_id);
		redirected++;
	}
	B.gw->n_worker = 1;
	assert_true(granted && redirected);
	assert_int_equal(B.w->stats.accel_redirects, redirected);
	assert_int_equal(B.w->stats.accel_grants, granted);
	assert_int_equal(B.w->stats.accel_denies, 0);
}

static void test_limits(void **state)
{
	struct b_conn *a = b_conn_new(0), *b = b_conn_new(1);
	struct ib_req r;

	b_take(a);
	b_req(b, &r);
	B.gw->cfg->max_accelerated = 1;
	assert_int_equal(ask(&r), IB_R_GW_LIMIT);
	B.gw->cfg->max_accelerated = 2;
	B.gw->cfg->server[0].max_accelerated = 1;
	assert_int_equal(ask(&r), IB_R_HOST_LIMIT);
	B.gw->cfg->server[0].max_accelerated = 2;
	B.gw->cfg->service[0].max_accelerated = 1;
	assert_int_equal(ask(&r), IB_R_GW_LIMIT);
	B.gw->cfg->service[0].max_accelerated = 2;
	assert_int_equal(ask(&r), IB_R_NONE);
	assert_int_equal(atomic_load(&B.gw->accelerated), 1);
	/* The slot and the flow of the first are taken. */
	r.slot = htobe16(0);
	assert_int_equal(ask(&r), IB_R_BAD_SLOT);
	b_req(a, &r);
	r.slot = htobe16(5);
	assert_int_equal(ask(&r), IB_R_EXISTS);
}

static void test_old_grant(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;
	uint32_t token;

	b_req(k, &r);
	b_send(IB_MID_REQ, &r);
	token = be32toh(b_wait(IB_MID_GRANT)->grant.token);
	for (int i = 0; i < 60; i++)
		b_step(S / 10);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
	b_ctl(IB_MID_COMMIT, token, k->req_id, IB_R_NONE);
	assert_int_equal(be16toh(b_wait(IB_MID_DISCONN)->ctl.reason), IB_R_TIMEOUT);
	assert_int_equal(B.w->stats.drop[GW_DROP_STALE_TOKEN], 1);
	/* A CANCEL of what is not there is answered all the same. */
	b_ctl(IB_MID_CANCEL, 0, 4711, IB_R_NONE);
	assert_int_equal(b_wait(IB_MID_CANCEL_ACK)->ctl.req_id, 4711);
}

static void test_cancel_after_commit(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	b_ctl(IB_MID_CANCEL, k->token, k->req_id, IB_R_NONE);
	for (int i = 0; i < 10; i++)
		b_step(10);
	assert_null(b_find(IB_MID_CANCEL_ACK));
	assert_non_null(b_gw(k));
}

/* Data that is in flight and unread at the takeover. */
static void test_mid_stream(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	/* The first 3000 bytes are in the ring; 1000 of them have been sent and got lost. */
	b_req(k, &r);
	r.tx_prod = htobe64(3000);
	r.snd_nxt = htobe32(k->sisn + 1000);
	k->to_send = 3000;
	memset(b_gw_line(0), 0, sizeof(struct ib_gw_line));
	b_gw_line(0)->token = 77;
	k->token = 77;
	b_step(1); /* the program fills the ring */
	assert_int_equal(k->produced, 3000);
	b_send(IB_MID_REQ, &r);
	k->token = 0;
	k->token = be32toh(b_wait(IB_MID_GRANT)->grant.token);
	b_host_line(0)->token = b_gw_line(0)->token = k->token;
	b_host_line(0)->flags = 0;
	b_host_line(0)->rx_cons = 0;
	b_ctl(IB_MID_COMMIT, k->token, k->req_id, IB_R_NONE);
	k->to_send = 50000;
	assert_true(b_transfer(k, 10 * S));
}

static void bounce(struct b_conn *k, uint32_t off)
{
	struct tcp_emit e = {.seq = k->cisn + off,
			     .ack = k->sisn,
			     .len = 100,
			     .mss = 100,
			     .wnd = 512,
			     .flags = TCP_ACK};
	struct rte_mbuf *m = b_frame(k, &e);
	struct net_pkt p;

	b_parse(m, &p);
	gw_accel_bounced(B.w, B.host, m, &p);
}

static void test_bounced_before_commit(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	b_req(k, &r);
	r.flags &= ~IB_REQ_TS; /* bounce() builds frames without options */
	b_send(IB_MID_REQ, &r);
	k->token = be32toh(b_wait(IB_MID_GRANT)->grant.token);
	memset(b_host_line(0), 0, sizeof(struct ib_host_line));
	b_host_line(0)->token = k->token;
	k->manual = true;
	for (uint32_t i = 0; i < GW_CONN_HELD + 16; i++)
		bounce(k, i * 100);
	assert_int_equal(b_gw(k)->held, GW_CONN_HELD);
	assert_int_equal(B.w->stats.drop[GW_DROP_HELD_FULL], 16);
	b_ctl(IB_MID_COMMIT, k->token, k->req_id, IB_R_NONE);
	for (int i = 0; i < 20; i++)
		b_step(10);
	assert_int_equal(b_gw(k)->held, 0);
	/* The queue pair has not room for so many at once: the client sends the rest again. */
	assert_int_equal(b_gw_line(0)->rx_prod,
			 (GW_CONN_HELD - B.w->stats.drop[GW_DROP_FABRIC_FULL]) * 100);
	assert_true(b_gw_line(0)->rx_prod > 40000);
}

static void test_bounced_unknown(void **state)
{
	struct b_conn *k = b_conn_new(0);

	for (uint32_t i = 0; i < 10; i++)
		bounce(k, i * 100);
	assert_int_equal(B.w->stats.drop[GW_DROP_BOUNCED_UNKNOWN], 2);
	b_step(10);
	assert_null(b_find(IB_MID_REOFFER));
	b_step(60000);
	b_step(10);
	assert_memory_equal(b_wait(IB_MID_REOFFER)->reoffer.remote, k->flow.remote.b, 16);
	assert_int_equal(B.w->stats.drop[GW_DROP_BOUNCED_UNKNOWN], 10);
	/* One that waits is delivered when its connection begins. */
	bounce(k, 0);
	b_take(k);
	b_step(10);
	assert_int_equal(B.w->accel->n_stray, 0);
	assert_int_equal(B.w->stats.drop[GW_DROP_BOUNCED_UNKNOWN], 10);
}

static void test_ask(void **state)
{
	struct b_conn *k = b_conn_new(3);
	const struct ib_reoffer *m;

	assert_int_equal(gw_accel_ask(B.w, 0, &k->flow), 0);
	m = &b_wait(IB_MID_ASK)->reoffer;
	assert_memory_equal(m->remote, k->flow.remote.b, 16);
	assert_memory_equal(m->local, k->flow.local.b, 16);
	assert_int_equal(m->rport, k->flow.rport);
	assert_int_equal(m->lport, k->flow.lport);
	assert_int_equal(B.w->stats.accel_asks, 1);
	B.link->up = false;
	assert_int_equal(gw_accel_ask(B.w, 0, &k->flow), ENOTCONN);
	B.link->up = true;
}

static void test_prepared_goes_natively(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	b_req(k, &r);
	b_send(IB_MID_REQ, &r);
	b_wait(IB_MID_GRANT);
	b_client_send(k, 500);
	b_step(10);
	b_step(10);
	assert_int_equal(B.n_native, 1);
	b_ctl(IB_MID_CANCEL, 0, k->req_id, IB_R_NONE);
	b_wait(IB_MID_CANCEL_ACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_redirect, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_limits, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_old_grant, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_cancel_after_commit, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_mid_stream, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_bounced_before_commit, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_bounced_unknown, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_ask, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_prepared_goes_natively, b_open, b_close),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
