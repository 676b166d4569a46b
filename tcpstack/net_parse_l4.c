/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_parse_l4.c - transport headers: TCP (RFC 9293 section 3.1), UDP (RFC 768), ICMP (RFC 792)
 * and ICMPv6 (RFC 4443). A checksum covers what a fragment does not have, so fragments are
 * only measured.
 */
#include "tcpstack/net_wire.h"

/* True when the `len` transport bytes and, if asked for, their pseudo-header sum up. */
static bool csum_ok(const uint8_t *l4, uint32_t len, const struct net_pkt *p, bool pseudo)
{
	uint32_t sum = pseudo ? net_csum_pseudo(&p->src, &p->dst, p->proto, len) : 0;

	return net_csum_fold(net_csum_add(sum, l4, len, false)) == 0xffff;
}

/* True for flag combinations that no TCP sends: the state machine never sees them. */
static bool flags_bad(uint8_t f)
{
	switch (f & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) {
	case TCP_SYN:
	case TCP_SYN | TCP_ACK:
	case TCP_RST:
	case TCP_RST | TCP_ACK:
	case TCP_ACK:
	case TCP_FIN | TCP_ACK:
		return false;
	default:
		return true;
	}
}

/* TCP header: lengths, checksum, flags and ports. */
static enum net_perr parse_tcp(const uint8_t *l4, uint32_t len, bool verify, struct net_pkt *p)
{
	uint32_t hlen;

	if (len < NET_TCP_HLEN)
		return NET_PERR_TCP_HLEN;
	hlen = (l4[NET_TCP_DOFF] >> 4) * 4u;
	if (hlen < NET_TCP_HLEN || hlen > len)
		return NET_PERR_TCP_HLEN;
	if (verify && !csum_ok(l4, len, p, true))
		return NET_PERR_TCP_CSUM;
	p->sport = net_raw16(l4);
	p->dport = net_raw16(l4 + 2);
	p->payload_off += hlen;
	p->payload_len -= hlen;
	if (flags_bad(l4[NET_TCP_FLAGS]))
		return NET_PERR_TCP_FLAGS;
	return p->sport && p->dport ? NET_PERR_OK : NET_PERR_TCP_PORT;
}

/* UDP header. A zero checksum means none with IPv4 and is an error with IPv6 (RFC 8200 8.1). */
static enum net_perr parse_udp(const uint8_t *l4, uint32_t len, bool verify, struct net_pkt *p)
{
	uint32_t ulen;

	if (len < NET_UDP_HLEN)
		return NET_PERR_UDP_LEN;
	ulen = net_get16(l4 + 4);
	if (ulen < NET_UDP_HLEN || (!p->fragment && ulen > len))
		return NET_PERR_UDP_LEN;
	if (verify && net_raw16(l4 + 6) == 0 && p->is_v6)
		return NET_PERR_UDP_CSUM;
	if (verify && net_raw16(l4 + 6) != 0 && !csum_ok(l4, ulen, p, true))
		return NET_PERR_UDP_CSUM;
	p->sport = net_raw16(l4);
	p->dport = net_raw16(l4 + 2);
	p->payload_off += NET_UDP_HLEN;
	p->payload_len = (p->fragment ? len : ulen) - NET_UDP_HLEN;
	return NET_PERR_OK;
}

enum net_perr net_parse_l4(const uint8_t *frame, unsigned int flags, struct net_pkt *p)
{
	const uint8_t *l4 = frame + p->l4_off;
	uint32_t len = p->payload_len;
	bool verify = (flags & NET_F_CSUM_L4) && !p->fragment;

	if (p->proto == NET_PROTO_TCP)
		return parse_tcp(l4, len, verify, p);
	if (p->proto == NET_PROTO_UDP)
		return parse_udp(l4, len, verify, p);
	if (len < NET_ICMP_HLEN)
		return NET_PERR_ICMP_LEN;
	if (verify && !csum_ok(l4, len, p, p->is_v6))
		return NET_PERR_ICMP_CSUM;
	p->payload_off += NET_ICMP_HLEN;
	p->payload_len -= NET_ICMP_HLEN;
	return NET_PERR_OK;
}
