/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_track.h - the connection table of a worker: which server a flow has, so that it keeps it
 * whatever happens to the policy.
 */
#ifndef CORRELATOR_CORR_TRACK_H
#define CORRELATOR_CORR_TRACK_H

#include <assert.h>
#include <sys/queue.h>

#include "correlator/corr_service.h"
#include "correlator/corr_table.h"

#define CORR_FOREACH_FLOW(_)                                                        \
	_(OPENING, "opening")	/* TCP: the client's SYN */                         \
	_(ANSWERED, "answered") /* TCP: the server's SYN too */                     \
	_(GUESSED, "guessed")	/* TCP: seen in its middle, server not confirmed */ \
	_(OPEN, "open")		/* TCP */                                           \
	_(CLOSING, "closing")	/* TCP: one FIN */                                  \
	_(CLOSED, "closed")	/* TCP: both FINs, or a RST */                      \
	_(ONE_WAY, "one-way")	/* other protocols: nothing came back so far */     \
	_(TWO_WAY, "two-way")	/* other protocols */

/** Life of a flow. */
enum corr_flow_state {
#define _(sym, name) CORR_FLOW_##sym,
	CORR_FOREACH_FLOW(_)
#undef _
		CORR_FLOW_COUNT
};

/** Name of a state. */
const char *corr_flow_state_name(enum corr_flow_state s);

/** TCP flags that matter here, as in the header. */
#define CORR_TCP_FIN 0x01
#define CORR_TCP_SYN 0x02
#define CORR_TCP_RST 0x04
#define CORR_TCP_ACK 0x10
#define CORR_TCP     6 /* IP protocol */

/** Key of a flow. */
struct corr_track_key {
	struct corr_flow flow; /* as the server sees it, whoever began; ports 0 if none */
	uint8_t proto;	       /* IP protocol */
	uint8_t zero[3];       /* keys are compared as bytes */
};

/** A packet, as the table sees it. */
struct corr_pkt {
	struct corr_track_key key;
	uint32_t seq, ack; /* TCP: host byte order */
	uint8_t flags;	   /* TCP flags, else 0 */
	bool from_server;  /* its source is key.flow.local */
};

/** A flow. */
struct corr_track {
	TAILQ_ENTRY(corr_track) half; /* unconfirmed: in corr_tracks.oldest */
	struct corr_mark *client[2];  /* whose connection it counts as: service's, rule's */
	uint64_t seen_ms;	      /* last packet */
	uint64_t born_ms;	      /* first packet */
	uint32_t isn;		      /* ANSWERED: the answer's sequence number */
	uint16_t server;	      /* that has it */
	uint16_t via;		      /* firewall or IP-security server, or CORR_NONE */
	uint16_t service;	      /* id, or CORR_NONE */
	uint16_t rule;		      /* id of what let it pass, or CORR_NONE */
	uint8_t state;		      /* enum corr_flow_state */
	uint8_t fins;		      /* 1: from the client, 2: from the server */
	bool outbound;		      /* the server began */
	bool no_accel;		      /* stays native: its firewall wants to see it */
};
static_assert(sizeof(struct corr_track) + sizeof(struct corr_track_key) <= 112,
	      "a flow costs at most 128 bytes with its hash entry");

/** Seconds a quiet flow is kept, by what it is. */
struct corr_track_times {
	uint32_t opening_ms; /* OPENING, ANSWERED, GUESSED */
	uint32_t open_ms;
	uint32_t closing_ms;
	uint32_t closed_ms;
	uint32_t one_way_ms;
	uint32_t two_way_ms;
};
/** RFC 5382 (TCP) and RFC 4787 (UDP) ask for no less than these. */
#define CORR_TRACK_TIMES                                     \
	{                                                    \
		30000, 7440000, 240000, 10000, 30000, 300000 \
	}

/** The table of one worker. */
struct corr_tracks {
	struct corr_table *table;	 /* corr_track_key -> corr_track */
	struct corr_live *live;		 /* counts of servers, services and rules */
	struct corr_track_times times;	 /* how long quiet flows are kept */
	TAILQ_HEAD(, corr_track) oldest; /* unconfirmed flows, in the order they came */
	uint32_t half;			 /* flows that nobody has confirmed */
	uint32_t half_max;		 /* of them at most, so that a flood leaves room */
	/** True when a flow is in use although no packet is seen here (accelerated). */
	bool (*in_use)(void *ctx, const struct corr_flow *f);
	void *ctx; /* of in_use */
};

/** Makes a table for `max` flows. 0 or ENOMEM. */
int corr_tracks_open(struct corr_tracks *t, uint32_t max, struct corr_live *live);
/** Gives back all counts and frees. */
void corr_tracks_close(struct corr_tracks *t);

/** Flow of a key, or NULL. */
struct corr_track *corr_track_find(const struct corr_tracks *t, const struct corr_track_key *k);
/**
 * A new flow as *set says (its counts are taken here). Somebody unconfirmed makes room when
 * the table is full of them. NULL: no room.
 */
struct corr_track *corr_track_add(struct corr_tracks *t, const struct corr_track_key *k,
				  const struct corr_track *set);
/** Forgets a flow. */
void corr_track_del(struct corr_tracks *t, struct corr_track *e);
/** The flow has another server from now on. */
void corr_track_move(struct corr_tracks *t, struct corr_track *e, uint16_t server);

/** State of a flow that begins with this packet. */
enum corr_flow_state corr_track_first(const struct corr_pkt *p);
/** Takes in a packet of a flow. */
void corr_track_packet(struct corr_tracks *t, struct corr_track *e, const struct corr_pkt *p,
		       uint64_t now_ms);

/** Ages the next n places. */
void corr_tracks_age(struct corr_tracks *t, uint32_t n, uint64_t now_ms);

#endif
