/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd.h - a runner for scripts in the packetdrill language, on virtual time.
 *
 * Theory of operation
 *
 * pd_parse.c reads a whole script into a list of events (pd_packet.c, pd_icmp.c and pd_call.c know
 * one kind of line each); what is not understood is an error before anything runs. pd_run.c then
 * takes one event after the other: it moves the virtual clock of the stack to the event's time and
 * injects the packet (pd_inject.c), makes the call (pd_syscall.c), compares the oldest packet sent
 * with the line (pd_expect.c) or evaluates the assertions (pd_assert.c on pd_info.c).
 *
 * The stack is behind the interface that packetdrill has for stacks in shared objects
 * (stack/sk_abi.h): whole IP packets and socket calls, nothing else. pd_wire.c writes and reads
 * packets with code of its own, so that an error of the stack's parser or builder shows.
 *
 * Numbers in scripts are relative (pd_flow.c): our stream begins where the expected SYN or SYN-ACK
 * says it does, the client's where the script says, which on the wire is close to the wrap.
 */
#ifndef TESTS_PACKETDRILL_PD_H
#define TESTS_PACKETDRILL_PD_H

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/sk_abi.h"
#include "stack/sk_tagd.h"

#define PD_FIN 0x001
#define PD_SYN 0x002
#define PD_RST 0x004
#define PD_PSH 0x008
#define PD_ACK 0x010
#define PD_URG 0x020
#define PD_ECE 0x040
#define PD_CWR 0x080
#define PD_AE  0x100 /* accurate ECN, RFC 9768 */

#define PD_REMOTE    0xffffe800u /* added to the client's numbers: they wrap early */
#define PD_OPT_MAX   20		 /* options of one line */
#define PD_FLOWS     32		 /* connections of one script */
#define PD_FDS	     64		 /* descriptors of one script */
#define PD_POLL_MAX  4		 /* descriptors of one poll() */
#define PD_PKT_MAX   65535	 /* bytes of an IP packet */
#define PD_ECN_ANY   (-1)	 /* not said */
#define PD_ECN_ECT01 4		 /* [ect01]: either */

/** How the script is run. */
enum pd_version { PD_IPV4, PD_IPV6, PD_MAPPED, PD_VERSIONS };

/** A range of sequence numbers, [start, end). */
struct pd_range {
	uint32_t start; /* first */
	uint32_t end;	/* one past the last */
};

/** One TCP option of a line or of a segment. */
struct pd_opt {
	uint8_t kind;		 /* as on the wire: 0 eol, 1 nop, 2 mss, 3 wscale, 4, 5, 8 */
	uint8_t n_sack;		 /* used entries of sack[] */
	uint32_t val, ecr;	 /* mss, wscale and TSval in val */
	struct pd_range sack[4]; /* SACK blocks */
};

/** A packet line, or a packet of the wire in the script's numbers. */
struct pd_packet {
	bool in;		       /* injected, `<` */
	bool icmp;		       /* ICMP or ICMPv6: the members behind seq and len */
	bool any_opt;		       /* `<...>`: options are not compared */
	int8_t ecn;		       /* ECN bits of the IP header, or PD_ECN_ANY, PD_ECN_ECT01 */
	uint16_t flags;		       /* PD_* */
	uint16_t sport, dport;	       /* as the script says them, host byte order; 0: not said */
	uint8_t n_opt;		       /* used entries of opt[] */
	uint32_t seq, len, ack;	       /* relative; ack valid with PD_ACK */
	int32_t win;		       /* window field, -1: not said */
	uint16_t urg;		       /* urgent pointer */
	struct pd_opt opt[PD_OPT_MAX]; /* in order, padding included */
	uint8_t icmp_type[2];	       /* of ICMP and ICMPv6, 0xff: there is none */
	uint8_t icmp_code[2];	       /* the same */
	uint32_t mtu;		       /* `mtu N` */
};

enum pd_arg_kind { PD_INT, PD_ANY, PD_LIST, PD_LINGER, PD_TEXT, PD_POLL };

/** An argument of a call. */
struct pd_arg {
	uint8_t kind;			 /* enum pd_arg_kind */
	int64_t v[2];			 /* value; first of a list; onoff and linger */
	char text[40];			 /* as written, for names and strings */
	unsigned int n_poll;		 /* used entries of poll[] */
	struct pollfd poll[PD_POLL_MAX]; /* descriptors of the script, expected revents */
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

enum pd_event_kind { PD_PACKET, PD_CALL, PD_CODE, PD_SLEEP };

/** One line of a script. */
struct pd_event {
	unsigned int line;  /* for messages */
	uint8_t kind;	    /* enum pd_event_kind */
	uint8_t when;	    /* enum pd_time_kind */
	int64_t lo, hi;	    /* microseconds, as when says; hi is lo without a range */
	bool blocks;	    /* a call that ends at `end` */
	int64_t end;	    /* when, as lo; PD_SLEEP: how long */
	struct pd_packet p; /* PD_PACKET */
	struct pd_call c;   /* PD_CALL */
	char *code;	    /* PD_CODE: text between the marks; owned by the script */
};

/** A parsed script. */
struct pd_script {
	const char *file;	/* name, for messages */
	int64_t tolerance;	/* microseconds */
	bool only[PD_VERSIONS]; /* --ip_version= lines; none: every version */
	char so_flags[80];	/* --so_flags= of the script */
	struct pd_event *ev;	/* owned */
	unsigned int n;		/* used entries of ev */
	char *text;		/* owned; the file */
};

/** Position in a script's text. */
struct pd_cur {
	const char *file;  /* name, for messages */
	const char *p;	   /* next character */
	unsigned int line; /* its line */
};

/** One connection of a script: how its numbers and the wire's belong together. */
struct pd_flow {
	uint16_t sport, dport; /* as injected packets of the script say them, 0: not said */
	uint16_t rport, lport; /* client's and our port on the wire, host byte order */
	uint32_t out;	       /* our numbers: wire minus script */
	uint32_t in;	       /* the client's: wire minus script */
	bool out_known;	       /* a SYN of ours was seen */
	uint32_t syn;	       /* sequence number of the client's last SYN */
	bool ts_known;	       /* ts is valid */
	uint32_t ts;	       /* our timestamps: wire minus script */
};

struct pd_worker;

/** A run of a script. */
struct pd_run {
	const struct pd_script *t;     /* what is run */
	enum pd_version version;       /* IP, and form of addresses */
	struct sk_abi so;	       /* the stack */
	const struct sk_extra *extra;  /* what it offers besides */
	int64_t t0;		       /* stack's clock at time 0 of the script, microseconds */
	int64_t last;		       /* time of the event before, of the script */
	struct pd_flow flow[PD_FLOWS]; /* connections, oldest first */
	unsigned int n_flow;	       /* used entries of flow[] */
	struct pd_flow *cur;	       /* connection of lines without ports, NULL: none yet */
	bool connecting;	       /* connect() was called: the next SYN is a new flow's */
	int fd[PD_FDS];		       /* descriptors of the stack by those of the script, -1 */
	int code_fd;		       /* connection that assertions are about, -1: none */
	struct pd_worker *blocked;     /* a call that has not returned */
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
void pd_text(struct pd_cur *k, char *out, size_t n); /* up to the closing quote, or a blank */

/* pd_packet.c: a packet line behind its time stamp; pd_text.c: printing. */
void pd_packet_parse(struct pd_cur *k, struct pd_packet *p);
void pd_packet_text(const struct pd_packet *p, char *out, size_t n);
extern const char pd_flag_letters[]; /* bit order of PD_* */
/* pd_icmp.c: the rest of an ICMP line. */
void pd_icmp_parse(struct pd_cur *k, struct pd_packet *p);
/* pd_call.c: a call behind its time stamp. */
void pd_call_parse(struct pd_cur *k, struct pd_call *c);
/* pd_const.c: value of a name in a call, and name of an error. */
bool pd_constant(const char *name, int64_t *v);
/** pd_parse.c: the whole script; pd_free() releases it. */
void pd_parse(struct pd_script *s, const char *file);
void pd_free(struct pd_script *s);

/* pd_wire.c: packets in the wire's numbers. */
size_t pd_tcp_build(const struct pd_packet *p, bool v6, uint16_t sport, uint16_t dport,
		    uint8_t *ip);
size_t pd_icmp_build(const struct pd_packet *p, bool v6, uint16_t lport, uint16_t rport,
		     uint8_t *ip);
const char *pd_tcp_read(const uint8_t *ip, size_t len, struct pd_packet *p); /* NULL, or why not */
extern const uint8_t pd_local4[4], pd_remote4[4], pd_local6[16], pd_remote6[16];

/* pd_flow.c: the script's numbers and the wire's. */
struct pd_flow *pd_flow_in(struct pd_run *r, const struct pd_packet *p);
struct pd_flow *pd_flow_out(struct pd_run *r, const struct pd_packet *want,
			    const struct pd_packet *got);
void pd_to_wire(const struct pd_flow *f, struct pd_packet *p);
void pd_to_script(const struct pd_flow *f, struct pd_packet *p);

/* What one event does; an error ends the program. */
int64_t pd_now(struct pd_run *r); /* of the script, microseconds */
void pd_inject(struct pd_run *r, const struct pd_event *e);
void pd_expect(struct pd_run *r, const struct pd_event *e, int64_t lo, int64_t hi);
void pd_left_over(struct pd_run *r); /* nothing may be */
/* pd_syscall.c: makes the call, returns its result with *err; pd_check() compares. */
int64_t pd_syscall(struct pd_run *r, const struct pd_event *e, int *err);
void pd_check(struct pd_run *r, const struct pd_event *e, int64_t ret, int err);
/* pd_worker.c: a call in a thread of its own, since it may block. */
void pd_call(struct pd_run *r, const struct pd_event *e, int64_t base);
void pd_call_end(struct pd_run *r); /* the blocked call, if it has returned */
/* pd_assert.c: code blocks; without a run the syntax and the names are checked. */
void pd_assert(struct pd_run *r, const char *file, unsigned int line, const char *code);
/* pd_info.c: false when there is no such field. */
bool pd_info(const struct tcp_info *i, const char *name, int64_t *v);
/* pd_run.c */
void pd_run(const struct pd_script *t, enum pd_version version, const char *so_filename,
	    const char *so_flags);

#endif
