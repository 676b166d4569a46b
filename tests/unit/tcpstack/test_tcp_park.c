/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tcp_park.c - connections at rest: when they can be parked, that nothing
 * is missing afterwards, and that whatever is not at rest is left alone.
 */
#include <stdlib.h>

#include "tcp_script.h"
#include "tcpstack/tcp_estats.h"
#include "tcpstack/tcp_park.h"
#include "tcpstack/tcp_priv.h"
#include "tcpstack/tcp_trace.h"

#define REST_US 300000 /* longer than an ACK is delayed */

/* Parks the connection and makes it again in other memory. */
static void again(struct tt *t)
{
	struct tcp_parked p;

	memset(&p, 0xa5, sizeof(p));
	assert_int_equal(tcp_park(&t->c, &p, t->now), 0);
	assert_int_equal(tcp_parked_deadline(&p), tcp_deadline(&t->c, t->now));
	memset(&t->c, 0x5a, sizeof(t->c));
	tcp_unpark(&t->c, &p, &t->cfg);
}

static bool busy(const struct tt *t)
{
	struct tcp_parked p;

	return tcp_park(&t->c, &p, t->now) == EBUSY;
}

/* Both directions work; returns the bytes sent in all. */
static uint32_t exchange(struct tt *t, uint32_t in, uint32_t out)
{
	uint32_t got = t->c.rcv_nxt - TT_RCV, sent = t->c.snd_nxt - TT_SND;

	assert_int_equal(tt_seg(t, TCP_ACK | TCP_PSH, got, in, sent), TCP_V_OK);
	tt_produce(t, out);
	while (t->c.snd_una != t->c.snd_avail) {
		assert_true(tt_drain(t) > 0);
		t->now += 1000;
		tt_ack(t, t->c.snd_nxt - TT_SND);
		tcp_room(&t->c, t->c.rcv_nxt + TT_WND, t->now);
	}
	assert_int_equal(t->c.snd_una - TT_SND, sent + out);
	assert_int_equal(t->c.rcv_nxt - TT_RCV, got + in);
	return sent + out;
}

/* Right after the import an ACK is owed; then it rests, and again after each exchange. */
static void test_exchanges(void **state)
{
	struct tt t;

	for (int ts = 0; ts < 2; ts++) {
		tt_prepare(&t);
		t.st.ts_ok = t.st.ts_recent_valid = ts;
		tt_start(&t);
		assert_true(busy(&t));
		tt_pass(&t, REST_US);
		tt_drain(&t);
		for (int i = 0; i < 5; i++) {
			again(&t);
			exchange(&t, 100, 30000);
			tt_pass(&t, REST_US);
			tt_drain(&t);
		}
		again(&t);
		assert_int_equal(tcp_bytes_out(&t.c), 150000);
		assert_int_equal(tcp_bytes_in(&t.c), 500);
	}
}

/* What congestion control and the RTT estimate have learned is there afterwards. */
static void test_learned(void **state)
{
	struct tcp_conn before;
	struct tcp_estats a, b;
	struct tt t;

	tt_init(&t);
	exchange(&t, 1, 100000);
	tt_produce(&t, 10000);
	tt_drain(&t);
	tt_sack(&t, 101000 - 1000, 102000, 106000); /* a loss, repaired */
	tt_drain(&t);
	tt_ack(&t, 110000);
	tt_pass(&t, REST_US);
	tt_drain(&t);
	assert_int_equal(t.c.recovery, TCP_R_OPEN);
	assert_int_equal(t.c.stats.recoveries, 1);
	before = t.c;
	tcp_estats_get(&t.c, t.now, &a);
	again(&t);
	tcp_estats_get(&t.c, t.now, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(t.c.cwnd, before.cwnd);
	assert_int_equal(t.c.ssthresh, before.ssthresh);
	assert_int_equal(t.c.w_max, before.w_max);
	assert_int_equal(t.c.srtt_us, before.srtt_us);
	assert_int_equal(tcp_rto(&t.c), tcp_rto(&before));
	exchange(&t, 10, 50000);
}

/* Of BBR's model the lasting part: it goes on at the rate it knew, or with the pace of Startup. */
static void test_model(void **state)
{
	uint64_t rate;
	struct tt t;

	for (int full = 0; full < 2; full++) {
		tt_prepare(&t);
		t.cfg.cc = TCP_CC_BBR;
		tt_start(&t);
		exchange(&t, 1, 60000);
		if (full) {
			t.c.bbr.full_reached = true;
			t.c.bbr.inflight_long = 77000;
		}
		exchange(&t, 1, 60000);
		tt_pass(&t, REST_US);
		tt_drain(&t);
		assert_int_not_equal(t.c.bbr.mode, TCP_BBR_NONE);
		rate = full ? (uint64_t)tcp_max(t.c.bbr.max_bw[0], t.c.bbr.max_bw[1]) *
				       TCP_RATE_UNIT
			    : tcp_cc_of(&t.c)->path->rate(&t.c);
		again(&t);
		assert_int_equal(tcp_cc_of(&t.c)->path->rate(&t.c), rate);
		assert_int_equal(t.c.bbr.mode, TCP_BBR_NONE);
		tt_produce(&t, 1000);
		tt_drain(&t);
		assert_int_equal(t.c.bbr.mode, full ? TCP_BBR_CRUISE : TCP_BBR_STARTUP);
		assert_int_equal(t.c.bbr.inflight_long, full ? 77000 : TCP_RATE_MAX);
		tt_ack(&t, t.c.snd_nxt - TT_SND);
		tt_pass(&t, REST_US);
		/* Another controller, configured meanwhile, has no use for what BBR kept. */
		t.cfg.cc = TCP_CC_CUBIC;
		assert_false(busy(&t));
		again(&t);
		assert_int_equal(t.c.cc, TCP_CC_CUBIC);
		assert_int_equal(t.c.w_max, 0);
		exchange(&t, 1, 50000);
	}
}

/* Whatever is under way keeps a connection from being parked, and ends. */
static void test_not_at_rest(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_pass(&t, REST_US);
	assert_false(busy(&t));
	tcp_produced(&t.c, 10, t.now); /* to be sent */
	assert_true(busy(&t));
	tt_out(&t); /* in flight */
	assert_true(busy(&t));
	tt_ack(&t, 10);
	assert_false(busy(&t));
	tt_seg(&t, TCP_ACK, 1000, 500, 10); /* beyond a hole */
	assert_true(busy(&t));
	tt_seg(&t, TCP_ACK, 0, 1000, 10);
	tt_pass(&t, REST_US);
	assert_false(busy(&t));
	t.hold_place = true; /* accepted, not placed */
	tt_seg(&t, TCP_ACK, 1500, 100, 10);
	assert_true(busy(&t));
	tt_place(&t);
	tt_out(&t);
	tt_pass(&t, REST_US);
	assert_false(busy(&t));
	t.wnd = 0; /* the client's window is closed, and there is something to send */
	tt_ack(&t, 10);
	assert_false(busy(&t));
	tcp_produced(&t.c, 10, t.now);
	tt_out(&t);
	assert_true(busy(&t));
	tcp_abort(&t.c, t.now);
}

/* The states in which a connection may wait for long. */
static void test_states(void **state)
{
	static const enum tcp_state states[] = {TCP_S_ESTABLISHED, TCP_S_CLOSE_WAIT,
						TCP_S_FIN_WAIT_2, TCP_S_TIME_WAIT, TCP_S_CLOSED};
	struct tt t;

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		tt_enter(&t, states[i]);
		if (states[i] != TCP_S_TIME_WAIT && states[i] != TCP_S_CLOSED)
			tt_pass(&t, REST_US);
		again(&t);
		assert_int_equal(t.c.state, states[i]);
	}
	tt_enter(&t, TCP_S_TIME_WAIT);
	again(&t);
	tt_pass(&t, t.cfg.time_wait_us + 1);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	assert_int_equal(t.events[TCP_E_CLOSED], 1);
	tt_enter(&t, TCP_S_FIN_WAIT_2);
	tt_pass(&t, REST_US);
	again(&t);
	tt_seg(&t, TCP_ACK | TCP_FIN, 0, 0, 1);
	assert_int_equal(t.c.state, TCP_S_TIME_WAIT);
	tt_enter(&t, TCP_S_FIN_WAIT_1); /* our FIN is in flight */
	assert_true(busy(&t));
}

/* The black box stays with the connection, or is lost without harm. */
static void test_box(void **state)
{
	struct tcp_trace_at at[8];
	struct tcp_parked p;
	struct tcp_boxes boxes;
	struct tt t, other;
	void *mem = calloc(1, tcp_boxes_size(1, 8));

	tcp_boxes_init(&boxes, mem, 1, 8);
	tt_prepare(&t);
	t.cfg.boxes = &boxes;
	tt_start(&t);
	tt_pass(&t, REST_US);
	again(&t);
	assert_true(tcp_box_count(&t.c) > 1);
	tt_ack(&t, 0);
	assert_int_equal(tcp_box_read(&t.c, at, 8), tcp_box_count(&t.c));
	assert_int_equal(tcp_park(&t.c, &p, t.now), 0);
	tt_prepare(&other);
	other.cfg.boxes = &boxes;
	other.now = t.now + 5000000;
	tt_start(&other); /* takes it away */
	assert_int_equal(boxes.taken, 1);
	tcp_unpark(&t.c, &p, &t.cfg);
	tt_ack(&t, 0);
	assert_int_equal(tcp_box_read(&t.c, at, 8), 0);
	assert_int_equal(tcp_box_count(&other.c), 1);
	tcp_release(&t.c); /* gives nothing back that is not its own */
	assert_int_equal(boxes.used, 1);
	tcp_release(&other.c);
	assert_int_equal(boxes.used, 0);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges), cmocka_unit_test(test_model),
		cmocka_unit_test(test_learned),	  cmocka_unit_test(test_not_at_rest),
		cmocka_unit_test(test_states),	  cmocka_unit_test(test_box),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
