/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_addr.c - fabric addresses as text and as address vectors.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct ib_addr sample = {
	.lid = 0x12,
	.gid = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0xab},
	.qpn = 0xabcdef,
	.psn = 0x000123,
	.mtu = IBV_MTU_4096,
	.rd_atomic = 16,
};

static void there_and_back(void **state)
{
	struct ib_addr b, big;
	char text[80];

	ib_addr_str(&sample, text);
	assert_string_equal(text, "0012:fe8000000000000001020304050607ab:abcdef:000123:5:10");
	memset(&b, 0xee, sizeof(b));
	assert_int_equal(ib_addr_parse(text, &b), 0);
	assert_int_equal(b.lid, sample.lid);
	assert_memory_equal(b.gid, sample.gid, 16);
	assert_int_equal(b.qpn, sample.qpn);
	assert_int_equal(b.psn, sample.psn);
	assert_int_equal(b.mtu, sample.mtu);
	assert_int_equal(b.rd_atomic, sample.rd_atomic);
	memset(&big, 0xff, sizeof(big));
	ib_addr_str(&big, text);
	assert_true(strlen(text) < 80);
}

static void short_form(void **state)
{
	struct ib_addr b;

	assert_int_equal(ib_addr_parse("1:00000000000000000000000000000000:2:3", &b), 0);
	assert_int_equal(b.lid, 1);
	assert_int_equal(b.qpn, 2);
	assert_int_equal(b.psn, 3);
	assert_int_equal(b.mtu, 0);
	assert_int_equal(b.rd_atomic, 0);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"1",
		"1:",
		"12345:00000000000000000000000000000000:2:3",
		"1:0000000000000000000000000000000:2:3",
		"1:000000000000000000000000000000000:2:3",
		"1:0000000000000000000000000000000g:2:3",
		"1:00000000000000000000000000000000:2",
		"1:00000000000000000000000000000000::3",
		"1:00000000000000000000000000000000:1000000:3",
		"1:00000000000000000000000000000000:2:3:6:1",
		"1:00000000000000000000000000000000:2:3:5",
		"1:00000000000000000000000000000000:2:3:5:100",
		"1:00000000000000000000000000000000:2:3:5:10:1",
		"1:00000000000000000000000000000000:2:3 ",
		"-1:00000000000000000000000000000000:2:3",
	};
	struct ib_addr b;

	memcpy(&b, &sample, sizeof(b));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ib_addr_parse(bad[i], &b), EINVAL);
	assert_memory_equal(&b, &sample, sizeof(b));
}

static void routed_as_the_device_does(void **state)
{
	struct ib_dev d = {.port = 1, .gid_index = 3};
	struct ibv_ah_attr v;
	struct ib_addr a = sample;

	memcpy(d.gid.raw, sample.gid, 8);
	ib_addr_vector(&d, &a, &v);
	assert_int_equal(v.dlid, 0x12);
	assert_int_equal(v.is_global, 0);
	a.gid[1] = 0x81; /* another subnet */
	ib_addr_vector(&d, &a, &v);
	assert_int_equal(v.is_global, 1);
	a = sample;
	a.lid = 0;
	ib_addr_vector(&d, &a, &v);
	assert_int_equal(v.is_global, 1);
	d.roce = true;
	a = sample;
	ib_addr_vector(&d, &a, &v);
	assert_int_equal(v.is_global, 1);
	assert_int_equal(v.grh.sgid_index, 3);
	assert_int_equal(v.grh.hop_limit, 64);
	assert_memory_equal(v.grh.dgid.raw, sample.gid, 16);
}

/* Where a datagram came from: a GRH, RoCE v2 over IPv6 and over IPv4 with garbage ahead of it. */
static void source_of_a_datagram(void **state)
{
	static const uint8_t ipv4[20] = {0x45, 0,    0,	 0x30, 0, 1, 0x40, 0,  64, 17,
					 0x26, 0x0a, 10, 88,   0, 2, 10,   88, 0,  1};
	static const uint8_t v4_gid[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, 88, 0, 2};
	uint8_t grh[IB_GRH_LEN] = {0x60}, mapped[16];

	memcpy(grh + 8, sample.gid, 16);
	assert_memory_equal(ib_grh_source(grh, mapped), sample.gid, 16);
	memcpy(grh + 20, ipv4, sizeof(ipv4));
	assert_memory_equal(ib_grh_source(grh, mapped), v4_gid, 16);
	memset(grh, 0, 20);
	assert_memory_equal(ib_grh_source(grh, mapped), v4_gid, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(short_form),
		cmocka_unit_test(refused),
		cmocka_unit_test(routed_as_the_device_does),
		cmocka_unit_test(source_of_a_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
