/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_reload.h - another configuration for a daemon that runs.
 *
 * Theory of operation
 *
 *	file -> gw_config_load()     every error of it; nothing else is looked at before it is good
 *	     -> gw_config_diff()     what differs; a key that needs a restart ends it here
 *	     -> gw_config_place()    who keeps which place: see below
 *	     -> gw_reload_forecast() what it means for connections and new flows
 *	     -> gw_reload_swap()     all of it at once, or nothing
 *
 * Places. Connections remember their server, service and rule by number, and so do hosts that are
 * attached. So a number stays with its name as long as that is configured, whatever order the file
 * has, and is given to another name only when nothing refers to it any more. Nothing is renumbered,
 * no connection is looked at, no worker waits.
 *
 * A server that is not in the file any more keeps its place, its host and its connections, and gets
 * no new ones (gw_server_cfg.leaving). When the last connection is over its host is sent away, and
 * the place is free.
 *
 * The swap. Everything is made beforehand; then pointers are exchanged, and one gw_call() to each
 * worker proves that nobody looks at the old ones any more, as gw_publish() does. A worker that is
 * in the middle of a frame may see the new configuration with the old policy: either is valid by
 * itself, and numbers mean the same in both.
 *
 * All of it is the control thread's.
 */
#ifndef GATEWAY_GW_RELOAD_H
#define GATEWAY_GW_RELOAD_H

#include "gateway/gw_config_key.h"
#include "gateway/gw_int.h"
#include "gateway/gw_policy.h"

#define GW_FOREACH_DIFF(_)                    \
	_(ADDED, "added")     /* a section */ \
	_(REMOVED, "removed") /* a section */ \
	_(CHANGED, "changed") /* a key */     \
	_(ORDER, "order")     /* of sections where it counts */

/** Kinds of differences. */
enum gw_diff_kind {
#define _(sym, name) GW_DIFF_##sym,
	GW_FOREACH_DIFF(_)
#undef _
};

/** Name of a kind. */
const char *gw_diff_kind_name(enum gw_diff_kind k);

/** One difference between two configurations. Texts live as long as the call that gets it. */
struct gw_diff {
	enum gw_diff_kind kind;
	const char *section; /* as in the file, without brackets: server "s1" */
	const char *key;     /* CHANGED: its name, else NULL */
	const char *old;     /* CHANGED and ORDER: value, or names in their order; else NULL */
	const char *new;     /* the same; secrets are not told */
	bool restart;	     /* a reload cannot do it */
};

/** Tells fn every difference; servers that leave do not count. 0 or ENOMEM. (gw_config_diff.c) */
int gw_config_diff(const struct gw_cfg *old, const struct gw_cfg *new,
		   void (*fn)(void *ctx, const struct gw_diff *d), void *ctx);

/** What still refers to numbers of the configuration in force. */
struct gw_in_use {
	struct {
		bool busy;		     /* attached, expected back, or has connections */
		const struct net_addr *addr; /* that its host is attached with */
		uint32_t n_addr;	     /* of them */
	} server[GW_MAX_HOSTS];
	bool service[CORR_MAX_SERVICES]; /* has connections */
	bool rule[CORR_MAX_RULES];	 /* the same */
	uint32_t room;			 /* servers at the same time */
};

/**
 * Gives everything in `next` the number it has in `now`, a free one when it is new, and keeps
 * servers that are in use. 0, or ENOSPC with a line in err. (gw_config_place.c)
 */
int gw_config_place(struct gw_cfg *next, const struct gw_cfg *now, const struct gw_in_use *use,
		    FILE *err);
/** Copies what is configured, without servers that leave and places that nobody has. */
void gw_config_pure(struct gw_cfg *to, const struct gw_cfg *from);

/** Results so far, and what may be undone. */
struct gw_reload {
	uint64_t done;	       /* reloads that were made */
	uint64_t failed;       /* that were refused: bad, needs a restart, no memory */
	int64_t last_s;	       /* when the last one was made, seconds since 1970; 0: never */
	char error[256];       /* why the last one was refused, one line; empty: it was made */
	struct gw_cfg *before; /* in force again unless confirmed; NULL: nothing to confirm */
	ev_timer confirm;      /* runs meanwhile */
	uint64_t tick_ms;      /* places are looked at after this */
};

/** A reload that was looked through. */
struct gw_plan {
	struct gw_cfg *next; /* placed; owned until it is in force */
	json_t *changes;     /* list of differences, owned */
	uint32_t restarts;   /* of them that need one */
};

/** State and its end. 0 or ENOMEM. */
int gw_reload_open(struct gw *gw);
void gw_reload_close(struct gw *gw);
/** Every tick: places of servers that have left. */
void gw_reload_tick(struct gw *gw);

/**
 * Looks a file through; everything wrong goes to err, a line each. 0; EINVAL: bad, needs a
 * restart (plan is filled then, to be shown); ENOSPC, ENOMEM. gw_plan_free() in any case.
 */
int gw_plan_file(struct gw *gw, const char *file, struct gw_plan *plan, FILE *err);
/** The same for a configuration at hand, which is copied. */
int gw_plan_cfg(struct gw *gw, const struct gw_cfg *cfg, struct gw_plan *plan, FILE *err);
void gw_plan_free(struct gw_plan *plan);

/** Puts a plan into force; logs and counts. 0 or ENOMEM (all stays as it was). */
int gw_reload_apply(struct gw *gw, struct gw_plan *plan, const char *what);
/** A reload failed: counts it, and remembers and logs why. */
void gw_reload_failed(struct gw *gw, const char *what, const char *why);
/** What SIGHUP does: the file that the daemon was started with. 0 or errno, all told in the log. */
int gw_reload_file(struct gw *gw);

/** The configuration before comes back after so many seconds, unless confirmed. Takes it. */
void gw_reload_guard(struct gw *gw, struct gw_cfg *before, uint32_t seconds);
/** Ends the guard; back: by going back now. 0, ENOENT: nothing to confirm, or ENOMEM. */
int gw_reload_settle(struct gw *gw, bool back);

/** What a plan means: {"connections": {...}, "services": [...]}; NULL: no memory.
 * (gw_reload_forecast.c) */
json_t *gw_reload_forecast(struct gw *gw, const struct gw_cfg *next);

/** Established connections that workers carry, by server index. (gw_reload_forecast.c) */
void gw_reload_count(struct gw *gw, uint32_t n[GW_MAX_HOSTS]);

/**
 * Exchanges the configuration and everything made of it. Takes next when it returns 0; ENOMEM:
 * nothing has changed. (gw_reload_swap.c)
 */
int gw_reload_swap(struct gw *gw, struct gw_cfg *next);

/** Makes a message fit for JSON when a character of it was cut in two. */
void gw_reload_clean(char *text);

/* --- gw_control_config.c --- */
json_t *gw_cmd_config_check(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_diff(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_reload(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_confirm(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_rollback(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_show(struct gw *gw, const json_t *req);
json_t *gw_cmd_config_status(struct gw *gw, const json_t *req);

#endif
