/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_qp_post.c - posting work requests (IBTA 10.8, 11.4.1).
 *
 * A request without an op is unsignaled, but every quarter of the ring one is signaled, so the
 * ring never fills with requests that nothing would release. Small SENDs and WRITEs go
 * inline where the device can: it then needs not fetch them from memory.
 */
#include "ibside/ib_impl.h"

#include <errno.h>

/* Bytes of a scatter/gather list. */
static uint64_t sge_bytes(const struct ibv_sge *sge, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += sge[i].length;
	return sum;
}

/* ibv_post_*() returns an errno, or -1 from providers of old. */
static int post_error(int rc)
{
	if (rc < 0)
		rc = errno ? errno : EIO;
	return rc;
}

/* Fills in what all kinds share, posts, and accounts for the slot. */
static int post(struct ib_qp *qp, struct ibv_send_wr *wr, struct ibv_sge *sge, int n,
		struct ib_op *op)
{
	struct ib_wr_slot *slot = &qp->sq[qp->sq_head & qp->sq_mask];
	bool read = wr->opcode == IBV_WR_RDMA_READ, signaled;
	struct ibv_send_wr *bad;
	uint64_t bytes;
	int rc;

	if (qp->dead)
		return EPIPE;
	if (ib_qp_room(qp) == 0)
		return ENOBUFS;
	if (n < 0 || (uint32_t)n > (read ? qp->dev->max_sge_rd : qp->dev->max_sge))
		return EINVAL;
	signaled = op || (qp->sq_head + 1 - qp->sq_signaled) * 4 >= qp->sq_depth;
	slot->what = op;
	wr->wr_id = (uintptr_t)slot;
	wr->sg_list = sge;
	wr->num_sge = n;
	if (signaled)
		wr->send_flags |= IBV_SEND_SIGNALED;
	bytes = sge_bytes(sge, n);
	if (!read && qp->max_inline && bytes <= qp->max_inline)
		wr->send_flags |= IBV_SEND_INLINE;
	rc = ibv_post_send(qp->qp, wr, &bad);
	if (rc)
		return post_error(rc);
	slot->psn = qp->tx_psn;
	qp->tx_psn += ib_packets(qp, bytes);
	if (qp->cq->tap)
		ib_tap_posted(qp, slot, wr, (uint32_t)bytes);
	qp->sq_head++;
	if (signaled)
		qp->sq_signaled = qp->sq_head;
	return 0;
}

int ib_qp_recv(struct ib_qp *qp, void *addr, uint32_t len, uint32_t lkey, void *cookie)
{
	struct ib_wr_slot *slot = &qp->rq[qp->rq_head & qp->rq_mask];
	struct ibv_sge sge = {.addr = (uintptr_t)addr, .length = len, .lkey = lkey};
	struct ibv_recv_wr wr = {.wr_id = (uintptr_t)slot, .sg_list = &sge, .num_sge = 1}, *bad;
	int rc;

	if (qp->dead)
		return EPIPE;
	if (qp->rq_head - qp->rq_tail >= qp->rq_depth)
		return ENOBUFS;
	slot->what = cookie;
	slot->addr = addr;
	rc = ibv_post_recv(qp->qp, &wr, &bad);
	if (rc)
		return post_error(rc);
	qp->rq_head++;
	return 0;
}

int ib_qp_send_ud(struct ib_qp *qp, struct ibv_ah *ah, uint32_t qpn, struct ibv_sge *sge, int n,
		  struct ib_op *op)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND,
		.wr.ud = {.ah = ah, .remote_qpn = qpn, .remote_qkey = IB_UD_QKEY},
	};

	if (sge_bytes(sge, n) > qp->dev->mtu)
		return EMSGSIZE;
	return post(qp, &wr, sge, n, op);
}

int ib_qp_send(struct ib_qp *qp, struct ibv_sge *sge, int n, struct ib_op *op)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	return post(qp, &wr, sge, n, op);
}

int ib_qp_write(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
		struct ib_op *op)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = {.remote_addr = raddr, .rkey = rkey},
	};

	return post(qp, &wr, sge, n, op);
}

int ib_qp_read(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
	       struct ib_op *op)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_READ,
		.wr.rdma = {.remote_addr = raddr, .rkey = rkey},
	};

	return post(qp, &wr, sge, n, op);
}
