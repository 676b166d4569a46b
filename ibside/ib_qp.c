/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_qp.c - queue pairs: life from creation to destruction (IBTA 10.3), and their completions.
 *
 * Outstanding work lies in two rings, one per queue; wr_id is the address of the slot. Send
 * completions come in order, so one releases every unsignaled slot before it. The ring has one
 * slot more than the depth: it is kept for the marker that a fence posts behind everything else,
 * whose flush completion proves that nothing is outstanding any more.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RC_TIMEOUT	 14 /* local ACK timeout: 4.096 us * 2^14 = 67 ms */
#define RC_RETRY	 6  /* transport retries; soft-RoCE takes 7 for "without limit" */
#define RC_RNR_RETRY	 7  /* without limit */
#define RC_MIN_RNR_TIMER 12 /* 0.64 ms */
#define PSN_STEP	 0x10000
#define INLINE_WISH	 192 /* a gateway line; asked for, not needed */

/* Allocates a ring of at least n slots; sets *mask. */
static struct ib_wr_slot *ring_alloc(struct ib_qp *qp, uint32_t n, enum ib_slot_kind kind,
				     uint32_t *mask)
{
	struct ib_wr_slot *ring;
	uint32_t size = 1;

	while (size < n)
		size <<= 1;
	*mask = size - 1;
	ring = calloc(size, sizeof(*ring));
	for (uint32_t i = 0; ring && i < size; i++) {
		ring[i].qp = qp;
		ring[i].kind = kind;
	}
	return ring;
}

/* Creates the verbs object, with inline data when the device has it. */
static int create(struct ib_qp *qp)
{
	struct ibv_qp_init_attr ia = {
		.qp_context = qp,
		.send_cq = qp->cq->cq,
		.recv_cq = qp->cq->cq,
		.cap = {.max_send_wr = qp->sq_depth + 1,
			.max_recv_wr = qp->rq_depth,
			.max_send_sge = qp->dev->max_sge,
			.max_recv_sge = 1,
			.max_inline_data = INLINE_WISH},
		.qp_type = qp->type,
	};

	qp->qp = ibv_create_qp(qp->dev->pd, &ia);
	if (!qp->qp) {
		ia.cap.max_send_wr = qp->sq_depth + 1;
		ia.cap.max_recv_wr = qp->rq_depth;
		ia.cap.max_send_sge = qp->dev->max_sge;
		ia.cap.max_recv_sge = 1;
		ia.cap.max_inline_data = 0;
		errno = 0;
		qp->qp = ibv_create_qp(qp->dev->pd, &ia);
	}
	if (!qp->qp)
		return errno ? errno : ENOMEM;
	qp->max_inline = ia.cap.max_inline_data;
	return 0;
}

/* RESET to INIT. */
static int to_init(struct ib_qp *qp)
{
	struct ibv_qp_attr a = {
		.qp_state = IBV_QPS_INIT,
		.pkey_index = 0,
		.port_num = qp->dev->port,
	};
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;

	if (qp->type == IBV_QPT_UD) {
		a.qkey = IB_UD_QKEY;
		mask |= IBV_QP_QKEY;
	} else {
		a.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
		mask |= IBV_QP_ACCESS_FLAGS;
	}
	return ibv_modify_qp(qp->qp, &a, mask);
}

/* UD: INIT to RTR to RTS. */
static int ud_ready(struct ib_qp *qp)
{
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_RTR};
	int rc = ibv_modify_qp(qp->qp, &a, IBV_QP_STATE);

	if (rc)
		return rc;
	a.qp_state = IBV_QPS_RTS;
	a.sq_psn = qp->psn;
	return ibv_modify_qp(qp->qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN);
}

/* A first PSN nobody can guess: packets of an earlier life of the number do not match. */
static uint32_t first_psn(struct ib_dev *d)
{
	uint32_t psn = 0;

	if (d->next_psn) {
		psn = d->next_psn;
		d->next_psn += PSN_STEP;
	} else if (getrandom(&psn, sizeof(psn), GRND_NONBLOCK) < 0)
		psn = (uint32_t)random();
	return psn & 0xffffff;
}

int ib_qp_open(struct ib_qp *qp, struct ib_dev *d, struct ib_cq *cq, enum ibv_qp_type type,
	       uint32_t sq_depth, uint32_t rq_depth, const struct ib_qp_ops *ops, void *owner)
{
	int rc;

	memset(qp, 0, sizeof(*qp));
	if (!sq_depth || sq_depth >= (uint32_t)d->attr.max_qp_wr ||
	    rq_depth > (uint32_t)d->attr.max_qp_wr || (type != IBV_QPT_UD && type != IBV_QPT_RC))
		return EINVAL;
	qp->dev = d;
	qp->cq = cq;
	qp->ops = ops;
	qp->owner = owner;
	qp->type = type;
	qp->sq_depth = sq_depth;
	qp->rq_depth = rq_depth;
	qp->psn = qp->tx_psn = first_psn(d);
	qp->mtu = UINT32_MAX;
	qp->sq = ring_alloc(qp, sq_depth + 1, IB_SLOT_SEND, &qp->sq_mask);
	qp->rq = ring_alloc(qp, rq_depth, IB_SLOT_RECV, &qp->rq_mask);
	rc = qp->sq && qp->rq ? create(qp) : ENOMEM;
	if (!rc)
		rc = to_init(qp);
	if (!rc && type == IBV_QPT_UD)
		rc = ud_ready(qp);
	if (rc)
		ib_qp_close(qp);
	return rc;
}

void ib_qp_addr(const struct ib_qp *qp, struct ib_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->lid = qp->dev->port_attr.lid;
	memcpy(a->gid, qp->dev->gid.raw, sizeof(a->gid));
	a->qpn = qp->qp->qp_num;
	a->psn = qp->psn;
	a->mtu = qp->dev->port_attr.active_mtu;
	a->rd_atomic = qp->dev->rd_atomic;
}

int ib_qp_connect(struct ib_qp *qp, const struct ib_addr *peer)
{
	uint8_t mtu = qp->dev->port_attr.active_mtu, rd = qp->dev->rd_atomic;
	struct ibv_qp_attr a = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = peer->mtu && peer->mtu < mtu ? peer->mtu : mtu,
		.dest_qp_num = peer->qpn,
		.rq_psn = peer->psn,
		.max_dest_rd_atomic = rd,
		.min_rnr_timer = RC_MIN_RNR_TIMER,
	};
	int rc;

	qp->peer = *peer;
	qp->rx_psn = peer->psn;
	qp->mtu = 128u << a.path_mtu;
	ib_addr_vector(qp->dev, peer, &a.ah_attr);
	rc = ibv_modify_qp(qp->qp, &a,
			   IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				   IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				   IBV_QP_MIN_RNR_TIMER);
	if (rc)
		return rc;
	memset(&a, 0, sizeof(a));
	a.qp_state = IBV_QPS_RTS;
	a.timeout = RC_TIMEOUT;
	a.retry_cnt = RC_RETRY;
	a.rnr_retry = RC_RNR_RETRY;
	a.sq_psn = qp->psn;
	a.max_rd_atomic = peer->rd_atomic && peer->rd_atomic < rd ? peer->rd_atomic : rd;
	return ibv_modify_qp(qp->qp, &a,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

void ib_qp_kill(struct ib_qp *qp)
{
	struct ibv_qp_attr a = {.qp_state = IBV_QPS_ERR};

	ibv_modify_qp(qp->qp, &a, IBV_QP_STATE);
}

/* Posts the last work request of a queue pair in ERR: everything else is flushed before it. */
static void post_marker(struct ib_qp *qp)
{
	struct ib_wr_slot *slot = &qp->sq[qp->sq_head & qp->sq_mask];
	struct ibv_send_wr wr =
				   {
					   .wr_id = (uintptr_t)slot,
					   .opcode = IBV_WR_SEND,
					   .send_flags = IBV_SEND_SIGNALED,
				   },
			   *bad;

	slot->what = NULL;
	if (ibv_post_send(qp->qp, &wr, &bad) == 0)
		qp->sq_signaled = ++qp->sq_head;
}

void ib_qp_fence(struct ib_qp *qp)
{
	if (qp->dead || !qp->qp)
		return;
	qp->dead = true;
	ib_qp_kill(qp);
	if (qp->type == IBV_QPT_RC) /* a UD one would need an address handle */
		post_marker(qp);
}

bool ib_qp_drained(const struct ib_qp *qp)
{
	uint32_t upto = qp->dead ? qp->sq_signaled : qp->sq_head;

	return (int32_t)(qp->sq_tail - upto) >= 0 && qp->rq_head == qp->rq_tail;
}

void ib_qp_close(struct ib_qp *qp)
{
	if (qp->qp)
		ibv_destroy_qp(qp->qp);
	free(qp->sq);
	free(qp->rq);
	qp->qp = NULL;
	qp->sq = NULL;
	qp->rq = NULL;
	qp->dead = true;
}

void ib_qp_complete(const struct ibv_wc *wc)
{
	struct ib_wr_slot *slot = (struct ib_wr_slot *)(uintptr_t)wc->wr_id;
	struct ib_qp *qp = slot->qp;
	void *what = slot->what;
	uint32_t index;

	if (slot->kind == IB_SLOT_SEND) {
		uint32_t upto;

		index = slot - qp->sq;
		upto = qp->sq_tail + ((index - qp->sq_tail) & qp->sq_mask) + 1;
		if (qp->cq->tap)
			ib_tap_sent(qp, upto, wc->status);
		qp->sq_tail = upto;
	} else {
		index = slot - qp->rq;
		qp->rq_tail += ((index - qp->rq_tail) & qp->rq_mask) + 1;
	}
	if (wc->status != IBV_WC_SUCCESS && !qp->dead) {
		ib_qp_fence(qp);
		qp->ops->dead(qp, wc->status);
	}
	if (slot->kind == IB_SLOT_RECV && wc->status == IBV_WC_SUCCESS) {
		if (qp->cq->tap)
			ib_tap_received(qp, slot, wc, qp->rx_psn);
		qp->rx_psn += ib_packets(qp, wc->byte_len);
	}
	if (slot->kind == IB_SLOT_RECV)
		qp->ops->recv(qp, what, wc);
	else if (what)
		((struct ib_op *)what)->done(what, wc->status);
}
