/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_set_send.c - messages on their way out of a set.
 *
 * Entries of one kind that wait behind each other become one message, in the next of IB_SET_BUFS
 * send buffers. Every eighth SEND is signaled and gives back the buffers before it.
 */
#include "ibside/ib_set_impl.h"

#include <errno.h>
#include <string.h>

#define SIGNAL_EVERY 8 /* a power of two, less than IB_SET_BUFS */

/* A signaled SEND is done, and so are those before it. */
static void tx_done(struct ib_op *op, enum ibv_wc_status status)
{
	struct ib_set_tx *tx = (struct ib_set_tx *)op;

	tx->set->impl->tx_tail = tx->pos + 1;
	if (status == IBV_WC_SUCCESS && tx->set->impl->blocked)
		ib_set_pump(tx->set);
}

/* The next send buffer. */
static uint8_t *tx_buf(struct ib_set_impl *p)
{
	uint32_t i = p->tx_head % IB_SET_BUFS;

	return (uint8_t *)p->mem.addr + (size_t)(IB_SET_BUFS + i) * IB_MSG_MAX;
}

/* Sends the next buffer: `body` bytes of entries lie behind the room of the header. */
static void send_buf(struct ib_set *s, uint8_t mid, uint32_t body)
{
	struct ib_set_impl *p = s->impl;
	struct ib_set_tx *tx = &p->tx[p->tx_head % IB_SET_BUFS];
	struct ib_bsdh *h = (struct ib_bsdh *)tx_buf(p);
	struct ibv_sge sge = {
		.addr = (uintptr_t)h,
		.length = sizeof(*h) + body,
		.lkey = p->mem.mr->lkey,
	};
	bool signal = (p->tx_head + 1) % SIGNAL_EVERY == 0;

	memset(h, 0, sizeof(*h));
	h->mid = mid;
	h->len = htobe32(sge.length);
	ib_credit_stamp(&p->credit, s->ctl.rq_head - s->ctl.rq_tail, h);
	tx->op.done = tx_done;
	tx->set = s;
	tx->pos = p->tx_head++;
	if (ib_qp_send(&s->ctl, &sge, 1, signal ? &tx->op : NULL) && !s->dead) {
		p->killed = true;
		ib_qp_kill(&s->ctl);
	}
}

/* True when a message may go now, leaving `keep` credits. */
static bool may_send(struct ib_set *s, uint32_t keep)
{
	struct ib_set_impl *p = s->impl;

	return ib_credit_room(&p->credit) > keep && ib_qp_room(&s->ctl) > 0 &&
	       p->tx_head - p->tx_tail < IB_SET_BUFS;
}

void ib_set_pump(struct ib_set *s)
{
	struct ib_set_impl *p = s->impl;
	uint32_t body;
	uint8_t mid;

	p->blocked = false;
	while (!s->dead && !p->killed && ib_msgq_bytes(&p->queue)) {
		if (!may_send(s, 1)) {
			p->blocked = true;
			break;
		}
		body = ib_msgq_take(&p->queue, &mid, tx_buf(p) + sizeof(struct ib_bsdh),
				    IB_MSG_MAX - sizeof(struct ib_bsdh));
		if (body)
			send_buf(s, mid, body);
	}
	if (s->dead || p->killed || !ib_credit_due(&p->credit, s->ctl.rq_head - s->ctl.rq_tail))
		return;
	if (may_send(s, 0))
		send_buf(s, IB_MID_CREDIT, 0);
	else
		p->blocked = true;
}

int ib_set_msg(struct ib_set *s, uint8_t mid, const void *entry)
{
	uint32_t size = ib_msg_entry_size(mid);
	int rc;

	if (s->dead)
		return EPIPE;
	if (!size)
		return EINVAL;
	if (s->impl->killed)
		return ENOBUFS;
	rc = ib_msgq_put(&s->impl->queue, mid, entry, size);
	if (rc == ENOBUFS) {
		s->impl->killed = true;
		ib_qp_kill(&s->ctl);
	}
	return rc;
}

void ib_set_flush(struct ib_set *s)
{
	if (s->impl && !s->dead)
		ib_set_pump(s);
}

uint32_t ib_set_waiting(const struct ib_set *s)
{
	return s->impl ? ib_msgq_bytes(&s->impl->queue) : 0;
}
