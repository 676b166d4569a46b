/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of queue pairs (IBTA 10.3.1) and their attributes.
 */
#include "soft.h"

/*
 * The one place where a queue pair changes state.  @qp is in the arena of @peer, which may be the
 * caller's own; its lock is held.  Entering ERR flushes the receive queue.  The send queue is the
 * owner's alone: it flushes that when it next looks at it.
 */
void soft_qp_set_state(struct soft_peer *peer, struct shm_qp *qp, enum ibv_qp_state state)
{
	uint32_t old = atomic_exchange(&qp->state, state);

	if (state == IBV_QPS_ERR) {
		soft_rq_flush(peer, qp);
		if (qp->srq != SOFT_NONE && old != IBV_QPS_ERR && old != IBV_QPS_RESET)
			soft_async(peer, qp->evq, IBV_EVENT_QP_LAST_WQE_REACHED,
				   SOFT_QPN_IDX(atomic_load(&qp->qpn)));
	}
}

static int attr_valid(struct soft_qp *q, const struct ibv_qp_attr *a, int mask)
{
	const uint32_t acc = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
			     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;

	if ((mask & IBV_QP_PORT) && a->port_num != 1)
		return EINVAL;
	if ((mask & IBV_QP_PKEY_INDEX) && a->pkey_index)
		return EINVAL;
	if ((mask & IBV_QP_PATH_MTU) && (a->path_mtu < IBV_MTU_256 || a->path_mtu > IBV_MTU_4096))
		return EINVAL;
	if ((mask & IBV_QP_ACCESS_FLAGS) && (a->qp_access_flags & ~acc))
		return EINVAL;
	if ((mask & IBV_QP_RETRY_CNT) && a->retry_cnt > 7)
		return EINVAL;
	if ((mask & IBV_QP_RNR_RETRY) && a->rnr_retry > 7)
		return EINVAL;
	if ((mask & IBV_QP_TIMEOUT) && a->timeout > 31)
		return EINVAL;
	if ((mask & IBV_QP_MIN_RNR_TIMER) && a->min_rnr_timer > 31)
		return EINVAL;
	if ((mask & IBV_QP_DEST_QPN) && a->dest_qp_num > 0xffffff)
		return EINVAL;
	if ((mask & IBV_QP_AV) && q->qp.qp_type != IBV_QPT_UD &&
	    (a->ah_attr.port_num != 1 || (a->ah_attr.is_global && a->ah_attr.grh.sgid_index)))
		return EINVAL;
	if (mask & (IBV_QP_ALT_PATH | IBV_QP_PATH_MIG_STATE))
		return EOPNOTSUPP;
	return 0;
}

/* Copies what @mask names into the QP and what peers need of it into the arena. */
static void attr_apply(struct soft_qp *q, const struct ibv_qp_attr *a, int mask)
{
	struct ibv_qp_attr *t = &q->attr;
	struct shm_qp *s = q->shm;

#define TAKE(bit, field)                     \
	do {                                 \
		if (mask & (bit))            \
			t->field = a->field; \
	} while (0)
	TAKE(IBV_QP_PKEY_INDEX, pkey_index);
	TAKE(IBV_QP_PORT, port_num);
	TAKE(IBV_QP_QKEY, qkey);
	TAKE(IBV_QP_ACCESS_FLAGS, qp_access_flags);
	TAKE(IBV_QP_AV, ah_attr);
	TAKE(IBV_QP_PATH_MTU, path_mtu);
	TAKE(IBV_QP_DEST_QPN, dest_qp_num);
	TAKE(IBV_QP_RQ_PSN, rq_psn);
	TAKE(IBV_QP_SQ_PSN, sq_psn);
	TAKE(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic);
	TAKE(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic);
	TAKE(IBV_QP_MIN_RNR_TIMER, min_rnr_timer);
	TAKE(IBV_QP_TIMEOUT, timeout);
	TAKE(IBV_QP_RETRY_CNT, retry_cnt);
	TAKE(IBV_QP_RNR_RETRY, rnr_retry);
#undef TAKE
	s->qkey = t->qkey;
	s->access = t->qp_access_flags;
	s->dest_qpn = t->dest_qp_num;
	s->dest_lid = soft_av_lid(&t->ah_attr);
	s->min_rnr = t->min_rnr_timer;
	s->max_dest_rd = t->max_dest_rd_atomic;
}

/* Back to RESET: both queues empty, unpolled completions withdrawn, peer let go. */
static void qp_reset(struct soft_qp *q)
{
	struct soft_peer *peer = q->peer;

	q->sq_prod = q->sq_exec = 0;
	atomic_store(&q->sq_done, 0);
	atomic_store(&q->stall, SOFT_STALL_NONE);
	q->peer = NULL;
	soft_lock(&q->shm->lock);
	soft_qp_set_state(q->port->self, q->shm, IBV_QPS_RESET);
	atomic_store(&q->shm->rq.head, atomic_load(&q->shm->rq.tail));
	soft_unlock(&q->shm->lock);
	soft_cq_purge(q->scq, q->qp.qp_num);
	if (q->rcq != q->scq)
		soft_cq_purge(q->rcq, q->qp.qp_num);
	atomic_store(&q->sq_done, 0);
	soft_peer_put(q->port, peer);
}

/* Changes attributes and state.  Returns 0 or errno. */
int soft_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	struct soft_qp *q = soft_qp(qp);
	enum ibv_qp_state from, to;
	int rc;

	pthread_mutex_lock(&q->sq_lock);
	from = (enum ibv_qp_state)atomic_load(&q->shm->state);
	to = mask & IBV_QP_STATE ? attr->qp_state : from;
	rc = (mask & IBV_QP_CUR_STATE) && attr->cur_qp_state != from ? EINVAL : 0;
	if (!rc)
		rc = soft_qp_mask_ok(qp->qp_type, from, to, mask);
	if (!rc)
		rc = attr_valid(q, attr, mask);
	if (rc)
		goto out;
	if (to == IBV_QPS_RESET) {
		qp_reset(q);
	} else {
		soft_lock(&q->shm->lock);
		attr_apply(q, attr, mask);
		if (mask & IBV_QP_SQ_PSN)
			q->cap_psn = attr->sq_psn & 0xffffff;
		if (to == IBV_QPS_RTR && from != to)
			q->cap_msn = 0;
		if (soft_unlikely(soft_pcap_cm) && to == IBV_QPS_RTR && from != to &&
		    qp->qp_type == IBV_QPT_RC)
			soft_capture_connect(q);
		soft_qp_set_state(q->port->self, q->shm, to);
		soft_unlock(&q->shm->lock);
	}
	if (to == IBV_QPS_RTR && qp->qp_type != IBV_QPT_UD && !q->peer)
		q->peer = soft_peer_get(q->port, q->shm->dest_lid); /* or at the first send */
	if (to == IBV_QPS_SQD && from == IBV_QPS_RTS && (mask & IBV_QP_EN_SQD_ASYNC_NOTIFY) &&
	    attr->en_sqd_async_notify)
		soft_async(q->port->self, q->ctx->evq, IBV_EVENT_SQ_DRAINED, q->idx);
	if (mask & IBV_QP_STATE)
		qp->state = to;
	soft_sq_kick(q);
out:
	pthread_mutex_unlock(&q->sq_lock);
	return rc;
}

/* Tells all attributes, whatever @mask says. */
int soft_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init)
{
	struct soft_qp *q = soft_qp(qp);

	(void)mask;
	pthread_mutex_lock(&q->sq_lock);
	*attr = q->attr;
	attr->qp_state = attr->cur_qp_state = (enum ibv_qp_state)atomic_load(&q->shm->state);
	attr->cap = q->cap;
	attr->path_mig_state = IBV_MIG_MIGRATED;
	qp->state = attr->qp_state;
	pthread_mutex_unlock(&q->sq_lock);
	if (init) {
		memset(init, 0, sizeof(*init));
		init->qp_context = qp->qp_context;
		init->send_cq = qp->send_cq;
		init->recv_cq = qp->recv_cq;
		init->srq = qp->srq;
		init->cap = q->cap;
		init->qp_type = qp->qp_type;
		init->sq_sig_all = q->sig_all;
	}
	return 0;
}
