/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_conn.h - one accelerated connection in a worker.
 *
 * States:
 *
 *	            COMMIT            back_start()        drained        line done      BACK_ACK
 *	PREPARED ------------> ACTIVE ------------> DRAINING ---> FINAL ---------> BACK ------> GONE
 *	   | CANCEL, 5 s          |      set dead, host lost        |               |
 *	   `--> GONE              `---------------> LOST <----------+---------------'
 *
 * A structure is given back to the pool when it is GONE and no work request refers to it.
 */
#ifndef GATEWAY_GW_CONN_H
#define GATEWAY_GW_CONN_H

#include <stdalign.h>
#include <sys/queue.h>

#include "gateway/gw.h"
#include "tcpstack/tcp_park.h"

#define GW_CONN_CHUNKS 4    /* payload chunks one connection may hold */
#define GW_CONN_HELD   1024 /* frames one connection may hold back: a window's worth */

#define GW_FOREACH_CONN_STATE(_)                                                             \
	_(FREE, "free")		/* in the pool */                                            \
	_(PREPARED, "prepared") /* granted, waits for COMMIT; frames go natively */          \
	_(ACTIVE, "active")	/* the gateway carries it */                                 \
	_(DRAINING, "draining") /* hand-back asked for: nothing new is sent */               \
	_(FINAL, "final")	/* the last line is being written; client frames are held */ \
	_(BACK, "back")		/* DisConn or AbortConn sent; client frames are held */      \
	_(LOST, "lost")		/* its host is gone: frames are dropped, nothing is sent */  \
	_(GONE, "gone")		/* forgotten; waits for the last work request */

/** Life of a connection; one conn_set_state() in gw_conn.c. */
enum gw_conn_state {
#define _(sym, name) GW_C_##sym,
	GW_FOREACH_CONN_STATE(_)
#undef _
		GW_C_COUNT
};

struct gw_chunk;
struct gw_place;
struct gw_peek;

/**
 * One connection. Belongs to its worker. Cursors as in ib_line.h. There are as many of these as
 * connections, so what only a few have at a time (chunks, lines, held frames) lies in pools and is
 * named here by a 16-bit number, and cursors that stay close to another one are kept as distances.
 */
struct gw_conn {
	/* Every turn: lists, cursors, what is held */
	struct tcp_conn *tcp;	   /* its core while it is at work (gw_live.c), NULL: it rests */
	struct gw_link *link;	   /* whose queue pairs carry it */
	TAILQ_ENTRY(gw_conn) work; /* in gw_accel.dirty, .starved or .idle, see queued */
	uint64_t tx_acked;	   /* bytes released, as last written to the line */
	uint64_t rx_prod;	   /* bytes placed, as last written to the line */
	uint32_t tx_ahead;	   /* bytes produced beyond tx_acked, as far as known */
	uint32_t rx_unread;	   /* bytes below rx_prod the program has not taken, as known */
	uint32_t tx_seq0;	   /* sequence number of tx cursor 0 */
	uint32_t rx_seq0;	   /* sequence number of rx cursor 0 */
	uint64_t arm_tx;	   /* as last written to the line */
	uint64_t arm_rx;	   /* as last written to the line */
	uint64_t read_bytes;	   /* payload READ */
	uint64_t write_bytes;	   /* payload WRITTEN */
	uint32_t rd_noted;	   /* bytes released since the last RdmaRdCompl */
	uint32_t token;		   /* our name of it, 0: none */
	uint16_t chunk[GW_CONN_CHUNKS]; /* payload held or being READ, gw_conn_chunk() */
	uint16_t place;			/* line being composed in this burst, gw_conn_place() */
	uint16_t ops_out;		/* work requests that will call back */
	uint16_t ip_id;			/* identification of the next IPv4 header */
	uint8_t state;			/* enum gw_conn_state */
	uint8_t rd_out;			/* READs of payload among ops_out */
	uint8_t ended;			/* enum tcp_event + 1 that ended it, 0: none */
	uint8_t queued;			/* enum gw_queue */
	bool line_due : 1;		/* the gateway line is to be written */
	bool peek_due : 1;		/* the host line is to be READ */
	bool peeking : 1;		/* it is being READ */
	bool tx_fin : 1;		/* nothing follows what was produced */
	bool tx_fin_seen : 1;  /* the flag was seen in a READ: READ once more, then believe it */
	bool rx_fin : 1;       /* the client's FIN has been announced */
	bool ready_due : 1;    /* payload that is here is to be told to the core */
	bool gap : 1;	       /* want() accepted more than could be READ */
	bool emit_blocked : 1; /* an emit() was refused for lack of mbufs */
	bool want_blocked : 1; /* a want() was refused for lack of room */
	bool drained : 1;      /* everything sent is acknowledged */
	bool counted : 1;      /* in the counters of limits */
	bool timed : 1;	       /* due is set */
	bool back_due : 1;     /* a hand-back for `reason` is to begin */

	/* Towards the client */
	uint32_t soft;	      /* last soft error as in ib_gw_line.soft */
	uint8_t mac[6];	      /* next hop */
	uint8_t port;	      /* towards it, index into gw.port[] */
	uint8_t tos;	      /* DSCP of our segments, in the upper six bits */
	uint8_t ttl;	      /* their TTL or hop limit by the server's wish, 0: none */
	struct net_flow flow; /* 4-tuple */
	uint32_t nh_ms;	      /* when it was looked up, low 32 bits of milliseconds */

	/* Life */
	uint32_t heap;		    /* place in the timer heap, from 1; 0: not in it */
	uint32_t due;		    /* own timer, low 32 bits of microseconds, see timed */
	uint32_t born_ds;	    /* when it was granted, tenths of a second */
	struct rte_mbuf *held_last; /* newest frame held back; its next is the oldest; ours */
	uint16_t held;		    /* frames held back */
	uint16_t slot;		    /* slot of the arena */
	uint8_t arena;		    /* index into gw_host.arena[] */
	uint8_t service;	    /* gw_service_cfg.id */
	uint8_t reason;		    /* enum ib_reason of the hand-back */
	uint8_t back_mid;	    /* DISCONN or ABORT: what ends the hand-back */

	struct tcp_parked parked; /* its TCP while it rests */
};

#define GW_LINE 64 /* bytes of a cache line: what is hot of a struct tcp_conn fills two */

/** A connection's TCP while it is at work, of the worker's pool. */
struct gw_live {
	alignas(GW_LINE) struct tcp_conn tcp; /* first: the core's functions get this */
	struct gw_conn *conn;		      /* whose it is, NULL: nobody's */
	uint64_t used_us;		      /* when it was last given something to do */
	SLIST_ENTRY(gw_live) free;	      /* in gw_accel.live_free */
};

static_assert(GW_MAX_ARENAS <= 256 && GW_MAX_SERVICES <= 256 && GW_MAX_PORTS <= 256, "one byte");
static_assert(offsetof(struct gw_live, tcp) == 0, "found from the core's pointer");
static_assert(sizeof(struct gw_conn) <= 512, "a connection at rest stays small");

/** The connection that a core works for. */
static inline struct gw_conn *gw_conn_of(struct tcp_conn *t)
{
	return ((struct gw_live *)t)->conn;
}

/** Arena of a connection's slot. */
static inline const struct ib_arena *gw_conn_arena(const struct gw_conn *c)
{
	return &c->link->host->arena[c->arena];
}

/** Bytes the server has produced, and bytes the program has taken, as far as known: cursors. */
static inline uint64_t gw_tx_prod(const struct gw_conn *c)
{
	return c->tx_acked + c->tx_ahead;
}

static inline uint64_t gw_rx_cons(const struct gw_conn *c)
{
	return c->rx_prod - c->rx_unread;
}

/** Sequence number of a tx cursor, and the tx cursor of one near what is in flight. */
static inline uint32_t gw_tx_seq(const struct gw_conn *c, uint64_t cursor)
{
	return c->tx_seq0 + (uint32_t)cursor;
}

static inline uint64_t gw_tx_cursor(const struct gw_conn *c, uint32_t seq)
{
	return c->tx_acked + (uint64_t)(int64_t)(int32_t)(seq - gw_tx_seq(c, c->tx_acked));
}

/** The same for the receive ring. */
static inline uint32_t gw_rx_seq(const struct gw_conn *c, uint64_t cursor)
{
	return c->rx_seq0 + (uint32_t)cursor;
}

static inline uint64_t gw_rx_cursor(const struct gw_conn *c, uint32_t seq)
{
	return c->rx_prod + (uint64_t)(int64_t)(int32_t)(seq - gw_rx_seq(c, c->rx_prod));
}

/** Right edge of the receive ring as a sequence number, by the consumer cursor known. */
static inline uint32_t gw_rx_edge(const struct gw_conn *c)
{
	return gw_rx_seq(c, gw_rx_cons(c) + gw_conn_arena(c)->rx_size);
}

/** True while the TCP core is at work. */
static inline bool gw_conn_running(const struct gw_conn *c)
{
	return c->state == GW_C_ACTIVE || c->state == GW_C_DRAINING;
}

#endif
