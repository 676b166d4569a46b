/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledging: placement, delay, SWS avoidance of the receiver, window updates. */
#include "tcp_script.h"

/* An established receiver past its quick ACKs, window fully open. */
static void init_slow(struct tt *t)
{
	tt_init(t);
	t->c.quick = 0;
}

static uint32_t edge_of(const struct tcp_emit *e, unsigned int shift)
{
	return e->ack + ((uint32_t)e->wnd << shift) - TT_RCV;
}

static void test_only_placed(void **state)
{
	struct tcp_rx_pos first;
	struct tt t;

	tt_init(&t);
	t.hold_place = true;
	tt_seg(&t, TCP_ACK, 0, 1000, 0);
	tcp_rx_get(&t.c, &first);
	tt_seg(&t, TCP_ACK, 1000, 1000, 0);
	tt_seg(&t, TCP_ACK, 5000, 1000, 0);
	tt_pass(&t, 30000);
	tt_nothing(&t);
	tcp_placed(&t.c, &first, t.now);
	tt_out(&t);
	tt_expect(&t, 0, 0, 1000, 0);
	/* Payload that leaves meanwhile takes the placed position along. */
	tt_produce(&t, 100);
	tt_expect(&t, 0, 100, 1000, TCP_PSH);
	tt_place(&t);
	tt_out(&t);
	tt_expect(&t, 100, 0, 2000, 0);
	/* Positions that go back are ignored. */
	tcp_placed(&t.c, &first, t.now);
	tt_out(&t);
	tt_nothing(&t);
	assert_int_equal(t.c.rcv_placed - TT_RCV, 2000);
}

static void test_delayed(void **state)
{
	struct tt t;

	init_slow(&t);
	tt_seg(&t, TCP_ACK, 0, 1000, 0);
	tt_nothing(&t);
	tt_pass(&t, t.cfg.delack_us - 1);
	tt_nothing(&t);
	tt_pass(&t, 1);
	tt_expect(&t, 0, 0, 1000, 0);
	/* Every second full segment at once. */
	tt_seg(&t, TCP_ACK, 1000, 1000, 0);
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 2000, 1000, 0);
	tt_expect(&t, 0, 0, 3000, 0);
	assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);
	/* Payload carries a delayed ACK. */
	tt_seg(&t, TCP_ACK, 3000, 10, 0);
	tt_nothing(&t);
	tt_produce(&t, 10);
	tt_expect(&t, 0, 10, 3010, TCP_PSH);
	tt_pass(&t, 100000);
	tt_nothing(&t);
	/* Out of order, hole filled, FIN: at once. */
	tt_seg(&t, TCP_ACK, 3020, 10, 10);
	tt_expect(&t, 10, 0, 3010, 0);
	tt_seg(&t, TCP_ACK, 3010, 10, 10);
	tt_expect(&t, 10, 0, 3030, 0);
	tt_seg(&t, TCP_ACK | TCP_FIN, 3030, 10, 10);
	tt_expect(&t, 10, 0, 3041, 0);
}

static void test_quick_start(void **state)
{
	struct tt t;

	tt_init(&t);
	for (uint32_t i = 0; i < 16; i++) {
		tt_seg(&t, TCP_ACK, i * 100, 100, 0);
		assert_int_equal(t.n_out, 1);
		tt_drain(&t);
	}
	tt_seg(&t, TCP_ACK, 1600, 100, 0);
	tt_nothing(&t);
}

static void test_emit_full(void **state)
{
	struct tt t;

	tt_init(&t);
	t.emit_err = ENOBUFS;
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	tt_nothing(&t);
	t.emit_err = 0;
	tt_out(&t);
	tt_expect(&t, 0, 0, 100, 0);
	tt_out(&t);
	tt_nothing(&t);
}

/* A client without SACK gets one duplicate ACK for each out-of-order segment. */
static void test_dup_acks(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.sack_ok = false;
	tt_start(&t);
	t.hold_place = true;
	for (uint32_t i = 1; i < 4; i++)
		tt_seg(&t, TCP_ACK, 1000 * i, 1000, 0);
	tt_nothing(&t);
	tt_place(&t);
	tt_out(&t);
	assert_int_equal(t.n_out, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(t.out[0].optlen, 0);
		tt_expect(&t, 0, 0, 0, 0);
	}
}

/* RFC 9293 section 3.8.6.2.2: the edge moves by a segment or half the ring, or not at all. */
static void test_sws(void **state)
{
	struct tcp_emit e;
	struct tt t;

	init_slow(&t);
	tt_seg(&t, TCP_ACK, 0, 60000, 0);
	e = tt_take(&t);
	assert_int_equal(e.wnd, 0);
	tcp_room(&t.c, TT_RCV + TT_WND + 999, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 60000, 1, 0); /* a probe sees no silly window either */
	e = tt_take(&t);
	assert_int_equal(e.wnd, 0);
	tcp_room(&t.c, TT_RCV + TT_WND + 1500, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 60000, 1, 0);
	e = tt_take(&t);
	assert_int_equal(e.wnd, 1500);
	/* An update comes for two segments. */
	tcp_room(&t.c, TT_RCV + TT_WND + 3500, t.now);
	tt_out(&t);
	e = tt_take(&t);
	assert_int_equal(e.wnd, 3500);
	/* A tiny ring: half of it. */
	tt_prepare(&t);
	t.st.rcv_edge = t.st.rcv_room = TT_RCV + 600;
	tt_start(&t);
	tt_seg(&t, TCP_ACK, 0, 600, 0);
	tt_drain(&t);
	tcp_room(&t.c, TT_RCV + 899, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tcp_room(&t.c, TT_RCV + 900, t.now);
	tt_out(&t);
	e = tt_take(&t);
	assert_int_equal(e.wnd, 300);
}

/* Scaled windows: the promised edge holds but for less than one unit, and what it promised is
 * accepted. */
static void test_edge(void **state)
{
	uint32_t promised = TT_WND, pos = 0;
	struct tcp_emit e;
	struct tt t;

	tt_prepare(&t);
	t.st.wscale_ok = true;
	t.st.rcv_wscale = 7;
	tt_start(&t);
	for (uint32_t n = 1; pos + n < TT_WND; n += 37) {
		assert_int_equal(tt_seg(&t, TCP_ACK, pos, n, 0), TCP_V_OK);
		pos += n;
		tt_pass(&t, 100000);
		e = t.out[t.n_out - 1];
		tt_drain(&t);
		assert_true(edge_of(&e, 7) + 128 > promised);
		assert_true(edge_of(&e, 7) <= TT_WND);
		if (edge_of(&e, 7) > promised)
			promised = edge_of(&e, 7);
	}
	assert_int_equal(tt_seg(&t, TCP_ACK, pos, promised - pos, 0), TCP_V_OK);
	assert_int_equal(t.rx.len, promised - pos);
	/* A room that goes back is ignored. */
	tcp_room(&t.c, TT_RCV + 5, t.now);
	assert_int_equal(t.c.rcv_room - TT_RCV, TT_WND);
}

/* Programs that read steadily do not cause an update per read while much window is left. */
static void test_update_rate(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.wscale_ok = true;
	t.st.rcv_wscale = 1;
	tt_start(&t);
	t.c.quick = 0;
	tt_seg(&t, TCP_ACK, 0, 2000, 0);
	tt_drain(&t);
	tcp_room(&t.c, TT_RCV + TT_WND + 2000, t.now);
	tt_out(&t);
	tt_nothing(&t);
	tcp_room(&t.c, TT_RCV + TT_WND + 20000, t.now);
	tt_out(&t);
	assert_int_equal(t.n_out, 1);
}

/* A ring larger than an unscaled window: what the field cannot say is not announced. */
static void test_update_beyond_field(void **state)
{
	struct tt t;

	init_slow(&t);
	tt_seg(&t, TCP_ACK, 0, 30000, 0);
	tcp_room(&t.c, TT_RCV + 200000, t.now);
	tt_out(&t);
	assert_int_equal(edge_of(&t.out[t.n_out - 1], 0), 30000 + 65535);
	tt_drain(&t);
	for (uint32_t room = 201000; room < 300000; room += 10000) {
		tcp_room(&t.c, TT_RCV + room, t.now);
		tt_out(&t);
		tt_nothing(&t);
	}
}

/* RFC 3168 section 6.1.3: the echo lasts until CWR. */
static void test_ecn_echo(void **state)
{
	struct tt t;

	init_slow(&t);
	t.c.ecn_ok = true;
	t.ce = true;
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	tt_expect(&t, 0, 0, 100, TCP_ECE); /* at once */
	t.ce = false;
	tt_produce(&t, 100);
	tt_expect(&t, 0, 100, 100, TCP_PSH | TCP_ECE);
	tt_seg(&t, TCP_ACK, 100, 2000, 100);
	tt_expect(&t, 100, 0, 2100, TCP_ECE);
	tt_seg(&t, TCP_ACK | TCP_CWR, 2100, 2000, 100);
	tt_expect(&t, 100, 0, 4100, 0);
}

/* After a takeover: a hole that closes in time is not reported, one that stays is. */
static void test_expect_late(void **state)
{
	struct tt t;

	init_slow(&t);
	tcp_expect_late(&t.c, t.now + 10000);
	tt_seg(&t, TCP_ACK, 2000, 1000, 0);
	tt_seg(&t, TCP_ACK, 3000, 1000, 0);
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 0, 1000, 0); /* progress, but the hole is still there */
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 1000, 1000, 0);
	tt_expect(&t, 0, 0, 4000, 0);
	tt_seg(&t, TCP_ACK, 5000, 1000, 0);
	tt_nothing(&t);
	tt_pass(&t, 10000);
	tt_expect(&t, 0, 0, 4000, 0);
	tt_seg(&t, TCP_ACK, 6000, 1000, 0);
	tt_expect(&t, 0, 0, 4000, 0);
}

static void test_rst_window_closed_state(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_detach(&t.c);
	tcp_room(&t.c, TT_RCV + 200000, t.now);
	tt_place(&t);
	tt_out(&t);
	tt_nothing(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_placed),
		cmocka_unit_test(test_delayed),
		cmocka_unit_test(test_quick_start),
		cmocka_unit_test(test_emit_full),
		cmocka_unit_test(test_dup_acks),
		cmocka_unit_test(test_sws),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_update_rate),
		cmocka_unit_test(test_update_beyond_field),
		cmocka_unit_test(test_ecn_echo),
		cmocka_unit_test(test_expect_late),
		cmocka_unit_test(test_rst_window_closed_state),
	};

	return cmocka_run_group_tests_name("tcp ack", tests, NULL, NULL);
}
