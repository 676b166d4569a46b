/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_refuse.c - what the gateway itself says about frames that it does not pass on: a RST (RFC 9293
 * section 3.10.7.1) or ICMP "administratively prohibited" for what a rule or service rejects,
 * "packet too big" for what does not fit the next link (RFC 1191, RFC 8201); and the MSS of SYNs
 * between links of unlike MTUs, so that TCP has nothing to be told later (RFC 4459 section 3.2).
 *
 * All of it is limited in rate (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)).
 */
#include "gateway/gw_policy.h"
#include "gateway/gw_way.h"
#include "tcpstack/net_wire.h"

#define ANSWERS_PER_S 1000
#define ANSWERS_BURST 100
#define IP4_DF	      0x4000 /* of the fragment word, RFC 791 */

/* True when one more answer may be sent; else counted. */
static bool may_answer(struct gw_worker *w)
{
	const struct corr_rate r = corr_rate_of(ANSWERS_PER_S, ANSWERS_BURST);

	if (corr_rate_take(&r, &w->answer_rate, w->now_us))
		return true;
	w->stats.answers_suppressed++;
	return false;
}

/* The RST that a segment deserves; its length. */
static size_t build_rst(uint8_t *buf, size_t room, const uint8_t *frame, const struct net_pkt *p,
			const struct rte_ether_addr *mac)
{
	const struct net_flow f = {
		.remote = p->src, .local = p->dst, .rport = p->sport, .lport = p->dport};
	struct net_l2 l2 = {0};
	struct tcp_seg seg;

	if (net_parse_tcp(frame, p, &seg) != NET_PERR_OK)
		return 0;
	memcpy(l2.dst, frame + 6, sizeof(l2.dst));
	memcpy(l2.src, mac->addr_bytes, sizeof(l2.src));
	return net_build_rst(buf, room, &l2, &f, &seg);
}

void gw_refuse(struct gw_worker *w, struct gw_port *port, const struct rte_mbuf *m,
	       const struct net_pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct net_addr *self = gw_port_self(port, &p->src);
	struct rte_mbuf *reply;
	uint8_t *buf;
	size_t room, n = 0;

	if (!may_answer(w))
		return;
	reply = gw_frame_new(w, &buf, &room);
	if (!reply)
		return;
	if (p->proto == NET_PROTO_TCP && p->l4_off)
		n = build_rst(buf, room, frame, p, &port->mac);
	else if (self)
		n = net_build_error(buf, room, frame, p, self, port->mac.addr_bytes,
				    NET_ERROR_PROHIBITED, 0);
	reply = gw_frame_end(reply, n);
	if (reply) {
		w->stats.refusals_sent++;
		gw_port_tx(w, port, reply);
	}
}

void gw_too_big(struct gw_worker *w, struct gw_port *port, struct gw_host *host,
		const struct rte_mbuf *m, const struct net_pkt *p, uint32_t mtu)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct net_addr *self = gw_port_self(port, &p->src);
	const uint8_t *df = frame + p->l3_off + NET_IP4_FRAG;
	struct rte_mbuf *reply;
	uint8_t *buf;
	size_t room;

	if (!self || (!p->is_v6 && !(net_get16(df) & IP4_DF)) || !may_answer(w))
		return;
	reply = gw_frame_new(w, &buf, &room);
	if (!reply)
		return;
	reply = gw_frame_end(reply, net_build_error(buf, room, frame, p, self, port->mac.addr_bytes,
						    NET_ERROR_TOO_BIG, mtu));
	if (!reply)
		return;
	w->stats.too_big_sent++;
	if (host)
		gw_native_send(w, host, reply);
	else
		gw_port_tx(w, port, reply);
}

/* Offset of the MSS option in the TCP header, 0: there is none. */
static uint32_t mss_option(const uint8_t *tcp)
{
	const uint32_t end = (tcp[NET_TCP_DOFF] >> 4) * 4u;
	uint32_t o = NET_TCP_HLEN;

	while (o < end && tcp[o] != NET_OPT_EOL) {
		if (tcp[o] == NET_OPT_NOP) {
			o++;
			continue;
		}
		if (end - o < 2 || tcp[o + 1] < 2 || tcp[o + 1] > end - o)
			return 0;
		if (tcp[o] == NET_OPT_MSS)
			return tcp[o + 1] == 4 ? o : 0;
		o += tcp[o + 1];
	}
	return 0;
}

uint32_t gw_mss_over(const uint8_t *frame, const struct net_pkt *p, uint32_t mtu, uint16_t *mss)
{
	const uint8_t *tcp = frame + p->l4_off;
	uint32_t o;

	*mss = (uint16_t)(mtu - (p->is_v6 ? NET_IP6_HLEN : NET_IP4_HLEN) - NET_TCP_HLEN);
	if (!(tcp[NET_TCP_FLAGS] & TCP_SYN))
		return 0;
	o = mss_option(tcp);
	return o && net_get16(tcp + o + 2) > *mss ? p->l4_off + o : 0;
}

void gw_mss_clamp(struct gw_worker *w, struct rte_mbuf *m, const struct net_pkt *p, uint32_t mtu)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *tcp = frame + p->l4_off, old[2], *o;
	uint16_t mss;
	uint32_t at = gw_mss_over(frame, p, mtu, &mss);

	if (!at)
		return;
	o = frame + at;
	memcpy(old, o + 2, 2);
	net_put16(o + 2, mss);
	net_csum_update(tcp + NET_TCP_CSUM, old, o + 2, 2, (o - tcp) & 1);
	w->stats.mss_clamped++;
}
