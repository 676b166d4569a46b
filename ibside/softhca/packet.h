/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets as they would cross the fabric, for captures.
 */
#ifndef SOFT_PACKET_H
#define SOFT_PACKET_H

#include "soft.h"

#define PKT_HEADERS 128u /* more than LRH, GRH, BTH, all extended headers and CRCs take */

/* BTH opcodes (IBTA table 38) of RC; those of UC are 0x20 more. */
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

/* A path between two queue pairs. */
struct pkt_flow {
	uint16_t slid, dlid; /* host byte order */
	uint8_t sl;	     /* service level */
	bool global;	     /* grh is set */
	struct ibv_grh grh;  /* but for its length */
	uint32_t dqpn;	     /* destination */
};

/* A packet being built. */
struct pkt {
	uint32_t n;			   /* bytes so far */
	uint32_t bth;			   /* where the BTH is */
	bool global;			   /* it has a GRH */
	uint8_t b[SOFT_MTU + PKT_HEADERS]; /* from the LRH on */
};

/* packet.c */
void pkt_begin(struct pkt *p, const struct pkt_flow *f, uint32_t opcode, uint32_t psn);
void pkt_put(struct pkt *p, uint64_t val, uint32_t bytes);
void pkt_data(struct pkt *p, const void *data, uint32_t n);
void pkt_end(struct pkt *p);

/* pcap.c */
void soft_pcap_begin(void);
void soft_pcap_packet(const uint8_t *pkt, uint32_t n);
void soft_pcap_end(void);

/* crc.c */
uint32_t soft_icrc(const uint8_t *pkt, size_t n, bool grh);
uint16_t soft_vcrc(const uint8_t *pkt, size_t n);

#endif
