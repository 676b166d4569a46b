/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared receive queues (IBTA 10.2.9).
 */
#include <stdlib.h>

#include "soft.h"

static int srq_setup(struct soft_port *p, struct soft_srq *s, uint32_t evq, uint32_t pd,
		     const struct ibv_srq_attr *a)
{
	int rc;

	for (uint32_t n = 0; n < SOFT_MAX_SRQ; n++) {
		s->idx = p->next_srq++ % SOFT_MAX_SRQ;
		s->shm = &p->shm->srq[s->idx];
		if (!s->shm->used)
			break;
		s->shm = NULL;
	}
	if (!s->shm)
		return ENOMEM;
	rc = soft_mutex_init_shared(&s->shm->lock);
	if (!rc)
		rc = soft_rq_create(p, &s->shm->rq, a->max_wr, a->max_sge);
	if (rc)
		return rc;
	s->shm->evq = evq;
	s->shm->pd = pd;
	s->shm->used = 1;
	atomic_store(&p->srqs[s->idx], s);
	return 0;
}

/* Creates a shared receive queue.  Returns NULL and errno on failure. */
struct ibv_srq *soft_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct soft_port *p = soft_ctx(pd->context)->port;
	struct soft_srq *s;
	int rc;

	if (!attr->attr.max_wr || attr->attr.max_wr > SOFT_MAX_WR ||
	    attr->attr.max_sge > SOFT_MAX_SGE) {
		errno = EINVAL;
		return NULL;
	}
	if (!attr->attr.max_sge)
		attr->attr.max_sge = 1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->port = p;
	s->max_wr = attr->attr.max_wr;
	s->srq.context = pd->context;
	s->srq.srq_context = attr->srq_context;
	s->srq.pd = pd;
	pthread_mutex_init(&s->srq.mutex, NULL);
	pthread_cond_init(&s->srq.cond, NULL);
	pthread_mutex_init(&s->post_lock, NULL);
	pthread_mutex_lock(&p->lock);
	rc = srq_setup(p, s, soft_ctx(pd->context)->evq, soft_pd(pd)->id, &attr->attr);
	pthread_mutex_unlock(&p->lock);
	if (rc) {
		free(s);
		errno = rc;
		return NULL;
	}
	s->srq.handle = s->idx;
	atomic_fetch_add(&soft_pd(pd)->users, 1);
	return &s->srq;
}

/* Arms the limit event; resizing is not supported.  Returns 0 or errno. */
int soft_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask)
{
	struct soft_srq *s = (struct soft_srq *)srq;

	if (mask & IBV_SRQ_MAX_WR)
		return EOPNOTSUPP;
	if (!(mask & IBV_SRQ_LIMIT))
		return 0;
	if (attr->srq_limit > s->max_wr)
		return EINVAL;
	soft_lock(&s->shm->lock);
	s->shm->rq.limit = attr->srq_limit;
	soft_unlock(&s->shm->lock);
	return 0;
}

/* Tells the queue's size and armed limit. */
int soft_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr)
{
	struct soft_srq *s = (struct soft_srq *)srq;

	attr->max_wr = s->max_wr;
	attr->max_sge = s->shm->rq.max_sge;
	attr->srq_limit = s->shm->rq.limit;
	return 0;
}

/* Destroys a shared receive queue; EBUSY while queue pairs use it. */
int soft_destroy_srq(struct ibv_srq *srq)
{
	struct soft_srq *s = (struct soft_srq *)srq;
	struct soft_port *p = s->port;

	if (atomic_load(&s->users))
		return EBUSY;
	soft_evq_purge(p, s->shm->evq, (uint64_t)IBV_EVENT_SRQ_LIMIT_REACHED << 32 | s->idx,
		       UINT64_MAX);
	pthread_mutex_lock(&srq->mutex);
	while (srq->events_completed != atomic_load(&s->async_got))
		pthread_cond_wait(&srq->cond, &srq->mutex);
	pthread_mutex_unlock(&srq->mutex);
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->srqs[s->idx], NULL);
	soft_rq_destroy(p, &s->shm->rq);
	s->shm->used = 0;
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_sub(&soft_pd(srq->pd)->users, 1);
	pthread_mutex_destroy(&s->post_lock);
	pthread_mutex_destroy(&srq->mutex);
	pthread_cond_destroy(&srq->cond);
	free(s);
	return 0;
}

/* Posts receive requests.  Returns 0, or errno and the first one refused in *@bad. */
int soft_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct soft_srq *s = (struct soft_srq *)srq;
	int rc = 0;

	pthread_mutex_lock(&s->post_lock);
	for (; wr; wr = wr->next) {
		rc = soft_rq_put(s->port, &s->shm->rq, s->max_wr, wr);
		if (rc) {
			*bad = wr;
			break;
		}
	}
	pthread_mutex_unlock(&s->post_lock);
	return rc;
}
