/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_conn.h - a connection that taghostd has taken from a program: its states and its parts.
 */
#ifndef HOST_HOST_CONN_H
#define HOST_HOST_CONN_H

#include <ev.h>
#include <sys/queue.h>

#include "host/host_arena.h"
#include "host/host_flow.h"
#include "host/host_freeze.h"
#include "host/host_gw.h"
#include "ibside/ib_msg.h"

struct host;
struct host_ipc_client;

#define HOST_FOREACH_CSTATE(_)                                                                    \
	_(FROZEN, "frozen")	/* REQ sent, waiting for the answer */                            \
	_(CANCEL, "cancelling") /* no answer in time: CANCEL sent */                              \
	_(ACCEL, "accelerated") /* the gateway runs it */                                         \
	_(BACK, "coming-back")	/* the gateway line is final, the kernel is being prepared */     \
	_(PUMP, "pumped")	/* native again: we move bytes between rings and kernel socket */ \
	_(DEAD, "dead")		/* reset; the program has not closed yet */

/** States of a connection. */
enum host_cstate {
#define _(sym, name) HOST_S_##sym,
	HOST_FOREACH_CSTATE(_)
#undef _
		HOST_S_COUNT
};

#define HOST_KEPT_MAX 1024 /* frames kept in each direction during a freeze */

/** A kept frame. */
struct host_kept {
	STAILQ_ENTRY(host_kept) next; /* in order of arrival */
	uint32_t len;		      /* bytes */
	uint8_t frame[];	      /* whole Ethernet frame */
};
STAILQ_HEAD(host_kept_list, host_kept);

/** One connection. */
struct host_conn {
	LIST_ENTRY(host_conn) link; /* all connections */
	struct host *h;		    /* the daemon */
	uint32_t id;		    /* req_id: index and generation */
	enum host_cstate state;	    /* set by host_conn_set_state() only */
	struct host_flow *flow;	    /* its flow; outlives it when mapped */
	struct net_flow key;	    /* its 4-tuple */
	struct host_arena *arena;   /* where its memory is */
	uint16_t slot;		    /* in it */
	struct ib_host_line *hl;    /* lines, meta and rings of the slot */
	struct ib_gw_line *gl;
	struct host_meta *meta;
	uint8_t *tx, *rx;
	int kfd;			/* the kernel's socket, ours */
	int dfd;			/* D, our end of the program's descriptor */
	int pfd;			/* P, until the program has it */
	struct host_gw *gw;		/* gateway that carries or carried it */
	struct host_worker *worker;	/* whose set carries it; NULL after it left the gateway */
	uint32_t token;			/* granted name, 0: none */
	struct host_conn *tok_next;	/* chain of the token table */
	struct host_freeze fz;		/* the kernel's state at the freeze */
	uint32_t snd_una0, rcv_nxt0;	/* wire: of tx cursor 0 and of rx cursor n_rx0 */
	uint64_t n_rx0;			/* bytes in the receive ring at the takeover */
	uint32_t k_snd, k_rcv;		/* where the kernel's socket stands */
	struct host_kept_list in;	/* kept client frames */
	struct host_kept_list out;	/* held frames of the kernel */
	unsigned int n_in, n_out;	/* entries of them */
	struct host_ipc_client *client; /* waits for the reply, NULL: gone or answered */
	uint32_t have_arena;		/* as the program said in its request */
	ev_timer timer;			/* takeover timeout, or retry of the state */
	ev_timer look;			/* looks at D once more */
	ev_io kio;			/* kernel's socket, pumped */
	uint64_t rx_cons;		/* last valid value the program stored */
	uint64_t tx_prod;		/* last valid value the program stored */
	uint64_t sent_tx, sent_rx;	/* cursors of the last doorbell */
	uint32_t flags;			/* as stored in the host line */
	uint32_t sent_flags;		/* of the last doorbell */
	unsigned int redirects;		/* followed so far */
	enum ib_reason why;		/* why it came or comes back */
	bool rx_fin;			/* the client's FIN is accepted, the kernel has it */
	bool unmarked;			/* unmarked bytes wait at D */
	bool marked;			/* bytes that the program never takes lie in P's queue */
	bool drained;			/* frozen: what the kernel emits from now on is held */
	bool p_shut;			/* the program shut its sending side */
	bool p_gone;			/* the program closed */
	bool p_reset;			/* it closed with SO_LINGER 0 */
	bool aborting;			/* ABORT or unread data: the end will be a RST */
	bool failed;			/* came back without the gateway's help */
	bool k_fin;			/* shutdown(SHUT_WR) done on the kernel's socket */
	bool k_eof;			/* the kernel's socket gave end of file */
	bool linked;			/* in the token table */
	bool k_still;			/* the kernel's send queue is empty, its window shut */
	struct ib_gw_line last;		/* final gateway line, checked */
	unsigned int tries;		/* of the state's timer */
	unsigned int looks;		/* of the timer that looks at D again */
	uint64_t p_rx_prod;		/* pumped: our gateway-line cursors */
	uint64_t p_tx_acked;
	double progress; /* time of the last byte moved after the program had closed */
};

LIST_HEAD(host_conn_list, host_conn);

#define HOST_TOKEN_BUCKETS 4096
#define HOST_CONN_MAX	   65536

/** All connections. */
struct host_conns {
	struct host_conn_list list; /* every one */
	uint32_t n;		    /* entries */
	uint32_t next;		    /* index to try first */
	uint32_t gen;		    /* upper half of the next id */
	struct host_conn **by_idx;  /* HOST_CONN_MAX entries, by lower half of id */
	struct host_conn *token[HOST_TOKEN_BUCKETS]; /* chains by token */
	uint8_t *scratch;			     /* for freezes and pumps, scratch_len bytes */
	size_t scratch_len;
};

/* host_conn.c */
/** Prepares / frees the tables. 0 or errno. */
int host_conns_open(struct host *h);
void host_conns_close(struct host *h);
/** Creates a connection that owns kfd; client may be NULL. NULL: no slot or memory. */
struct host_conn *host_conn_new(struct host *h, struct host_flow *f, int kfd,
				struct host_ipc_client *client, uid_t uid);
/** Frees it with everything it owns. */
void host_conn_free(struct host_conn *c);
/** The one way to change its state. */
void host_conn_set_state(struct host_conn *c, enum host_cstate s);
/** Name of a state. */
const char *host_cstate_name(enum host_cstate s);
/** By token of a worker / by request. NULL: unknown. */
struct host_conn *host_conn_by_token(struct host *h, const struct host_gw *g, uint32_t token);
struct host_conn *host_conn_by_req(struct host *h, uint32_t req_id);
/** Enters and leaves the token table. */
void host_conn_link(struct host_conn *c, uint32_t token);
void host_conn_unlink(struct host_conn *c);
/** A message of a worker. */
void host_conn_msg(struct host_worker *w, uint8_t mid, const void *entries, int n);
/** The program kicked the slot. */
void host_conn_kicked(struct host_conn *c);
/** Re-reads and checks the program's cursors; false: they are impossible (counted). */
bool host_conn_cursors(struct host_conn *c);
/** Sends SrcAvail when a cursor or flag changed since the last one. */
void host_conn_doorbell(struct host_conn *c);
/** The gateway's cursors of a connection, checked; false: impossible. */
bool host_conn_gwline(struct host_conn *c, struct ib_gw_line *out);
/** Connections of a gateway whose queue pairs are fenced: brings them back. */
void host_conn_gateway_lost(struct host *h, struct host_gw *g);
/** Once a second: the dead whose program is gone, and orphans that do not move. */
void host_conn_age(struct host *h);
/** Shutdown: asks for everything back / ends what is left. */
void host_conn_stop(struct host *h);
void host_conn_kill_all(struct host *h);
/** Sends a control message of the connection. */
void host_conn_ctl(struct host_conn *c, uint8_t mid, enum ib_reason why);

/* host_takeover.c */
/** A program offers its socket; takes fd. The answer goes to the client, at once or later. */
void host_takeover_start(struct host *h, struct host_ipc_client *client, int fd,
			 uint32_t have_arena);
/** Answers of the gateway. */
void host_takeover_grant(struct host_conn *c, uint32_t token);
void host_takeover_deny(struct host_conn *c, enum ib_reason why);
void host_takeover_redirect(struct host_conn *c, unsigned int worker);
void host_takeover_cancelled(struct host_conn *c);
/** Gives up: the socket goes on natively. */
void host_takeover_thaw(struct host_conn *c, enum ib_reason why, bool retry);
/** Timer of the states FROZEN and CANCEL. */
void host_takeover_timer(struct host_conn *c);
/** Keeps a frame; in: of the client, else of the kernel. */
void host_takeover_keep(struct host_conn *c, bool in, const uint8_t *frame, uint32_t len);

/* host_wake.c */
/** Bytes or the end of them are there for the program. */
void host_wake_reader(struct host_conn *c);
/** Accelerated: asks the gateway to stop at once; a RST will follow. */
void host_wake_abort(struct host_conn *c);
/** Room came in the send ring. */
void host_wake_writer(struct host_conn *c);
/** The client's side has ended: end of file for the program. */
void host_wake_eof(struct host_conn *c);
/** The connection is reset: err for the program, then the state DEAD. */
void host_wake_dead(struct host_conn *c, int err);
/** Something happened at D. */
void host_wake_event(struct host_conn *c);
/** Moves unmarked bytes into the send ring; false: some are left. */
bool host_wake_unmarked(struct host_conn *c);
/** DEAD: true when the program's end is gone. */
bool host_wake_gone(const struct host_conn *c);

/* host_kernel.c */
/** A forged segment of the client, in the kernel's numbers. */
struct host_forge {
	uint32_t seq, ack;   /* kernel's numbers */
	uint32_t wnd;	     /* bytes, scaled by us */
	uint8_t flags;	     /* TCP_* */
	uint32_t tsval;	     /* when timestamps are in use */
	uint32_t tsecr;	     /* when timestamps are in use */
	const uint8_t *data; /* payload, in at most two pieces of a ring */
	uint32_t len;	     /* first piece */
	const uint8_t *data2;
	uint32_t len2; /* second piece */
};
/** Puts a forged segment into the kernel. */
void host_kernel_inject(struct host *h, const struct net_flow *key, const uint8_t src_mac[6],
			const struct host_forge *s, bool ts, uint8_t wscale);
/** Forged ACK up to `ack`. */
void host_kernel_ack(struct host_conn *c, uint32_t ack, uint32_t wnd);
/** A segment that the kernel emitted for an accelerated connection: swallowed, answered. */
void host_kernel_absorb(struct host_conn *c, const struct tcp_seg *s);
/** The client's FIN; moves k_rcv. */
void host_kernel_fin(struct host_conn *c);
/** A client's RST at the kernel's position. */
void host_kernel_rst(struct host_conn *c);
/** After COMMIT: empties the kernel's queues, so that it stands still. */
void host_kernel_settle(struct host_conn *c);

/* host_back.c */
/** The gateway line is final: the connection returns; failed: nobody said so, the set is fenced. */
void host_back_start(struct host_conn *c, enum ib_reason why, bool failed);
/** Timer of the state BACK. */
void host_back_timer(struct host_conn *c);
/** The client reset it (the gateway says). */
void host_back_reset(struct host_conn *c);
/** True when a mapped flow has ended, so that a new SYN may take the 4-tuple. */
bool host_back_over(const struct host_flow *f);
/** Mapped: the kernel has sent; acknowledges to it what the client has already. */
void host_back_acked(struct host *h, struct host_flow *f);

/* host_pump.c */
/** Begins to move bytes. */
void host_pump_start(struct host_conn *c);
/** Moves what can be moved now. May free the connection. */
void host_pump_run(struct host_conn *c);
/** Closes the kernel's socket, by RST when told, and frees the connection. */
void host_pump_end(struct host_conn *c, bool rst);

#endif
