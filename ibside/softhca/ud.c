/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unreliable datagrams (IBTA 9.8.3).  What cannot be delivered is dropped and counted; the sender
 * does not hear of it.  SOFTHCA_UD_LOSS=percent drops more, from a generator seeded by
 * SOFTHCA_SEED, so that a lossy run can be repeated.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "soft.h"

static pthread_once_t loss_once = PTHREAD_ONCE_INIT;
static uint32_t loss_threshold;	    /* of 2^32; 0: no loss */
static _Atomic uint64_t loss_state; /* splitmix64 */

static void loss_init(void)
{
	const char *pct = getenv("SOFTHCA_UD_LOSS"), *seed = getenv("SOFTHCA_SEED");
	double f = pct ? strtod(pct, NULL) / 100 : 0;

	if (f > 0)
		loss_threshold = f >= 1 ? UINT32_MAX : (uint32_t)(f * 4294967296.0);
	atomic_store(&loss_state, seed ? strtoull(seed, NULL, 0) : soft_now());
}

static bool lose(void)
{
	uint64_t z;

	pthread_once(&loss_once, loss_init);
	if (soft_likely(!loss_threshold))
		return false;
	z = atomic_fetch_add(&loss_state, 0x9e3779b97f4a7c15ull) + 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32) < loss_threshold;
}

static void grh_fill(struct ibv_grh *g, const struct soft_qp *q, const struct ibv_ah_attr *a,
		     uint32_t len)
{
	g->version_tclass_flow = htonl(6u << 28 | (uint32_t)a->grh.traffic_class << 20 |
				       (a->grh.flow_label & 0xfffff));
	/* BTH, DETH, payload padded to words, ICRC */
	g->paylen = htons((uint16_t)(12 + 8 + ((len + 3) & ~3u) + 4));
	g->next_hdr = 0x1b;
	g->hop_limit = a->grh.hop_limit;
	soft_port_gid(q->port->shm, &g->sgid);
	g->dgid = a->grh.dgid;
}

/* With @dqp locked: is it there, and does it listen to this datagram? */
static bool ud_accepts(struct soft_peer *peer, struct shm_qp *dqp, const struct soft_wqe *w,
		       uint32_t qkey)
{
	uint32_t st = atomic_load(&dqp->state);

	if (atomic_load(&dqp->qpn) != w->rqpn || dqp->type != IBV_QPT_UD || st < IBV_QPS_RTR ||
	    st == IBV_QPS_ERR) {
		soft_count(peer->shm, ud_bad_qp, 1);
		return false;
	}
	if (dqp->qkey != qkey) {
		soft_count(peer->shm, ud_bad_qkey, 1);
		return false;
	}
	return true;
}

/* Sends datagram @w of @q.  The result is the sender's. */
struct soft_result soft_exec_ud(struct soft_qp *q, struct soft_wqe *w)
{
	/* A Q_Key with the top bit set in the request means: the queue pair's own (10.2.5). */
	uint32_t qkey = w->qkey & 0x80000000u ? q->shm->qkey : w->qkey;
	struct soft_result r = {0};
	struct soft_peer *peer;
	struct soft_vec v;
	struct ibv_grh grh;
	struct shm_qp *dqp;

	if (soft_gather(q, w, 0, &v, &r))
		return r;
	if (v.len > soft_mtu() || !w->ah) {
		r.status = w->ah ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_QP_OP_ERR;
		r.why = SOFT_VE_LENGTH;
		return r;
	}
	r.byte_len = (uint32_t)v.len;
	if (lose()) {
		soft_count(q->port->shm, ud_lost, 1);
		return r;
	}
	peer = soft_ah_peer(q->port, w->ah);
	if (!peer) {
		soft_count(q->port->shm, ud_unroutable, 1);
		return r;
	}
	dqp = &peer->shm->qp[SOFT_QPN_IDX(w->rqpn)];
	if (w->rqpn > 0xffffff ||
	    atomic_load_explicit(&dqp->qpn, memory_order_acquire) != w->rqpn) {
		soft_count(peer->shm, ud_bad_qp, 1);
		return r;
	}
	if (w->ah->attr.is_global)
		grh_fill(&grh, q, &w->ah->attr, (uint32_t)v.len);
	soft_lock(&dqp->lock);
	if (ud_accepts(peer, dqp, w, qkey))
		soft_deliver(q, peer, dqp, w, &v, w->ah->attr.is_global ? &grh : NULL);
	soft_unlock(&dqp->lock);
	return r;
}
