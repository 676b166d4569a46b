/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_build_tcp.c - headers of the TCP segments that the gateway emits (RFC 9293 section 3.1),
 * and the RST for segments that belong to no connection (section 3.10.7.1).
 */
#include "tcpstack/net_wire.h"

#define ECT_0 2u    /* ECN field of the IP header, RFC 3168 section 5 */
#define DSCP  0xfcu /* the rest of that byte, RFC 2474 section 3 */

/* Ethernet and IP header in front of `len` bytes of TCP. */
static void put_ip(uint8_t *buf, const struct net_l2 *l2, const struct net_flow *f,
		   const struct tcp_emit *e, uint16_t len, uint16_t ip_id)
{
	const bool v4 = net_addr_is_v4(&f->local);
	uint8_t *ip = buf + net_put_eth(buf, l2->dst, l2->src, l2->vlan,
					v4 ? NET_ETHERTYPE_IP4 : NET_ETHERTYPE_IP6);
	const uint8_t ttl = l2->ttl ? l2->ttl : NET_TTL;
	const uint32_t tos = (l2->tos & DSCP) | (e->ect ? ECT_0 : 0);

	if (!v4) {
		net_put_ip6(ip, &f->local, &f->remote, NET_PROTO_TCP, ttl, len);
		net_put32(ip, 6u << 28 | tos << 20 | (l2->label & 0xfffff));
		return;
	}
	net_put_ip4(ip, &f->local, &f->remote, NET_PROTO_TCP, ip_id, len);
	if (!e->df_off && !tos && ttl == NET_TTL)
		return;
	ip[NET_IP4_TTL] = ttl;
	ip[NET_IP4_TOS] = (uint8_t)tos;
	if (e->df_off)
		net_put16(ip + NET_IP4_FRAG, 0);
	net_ip4_csum(ip, NET_IP4_HLEN);
}

size_t net_build_tcp(uint8_t *buf, size_t room, const struct net_l2 *l2, const struct net_flow *f,
		     const struct tcp_emit *e, uint32_t seq, uint8_t flags, uint32_t paylen,
		     uint16_t ip_id, uint16_t *l4_off)
{
	const bool v4 = net_addr_is_v4(&f->local);
	const size_t l2len = NET_ETH_HLEN + (l2->vlan ? NET_VLAN_HLEN : 0);
	const size_t l3len = v4 ? NET_IP4_HLEN : NET_IP6_HLEN;
	const size_t hlen = NET_TCP_HLEN + e->optlen;
	const size_t limit = UINT16_MAX - (v4 ? NET_IP4_HLEN : 0);
	uint8_t *tcp = buf + l2len + l3len;
	uint32_t sum;

	if (e->optlen > sizeof(e->opt) || e->optlen % 4 != 0 || room < l2len + l3len + hlen)
		return 0;
	if (net_addr_is_v4(&f->remote) != v4 || hlen + paylen > limit)
		return 0;
	put_ip(buf, l2, f, e, (uint16_t)(hlen + paylen), ip_id);
	net_put_raw16(tcp, f->lport);
	net_put_raw16(tcp + 2, f->rport);
	net_put32(tcp + NET_TCP_SEQ, seq);
	net_put32(tcp + NET_TCP_ACK, flags & TCP_ACK ? e->ack : 0);
	tcp[NET_TCP_DOFF] = (uint8_t)(hlen / 4 << 4);
	tcp[NET_TCP_FLAGS] = flags;
	net_put16(tcp + NET_TCP_WND, e->wnd);
	sum = net_csum_pseudo(&f->local, &f->remote, NET_PROTO_TCP, (uint32_t)(hlen + paylen));
	net_put_raw16(tcp + NET_TCP_CSUM, net_csum_fold(sum));
	net_put16(tcp + NET_TCP_URG, flags & TCP_URG ? e->urp : 0);
	memcpy(tcp + NET_TCP_HLEN, e->opt, e->optlen);
	*l4_off = (uint16_t)(l2len + l3len);
	return l2len + l3len + hlen;
}

size_t net_build_rst(uint8_t *buf, size_t room, const struct net_l2 *l2, const struct net_flow *f,
		     const struct tcp_seg *seg)
{
	struct tcp_emit e;
	uint16_t l4_off;
	size_t n;

	if (!tcp_reset_for(seg, &e))
		return 0;
	n = net_build_tcp(buf, room, l2, f, &e, e.seq, e.flags, 0, 0, &l4_off);
	if (n)
		net_tcp_csum_finish(buf + l4_off, NET_TCP_HLEN, 0);
	return n;
}
