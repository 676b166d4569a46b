/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_mem.c - frame buffers: one mempool of mbufs per worker, registered with the RDMA device so
 * that frames go to and come from the fabric without a copy (IBTA 10.6).
 *
 * Every buffer has room for a whole LAN frame after headroom that is large enough for the
 * encapsulation header on the way out and for GRH and encapsulation on the way in.
 *
 * DPDK's memory may be a private mapping, whose pages a fork would copy under the HCA on kernels
 * before 5.12. tagd never forks.
 */
#include <errno.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <stdio.h>

#include "gateway/gw_int.h"

#define POOL_CACHE 256

static_assert(RTE_PKTMBUF_HEADROOM >= IB_GRH_LEN + sizeof(struct ib_encap),
	      "a native frame's headers fit the headroom");
static_assert(sizeof(struct gw_mbuf_priv) % RTE_MBUF_PRIV_ALIGN == 0, "DPDK asks for it");

/** Progress of a registration. */
struct reg {
	struct ib_dev *dev;
	struct ibv_mr **mr; /* results */
	uint32_t max;	    /* room */
	uint32_t n;	    /* used */
	int rc;		    /* first error */
};

static void register_chunk(struct rte_mempool *mp, void *arg, struct rte_mempool_memhdr *hdr,
			   unsigned int idx)
{
	struct reg *r = arg;

	if (r->rc)
		return;
	if (r->n == r->max) {
		r->rc = E2BIG;
		return;
	}
	r->mr[r->n] = ibv_reg_mr(r->dev->pd, hdr->addr, hdr->len, IBV_ACCESS_LOCAL_WRITE);
	if (!r->mr[r->n])
		r->rc = errno ? errno : ENOMEM;
	else
		r->n++;
}

int gw_pool_register(struct ib_dev *d, struct rte_mempool *mp, struct ibv_mr **mr, uint32_t n_mr)
{
	struct reg r = {.dev = d, .mr = mr, .max = n_mr};

	for (uint32_t i = 0; i < n_mr; i++)
		mr[i] = NULL;
	rte_mempool_mem_iter(mp, register_chunk, &r);
	if (r.rc) {
		while (r.n > 0) {
			ibv_dereg_mr(mr[--r.n]);
			mr[r.n] = NULL;
		}
	}
	return r.rc;
}

uint32_t gw_mbuf_lkey(const struct gw_worker *w, const void *addr)
{
	uintptr_t a = (uintptr_t)addr;

	for (uint32_t i = 0; i < RTE_DIM(w->pool_mr) && w->pool_mr[i]; i++) {
		uintptr_t base = (uintptr_t)w->pool_mr[i]->addr;

		if (a - base < w->pool_mr[i]->length)
			return w->pool_mr[i]->lkey;
	}
	return 0;
}

uint32_t gw_mem_data_room(const struct gw_cfg *cfg)
{
	uint32_t frame = 2048;

	/* Larger ones with some slack: packet rings want their slots, not frames, to fit. */
	for (uint32_t i = 0; i < cfg->n_port; i++)
		if (GW_FRAME_MAX(cfg->port[i].mtu) > 2048 - 64)
			frame = RTE_MAX(frame,
					RTE_ALIGN(GW_FRAME_MAX(cfg->port[i].mtu) + 512, 2048u));
	return RTE_PKTMBUF_HEADROOM + frame;
}

int gw_mem_open(struct gw_worker *w)
{
	char name[RTE_MEMPOOL_NAMESIZE], err[IB_ERRLEN];
	uint32_t room = gw_mem_data_room(w->gw->cfg);
	int rc;

	snprintf(name, sizeof(name), "frames%u", w->index);
	w->pool =
		rte_pktmbuf_pool_create(name, w->gw->cfg->mbufs - 1, POOL_CACHE,
					sizeof(struct gw_mbuf_priv), (uint16_t)room, SOCKET_ID_ANY);
	if (!w->pool) {
		gw_log(GW_LOG_ERROR,
		       "worker %u: %u frame buffers of %u bytes: %s; lower [gateway] mbufs, raise "
		       "memory, or free huge pages",
		       w->index, w->gw->cfg->mbufs, room, rte_strerror(rte_errno));
		return ENOMEM;
	}
	rc = gw_pool_register(&w->gw->dev, w->pool, w->pool_mr, RTE_DIM(w->pool_mr));
	if (rc) {
		ib_explain(rc, "registering frame buffers", err);
		gw_log(GW_LOG_ERROR, "worker %u: %s", w->index, err);
	}
	return rc;
}

void gw_mem_close(struct gw_worker *w)
{
	for (uint32_t i = 0; i < RTE_DIM(w->pool_mr) && w->pool_mr[i]; i++) {
		ibv_dereg_mr(w->pool_mr[i]);
		w->pool_mr[i] = NULL;
	}
	rte_mempool_free(w->pool);
	w->pool = NULL;
}
