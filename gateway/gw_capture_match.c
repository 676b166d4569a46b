/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture_match.c - which connection a frame or operation belongs to, and whether a capture
 * wants it.
 */
#include <netinet/in.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"
#include "ibside/ib_msg.h"
#include "tcpstack/net_wire.h"

/* Knows the connection by its flow. */
static void set_flow(struct gw_worker *w, struct gw_cap_piece *p, const struct net_flow *f)
{
	p->flow = *f;
	p->flow_known = true;
	p->token = gw_accel_token(w, f);
}

/* True for addresses that servers have. */
static bool served(struct gw_worker *w, const struct net_addr *a)
{
	return gw_server_of(w->gw, a) != UINT32_MAX;
}

void gw_cap_flow_of_frame(struct gw_worker *w, const uint8_t *frame, uint32_t len,
			  struct gw_cap_piece *p)
{
	struct net_flow f;
	struct net_pkt k;

	if (net_parse(frame, len, 0, &k) || k.ethertype == NET_ETHERTYPE_ARP || !k.sport)
		return;
	f = (struct net_flow){.remote = k.src, .local = k.dst, .rport = k.sport, .lport = k.dport};
	if (!served(w, &k.dst) && served(w, &k.src))
		f = (struct net_flow){
			.remote = k.dst, .local = k.src, .rport = k.dport, .lport = k.sport};
	set_flow(w, p, &f);
}

/* Flow of an entry of a message; false: it names none. */
static bool flow_of_entry(struct gw_worker *w, uint8_t mid, const uint8_t *entry,
			  struct gw_cap_piece *p)
{
	const struct ib_reoffer *o = (const struct ib_reoffer *)entry;
	const struct ib_req *q = (const struct ib_req *)entry;
	struct net_flow f;

	if (mid == IB_MID_REQ) {
		memcpy(f.remote.b, q->remote, 16);
		memcpy(f.local.b, q->local, 16);
		f.rport = q->rport;
		f.lport = q->lport;
		set_flow(w, p, &f);
	} else if (mid == IB_MID_REOFFER) {
		memcpy(f.remote.b, o->remote, 16);
		memcpy(f.local.b, o->local, 16);
		f.rport = o->rport;
		f.lport = o->lport;
		set_flow(w, p, &f);
	} else {
		p->token = net_get32(entry);
		p->flow_known = p->token && gw_accel_flow(w, p->token, &p->flow);
	}
	return p->flow_known;
}

/* True when the flow is the one that is asked for, or none is. */
static bool is_the_one(const struct gw_capture *cap, const struct gw_cap_piece *p)
{
	return !cap->want.one ||
	       (p->flow_known && memcmp(&p->flow, &cap->want.flow, sizeof(p->flow)) == 0);
}

/* A message may be about many connections: the one that is asked for, or the first. */
static void flow_of_message(struct gw_worker *w, const struct gw_capture *cap, const uint8_t *msg,
			    uint32_t len, struct gw_cap_piece *p)
{
	const struct ib_bsdh *h = (const struct ib_bsdh *)msg;
	const uint32_t size = ib_msg_entry_size(h->mid);

	for (uint32_t at = sizeof(*h); size && at + size <= len; at += size)
		if (flow_of_entry(w, h->mid, msg + at, p) && is_the_one(cap, p))
			return;
}

const uint8_t *gw_cap_inner(const struct pkt_op *op, const struct iovec *v, int n, uint32_t *len)
{
	const uint8_t *b = n ? v[0].iov_base : NULL;

	if (op->kind != PKT_K_DATAGRAM && op->kind != PKT_K_SEND)
		return NULL;
	if (n != 1 || v[0].iov_len <= sizeof(struct ib_encap) || net_get16(b) != IB_ENCAP_ETH)
		return NULL;
	*len = (uint32_t)(v[0].iov_len - sizeof(struct ib_encap));
	return b + sizeof(struct ib_encap);
}

void gw_cap_flow_of_op(struct gw_worker *w, const struct gw_capture *cap, const struct iovec *v,
		       int n, struct gw_cap_piece *p)
{
	uint32_t len;
	const uint8_t *frame = gw_cap_inner(&p->op, v, n, &len);

	if (frame)
		gw_cap_flow_of_frame(w, frame, len, p);
	else if (p->token)
		p->flow_known = gw_accel_flow(w, p->token, &p->flow);
	else if (p->op.kind == PKT_K_SEND && n == 1 && v[0].iov_len >= sizeof(struct ib_bsdh))
		flow_of_message(w, cap, v[0].iov_base, (uint32_t)v[0].iov_len, p);
}

static bool passes(const struct gw_capture *cap, const uint8_t *frame, uint32_t n, uint32_t len)
{
	const struct pcap_pkthdr h = {.caplen = n, .len = len};

	return pcap_offline_filter(&cap->prog, &h, frame) != 0;
}

bool gw_cap_wants_frame(const struct gw_capture *cap, const struct gw_cap_piece *p,
			const uint8_t *frame, uint32_t n, uint32_t len)
{
	return is_the_one(cap, p) && (!cap->prog.bf_len || passes(cap, frame, n, len));
}

/* A bare ACK of a connection. */
static bool passes_flow(const struct gw_capture *cap, const struct net_flow *f)
{
	static const struct net_l2 l2 = {.ttl = 64};
	const struct tcp_emit e = {.flags = TCP_ACK};
	uint8_t frame[128];
	uint16_t l4;
	size_t n = net_build_tcp(frame, sizeof(frame), &l2, f, &e, 0, TCP_ACK, 0, 0, &l4);

	return n && passes(cap, frame, (uint32_t)n, (uint32_t)n);
}

bool gw_cap_wants_op(const struct gw_capture *cap, const struct gw_cap_piece *p,
		     const struct iovec *v, int n)
{
	const struct net_flow back = {.remote = p->flow.local,
				      .local = p->flow.remote,
				      .rport = p->flow.lport,
				      .lport = p->flow.rport};
	const uint8_t *frame;
	uint32_t len;

	if (p->op.kind == PKT_K_CONNECT)
		return true; /* else nobody can read the rest */
	if (!is_the_one(cap, p))
		return false;
	if (!cap->prog.bf_len)
		return true;
	frame = gw_cap_inner(&p->op, v, n, &len);
	if (frame)
		return passes(cap, frame, len, len);
	return p->flow_known && (passes_flow(cap, &p->flow) || passes_flow(cap, &back));
}
