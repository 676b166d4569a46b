/* SPDX-License-Identifier: BSD-3-Clause */
/* test_corr_limit.c - rates, the table of clients, and health with hysteresis. */
#include "tests/unit/correlator/eal.h"

#include <pthread.h>
#include <string.h>

#include "correlator/corr_health.h"
#include "correlator/corr_limit.h"

#define SECOND UINT64_C(1000000)

static void client_addr(uint8_t a[16], uint32_t host)
{
	const uint8_t v4[16] = {[10] = 0xff,	       [11] = 0xff,	     10,
				(uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};

	memcpy(a, v4, 16);
}

/* Events let through when one is tried every `step` us for `us` microseconds. */
static uint32_t run(const struct corr_rate *r, uint64_t *state, uint64_t from, uint64_t us,
		    uint64_t step)
{
	uint32_t n = 0;

	for (uint64_t t = from; t < from + us; t += step)
		n += corr_rate_take(r, state, t);
	return n;
}

static void test_rate(void **state)
{
	const struct corr_rate r = corr_rate_of(100, 10), none = corr_rate_of(0, 5);
	uint64_t s = 0, t = 5 * SECOND;

	for (int i = 0; i < 10; i++)
		assert_true(corr_rate_take(&r, &s, t)); /* the burst */
	assert_false(corr_rate_peek(&r, s, t));
	assert_false(corr_rate_take(&r, &s, t));
	assert_false(corr_rate_take(&r, &s, t + 9999));
	assert_true(corr_rate_take(&r, &s, t + 10000));
	/* 10 s of an event every 100 us: the rate, and at most the burst on top */
	s = 0;
	assert_in_range(run(&r, &s, t, 10 * SECOND, 100), 1000, 1010);
	/* slower than the rate: nothing is refused */
	assert_int_equal(run(&r, &s, 100 * SECOND, 10 * SECOND, 20000), 500);
	s = 0;
	assert_int_equal(run(&none, &s, 0, SECOND, 1000), 1000);
	assert_int_equal(s, 0);
}

/** What the threads of test_threads_share_a_rate() have. */
struct shared {
	struct corr_rate r;	 /* the rate */
	_Atomic uint64_t state;	 /* of it */
	_Atomic uint64_t now_us; /* the clock of all */
	_Atomic uint32_t taken;	 /* events that happened */
};

static void *taker(void *arg)
{
	struct shared *s = arg;

	for (uint64_t now = 0; now < SECOND; now = atomic_fetch_add(&s->now_us, 10))
		if (corr_rate_take_shared(&s->r, &s->state, now))
			atomic_fetch_add(&s->taken, 1);
	return NULL;
}

/* Workers that take from one rate at the same time get it once, and all of it. */
static void test_threads_share_a_rate(void **state)
{
	struct shared s = {.r = corr_rate_of(5000, 100)};
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taker, &s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_in_range(s.taken, 4950, 5101);
}

static void test_prefix(void **state)
{
	const struct corr_client_limit l = {.prefix4 = 25, .prefix6 = 61};
	uint8_t a[16], p[16], v6[16];

	client_addr(a, 0x0102fe);
	corr_client_prefix(&l, a, p);
	client_addr(a, 0x010280);
	assert_memory_equal(a, p, 16);
	memset(v6, 0xff, 16);
	v6[0] = 0x20;
	corr_client_prefix(&l, v6, v6); /* in place */
	assert_int_equal(v6[7], 0xf8);
	assert_int_equal(v6[8], 0);
	assert_int_equal(v6[15], 0);
}

static void test_clients_are_bounded(void **state)
{
	const struct corr_client_limit l = {.prefix4 = 32, .max_conns = 1};
	struct corr_marks t;
	struct corr_mark *busy, *c;
	uint8_t a[16];

	assert_int_equal(corr_marks_open(&t, 100), 0);
	client_addr(a, 1);
	busy = corr_client_get(&t, 7, &l, a, 0, true);
	busy->count = 1;
	busy->word = 77;
	for (uint32_t i = 2; i < 10000; i++) { /* a flood of addresses */
		client_addr(a, i);
		c = corr_client_get(&t, 7, &l, a, i * 1000, true);
		assert_non_null(c);
		assert_int_equal(c->count, 0);
		assert_int_equal(c->word, 0);
		c->word = i;
	}
	assert_in_range(corr_marks_used(&t), 100, 512);
	client_addr(a, 1);
	assert_ptr_equal(corr_client_get(&t, 7, &l, a, 0, false), busy);
	assert_int_equal(busy->word, 77);
	assert_null(corr_client_get(&t, 8, &l, a, 0, false)); /* another service's */
	client_addr(a, 9999);
	assert_int_equal(corr_client_get(&t, 7, &l, a, 0, false)->word, 9999);
	corr_marks_close(&t);
}

/* Nobody with connections is taken for another one; who finds no place is not limited by itself. */
static void test_nobody_can_go(void **state)
{
	const struct corr_client_limit l = {.prefix4 = 32};
	uint32_t known = 0, n = 0;
	struct corr_marks t;
	struct corr_mark *c;
	uint8_t a[16];

	assert_int_equal(corr_marks_open(&t, 20), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		client_addr(a, i);
		c = corr_client_get(&t, 0, &l, a, 0, true);
		if (c)
			c->count++;
		known += c != NULL;
	}
	assert_int_equal(known, corr_marks_used(&t));
	for (uint32_t i = 0; i < 10000; i++) {
		client_addr(a, i);
		c = corr_client_get(&t, 0, &l, a, 0, false);
		assert_true(!c || c->count == 1);
		n += c != NULL;
	}
	assert_int_equal(n, known);
	corr_marks_close(&t);
}

static void *marker(void *arg)
{
	const struct corr_client_limit l = {.prefix4 = 32};
	struct corr_marks *t = arg;
	uint8_t a[16];

	for (uint32_t round = 0; round < 50; round++)
		for (uint32_t i = 0; i < 500; i++) {
			client_addr(a, i);
			atomic_fetch_add(&corr_client_get(t, 1, &l, a, 0, true)->count, 1);
		}
	return NULL;
}

/* Workers that meet the same clients at the same time count them once. */
static void test_threads_share_clients(void **state)
{
	const struct corr_client_limit l = {.prefix4 = 32};
	struct corr_marks t;
	pthread_t thread[4];
	uint32_t all = 0;
	uint8_t a[16];

	assert_int_equal(corr_marks_open(&t, 4000), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, marker, &t), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	/* A thread that is preempted in the middle of it may make one twice: then, and only then.
	 */
	assert_in_range(corr_marks_used(&t), 500, 502);
	for (uint32_t i = 0; i < 500; i++) {
		client_addr(a, i);
		all += corr_client_get(&t, 1, &l, a, 0, false)->count;
	}
	assert_in_range(all, 4 * 50 * 500 - 400, 4 * 50 * 500);
	corr_marks_close(&t);
}

static void test_health_has_hysteresis(void **state)
{
	const struct corr_health_cfg c = {.rise = 2, .fall = 3, .hold_ms = 5000};
	struct corr_health h = {0};

	assert_false(corr_health_sign(&h, &c, true, 1000));
	assert_true(corr_health_sign(&h, &c, true, 2000)); /* no hold the first time */
	for (int i = 0; i < 20; i++) { /* two bad ones between good ones do not matter */
		assert_false(corr_health_sign(&h, &c, i % 3 == 2, 3000 + (uint64_t)i));
		assert_true(h.up);
	}
	h.streak = 0;
	assert_false(corr_health_sign(&h, &c, false, 4000));
	assert_false(corr_health_sign(&h, &c, false, 4100));
	assert_true(corr_health_sign(&h, &c, false, 4200));
	assert_int_equal(corr_health_share(&h, &c, 4300), 0);
	for (uint64_t t = 4300; t < 9200; t += 100) /* well again, but held */
		assert_false(corr_health_sign(&h, &c, true, t));
	assert_true(corr_health_sign(&h, &c, true, 9200));
	assert_int_equal(h.changes, 3);
	assert_true(corr_health_lost(&h, 9300));
	assert_false(corr_health_lost(&h, 9400));
	assert_int_equal(h.since_ms, 9300);
}

static void test_slow_start(void **state)
{
	const struct corr_health_cfg c = {.rise = 1, .fall = 1, .slow_start_ms = 10000};
	struct corr_health h = {0};
	uint32_t last = 0;

	corr_health_sign(&h, &c, true, 1000);
	assert_int_equal(corr_health_share(&h, &c, 1000), CORR_SHARE_FULL); /* the first time */
	corr_health_lost(&h, 2000);
	corr_health_sign(&h, &c, true, 3000);
	for (uint64_t t = 3000; t < 13000; t += 500) {
		const uint32_t share = corr_health_share(&h, &c, t);

		assert_true(share >= 1 && share >= last && share < CORR_SHARE_FULL);
		last = share;
	}
	assert_in_range(corr_health_share(&h, &c, 8000), 127, 129);
	assert_int_equal(corr_health_share(&h, &c, 13000), CORR_SHARE_FULL);
}

static void test_load(void **state)
{
	assert_int_equal(corr_load_share(0, 100), CORR_SHARE_FULL);
	assert_int_equal(corr_load_share(100, 0), CORR_SHARE_FULL);
	assert_int_equal(corr_load_share(200, 100), CORR_SHARE_FULL);
	assert_int_equal(corr_load_share(400, 100), CORR_SHARE_FULL); /* slow, but fast */
	assert_int_equal(corr_load_share(4000, 1000), CORR_SHARE_FULL / 2);
	assert_int_equal(corr_load_share(1000000, 100), CORR_SHARE_FULL / 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_threads_share_a_rate),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_clients_are_bounded),
		cmocka_unit_test(test_nobody_can_go),
		cmocka_unit_test(test_threads_share_clients),
		cmocka_unit_test(test_health_has_hysteresis),
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
