/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_log.h - taghostd's log (one line per event, to standard error) and its counters: everything
 * that is dropped or refused has a name. Lines that repeat themselves are counted instead, and
 * their number is told.
 */
#ifndef HOST_HOST_LOG_H
#define HOST_HOST_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define HOST_FOREACH_LEVEL(_) \
	_(ERROR, "error", 3)  \
	_(WARN, "warning", 4) \
	_(INFO, "info", 6)    \
	_(DEBUG, "debug", 7)

/** How much is logged; the last column is the journal's priority. */
enum host_level {
#define _(sym, name, prio) HOST_LOG_##sym,
	HOST_FOREACH_LEVEL(_)
#undef _
		HOST_LOG_COUNT
};

/** Sets the highest level that is still written. */
void host_log_level(enum host_level level);
/** Writes everything, or again what host_log_level() said. Returns the name of the level. */
const char *host_log_toggle(void);
/** Level by name, or -1. */
int host_log_parse(const char *name);
/** Writes one line when the level is enabled. */
void host_log(enum host_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Writes one line that was asked for, whatever the level. */
void host_show(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define HOST_FOREACH_COUNTER(_)                     \
	_(NATIVE_TX, "native_frames_to_fabric")     \
	_(NATIVE_RX, "native_frames_from_fabric")   \
	_(BOUNCED, "frames_bounced")                \
	_(KEPT, "frames_kept_in_freeze")            \
	_(ABSORBED, "kernel_frames_absorbed")       \
	_(FORGED, "segments_forged")                \
	_(TRANSLATED, "frames_translated")          \
	_(MAP_ABSORBED, "map_frames_absorbed")      \
	_(REQS, "accel_requests")                   \
	_(GRANTS, "accel_grants")                   \
	_(REFUSALS, "accel_refusals")               \
	_(CANCELS, "accel_cancels")                 \
	_(REDIRECTS, "accel_redirects")             \
	_(HANDBACKS, "handbacks")                   \
	_(FAILURES, "handbacks_from_control_block") \
	_(RESETS, "client_resets")                  \
	_(ABORTS, "host_aborts")                    \
	_(KICKS, "kicks")                           \
	_(DOORBELLS, "doorbells")                   \
	_(UNMARKED, "unmarked_bytes")               \
	_(DROP_NO_GATEWAY, "drop_no_gateway")       \
	_(DROP_SOURCE, "drop_unknown_source")       \
	_(DROP_ENCAP, "drop_bad_encapsulation")     \
	_(DROP_PARSE, "drop_bad_frame")             \
	_(DROP_TOO_LONG, "drop_too_long")           \
	_(DROP_TAP, "drop_tap_write")               \
	_(DROP_TAP_FULL, "drop_tap_full")           \
	_(DROP_SEND, "drop_send_failed")            \
	_(DROP_KEPT_FULL, "drop_kept_full")         \
	_(DROP_MAP, "drop_map_bad")                 \
	_(DROP_ICMP, "drop_icmp_accelerated")       \
	_(BAD_MSG, "bad_messages")                  \
	_(BAD_TOKEN, "unknown_tokens")              \
	_(BAD_CURSOR, "bad_cursors")                \
	_(BAD_IPC, "bad_program_requests")          \
	_(BAD_BOOT, "bad_bootstrap_lines")          \
	_(REOFFERS, "reoffers_seen")                \
	_(ASKS, "asks_passed_on")                   \
	_(ASKS_IGNORED, "asks_ignored")             \
	_(FLOW_EVICTED, "flows_evicted")            \
	_(GW_LOST, "gateways_lost")                 \
	_(SUPPRESSED, "log_lines_suppressed")

/** Names of what is counted. */
enum host_counter {
#define _(sym, name) HOST_C_##sym,
	HOST_FOREACH_COUNTER(_)
#undef _
		HOST_C_COUNT
};

/** Cumulative counters. */
struct host_counters {
	uint64_t v[HOST_C_COUNT];     /* by enum host_counter */
	int64_t logged[HOST_C_COUNT]; /* second in which host_drop() last wrote about it */
	uint32_t more[HOST_C_COUNT];  /* since then, not written about */
};

/** Adds one. */
static inline void host_count(struct host_counters *c, enum host_counter w)
{
	c->v[w]++;
}
/** Adds one and writes a warning, at most one in ten seconds per counter. */
void host_drop(struct host_counters *c, enum host_counter w, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Once a second: tells how many lines were left out, after ten seconds; with `all` at once. */
void host_log_tick(struct host_counters *c, bool all);
/** Writes all counters that are not 0 to the log. */
void host_count_dump(const struct host_counters *c);
/** Name of a counter. */
const char *host_counter_name(enum host_counter w);

#endif
