/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accel_bench.h - acceleration of one worker between a scripted host and a real TCP core as client,
 * all in one process and in virtual time.
 *
 * The host is real to the gateway: queue pairs on the software HCA, an arena, messages. The client
 * is a second TCP core; frames go between them as mbufs with real headers and checksums. Every
 * byte of both streams is a function of its offset and is checked where it arrives.
 */
#ifndef TESTS_ACCEL_BENCH_H
#define TESTS_ACCEL_BENCH_H

#include "gateway/gw_accel.h"

#define B_RING	  65536u /* bytes of each ring */
#define B_SLOTS	  16u
#define B_RECORDS 4096	/* transmission records of the clients */
#define B_MSGS	  4096	/* messages remembered */
#define B_OFF_GW  4096u /* in the arena: lines of the gateway, rings */
#define B_OFF_TX  16384u
#define B_OFF_RX  (B_OFF_TX + B_SLOTS * B_RING)
#define B_ARENA	  (B_OFF_RX + B_SLOTS * B_RING)

/** A message the host received. */
struct b_msg {
	uint8_t mid;
	union {
		struct ib_ctl ctl;
		struct ib_grant grant;
		struct ib_cursor cursor;
		struct ib_reoffer reoffer;
	};
};

/** One connection, its client and its program. */
struct b_conn {
	struct tcp_conn c;    /* the client's core; first */
	struct net_flow flow; /* as the gateway sees it */
	uint16_t slot;	      /* in the arena */
	uint32_t token;	      /* granted, host order; 0: none */
	uint32_t req_id;
	uint32_t sisn, cisn;		  /* sequence numbers of the first byte of each stream */
	uint64_t to_send;		  /* server's stream: bytes the program will produce */
	uint64_t produced;		  /* of which are in the ring */
	uint64_t got;			  /* bytes the client took in order */
	uint64_t up_total;		  /* client's stream */
	uint64_t consumed;		  /* of which the program took */
	uint32_t ip;			  /* TTL and DSCP in the REQ: IB_HL_IP */
	uint32_t pace;			  /* bytes the program takes per step, 0: all */
	bool close;			  /* the program closes after to_send */
	bool closed;			  /* it did */
	bool manual;			  /* the test plays the program */
	bool rst;			  /* the client was reset */
	bool fin;			  /* the client got FIN */
	unsigned int events[TCP_E_COUNT]; /* of the client's core */
};

/** Everything. */
struct bench {
	struct gw *gw;
	struct gw_worker *w;
	struct gw_link *link;
	struct gw_host *host;
	struct tcp_cfg client;		 /* the clients' tunables */
	struct tcp_pool recs;		 /* of rec[] */
	struct tcp_txrec rec[B_RECORDS]; /* the clients' transmission records */
	struct ib_cq hcq;		 /* host's */
	struct ib_set hset;		 /* host's */
	uint8_t *mem;			 /* arena: lines, then rings */
	struct ibv_mr *mr;
	struct b_msg msg[B_MSGS];
	uint32_t n_msg;
	uint32_t doorbells;		  /* SrcAvail sent */
	bool host_dead;			  /* the host's set failed */
	struct rte_mbuf *to_client[4096]; /* frames under way */
	uint32_t n_to_client;
	struct rte_mbuf *to_gw[4096];
	uint32_t n_to_gw;
	struct rte_mbuf *native[1024]; /* frames given back to the native path */
	uint32_t n_native;
	uint32_t loss;	       /* per 10000, both directions */
	uint32_t events;       /* gw_event() calls */
	enum ib_reason reason; /* of the last gw_flows_reason() */
	uint32_t ended;	       /* gw_flows_end() calls */
	uint64_t carried_tx;   /* bytes told to gw_flows_carried() */
	uint64_t carried_rx;   /* the same, of the client */
	bool wild;	       /* the test plays programs and clients; payload is not checked */
	bool (*hop)(const struct rte_mbuf *m); /* false: the path does not take the frame */
	bool no_route;			       /* the client's MAC is not known */
	struct b_conn *conn[B_SLOTS];
	uint32_t n_conn;
	uint64_t rng;
};

extern struct bench B;
/** Connections that b_open() lets the gateway have. */
extern uint32_t b_max_conns;

/** What the host's end of the set does with messages. */
extern const struct ib_set_ops b_host_ops;

/** Group fixtures: EAL, fabric, device. */
int b_group_open(void **state);
int b_group_close(void **state);
/** Per-test fixtures: worker, host, link; and the check that nothing is left. */
int b_open(void **state);
int b_close(void **state);

/** A client and program on slot `slot`, client port 1000 + slot; not taken over. Slots 3, 7, ...
 * are IPv6. */
struct b_conn *b_conn_new(uint16_t slot);
/** The REQ of a connection. */
void b_req(const struct b_conn *k, struct ib_req *req);
/** Sends a message from the host. */
void b_send(uint8_t mid, const void *entry);
/** Sends a struct ib_ctl. */
void b_ctl(uint8_t mid, uint32_t token, uint32_t req_id, enum ib_reason r);
/** REQ, GRANT, COMMIT. */
void b_take(struct b_conn *k);
/** Runs one step of `us` microseconds. */
void b_step(uint64_t us);
/** Steps until the message came (and returns it), or fails. */
struct b_msg *b_wait(uint8_t mid);
/** The first remembered message of this kind, or NULL. */
struct b_msg *b_find(uint8_t mid);
/** Lines and rings of a slot. */
struct ib_host_line *b_host_line(uint16_t slot);
struct ib_gw_line *b_gw_line(uint16_t slot);
uint8_t *b_tx_ring(uint16_t slot);
uint8_t *b_rx_ring(uint16_t slot);
/** The connection inside the gateway. */
struct gw_conn *b_gw(const struct b_conn *k);
/** Its TCP at the gateway, at work or at rest. */
const struct tcp_conn *b_tcp(const struct b_conn *k);
/** The client sends n more bytes. */
void b_client_send(struct b_conn *k, uint32_t n);
/** One frame from the client. */
struct rte_mbuf *b_frame(const struct b_conn *k, const struct tcp_emit *e);
/** Parses a frame. */
void b_parse(struct rte_mbuf *m, struct net_pkt *p);
/** Steps until everything produced is with the client, and everything sent with the program. */
bool b_transfer(struct b_conn *k, uint64_t limit_us);
uint32_t b_rand(uint32_t n);
/** Steps until fn(k) is true, or fails after limit_us. */
bool b_until(bool (*fn)(struct b_conn *), struct b_conn *k, uint64_t limit_us);

#endif
