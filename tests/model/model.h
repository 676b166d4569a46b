/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - a small abstract model of takeover, hand-back and failure (docs/protocol.md, sections
 *7, 10 and 11): one connection, one host, one gateway with two workers.
 *
 * The states are the code's own: enum host_cstate, host_fstate and host_gwstate on one side, enum
 * gw_conn_state and gw_host_state on the other; messages are enum ib_mid. Left out are payload,
 * cursors and time: a timer may fire at any moment after it was set.
 *
 * Owning the connection means that one may move it on the wire: send bytes or acknowledgements
 * that nobody has sent before.
 *
 *   gateway	ACTIVE, DRAINING or FINAL, unless the host's queue pairs are fenced and drained:
 *then no READ brings it payload and no WRITE earns it an acknowledgement; what it can still send is
 *what the send ring holds in any case host	its flow is NATIVE or MAPPED: what the kernel emits
 *passes the TAP, whichever gateway it goes through
 *
 * Messages of a queue pair arrive once and in order, or are lost with everything behind them
 * when it dies: that is what RC grants (M_STRICT). The walk is done as well with messages that
 * overtake each other and come twice (M_LAX), which shows what rests on RC and what does not.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/gw_conn.h"
#include "host/host_conn.h"

#define M_NONE	    HOST_S_COUNT /* host: no connection is taken from the program */
#define M_WORKERS   2
#define M_CHAN	    6 /* messages under way at most, per set and direction */
#define M_REQS	    2 /* times the host asks */
#define M_TOKENS    3 /* grants of the gateway's life */
#define M_REDIRECTS 1 /* followed by the host (host_takeover.c: MAX_REDIRECTS) */
#define M_FAULTS    2 /* queue pairs that die, daemons that restart, peers that seem dead */
#define M_WISHES    1 /* hand-backs, aborts and client resets that somebody wants */
#define M_STRAYS    1 /* bounced frames that find no connection */
#define M_DOUBLES   1 /* messages delivered twice, M_LAX only */

/* What the code does so that the walk finds nothing. Each can be taken away. */
#define M_FOREACH_GUARD(_)                                                                 \
	_(FENCE, "host_gw_lost() fences before connections come back")                     \
	_(DRAIN, "gw_fencing() waits for the last flush completion")                       \
	_(CANCEL_ACK, "host_takeover_timer() thaws on CANCEL_ACK only")                    \
	_(GRANT_FROZEN, "host_conn_msg() heeds GRANT in FROZEN only")                      \
	_(ANSWER_STATE, "conn_answer() heeds CANCEL_ACK in CANCEL, DENY in FROZEN only")   \
	_(REDIRECTS, "host_takeover_redirect() follows a bounded number")                  \
	_(REQ_ID, "host_conn_by_req() compares the whole request id")                      \
	_(KNOWN, "the token is known until the translation is installed")                  \
	_(TRANSLATE, "finish() installs the translation before BACK_ACK")                  \
	_(COMMIT_HELD, "gw_take_commit() starts a token in PREPARED only")                 \
	_(COMMIT_ANSWER, "gw_take_commit() answers a token it does not hold with DISCONN") \
	_(CANCEL_STATE, "gw_take_cancel() forgets in PREPARED only")                       \
	_(GRANT_TIME, "gw_conn_run() forgets a grant that grows old")                      \
	_(SILENT, "gw_back_final_done() silences the core before DISCONN")                 \
	_(HELLO, "on_hello() refuses a host that is attached")                             \
	_(RETURNED, "on_hello() ends what was left of the host that returns")

/** Bits of m_walk.off. */
enum m_guard {
#define _(sym, text) M_G_##sym,
	M_FOREACH_GUARD(_)
#undef _
		M_G_COUNT
};

/* What a walk can find. */
#define M_FOREACH_FINDING(_)                       \
	_(NOTHING, "nothing")                      \
	_(BOTH, "both own it")                     \
	_(NEITHER, "neither owns it")              \
	_(GRANT_LEFT, "a grant outlives the thaw") \
	_(ENDLESS, "a run without end")            \
	_(FULL, "more messages than the model has room for")

/** Findings. */
enum m_finding {
#define _(sym, text) M_F_##sym,
	M_FOREACH_FINDING(_)
#undef _
		M_F_COUNT
};

/** A message under way. */
struct m_msg {
	uint8_t mid; /* enum ib_mid */
	uint8_t req; /* number of the request */
	uint8_t tok; /* token */
};

/** One direction of a set. */
struct m_chan {
	uint8_t n;		/* messages under way */
	struct m_msg m[M_CHAN]; /* oldest first; unused ones are 0 */
};

/** A connection in a worker of the gateway: struct gw_conn. */
struct m_gconn {
	uint8_t state; /* enum gw_conn_state; FREE: none */
	uint8_t req;   /* request it was granted for */
	uint8_t tok;   /* token */
	uint8_t mid;   /* message that ends its hand-back */
};

/** Everything. No padding: states are compared as bytes. */
struct m_state {
	uint8_t conn;			  /* struct host_conn: enum host_cstate, or M_NONE */
	uint8_t flow;			  /* struct host_flow: enum host_fstate */
	uint8_t gw;			  /* struct host_gw: UP, FENCING or DOWN */
	uint8_t req;			  /* requests made */
	uint8_t worker;			  /* whose set carries it */
	uint8_t tok;			  /* token granted */
	uint8_t redirects;		  /* followed */
	uint8_t link;			  /* the connection may use its worker */
	uint8_t abort;			  /* the host wants it to end with RST */
	uint8_t gone;			  /* taghostd died with the kernel's socket */
	uint8_t reset;			  /* the client has been reset, or has reset */
	uint8_t fresh;			  /* taghostd has another epoch than it attached with */
	uint8_t fenced;			  /* the host's queue pairs are fenced and drained */
	uint8_t host;			  /* struct gw_host: UP, LOST or ABSENT */
	uint8_t tokens;			  /* grants made */
	uint8_t dead[M_WORKERS];	  /* M_DEAD_*: sets that failed */
	uint8_t faults, wishes;		  /* how many there still may be */
	uint8_t strays, doubles;	  /* likewise */
	struct m_gconn c[M_WORKERS];	  /* connection at each worker */
	struct m_chan to_gw[M_WORKERS];	  /* ctl queue pairs, host to gateway */
	struct m_chan to_host[M_WORKERS]; /* and back */
};

#define M_DEAD_WIRE 1 /* nothing passes any more */
#define M_DEAD_GW   2 /* and the gateway has noticed */

/** One walk. */
struct m_walk {
	bool lax;		/* messages may overtake each other and come twice */
	uint32_t off;		/* guards taken away: 1 << enum m_guard */
	uint32_t n;		/* states found */
	uint64_t steps;		/* transitions */
	uint32_t settled;	/* states in which nothing is left to be done */
	uint32_t owned[3];	/* settled: by the gateway, by the host, ended */
	enum m_finding found;	/* first violation */
	uint32_t where;		/* state it was found in */
	const char *last;	/* and the step out of it that was wrong, or NULL */
	struct m_node *node;	/* states by number, ours */
	uint32_t *slot;		/* hash: number + 1, 0: empty */
	uint32_t mask;		/* entries of slot - 1 */
	uint32_t cap;		/* entries of node */
	uint32_t from;		/* state whose successors are being made */
	bool again;		/* second pass: the order of states */
	bool forced;		/* of the present state: something will happen by itself */
	enum m_finding misstep; /* the transition being made is a violation */
	uint32_t *ready;	/* second pass: states without predecessor, ours */
	uint32_t n_ready;	/* of them */
};

/** True when guard g is in force. */
static inline bool m_guard(const struct m_walk *w, enum m_guard g)
{
	return !(w->off >> g & 1);
}

/** True while the gateway's TCP is at work. */
static inline bool m_running(const struct m_gconn *c)
{
	return c->state == GW_C_ACTIVE || c->state == GW_C_DRAINING || c->state == GW_C_FINAL;
}

/* --- walk.c ------------------------------------------------------------------------------- */

/** A transition leads to *n. forced: it happens by itself, sooner or later; else the environment
 * may choose it. */
void m_step(struct m_walk *w, const struct m_state *n, const char *label, bool forced);
/** Walks every state. The finding is in w->found. */
void m_walk(struct m_walk *w);
/** Prints how the finding is reached. */
void m_trace(const struct m_walk *w);
/** Frees. */
void m_free(struct m_walk *w);

/* --- model_host.c, model_gw.c, model_fabric.c: transitions out of *s ---------------------- */

/** The host's own steps / a message of worker k arrives there (*n: already taken out). */
void m_host_steps(struct m_walk *w, const struct m_state *s);
void m_host_msg(struct m_walk *w, struct m_state *n, int k, struct m_msg m);
/** The gateway's own steps / a message arrives at its worker k; may make several transitions. */
void m_gw_steps(struct m_walk *w, const struct m_state *s);
void m_gw_msg(struct m_walk *w, struct m_state *n, int k, struct m_msg m);
/** Arrivals and faults. */
void m_fabric_steps(struct m_walk *w, const struct m_state *s);
/** Sends, if the set lives. */
void m_to_gw(struct m_walk *w, struct m_state *s, int k, uint8_t mid, uint8_t req, uint8_t tok);
void m_to_host(struct m_walk *w, struct m_state *s, int k, uint8_t mid, uint8_t req, uint8_t tok);
/** The host gives the attachment up (host_gw_lost()). */
void m_host_gw_lost(struct m_walk *w, struct m_state *n);

#endif
