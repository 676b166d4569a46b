/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accel_fixture.c - builds and takes down the world of accel_bench.h: EAL, device, worker, host.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>

#include "accel_bench.h"

uint32_t b_max_conns = 1000;
static struct ib_dev dev;
static char dir[] = "/tmp/accel-test-XXXXXX";
static struct rte_mempool *pool;
static struct ibv_mr *pool_mr;

uint32_t gw_mbuf_lkey(const struct gw_worker *w, const void *addr)
{
	return pool_mr->lkey;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

int b_group_open(void **state)
{
	static char *argv[] = {
		"test", "--no-huge", "--no-shconf", "--no-pci",	      "-m",
		"256",	"-l",	     "0",	    "--no-telemetry", "--log-level=error"};
	char err[IB_ERRLEN];

	if (!mkdtemp(dir) || setenv("SOFTHCA_DIR", dir, 1) || rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -1;
	if (ib_dev_open(&dev, "soft0", 1, 0, err)) {
		fprintf(stderr, "%s\n", err);
		return -1;
	}
	pool = rte_pktmbuf_pool_create("frames", 8191, 0, sizeof(struct gw_mbuf_priv), 2176,
				       SOCKET_ID_ANY);
	if (!pool)
		return -1;
	struct rte_mempool_memhdr *mh = STAILQ_FIRST(&pool->mem_list);

	pool_mr = ibv_reg_mr(dev.pd, mh->addr, mh->len, IBV_ACCESS_LOCAL_WRITE);
	return pool_mr && pool->nb_mem_chunks == 1 ? 0 : -1;
}

int b_group_close(void **state)
{
	ibv_dereg_mr(pool_mr);
	rte_mempool_free(pool);
	ib_dev_close(&dev);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return rte_eal_cleanup();
}

static void config(struct gw_cfg *cfg)
{
	cfg->max_accelerated = b_max_conns;
	cfg->box_entries = 16;
	cfg->live = 1000;
	cfg->boxes = 8;
	cfg->tx_records = 4096;
	cfg->n_port = 1;
	cfg->port[0].mtu = 1500;
	cfg->n_server = 1;
	snprintf(cfg->server[0].name, GW_NAMELEN, "s1");
	cfg->server[0].max_accelerated = UINT32_MAX;
	cfg->n_service = 1;
	cfg->service[0].port = 80;
	cfg->service[0].accelerate = GW_ACCEL_FIRST_SEND;
	cfg->service[0].max_accelerated = UINT32_MAX;
}

static void open_host(void)
{
	struct gw_host *h = B.host = &B.gw->host[0];
	struct ib_arena *ar = &h->arena[0];

	h->cfg = &B.gw->cfg->server[0];
	h->state = GW_HOST_UP;
	net_addr_parse("10.77.0.11", &h->addr[0]);
	net_addr_parse("fd77::11", &h->addr[1]);
	h->n_addr = 2;
	assert_int_equal(posix_memalign((void **)&B.mem, 4096, B_ARENA), 0);
	memset(B.mem, 0xee, B_ARENA);
	B.mr = ibv_reg_mr(dev.pd, B.mem, B_ARENA,
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				  IBV_ACCESS_REMOTE_WRITE);
	assert_non_null(B.mr);
	*ar = (struct ib_arena){.id = 3, .slots = B_SLOTS, .tx_size = B_RING, .rx_size = B_RING};
	ar->host_base = (uintptr_t)B.mem;
	ar->gw_base = ar->host_base + B_OFF_GW;
	ar->tx_base = ar->host_base + B_OFF_TX;
	ar->rx_base = ar->host_base + B_OFF_RX;
	ar->host_rkey = ar->gw_rkey = ar->tx_rkey = ar->rx_rkey = B.mr->rkey;
	atomic_store(&h->n_arena, 1);
}

int b_open(void **state)
{
	struct ib_addr addr[2];
	char *seed = getenv("ACCEL_SEED");

	memset(&B, 0, sizeof(B));
	B.rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	print_message("ACCEL_SEED=%llu\n", (unsigned long long)B.rng);
	B.gw = calloc(1, sizeof(*B.gw));
	B.gw->cfg = calloc(1, sizeof(*B.gw->cfg));
	config(B.gw->cfg);
	B.gw->dev = dev;
	B.gw->port[0].cfg = &B.gw->cfg->port[0];
	B.gw->n_port = B.gw->n_worker = 1;
	B.gw->epoch = 0xabcd;
	tcp_cfg_default(&B.gw->tcp);
	B.client = B.gw->tcp;
	tcp_pool_init(&B.recs, B.rec, B_RECORDS, B_RECORDS / 4);
	B.client.pool = &B.recs;
	B.w = B.gw->worker[0] = calloc(1, sizeof(*B.w));
	B.w->gw = B.gw;
	B.w->pool = pool;
	B.w->now_us = 1000000;
	assert_int_equal(ib_cq_open(&B.w->cq, &dev, 4096, false), 0);
	assert_int_equal(ib_cq_open(&B.hcq, &dev, 4096, false), 0);
	assert_int_equal(gw_accel_open(B.w), 0);
	open_host();
	B.link = &B.host->link[0];
	B.link->host = B.host;
	B.link->worker = B.w;
	assert_int_equal(
		ib_set_open(&B.link->set, &dev, &B.w->cq, GW_SET_SQ, &gw_accel_set_ops, B.link), 0);
	assert_int_equal(ib_set_open(&B.hset, &dev, &B.hcq, 256, &b_host_ops, NULL), 0);
	ib_set_addr(&B.hset, addr);
	B.link->peer = addr[0];
	assert_int_equal(ib_set_connect(&B.link->set, addr), 0);
	ib_set_addr(&B.link->set, addr);
	assert_int_equal(ib_set_connect(&B.hset, addr), 0);
	B.link->up = true;
	gw_accel_link_up(B.link);
	return 0;
}

/* Everything that acceleration took must have come back. */
static void check_empty(void)
{
	struct gw_accel *a = B.w->accel;

	assert_int_equal(a->n_conns, 0);
	assert_int_equal(a->chunks_used, 0);
	assert_int_equal(a->recs.n_free, a->recs.n_total);
	assert_int_equal(a->held, 0);
	assert_int_equal(a->ops_out, 0);
	assert_int_equal(a->reads_out, 0);
	assert_int_equal(a->n_heap, 0);
	assert_int_equal(a->boxes.used, 0);
	assert_int_equal(a->live_used, 0);
	assert_int_equal(corr_accel_count(a->map), 0);
	assert_int_equal(atomic_load(&B.gw->accelerated), 0);
	assert_int_equal(rte_mempool_in_use_count(a->slices), 0);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

int b_close(void **state)
{
	for (uint32_t i = 0; i < B.n_native; i++)
		rte_pktmbuf_free(B.native[i]);
	for (uint32_t i = 0; i < B.n_to_gw; i++)
		rte_pktmbuf_free(B.to_gw[i]);
	for (uint32_t i = 0; i < B.n_to_client; i++)
		rte_pktmbuf_free(B.to_client[i]);
	B.n_native = B.n_to_gw = B.n_to_client = 0;
	gw_accel_link_down(B.link, false);
	ib_set_fence(&B.link->set);
	ib_set_fence(&B.hset);
	for (int i = 0; i < 1000 && !ib_set_drained(&B.link->set); i++)
		ib_cq_poll(&B.w->cq, 64);
	ib_cq_poll(&B.hcq, 256);
	check_empty();
	ib_set_close(&B.link->set);
	ib_set_close(&B.hset);
	gw_accel_close(B.w);
	ib_cq_close(&B.w->cq);
	ib_cq_close(&B.hcq);
	ibv_dereg_mr(B.mr);
	free(B.mem);
	for (uint32_t i = 0; i < B.n_conn; i++)
		free(B.conn[i]);
	free(B.w);
	free(B.gw->cfg);
	free(B.gw);
	return 0;
}
