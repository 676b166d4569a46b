/* SPDX-License-Identifier: BSD-3-Clause */
/* test_accel_scarce.c - with hardly any chunks, lines, mbufs or work requests all goes on, slower.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "accel_bench.h"

#define S 1000000ull /* a second */
#define N 12	     /* connections */

/* What was taken away. */
static struct gw_chunk_list chunks;
static struct gw_place *places;
static struct gw_peek *peeks;
static struct rte_mbuf *mbufs[GW_SLICES];
static uint32_t n_mbufs;

static void keep_chunks(uint32_t n)
{
	struct gw_accel *a = B.w->accel;

	TAILQ_INIT(&chunks);
	for (uint32_t i = a->n_chunks; i > n; i--) {
		struct gw_chunk *ch = TAILQ_FIRST(&a->chunk_free);

		TAILQ_REMOVE(&a->chunk_free, ch, list);
		TAILQ_INSERT_TAIL(&chunks, ch, list);
	}
}

static void keep_lines(uint32_t n_places, uint32_t n_peeks)
{
	struct gw_place **p = &B.w->accel->place_free;
	struct gw_peek **q = &B.w->accel->peek_free;

	for (; n_places; n_places--)
		p = &(*p)->next;
	places = *p;
	*p = NULL;
	for (; n_peeks; n_peeks--)
		q = &(*q)->next;
	peeks = *q;
	*q = NULL;
}

static void keep_mbufs(uint32_t n)
{
	n_mbufs = rte_mempool_avail_count(B.w->accel->slices) - n;
	assert_int_equal(rte_pktmbuf_alloc_bulk(B.w->accel->slices, mbufs, n_mbufs), 0);
}

static int give_back(void **state)
{
	struct gw_accel *a = B.w->accel;
	struct gw_place **p = &a->place_free;
	struct gw_peek **q = &a->peek_free;

	if (chunks.tqh_last)
		TAILQ_CONCAT(&a->chunk_free, &chunks, list);
	while (*p)
		p = &(*p)->next;
	*p = places;
	while (*q)
		q = &(*q)->next;
	*q = peeks;
	rte_pktmbuf_free_bulk(mbufs, n_mbufs);
	places = NULL;
	peeks = NULL;
	n_mbufs = 0;
	return b_close(state);
}

static void transfers(uint64_t limit)
{
	struct b_conn *k[N];

	for (uint16_t i = 0; i < N; i++) {
		k[i] = b_conn_new(i);
		b_take(k[i]);
	}
	for (uint16_t i = 0; i < N; i++) {
		k[i]->to_send = 200000 + b_rand(100000);
		b_client_send(k[i], 200000 + b_rand(100000));
	}
	for (int i = 0; i < N; i++)
		assert_true(b_transfer(k[i], limit));
}

static void test_chunks(void **state)
{
	keep_chunks(2);
	transfers(300 * S);
	assert_true(B.w->accel->chunks_used <= 2);
}

static void test_lines(void **state)
{
	keep_lines(2, 1);
	transfers(300 * S);
}

static void test_mbufs(void **state)
{
	keep_mbufs(200);
	transfers(300 * S);
	assert_true(B.w->stats.drop[GW_DROP_NO_MBUF] > 0);
}

/* Work requests of ctl: some are kept away. */
static void test_work_requests(void **state)
{
	struct gw_alink *al = gw_alink_of(B.link);
	uint32_t kept = ib_qp_room(&B.link->set.ctl) - IB_SET_BUFS - 6;

	al->places += kept;
	transfers(300 * S);
	al->places -= kept;
}

static void steps(int n, uint64_t us)
{
	while (n--)
		b_step(us);
}

/* Connections that may be at work at the same time: fewer than there are. */
static void test_at_work(void **state)
{
	struct gw_accel *a = B.w->accel;
	struct b_conn *k[N];

	for (uint16_t i = 0; i < N; i++) {
		k[i] = b_conn_new(i);
		b_take(k[i]);
	}
	steps(500, 1000); /* everybody rests */
	assert_int_equal(a->live_used, 0);
	assert_int_equal(a->n_conns, N);
	a->n_live = a->live_fresh = 2;
	SLIST_INIT(&a->live_free);
	SLIST_INSERT_HEAD(&a->live_free, &a->live[0], free);
	SLIST_INSERT_HEAD(&a->live_free, &a->live[1], free);
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < N; i++) {
			k[i]->to_send += 20000 + b_rand(100000);
			b_client_send(k[i], 20000 + b_rand(100000));
		}
		for (uint16_t i = 0; i < N; i++) {
			assert_true(b_transfer(k[i], 300 * S));
			assert_true(a->live_used <= 2);
		}
	}
	assert_true(B.w->stats.conn_wakes_refused > 0);
	assert_true(B.w->stats.drop[GW_DROP_NO_LIVE] > 0);
	steps(500, 1000);
	assert_int_equal(a->live_used, 0);
	for (uint16_t i = 0; i < N; i++) /* at rest it is shown, handed back and ended as at work */
		assert_int_equal(gw_accel_handback(B.w, k[i]->token, IB_R_COMMAND), 0);
	steps(500, 1000);
	for (uint16_t i = 0; i < N; i++)
		assert_int_equal(b_gw(k[i])->state, GW_C_BACK);
}

static void test_all_with_loss(void **state)
{
	keep_chunks(3);
	keep_lines(3, 1);
	keep_mbufs(300);
	B.loss = 200;
	transfers(900 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chunks, b_open, give_back),
		cmocka_unit_test_setup_teardown(test_lines, b_open, give_back),
		cmocka_unit_test_setup_teardown(test_mbufs, b_open, give_back),
		cmocka_unit_test_setup_teardown(test_work_requests, b_open, give_back),
		cmocka_unit_test_setup_teardown(test_at_work, b_open, give_back),
		cmocka_unit_test_setup_teardown(test_all_with_loss, b_open, give_back),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
