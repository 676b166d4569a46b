/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_trace.h - black boxes: the last events of a connection, with their times.
 *
 * A box is a ring of 16-byte entries out of a pool whose memory the owner
 * gives. A connection gets one when it begins, while there are any; when there
 * are none, the connection that was silent longest among a few loses its own.
 * Recording an event formats nothing and allocates nothing; without a box it
 * costs one comparison.
 *
 * Changes of state, of recovery and of a closed window need no call of their
 * own: they are noticed, and recorded first, at the next event.
 */
#ifndef TCPSTACK_TCP_TRACE_H
#define TCPSTACK_TCP_TRACE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define TCP_BOXES_MAX \
	65535u /* of a pool: connections name theirs in 16 bits, and its user in 16 more */
#define TCP_BOX_ENTRIES_MAX 4096u /* of a box */

/* Kinds of entries: what `what`, `len`, `a` and `b` of one mean. */
#define TCP_FOREACH_TRACE(_)                                                                       \
	_(GAP, "gap")		   /* b: seconds without an event, when they exceed 2^31 us */     \
	_(START, "start")	   /* imported, or opened; what: state; a: snd_nxt; b: rcv_nxt */  \
	_(IN, "in")		   /* a segment; what: flags; len; a: seq; b: ack */               \
	_(SACK, "sack")		   /* its first block; len: blocks; a: start; b: end */            \
	_(REFUSED, "refused")	   /* it was not taken; what: verdict; a: seq; b: ack */           \
	_(OUT, "out")		   /* a run; what: flags; len; a: seq; b: ack */                   \
	_(RETX, "retransmit")	   /* the same, again */                                           \
	_(NO_EMIT, "emit-refused") /* by the owner; what: flags; len: errno; a: seq; b: bytes */   \
	_(STATE, "state")	   /* what: new; len: old; a: snd_nxt; b: rcv_nxt */               \
	_(RECOVERY, "recovery")	   /* what: new; len: old; a: cwnd; b: ssthresh */                 \
	_(WINDOW, "window")	   /* closed or opened; a: its right edge; b: bytes */             \
	_(TIMER, "timer")	   /* fired; what: which; len: back-off; a: snd_una; b: snd_nxt */ \
	_(WANT, "want")	    /* payload asked for; what: 1 again; len: errno; a: seq; b: bytes */   \
	_(READY, "ready")   /* payload is here; a: seq; b: bytes */                                \
	_(FAILED, "failed") /* payload cannot be had; a: seq; b: bytes */                          \
	_(PLACED, "placed") /* a: next in-order; b: bytes since the last time */                   \
	_(EVENT, "event")   /* told the owner; what: enum tcp_event */                             \
	_(OWNER, "owner")   /* the owner's own; what, len, a, b as it likes */

/** Kinds of entries. */
enum tcp_trace_kind {
#define _(sym, name) TCP_TR_##sym,
	TCP_FOREACH_TRACE(_)
#undef _
		TCP_TR_COUNT
};

/** An entry. Sequence numbers as on the wire, host byte order. */
struct tcp_trace_ev {
	uint32_t us;  /* time, low 32 bits of microseconds */
	uint8_t kind; /* enum tcp_trace_kind */
	uint8_t what; /* see TCP_FOREACH_TRACE */
	uint16_t len; /* the same; 65535: that many and more */
	uint32_t a;   /* the same */
	uint32_t b;   /* the same */
};

static_assert(sizeof(struct tcp_trace_ev) == 16, "entries are counted in 16 bytes");

/** An entry as it is read. */
struct tcp_trace_at {
	uint64_t us;		/* full time */
	struct tcp_trace_ev ev; /* the entry */
};

struct tcp_conn;

/** A black box. */
struct tcp_box {
	uint32_t id;		   /* tcp_conn.box of who has it; 0: nobody */
	uint32_t users;		   /* connections that had it so far */
	SLIST_ENTRY(tcp_box) free; /* in tcp_boxes.free */
	uint64_t now;		   /* time of the core's present call */
	uint64_t last;		   /* time of the newest entry */
	uint64_t count;		   /* entries ever written; the newest ones are here */
	uint8_t state;		   /* the connection's, as last recorded */
	uint8_t recovery;	   /* the same */
	bool closed;		   /* its window was closed, as last recorded */
	struct tcp_trace_ev ev[];  /* the ring; entry n is at n modulo its size */
};

/** A pool of boxes. Belongs to one worker, which outlives its connections. */
struct tcp_boxes {
	uint8_t *mem;	  /* the boxes; the owner's memory */
	uint32_t n;	  /* boxes */
	uint32_t entries; /* of each */
	uint32_t used;	  /* boxes that somebody has */
	uint32_t hand;	  /* where to look for a silent connection */
	uint64_t taken;	  /* boxes taken from a silent connection */
	uint64_t refused; /* connections that got none: everybody was busy */
	SLIST_HEAD(, tcp_box) free;
};

/** Bytes of memory that a pool needs. */
size_t tcp_boxes_size(uint32_t n, uint32_t entries);

/** Makes a pool of mem, aligned for any type, of tcp_boxes_size() bytes. Counts as limited above.
 */
void tcp_boxes_init(struct tcp_boxes *p, void *mem, uint32_t n, uint32_t entries);

/** Gives the connection a box from its configuration's pool. False: none can be had. */
bool tcp_box_attach(struct tcp_conn *c, uint64_t now);

/** Gives it back; does nothing when there is none. */
void tcp_box_detach(struct tcp_conn *c);

/** Copies the newest entries, at most max, oldest first. Returns their number; 0 without a box. */
uint32_t tcp_box_read(const struct tcp_conn *c, struct tcp_trace_at *out, uint32_t max);

/** Entries ever recorded for the connection. */
uint64_t tcp_box_count(const struct tcp_conn *c);

/** Records an entry of the owner's. */
void tcp_trace_owner(const struct tcp_conn *c, uint8_t what, uint16_t len, uint32_t a, uint32_t b,
		     uint64_t now);

/** Name of a kind. */
const char *tcp_trace_name(enum tcp_trace_kind k);

#endif
