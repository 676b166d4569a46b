/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt.h - InfiniBand packets as they cross a fabric, for captures: operations are turned into the
 * packets that carry them, and packets into records of a file.
 *
 * No state, no device. The software HCA records what it executes, gateways what they post and what
 * completes; both describe it by a struct pkt_op.
 */
#ifndef IBSIDE_PACKET_PKT_H
#define IBSIDE_PACKET_PKT_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#define PKT_MTU	    4096u /* largest path MTU */
#define PKT_HEADERS 128u  /* more than LRH, GRH, BTH, all extended headers and CRCs take */

/** BTH opcodes (IBTA table 38) of RC; those of UC are PKT_UC more. */
enum pkt_opcode {
	PKT_SEND_FIRST,
	PKT_SEND_MIDDLE,
	PKT_SEND_LAST,
	PKT_SEND_LAST_IMM,
	PKT_SEND_ONLY,
	PKT_SEND_ONLY_IMM,
	PKT_WRITE_FIRST,
	PKT_WRITE_MIDDLE,
	PKT_WRITE_LAST,
	PKT_WRITE_LAST_IMM,
	PKT_WRITE_ONLY,
	PKT_WRITE_ONLY_IMM,
	PKT_READ_REQUEST,
	PKT_READ_FIRST,
	PKT_READ_MIDDLE,
	PKT_READ_LAST,
	PKT_READ_ONLY,
	PKT_ACK,
	PKT_ATOMIC_ACK,
	PKT_CMP_SWAP,
	PKT_FETCH_ADD,
	PKT_UC = 0x20,
	PKT_UD_SEND = 0x64,
	PKT_UD_SEND_IMM = 0x65,
};

/* Syndromes of the AETH (IBTA 9.7.5.1.3). */
#define PKT_ACK_NO_CREDITS 0x1fu /* acknowledged, no flow control */
#define PKT_AETH_RNR	   0x20u /* with the timer's code in the lowest five bits */
#define PKT_NAK_REQUEST	   0x61u
#define PKT_NAK_ACCESS	   0x62u
#define PKT_NAK_OPERATION  0x63u

/** A path between two queue pairs. */
struct pkt_flow {
	uint16_t slid, dlid; /* host byte order */
	uint8_t sl;	     /* service level */
	bool global;	     /* grh is set */
	struct ibv_grh grh;  /* but for its length */
	uint32_t dqpn;	     /* destination */
};

/** A packet being built. */
struct pkt {
	uint32_t n;			  /* bytes so far */
	uint32_t bth;			  /* where the BTH is */
	bool global;			  /* it has a GRH */
	uint8_t b[PKT_MTU + PKT_HEADERS]; /* from the LRH on */
};

/** What an operation looks like on the fabric. */
enum pkt_kind {
	PKT_K_SEND,
	PKT_K_WRITE,
	PKT_K_READ,	   /* the request */
	PKT_K_READ_ANSWER, /* its data */
	PKT_K_CMP_SWAP,
	PKT_K_FETCH_ADD,
	PKT_K_ATOMIC_ANSWER, /* the old value */
	PKT_K_ACK,	     /* or NAK */
	PKT_K_DATAGRAM,
	PKT_K_CONNECT, /* introduces a connection, pkt_cm.c */
};

/** One direction of an operation, or a stretch of its payload. */
struct pkt_op {
	enum pkt_kind kind;
	bool uc;	      /* SEND, WRITE: unreliable connection */
	bool imm_there;	      /* imm is set */
	bool solicited;	      /* solicited event */
	bool blot;	      /* SEND, WRITE, READ answer: payload is not shown */
	bool in;	      /* towards the end that tells of it; no part of the packets */
	uint8_t rd_atomic;    /* CONNECT: of the end that sends */
	struct pkt_flow flow; /* from the end that sends these packets */
	uint32_t psn;	      /* of the first packet of the whole operation */
	uint32_t mtu;	      /* path MTU, bytes */
	uint32_t len;	      /* payload of the whole operation; CONNECT: 0 */
	uint32_t off;	      /* first byte of it that is here, a multiple of mtu */
	uint32_t rkey;	      /* WRITE, READ, atomics */
	uint64_t raddr;	      /* WRITE, READ, atomics */
	uint64_t cmp_add;     /* atomics */
	uint64_t swap;	      /* atomics; CONNECT: GUID of the end that sends */
	uint32_t imm;	      /* network byte order */
	uint32_t syndrome;    /* ACK: PKT_ACK_NO_CREDITS, PKT_NAK_*, PKT_AETH_RNR */
	uint32_t msn;	      /* answers: messages completed, 24 bits */
	uint32_t sqpn;	      /* DATAGRAM, CONNECT: source */
	uint32_t qkey;	      /* DATAGRAM */
	uint32_t peer_psn;    /* CONNECT: first PSN of the other end */
	uint32_t mark;	      /* its owner's name for it (ib_tap.h); no part of the packets */
};

/** Syndrome that a failed request is answered with, 0: with silence. */
uint32_t pkt_nak(enum ibv_wc_status status);

/** Takes a complete packet of n bytes, LRH to VCRC. */
typedef void pkt_sink_fn(void *arg, const uint8_t *pkt, uint32_t n);

/* --- pkt.c ------------------------------------------------------------------------------- */

/** Begins a packet along f: LRH, GRH if it has one, BTH. */
void pkt_begin(struct pkt *p, const struct pkt_flow *f, uint32_t opcode, uint32_t psn);
/** Appends the lowest `bytes` bytes of val, highest first. */
void pkt_put(struct pkt *p, uint64_t val, uint32_t bytes);
/** Appends n bytes of payload, after all headers. */
void pkt_data(struct pkt *p, const void *data, uint32_t n);
/** Pads, fills in lengths and checks: the packet is complete. */
void pkt_end(struct pkt *p);
/** The same path backwards, towards queue pair dqpn. */
void pkt_reverse(struct pkt_flow *f, uint32_t dqpn);

/* --- pkt_op.c ---------------------------------------------------------------------------- */

/** Packets, and so sequence numbers, that len bytes of payload take. */
static inline uint32_t pkt_count(uint64_t len, uint32_t mtu)
{
	return len ? (uint32_t)((len + mtu - 1) / mtu) : 1;
}

/** Turns an operation into packets. The n entries of v hold its payload from op->off on. */
void pkt_op_put(const struct pkt_op *op, const struct iovec *v, int n, pkt_sink_fn *sink,
		void *arg);

/* --- pkt_cm.c ---------------------------------------------------------------------------- */

/** The REQ and REP of a connection, see there. */
void pkt_cm_put(const struct pkt_op *op, pkt_sink_fn *sink, void *arg);

/* --- pkt_crc.c --------------------------------------------------------------------------- */

/** ICRC of the packet of n bytes, LRH to padding; to be stored lowest byte first. */
uint32_t pkt_icrc(const uint8_t *pkt, size_t n, bool grh);
/** VCRC of the packet of n bytes, LRH to ICRC; to be stored lowest byte first. */
uint16_t pkt_vcrc(const uint8_t *pkt, size_t n);

/* --- pkt_erf.c --------------------------------------------------------------------------- */

#define PKT_ERF_HEAD   24u /* bytes of a file's head */
#define PKT_ERF_RECORD 32u /* bytes of a record ahead of its packet */
#define PKT_ERF_OWN    16u /* of these, the part that is not pcap's */

/** Writes the head of a file. */
void pkt_erf_head(uint8_t at[PKT_ERF_HEAD]);
/** Writes the ERF part of a record's head and the packet, for files of other kinds than pcap;
 * returns the bytes. lost: packets missing ahead of it. */
uint32_t pkt_erf_put(uint8_t *at, const struct timespec *ts, const uint8_t *pkt, uint32_t n,
		     uint32_t lost);
/** Writes a record's head and packet; returns its bytes. lost: packets missing ahead of it. */
uint32_t pkt_erf_record(uint8_t *at, const struct timespec *ts, const uint8_t *pkt, uint32_t n,
			uint32_t lost);

#endif
