/* SPDX-License-Identifier: BSD-3-Clause */
/* Pacing: what leaves at once, at which rate, what waits and what does not. */
#include "tcp_script.h"
#include "tcpstack/tcp_priv.h"

#define RUNS_MAX 20000

/* What left, in order of time. */
static struct run {
	uint64_t at;  /* microseconds */
	uint32_t len; /* payload */
} run[RUNS_MAX];
static unsigned int n_run;

static void setup(struct tt *t, uint32_t cwnd, uint32_t ssthresh, uint32_t srtt_us)
{
	tt_prepare(t);
	t->cfg.pacing = true;
	t->st.wscale_ok = true;
	t->st.snd_wscale = 14;
	t->st.snd_wnd = t->st.max_wnd = 1 << 28;
	t->wnd = 1 << 14;
	t->st.cwnd = cwnd;
	t->st.ssthresh = ssthresh;
	t->st.srtt_us = srtt_us;
	t->st.rttvar_us = srtt_us / 8;
	tt_start(t);
	n_run = 0;
}

/* Notes what was emitted; returns its payload. */
static uint32_t note(struct tt *t)
{
	uint32_t n = 0;

	t->n_want = 0;
	while (t->n_out) {
		struct tcp_emit e = tt_take(t);

		if (!e.len)
			continue;
		assert_true(n_run < RUNS_MAX);
		run[n_run++] = (struct run){t->now, e.len};
		n += e.len;
	}
	return n;
}

/* All that was produced leaves without an ACK, with timers that are `late`. */
static uint32_t all_out(struct tt *t, uint32_t late)
{
	uint32_t n = note(t);

	while (t->c.pace_wait) {
		t->now = tcp_deadline(&t->c, t->now) + late;
		tcp_timer(&t->c, t->now);
		tt_out(t);
		n += note(t);
	}
	return n;
}

/*
 * In no window of time does more leave than rate * time and the allowance: a quantum, and half of
 * one for a late timer. Rate in bytes per second.
 */
static void check_bursts(uint64_t rate, uint32_t quantum)
{
	for (unsigned int i = 0; i < n_run; i++) {
		uint64_t sum = 0;

		assert_true(run[i].len <= quantum);
		assert_true(!i || run[i - 1].at < run[i].at);
		for (unsigned int k = i; k < n_run && k < i + 200; k++) {
			sum += run[k].len;
			assert_true(sum <= rate * (run[k].at - run[i].at + 1) / 1000000 + quantum +
						   quantum / 2);
		}
	}
}

/* Rate, bursts and progress: cwnd 2 to 1000 segments, RTT 500 us to 1 s, both gains. */
static void test_rate(void **state)
{
	static const uint32_t cwnd[] = {10000, 100000, 1000000};
	static const uint32_t rtt[] = {500, 10000, 1000000};
	struct tt t;

	for (unsigned int i = 0; i < 36; i++) {
		uint32_t w = cwnd[i % 3], us = rtt[i / 3 % 3], quantum, late;
		bool ss = i / 9 % 2, slow = i / 18;
		uint64_t rate = (uint64_t)w * (ss ? 20 : 12) * 100000 / us;
		int64_t took, want;

		setup(&t, w, ss ? 0 : w, us);
		quantum = tcp_max(2000, (uint32_t)(rate / 1000));
		quantum = tcp_min(quantum, t.cfg.max_burst);
		late = slow ? (uint32_t)(quantum * 300000ull / rate) : 0; /* 0.3 quanta */
		tt_produce(&t, w);
		assert_int_equal(all_out(&t, late), w);
		check_bursts(rate, quantum);
		took = (int64_t)(run[n_run - 1].at - run[0].at);
		/* Silence earned half of the first run; within 5 %, and a microsecond. */
		want = (int64_t)((w - run[n_run - 1].len) * 1000000ull / rate);
		assert_true(took * 20 <= want * 21 + 20 * late + n_run);
		want -= (int64_t)(run[0].len * 500000ull / rate);
		assert_true(took * 20 + 20 >= want * 19);
	}
}

/* Off by default, and before the first RTT: a window leaves at once. */
static void test_off(void **state)
{
	struct tt t;

	setup(&t, 20000, 0, 0);
	tt_produce(&t, 20000);
	assert_int_equal(tt_drain(&t), 20000);
	assert_false(t.c.pace_wait);
	setup(&t, 20000, 0, 100000);
	t.cfg.pacing = false;
	tt_produce(&t, 20000);
	assert_int_equal(tt_drain(&t), 20000);
	assert_false(t.c.pace_wait);
	tcp_cfg_default(&t.cfg);
	t.cfg.ops = &tt_ops;
	assert_false(t.cfg.pacing);
}

/* Silence earns half a run, no more; nothing waits when nothing is left. */
static void test_silence(void **state)
{
	struct tt t;

	setup(&t, 100000, 100000, 100000);
	tt_produce(&t, 2000);
	assert_int_equal(note(&t), 2000);
	assert_false(t.c.pace_wait);
	tt_pass(&t, 20000);
	tt_ack(&t, 2000);
	tt_pass(&t, 80000);
	tt_produce(&t, 20000);
	assert_int_equal(note(&t), 2000);
	assert_true(t.c.pace_wait);
	assert_true(tcp_deadline(&t.c, t.now) > t.now);
	assert_int_equal(all_out(&t, 0), 18000);
	assert_int_equal(run[n_run - 1].len, 2000);
	for (unsigned int i = 2; i < n_run; i++)
		assert_true(run[i].at > run[i - 1].at);
	assert_int_equal(t.c.timer, TCP_T_TLP);
}

/* What is sent again waits as well: 20 segments deemed lost at the same time. */
static void test_retransmissions(void **state)
{
	uint32_t first, rest;
	struct tt t;

	setup(&t, 60000, 0, 100000);
	t.cfg.pacing = false;
	tt_produce(&t, 60000);
	assert_int_equal(tt_drain(&t), 60000);
	tt_pass(&t, 100000);
	t.cfg.pacing = true;
	t.c.srtt_us = 100000;
	tt_sack(&t, 0, 20000, 60000);
	assert_int_equal(t.c.recovery, TCP_R_RECOVERY);
	first = note(&t);
	assert_int_equal(first, 2000);
	assert_true(t.c.pace_wait);
	assert_int_equal(t.c.stats.retx_segs, 2);
	rest = all_out(&t, 0);
	assert_true(rest >= 10000);
	assert_int_equal(t.c.stats.retx_bytes, first + rest);
	for (unsigned int i = 1; i < n_run; i++) {
		assert_true(run[i].len <= 2000);
		assert_true(run[i].at > run[i - 1].at);
	}
}

/* ACKs leave while payload waits, and the client's ACKs do not let it out early. */
static void test_acks(void **state)
{
	struct tcp_emit e;
	struct tt t;

	setup(&t, 100000, 100000, 100000);
	tt_produce(&t, 50000);
	assert_int_equal(note(&t), 2000);
	tt_seg(&t, 0 | TCP_ACK, 0, 1000, 0);
	e = tt_take(&t);
	assert_int_equal(e.len, 0);
	assert_int_equal(e.ack, TT_RCV + 1000);
	tt_nothing(&t);
	tt_ack(&t, 1000);
	tt_nothing(&t);
	tt_ack(&t, 2000);
	tt_nothing(&t);
	assert_true(t.c.pace_wait);
}

/* A connection that ends waits for nothing; its FIN comes with the last run. */
static void test_end(void **state)
{
	struct tt t;

	setup(&t, 100000, 100000, 100000);
	tt_produce(&t, 9000);
	tcp_shutdown(&t.c, t.now);
	tt_out(&t);
	assert_int_equal(all_out(&t, 0), 9000);
	assert_true(t.c.fin_sent);
	setup(&t, 100000, 100000, 100000);
	tt_produce(&t, 9000);
	tt_drain(&t);
	assert_true(t.c.pace_wait);
	tt_seg(&t, TCP_RST, 0, 0, 0);
	assert_int_equal(t.c.state, TCP_S_CLOSED);
	assert_int_equal(tcp_deadline(&t.c, t.now), TCP_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),	cmocka_unit_test(test_off),
		cmocka_unit_test(test_silence), cmocka_unit_test(test_retransmissions),
		cmocka_unit_test(test_acks),	cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests_name("tcp_pacing", tests, NULL, NULL);
}
