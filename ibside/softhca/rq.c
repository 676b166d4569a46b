/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive queues (IBTA 10.7.3.2): the owner fills, initiators consume.  The same ring serves a
 * queue pair's own queue and a shared one.
 */
#include "soft.h"

/* Sets up the ring of @rq for @wr requests of @sge entries.  Caller holds the port's lock.
 * Returns 0 or ENOMEM. */
int soft_rq_create(struct soft_port *p, struct shm_rq *rq, uint32_t wr, uint32_t sge)
{
	uint32_t n = 1;

	while (n < wr)
		n <<= 1;
	memset(rq, 0, sizeof(*rq));
	rq->mask = n - 1;
	rq->max_sge = sge;
	rq->stride = (uint32_t)(sizeof(struct shm_rwqe) + sge * sizeof(struct ibv_sge));
	rq->ring_off = soft_heap_alloc(p, (size_t)n * rq->stride);
	return rq->ring_off ? 0 : ENOMEM;
}

/* Frees the ring of @rq.  Caller holds the port's lock. */
void soft_rq_destroy(struct soft_port *p, struct shm_rq *rq)
{
	soft_heap_free(p, rq->ring_off, (size_t)(rq->mask + 1) * rq->stride);
	rq->ring_off = 0;
}

/* Appends @wr.  Caller excludes other posters.  Returns 0, EINVAL or ENOMEM. */
int soft_rq_put(struct soft_port *p, struct shm_rq *rq, uint32_t max_wr,
		const struct ibv_recv_wr *wr)
{
	uint32_t t = atomic_load_explicit(&rq->tail, memory_order_relaxed);
	struct shm_rwqe *e = soft_at(p->shm, rq->ring_off + (uint64_t)(t & rq->mask) * rq->stride);

	if (soft_unlikely(wr->num_sge < 0 || (uint32_t)wr->num_sge > rq->max_sge))
		return EINVAL;
	if (soft_unlikely(t - atomic_load_explicit(&rq->head, memory_order_acquire) >= max_wr))
		return ENOMEM;
	e->wr_id = wr->wr_id;
	e->nsge = (uint32_t)wr->num_sge;
	for (int i = 0; i < wr->num_sge; i++)
		e->sge[i] = wr->sg_list[i];
	atomic_store_explicit(&rq->tail, t + 1, memory_order_release);
	return 0;
}

/* Completes all that is posted to the own queue of @qp as flushed.  Caller holds the QP's lock. */
void soft_rq_flush(struct soft_peer *peer, struct shm_qp *qp)
{
	struct shm_rq *rq = &qp->rq;

	if (qp->srq != SOFT_NONE)
		return;
	for (;;) {
		uint32_t h = atomic_load_explicit(&rq->head, memory_order_relaxed);
		struct shm_rwqe *r;
		struct shm_cqe e = {0};

		if (h == atomic_load_explicit(&rq->tail, memory_order_acquire))
			return;
		r = soft_at(peer->shm, rq->ring_off + (uint64_t)(h & rq->mask) * rq->stride);
		e.wr_id = r->wr_id;
		e.qpn = atomic_load(&qp->qpn);
		e.status = IBV_WC_WR_FLUSH_ERR;
		e.vendor_err = SOFT_VE_FLUSHED;
		e.opcode = IBV_WC_RECV;
		e.is_recv = 1;
		e.solicited = 1;
		e.stage = SOFT_NONE;
		e.rq_head = h;
		e.rq_owner = 1 + SOFT_QPN_IDX(e.qpn);
		soft_cq_push(peer, qp->recv_cq, &e, rq);
	}
}

/* Posts receive requests.  Returns 0, or errno and the first one refused in *@bad. */
int soft_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct soft_qp *q = soft_qp(qp);
	uint32_t state = atomic_load_explicit(&q->shm->state, memory_order_relaxed);
	int rc = 0;

	pthread_mutex_lock(&q->rq_lock);
	for (; wr; wr = wr->next) {
		rc = q->srq || state == IBV_QPS_RESET
			     ? EINVAL
			     : soft_rq_put(q->port, &q->shm->rq, q->cap.max_recv_wr, wr);
		if (soft_unlikely(rc)) {
			*bad = wr;
			break;
		}
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (soft_unlikely(atomic_load(&q->shm->state) == IBV_QPS_ERR)) {
		soft_lock(&q->shm->lock);
		soft_rq_flush(q->port->self, q->shm);
		soft_unlock(&q->shm->lock);
	}
	pthread_mutex_unlock(&q->rq_lock);
	return rc;
}
