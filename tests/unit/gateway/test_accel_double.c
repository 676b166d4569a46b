/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_accel_double.c - messages of a takeover that come twice, late, crossed or not at all: what
 * the model (tests/model/) relies on, asked of the gateway itself.
 */
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

/* Messages of a kind that came. */
static uint32_t came(uint8_t mid)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < B.n_msg; i++)
		n += B.msg[i].mid == mid;
	return n;
}

/* REQ and GRANT, no COMMIT. */
static void prepare(struct b_conn *k, struct ib_req *r)
{
	b_req(k, r);
	memset(b_host_line(k->slot), 0, sizeof(struct ib_host_line));
	memset(b_gw_line(k->slot), 0, sizeof(struct ib_gw_line));
	b_gw_line(k->slot)->arm_tx = b_gw_line(k->slot)->arm_rx = IB_ARM_NEVER;
	b_send(IB_MID_REQ, r);
	k->token = be32toh(b_wait(IB_MID_GRANT)->grant.token);
	b_host_line(k->slot)->token = b_gw_line(k->slot)->token = k->token;
	B.n_msg = 0;
}

static void test_req_twice(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	prepare(k, &r);
	B.reason = IB_R_NONE;
	b_send(IB_MID_REQ, &r);
	assert_int_equal(be16toh(b_wait(IB_MID_DENY)->ctl.reason), IB_R_EXISTS);
	assert_int_equal(corr_accel_count(B.w->accel->map), 1);
	b_ctl(IB_MID_COMMIT, k->token, k->req_id, IB_R_NONE);
	steps(3, 10);
	b_send(IB_MID_REQ, &r);
	steps(3, 10);
	assert_int_equal(came(IB_MID_DENY), 2);
	assert_int_equal(came(IB_MID_GRANT), 0);
	/* Nothing wrong is reported of the host, and the connection is as it was. */
	assert_int_equal(B.reason, IB_R_NONE);
	assert_int_equal(B.events, 0);
	assert_int_equal(atomic_load(&B.gw->accelerated), 1);
	k->to_send = 50000;
	assert_true(b_transfer(k, 10 * S));
}

static void test_commit_twice(void **state)
{
	struct b_conn *k = b_conn_new(0);
	uint32_t token;

	b_take(k);
	token = k->token;
	b_ctl(IB_MID_COMMIT, token, k->req_id, IB_R_NONE);
	k->to_send = 50000;
	assert_true(b_transfer(k, 10 * S));
	b_ctl(IB_MID_REVOKE, token, 0, IB_R_COMMAND);
	b_ctl(IB_MID_COMMIT, token, k->req_id, IB_R_NONE);
	b_wait(IB_MID_DISCONN);
	b_ctl(IB_MID_COMMIT, token, k->req_id, IB_R_NONE);
	steps(5, 10);
	assert_int_equal(came(IB_MID_DISCONN), 1);
	assert_int_equal(b_gw(k)->state, GW_C_BACK);
	assert_int_equal(B.w->stats.accel_commits, 1);
	b_ctl(IB_MID_BACK_ACK, token, 0, IB_R_NONE);
	b_ctl(IB_MID_COMMIT, token, k->req_id, IB_R_NONE);
	steps(5, 10);
	/* Nothing starts; the host is told that nobody holds it. */
	assert_int_equal(came(IB_MID_DISCONN), 2);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
	b_client_send(k, 100);
	steps(5, 10);
	assert_int_equal(B.n_native, 1);
}

/* CANCEL crosses GRANT; the COMMIT of a grant that is void starts nothing. */
static void test_cancel_crosses_grant(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;
	uint32_t old;

	b_req(k, &r);
	b_send(IB_MID_REQ, &r);
	b_ctl(IB_MID_CANCEL, 0, k->req_id, IB_R_NONE);
	old = be32toh(b_wait(IB_MID_CANCEL_ACK)->ctl.token);
	assert_int_equal(be32toh(b_find(IB_MID_GRANT)->grant.token), old);
	assert_int_not_equal(old, 0);
	b_ctl(IB_MID_CANCEL, 0, k->req_id, IB_R_NONE);
	steps(3, 10);
	assert_int_equal(came(IB_MID_CANCEL_ACK), 2);
	assert_int_equal(B.msg[B.n_msg - 1].ctl.token, 0);
	b_ctl(IB_MID_COMMIT, old, k->req_id, IB_R_NONE);
	assert_int_equal(be32toh(b_wait(IB_MID_DISCONN)->ctl.token), old);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
	assert_int_equal(B.w->stats.tcp_segments_out, 0);
	/* The slot is free; the old token says nothing about the new connection. */
	B.n_msg = 0;
	b_take(k);
	assert_int_not_equal(k->token, old);
	b_ctl(IB_MID_ABORT, old, 0, IB_R_NONE);
	b_ctl(IB_MID_REVOKE, old, 0, IB_R_NONE);
	b_ctl(IB_MID_BACK_ACK, old, 0, IB_R_NONE);
	b_ctl(IB_MID_COMMIT, old, k->req_id, IB_R_NONE);
	steps(3, 10);
	assert_int_equal(b_gw(k)->state, GW_C_ACTIVE);
	k->to_send = 50000;
	assert_true(b_transfer(k, 10 * S));
}

/* A CANCEL that overtook its REQ leaves a grant that nobody wants. */
static void test_cancel_before_req(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	b_req(k, &r);
	b_ctl(IB_MID_CANCEL, 0, k->req_id, IB_R_NONE);
	b_send(IB_MID_REQ, &r);
	b_wait(IB_MID_GRANT);
	b_client_send(k, 100);
	steps(5, 10);
	assert_int_equal(B.n_native, 1); /* it goes on natively meanwhile */
	steps(60, S / 10);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
	assert_int_equal(atomic_load(&B.gw->accelerated), 0);
	B.n_msg = 0;
	b_take(k);
}

/* What concerns a running connection does nothing to a grant, and the other way round. */
static void test_wrong_state(void **state)
{
	struct b_conn *k = b_conn_new(0);
	struct ib_req r;

	prepare(k, &r);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	b_ctl(IB_MID_ABORT, k->token, 0, IB_R_CLOSE);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(3, 10);
	assert_int_equal(b_gw(k)->state, GW_C_PREPARED);
	b_ctl(IB_MID_COMMIT, k->token, k->req_id, IB_R_NONE);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(3, 10);
	assert_int_equal(b_gw(k)->state, GW_C_ACTIVE);
	k->to_send = 50000;
	assert_true(b_transfer(k, 10 * S));
	assert_int_equal(came(IB_MID_DISCONN), 0);
}

static void test_back_twice(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	b_ctl(IB_MID_ABORT, k->token, 0, IB_R_CLOSE);
	b_wait(IB_MID_DISCONN);
	b_ctl(IB_MID_REVOKE, k->token, 0, IB_R_COMMAND);
	b_client_send(k, 3000);
	steps(5, 10);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	b_ctl(IB_MID_BACK_ACK, k->token, 0, IB_R_NONE);
	steps(5, 10);
	assert_int_equal(came(IB_MID_DISCONN), 1);
	assert_int_equal(B.n_native, 3);
	assert_int_equal(B.w->stats.drop[GW_DROP_STALE_TOKEN], 1);
	assert_null(b_gw(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_req_twice, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_commit_twice, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_cancel_crosses_grant, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_cancel_before_req, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_wrong_state, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_back_twice, b_open, b_close),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
