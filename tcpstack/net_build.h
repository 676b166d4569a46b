/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_build.h - builds the frames the gateway itself originates: TCP headers, ARP and ND
 * answers and questions, ICMP echo replies. Buffers are the caller's; functions
 * return the bytes written, 0 when the buffer is too small or the input is not answerable.
 */
#ifndef TCPSTACK_NET_BUILD_H
#define TCPSTACK_NET_BUILD_H

#include <stddef.h>

#include "tcpstack/net_flow.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp.h"

#define NET_MAX_HDR 128 /* Ethernet + VLAN + IPv6 + TCP with 40 option bytes, rounded up */

/** What every frame of one connection starts with. */
struct net_l2 {
	uint8_t dst[6]; /* next hop's MAC */
	uint8_t src[6]; /* our MAC */
	uint16_t vlan;	/* 802.1Q VID, 0: untagged */
	uint32_t label; /* IPv6 flow label, 20 bits, the same in all of them (RFC 6437) */
	uint8_t ttl;	/* TTL or hop limit; 0: 64 */
	uint8_t tos;	/* DSCP, in the upper six bits (RFC 2474); the others are ECN's */
};

/**
 * Headers of one TCP segment from f->local to f->remote: Ethernet, IP, TCP and options of *e,
 * for `paylen` bytes of payload that follow. seq and flags override those of *e (a run is cut by
 * the caller). The IPv4 header checksum is complete; the TCP checksum field holds the
 * pseudo-header sum (complement to be finished over header and payload, or by the device).
 * IPv4 headers say DF unless e->df_off.
 * *l4_off gets the offset of the TCP header.
 */
size_t net_build_tcp(uint8_t *buf, size_t room, const struct net_l2 *l2, const struct net_flow *f,
		     const struct tcp_emit *e, uint32_t seq, uint8_t flags, uint32_t paylen,
		     uint16_t ip_id, uint16_t *l4_off);

/**
 * Finishes a TCP checksum: `sum` is the unfolded 16-bit one's complement sum of the payload (see
 * net_csum_add()), the header at tcp of hlen bytes carries the pseudo-header sum already.
 */
void net_tcp_csum_finish(uint8_t *tcp, size_t hlen, uint32_t sum);

/** Adds `len` bytes to an unfolded RFC 1071 sum; `odd` says whether an odd number came before. */
uint32_t net_csum_add(uint32_t sum, const void *data, size_t len, bool odd);

/** Folds a sum to 16 bits, not complemented, network byte order. */
uint16_t net_csum_fold(uint32_t sum);

/** ARP reply to the request in `req` (parsed as *p), saying that p->dst is at mac. */
size_t net_build_arp_reply(uint8_t *buf, size_t room, const uint8_t *req, const struct net_pkt *p,
			   const uint8_t mac[6]);

/** ARP request for `target`, from our `self` at mac. dst_mac NULL: broadcast. vlan 0: untagged. */
size_t net_build_arp_request(uint8_t *buf, size_t room, const uint8_t mac[6],
			     const struct net_addr *self, const struct net_addr *target,
			     const uint8_t *dst_mac, uint16_t vlan);

/** Neighbour advertisement answering the solicitation in `req` (RFC 4861 section 7.2.4). */
size_t net_build_na(uint8_t *buf, size_t room, const uint8_t *req, const struct net_pkt *p,
		    const uint8_t mac[6]);

/** Unsolicited neighbour advertisement (RFC 4861 section 7.2.6) that `self` is at mac, to all. */
size_t net_build_na_unsolicited(uint8_t *buf, size_t room, const uint8_t mac[6],
				const struct net_addr *self);

/** Neighbour solicitation for `target` (RFC 4861 section 7.2.2). dst_mac NULL: solicited-node
 * multicast. */
size_t net_build_ns(uint8_t *buf, size_t room, const uint8_t mac[6], const struct net_addr *self,
		    const struct net_addr *target, const uint8_t *dst_mac, uint16_t vlan);

/** Echo reply to the ICMP or ICMPv6 echo request in `req`, with MACs and addresses swapped. */
size_t net_build_echo_reply(uint8_t *buf, size_t room, const uint8_t *req, uint32_t len,
			    const struct net_pkt *p, const uint8_t mac[6]);

/** Errors of a router. */
enum net_error {
	NET_ERROR_PROHIBITED, /* a firewall forbids it */
	NET_ERROR_TOO_BIG,    /* larger than the next link's MTU */
};

/**
 * ICMP or ICMPv6 error about `frame` (parsed as *p) from our address *self at mac to its sender,
 * with as much of it as is allowed. mtu: of the next link, for TOO_BIG. 0: none may be sent.
 */
size_t net_build_error(uint8_t *buf, size_t room, const uint8_t *frame, const struct net_pkt *p,
		       const struct net_addr *self, const uint8_t mac[6], enum net_error what,
		       uint32_t mtu);

/** What an ARP or ND frame says about a neighbour. */
struct net_neigh_info {
	bool is_request;	/* asks for `target` (ARP request or NS) */
	bool has_sender;	/* sender and sender_mac are valid (not a probe) */
	struct net_addr sender; /* whose MAC this is */
	struct net_addr target; /* address asked for (requests) or announced (NA) */
	uint8_t sender_mac[6];	/* from the ARP body or the link-layer option */
};

/** Reads an ARP frame, NS or NA accepted by net_parse(). 0, or EINVAL when it is none or malformed.
 */
int net_neigh_read(const uint8_t *frame, const struct net_pkt *p, struct net_neigh_info *info);

/**
 * A bare RST (RFC 9293 section 3.10.7.1) answering segment *seg of flow *f, checksums complete.
 * 0 when *seg is itself a RST.
 */
size_t net_build_rst(uint8_t *buf, size_t room, const struct net_l2 *l2, const struct net_flow *f,
		     const struct tcp_seg *seg);

#endif
