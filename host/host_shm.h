/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_shm.h - the memory that a program under tagrun and taghostd share: an arena (a memfd) of
 * connection slots, and the policy page.
 *
 * Theory of operation
 *
 * An arena has, per slot: a host line and a gateway line (ib_line.h), a send ring, a receive ring,
 * and a struct host_meta that the fabric never sees. taghostd creates one arena per user id,
 * registers the four parts the gateway may touch, and passes the memfd to programs of that user.
 *
 * The program's descriptor is one end (P) of an AF_UNIX stream socketpair; taghostd holds the
 * other (D). Its readiness is the kernel's own:
 *
 *   readable   taghostd puts one byte into P's queue when the receive ring has bytes (rx_signaled
 *	        0 -> 1). The reader that empties the ring takes the byte out again, and only
 *	        after it really took it stores rx_signaled = 0, executes a full fence and looks at
 *	        rx_prod once more; when bytes came meanwhile and it leaves them there, it kicks.
 *   writable   a writer that could not place everything stores tx_blocked = 1, executes a full
 *fence, looks for room once more, and if there is none writes HOST_FILLER bytes into P (adding them
 *to filler_written first): that withdraws EPOLLOUT. When a third of the ring is free taghostd
 *stores tx_blocked = 0 and drains the filler. A writer that finds tx_blocked back at 0 after
 *writing its filler kicks. Filler that is still there from an earlier time does as well as new: the
 *writer looks whether P is writable. end        after the client's FIN taghostd shuts D's sending
 *side: EPOLLIN | EPOLLRDHUP. After a reset it stores `err` and shuts D both ways. The program's
 *shutdown(SHUT_WR) or last close() is seen by taghostd at D: nobody has to be told. Since D looks
 *the same when both directions are shut and when P is closed, taghostd puts bytes into P's queue
 *before it shuts D, after rx_eof or mode: the program leaves them there, and SIOCOUTQ at D turns 0
 *when P is closed.
 *
 * Bytes that arrive at D and are not filler were written by a call nobody intercepted: taghostd
 * appends them to the send ring. Filler is counted before it is written, so filler_written is
 *loaded after looking how many bytes there are.
 *
 * Kick: set the slot's bit in hdr.kick[], full fence, and when hdr.asleep is set write the
 * arena's eventfd. A kick makes taghostd look at everything of that slot again. A program kicks
 * when a cursor of its crosses the armed value of the gateway line (ib_line.h), whoever wrote it:
 * the gateway while accelerated, taghostd after a hand-back.
 */
#ifndef HOST_HOST_SHM_H
#define HOST_HOST_SHM_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "ibside/ib_line.h"

#define HOST_ARENA_MAGIC   0x7461676172656e61ull /* "tagarena" */
#define HOST_ARENA_VERSION 1
#define HOST_MAX_SLOTS	   4096
#define HOST_FILLER	   2048 /* bytes; more than a quarter of the smallest send buffer */

/** First page of an arena. Offsets are from the start of the memfd. */
struct host_arena_hdr {
	uint64_t magic;		 /* HOST_ARENA_MAGIC */
	uint32_t version;	 /* HOST_ARENA_VERSION */
	uint32_t slots;		 /* connections it has room for */
	uint32_t tx_size;	 /* bytes of a send ring, a power of two */
	uint32_t rx_size;	 /* bytes of a receive ring, a power of two */
	uint64_t off_host;	 /* struct ib_host_line[slots] */
	uint64_t off_gw;	 /* struct ib_gw_line[slots] */
	uint64_t off_meta;	 /* struct host_meta[slots] */
	uint64_t off_tx;	 /* send rings */
	uint64_t off_rx;	 /* receive rings */
	uint64_t size;		 /* of the whole memfd */
	_Atomic uint32_t asleep; /* taghostd waits: kicks must write the eventfd */
	uint32_t rsvd;
	_Atomic uint64_t kick[HOST_MAX_SLOTS / 64]; /* slots to look at */
};
static_assert(sizeof(struct host_arena_hdr) <= 4096, "one page");

/** Who moves the bytes of a slot. */
enum host_mode {
	HOST_M_FREE,  /* not in use */
	HOST_M_ACCEL, /* the gateway */
	HOST_M_PUMP,  /* taghostd, between the rings and the kernel's socket (handed back) */
	HOST_M_DEAD,  /* nobody: see err */
};

/** What a program is told of ib_gw_line.soft; 0: nothing. As Linux has it of the ICMP errors. */
static inline int host_soft_errno(uint32_t soft)
{
	switch (soft & 0xff) {
	case IB_SOFT_UNREACHABLE:
	case IB_SOFT_TIME:
		return EHOSTUNREACH;
	case IB_SOFT_REFUSED:
		return ECONNREFUSED;
	case IB_SOFT_PARAMETER:
		return EPROTO;
	default:
		return 0;
	}
}

/** Per-slot state shared by program and taghostd only. */
struct host_meta {
	pthread_mutex_t tx_lock;      /* process-shared, robust: senders of the program */
	pthread_mutex_t rx_lock;      /* process-shared, robust: readers of the program */
	_Atomic uint32_t mode;	      /* enum host_mode; written by taghostd */
	_Atomic uint32_t err;	      /* errno the program is to see once, 0: none; by taghostd */
	_Atomic uint32_t rx_eof;      /* nothing follows rx_prod; by taghostd */
	_Atomic uint32_t rx_signaled; /* a readiness byte is on its way or in P's queue */
	_Atomic uint32_t tx_blocked;  /* the program waits for room */
	_Atomic uint32_t wr_shut;     /* the program may send nothing more; by taghostd */
	_Atomic uint64_t filler_written; /* filler bytes written into P; by the program */
	_Atomic uint64_t filler_drained; /* of which taghostd took out; by taghostd */
	_Atomic uint32_t ip_changed;	 /* TTL or DSCP of the kernel's socket changed; by both */
	uint32_t gen;			 /* incremented each time the slot is handed out */
	uint32_t rsvd[12];
};

#define HOST_POLICY_MAGIC 0x746167706f6c6963ull /* "tagpolic" */
#define HOST_POLICY_MAX	  256

#define HOST_FOREACH_POLICY(_)      \
	_(OFF, "off")               \
	_(FIRST_SEND, "first-send") \
	_(ACCEPT, "accept")         \
	_(MIN_BYTES, "min-bytes")

/** When to ask for a takeover. */
enum host_policy {
#define _(sym, name) HOST_POLICY_##sym,
	HOST_FOREACH_POLICY(_)
#undef _
		HOST_POLICY_COUNT
};

/** One rule; the first that matches decides. */
struct host_policy_entry {
	uint8_t addr[16];   /* local address, IPv4 mapped; all zero: any */
	uint16_t port;	    /* local port, host byte order; 0: any */
	uint16_t policy;    /* enum host_policy */
	uint32_t min_bytes; /* HOST_POLICY_MIN_BYTES: bytes sent natively first */
};

#define HOST_ASKS_MAX 32 /* a program that misses more than these asks by its policy alone */

/** A connection to be taken over at its program's next bytes, whatever the policy. */
struct host_policy_ask {
	uint8_t remote[16]; /* client's address, IPv4 mapped */
	uint8_t local[16];  /* server's */
	uint16_t rport;	    /* client's port, network byte order */
	uint16_t lport;	    /* server's */
};

/** Page that programs map read-only. seq is odd while taghostd changes it (sequence lock). */
struct host_policy_page {
	uint64_t magic;
	_Atomic uint32_t seq;
	uint32_t gateway_up; /* 0: no gateway is attached, do not ask */
	uint32_t rx_size;    /* bytes of a receive ring: what a listener clamps its window to */
	uint32_t n;	     /* entries used */
	struct host_policy_entry e[HOST_POLICY_MAX];
	_Atomic uint32_t n_asks; /* ever made; number k is in ask[k % HOST_ASKS_MAX] */
	struct host_policy_ask ask[HOST_ASKS_MAX];
};

#endif
