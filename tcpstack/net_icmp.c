/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_icmp.c - what an ICMP (RFC 792, RFC 1191 section 4) or ICMPv6 (RFC 4443 section 3) error says
 * about a TCP segment. Source quench is no error any more (RFC 6633).
 */
#include <errno.h>

#include "tcpstack/net_wire.h"
#include "tcpstack/seqmap.h"

/* Codes of NET_ICMP_UNREACH; the first two are hard errors by RFC 9293 section 3.9.2.2 */
#define CODE_PROTOCOL	2
#define CODE_PORT	3
#define CODE_NEEDS_FRAG 4

/* Codes of NET_ICMP6_UNREACH that are hard errors by RFC 5461 section 2.2 */
#define CODE6_PROHIBITED 1
#define CODE6_PORT	 4

/* Kind of an ICMP error, TCP_K_NONE: none. */
static enum tcp_icmp_kind kind4(const uint8_t *icmp)
{
	switch (icmp[0]) {
	case NET_ICMP_UNREACH:
		if (icmp[1] == CODE_NEEDS_FRAG)
			return TCP_K_TOO_BIG;
		return icmp[1] == CODE_PROTOCOL || icmp[1] == CODE_PORT ? TCP_K_REFUSED
									: TCP_K_UNREACHABLE;
	case NET_ICMP_TIME:
		return TCP_K_TIME;
	case NET_ICMP_PARAM:
		return TCP_K_PARAMETER;
	default:
		return TCP_K_NONE;
	}
}

/* The same for ICMPv6. */
static enum tcp_icmp_kind kind6(const uint8_t *icmp)
{
	switch (icmp[0]) {
	case NET_ICMP6_UNREACH:
		return icmp[1] == CODE6_PROHIBITED || icmp[1] == CODE6_PORT ? TCP_K_REFUSED
									    : TCP_K_UNREACHABLE;
	case NET_ICMP6_TOO_BIG:
		return TCP_K_TOO_BIG;
	case NET_ICMP6_TIME:
		return TCP_K_TIME;
	case NET_ICMP6_PARAM:
		return TCP_K_PARAMETER;
	default:
		return TCP_K_NONE;
	}
}

int net_icmp_error(const uint8_t *frame, const struct net_pkt *p, struct net_flow *f,
		   struct tcp_icmp_err *e)
{
	const uint8_t *icmp = frame + p->l4_off;
	uint32_t ip, tcp, len;

	if (net_icmp_quoted(frame, p, f) || net_icmp_quote(frame, p, &ip, &tcp, &len))
		return EINVAL;
	*e = (struct tcp_icmp_err){.kind = p->is_v6 ? kind6(icmp) : kind4(icmp),
				   .seq = net_get32(frame + tcp + NET_TCP_SEQ)};
	if (p->is_v6)
		e->len = NET_IP6_HLEN + net_get16(frame + ip + NET_IP6_PLEN);
	else
		e->len = net_get16(frame + ip + NET_IP4_TOTLEN);
	if (e->kind == TCP_K_TOO_BIG)
		e->mtu = p->is_v6 ? net_get32(icmp + 4) : net_get16(icmp + 6);
	return e->kind == TCP_K_NONE ? EINVAL : 0;
}
