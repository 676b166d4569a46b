/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay.h - `tagd --replay CASE/...`: the real data path on frames from files, in virtual time.
 * docs/replay.md describes a case's files; gw_replay.c has the theory of operation.
 */
#ifndef GATEWAY_GW_REPLAY_H
#define GATEWAY_GW_REPLAY_H

#include <stdio.h>

#include "gateway/gw_int.h"
#include "ibside/ib_tap.h"

#define GW_REP_T0    1000000000ull /* microseconds of the gateway's clock at time 0 of a case */
#define GW_REP_WORDS 48		   /* words of a line of a script */
#define GW_REP_CONNS 64		   /* connections that a script names */
#define GW_REP_PATH  512	   /* room for a path */

/* --- gw_replay_pcap.c: captures as lists --- */

/** A packet of a list. */
struct gw_rep_pkt {
	uint64_t us;   /* since the start of the case */
	uint32_t len;  /* bytes */
	uint8_t *data; /* ours */
};
/** A list of packets. */
struct gw_rep_list {
	struct gw_rep_pkt *v; /* ours */
	uint32_t n;	      /* in use */
	uint32_t room;	      /* allocated */
	int dlt;	      /* link type as libpcap names it */
};
/** Reads a pcap or pcapng file. 0, ENOENT, or EINVAL (told on stderr). */
int gw_rep_list_read(struct gw_rep_list *l, const char *path);
/** Writes a pcap file. 0 or errno. */
int gw_rep_list_write(const struct gw_rep_list *l, const char *path);
/** Appends a copy of n bytes in pieces. 0 or ENOMEM. */
int gw_rep_list_add(struct gw_rep_list *l, uint64_t us, const struct iovec *v, int n);
/** Frees what it holds. */
void gw_rep_list_free(struct gw_rep_list *l);

/* --- gw_replay_script.c: lines of words --- */

/** One line of host.script or expect. */
struct gw_rep_line {
	uint64_t us;		    /* script: when */
	unsigned int number;	    /* in its file, from 1 */
	uint32_t n;		    /* words */
	char *word[GW_REP_WORDS];   /* into text, quotes and escapes resolved */
	uint32_t len[GW_REP_WORDS]; /* their bytes, which may include NUL */
	char *text;		    /* ours */
};
/** A file of lines. */
struct gw_rep_script {
	struct gw_rep_line *line; /* ours */
	uint32_t n;		  /* lines that are not empty */
	uint32_t next;		  /* the next to execute */
	char path[GW_REP_PATH];	  /* for messages */
};
/** Reads a file; timed: each line begins with a time. 0, ENOENT, or EINVAL (told on stderr). */
int gw_rep_script_read(struct gw_rep_script *s, const char *path, bool timed);
void gw_rep_script_free(struct gw_rep_script *s);
/** Value of the word KEY=value, or NULL. *len gets its bytes unless len is NULL. */
const char *gw_rep_arg(const struct gw_rep_line *l, const char *key, uint32_t *len);
/** Its value as a number, or def when the line has no such word. */
uint64_t gw_rep_num(const struct gw_rep_line *l, const char *key, uint64_t def);

/* --- the case --- */

struct gw_rep_host;

/** Where a connection stands, as its server sees it. */
#define GW_REP_FOREACH_STATE(_) \
	_(NATIVE, "native")     \
	_(ASKED, "asked")       \
	_(GRANTED, "granted")   \
	_(DENIED, "denied")     \
	_(ACTIVE, "active")     \
	_(BACK, "back")         \
	_(ABORTED, "aborted")

enum gw_rep_state {
#define _(sym, name) GW_REP_##sym,
	GW_REP_FOREACH_STATE(_)
#undef _
};

/** A connection that a script names. */
struct gw_rep_conn {
	char name[32];		  /* in the script */
	struct gw_rep_host *host; /* its server */
	struct net_flow flow;	  /* as the server sees it */
	struct ib_req req;	  /* big-endian, as it is sent */
	enum gw_rep_state state;
	enum ib_reason reason; /* of DENIED, BACK, ABORTED */
	uint32_t token;	       /* host byte order, 0: none */
	uint16_t slot;
	uint64_t tx_prod; /* as in its host line */
	uint64_t rx_seen; /* bytes of the receive ring that were looked at */
	uint64_t rx_cons; /* taken by the program */
	uint32_t flags;	  /* IB_HL_* */
	bool commits;	  /* COMMIT follows GRANT at once */
	bool reads;	  /* the program reads whatever comes */
	bool acks;	  /* HandbackAck follows DisConn and AbortConn at once */
	bool bounces;	  /* native frames of it go back while it is accelerated */
	uint8_t *got;	  /* what the program was given, ours */
	uint32_t n_got, got_room;
};

/** A server of the script. */
struct gw_rep_host {
	struct gw_rep *rep;
	struct gw_host *h;	 /* the gateway's view of it */
	struct ib_dev dev;	 /* its own device */
	struct ib_cq cq;	 /* of all its queue pairs */
	struct ib_qp ud;	 /* native */
	struct ib_qp rc;	 /* native, for large frames; rc.qp NULL: none */
	struct ib_set set;	 /* messages */
	struct ibv_ah *ah;	 /* towards the gateway's native queue pair */
	struct ib_qp stranger;	 /* a queue pair that the gateway does not know */
	struct ib_mem rx;	 /* buffers of received frames */
	struct ib_mem tx;	 /* one frame being sent */
	uint8_t *arena;		 /* lines, then rings; ours */
	struct ibv_mr *arena_mr; /* of it */
	struct ib_arena layout;	 /* as the gateway is told */
	struct gw_rep_list in;	 /* frames that its kernel sends */
	uint32_t next_in;	 /* the next of them */
	uint32_t dead_ticks;	 /* since a queue pair died */
	uint64_t lost_us;	 /* when the gateway gives it up, 0: it is not lost */
	uint64_t epoch;
	uint32_t frames; /* native frames that it received */
	bool open;	 /* its device and queue pairs are */
	bool deaf;	 /* its agent is gone: nothing is polled */
};

/** An operation of the fabric, for expectations. */
struct gw_rep_op {
	uint64_t us;
	struct pkt_op op;
	bool from_gw;
	struct gw_rep_host *peer; /* NULL: unknown */
	uint32_t len;		  /* of data */
	uint8_t *data;		  /* ours */
};

/** A port's frames. */
struct gw_rep_port {
	char file[GW_NAMELEN + 16]; /* name of the stream: the port's */
	struct rte_ring *rx, *tx;   /* between us and the device */
	struct gw_rep_list in, out;
	uint32_t next_in; /* the next to be received */
	uint16_t id;	  /* DPDK port */
	bool open;
};

/** A case being replayed. */
struct gw_rep {
	struct gw *gw;
	struct gw_cfg *cfg;	/* the gateway's, in force */
	char dir[GW_REP_PATH];	/* the case */
	char work[GW_REP_PATH]; /* where outputs go */
	uint64_t us;		/* time of the case */
	uint64_t end_us;	/* its end, UINT64_MAX: by itself */
	uint64_t tick_us;	/* when the control thread looks next */
	struct gw_rep_script script, expect;
	struct gw_rep_port port[GW_MAX_PORTS];
	struct gw_rep_host *host; /* GW_MAX_HOSTS, as gw->host[] */
	uint32_t n_host;	  /* those behind are not open */
	struct gw_rep_conn *conn; /* GW_REP_CONNS */
	uint32_t n_conn;
	struct ib_tap tap;	   /* on the worker's completion queue */
	struct gw_rep_op *op;	   /* what crossed the fabric, ours */
	uint32_t n_op, op_room;	   /* entries */
	struct gw_rep_list fabric; /* the same as packets */
	json_t *answers;	   /* of the gateway's commands, a list */
	uint32_t failed;	   /* errors told */
	bool record;		   /* write the expected outputs */
	bool figure;		   /* nothing is kept but counters, for a figure */
	uint64_t fed;		   /* frames and bytes received from files */
	uint64_t fed_bytes;
	uint64_t cpu_us; /* processor time that the loop took */
};

/** Tells an error of the case, which has then failed. */
void gw_rep_fail(struct gw_rep *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The same about a line of a file. */
void gw_rep_fail_at(struct gw_rep *r, const struct gw_rep_script *s, const struct gw_rep_line *l,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* --- gw_replay.c: command line, one process per case --- */
/** `tagd --replay ...`; the exit status. */
int gw_replay_main(int argc, char **argv);

/* --- gw_replay_run.c: one case --- */
/** Replays r->dir. True: it went as expected. */
bool gw_rep_run(struct gw_rep *r);
/** Gives way to the worker and the hosts until nothing is left to do at this time. */
void gw_rep_settle(struct gw_rep *r);

/* --- gw_replay_exec.c: the script --- */
/** Executes a line of the script. */
void gw_rep_exec(struct gw_rep *r, const struct gw_rep_line *l);

/* --- gw_replay_lan.c: ports --- */
/** Reads the frames of all ports and makes gw->probe. 0 or errno (told). */
int gw_rep_lan_open(struct gw_rep *r);
/** Frees what gw_ports_close() left. */
void gw_rep_lan_close(struct gw_rep *r);
/** Gives due frames to the ports; true: some did not fit. */
bool gw_rep_lan_feed(struct gw_rep *r);
/** Takes what the ports sent. Returns frames. */
uint32_t gw_rep_lan_drain(struct gw_rep *r);
/** Time of the next frame, UINT64_MAX: none. */
uint64_t gw_rep_lan_due(const struct gw_rep *r);

/* --- gw_replay_fabric.c: what crosses the fabric --- */
/** Taps the gateway's worker. */
void gw_rep_fabric_open(struct gw_rep *r);
void gw_rep_fabric_close(struct gw_rep *r);

/* --- gw_replay_host.c: servers --- */
/** Makes devices and reads frames of all servers. 0 or errno (told). */
int gw_rep_hosts_open(struct gw_rep *r);
void gw_rep_hosts_close(struct gw_rep *r);
/** Attaches a server as its agent would. */
int gw_rep_attach(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l);
/** Detaches; lost: the agent died. */
void gw_rep_detach(struct gw_rep *r, struct gw_rep_host *s, bool lost);
/** Sends due frames of the servers' kernels. */
void gw_rep_hosts_feed(struct gw_rep *r);
/** Time of the next such frame, or of the end of a host's time; UINT64_MAX: none. */
uint64_t gw_rep_hosts_due(const struct gw_rep *r);
/** Completions of all servers. Returns how many. */
uint32_t gw_rep_hosts_poll(struct gw_rep *r);
/** What the bootstrap's tick does: queue pairs that died, hosts that did not come back. */
void gw_rep_hosts_tick(struct gw_rep *r);
/** Server by name, or NULL. */
struct gw_rep_host *gw_rep_host_named(struct gw_rep *r, const char *name);
/** Sends n bytes as a datagram, encap: behind an encapsulation header with these flags. */
void gw_rep_datagram(struct gw_rep_host *s, struct ib_qp *from, const void *data, uint32_t n,
		     int encap);

/* --- gw_replay_conn.c: accelerated connections of a server --- */
extern const struct ib_set_ops gw_rep_set_ops;
/** Verbs of a script that are about connections; false: no such verb. */
bool gw_rep_conn_exec(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l);
/** Looks at the gateway's lines of all connections of a server. Returns what moved. */
uint32_t gw_rep_conns_poll(struct gw_rep_host *s);
/** A native frame of an accelerated connection: goes back. True: it was taken. */
bool gw_rep_bounce(struct gw_rep_host *s, const uint8_t *frame, uint32_t len);
/** Connection by name, or NULL. */
struct gw_rep_conn *gw_rep_conn_named(struct gw_rep *r, const char *name);
/** Name of a state. */
const char *gw_rep_state_name(enum gw_rep_state s);

/* --- gw_replay_conf.c: lines of a script that describe a connection --- */
/** "conn NAME ..." and overrides of a request. False: told. */
bool gw_rep_conn_define(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l);
bool gw_rep_req_edit(struct gw_rep *r, struct ib_req *q, const struct gw_rep_line *l);

/* --- gw_replay_match.c: fields of packets --- */
/** A packet of an output and what is known of it. */
struct gw_rep_view {
	uint64_t us;
	const uint8_t *frame; /* Ethernet frame, NULL: none inside */
	uint32_t len;	      /* of it */
	enum net_perr perr;   /* result of parsing */
	struct net_pkt p;
	struct tcp_seg seg;	    /* with tcp */
	bool tcp;		    /* a TCP segment whose options are sound */
	const struct gw_rep_op *op; /* of the fabric, NULL: a LAN frame */
};
/** Makes a view of a LAN frame, or of an operation. */
void gw_rep_view_frame(struct gw_rep_view *v, const struct gw_rep_pkt *pkt);
void gw_rep_view_op(struct gw_rep_view *v, const struct gw_rep_op *op);
/** Text of a field. 0, ENOENT: the packet has no such field, EINVAL: there is none of that name. */
int gw_rep_field(const struct gw_rep_view *v, const char *name, char *buf, size_t room);
/** True when all words KEY=value from `from` on hold; *bad gets the first that does not. EINVAL in
 * *rc: an unknown field. */
bool gw_rep_match(const struct gw_rep_view *v, const struct gw_rep_line *l, uint32_t from,
		  uint32_t *bad, int *rc);

/* --- gw_replay_expect.c: what must be true --- */
/** Checks all lines of the file. */
void gw_rep_expect(struct gw_rep *r);

/* --- gw_replay_diff.c: outputs against expected ones --- */
/** Compares, or records, all outputs. */
void gw_rep_compare(struct gw_rep *r);

#endif
