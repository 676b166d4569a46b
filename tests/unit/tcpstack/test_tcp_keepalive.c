/* SPDX-License-Identifier: BSD-3-Clause */
/* Keepalives (RFC 9293 section 3.8.4), user timeout (RFC 5482), quick ACKs after silence. */
#include "tcp_check.h"
#include "tcp_script.h"

#define IDLE  7200000000ull /* microseconds */
#define INTVL 75000000ull

static void on(struct tt *t)
{
	tt_init(t);
	tcp_set_keepalive(&t->c, true);
	tt_pass(t, 50000); /* the ACK a takeover owes */
	tt_out(t);
	tt_drain(t);
}

/* Off at the start (MUST-25). */
static void test_off(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_pass(&t, 50000);
	tt_drain(&t);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
	tt_pass(&t, 3 * IDLE);
	tt_nothing(&t);
	tcp_set_keepalive(&t.c, true);
	tt_out(&t);
	assert_true(tcp_deadline(&t.c, t.now) != TCP_NEVER);
	tcp_set_keepalive(&t.c, false);
	tt_out(&t);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
}

/* No probe before keep_idle; each answer starts it again; a probe carries nothing (SHLD-27). */
static void test_answered(void **state)
{
	struct tt t;

	on(&t);
	for (unsigned int i = 0; i < 5; i++) {
		tt_pass(&t, IDLE - 60000);
		tt_nothing(&t);
		tt_pass(&t, 60000);
		tt_expect(&t, -1, 0, 0, 0);
		tt_nothing(&t);
		tt_ack(&t, 0);
		tt_nothing(&t);
		assert_null(tcp_check(&t.c));
	}
	assert_int_equal(t.c.stats.probes, 5);
	assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
}

/* Lost answers are no death (MUST-27): only keep_count of them in a row. */
static void test_unanswered(void **state)
{
	struct tt t;

	on(&t);
	tt_pass(&t, IDLE);
	tt_expect(&t, -1, 0, 0, 0);
	for (unsigned int i = 1; i < 8; i++) {
		tt_pass(&t, INTVL);
		tt_expect(&t, -1, 0, 0, 0);
	}
	tt_ack(&t, 0); /* the eighth is answered */
	tt_pass(&t, IDLE - 60000);
	tt_nothing(&t);
	tt_pass(&t, 60000);
	for (unsigned int i = 1; i < 10; i++) {
		tt_expect(&t, -1, 0, 0, 0);
		assert_int_equal(t.events[TCP_E_TIMEOUT], 0);
		tt_pass(&t, INTVL);
	}
	assert_int_equal(t.events[TCP_E_TIMEOUT], 1);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	tt_expect(&t, 0, 0, 0, TCP_RST);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
}

/* Not while something is in flight (MUST-26): then the retransmission timer rules. */
static void test_in_flight(void **state)
{
	struct tt t;

	on(&t);
	t.cfg.keep_idle_ms = 500;
	tcp_set_cfg(&t.c, &t.cfg);
	tt_produce(&t, 100);
	tt_expect(&t, 0, 100, 0, TCP_PSH);
	assert_int_equal(t.c.timer == TCP_T_KEEPALIVE, 0);
	tt_pass(&t, 900000);
	tt_nothing(&t); /* RTO is 1 s */
	tt_ack(&t, 100);
	tt_pass(&t, 499000);
	tt_nothing(&t);
	tt_pass(&t, 2000);
	tt_expect(&t, 99, 0, 0, 0);
	/* A closed window has probes of its own. */
	t.wnd = 0;
	tt_ack(&t, 100);
	tt_produce(&t, 100);
	assert_int_equal(t.c.timer, TCP_T_PERSIST);
	assert_null(tcp_check(&t.c));
}

/* Also half-closed, in both ways; not in TIME-WAIT, and not when the connection is handed back. */
static void test_states(void **state)
{
	static const struct {
		enum tcp_state s;
		bool probes;
	} m[] = {{TCP_S_CLOSE_WAIT, true}, {TCP_S_FIN_WAIT_2, true}, {TCP_S_TIME_WAIT, false}};
	struct tt t;

	for (unsigned int i = 0; i < 3; i++) {
		tt_enter(&t, m[i].s);
		t.cfg.keep_idle_ms = 1000;
		tcp_set_keepalive(&t.c, true);
		tt_out(&t);
		tt_pass(&t, 1000000);
		assert_int_equal(t.n_out, m[i].probes);
	}
	on(&t);
	tcp_quiesce(&t.c, t.now);
	tt_out(&t);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
}

/* A wire that takes nothing: the probe is owed, not counted. */
static void test_no_buffer(void **state)
{
	struct tt t;

	on(&t);
	t.emit_err = ENOBUFS;
	tt_pass(&t, IDLE - 60000);
	t.now += 60000;
	tcp_timer(&t.c, t.now);
	tt_out(&t);
	assert_int_equal(t.c.keep_sent, 0);
	t.emit_err = 0;
	tt_out(&t);
	assert_int_equal(t.c.keep_sent, 1);
	tt_expect(&t, -1, 0, 0, 0);
}

/* The user timeout of one connection: its own configuration (RFC 5482 section 3.1, local). */
static void test_user_timeout(void **state)
{
	struct tcp_cfg own;
	struct tt t;

	tt_init(&t);
	own = t.cfg;
	own.user_timeout_us = 5000000;
	tcp_set_cfg(&t.c, &own);
	tt_produce(&t, 100);
	tt_pass(&t, 4900000);
	assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
	tt_drain(&t);
	tt_pass(&t, 20000000);
	assert_int_equal(t.events[TCP_E_TIMEOUT], 1);
}

/* After a silence longer than an RTO the client is in slow start: ACKs at once (RFC 5681 4.2). */
static void test_quick_after_idle(void **state)
{
	struct tt t;

	tt_init(&t);
	t.c.quick = 0;
	tt_pass(&t, 100000);
	tt_drain(&t);
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	tt_nothing(&t); /* delayed */
	tt_pass(&t, 100000);
	tt_expect(&t, 0, 0, 100, 0);
	tt_pass(&t, 1500000);
	for (unsigned int i = 0; i < 16; i++) {
		tt_seg(&t, TCP_ACK, 100 + 10 * i, 10, 0);
		tt_expect(&t, 0, 0, 110 + (int)(10 * i), 0);
	}
	tt_seg(&t, TCP_ACK, 260, 10, 0);
	tt_nothing(&t);
	/* The program asks for it. */
	tcp_quickack(&t.c, true);
	tt_out(&t);
	tt_expect(&t, 0, 0, 270, 0);
	tt_seg(&t, TCP_ACK, 270, 10, 0);
	tt_expect(&t, 0, 0, 280, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),	     cmocka_unit_test(test_answered),
		cmocka_unit_test(test_unanswered),   cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_states),	     cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_user_timeout), cmocka_unit_test(test_quick_after_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
