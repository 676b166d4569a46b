/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_service.h - services: one address, port and protocol to several servers by policy.
 *
 * Services are an immutable snapshot, made by the control thread. What changes all the time (who
 * takes how much of new flows, how many connections there are) is in struct corr_live beside it,
 * one for the whole gateway, so that a server that comes or goes rebuilds no table.
 */
#ifndef CORRELATOR_CORR_SERVICE_H
#define CORRELATOR_CORR_SERVICE_H

#include <stdatomic.h>

#include "correlator/corr_health.h"
#include "correlator/corr_maglev.h"
#include "correlator/corr_rule.h"

#define CORR_MAX_SERVERS  256
#define CORR_MAX_SERVICES 256 /* with an id of their own, see corr_service_cfg.id */

/** What connections of a server that is in trouble do. */
enum corr_leave {
	CORR_STAY,	      /* all stay: it is well, or is expected back */
	CORR_LEAVE_DATAGRAMS, /* what is not TCP goes elsewhere: its checks fail */
	CORR_LEAVE_ALL,	      /* it will not come back: the next packet finds another server */
};

/** One server, now. share and leave are the control thread's, the others all workers'. */
struct corr_live_server {
	_Atomic uint32_t share;	 /* of new flows, 0 to CORR_SHARE_FULL */
	_Atomic uint32_t leave;	 /* enum corr_leave */
	_Atomic uint32_t conns;	 /* flows in all connection tables */
	_Atomic uint32_t tcp;	 /* of them TCP's */
	_Atomic uint64_t picked; /* flows given to it since the start */
};

/** What changes while the snapshots stay. Zero-initialised: no server takes anything. */
struct corr_live {
	struct corr_live_server server[CORR_MAX_SERVERS];
	_Atomic uint32_t service_conns[CORR_MAX_SERVICES]; /* flows by corr_service_cfg.id */
	_Atomic uint64_t service_flows[CORR_MAX_SERVICES]; /* the same since the start */
	_Atomic uint32_t rule_conns[CORR_MAX_RULES];	   /* flows that a rule let pass, by id */
	_Atomic uint64_t rule_hits[CORR_MAX_RULES];	   /* decisions of a rule */
	_Atomic uint64_t service_rate[CORR_MAX_SERVICES];  /* of corr_rate_take_shared() */
	_Atomic uint64_t rule_rate[CORR_MAX_RULES];	   /* the same */
	struct corr_marks clients;  /* of services and rules that limit them (corr_limit.h) */
	struct corr_marks affinity; /* servers of clients, by service (corr_steer.c) */
};

/** Room for so many clients in a zeroed one. 0 or ENOMEM. */
int corr_live_open(struct corr_live *live, uint32_t clients);
/** Frees what it owns. */
void corr_live_close(struct corr_live *live);

#define CORR_FOREACH_BALANCE(_)                                                          \
	_(MAGLEV, "maglev")	    /* by a hash of addresses and ports */               \
	_(LEAST_CONN, "least-conn") /* the one with the fewest connections per weight */ \
	_(SOURCE, "source")	    /* by client, remembered */

/** How a service chooses. */
enum corr_balance {
#define _(sym, name) CORR_##sym,
	CORR_FOREACH_BALANCE(_)
#undef _
		CORR_BALANCE_COUNT
};

/** Name of a policy. */
const char *corr_balance_name(enum corr_balance b);

/** A service as configured. */
struct corr_service_cfg {
	char name[CORR_NAMELEN];
	uint16_t id;	  /* below CORR_MAX_SERVICES: counted and limited; CORR_NONE: not */
	uint8_t addr[16]; /* IPv4 mapped */
	uint16_t port;	  /* host byte order, 0: any */
	uint8_t proto;	  /* IP protocol, 0: any */
	bool reject;	  /* without a server: refuse, not drop */
	enum corr_balance balance;
	uint32_t table_size;  /* of Maglev, a prime; 0: CORR_MAGLEV_SIZE */
	uint32_t affinity_ms; /* SOURCE: a client is remembered this long after its last flow */
	uint32_t max_conns;   /* flows at a time, 0: no limit */
	struct corr_rate syn; /* new TCP connections */
	struct corr_client_limit client; /* of each client */
};

/** A server of a service. */
struct corr_member {
	const char *name;   /* lives as long as the snapshot */
	uint16_t server;    /* below CORR_MAX_SERVERS */
	uint32_t weight;    /* 1 to 1000000 */
	uint32_t max_conns; /* flows at a time of this server, 0: no limit */
	bool backup;	    /* only when no server that is no backup takes new flows */
};

/** A service in a snapshot. */
struct corr_service {
	struct corr_service_cfg cfg;
	struct corr_member *member; /* owned, n of them */
	uint32_t n;
	uint32_t size;	   /* of the tables */
	uint8_t *table[2]; /* Maglev: servers, backups; NULL: fewer than two members */
};

struct corr_services; /* immutable snapshot */

/** An empty snapshot for `max` services. NULL: out of memory. */
struct corr_services *corr_services_new(const struct corr_sip_key *key, uint32_t max);
/** NULL is fine. */
void corr_services_free(struct corr_services *s);
/** Adds a service; for one address, the first added that fits counts. 0, EINVAL, ENOSPC, ENOMEM. */
int corr_services_add(struct corr_services *s, const struct corr_service_cfg *cfg,
		      const struct corr_member *m, uint32_t n);
/** Ends adding; nothing is found before. 0 or ENOMEM. */
int corr_services_done(struct corr_services *s);

/** Service of an address, port (host byte order) and protocol, or NULL. */
const struct corr_service *corr_services_find(const struct corr_services *s, const uint8_t addr[16],
					      uint16_t port, uint8_t proto);
/** True when any service has the address. */
bool corr_services_has(const struct corr_services *s, const uint8_t addr[16]);
/** Service i, or NULL behind the last. */
const struct corr_service *corr_services_at(const struct corr_services *s, uint32_t i);

/** The hash by which a service chooses: of the flow, or of the client's prefix alone. */
uint64_t corr_service_hash(const struct corr_services *s, const struct corr_service *v,
			   const struct corr_flow *f, uint8_t proto);

/** Index of the member that takes a new flow with this hash, or -1. */
int corr_service_pick(const struct corr_service *v, const struct corr_live *live, uint64_t hash);

/**
 * The member that a hash means when everybody serves, whoever does now: where a flow most likely is
 * that nobody remembers. -1: there is none, or the policy does not go by hashes.
 */
int corr_service_home(const struct corr_service *v, uint64_t hash);

/** Member of a server, or -1. */
int corr_service_member(const struct corr_service *v, uint16_t server);

/** True when a member may get a new flow, by its state and limit. */
bool corr_member_takes(const struct corr_member *m, const struct corr_live *live);

#endif
