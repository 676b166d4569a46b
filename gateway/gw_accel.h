/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel.h - what the files of acceleration share inside one worker. See gw_accel.c for how
 * they work together.
 */
#ifndef GATEWAY_GW_ACCEL_H
#define GATEWAY_GW_ACCEL_H

#include "gateway/gw_conn.h"
#include "ibside/ib_tap.h"
#include "tcpstack/tcp_trace.h"

#define GW_CHUNK_SIZE  65536u	/* bytes of a payload chunk */
#define GW_CHUNKS      1024u	/* chunks of a worker; fewer when memory is short */
#define GW_CHUNKS_MIN  16u	/* fewer than these: no acceleration */
#define GW_PLACES      4096u	/* lines being written or composed, of a worker */
#define GW_PEEKS       1024u	/* host lines being READ, of a worker */
#define GW_SLICES      16384u	/* header and slice mbufs of a worker */
#define GW_READS_MAX   256u	/* READs of payload outstanding, of a worker */
#define GW_SENT_MAX    64u	/* runs of one tcp_output() */
#define GW_HELD_MAX    2048u	/* frames held back, of a worker */
#define GW_STRAYS      8u	/* bounced frames without a connection that wait */
#define GW_MAX_CONNS   65536u	/* connections of a worker, whatever the configuration says */
#define GW_MAX_SLOTS   4096u	/* of an arena, as in host_shm.h */
#define GW_MSS_MIN     160u	/* a smaller segment size is not accelerated */
#define GW_BULK	       1056u	/* mbufs of one run: see GW_MSS_MIN */
#define GW_GRANT_US    5000000u /* a grant waits so long for its COMMIT */
#define GW_BACK_US     5000000u /* DisConn waits so long for its BACK_ACK */
#define GW_LOST_US     500000u	/* set dead: so long to learn whether the host is alive */
#define GW_STRAY_US    50000u	/* a bounced frame waits so long for its connection */
#define GW_NEXT_HOP_MS 1000u	/* a cached next hop is looked up again after this */

static_assert(GW_CHUNKS < UINT16_MAX && GW_PLACES < UINT16_MAX, "numbered from 1 in 16 bits");

/** Lists a connection can be in. */
enum gw_queue {
	GW_Q_NONE,
	GW_Q_DIRTY,   /* something is due */
	GW_Q_STARVED, /* something is due, and waits for a chunk, buffer or work request */
};

/** States of a payload chunk. */
enum gw_chunk_state {
	GW_CH_FREE,    /* in the pool, or only referenced by frames under way */
	GW_CH_READING, /* being READ */
	GW_CH_READY,   /* holds payload of its connection, not all of it sent */
	GW_CH_SENT,    /* holds payload that has all been sent once */
};

/** A registered buffer for payload. Frames under way hold references to sh beside the cache. */
struct gw_chunk {
	struct ib_op op;		    /* of its READ */
	struct gw_accel *accel;		    /* pool it belongs to */
	struct gw_conn *conn;		    /* user, NULL when free */
	uint8_t *addr;			    /* GW_CHUNK_SIZE bytes */
	rte_iova_t iova;		    /* of addr, for the device */
	struct rte_mbuf_ext_shared_info sh; /* references; free_cb brings it back */
	uint64_t posted_us;		    /* when its READ was posted */
	uint32_t seq;			    /* sequence number of its first byte */
	uint32_t len;			    /* bytes of payload */
	uint8_t state;			    /* enum gw_chunk_state */
	TAILQ_ENTRY(gw_chunk) list;	    /* free list, or least recently used of its state */
};

/** A gateway line being composed or written, and what its completion ends. */
struct gw_place {
	struct ib_op op;	 /* of the line's WRITE */
	struct gw_conn *conn;	 /* user */
	struct gw_place *next;	 /* in the free list */
	struct ib_gw_line *line; /* registered */
	struct tcp_rx_pos pos;	 /* for tcp_placed() */
	struct rte_mbuf
		*m[GW_BURST]; /* received frames whose payload WRITEs precede the line; ours */
	uint16_t n;	      /* of them */
	bool final;	      /* the last line of a hand-back */
};

/** A READ of a host line. */
struct gw_peek {
	struct ib_op op;	   /* of the READ */
	struct gw_conn *conn;	   /* user */
	struct gw_peek *next;	   /* in the free list */
	struct ib_host_line *line; /* registered */
};

/** Acceleration's part of a link (gw_link.accel). */
struct gw_alink {
	struct gw_link *link;
	uint32_t places; /* lines being composed: they need a work request each */
	bool flush;	 /* messages wait for ib_set_flush(); in gw_accel.flush[] */
	bool failed;	 /* a post was refused: the set is to be given up */
	uint64_t slots[GW_MAX_ARENAS][GW_MAX_SLOTS / 64]; /* bitmaps of slots in use */
};

/** A bounced frame that waits for its connection. */
struct gw_stray {
	struct rte_mbuf *m;   /* ours, NULL: none */
	struct gw_host *host; /* who bounced it */
	uint64_t until;	      /* microseconds */
};

/** An entry of the timer heap. */
struct gw_timer {
	uint64_t due; /* microseconds; not later than the connection's */
	struct gw_conn *conn;
};

/** A run given to the port in this tcp_output(). */
struct gw_run {
	uint32_t seq;
	uint32_t len;
};

TAILQ_HEAD(gw_chunk_list, gw_chunk);
TAILQ_HEAD(gw_conn_list, gw_conn);

/** Everything of acceleration in one worker. */
struct gw_accel {
	struct gw_worker *w;
	struct corr_accel *map;		  /* both accelerated maps */
	struct tcp_cfg tcp;		  /* the gateway's tunables, with this worker's pools */
	struct tcp_challenges challenges; /* shared by all connections, see tcp.challenges */
	struct tcp_pool recs;		  /* transmission records of the core; tcp.pool */
	struct tcp_txrec *rec_mem;	  /* their memory */
	struct tcp_boxes boxes; /* black boxes of the core; tcp.boxes when there are any */
	void *box_mem;		/* their memory */
	struct gw_conn *conns;	/* max_conns of them, touched when first used */
	uint32_t *req_id;	/* hosts' names of the requests they came from, as conns[] */
	uint32_t max_conns;
	uint32_t fresh_conns; /* never used from here on */
	uint32_t n_conns;     /* in use, GONE ones included */
	struct gw_live *live; /* n_live of them, touched when first used (gw_live.c) */
	void *live_mem;	      /* the memory they are in */
	uint32_t n_live;      /* connections that may be at work at the same time */
	uint32_t live_fresh;  /* never used from here on */
	uint32_t live_used;   /* in use */
	uint32_t live_hand;   /* where to look for one that rests */
	SLIST_HEAD(, gw_live) live_free;
	struct gw_conn_list dirty;   /* something is due */
	struct gw_conn_list starved; /* waits for resources, first come first served */
	struct gw_conn_list idle;    /* given back */
	struct gw_timer *heap;	     /* from index 1 */
	uint32_t n_heap;
	uint8_t *chunk_mem; /* n_chunks * GW_CHUNK_SIZE, rte_malloc() */
	struct ibv_mr *chunk_mr;
	struct gw_chunk *chunks;
	uint32_t n_chunks;
	uint32_t chunks_used; /* not in the free list */
	struct gw_chunk_list chunk_free;
	struct gw_chunk_list chunk_ready; /* least recently filled first */
	struct gw_chunk_list chunk_sent;  /* least recently sent first */
	uint32_t reads_out;		  /* READs of payload outstanding */
	uint32_t ops_out;		  /* all work requests that will call back */
	void *line_mem;			  /* lines of places and peeks */
	struct ibv_mr *line_mr;
	struct gw_place *places, *place_free;
	struct gw_peek *peeks, *peek_free;
	struct rte_mempool *slices;	/* header and slice mbufs */
	struct gw_run run[GW_SENT_MAX]; /* emitted in this tcp_output() */
	uint32_t n_run;
	struct rte_mbuf *bulk[GW_BULK]; /* mbufs for the run being emitted */
	uint32_t held;			/* frames held, all connections */
	struct gw_stray stray[GW_STRAYS];
	uint32_t n_stray;
	uint32_t label_key;		      /* of IPv6 flow labels */
	struct gw_alink *flush[GW_MAX_HOSTS]; /* links with messages to send */
	uint32_t n_flush;
	bool failed; /* some link is marked failed */
};

/* --- gw_accel.c -------------------------------------------------------------------------- */

/** The connection has something due. */
void gw_accel_dirty(struct gw_conn *c);
/** The connection waits for a resource. */
void gw_accel_starve(struct gw_conn *c);
/** A resource came back: some that wait are tried again. */
void gw_accel_feed(struct gw_accel *a);
/** Appends a message to the batch of a link. */
void gw_accel_send(struct gw_link *l, uint8_t mid, const void *entry);
/** The same for a message that names a flow: REOFFER, ASK. */
void gw_accel_send_flow(struct gw_link *l, uint8_t mid, const struct net_flow *f);
/** A post was refused: the link is given up at the end of this turn. */
void gw_accel_fail(struct gw_link *l);
/** Acceleration state of a connection's worker, and of a link. */
static inline struct gw_accel *gw_accel_of(const struct gw_conn *c)
{
	return c->link->worker->accel;
}

static inline struct gw_alink *gw_alink_of(const struct gw_link *l)
{
	return l->accel;
}

/** A chunk that a connection holds, by its place among them; NULL: none there. */
static inline struct gw_chunk *gw_conn_chunk(const struct gw_conn *c, int i)
{
	return c->chunk[i] ? &gw_accel_of(c)->chunks[c->chunk[i] - 1] : NULL;
}

/** The line being composed for a connection, or NULL. */
static inline struct gw_place *gw_conn_place(const struct gw_conn *c)
{
	return c->place ? &gw_accel_of(c)->places[c->place - 1] : NULL;
}

static inline void gw_conn_set_place(struct gw_conn *c, const struct gw_place *p)
{
	c->place = p ? (uint16_t)(p - gw_accel_of(c)->places + 1) : 0;
}

static inline struct gw_port *gw_conn_port(const struct gw_conn *c)
{
	return &c->link->worker->gw->port[c->port];
}

/* --- gw_live.c: connections at work and at rest ------------------------------------------- */

/** Memory for n connections at work at the same time. 0 or ENOMEM. */
int gw_live_open(struct gw_accel *a, uint32_t n);
void gw_live_close(struct gw_accel *a);
/** Makes c->tcp for a new connection, to be imported into. False: none can be had. */
bool gw_live_new(struct gw_accel *a, struct gw_conn *c);
/** Makes c->tcp of what was parked, if need be; before anything is given to the core. False: none
 * can be had now. */
bool gw_live_wake(struct gw_conn *c);
/** The connection comes round again soon, to be woken then. */
void gw_live_retry(struct gw_conn *c);
/** At the end of its turn: parks it if it is silent, or sees to it that it comes round. */
void gw_live_rest(struct gw_conn *c);
/** Parks it now. False: it is not at rest. */
bool gw_live_park(struct gw_conn *c);
/** Gives back all that its TCP has. */
void gw_live_release(struct gw_conn *c);
/** Its TCP for display: c->tcp, or *room made of what is parked. */
const struct tcp_conn *gw_live_look(const struct gw_conn *c, struct tcp_conn *room);
/** tcp_deadline() of it, at work or at rest. */
uint64_t gw_live_deadline(const struct gw_conn *c);

/* --- gw_accel_pool.c: chunks, lines ------------------------------------------------------- */

/** Allocates and registers everything. 0 or errno. */
int gw_accel_pool_open(struct gw_accel *a);
void gw_accel_pool_close(struct gw_accel *a);
/** A chunk for c, from the pool or from a cache; NULL: none. Its sh has one reference. */
struct gw_chunk *gw_chunk_get(struct gw_accel *a, struct gw_conn *c);
/** Gives the cache's reference back; the connection forgets the chunk. Not while READING. */
void gw_chunk_put(struct gw_chunk *ch);
/** Moves between states and their lists. */
void gw_chunk_set_state(struct gw_chunk *ch, enum gw_chunk_state s);
struct gw_place *gw_place_get(struct gw_accel *a, struct gw_conn *c);
void gw_place_put(struct gw_accel *a, struct gw_place *p);
struct gw_peek *gw_peek_get(struct gw_accel *a, struct gw_conn *c);
void gw_peek_put(struct gw_accel *a, struct gw_peek *p);

/* --- gw_accel_link.c ---------------------------------------------------------------------- */

/** Frees acceleration's part of a link, when no connection uses it any more. */
void gw_alink_free(struct gw_link *l);
/** The set failed: its connections stand still until it is known whether the host is alive. */
void gw_alink_dead(struct gw_link *l);

/* --- gw_accel_timer.c --------------------------------------------------------------------- */

/** Makes the heap call at `due` or earlier; TCP_NEVER: nothing to do. */
void gw_timer_set(struct gw_accel *a, struct gw_conn *c, uint64_t due);
void gw_timer_del(struct gw_accel *a, struct gw_conn *c);
/** Makes the connections whose time has come dirty. */
void gw_timer_run(struct gw_accel *a, uint64_t now);

/* --- gw_accel_rx.c ------------------------------------------------------------------------ */

/** One segment of the connection, from the LAN or bounced. Takes m. */
void gw_conn_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p);
/** Keeps a frame for later. Takes m. */
void gw_conn_hold(struct gw_conn *c, struct rte_mbuf *m);
/** Takes the oldest kept frame, or NULL. */
struct rte_mbuf *gw_conn_unhold(struct gw_conn *c);
/** Bounced frames whose wait is over. */
void gw_stray_run(struct gw_accel *a);
/** Drops a frame under a name. */
void gw_accel_drop(struct gw_worker *w, struct rte_mbuf *m, enum gw_drop why);

/* --- gw_conn.c ---------------------------------------------------------------------------- */

extern const struct tcp_ops gw_conn_tcp_ops;
/** A new connection of a link, from a request that the host calls req_id. NULL: no room. */
struct gw_conn *gw_conn_new(struct gw_accel *a, struct gw_link *l, uint32_t req_id);
/** Walks the connections of a link that are not GONE: *it = 0 at first; NULL at the end. */
struct gw_conn *gw_conn_next(struct gw_accel *a, const struct gw_link *l, uint32_t *it);
/** The connection of a link that came from a request, or NULL. */
struct gw_conn *gw_conn_by_req(struct gw_accel *a, const struct gw_link *l, uint32_t req_id);
/** Own timer: in so many microseconds, at most half an hour; a change of state ends it. */
void gw_conn_wait(struct gw_conn *c, uint32_t us);
/** When that is due, TCP_NEVER: not set. */
uint64_t gw_conn_due(const struct gw_conn *c);
/** The one place where the state changes. */
void gw_conn_set_state(struct gw_conn *c, enum gw_conn_state s);
/** Leaves maps, lists and limits; the structure goes when no work request refers to it. */
void gw_conn_forget(struct gw_conn *c);
/** A work request called back: last ones free a GONE connection. */
void gw_conn_op_done(struct gw_conn *c);
const char *gw_conn_state_name(enum gw_conn_state s);
/** Does what is due: core, hand-back, lines. */
void gw_conn_run(struct gw_conn *c);

/* --- gw_take.c: takeover ------------------------------------------------------------------ */

void gw_take_req(struct gw_link *l, const struct ib_req *req);
void gw_take_commit(struct gw_link *l, const struct ib_ctl *m);
void gw_take_cancel(struct gw_link *l, const struct ib_ctl *m);

/* --- gw_place.c: client to server --------------------------------------------------------- */

/** Gives a segment to the core and WRITEs what it accepts. Takes m. */
void gw_place_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p,
		    const struct tcp_seg *seg);
/** The set accepts `n` work requests for the connection, lines being composed counted. */
bool gw_place_room(const struct gw_conn *c, uint32_t n);

/* --- gw_lines.c: lines and cursors -------------------------------------------------------- */

/** Opens a line to be written at the end of the burst. 0 or ENOBUFS. */
int gw_lines_open(struct gw_conn *c);
/** Writes the open line now. */
void gw_lines_post(struct gw_conn *c);
/** Writes lines and READs the host line as due. */
void gw_lines_run(struct gw_conn *c);
/** Writes the final line. 0 or ENOBUFS. */
int gw_lines_final(struct gw_conn *c);
/** Cursors from a message or a READ; false: they break the rules. */
bool gw_lines_cursors(struct gw_conn *c, uint64_t tx_prod, uint64_t rx_cons, uint32_t flags);
/** TTL and DSCP that the host wants in segments, by flags of the host line (host byte order). */
void gw_lines_ip(struct gw_conn *c, uint32_t flags);
/** SrcAvail. */
void gw_lines_avail(struct gw_conn *c, const struct ib_cursor *m);

/* --- gw_fetch.c: READs of payload --------------------------------------------------------- */

/** The core's want(). */
int gw_fetch_want(struct tcp_conn *t, uint32_t seq, uint32_t len, bool retx);
/** READs what want() accepted without having room for it. */
void gw_fetch_fill(struct gw_conn *c);
/** Tells the core what is here of a range that want() said is coming. */
void gw_fetch_tell(struct gw_conn *c);
/** The core's acked(): frees chunks. */
void gw_fetch_acked(struct tcp_conn *t, uint32_t una);
/** Chunk that holds the byte at seq, in any state, or NULL. */
struct gw_chunk *gw_fetch_find(const struct gw_conn *c, uint32_t seq);
/** Lowest cursor that must stay in the server's ring. */
uint64_t gw_fetch_floor(const struct gw_conn *c);
/** Gives up all chunks that are not being READ. */
void gw_fetch_drop(struct gw_conn *c);

/* --- gw_emit.c: segments ------------------------------------------------------------------ */

/** The core's emit(). */
int gw_emit(struct tcp_conn *t, const struct tcp_emit *e);
/** Tells the core what was sent since the last call. */
void gw_emit_sent(struct gw_conn *c);
/** Looks the next hop up. 0 or errno. */
int gw_emit_route(struct gw_conn *c);

/* --- gw_back.c: hand-back ----------------------------------------------------------------- */

/** Begins a hand-back; a second one changes nothing. */
void gw_back_start(struct gw_conn *c, enum ib_reason r);
/** The connection has ended or must end: final line, then `mid` (DISCONN or ABORT). */
void gw_back_now(struct gw_conn *c, enum ib_reason r, uint8_t mid);
/** Moves a hand-back on. */
void gw_back_run(struct gw_conn *c);
/** The final line is in the server's memory. */
void gw_back_final_done(struct gw_conn *c);
/** BACK_ACK: held frames go natively, the connection is forgotten. */
void gw_back_ack(struct gw_conn *c);
/** Resets the client and tells the host. */
void gw_back_kill(struct gw_conn *c, enum ib_reason r);

#endif
