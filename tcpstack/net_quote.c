/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_quote.c - the packet quoted in an ICMP (RFC 792) or ICMPv6 (RFC 4443) error. As little as 8
 * bytes of its TCP header may be there: ports and sequence number.
 */
#include <errno.h>

#include "tcpstack/net_wire.h"
#include "tcpstack/seqmap.h"

#define MIN_QUOTE 8 /* RFC 792: internet header + 64 bits */

/* True when the message is an error, which quotes the packet it is about. */
static bool is_error(const uint8_t *icmp, bool v6)
{
	if (v6)
		return icmp[0] >= NET_ICMP6_UNREACH && icmp[0] <= NET_ICMP6_PARAM;
	return icmp[0] == NET_ICMP_UNREACH || icmp[0] == NET_ICMP_QUENCH ||
	       icmp[0] == NET_ICMP_TIME || icmp[0] == NET_ICMP_PARAM;
}

/* Length of the quoted IP header when it is one of an unfragmented or first-fragment TCP packet. */
static uint32_t quoted_ip_len(const uint8_t *ip, uint32_t room, bool v6)
{
	uint32_t hlen;

	if (v6) {
		if (room < NET_IP6_HLEN || ip[0] >> 4 != 6 || ip[NET_IP6_NEXT] != NET_PROTO_TCP)
			return 0;
		return NET_IP6_HLEN;
	}
	if (room < NET_IP4_HLEN || ip[0] >> 4 != 4 || ip[NET_IP4_PROTO] != NET_PROTO_TCP)
		return 0;
	hlen = (ip[0] & 0xf) * 4u;
	if (hlen < NET_IP4_HLEN || (net_get16(ip + NET_IP4_FRAG) & 0x1fff) != 0)
		return 0;
	return hlen;
}

int net_icmp_quote(const uint8_t *frame, const struct net_pkt *p, uint32_t *ip_off,
		   uint32_t *tcp_off, uint32_t *tcp_len)
{
	uint32_t hlen;

	if (p->l4_off == 0 || p->fragment ||
	    p->proto != (p->is_v6 ? NET_PROTO_ICMP6 : NET_PROTO_ICMP) ||
	    !is_error(frame + p->l4_off, p->is_v6))
		return EINVAL;
	hlen = quoted_ip_len(frame + p->payload_off, p->payload_len, p->is_v6);
	if (hlen == 0 || p->payload_len < hlen + MIN_QUOTE)
		return EINVAL;
	*ip_off = p->payload_off;
	*tcp_off = p->payload_off + hlen;
	*tcp_len = p->payload_len - hlen;
	return 0;
}

int net_icmp_quoted(const uint8_t *frame, const struct net_pkt *p, struct net_flow *f)
{
	uint32_t ip, tcp, len;

	memset(f, 0, sizeof(*f));
	if (net_icmp_quote(frame, p, &ip, &tcp, &len))
		return EINVAL;
	if (p->is_v6) {
		memcpy(f->local.b, frame + ip + NET_IP6_SRC, 16);
		memcpy(f->remote.b, frame + ip + NET_IP6_DST, 16);
		if (net_addr_is_v4(&f->local) || net_addr_is_v4(&f->remote))
			return EINVAL;
	} else {
		net_addr_v4(&f->local, frame + ip + NET_IP4_SRC);
		net_addr_v4(&f->remote, frame + ip + NET_IP4_DST);
	}
	f->lport = net_raw16(frame + tcp);
	f->rport = net_raw16(frame + tcp + 2);
	return 0;
}
