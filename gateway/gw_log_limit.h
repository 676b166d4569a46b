/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log_limit.h - keeps a log readable: lines of the same kind are let through a few times in a
 * while, then only counted, and their count is told when the while is over. No clock, no output
 * and no lock of its own; the caller has them.
 */
#ifndef GATEWAY_GW_LOG_LIMIT_H
#define GATEWAY_GW_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define GW_LIMIT_MS    10000 /* a while */
#define GW_LIMIT_BURST 3     /* lines of a kind let through in it */
#define GW_LIMIT_KINDS 128   /* kinds told apart in it; whatever comes beyond is one kind */
#define GW_LIMIT_LEN   200   /* bytes kept of a line, NUL included */

/** A kind of lines, from its first one until its while is over. */
struct gw_limit_kind {
	uint64_t key;		 /* of the kind, the caller's choice; 0: the slot is free */
	uint64_t since_ms;	 /* its first line */
	uint32_t passed;	 /* lines let through */
	uint32_t more;		 /* counted only */
	uint16_t tag;		 /* the caller's, of the latest line */
	char last[GW_LIMIT_LEN]; /* latest line that was counted only, or the first one */
};

/** All kinds of the last while. Zeroed at first. */
struct gw_limit {
	struct gw_limit_kind kind[GW_LIMIT_KINDS + 1]; /* the last one is for the rest */
	uint64_t next_ms; /* nothing ends before this; 0: nothing is under way */
};

/** A line that lines were suppressed for: `more` of them like `last` in the last `seconds`. */
typedef void gw_limit_tell(void *ctx, uint16_t tag, const char *last, uint32_t more,
			   uint32_t seconds);

/** A line is to be written now; tag comes back when it is told about. False: do not. */
bool gw_limit_pass(struct gw_limit *l, uint64_t key, uint64_t now_ms, uint16_t tag,
		   const char *line);
/** So many lines of a kind have been suppressed elsewhere already. */
void gw_limit_more(struct gw_limit *l, uint64_t key, uint64_t now_ms, uint16_t tag,
		   const char *line, uint32_t more);
/** Tells about the kinds whose while is over, or with `all` about every kind, and forgets them. */
void gw_limit_flush(struct gw_limit *l, uint64_t now_ms, bool all, gw_limit_tell *tell, void *ctx);

#endif
