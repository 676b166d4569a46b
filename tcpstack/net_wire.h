/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_wire.h - what the parsers and builders share: unaligned big-endian loads and stores, header
 * sizes and offsets, checksum arithmetic. Internal to tcpstack and to whoever rewrites headers.
 */
#ifndef TCPSTACK_NET_WIRE_H
#define TCPSTACK_NET_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tcpstack/net_build.h"

#define NET_ETH_HLEN  14
#define NET_VLAN_HLEN 4
#define NET_IP4_HLEN  20
#define NET_IP6_HLEN  40
#define NET_TCP_HLEN  20
#define NET_UDP_HLEN  8
#define NET_ICMP_HLEN 8
#define NET_ARP_LEN   28
#define NET_TTL	      64 /* of what we originate, RFC 1700 */

#define NET_PROTO_HOPOPT   0
#define NET_PROTO_ICMP	   1
#define NET_PROTO_TCP	   6
#define NET_PROTO_UDP	   17
#define NET_PROTO_ROUTING  43
#define NET_PROTO_FRAGMENT 44
#define NET_PROTO_ICMP6	   58
#define NET_PROTO_DSTOPTS  60

/** Offsets in a TCP header (RFC 9293 section 3.1). */
enum net_tcp_off {
	NET_TCP_SEQ = 4,
	NET_TCP_ACK = 8,
	NET_TCP_DOFF = 12,
	NET_TCP_FLAGS = 13,
	NET_TCP_WND = 14,
	NET_TCP_CSUM = 16,
	NET_TCP_URG = 18,
};

/** Offsets in an IPv4 header (RFC 791 section 3.1). */
enum net_ip4_off {
	NET_IP4_TOS = 1,
	NET_IP4_TOTLEN = 2,
	NET_IP4_ID = 4,
	NET_IP4_FRAG = 6,
	NET_IP4_TTL = 8,
	NET_IP4_PROTO = 9,
	NET_IP4_CSUM = 10,
	NET_IP4_SRC = 12,
	NET_IP4_DST = 16,
};

/** Offsets in an IPv6 header (RFC 8200 section 3). */
enum net_ip6_off {
	NET_IP6_PLEN = 4,
	NET_IP6_NEXT = 6,
	NET_IP6_HLIM = 7,
	NET_IP6_SRC = 8,
	NET_IP6_DST = 24,
};

/** TCP option kinds (RFC 9293 section 3.2, RFC 7323, RFC 2018). */
enum net_tcp_opt {
	NET_OPT_EOL = 0,
	NET_OPT_NOP = 1,
	NET_OPT_MSS = 2,
	NET_OPT_WSCALE = 3,
	NET_OPT_SACK_PERM = 4,
	NET_OPT_SACK = 5,
	NET_OPT_TS = 8,
};

/** ICMP and ICMPv6 types used here (RFC 792, RFC 4443, RFC 4861). */
enum net_icmp_type {
	NET_ICMP_ECHO_REPLY = 0,
	NET_ICMP_UNREACH = 3,
	NET_ICMP_QUENCH = 4,
	NET_ICMP_REDIRECT = 5,
	NET_ICMP_ECHO = 8,
	NET_ICMP_TIME = 11,
	NET_ICMP_PARAM = 12,
	NET_ICMP6_UNREACH = 1,
	NET_ICMP6_TOO_BIG = 2,
	NET_ICMP6_TIME = 3,
	NET_ICMP6_PARAM = 4,
	NET_ICMP6_ECHO = 128,
	NET_ICMP6_ECHO_REPLY = 129,
	NET_ICMP6_NS = 135,
	NET_ICMP6_NA = 136,
};

/** Loads a 16-bit big-endian number, any alignment. */
static inline uint16_t net_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/** Loads a 32-bit big-endian number, any alignment. */
static inline uint32_t net_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/** Stores a 16-bit number big-endian, any alignment. */
static inline void net_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/** Stores a 32-bit number big-endian, any alignment. */
static inline void net_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/** Loads 16 bits without changing their byte order, any alignment. */
static inline uint16_t net_raw16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/** Stores 16 bits without changing their byte order, any alignment. */
static inline void net_put_raw16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/** True for an IPv4 or IPv6 multicast address, and for the limited broadcast address. */
static inline bool net_addr_is_mcast(const struct net_addr *a)
{
	static const uint8_t bcast[4] = {255, 255, 255, 255};

	if (net_addr_is_v4(a))
		return (a->b[12] & 0xf0) == 0xe0 || memcmp(a->b + 12, bcast, 4) == 0;
	return a->b[0] == 0xff;
}

/** True for 0.0.0.0 and for ::. */
static inline bool net_addr_is_any(const struct net_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b + 12, zero, 4) == 0 &&
	       (net_addr_is_v4(a) || memcmp(a->b, zero, 12) == 0);
}

/** Unfolded sum of the pseudo-header of TCP, UDP or ICMPv6 (RFC 9293 section 3.1, RFC 8200 8.1). */
uint32_t net_csum_pseudo(const struct net_addr *src, const struct net_addr *dst, uint8_t proto,
			 uint32_t len);

/**
 * Updates the checksum at `csum` (RFC 1624, equation 3) for `len` bytes that changed from `old`
 * to `now`; `odd` says whether they start at an odd offset of what the checksum covers.
 */
void net_csum_update(uint8_t *csum, const void *old, const void *now, size_t len, bool odd);

/** Writes the checksum of the `hlen` bytes of an IPv4 header into it. */
void net_ip4_csum(uint8_t *ip, size_t hlen);

/** Writes the Ethernet header and, with vlan, the 802.1Q tag; returns its length (14 or 18). */
size_t net_put_eth(uint8_t *buf, const uint8_t dst[6], const uint8_t src[6], uint16_t vlan,
		   uint16_t ethertype);

/** Writes an IPv4 header without options (DF set, checksum complete); returns 20. */
size_t net_put_ip4(uint8_t *buf, const struct net_addr *src, const struct net_addr *dst,
		   uint8_t proto, uint16_t id, uint16_t paylen);

/** Writes an IPv6 header; returns 40. */
size_t net_put_ip6(uint8_t *buf, const struct net_addr *src, const struct net_addr *dst,
		   uint8_t next, uint8_t hlim, uint16_t paylen);

/**
 * Finds the TCP header quoted in an ICMP or ICMPv6 error: *ip_off and *tcp_off are offsets in the
 * frame, *tcp_len the bytes of the TCP segment that are there (8 or more). 0 or EINVAL.
 */
int net_icmp_quote(const uint8_t *frame, const struct net_pkt *p, uint32_t *ip_off,
		   uint32_t *tcp_off, uint32_t *tcp_len);

/** Internal stages of net_parse(): each reads one layer at the offset its predecessor found. */
enum net_perr net_parse_arp(const uint8_t *frame, uint32_t len, struct net_pkt *p);
enum net_perr net_parse_ip4(const uint8_t *frame, uint32_t len, unsigned int flags,
			    struct net_pkt *p);
enum net_perr net_parse_ip6(const uint8_t *frame, uint32_t len, struct net_pkt *p);
enum net_perr net_parse_l4(const uint8_t *frame, unsigned int flags, struct net_pkt *p);

/** NOP, NOP, timestamps at o (RFC 7323 appendix A); returns its 12 bytes. */
static inline uint8_t net_put_ts(uint8_t *o, uint32_t val, uint32_t ecr)
{
	o[0] = o[1] = NET_OPT_NOP;
	o[2] = NET_OPT_TS;
	o[3] = 10;
	net_put32(o + 4, val);
	net_put32(o + 8, ecr);
	return 12;
}

#endif
