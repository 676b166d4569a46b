/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_pcapng.c - composes pcapng blocks; see gw_pcapng.h. Sections of the draft: 4.1 section header,
 * 4.2 interface description, 4.3 enhanced packet, 4.6 interface statistics, 3.5 options.
 */
#include "gateway/gw_pcapng.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define SECTION_UNKNOWN UINT64_MAX /* length of the section */
#define NANOSECONDS	9	   /* if_tsresol: 10 to the power of minus this */

/** Codes of options, by block. */
enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_HARDWARE = 2,
	SHB_PROGRAM = 4,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	EPB_FLAGS = 2,
	EPB_DROPCOUNT = 4,
	EPB_QUEUE = 6,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
};

/** What every block begins with; its length is repeated at its end. */
struct block {
	uint32_t type;
	uint32_t len; /* of the whole block, a multiple of 4 */
};

/** Body of a section header. */
struct shb {
	uint32_t magic;
	uint16_t major, minor;
	uint64_t len; /* of the section */
} __attribute__((packed));

/** Body of an interface description. */
struct idb {
	uint16_t link;
	uint16_t rsvd;
	uint32_t snap; /* 0: no limit */
};

/** Body of an enhanced packet; its bytes follow. */
struct epb {
	uint32_t iface;
	uint32_t ts_high, ts_low; /* nanoseconds since 1970 */
	uint32_t caplen;	  /* bytes here */
	uint32_t len;		  /* bytes on the wire */
};

/** Body of statistics. */
struct isb {
	uint32_t iface;
	uint32_t ts_high, ts_low; /* when they were taken */
};

static_assert(sizeof(struct block) == 8 && sizeof(struct shb) == 16 && sizeof(struct idb) == 8 &&
		      sizeof(struct epb) == 20 && sizeof(struct isb) == 12,
	      "pcapng");

/* Appends n bytes and padding to a multiple of 4; returns the new end. */
static uint8_t *put(uint8_t *at, const void *data, uint32_t n)
{
	static const uint8_t zero[4];
	uint32_t pad = -n & 3;

	memcpy(at, data, n);
	memcpy(at + n, zero, pad);
	return at + n + pad;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value, uint32_t n)
{
	uint16_t head[2] = {code, (uint16_t)n};

	return put(put(at, head, sizeof(head)), value, n);
}

static uint8_t *put_text(uint8_t *at, uint16_t code, const char *text)
{
	if (!text || !*text)
		return at;
	return put_option(at, code, text, (uint32_t)strnlen(text, GW_NG_TEXT));
}

static uint64_t nanoseconds(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

/* A time as an option: its high half first. */
static uint8_t *put_time(uint8_t *at, uint16_t code, const struct timespec *ts)
{
	uint64_t ns = nanoseconds(ts);
	uint32_t halves[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};

	return put_option(at, code, halves, sizeof(halves));
}

/* Where the body of a block of this type goes. */
static uint8_t *begin(uint8_t *at, uint32_t type)
{
	return put(at, &(struct block){.type = type}, sizeof(struct block));
}

/* Ends a block that began at `at` and whose options end at `end`; returns its bytes. */
static uint32_t finish(uint8_t *at, uint8_t *end)
{
	uint32_t len;

	end = put_option(end, OPT_END, "", 0);
	len = (uint32_t)(end - at) + (uint32_t)sizeof(len);
	memcpy(end, &len, sizeof(len));
	memcpy(at + offsetof(struct block, len), &len, sizeof(len));
	return len;
}

uint32_t gw_ng_section(uint8_t *at, const char *hardware, const char *program, const char *comment)
{
	const struct shb body = {GW_NG_MAGIC, 1, 0, SECTION_UNKNOWN};
	uint8_t *end = put(begin(at, GW_NG_SHB), &body, sizeof(body));

	end = put_text(end, SHB_HARDWARE, hardware);
	end = put_text(end, SHB_PROGRAM, program);
	end = put_text(end, OPT_COMMENT, comment);
	return finish(at, end);
}

uint32_t gw_ng_interface(uint8_t *at, const struct gw_ng_if *i)
{
	const struct idb body = {.link = i->link};
	uint8_t *end = put(begin(at, GW_NG_IDB), &body, sizeof(body));
	char filter[GW_NG_TEXT + 1];

	end = put_text(end, GW_NG_IF_NAME, i->name);
	end = put_text(end, IF_DESCRIPTION, i->about);
	end = put_option(end, IF_TSRESOL, &(uint8_t){NANOSECONDS}, 1);
	if (i->filter && *i->filter) {
		uint32_t n = (uint32_t)strnlen(i->filter, GW_NG_TEXT);

		filter[0] = 0; /* a text for libpcap */
		memcpy(filter + 1, i->filter, n);
		end = put_option(end, IF_FILTER, filter, n + 1);
	}
	return finish(at, end);
}

uint32_t gw_ng_packet(uint8_t *at, const struct gw_ng_packet *p)
{
	uint64_t ns = nanoseconds(&p->ts);
	const struct epb body = {p->iface, (uint32_t)(ns >> 32), (uint32_t)ns, p->n, p->n};
	uint8_t *end = put(put(begin(at, GW_NG_EPB), &body, sizeof(body)), p->data, p->n);
	uint32_t flags = p->dir;

	if (flags)
		end = put_option(end, EPB_FLAGS, &flags, sizeof(flags));
	if (p->lost)
		end = put_option(end, EPB_DROPCOUNT, &p->lost, sizeof(p->lost));
	end = put_option(end, EPB_QUEUE, &p->queue, sizeof(p->queue));
	end = put_text(end, OPT_COMMENT, p->comment);
	return finish(at, end);
}

uint32_t gw_ng_stats(uint8_t *at, const struct gw_ng_stats *s)
{
	uint64_t ns = nanoseconds(&s->end);
	const struct isb body = {s->iface, (uint32_t)(ns >> 32), (uint32_t)ns};
	uint8_t *end = put(begin(at, GW_NG_ISB), &body, sizeof(body));

	end = put_time(end, ISB_STARTTIME, &s->begin);
	end = put_time(end, ISB_ENDTIME, &s->end);
	end = put_option(end, ISB_IFRECV, &s->seen, sizeof(s->seen));
	end = put_option(end, ISB_IFDROP, &s->lost, sizeof(s->lost));
	end = put_text(end, OPT_COMMENT, s->comment);
	return finish(at, end);
}
