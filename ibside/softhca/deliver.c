/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivering a message to a receive queue (IBTA 9.7.5.2, 9.8.3): take the oldest receive request,
 * scatter the payload, complete.
 */
#include "soft.h"

/* A receive request about to be consumed. */
struct taken {
	struct shm_rq *rq;	    /* queue */
	struct shm_srq *srq;	    /* locked, or NULL */
	struct shm_rwqe *r;	    /* the request */
	uint32_t head;		    /* its position */
	uint32_t owner;		    /* for shm_cqe.rq_owner */
	uint32_t npin;		    /* regions pinned */
	uint32_t pin[SOFT_MAX_SGE]; /* their pins */
};

static bool take(struct soft_peer *peer, struct shm_qp *dqp, struct taken *t)
{
	bool some;

	t->npin = 0;
	t->srq = NULL;
	t->rq = &dqp->rq;
	t->owner = 1 + SOFT_QPN_IDX(atomic_load_explicit(&dqp->qpn, memory_order_relaxed));
	if (dqp->srq != SOFT_NONE) {
		t->srq = &peer->shm->srq[dqp->srq % SOFT_MAX_SRQ];
		t->rq = &t->srq->rq;
		t->owner = dqp->srq | SOFT_RQ_IS_SRQ;
		soft_lock(&t->srq->lock);
	}
	t->head = atomic_load_explicit(&t->rq->head, memory_order_relaxed);
	some = t->head != atomic_load_explicit(&t->rq->tail, memory_order_acquire);
	if (some)
		t->r = soft_at(peer->shm,
			       t->rq->ring_off + (uint64_t)(t->head & t->rq->mask) * t->rq->stride);
	else if (t->srq)
		soft_unlock(&t->srq->lock);
	return some;
}

/* Done with the request; the SRQ's limit event goes out if it is due. */
static void give_back(struct soft_peer *peer, struct taken *t)
{
	bool limit = false;
	uint32_t idx;

	for (uint32_t i = 0; i < t->npin; i++)
		soft_unpin(peer, t->pin[i]);
	if (!t->srq)
		return;
	if (t->rq->limit && atomic_load(&t->rq->tail) - atomic_load(&t->rq->head) < t->rq->limit) {
		t->rq->limit = 0;
		limit = true;
	}
	soft_unlock(&t->srq->lock);
	idx = t->owner & ~SOFT_RQ_IS_SRQ;
	if (limit)
		soft_async(peer, t->srq->evq, IBV_EVENT_SRQ_LIMIT_REACHED, idx);
}

/* Resolves the request's scatter list, as far as @need bytes go, into @v. */
static enum soft_vendor_err scatter(struct soft_peer *peer, struct shm_qp *dqp, struct taken *t,
				    uint64_t need, struct soft_vec *v)
{
	uint32_t pd = t->srq ? t->srq->pd : dqp->pd;

	v->n = 0;
	v->len = 0;
	for (uint32_t i = 0; i < t->r->nsge && i < SOFT_MAX_SGE && v->len < need; i++) {
		struct ibv_sge *g = &t->r->sge[i];
		enum soft_vendor_err e;
		struct shm_mr *mr;

		if (!g->length)
			continue;
		t->pin[t->npin++] = soft_pin(peer, g->lkey);
		e = soft_mr_check(peer->shm, g->lkey, pd, g->addr, g->length,
				  IBV_ACCESS_LOCAL_WRITE, &mr);
		if (e)
			return SOFT_VE_RBUFFER;
		v->seg[v->n].va = mr->addr + (g->addr - mr->iova);
		v->seg[v->n].here = soft_peer_map(peer, mr, g->addr - mr->iova, g->length);
		v->seg[v->n++].len = g->length;
		v->len += g->length;
	}
	return v->len < need ? SOFT_VE_RLENGTH : SOFT_VE_NONE;
}

/* Drops the first @n bytes of @v. */
static void vec_skip(struct soft_vec *v, uint32_t n)
{
	uint32_t i = 0;

	while (i < v->n && n >= v->seg[i].len) {
		n -= v->seg[i].len;
		v->len -= v->seg[i++].len;
	}
	memmove(v->seg, v->seg + i, (v->n - i) * sizeof(v->seg[0]));
	v->n -= i;
	if (v->n && n) {
		v->seg[0].va += n;
		v->seg[0].here = v->seg[0].here ? v->seg[0].here + n : NULL;
		v->seg[0].len -= n;
		v->len -= n;
	}
}

/* Parks @src in a staging slot of the peer, to go to @dst when polled.  False: no slot is free. */
static bool stage(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src,
		  uint32_t *slot)
{
	uint64_t t = soft_stats_begin();
	struct shm_stage *st;
	uint32_t at = 0;

	*slot = soft_stage_get(peer->shm, peer->port->lid);
	if (*slot == SOFT_NONE)
		return false;
	st = &peer->shm->stage[*slot];
	for (uint32_t i = 0; i < src->n; i++) {
		memcpy(st->data + at, src->seg[i].here, src->seg[i].len);
		at += src->seg[i].len;
	}
	st->len = at;
	st->nsge = dst->n;
	for (uint32_t i = 0; i < dst->n; i++) {
		st->sge[i].addr = dst->seg[i].va;
		st->sge[i].length = dst->seg[i].len;
	}
	soft_count(peer->port->shm, bytes_staged, at);
	soft_stats_end(peer->port->shm, t);
	return true;
}

static int move(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src, uint32_t *slot)
{
	*slot = SOFT_NONE;
	if (!src->len)
		return 0;
	if (src->len <= SOFT_STAGE_BYTES && !soft_vec_mapped(dst) && stage(peer, dst, src, slot))
		return 0;
	return soft_copy_out(peer, dst, src);
}

static void complete(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp, struct taken *t,
		     struct shm_cqe *e)
{
	e->wr_id = t->r->wr_id;
	e->qpn = atomic_load_explicit(&dqp->qpn, memory_order_relaxed);
	e->src_qp = q->qp.qp_num;
	e->slid = (uint16_t)q->port->lid;
	e->is_recv = 1;
	e->rq_head = t->head;
	e->rq_owner = t->owner;
	soft_cq_push(peer, dqp->recv_cq, e, t->rq);
}

/* The receive request cannot take the message: RC fails both sides, the others drop it. */
static struct soft_result refuse(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
				 struct taken *t, enum soft_vendor_err why)
{
	struct soft_result r = {.why = why};
	struct shm_cqe e = {
		.stage = SOFT_NONE, .opcode = IBV_WC_RECV, .solicited = 1, .vendor_err = why};

	if (q->qp.qp_type != IBV_QPT_RC) {
		soft_count(peer->shm, ud_too_long, 1);
		return r;
	}
	r.status = why == SOFT_VE_RLENGTH ? IBV_WC_REM_INV_REQ_ERR : IBV_WC_REM_OP_ERR;
	e.status = why == SOFT_VE_RLENGTH ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_PROT_ERR;
	soft_count(peer->shm, access_errors, 1);
	complete(q, peer, dqp, t, &e);
	soft_qp_set_state(peer, dqp, IBV_QPS_ERR);
	return r;
}

static struct soft_result copy_failed(int rc, struct soft_qp *q, struct soft_peer *peer,
				      struct shm_qp *dqp, struct taken *t)
{
	struct soft_result r = {.status = IBV_WC_RETRY_EXC_ERR, .why = SOFT_VE_PEER_DEAD};

	if (rc == ESRCH)
		return r;
	if (rc == EPERM) {
		r.status = IBV_WC_REM_OP_ERR;
		r.why = SOFT_VE_PERMISSION;
		return r;
	}
	return refuse(q, peer, dqp, t, SOFT_VE_COPY);
}

/* UD: the payload goes behind 40 bytes, which hold the GRH if there is one. */
static void ud_shape(struct soft_vec *dst, struct soft_vec *src, const struct ibv_grh *grh)
{
	if (!grh) {
		vec_skip(dst, SOFT_GRH);
		return;
	}
	memmove(src->seg + 1, src->seg, src->n * sizeof(src->seg[0]));
	src->seg[0].here = (uint8_t *)(uintptr_t)grh;
	src->seg[0].len = SOFT_GRH;
	src->n++;
	src->len += SOFT_GRH;
}

static struct soft_result rnr(const struct shm_qp *dqp)
{
	return (struct soft_result){.stall = SOFT_STALL_RNR, .rnr_code = dqp->min_rnr};
}

/*
 * Delivers @src, the payload of @w, to @dqp of @peer, whose lock is held; UD with a GRH brings it
 * as @grh.  The result is the sender's.
 */
struct soft_result soft_deliver(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
				struct soft_wqe *w, struct soft_vec *src, const struct ibv_grh *grh)
{
	bool ud = q->qp.qp_type == IBV_QPT_UD;
	struct shm_cqe e = {.opcode = IBV_WC_RECV, .stage = SOFT_NONE};
	struct soft_result r = {0};
	enum soft_vendor_err why;
	struct soft_vec dst;
	struct taken t;
	int rc = 0;

	if (soft_unlikely(!take(peer, dqp, &t))) {
		soft_count(peer->shm, ud_no_buffer, ud);
		return rnr(dqp);
	}
	e.byte_len = (uint32_t)src->len + (ud ? SOFT_GRH : 0);
	why = scatter(peer, dqp, &t, e.byte_len, &dst);
	if (soft_likely(!why)) {
		if (ud)
			ud_shape(&dst, src, grh);
		rc = move(peer, &dst, src, &e.stage);
	}
	if (soft_unlikely(why)) {
		r = refuse(q, peer, dqp, &t, why);
	} else if (soft_unlikely(rc)) {
		r = copy_failed(rc, q, peer, dqp, &t);
	} else {
		e.imm = w->imm;
		e.wc_flags = (w->opcode == IBV_WR_SEND_WITH_IMM ? IBV_WC_WITH_IMM : 0) |
			     (grh ? IBV_WC_GRH : 0);
		e.solicited = !!(w->flags & IBV_SEND_SOLICITED);
		soft_count(peer->shm, ud_delivered, ud);
		complete(q, peer, dqp, &t, &e);
	}
	give_back(peer, &t);
	return r;
}

/* Delivers the immediate data of WRITE @w, whose @len bytes are in place.  Lock as above. */
struct soft_result soft_deliver_imm(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
				    struct soft_wqe *w, uint32_t len)
{
	struct shm_cqe e = {
		.opcode = IBV_WC_RECV_RDMA_WITH_IMM,
		.stage = SOFT_NONE,
		.byte_len = len,
		.imm = w->imm,
		.wc_flags = IBV_WC_WITH_IMM,
		.solicited = !!(w->flags & IBV_SEND_SOLICITED),
	};
	struct taken t;

	if (!take(peer, dqp, &t))
		return rnr(dqp);
	complete(q, peer, dqp, &t, &e);
	give_back(peer, &t);
	return (struct soft_result){0};
}

/* Whether @dqp has a receive request at this moment. */
bool soft_rq_ready(struct soft_peer *peer, struct shm_qp *dqp)
{
	struct shm_rq *rq =
		dqp->srq == SOFT_NONE ? &dqp->rq : &peer->shm->srq[dqp->srq % SOFT_MAX_SRQ].rq;

	return atomic_load(&rq->head) != atomic_load(&rq->tail);
}
