/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt_op.c - operations as packets (IBTA 9.3 to 9.8): segmented by the path MTU, numbered, with
 * the extended headers that belong to each.
 */
#include <arpa/inet.h>
#include <string.h>

#include "ibside/packet/pkt.h"

#define BTH_SOLICITED 0x80u
#define BTH_ACK_REQ   0x80u
#define BLOT	      0xee /* as a type of message: reserved */

/* Where the payload of the next packet starts. */
struct cursor {
	const struct iovec *v; /* the payload */
	int n;		       /* entries */
	int at;		       /* entry */
	size_t off;	       /* in it */
};

/* Takes `bytes` bytes of payload. */
static void take(struct cursor *c, struct pkt *p, uint32_t bytes)
{
	while (bytes && c->at < c->n) {
		const struct iovec *v = &c->v[c->at];
		uint32_t k = v->iov_len - c->off < bytes ? (uint32_t)(v->iov_len - c->off) : bytes;

		pkt_data(p, (const uint8_t *)v->iov_base + c->off, k);
		c->off += k;
		bytes -= k;
		if (c->off == v->iov_len) {
			c->at++;
			c->off = 0;
		}
	}
}

static uint32_t bytes_of(const struct iovec *v, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	return (uint32_t)sum;
}

/* The first of FIRST, MIDDLE, LAST and ONLY of a kind, and the step from LAST to ONLY. */
static uint32_t opcode(const struct pkt_op *op, bool first, bool last)
{
	uint32_t base = op->kind == PKT_K_READ_ANSWER ? PKT_READ_FIRST
			: op->kind == PKT_K_WRITE     ? PKT_WRITE_FIRST
						      : PKT_SEND_FIRST;
	uint32_t only = op->kind == PKT_K_READ_ANSWER ? 3 : 4;

	if (op->kind == PKT_K_DATAGRAM)
		return op->imm_there ? PKT_UD_SEND_IMM : PKT_UD_SEND;
	base += op->uc ? PKT_UC : 0;
	if (!last)
		return base + (first ? 0 : 1);
	return base + (first ? only : 2) + op->imm_there;
}

static void put_reth(struct pkt *p, const struct pkt_op *op)
{
	pkt_put(p, op->raddr, 8);
	pkt_put(p, op->rkey, 4);
	pkt_put(p, op->len, 4);
}

static void put_aeth(struct pkt *p, const struct pkt_op *op)
{
	pkt_put(p, op->syndrome << 24 | (op->msn & 0xffffff), 4);
}

/* Extended headers of a packet with payload. */
static void put_extended(struct pkt *p, const struct pkt_op *op, bool first, bool last)
{
	bool answer = op->kind == PKT_K_READ_ANSWER, datagram = op->kind == PKT_K_DATAGRAM;

	if (last && op->solicited)
		p->b[p->bth + 1] |= BTH_SOLICITED;
	if (last && !op->uc && !answer && !datagram)
		p->b[p->bth + 8] = BTH_ACK_REQ;
	if (answer && (first || last))
		put_aeth(p, op);
	if (op->kind == PKT_K_WRITE && first)
		put_reth(p, op);
	if (datagram) {
		pkt_put(p, op->qkey, 4);
		pkt_put(p, op->sqpn, 4);
	}
	if (last && op->imm_there)
		pkt_put(p, ntohl(op->imm), 4);
}

/* What carries payload: as many packets as it takes. */
static void put_message(const struct pkt_op *op, struct cursor *c, pkt_sink_fn *sink, void *arg)
{
	uint32_t left = bytes_of(c->v, c->n), off = op->off;
	struct pkt p;

	do {
		uint32_t k = left < op->mtu ? left : op->mtu;
		bool first = off == 0, last = off + k == op->len;

		pkt_begin(&p, &op->flow, opcode(op, first, last), op->psn + off / op->mtu);
		put_extended(&p, op, first, last);
		take(c, &p, k);
		if (op->blot)
			memset(p.b + p.n - k, BLOT, k);
		pkt_end(&p);
		sink(arg, p.b, p.n);
		off += k;
		left -= k;
	} while (left);
}

/* What is a single packet of headers. */
static void put_headers(const struct pkt_op *op, struct cursor *c, struct pkt *p)
{
	static const uint8_t codes[] = {
		[PKT_K_READ] = PKT_READ_REQUEST,	[PKT_K_CMP_SWAP] = PKT_CMP_SWAP,
		[PKT_K_FETCH_ADD] = PKT_FETCH_ADD,	[PKT_K_ACK] = PKT_ACK,
		[PKT_K_ATOMIC_ANSWER] = PKT_ATOMIC_ACK,
	};
	uint64_t old = 0;

	pkt_begin(p, &op->flow, codes[op->kind], op->psn);
	if (op->kind == PKT_K_ACK || op->kind == PKT_K_ATOMIC_ANSWER)
		put_aeth(p, op);
	else
		p->b[p->bth + 8] = BTH_ACK_REQ;
	if (op->kind == PKT_K_READ) {
		put_reth(p, op);
	} else if (op->kind == PKT_K_CMP_SWAP || op->kind == PKT_K_FETCH_ADD) {
		bool swap = op->kind == PKT_K_CMP_SWAP;

		pkt_put(p, op->raddr, 8);
		pkt_put(p, op->rkey, 4);
		pkt_put(p, swap ? op->swap : op->cmp_add, 8);
		pkt_put(p, swap ? op->cmp_add : 0, 8);
	} else if (op->kind == PKT_K_ATOMIC_ANSWER) {
		take(c, p, sizeof(old)); /* in the byte order of the machine that has it */
		memcpy(&old, p->b + p->n - sizeof(old), sizeof(old));
		p->n -= sizeof(old);
		pkt_put(p, old, sizeof(old));
	}
	pkt_end(p);
}

void pkt_op_put(const struct pkt_op *op, const struct iovec *v, int n, pkt_sink_fn *sink, void *arg)
{
	struct cursor c = {.v = v, .n = n};
	struct pkt p;

	switch (op->kind) {
	case PKT_K_SEND:
	case PKT_K_WRITE:
	case PKT_K_READ_ANSWER:
	case PKT_K_DATAGRAM:
		put_message(op, &c, sink, arg);
		break;
	case PKT_K_CONNECT:
		pkt_cm_put(op, sink, arg);
		break;
	default:
		put_headers(op, &c, &p);
		sink(arg, p.b, p.n);
	}
}

uint32_t pkt_nak(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_REM_INV_REQ_ERR:
		return PKT_NAK_REQUEST;
	case IBV_WC_REM_ACCESS_ERR:
		return PKT_NAK_ACCESS;
	case IBV_WC_REM_OP_ERR:
		return PKT_NAK_OPERATION;
	default:
		return 0;
	}
}
