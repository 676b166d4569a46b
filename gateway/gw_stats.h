/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_stats.h - counters of a worker: plain uint64_t written by that worker alone, summed by the
 * control thread; the second column is what metrics and people are told. Every drop and every
 * refusal has a name here.
 */
#ifndef GATEWAY_GW_STATS_H
#define GATEWAY_GW_STATS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "correlator/corr_steer.h"
#include "ibside/ib_msg.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp.h"

#define GW_FOREACH_STAT(_)                                                               \
	_(lan_rx_frames, "frames received from the client LAN")                          \
	_(lan_tx_frames, "frames sent to the client LAN")                                \
	_(lan_rx_bytes, "bytes received from the client LAN")                            \
	_(lan_tx_bytes, "bytes sent to the client LAN")                                  \
	_(native_frames_to_fabric, "frames tunnelled to hosts")                          \
	_(native_frames_to_lan, "tunnelled frames of hosts sent to the LAN")             \
	_(native_bytes_to_fabric, "bytes of frames tunnelled to hosts")                  \
	_(native_bytes_to_lan, "bytes of tunnelled frames sent to the LAN")              \
	_(native_hairpins, "frames of one host to another")                              \
	_(native_rx_exhausted, "times the native queue had no receive buffer left")      \
	_(bounced_frames, "frames of accelerated connections that came back from hosts") \
	_(arp_replies, "ARP requests answered")                                          \
	_(nd_replies, "neighbour solicitations answered")                                \
	_(icmp_echo_replies, "pings answered")                                           \
	_(icmp_relayed, "ICMP errors passed to the server whose segment they quote")     \
	_(refusals_sent, "RSTs and ICMP errors about what rules and services reject")    \
	_(too_big_sent, "ICMP packet too big sent")                                      \
	_(answers_suppressed, "RSTs and ICMP errors not sent, for their rate")           \
	_(mss_clamped, "SYNs whose MSS was lowered between unlike MTUs")                 \
	_(announcements, "gratuitous ARPs and neighbour advertisements sent")            \
	_(checks_sent, "health checks begun")                                            \
	_(icmp_errors, "ICMP errors about accelerated connections")                      \
	_(tcp_fragments, "fragments of TCP segments")                                    \
	_(tcp_reassembled, "TCP segments put together of fragments")                     \
	_(accel_asks, "hosts asked by command to request a connection")                  \
	_(accel_requests, "requests for acceleration")                                   \
	_(accel_grants, "requests granted")                                              \
	_(accel_denies, "requests refused")                                              \
	_(accel_commits, "connections taken over")                                       \
	_(conn_parks, "connections put to rest")                                         \
	_(conn_wakes, "connections brought back to work")                                \
	_(conn_wakes_refused, "connections that found no room to work")                  \
	_(accel_cancels, "grants cancelled by hosts")                                    \
	_(handbacks, "connections handed back to hosts")                                 \
	_(client_resets, "valid resets of clients")                                      \
	_(host_aborts, "connections aborted by hosts")                                   \
	_(rdma_reads, "RDMA READs of payload")                                           \
	_(rdma_read_bytes, "payload bytes READ from servers")                            \
	_(rdma_writes, "RDMA WRITEs of payload")                                         \
	_(rdma_write_bytes, "payload bytes WRITTEN to servers")                          \
	_(line_reads, "RDMA READs of host lines")                                        \
	_(line_writes, "RDMA WRITEs of gateway lines")                                   \
	_(messages_in, "messages of hosts")                                              \
	_(messages_out, "messages to hosts")                                             \
	_(tcp_segments_out, "TCP segments sent to clients")                              \
	_(tcp_segments_in, "TCP segments of accelerated connections received")           \
	_(tcp_bytes_out, "payload bytes sent to clients, retransmissions not counted")   \
	_(tcp_bytes_in, "payload bytes accepted from clients")                           \
	_(tcp_retransmits, "TCP segments sent again")                                    \
	_(challenges_refused, "challenge ACKs kept back by the limit of the worker")     \
	_(handed_frames, "frames given to the worker whose flow they belong to")         \
	_(taken_frames, "frames that other workers gave")                                \
	_(accel_redirects, "requests for acceleration sent on to another worker")        \
	_(busy_us, "microseconds in turns that had work")                                \
	_(polls, "turns of the worker loops")                                            \
	_(sleeps, "turns that ended in a sleep")

/** Reasons that are the gateway's own; parse errors, TCP verdicts and reset reasons come on top. */
#define GW_FOREACH_DROP(_)                                                                    \
	_(NO_SERVER, "no-server")	     /* destination IP is nobody's */                 \
	_(NOT_ATTACHED, "host-not-attached") /* the server's host is not there */             \
	_(BROADCAST, "broadcast")	     /* group destination not served */               \
	_(FOREIGN_MAC, "foreign-mac")	     /* not addressed to us */                        \
	_(OVERSIZED, "oversized")	     /* larger than the MTU of where it must go */    \
	_(SPOOFED_SOURCE, "spoofed-source")  /* a host used an address that is not its own */ \
	_(UNKNOWN_QP, "unknown-source-qp")   /* fabric frame from nobody we know */           \
	_(BAD_ENCAP, "bad-encapsulation")                                                     \
	_(NO_NEIGHBOUR, "no-neighbour") /* MAC unknown and the waiting queue is full */       \
	_(NO_MBUF, "no-mbuf")                                                                 \
	_(FABRIC_FULL, "fabric-queue-full")                                                   \
	_(LAN_FULL, "lan-queue-full")                                                         \
	_(NO_LIVE, "too-many-at-work")	      /* a frame for a connection at rest */          \
	_(HELD_FULL, "held-queue-full")	      /* frames held during a hand-back */            \
	_(HELD_LOST, "host-lost")	      /* the host that had the connection is gone */  \
	_(BOUNCED_UNKNOWN, "bounced-unknown") /* bounced, and no state, waiting queue full */ \
	_(BAD_MESSAGE, "bad-message")                                                         \
	_(STALE_TOKEN, "stale-token")                                                         \
	_(BAD_CURSOR, "bad-cursor") /* a host's cursor outside its ring */                    \
	_(VLAN, "vlan")                                                                       \
	_(BAD_ND, "bad-neighbour-message")                                                    \
	_(IP6_OPTION, "ipv6-option") /* unknown, and says that the packet must not be used */ \
	_(WORKER_FULL, "worker-queue-full") /* of frames for another worker */                \
	_(FRAGMENT, "fragment")		    /* of a TCP segment that did not become whole */

/** Index into gw_stats.drop. */
enum gw_drop {
#define _(sym, name) GW_DROP_##sym,
	GW_FOREACH_DROP(_)
#undef _
		GW_DROP_COUNT
};

/** Counters of one worker. */
struct gw_stats {
#define _(name, help) uint64_t name; /* help */
	GW_FOREACH_STAT(_)
#undef _
	uint64_t drop[GW_DROP_COUNT];	 /* frames and messages dropped by the gateway */
	uint64_t policy[CORR_WHY_COUNT]; /* frames that the policy refused */
	uint64_t perr[NET_PERR_COUNT];	 /* frames refused by the parser */
	uint64_t verdict[TCP_V_COUNT];	 /* segments not taken by the TCP core */
	uint64_t icmp[TCP_I_COUNT];	 /* ICMP errors about accelerated connections */
	uint64_t deny[IB_R_COUNT];	 /* acceleration refused */
	uint64_t back[IB_R_COUNT];	 /* hand-backs by reason */
};

/** All counters from drop[] to deny[], in that order, as one array: reasons by number. */
#define GW_WHYS \
	(GW_DROP_COUNT + CORR_WHY_COUNT + NET_PERR_COUNT + TCP_V_COUNT + TCP_I_COUNT + IB_R_COUNT)
static_assert(offsetof(struct gw_stats, back) - offsetof(struct gw_stats, drop) ==
		      GW_WHYS * sizeof(uint64_t),
	      "one array");

/** Those counters of s. */
static inline uint64_t *gw_whys(struct gw_stats *s)
{
	return (uint64_t *)((char *)s + offsetof(struct gw_stats, drop));
}

#endif
