/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_parse.c - takes one contiguous frame apart.
 *
 * Theory of operation
 *
 * net_parse() walks down the layers, one function per layer, each of which gets the offset its
 * predecessor proved to be inside the frame and proves the next. The IP length, once checked
 * against the frame, replaces the frame's: what Ethernet padded is never looked at again.
 * Anything that contradicts itself is refused with a reason, and the reasons are counters of the
 * gateway. What is merely unknown (another IP protocol, an option we do not know) is passed with
 * l4_off 0 or skipped: the native path carries it.
 *
 * Addresses of both families share one form, so IPv4-mapped addresses inside IPv6 headers are
 * refused; otherwise an IPv6 frame could speak in the name of an IPv4 client.
 */
#include "tcpstack/net_wire.h"

enum net_perr net_parse(const uint8_t *frame, uint32_t len, unsigned int flags, struct net_pkt *p)
{
	enum net_perr e;

	memset(p, 0, sizeof(*p));
	p->frame_len = len;
	if (len < NET_ETH_HLEN)
		return NET_PERR_RUNT;
	p->eth_mcast = frame[0] & 1;
	p->ethertype = net_get16(frame + 12);
	p->l3_off = NET_ETH_HLEN;
	if (p->ethertype == NET_ETHERTYPE_VLAN) {
		if (len < NET_ETH_HLEN + NET_VLAN_HLEN)
			return NET_PERR_RUNT;
		p->vlan = net_get16(frame + 14) & 0xfff;
		p->ethertype = net_get16(frame + 16);
		p->l3_off += NET_VLAN_HLEN;
	}
	switch (p->ethertype) {
	case NET_ETHERTYPE_IP4:
		e = net_parse_ip4(frame, len, flags, p);
		break;
	case NET_ETHERTYPE_IP6:
		e = net_parse_ip6(frame, len, p);
		break;
	case NET_ETHERTYPE_ARP:
		return net_parse_arp(frame, len, p);
	default:
		return NET_PERR_ETHERTYPE;
	}
	return e == NET_PERR_OK && p->l4_off ? net_parse_l4(frame, flags, p) : e;
}

const char *net_perr_name(enum net_perr e)
{
	static const char *const names[] = {
#define _(sym, name) [NET_PERR_##sym] = name,
		NET_FOREACH_PERR(_)
#undef _
	};

	return (unsigned int)e < NET_PERR_COUNT ? names[e] : "unknown";
}
