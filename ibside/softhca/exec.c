/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Executing one work request: local checks, finding the peer, dispatch (IBTA 9.7, 9.8).
 */
#include "soft.h"

static const struct soft_result ok;

static struct soft_result fail(enum ibv_wc_status status, enum soft_vendor_err why)
{
	return (struct soft_result){.status = status, .why = why};
}

/* Builds the local list of @w in @v, every piece checked for @access.  Returns 0, or -1 and the
 * failure in @r.  The regions are the program's own: ending their registration meanwhile is its
 * mistake. */
int soft_gather(struct soft_qp *q, struct soft_wqe *w, uint32_t access, struct soft_vec *v,
		struct soft_result *r)
{
	uint32_t slot = (uint32_t)(w - q->wqe);
	struct ibv_sge *sge = &q->sge[slot * q->cap.max_send_sge];

	v->n = 0;
	v->len = 0;
	if (w->flags & IBV_SEND_INLINE) {
		v->seg[0].here = q->inl + (size_t)slot * q->cap.max_inline_data;
		v->seg[0].len = w->inl;
		v->n = 1;
		v->len = w->inl;
		return 0;
	}
	for (uint32_t i = 0; i < w->nsge; i++) {
		enum soft_vendor_err e;
		struct shm_mr *mr;

		if (!sge[i].length)
			continue;
		e = soft_mr_check(q->port->shm, sge[i].lkey, q->shm->pd, sge[i].addr, sge[i].length,
				  access, &mr);
		if (soft_unlikely(e)) {
			*r = fail(IBV_WC_LOC_PROT_ERR,
				  e == SOFT_VE_RBOUNDS ? SOFT_VE_LBOUNDS : SOFT_VE_LKEY);
			return -1;
		}
		v->seg[v->n].va = mr->addr + (sge[i].addr - mr->iova);
		v->seg[v->n].here = (uint8_t *)(uintptr_t)v->seg[v->n].va;
		v->seg[v->n++].len = sge[i].length;
		v->len += sge[i].length;
	}
	return 0;
}

/* Whether @dqp, locked, is connected to @q and listening. */
static bool connected(const struct soft_qp *q, const struct shm_qp *dqp)
{
	uint32_t st = atomic_load_explicit(&dqp->state, memory_order_relaxed);

	return atomic_load_explicit(&dqp->qpn, memory_order_relaxed) == q->attr.dest_qp_num &&
	       dqp->type == (uint32_t)q->qp.qp_type && dqp->dest_qpn == q->qp.qp_num &&
	       dqp->dest_lid == q->port->lid &&
	       (st == IBV_QPS_RTR || st == IBV_QPS_RTS || st == IBV_QPS_SQD);
}

/* Finds the peer of connected @q and does @w, with local list @local, there. */
static struct soft_result exec_there(struct soft_qp *q, struct soft_wqe *w, struct soft_vec *local)
{
	const struct soft_result wait = {.stall = SOFT_STALL_PATH};
	bool uc = q->qp.qp_type == IBV_QPT_UC;
	struct soft_result r = ok;
	struct shm_qp *dqp;

	if (!q->peer)
		q->peer = soft_peer_get(q->port, q->shm->dest_lid);
	if (!q->peer || !soft_av_match(q->peer, &q->attr.ah_attr))
		return uc ? ok : wait;
	if (soft_unlikely(soft_peer_gone(q->peer)))
		return uc ? ok : fail(IBV_WC_RETRY_EXC_ERR, SOFT_VE_PEER_DEAD);
	if (soft_fault_on() && soft_fault_connected(q, w, q->peer, &r))
		return r;
	dqp = &q->peer->shm->qp[SOFT_QPN_IDX(q->attr.dest_qp_num)];
	if (atomic_load_explicit(&dqp->qpn, memory_order_acquire) != q->attr.dest_qp_num)
		return uc ? ok : wait;
	soft_lock(&dqp->lock);
	if (soft_likely(connected(q, dqp))) {
		if (w->opcode == IBV_WR_SEND || w->opcode == IBV_WR_SEND_WITH_IMM)
			r = soft_deliver(q, q->peer, dqp, w, local, NULL);
		else
			r = soft_rdma(q, q->peer, dqp, w, local);
	} else if (!uc) {
		r = wait;
	}
	soft_unlock(&dqp->lock);
	return uc ? ok : r; /* nobody tells the sender */
}

static struct soft_result exec_connected(struct soft_qp *q, struct soft_wqe *w)
{
	uint32_t access = w->opcode == IBV_WR_RDMA_READ || w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP
				  ? IBV_ACCESS_LOCAL_WRITE
				  : 0;
	struct soft_result r = ok;
	struct soft_vec local;

	if (soft_gather(q, w, access, &local, &r))
		return r;
	if (local.len > SOFT_MAX_MSG)
		return fail(IBV_WC_LOC_LEN_ERR, SOFT_VE_LENGTH);
	if (soft_unlikely(soft_pcap_on))
		soft_capture_request(q, w, &local);
	r = exec_there(q, w, &local);
	if (soft_unlikely(soft_pcap_on))
		soft_capture_answer(q, w, &local, &r);
	r.byte_len = (uint32_t)local.len;
	return r;
}

/* Executes @w, at the head of @q's send queue.  Caller holds sq_lock. */
struct soft_result soft_exec(struct soft_qp *q, struct soft_wqe *w)
{
	if (q->qp.qp_type == IBV_QPT_UD)
		return soft_exec_ud(q, w);
	return exec_connected(q, w);
}
