/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt_cm.c - introducing a connection in a capture: the REQ and REP that a communication manager
 * (IBTA 12.6.5, 12.6.8) would have exchanged, service ID 0x1pppp, the port space of SDP. A
 * dissector takes them as the sign that the SENDs of these queue pairs carry SDP messages. Nobody
 * sends or receives them.
 */
#include <endian.h>
#include <string.h>

#include "ibside/packet/pkt.h"

#define MAD_BYTES   256u
#define MAD_CM	    7u
#define CM_REQ	    0x0010u
#define CM_REP	    0x0013u
#define QP1_QKEY    0x80010000u
#define SDP_SERVICE 0x00010000ull
#define P_KEY	    0xffffu

/** A message being built. */
struct mad {
	uint8_t b[MAD_BYTES]; /* all of it */
};

static void put_be(uint8_t *at, uint64_t val, uint32_t bytes)
{
	while (bytes--)
		*at++ = (uint8_t)(val >> 8 * bytes);
}

static void mad_head(struct mad *m, uint32_t attr, uint64_t tid)
{
	memset(m, 0, sizeof(*m));
	m->b[0] = 1; /* base version */
	m->b[1] = MAD_CM;
	m->b[2] = 2; /* class version */
	m->b[3] = 3; /* Send */
	put_be(m->b + 8, tid, 8);
	put_be(m->b + 16, attr, 2);
}

static void mad_send(const struct mad *m, const struct pkt_flow *f, uint32_t psn, pkt_sink_fn *sink,
		     void *arg)
{
	struct pkt p;

	pkt_begin(&p, f, PKT_UD_SEND, psn);
	pkt_put(&p, QP1_QKEY, 4);
	pkt_put(&p, 1, 4);
	pkt_data(&p, m->b, MAD_BYTES);
	pkt_end(&p);
	sink(arg, p.b, p.n);
}

/* log2 of the path MTU, as an enum ibv_mtu. */
static uint8_t mtu_code(uint32_t mtu)
{
	uint8_t code = 0;

	while (code < IBV_MTU_4096 && (128u << code) < mtu)
		code++;
	return code;
}

static void req(struct mad *m, const struct pkt_op *op)
{
	uint8_t *d = m->b + 24;

	mad_head(m, CM_REQ, op->sqpn);
	put_be(d, op->sqpn, 4); /* local communication ID */
	put_be(d + 8, SDP_SERVICE | (op->sqpn & 0xffff), 8);
	put_be(d + 16, op->swap, 8);
	put_be(d + 32, op->sqpn, 3);
	d[35] = op->rd_atomic;
	put_be(d + 44, op->psn, 3);
	put_be(d + 48, P_KEY, 2);
	d[50] = (uint8_t)(mtu_code(op->mtu) << 4 | 7);
	put_be(d + 52, op->flow.slid, 2);
	put_be(d + 54, op->flow.dlid, 2);
	memcpy(d + 56, &op->flow.grh.sgid, 16);
	memcpy(d + 72, &op->flow.grh.dgid, 16);
	d[94] = 8; /* subnet local */
}

static void rep(struct mad *m, const struct pkt_op *op)
{
	uint8_t *d = m->b + 24;

	mad_head(m, CM_REP, op->sqpn);
	put_be(d, op->flow.dqpn, 4);
	put_be(d + 4, op->sqpn, 4);
	put_be(d + 12, op->flow.dqpn, 3);
	put_be(d + 20, op->peer_psn, 3);
	d[24] = op->rd_atomic;
}

void pkt_cm_put(const struct pkt_op *op, pkt_sink_fn *sink, void *arg)
{
	struct pkt_flow f = op->flow;
	struct mad m;

	req(&m, op);
	f.dqpn = 1;
	mad_send(&m, &f, 0, sink, arg);
	rep(&m, op);
	pkt_reverse(&f, 1);
	mad_send(&m, &f, 0, sink, arg);
}
