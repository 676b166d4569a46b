/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_build_error.c - ICMP errors of a router: administratively prohibited and packet too big
 * (RFC 792, RFC 1812 section 5.2.7, RFC 1191 section 4, RFC 4443 sections 3.1 and 3.2). Nothing
 * is said about errors, about fragments but the first, or to groups (RFC 1122 section 3.2.2).
 */
#include "tcpstack/net_wire.h"

#define V4_TOO_BIG    4	   /* code: fragmentation needed and DF set */
#define V4_PROHIBITED 13   /* code */
#define V6_PROHIBITED 1	   /* code */
#define V4_MAX	      576  /* bytes of a whole error, RFC 1812 section 4.3.2.3 */
#define V6_MAX	      1280 /* RFC 4443 section 2.4 (c) */

/* True for ICMP messages that ask; anything else might be an error. */
static bool is_question(const uint8_t *icmp, const struct net_pkt *p)
{
	return p->is_v6 ? icmp[0] == NET_ICMP6_ECHO || icmp[0] == NET_ICMP6_ECHO_REPLY
			: icmp[0] == NET_ICMP_ECHO || icmp[0] == NET_ICMP_ECHO_REPLY;
}

/* True when an error about this frame may be sent. */
static bool answerable(const uint8_t *frame, const struct net_pkt *p)
{
	const bool later_fragment = p->fragment && !p->l4_off;
	const uint8_t icmp = p->is_v6 ? NET_PROTO_ICMP6 : NET_PROTO_ICMP;

	if (later_fragment || p->eth_mcast || net_addr_is_mcast(&p->dst) ||
	    net_addr_is_mcast(&p->src) || net_addr_is_any(&p->src))
		return false;
	return p->proto != icmp || (p->l4_off && is_question(frame + p->l4_off, p));
}

/* Type, code and the word behind the checksum. */
static void put_kind(uint8_t *icmp, bool v6, enum net_error what, uint32_t mtu)
{
	memset(icmp, 0, NET_ICMP_HLEN);
	if (what == NET_ERROR_TOO_BIG) {
		icmp[0] = v6 ? NET_ICMP6_TOO_BIG : NET_ICMP_UNREACH;
		icmp[1] = v6 ? 0 : V4_TOO_BIG;
		if (v6)
			net_put32(icmp + 4, mtu);
		else
			net_put16(icmp + 6, (uint16_t)mtu);
	} else {
		icmp[0] = v6 ? NET_ICMP6_UNREACH : NET_ICMP_UNREACH;
		icmp[1] = v6 ? V6_PROHIBITED : V4_PROHIBITED;
	}
}

size_t net_build_error(uint8_t *buf, size_t room, const uint8_t *frame, const struct net_pkt *p,
		       const struct net_addr *self, const uint8_t mac[6], enum net_error what,
		       uint32_t mtu)
{
	const size_t l2 = NET_ETH_HLEN + (p->vlan ? NET_VLAN_HLEN : 0);
	const size_t l3 = p->is_v6 ? NET_IP6_HLEN : NET_IP4_HLEN;
	const size_t max = (p->is_v6 ? V6_MAX : V4_MAX) - l3 - NET_ICMP_HLEN;
	size_t quote = p->frame_len - p->l3_off, len;
	uint8_t *icmp = buf + l2 + l3;
	uint32_t sum = 0;

	quote = quote < max ? quote : max;
	len = NET_ICMP_HLEN + quote;
	if (!answerable(frame, p) || room < l2 + l3 + len)
		return 0;
	net_put_eth(buf, frame + 6, mac, p->vlan, p->ethertype);
	if (p->is_v6)
		net_put_ip6(buf + l2, self, &p->src, NET_PROTO_ICMP6, NET_TTL, (uint16_t)len);
	else
		net_put_ip4(buf + l2, self, &p->src, NET_PROTO_ICMP, 0, (uint16_t)len);
	put_kind(icmp, p->is_v6, what, mtu);
	memcpy(icmp + NET_ICMP_HLEN, frame + p->l3_off, quote);
	if (p->is_v6)
		sum = net_csum_pseudo(self, &p->src, NET_PROTO_ICMP6, (uint32_t)len);
	net_put_raw16(icmp + 2, (uint16_t)~net_csum_fold(net_csum_add(sum, icmp, len, false)));
	return l2 + l3 + len;
}
