/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unreliable datagrams (IBTA 9.8.3).  What cannot be delivered is dropped and counted; the sender
 * does not hear of it.  Fault rules lose, hold up and double more of them.
 */
#include <arpa/inet.h>

#include "soft.h"

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

/* Datagram @w of @q, with payload @v, arrives at @peer. */
void soft_ud_arrive(struct soft_qp *q, struct soft_peer *peer, struct soft_wqe *w,
		    struct soft_vec *v, const struct ibv_grh *grh, uint32_t qkey)
{
	struct shm_qp *dqp = &peer->shm->qp[SOFT_QPN_IDX(w->rqpn)];

	if (w->rqpn > 0xffffff ||
	    atomic_load_explicit(&dqp->qpn, memory_order_acquire) != w->rqpn) {
		soft_count(peer->shm, ud_bad_qp, 1);
		return;
	}
	soft_lock(&dqp->lock);
	if (ud_accepts(peer, dqp, w, qkey))
		soft_deliver(q, peer, dqp, w, v, grh);
	soft_unlock(&dqp->lock);
}

/* The same while fault rules exist.  Returns the status of the sender's completion. */
static enum ibv_wc_status ud_faulty(struct soft_qp *q, struct soft_peer *peer, struct soft_wqe *w,
				    struct soft_vec *v, const struct ibv_grh *grh, uint32_t qkey)
{
	uint64_t delay = 0;
	enum soft_ud_fate fate = soft_fault_ud(q, w, peer, &delay);

	if (fate == SOFT_UD_FATAL)
		return IBV_WC_WR_FLUSH_ERR;
	if (fate == SOFT_UD_LOST)
		soft_count(q->port->shm, ud_lost, 1);
	if (fate == SOFT_UD_LATE || fate == SOFT_UD_HELD || fate == SOFT_UD_TWICE)
		soft_defer(q, w, v, grh, qkey, soft_now() + delay, fate == SOFT_UD_HELD);
	if (fate == SOFT_UD_PASS || fate == SOFT_UD_TWICE) {
		soft_ud_arrive(q, peer, w, v, grh, qkey);
		soft_defer_overtake(q->port, q->qp.qp_num);
	}
	return IBV_WC_SUCCESS;
}

/* Sends datagram @w of @q.  The result is the sender's. */
struct soft_result soft_exec_ud(struct soft_qp *q, struct soft_wqe *w)
{
	/* A Q_Key with the top bit set in the request means: the queue pair's own (10.2.5). */
	uint32_t qkey = w->qkey & 0x80000000u ? q->shm->qkey : w->qkey;
	struct ibv_grh grh, *g = NULL;
	struct soft_result r = {0};
	struct soft_peer *peer;
	struct soft_vec v;

	if (soft_gather(q, w, 0, &v, &r))
		return r;
	if (v.len > soft_mtu() || !w->ah) {
		r.status = w->ah ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_QP_OP_ERR;
		r.why = SOFT_VE_LENGTH;
		return r;
	}
	r.byte_len = (uint32_t)v.len;
	if (w->ah->attr.is_global) {
		grh_fill(&grh, q, &w->ah->attr, (uint32_t)v.len);
		g = &grh;
	}
	if (soft_unlikely(soft_pcap_on))
		soft_capture_datagram(q, w, &v, g, qkey);
	peer = soft_ah_peer(q->port, w->ah);
	if (!peer) {
		soft_count(q->port->shm, ud_unroutable, 1);
		return r;
	}
	if (soft_fault_on())
		r.status = ud_faulty(q, peer, w, &v, g, qkey);
	else
		soft_ud_arrive(q, peer, w, &v, g, qkey);
	return r;
}
