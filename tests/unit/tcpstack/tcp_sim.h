/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_sim.h - two TCP cores over a simulated network, in virtual time.
 *
 * Each end plays the shell of its core: it answers want() after a READ
 * latency, confirms placement after a WRITE latency, reads from the ring at a
 * given pace. The link loses, duplicates, delays and reorders segments by a
 * seeded generator. The rules every shell relies on are asserted for every
 * segment: only ready payload leaves, only placed bytes are acknowledged or
 * SACKed, nothing exceeds the client's window, the right edge never retreats
 * by a unit of the window scale, wants stay bounded.
 */
#ifndef TESTS_TCP_SIM_H
#define TESTS_TCP_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpstack/tcp.h"

#define SIM_STREAM_MAX (8u << 20) /* bytes one end may send */

/** What the network and the shells do. Probabilities are per 10000. */
struct sim_opts {
	uint32_t loss;	      /* segments lost */
	uint32_t dup;	      /* segments duplicated */
	uint32_t reorder;     /* segments delayed by up to reorder_us more */
	uint32_t reorder_us;  /* see reorder */
	uint32_t delay_us;    /* one-way delay */
	uint32_t rate_bps;    /* bottleneck per direction in bytes per second, 0: none */
	uint32_t queue;	      /* bytes the bottleneck queues before it drops */
	uint32_t read_us;     /* latency of a READ */
	uint32_t read_jitter; /* added uniformly: READs complete out of order */
	bool read_parts;      /* READs complete in parts */
	bool evict;	      /* emitted payload must be wanted again to be sent again */
	uint32_t nobufs;      /* emit() says ENOBUFS */
	uint32_t want_nobufs; /* want() says ENOBUFS */
	uint32_t write_us;    /* latency of a WRITE */
	uint32_t ring;	      /* receive ring bytes */
	uint32_t app_us;      /* the program reads this long after placement */
	uint32_t chunk;	      /* bytes produced at a time, 0: all at once */
	uint32_t chunk_us;    /* time between chunks */
	bool no_sack;	      /* connection without SACK */
	bool no_ts;	      /* connection without timestamps */
	uint8_t wscale;	      /* both ends */
	uint16_t mss;	      /* both ends */
	uint32_t isn[2];      /* first sequence number of each end */
	uint32_t bytes[2];    /* each end's stream */
	bool fin;	      /* both ends close after their stream */
	bool ideal;	      /* end 1 is a receiver without limits (tcp_ideal.c), sends nothing */
};

/** A receiver as a full-size operating system has it: any number of holes. */
struct sim_ideal {
	uint32_t nxt;		    /* offset: received without a gap */
	struct tcp_range run[1024]; /* runs beyond it, the most recently changed first */
	unsigned int n_run;
	uint32_t unacked; /* segments since the last ACK */
	uint32_t ts_recent;
	uint64_t t_ack; /* delayed ACK */
	bool fin;
};

struct sim_end {
	struct tcp_conn c;   /* first: ops get the end from it */
	struct sim *sim;     /* the whole */
	int id;		     /* 0 or 1 */
	uint32_t isn;	     /* sequence number of the first byte sent */
	uint32_t peer_isn;   /* that of the other end */
	uint8_t *ready;	     /* per byte sent: payload is here */
	uint8_t *placed;     /* per byte received: is in memory */
	uint32_t placed_nxt; /* offset: placed without a gap, FIN counted */
	uint32_t consumed;   /* offset: read by the program */
	uint32_t produced;   /* offset */
	uint32_t acked;	     /* offset told by acked() */
	uint32_t edge_max;   /* highest right edge advertised to us, as our sequence number */
	uint32_t my_edge;    /* highest right edge we advertised */
	uint32_t want_out;   /* bytes wanted and not answered */
	uint64_t write_free; /* when the last WRITE completes */
	uint64_t link_free;  /* when the bottleneck is idle */
	uint64_t done_at;    /* when everything arrived, 0: not yet */
	unsigned int events[TCP_E_COUNT];
	unsigned int max_want_out; /* statistics */
	struct sim_ideal ideal;	   /* see sim_opts.ideal */
	bool fin_seen;		   /* the other end's FIN was accepted */
};

struct sim_ev;

struct sim {
	struct sim_opts o;
	struct tcp_cfg cfg;
	struct sim_end e[2];
	uint64_t now;
	uint64_t rng;
	uint64_t order; /* makes equal times first in, first out */
	struct sim_ev *heap;
	unsigned int n, cap;
	uint32_t room;	     /* bytes of ready[] and placed[] */
	uint32_t lost, sent; /* segments */
	bool trace;
};

/** Sets the defaults: lossless, 1 ms delay, no latencies, 256 KB ring, 1460/wscale 7. */
void sim_defaults(struct sim_opts *o);

/** Starts both ends. */
void sim_init(struct sim *s, const struct sim_opts *o, uint64_t seed);

/** Runs until both streams arrived (and both ends closed, with o.fin) or `limit`; true if so. */
bool sim_run(struct sim *s, uint64_t limit);

/** Runs everything due until `until`. */
void sim_until(struct sim *s, uint64_t until);

/** Frees what sim_init() allocated. */
void sim_fini(struct sim *s);

/** Puts one segment on the link of end e. */
void sim_link(struct sim_end *e, const struct tcp_seg *seg);

/** One segment arrives at the ideal receiver e; it answers by sim_link(). */
void sim_ideal_input(struct sim_end *e, const struct tcp_seg *seg);

/** The delayed ACK of the ideal receiver is due. */
void sim_ideal_timer(struct sim_end *e);

/** Pseudo-random number below n. */
uint32_t sim_rand(struct sim *s, uint32_t n);

/** Seed of this run: TCP_SEED from the environment, or the time; printed. */
uint64_t sim_seed(void);

#endif
