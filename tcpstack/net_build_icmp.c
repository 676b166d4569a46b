/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_build_icmp.c - echo replies (RFC 792, RFC 1122 section 3.2.2.6, RFC 4443 section 4.2). The
 * ICMP checksum is updated, not computed anew, so that damage in between stays visible to the
 * one who asked. IP options and extension headers of the question are not repeated.
 */
#include "tcpstack/net_wire.h"

/* True when the frame is a whole, unicast echo request. */
static bool answerable(const uint8_t *icmp, const struct net_pkt *p)
{
	if (p->l4_off == 0 || p->fragment || p->eth_mcast || net_addr_is_mcast(&p->dst) ||
	    net_addr_is_any(&p->src))
		return false;
	if (p->is_v6)
		return p->proto == NET_PROTO_ICMP6 && icmp[0] == NET_ICMP6_ECHO && icmp[1] == 0;
	return p->proto == NET_PROTO_ICMP && icmp[0] == NET_ICMP_ECHO && icmp[1] == 0;
}

size_t net_build_echo_reply(uint8_t *buf, size_t room, const uint8_t *req, uint32_t len,
			    const struct net_pkt *p, const uint8_t mac[6])
{
	const uint8_t *icmp = req + p->l4_off;
	const uint32_t ilen = p->frame_len - p->l4_off;
	const size_t l2len = NET_ETH_HLEN + (p->vlan ? NET_VLAN_HLEN : 0);
	const size_t off = l2len + (p->is_v6 ? NET_IP6_HLEN : NET_IP4_HLEN);
	uint8_t old[2];

	if (p->frame_len > len || !answerable(icmp, p) || room < off + ilen)
		return 0;
	net_put_eth(buf, req + 6, mac, p->vlan, p->ethertype);
	if (p->is_v6)
		net_put_ip6(buf + l2len, &p->dst, &p->src, p->proto, NET_TTL, (uint16_t)ilen);
	else
		net_put_ip4(buf + l2len, &p->dst, &p->src, p->proto, 0, (uint16_t)ilen);
	memcpy(buf + off, icmp, ilen);
	memcpy(old, buf + off, 2);
	buf[off] = p->is_v6 ? NET_ICMP6_ECHO_REPLY : NET_ICMP_ECHO_REPLY;
	net_csum_update(buf + off + 2, old, buf + off, 2, false);
	return off + ilen;
}
