/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What captures have of each operation.  The initiator knows both directions, so it records both:
 * the request before it is executed, the answer after.  A request that has to wait is recorded
 * once more when it gets through, as the transport's repetition; the repetitions between are not.
 */
#include <arpa/inet.h>
#include <endian.h>

#include "ibside/packet/pkt.h"
#include "soft.h"

static uint32_t path_mtu(const struct soft_qp *q)
{
	uint32_t mtu = 128u << q->attr.path_mtu;

	return mtu < soft_mtu() ? mtu : soft_mtu();
}

/* Path from connected @q to its peer. */
static void flow_out(const struct soft_qp *q, struct pkt_flow *f)
{
	const struct ibv_ah_attr *a = &q->attr.ah_attr;

	f->slid = (uint16_t)q->port->lid;
	f->dlid = (uint16_t)q->shm->dest_lid;
	f->sl = a->sl;
	f->dqpn = q->attr.dest_qp_num;
	f->global = a->is_global;
	if (!f->global)
		return;
	f->grh.version_tclass_flow = htonl(6u << 28 | (uint32_t)a->grh.traffic_class << 20 |
					   (a->grh.flow_label & 0xfffff));
	f->grh.next_hdr = 0x1b;
	f->grh.hop_limit = a->grh.hop_limit;
	soft_port_gid(q->port->shm, &f->grh.sgid);
	f->grh.dgid = a->grh.dgid;
}

/* Records @op, whose payload is the list @v. */
static void put(const struct pkt_op *op, const struct soft_vec *v)
{
	struct iovec iov[SOFT_MAX_SGE + 2];

	for (uint32_t i = 0; i < v->n; i++)
		iov[i] = (struct iovec){v->seg[i].here, v->seg[i].len};
	pkt_op_put(op, iov, (int)v->n, soft_pcap_packet, NULL);
}

static const struct soft_vec nothing;

/* What @w is on the fabric. */
static enum pkt_kind kind(uint32_t opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return PKT_K_WRITE;
	case IBV_WR_RDMA_READ:
		return PKT_K_READ;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return PKT_K_CMP_SWAP;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return PKT_K_FETCH_ADD;
	default:
		return PKT_K_SEND;
	}
}

static bool has_imm(uint32_t op)
{
	return op == IBV_WR_RDMA_WRITE_WITH_IMM || op == IBV_WR_SEND_WITH_IMM;
}

/* Request @w with @v as its local list.  What is placed by RDMA is no message: it is not shown
 * where a dissector has been told to expect messages. */
static void put_request(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	struct pkt_op op = {
		.kind = kind(w->opcode),
		.uc = q->qp.qp_type == IBV_QPT_UC,
		.imm_there = has_imm(w->opcode),
		.solicited = w->flags & IBV_SEND_SOLICITED,
		.psn = w->psn,
		.mtu = path_mtu(q),
		.len = (uint32_t)v->len,
		.rkey = w->rkey,
		.raddr = w->raddr,
		.cmp_add = w->cmp_add,
		.swap = w->swap,
		.imm = w->imm,
	};

	op.blot = op.kind == PKT_K_WRITE && soft_pcap_cm;
	flow_out(q, &op.flow);
	put(&op, op.kind == PKT_K_SEND || op.kind == PKT_K_WRITE ? v : &nothing);
}

/* Answer of a kind; @v: data it brings. */
static void put_back(struct soft_qp *q, enum pkt_kind k, uint32_t psn, uint32_t syndrome,
		     const struct soft_vec *v)
{
	struct pkt_op op = {
		.kind = k,
		.blot = k == PKT_K_READ_ANSWER && soft_pcap_cm,
		.psn = psn,
		.mtu = path_mtu(q),
		.len = (uint32_t)v->len,
		.syndrome = syndrome,
		.msn = q->cap_msn,
	};

	flow_out(q, &op.flow);
	pkt_reverse(&op.flow, q->qp.qp_num);
	put(&op, v);
}

/* Connected @q is about to execute @w, whose local list is @v.  Recorded the first time. */
void soft_capture_request(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v)
{
	uint64_t len = w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP ? 0 : v->len;

	if (w->captured)
		return;
	w->captured = SOFT_CAP_SENT;
	w->psn = q->cap_psn;
	q->cap_psn = (q->cap_psn + pkt_count(len, path_mtu(q))) & 0xffffff;
	soft_pcap_begin();
	put_request(q, w, v);
	soft_pcap_end();
}

static void put_answer(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	q->cap_msn++;
	if (w->opcode == IBV_WR_RDMA_READ)
		put_back(q, PKT_K_READ_ANSWER, w->psn, PKT_ACK_NO_CREDITS, v);
	else if (w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP)
		put_back(q, PKT_K_ATOMIC_ANSWER, w->psn, PKT_ACK_NO_CREDITS, v);
	else
		put_back(q, PKT_K_ACK, w->psn + pkt_count(v->len, path_mtu(q)) - 1,
			 PKT_ACK_NO_CREDITS, &nothing);
}

/* It has, with result @r. */
void soft_capture_answer(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v,
			 const struct soft_result *r)
{
	uint32_t nak = pkt_nak(r->status);

	if (q->qp.qp_type != IBV_QPT_RC || !w->captured)
		return;
	if (r->stall == SOFT_STALL_SLOW || (r->stall && w->captured == SOFT_CAP_WAITED))
		return;
	soft_pcap_begin();
	if (r->stall == SOFT_STALL_RNR)
		put_back(q, PKT_K_ACK, w->psn, PKT_AETH_RNR | (r->rnr_code & 31), &nothing);
	if (r->stall)
		w->captured = SOFT_CAP_WAITED;
	else if (w->captured == SOFT_CAP_WAITED && (nak || r->status == IBV_WC_SUCCESS))
		put_request(q, w, v);
	if (!r->stall && nak)
		put_back(q, PKT_K_ACK, w->psn, nak, &nothing);
	else if (!r->stall && r->status == IBV_WC_SUCCESS)
		put_answer(q, w, v);
	soft_pcap_end();
}

/* UD queue pair @q sends @w with payload @v, and @grh if it has one. */
void soft_capture_datagram(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v,
			   const struct ibv_grh *grh, uint32_t qkey)
{
	struct pkt_op op = {
		.kind = PKT_K_DATAGRAM,
		.imm_there = has_imm(w->opcode),
		.solicited = w->flags & IBV_SEND_SOLICITED,
		.flow = {.slid = (uint16_t)q->port->lid,
			 .dlid = (uint16_t)w->ah->lid,
			 .sl = w->ah->attr.sl,
			 .global = grh,
			 .dqpn = w->rqpn},
		.psn = q->cap_psn,
		.mtu = PKT_MTU,
		.len = (uint32_t)v->len,
		.imm = w->imm,
		.sqpn = q->qp.qp_num,
		.qkey = qkey,
	};

	if (grh)
		op.flow.grh = *grh;
	q->cap_psn = (q->cap_psn + 1) & 0xffffff;
	soft_pcap_begin();
	put(&op, v);
	soft_pcap_end();
}

/* RC queue pair @q is about to become ready to receive: SOFTHCA_PCAP_CM=1 has its connection
 * introduced.  Of the two ends, the one with the lower number records; all traffic of the
 * connection comes later. */
void soft_capture_connect(const struct soft_qp *q)
{
	uint32_t lid = soft_av_lid(&q->attr.ah_attr);
	struct pkt_op op = {
		.kind = PKT_K_CONNECT,
		.rd_atomic = q->attr.max_dest_rd_atomic,
		.flow = {.slid = (uint16_t)q->port->lid,
			 .dlid = (uint16_t)lid,
			 .dqpn = q->attr.dest_qp_num,
			 .grh = {.dgid = q->attr.ah_attr.grh.dgid}},
		.psn = q->attr.sq_psn,
		.mtu = path_mtu(q),
		.swap = q->port->guid,
		.sqpn = q->qp.qp_num,
		.peer_psn = q->attr.rq_psn,
	};

	if (op.flow.slid > lid || (op.flow.slid == lid && op.sqpn >= op.flow.dqpn))
		return;
	soft_port_gid(q->port->shm, &op.flow.grh.sgid);
	soft_pcap_begin();
	put(&op, &nothing);
	soft_pcap_end();
}
