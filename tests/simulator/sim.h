/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim.h - two TCP cores, or a core and an ideal peer, over a simulated network in virtual time.
 *
 * Each end plays the shell of its core: it answers want() after a READ latency, confirms placement
 * after a WRITE latency, reads from the ring at a given pace, and may lose its gateway in the
 * middle: the connection is exported and imported again. The link loses, duplicates, delays,
 * reorders, damages, marks and queues segments by a seeded generator. The rules every shell relies
 * on are checked at every step (sim_rules.c); the first broken one ends the run.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tcpstack/tcp_open.h"

#define SIM_RECORDS    8192	  /* transmission records of a run, if sim_opts does not say */
#define SIM_STREAM_MAX (8u << 20) /* bytes one end may send */
#define SIM_HOUR       3600000000ull

/**
 * What the network, the shells and the programs do. Probabilities are per 10000. All members are
 * 32-bit numbers: sim_opts.c prints and reads them by name.
 */
struct sim_opts {
	uint32_t loss;	     /* segments lost */
	uint32_t dup;	     /* segments duplicated */
	uint32_t reorder;    /* segments delayed by up to reorder_us more */
	uint32_t reorder_us; /* see reorder */
	uint32_t corrupt;    /* segments whose checksum is wrong when they arrive */
	uint32_t damage;     /* segments damaged behind the checksum in a way TCP must survive */
	uint32_t havoc;	     /* segments with a random field: only safety is promised */
	uint32_t delay_us;   /* one-way delay */
	uint32_t jitter_us;  /* added to it, order kept */
	uint32_t rate_bps;   /* bottleneck per direction in bytes per second, 0: none */
	uint32_t queue;	     /* bytes the bottleneck queues before it drops */
	uint32_t mark;	     /* bytes in the queue from which on segments are marked CE, 0: never */
	uint32_t path_mtu;   /* IPv4 packets beyond it are lost on the way, 0: all fit */
	uint32_t path_icmp;  /* the router that loses them says so */
	uint32_t read_us;    /* latency of a READ */
	uint32_t read_jitter;  /* added uniformly: READs complete out of order */
	uint32_t read_parts;   /* READs complete in parts */
	uint32_t read_fail;    /* READs that fail for good; the connection is aborted then */
	uint32_t evict;	       /* emitted payload must be wanted again to be sent again */
	uint32_t nodata;       /* emit() says ENODATA: ready payload was taken away */
	uint32_t nobufs;       /* emit() says ENOBUFS */
	uint32_t want_nobufs;  /* want() says ENOBUFS */
	uint32_t write_us;     /* latency of a WRITE */
	uint32_t ring;	       /* receive ring bytes */
	uint32_t app_us;       /* the program reads this long after placement */
	uint32_t pause;	       /* reads that take pause_us longer: the window closes */
	uint32_t pause_us;     /* see pause */
	uint32_t chunk;	       /* bytes produced at a time, 0: all at once */
	uint32_t chunk_us;     /* time between chunks */
	uint32_t no_sack;      /* connection without SACK */
	uint32_t no_ts;	       /* connection without timestamps */
	uint32_t wscale;       /* both ends */
	uint32_t mss;	       /* both ends */
	uint32_t isn[2];       /* first sequence number of each end */
	uint32_t bytes[2];     /* each end's stream */
	uint32_t fin;	       /* both ends close after their stream */
	uint32_t records;      /* transmission records of both ends, 0: SIM_RECORDS */
	uint32_t park;	       /* whenever a connection is at rest, it is parked and made again */
	uint32_t ideal;	       /* end 1 is a receiver without limits (sim_ideal.c), sends nothing */
	uint32_t moves;	       /* times a connection goes to another gateway */
	uint32_t move_us;      /* within this time from the start */
	uint32_t move_down_us; /* nobody carries it meanwhile */
	uint32_t move_drain;   /* it is quiesced two round trips before */
	uint32_t move_crash;   /* the successor knows only what the host knows */
	uint32_t open;	       /* enum sim_open: who opens the connection */
	uint32_t cc;	       /* enum tcp_cc_kind of both ends */
	uint32_t pacing;       /* both ends pace */
	uint32_t ecn;	       /* opened by the cores: ends that ask for ECN or accept it, bits */
};

/** How a connection begins (sim_open.c). */
enum sim_open {
	SIM_OPEN_IMPORT, /* both ends import it when it is established */
	SIM_OPEN_LISTEN, /* end 0 connects, end 1 listens */
	SIM_OPEN_COOKIE, /* the same, answered by a cookie */
	SIM_OPEN_BOTH,	 /* both connect */
	SIM_OPEN_COUNT
};

/** A receiver as a full-size operating system has it: any number of holes. */
struct sim_ideal {
	uint32_t nxt;		    /* offset: received without a gap */
	struct tcp_range run[1024]; /* runs beyond it, the most recently changed first */
	unsigned int n_run;	    /* used entries of run[] */
	uint32_t unacked;	    /* segments since the last ACK */
	uint32_t ts_recent;	    /* last TSval in order */
	uint64_t t_ack;		    /* delayed ACK, TCP_NEVER: none */
	bool fin;		    /* the FIN is in order */
};

/** One end: the core, its shell and its program. Offsets count from the first byte of a stream. */
struct sim_end {
	struct tcp_conn c;   /* first: ops get the end from it */
	struct sim *sim;     /* the whole */
	int id;		     /* 0 or 1 */
	uint32_t isn;	     /* sequence number of the first byte sent */
	uint32_t peer_isn;   /* that of the other end */
	uint8_t *ready;	     /* per byte sent: payload is here */
	uint8_t *placed;     /* per byte received: is in memory */
	uint8_t *mem;	     /* received payload */
	uint32_t placed_nxt; /* offset: placed without a gap, FIN counted */
	uint32_t consumed;   /* offset: read by the program */
	uint32_t produced;   /* offset */
	uint32_t acked;	     /* offset told by acked() */
	uint32_t edge_max;   /* highest right edge advertised to us, as our sequence number */
	uint32_t my_edge;    /* highest right edge we advertised */
	uint32_t want_out;   /* bytes wanted and not answered */
	uint64_t write_free; /* when the last WRITE completes */
	uint64_t read_free;  /* when the program has read what came before */
	uint64_t link_free;  /* when the bottleneck is idle */
	uint64_t link_last;  /* arrival of the last segment that kept its order */
	uint64_t done_at;    /* when everything arrived, 0: not yet */
	uint64_t moved_at;   /* when it came to its present gateway, 0: never */
	uint64_t rto_at;     /* last retransmission timeout */
	uint32_t rto_una;    /* snd_una then */
	uint32_t rto_run;    /* timeouts in a row without progress */
	uint32_t moves;	     /* moves done */
	uint32_t gen;	     /* of the gateway: what was started before a move never completes */
	unsigned int events[TCP_E_COUNT];
	unsigned int max_want_out; /* statistics */
	struct sim_ideal ideal;	   /* see sim_opts.ideal */
	struct tcp_state_io io;	   /* while it is between gateways */
	bool down;		   /* between gateways */
	bool listening;		   /* in LISTEN: c is no connection yet */
	bool draining;		   /* quiesced before a move */
	bool read_failed;	   /* a READ failed for good */
};

struct sim_ev;

/** One run. */
struct sim {
	struct sim_opts o;
	struct tcp_cfg cfg;
	struct tcp_keys keys;		   /* of openings */
	struct tcp_listener listener;	   /* of end 1 */
	struct tcp_pool pool;		   /* of rec[] */
	struct tcp_txrec rec[SIM_RECORDS]; /* transmission records of both ends */
	struct sim_end e[2];
	uint64_t now;	     /* microseconds */
	uint64_t rng;	     /* state of the generator */
	uint64_t order;	     /* makes equal times first in, first out */
	struct sim_ev *heap; /* what will happen */
	unsigned int n, cap; /* used and allocated entries of heap[] */
	uint32_t room;	     /* bytes of ready[], placed[] and mem[] */
	uint32_t lost, sent; /* segments */
	uint32_t parks;	     /* connections parked and made again */
	uint32_t late;	     /* segments duplicated, reordered, damaged or marked */
	bool trace;	     /* print every step */
	bool aborted;	     /* an end gave up on purpose: the streams stay incomplete */
	jmp_buf out;	     /* where a broken rule leads */
	char broken[256];    /* the broken rule, empty: none */
};

/** Sets the defaults: lossless, 1 ms delay, no latencies, 256 KB ring, 1460/wscale 7. */
void sim_defaults(struct sim_opts *o);

/** Sets everything from a seed. */
void sim_random(struct sim_opts *o, uint64_t seed);

/** Prints the options that differ from the defaults, "name=value" separated by blanks. */
void sim_opts_print(FILE *f, const struct sim_opts *o);

/** Reads what sim_opts_print() wrote over *o. 0, or EINVAL at an unknown name or bad number. */
int sim_opts_parse(struct sim_opts *o, const char *text);

/** Starts both ends. */
void sim_init(struct sim *s, const struct sim_opts *o, uint64_t seed);

/**
 * Runs until both streams arrived (and both ends closed, with o.fin) or `limit`; true if so. False
 * too when a rule was broken: s->broken says which.
 */
bool sim_run(struct sim *s, uint64_t limit);

/** Prints where both ends are. */
void sim_print(FILE *f, const struct sim *s);

/** Frees what sim_init() allocated. */
void sim_fini(struct sim *s);

/** Pseudo-random number below n. */
uint32_t sim_rand(struct sim *s, uint32_t n);

/** Seed of this run: TCP_SEED from the environment, or the time; printed. */
uint64_t sim_seed(void);

#endif
