/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams that faults hold up: late ones, second copies, and those that are to be overtaken by
 * the next one of their queue pair.  They are copies, with what delivery needs of their sender, so
 * that this may end before they arrive.  The helper thread delivers them.
 */
#include <stdlib.h>

#include "soft.h"

#define HELD_MAX 8192u /* more are lost */

struct held {
	struct held *next;  /* in the order they were sent */
	uint64_t when;	    /* it arrives then, at the latest */
	bool overtaken;	    /* or behind the next datagram of its queue pair */
	struct soft_qp q;   /* stands for the sender: type, number and port are set */
	struct soft_wqe w;  /* the request, without its memory */
	uint32_t lid;	    /* where it goes */
	uint32_t qkey;	    /* it carries */
	bool has_grh;	    /* grh is set */
	struct ibv_grh grh; /* it carries */
	uint32_t len;	    /* bytes of data */
	uint8_t data[];	    /* payload */
};

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *held, **held_tail = &held; /* under held_lock */
static _Atomic uint32_t nheld;

/* Keeps a copy of a datagram until @when_ns, or with @overtaken until the next one. */
void soft_defer(struct soft_qp *q, struct soft_wqe *w, struct soft_vec *v,
		const struct ibv_grh *grh, uint32_t qkey, uint64_t when_ns, bool overtaken)
{
	struct held *h = NULL;

	if (atomic_load(&nheld) < HELD_MAX)
		h = calloc(1, sizeof(*h) + v->len);
	if (!h) {
		soft_count(q->port->shm, ud_lost, 1);
		return;
	}
	h->when = when_ns;
	h->overtaken = overtaken;
	h->q.qp.qp_type = q->qp.qp_type;
	h->q.qp.qp_num = q->qp.qp_num;
	h->q.port = q->port;
	h->w = *w;
	h->lid = w->ah->lid;
	h->w.ah = NULL;
	h->qkey = qkey;
	h->has_grh = grh;
	if (grh)
		h->grh = *grh;
	for (uint32_t i = 0; i < v->n; i++) {
		memcpy(h->data + h->len, v->seg[i].here, v->seg[i].len);
		h->len += v->seg[i].len;
	}
	pthread_mutex_lock(&held_lock);
	*held_tail = h;
	held_tail = &h->next;
	pthread_mutex_unlock(&held_lock);
	atomic_fetch_add(&nheld, 1);
	soft_watch_timer(when_ns);
}

/* Takes the first one of @p that is due at @now, or with @qpn one that this has overtaken.  In
 * *@next, if that is later and comes first, when the next one is due. */
static struct held *pick(struct soft_port *p, uint64_t now, uint32_t qpn, uint64_t *next)
{
	struct held **pp, *h;

	pthread_mutex_lock(&held_lock);
	for (pp = &held; (h = *pp); pp = &h->next) {
		if (h->q.port != p)
			continue;
		if (qpn ? h->overtaken && h->q.qp.qp_num == qpn : h->when <= now)
			break;
		if (!*next || h->when < *next)
			*next = h->when;
	}
	if (h) {
		*pp = h->next;
		if (held_tail == &h->next)
			held_tail = pp;
	}
	pthread_mutex_unlock(&held_lock);
	if (h)
		atomic_fetch_sub(&nheld, 1);
	return h;
}

static void arrive(struct held *h)
{
	struct soft_port *p = h->q.port;
	struct soft_peer *peer = soft_peer_get(p, h->lid);
	struct soft_vec v = {.n = h->len > 0, .len = h->len};

	v.seg[0].here = h->data;
	v.seg[0].len = h->len;
	if (peer)
		soft_ud_arrive(&h->q, peer, &h->w, &v, h->has_grh ? &h->grh : NULL, h->qkey);
	else
		soft_count(p->shm, ud_unroutable, 1);
	soft_peer_put(p, peer);
	free(h);
}

/* Queue pair @qpn of @p has sent a datagram: those held for that follow it. */
void soft_defer_overtake(struct soft_port *p, uint32_t qpn)
{
	uint64_t next = 0;
	struct held *h;

	while (atomic_load(&nheld) && (h = pick(p, 0, qpn, &next)))
		arrive(h);
}

/* Helper thread: delivers what is due of @p.  Returns when the next one is, or 0. */
uint64_t soft_defer_progress(struct soft_port *p)
{
	uint64_t next = 0;
	struct held *h;

	if (!atomic_load(&nheld))
		return 0;
	while ((h = pick(p, soft_now(), 0, &next))) {
		arrive(h);
		next = 0;
	}
	return next;
}

/* Port @p is closing: what it sent and has not arrived is lost. */
void soft_defer_drop(struct soft_port *p)
{
	uint64_t next = 0;
	struct held *h;

	while ((h = pick(p, UINT64_MAX, 0, &next)))
		free(h);
}
