/* SPDX-License-Identifier: BSD-3-Clause */
/* Import, export, names, sizes; and the scoreboard against a model. */
#include <stdlib.h>
#include <time.h>

#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

static void test_import_refuses(void **state)
{
	struct tt t;

#define REFUSE(change)                                                            \
	do {                                                                      \
		tt_prepare(&t);                                                   \
		change;                                                           \
		assert_int_equal(tcp_import(&t.c, &t.cfg, &t.st, t.now), EINVAL); \
		assert_int_equal(t.c.state, TCP_S_CLOSED);                        \
		assert_true(tcp_deadline(&t.c, t.now) == TCP_NEVER);              \
		assert_int_equal(tt_ack(&t, 0), TCP_V_CLOSED);                    \
		tt_nothing(&t);                                                   \
	} while (0)
	REFUSE(t.st.version = 0);
	REFUSE(t.st.version = TCP_STATE_VERSION + 1);
	for (unsigned int s = 0; s < 256; s++) {
		if (s != TCP_S_ESTABLISHED && s != TCP_S_CLOSE_WAIT)
			REFUSE(t.st.state = (uint8_t)s);
	}
	REFUSE(t.st.mss = 0);
	REFUSE(t.st.mss = 40);
	REFUSE(t.st.wscale_ok = true; t.st.snd_wscale = 15);
	REFUSE(t.st.wscale_ok = true; t.st.rcv_wscale = 15);
	REFUSE(t.st.snd_nxt = TT_SND - 1);
	REFUSE(t.st.snd_avail = TT_SND - 1);
	REFUSE(t.st.rcv_room = TT_RCV - 1);
	REFUSE(t.st.rcv_edge = TT_RCV - 2);
	REFUSE(t.st.n_ooo = TCP_MAX_SACK + 1);
	REFUSE(t.st.n_ooo = 1; t.st.ooo[0] = ((struct tcp_range){TT_RCV, TT_RCV + 10}));
	REFUSE(t.st.n_ooo = 1; t.st.ooo[0] = ((struct tcp_range){TT_RCV + 20, TT_RCV + 10}));
	REFUSE(t.st.n_ooo = 1; t.st.ooo[0] = ((struct tcp_range){TT_RCV + 20, TT_RCV + 70000}));
	/* overlapping, touching */
	REFUSE(t.st.n_ooo = 2; t.st.ooo[0] = ((struct tcp_range){TT_RCV + 20, TT_RCV + 30});
	       t.st.ooo[1] = ((struct tcp_range){TT_RCV + 25, TT_RCV + 40}));
	REFUSE(t.st.n_ooo = 2; t.st.ooo[0] = ((struct tcp_range){TT_RCV + 20, TT_RCV + 30});
	       t.st.ooo[1] = ((struct tcp_range){TT_RCV + 10, TT_RCV + 20}));
	REFUSE(t.st.mss_max = TT_MSS - 1);
#undef REFUSE
	/* A window below two segments is none to start from (RFC 5681 section 3.1). */
	tt_prepare(&t);
	t.st.cwnd = t.st.ssthresh = 1;
	tt_start(&t);
	assert_int_equal(t.c.cwnd, TT_MSS);
	assert_int_equal(t.c.ssthresh, 2 * TT_MSS);
}

/* Carrying on in another core changes nothing for the client. */
static void test_round_trip(void **state)
{
	struct tcp_state_io st;
	struct tcp_seg s = {.has_ts = false};
	struct tcp_emit e;
	struct tt t;

	tt_prepare(&t);
	t.st.ts_ok = t.st.ts_recent_valid = t.st.wscale_ok = true;
	t.st.snd_wscale = 3;
	t.st.rcv_wscale = 2;
	tt_start(&t);
	tt_produce(&t, 20000);
	tt_drain(&t);
	t.now += 7000;
	t.seg_ts += 7;
	t.wnd = 30000;
	tt_seg(&t, TCP_ACK, 0, 500, 4000);
	tt_seg(&t, TCP_ACK, 5000, 500, 4000);
	tcp_export(&t.c, &st, t.now);
	assert_int_equal(st.snd_una - TT_SND, 4000);
	assert_int_equal(st.snd_nxt, t.c.snd_nxt);
	assert_int_equal(st.snd_avail - TT_SND, 20000);
	assert_int_equal(st.snd_wnd, 240000);
	assert_int_equal(st.rcv_nxt - TT_RCV, 500);
	assert_int_equal(st.n_ooo, 1);
	assert_int_equal(st.ts_val, 500007);
	tt_drain(&t);
	t.now += 1000000; /* another machine, another clock */
	st.ts_val += 3;
	assert_int_equal(tcp_import(&t.c, &t.cfg, &st, t.now), 0);
	t.seg_ts += 1010;
	tt_seg(&t, TCP_ACK, 500, 4500, 4000);
	while (t.n_out > 1)
		tt_take(&t);
	e = tt_take(&t);
	assert_int_equal(e.ack - TT_RCV, 5500);
	assert_true(test_opt_parse(e.opt, e.optlen, &s));
	assert_int_equal(s.tsval, 500010);
	assert_int_equal(s.tsecr, t.seg_ts);
	/* What is accepted and not placed is not exported. */
	t.hold_place = true;
	tt_seg(&t, TCP_ACK | TCP_FIN, 5500, 100, 4000);
	assert_int_equal(t.c.state, TCP_S_CLOSE_WAIT);
	tcp_export(&t.c, &st, t.now);
	assert_int_equal(st.rcv_nxt - TT_RCV, 5500);
	assert_int_equal(st.state, TCP_S_ESTABLISHED);
	tt_place(&t);
	tcp_export(&t.c, &st, t.now);
	assert_int_equal(st.rcv_nxt - TT_RCV, 5601);
	assert_int_equal(st.state, TCP_S_CLOSE_WAIT);
	assert_int_equal(tcp_import(&t.c, &t.cfg, &st, t.now), 0);
	/* The client's FIN again. */
	tt_drain(&t);
	tt_seg(&t, TCP_ACK | TCP_FIN, 5600, 0, 4000);
	assert_int_equal(tt_take(&t).ack - TT_RCV, 5601);
}

static void test_names(void **state)
{
	assert_string_equal(tcp_state_name(TCP_S_TIME_WAIT), "TIME-WAIT");
	assert_string_equal(tcp_verdict_name(TCP_V_PAWS), "paws");
	assert_string_equal(tcp_event_name(TCP_E_DRAINED), "drained");
	assert_string_equal(tcp_recovery_name(TCP_R_LOSS), "loss");
	assert_string_equal(tcp_timer_name(TCP_T_TLP), "tail-loss-probe");
	assert_string_equal(tcp_recovery_name(TCP_R_COUNT), "invalid");
	assert_string_equal(tcp_timer_name(TCP_T_COUNT), "invalid");
	assert_string_equal(tcp_state_name(TCP_S_COUNT), "invalid");
	assert_string_equal(tcp_verdict_name(TCP_V_COUNT), "invalid");
	assert_string_equal(tcp_event_name(TCP_E_COUNT), "invalid");
	print_message("struct tcp_conn: %zu bytes, counters %zu of them\n", sizeof(struct tcp_conn),
		      sizeof(struct tcp_stats));
}

/* Nothing but sequence arithmetic depends on where the numbers begin. */
static void test_produced_limits(void **state)
{
	struct tt t;

	tt_init(&t);
	tcp_produced(&t.c, UINT32_MAX, t.now); /* absurd: ignored */
	assert_int_equal(t.c.snd_avail - TT_SND, 0);
	tcp_produced(&t.c, 1000, t.now);
	assert_int_equal(t.c.snd_avail - TT_SND, 1000);
}

#define MODEL 256

/* Random ranges against one bit per byte, around the wrap. */
static void test_range_model(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 2000; round++) {
		struct tcp_range r[6];
		uint8_t n = 0, bit[MODEL] = {0};
		uint32_t base = (uint32_t)-128, low = 0;

		for (int step = 0; step < 30; step++) {
			uint32_t a = low + (uint32_t)rand() % (MODEL - low);
			uint32_t b = a + (uint32_t)rand() % 20, c, sum = 0;

			if (b > MODEL)
				b = MODEL;
			if (rand() % 8 == 0) {
				low = a;
				memset(bit, 0, low);
				tcp_range_trim(r, &n, base + low);
			} else if (tcp_range_add(r, &n, 6, base + a, base + b)) {
				memset(bit + a, 1, b - a);
			} else {
				assert_int_equal(n, 6);
			}
			for (unsigned int i = 0; i < n; i++) {
				assert_true(tcp_lt(r[i].start, r[i].end));
				assert_true(!i || tcp_lt(r[i - 1].end, r[i].start));
			}
			a = (uint32_t)rand() % MODEL;
			c = a + (uint32_t)rand() % (MODEL - a);
			for (uint32_t i = a; i < c; i++)
				sum += bit[i];
			assert_int_equal(tcp_range_covered(r, n, base + a, base + c), sum);
			for (uint32_t i = 0, all = 0; i < MODEL; i++) {
				all += bit[i];
				if (i == MODEL - 1)
					assert_int_equal(
						tcp_range_covered(r, n, base, base + MODEL), all);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_import_refuses), cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_names),	       cmocka_unit_test(test_produced_limits),
		cmocka_unit_test(test_range_model),
	};

	return cmocka_run_group_tests_name("tcp state", tests, NULL, NULL);
}
