/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_spread.c - which worker has a packet: against DPDK's own Toeplitz hash, both directions,
 * all kinds of packets; what a device is told; and frames that go from one worker to another.
 */
#include <rte_malloc.h>
#include <rte_thash.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/gw_spread.h"
#include "gw_bench.h"

#define SEED 20260801u

static struct gw_worker *w1;

/* Bucket by rte_softrss(), the slow way. */
static uint32_t softrss(const struct net_addr *a, const struct net_addr *b, uint16_t ap,
			uint16_t bp)
{
	const bool v4 = net_addr_is_v4(a);
	const uint32_t skip = v4 ? 12 : 0, n = 16 - skip;
	uint32_t tuple[9];
	uint8_t key[52], in[36];

	gw_spread_key(key, sizeof(key));
	memcpy(in, a->b + skip, n);
	memcpy(in + n, b->b + skip, n);
	memcpy(in + 2 * n, &ap, 2);
	memcpy(in + 2 * n + 2, &bp, 2);
	for (uint32_t i = 0; i < (2 * n + 4) / 4; i++)
		tuple[i] = net_get32(in + 4 * i);
	return rte_softrss(tuple, (2 * n + 4) / 4, key) % GW_SPREAD_BUCKETS;
}

static void the_bucket_is_what_a_device_computes(void **state)
{
	struct net_addr a = gb_addr("10.0.0.1"), b = gb_addr("fd77::1");

	srand(SEED);
	print_message("seed %u\n", SEED);
	for (int i = 0; i < 20000; i++) {
		const uint16_t ap = (uint16_t)rand(), bp = (uint16_t)rand();
		const uint32_t from = i % 2 ? 0 : 12;

		a = b = gb_addr(i % 2 ? "::" : "0.0.0.0");
		for (uint32_t k = from; k < 16; k++) {
			a.b[k] = (uint8_t)rand();
			b.b[k] = (uint8_t)rand();
		}
		assert_int_equal(gw_spread_bucket(&a, &b, ap, bp), softrss(&a, &b, ap, bp));
		assert_int_equal(gw_spread_bucket(&a, &b, ap, bp),
				 gw_spread_bucket(&b, &a, bp, ap));
	}
}

/* Clients count ports up by one, or by two as Linux does; addresses follow each other. */
static void workers_get_equal_shares(void **state)
{
	const struct net_addr server = gb_addr(GB_SERVER);
	struct net_addr client = gb_addr("10.77.1.0");

	for (uint32_t n = 2; n <= 4; n++)
		for (uint32_t step = 0; step <= 2; step++) {
			uint32_t got[4] = {0};

			for (uint32_t i = 0; i < 256; i++) {
				const uint16_t port = htobe16((uint16_t)(40000 + i * step));

				client.b[15] = step ? 2 : (uint8_t)i;
				got[gw_spread_worker(
					gw_spread_bucket(&client, &server, port, htobe16(80)),
					n)]++;
			}
			for (uint32_t k = 0; k < n; k++)
				assert_in_range(got[k] * n, 256 * 3 / 4, 256 * 5 / 4);
		}
}

/* Worker of a frame. */
static uint32_t worker_of(const uint8_t *f, size_t n)
{
	const struct net_pkt p = gb_parse(f, n);

	return gw_spread_packet(&gb, f, &p);
}

/* An ICMP error of a router about a segment from the server to the client; its length. */
static size_t error(uint8_t *f, const uint8_t *quoted, bool v4)
{
	const struct net_addr router = gb_addr(v4 ? "10.1.2.3" : "fd01::3"),
			      server = gb_addr(v4 ? GB_SERVER : "fd77::11");
	const uint8_t proto = v4 ? NET_PROTO_ICMP : NET_PROTO_ICMP6;
	const uint16_t len = 8 + 68;
	uint32_t sum = v4 ? 0 : net_csum_pseudo(&router, &server, proto, len);
	size_t n = net_put_eth(f, gb.port[0].mac.addr_bytes, gb_client_mac, 0,
			       v4 ? NET_ETHERTYPE_IP4 : NET_ETHERTYPE_IP6);

	n += v4 ? net_put_ip4(f + n, &router, &server, proto, 0, len)
		: net_put_ip6(f + n, &router, &server, proto, 64, len);
	memset(f + n, 0, 8);
	f[n] = v4 ? NET_ICMP_UNREACH : NET_ICMP6_UNREACH;
	memcpy(f + n + 8, quoted + NET_ETH_HLEN, 68);
	net_put_raw16(f + n + 2, (uint16_t)~net_csum_fold(net_csum_add(sum, f + n, len, false)));
	return n + len;
}

static void an_error_goes_where_the_quoted_flow_is(void **state)
{
	uint8_t f[2048], e[2048];
	uint32_t seen = 0;

	for (uint32_t i = 2; i < 60; i++) {
		const bool v4 = i % 2;
		char client[40];
		uint32_t w;

		snprintf(client, sizeof(client), v4 ? "10.77.3.%u" : "fd77::%u", i);
		w = worker_of(f, gb_tcp(f, v4 ? GB_SERVER : "fd77::11", client, TCP_ACK, 8));
		assert_int_equal(
			worker_of(e, gb_tcp(e, client, v4 ? GB_SERVER : "fd77::11", TCP_ACK, 0)),
			worker_of(e, gb_tcp(e, client, v4 ? GB_SERVER : "fd77::11", TCP_SYN, 0)));
		assert_int_equal(worker_of(e, error(e, f, v4)), w);
		seen |= 1u << w;
	}
	assert_int_equal(seen, 3);
}

/* Fragments, pings and protocols without ports go by addresses; both directions meet. */
static void what_has_no_ports_goes_by_addresses(void **state)
{
	const struct net_addr a = gb_addr(GB_CLIENT), b = gb_addr(GB_SERVER);
	const uint32_t want = gw_spread_worker(gw_spread_bucket(&a, &b, 0, 0), 2);
	uint8_t f[2048];
	struct net_pkt p;
	size_t n;

	assert_int_equal(worker_of(f, gb_ping(f, GB_CLIENT, GB_SERVER)), want);
	assert_int_equal(worker_of(f, gb_ping(f, GB_SERVER, GB_CLIENT)), want);
	n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 100);
	p = gb_parse(f, n);
	p.fragment = true; /* the first of several: its ports must not count */
	assert_int_equal(gw_spread_packet(&gb, f, &p), want);
	p.l4_off = p.sport = p.dport = 0;
	assert_int_equal(gw_spread_packet(&gb, f, &p), want);
	p.fragment = false;
	p.proto = 50; /* ESP */
	assert_int_equal(gw_spread_packet(&gb, f, &p), want);
}

/* A frame that one worker receives and the other has: through the ring, once, whole. */
static void frames_go_to_their_worker(void **state)
{
	uint8_t f[2048], a[2048];
	uint32_t away = 0;

	for (uint32_t i = 1; i <= 40; i++) {
		char client[40];
		size_t n;

		snprintf(client, sizeof(client), "10.77.2.%u", i);
		n = gb_ping(f, client, GB_GW);
		gb_rx(f, n); /* worker 0 received it */
		gw_hand_flush(gw0);
		if (worker_of(f, n) == 0) {
			assert_int_equal(gb_tx(a), n);
			continue;
		}
		away++;
		assert_int_equal(gb_tx(a), 0);
		assert_int_equal(gw_hand_waiting(w1), 1);
		assert_int_equal(gw_hand_run(w1), 1);
		gw_port_flush(w1); /* it has no queue: worker 0 sends */
		gw_hand_flush(w1);
		assert_int_equal(gb_tx(a), 0);
		assert_int_equal(gw_hand_run(gw0), 1);
		gw_port_flush(gw0);
		assert_int_equal(gb_tx(a), n);
		assert_memory_equal(a, gb_client_mac, 6);
	}
	assert_in_range(away, 10, 30);
	assert_int_equal(gw0->stats.handed_frames, away);
	assert_int_equal(w1->stats.icmp_echo_replies, away);
	assert_int_equal(gw0->stats.icmp_echo_replies, 40 - away);
}

/* A worker that is behind loses frames, and they are counted; nothing leaks. */
static void a_full_ring_drops(void **state)
{
	const uint32_t room = rte_ring_get_capacity(w1->from[0]);
	const uint32_t before = rte_mempool_avail_count(gw0->pool);
	uint8_t f[2048];
	size_t n = 0;

	for (uint32_t i = 1; i < 250; i++) {
		char client[40];

		snprintf(client, sizeof(client), "10.77.2.%u", i);
		n = gb_ping(f, client, GB_GW);
		if (worker_of(f, n))
			break;
	}
	for (uint32_t i = 0; i < room + 50; i++) {
		gb_rx(f, n);
		gw_hand_flush(gw0);
	}
	assert_int_equal(gw0->stats.drop[GW_DROP_WORKER_FULL], 50);
	assert_int_equal(gw_hand_waiting(w1), room);
	while (gw_hand_run(w1))
		gw_hand_flush(w1);
	assert_int_equal(w1->hand_peak, room);
	gw_port_flush(w1);
	gw_hand_flush(w1);
	while (gw_hand_run(gw0))
		gw_port_flush(gw0);
	while (gb_tx(f))
		;
	assert_int_equal(rte_mempool_avail_count(gw0->pool), before);
}

/* Queues that are fewer than workers are shared out among ports. */
static void queues_are_shared_out(void **state)
{
	struct gw g = {.n_worker = 4};
	struct gw_port p = {.index = 0};

	gw_port_share(&g, &p, 8);
	assert_int_equal(p.n_queue, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(p.queue[i], i);
		assert_int_equal(p.sender[i], i);
	}
	p.index = 3;
	gw_port_share(&g, &p, 2);
	assert_int_equal(p.n_queue, 2);
	assert_int_equal(p.queue[3], 0);
	assert_int_equal(p.queue[0], 1);
	assert_int_equal(p.queue[1], -1);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(p.queue[p.sender[i]] >= 0);
	assert_int_equal(p.sender[3], 3);
	assert_int_equal(p.sender[0], 0);
	assert_int_not_equal(p.sender[1], p.sender[2]);
}

/* A device with the machinery of a NIC is told what software would do. */
static void a_device_is_told(void **state)
{
	struct gw_port_cfg cfg = {.name = "nic", .devargs = "net_null0", .mtu = 1500};
	struct rte_eth_rss_reta_entry64 table[8] = {0};
	uint8_t want[40], key[40] = {0};
	struct rte_eth_rss_conf rss = {.rss_key = key, .rss_key_len = sizeof(key)};
	struct rte_eth_dev_info info;
	struct gw_port *p = &gb.port[1];

	memset(p, 0, sizeof(*p));
	p->index = 1;
	p->cfg = &cfg;
	assert_int_equal(gw_port_open(&gb, p), 0);
	assert_int_equal(p->n_queue, 2);
	assert_true(p->hw_spread);
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(p->id, &rss), 0);
	gw_spread_key(want, sizeof(want));
	assert_memory_equal(key, want, sizeof(key));
	assert_int_equal(rte_eth_dev_info_get(p->id, &info), 0);
	for (uint32_t i = 0; i < info.reta_size; i++)
		table[i / 64].mask |= UINT64_C(1) << i % 64;
	assert_int_equal(rte_eth_dev_rss_reta_query(p->id, table, info.reta_size), 0);
	for (uint32_t i = 0; i < info.reta_size; i++)
		assert_int_equal(table[i / 64].reta[i % 64], i % 2);
	rte_eth_dev_stop(p->id);
	rte_eth_dev_close(p->id);
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
	gw_port_share(&gb, &gb.port[0], 1);
	rte_free(w1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_bucket_is_what_a_device_computes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(workers_get_equal_shares, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_goes_where_the_quoted_flow_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_has_no_ports_goes_by_addresses, setup,
						teardown),
		cmocka_unit_test_setup_teardown(frames_go_to_their_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_drops, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_shared_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
