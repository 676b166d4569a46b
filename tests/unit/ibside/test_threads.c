/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_threads.c - workers share the device and nothing else: each thread has a completion queue
 * and sets of its own, all work at the same time.
 */
#include "bench.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define THREADS 3
#define ENTRIES 20000

/** What a thread owns. */
struct worker {
	pthread_t thread;
	struct ib_cq cq;
	struct ib_mem mem;	/* 256 KiB, its own source and target */
	struct ib_set set[2];	/* connected to each other */
	struct counted read[4]; /* READs under way */
	uint32_t next[2];	/* token expected at each end */
	int wrong;		/* anything that should not be */
};

static struct worker workers[THREADS];

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	struct worker *w = s->owner;
	const struct ib_ctl *c = entries;

	for (int i = 0; i < n; i++)
		if (be32toh(c[i].token) != w->next[s == &w->set[1]]++)
			w->wrong++;
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	((struct worker *)s->owner)->wrong++;
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	((struct worker *)s->owner)->wrong++;
}

static const struct ib_set_ops ops = {.msg = on_msg, .bad = on_bad, .dead = on_dead};

static int open_worker(struct worker *w)
{
	struct ib_addr addr[2][2];
	int rc = ib_cq_open(&w->cq, &bench_dev, 4096, false);

	if (!rc)
		rc = ib_mem_alloc(&w->mem, &bench_dev, 256 << 10,
				  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	for (int i = 0; i < 2 && !rc; i++) {
		rc = ib_set_open(&w->set[i], &bench_dev, &w->cq, 64, &ops, w);
		if (!rc)
			ib_set_addr(&w->set[i], addr[i]);
	}
	if (!rc)
		rc = ib_set_connect(&w->set[0], addr[1]);
	return rc ? rc : ib_set_connect(&w->set[1], addr[0]);
}

static void close_worker(struct worker *w)
{
	time_t end = time(NULL) + 5;

	for (int i = 0; i < 2; i++)
		ib_set_fence(&w->set[i]);
	while (!(ib_set_drained(&w->set[0]) && ib_set_drained(&w->set[1])) && time(NULL) <= end)
		ib_cq_poll(&w->cq, 64);
	for (int i = 0; i < 2; i++) {
		w->wrong += !ib_set_drained(&w->set[i]);
		ib_set_close(&w->set[i]);
	}
	ib_mem_free(&w->mem);
	ib_cq_close(&w->cq);
}

/* One READ of 64 KiB from the first half of the memory into the second. */
static void start_read(struct worker *w, struct counted *c)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)w->mem.addr + (128 << 10),
		.length = 64 << 10,
		.lkey = w->mem.mr->lkey,
	};

	if (ib_qp_read(&w->set[0].rd, &sge, 1, (uintptr_t)w->mem.addr, w->mem.mr->rkey, counted(c)))
		w->wrong++;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	time_t end = time(NULL) + 20;
	uint32_t sent = 0;

	if (open_worker(w)) {
		w->wrong++;
		return NULL;
	}
	memset(w->mem.addr, (int)(w - workers) + 1, 128 << 10);
	for (int i = 0; i < 4; i++)
		start_read(w, &w->read[i]);
	while (time(NULL) <= end) {
		for (int k = 0; k < 50 && sent < ENTRIES; k++, sent++) {
			struct ib_ctl c = {.token = htobe32(sent)};

			w->wrong += ib_set_msg(&w->set[0], IB_MID_COMMIT, &c) != 0;
			w->wrong += ib_set_msg(&w->set[1], IB_MID_GRANT, &c) != 0;
		}
		ib_set_flush(&w->set[0]);
		ib_set_flush(&w->set[1]);
		ib_cq_poll(&w->cq, 64);
		for (int i = 0; i < 4; i++) {
			if (!w->read[i].done)
				continue;
			w->wrong += w->read[i].status != IBV_WC_SUCCESS;
			start_read(w, &w->read[i]);
		}
		if (w->next[0] == ENTRIES && w->next[1] == ENTRIES)
			break;
	}
	w->wrong += memcmp(w->mem.addr, (uint8_t *)w->mem.addr + (128 << 10), 64 << 10) != 0;
	close_worker(w);
	return NULL;
}

static void workers_share_nothing(void **state)
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(workers[i].wrong, 0);
		assert_int_equal(workers[i].next[0], ENTRIES);
		assert_int_equal(workers[i].next[1], ENTRIES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_share_nothing),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
