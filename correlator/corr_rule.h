/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_rule.h - ordered rules about new flows: the first that fits decides. */
#ifndef CORRELATOR_CORR_RULE_H
#define CORRELATOR_CORR_RULE_H

#include <stddef.h>

#include "correlator/corr.h"
#include "correlator/corr_limit.h"

#define CORR_NAMELEN	  64
#define CORR_MAX_RULES	  4096
#define CORR_NONE	  UINT16_MAX /* no server, service or rule */
#define CORR_IFACE_ANY	  255	     /* of a rule */
#define CORR_IFACE_FABRIC 254	     /* what servers send */

#define CORR_FOREACH_ACTION(_)                                                           \
	_(ALLOW, "allow")   /* passes */                                                 \
	_(DENY, "deny")	    /* is dropped */                                             \
	_(REJECT, "reject") /* is refused: a RST, or ICMP administratively prohibited */ \
	_(VIA, "via")	    /* passes, through a firewall or IP-security server first */

/** What a rule does. */
enum corr_action {
#define _(sym, name) CORR_##sym,
	CORR_FOREACH_ACTION(_)
#undef _
		CORR_ACTION_COUNT
};

/** Name of an action. */
const char *corr_action_name(enum corr_action a);

#define CORR_FOREACH_FIELD(_)           \
	_(PROTO, "protocol", 1)         \
	_(IFACE, "interface", 2)        \
	_(DPORT, "destination-port", 4) \
	_(SPORT, "source-port", 8)      \
	_(SRC, "source", 16)            \
	_(DST, "destination", 32)

/** What a rule can ask for; a set of bits. */
enum corr_field {
#define _(sym, name, bit) CORR_F_##sym = bit,
	CORR_FOREACH_FIELD(_)
#undef _
};

/** Writes a set of fields as "source,protocol" ("none" when empty); returns buf. */
const char *corr_fields_str(uint32_t fields, char *buf, size_t room);

/** A network. */
struct corr_prefix {
	uint8_t addr[16]; /* IPv4 mapped */
	uint8_t len;	  /* of 128: 96 + n for IPv4; 0: any address of either family */
};

/** A rule as configured. */
struct corr_rule {
	char name[CORR_NAMELEN];
	uint16_t id; /* below CORR_MAX_RULES: of its counts; flows remember it, not its place */
	enum corr_action action;
	struct corr_prefix src, dst; /* of the packet that begins the flow */
	uint16_t sport[2], dport[2]; /* from, to; host byte order; 0, 65535: any */
	uint8_t proto;		     /* IP protocol, 0: any */
	uint8_t iface;		     /* index of a port, CORR_IFACE_FABRIC or CORR_IFACE_ANY */
	uint16_t via;		     /* VIA: server */
	bool accelerate;	     /* VIA: connections may be accelerated, past the firewall */
	uint32_t max_conns;	     /* flows that it lets pass at a time, 0: no limit */
	struct corr_rate rate;	     /* new flows that it lets pass */
	struct corr_client_limit client; /* the same for each client */
};

/** A packet that begins a flow, as rules see it. */
struct corr_head {
	uint8_t src[16], dst[16]; /* addresses */
	uint16_t sport, dport;	  /* host byte order; 0 when there are none */
	uint8_t proto;		  /* IP protocol */
	uint8_t iface;		  /* where it comes from */
};

struct corr_rules; /* an immutable list with its default */

/** An empty list for `max` rules; `otherwise` applies where none fits. NULL: out of memory. */
struct corr_rules *corr_rules_new(uint32_t max, enum corr_action otherwise);
/** NULL is fine. */
void corr_rules_free(struct corr_rules *l);
/** Appends a copy. 0, ENOSPC, or EINVAL (VIA without a server, ranges upside down, no such id). */
int corr_rules_add(struct corr_rules *l, const struct corr_rule *r);
/** Number of rules; rule i; what applies where none fits. */
uint32_t corr_rules_count(const struct corr_rules *l);
const struct corr_rule *corr_rules_at(const struct corr_rules *l, uint32_t i);
enum corr_action corr_rules_otherwise(const struct corr_rules *l);

/** Index of the first rule that fits, or CORR_NONE. */
uint16_t corr_rules_match(const struct corr_rules *l, const struct corr_head *h);

/** Fields that rule i asks for. */
uint32_t corr_rules_fields(const struct corr_rules *l, uint32_t i);
/** Fields of rule i that do not fit a packet: why it did not apply. 0: it fits. */
uint32_t corr_rules_misfit(const struct corr_rules *l, uint32_t i, const struct corr_head *h);

#endif
