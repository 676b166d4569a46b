/* SPDX-License-Identifier: BSD-3-Clause */
/* The congestion window against the formulas of RFC 9438, in floating point. */
#include <math.h>

#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

static void test_cbrt(void **state)
{
	for (uint64_t y = 0; y < 3000; y++) {
		assert_int_equal(tcp_cbrt(y * y * y), y);
		if (y)
			assert_int_equal(tcp_cbrt(y * y * y - 1), y - 1);
	}
	for (uint64_t x = 1; x < UINT64_MAX / 3; x = x * 3 + 1) {
		uint64_t r = tcp_cbrt(x);

		assert_true(r * r * r <= x);
		assert_true((__extension__(unsigned __int128)(r + 1) * (r + 1) * (r + 1)) > x);
	}
	assert_int_equal(tcp_cbrt(UINT64_MAX), 2642245);
}

static void setup(struct tt *t, uint32_t cwnd)
{
	tt_prepare(t);
	t->st.cwnd = cwnd;
	t->st.srtt_us = 100000;
	t->st.rttvar_us = 1000;
	tt_start(t);
}

static void test_initial(void **state)
{
	static const uint16_t mss[] = {536, 1000, 1460, 8960, 16000};
	static const uint32_t want[] = {5360, 10000, 14600, 17920, 32000};
	struct tt t;

	for (unsigned int i = 0; i < 5; i++) {
		tt_prepare(&t);
		t.st.mss = mss[i];
		tt_start(&t);
		assert_int_equal(t.c.cwnd, want[i]); /* RFC 6928 section 2 */
	}
}

static void test_slow_start(void **state)
{
	struct tt t;

	setup(&t, 10000);
	tcp_cc_acked(&t.c, 2000, t.now);
	assert_int_equal(t.c.cwnd, 12000);
	t.c.ssthresh = 12500;
	tcp_cc_acked(&t.c, 2000, t.now);
	assert_in_range(t.c.cwnd, 12500, 13500);
}

static void test_reduce(void **state)
{
	struct tt t;

	setup(&t, 100000);
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 70000);
	assert_int_equal(t.c.w_max, 100000);
	t.c.cwnd = 80000; /* fast convergence, section 4.7 */
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 56000);
	assert_int_equal(t.c.w_max, 80000 * 17 / 20);
	t.c.cwnd = 1000;
	tcp_cc_reduce(&t.c);
	assert_int_equal(t.c.ssthresh, 2000);
}

/* One loss, then seconds of ACKs: the window follows W_cubic(t), t in seconds. */
static void test_cubic_curve(void **state)
{
	static const double sizes[] = {200, 1000, 10000};
	struct tt t;

	for (unsigned int i = 0; i < 3; i++) {
		double wmax = sizes[i], k = cbrt(wmax * 0.3 / 0.4);
		uint64_t start, rtt = 100000;

		setup(&t, (uint32_t)wmax * 1000);
		tcp_cc_reduce(&t.c);
		t.c.cwnd = t.c.ssthresh;
		start = t.now;
		while (t.now - start < 1.6 * k * 1e6) {
			/* One round trip of ACKs for two segments each. */
			uint64_t n = t.c.cwnd / 2000, round = t.now;
			double secs, w;

			for (uint64_t a = 0; a < n; a++) {
				t.now = round + rtt * a / n;
				tcp_cc_acked(&t.c, 2000, t.now);
			}
			t.now = round + rtt;
			secs = (double)(t.now - start) / 1e6;
			w = 0.4 * pow(secs - k, 3) + wmax;
			if (secs > 1)
				assert_true(fabs(t.c.cwnd / 1000.0 - w) < 0.04 * w + 2);
		}
		assert_true(t.c.cwnd > t.c.w_max);
	}
}

/* Small windows and short RTTs: the window follows W_est of section 4.3. */
static void test_reno_friendly(void **state)
{
	double w_est, alpha = 9.0 / 17;
	struct tt t;

	setup(&t, 20000);
	t.c.srtt_us = 2000;
	tcp_cc_reduce(&t.c);
	t.c.cwnd = t.c.ssthresh;
	w_est = 14;
	for (int round = 0; round < 40; round++) {
		uint32_t n = t.c.cwnd / 1000;

		for (uint32_t a = 0; a < n; a++) {
			tcp_cc_acked(&t.c, 1000, t.now);
			w_est += (w_est >= 20 ? 1 : alpha) / (t.c.cwnd / 1000.0);
		}
		t.now += 2000;
		assert_true(fabs(t.c.cwnd / 1000.0 - w_est) <= 2);
	}
	assert_true(w_est > 30);
}

/* No overflow, no shrinking, whatever the numbers. */
static void test_extremes(void **state)
{
	struct tt t;

	setup(&t, TCP_CWND_MAX);
	tcp_cc_reduce(&t.c);
	t.c.cwnd = t.c.ssthresh;
	for (uint64_t step = 1; step < 1ull << 40; step *= 2) {
		uint32_t before = t.c.cwnd;

		t.now += step;
		tcp_cc_acked(&t.c, TCP_CWND_MAX, t.now);
		assert_true(t.c.cwnd >= before && t.c.cwnd <= TCP_CWND_MAX);
	}
	setup(&t, 1000);
	t.c.ssthresh = 1000;
	for (int i = 0; i < 100000; i++) {
		t.now += 1000;
		tcp_cc_acked(&t.c, 1, t.now);
	}
	assert_true(t.c.cwnd >= 1000 && t.c.cwnd <= TCP_CWND_MAX);
}

/* One round trip: everything in flight is acknowledged with this RTT. */
static void round_trip(struct tt *t, uint32_t ms)
{
	t->c.snd_una = t->c.snd_nxt;
	t->c.snd_nxt += 50000;
	for (int i = 0; i < 10; i++)
		tcp_hystart_rtt(&t->c, ms);
}

/* RFC 9406: a rising RTT slows growth to a quarter, five rounds of it end slow start. */
static void test_hystart(void **state)
{
	struct tt t;

	setup(&t, 20000);
	round_trip(&t, 40);
	round_trip(&t, 43); /* below the threshold of 40 / 8 */
	tcp_cc_acked(&t.c, 1000, t.now);
	assert_int_equal(t.c.cwnd, 21000);
	round_trip(&t, 49);
	tcp_cc_acked(&t.c, 1000, t.now);
	assert_int_equal(t.c.cwnd, 21250);
	/* A false alarm: the RTT falls again. */
	round_trip(&t, 42);
	tcp_cc_acked(&t.c, 1000, t.now);
	assert_int_equal(t.c.cwnd, 22250);
	round_trip(&t, 55);
	for (int i = 0; i < 4; i++)
		round_trip(&t, 56);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
	round_trip(&t, 56);
	assert_int_equal(t.c.ssthresh, t.c.cwnd);
	/* Thresholds of at least 4 ms: noise on a LAN means nothing. */
	setup(&t, 20000);
	round_trip(&t, 0);
	for (int i = 0; i < 20; i++)
		round_trip(&t, i % 4);
	assert_int_equal(t.c.ssthresh, UINT32_MAX);
}

/* A connection that does not fill its window does not grow it (section 5.8). */
static void test_application_limited(void **state)
{
	struct tt t;

	setup(&t, 20000);
	for (uint32_t i = 0; i < 50; i++) {
		tt_produce(&t, 500);
		tt_drain(&t);
		t.now += 1000;
		tt_ack(&t, (i + 1) * 500);
	}
	assert_int_equal(t.c.cwnd, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cbrt),
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_cubic_curve),
		cmocka_unit_test(test_reno_friendly),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_hystart),
		cmocka_unit_test(test_application_limited),
	};

	return cmocka_run_group_tests_name("tcp cubic", tests, NULL, NULL);
}
