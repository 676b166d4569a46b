/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_lan.c - frames from the LAN that go nowhere are counted under the right reason and
 * freed; native connections are listed; checksums are finished over chains.
 */
#include "gw_bench.h"

#include <rte_random.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A frame that must be dropped for `why`. */
static void check_drop(const uint8_t *f, size_t n, enum gw_drop why)
{
	uint64_t before = gw0->stats.drop[why];

	gb_rx(f, n);
	if (gw0->stats.drop[why] != before + 1)
		fail_msg("not dropped for reason %d", (int)why);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

/* A frame that must be refused by the parser for `why`. */
static void check_perr(const uint8_t *f, size_t n, enum net_perr why)
{
	uint64_t before = gw0->stats.perr[why];

	gb_rx(f, n);
	assert_int_equal(gw0->stats.perr[why], before + 1);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

static void every_drop_has_its_reason(void **state)
{
	uint8_t f[2048];
	size_t n;

	n = gb_tcp(f, GB_CLIENT, "10.77.0.99", TCP_SYN, 0);
	check_drop(f, n, GW_DROP_NO_SERVER);
	n = gb_tcp(f, GB_CLIENT, "10.77.0.12", TCP_SYN, 0);
	check_drop(f, n, GW_DROP_NOT_ATTACHED);
	n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN, 0);
	f[5] ^= 1;
	check_drop(f, n, GW_DROP_FOREIGN_MAC);
	n = gb_tcp(f, GB_GW, GB_SERVER, TCP_SYN, 0);
	check_drop(f, n, GW_DROP_SPOOFED_SOURCE);
	n = gb_tcp(f, GB_CLIENT, "10.77.0.1", TCP_SYN, 0);
	check_drop(f, n, GW_DROP_NO_SERVER);
	n = gb_ping(f, GB_CLIENT, "224.0.0.251");
	f[0] = 1;
	check_drop(f, n, GW_DROP_BROADCAST);
	n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1480);
	check_drop(f, n + 100, GW_DROP_OVERSIZED);
}

static void the_parser_has_its_reasons(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 20);

	f[n - 1] ^= 1;
	check_perr(f, n, NET_PERR_TCP_CSUM);
	check_perr(f, 13, NET_PERR_RUNT);
	n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_SYN | TCP_FIN, 0);
	check_perr(f, n, NET_PERR_TCP_FLAGS);
}

/* A native segment whose options have a zero length. */
static void hostile_options_are_refused_natively(void **state)
{
	uint8_t f[2048], *tcp;
	struct net_pkt p;
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 4);

	p = gb_parse(f, n);
	tcp = f + p.l4_off;
	tcp[NET_TCP_DOFF] = 6 << 4; /* the payload becomes the options */
	memset(f + n - 4, 0, 4);
	f[n - 4] = NET_OPT_TS;
	net_put16(tcp + NET_TCP_CSUM, 0);
	net_put_raw16(tcp + NET_TCP_CSUM,
		      (uint16_t)~net_csum_fold(net_csum_add(
			      net_csum_pseudo(&p.src, &p.dst, NET_PROTO_TCP, 24), tcp, 24, false)));
	check_perr(f, n, NET_PERR_TCP_OPT);
}

static void unfinished_checksums_are_named(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 20);
	struct net_pkt p = gb_parse(f, n);

	net_put_raw16(f + p.l4_off + NET_TCP_CSUM,
		      net_csum_fold(net_csum_pseudo(&p.src, &p.dst, NET_PROTO_TCP, 40)));
	gb_rx(f, n);
	assert_int_equal(gw0->stats.perr[NET_PERR_TCP_CSUM], 1);
	assert_true(gw0->event_ms[GW_EV_PARTIAL_CSUM] > 0);
	assert_int_equal(gw0->event_ms[GW_EV_BAD_FRAME], 0);
}

static void random_frames_never_leak(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	uint8_t f[2048], g[2048];

	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		size_t n = i & 1 ? gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, (uint32_t)rand() % 64)
				 : gb_ping(f, "fd77::2", i & 2 ? "fd77::1" : "fd77::11");

		for (int k = rand() % 4; k >= 0; k--)
			f[(size_t)rand() % n] = (uint8_t)rand();
		gb_rx(f, 1 + (size_t)rand() % n);
		while (gb_tx(g))
			;
	}
	gb_sleep(20000);
	while (gb_tx(g))
		;
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

/* Rows of the flow table, the last one in *row. */
static int flows(struct gw_conn_row *row)
{
	uint32_t it = 0;
	int n = 0;

	while (gw_flows_next(gw0, &it, row))
		n++;
	return n;
}

/* Tells the flow table of a segment. */
static void seen(uint8_t flags, bool from_client, uint32_t len)
{
	uint8_t f[2048];
	const char *a = from_client ? GB_CLIENT : GB_SERVER,
		   *b = from_client ? GB_SERVER : GB_CLIENT;
	size_t n = gb_tcp(f, a, b, flags, len);
	struct net_pkt p = gb_parse(f, n);

	p.sport = htobe16(from_client ? 1234 : 80);
	p.dport = htobe16(from_client ? 80 : 1234);
	gw_flows_seen(gw0, f, &p, 0, from_client);
}

static void native_connections_are_listed(void **state)
{
	struct gw_conn_row row;

	assert_int_equal(flows(&row), 0);
	seen(TCP_SYN, true, 0);
	assert_int_equal(flows(&row), 1);
	assert_string_equal(row.state, "opening");
	seen(TCP_SYN | TCP_ACK, false, 0);
	seen(TCP_ACK, true, 0);
	seen(TCP_ACK, true, 100);
	seen(TCP_ACK, false, 200);
	assert_int_equal(flows(&row), 1);
	assert_string_equal(row.state, "open");
	assert_int_equal(row.rx_bytes, 100);
	assert_int_equal(row.tx_bytes, 200);
	assert_int_equal(row.reason, IB_R_NOT_TRIED);
	assert_int_equal(be16toh(row.flow.rport), 1234);
	gw_flows_reason(gw0, &row.flow, 0, IB_R_GW_LIMIT);
	seen(TCP_FIN | TCP_ACK, true, 0);
	assert_int_equal(flows(&row), 1);
	assert_string_equal(row.state, "closing");
	assert_int_equal(row.reason, IB_R_GW_LIMIT);
	/* What it carried while it was accelerated counts as well. */
	gw_flows_carried(gw0, &row.flow, 5000, 7000, 0);
	assert_int_equal(flows(&row), 1);
	assert_int_equal(row.tx_bytes, 5200);
	assert_int_equal(row.rx_bytes, 7100);
	seen(TCP_FIN | TCP_ACK, false, 0);
	seen(TCP_ACK, true, 0);
	assert_int_equal(flows(&row), 1);
	assert_string_equal(row.state, "closed");
	gb_sleep(1500);
	assert_int_equal(flows(&row), 0);
}

static void resets_and_silence_end_a_listing(void **state)
{
	struct gw_conn_row row;

	seen(TCP_ACK, true, 1);
	seen(TCP_RST, false, 0);
	gb_sleep(1500);
	assert_int_equal(flows(&row), 0);
	seen(TCP_RST, false, 0); /* no new entry for a stray one */
	assert_int_equal(flows(&row), 0);
	seen(TCP_SYN, true, 0);
	gb_sleep(32000);
	assert_int_equal(flows(&row), 0);
}

/* A segment as acceleration makes it: headers, then slices of payload. */
static void checksums_are_finished_over_chains(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	struct net_l2 l2 = {.dst = {2}, .src = {2}};
	uint8_t data[1460], out[2048];

	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 300; i++) {
		bool v6 = rand() & 1;
		struct net_flow f = {.remote = gb_addr(v6 ? "fd77::2" : GB_CLIENT),
				     .local = gb_addr(v6 ? "fd77::11" : GB_SERVER),
				     .rport = 1,
				     .lport = 2};
		struct tcp_emit e = {.seq = (uint32_t)rand(), .wnd = 9, .optlen = i % 2 ? 12 : 0};
		uint32_t len = (uint32_t)rand() % 1400, done = 0;
		struct rte_mbuf *m = rte_pktmbuf_alloc(gw0->pool), *s, *last = m;
		uint16_t l4;
		size_t n;

		memset(e.opt, NET_OPT_NOP, sizeof(e.opt));
		for (uint32_t k = 0; k < len; k++)
			data[k] = (uint8_t)rand();
		n = net_build_tcp(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m), &l2, &f,
				  &e, e.seq, TCP_ACK, len, 1, &l4);
		rte_pktmbuf_append(m, (uint16_t)n);
		while (done < len) {
			uint32_t part = 1 + (uint32_t)rand() % (len - done);

			s = rte_pktmbuf_alloc(gw0->pool);
			memcpy(rte_pktmbuf_append(s, (uint16_t)part), data + done, part);
			done += part;
			last->next = s;
			last = s;
			m->nb_segs++;
			m->pkt_len += part;
		}
		m->l2_len = NET_ETH_HLEN;
		m->l3_len = (uint64_t)(l4 - NET_ETH_HLEN);
		m->l4_len = NET_TCP_HLEN + e.optlen;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		gb.port[0].multi_seg = rand() & 1;
		gw_port_tx(gw0, &gb.port[0], m);
		gw_port_flush(gw0);
		n = gb_tx(out);
		gb_parse(out, n);
		assert_memory_equal(out + n - len, data, len);
	}
	gb.port[0].multi_seg = true;
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_drop_has_its_reason, gb_reset),
		cmocka_unit_test_setup(the_parser_has_its_reasons, gb_reset),
		cmocka_unit_test_setup(hostile_options_are_refused_natively, gb_reset),
		cmocka_unit_test_setup(unfinished_checksums_are_named, gb_reset),
		cmocka_unit_test_setup(random_frames_never_leak, gb_reset),
		cmocka_unit_test_setup(native_connections_are_listed, gb_reset),
		cmocka_unit_test_setup(resets_and_silence_end_a_listing, gb_reset),
		cmocka_unit_test_setup(checksums_are_finished_over_chains, gb_reset),
	};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
