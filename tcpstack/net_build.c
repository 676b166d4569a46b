/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_build.c - the Ethernet (with 802.1Q), IPv4 (RFC 791) and IPv6 (RFC 8200) headers that every
 * frame of our own begins with. Room was checked by the caller.
 */
#include "tcpstack/net_wire.h"

size_t net_put_eth(uint8_t *buf, const uint8_t dst[6], const uint8_t src[6], uint16_t vlan,
		   uint16_t ethertype)
{
	memcpy(buf, dst, 6);
	memcpy(buf + 6, src, 6);
	if (vlan == 0) {
		net_put16(buf + 12, ethertype);
		return NET_ETH_HLEN;
	}
	net_put16(buf + 12, NET_ETHERTYPE_VLAN);
	net_put16(buf + 14, vlan & 0xfff);
	net_put16(buf + 16, ethertype);
	return NET_ETH_HLEN + NET_VLAN_HLEN;
}

size_t net_put_ip4(uint8_t *buf, const struct net_addr *src, const struct net_addr *dst,
		   uint8_t proto, uint16_t id, uint16_t paylen)
{
	buf[0] = 0x45;
	buf[NET_IP4_TOS] = 0;
	net_put16(buf + NET_IP4_TOTLEN, (uint16_t)(NET_IP4_HLEN + paylen));
	net_put16(buf + NET_IP4_ID, id);
	net_put16(buf + NET_IP4_FRAG, 0x4000);
	buf[NET_IP4_TTL] = NET_TTL;
	buf[NET_IP4_PROTO] = proto;
	memcpy(buf + NET_IP4_SRC, src->b + 12, 4);
	memcpy(buf + NET_IP4_DST, dst->b + 12, 4);
	net_ip4_csum(buf, NET_IP4_HLEN);
	return NET_IP4_HLEN;
}

size_t net_put_ip6(uint8_t *buf, const struct net_addr *src, const struct net_addr *dst,
		   uint8_t next, uint8_t hlim, uint16_t paylen)
{
	net_put32(buf, 6u << 28);
	net_put16(buf + NET_IP6_PLEN, paylen);
	buf[NET_IP6_NEXT] = next;
	buf[NET_IP6_HLIM] = hlim;
	memcpy(buf + NET_IP6_SRC, src->b, 16);
	memcpy(buf + NET_IP6_DST, dst->b, 16);
	return NET_IP6_HLEN;
}
