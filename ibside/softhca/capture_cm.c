/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SOFTHCA_PCAP_CM=1: captures in which each RC connection begins with the REQ and REP that a
 * communication manager (IBTA 12.6.5, 12.6.8) would have exchanged, service ID 0x1pppp, the port
 * space of SDP.  A dissector takes them as the sign that the SENDs of these queue pairs carry SDP
 * messages.  Nobody sends or receives them.
 */
#include <endian.h>

#include "packet.h"

#define MAD_BYTES   256u
#define MAD_CM	    7u
#define CM_REQ	    0x0010u
#define CM_REP	    0x0013u
#define QP1_QKEY    0x80010000u
#define SDP_SERVICE 0x00010000ull

/* Fields of one end of the connection. */
struct cm_end {
	uint32_t lid;	   /* port */
	uint32_t qpn;	   /* queue pair */
	uint32_t psn;	   /* of the first packet it sends */
	union ibv_gid gid; /* of the port; zero when it is not known */
};

static void put_be(uint8_t *at, uint64_t val, uint32_t bytes)
{
	while (bytes--)
		*at++ = (uint8_t)(val >> 8 * bytes);
}

static void mad_head(uint8_t *m, uint32_t attr, uint64_t tid)
{
	memset(m, 0, MAD_BYTES);
	m[0] = 1; /* base version */
	m[1] = MAD_CM;
	m[2] = 2; /* class version */
	m[3] = 3; /* Send */
	put_be(m + 8, tid, 8);
	put_be(m + 16, attr, 2);
}

static void mad_send(const uint8_t *m, const struct cm_end *from, const struct cm_end *to)
{
	static uint32_t psn;
	struct pkt_flow f = {.slid = (uint16_t)from->lid, .dlid = (uint16_t)to->lid, .dqpn = 1};
	struct pkt p;

	pkt_begin(&p, &f, PKT_UD_SEND, psn++); /* under the capture's lock */
	pkt_put(&p, QP1_QKEY, 4);
	pkt_put(&p, 1, 4);
	pkt_data(&p, m, MAD_BYTES);
	pkt_end(&p);
}

static void put_req(const struct soft_qp *q, const struct cm_end *a, const struct cm_end *b)
{
	uint8_t m[MAD_BYTES], *d = m + 24;

	mad_head(m, CM_REQ, a->qpn);
	put_be(d, a->qpn, 4); /* local communication ID */
	put_be(d + 8, SDP_SERVICE | (a->qpn & 0xffff), 8);
	put_be(d + 16, q->port->guid, 8);
	put_be(d + 32, a->qpn, 3);
	d[35] = q->attr.max_dest_rd_atomic;
	put_be(d + 44, a->psn, 3);
	put_be(d + 48, 0xffff, 2); /* P_Key */
	d[50] = (uint8_t)(q->attr.path_mtu << 4 | 7);
	put_be(d + 52, a->lid, 2);
	put_be(d + 54, b->lid, 2);
	memcpy(d + 56, &a->gid, 16);
	memcpy(d + 72, &b->gid, 16);
	d[94] = 8; /* subnet local */
	mad_send(m, a, b);
}

static void put_rep(const struct soft_qp *q, const struct cm_end *a, const struct cm_end *b)
{
	uint8_t m[MAD_BYTES], *d = m + 24;

	mad_head(m, CM_REP, a->qpn);
	put_be(d, b->qpn, 4);
	put_be(d + 4, a->qpn, 4);
	put_be(d + 12, b->qpn, 3);
	put_be(d + 20, b->psn, 3);
	d[24] = q->attr.max_dest_rd_atomic;
	mad_send(m, b, a);
}

/* RC queue pair @q is about to become ready to receive.  Of the two ends, the one with the lower
 * number records; all traffic of the connection comes later. */
void soft_capture_connect(const struct soft_qp *q)
{
	const struct cm_end a = {.lid = q->port->lid,
				 .qpn = q->qp.qp_num,
				 .psn = q->attr.sq_psn,
				 .gid = {.global = {.subnet_prefix = htobe64(0xfe80ull << 48),
						    .interface_id = htobe64(q->port->guid)}}};
	const struct cm_end b = {.lid = soft_av_lid(&q->attr.ah_attr),
				 .qpn = q->attr.dest_qp_num,
				 .psn = q->attr.rq_psn,
				 .gid = q->attr.ah_attr.grh.dgid};

	if (a.lid > b.lid || (a.lid == b.lid && a.qpn >= b.qpn))
		return;
	soft_pcap_begin();
	put_req(q, &a, &b);
	put_rep(q, &a, &b);
	soft_pcap_end();
}
