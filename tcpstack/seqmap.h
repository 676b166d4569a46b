/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap.h - the sequence map that the host applies at its TAP to a connection that was
 * accelerated: the kernel's numbers on one side, the wire's on the other (translation at the
 * host, never in a gateway). Pure: works on whole Ethernet frames in the caller's buffer.
 *
 * While a connection is accelerated the kernel's socket stands still at (k_snd, k_rcv). When it
 * comes back, the wire has moved to (una .. snd_max, rcv_nxt). From then on
 *
 *     wire SEQ = kernel SEQ + (una - k_snd)        wire ACK = kernel ACK + (rcv_nxt - k_rcv)
 *
 * and the other way round for the client's segments. Bytes in [una, snd_max) have been on the
 * wire already: the kernel's first copy of them is absorbed, a segment that straddles snd_max
 * loses that part, and a later copy is a real retransmission and passes. An ACK of the client
 * beyond what the kernel has sent is clamped to it. When the gateway failed, nobody knows how far
 * it came: nothing is absorbed (snd_max = una), but ACKs of what it may have emitted are clamped as
 * well. SACK blocks, timestamps and the headers
 * quoted in ICMP errors are translated, checksums updated incrementally (RFC 1624).
 */
#ifndef TCPSTACK_SEQMAP_H
#define TCPSTACK_SEQMAP_H

#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"

/** Positions at the moment a connection comes back. */
struct seqmap_init {
	uint32_t k_snd;	    /* kernel: next sequence number it will send */
	uint32_t k_rcv;	    /* kernel: next it expects */
	uint32_t una;	    /* wire: client's cumulative ACK = where the kernel goes on */
	uint32_t snd_max;   /* wire: end of what the gateway has emitted */
	uint32_t unsure;    /* bytes beyond snd_max that it may have emitted, too */
	uint32_t rcv_nxt;   /* wire: next expected from the client */
	uint32_t ts_wire;   /* wire: last TSval the gateway may have used */
	uint32_t ts_kern;   /* kernel: its timestamp clock at the same moment */
	bool ts_ok;	    /* timestamps in use */
	uint8_t snd_wscale; /* shift of the client's windows (to rebuild a clamped window) */
	uint8_t rcv_wscale; /* shift of our windows */
	uint32_t edge;	    /* wire: right edge last advertised to the client */
};

/** The map of one connection; copy freely. "wire" and "kernel" say whose numbers a member holds. */
struct seqmap {
	uint32_t d_snd;	    /* wire - kernel, sending direction */
	uint32_t d_rcv;	    /* wire - kernel, receiving direction */
	uint32_t d_ts;	    /* wire - kernel, timestamps; 0 or positive */
	uint32_t snd_max;   /* wire: absorb first copies below this; later follows k_sent */
	uint32_t ack_max;   /* wire: the client may acknowledge up to here; not below snd_max */
	uint32_t absorbed;  /* wire: first copies below this were absorbed already */
	uint32_t k_sent;    /* wire: highest sequence number the kernel has sent, FIN counted */
	uint32_t edge;	    /* wire: right edge last advertised, never to retreat */
	uint32_t out_ack;   /* wire: highest ACK passed to the client */
	uint32_t c_ack;	    /* wire: highest ACK of the client */
	uint32_t c_told;    /* wire: what the kernel was told of c_ack, see seqmap_ack_frame() */
	uint32_t c_seq;	    /* wire: end of the client's data so far */
	uint32_t c_tsval;   /* last TSval of the client, both sides' */
	uint32_t c_tsecr;   /* kernel: last TSecr of the client */
	uint16_t c_wnd;	    /* last window field of the client */
	uint8_t snd_wscale; /* see seqmap_init */
	uint8_t rcv_wscale; /* see seqmap_init */
	bool ts_ok;	    /* see seqmap_init */
};

/** What to do with the frame. */
enum seqmap_verdict {
	SEQMAP_PASS,   /* translated in place: forward *len bytes */
	SEQMAP_ABSORB, /* drop: the wire has it already */
	SEQMAP_BAD,    /* not a frame of this map, or malformed: drop and count */
};

/** Fills *m. */
void seqmap_init(struct seqmap *m, const struct seqmap_init *in);

/**
 * Kernel to wire. *len may shrink (trimmed straddling segment, padding). p describes the frame.
 * An absorbed segment that brings a new ACK or window passes as a pure ACK.
 */
enum seqmap_verdict seqmap_out(struct seqmap *m, uint8_t *frame, uint32_t *len,
			       const struct net_pkt *p);

/**
 * Wire (client) to kernel. A SYN is translated like anything else, so that the kernel can
 * challenge it; a valid new SYN ends the map, which is the caller's to decide before.
 */
enum seqmap_verdict seqmap_in(struct seqmap *m, uint8_t *frame, uint32_t *len,
			      const struct net_pkt *p);

/** ICMP or ICMPv6 error from the wire quoting one of our segments; ports were matched by the
 * caller. */
enum seqmap_verdict seqmap_icmp_in(struct seqmap *m, uint8_t *frame, uint32_t *len,
				   const struct net_pkt *p);

/**
 * After seqmap_out() absorbed something: the client may have acknowledged it long ago, and then
 * nobody would tell the kernel before it retransmits. Builds the ACK that says so, from the
 * client (f->remote) to the kernel, complete with checksums, for the caller to hand to the
 * kernel. 0: none is due.
 */
size_t seqmap_ack_frame(struct seqmap *m, uint8_t *buf, size_t room, const struct net_l2 *l2,
			const struct net_flow *f);

/** The TCP flow quoted in an ICMP/ICMPv6 error (as the server sees it). 0, or EINVAL when none is
 * quoted. */
int net_icmp_quoted(const uint8_t *frame, const struct net_pkt *p, struct net_flow *f);

#endif
