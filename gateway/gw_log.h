/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log.h - the daemon's log: stderr, one line each; under systemd with the journal's priority
 * prefix (sd-daemon(3)). Each line belongs to a module, whose level can be changed while the
 * daemon runs; modules are log types of DPDK (rte_log.h), and DPDK's own lines come the same way.
 * Lines that repeat themselves are counted instead (gw_log_limit.h). Workers never write: they
 * report abuse as an event, which is limited per kind and printed by the control thread.
 */
#ifndef GATEWAY_GW_LOG_H
#define GATEWAY_GW_LOG_H

#include <jansson.h>
#include <stdint.h>

struct gw;
struct gw_cfg;
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

#define GW_FOREACH_LOG_MODULE(_)                                  \
	_(MAIN, "main", "start, end, workers and their memory")   \
	_(CONFIG, "config", "what the configuration asks for")    \
	_(POLICY, "policy", "servers' health, drains, services")  \
	_(PORT, "port", "the client LAN and its devices")         \
	_(FABRIC, "fabric", "the RDMA device and native frames")  \
	_(HOST, "host", "servers that attach and go")             \
	_(ACCEL, "accel", "acceleration and its queue pairs")     \
	_(CONTROL, "control", "who asks for what at the sockets") \
	_(CAPTURE, "capture", "captures")                         \
	_(DPDK, "dpdk", "libraries and drivers of DPDK")

/** Parts of the daemon that log; the last column says about what. */
enum gw_log_module {
#define _(sym, name, about) GW_LM_##sym,
	GW_FOREACH_LOG_MODULE(_)
#undef _
		GW_LM_COUNT
};

#define GW_FOREACH_EVENT(_)                                           \
	_(BAD_FRAME, PORT, "bad frame from the LAN")                  \
	_(PARTIAL_CSUM, PORT, "unfinished checksums")                 \
	_(SPOOFED_LAN, PORT, "server address used on the LAN")        \
	_(SPOOFED_HOST, FABRIC, "spoofed source from a host")         \
	_(BAD_HOST_FRAME, FABRIC, "bad frame from a host")            \
	_(BAD_ENCAP, FABRIC, "bad encapsulation")                     \
	_(UNKNOWN_QP, FABRIC, "frame from an unknown queue pair")     \
	_(OVERSIZED, PORT, "oversized frame")                         \
	_(NEIGH_FULL, PORT, "neighbour table full")                   \
	_(NO_MBUF, MAIN, "no frame buffers left")                     \
	_(BAD_MESSAGE, ACCEL, "bad message from a host")              \
	_(NOT_OWNER, ACCEL, "request for somebody else's connection") \
	_(BAD_REQUEST, ACCEL, "request refused")                      \
	_(QP_DEAD, ACCEL, "queue pair failed")                        \
	_(OTHER, MAIN, "notice")

/** Kinds of events with their modules; each is reported at most once in GW_EVENT_MS per worker. */
enum gw_event {
#define _(sym, module, name) GW_EV_##sym,
	GW_FOREACH_EVENT(_)
#undef _
		GW_EV_COUNT
};

#define GW_EVENT_MS  10000 /* quiet time of a kind after it was reported */
#define GW_EVENT_LEN 160   /* bytes of an event's text, NUL included */

/** Takes stderr for all lines, DPDK's too; before EAL starts. 0 or errno. */
int gw_log_open(void);
/** Sets every module's level to what the configuration says. */
void gw_log_configure(const struct gw_cfg *cfg);
/** Sets the level of a module, or with GW_LM_COUNT of all. Control thread. */
void gw_log_set(enum gw_log_module module, enum gw_log_level level);
/** Sets the level of one log type of DPDK ("pmd.net.mlx5"). 0 or ENOENT. Control thread. */
int gw_log_set_type(const char *name, enum gw_log_level level);
/** DPDK's log types with their levels: an array, the caller's. Control thread. */
json_t *gw_log_types_json(void);
/** Modules with their levels and counts: an array, the caller's. Control thread. */
json_t *gw_log_json(void);
/** Control thread, now and then: tells how many lines were suppressed. */
void gw_log_tick(void);
/** Tells that for all kinds of lines, at the end of the daemon. */
void gw_log_close(void);

/** A file's lines are of this module: defined ahead of the includes, gw_log() uses it. */
#ifndef GW_LOG_MODULE
#define GW_LOG_MODULE GW_LM_MAIN
#endif
/** Prints one line of the file's module: gw_log(level, format, ...). Control thread, or before
 * workers run. */
#define gw_log(level, ...) gw_log_as(GW_LOG_MODULE, level, __VA_ARGS__)
/** The same with the module named. */
void gw_log_as(enum gw_log_module module, enum gw_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Prints a line about something that also happened `more` times unseen; lines with one key are of
 * one kind, whatever they say. Control thread. */
void gw_log_kind(enum gw_log_module module, enum gw_log_level level, const char *key,
		 const char *line, uint32_t more);
/** Name of a level or module; the level or module of a name, or -1. */
const char *gw_log_level_name(enum gw_log_level level);
int gw_log_level_parse(const char *name);
const char *gw_log_module_name(enum gw_log_module module);
int gw_log_module_parse(const char *name);

/* --- gw_event.c --- */
/** Worker thread: reports abuse. Formats only when the kind is not limited right now. */
void gw_event(struct gw_worker *w, enum gw_event kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Creates and frees the worker's event ring. 0 or errno. */
int gw_events_open(struct gw_worker *w);
void gw_events_close(struct gw_worker *w);
/** Control thread: prints what the workers reported. */
void gw_events_drain(struct gw *gw);

#endif
