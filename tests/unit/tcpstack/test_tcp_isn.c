/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash by its published vectors; initial sequence numbers and timestamp offsets (RFC 6528). */
#include "tcp_open_script.h"

/* Key 00..0f, message 00 01 02 ... of the given length: appendix A of the paper and its code. */
static void test_siphash_vectors(void **state)
{
	static const struct {
		unsigned int len;
		uint64_t hash;
	} v[] = {
		{0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},
		{7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},  {9, 0x9e0082df0ba9e4b0},
		{15, 0xa129ca6149be45e5}, {16, 0x3f2acc7f57c29bdb}, {31, 0x32d892fad841c342},
		{63, 0x958a324ceb064572},
	};
	uint8_t key[16], msg[64];

	for (unsigned int i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)i;
	memcpy(key, msg, sizeof(key));
	for (unsigned int i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		assert_true(tcp_siphash(key, msg, v[i].len) == v[i].hash);
}

/* The clock ticks every 4 us; each part of the 4-tuple and the key changes the rest. */
static void test_isn(void **state)
{
	struct net_flow f;
	struct tcp_keys k;
	uint32_t base, other[5];
	struct os o;

	os_init(&o);
	base = tcp_isn(&o.keys, &o.f, 0);
	assert_int_equal(tcp_isn(&o.keys, &o.f, 4000000), base + 1000000);
	assert_int_equal(tcp_isn(&o.keys, &o.f, 4ull << 32), base);
	for (unsigned int i = 0; i < 5; i++) {
		f = o.f;
		k = o.keys;
		f.rport += i == 0;
		f.lport += i == 1;
		f.remote.b[15] += i == 2;
		f.local.b[15] += i == 3;
		k.isn[15] += i == 4;
		other[i] = tcp_isn(&k, &f, 0);
		assert_int_not_equal(other[i], base);
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(other[i], other[j]);
	}
}

/* Offsets are spread over all values: neighbours of a port tell nothing about it. */
static void test_spread(void **state)
{
	unsigned int isn[16] = {0}, ts[16] = {0};
	struct os o;

	os_init(&o);
	for (unsigned int i = 0; i < 16000; i++) {
		o.f.rport = (uint16_t)i;
		isn[tcp_isn(&o.keys, &o.f, 0) >> 28]++;
		ts[tcp_ts_offset(&o.keys, &o.f) >> 28]++;
	}
	for (unsigned int i = 0; i < 16; i++) {
		assert_in_range(isn[i], 850, 1150); /* 1000 each; 5 standard deviations are 153 */
		assert_in_range(ts[i], 850, 1150);
	}
}

/* A connection of the same ports goes on with the clock of the one before (RFC 6191, PAWS). */
static void test_ts_offset(void **state)
{
	uint32_t first;
	struct os o;

	os_init(&o);
	os_connect(&o);
	os_take(&o);
	first = o.seen.tsval;
	assert_int_equal(first, tcp_ts_offset(&o.keys, &o.f) + (uint32_t)(o.t.now / 1000));
	tcp_detach(&o.t.c);
	o.t.now += 123000;
	os_connect(&o);
	os_take(&o);
	assert_int_equal(o.seen.tsval, first + 123);
	tcp_detach(&o.t.c);
	o.f.rport++;
	os_connect(&o);
	os_take(&o);
	assert_int_not_equal(o.seen.tsval, first + 123);
	/* The key of the timestamps is its own. */
	o.keys.isn[0]++;
	tcp_detach(&o.t.c);
	os_connect(&o);
	first = o.seen.tsval;
	os_take(&o);
	assert_int_equal(o.seen.tsval, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_isn),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_ts_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
