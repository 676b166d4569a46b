/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net_csum.c - sums and updates against a naive implementation. */
#include <stdlib.h>
#include <time.h>

#include "tests/unit/tcpstack/net_frame.h"
#include "tcpstack/net_wire.h"

static uint8_t data[4096 + 64];
static unsigned int seed;

static int setup(void **state)
{
	uint32_t i;

	seed = (unsigned int)time(NULL);
	print_message("seed %u\n", seed);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand_r(&seed);
	return 0;
}

/* 0 and 0xffff are the same number in one's complement. */
static void assert_same(uint16_t got, uint32_t want)
{
	assert_int_equal(ntohs(got) % 0xffff, want % 0xffff);
}

static void test_lengths(void **state)
{
	uint32_t n, off;

	for (n = 0; n < 400; n++)
		for (off = 0; off < 9; off++)
			assert_same(net_csum_fold(net_csum_add(0, data + off, n, false)),
				    ref_sum(data + off, n, 0));
	assert_same(net_csum_fold(net_csum_add(0, data, 4096, false)), ref_sum(data, 4096, 0));
}

static void test_extremes(void **state)
{
	static uint8_t ones[65536];

	assert_int_equal(net_csum_fold(net_csum_add(0, ones, sizeof(ones), false)), 0);
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(net_csum_fold(net_csum_add(0, ones, sizeof(ones), false)), 0xffff);
	assert_int_equal(net_csum_fold(net_csum_add(UINT32_MAX, ones, 2, false)), 0xffff);
}

static void test_pieces(void **state)
{
	uint32_t i;

	for (i = 0; i < 2000; i++) {
		uint32_t n = (uint32_t)rand_r(&seed) % 3000, at = 0, sum = 0;

		while (at < n) {
			uint32_t k = 1 + (uint32_t)rand_r(&seed) % (n - at);

			sum = net_csum_add(sum, data + at, k, at & 1);
			at += k;
		}
		assert_same(net_csum_fold(sum), ref_sum(data, n, 0));
	}
}

static void test_update(void **state)
{
	uint8_t buf[256], old[8];
	uint32_t i;

	for (i = 0; i < 5000; i++) {
		uint32_t n = 20 + (uint32_t)rand_r(&seed) % 200;
		uint32_t len = 1 + (uint32_t)rand_r(&seed) % 8;
		uint32_t at = 2 + (uint32_t)rand_r(&seed) % (n - len - 2);

		memcpy(buf, data + i % 1000, n);
		put16(buf, 0);
		put16(buf, ~ref_sum(buf, n, 0));
		memcpy(old, buf + at, len);
		memcpy(buf + at, data + (uint32_t)rand_r(&seed) % 4000, len);
		net_csum_update(buf, old, buf + at, len, at & 1);
		assert_int_equal(ref_sum(buf, n, 0), 0xffff);
	}
}

static void test_pseudo(void **state)
{
	struct net_addr a, b;

	assert_int_equal(net_addr_parse("10.1.2.3", &a), 0);
	assert_int_equal(net_addr_parse("192.168.255.254", &b), 0);
	assert_same(net_csum_fold(net_csum_pseudo(&a, &b, 6, 40)),
		    ref_sum(b.b + 12, 4, ref_sum(a.b + 12, 4, 46)));
	assert_int_equal(net_addr_parse("fd77::2", &a), 0);
	assert_int_equal(net_addr_parse("fd77::ffff:11", &b), 0);
	assert_same(net_csum_fold(net_csum_pseudo(&a, &b, 58, 70000)),
		    ref_sum(b.b, 16, ref_sum(a.b, 16, 58 + 70000 % 0xffff)));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_pieces),	cmocka_unit_test(test_update),
		cmocka_unit_test(test_pseudo),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
