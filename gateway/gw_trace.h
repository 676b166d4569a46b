/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_trace.h - `trace packet`: what would become of a frame, and why, without any of it happening.
 *
 * Theory of operation
 *
 *	text, or bytes --gw_trace_frame.c--> a frame and where it comes in
 *	       --gw_trace.c, on the worker that has the flow--> what every function of the data path
 *		 judged of it (gw_way.h; corr_steer() asked dry), copied out
 *	       --gw_trace_tell.c--> a document: steps, rewritten headers, verdict, counter
 *
 * The worker judges between two bursts, as it would have judged the frame then; it is kept for as
 * long as one frame takes. Nothing is counted, remembered, learned or asked on the LAN.
 */
#ifndef GATEWAY_GW_TRACE_H
#define GATEWAY_GW_TRACE_H

#include <jansson.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_way.h"

#define GW_TRACE_FRAME 9728u /* longest frame */
#define GW_TRACE_ERR   200   /* room for a message */

/** A frame, and all that was judged of it. */
struct gw_trace {
	struct gw *gw;
	/* The question */
	uint8_t frame[GW_TRACE_FRAME]; /* without tag or encapsulation */
	uint32_t len;		       /* bytes of it */
	struct gw_port *port;	       /* it comes in by this one, NULL: */
	struct gw_host *host;	       /* from this one */
	uint16_t vlan;		       /* tag that it had, 0: none */
	bool tagged;		       /* it had one */
	bool bounced;		       /* by host, with the bounced bit */
	/* The answer */
	uint32_t worker;	   /* who has the flow */
	struct net_pkt p;	   /* parsed, as far as that went */
	struct gw_way first;	   /* of the frame */
	struct gw_way way;	   /* then of the packet, when first is IP; from a port */
	struct gw_through through; /* the policy; from a port: through.in */
	const char *flow_state;	   /* of the known flow that decided, NULL: there is none */
	bool conn_there;	   /* way.conn, copied: */
	uint32_t token;		   /* its token */
	const char *conn_state;	   /* its state */
	struct gw_host *conn_host; /* its host */
	struct ib_addr peer;	   /* its host's queue pair */
	struct gw_host *to;	   /* natively to this host, NULL: */
	bool to_lan;		   /* to the LAN, next hop: */
	int neigh;	       /* 0; ENOENT: to be asked for; EAGAIN: being asked; EHOSTUNREACH */
	struct gw_next_hop nh; /* it */
	struct gw_hop hop;     /* new headers */
	enum gw_native_qp qp;  /* what carries it to the host */
	uint32_t sqpn;	       /* our end of that */
	uint32_t dqpn;	       /* its end */
	uint16_t mss_old, mss_new; /* of a SYN that is clamped; 0: it is not */
};

/* --- gw_trace_frame.c: control thread ----------------------------------------------------- */

/** Makes the frame of a request ("packet": text; or "frame", "fabric": hexadecimal, and "in"). 0,
 * or EINVAL with a message. */
int gw_trace_ask(struct gw_trace *t, const json_t *req, char err[GW_TRACE_ERR]);

/* --- gw_trace.c --------------------------------------------------------------------------- */

/** Judges; control thread. */
void gw_trace_run(struct gw_trace *t);

/* --- gw_trace_tell.c: control thread ------------------------------------------------------ */

/** The document. */
json_t *gw_trace_tell(const struct gw_trace *t);
/** The command. */
json_t *gw_cmd_trace_packet(struct gw *gw, const json_t *req);

#endif
