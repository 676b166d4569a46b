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
	uint64_t before = s->now;

	for (; s->now == before; us *= 2) {
		if (sim_run(s, us))
			fail_msg("all has arrived");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_startup),
		cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_random_loss),
	};

	seed = sim_seed();
	return cmocka_run_group_tests_name("tcp bbr", tests, NULL, NULL);
}
