/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many threads of one process on one device: queue pairs of their own, completion queues shared,
 * objects coming and going meanwhile.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define THREADS 4
#define OPS	1500

static struct rig_end shared;	       /* its context, domain and CQs serve all */
static _Atomic int got_send, got_recv; /* completions polled, by whichever thread */
static _Atomic int bad;		       /* completions in error, or wrong bytes */
static unsigned int seed;

static void drain(void)
{
	struct ibv_wc wc[8];
	int n = ibv_poll_cq(shared.scq, 8, wc);

	for (int i = 0; i < n; i++)
		bad += wc[i].status != IBV_WC_SUCCESS;
	got_send += n;
	n = ibv_poll_cq(shared.rcq, 8, wc);
	for (int i = 0; i < n; i++)
		bad += wc[i].status != IBV_WC_SUCCESS;
	got_recv += n;
}

static struct ibv_qp *new_qp(void)
{
	struct ibv_qp_init_attr a = {.send_cq = shared.scq,
				     .recv_cq = shared.rcq,
				     .qp_type = IBV_QPT_RC,
				     .cap = {.max_send_wr = 16,
					     .max_recv_wr = OPS,
					     .max_send_sge = 1,
					     .max_recv_sge = 1}};

	return ibv_create_qp(shared.pd, &a);
}

/* Connects two queue pairs of the shared context. */
static void join(struct rig_end *a, struct rig_end *b)
{
	*a = *b = shared;
	a->qp = new_qp();
	b->qp = new_qp();
	a->me.qpn = a->qp->qp_num;
	b->me.qpn = b->qp->qp_num;
	rig_connect(a, &b->me, NULL);
	rig_connect(b, &a->me, NULL);
}

static void *worker(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg, base = me * 65536;
	unsigned int rnd = seed + me;
	struct rig_end a, b;

	join(&a, &b);
	for (int i = 0; i < OPS; i++)
		rig_recv(&b, me, base + 32768, 4096);
	for (int i = 0; i < OPS; i++) {
		uint32_t len = (uint32_t)rand_r(&rnd) % 4096;
		enum ibv_wr_opcode op = IBV_WR_SEND;

		while (rig_post(&a, op, me, base, len, &b.me, base + 32768, 0))
			drain();
		drain();
	}
	while (got_recv < THREADS * OPS || got_send < THREADS * OPS)
		drain();
	ibv_destroy_qp(a.qp);
	ibv_destroy_qp(b.qp);
	return NULL;
}

/* Objects come and go while the others work. */
static void *churner(void *arg)
{
	_Atomic bool *stop = arg;

	while (!*stop) {
		struct ibv_mr *mr = ibv_reg_mr(shared.pd, shared.buf, 4096, RIG_ALL_ACC);
		struct ibv_cq *cq = ibv_create_cq(shared.ctx, 16, NULL, shared.ch, 0);
		struct rig_end e = shared;

		e.qp = new_qp();
		rig_connect(&e, &e.me, NULL);
		rig_recv(&e, 0, 0, 16);
		bad += !mr || !cq;
		ibv_destroy_qp(e.qp);
		ibv_destroy_cq(cq);
		ibv_dereg_mr(mr);
		usleep(200);
	}
	return NULL;
}

static void storm(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC, .cqe = 2 * THREADS * OPS};
	pthread_t t[THREADS], c;
	_Atomic bool stop = false;

	(void)state;
	seed = (unsigned int)time(NULL);
	print_message("seed %u\n", seed);
	rig_up(&shared, &o);
	assert_int_equal(pthread_create(&c, NULL, churner, &stop), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, worker, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	stop = true;
	pthread_join(c, NULL);
	assert_int_equal(bad, 0);
	assert_int_equal(got_send, THREADS * OPS);
	assert_int_equal(got_recv, THREADS * OPS);
	rig_down(&shared);
}

/* One end's region goes while the other end reads it without pause: refused or done, never torn. */
static _Atomic bool reading;

static void *reader(void *arg)
{
	struct rig_end *e = arg;

	while (reading) {
		if (rig_post(e, IBV_WR_RDMA_READ, 1, 0, 65536, &e->me, 0, 0))
			break;
		if (rig_wait(e->scq).status != IBV_WC_SUCCESS)
			break;
	}
	return NULL;
}

static void dereg_under_fire(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct rig_end a, b;
		struct ibv_mr *mr;
		pthread_t t;

		rig_pair(&a, &b, &o, NULL);
		mr = ibv_reg_mr(b.pd, b.buf, 65536, RIG_ALL_ACC);
		a.me.rkey = mr->rkey;
		a.me.addr = (uintptr_t)b.buf;
		reading = true;
		assert_int_equal(pthread_create(&t, NULL, reader, &a), 0);
		usleep(500);
		assert_int_equal(ibv_dereg_mr(mr), 0);
		memset(b.buf, 1, 65536); /* nobody reads it now */
		pthread_join(t, NULL);
		rig_down(&a);
		rig_down(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm),
		cmocka_unit_test(dereg_under_fire),
	};

	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
