/* SPDX-License-Identifier: BSD-3-Clause */
/* Closing: FIN, RST, ABORT and TIME-WAIT in every state (RFC 9293 sections 3.6 and 3.10). */
#include "tcp_script.h"

static const enum tcp_state sync_states[] = {
	TCP_S_ESTABLISHED, TCP_S_FIN_WAIT_1, TCP_S_FIN_WAIT_2, TCP_S_CLOSE_WAIT,
	TCP_S_CLOSING,	   TCP_S_LAST_ACK,   TCP_S_TIME_WAIT,
};
#define N_STATES (sizeof(sync_states) / sizeof(sync_states[0]))

static void test_active_close(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_shutdown(&t.c, t.now);
	assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
	tt_out(&t);
	tt_expect(&t, 0, 0, 0, TCP_FIN);
	assert_int_equal(t.c.state, TCP_S_FIN_WAIT_1);
	tt_ack(&t, 1);
	assert_int_equal(t.c.state, TCP_S_FIN_WAIT_2);
	assert_int_equal(t.acked, 0);
	/* Half-closed: the client goes on sending. */
	assert_int_equal(tt_seg(&t, TCP_ACK, 0, 500, 1), TCP_V_OK);
	assert_int_equal(t.rx.len, 500);
	tt_expect(&t, 1, 0, 500, 0);
	tt_seg(&t, TCP_ACK | TCP_FIN, 500, 100, 1);
	assert_true(t.rx.fin);
	tt_expect(&t, 1, 0, 601, 0);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	assert_int_equal(t.events[TCP_E_FIN], 1);
	tt_pass(&t, t.cfg.time_wait_us - 1);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	/* A repeated FIN is acknowledged and starts the wait again. */
	tt_seg(&t, TCP_ACK | TCP_FIN, 600, 0, 1);
	tt_expect(&t, 1, 0, 601, 0);
	tt_pass(&t, t.cfg.time_wait_us - 1);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	tt_pass(&t, 1);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	assert_int_equal(t.events[TCP_E_CLOSED], 1);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
}

static void test_passive_close(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK | TCP_FIN, 0, 0, 0);
	tt_expect(&t, 0, 0, 1, 0);
	assert_int_equal(t.c.state, TCP_S_CLOSE_WAIT);
	tt_produce(&t, 300);
	tt_expect(&t, 0, 300, 1, TCP_PSH);
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	tt_expect(&t, 300, 0, 1, TCP_FIN);
	assert_int_equal(t.c.state, TCP_S_LAST_ACK);
	tt_ack(&t, 300);
	assert_int_equal(t.c.state, TCP_S_LAST_ACK);
	tt_ack(&t, 301);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	assert_int_equal(t.events[TCP_E_CLOSED], 1);
	assert_int_equal(t.acked, 300);
}

static void test_simultaneous(void **state)
{
	struct tt t;

	tt_enter(&t, TCP_S_FIN_WAIT_1);
	tt_seg(&t, TCP_ACK | TCP_FIN, 0, 0, 0);
	assert_int_equal(t.c.state, TCP_S_CLOSING);
	tt_expect(&t, 1, 0, 1, 0);
	tt_ack(&t, 1);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	/* FIN and the ACK of ours in one segment. */
	tt_enter(&t, TCP_S_FIN_WAIT_1);
	tt_seg(&t, TCP_ACK | TCP_FIN, 0, 0, 1);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	tt_expect(&t, 1, 0, 1, 0);
}

/* The FIN goes with the last payload, after everything produced, and is sent again if lost. */
static void test_fin_after_data(void **state)
{
	struct tt t;

	tt_init(&t);
	t.want_err = EINPROGRESS;
	tcp_produced(&t.c, 2500, t.now);
	tcp_shutdown(&t.c, t.now);
	tcp_produced(&t.c, 100, t.now); /* too late */
	tt_out(&t);
	tt_nothing(&t);
	tcp_ready(&t.c, TT_SND, 2500, t.now);
	tt_out(&t);
	tt_expect(&t, 0, 2500, 0, TCP_PSH | TCP_FIN);
	t.want_err = 0;
	tt_ack(&t, 2000);
	tt_nothing(&t);
	tt_pass(&t, 1100000);
	assert_true(t.n_out >= 1);
	tt_expect(&t, 2000, 500, 0, TCP_FIN);
	tt_ack(&t, 2501);
	assert_int_equal(t.c.state, TCP_S_FIN_WAIT_2);
	/* Only the FIN is lost. */
	tt_init(&t);
	tt_produce(&t, 100);
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	tt_drain(&t);
	tt_ack(&t, 100);
	tt_pass(&t, 1100000);
	tt_expect(&t, 100, 0, 0, TCP_FIN);
}

/* A FIN that is not placed is not acknowledged, and ours waits for it. */
static void test_fin_unplaced(void **state)
{
	struct tt t;

	tt_init(&t);
	t.hold_place = true;
	tt_seg(&t, TCP_ACK | TCP_FIN, 0, 10, 0);
	assert_int_equal(t.c.state, TCP_S_CLOSE_WAIT);
	tt_nothing(&t);
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tt_place(&t);
	tt_out(&t);
	tt_expect(&t, 0, 0, 11, TCP_FIN);
	tt_ack(&t, 1);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
}

/* A FIN beyond a hole counts when the hole is filled; nothing is accepted after it. */
static void test_fin_out_of_order(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK | TCP_FIN, 100, 50, 0);
	assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
	tt_seg(&t, TCP_ACK, 150, 50, 0);
	assert_int_equal(t.rx.len, 0);
	tt_drain(&t);
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	assert_true(t.rx.fin);
	tt_expect(&t, 0, 0, 151, 0);
	assert_int_equal(t.c.state, TCP_S_CLOSE_WAIT);
}

static void test_rst_every_state(void **state)
{
	struct tt t;

	for (unsigned int i = 0; i < N_STATES; i++) {
		enum tcp_state s = sync_states[i];
		enum tcp_event ev = s == TCP_S_TIME_WAIT ? TCP_E_CLOSED : TCP_E_RESET;

		tt_enter(&t, s);
		assert_int_equal(tt_seg(&t, TCP_RST, t.c.rcv_nxt - TT_RCV, 0, 0), TCP_V_RST);
		assert_int_equal(t.c.state, TCP_S_CLOSED);
		assert_int_equal(t.events[ev], 1);
		tt_nothing(&t);
		/* In the window but not exact: challenged. */
		tt_enter(&t, s);
		assert_int_equal(tt_seg(&t, TCP_RST, t.c.rcv_nxt - TT_RCV + 1, 0, 0),
				 TCP_V_RST_CHALLENGED);
		assert_int_equal(t.c.state, s);
		assert_int_equal(t.n_out, 1);
		/* Outside: ignored. */
		tt_drain(&t);
		tt_seg(&t, TCP_RST, TT_WND + 10, 0, 0);
		tt_seg(&t, TCP_RST, (uint32_t)-10, 0, 0);
		assert_int_equal(t.c.state, s);
		tt_nothing(&t);
	}
}

static void test_fin_every_state(void **state)
{
	static const enum tcp_state after[] = {
		TCP_S_CLOSE_WAIT, TCP_S_CLOSING,  TCP_S_TIME_WAIT, TCP_S_CLOSE_WAIT,
		TCP_S_CLOSING,	  TCP_S_LAST_ACK, TCP_S_TIME_WAIT,
	};
	struct tt t;

	for (unsigned int i = 0; i < N_STATES; i++) {
		tt_enter(&t, sync_states[i]);
		/* The same FIN as before, where one was received. */
		tt_seg(&t, TCP_ACK | TCP_FIN, 0, 0, t.c.snd_una - TT_SND);
		assert_int_equal(t.c.state, after[i]);
		assert_int_equal(t.n_out, 1);
		tt_expect(&t, (int32_t)(t.c.snd_nxt - TT_SND), 0, 1, 0);
	}
}

static void test_abort_every_state(void **state)
{
	struct tt t;

	for (unsigned int i = 0; i < N_STATES; i++) {
		enum tcp_state s = sync_states[i];
		bool rst = s != TCP_S_CLOSING && s != TCP_S_LAST_ACK && s != TCP_S_TIME_WAIT;

		tt_enter(&t, s);
		tcp_abort(&t.c, t.now);
		assert_int_equal(t.c.state, TCP_S_CLOSED);
		assert_int_equal(t.n_out, rst);
		if (rst)
			assert_int_equal(tt_take(&t).flags, TCP_RST | TCP_ACK);
		tt_out(&t);
		tt_nothing(&t);
		assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
	}
	tt_init(&t);
	t.emit_err = ENOBUFS;
	tcp_abort(&t.c, t.now);
	t.emit_err = 0;
	tt_out(&t);
	assert_int_equal(tt_take(&t).flags, TCP_RST | TCP_ACK);
	tt_init(&t);
	tcp_detach(&t.c);
	tt_out(&t);
	tt_nothing(&t);
	assert_int_equal(tt_ack(&t, 0), TCP_V_CLOSED);
}

static void test_syn_in_time_wait(void **state)
{
	struct tt t;

	tt_enter(&t, TCP_S_TIME_WAIT);
	assert_int_equal(tt_seg(&t, TCP_SYN, 0, 0, 0), TCP_V_SYN); /* old number */
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	assert_int_equal(t.n_out, 1);
	assert_int_equal(tt_seg(&t, TCP_SYN, 100000, 0, 0), TCP_V_CLOSED);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	assert_int_equal(t.events[TCP_E_CLOSED], 1);
}

static void test_quiesce(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_quiesce(&t.c, t.now);
	tt_out(&t);
	assert_int_equal(t.events[TCP_E_DRAINED], 1);
	tt_produce(&t, 500);
	tt_nothing(&t);
	assert_int_equal(t.n_want, 0);
	/* With data in flight: retransmission goes on, then it is drained. */
	tt_init(&t);
	tt_produce(&t, 500);
	tt_drain(&t);
	tcp_quiesce(&t.c, t.now);
	tt_produce(&t, 500);
	tt_nothing(&t);
	assert_int_equal(t.events[TCP_E_DRAINED], 0);
	tt_pass(&t, 1100000);
	tt_expect(&t, 0, 500, 0, 0);
	tt_seg(&t, TCP_ACK, 0, 100, 500);
	assert_int_equal(t.events[TCP_E_DRAINED], 1);
	tt_expect(&t, 500, 0, 100, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_active_close),	  cmocka_unit_test(test_passive_close),
		cmocka_unit_test(test_simultaneous),	  cmocka_unit_test(test_fin_after_data),
		cmocka_unit_test(test_fin_unplaced),	  cmocka_unit_test(test_fin_out_of_order),
		cmocka_unit_test(test_rst_every_state),	  cmocka_unit_test(test_fin_every_state),
		cmocka_unit_test(test_abort_every_state), cmocka_unit_test(test_syn_in_time_wait),
		cmocka_unit_test(test_quiesce),
	};

	return cmocka_run_group_tests_name("tcp close", tests, NULL, NULL);
}
