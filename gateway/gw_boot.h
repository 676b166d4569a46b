/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_boot.h - the bootstrap's sessions, as its files share them.
 */
#ifndef GATEWAY_GW_BOOT_H
#define GATEWAY_GW_BOOT_H

#include "gateway/gw_int.h"

#define GW_BOOT_VERSION	  1
#define GW_BOOT_HEARTBEAT 1000 /* ms between pings */
#define GW_BOOT_MISSED	  5    /* silent heartbeats after which a peer is dead */
#define GW_BOOT_LINE	  65536
#define GW_BOOT_SESSIONS  512

/** One host's connection to the bootstrap socket. */
struct gw_session {
	struct gw_line_conn conn; /* its socket */
	struct gw_boot *boot;	  /* owner */
	struct gw_session *next;  /* in gw_boot.sessions */
	struct gw_host *host;	  /* after a good hello, else NULL */
	ev_timer beat;		  /* heartbeat */
	uint32_t silent;	  /* heartbeats without a line from the host */
	uint32_t dead_ticks;	  /* ticks since a queue pair was found dead */
	uint64_t pings;		  /* sent */
	bool host_alive;	  /* ends because of us or a queue pair, not of the host */
};

/** The bootstrap socket. */
struct gw_boot {
	struct gw *gw;
	struct ev_loop *loop;
	int fd;			     /* listening */
	ev_io io;		     /* accepts */
	struct gw_session *sessions; /* all of them */
	uint32_t n_sessions;
	ev_timer lost[GW_MAX_HOSTS]; /* runs while the host is LOST */
};

/** One line of a session (gw_boot_msg.c). */
void gw_boot_line(struct gw_line_conn *c, char *text);
/** Ends all sessions with hosts: they attach again. */
void gw_boot_again(struct gw_ctl *ctl, const char *why);
/** Tells the host why, logs it, and ends the session. */
void gw_boot_error(struct gw_session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
