/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_pool.h - transmission records, and the pool that many connections take them from.
 *
 * A record describes one run of sequence space that left at one time and shares
 * one fate. An idle connection holds none. The memory is the owner's; a pool
 * serves one thread. When it runs dry connections lose precision (tcp_rec.c),
 * never correctness, and each way of losing it is counted.
 */
#ifndef TCPSTACK_TCP_POOL_H
#define TCPSTACK_TCP_POOL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define TCP_REC_SACKED	0x01 /* the client has it, RFC 2018 */
#define TCP_REC_LOST	0x02 /* deemed lost, and not retransmitted since */
#define TCP_REC_RETX	0x04 /* retransmitted at least once */
#define TCP_REC_SPREAD	0x08 /* joined: part of it left a quantum after xmit_us */
#define TCP_REC_LIMITED 0x10 /* sent while the program, not the network, was the limit */
#define TCP_REC_RATED	0x20 /* the members of tcp_rate.c are known */

/** One run [start, end) in flight. A connection's records cover its flight without a gap. */
struct tcp_txrec {
	SLIST_ENTRY(tcp_txrec) next; /* in a connection, ascending, or in the pool */
	uint32_t start;		     /* first sequence number */
	uint32_t end;		     /* one past the last; our FIN counts one */
	uint32_t xmit_us;	     /* when it left last, low 32 bits */
	uint32_t delivered; /* tcp_rate_pos() when it left; this and what follows: tcp_rate.c */
	uint32_t flags : 8; /* TCP_REC_* */
	uint32_t lost : 24; /* 64 bytes deemed lost until it left, modulo 2^24 */
	uint16_t send_time; /* from the start of its rate sample to xmit_us, packed */
	uint16_t ack_time;  /* from the delivery before it left to xmit_us, packed */
};

static_assert(sizeof(struct tcp_txrec) <= 32, "two records to a cache line");

/** A pool of one thread. (readable) unless said otherwise. */
struct tcp_pool {
	SLIST_HEAD(, tcp_txrec) free; /* records nobody holds; private */
	uint32_t n_total;	      /* records there are */
	uint32_t n_free;	      /* records nobody holds */
	uint32_t reserve;   /* kept back for splits: new payload does not get the last ones */
	uint32_t max_conn;  /* records one connection may hold for new payload */
	uint32_t min_free;  /* lowest n_free ever: how close to dry it was */
	uint64_t coalesced; /* runs that went into the record before, for want of one */
	uint64_t blurred;   /* fates that could not be told apart, for want of a record */
	uint64_t waits;	    /* times new payload waited, for want of a record */
};

/**
 * Makes a pool of n records at mem, which stays the caller's and outlives the pool. At most
 * max_conn of them serve one connection's new payload.
 */
void tcp_pool_init(struct tcp_pool *p, struct tcp_txrec *mem, uint32_t n, uint32_t max_conn);

/** Takes a record, whose content is undefined; NULL: none but the reserve is left. */
struct tcp_txrec *tcp_pool_get(struct tcp_pool *p, bool from_reserve);

/** Gives one back. */
void tcp_pool_put(struct tcp_pool *p, struct tcp_txrec *r);

#endif
