/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_tap.c - packets reconstructed from work requests and completions (IBTA 9.3 to 9.8).
 *
 * A request is shown when it has been posted. Its answer is shown when it, or a later request that
 * stands for it, completes: data for a READ, an acknowledgement for what completed itself. A
 * message that was received is followed by the acknowledgement that the device gave.
 */
#include <arpa/inet.h>
#include <string.h>

#include "ibside/ib_impl.h"

#define GRH_NEXT_BTH 0x1b

/* Path from us to *to. */
static void flow_to(const struct ib_dev *d, const struct ib_addr *to, struct pkt_flow *f)
{
	struct ibv_ah_attr attr;

	ib_addr_vector(d, to, &attr);
	f->slid = d->port_attr.lid;
	f->dlid = to->lid;
	f->sl = attr.sl;
	f->dqpn = to->qpn;
	f->global = attr.is_global;
	f->grh.version_tclass_flow = htonl(6u << 28);
	f->grh.next_hdr = GRH_NEXT_BTH;
	f->grh.hop_limit = attr.grh.hop_limit;
	f->grh.sgid = d->gid;
	memcpy(f->grh.dgid.raw, to->gid, sizeof(to->gid));
}

static void show(const struct ib_qp *qp, const struct pkt_op *op, const struct iovec *v, int n)
{
	qp->cq->tap->op(qp->cq->tap, op, v, n);
}

/* What all operations of a connected queue pair share, in our direction. */
static struct pkt_op op_to_peer(const struct ib_qp *qp, enum pkt_kind kind, uint32_t psn)
{
	struct pkt_op op = {.kind = kind, .psn = psn & 0xffffff, .mtu = qp->mtu};

	flow_to(qp->dev, &qp->peer, &op.flow);
	return op;
}

/* The same, in the other one. */
static struct pkt_op op_from_peer(const struct ib_qp *qp, enum pkt_kind kind, uint32_t psn)
{
	struct pkt_op op = op_to_peer(qp, kind, psn);

	pkt_reverse(&op.flow, qp->qp->qp_num);
	op.syndrome = PKT_ACK_NO_CREDITS;
	op.in = true;
	return op;
}

static void posted_datagram(const struct ib_qp *qp, const struct ibv_send_wr *wr, uint32_t psn,
			    uint32_t bytes, const struct iovec *v)
{
	struct pkt_op op = {
		.kind = PKT_K_DATAGRAM,
		.psn = psn & 0xffffff,
		.mtu = PKT_MTU,
		.len = bytes,
		.sqpn = qp->qp->qp_num,
		.qkey = wr->wr.ud.remote_qkey,
	};
	struct ib_addr to;

	if (!qp->cq->tap->path(qp->cq->tap, wr->wr.ud.ah, &to))
		return;
	to.qpn = wr->wr.ud.remote_qpn;
	flow_to(qp->dev, &to, &op.flow);
	show(qp, &op, v, wr->num_sge);
}

void ib_tap_posted(struct ib_qp *qp, struct ib_wr_slot *slot, const struct ibv_send_wr *wr,
		   uint32_t bytes)
{
	struct iovec v[IB_SGE_CAP];
	struct pkt_op op;

	for (int i = 0; i < wr->num_sge; i++)
		v[i] = (struct iovec){(void *)(uintptr_t)wr->sg_list[i].addr,
				      wr->sg_list[i].length};
	slot->tapped = true;
	slot->mark = qp->cq->tap->mark;
	qp->cq->tap->mark = 0;
	slot->opcode = (uint8_t)wr->opcode;
	slot->len = bytes;
	slot->addr = wr->num_sge == 1 ? v[0].iov_base : NULL;
	if (qp->type == IBV_QPT_UD) {
		posted_datagram(qp, wr, slot->psn, bytes, v);
		return;
	}
	op = op_to_peer(qp,
			wr->opcode == IBV_WR_RDMA_READ	  ? PKT_K_READ
			: wr->opcode == IBV_WR_RDMA_WRITE ? PKT_K_WRITE
							  : PKT_K_SEND,
			slot->psn);
	op.len = bytes;
	op.mark = slot->mark;
	if (wr->opcode != IBV_WR_SEND) {
		op.raddr = wr->wr.rdma.remote_addr;
		op.rkey = wr->wr.rdma.rkey;
	}
	op.blot = op.kind == PKT_K_WRITE && qp->messages;
	show(qp, &op, v, op.kind == PKT_K_READ ? 0 : wr->num_sge);
}

/* The data of a READ, as far as one buffer has it. */
static void show_read(struct ib_qp *qp, const struct ib_wr_slot *slot)
{
	struct pkt_op op = op_from_peer(qp, PKT_K_READ_ANSWER, slot->psn);
	struct iovec v = {slot->addr, slot->len};

	if (!slot->addr)
		return;
	op.len = slot->len;
	op.mark = slot->mark;
	op.msn = qp->tx_msn;
	op.blot = qp->messages;
	show(qp, &op, &v, 1);
}

static void show_ack(struct ib_qp *qp, const struct ib_wr_slot *slot, uint32_t psn,
		     uint32_t syndrome)
{
	struct pkt_op op = op_from_peer(qp, PKT_K_ACK, psn);

	op.mark = slot->mark;
	op.syndrome = syndrome;
	op.msn = qp->tx_msn;
	show(qp, &op, NULL, 0);
}

void ib_tap_sent(struct ib_qp *qp, uint32_t upto, enum ibv_wc_status status)
{
	for (uint32_t i = qp->sq_tail; i != upto; i++) {
		struct ib_wr_slot *slot = &qp->sq[i & qp->sq_mask];
		bool last = i + 1 == upto, ok = !last || status == IBV_WC_SUCCESS;
		bool tapped = slot->tapped;

		slot->tapped = false;
		if (qp->type == IBV_QPT_UD || !tapped)
			continue;
		qp->tx_msn += ok;
		if (ok && slot->opcode == IBV_WR_RDMA_READ)
			show_read(qp, slot);
		else if (last && ok)
			show_ack(qp, slot, slot->psn + pkt_count(slot->len, qp->mtu) - 1,
				 PKT_ACK_NO_CREDITS);
		else if (last && pkt_nak(status))
			show_ack(qp, slot, slot->psn, pkt_nak(status));
	}
}

/* A datagram came: its GRH, or on RoCE what stands in its place, is ahead of the payload. */
static void received_datagram(struct ib_qp *qp, const struct ib_wr_slot *slot,
			      const struct ibv_wc *wc, uint32_t psn)
{
	const struct ib_dev *d = qp->dev;
	struct pkt_op op = {
		.kind = PKT_K_DATAGRAM,
		.psn = psn & 0xffffff,
		.mtu = PKT_MTU,
		.sqpn = wc->src_qp,
		.qkey = IB_UD_QKEY,
		.in = true,
	};
	struct ib_addr from = {.lid = wc->slid};
	struct iovec v = {(uint8_t *)slot->addr + IB_GRH_LEN, 0};
	uint8_t mapped[16];

	if (wc->byte_len <= IB_GRH_LEN)
		return;
	op.len = wc->byte_len - IB_GRH_LEN;
	v.iov_len = op.len;
	if (d->roce || wc->wc_flags & IBV_WC_GRH)
		memcpy(from.gid, ib_grh_source(slot->addr, mapped), sizeof(from.gid));
	flow_to(d, &from, &op.flow);
	pkt_reverse(&op.flow, qp->qp->qp_num);
	op.flow.global = d->roce || wc->wc_flags & IBV_WC_GRH;
	show(qp, &op, &v, 1);
}

void ib_tap_received(struct ib_qp *qp, const struct ib_wr_slot *slot, const struct ibv_wc *wc,
		     uint32_t psn)
{
	struct iovec v = {slot->addr, wc->byte_len};
	struct pkt_op op;

	if (qp->type == IBV_QPT_UD) {
		received_datagram(qp, slot, wc, psn);
		return;
	}
	op = op_from_peer(qp, PKT_K_SEND, psn);
	op.len = wc->byte_len;
	show(qp, &op, &v, 1);
	op = op_to_peer(qp, PKT_K_ACK, psn + pkt_count(wc->byte_len, qp->mtu) - 1);
	op.syndrome = PKT_ACK_NO_CREDITS;
	op.msn = ++qp->rx_msn;
	show(qp, &op, NULL, 0);
}

void ib_tap_connect(const struct ib_qp *qp)
{
	struct pkt_op op;

	if (!qp->cq->tap || !qp->messages || !qp->peer.qpn)
		return;
	op = op_to_peer(qp, PKT_K_CONNECT, qp->psn);
	op.sqpn = qp->qp->qp_num;
	op.peer_psn = qp->peer.psn;
	op.rd_atomic = qp->dev->rd_atomic;
	op.swap = be64toh(qp->dev->attr.node_guid);
	show(qp, &op, NULL, 0);
}
