/* SPDX-License-Identifier: BSD-3-Clause */
/* net_build_arp.c - ARP questions and answers for IPv4 over Ethernet (RFC 826). */
#include "tcpstack/net_wire.h"

/* One ARP frame. Addresses are 4 bytes each, network byte order. */
static size_t put_arp(uint8_t *buf, uint16_t vlan, const uint8_t *eth_dst, uint16_t op,
		      const uint8_t sha[6], const uint8_t *spa, const uint8_t tha[6],
		      const uint8_t *tpa)
{
	static const uint8_t shape[6] = {0, 1, 0x08, 0x00, 6, 4};
	size_t off = net_put_eth(buf, eth_dst, sha, vlan, NET_ETHERTYPE_ARP);
	uint8_t *arp = buf + off;

	memcpy(arp, shape, sizeof(shape));
	net_put16(arp + 6, op);
	memcpy(arp + 8, sha, 6);
	memcpy(arp + 14, spa, 4);
	memcpy(arp + 18, tha, 6);
	memcpy(arp + 24, tpa, 4);
	return off + NET_ARP_LEN;
}

/* True when a frame with this tag fits. */
static bool fits(size_t room, uint16_t vlan)
{
	return room >= (size_t)NET_ETH_HLEN + (vlan ? NET_VLAN_HLEN : 0) + NET_ARP_LEN;
}

size_t net_build_arp_reply(uint8_t *buf, size_t room, const uint8_t *req, const struct net_pkt *p,
			   const uint8_t mac[6])
{
	const uint8_t *arp = req + p->l3_off;

	if (p->ethertype != NET_ETHERTYPE_ARP || net_get16(arp + 6) != 1 || !fits(room, p->vlan))
		return 0;
	if (net_addr_is_mcast(&p->dst) || p->dst.b[12] == 127 || p->dst.b[12] == 0)
		return 0; /* nobody's address */
	return put_arp(buf, p->vlan, arp + 8, 2, mac, p->dst.b + 12, arp + 8, p->src.b + 12);
}

size_t net_build_arp_request(uint8_t *buf, size_t room, const uint8_t mac[6],
			     const struct net_addr *self, const struct net_addr *target,
			     const uint8_t *dst_mac, uint16_t vlan)
{
	static const uint8_t bcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, zero[6];

	if (!net_addr_is_v4(self) || !net_addr_is_v4(target) || !fits(room, vlan))
		return 0;
	return put_arp(buf, vlan, dst_mac ? dst_mac : bcast, 1, mac, self->b + 12, zero,
		       target->b + 12);
}
