/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion channels and asynchronous events as the application sees them (IBTA 11.4.2, 11.6.3).
 */
#include <stdlib.h>
#include <unistd.h>

#include "soft.h"

/* Creates a completion channel; its fd works in poll and epoll.  NULL and errno on failure. */
struct ibv_comp_channel *soft_create_comp_channel(struct ibv_context *ctx)
{
	struct soft_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->evq = soft_evq_create(soft_ctx(ctx)->port, &c->ch.fd);
	if (c->evq == SOFT_NONE) {
		free(c);
		return NULL;
	}
	c->ch.context = ctx;
	return &c->ch;
}

/* Destroys a completion channel; EBUSY while a CQ uses it. */
int soft_destroy_comp_channel(struct ibv_comp_channel *ch)
{
	struct soft_channel *c = (struct soft_channel *)ch;
	struct soft_port *p = soft_ctx(ch->context)->port;
	int busy;

	pthread_mutex_lock(&p->lock);
	busy = ch->refcnt;
	pthread_mutex_unlock(&p->lock);
	if (busy)
		return EBUSY;
	soft_evq_destroy(p, c->evq);
	free(c);
	return 0;
}

/* Takes one message of a queue, waiting as its descriptor's mode says.  Returns 0 or -1. */
static int evq_wait(struct soft_port *p, int fd, uint32_t evq, uint64_t *msg)
{
	for (;;) {
		uint64_t n;
		ssize_t rc = read(fd, &n, sizeof(n));

		if (rc != sizeof(n))
			return -1;
		if (soft_evq_pop(p, evq, msg) && *msg != UINT64_MAX)
			return 0;
	}
}

/* Waits for the next completion event of @ch.  Returns 0, or -1 and errno. */
int soft_get_cq_event(struct ibv_comp_channel *ch, struct ibv_cq **cq, void **cq_context)
{
	struct soft_port *p = soft_ctx(ch->context)->port;
	struct soft_cq *c;
	uint64_t msg;

	for (;;) {
		if (evq_wait(p, ch->fd, ((struct soft_channel *)ch)->evq, &msg))
			return -1;
		c = atomic_load(&p->cqs[msg % SOFT_MAX_CQ]);
		if (c)
			break;
	}
	atomic_store(&c->shm->queued, 0);
	atomic_fetch_add(&c->events_got, 1);
	*cq = &c->cq;
	*cq_context = c->cq.cq_context;
	return 0;
}

/* Acknowledges @n completion events of @cq. */
void soft_ack_cq_events(struct ibv_cq *cq, unsigned int n)
{
	pthread_mutex_lock(&cq->mutex);
	cq->comp_events_completed += n;
	pthread_cond_signal(&cq->cond);
	pthread_mutex_unlock(&cq->mutex);
}

static bool async_resolve(struct soft_port *p, uint64_t msg, struct ibv_async_event *ev)
{
	uint32_t obj = (uint32_t)msg;

	ev->event_type = (enum ibv_event_type)(msg >> 32);
	switch (ev->event_type) {
	case IBV_EVENT_CQ_ERR: {
		struct soft_cq *c = atomic_load(&p->cqs[obj % SOFT_MAX_CQ]);

		if (c)
			atomic_fetch_add(&c->async_got, 1);
		ev->element.cq = c ? &c->cq : NULL;
		return c;
	}
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED: {
		struct soft_srq *s = atomic_load(&p->srqs[obj % SOFT_MAX_SRQ]);

		if (s)
			atomic_fetch_add(&s->async_got, 1);
		ev->element.srq = s ? &s->srq : NULL;
		return s;
	}
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_QP_LAST_WQE_REACHED: {
		struct soft_qp *q = atomic_load(&p->qps[obj % SOFT_MAX_QP]);

		if (q)
			atomic_fetch_add(&q->async_got, 1);
		ev->element.qp = q ? &q->qp : NULL;
		return q;
	}
	default:
		ev->element.port_num = (int)obj;
		return true;
	}
}

/* Waits for the next asynchronous event of @ctx.  Returns 0, or -1 and errno. */
int soft_get_async_event(struct ibv_context *ctx, struct ibv_async_event *ev)
{
	struct soft_ctx *c = soft_ctx(ctx);
	uint64_t msg;

	do {
		if (evq_wait(c->port, ctx->async_fd, c->evq, &msg))
			return -1;
	} while (!async_resolve(c->port, msg, ev));
	return 0;
}

static void ack_one(pthread_mutex_t *m, pthread_cond_t *c, uint32_t *n)
{
	pthread_mutex_lock(m);
	(*n)++;
	pthread_cond_signal(c);
	pthread_mutex_unlock(m);
}

/* Acknowledges an asynchronous event. */
void soft_ack_async_event(struct ibv_async_event *ev)
{
	switch (ev->event_type) {
	case IBV_EVENT_CQ_ERR:
		ack_one(&ev->element.cq->mutex, &ev->element.cq->cond,
			&ev->element.cq->async_events_completed);
		break;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		ack_one(&ev->element.srq->mutex, &ev->element.srq->cond,
			&ev->element.srq->events_completed);
		break;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		ack_one(&ev->element.qp->mutex, &ev->element.qp->cond,
			&ev->element.qp->events_completed);
		break;
	default:
		break;
	}
}
