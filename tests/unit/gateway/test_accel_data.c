/* SPDX-License-Identifier: BSD-3-Clause */
/* test_accel_data.c - payload both ways through the gateway, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "accel_bench.h"

#define S 1000000ull /* a second */

static void test_download(void **state)
{
	struct b_conn *k = b_conn_new(0);

	b_take(k);
	k->to_send = 3000000;
	assert_true(b_transfer(k, 30 * S));
	assert_int_equal(B.w->stats.tcp_retransmits, 0);
	assert_true(B.w->stats.rdma_read_bytes >= k->to_send);
	assert_true(B.w->stats.rdma_read_bytes < k->to_send + k->to_send / 10);
	/* A producer that is waited for rings at most once per release notice. */
	assert_true(B.doorbells <= 8 * k->to_send / B_RING + 8);
}

static void test_upload(void **state)
{
	struct b_conn *k = b_conn_new(1);

	b_take(k);
	b_client_send(k, 3000000);
	assert_true(b_transfer(k, 30 * S));
	assert_int_equal(k->c.stats.retx_segs, 0);
	assert_int_equal(B.w->stats.rdma_write_bytes, 3000000);
	assert_true(B.doorbells < 50);
}

static void test_slow_reader(void **state)
{
	struct b_conn *k = b_conn_new(2);

	k->pace = 100;
	b_take(k);
	b_client_send(k, 400000);
	assert_true(b_transfer(k, 60 * S));
	assert_true(B.w->stats.line_writes < 2000);
	assert_int_equal(k->c.stats.retx_segs, 0);
}

static void test_both_ways_small(void **state)
{
	struct b_conn *k = b_conn_new(3);

	b_take(k);
	for (int i = 0; i < 200; i++) {
		b_client_send(k, 1 + b_rand(300));
		k->to_send += 1 + b_rand(5000);
		assert_true(b_transfer(k, 5 * S));
	}
	assert_int_equal(B.w->stats.tcp_retransmits, 0);
}

static void test_loss(void **state)
{
	struct b_conn *k = b_conn_new(4);

	b_take(k);
	B.loss = 300;
	k->to_send = 1500000;
	b_client_send(k, 1500000);
	assert_true(b_transfer(k, 900 * S));
	assert_true(B.w->stats.tcp_retransmits > 0);
}

static void test_many(void **state)
{
	struct b_conn *k[B_SLOTS];

	for (uint16_t i = 0; i < B_SLOTS; i++) {
		k[i] = b_conn_new(i);
		b_take(k[i]);
		k[i]->to_send = 300000 + b_rand(100000);
		b_client_send(k[i], 300000 + b_rand(100000));
	}
	B.loss = 50;
	for (int i = 0; i < (int)B_SLOTS; i++)
		assert_true(b_transfer(k[i], 200 * S));
}

static unsigned int seen[256][256]; /* frames with this TTL and TOS */

/* Looks at what leaves. */
static bool look(const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);

	if (ip[0] >> 4 == 6)
		seen[ip[7]][(ip[0] & 15) << 4 | ip[1] >> 4]++;
	else
		seen[ip[8]][ip[1]]++;
	return true;
}

static uint32_t ip_of(uint32_t ttl, uint32_t tos)
{
	return ttl << IB_HL_TTL_SHIFT | tos << IB_HL_TOS_SHIFT;
}

/* Frames of 20 KB that leave, of which all have this TTL and TOS. */
static bool all_have(struct b_conn *k, uint8_t ttl, uint8_t tos)
{
	unsigned int n = 0;

	memset(seen, 0, sizeof(seen));
	k->to_send += 20000;
	assert_true(b_transfer(k, 30 * S));
	for (int t = 0; t < 256; t++)
		for (int o = 0; o < 256; o++)
			n += seen[t][o];
	assert_true(n >= 14);
	return seen[ttl][tos] == n;
}

/* RFC 9293 MUST-48, 49, SHLD-21, 22: what the server's kernel would send with, also changed. */
static void ip_header(uint16_t slot)
{
	struct gw_cfg *cfg = (struct gw_cfg *)B.w->gw->cfg;
	const uint32_t ttl = cfg->ttl;
	struct b_conn *k = b_conn_new(slot);

	cfg->ttl = 0;
	k->ip = ip_of(17, 0xb8);
	b_take(k);
	B.hop = look;
	assert_true(all_have(k, 17, 0xb8));
	/* The line is one that says more, less or nothing; ECN's bits are none of its business. */
	b_host_line(slot)->flags = ip_of(255, 0x23);
	assert_true(all_have(k, 255, 0x20));
	b_host_line(slot)->flags = 0;
	assert_true(all_have(k, 64, 0));
	b_host_line(slot)->flags = ip_of(17, 0xfc);
	cfg->ttl = 99;
	assert_true(all_have(k, 99, 0xfc)); /* the operator's word on it */
	cfg->ttl = ttl;
	B.hop = NULL;
}

static void test_ip_header(void **state)
{
	ip_header(0);
}

static void test_ip6_header(void **state)
{
	ip_header(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_download, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_upload, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_slow_reader, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_both_ways_small, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_loss, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_many, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_ip_header, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_ip6_header, b_open, b_close),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
