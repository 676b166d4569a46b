/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations as packets (IBTA 9.3 to 9.8): segmented by the path MTU, numbered, answered.  The
 * initiator knows both directions, so it records both: the request before it is executed, the
 * answer after.  A request that has to wait is recorded once more when it gets through, as the
 * transport's repetition; the repetitions between are not.
 */
#include <arpa/inet.h>
#include <endian.h>

#include "packet.h"

#define ACK_NO_CREDITS 0x1fu /* AETH: acknowledged, no flow control */
#define AETH_RNR       0x20u
#define NAK_REQUEST    0x61u
#define NAK_ACCESS     0x62u
#define NAK_OPERATION  0x63u
#define BTH_SOLICITED  0x80u
#define BTH_ACK_REQ    0x80u
#define BLOT	       0xee /* as a type of message: reserved */

/* Where the payload of the next packet starts. */
struct cursor {
	const struct soft_vec *v; /* the message */
	uint32_t seg, off;	  /* position */
};

static void take(struct cursor *c, struct pkt *p, uint32_t n)
{
	while (n) {
		const struct soft_seg *s = &c->v->seg[c->seg];
		uint32_t k = s->len - c->off < n ? s->len - c->off : n;

		pkt_data(p, s->here + c->off, k);
		c->off += k;
		n -= k;
		if (c->off == s->len) {
			c->seg++;
			c->off = 0;
		}
	}
}

/* @n bytes of payload.  If it is placed by RDMA, so that it is not a message, and a dissector has
 * been told by capture_cm.c to expect messages, it is blotted out. */
static void put_payload(struct pkt *p, struct cursor *c, uint32_t n, bool placed)
{
	take(c, p, n);
	if (placed && soft_pcap_cm)
		memset(p->b + p->n - n, BLOT, n);
}

static uint32_t path_mtu(const struct soft_qp *q)
{
	uint32_t mtu = 128u << q->attr.path_mtu;

	return mtu < soft_mtu() ? mtu : soft_mtu();
}

/* Packets, and so numbers, that @len bytes take. */
static uint32_t packets(const struct soft_qp *q, uint64_t len)
{
	uint32_t mtu = path_mtu(q);

	return len ? (uint32_t)((len + mtu - 1) / mtu) : 1;
}

/* Path from connected @q to its peer. */
static void flow_out(const struct soft_qp *q, struct pkt_flow *f)
{
	const struct ibv_ah_attr *a = &q->attr.ah_attr;

	memset(f, 0, sizeof(*f));
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

/* And back. */
static void flow_back(const struct soft_qp *q, struct pkt_flow *f)
{
	union ibv_gid gid;
	uint16_t lid;

	flow_out(q, f);
	lid = f->slid;
	f->slid = f->dlid;
	f->dlid = lid;
	f->dqpn = q->qp.qp_num;
	gid = f->grh.sgid;
	f->grh.sgid = f->grh.dgid;
	f->grh.dgid = gid;
}

static bool is_write(uint32_t op)
{
	return op == IBV_WR_RDMA_WRITE || op == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static bool has_imm(uint32_t op)
{
	return op == IBV_WR_RDMA_WRITE_WITH_IMM || op == IBV_WR_SEND_WITH_IMM;
}

static void put_reth(struct pkt *p, const struct soft_wqe *w, uint64_t len)
{
	pkt_put(p, w->raddr, 8);
	pkt_put(p, w->rkey, 4);
	pkt_put(p, len, 4);
}

static void put_aeth(struct pkt *p, uint32_t syndrome, uint32_t msn)
{
	pkt_put(p, syndrome << 24 | (msn & 0xffffff), 4);
}

/* The message of SEND or WRITE @w. */
static void put_message(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	uint32_t n = packets(q, v->len), mtu = path_mtu(q), base = is_write(w->opcode) ? 6 : 0;
	uint32_t uc = q->qp.qp_type == IBV_QPT_UC ? PKT_UC : 0;
	struct cursor c = {.v = v};
	uint64_t left = v->len;
	struct pkt_flow f;
	struct pkt p;

	flow_out(q, &f);
	for (uint32_t i = 0; i < n; i++) {
		bool first = i == 0, last = i == n - 1;
		uint32_t op = first && last ? PKT_SEND_ONLY
			      : first	    ? PKT_SEND_FIRST
			      : last	    ? PKT_SEND_LAST
					    : PKT_SEND_MIDDLE;
		uint32_t take_now = left < mtu ? (uint32_t)left : mtu;

		pkt_begin(&p, &f, uc + base + op + (last && has_imm(w->opcode)), w->psn + i);
		if (last && (w->flags & IBV_SEND_SOLICITED))
			p.b[p.bth + 1] |= BTH_SOLICITED;
		if (last && !uc)
			p.b[p.bth + 8] = BTH_ACK_REQ;
		if (first && base)
			put_reth(&p, w, v->len);
		if (last && has_imm(w->opcode))
			pkt_put(&p, ntohl(w->imm), 4);
		put_payload(&p, &c, take_now, base);
		left -= take_now;
		pkt_end(&p);
	}
}

static void put_request(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	struct pkt_flow f;
	struct pkt p;

	if (w->opcode != IBV_WR_RDMA_READ && w->opcode < IBV_WR_ATOMIC_CMP_AND_SWP) {
		put_message(q, w, v);
		return;
	}
	flow_out(q, &f);
	if (w->opcode == IBV_WR_RDMA_READ) {
		pkt_begin(&p, &f, PKT_READ_REQUEST, w->psn);
		put_reth(&p, w, v->len);
	} else {
		bool swap = w->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;

		pkt_begin(&p, &f, swap ? PKT_CMP_SWAP : PKT_FETCH_ADD, w->psn);
		pkt_put(&p, w->raddr, 8);
		pkt_put(&p, w->rkey, 4);
		pkt_put(&p, swap ? w->swap : w->cmp_add, 8);
		pkt_put(&p, swap ? w->cmp_add : 0, 8);
	}
	p.b[p.bth + 8] = BTH_ACK_REQ;
	pkt_end(&p);
}

/* The data of READ @w. */
static void put_read_answer(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	uint32_t n = packets(q, v->len), mtu = path_mtu(q);
	struct cursor c = {.v = v};
	uint64_t left = v->len;
	struct pkt_flow f;
	struct pkt p;

	flow_back(q, &f);
	for (uint32_t i = 0; i < n; i++) {
		bool first = i == 0, last = i == n - 1;
		uint32_t take_now = left < mtu ? (uint32_t)left : mtu;

		pkt_begin(&p, &f,
			  first && last ? PKT_READ_ONLY
			  : first	? PKT_READ_FIRST
			  : last	? PKT_READ_LAST
					: PKT_READ_MIDDLE,
			  w->psn + i);
		if (first || last)
			put_aeth(&p, ACK_NO_CREDITS, q->cap_msn);
		put_payload(&p, &c, take_now, true);
		left -= take_now;
		pkt_end(&p);
	}
}

static void put_ack(struct soft_qp *q, uint32_t psn, uint32_t syndrome)
{
	struct pkt_flow f;
	struct pkt p;

	flow_back(q, &f);
	pkt_begin(&p, &f, PKT_ACK, psn);
	put_aeth(&p, syndrome, q->cap_msn);
	pkt_end(&p);
}

static void put_atomic_ack(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	struct cursor c = {.v = v};
	struct pkt_flow f;
	struct pkt p;
	uint64_t old;

	flow_back(q, &f);
	pkt_begin(&p, &f, PKT_ATOMIC_ACK, w->psn);
	put_aeth(&p, ACK_NO_CREDITS, q->cap_msn);
	take(&c, &p, sizeof(old));
	memcpy(&old, p.b + p.n - sizeof(old), sizeof(old));
	p.n -= sizeof(old);
	pkt_put(&p, old, sizeof(old));
	pkt_end(&p);
}

/* Connected @q is about to execute @w, whose local list is @v.  Recorded the first time. */
void soft_capture_request(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v)
{
	if (w->captured)
		return;
	w->captured = SOFT_CAP_SENT;
	w->psn = q->cap_psn;
	q->cap_psn =
		(q->cap_psn + (w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP ? 1 : packets(q, v->len))) &
		0xffffff;
	soft_pcap_begin();
	put_request(q, w, v);
	soft_pcap_end();
}

static uint32_t nak_syndrome(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_REM_INV_REQ_ERR:
		return NAK_REQUEST;
	case IBV_WC_REM_ACCESS_ERR:
		return NAK_ACCESS;
	case IBV_WC_REM_OP_ERR:
		return NAK_OPERATION;
	default:
		return 0;
	}
}

static void put_answer(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v)
{
	q->cap_msn++;
	if (w->opcode == IBV_WR_RDMA_READ)
		put_read_answer(q, w, v);
	else if (w->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP)
		put_atomic_ack(q, w, v);
	else
		put_ack(q, w->psn + packets(q, v->len) - 1, ACK_NO_CREDITS);
}

/* It has, with result @r. */
void soft_capture_answer(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v,
			 const struct soft_result *r)
{
	uint32_t nak = nak_syndrome(r->status);

	if (q->qp.qp_type != IBV_QPT_RC || !w->captured)
		return;
	if (r->stall == SOFT_STALL_SLOW || (r->stall && w->captured == SOFT_CAP_WAITED))
		return;
	soft_pcap_begin();
	if (r->stall == SOFT_STALL_RNR)
		put_ack(q, w->psn, AETH_RNR | (r->rnr_code & 31));
	if (r->stall)
		w->captured = SOFT_CAP_WAITED;
	else if (w->captured == SOFT_CAP_WAITED && (nak || r->status == IBV_WC_SUCCESS))
		put_request(q, w, v);
	if (!r->stall && nak)
		put_ack(q, w->psn, nak);
	else if (!r->stall && r->status == IBV_WC_SUCCESS)
		put_answer(q, w, v);
	soft_pcap_end();
}

/* UD queue pair @q sends @w with payload @v, and @grh if it has one. */
void soft_capture_datagram(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v,
			   const struct ibv_grh *grh, uint32_t qkey)
{
	bool imm = w->opcode == IBV_WR_SEND_WITH_IMM;
	struct pkt_flow f = {
		.slid = (uint16_t)q->port->lid,
		.dlid = (uint16_t)w->ah->lid,
		.sl = w->ah->attr.sl,
		.global = grh,
		.dqpn = w->rqpn,
	};
	struct cursor c = {.v = v};
	struct pkt p;

	if (grh)
		f.grh = *grh;
	soft_pcap_begin();
	pkt_begin(&p, &f, imm ? PKT_UD_SEND_IMM : PKT_UD_SEND, q->cap_psn);
	q->cap_psn = (q->cap_psn + 1) & 0xffffff;
	if (w->flags & IBV_SEND_SOLICITED)
		p.b[p.bth + 1] |= BTH_SOLICITED;
	pkt_put(&p, qkey, 4);
	pkt_put(&p, q->qp.qp_num, 4);
	if (imm)
		pkt_put(&p, ntohl(w->imm), 4);
	take(&c, &p, (uint32_t)v->len);
	pkt_end(&p);
	soft_pcap_end();
}
