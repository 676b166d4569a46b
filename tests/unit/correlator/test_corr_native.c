/* SPDX-License-Identifier: BSD-3-Clause */
/* test_corr_native.c - the native maps: both directions, ownership, refusals, listing. */
#include "tests/unit/correlator/eal.h"

#include <errno.h>
#include <string.h>

#include "correlator/corr.h"

static const uint8_t a1[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 11};
static const uint8_t a2[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 12};
static const uint8_t a3[16] = {0xfd, 0x77, [15] = 0x11};
static const uint8_t g1[16] = {0xfe, 0x80, [15] = 1};
static const uint8_t g2[16] = {0xfe, 0x80, [15] = 2};

static struct corr_server server(uint32_t id, uint16_t lid, const uint8_t *gid, uint32_t qpn)
{
	struct corr_server s = {.id = id, .native = {.lid = lid, .qpn = qpn}};

	if (gid)
		memcpy(s.native.gid, gid, 16);
	s.mac[5] = (uint8_t)id;
	return s;
}

static void test_both_ways(void **state)
{
	struct corr_native *m = corr_native_new(3, 4);
	const struct corr_server by_lid = server(7, 3, NULL, 0x123), roce = server(8, 0, g1, 0x123),
				 both = server(9, 4, g2, 0x99);

	assert_non_null(m);
	assert_int_equal(corr_native_add_server(m, &by_lid), 0);
	assert_int_equal(corr_native_add_server(m, &roce), 0);
	assert_int_equal(corr_native_add_server(m, &both), 0);
	assert_int_equal(corr_native_add_addr(m, a1, 7), 0);
	assert_int_equal(corr_native_add_addr(m, a2, 8), 0);
	assert_int_equal(corr_native_add_addr(m, a3, 7), 0);

	assert_int_equal(corr_native_by_addr(m, a1)->id, 7);
	assert_int_equal(corr_native_by_addr(m, a2)->id, 8);
	assert_int_equal(corr_native_by_addr(m, a3)->mac[5], 7);
	assert_null(corr_native_by_addr(m, g1));

	assert_int_equal(corr_native_by_source(m, 3, NULL, 0x123)->id, 7);
	assert_int_equal(corr_native_by_source(m, 3, NULL, 0xff000123)->id, 7);
	assert_int_equal(corr_native_by_source(m, 3, g1, 0x123)->id, 8);
	assert_int_equal(corr_native_by_source(m, 4, NULL, 0x99)->id, 9);
	assert_int_equal(corr_native_by_source(m, 4, g2, 0x99)->id, 9);
	assert_null(corr_native_by_source(m, 3, NULL, 0x124));
	assert_null(corr_native_by_source(m, 0, NULL, 0x123));
	assert_null(corr_native_by_source(m, 3, g2, 0x123));

	assert_true(corr_native_owns(m, 7, a3));
	assert_false(corr_native_owns(m, 8, a3));
	assert_false(corr_native_owns(m, 7, g1));
	corr_native_free(m);
}

static void test_refusals(void **state)
{
	struct corr_native *m = corr_native_new(1, 1);
	struct corr_server s = server(1, 5, g1, 9), t = server(2, 5, NULL, 9);

	assert_int_equal(corr_native_add_addr(m, a1, 1), ENOENT);
	assert_int_equal(corr_native_add_server(m, &s), 0);
	assert_int_equal(corr_native_add_server(m, &t), EEXIST); /* its LID and QPN */
	t.native.lid = 6;
	memcpy(t.native.gid, g1, 16);
	assert_int_equal(corr_native_add_server(m, &t), EEXIST); /* its GID and QPN */
	t.native.qpn = 10;
	assert_int_equal(corr_native_add_server(m, &t), ENOSPC);
	t.id = 1;
	assert_int_equal(corr_native_add_server(m, &t), EEXIST); /* its id */
	assert_int_equal(corr_native_add_addr(m, a1, 1), 0);
	assert_int_equal(corr_native_add_addr(m, a1, 1), EEXIST);
	assert_int_equal(corr_native_add_addr(m, a2, 1), ENOSPC);
	assert_int_equal(corr_native_add_addr(m, a2, 2), ENOENT);
	corr_native_free(m);
	corr_native_free(NULL);
}

static void test_listing(void **state)
{
	struct corr_native *m = corr_native_new(2, 200);
	struct corr_native_entry e;
	struct corr_server s = server(1, 1, NULL, 1), t = server(2, 2, NULL, 1);
	uint8_t a[16] = {[10] = 0xff, [11] = 0xff};
	uint32_t it = 0, n;

	assert_false(corr_native_next(m, &it, &e));
	assert_int_equal(corr_native_add_server(m, &s), 0);
	assert_int_equal(corr_native_add_server(m, &t), 0);
	for (n = 0; n < 200; n++) {
		a[15] = (uint8_t)n;
		assert_int_equal(corr_native_add_addr(m, a, 1 + n % 2), 0);
	}
	for (it = n = 0; corr_native_next(m, &it, &e); n++) {
		assert_int_equal(e.addr[15], n);
		assert_int_equal(e.server->id, 1 + n % 2);
	}
	assert_int_equal(n, 200);
	corr_native_free(m);
}

/* Several servers carry one address. */
static void test_shared_address(void **state)
{
	struct corr_native *m = corr_native_new(3, 4);
	struct corr_native_entry e;
	uint32_t it = 0, n = 0;

	for (uint32_t i = 1; i <= 3; i++) {
		const struct corr_server s = server(i, (uint16_t)i, NULL, 1);

		assert_int_equal(corr_native_add_server(m, &s), 0);
		assert_int_equal(corr_native_add_addr(m, a1, i), 0);
		assert_int_equal(corr_native_add_addr(m, a1, i), EEXIST);
	}
	assert_int_equal(corr_native_add_addr(m, a2, 2), 0);
	assert_int_equal(corr_native_add_addr(m, a3, 2), ENOSPC);
	assert_int_equal(corr_native_by_addr(m, a1)->id, 1);
	assert_int_equal(corr_native_by_addr(m, a2)->id, 2);
	for (uint32_t i = 1; i <= 3; i++)
		assert_true(corr_native_owns(m, i, a1));
	assert_false(corr_native_owns(m, 1, a2));
	while (corr_native_next(m, &it, &e))
		n++;
	assert_int_equal(n, 4);
	corr_native_free(m);
}

static void test_empty(void **state)
{
	struct corr_native *m = corr_native_new(0, 0);
	struct corr_server s = server(1, 1, NULL, 1);

	assert_non_null(m);
	assert_null(corr_native_by_addr(m, a1));
	assert_null(corr_native_by_source(m, 1, NULL, 1));
	assert_int_equal(corr_native_add_server(m, &s), ENOSPC);
	corr_native_free(m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_listing),	  cmocka_unit_test(test_shared_address),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
