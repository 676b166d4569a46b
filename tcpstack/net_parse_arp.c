/* SPDX-License-Identifier: BSD-3-Clause */
/* net_parse_arp.c - ARP for IPv4 over Ethernet (RFC 826, RFC 5227 for probes). */
#include "tcpstack/net_wire.h"

enum net_perr net_parse_arp(const uint8_t *frame, uint32_t len, struct net_pkt *p)
{
	static const uint8_t shape[6] = {0, 1, 0x08, 0x00, 6, 4}; /* Ethernet, IPv4, lengths */
	const uint8_t *arp = frame + p->l3_off;
	uint16_t op;

	if (len < (uint32_t)p->l3_off + NET_ARP_LEN)
		return NET_PERR_RUNT;
	p->frame_len = p->payload_off = p->l3_off + NET_ARP_LEN;
	if (memcmp(arp, shape, sizeof(shape)) != 0)
		return NET_PERR_ARP;
	op = net_get16(arp + 6);
	net_addr_v4(&p->src, arp + 14);
	net_addr_v4(&p->dst, arp + 24);
	if (op != 1 && op != 2)
		return NET_PERR_ARP;
	if (arp[8] & 1 || arp[14] == 127 || net_addr_is_mcast(&p->src)) /* group MAC as sender */
		return NET_PERR_ARP;
	return NET_PERR_OK;
}
