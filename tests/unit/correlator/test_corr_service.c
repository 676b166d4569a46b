/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_corr_service.c - who gets a new flow: by weight, without those that take none, backups, a
 * slow start, limits of servers, least connections, the client's prefix.
 */
#include "tests/unit/correlator/eal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "correlator/corr_service.h"

#define FLOWS 60000

static const struct corr_sip_key key = {{3, 4}};
static const uint8_t vip[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 100};
static const uint8_t vip6[16] = {0xfd, 0x77, [15] = 100};
static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5"};
static struct corr_live live;
static struct corr_services *set;

static struct corr_member member(uint16_t server, uint32_t weight, bool backup)
{
	return (struct corr_member){names[server], server, weight, 0, backup};
}

static struct corr_service_cfg service(const uint8_t addr[16], uint16_t port,
				       enum corr_balance balance)
{
	struct corr_service_cfg c = {.id = 0, .port = port, .balance = balance};

	memcpy(c.addr, addr, 16);
	c.client.prefix4 = 24;
	c.client.prefix6 = 64;
	return c;
}

/* A snapshot of one service; all its servers take everything. */
static const struct corr_service *one(enum corr_balance balance, const struct corr_member *m,
				      uint32_t n)
{
	const struct corr_service_cfg c = service(vip, 80, balance);

	corr_services_free(set);
	set = corr_services_new(&key, 4);
	assert_int_equal(corr_services_add(set, &c, m, n), 0);
	assert_int_equal(corr_services_done(set), 0);
	memset(&live, 0, sizeof(live));
	for (uint32_t i = 0; i < n; i++)
		atomic_store(&live.server[m[i].server].share, CORR_SHARE_FULL);
	return corr_services_find(set, vip, 80, 6);
}

static struct corr_flow flow(uint32_t i)
{
	struct corr_flow f = {.rport = (uint16_t)i, .lport = 80};

	memcpy(f.local, vip, 16);
	memcpy(f.remote, vip, 13);
	f.remote[14] = (uint8_t)(i >> 16);
	f.remote[15] = (uint8_t)(i >> 8);
	return f;
}

static int pick(const struct corr_service *v, uint32_t i)
{
	const struct corr_flow f = flow(i);

	return corr_service_pick(v, &live, corr_service_hash(set, v, &f, 6));
}

/* Picks of FLOWS flows, by member. */
static void spread(const struct corr_service *v, uint32_t n[6])
{
	memset(n, 0, 6 * sizeof(*n));
	for (uint32_t i = 0; i < FLOWS; i++) {
		const int k = pick(v, i);

		assert_in_range(k, 0, 5);
		n[k]++;
	}
}

/* Within 3 %: 60,000 random flows vary by that. */
static void about(uint32_t n, double want)
{
	if (n < want * 0.97 - 50 || n > want * 1.03 + 50)
		fail_msg("%u instead of about %.0f", n, want);
}

static void test_weights(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 2, false),
					member(2, 3, false)};
	const struct corr_service *v = one(CORR_MAGLEV, m, 3);
	uint32_t n[6];

	spread(v, n);
	about(n[0], FLOWS / 6.0);
	about(n[1], FLOWS / 3.0);
	about(n[2], FLOWS / 2.0);
}

static void test_down_moves_only_its_own(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 1, false),
					member(2, 2, false), member(3, 4, false)};
	const struct corr_service *v = one(CORR_MAGLEV, m, 4);
	static uint8_t before[FLOWS];
	uint32_t n[6];

	for (uint32_t i = 0; i < FLOWS; i++)
		before[i] = (uint8_t)pick(v, i);
	atomic_store(&live.server[3].share, 0);
	for (uint32_t i = 0; i < FLOWS; i++) {
		const int now = pick(v, i);

		assert_int_not_equal(now, 3);
		if (before[i] != 3)
			assert_int_equal(now, before[i]);
	}
	spread(v, n); /* its flows went to the others by their weights */
	about(n[0], FLOWS / 4.0);
	about(n[2], FLOWS / 2.0);
	atomic_store(&live.server[3].share, CORR_SHARE_FULL);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(pick(v, i), before[i]);
}

static void test_slow_start_gives_a_share(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 1, false)};
	const struct corr_service *v = one(CORR_MAGLEV, m, 2);
	uint32_t n[6], last = 0;

	for (uint32_t share = 0; share <= CORR_SHARE_FULL; share += 32) {
		atomic_store(&live.server[1].share, share);
		spread(v, n);
		assert_true(n[1] >= last);
		last = n[1];
		if (share ==
		    CORR_SHARE_FULL / 2) /* half of its places refuse once, then twice ... */
			about(n[1], FLOWS / 3.0);
	}
	about(last, FLOWS / 2.0);
}

static void test_backups_serve_when_nobody_else_does(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 1, false),
					member(2, 1, true), member(3, 3, true)};
	const struct corr_service *v = one(CORR_MAGLEV, m, 4);
	uint32_t n[6];

	spread(v, n);
	assert_int_equal(n[2] + n[3], 0);
	atomic_store(&live.server[0].share, 0);
	spread(v, n);
	assert_int_equal(n[1], FLOWS);
	atomic_store(&live.server[1].share, 0);
	spread(v, n);
	about(n[3], FLOWS * 0.75);
	assert_int_equal(n[2] + n[3], FLOWS);
	atomic_store(&live.server[2].share, 0);
	atomic_store(&live.server[3].share, 0);
	assert_int_equal(pick(v, 1), -1);
}

static void test_limit_of_a_server(void **state)
{
	struct corr_member m[] = {member(0, 1, false), member(1, 1, false), member(2, 1, true)};
	const struct corr_service *v;
	uint32_t n[6];

	m[0].max_conns = 10;
	m[1].max_conns = 20;
	v = one(CORR_MAGLEV, m, 3);
	atomic_store(&live.server[0].conns, 10);
	spread(v, n);
	assert_int_equal(n[1], FLOWS);
	atomic_store(&live.server[1].conns, 20);
	assert_int_equal(pick(v, 5), -1); /* full is not down: no backup */
}

static void test_least_conn(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 3, false),
					member(2, 1, true)};
	const struct corr_service *v = one(CORR_LEAST_CONN, m, 3);

	for (uint32_t i = 0; i < 4000; i++)
		atomic_fetch_add(&live.server[v->member[pick(v, i)].server].conns, 1);
	assert_in_range(atomic_load(&live.server[0].conns), 999, 1001);
	assert_in_range(atomic_load(&live.server[1].conns), 2999, 3001);
	atomic_store(&live.server[1].conns, 0); /* it got rid of them: the next are its own */
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(pick(v, i), 1);
		atomic_fetch_add(&live.server[1].conns, 1);
	}
}

static void test_source(void **state)
{
	const struct corr_member m[] = {member(0, 1, false), member(1, 1, false)};
	const struct corr_service *v = one(CORR_SOURCE, m, 2);
	int first[256];

	for (uint32_t net = 0; net < 256; net++) {
		first[net] = pick(v, net << 16);
		for (uint32_t i = 0; i < 50; i++) /* any host of the /24, any port */
			assert_int_equal(pick(v, net << 16 | (uint32_t)rand() % 65536), first[net]);
	}
	for (uint32_t net = 1; net < 256; net++)
		if (first[net] != first[0])
			return;
	fail_msg("all networks have the same server");
}

static void test_find(void **state)
{
	const struct corr_member m[] = {member(0, 1, false)};
	struct corr_service_cfg c[] = {
		service(vip6, 443, CORR_MAGLEV), service(vip, 80, CORR_MAGLEV),
		service(vip, 0, CORR_MAGLEV),	 service(vip6, 0, CORR_MAGLEV),
		service(vip, 81, CORR_MAGLEV), /* never: behind port 0 */
	};
	struct corr_services *s = corr_services_new(&key, 5);

	c[1].proto = 6;
	for (uint16_t i = 0; i < 5; i++) {
		c[i].id = i;
		assert_int_equal(corr_services_add(s, &c[i], m, 1), 0);
	}
	assert_int_equal(corr_services_add(s, &c[0], m, 1), ENOSPC);
	assert_int_equal(corr_services_done(s), 0);
	assert_int_equal(corr_services_find(s, vip, 80, 6)->cfg.id, 1);
	assert_int_equal(corr_services_find(s, vip, 80, 17)->cfg.id, 2);
	assert_int_equal(corr_services_find(s, vip, 81, 6)->cfg.id, 2);
	assert_int_equal(corr_services_find(s, vip6, 443, 6)->cfg.id, 0);
	assert_int_equal(corr_services_find(s, vip6, 444, 6)->cfg.id, 3);
	assert_null(corr_services_find(s, key.k[0] ? (const uint8_t *)names : vip, 80, 6));
	assert_true(corr_services_has(s, vip6));
	assert_null(corr_services_at(s, 5));
	corr_services_free(s);
	corr_services_free(set);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_down_moves_only_its_own),
		cmocka_unit_test(test_slow_start_gives_a_share),
		cmocka_unit_test(test_backups_serve_when_nobody_else_does),
		cmocka_unit_test(test_limit_of_a_server),
		cmocka_unit_test(test_least_conn),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
