/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pkt_erf.c - capture files: pcap with records in the Extensible Record Format (link type 197) of
 * type 21, InfiniBand, which begin with the LRH.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "ibside/packet/pkt.h"

#define PCAP_NS	     0xa1b23c4du /* times in nanoseconds */
#define LINKTYPE_ERF 197u
#define ERF_IB	     21u
#define ERF_VARYING  4u /* records are as long as their packets */

/** Head of the file. */
struct pcap_head {
	uint32_t magic;	  /* PCAP_NS, own byte order */
	uint16_t major;	  /* 2 */
	uint16_t minor;	  /* 4 */
	uint32_t zone;	  /* 0 */
	uint32_t sigfigs; /* 0 */
	uint32_t snap;	  /* longest record */
	uint32_t link;	  /* LINKTYPE_ERF */
};

/** Head of a record. */
struct pcap_record {
	uint32_t sec, nsec; /* time of day */
	uint32_t caplen;    /* bytes that follow, in the file */
	uint32_t len;	    /* and on the wire */
};

/** What follows it, ahead of the packet. */
struct erf_head {
	uint64_t ts;   /* seconds above binary fraction, little endian */
	uint8_t type;  /* ERF_IB */
	uint8_t flags; /* ERF_VARYING */
	uint16_t rlen; /* of record with this header, big endian */
	uint16_t loss; /* packets missing ahead of this one, big endian */
	uint16_t wlen; /* of the packet, big endian */
};

static_assert(sizeof(struct pcap_head) == PKT_ERF_HEAD, "pcap");
static_assert(sizeof(struct erf_head) == PKT_ERF_OWN, "ERF");
static_assert(sizeof(struct pcap_record) + sizeof(struct erf_head) == PKT_ERF_RECORD, "ERF");

void pkt_erf_head(uint8_t at[PKT_ERF_HEAD])
{
	const struct pcap_head h = {PCAP_NS, 2, 4, 0, 0, 65535, LINKTYPE_ERF};

	memcpy(at, &h, sizeof(h));
}

uint32_t pkt_erf_put(uint8_t *at, const struct timespec *ts, const uint8_t *pkt, uint32_t n,
		     uint32_t lost)
{
	uint32_t len = n + (uint32_t)sizeof(struct erf_head);
	const struct erf_head e = {
		.ts = htole64((uint64_t)ts->tv_sec << 32 |
			      (((uint64_t)ts->tv_nsec << 32) / 1000000000u)),
		.type = ERF_IB,
		.flags = ERF_VARYING,
		.rlen = htons((uint16_t)len),
		.loss = htons((uint16_t)(lost < UINT16_MAX ? lost : UINT16_MAX)),
		.wlen = htons((uint16_t)n),
	};

	memcpy(at, &e, sizeof(e));
	memcpy(at + sizeof(e), pkt, n);
	return len;
}

uint32_t pkt_erf_record(uint8_t *at, const struct timespec *ts, const uint8_t *pkt, uint32_t n,
			uint32_t lost)
{
	uint32_t len = pkt_erf_put(at + sizeof(struct pcap_record), ts, pkt, n, lost);
	const struct pcap_record r = {
		.sec = (uint32_t)ts->tv_sec,
		.nsec = (uint32_t)ts->tv_nsec,
		.caplen = len,
		.len = len,
	};

	memcpy(at, &r, sizeof(r));
	return (uint32_t)sizeof(r) + len;
}
