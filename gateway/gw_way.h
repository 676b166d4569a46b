/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_way.h - what becomes of a frame: judged by functions that change nothing, and then acted on.
 *
 * The data path judges and acts; `trace packet` (gw_trace.c) judges only, with the same functions
 * in the same order, and tells what they said.
 */
#ifndef GATEWAY_GW_WAY_H
#define GATEWAY_GW_WAY_H

#include "gateway/gw.h"

struct gw_conn; /* an accelerated connection (gw_conn.h) */

#define GW_FOREACH_WAY(_)                                                           \
	_(IP, "unicast IP")	      /* to be judged further */                    \
	_(DROP, "drop")		      /* and counted */                             \
	_(NEIGHBOUR, "neighbour")     /* ARP or ND: the gateway answers, learns */  \
	_(BOUNCED, "bounced")	      /* by a host, of an accelerated connection */ \
	_(SELF, "gateway")	      /* to one of our own addresses */             \
	_(ECHO, "echo reply")	      /* a ping that we answer */                   \
	_(TCP, "accelerated")	      /* to the TCP of a connection */              \
	_(ICMP, "accelerated, error") /* about one */                               \
	_(POLICY, "policy")	      /* rules and services decide */               \
	_(HOST, "host")		      /* natively to the host of its address */

/** What becomes of a frame. */
enum gw_way_kind {
#define _(sym, text) GW_WAY_##sym,
	GW_FOREACH_WAY(_)
#undef _
};

/** A judgement. */
struct gw_way {
	uint8_t kind;			  /* enum gw_way_kind */
	uint8_t perr;			  /* DROP by the parser: enum net_perr; else 0 */
	uint16_t why;			  /* DROP: number of its counter, see gw_whys() */
	struct gw_conn *conn;		  /* TCP: its connection */
	struct gw_host *host;		  /* HOST */
	const struct corr_policy *policy; /* POLICY: the one to ask */
};

/** Judges that a frame is dropped. */
static inline void gw_way_drop(struct gw_way *way, enum gw_drop why)
{
	way->kind = GW_WAY_DROP;
	way->why = (uint16_t)why;
}

/** The same, because the parser refuses it. */
static inline void gw_way_refuse(struct gw_way *way, enum net_perr e)
{
	way->kind = GW_WAY_DROP;
	way->perr = (uint8_t)e;
	way->why = (uint16_t)(GW_DROP_COUNT + CORR_WHY_COUNT + e);
}

/* --- gw_lan.c ----------------------------------------------------------------------------- */

/** A frame of `len` bytes from a port, without tag; checks: NET_F_*, what the device has not
 * verified. *p is filled in as far as it can be parsed. */
void gw_lan_judge(const struct gw_worker *w, const struct gw_port *port, const uint8_t *frame,
		  uint32_t len, unsigned int checks, struct net_pkt *p, struct gw_way *way);
/** One of kind IP that is this worker's. */
void gw_lan_judge_ip(struct gw_worker *w, const struct gw_port *port, const uint8_t *frame,
		     const struct net_pkt *p, struct gw_way *way);

/* --- gw_native_rx.c ----------------------------------------------------------------------- */

/** A frame of `len` bytes from a host, without its encapsulation. */
void gw_host_judge(struct gw_worker *w, const struct gw_host *h, const uint8_t *frame, uint32_t len,
		   bool bounced, struct net_pkt *p, struct gw_way *way);

/* --- gw_steer.c --------------------------------------------------------------------------- */

/** What the policy says of a packet. */
struct gw_steered {
	uint16_t quoted; /* server of the flow that an ICMP error quotes: goes there; else CORR_NONE
			  * and the rest is valid */
	struct corr_ask ask;
	struct corr_verdict v;
};
/** The policy, if it has a say about the flows of a server address; else NULL. */
const struct corr_policy *gw_steer_policy(struct gw_worker *w, const struct net_addr *local);
/** Asks about a packet towards a server, from a port, or from a host. dry: nothing changes. */
void gw_steer_in(struct gw_worker *w, const struct corr_policy *policy, const struct gw_port *port,
		 const struct gw_host *host, const uint8_t *frame, const struct net_pkt *p,
		 bool dry, struct gw_steered *s);
/** Asks about one that a host sends from a server's address. */
void gw_steer_out(struct gw_worker *w, const struct corr_policy *policy, const struct gw_host *h,
		  const uint8_t *frame, const struct net_pkt *p, bool dry, struct gw_steered *s);

/** What the policy says of a packet that a host sends. */
struct gw_through {
	bool asked_out;	       /* its source is one that the policy concerns: out is valid */
	bool asked_in;	       /* and so is, nobody having refused it, its destination: in */
	struct gw_steered out; /* refused, or to another host first (v.to), or on */
	struct gw_steered in;
};
/** Asks about it; neither: the native maps decide. */
void gw_steer_through(struct gw_worker *w, const struct gw_host *h, const uint8_t *frame,
		      const struct net_pkt *p, bool dry, struct gw_through *t);

/* --- gw_native.c -------------------------------------------------------------------------- */

/** A native frame's next hop. */
struct gw_hop {
	struct rte_ether_addr dst, src; /* its new MACs */
	uint32_t mtu;			/* of the link, IP */
	uint32_t clamp;			/* MSS of SYNs is to fit this MTU; 0: as it is */
	bool too_big;			/* the packet does not fit */
};
/** Which queue pair carries a native frame to a host. */
enum gw_native_qp {
	GW_QP_ABSENT, /* none: the host is not attached */
	GW_QP_NONE,   /* too long for any */
	GW_QP_UD,
	GW_QP_RC,
};
/** A frame to a host. */
void gw_hop_host(const struct gw_worker *w, const struct gw_host *h, const struct net_pkt *p,
		 struct gw_hop *hop);
/** A frame of host h to the LAN, to a neighbour that is known. */
void gw_hop_lan(const struct gw_host *h, const struct net_pkt *p, const struct gw_next_hop *nh,
		struct gw_hop *hop);
/** For `len` bytes with the encapsulation. */
enum gw_native_qp gw_native_qp(const struct gw_link *l, uint32_t len);

/* --- gw_refuse.c, gw_neigh.c, gw_accel_*.c ------------------------------------------------- */

/** MSS option that a SYN is to get for a link of this MTU: where it is in the frame, and *mss; 0:
 * it stays as it is. */
uint32_t gw_mss_over(const uint8_t *frame, const struct net_pkt *p, uint32_t mtu, uint16_t *mss);
/** gw_neigh_lookup(), without a question and without an entry: ENOENT: it would ask. */
int gw_neigh_peek(struct gw_worker *w, const struct net_addr *dst, struct gw_next_hop *nh);
/** The accelerated connection that takes a segment, or NULL. */
struct gw_conn *gw_accel_find(const struct gw_worker *w, const struct net_pkt *p);
/** gw_accel_rx() with what that found. Takes m. */
void gw_conn_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p);
/** Whether gw_accel_icmp() would take an error. */
bool gw_accel_icmp_ours(const struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p);

#endif
