/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits of challenge ACKs: of a connection and of all (RFC 5961 section 7). */
#include "tcp_script.h"

#define CONNS 40

/* Segments that deserve a challenge, round robin; returns how many were answered. */
static unsigned int flood(struct tt *t, unsigned int n_conn, unsigned int n)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct tt *k = &t[i % n_conn];

		tt_seg(k, TCP_RST, 5, 0, 0);
		got += k->n_out;
		tt_drain(k);
	}
	return got;
}

static void start(struct tt *t, struct tcp_challenges *s)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		tt_prepare(&t[i]);
		t[i].cfg.challenges = s;
		tt_start(&t[i]);
	}
}

/* Ten in five seconds for one connection, whatever others do. */
static void test_own_limit(void **state)
{
	static struct tt t[CONNS];

	start(t, NULL);
	assert_int_equal(flood(t, 1, 100), 10);
	t[0].now += 4999000;
	assert_int_equal(flood(t, 1, 100), 0);
	t[0].now += 2000;
	assert_int_equal(flood(t, 1, 100), 10);
	assert_int_equal(flood(t, CONNS, 40 * CONNS), 10 * (CONNS - 1));
}

/* All together no more than the shared limit, which is another number each second. */
static void test_shared_limit(void **state)
{
	static struct tt t[CONNS];
	struct tcp_challenges s = {.key = {7}, .per_s = 100};
	unsigned int got, sum = 0, low = 1000, high = 0;

	start(t, &s);
	for (unsigned int second = 0; second < 200; second++) {
		got = flood(t, CONNS, 20 * CONNS);
		assert_in_range(got, 50, 150);
		sum += got;
		low = got < low ? got : low;
		high = got > high ? got : high;
		for (unsigned int i = 0; i < CONNS; i++)
			t[i].now += 5000000; /* the own limit is over */
	}
	assert_in_range(sum, 200 * 90, 200 * 110);
	assert_true(low < 65 && high > 135); /* spread over all of the range */
	assert_true(s.refused > 0);
}

/* Another key, other numbers: nobody outside can know them. */
static void test_keyed(void **state)
{
	static struct tt t[CONNS];
	unsigned int differ = 0, got[2];

	for (unsigned int second = 0; second < 20; second++) {
		for (unsigned int k = 0; k < 2; k++) {
			struct tcp_challenges s = {.key = {(uint8_t)k}, .per_s = 100};

			start(t, &s);
			for (unsigned int i = 0; i < CONNS; i++)
				t[i].now += second * 1000000ull;
			got[k] = flood(t, CONNS, 20 * CONNS);
		}
		differ += got[0] != got[1];
	}
	assert_true(differ > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_limit),
		cmocka_unit_test(test_shared_limit),
		cmocka_unit_test(test_keyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
