/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gw_frag.c - fragments of TCP segments: whole again in any order, never when pieces overlap,
 * are missing, damaged or too large together; IPv4 and IPv6; what is no TCP goes natively as it
 * came.
 */
#include "gw_bench.h"

#include <stdio.h>

#define STEP 400u /* payload of a fragment, a multiple of 8 */

static uint16_t ident; /* of the next fragmented packet */

/* Writes fragment [off, off + n) of the IP payload of frame f to `out`; its length. */
static size_t piece(uint8_t *out, const uint8_t *f, size_t len, uint32_t off, uint32_t n)
{
	const bool v6 = f[14] >> 4 == 6;
	const uint32_t l3 = v6 ? 40 : 20, total = (uint32_t)len - 14 - l3;
	const bool more = off + n < total;
	uint8_t *ip = out + 14;

	memcpy(out, f, 14 + l3);
	if (v6) {
		uint8_t *ext = ip + 40;

		net_put16(ip + NET_IP6_PLEN, (uint16_t)(n + 8));
		ip[NET_IP6_NEXT] = NET_PROTO_FRAGMENT;
		ext[0] = f[14 + NET_IP6_NEXT];
		ext[1] = 0;
		net_put16(ext + 2, (uint16_t)(off | more));
		net_put32(ext + 4, ident);
		memcpy(ext + 8, f + 54 + off, n);
		return 62 + n;
	}
	net_put16(ip + NET_IP4_TOTLEN, (uint16_t)(20 + n));
	net_put16(ip + NET_IP4_ID, ident);
	net_put16(ip + NET_IP4_FRAG, (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
	net_ip4_csum(ip, 20);
	memcpy(ip + 20, f + 34 + off, n);
	return 34 + n;
}

/* Gives fragment i of the frame to the gateway. */
static void send_piece(const uint8_t *f, size_t len, uint32_t i)
{
	const uint32_t total = (uint32_t)len - (f[14] >> 4 == 6 ? 54 : 34), off = i * STEP;
	uint8_t out[2048];

	memset(out, 0xee, sizeof(out));
	len = piece(out, f, len, off, RTE_MIN(STEP, total - off));
	gb_rx(out, RTE_MAX(len, 60u)); /* Ethernet pads what is short */
}

/* TCP payload bytes that went on natively. */
static uint64_t natively(void)
{
	struct gw_conn_row row;
	uint64_t sum = 0;
	uint32_t it = 0;

	while (gw_flows_next(gw0, &it, &row))
		sum += row.rx_bytes;
	return sum;
}

static int reset(void **state)
{
	struct net_addr six = gb_addr("fd77::11");

	gw_frag_close(gw0);
	if (gw_frag_open(gw0) || gb_reset(state))
		return -1;
	ident++;
	return corr_native_add_addr(gb.native, six.b, 0);
}

static void whole_in_any_order(void **state)
{
	static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	uint8_t f[2048];

	for (int v6 = 0; v6 < 2; v6++) {
		for (int i = 0; i < 6; i++) {
			size_t n = gb_tcp(f, v6 ? "fd77::2" : GB_CLIENT,
					  v6 ? "fd77::11" : GB_SERVER, TCP_ACK, 1001);

			reset(state);
			for (int k = 0; k < 3; k++) {
				assert_int_equal(natively(), 0);
				send_piece(f, n, order[i][k]);
			}
			assert_int_equal(gw0->stats.tcp_fragments, 3);
			assert_int_equal(gw0->stats.tcp_reassembled, 1);
			assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 0);
			assert_int_equal(natively(), 1001);
			assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
		}
	}
}

/* The checksum of the whole is verified, which no fragment's could be. */
static void damage_is_seen(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1000);

	f[n - 1] ^= 1;
	for (uint32_t i = 0; i < 3; i++)
		send_piece(f, n, i);
	assert_int_equal(gw0->stats.tcp_reassembled, 1);
	assert_int_equal(gw0->stats.perr[NET_PERR_TCP_CSUM], 1);
	assert_int_equal(natively(), 0);
}

static void missing_ones_are_given_up(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1000);

	send_piece(f, n, 0);
	send_piece(f, n, 2);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 2);
	gb_sleep(29900);
	gw_frag_run(gw0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 0);
	gb_sleep(200);
	gw_frag_run(gw0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 2);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
	assert_int_equal(natively(), 0);
	/* A path that holds the last one for long. */
	ident++;
	send_piece(f, n, 0);
	send_piece(f, n, 2);
	gb_sleep(29900);
	gw_frag_run(gw0);
	send_piece(f, n, 1);
	assert_int_equal(natively(), 1000);
}

/* Half of the table is for those whose fragments follow each other. */
static void many_are_given_up_early(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1000);

	for (uint32_t i = 0; i < 63; i++) {
		ident++;
		send_piece(f, n, 0);
	}
	gb_sleep(1100);
	gw_frag_run(gw0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 0);
	ident++;
	send_piece(f, n, 0);
	gw_frag_run(gw0); /* 64 with it, which has just come */
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 63);
	send_piece(f, n, 1);
	send_piece(f, n, 2);
	assert_int_equal(natively(), 1000);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

/* RFC 5722: pieces that overlap are no segment, whatever else comes. */
static void overlaps_are_refused(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t f[2048], out[2048];
		size_t n = gb_tcp(f, v6 ? "fd77::2" : GB_CLIENT, v6 ? "fd77::11" : GB_SERVER,
				  TCP_ACK, 1000);

		reset(state);
		gb_rx(out, piece(out, f, n, 0, 400));
		gb_rx(out, piece(out, f, n, 392, 400));
		gb_rx(out, piece(out, f, n, 792, 1020 - 792));
		assert_int_equal(gw0->stats.tcp_reassembled, 0);
		gb_sleep(30100);
		gw_frag_run(gw0);
		assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 3);
		assert_int_equal(natively(), 0);
		assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
	}
}

static void too_large_together(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1700);

	for (uint32_t i = 0; i < 5; i++)
		send_piece(f, n, i);
	assert_int_equal(gw0->stats.drop[GW_DROP_OVERSIZED], 1);
	assert_int_equal(natively(), 0);
	assert_int_equal(rte_mempool_in_use_count(gw0->pool), 0);
}

/* Strangers fill the table; it stays as small as it is and works again afterwards. */
static void a_flood_ends(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1000);

	for (uint32_t i = 0; i < 1000; i++) {
		ident++;
		send_piece(f, n, 0);
	}
	assert_true(rte_mempool_in_use_count(gw0->pool) <= 128);
	assert_true(gw0->stats.drop[GW_DROP_FRAGMENT] >= 1000 - 128);
	gb_sleep(1100);
	gw_frag_run(gw0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 1000);
	ident++;
	for (uint32_t i = 0; i < 3; i++)
		send_piece(f, n, i);
	assert_int_equal(natively(), 1000);
}

static void others_go_as_they_came(void **state)
{
	uint8_t f[2048];
	size_t n = gb_tcp(f, GB_CLIENT, GB_SERVER, TCP_ACK, 1000);

	f[14 + NET_IP4_PROTO] = NET_PROTO_UDP;
	send_piece(f, n, 1);
	assert_int_equal(gw0->stats.tcp_fragments, 0);
	assert_int_equal(gw0->stats.drop[GW_DROP_FRAGMENT], 0);
	/* TCP for nobody's address takes no room. */
	n = gb_tcp(f, GB_CLIENT, "10.77.0.99", TCP_ACK, 1000);
	send_piece(f, n, 0);
	assert_int_equal(gw0->stats.tcp_fragments, 0);
	assert_int_equal(gw0->stats.drop[GW_DROP_NO_SERVER], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(whole_in_any_order, reset),
		cmocka_unit_test_setup(damage_is_seen, reset),
		cmocka_unit_test_setup(missing_ones_are_given_up, reset),
		cmocka_unit_test_setup(many_are_given_up_early, reset),
		cmocka_unit_test_setup(overlaps_are_refused, reset),
		cmocka_unit_test_setup(too_large_together, reset),
		cmocka_unit_test_setup(a_flood_ends, reset),
		cmocka_unit_test_setup(others_go_as_they_came, reset),
	};

	return cmocka_run_group_tests(tests, gb_open, gb_close);
}
