/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Creating and destroying queue pairs (IBTA 11.2.4).
 */
#include <stdlib.h>

#include "soft.h"

static int cap_check(struct ibv_qp_cap *c, bool has_srq)
{
	if (c->max_send_wr > soft_limits.wr || c->max_recv_wr > soft_limits.wr ||
	    c->max_send_sge > soft_limits.sge || c->max_recv_sge > soft_limits.sge ||
	    c->max_inline_data > soft_limits.inl)
		return EINVAL;
	if (!c->max_send_wr)
		c->max_send_wr = 1;
	if (!c->max_send_sge)
		c->max_send_sge = 1;
	if (!c->max_recv_wr || has_srq)
		c->max_recv_wr = has_srq ? 0 : 1;
	if (!c->max_recv_sge)
		c->max_recv_sge = 1;
	return 0;
}

/* Private half: the send queue. */
static int qp_alloc_sq(struct soft_qp *q)
{
	uint32_t n = 1;

	while (n < q->cap.max_send_wr)
		n <<= 1;
	q->sq_mask = n - 1;
	q->wqe = calloc(n, sizeof(*q->wqe));
	q->sge = calloc((size_t)n * q->cap.max_send_sge, sizeof(*q->sge));
	q->inl = q->cap.max_inline_data ? calloc(n, q->cap.max_inline_data) : NULL;
	return q->wqe && q->sge && (q->inl || !q->cap.max_inline_data) ? 0 : ENOMEM;
}

/* Shared half: a slot with a fresh number.  Caller holds the port's lock. */
static int qp_setup(struct soft_port *p, struct soft_qp *q, uint32_t pd)
{
	struct shm_qp *s = NULL;
	uint32_t qpn;
	int rc = 0;

	for (uint32_t n = 0; n < SOFT_MAX_QP - 2; n++) {
		q->idx = p->next_qp = p->next_qp < 2 || p->next_qp == SOFT_MAX_QP - 1
					      ? 2
					      : p->next_qp + 1; /* 0 and 1 are the managers' */
		s = &p->shm->qp[q->idx];
		if (!p->qps[q->idx])
			break;
		s = NULL;
	}
	if (!s)
		return ENOMEM;
	if (!s->ready)
		rc = soft_mutex_init_shared(&s->lock);
	if (!rc)
		rc = soft_rq_create(p, &s->rq, q->srq ? 1 : q->cap.max_recv_wr,
				    q->cap.max_recv_sge);
	if (rc)
		return rc;
	s->ready = 1;
	s->type = q->qp.qp_type;
	s->pd = pd;
	s->access = s->qkey = s->dest_qpn = s->dest_lid = s->min_rnr = s->max_dest_rd = 0;
	s->srq = q->srq ? q->srq->idx : SOFT_NONE;
	s->recv_cq = q->rcq->idx;
	s->evq = q->ctx->evq;
	atomic_store(&s->state, IBV_QPS_RESET);
	qpn = (++p->qp_gen[q->idx] & 0x3ff) << SOFT_QPN_IDX_BITS | q->idx;
	q->shm = s;
	q->qp.qp_num = qpn;
	q->qp.handle = q->idx;
	atomic_store(&p->qps[q->idx], q);
	atomic_store_explicit(&s->qpn, qpn, memory_order_release);
	return 0;
}

static void qp_free(struct soft_qp *q)
{
	pthread_mutex_destroy(&q->sq_lock);
	pthread_mutex_destroy(&q->rq_lock);
	pthread_mutex_destroy(&q->qp.mutex);
	pthread_cond_destroy(&q->qp.cond);
	free(q->wqe);
	free(q->sge);
	free(q->inl);
	free(q);
}

static struct soft_qp *qp_new(struct ibv_pd *pd, const struct ibv_qp_init_attr *a)
{
	struct soft_qp *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->ctx = soft_ctx(pd->context);
	q->port = q->ctx->port;
	q->qp.context = pd->context;
	q->qp.qp_context = a->qp_context;
	q->qp.pd = pd;
	q->qp.send_cq = a->send_cq;
	q->qp.recv_cq = a->recv_cq;
	q->qp.srq = a->srq;
	q->qp.qp_type = a->qp_type;
	q->qp.state = IBV_QPS_RESET;
	q->scq = soft_cq(a->send_cq);
	q->rcq = soft_cq(a->recv_cq);
	q->srq = (struct soft_srq *)a->srq;
	q->sig_all = a->sq_sig_all;
	q->cap = a->cap;
	q->attr.path_mtu = IBV_MTU_4096;
	pthread_mutex_init(&q->sq_lock, NULL);
	pthread_mutex_init(&q->rq_lock, NULL);
	pthread_mutex_init(&q->qp.mutex, NULL);
	pthread_cond_init(&q->qp.cond, NULL);
	return q;
}

/* Creates a queue pair; the capabilities granted are written back.  NULL and errno on failure. */
struct ibv_qp *soft_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct soft_port *p = soft_ctx(pd->context)->port;
	struct soft_qp *q;
	int rc;

	if (attr->qp_type != IBV_QPT_RC && attr->qp_type != IBV_QPT_UC &&
	    attr->qp_type != IBV_QPT_UD) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	rc = attr->send_cq && attr->recv_cq ? cap_check(&attr->cap, attr->srq) : EINVAL;
	if (rc) {
		errno = rc;
		return NULL;
	}
	q = qp_new(pd, attr);
	if (!q)
		return NULL;
	rc = qp_alloc_sq(q);
	pthread_mutex_lock(&p->lock);
	if (!rc)
		rc = qp_setup(p, q, soft_pd(pd)->id);
	pthread_mutex_unlock(&p->lock);
	if (rc) {
		qp_free(q);
		errno = rc;
		return NULL;
	}
	atomic_fetch_add(&soft_pd(pd)->users, 1);
	atomic_fetch_add(&q->scq->users, 1);
	atomic_fetch_add(&q->rcq->users, 1);
	if (q->srq)
		atomic_fetch_add(&q->srq->users, 1);
	return &q->qp;
}

/* Creates a queue pair from extended attributes, with ibv_wr_* if asked for. */
struct ibv_qp *soft_create_qp_ex(struct ibv_context *ctx, struct ibv_qp_init_attr_ex *attr)
{
	const uint32_t known = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS |
			       IBV_QP_INIT_ATTR_CREATE_FLAGS;
	const uint64_t ops = IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
			     IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
			     IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
			     IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
	bool ex = attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	struct ibv_qp *qp;

	(void)ctx;
	if ((attr->comp_mask & ~known) || !(attr->comp_mask & IBV_QP_INIT_ATTR_PD) ||
	    ((attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS) && attr->create_flags) ||
	    (ex && (attr->send_ops_flags & ~ops))) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	/* The extended attributes begin as the plain ones. */
	qp = soft_create_qp(attr->pd, (struct ibv_qp_init_attr *)attr);
	if (qp && ex)
		soft_wr_ops(soft_qp(qp), attr->send_ops_flags);
	return qp;
}

static void qp_purge_events(struct soft_qp *q)
{
	static const enum ibv_event_type ev[] = {
		IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR,
		IBV_EVENT_COMM_EST, IBV_EVENT_SQ_DRAINED, IBV_EVENT_QP_LAST_WQE_REACHED,
	};

	for (size_t i = 0; i < sizeof(ev) / sizeof(ev[0]); i++)
		soft_evq_purge(q->port, q->ctx->evq, (uint64_t)ev[i] << 32 | q->idx, UINT64_MAX);
}

/* Destroys a queue pair.  No peer touches it, and its completions are gone, when it returns. */
int soft_destroy_qp(struct ibv_qp *qp)
{
	struct soft_qp *q = soft_qp(qp);
	struct soft_port *p = q->port;

	pthread_mutex_lock(&q->sq_lock);
	soft_stall_end(q);
	soft_lock(&q->shm->lock);
	soft_qp_set_state(p->self, q->shm, IBV_QPS_RESET);
	atomic_store(&q->shm->qpn, 0);
	soft_unlock(&q->shm->lock);
	pthread_mutex_unlock(&q->sq_lock);
	qp_purge_events(q);
	pthread_mutex_lock(&qp->mutex);
	while (qp->events_completed != atomic_load(&q->async_got))
		pthread_cond_wait(&qp->cond, &qp->mutex);
	pthread_mutex_unlock(&qp->mutex);
	soft_cq_purge(q->scq, qp->qp_num);
	if (q->rcq != q->scq)
		soft_cq_purge(q->rcq, qp->qp_num);
	pthread_mutex_lock(&p->lock);
	soft_rq_destroy(p, &q->shm->rq);
	atomic_store(&p->qps[q->idx], NULL);
	pthread_mutex_unlock(&p->lock);
	soft_peer_put(p, q->peer);
	atomic_fetch_sub(&soft_pd(qp->pd)->users, 1);
	atomic_fetch_sub(&q->scq->users, 1);
	atomic_fetch_sub(&q->rcq->users, 1);
	if (q->srq)
		atomic_fetch_sub(&q->srq->users, 1);
	qp_free(q);
	return 0;
}
