/* SPDX-License-Identifier: BSD-3-Clause */
/* test_corr_accel.c - the accelerated maps: both keys, tokens that stay dead, filling, walking. */
#include "tests/unit/correlator/eal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "correlator/corr.h"

static struct corr_flow flow(uint32_t n)
{
	struct corr_flow f = {.lport = 80, .rport = (uint16_t)n};

	memcpy(f.remote, &n, sizeof(n));
	f.local[15] = 1;
	return f;
}

static void test_both_keys(void **state)
{
	struct corr_accel *m = corr_accel_new(10, 5);
	struct corr_flow f1 = flow(1), f2 = flow(2);
	uint32_t t1, t2, t3;
	int c1, c2;

	assert_int_equal(corr_accel_add(m, &f1, &c1, &t1), 0);
	assert_int_equal(corr_accel_add(m, &f1, &c2, &t2), EEXIST);
	assert_int_equal(corr_accel_add(m, &f2, NULL, &t2), EINVAL);
	assert_int_equal(corr_accel_add(m, &f2, &c2, &t2), 0);
	assert_int_not_equal(t1, t2);
	assert_int_equal(corr_token_worker(t1), 5);
	assert_ptr_equal(corr_accel_by_flow(m, &f1), &c1);
	assert_ptr_equal(corr_accel_by_token(m, t1), &c1);
	assert_ptr_equal(corr_accel_by_token(m, t2), &c2);
	assert_int_equal(corr_accel_count(m), 2);
	assert_int_equal(corr_accel_del(m, t1), 0);
	assert_int_equal(corr_accel_del(m, t1), ENOENT);
	assert_null(corr_accel_by_flow(m, &f1));
	assert_null(corr_accel_by_token(m, t1));
	assert_int_equal(corr_accel_add(m, &f1, &c1, &t3), 0);
	assert_int_not_equal(t3, t1);
	assert_null(corr_accel_by_token(m, t1));
	assert_null(corr_accel_by_token(m, 0));
	assert_null(corr_accel_by_token(m, UINT32_MAX));
	corr_accel_free(m);
}

static void test_full_and_bulk(void **state)
{
	enum { MAX = 5000 };
	struct corr_accel *m = corr_accel_new(MAX, 0);
	const struct corr_flow *keys[32];
	struct corr_flow f[32];
	static uint32_t tok[MAX];
	void *conns[32];
	uint32_t i, t, it = 0;

	for (i = 0; i < MAX; i++) {
		f[0] = flow(i);
		assert_int_equal(corr_accel_add(m, &f[0], &tok[i], &tok[i]), 0);
	}
	f[0] = flow(MAX);
	assert_int_equal(corr_accel_add(m, &f[0], &t, &t), ENOSPC);
	assert_int_equal(corr_accel_max(m), MAX);
	for (i = 0; i < 32; i++) {
		f[i] = flow(i % 2 ? i : MAX + i);
		keys[i] = &f[i];
		conns[i] = m;
	}
	corr_accel_by_flow_bulk(m, keys, 32, conns);
	for (i = 0; i < 32; i++)
		assert_ptr_equal(conns[i], i % 2 ? &tok[i] : NULL);
	corr_accel_by_flow_bulk(m, keys, 0, conns);
	for (i = 0; corr_accel_next(m, &it) != NULL; i++) /* removal of the current one is safe */
		assert_int_equal(corr_accel_del(m, tok[i]), 0);
	assert_int_equal(i, MAX);
	assert_int_equal(corr_accel_count(m), 0);
	corr_accel_free(m);
}

static void test_tokens_rest(void **state)
{
	enum { ROUNDS = 2000 };
	struct corr_accel *m = corr_accel_new(1, 63);
	static uint32_t seen[ROUNDS];
	struct corr_flow f = flow(1);
	uint32_t i, k;

	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(corr_accel_add(m, &f, &f, &seen[i]), 0);
		assert_int_equal(corr_accel_del(m, seen[i]), 0);
	}
	for (i = 0; i < ROUNDS; i++)
		for (k = i + 1; k < ROUNDS; k++)
			assert_int_not_equal(seen[i], seen[k]);
	corr_accel_free(m);
}

/* Against a plain table of what should be there. */
static void test_random(void **state)
{
	enum { N = 512, MAX = 300 };
	struct corr_accel *m = corr_accel_new(MAX, 1);
	static uint32_t tok[N];
	static bool in[N];
	unsigned int seed = (unsigned int)time(NULL);
	uint32_t i, n = 0;

	print_message("seed %u\n", seed);
	for (i = 0; i < 20000; i++) {
		uint32_t k = (uint32_t)rand_r(&seed) % N;
		struct corr_flow f = flow(k);

		assert_ptr_equal(corr_accel_by_flow(m, &f), in[k] ? &tok[k] : NULL);
		if (in[k]) {
			assert_ptr_equal(corr_accel_by_token(m, tok[k]), &tok[k]);
			assert_int_equal(corr_accel_del(m, tok[k]), 0);
			in[k] = false;
			n--;
		} else if (n == MAX) {
			assert_int_equal(corr_accel_add(m, &f, &tok[k], &tok[k]), ENOSPC);
		} else {
			assert_int_equal(corr_accel_add(m, &f, &tok[k], &tok[k]), 0);
			in[k] = true;
			n++;
		}
		assert_int_equal(corr_accel_count(m), n);
	}
	corr_accel_free(m);
}

static void test_limits(void **state)
{
	assert_null(corr_accel_new(0, 0));
	assert_null(corr_accel_new(UINT32_MAX, 0));
	assert_null(corr_accel_new(10, 64));
	corr_accel_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_keys),   cmocka_unit_test(test_full_and_bulk),
		cmocka_unit_test(test_tokens_rest), cmocka_unit_test(test_random),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
