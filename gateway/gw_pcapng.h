/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_pcapng.h - blocks of a pcapng file (draft-ietf-opsawg-pcapng): one section whose interfaces
 * are of different kinds, which neither libpcap's writer nor DPDK's rte_pcapng can make.
 *
 * Each function composes one block in the byte order of this machine at a place that has room for
 * it, and returns its bytes. No file, no state. Texts longer than GW_NG_TEXT are cut.
 */
#ifndef GATEWAY_GW_PCAPNG_H
#define GATEWAY_GW_PCAPNG_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define GW_NG_ETHERNET 1u   /* LINKTYPE_ETHERNET */
#define GW_NG_ERF      197u /* LINKTYPE_ERF: records of many kinds, InfiniBand among them */

/* Types of blocks, the byte order's magic number, and an option that readers look for. */
#define GW_NG_SHB     0x0a0d0d0au
#define GW_NG_IDB     1u
#define GW_NG_ISB     5u
#define GW_NG_EPB     6u
#define GW_NG_MAGIC   0x1a2b3c4du
#define GW_NG_IF_NAME 2u

#define GW_NG_TEXT    512u		     /* longest text of an option */
#define GW_NG_SECTION (64u + 3 * GW_NG_TEXT) /* room for a section header */
#define GW_NG_IF      (64u + 3 * GW_NG_TEXT) /* room for an interface */
#define GW_NG_STATS   (96u + GW_NG_TEXT)     /* room for statistics */
#define GW_NG_PACKET  (64u + GW_NG_TEXT)     /* room for a packet beside its bytes */

/** Begins the file. hardware, program, comment: texts, NULL: none. */
uint32_t gw_ng_section(uint8_t *at, const char *hardware, const char *program, const char *comment);

/** An interface; the first one described is number 0. */
struct gw_ng_if {
	uint16_t link;	    /* GW_NG_ETHERNET or GW_NG_ERF */
	const char *name;   /* if_name */
	const char *about;  /* if_description, NULL: none */
	const char *filter; /* if_filter as libpcap reads it, NULL: none */
};
uint32_t gw_ng_interface(uint8_t *at, const struct gw_ng_if *i);

/** Which way a packet went, as the program that captured saw it (epb_flags). */
enum gw_ng_dir {
	GW_NG_UNKNOWN,
	GW_NG_IN,
	GW_NG_OUT,
};

/** A packet. */
struct gw_ng_packet {
	uint32_t iface;	     /* number of its interface */
	struct timespec ts;  /* time of day */
	const void *data;    /* its bytes */
	uint32_t n;	     /* of them */
	enum gw_ng_dir dir;  /* which way */
	uint32_t queue;	     /* that it came by or left by */
	uint64_t lost;	     /* packets of this interface missing ahead of it, 0: no such option */
	const char *comment; /* NULL or empty: none */
};
uint32_t gw_ng_packet(uint8_t *at, const struct gw_ng_packet *p);

/** What became of an interface, at the end of the file. */
struct gw_ng_stats {
	uint32_t iface;
	struct timespec begin, end; /* of the capture */
	uint64_t seen;		    /* packets that were to be written */
	uint64_t lost;		    /* of them, for lack of buffers */
	const char *comment;	    /* NULL: none */
};
uint32_t gw_ng_stats(uint8_t *at, const struct gw_ng_stats *s);

#endif
