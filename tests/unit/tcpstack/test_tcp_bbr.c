/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR over a simulated path whose bandwidth, delay, queue and losses are known. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../simulator/sim.h"
#include "tcpstack/tcp_priv.h"

#define RATE 500000u /* bytes per second of the path */
#define HDR  60u     /* what the path counts beside a segment's payload */

static uint64_t seed;

/* 25 KB fit into the path without a queue: 500 KB/s, 50 ms; its queue holds 100 KB. */
static void path(struct sim_opts *o)
{
	sim_defaults(o);
	o->ideal = true;
	o->cc = TCP_CC_BBR;
	o->bytes[0] = SIM_STREAM_MAX;
	o->ring = 4 << 20;
	o->wscale = 8;
	o->rate_bps = RATE;
	o->queue = 100000;
	o->delay_us = 25000;
}

static struct tcp_bbr *bbr(struct sim *s)
{
	return &s->e[0].c.bbr;
}

/* Goes on for a while, or up to what happens next if that is later. */
static void pass(struct sim *s, uint64_t us)
{
	uint64_t end = s->now + us, wait = us;

	for (uint64_t before = s->now; s->now == before; wait *= 2) {
		if (sim_run(s, wait))
			fail_msg("all has arrived after %llu us", (unsigned long long)(end - us));
		if (s->broken[0])
			fail_msg("%s", s->broken);
	}
}

/* Until BBR is in this state; fails when that takes longer than `us`. */
static void until(struct sim *s, enum tcp_bbr_mode mode, uint64_t us)
{
	uint64_t end = s->now + us;

	while (bbr(s)->mode != mode) {
		if (s->now >= end)
			fail_msg("in %s after %llu ms, not in %s", tcp_bbr_name(bbr(s)->mode),
				 (unsigned long long)us / 1000, tcp_bbr_name(mode));
		pass(s, 1000);
	}
}

/* Delivered bytes per second that the path makes of its rate. */
static uint32_t payload_rate(struct sim *s)
{
	uint32_t mss = tcp_eff_mss(&s->e[0].c);

	return (uint32_t)((uint64_t)s->o.rate_bps * mss / (mss + HDR));
}

static uint32_t bw(struct sim *s)
{
	return tcp_max(bbr(s)->max_bw[0], bbr(s)->max_bw[1]) * TCP_RATE_UNIT;
}

/* Within `percent` of what is meant. */
static void near(uint64_t found, uint64_t meant, uint32_t percent)
{
	uint64_t apart = found > meant ? found - meant : meant - found;

	if (apart * 100 > meant * percent)
		fail_msg("%llu, not %llu", (unsigned long long)found, (unsigned long long)meant);
}

/* The draft's "Exiting STARTUP on Bandwidth Plateau" and "Exiting DRAIN Based on Inflight". */
static void test_startup(void **state)
{
	struct sim_opts o;
	struct sim s;

	path(&o);
	sim_init(&s, &o, seed);
	pass(&s, 1000);
	assert_int_equal(bbr(&s)->mode, TCP_BBR_STARTUP);
	until(&s, TCP_BBR_DRAIN, 2000000);
	near(bw(&s), payload_rate(&s), 2);
	assert_int_equal(bbr(&s)->full_count, 3);
	assert_true(bbr(&s)->full_now && bbr(&s)->full_reached);
	assert_true(tcp_sack_pipe(&s.e[0].c) > 30000);
	until(&s, TCP_BBR_CRUISE, 300000);
	assert_true(tcp_sack_pipe(&s.e[0].c) <= 27000);
	assert_int_equal(s.lost, 0);
	near(bbr(&s)->min_rtt_us, 53000, 7);
	sim_fini(&s);
}

/* The cycle: every state in order, and with it the rate of the path without a standing queue. */
static void test_cycle(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint64_t from;
	uint32_t at;

	path(&o);
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_CRUISE, 3000000);
	from = s.now;
	at = s.e[0].acked;
	for (int i = 0; i < 3; i++) {
		until(&s, TCP_BBR_REFILL, 3100000);
		until(&s, TCP_BBR_UP, 100000);
		until(&s, TCP_BBR_CRUISE, 1000000);
		near(bw(&s), payload_rate(&s), 3);
	}
	near((s.e[0].acked - at) * 1000000ull / (s.now - from), payload_rate(&s), 4);
	assert_true(s.e[0].c.srtt_us < 80000);
	assert_int_equal(s.e[0].c.stats.retx_segs, 0);
	sim_fini(&s);
}

/* One segment in a hundred is lost at random: that is no reason to slow down. */
static void test_random_loss(void **state)
{
	uint64_t took[2] = {0, 0};
	struct sim_opts o;
	struct sim s;

	for (unsigned int k = 0; k < 16; k++) {
		path(&o);
		o.bytes[0] = 2000000;
		o.loss = 100;
		o.rate_bps = 10 * RATE;
		o.queue = 250000;
		o.cc = k & 1 ? TCP_CC_BBR : TCP_CC_CUBIC;
		sim_init(&s, &o, seed + k / 2);
		took[k & 1] -= s.now;
		assert_true(sim_run(&s, SIM_HOUR));
		took[k & 1] += s.now;
		sim_fini(&s);
	}
	printf("CUBIC %llu ms, BBR %llu ms\n", (unsigned long long)took[0] / 8000,
	       (unsigned long long)took[1] / 8000);
	assert_true(took[1] * 5 < took[0] * 2);
}

/*
 * "Exiting STARTUP on Loss", "Handling Token Bucket Policers": a queue of a fifth of what fits. The
 * bound that losses set keeps later probes from losing as much.
 */
static void test_shallow(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint32_t lost;

	path(&o);
	o.queue = 5000;
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_DRAIN, 2000000);
	until(&s, TCP_BBR_CRUISE, 500000);
	assert_true(bbr(&s)->full_reached);
	pass(&s, 4000000);
	assert_true(bbr(&s)->inflight_long < 60000);
	near(bw(&s), payload_rate(&s), 6);
	lost = s.e[0].c.stats.retx_segs;
	pass(&s, 5000000);
	assert_true((s.e[0].c.stats.retx_segs - lost) * s.e[0].c.mss < 5 * RATE / 50); /* 2 % */
	sim_fini(&s);
}

/* Losses of a quarter end Startup while the rate still grows, with a bound on what is in flight. */
static void test_startup_loss(void **state)
{
	struct sim_opts o;
	struct sim s;

	path(&o);
	o.rate_bps = 20 * RATE;
	o.queue = 1000000;
	o.loss = 2500;
	sim_init(&s, &o, seed);
	for (int i = 0; i < 3000 && !bbr(&s)->full_reached; i++)
		pass(&s, 1000);
	assert_true(bbr(&s)->full_reached);
	assert_false(bbr(&s)->full_now);
	assert_true(bbr(&s)->inflight_long < TCP_RATE_MAX);
	assert_true(bw(&s) < 10 * RATE);
	sim_fini(&s);
}

/* "Increasing Bandwidth 10x": the next probes find it, in rounds and not in minutes. */
static void test_faster(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint64_t from;

	path(&o);
	o.rate_bps = RATE / 5;
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_CRUISE, 5000000);
	s.o.rate_bps = 2 * RATE;
	from = s.now;
	while (bw(&s) < payload_rate(&s) / 10 * 9) {
		pass(&s, 10000);
		assert_true(s.now - from < 12000000);
	}
	sim_fini(&s);
}

/* "Decreasing Bandwidth 10x": max_bw is that of the last two cycles. */
static void test_slower(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint64_t from;

	path(&o);
	o.rate_bps = 2 * RATE;
	o.queue = 25000;
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_CRUISE, 3000000);
	s.o.rate_bps = RATE / 5;
	from = s.now;
	pass(&s, 2000000);
	assert_true(tcp_min(bbr(&s)->bw_short, bw(&s) / TCP_RATE_UNIT) < RATE / TCP_RATE_UNIT);
	while (bw(&s) > payload_rate(&s) / 2 * 3) {
		pass(&s, 10000);
		assert_true(s.now - from < 20000000);
	}
	sim_fini(&s);
}

/* "Entering and Exiting PROBE_RTT": five seconds without a new smallest RTT. */
static void test_probe_rtt(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint32_t stamp;
	uint64_t from;

	path(&o);
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_CRUISE, 3000000);
	stamp = bbr(&s)->rtt_min_ms;
	until(&s, TCP_BBR_PROBE_RTT, 6000000);
	assert_in_range(bbr(&s)->now_ms - stamp, 5000, 7000); /* a smaller one may have come */
	from = s.now;
	pass(&s, 150000);
	assert_true(bbr(&s)->rtt_reached);
	assert_true(s.e[0].c.cwnd <= 14000); /* half of 25000 and a little */
	assert_true(tcp_sack_pipe(&s.e[0].c) <= 14000);
	until(&s, TCP_BBR_CRUISE, 500000);
	assert_true(s.now - from >= 200000);
	assert_true(s.e[0].c.cwnd > 20000);
	sim_fini(&s);
}

/* "Skipping PROBE_RTT Due to Application-Limited Sending": silence has drained the queue. */
static void test_probe_rtt_idle(void **state)
{
	struct sim_opts o;
	struct sim s;
	uint64_t from;

	path(&o);
	o.chunk = 1000000;
	o.chunk_us = 9000000; /* 2 s of work at most, 7 s of silence */
	sim_init(&s, &o, seed);
	from = s.now;
	while (s.now - from < 50000000) {
		pass(&s, 1000);
		assert_int_not_equal(bbr(&s)->mode, TCP_BBR_PROBE_RTT);
	}
	assert_true(bbr(&s)->full_reached);
	near(bw(&s), payload_rate(&s), 5);
	sim_fini(&s);
}

/* "Correctly Managing Sub-Packet BDPs": four segments are always in flight, at the right rate. */
static void test_tiny(void **state)
{
	struct sim_opts o;
	struct sim s;

	path(&o);
	o.rate_bps = 20000;
	o.delay_us = 5000;
	o.bytes[0] = 2000000;
	sim_init(&s, &o, seed);
	until(&s, TCP_BBR_CRUISE, 20000000);
	assert_true(s.e[0].c.cwnd >= 4u * s.e[0].c.mss);
	pass(&s, 20000000);
	near(bw(&s), payload_rate(&s), 10);
	assert_int_equal(s.e[0].c.stats.rto_count, 0);
	sim_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_startup),	       cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_random_loss),    cmocka_unit_test(test_shallow),
		cmocka_unit_test(test_startup_loss),   cmocka_unit_test(test_faster),
		cmocka_unit_test(test_slower),	       cmocka_unit_test(test_probe_rtt),
		cmocka_unit_test(test_probe_rtt_idle), cmocka_unit_test(test_tiny),
	};

	seed = sim_seed();
	return cmocka_run_group_tests_name("tcp bbr", tests, NULL, NULL);
}
