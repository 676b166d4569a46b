/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_stats.h - counters of a worker: plain uint64_t written by that worker alone, summed by the
 * control thread. Every drop and every refusal has a name here.
 */
#ifndef GATEWAY_GW_STATS_H
#define GATEWAY_GW_STATS_H

#include <stdint.h>

#include "ibside/ib_msg.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp.h"

#define GW_FOREACH_STAT(_)         \
	_(lan_rx_frames)           \
	_(lan_tx_frames)           \
	_(lan_rx_bytes)            \
	_(lan_tx_bytes)            \
	_(native_frames_to_fabric) \
	_(native_frames_to_lan)    \
	_(native_bytes_to_fabric)  \
	_(native_bytes_to_lan)     \
	_(native_hairpins)         \
	_(native_rx_exhausted)     \
	_(bounced_frames)          \
	_(arp_replies)             \
	_(nd_replies)              \
	_(icmp_echo_replies)       \
	_(icmp_errors)             \
	_(accel_requests)          \
	_(accel_grants)            \
	_(accel_denies)            \
	_(accel_commits)           \
	_(accel_cancels)           \
	_(handbacks)               \
	_(client_resets)           \
	_(host_aborts)             \
	_(rdma_reads)              \
	_(rdma_read_bytes)         \
	_(rdma_writes)             \
	_(rdma_write_bytes)        \
	_(line_reads)              \
	_(line_writes)             \
	_(messages_in)             \
	_(messages_out)            \
	_(tcp_segments_out)        \
	_(tcp_segments_in)         \
	_(tcp_bytes_out)           \
	_(tcp_bytes_in)            \
	_(tcp_retransmits)         \
	_(polls)                   \
	_(sleeps)

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
	_(HELD_FULL, "held-queue-full")	      /* frames held during a hand-back */            \
	_(HELD_LOST, "host-lost")	      /* the host that had the connection is gone */  \
	_(BOUNCED_UNKNOWN, "bounced-unknown") /* bounced, and no state, waiting queue full */ \
	_(BAD_MESSAGE, "bad-message")                                                         \
	_(STALE_TOKEN, "stale-token")                                                         \
	_(BAD_CURSOR, "bad-cursor") /* a host's cursor outside its ring */                    \
	_(VLAN, "vlan")                                                                       \
	_(BAD_ND, "bad-neighbour-message")                                                    \
	_(ICMP_FULL, "icmp-queue-full") /* an error for another worker */                     \
	_(FRAGMENT, "fragment-of-accelerated")

/** Index into gw_stats.drop. */
enum gw_drop {
#define _(sym, name) GW_DROP_##sym,
	GW_FOREACH_DROP(_)
#undef _
		GW_DROP_COUNT
};

/** Counters of one worker. */
struct gw_stats {
#define _(name) uint64_t name;
	GW_FOREACH_STAT(_)
#undef _
	uint64_t drop[GW_DROP_COUNT];  /* frames and messages dropped by the gateway */
	uint64_t perr[NET_PERR_COUNT]; /* frames refused by the parser */
	uint64_t verdict[TCP_V_COUNT]; /* segments not taken by the TCP core */
	uint64_t icmp[TCP_I_COUNT];    /* ICMP errors about accelerated connections */
	uint64_t deny[IB_R_COUNT];     /* acceleration refused */
	uint64_t back[IB_R_COUNT];     /* hand-backs by reason */
};

#endif
