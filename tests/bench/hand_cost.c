/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hand_cost.c - cycles that it costs to find a packet's worker, and to give a frame to another one:
 * the same pings of the gateway once answered by the worker that received them, once by another.
 * Both workers run in this thread, so that caches are warm: what moving a frame from core to core
 * costs on top depends on the machine. The fewest of many bursts are printed.
 */
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <stdio.h>

#include "gateway/gw_spread.h"
#include "tests/unit/gateway/gw_bench.h"

#define BURSTS 3000

static struct gw_worker *w1;
static volatile uint32_t sink; /* keeps the compiler from leaving the work out */

/* A ping of the gateway from a client whose packets are worker `owner`'s; its length. */
static size_t ping_of(uint8_t *f, uint32_t owner)
{
	for (uint32_t i = 1; i < 255; i++) {
		char client[40];
		struct net_pkt p;
		size_t n;

		snprintf(client, sizeof(client), "10.77.2.%u", i);
		n = gb_ping(f, client, GB_GW);
		p = gb_parse(f, n);
		if (gw_spread_packet(&gb, f, &p) == owner)
			return n;
	}
	return 0;
}

/* Cycles of one frame of a burst: received, perhaps handed over, answered. */
static double burst(uint32_t owner)
{
	uint64_t best = UINT64_MAX, t;
	uint8_t f[2048], out[2048];
	const size_t n = ping_of(f, owner);

	for (int i = 0; i < BURSTS; i++) {
		struct rte_mbuf *m[GW_BURST];

		for (int k = 0; k < GW_BURST; k++) {
			m[k] = rte_pktmbuf_alloc(gw0->pool);
			assert_non_null(m[k]);
			memcpy(rte_pktmbuf_append(m[k], (uint16_t)n), f, n);
		}
		t = rte_rdtsc_precise();
		gw_lan_rx(gw0, &gb.port[0], m, GW_BURST);
		gw_hand_flush(gw0);
		gw_hand_run(w1);
		t = rte_rdtsc_precise() - t;
		best = RTE_MIN(best, t);
		gw_port_flush(gw0);
		gw_port_flush(w1);
		for (int k = 0; k < GW_BURST; k++)
			assert_true(gb_tx(out) > 0);
	}
	assert_int_equal((owner ? w1 : gw0)->stats.icmp_echo_replies, BURSTS * GW_BURST);
	return (double)best / GW_BURST;
}

/* Cycles of gw_spread_packet() for a frame. */
static double spread(const uint8_t *f, size_t n)
{
	const struct net_pkt p = gb_parse(f, n);
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < BURSTS; i++) {
		uint64_t t = rte_rdtsc_precise();

		for (int k = 0; k < 100; k++)
			sink += gw_spread_packet(&gb, f, &p);
		t = rte_rdtsc_precise() - t;
		best = RTE_MIN(best, t);
	}
	return (double)best / 100;
}

static void measure(void **state)
{
	uint8_t f[2048];
	double stays, goes;

	printf("worker of a TCP segment, IPv4 %.0f\n",
	       spread(f, gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 100)));
	printf("worker of a TCP segment, IPv6 %.0f\n",
	       spread(f, gb_tcp(f, "fd77::2", "fd77::11", TCP_ACK, 100)));
	stays = burst(0);
	goes = burst(1);
	printf("ping answered by the worker that received it %.0f\n", stays);
	printf("the same, handed to another worker %.0f\n", goes);
}

static int setup(void **state)
{
	int rc = gb_reset(state);

	w1 = rte_zmalloc("worker", sizeof(*w1), 64);
	w1->gw = &gb;
	w1->index = 1;
	w1->now_ms = gw0->now_ms;
	w1->now_us = gw0->now_us;
	w1->pool = gw0->pool;
	atomic_store(&w1->native, gb.native);
	gb.worker[1] = w1;
	gb.n_worker = 2;
	gw_port_share(&gb, &gb.port[0], 1);
	gb.port[0].queue[1] = 0; /* one thread: both may send there */
	return rc || gw_events_open(w1) || gw_neigh_open(w1) || gw_flows_open(w1) ||
	       gw_hand_open(&gb);
}

static int teardown(void **state)
{
	gw_hand_close(&gb);
	gw_neigh_close(w1);
	gw_flows_close(w1);
	gw_events_close(w1);
	gb.n_worker = 1;
	gb.worker[1] = NULL;
	rte_free(w1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(measure, setup, teardown)};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
