/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log.h - the daemon's log: stderr, one line each; under systemd with the journal's priority
 * prefix (sd-daemon(3)). Workers never write it: they report abuse as an event, which is limited
 * per kind and printed by the control thread.
 */
#ifndef GATEWAY_GW_LOG_H
#define GATEWAY_GW_LOG_H

#include <stdint.h>

struct gw;
struct gw_worker;

#define GW_FOREACH_LOG_LEVEL(_)  \
	_(ERROR, "error", 3)     \
	_(WARNING, "warning", 4) \
	_(NOTICE, "notice", 5)   \
	_(INFO, "info", 6)       \
	_(DEBUG, "debug", 7)

/** Levels; the last column is the journal's priority. */
enum gw_log_level {
#define _(sym, name, prio) GW_LOG_##sym,
	GW_FOREACH_LOG_LEVEL(_)
#undef _
		GW_LOG_COUNT
};

#define GW_FOREACH_EVENT(_)                                    \
	_(BAD_FRAME, "bad frame from the LAN")                 \
	_(PARTIAL_CSUM, "unfinished checksums")                \
	_(SPOOFED_LAN, "server address used on the LAN")       \
	_(SPOOFED_HOST, "spoofed source from a host")          \
	_(BAD_HOST_FRAME, "bad frame from a host")             \
	_(BAD_ENCAP, "bad encapsulation")                      \
	_(UNKNOWN_QP, "frame from an unknown queue pair")      \
	_(OVERSIZED, "oversized frame")                        \
	_(NEIGH_FULL, "neighbour table full")                  \
	_(NO_MBUF, "no frame buffers left")                    \
	_(BAD_MESSAGE, "bad message from a host")              \
	_(NOT_OWNER, "request for somebody else's connection") \
	_(BAD_REQUEST, "request refused")                      \
	_(QP_DEAD, "queue pair failed")                        \
	_(OTHER, "notice")

/** Kinds of events; each is logged at most once in GW_EVENT_MS per worker. */
enum gw_event {
#define _(sym, name) GW_EV_##sym,
	GW_FOREACH_EVENT(_)
#undef _
		GW_EV_COUNT
};

#define GW_EVENT_MS  10000 /* quiet time of a kind after it was logged */
#define GW_EVENT_LEN 160   /* bytes of an event's text, NUL included */

/** Sets what is printed: this level and the graver ones. */
void gw_log_open(enum gw_log_level level);
/** Prints one line. Control thread, or before workers run. */
void gw_log(enum gw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Name of a level; level of a name, or -1. */
const char *gw_log_level_name(enum gw_log_level level);
int gw_log_level_parse(const char *name);

/** Worker thread: reports abuse. Formats only when the kind is not limited right now. */
void gw_event(struct gw_worker *w, enum gw_event kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Creates and frees the worker's event ring. 0 or errno. */
int gw_events_open(struct gw_worker *w);
void gw_events_close(struct gw_worker *w);
/** Control thread: prints what the workers reported. */
void gw_events_drain(struct gw *gw);

#endif
