/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture.h - captures of both sides in one pcapng file: the frames of each port, and what all
 * workers' queue pairs send and receive, as packets (ibside/packet/).
 *
 * Theory of operation
 *
 * A worker that is captured has gw_worker.capture set, which sees the frames of its ports, and a
 * tap on its completion queue (ibside/ib_tap.h). Each copies what fits the filter, in pieces of at
 * most GW_CAP_DATA bytes, into buffers that it takes from one ring and passes on by another; both
 * have one producer and one consumer, so neither side ever waits for the other. Without free
 * buffers the frame or operation is missing from the file, which the file itself tells. The writer
 * thread turns pieces into packets and writes them, until a limit or the control thread ends it.
 * Without a capture there is one test of a pointer per burst and per work request.
 *
 * Correlation. A piece knows its connection: from the frame's own addresses, from the token of a
 * message, or from the token that marks a READ or WRITE. The writer says so in the packet's
 * comment, the same on both sides. A received frame is kept back while the worker handles it: if a
 * drop counter moved meanwhile, that is why it was dropped, whichever part of the worker did it.
 *
 * Filters are libpcap's (DPDK's rte_bpf has no translator for loads from plain memory and no JIT
 * for them), run on the frame: on a port's, and on the one inside a native SEND. What an
 * accelerated connection's messages, READs and WRITEs carry is no frame: they are judged by a bare
 * ACK of their connection, either way.
 */
#ifndef GATEWAY_GW_CAPTURE_H
#define GATEWAY_GW_CAPTURE_H

#include <jansson.h>
#include <pcap/pcap.h>
#include <pthread.h>

#include "gateway/gw.h"
#include "ibside/ib_tap.h"

#define GW_CAP_DATA   4096u /* payload bytes of a piece: whole packets of any path MTU */
#define GW_CAP_PIECES 1024u /* of a worker */
#define GW_CAP_BATCH  256u  /* pieces kept back at most */
#define GW_CAP_FRAME  65535u
#define GW_CAP_TEXT   512 /* longest file name and filter, with the final 0 */
#define GW_CAP_ERR    160 /* room for a message */

/** Sides of the gateway; bits of gw_cap_want.sides. */
enum gw_cap_side {
	GW_CAP_LAN,
	GW_CAP_FABRIC,
	GW_CAP_SIDES,
};

/** A stretch of a frame or operation on its way to the file. */
struct gw_cap_piece {
	struct timespec ts;	   /* time of day */
	uint8_t side;		   /* enum gw_cap_side */
	uint8_t iface;		   /* interface in the file */
	uint8_t queue;		   /* worker */
	bool in;		   /* received */
	bool more;		   /* LAN: the frame goes on in the next piece */
	bool flow_known;	   /* flow is set */
	uint16_t l4_off;	   /* LAN: a device would finish the TCP checksum here; 0: nobody */
	uint32_t lost;		   /* of this side, missing ahead of this one */
	uint32_t why;		   /* reason of its drop + 1 (gw_why_name()), 0: not dropped */
	uint32_t token;		   /* of an accelerated connection, 0: none */
	uint32_t n;		   /* bytes of data */
	struct net_flow flow;	   /* its connection */
	struct pkt_op op;	   /* FABRIC; op.off: where the stretch begins */
	uint8_t data[GW_CAP_DATA]; /* of the frame, or payload */
};

/** From one worker to the writer. */
struct gw_cap_ring {
	struct ib_tap tap;		/* of the worker's completion queue; must be first */
	struct gw_worker *w;		/* the worker */
	const struct gw_capture *cap;	/* whose it is */
	struct rte_ring *full;		/* worker to writer */
	struct rte_ring *free;		/* writer to worker */
	struct gw_cap_piece *pieces;	/* GW_CAP_PIECES of them, mapped */
	uint32_t missing[GW_CAP_SIDES]; /* worker: lost since the last piece */
	struct gw_cap_piece *batch[GW_CAP_BATCH]; /* worker: kept back */
	uint32_t n_batch;			  /* of them */
	struct gw_cap_piece *open; /* worker: received, being handled; in batch. NULL: none */
	uint64_t before[GW_WHYS];  /* worker: reasons' counters when it came */
	struct gw_cap_piece *sent[GW_BURST * 4]; /* worker: frames of the burst being sent, in
						  * batch; NULL: not wanted */
	_Atomic uint64_t lost[GW_CAP_SIDES];	 /* that found no free piece */
};

#define GW_FOREACH_CAP_END(_)                    \
	_(RUNNING, "running")                    \
	_(STOPPED, "stopped") /* by command */   \
	_(BYTES, "size limit reached")           \
	_(PACKETS, "packet limit reached")       \
	_(SECONDS, "time limit reached")         \
	_(LEFT, "whoever asked for it has left") \
	_(WRITE, "the file could not be written")

/** Whether a capture runs, and why not any more. */
enum gw_cap_end {
#define _(sym, text) GW_CAP_##sym,
	GW_FOREACH_CAP_END(_)
#undef _
};

/** What is captured and when it ends: at whichever limit comes first. */
struct gw_cap_want {
	char file[GW_CAP_TEXT];	  /* absolute name */
	uint64_t bytes;		  /* of the file */
	uint64_t packets;	  /* in it */
	uint64_t seconds;	  /* since the start */
	uint32_t sides;		  /* bits 1 << enum gw_cap_side */
	bool one;		  /* of one connection only */
	struct net_flow flow;	  /* which */
	char filter[GW_CAP_TEXT]; /* as pcap-filter(7); empty: none */
};

/** A capture, of all workers. */
struct gw_capture {
	struct gw *gw;
	uint64_t serial; /* number of this one, from 1 */
	struct gw_cap_want want;
	struct bpf_program prog;	  /* of want.filter; no instructions: none */
	uint8_t port_iface[GW_MAX_PORTS]; /* interface of each port that was opened */
	uint32_t n_iface;		  /* interfaces; the fabric's is the last one */
	int fd;				  /* of the file */
	uint64_t start_us;		  /* monotonic */
	struct timespec start;		  /* time of day */
	struct gw_cap_ring ring[GW_MAX_WORKERS];
	pthread_t writer;
	bool joined;				  /* the writer has ended, nothing is captured */
	_Atomic int end;			  /* enum gw_cap_end; set once */
	_Atomic uint64_t bytes;			  /* written */
	_Atomic uint64_t packets;		  /* written */
	_Atomic uint64_t count[GW_MAX_PORTS + 1]; /* packets by interface */
	uint8_t *buf;				  /* writer: blocks not written yet */
	uint32_t used;				  /* writer: of buf, bytes */
	uint8_t *frame;			/* writer: a frame of several pieces, or an ERF record */
	uint32_t n_frame;		/* writer: of frame, bytes so far */
	const struct gw_cap_piece *now; /* writer: being turned into packets */
	uint32_t lost[GW_CAP_SIDES];	/* writer: to be told with the next packet */
};

/* --- gw_capture.c: control thread --------------------------------------------------------- */

/** Starts a capture of all workers to a file that must not exist. 0, or errno with a message. */
int gw_capture_start(struct gw *gw, const struct gw_cap_want *want, char err[GW_CAP_ERR]);
/** Ends it and writes what is under way. The result stays for gw_capture_show(). */
void gw_capture_stop(struct gw *gw);
/** The client that asked for number `serial` is gone: the same, if that one runs. */
void gw_capture_left(struct gw *gw, uint64_t serial);
/** Cleans up after one that ended by itself. */
void gw_capture_tick(struct gw *gw);
/** Stops and frees, at the end of the daemon. */
void gw_capture_close(struct gw *gw);
/** Text of an end. */
const char *gw_cap_end_text(int end);
/** Of a side, all workers, that are missing. */
uint64_t gw_cap_lost(const struct gw_capture *cap, enum gw_cap_side side);

/* --- gw_control_capture.c ----------------------------------------------------------------- */

/** Commands of the control socket. */
json_t *gw_control_capture_start(struct gw *gw, const json_t *req);
json_t *gw_control_capture_stop(struct gw *gw, const json_t *req);
json_t *gw_control_capture_show(struct gw *gw, const json_t *req);

/* --- gw_capture_ring.c: worker; pieces ---------------------------------------------------- */

/** Makes the rings of worker w. 0 or ENOMEM. */
int gw_cap_ring_open(struct gw_cap_ring *r, const struct gw_capture *cap, struct gw_worker *w);
void gw_cap_ring_close(struct gw_cap_ring *r);
/** Copies the payload of v, a frame or an operation that `like` describes, into pieces that are
 * kept back; the first of them, or NULL: there were too few, which is counted. */
struct gw_cap_piece *gw_cap_copy(struct gw_cap_ring *r, const struct gw_cap_piece *like,
				 const struct iovec *v, int n);
/** Passes on what is kept back, unless a received frame is being handled. */
void gw_cap_pass(struct gw_cap_ring *r);
/** A received frame is about to be handled. */
void gw_cap_open(struct gw_cap_ring *r, struct gw_cap_piece *p);
/** It has been: says whether it was dropped, and passes it on. */
void gw_cap_settle(struct gw_cap_ring *r);

/* --- gw_capture_match.c: worker; which connection, and whether it is wanted --------------- */

/** Fills in the connection of a frame of `len` bytes, whose headers at least are at `frame`. */
void gw_cap_flow_of_frame(struct gw_worker *w, const uint8_t *frame, uint32_t len,
			  struct gw_cap_piece *p);
/** The same of an operation. */
void gw_cap_flow_of_op(struct gw_worker *w, const struct gw_capture *cap, const struct iovec *v,
		       int n, struct gw_cap_piece *p);
/** Whether a frame is wanted, of which the first `n` bytes are here. */
bool gw_cap_wants_frame(const struct gw_capture *cap, const struct gw_cap_piece *p,
			const uint8_t *frame, uint32_t n, uint32_t len);
/** Whether an operation is. */
bool gw_cap_wants_op(const struct gw_capture *cap, const struct gw_cap_piece *p,
		     const struct iovec *v, int n);
/** The frame inside a native SEND, *len bytes; NULL: it is none. */
const uint8_t *gw_cap_inner(const struct pkt_op *op, const struct iovec *v, int n, uint32_t *len);

/* --- gw_capture_tap.c: worker; what calls the others -------------------------------------- */

/** Functions of gw_cap_ring.tap. */
void gw_cap_on_op(struct ib_tap *t, const struct pkt_op *op, const struct iovec *v, int n);
bool gw_cap_on_path(struct ib_tap *t, const struct ibv_ah *ah, struct ib_addr *to);
/** A frame came by a port and is about to be handled; gw_cap_settle() follows. */
void gw_cap_rx(struct gw_cap_ring *r, const struct gw_port *port, const struct rte_mbuf *m);
/** n frames are about to be given to a port's device; gw_cap_sent() follows. */
void gw_cap_tx(struct gw_cap_ring *r, const struct gw_port *port, struct rte_mbuf **m, uint16_t n);
/** It took the first `done` of n. */
void gw_cap_sent(struct gw_cap_ring *r, uint16_t done, uint16_t n);

/* --- gw_capture_write.c ------------------------------------------------------------------- */

/** The writer thread; arg is the capture. */
void *gw_cap_writer(void *arg);

#endif
