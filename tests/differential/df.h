/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df.h - the same trace of segments and program calls against the TCP core and the kernel's TCP.
 *
 * A trace (df_trace.c says how it is written) is played by a scripted peer: in virtual time to the
 * core (df_core.c), in real time to a socket of the kernel behind a TUN device (df_linux.c), all
 * traces at once. What both emit is noted as text without what must differ (df_note.c), and
 * compared line by line (df_compare.c). A difference that the trace does not name is a failure, and
 * so is a named one that does not occur; docs/linux-differences.md explains every name.
 */
#ifndef TESTS_DF_H
#define TESTS_DF_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpstack/net_flow.h"
#include "tcpstack/tcp.h"

#define DF_STEPS  64  /* most steps of a trace */
#define DF_LINES  256 /* most segments noted of one side, and most declared lines */
#define DF_TEXT	  128 /* bytes of a noted line */
#define DF_NAME	  64  /* bytes of a trace's or a difference's name */
#define DF_PACKET 2048

/** What a step does. */
enum df_do {
	DF_SEG,	     /* the peer sends a segment */
	DF_WRITE,    /* the program writes n bytes */
	DF_SHUTDOWN, /* the program closes its sending side */
	DF_CONNECT,  /* the program opens actively */
	DF_END,	     /* the trace ends */
};

/** One step. Sequence numbers are relative: a SYN has 0, the first byte 1. */
struct df_step {
	uint32_t ms;	    /* when, since the start of the trace */
	enum df_do what;    /* see there */
	uint32_t n;	    /* bytes of WRITE */
	struct tcp_seg seg; /* of SEG: seq and ack relative, wnd as in the header */
	int32_t ts_shift;   /* added to the peer's timestamp clock */
};

/** A noted segment. */
struct df_line {
	double ms;	    /* since the start of the trace */
	unsigned int step;  /* steps done before */
	double since;	    /* milliseconds since the last of them */
	char text[DF_TEXT]; /* see df_note.c */
};

/** What one side emitted. */
struct df_notes {
	unsigned int n;
	struct df_line line[DF_LINES];
};

/** Differences a trace declares: lines of the comparison in order, each under a name. */
struct df_diff {
	char id[DF_NAME];   /* row of the table */
	char text[DF_TEXT]; /* "-line" of the kernel alone, "+line" of the core alone, "~line" time
			     */
};

/** A trace. */
struct df_trace {
	char name[DF_NAME]; /* of the file */
	bool active;	    /* it has a CONNECT */
	unsigned int n_step;
	struct df_step step[DF_STEPS];
	unsigned int n_diff;
	struct df_diff diff[DF_LINES];
};

/** The peer's end of one trace being played, and what it noted. */
struct df_peer {
	const struct df_trace *t;
	struct net_flow flow; /* local: the end under test */
	uint32_t isn;	      /* the peer's */
	uint32_t their_isn;   /* of the end under test */
	bool known;	      /* their_isn was seen */
	uint32_t last_tsval;  /* of the end under test */
	unsigned int step;    /* steps done */
	double step_ms;	      /* when the last of them was, since the start */
	struct df_notes notes;
	bool full; /* more was emitted than can be noted */
};

/** Reads a trace. 0, or EINVAL after a message. */
int df_trace_read(struct df_trace *t, const char *file);

/** Starts a peer for trace number i. */
void df_peer_init(struct df_peer *p, const struct df_trace *t, unsigned int i);

/** Builds the IPv4 packet of a SEG step; returns its length. buf holds DF_PACKET bytes. */
uint32_t df_peer_packet(const struct df_peer *p, const struct df_step *s, uint8_t *buf);

/** Notes an IPv4 packet that the end under test emitted `ms` after the start. */
void df_peer_note(struct df_peer *p, const uint8_t *ip, uint32_t len, double ms);

/** Plays a trace to the core, in virtual time. */
void df_core_play(struct df_peer *p);

/** Plays n traces to the kernel, in real time. 0, or errno when there is no namespace or TUN. */
int df_linux_play(struct df_peer *p, unsigned int n);

/**
 * Compares what both noted. Fills out[] with at most DF_LINES lines as in struct df_diff and
 * returns their number.
 */
unsigned int df_compare(const struct df_notes *linux_side, const struct df_notes *core,
			char out[][DF_TEXT]);

#endif
