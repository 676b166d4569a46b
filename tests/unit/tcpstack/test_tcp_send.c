/* SPDX-License-Identifier: BSD-3-Clause */
/* Sending new payload: wants, readiness, bursts, SWS avoidance of the sender, probes. */
#include "tcp_script.h"

static void test_whole_segments(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 2500);
	tt_expect(&t, 0, 2500, 0, TCP_PSH);
	assert_int_equal(t.c.timer, TCP_T_RTO);
	/* The window leaves 10000 - 2500: whole segments only, the rest when the window opens. */
	tt_produce(&t, 20000);
	tt_expect(&t, 2500, 7000, 0, 0);
	tt_nothing(&t);
	tt_ack(&t, 2500);
	tt_expect(&t, 9500, 5000, 0, 0);
}

static void test_burst(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.cfg.max_burst = 4500;
	t.st.cwnd = 50000;
	tt_start(&t);
	tt_produce(&t, 10500);
	tt_expect(&t, 0, 4000, 0, 0);
	tt_expect(&t, 4000, 4000, 0, 0);
	tt_expect(&t, 8000, 2500, 0, TCP_PSH);
	tt_nothing(&t);
}

static void test_timestamps_shrink_mss(void **state)
{
	struct tcp_emit e;
	struct tcp_seg s = {.has_ts = false};
	struct tt t;

	tt_prepare(&t);
	t.st.ts_ok = t.st.ts_recent_valid = true;
	tt_start(&t);
	t.now += 5000;
	tt_produce(&t, 5000);
	e = tt_take(&t);
	assert_int_equal(e.mss, TT_MSS - 12);
	assert_int_equal(e.optlen, 12);
	assert_true(test_opt_parse(e.opt, e.optlen, &s));
	assert_int_equal(s.tsval, 500005);
	assert_int_equal(s.tsecr, 7000);
}

/* Wants stay within window and look-ahead, and are cut to max_want. */
static void test_want_bounds(void **state)
{
	uint32_t sum = 0;
	struct tt t;

	tt_prepare(&t);
	t.want_err = EINPROGRESS;
	t.cfg.lookahead = 20000;
	t.cfg.max_want = 8192;
	tt_start(&t);
	tt_produce(&t, 1000000);
	for (unsigned int i = 0; i < t.n_want; i++) {
		assert_int_equal(t.want[i].off, sum);
		assert_true(t.want[i].len <= 8192);
		assert_false(t.want[i].retx);
		sum += t.want[i].len;
	}
	assert_true(sum >= 10000 && sum <= 10000 + 20000);
	tt_nothing(&t);
	t.n_want = 0;
	tt_out(&t);
	assert_int_equal(t.n_want, 0);
}

/* Readiness in any order and in parts; the first gap stops emission. */
static void test_ready_order(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.want_err = EINPROGRESS;
	t.cfg.max_want = 2000;
	tt_start(&t);
	tt_produce(&t, 8000);
	assert_int_equal(t.n_want, 4);
	tcp_ready(&t.c, TT_SND + 6000, 2000, t.now);
	tcp_ready(&t.c, TT_SND + 2500, 1000, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tcp_ready(&t.c, TT_SND, 2500, t.now);
	tt_out(&t);
	tt_expect(&t, 0, 3000, 0, 0); /* 3500 ready: whole segments */
	tcp_ready(&t.c, TT_SND + 3500, 2500, t.now);
	tt_out(&t);
	tt_expect(&t, 3000, 5000, 0, TCP_PSH);
	/* More parts than are remembered are asked for again. */
	tt_prepare(&t);
	t.want_err = EINPROGRESS;
	tt_start(&t);
	tt_produce(&t, 9000);
	for (uint32_t i = 1; i < 9; i += 2)
		tcp_ready(&t.c, TT_SND + 1000 * i, 500, t.now);
	tt_nothing(&t);
	t.want_err = 0;
	for (uint32_t i = 0; i < 9; i++) {
		tcp_ready(&t.c, TT_SND + 1000 * i, 1000, t.now);
		tt_out(&t);
	}
	assert_int_equal(tt_drain(&t), 9000);
	/* Readiness of what nobody wanted is ignored. */
	tcp_ready(&t.c, TT_SND + 9000, 1000, t.now);
	tcp_ready(&t.c, TT_SND - 1000, 1000, t.now);
	tt_out(&t);
	tt_nothing(&t);
}

static void test_no_buffers(void **state)
{
	struct tt t;

	tt_init(&t);
	t.emit_err = ENOBUFS;
	tt_produce(&t, 2000);
	assert_int_equal(t.c.snd_nxt - TT_SND, 0);
	t.emit_err = 0;
	tt_out(&t);
	tt_expect(&t, 0, 2000, 0, TCP_PSH);
	t.want_err = ENOBUFS;
	tt_produce(&t, 1000);
	tt_nothing(&t);
	assert_int_equal(t.events[TCP_E_PAYLOAD], 0);
	t.want_err = 0;
	tt_out(&t);
	tt_expect(&t, 2000, 1000, 0, TCP_PSH);
	/* Ready payload that is gone at emission is wanted again. */
	t.want_err = EINPROGRESS;
	tt_produce(&t, 1000);
	tcp_ready(&t.c, TT_SND + 3000, 1000, t.now);
	t.emit_err = ENODATA;
	tt_out(&t);
	t.emit_err = 0;
	t.want_err = 0;
	tt_out(&t);
	tt_expect(&t, 3000, 1000, 0, TCP_PSH);
}

static void test_failed(void **state)
{
	struct tt t;

	tt_init(&t);
	t.want_err = EINPROGRESS;
	tt_produce(&t, 5000);
	tcp_ready(&t.c, TT_SND, 2000, t.now);
	tt_out(&t);
	tt_expect(&t, 0, 2000, 0, 0);
	tcp_failed(&t.c, TT_SND, 1000, t.now); /* sent already: no matter */
	assert_int_equal(t.events[TCP_E_PAYLOAD], 0);
	tcp_failed(&t.c, TT_SND + 2000, 3000, t.now);
	tcp_failed(&t.c, TT_SND + 2000, 3000, t.now);
	assert_int_equal(t.events[TCP_E_PAYLOAD], 1);
	tt_out(&t);
	tt_nothing(&t);
	assert_true(t.c.timer == TCP_T_NONE);
	/* ACKs go on. */
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	tt_expect(&t, 2000, 0, 100, 0);
	tt_init(&t);
	t.want_err = EIO;
	tt_produce(&t, 100);
	assert_int_equal(t.events[TCP_E_PAYLOAD], 1);
}

/* RFC 9293 section 3.8.6.2.1. */
static void test_sws(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 10000);
	tt_drain(&t);
	t.wnd = 500; /* smaller than a segment and than half of the largest window */
	tt_ack(&t, 10000);
	tt_produce(&t, 5000);
	tt_nothing(&t);
	assert_int_equal(t.c.timer, TCP_T_PERSIST);
	/* The override timeout fills it. */
	tt_pass(&t, 250000);
	tt_expect(&t, 10000, 500, 0, TCP_PSH);
	t.wnd = 4000;
	tt_ack(&t, 10500);
	tt_expect(&t, 10500, 4000, 0, 0);
	/* A client whose window never was larger: half of it is worth a segment. */
	tt_prepare(&t);
	t.st.snd_wnd = t.st.max_wnd = 800;
	tt_start(&t);
	t.wnd = 400;
	tt_produce(&t, 5000);
	tt_expect(&t, 0, 800, 0, 0);
	tt_ack(&t, 800);
	tt_expect(&t, 800, 400, 0, 0);
}

static void test_zero_window(void **state)
{
	uint64_t gap = 0, last = 0, first = 0;
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 5000);
	tt_drain(&t);
	t.now += 10000;
	t.wnd = 0;
	tt_ack(&t, 5000);
	tt_produce(&t, 5000);
	tt_nothing(&t);
	assert_int_equal(t.c.timer, TCP_T_PERSIST);
	/* Probes back off; the client's answers keep the connection (MUST-37). */
	for (int i = 0; i < 12; i++) {
		uint64_t before = t.now;

		while (!t.n_out)
			tt_pass(&t, 1000);
		assert_int_equal(t.n_out, 1);
		tt_expect(&t, 4999, 0, 0, 0);
		assert_true(t.now - before >= gap || gap >= 110000000);
		gap = t.now - before - 1000;
		first = first ? first : gap;
		tt_ack(&t, 5000);
		last = gap;
	}
	assert_true(first < 400000 && last >= 110000000);
	assert_int_equal(t.c.stats.rto_count, 0);
	t.wnd = TT_WND;
	tt_ack(&t, 5000);
	tt_expect(&t, 5000, 5000, 0, TCP_PSH);
	assert_int_equal(t.c.backoff, 0);
	/* Idle for long behind a closed window: the wait for an answer begins with the question. */
	t.wnd = 0;
	tt_ack(&t, 10000);
	t.now += 2ull * t.cfg.user_timeout_us;
	tt_produce(&t, 100);
	tt_pass(&t, 10000000);
	assert_int_equal(t.c.state, TCP_S_ESTABLISHED);
	assert_true(t.n_out > 0);
	tt_drain(&t);
	t.wnd = TT_WND;
	tt_ack(&t, 10000);
	tt_drain(&t);
	tt_ack(&t, 10100);
	/* Without answers it ends. */
	t.wnd = 0;
	tt_ack(&t, 10100);
	tt_produce(&t, 100);
	for (int i = 0; i < 3000 && t.c.state != TCP_S_CLOSED; i++) {
		tt_pass(&t, 1000000);
		tt_drain(&t);
	}
	assert_int_equal(t.events[TCP_E_TIMEOUT], 1);
}

/* The client shrinks its window below what is in flight (MUST-34 of RFC 9293). */
static void test_shrunk_window(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 20000);
	assert_int_equal(tt_drain(&t), 10000);
	t.wnd = 1000;
	tt_ack(&t, 2000);
	tt_nothing(&t);
	tt_pass(&t, 250000);
	tt_expect(&t, 2000, 1000, 0, 0); /* one segment probes */
	tt_nothing(&t);
	t.wnd = TT_WND;
	tt_ack(&t, 10000);
	assert_true(tt_drain(&t) > 0);
}

/* RFC 5681 section 4.1: after an idle RTO the window restarts. */
static void test_idle_restart(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.cwnd = 50000;
	t.st.srtt_us = 10000;
	t.st.rttvar_us = 1000;
	tt_start(&t);
	tt_produce(&t, 20000);
	assert_int_equal(tt_drain(&t), 20000);
	tt_ack(&t, 20000);
	t.now += 5000000;
	tt_produce(&t, 40000);
	assert_int_equal(tt_drain(&t), 10000);
}

/* Timers and RTT start when the run is on the wire. */
static void test_sent(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 1000);
	tt_drain(&t);
	t.now += 50000;
	tcp_sent(&t.c, TT_SND, 1000, t.now);
	t.now += 10000;
	tt_ack(&t, 1000);
	assert_int_equal(t.c.srtt_us, 10000);
	assert_int_equal(t.c.rttvar_us, 5000);
}

static void test_want_after_shutdown_window(void **state)
{
	struct tt t;

	/* Look-ahead with a closed window stays small. */
	tt_init(&t);
	t.want_err = EINPROGRESS;
	t.wnd = 0;
	tt_ack(&t, 0);
	tt_produce(&t, 1000000);
	uint32_t sum = 0;

	for (unsigned int i = 0; i < t.n_want; i++)
		sum += t.want[i].len;
	assert_true(sum > 0 && sum <= 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_segments),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_timestamps_shrink_mss),
		cmocka_unit_test(test_want_bounds),
		cmocka_unit_test(test_ready_order),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_sws),
		cmocka_unit_test(test_zero_window),
		cmocka_unit_test(test_shrunk_window),
		cmocka_unit_test(test_idle_restart),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_want_after_shutdown_window),
	};

	return cmocka_run_group_tests_name("tcp send", tests, NULL, NULL);
}
