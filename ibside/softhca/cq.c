/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion queues, owner's side (IBTA 11.2.8, 11.4.2): creating, polling, arming, resizing.
 * Peers produce under the shared lock; the owner consumes under a private one.
 */
#include <stdlib.h>

#include "soft.h"

static uint32_t ring_size(uint32_t n)
{
	uint32_t s = 1;

	while (s < n)
		s <<= 1;
	return s;
}

static int cq_slot(struct soft_port *p, struct soft_cq *c)
{
	for (uint32_t n = 0; n < SOFT_MAX_CQ; n++) {
		uint32_t i = p->next_cq++ % SOFT_MAX_CQ;

		if (!p->shm->cq[i].used) {
			c->idx = i;
			c->shm = &p->shm->cq[i];
			return 0;
		}
	}
	return ENOMEM;
}

static int cq_setup(struct soft_port *p, struct soft_cq *c, uint32_t cqe, uint32_t evq,
		    uint32_t async_evq)
{
	struct shm_cq *q;
	int rc = cq_slot(p, c);

	if (rc)
		return rc;
	q = c->shm;
	memset(q, 0, sizeof(*q));
	rc = soft_mutex_init_shared(&q->lock);
	if (rc)
		return rc;
	q->mask = ring_size(cqe) - 1;
	q->ring_off = soft_heap_alloc(p, (size_t)(q->mask + 1) * sizeof(struct shm_cqe));
	if (!q->ring_off)
		return ENOMEM;
	q->evq = evq;
	q->async_evq = async_evq;
	q->used = 1;
	atomic_store(&p->cqs[c->idx], c);
	return 0;
}

/* Creates a CQ from extended attributes.  Returns NULL and errno on failure. */
struct ibv_cq_ex *soft_create_cq_ex(struct ibv_context *ctx, struct ibv_cq_init_attr_ex *attr)
{
	struct soft_port *p = soft_ctx(ctx)->port;
	struct soft_channel *ch = (struct soft_channel *)attr->channel;
	struct soft_cq *c;
	int rc;

	if (!attr->cqe || attr->cqe > soft_limits.cqe ||
	    attr->comp_vector >= (uint32_t)ctx->num_comp_vectors) {
		errno = EINVAL;
		return NULL;
	}
	if (attr->wc_flags &
	    ~(uint64_t)(IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
			IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->port = p;
	c->cq.context = ctx;
	c->cq.channel = attr->channel;
	c->cq.cq_context = attr->cq_context;
	pthread_mutex_init(&c->cq.mutex, NULL);
	pthread_cond_init(&c->cq.cond, NULL);
	pthread_mutex_init(&c->poll_lock, NULL);
	pthread_mutex_lock(&p->lock);
	rc = cq_setup(p, c, attr->cqe, ch ? ch->evq : SOFT_NONE, soft_ctx(ctx)->evq);
	if (!rc && ch)
		ch->ch.refcnt++;
	pthread_mutex_unlock(&p->lock);
	if (rc) {
		free(c);
		errno = rc;
		return NULL;
	}
	c->cq.cqe = (int)c->shm->mask + 1;
	soft_cq_ex_ops(c);
	return &c->ex;
}

/* Changes the capacity of @cq to at least @cqe.  Returns 0 or errno. */
int soft_resize_cq(struct ibv_cq *cq, int cqe)
{
	struct soft_cq *c = soft_cq(cq);
	struct soft_port *p = c->port;
	struct shm_cq *q = c->shm;
	uint32_t size, h, t;
	uint64_t off, old_off;
	struct shm_cqe *from, *to;
	size_t old_bytes;

	if (cqe <= 0 || (uint32_t)cqe > soft_limits.cqe)
		return EINVAL;
	size = ring_size((uint32_t)cqe);
	pthread_mutex_lock(&p->lock);
	off = soft_heap_alloc(p, (size_t)size * sizeof(*to));
	pthread_mutex_unlock(&p->lock);
	if (!off)
		return ENOMEM;
	pthread_mutex_lock(&c->poll_lock);
	if (soft_lock(&q->lock))
		soft_cq_repair(p->shm, q);
	h = atomic_load(&q->head);
	t = atomic_load(&q->tail);
	old_off = t - h > size ? off : q->ring_off;
	old_bytes = t - h > size ? (size_t)size * sizeof(*to) : (size_t)(q->mask + 1) * sizeof(*to);
	if (old_off != off) {
		from = soft_at(p->shm, q->ring_off);
		to = soft_at(p->shm, off);
		for (uint32_t i = h; i != t; i++)
			to[i & (size - 1)] = from[i & q->mask];
		q->ring_off = off;
		q->mask = size - 1;
		cq->cqe = (int)size;
	}
	soft_unlock(&q->lock);
	pthread_mutex_unlock(&c->poll_lock);
	pthread_mutex_lock(&p->lock);
	soft_heap_free(p, old_off, old_bytes);
	pthread_mutex_unlock(&p->lock);
	return old_off == off ? EINVAL : 0;
}

/* Frees the staging slots of completions never polled. */
static void cq_drop_all(struct soft_cq *c)
{
	struct shm_cqe *ring = soft_at(c->port->shm, c->shm->ring_off);

	for (uint32_t i = atomic_load(&c->shm->head); i != atomic_load(&c->shm->tail); i++)
		if (ring[i & c->shm->mask].stage != SOFT_NONE)
			soft_stage_put(c->port->shm, ring[i & c->shm->mask].stage);
}

/* Destroys @cq; EBUSY while queue pairs use it.  Waits until its events are acknowledged. */
int soft_destroy_cq(struct ibv_cq *cq)
{
	struct soft_cq *c = soft_cq(cq);
	struct soft_port *p = c->port;
	struct soft_channel *ch = (struct soft_channel *)cq->channel;

	if (atomic_load(&c->users))
		return EBUSY;
	if (ch)
		soft_evq_purge(p, ch->evq, c->idx, UINT64_MAX);
	soft_evq_purge(p, c->shm->async_evq, (uint64_t)IBV_EVENT_CQ_ERR << 32 | c->idx, UINT64_MAX);
	pthread_mutex_lock(&cq->mutex);
	while (cq->comp_events_completed != atomic_load(&c->events_got) ||
	       cq->async_events_completed != atomic_load(&c->async_got))
		pthread_cond_wait(&cq->cond, &cq->mutex);
	pthread_mutex_unlock(&cq->mutex);
	pthread_mutex_lock(&p->lock);
	cq_drop_all(c);
	atomic_store(&p->cqs[c->idx], NULL);
	soft_heap_free(p, c->shm->ring_off, (size_t)(c->shm->mask + 1) * sizeof(struct shm_cqe));
	c->shm->used = 0;
	if (ch)
		ch->ch.refcnt--;
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_destroy(&c->poll_lock);
	pthread_mutex_destroy(&cq->mutex);
	pthread_cond_destroy(&cq->cond);
	free(c);
	return 0;
}

/* Turns @e into @wc, moving a staged payload to its buffer. */
static void cqe_take(struct soft_port *p, struct shm_cqe *e, struct ibv_wc *wc)
{
	wc->wr_id = e->wr_id;
	wc->status = e->status;
	wc->opcode = e->opcode;
	wc->vendor_err = e->vendor_err;
	wc->byte_len = e->byte_len;
	wc->imm_data = e->imm;
	wc->qp_num = e->qpn;
	wc->src_qp = e->src_qp;
	wc->wc_flags = e->wc_flags;
	wc->pkey_index = 0;
	wc->slid = e->slid;
	wc->sl = e->sl;
	wc->dlid_path_bits = 0;
	if (e->is_recv) {
		if (e->stage != SOFT_NONE)
			soft_stage_deliver(p->shm, e->stage);
	} else {
		struct soft_qp *q =
			atomic_load_explicit(&p->qps[SOFT_QPN_IDX(e->qpn)], memory_order_relaxed);

		if (q)
			atomic_store_explicit(&q->sq_done, e->sq_pos + 1, memory_order_release);
	}
}

/* Takes up to @n completions.  Returns how many. */
int soft_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc)
{
	struct soft_cq *c = soft_cq(cq);
	struct shm_cq *q = c->shm;
	struct shm_cqe *ring;
	uint32_t h, t;
	int got = 0;

	if (soft_unlikely(atomic_load_explicit(&c->port->nstalled, memory_order_relaxed)))
		soft_stall_progress(c->port, false);
	if (atomic_load_explicit(&q->head, memory_order_relaxed) ==
	    atomic_load_explicit(&q->tail, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&c->poll_lock);
	h = atomic_load_explicit(&q->head, memory_order_relaxed);
	t = atomic_load_explicit(&q->tail, memory_order_acquire);
	ring = soft_at(c->port->shm, q->ring_off);
	for (; h != t && got < n; h++) {
		struct shm_cqe *e = &ring[h & q->mask];

		if (e->qpn != SOFT_NONE)
			cqe_take(c->port, e, &wc[got++]);
	}
	atomic_store_explicit(&q->head, h, memory_order_release);
	pthread_mutex_unlock(&c->poll_lock);
	return got;
}

/* Asks for one event at the next completion.  The stronger of two requests counts. */
int soft_req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
	_Atomic uint32_t *armed = &soft_cq(cq)->shm->armed;
	uint32_t old = atomic_load(armed), want;

	do {
		want = solicited_only && (old & SOFT_ARM_MASK) != SOFT_ARM_ANY ? SOFT_ARM_SOLICITED
									       : SOFT_ARM_ANY;
		want |= (old & ~SOFT_ARM_MASK) + SOFT_ARM_MASK + 1;
	} while (!atomic_compare_exchange_weak(armed, &old, want));
	atomic_thread_fence(memory_order_seq_cst);
	return 0;
}

/* Withdraws the unpolled completions of queue pair @qpn, which is being destroyed. */
void soft_cq_purge(struct soft_cq *c, uint32_t qpn)
{
	struct shm_cq *q = c->shm;
	struct shm_cqe *ring;

	pthread_mutex_lock(&c->poll_lock);
	if (soft_lock(&q->lock))
		soft_cq_repair(c->port->shm, q);
	ring = soft_at(c->port->shm, q->ring_off);
	for (uint32_t i = atomic_load(&q->head); i != atomic_load(&q->tail); i++) {
		struct shm_cqe *e = &ring[i & q->mask];

		if (e->qpn != qpn)
			continue;
		if (e->is_recv && e->stage != SOFT_NONE)
			soft_stage_put(c->port->shm, e->stage);
		e->stage = SOFT_NONE;
		e->qpn = SOFT_NONE;
	}
	soft_unlock(&q->lock);
	pthread_mutex_unlock(&c->poll_lock);
}
