/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_corr_maglev.c - SipHash's published vectors; Maglev's shares by weight, its independence of
 * order, and how much moves when the set changes (printed, and bounded).
 */
#include "tests/unit/correlator/eal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "correlator/corr_maglev.h"

#define SIZE CORR_MAGLEV_SIZE

static const struct corr_sip_key key = {{1, 2}};
static uint8_t table[CORR_MAGLEV_MAX], other[CORR_MAGLEV_MAX];
static char names[CORR_MAGLEV_MEMBERS][24];
static struct corr_maglev_member member[CORR_MAGLEV_MEMBERS];

/* n members of weight 1, in order. */
static void make(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "server-%u", i);
		member[i] = (struct corr_maglev_member){names[i], 1};
	}
}

static void count(const uint8_t *t, uint32_t size, uint32_t n[CORR_MAGLEV_MEMBERS + 1])
{
	memset(n, 0, (CORR_MAGLEV_MEMBERS + 1) * sizeof(*n));
	for (uint32_t i = 0; i < size; i++)
		n[t[i]]++;
	assert_int_equal(n[CORR_MAGLEV_MEMBERS], 0); /* no hole */
}

/* Appendix A of the SipHash paper, and the reference implementation's vectors. */
static void test_siphash_vectors(void **state)
{
	const struct corr_sip_key k = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	static const struct {
		size_t len;
		uint64_t hash;
	} v[] = {{0, 0x726fdb47dd0e0e31},
		 {1, 0x74f839c593dc67fd},
		 {8, 0x93f5f5799a932462},
		 {15, 0xa129ca6149be45e5}};
	uint8_t in[16];

	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		assert_int_equal(corr_sip(&k, in, v[i].len), v[i].hash);
	assert_int_not_equal(corr_sip_key_of("a").k[0], corr_sip_key_of("b").k[0]);
}

static void test_published_shares(void **state)
{
	const struct corr_maglev_member m[] = {{"one", 1}, {"two", 2}};
	uint32_t n[CORR_MAGLEV_MEMBERS + 1];

	assert_int_equal(corr_maglev_build(&key, m, 2, table, SIZE), 0);
	count(table, SIZE, n);
	assert_int_equal(n[0], 21846);
	assert_int_equal(n[1], 43691);
}

static void test_shares_within_one_percent(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	uint32_t n[CORR_MAGLEV_MEMBERS + 1];

	printf("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 40; round++) {
		uint32_t members = 1 + (uint32_t)rand() % 60;
		uint64_t sum = 0;

		make(members);
		for (uint32_t i = 0; i < members; i++) {
			member[i].weight = 1 + (uint32_t)rand() % 10;
			sum += member[i].weight;
		}
		assert_int_equal(corr_maglev_build(&key, member, members, table, SIZE), 0);
		count(table, SIZE, n);
		for (uint32_t i = 0; i < members; i++) {
			const double want = (double)SIZE * member[i].weight / (double)sum;

			/* one turn more or less is below 1 % of any share here */
			if (n[i] < want * 0.99 - 1 || n[i] > want * 1.01 + 1)
				fail_msg("%u of %u has %u places instead of %.0f", i, members, n[i],
					 want);
		}
	}
}

static void test_order_does_not_matter(void **state)
{
	struct corr_maglev_member shuffled[50];
	unsigned int seed = (unsigned int)time(NULL);

	printf("seed %u\n", seed);
	srand(seed);
	make(50);
	memcpy(shuffled, member, sizeof(shuffled));
	for (uint32_t i = 49; i > 0; i--) {
		const uint32_t k = (uint32_t)rand() % (i + 1);
		const struct corr_maglev_member t = shuffled[i];

		shuffled[i] = shuffled[k];
		shuffled[k] = t;
	}
	assert_int_equal(corr_maglev_build(&key, member, 50, table, SIZE), 0);
	assert_int_equal(corr_maglev_build(&key, shuffled, 50, other, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_string_equal(member[table[i]].name, shuffled[other[i]].name);
}

/* Places that change, other than those of the member that goes, when one of n goes. */
static double moved(uint32_t n)
{
	uint32_t more = 0;

	make(n);
	assert_int_equal(corr_maglev_build(&key, member, n, table, SIZE), 0);
	member[n / 2].weight = 0;
	assert_int_equal(corr_maglev_build(&key, member, n, other, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++) {
		assert_int_not_equal(other[i], n / 2);
		more += table[i] != n / 2 && table[i] != other[i];
	}
	return 100.0 * more / SIZE;
}

static void test_disruption_is_small(void **state)
{
	static const uint32_t sets[] = {2, 5, 10, 50, 100, 250};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		const double percent = moved(sets[i]);

		printf("one of %u goes: %.2f %% of the others' places move\n", sets[i], percent);
		assert_true(percent < 3.0);
	}
	assert_true(moved(2) == 0.0);
}

static void test_refusals(void **state)
{
	struct corr_maglev_member m[] = {{"a", 0}, {"a", 1}, {"a", 1}};

	assert_false(corr_maglev_size_ok(65536));
	assert_false(corr_maglev_size_ok(65535));
	assert_false(corr_maglev_size_ok(1));
	assert_true(corr_maglev_size_ok(65537));
	assert_true(corr_maglev_size_ok(CORR_MAGLEV_MAX));
	assert_int_equal(corr_maglev_build(&key, m, 1, table, SIZE), EINVAL); /* no weight */
	assert_int_equal(corr_maglev_build(&key, m, 3, table, SIZE), EINVAL); /* names */
	assert_int_equal(corr_maglev_build(&key, m, 2, table, 65536), EINVAL);
	assert_int_equal(corr_maglev_build(&key, m, 2, table, SIZE), 0);
	m[0] = (struct corr_maglev_member){"b", 1000001};
	assert_int_equal(corr_maglev_build(&key, m, 2, table, SIZE), EINVAL);
}

static void test_cost(void **state)
{
	struct timespec a, b;

	make(CORR_MAGLEV_MEMBERS);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(corr_maglev_build(&key, member, CORR_MAGLEV_MEMBERS, table, SIZE), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("255 members, 65537 places: %.2f ms\n",
	       (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_published_shares),
		cmocka_unit_test(test_shares_within_one_percent),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_disruption_is_small),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
