/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_accel_many.c - what many idle accelerated connections take: real takeovers, then the
 * resident memory of the process, before and after, divided by their number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel_bench.h"

#define CONNS	   20000u
#define PER_ARENA  4000u
#define ARENAS	   (CONNS / PER_ARENA)
#define WARM	   200u /* before the first look: what is allocated once is there */
#define MEASURED   700u /* bytes per connection at most, maps and timers included */
#define LINE_BYTES (sizeof(struct ib_host_line) + sizeof(struct ib_gw_line))

static uint8_t *lines; /* the host's control blocks of all arenas */
static struct ibv_mr *mr;

static int open_many(void **state)
{
	struct gw_host *h;
	int rc;

	b_max_conns = CONNS;
	rc = b_open(state);
	B.wild = true; /* nobody answers what the gateway sends */
	h = B.host;
	assert_int_equal(posix_memalign((void **)&lines, 4096, CONNS * LINE_BYTES), 0);
	memset(lines, 0, CONNS * LINE_BYTES);
	mr = ibv_reg_mr(B.gw->dev.pd, lines, CONNS * LINE_BYTES,
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	assert_non_null(mr);
	for (uint32_t i = 0; i < ARENAS; i++) {
		struct ib_arena *ar = &h->arena[1 + i];
		uint8_t *mem = lines + i * PER_ARENA * LINE_BYTES;

		*ar = h->arena[0]; /* the rings are never touched */
		ar->id = (uint16_t)(100 + i);
		ar->slots = PER_ARENA;
		ar->host_base = (uintptr_t)mem;
		ar->gw_base = (uintptr_t)mem + PER_ARENA * sizeof(struct ib_host_line);
		ar->host_rkey = ar->gw_rkey = mr->rkey;
	}
	atomic_store(&h->n_arena, 1 + ARENAS);
	return rc;
}

static int close_many(void **state)
{
	int rc = b_close(state);

	ibv_dereg_mr(mr);
	free(lines);
	return rc;
}

/* Resident bytes of this process. */
static uint64_t resident(void)
{
	unsigned long size, pages;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* One takeover, of connection i. */
static void take(uint32_t i)
{
	uint32_t arena = i / PER_ARENA, slot = i % PER_ARENA;
	struct ib_host_line *line;
	struct b_conn k = {.req_id = i + 1, .sisn = i, .cisn = i * 7};
	struct ib_req r;
	struct b_msg *m;

	net_addr_parse("10.77.0.2", &k.flow.remote);
	net_addr_parse("10.77.0.11", &k.flow.local);
	k.flow.rport = htobe16((uint16_t)(1000 + i));
	k.flow.lport = htobe16(80);
	b_req(&k, &r);
	r.arena = htobe16((uint16_t)(100 + arena));
	r.slot = htobe16((uint16_t)slot);
	b_send(IB_MID_REQ, &r);
	m = b_wait(IB_MID_GRANT);
	k.token = be32toh(m->grant.token);
	m->mid = 0;
	line = (struct ib_host_line *)(lines + arena * PER_ARENA * LINE_BYTES) + slot;
	line->token = k.token;
	b_ctl(IB_MID_COMMIT, k.token, k.req_id, IB_R_NONE);
	b_step(10);
}

/* Everybody comes to rest. */
static void rest(void)
{
	for (int i = 0; i < 300; i++)
		b_step(1000);
	assert_int_equal(B.w->accel->live_used, 0);
}

static void test_many(void **state)
{
	struct gw_accel *a = B.w->accel;
	uint64_t before, after;
	double each;

	for (uint32_t i = 0; i < WARM; i++)
		take(i);
	rest();
	before = resident();
	for (uint32_t i = WARM; i < CONNS; i++)
		take(i);
	rest();
	after = resident();
	assert_int_equal(a->n_conns, CONNS);
	each = (double)(after - before) / (CONNS - WARM);
	print_message("%u idle accelerated connections: %.0f bytes each of resident memory, of "
		      "which %zu are the connection; at work at the same time were %u, %zu bytes "
		      "each\n",
		      CONNS, each, sizeof(struct gw_conn), a->live_fresh, sizeof(struct gw_live));
#ifndef __SANITIZE_ADDRESS__ /* which has memory of its own for each of ours */
	assert_true(each >= 0.9 * sizeof(struct gw_conn)); /* or else nothing was measured */
	assert_true(each <= MEASURED);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many, open_many, close_many),
	};

	mallopt(M_PERTURB, 0); /* test runners set it: it would make all of the pools resident */
	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
