/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_neigh.c - neighbours: what the gateway answers, asks, learns and forgets.
 */
#include "gw_bench.h"

#include <rte_malloc.h>

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0xa, 1};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0xb, 1};

/* Asks for target as the client, expects an answer with the gateway's MAC, or none. */
static void check_answer(const char *target, bool expect)
{
	const char *from = strchr(target, ':') ? "fd77::2" : GB_CLIENT;
	uint8_t q[2048], a[2048];
	struct net_neigh_info info;
	struct net_pkt p;
	size_t n;

	gb_rx(q, gb_question(q, from, target));
	n = gb_tx(a);
	assert_int_equal(n != 0, expect);
	if (!expect)
		return;
	p = gb_parse(a, n);
	assert_int_equal(net_neigh_read(a, &p, &info), 0);
	assert_false(info.is_request);
	assert_memory_equal(info.sender_mac, &gb.port[0].mac, 6);
	assert_memory_equal(a, gb_client_mac, 6);
	assert_int_equal(gb_tx(a), 0);
}

static void answers_for_itself_and_servers(void **state)
{
	check_answer(GB_GW, true);
	check_answer(GB_SERVER, true);
	check_answer("10.77.0.12", true); /* configured, not attached */
	check_answer("fd77::1", true);
	check_answer("fd77::11", true);
	check_answer("10.77.0.99", false);
	check_answer("fd77::99", false);
	check_answer(GB_CLIENT, false);
	assert_int_equal(gw0->stats.arp_replies, 3);
	assert_int_equal(gw0->stats.nd_replies, 2);
}

/* The question that the gateway has sent, or 0. */
static size_t question(uint8_t buf[2048], struct net_neigh_info *info)
{
	size_t n = gb_tx(buf);
	struct net_pkt p;

	if (!n)
		return 0;
	p = gb_parse(buf, n);
	assert_int_equal(net_neigh_read(buf, &p, info), 0);
	assert_true(info->is_request);
	return n;
}

/* Lets the gateway ask for dst, and answers. */
static void resolve(const char *dst, const char *asked, const uint8_t mac[6])
{
	struct net_addr d = gb_addr(dst), t = gb_addr(asked);
	struct net_neigh_info info;
	struct gw_next_hop nh;
	uint8_t q[2048], a[2048];
	size_t n;

	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
	gw_port_flush(gw0);
	n = question(q, &info);
	assert_true(n);
	assert_true(net_addr_eq(&info.target, &t));
	gb_rx(a, gb_answer(a, q, n, mac));
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, mac, 6);
	assert_ptr_equal(nh.port, &gb.port[0]);
}

static void asks_and_believes(void **state)
{
	struct net_addr v6 = gb_addr("fd99::1");
	struct gw_next_hop nh;

	resolve("10.77.0.5", "10.77.0.5", mac_a);
	resolve("fd77::5", "fd77::5", mac_b);
	resolve("192.0.2.7", "10.77.0.254", mac_b); /* by the router */
	assert_int_equal(gw_neigh_lookup(gw0, &v6, &nh), EHOSTUNREACH);
}

static void waiting_frames_go_when_resolved(void **state)
{
	struct net_addr d = gb_addr("10.77.0.6");
	uint8_t f[2048], q[2048], a[2048];
	struct net_neigh_info info;
	struct gw_next_hop nh;
	size_t n, len = gb_tcp(f, GB_SERVER, "10.77.0.6", TCP_ACK, 10);

	memset(f + 6, 0, 6); /* the port's, whichever that will be */
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
	for (int i = 0; i < 12; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool);

		memcpy(rte_pktmbuf_append(m, (uint16_t)len), f, len);
		gw_neigh_wait(gw0, &d, m);
	}
	assert_int_equal(gw0->stats.drop[GW_DROP_NO_NEIGHBOUR], 4);
	gw_port_flush(gw0);
	n = question(q, &info);
	gb_rx(a, gb_answer(a, q, n, mac_a));
	for (int i = 0; i < 8; i++) {
		assert_int_equal(gb_tx(a), len);
		assert_memory_equal(a, mac_a, 6);
		assert_memory_equal(a + 6, &gb.port[0].mac, 6);
	}
	assert_int_equal(gb_tx(a), 0);
}

static void gives_up_after_three_questions(void **state)
{
	struct net_addr d = gb_addr("10.77.0.7");
	struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool);
	struct net_neigh_info info;
	struct gw_next_hop nh;
	uint8_t q[2048];
	int asked = 0;

	rte_pktmbuf_append(m, 60);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
	gw_neigh_wait(gw0, &d, m);
	gb_sleep(10000);
	while (question(q, &info))
		asked++;
	assert_int_equal(asked, 3);
	assert_int_equal(gw0->stats.drop[GW_DROP_NO_NEIGHBOUR], 1);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN); /* and asks anew */
	gw_port_flush(gw0);
	assert_true(question(q, &info));
}

static void learns_from_what_clients_send(void **state)
{
	struct net_addr d = gb_addr(GB_CLIENT), other = gb_addr("192.0.2.9");
	struct gw_next_hop nh;
	uint8_t f[2048];

	gb_rx(f, gb_ping(f, GB_CLIENT, GB_GW));
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, gb_client_mac, 6);
	/* from behind a router: its MAC is not the sender's */
	gb_rx(f, gb_ping(f, "192.0.2.9", GB_GW));
	assert_int_equal(gw_neigh_lookup(gw0, &other, &nh), EAGAIN);
}

static void nobody_takes_a_servers_address(void **state)
{
	struct net_addr s = gb_addr(GB_SERVER), g = gb_addr(GB_GW);
	uint8_t f[2048];

	gb_rx(f, gb_question(f, GB_SERVER, GB_CLIENT));
	gb_rx(f, gb_tcp(f, GB_SERVER, "10.77.0.12", TCP_SYN, 0));
	assert_int_equal(gw0->stats.drop[GW_DROP_SPOOFED_SOURCE], 2);
	gw_neigh_learn(gw0, &gb.port[0], &s, (const struct rte_ether_addr *)mac_a);
	gw_neigh_learn(gw0, &gb.port[0], &g, (const struct rte_ether_addr *)mac_a);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

static void probes_who_is_in_use_and_forgets_the_silent(void **state)
{
	struct net_addr d = gb_addr("10.77.0.8");
	struct net_neigh_info info;
	struct gw_next_hop nh;
	uint8_t q[2048];
	int asked = 0;

	resolve("10.77.0.8", "10.77.0.8", mac_a);
	for (int i = 0; i < 31; i++) {
		gb_sleep(1000);
		assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	}
	gb_sleep(1000);
	assert_true(question(q, &info));
	assert_memory_equal(q, mac_a, 6); /* directly, not by broadcast */
	gb_sleep(6000);
	while (question(q, &info))
		asked++;
	assert_int_equal(asked, 2);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
}

static void a_moved_neighbour_is_followed(void **state)
{
	struct net_addr d = gb_addr("10.77.0.9");
	uint8_t q[2048], a[2048];
	struct gw_next_hop nh;
	size_t n;

	resolve("10.77.0.9", "10.77.0.9", mac_a);
	/* an answer to somebody else's question says where it is now */
	n = gb_question(q, GB_GW, "10.77.0.9");
	gb_rx(a, gb_answer(a, q, n, mac_b));
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FOREIGN_MAC], 1); /* not sent to us: ignored */
	assert_memory_equal(&nh.mac, mac_a, 6);
	memcpy(a, &gb.port[0].mac, 6);
	gb_rx(a, n);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, mac_b, 6);
}

static void unasked_answers_are_not_kept(void **state)
{
	struct net_addr d = gb_addr("10.77.0.10");
	uint8_t q[2048], a[2048];
	struct gw_next_hop nh;
	size_t n = gb_question(q, GB_GW, "10.77.0.10");

	n = gb_answer(a, q, n, mac_b);
	memcpy(a, &gb.port[0].mac, 6);
	gb_rx(a, n);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
}

static void the_table_is_bounded(void **state)
{
	struct net_addr a = gb_addr("10.77.16.0"), used = gb_addr(GB_CLIENT);
	struct gw_next_hop nh;
	uint8_t f[2048];
	int known = 0;

	gb_rx(f, gb_ping(f, GB_CLIENT, GB_GW));
	for (int i = 0; i < 20000; i++) {
		net_put16(a.b + 14, (uint16_t)(0x1000 + i));
		gw_neigh_learn(gw0, &gb.port[0], &a, (const struct rte_ether_addr *)mac_a);
		if (i % 100 == 0) {
			gb_sleep(20);
			assert_int_equal(gw_neigh_lookup(gw0, &used, &nh), 0);
		}
	}
	for (int i = 19999; i >= 0; i--) {
		net_put16(a.b + 14, (uint16_t)(0x1000 + i));
		known += gw_neigh_lookup(gw0, &a, &nh) == 0;
	}
	assert_in_range(known, 1000, 4096);
}

/* With several workers, the answer comes to whichever the device chooses. */
static void an_answer_reaches_the_worker_that_asked(void **state)
{
	struct net_addr d = gb_addr("10.77.0.13"), other = gb_addr("10.77.0.14");
	struct gw_worker *w1 = rte_zmalloc("worker", sizeof(*w1), 64);
	struct gw_next_hop nh;

	w1->gw = &gb;
	w1->index = 1;
	w1->now_ms = gw0->now_ms;
	gb.worker[1] = w1;
	gb.n_worker = 2;
	assert_int_equal(gw_neigh_open(w1), 0);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), EAGAIN);
	gw_neigh_confirm(w1, &gb.port[0], &d, (const struct rte_ether_addr *)mac_a);
	gw_neigh_confirm(w1, &gb.port[0], &other, (const struct rte_ether_addr *)mac_a);
	gb_sleep(10);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, mac_a, 6);
	assert_int_equal(gw_neigh_lookup(gw0, &other, &nh), EAGAIN);
	gw_neigh_learn(w1, &gb.port[0], &other, (const struct rte_ether_addr *)mac_b);
	gb_sleep(10);
	assert_int_equal(gw_neigh_lookup(gw0, &other, &nh), 0);
	assert_memory_equal(&nh.mac, mac_b, 6);
	gb.n_worker = 1;
	gb.worker[1] = NULL;
	gw_neigh_close(w1);
	rte_free(w1);
}

/* A configured neighbour is not asked for, not forgotten, and not moved by what anybody says. */
static void configured_neighbours_stay(void **state)
{
	struct gw_port_cfg *p = &gb.cfg->port[0];
	struct net_addr d = gb_addr("10.77.0.21");
	struct gw_neigh_row row;
	struct gw_next_hop nh;
	uint8_t f[2048];
	uint32_t it = 0;

	p->neigh[0] = (struct gw_neigh_cfg){.addr = d};
	memcpy(&p->neigh[0].mac, mac_a, 6);
	p->n_neigh = 1;
	gw_neigh_close(gw0);
	assert_int_equal(gw_neigh_open(gw0), 0);
	p->n_neigh = 0;
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, mac_a, 6);
	gw_neigh_confirm(gw0, &gb.port[0], &d, (const struct rte_ether_addr *)mac_b);
	gw_neigh_learn(gw0, &gb.port[0], &d, (const struct rte_ether_addr *)mac_b);
	for (int i = 0; i < 10000; i++) { /* a flood of others */
		struct net_addr a = gb_addr("10.77.16.0");

		net_put16(a.b + 14, (uint16_t)(0x1000 + i));
		gw_neigh_learn(gw0, &gb.port[0], &a, (const struct rte_ether_addr *)mac_b);
	}
	gb_sleep(700000);
	assert_int_equal(gw_neigh_lookup(gw0, &d, &nh), 0);
	assert_memory_equal(&nh.mac, mac_a, 6);
	assert_int_equal(gb_tx(f), 0);
	while (gw_neigh_next(gw0, &it, &row) && !net_addr_eq(&row.addr, &d))
		;
	assert_true(net_addr_eq(&row.addr, &d));
	assert_string_equal(row.state, "static");
}

static void pings_are_answered(void **state)
{
	uint8_t f[2048], a[2048];
	struct net_pkt p;
	size_t n = gb_ping(f, GB_CLIENT, GB_GW);

	gb_rx(f, n);
	assert_int_equal(gb_tx(a), n);
	p = gb_parse(a, n);
	assert_int_equal(a[p.l4_off], NET_ICMP_ECHO_REPLY);
	assert_memory_equal(a, gb_client_mac, 6);
	n = gb_ping(f, "fd77::2", "fd77::1");
	gb_rx(f, n);
	assert_int_equal(gb_tx(a), n);
	p = gb_parse(a, n);
	assert_int_equal(a[p.l4_off], NET_ICMP6_ECHO_REPLY);
	assert_int_equal(gw0->stats.icmp_echo_replies, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_for_itself_and_servers, gb_reset),
		cmocka_unit_test_setup(asks_and_believes, gb_reset),
		cmocka_unit_test_setup(waiting_frames_go_when_resolved, gb_reset),
		cmocka_unit_test_setup(gives_up_after_three_questions, gb_reset),
		cmocka_unit_test_setup(learns_from_what_clients_send, gb_reset),
		cmocka_unit_test_setup(nobody_takes_a_servers_address, gb_reset),
		cmocka_unit_test_setup(probes_who_is_in_use_and_forgets_the_silent, gb_reset),
		cmocka_unit_test_setup(a_moved_neighbour_is_followed, gb_reset),
		cmocka_unit_test_setup(unasked_answers_are_not_kept, gb_reset),
		cmocka_unit_test_setup(the_table_is_bounded, gb_reset),
		cmocka_unit_test_setup(an_answer_reaches_the_worker_that_asked, gb_reset),
		cmocka_unit_test_setup(configured_neighbours_stay, gb_reset),
		cmocka_unit_test_setup(pings_are_answered, gb_reset),
	};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
