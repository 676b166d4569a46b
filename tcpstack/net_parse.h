/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_parse.h - Ethernet II (with one 802.1Q tag), ARP (RFC 826), IPv4 (RFC 791), IPv6 (RFC
 * 8200), ICMP (RFC 792), ICMPv6/ND (RFC 4443, 4861), UDP (RFC 768) and TCP (RFC 9293) headers of
 * one contiguous frame. Nothing is trusted: every length is checked against the frame.
 */
#ifndef TCPSTACK_NET_PARSE_H
#define TCPSTACK_NET_PARSE_H

#include "tcpstack/net_flow.h"
#include "tcpstack/tcp.h"

#define NET_ETHERTYPE_IP4  0x0800
#define NET_ETHERTYPE_ARP  0x0806
#define NET_ETHERTYPE_IP6  0x86dd
#define NET_ETHERTYPE_VLAN 0x8100

#define NET_FOREACH_PERR(_)                                                          \
	_(OK, "ok")                                                                  \
	_(RUNT, "runt-frame")                                                        \
	_(ETHERTYPE, "unknown-ethertype")                                            \
	_(IP_VERSION, "bad-ip-version")                                              \
	_(IP_HLEN, "bad-ip-header-length")                                           \
	_(IP_LEN, "bad-ip-length")                                                   \
	_(IP_CSUM, "bad-ip-checksum")                                                \
	_(IP_ADDR, "bad-ip-address") /* loopback, multicast or unspecified source */ \
	_(IP6_EXT, "bad-ipv6-extension")                                             \
	_(ARP, "bad-arp")                                                            \
	_(ICMP_LEN, "bad-icmp-length")                                               \
	_(ICMP_CSUM, "bad-icmp-checksum")                                            \
	_(UDP_LEN, "bad-udp-length")                                                 \
	_(UDP_CSUM, "bad-udp-checksum")                                              \
	_(TCP_HLEN, "bad-tcp-header-length")                                         \
	_(TCP_OPT, "bad-tcp-option")                                                 \
	_(TCP_CSUM, "bad-tcp-checksum")                                              \
	_(TCP_FLAGS, "bad-tcp-flags")                                                \
	_(TCP_PORT, "bad-tcp-port")

/** Why a frame was refused. */
enum net_perr {
#define _(sym, name) NET_PERR_##sym,
	NET_FOREACH_PERR(_)
#undef _
		NET_PERR_COUNT
};

/** Where everything is in a frame. Offsets are bytes from the start of the frame. */
struct net_pkt {
	uint16_t ethertype;   /* host byte order, after the tag */
	uint16_t vlan;	      /* 802.1Q VID, 0 when untagged */
	uint16_t l3_off;      /* IP or ARP header */
	uint16_t l4_off;      /* transport header; 0 when there is none to look at */
	uint32_t payload_off; /* first byte after the transport header */
	uint32_t payload_len; /* by the IP length, Ethernet padding excluded */
	uint32_t frame_len;   /* bytes that belong to the packet, padding excluded */
	uint8_t proto;	      /* IP protocol after extension headers */
	uint8_t ttl;	      /* TTL or hop limit */
	uint8_t ecn;	      /* ECN bits of the IP header */
	bool is_v6;	      /* IPv6 */
	bool fragment;	      /* any fragment; l4_off is 0 unless it is the first */
	bool opt_refuse;      /* IPv6: an option that we do not know says to discard the packet */
	bool eth_mcast;	      /* group bit of the destination MAC */
	struct net_addr src;  /* IP source (sender protocol address for ARP) */
	struct net_addr dst;  /* IP destination (target protocol address for ARP) */
	uint16_t sport;	      /* TCP/UDP, network byte order, 0 otherwise */
	uint16_t dport;	      /* TCP/UDP, network byte order, 0 otherwise */
};

/** Flags of net_parse(). */
#define NET_F_CSUM_L4 0x1 /* verify TCP, UDP and ICMP checksums in software */
#define NET_F_CSUM_IP 0x2 /* verify the IPv4 header checksum */

/**
 * Parses the frame of `len` bytes. Returns NET_PERR_OK and fills *p, or the reason (then *p is
 * filled as far as it was read). TCP header length is checked here, options by net_parse_tcp().
 */
enum net_perr net_parse(const uint8_t *frame, uint32_t len, unsigned int flags, struct net_pkt *p);

/** Describes the TCP segment of a frame that net_parse() accepted with proto 6. Options included.
 */
enum net_perr net_parse_tcp(const uint8_t *frame, const struct net_pkt *p, struct tcp_seg *seg);

/**
 * What an ICMP or ICMPv6 error accepted by net_parse() says about a segment of ours: *f is the flow
 * it quotes, as the server sees it. 0, or EINVAL when it is no error or quotes no TCP segment.
 */
int net_icmp_error(const uint8_t *frame, const struct net_pkt *p, struct net_flow *f,
		   struct tcp_icmp_err *e);

/** Name of a reason. */
const char *net_perr_name(enum net_perr e);

#endif
