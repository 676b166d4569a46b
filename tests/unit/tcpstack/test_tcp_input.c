/* SPDX-License-Identifier: BSD-3-Clause */
/* Arriving segments: RFC 9293 section 3.10.7.4, RFC 5961, PAWS, accepted positions, D-SACK. */
#include "tcp_script.h"

/* One segment against a fresh connection: window [0, 60000), nothing in flight. */
struct seq_case {
	const char *what;
	uint32_t seq, len;
	uint8_t flags;
	enum tcp_verdict v;
	uint32_t rx_seq, rx_len; /* what is to be placed */
	unsigned int acks;	 /* segments sent in answer at once */
};

static void test_acceptability(void **state)
{
	static const struct seq_case cases[] = {
		{"in order", 0, 100, TCP_ACK, TCP_V_OK, 0, 100, 1},
		{"pure ACK", 0, 0, TCP_ACK, TCP_V_OK, 0, 0, 0},
		{"keepalive", (uint32_t)-1, 0, TCP_ACK, TCP_V_OLD, 0, 0, 1},
		{"keepalive with a byte", (uint32_t)-1, 1, TCP_ACK, TCP_V_OLD, 0, 0, 1},
		{"old data", (uint32_t)-500, 400, TCP_ACK, TCP_V_OLD, 0, 0, 1},
		{"old head", (uint32_t)-50, 100, TCP_ACK, TCP_V_OK, 0, 50, 1},
		{"fills the window", 0, 60000, TCP_ACK, TCP_V_OK, 0, 60000, 1},
		{"exceeds the window", 0, 61000, TCP_ACK, TCP_V_OK, 0, 60000, 1},
		{"last byte of the window", 59999, 10, TCP_ACK, TCP_V_OK, 59999, 1, 1},
		{"at the right edge", 60000, 10, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"pure ACK at the right edge", 60000, 0, TCP_ACK, TCP_V_OK, 0, 0, 0},
		{"beyond the right edge", 60001, 10, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"ACK beyond the right edge", 60001, 0, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"far away", 0x40000000, 10, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"half the space away", 0x7fffffff, 10, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"more than half", 0x80000010, 10, TCP_ACK, TCP_V_WINDOW, 0, 0, 1},
		{"no ACK flag", 0, 100, 0, TCP_V_NO_ACK, 0, 0, 0},
		{"URG is data", 0, 100, TCP_ACK | TCP_URG, TCP_V_OK, 0, 100, 1},
		{"out of order", 5000, 100, TCP_ACK, TCP_V_OK, 5000, 100, 1},
	};
	struct tt t;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct seq_case *k = &cases[i];

		print_message("%s\n", k->what);
		tt_init(&t);
		assert_int_equal(tt_seg(&t, k->flags, k->seq, k->len, 0), k->v);
		assert_int_equal(t.rx.len, k->rx_len);
		if (k->rx_len) {
			assert_int_equal(t.rx.seq - TT_RCV, k->rx_seq);
			assert_int_equal(k->seq + t.rx.skip, k->rx_seq);
		}
		assert_int_equal(t.n_out, k->acks);
	}
}

static void test_zero_window_probe_in(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK, 0, 60000, 0);
	assert_int_equal(tt_take(&t).wnd, 0);
	/* Probes with and without payload are answered, nothing is accepted. */
	assert_int_equal(tt_seg(&t, TCP_ACK, 60000, 1, 0), TCP_V_WINDOW);
	tt_expect(&t, 0, 0, 60000, 0);
	assert_int_equal(tt_seg(&t, TCP_ACK, 59999, 0, 0), TCP_V_OLD);
	tt_expect(&t, 0, 0, 60000, 0);
	/* ACK and RST are processed with a zero window (MUST-66). */
	tt_produce(&t, 100);
	tt_drain(&t);
	assert_int_equal(tt_seg(&t, TCP_ACK, 60000, 0, 100), TCP_V_OK);
	assert_int_equal(t.acked, 100);
	assert_int_equal(tt_seg(&t, TCP_RST, 60000, 0, 0), TCP_V_RST);
}

static void test_syn_every_state(void **state)
{
	struct tt t;

	for (int s = TCP_S_ESTABLISHED; s < TCP_S_TIME_WAIT; s++) {
		for (uint32_t off = 0; off < 200000; off += 50000) {
			tt_enter(&t, (enum tcp_state)s);
			assert_int_equal(tt_seg(&t, TCP_SYN, off, 0, 0), TCP_V_SYN);
			assert_int_equal(t.c.state, s);
			assert_int_equal(t.n_out, 1);
		}
	}
}

static void test_ack_range(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_produce(&t, 3000);
	tt_drain(&t);
	assert_int_equal(tt_ack(&t, 3001), TCP_V_ACK_FUTURE);
	assert_int_equal(t.n_out, 1);
	tt_drain(&t);
	assert_int_equal(tt_ack(&t, 3000), TCP_V_OK);
	assert_int_equal(t.acked, 3000);
	/* Old ACKs: usable payload down to the largest window, refused below. */
	assert_int_equal(tt_seg(&t, TCP_ACK, 0, 100, 1000), TCP_V_OK);
	assert_int_equal(t.rx.len, 100);
	assert_int_equal(tt_seg(&t, TCP_ACK, 100, 100, 3000 - TT_WND), TCP_V_OK);
	tt_drain(&t);
	assert_int_equal(tt_seg(&t, TCP_ACK, 200, 100, 3000 - TT_WND - 1), TCP_V_ACK_OLD);
	assert_int_equal(t.rx.len, 0);
	assert_int_equal(t.n_out, 1);
	assert_int_equal(t.acked, 3000);
}

static void test_challenge_limit(void **state)
{
	unsigned int sent = 0;
	struct tt t;

	tt_init(&t);
	for (int i = 0; i < 100; i++) {
		tt_seg(&t, TCP_RST, 1, 0, 0);
		sent += t.n_out;
		tt_drain(&t);
	}
	assert_int_equal(sent, 10);
	t.now += 5000000;
	tt_seg(&t, TCP_SYN, 1, 0, 0);
	assert_int_equal(t.n_out, 1);
}

/* A client whose program died answers the number we acknowledged, not what is on its way. */
static void test_rst_at_acked(void **state)
{
	struct tt t;

	tt_init(&t);
	t.hold_place = true;
	tt_seg(&t, TCP_ACK, 0, 100, 0);
	assert_int_equal(tt_seg(&t, TCP_RST, 0, 0, 0), TCP_V_RST);
}

static void test_paws(void **state)
{
	struct tt t;

	tt_prepare(&t);
	t.st.ts_ok = t.st.ts_recent_valid = true;
	t.st.ts_recent = 0xfffffff0u; /* across the wrap */
	t.seg_ts = 5;
	tt_start(&t);
	assert_int_equal(tt_seg(&t, TCP_ACK, 0, 100, 0), TCP_V_OK);
	tt_drain(&t);
	t.seg_ts = 4;
	assert_int_equal(tt_seg(&t, TCP_ACK, 100, 100, 0), TCP_V_PAWS);
	assert_int_equal(t.n_out, 1);
	tt_drain(&t);
	/* Not for RST (RFC 7323 section 5.3). */
	assert_int_equal(tt_seg(&t, TCP_RST, 101, 0, 0), TCP_V_RST_CHALLENGED);
	tt_drain(&t);
	/* TS.Recent follows only segments at or below the last ACK sent. */
	t.seg_ts = 9;
	assert_int_equal(tt_seg(&t, TCP_ACK, 300, 100, 0), TCP_V_OK);
	assert_int_equal(t.c.ts_recent, 5);
	t.seg_ts = 8;
	assert_int_equal(tt_seg(&t, TCP_ACK, 100, 100, 0), TCP_V_OK);
	assert_int_equal(t.c.ts_recent, 8);
	/* A segment without the option is taken as it is. */
	t.st.ts_ok = false;
	assert_int_equal(tt_seg(&t, TCP_ACK, 400, 100, 0), TCP_V_OK);
	t.st.ts_ok = true;
	/* After 24 idle days TS.Recent is worth nothing. */
	t.now += 25ull * 24 * 3600 * 1000000;
	t.seg_ts = 2;
	assert_int_equal(tt_seg(&t, TCP_ACK, 200, 400, 0), TCP_V_OK);
	assert_int_equal(t.c.ts_recent, 2);
}

/* Intervals: merging, order, the limit; rcv_nxt runs over them. */
static void test_intervals(void **state)
{
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK, 1000, 100, 0);
	tt_seg(&t, TCP_ACK, 3000, 100, 0);
	tt_seg(&t, TCP_ACK, 1100, 100, 0); /* extends the older one, which becomes the first */
	assert_int_equal(t.c.n_ooo, 2);
	assert_int_equal(t.c.ooo[0].start - TT_RCV, 1000);
	assert_int_equal(t.c.ooo[0].end - TT_RCV, 1200);
	tt_seg(&t, TCP_ACK, 5000, 100, 0);
	tt_seg(&t, TCP_ACK, 7000, 100, 0);
	assert_int_equal(t.c.n_ooo, 4);
	assert_int_equal(tt_seg(&t, TCP_ACK, 9000, 100, 0), TCP_V_OOO_FULL);
	assert_int_equal(t.rx.len, 0);
	assert_int_equal(tt_seg(&t, TCP_ACK, 1150, 1900, 0), TCP_V_OK); /* joins two */
	assert_int_equal(t.c.n_ooo, 3);
	tt_drain(&t);
	tt_seg(&t, TCP_ACK, 0, 1000, 0);
	assert_int_equal(t.c.rcv_nxt - TT_RCV, 3100);
	tt_expect(&t, 0, 0, 3100, 0);
	tt_seg(&t, TCP_ACK, 3100, 4500, 0); /* over everything */
	assert_int_equal(t.c.n_ooo, 0);
	assert_int_equal(t.c.rcv_nxt - TT_RCV, 7600);
}

/* The SACK blocks of one emitted segment, as offsets. */
static unsigned int blocks(const struct tcp_emit *e, struct tcp_range *b)
{
	struct tcp_seg s = {.n_sack = 0};

	assert_true(test_opt_parse(e->opt, e->optlen, &s));
	for (unsigned int i = 0; i < s.n_sack; i++)
		b[i] = (struct tcp_range){s.sack[i].start - TT_RCV, s.sack[i].end - TT_RCV};
	return s.n_sack;
}

static void test_sack_blocks(void **state)
{
	struct tcp_range b[4];
	struct tcp_emit e;
	struct tt t;

	for (int ts = 0; ts < 2; ts++) {
		tt_prepare(&t);
		t.st.ts_ok = ts;
		tt_start(&t);
		for (uint32_t i = 1; i <= 4; i++)
			tt_seg(&t, TCP_ACK, 1000 * i, 100, 0);
		e = t.out[t.n_out - 1];
		assert_int_equal(blocks(&e, b), ts ? 3 : 4);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(b[i].start, 4000 - 1000 * i);
		assert_true(e.optlen <= 40 && e.optlen % 4 == 0);
	}
}

static void test_dsack(void **state)
{
	struct tcp_range b[4];
	struct tcp_emit e;
	struct tt t;

	tt_init(&t);
	tt_seg(&t, TCP_ACK, 0, 1000, 0);
	tt_drain(&t);
	/* A full duplicate below the ACK. */
	tt_seg(&t, TCP_ACK, 200, 300, 0);
	e = tt_take(&t);
	assert_int_equal(blocks(&e, b), 1);
	assert_true(b[0].start == 200 && b[0].end == 500);
	/* Told once. */
	tt_seg(&t, TCP_ACK, 999, 0, 0);
	e = tt_take(&t);
	assert_int_equal(blocks(&e, b), 0);
	/* Inside an interval: the interval follows (RFC 2883 section 4.2.2). */
	tt_seg(&t, TCP_ACK, 5000, 1000, 0);
	tt_seg(&t, TCP_ACK, 3000, 1000, 0);
	tt_drain(&t);
	tt_seg(&t, TCP_ACK, 5200, 100, 0);
	e = tt_take(&t);
	assert_int_equal(blocks(&e, b), 3);
	assert_true(b[0].start == 5200 && b[0].end == 5300);
	assert_true(b[1].start == 5000 && b[1].end == 6000);
	assert_true(b[2].start == 3000 && b[2].end == 4000);
	/* What is accepted but not placed is not named. */
	tt_init(&t);
	t.hold_place = true;
	tt_seg(&t, TCP_ACK, 5000, 1000, 0);
	tt_nothing(&t);
	tt_seg(&t, TCP_ACK, 5000, 1000, 0);
	e = tt_take(&t);
	assert_int_equal(blocks(&e, b), 0);
	tt_place(&t);
	tt_out(&t);
	e = tt_take(&t);
	assert_int_equal(blocks(&e, b), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acceptability),
		cmocka_unit_test(test_zero_window_probe_in),
		cmocka_unit_test(test_syn_every_state),
		cmocka_unit_test(test_ack_range),
		cmocka_unit_test(test_challenge_limit),
		cmocka_unit_test(test_rst_at_acked),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_sack_blocks),
		cmocka_unit_test(test_dsack),
	};

	return cmocka_run_group_tests_name("tcp input", tests, NULL, NULL);
}
