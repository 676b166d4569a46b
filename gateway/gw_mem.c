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

/** Stretches of memory that a pool consists of. */
struct stretches {
	struct {
		uint8_t *addr; /* first byte */
		size_t len;    /* bytes */
	} at[64];
	uint32_t n;    /* in use */
	bool too_many; /* there are more */
};

/* One piece of a pool: where huge pages are not contiguous for devices, DPDK makes one of each,
 * though they lie side by side here. */
static void add_piece(struct rte_mempool *mp, void *arg, struct rte_mempool_memhdr *hdr,
		      unsigned int idx)
{
	struct stretches *s = arg;
	uint32_t last = s->n - 1;

	if (s->n && s->at[last].addr + s->at[last].len == (uint8_t *)hdr->addr) {
		s->at[last].len += hdr->len;
	} else if (s->n == RTE_DIM(s->at)) {
		s->too_many = true;
	} else {
		s->at[s->n].addr = hdr->addr;
		s->at[s->n++].len = hdr->len;
	}
}

int gw_pool_register(struct ib_dev *d, struct rte_mempool *mp, struct ibv_mr **mr, uint32_t n_mr)
{
	struct stretches s = {0};
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < n_mr; i++)
		mr[i] = NULL;
	rte_mempool_mem_iter(mp, add_piece, &s);
	if (s.too_many || s.n > n_mr)
		return E2BIG;
	for (n = 0; rc == 0 && n < s.n; n++) {
		mr[n] = ibv_reg_mr(d->pd, s.at[n].addr, s.at[n].len, IBV_ACCESS_LOCAL_WRITE);
		if (!mr[n])
			rc = errno ? errno : ENOMEM;
	}
	for (uint32_t i = 0; rc && i < n_mr && mr[i]; i++) {
		ibv_dereg_mr(mr[i]);
		mr[i] = NULL;
	}
	return rc;
}

/* lkey of memory inside a worker's pool; false: it is not there. */
static bool pool_lkey(const struct gw_worker *w, const void *addr, uint32_t *lkey)
{
	uintptr_t a = (uintptr_t)addr;

	for (uint32_t i = 0; i < RTE_DIM(w->pool_mr) && w->pool_mr[i]; i++) {
		uintptr_t base = (uintptr_t)w->pool_mr[i]->addr;

		if (a - base < w->pool_mr[i]->length) {
			*lkey = w->pool_mr[i]->lkey;
			return true;
		}
	}
	return false;
}

uint32_t gw_mbuf_lkey(const struct gw_worker *w, const void *addr)
{
	uint32_t lkey;

	if (pool_lkey(w, addr, &lkey))
		return lkey;
	for (uint32_t i = 0; i < w->gw->n_worker; i++) /* a frame that was handed over */
		if (i != w->index && pool_lkey(w->gw->worker[i], addr, &lkey))
			return lkey;
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
	if (rc == E2BIG) {
		gw_log(GW_LOG_ERROR,
		       "worker %u: frame buffers are scattered over too many stretches of memory: "
		       "use larger huge pages, or reserve them at boot",
		       w->index);
	} else if (rc) {
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
