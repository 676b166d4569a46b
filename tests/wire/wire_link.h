/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_link.h - one direction of an emulated link for whole IP packets: seeded random loss, then a
 * drop-tail queue in front of a bottleneck, then a fixed delay. Packets never overtake.
 */
#ifndef TESTS_WIRE_LINK_H
#define TESTS_WIRE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define WIRE_MTU 1500

/** A packet on its way. */
struct wire_packet {
	STAILQ_ENTRY(wire_packet) link; /* in the link's queue or in the free list */
	uint64_t due;			/* when it arrives, microseconds */
	uint32_t len;			/* bytes of data[] */
	uint8_t data[WIRE_MTU];		/* an IP packet */
};

/** One direction. Zero-initialise, set the first group, call wire_link_init(). */
struct wire_link {
	uint64_t rate;	   /* bytes per second */
	uint32_t queue;	   /* bytes the bottleneck holds before it drops */
	uint32_t delay_us; /* propagation */
	uint32_t loss;	   /* lost packets per million */
	uint64_t seed;	   /* of the loss */

	STAILQ_HEAD(, wire_packet) fly; /* on their way, in order */
	STAILQ_HEAD(, wire_packet) spare;
	uint64_t free_at_ns; /* when the bottleneck is idle, nanoseconds */
	uint64_t lost;	     /* packets lost by chance */
	uint64_t dropped;    /* packets the full queue refused */
	uint64_t carried;    /* packets delivered */
};

/** Empties a link whose settings are filled in. */
void wire_link_init(struct wire_link *l);

/** Frees all packets. */
void wire_link_fini(struct wire_link *l);

/** A packet of at most WIRE_MTU bytes enters at `now` (copied). */
void wire_link_push(struct wire_link *l, const void *ip, uint32_t len, uint64_t now);

/** The first packet due at `now`, NULL when there is none; give it back by wire_link_done(). */
struct wire_packet *wire_link_pop(struct wire_link *l, uint64_t now);

/** Returns a packet that wire_link_pop() gave. */
void wire_link_done(struct wire_link *l, struct wire_packet *p);

/** When the next packet arrives, UINT64_MAX when none is on its way. */
uint64_t wire_link_due(const struct wire_link *l);

#endif
