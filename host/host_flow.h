/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_flow.h - TCP flows seen on the native path: what the kernel does not tell in a freeze, and
 * where frames of a flow go that is not (or not only) the kernel's any more.
 */
#ifndef HOST_HOST_FLOW_H
#define HOST_HOST_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tcpstack/net_flow.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/seqmap.h"

struct host;
struct host_conn;
struct host_worker;

#define HOST_FOREACH_FSTATE(_)                                                                 \
	_(NATIVE, "native") /* frames pass both ways */                                        \
	_(FROZEN, "frozen") /* frames are kept: a takeover is under way */                     \
	_(COMMITTED,                                                                           \
	  "committed")	    /* the gateway runs it: client frames bounce, ours are absorbed */ \
	_(MAPPED, "mapped") /* back, numbers are translated */

/** What happens to frames of a flow. */
enum host_fstate {
#define _(sym, name) HOST_F_##sym,
	HOST_FOREACH_FSTATE(_)
#undef _
};

/** How a mapped flow ended, as far as frames at the TAP showed it. Wire numbers. */
struct host_flow_end {
	uint32_t out_fin; /* one past our FIN */
	uint32_t in_fin;  /* one past the client's FIN */
	bool out_seen;	  /* our FIN passed */
	bool in_seen;	  /* the client's FIN passed, or was accepted while accelerated */
	bool out_acked;	  /* the client acknowledged ours */
	bool in_acked;	  /* the kernel acknowledged the client's */
	bool reset;	  /* a RST passed */
	double at;	  /* when both ends were done, 0: not yet */
};

/** One flow. */
struct host_flow {
	struct net_flow key;	    /* as the server sees it */
	enum host_fstate state;	    /* set by host_flow_set_state() only */
	struct host_flow *chain;    /* hash chain, or free list */
	TAILQ_ENTRY(host_flow) lru; /* by last frame */
	struct host_worker *worker; /* that last sent a frame of it, NULL: none yet */
	struct host_conn *conn;	    /* its connection, NULL: none */
	double last;		    /* time of the last frame */
	uint32_t hi_end;	    /* one past the highest client byte delivered */
	uint32_t ts_recent;	    /* highest TSval of the client */
	uint32_t ts_sent;	    /* last TSval of the kernel */
	bool ts_sent_ok;	    /* ts_sent is valid */
	bool hi_ok;		    /* hi_end is known */
	bool ts_ok;		    /* ts_recent is known */
	bool fin;		    /* the client's FIN was delivered */
	bool urg;		    /* the client sent urgent data */
	bool exotic;		    /* signature or MPTCP options seen */
	bool accecn;		    /* both ends agreed on Accurate ECN (RFC 9768) */
	bool reset;		    /* a RST passed */
	struct seqmap map;	    /* mapped: the translation */
	struct host_flow_end end;   /* mapped: how far it has ended */
};

TAILQ_HEAD(host_flow_lru, host_flow);

/** All flows. */
struct host_flows {
	struct host_flow *pool;	   /* `max` entries, ours */
	struct host_flow *free;	   /* of which unused */
	struct host_flow **bucket; /* hash, mask + 1 chains */
	struct host_flow_lru lru;  /* used ones, oldest first */
	uint32_t max;		   /* entries of pool */
	uint32_t n;		   /* used */
	uint32_t fresh;		   /* entries of pool that were ever used */
	uint32_t mask;		   /* number of chains - 1 */
	uint64_t seed[2];	   /* of the hash */
};

/** Makes a table for `max` flows. 0 or ENOMEM. */
int host_flows_open(struct host_flows *t, uint32_t max);
/** Frees. */
void host_flows_close(struct host_flows *t);
/** The flow, or NULL. */
struct host_flow *host_flow_find(struct host_flows *t, const struct net_flow *key);
/** The flow; a new one replaces the longest unused native flow when full. NULL: all are in use. */
struct host_flow *host_flow_get(struct host_flows *t, const struct net_flow *key, double now,
				bool *evicted);
/** Forgets; no connection may own it any more. */
void host_flow_drop(struct host_flows *t, struct host_flow *f);
/** Changes the state. */
void host_flow_set_state(struct host_flow *f, enum host_fstate s);
/** Name of a state. */
const char *host_fstate_name(enum host_fstate s);
/** Notes a client's segment that goes to the kernel. opts: option bytes of the TCP header. */
void host_flow_client(struct host_flow *f, const struct tcp_seg *s, const uint8_t *opts,
		      uint32_t optlen);
/** Notes a segment of the kernel, whose flow is native or frozen. */
void host_flow_kernel(struct host_flow *f, const struct tcp_seg *s);
/** Marks use now. */
void host_flow_touch(struct host_flows *t, struct host_flow *f, double now);
/** Forgets what is idle or over. */
void host_flows_age(struct host_flows *t, double now);
/** A gateway is gone: nobody points to its workers any more. */
void host_flows_forget_worker(struct host_flows *t, const struct host_worker *w);

/** Mapped: notes a segment in wire numbers; out: ours. */
void host_flow_end_out(struct host_flow *f, const struct tcp_seg *s, double now);
void host_flow_end_in(struct host_flow *f, const struct tcp_seg *s, double now);

/** a < b, a <= b in sequence space. */
static inline bool host_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool host_seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif
