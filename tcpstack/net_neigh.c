/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_neigh.c - what ARP (RFC 826), neighbour solicitations and advertisements (RFC 4861 sections
 * 7.1.1 and 7.1.2) say about a neighbour. ND without its hop limit of 255, fragmented or behind
 * extension headers (RFC 6980) comes from somewhere else than the link and is refused.
 */
#include <errno.h>

#include "tcpstack/net_wire.h"

#define ND_HLEN	    24 /* ICMPv6 header, flags and target */
#define ND_OPT_SLLA 1
#define ND_OPT_TLLA 2

/* Walks ND options; *lladdr gets the link-layer address of option `want`, if there is one. */
static int nd_options(const uint8_t *o, uint32_t len, uint8_t want, const uint8_t **lladdr)
{
	uint32_t n;

	*lladdr = NULL;
	for (; len > 0; len -= n, o += n) {
		if (len < 8)
			return EINVAL;
		n = o[1] * 8u;
		if (n == 0 || n > len)
			return EINVAL;
		if (o[0] == want && n == 8)
			*lladdr = o + 2;
	}
	return 0;
}

static void read_arp(const uint8_t *frame, const struct net_pkt *p, struct net_neigh_info *info)
{
	const uint8_t *arp = frame + p->l3_off;

	info->is_request = net_get16(arp + 6) == 1;
	info->has_sender = !net_addr_is_any(&p->src);
	info->sender = p->src;
	info->target = p->dst;
	memcpy(info->sender_mac, arp + 8, 6);
}

/* A solicitation: the sender is the IP source, its MAC in the source link-layer option. */
static int read_ns(const uint8_t *nd, uint32_t len, const struct net_pkt *p,
		   struct net_neigh_info *info)
{
	static const uint8_t solicited[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};
	const bool dad = net_addr_is_any(&p->src);
	const uint8_t *mac;

	if (nd_options(nd + ND_HLEN, len - ND_HLEN, ND_OPT_SLLA, &mac))
		return EINVAL;
	if (net_addr_eq(&p->src, &info->target)) /* asks for itself */
		return EINVAL;
	if (dad && (mac || memcmp(p->dst.b, solicited, sizeof(solicited)) != 0))
		return EINVAL;
	info->is_request = true;
	info->sender = p->src;
	if (!dad && mac) {
		info->has_sender = true;
		memcpy(info->sender_mac, mac, 6);
	}
	return 0;
}

/* An advertisement: the sender is the target, its MAC in the target link-layer option. */
static int read_na(const uint8_t *nd, uint32_t len, const struct net_pkt *p,
		   struct net_neigh_info *info)
{
	const uint8_t *mac;

	if (nd_options(nd + ND_HLEN, len - ND_HLEN, ND_OPT_TLLA, &mac))
		return EINVAL;
	if (net_addr_is_mcast(&p->dst) && (nd[4] & 0x40)) /* solicited, but to a group */
		return EINVAL;
	info->sender = info->target;
	if (mac) {
		info->has_sender = true;
		memcpy(info->sender_mac, mac, 6);
	}
	return 0;
}

int net_neigh_read(const uint8_t *frame, const struct net_pkt *p, struct net_neigh_info *info)
{
	static const uint8_t loopback[16] = {[15] = 1};
	const uint8_t *nd = frame + p->l4_off;
	uint32_t len;
	int err;

	memset(info, 0, sizeof(*info));
	if (p->ethertype == NET_ETHERTYPE_ARP) {
		read_arp(frame, p, info);
		return 0;
	}
	if (!p->is_v6 || p->proto != NET_PROTO_ICMP6 || p->l4_off != p->l3_off + NET_IP6_HLEN)
		return EINVAL;
	len = p->frame_len - p->l4_off;
	if (len < ND_HLEN || p->ttl != 255 || nd[1] != 0)
		return EINVAL;
	memcpy(info->target.b, nd + 8, 16);
	if (net_addr_is_mcast(&info->target) || net_addr_is_v4(&info->target) ||
	    net_addr_is_any(&info->target) || memcmp(info->target.b, loopback, 16) == 0)
		return EINVAL;
	if (nd[0] == NET_ICMP6_NS)
		err = read_ns(nd, len, p, info);
	else
		err = nd[0] == NET_ICMP6_NA ? read_na(nd, len, p, info) : EINVAL;
	if (!err && info->has_sender && (info->sender_mac[0] & 1))
		err = EINVAL;
	return err;
}
