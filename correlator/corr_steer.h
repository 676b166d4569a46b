/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_steer.h - where a packet goes: connection table, rules, services and limits put together.
 *
 * Theory of operation
 *
 *	packet -> a flow we know? -> its server (or, before that, its firewall server)
 *	       -> else the rules: deny, reject, or go on (perhaps by way of a firewall)
 *	       -> the service of its destination: limits, then a server by policy
 *	       -> remembered, so that the next packet goes there, too
 *
 * struct corr_policy is an immutable snapshot that all workers share; struct corr_steer is what one
 * worker remembers; struct corr_live is shared and atomic. No clock and no packet here: the caller
 * describes the packet and tells the time. The same function answers `service pick` and `trace
 * packet`, without side effects.
 */
#ifndef CORRELATOR_CORR_STEER_H
#define CORRELATOR_CORR_STEER_H

#include "correlator/corr_track.h"

#define CORR_FOREACH_WHY(_)                                                            \
	_(KNOWN, "known-flow")	  /* in the connection table */                        \
	_(PRIOR, "earlier-flow")  /* older than the policy that concerns it */         \
	_(PICKED, "picked")	  /* a service chose the server */                     \
	_(OWNER, "owner")	  /* the address has one server */                     \
	_(OUTBOUND, "outbound")	  /* a server began */                                 \
	_(RULE_DENY, "rule-deny") /* from here on it is dropped */                     \
	_(RULE_REJECT, "rule-reject")                                                  \
	_(DEFAULT_DENY, "default-deny") /* no rule fits */                             \
	_(DEFAULT_REJECT, "default-reject")                                            \
	_(RULE_RATE, "rule-rate") /* more new flows than the rule allows */            \
	_(RULE_CONNS, "rule-connections")                                              \
	_(RULE_CLIENT, "rule-client-limit")                                            \
	_(SYN_RATE, "service-syn-rate") /* more new connections than it allows */      \
	_(SERVICE_CONNS, "service-connections")                                        \
	_(CLIENT_LIMIT, "service-client-limit")                                        \
	_(NO_SERVER_UP, "service-no-server") /* nobody takes new flows */              \
	_(WRONG_SERVER, "not-its-server")    /* from a server that does not have it */ \
	_(TABLE_FULL, "connection-table-full")                                         \
	_(SHARED_FRAGMENT, "fragment-for-service") /* has no ports to choose by */

/** Why a packet goes where it goes, or nowhere. */
enum corr_why {
#define _(sym, name) CORR_WHY_##sym,
	CORR_FOREACH_WHY(_)
#undef _
		CORR_WHY_COUNT
};

/** Name of a reason. */
const char *corr_why_name(enum corr_why w);

/** Policy snapshot: rules and services, and the number of workers that share rates. */
struct corr_policy {
	struct corr_rules *rules;	/* owned */
	struct corr_services *services; /* owned */
};

/** Frees a snapshot and what it owns. NULL is fine. */
void corr_policy_free(struct corr_policy *p);

/** True when flows of this server address are tracked; else nothing needs to be asked. */
bool corr_policy_concerns(const struct corr_policy *p, const uint8_t local[16]);

/** What one worker remembers. */
struct corr_steer {
	struct corr_tracks tracks;
	/**
	 * Server of a TCP connection that was there before anybody asked for it to be remembered
	 * (its address was not of any service or rule then); CORR_NONE: not known. May be NULL.
	 */
	uint16_t (*prior)(void *ctx, const struct corr_flow *f);
	void *ctx; /* of prior */
};

/** Makes the table, for `flows` flows. NULL: no memory. */
struct corr_steer *corr_steer_new(uint32_t flows, struct corr_live *live);
/** NULL is fine. */
void corr_steer_free(struct corr_steer *s);
/** Ages a few entries. Every 10 ms or so. */
void corr_steer_age(struct corr_steer *s, uint64_t now_ms);

/** A packet and what the caller knows about it. */
struct corr_ask {
	struct corr_pkt pkt;
	uint16_t host;	/* server it came from, CORR_NONE: from a client LAN */
	uint16_t owner; /* the only server of key.flow.local; CORR_NONE: none, or several */
	uint8_t iface;	/* index of the port, or CORR_IFACE_FABRIC */
	bool transit;	/* it came from host, but is another server's: known flows only */
	bool fragment;	/* not the first of its packet: no ports */
	bool dry;	/* only asked: nothing is counted or remembered */
};

/** The answer. */
struct corr_verdict {
	enum corr_action action; /* ALLOW, DENY or REJECT */
	enum corr_why why;
	uint16_t to;	 /* server the packet goes to now; CORR_NONE: to the client LAN */
	uint16_t server; /* that has the flow, or CORR_NONE */
	uint16_t via;	 /* its firewall server, or CORR_NONE */
	uint16_t rule;	 /* id of what decided, or CORR_NONE: none or the default */
	uint32_t fields; /* enum corr_field: what that rule asked for */
	const struct corr_service *service; /* that it belongs to, or NULL */
	struct corr_track *flow;	    /* its entry, NULL: none (refused, dry) */
};

/** Decides. now_us: monotonic. */
void corr_steer(struct corr_steer *s, const struct corr_policy *p, const struct corr_ask *a,
		uint64_t now_us, struct corr_verdict *v);

/** The packet's header as rules see it. */
void corr_steer_head(const struct corr_ask *a, struct corr_head *h);

#endif
