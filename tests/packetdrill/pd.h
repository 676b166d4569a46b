/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd.h - a runner for scripts in the packetdrill language, on virtual time.
 *
 * Theory of operation
 *
 * pd_parse.c reads a whole script into a list of events (pd_packet.c and
 * pd_call.c know one kind of line each); what is not understood is an error
 * before anything runs. pd_run.c then takes one event after the other: it
 * moves the virtual clock of the shell (pd_shell.c) to the event's time, which
 * lets the core's timers run, and injects the segment (pd_inject.c), makes the
 * call (pd_syscall.c), compares the oldest segment sent with the line
 * (pd_expect.c) or evaluates the assertions (pd_assert.c on pd_info.c).
 *
 * The core carries established connections only, so that pd_handshake.c plays
 * the kernel of the server: it answers the SYN and imports what was negotiated
 * into the core when the handshake is complete.
 *
 * Numbers in scripts are relative: the server's stream begins at 0, the
 * client's where its SYN says. In the core they lie close to the wrap.
 */
#ifndef TESTS_PACKETDRILL_PD_H
#define TESTS_PACKETDRILL_PD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpstack/tcp.h"

#define PD_LOCAL   0xfffff000u /* sequence number of the server's 0 */
#define PD_REMOTE  0xffffe800u /* sequence number of the client's 0 */
#define PD_MSS	   1460u       /* what the path takes: an MTU of 1500 */
#define PD_OPT_MAX 20	       /* options of one line */
#define PD_SENT	   4096	       /* segments sent and not yet expected */
#define PD_DUE	   1024	       /* completions on their way */

/** One TCP option of a line or of a segment. */
struct pd_opt {
	uint8_t kind;		  /* as on the wire: 0 eol, 1 nop, 2 mss, 3 wscale, 4, 5, 8 */
	uint8_t n_sack;		  /* used entries of sack[] */
	uint32_t val, ecr;	  /* mss, wscale and TSval in val */
	struct tcp_range sack[4]; /* relative, as the script says it */
};

/** A packet line, or a segment in the script's numbers. */
struct pd_packet {
	bool in;		       /* injected, `<` */
	bool ce;		       /* IP header carries CE */
	bool any_opt;		       /* `<...>`: options are not compared */
	uint8_t flags;		       /* TCP_* */
	uint8_t n_opt;		       /* used entries of opt[] */
	uint32_t seq, len, ack;	       /* relative; ack valid with TCP_ACK */
	int32_t win;		       /* window field, -1: not said */
	struct pd_opt opt[PD_OPT_MAX]; /* in order, padding included */
};

enum pd_arg_kind { PD_INT, PD_ANY, PD_LIST, PD_LINGER };

/** An argument of a call. */
struct pd_arg {
	uint8_t kind;  /* enum pd_arg_kind */
	int64_t v[2];  /* value; first of a list; onoff and linger */
	char text[40]; /* as written, for names */
};

/** A call line. */
struct pd_call {
	char name[16];	      /* read, write, ... */
	unsigned int n;	      /* used entries of arg[] */
	struct pd_arg arg[8]; /* in order */
	int64_t ret;	      /* expected result */
	int err;	      /* expected errno, 0: none said */
};

enum pd_time_kind { PD_ABS, PD_REL, PD_ABS_RANGE, PD_REL_RANGE, PD_ANY_TIME };

enum pd_event_kind { PD_PACKET, PD_CALL, PD_CODE };

/** One line of a script. */
struct pd_event {
	unsigned int line;  /* for messages */
	uint8_t kind;	    /* enum pd_event_kind */
	uint8_t when;	    /* enum pd_time_kind */
	int64_t lo, hi;	    /* microseconds, as when says; hi is lo without a range */
	bool blocks;	    /* a call that ends at `end` */
	int64_t end;	    /* when, as lo */
	struct pd_packet p; /* PD_PACKET */
	struct pd_call c;   /* PD_CALL */
	char *code;	    /* PD_CODE: text between the marks; owned by the script */
};

/** A parsed script. */
struct pd_script {
	const char *file;    /* name, for messages */
	int64_t tolerance;   /* microseconds */
	struct pd_event *ev; /* owned */
	unsigned int n;	     /* used entries of ev */
	char *text;	     /* owned; the file */
};

/** Position in a script's text. */
struct pd_cur {
	const char *file;  /* name, for messages */
	const char *p;	   /* next character */
	unsigned int line; /* its line */
};

/** A segment the server sent, sequence numbers of the core. */
struct pd_seg {
	uint64_t at;	   /* when, of the shell's clock */
	uint32_t seq, ack; /* host byte order */
	uint32_t len;	   /* payload bytes */
	uint16_t wnd;	   /* window field */
	uint8_t flags;	   /* TCP_* */
	uint8_t optlen;	   /* used bytes of opt[] */
	uint8_t opt[40];   /* wire format */
};

/** A completion that takes time. */
struct pd_due {
	uint64_t at;	       /* when, of the shell's clock */
	bool place;	       /* placement, else payload of [seq, seq + len) */
	uint32_t seq, len;     /* payload */
	struct tcp_rx_pos pos; /* placement */
};

/** The server: its kernel during the handshake, then the shell around the core, and the program. */
struct pd_shell {
	struct tcp_conn c;	     /* first: ops get the shell from it */
	struct tcp_cfg cfg;	     /* defaults */
	struct tcp_state_io io;	     /* what is imported, filled during the handshake */
	uint64_t t0, now;	     /* clock at time 0 of the script, and now; microseconds */
	bool listening;		     /* listen() was called */
	bool syn_seen;		     /* SYN-ACK was sent */
	bool live;		     /* imported */
	bool accepted;		     /* accept() returned the connection */
	uint64_t synack_at;	     /* when the SYN-ACK was sent, 0: again since, no RTT sample */
	uint64_t import_at;	     /* when the core took over */
	struct pd_seg sent[PD_SENT]; /* sent and not taken, oldest first */
	unsigned int n_sent;	     /* used entries of sent[] */
	struct pd_due due[PD_DUE];   /* completions on their way */
	unsigned int n_due;	     /* used entries of due[] */
	struct tcp_range runs[64];   /* payload emitted and not told to tcp_sent() */
	unsigned int n_runs;	     /* used entries of runs[] */
	bool touched;		     /* something was sent or received since the import */
	uint32_t consumed;	     /* end of what the program read, sequence number of the core */
	uint32_t ring;		     /* bytes of the receive ring */
	unsigned int events[TCP_E_COUNT]; /* events told by the core */
	bool shut_wr, closed, nonblock;	  /* state of the program's descriptor */
	bool linger0;			  /* close() aborts */
	int listen_fd, conn_fd;		  /* -1: none */
	bool ts_mapped;			  /* ts_off is known */
	uint32_t ts_off;		  /* our timestamp minus the script's */
	/* set by setsockopt(SOL_TAGD) */
	uint32_t in_flight;   /* bytes sent by the kernel before the takeover */
	bool resume_loss;     /* see struct tcp_state_io */
	bool courtesy_ack;    /* the ACK that a takeover owes is shown to the script */
	uint32_t expect_late; /* microseconds, 0: off */
	uint32_t read_delay;  /* payload takes that long, microseconds */
	uint32_t place_delay; /* placement takes that long, microseconds */
};

/* pd_lex.c: characters. */
_Noreturn void pd_die(const char *file, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void pd_space(struct pd_cur *k);		     /* skips blanks and comments, lines too */
bool pd_accept(struct pd_cur *k, const char *text);  /* skips text if it is next */
void pd_need(struct pd_cur *k, const char *text);    /* the same, else an error */
bool pd_word(struct pd_cur *k, char *out, size_t n); /* a name, false: none */
bool pd_number(struct pd_cur *k, int64_t *v);	     /* a number without sign, false: none */
int64_t pd_u32(struct pd_cur *k);		     /* a number of 32 bits, else an error */
int64_t pd_seconds(struct pd_cur *k);		     /* decimal seconds, in microseconds */

/* pd_packet.c: a packet line behind its time stamp; and printing. */
void pd_packet_parse(struct pd_cur *k, struct pd_packet *p);
void pd_packet_text(const struct pd_packet *p, char *out, size_t n);
/* pd_call.c: a call behind its time stamp. */
void pd_call_parse(struct pd_cur *k, struct pd_call *c);
bool pd_constant(const char *name, int64_t *v); /* value of a name in a call */
/** pd_parse.c: the whole script; pd_free() releases it. */
void pd_parse(struct pd_script *s, const char *file);
void pd_free(struct pd_script *s);

/* pd_shell.c: the clock and the core. */
void pd_shell_init(struct pd_shell *s);
uint64_t pd_next(const struct pd_shell *s);    /* when something happens by itself, or TCP_NEVER */
void pd_step(struct pd_shell *s, uint64_t at); /* lets happen what is due at `at` */
void pd_advance(struct pd_shell *s, uint64_t to); /* lets the time pass */
void pd_output(struct pd_shell *s);		  /* runs the output of the core */
void pd_queue(struct pd_shell *s, const struct pd_seg *g);
void pd_place(struct pd_shell *s); /* what is accepted is on its way to the ring */
extern const struct tcp_ops pd_ops;

/* pd_handshake.c: the kernel's part. The segment is in the core's numbers. */
void pd_handshake(struct pd_shell *s, const struct tcp_seg *seg, unsigned int line,
		  const char *file);
void pd_successor(struct pd_shell *s); /* exports, and imports again */
uint32_t pd_tsval(const struct pd_shell *s);

/* What one event does; an error ends the program. */
void pd_inject(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e);
void pd_expect(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e, int64_t lo,
	       int64_t hi);
void pd_left_over(const struct pd_shell *s, const struct pd_script *t); /* nothing may be */
bool pd_blocked(const struct pd_shell *s, const struct pd_call *c);	/* the call has to wait */
void pd_syscall(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e);
/* pd_assert.c: code blocks; without a shell the syntax and the names are checked. */
void pd_assert(const struct pd_shell *s, const char *file, unsigned int line, const char *code);
/* pd_info.c: false when there is no such field. A connection that was not imported has none. */
bool pd_info(const struct pd_shell *s, const char *name, int64_t *v);
/* pd_run.c */
void pd_run(const struct pd_script *t);

#endif
