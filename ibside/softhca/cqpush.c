/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Producing completions, in any process of the subnet.
 *
 * A producer that dies half-way must not leave a receive request both consumed and unconsumed.
 * So consuming it is part of the push: with the CQ locked, the entry is written in full, "pushing"
 * is set, the receive queue's head and the CQ's tail move, "pushing" is cleared.  Whoever next
 * gets the lock from a dead producer and finds "pushing" set does the two moves again.
 */
#include "soft.h"

/* The receive queue that @e consumed from, or NULL. */
static struct shm_rq *cqe_rq(struct shm_port *s, const struct shm_cqe *e)
{
	if (!e->rq_owner)
		return NULL;
	if (e->rq_owner & SOFT_RQ_IS_SRQ)
		return &s->srq[(e->rq_owner & ~SOFT_RQ_IS_SRQ) % SOFT_MAX_SRQ].rq;
	return &s->qp[(e->rq_owner - 1) % SOFT_MAX_QP].rq;
}

/* Publishes the entry at @tail; doing it twice does no harm. */
static void cq_commit(struct shm_cq *q, struct shm_rq *rq, uint32_t rq_head, uint32_t tail)
{
	if (rq)
		atomic_store_explicit(&rq->head, rq_head + 1, memory_order_release);
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	q->pushing = 0;
}

/* The last holder of @q's lock in arena @s died: finish what it had begun. */
void soft_cq_repair(struct shm_port *s, struct shm_cq *q)
{
	struct shm_cqe *ring = soft_at(s, q->ring_off);
	struct shm_cqe *e;

	if (!q->pushing)
		return;
	e = &ring[(q->pushing - 1) & q->mask];
	cq_commit(q, cqe_rq(s, e), e->rq_head, q->pushing - 1);
}

/*
 * Sends the CQ's one event if it is armed for this completion.  It is disarmed only after the
 * event is out, so the death of this process in between costs a second event, not the first.  The
 * arming's generation tells whether the owner has armed it anew meanwhile.
 */
static void cq_notify(struct soft_peer *peer, struct shm_cq *q, uint32_t idx, bool solicited)
{
	uint32_t armed, mode;

	atomic_thread_fence(memory_order_seq_cst);
	armed = atomic_load_explicit(&q->armed, memory_order_relaxed);
	mode = armed & SOFT_ARM_MASK;
	if (soft_likely(mode == SOFT_ARM_NONE) || (mode == SOFT_ARM_SOLICITED && !solicited))
		return;
	if (q->evq != SOFT_NONE)
		soft_evq_push(peer, q->evq, idx, &q->queued);
	atomic_compare_exchange_strong(&q->armed, &armed, armed & ~SOFT_ARM_MASK);
}

/* Owner: a peer has died, maybe in the middle of a completion.  Ends what it began, and wakes
 * whoever it should have woken; too often does no harm. */
void soft_cq_after_death(struct soft_port *p)
{
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < SOFT_MAX_CQ; i++) {
		struct shm_cq *q = &p->shm->cq[i];

		if (!atomic_load(&p->cqs[i]))
			continue;
		if (soft_lock(&q->lock))
			soft_cq_repair(p->shm, q);
		soft_unlock(&q->lock);
		if (q->evq == SOFT_NONE)
			continue;
		if (atomic_load(&q->head) != atomic_load(&q->tail))
			cq_notify(p->self, q, i, true);
		soft_evq_nudge(p, q->evq);
	}
	pthread_mutex_unlock(&p->lock);
}

/*
 * Puts @e into completion queue @idx of @peer, and with it moves on the head of @rq (there too; or
 * NULL).  Returns 0, or ENOSPC when the CQ is full: then the receive request is consumed all the
 * same, the CQ reports an error to its owner, and the completion is lost, as on a real device.
 */
int soft_cq_push(struct soft_peer *peer, uint32_t idx, struct shm_cqe *e, struct shm_rq *rq)
{
	struct shm_cq *q = &peer->shm->cq[idx];
	struct shm_cqe *ring;
	uint32_t t;

	if (soft_lock(&q->lock))
		soft_cq_repair(peer->shm, q);
	t = atomic_load_explicit(&q->tail, memory_order_relaxed);
	if (soft_unlikely(t - atomic_load_explicit(&q->head, memory_order_acquire) > q->mask)) {
		bool first = !q->overrun;

		q->overrun = 1;
		if (rq)
			atomic_store(&rq->head, e->rq_head + 1);
		soft_unlock(&q->lock);
		soft_count(peer->shm, cq_overruns, 1);
		if (e->stage != SOFT_NONE)
			soft_stage_put(peer->shm, e->stage);
		if (first)
			soft_async(peer, q->async_evq, IBV_EVENT_CQ_ERR, idx);
		return ENOSPC;
	}
	ring = soft_at(peer->shm, q->ring_off);
	ring[t & q->mask] = *e;
	if (e->stage != SOFT_NONE)
		atomic_store_explicit(&peer->shm->stage[e->stage].holder, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	q->pushing = t + 1;
	atomic_signal_fence(memory_order_seq_cst);
	cq_commit(q, rq, e->rq_head, t);
	soft_unlock(&q->lock);
	cq_notify(peer, q, idx, e->solicited);
	return 0;
}
