/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send queue (IBTA 10.7.2): work requests enter in order, are executed in order, and stay when
 * their time has not come.  A slot is given back when a completion at or behind it is polled, as
 * on a real device, so that a program that overruns its queue learns of it here too.
 */
#include "soft.h"

static enum ibv_wc_opcode wc_opcode(uint32_t op)
{
	switch (op) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return IBV_WC_COMP_SWAP;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return IBV_WC_FETCH_ADD;
	default:
		return IBV_WC_SEND;
	}
}

static void sq_complete(struct soft_qp *q, struct soft_wqe *w, const struct soft_result *r)
{
	struct shm_cqe e;

	if (r->status == IBV_WC_SUCCESS && !q->sig_all && !(w->flags & IBV_SEND_SIGNALED))
		return;
	memset(&e, 0, sizeof(e));
	e.wr_id = w->wr_id;
	e.byte_len = r->byte_len;
	e.qpn = q->qp.qp_num;
	e.sq_pos = q->sq_exec;
	e.stage = SOFT_NONE;
	e.status = (uint8_t)r->status;
	e.opcode = (uint8_t)wc_opcode(w->opcode);
	e.vendor_err = r->why;
	e.solicited = r->status != IBV_WC_SUCCESS;
	soft_cq_push(q->port->self, q->scq->idx, &e, NULL);
}

/* A send failed: the queue pair leaves RTS. */
static void sq_fail(struct soft_qp *q)
{
	soft_lock(&q->shm->lock);
	if (atomic_load(&q->shm->state) != IBV_QPS_ERR)
		soft_qp_set_state(q->port->self, q->shm,
				  q->qp.qp_type == IBV_QPT_RC ? IBV_QPS_ERR : IBV_QPS_SQE);
	soft_unlock(&q->shm->lock);
}

/* Executes what is posted, as far as it goes.  Caller holds sq_lock. */
void soft_sq_kick(struct soft_qp *q)
{
	while (q->sq_exec != q->sq_prod) {
		struct soft_wqe *w = &q->wqe[q->sq_exec & q->sq_mask];
		uint32_t state = atomic_load_explicit(&q->shm->state, memory_order_acquire);
		struct soft_result r = {.status = IBV_WC_WR_FLUSH_ERR, .why = SOFT_VE_FLUSHED};

		if (soft_likely(state == IBV_QPS_RTS)) {
			r = soft_exec(q, w);
			if (soft_unlikely(r.stall) && !soft_stall_start(q, &r))
				return;
		} else if (state != IBV_QPS_ERR && state != IBV_QPS_SQE) {
			return;
		}
		atomic_store_explicit(&q->stall, SOFT_STALL_NONE, memory_order_relaxed);
		sq_complete(q, w, &r);
		q->sq_exec++;
		if (soft_unlikely(r.status) && r.status != IBV_WC_WR_FLUSH_ERR)
			sq_fail(q);
	}
}

/* Whether no slot is free.  Caller holds sq_lock. */
bool soft_sq_full(struct soft_qp *q)
{
	return q->sq_prod - atomic_load_explicit(&q->sq_done, memory_order_acquire) >=
	       q->cap.max_send_wr;
}

static bool opcode_ok(enum ibv_qp_type type, uint32_t op)
{
	switch (op) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		return true;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return type != IBV_QPT_UD;
	case IBV_WR_RDMA_READ:
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return type == IBV_QPT_RC;
	default:
		return false;
	}
}

static int wqe_inline(struct soft_qp *q, struct soft_wqe *w, const struct ibv_send_wr *wr,
		      uint32_t slot)
{
	uint8_t *to = q->inl + (size_t)slot * q->cap.max_inline_data;
	uint32_t n = 0;

	if (wr->opcode == IBV_WR_RDMA_READ || wr->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP)
		return EINVAL;
	for (int i = 0; i < wr->num_sge; i++) {
		if (wr->sg_list[i].length > q->cap.max_inline_data - n)
			return EINVAL;
		memcpy(to + n, (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length);
		n += wr->sg_list[i].length;
	}
	w->inl = n;
	return 0;
}

static int wqe_build(struct soft_qp *q, const struct ibv_send_wr *wr, uint32_t slot)
{
	struct soft_wqe *w = &q->wqe[slot];

	if (soft_unlikely(!opcode_ok(q->qp.qp_type, wr->opcode) || wr->num_sge < 0 ||
			  (uint32_t)wr->num_sge > q->cap.max_send_sge))
		return EINVAL;
	w->wr_id = wr->wr_id;
	w->opcode = (uint16_t)wr->opcode;
	w->flags = wr->send_flags;
	w->imm = wr->imm_data;
	w->bad = 0;
	w->inl = 0;
	w->nsge = 0;
	w->slow_ns = 0;
	w->captured = SOFT_CAP_NONE;
	if (q->qp.qp_type == IBV_QPT_UD) {
		if (!wr->wr.ud.ah)
			return EINVAL;
		w->ah = (struct soft_ah *)wr->wr.ud.ah;
		w->rqpn = wr->wr.ud.remote_qpn;
		w->qkey = wr->wr.ud.remote_qkey;
	} else if (wr->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP) {
		w->raddr = wr->wr.atomic.remote_addr;
		w->rkey = wr->wr.atomic.rkey;
		w->cmp_add = wr->wr.atomic.compare_add;
		w->swap = wr->wr.atomic.swap;
	} else {
		w->raddr = wr->wr.rdma.remote_addr;
		w->rkey = wr->wr.rdma.rkey;
	}
	if (wr->send_flags & IBV_SEND_INLINE)
		return wqe_inline(q, w, wr, slot);
	w->nsge = (uint32_t)wr->num_sge;
	for (int i = 0; i < wr->num_sge; i++)
		q->sge[slot * q->cap.max_send_sge + (uint32_t)i] = wr->sg_list[i];
	return 0;
}

/* Posts send requests.  Returns 0, or errno and the first one refused in *@bad. */
int soft_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct soft_qp *q = soft_qp(qp);
	uint32_t state;
	int rc = 0;

	pthread_mutex_lock(&q->sq_lock);
	state = atomic_load_explicit(&q->shm->state, memory_order_relaxed);
	if (state < IBV_QPS_RTS)
		rc = EINVAL;
	for (; wr; wr = wr->next) {
		if (!rc && soft_unlikely(soft_sq_full(q)))
			rc = ENOMEM;
		if (!rc)
			rc = wqe_build(q, wr, q->sq_prod & q->sq_mask);
		if (soft_unlikely(rc)) {
			*bad = wr;
			break;
		}
		q->sq_prod++;
	}
	soft_sq_kick(q);
	pthread_mutex_unlock(&q->sq_lock);
	return rc;
}
