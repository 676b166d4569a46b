/* SPDX-License-Identifier: BSD-3-Clause */
/* test_corr_token.c - tokens divide as promised for every size of map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "correlator/corr_int.h"

static void test_round_trip(void **state)
{
	static const uint32_t slots[] = {1, 2, 3, 64, 65, 1000, 65536, 65537, 1u << 20, 1u << 22};
	struct corr_token_shape t;
	uint32_t i, w, gen;

	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		for (w = 0; w < 64; w += 21) {
			assert_int_equal(corr_token_shape_init(&t, slots[i], w), 0);
			assert_true(t.gen_max >= 15);
			for (gen = 1; gen <= t.gen_max; gen += 1 + t.gen_max / 7) {
				uint32_t tok = corr_token_make(&t, slots[i] - 1, gen);

				assert_int_not_equal(tok, 0);
				assert_int_equal(corr_token_slot(&t, tok), slots[i] - 1);
				assert_int_equal(corr_token_worker(tok), w);
			}
		}
	}
}

static void test_limits(void **state)
{
	struct corr_token_shape t;

	assert_int_not_equal(corr_token_shape_init(&t, 10, 64), 0);
	assert_int_not_equal(corr_token_shape_init(&t, (1u << 22) + 1, 0), 0);
}

static void test_generations(void **state)
{
	struct corr_token_shape t;

	assert_int_equal(corr_token_shape_init(&t, 1u << 22, 1), 0);
	assert_int_equal(corr_token_next_gen(&t, 1), 2);
	assert_int_equal(corr_token_next_gen(&t, t.gen_max), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_generations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
