/* SPDX-License-Identifier: BSD-3-Clause */
/* net_build_nd.c - neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4, 7.2). */
#include "tcpstack/net_wire.h"

#define ND_BODY	     24 /* ICMPv6 header, flags and target */
#define ND_OPT	     8	/* link-layer address option */
#define NA_SOLICITED 0x40
#define NA_OVERRIDE  0x20

/* One ND message, with the link-layer option of kind opt when opt is not 0. */
static size_t put_nd(uint8_t *buf, size_t room, const struct net_l2 *l2, const struct net_addr *src,
		     const struct net_addr *dst, uint8_t type, uint8_t flags,
		     const struct net_addr *target, uint8_t opt)
{
	const uint16_t len = ND_BODY + (opt ? ND_OPT : 0);
	const size_t l2len = NET_ETH_HLEN + (l2->vlan ? NET_VLAN_HLEN : 0);
	uint8_t *nd = buf + l2len + NET_IP6_HLEN;
	uint32_t sum;

	if (room < l2len + NET_IP6_HLEN + len)
		return 0;
	net_put_eth(buf, l2->dst, l2->src, l2->vlan, NET_ETHERTYPE_IP6);
	net_put_ip6(buf + l2len, src, dst, NET_PROTO_ICMP6, 255, len);
	memset(nd, 0, 8);
	nd[0] = type;
	nd[4] = flags;
	memcpy(nd + 8, target->b, 16);
	if (opt) {
		nd[ND_BODY] = opt;
		nd[ND_BODY + 1] = 1;
		memcpy(nd + ND_BODY + 2, l2->src, 6);
	}
	sum = net_csum_add(net_csum_pseudo(src, dst, NET_PROTO_ICMP6, len), nd, len, false);
	net_put_raw16(nd + 2, (uint16_t)~net_csum_fold(sum));
	return l2len + NET_IP6_HLEN + len;
}

/* The Ethernet group of an IPv6 multicast address (RFC 2464 section 7). */
static void mcast_mac(uint8_t mac[6], const struct net_addr *a)
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, a->b + 12, 4);
}

static const struct net_addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};

size_t net_build_na_unsolicited(uint8_t *buf, size_t room, const uint8_t mac[6],
				const struct net_addr *self)
{
	struct net_l2 l2 = {0};

	if (net_addr_is_v4(self))
		return 0;
	memcpy(l2.src, mac, 6);
	mcast_mac(l2.dst, &all_nodes);
	return put_nd(buf, room, &l2, self, &all_nodes, NET_ICMP6_NA, NA_OVERRIDE, self, 2);
}

size_t net_build_na(uint8_t *buf, size_t room, const uint8_t *req, const struct net_pkt *p,
		    const uint8_t mac[6])
{
	struct net_l2 l2 = {.vlan = p->vlan};
	struct net_neigh_info info;

	if (!p->is_v6 || net_neigh_read(req, p, &info) || !info.is_request)
		return 0;
	memcpy(l2.src, mac, 6);
	if (net_addr_is_any(&p->src)) { /* duplicate address detection: everybody must hear it */
		mcast_mac(l2.dst, &all_nodes);
		return put_nd(buf, room, &l2, &info.target, &all_nodes, NET_ICMP6_NA, NA_OVERRIDE,
			      &info.target, 2);
	}
	memcpy(l2.dst, info.has_sender ? info.sender_mac : req + 6, 6);
	return put_nd(buf, room, &l2, &info.target, &p->src, NET_ICMP6_NA,
		      NA_SOLICITED | NA_OVERRIDE, &info.target, 2);
}

size_t net_build_ns(uint8_t *buf, size_t room, const uint8_t mac[6], const struct net_addr *self,
		    const struct net_addr *target, const uint8_t *dst_mac, uint16_t vlan)
{
	struct net_addr dst = {.b = {0xff, 0x02, [11] = 1, [12] = 0xff}};
	struct net_l2 l2 = {.vlan = vlan};

	if (net_addr_is_v4(self) || net_addr_is_v4(target))
		return 0;
	memcpy(dst.b + 13, target->b + 13, 3);
	memcpy(l2.src, mac, 6);
	if (dst_mac) {
		memcpy(l2.dst, dst_mac, 6);
		dst = *target;
	} else {
		mcast_mac(l2.dst, &dst);
	}
	return put_nd(buf, room, &l2, self, &dst, NET_ICMP6_NS, 0, target,
		      net_addr_is_any(self) ? 0 : 1);
}
