/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_corr_track.c - the connection table: life of a flow, what confirms it, ageing, counts, and
 * floods that must not cost a single confirmed connection.
 */
#include "tests/unit/correlator/eal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "correlator/corr_track.h"

#define MAX 400

static struct corr_live live;
static struct corr_tracks t;

static struct corr_pkt packet(uint32_t client, uint8_t flags, bool from_server)
{
	struct corr_pkt p = {.flags = flags, .from_server = from_server};

	memcpy(p.key.flow.remote, &client, sizeof(client));
	p.key.proto = CORR_TCP;
	return p;
}

static struct corr_track *begin(uint32_t client, uint8_t flags, uint64_t now_ms)
{
	struct corr_pkt p = packet(client, flags, false);
	struct corr_track set = {.server = 3,
				 .via = CORR_NONE,
				 .service = 1,
				 .rule = 2,
				 .seen_ms = now_ms,
				 .born_ms = now_ms};

	set.state = (uint8_t)corr_track_first(&p);
	return corr_track_add(&t, &p.key, &set);
}

static void step(struct corr_track *e, uint8_t flags, bool from_server, uint32_t seq, uint32_t ack,
		 uint64_t now_ms)
{
	struct corr_pkt p = packet(0, flags, from_server);

	p.seq = seq;
	p.ack = ack;
	corr_track_packet(&t, e, &p, now_ms);
}

/* A connection that both ends have agreed on. */
static struct corr_track *established(uint32_t client, uint64_t now_ms)
{
	struct corr_track *e = begin(client, CORR_TCP_SYN, now_ms);

	assert_non_null(e);
	step(e, CORR_TCP_SYN | CORR_TCP_ACK, true, 1000, 1, now_ms);
	assert_int_equal(e->state, CORR_FLOW_ANSWERED);
	step(e, CORR_TCP_ACK, false, 1, 1001, now_ms);
	assert_int_equal(e->state, CORR_FLOW_OPEN);
	return e;
}

static int setup(void **state)
{
	memset(&live, 0, sizeof(live));
	return corr_tracks_open(&t, MAX, &live);
}

static int teardown(void **state)
{
	corr_tracks_close(&t);
	if (atomic_load(&live.server[3].conns) || atomic_load(&live.service_conns[1]) ||
	    atomic_load(&live.rule_conns[2]))
		return -1; /* counts must come back */
	return 0;
}

static void test_life(void **state)
{
	struct corr_track *e = established(1, 1000);

	assert_int_equal(atomic_load(&live.server[3].conns), 1);
	assert_int_equal(t.half, 0);
	step(e, CORR_TCP_FIN | CORR_TCP_ACK, true, 0, 0, 1100);
	assert_int_equal(e->state, CORR_FLOW_CLOSING);
	step(e, CORR_TCP_ACK, false, 0, 0, 1200);
	assert_int_equal(e->state, CORR_FLOW_CLOSING);
	step(e, CORR_TCP_FIN | CORR_TCP_ACK, false, 0, 0, 1300);
	assert_int_equal(e->state, CORR_FLOW_CLOSED);
	corr_tracks_age(&t, MAX + 1, 1300 + 10000);
	assert_int_equal(corr_table_count(t.table), 1);
	corr_tracks_age(&t, MAX + 1, 1301 + 10000);
	assert_int_equal(corr_table_count(t.table), 0);
	assert_int_equal(atomic_load(&live.server[3].conns), 0);
}

static void test_wrong_ack_confirms_nothing(void **state)
{
	struct corr_track *e = begin(1, CORR_TCP_SYN, 0);

	step(e, CORR_TCP_SYN | CORR_TCP_ACK, true, 0xffffffff, 1, 0);
	step(e, CORR_TCP_ACK, false, 1, 0x12345678, 0);
	assert_int_equal(e->state, CORR_FLOW_ANSWERED);
	step(e, CORR_TCP_FIN | CORR_TCP_ACK, false, 1, 0x12345678, 0);
	assert_int_equal(e->state, CORR_FLOW_ANSWERED);
	step(e, CORR_TCP_ACK, false, 1, 0, 0); /* the right one, across zero */
	assert_int_equal(e->state, CORR_FLOW_OPEN);
}

static void test_forged_reset_is_survived(void **state)
{
	struct corr_track *e = established(1, 0);

	step(e, CORR_TCP_RST, false, 0, 0, 10);
	assert_int_equal(e->state, CORR_FLOW_CLOSED);
	step(e, CORR_TCP_ACK, true, 0, 0, 20);
	assert_int_equal(e->state, CORR_FLOW_OPEN);
}

static void test_guess_is_confirmed_by_the_server(void **state)
{
	struct corr_track *e = begin(1, CORR_TCP_ACK, 0);

	assert_int_equal(e->state, CORR_FLOW_GUESSED);
	step(e, CORR_TCP_ACK, false, 0, 0, 10);
	assert_int_equal(e->state, CORR_FLOW_GUESSED);
	step(e, CORR_TCP_ACK, true, 0, 0, 20);
	assert_int_equal(e->state, CORR_FLOW_OPEN);
	assert_int_equal(t.half, 0);
}

static void test_datagrams(void **state)
{
	struct corr_pkt p = packet(7, 0, false);
	struct corr_track set = {.server = 3, .via = CORR_NONE, .service = 1, .rule = 2}, *e;

	p.key.proto = 17;
	set.state = (uint8_t)corr_track_first(&p);
	e = corr_track_add(&t, &p.key, &set);
	corr_track_packet(&t, e, &p, 5);
	assert_int_equal(e->state, CORR_FLOW_ONE_WAY);
	p.from_server = true;
	corr_track_packet(&t, e, &p, 6);
	assert_int_equal(e->state, CORR_FLOW_TWO_WAY);
	corr_track_move(&t, e, 9);
	assert_int_equal(atomic_load(&live.server[9].conns), 1);
	assert_int_equal(atomic_load(&live.server[3].conns), 0);
	corr_tracks_age(&t, MAX + 1, 6 + 300001);
	assert_int_equal(corr_table_count(t.table), 0);
}

static void test_flood_costs_no_connection(void **state)
{
	struct corr_track *real[200];

	for (uint32_t i = 0; i < 200; i++)
		real[i] = established(i, 1000);
	for (uint32_t i = 0; i < 100000; i++) { /* SYNs and ACKs of nobody */
		begin(0x10000 + i, i & 1 ? CORR_TCP_SYN : CORR_TCP_ACK, 2000 + i / 100);
		assert_true(t.half <= MAX / 4);
	}
	for (uint32_t i = 0; i < 200; i++) {
		const struct corr_pkt p = packet(i, 0, false);

		assert_ptr_equal(corr_track_find(&t, &p.key), real[i]);
		assert_int_equal(real[i]->state, CORR_FLOW_OPEN);
	}
	assert_non_null(established(0x7777, 4000)); /* somebody real gets in during the flood */
	corr_tracks_age(&t, MAX + 1, 40000);
	assert_int_equal(t.half, 0);
	assert_int_equal(corr_table_count(t.table), 201);
}

static void test_full_of_connections(void **state)
{
	for (uint32_t i = 0; i < MAX; i++)
		established(i, 1000);
	assert_null(begin(0x9999, CORR_TCP_SYN, 2000));
	assert_int_equal(corr_table_count(t.table), MAX);
}

static bool all_in_use(void *ctx, const struct corr_flow *f)
{
	return *(bool *)ctx;
}

static void test_accelerated_flows_stay(void **state)
{
	bool in_use = true;

	t.in_use = all_in_use;
	t.ctx = &in_use;
	established(1, 0);
	for (uint64_t hours = 1; hours < 100; hours++)
		corr_tracks_age(&t, MAX + 1, hours * 3600000);
	assert_int_equal(corr_table_count(t.table), 1);
	in_use = false;
	for (uint64_t hours = 100; hours < 104; hours++)
		corr_tracks_age(&t, MAX + 1, hours * 3600000);
	assert_int_equal(corr_table_count(t.table), 0);
}

/* Random packets: the counters follow the table. */
static void test_counts_at_random(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	printf("seed %u\n", seed);
	srand(seed);
	for (uint32_t i = 0; i < 100000; i++) {
		const uint32_t client = (uint32_t)rand() % 1000;
		const struct corr_pkt p = packet(client, 0, false);
		struct corr_track *e = corr_track_find(&t, &p.key);

		if (!e)
			begin(client, (uint8_t)rand(), i);
		else if (rand() % 10)
			step(e, (uint8_t)rand(), rand() % 2, (uint32_t)rand(), (uint32_t)rand(), i);
		else
			corr_track_del(&t, e);
		corr_tracks_age(&t, 3, i);
	}
	assert_int_equal(atomic_load(&live.server[3].conns), corr_table_count(t.table));
	{
		uint32_t it = 0, half = 0;
		const struct corr_track *e;

		while ((e = corr_table_next(t.table, &it)))
			half += e->state <= CORR_FLOW_GUESSED || e->state == CORR_FLOW_ONE_WAY;
		assert_int_equal(half, t.half);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_ack_confirms_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged_reset_is_survived, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guess_is_confirmed_by_the_server, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_datagrams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood_costs_no_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_of_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accelerated_flows_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_at_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
