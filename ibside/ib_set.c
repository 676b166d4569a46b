/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_set.c - the set of queue pairs of a host and a worker: its life, and messages on their way in.
 *
 * A receive buffer is posted again as soon as the owner has seen its message, and before
 * credits are told, so credits told are always buffers posted. The set is as dead as
 * either of its queue pairs.
 */
#include "ibside/ib_set_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Posts the receive buffer at addr. */
static int post_buf(struct ib_set *s, void *addr)
{
	return ib_qp_recv(&s->ctl, addr, IB_MSG_MAX, s->impl->mem.mr->lkey, addr);
}

/* A message came, or its buffer was flushed. */
static void on_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct ib_set *s = qp->owner;
	struct ib_set_impl *p = s->impl;
	const struct ib_bsdh *h = cookie;
	uint32_t bytes = wc->byte_len;
	uint8_t mid;
	int n;

	if (wc->status != IBV_WC_SUCCESS)
		return;
	if (wc->opcode != IBV_WC_RECV) /* a WRITE with immediate data: nothing is in the buffer */
		bytes = 0;
	n = ib_msg_check(h, bytes);
	if (!ib_credit_take(&p->credit, bytes >= sizeof(*h) ? h : NULL))
		n = -1;
	mid = bytes ? h->mid : 0;
	if (s->ops->from && !(s->ops->from & ib_mid_senders(mid)))
		n = -1;
	if (n < 0)
		s->ops->bad(s, mid, bytes);
	else if (n > 0)
		s->ops->msg(s, mid, h + 1, n);
	if (s->dead)
		return;
	if (post_buf(s, cookie) && !s->dead) {
		p->killed = true;
		ib_qp_kill(&s->ctl);
	}
	if (p->blocked || ib_credit_due(&p->credit, s->ctl.rq_head - s->ctl.rq_tail))
		ib_set_pump(s);
}

/* One of the two failed; the other follows. */
static void on_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct ib_set *s = qp->owner;

	if (s->dead)
		return;
	ib_set_fence(s);
	s->ops->dead(s, s->impl->killed ? IBV_WC_GENERAL_ERR : status);
}

/* Nothing is received on the queue pair of READs. */
static void on_rd_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
}

static const struct ib_qp_ops ctl_ops = {.recv = on_recv, .dead = on_dead};
static const struct ib_qp_ops rd_ops = {.recv = on_rd_recv, .dead = on_dead};

int ib_set_open(struct ib_set *s, struct ib_dev *d, struct ib_cq *cq, uint32_t sq_depth,
		const struct ib_set_ops *ops, void *owner)
{
	struct ib_set_impl *p;
	int rc;

	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->owner = owner;
	p = s->impl = calloc(1, sizeof(*p));
	if (!p)
		return ENOMEM;
	ib_credit_init(&p->credit);
	rc = ib_msgq_open(&p->queue);
	if (!rc)
		rc = ib_mem_alloc(&p->mem, d, 2 * IB_SET_BUFS * IB_MSG_MAX, IBV_ACCESS_LOCAL_WRITE);
	if (!rc)
		rc = ib_qp_open(&s->ctl, d, cq, IBV_QPT_RC, sq_depth + IB_SET_BUFS, IB_SET_BUFS,
				&ctl_ops, s);
	if (!rc)
		rc = ib_qp_open(&s->rd, d, cq, IBV_QPT_RC, sq_depth, 0, &rd_ops, s);
	s->ctl.messages = true;
	for (size_t i = 0; !rc && i < IB_SET_BUFS; i++)
		rc = post_buf(s, (uint8_t *)p->mem.addr + i * IB_MSG_MAX);
	if (rc)
		ib_set_close(s);
	return rc;
}

int ib_set_connect(struct ib_set *s, const struct ib_addr addr[2])
{
	int rc = ib_qp_connect(&s->ctl, &addr[0]);

	if (rc == 0)
		ib_tap_connect(&s->ctl);
	return rc ? rc : ib_qp_connect(&s->rd, &addr[1]);
}

void ib_set_addr(const struct ib_set *s, struct ib_addr addr[2])
{
	ib_qp_addr(&s->ctl, &addr[0]);
	ib_qp_addr(&s->rd, &addr[1]);
}

void ib_set_fence(struct ib_set *s)
{
	s->dead = true;
	ib_qp_fence(&s->ctl);
	ib_qp_fence(&s->rd);
}

bool ib_set_drained(const struct ib_set *s)
{
	return ib_qp_drained(&s->ctl) && ib_qp_drained(&s->rd);
}

void ib_set_close(struct ib_set *s)
{
	if (!s->impl)
		return;
	ib_qp_close(&s->ctl);
	ib_qp_close(&s->rd);
	ib_mem_free(&s->impl->mem);
	ib_msgq_close(&s->impl->queue);
	free(s->impl);
	s->impl = NULL;
	s->dead = true;
}
