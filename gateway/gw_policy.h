/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_policy.h - the correlator's policy in the gateway: made of the configuration, asked by
 * workers, fed with the health of servers, shown to operators.
 */
#ifndef GATEWAY_GW_POLICY_H
#define GATEWAY_GW_POLICY_H

#include "gateway/gw_int.h"

/* --- gw_policy.c: control thread --- */
/** True when a list of names, separated by commas or blanks, has a name. */
bool gw_names_has(const char *list, const char *name);
/** True when a server may serve an address. */
bool gw_server_cfg_has(const struct gw_server_cfg *s, const struct net_addr *a);
/** Index of the server of a name, of one that leaves when no other has it; UINT32_MAX: nobody. */
uint32_t gw_server_named(const struct gw_cfg *g, const char *name);
/**
 * Makes the policy of a configuration; *policy NULL when it needs none and `always` is not set.
 * 0 or ENOMEM.
 */
int gw_policy_make(const struct gw_cfg *cfg, const struct gw_served *served, bool always,
		   struct corr_policy **policy);
/** Makes the policy and what changes beside it, before workers are. 0 or ENOMEM (logged). */
int gw_policy_open(struct gw *gw);
void gw_policy_close(struct gw *gw);

/* --- gw_steer.c: worker --- */
/** Tables of a worker, when there is a policy. 0 or ENOMEM. */
int gw_steer_open(struct gw_worker *w);
/** Gives a worker its tables. */
void gw_steer_attach(struct gw_worker *w, struct corr_steer *s);
void gw_steer_close(struct gw_worker *w);
/** Ages its tables. */
void gw_steer_run(struct gw_worker *w);
/**
 * A client's frame towards a server that the policy concerns (gw_steer_policy()): sent, refused or
 * dropped. Takes m.
 */
void gw_steer_lan(struct gw_worker *w, const struct corr_policy *policy, struct gw_port *port,
		  struct rte_mbuf *m, const struct net_pkt *p);
/** The same for a frame of a host, whose source may be another's when it forwards. True: it was
 * taken; false: the caller goes on as without a policy. */
bool gw_steer_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		   const struct net_pkt *p);
/** A segment of an accelerated connection with SYN, FIN or RST: its flow's state follows. */
void gw_steer_flags(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p);
/** The gateway ended a connection at its client: its flow is over. */
void gw_steer_end(struct gw_worker *w, const struct net_flow *f);
/** Describes a packet; out: its source is the server's. */
void gw_steer_ask(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p, bool out,
		  struct corr_ask *a);

/* --- gw_refuse.c: worker --- */
/** Tells the sender that its frame is refused: a RST, or ICMP. Limited in rate. m stays. */
void gw_refuse(struct gw_worker *w, struct gw_port *port, const struct rte_mbuf *m,
	       const struct net_pkt *p);
/** Tells the sender that its frame is too big for mtu; host: it came from there, else port. */
void gw_too_big(struct gw_worker *w, struct gw_port *port, struct gw_host *host,
		const struct rte_mbuf *m, const struct net_pkt *p, uint32_t mtu);
/** Lowers the MSS of a SYN to what both links take. */
void gw_mss_clamp(struct gw_worker *w, struct rte_mbuf *m, const struct net_pkt *p, uint32_t mtu);

/* --- gw_announce.c: worker 0 --- */
int gw_announce_open(struct gw_worker *w);
/** What is to be announced of `served`, with nothing due. NULL: no memory. */
struct gw_announce *gw_announce_new(const struct gw_served *served);
void gw_announce_free(struct gw_announce *t);
/** Takes over what is due in `old`, as far as the addresses are still there. */
void gw_announce_take(struct gw_announce *t, const struct gw_announce *old);
void gw_announce_close(struct gw_worker *w);
/** Sends what is due. */
void gw_announce_run(struct gw_worker *w);
/** A host has come: its addresses are announced. Control thread. */
void gw_announce_host(struct gw *gw, struct gw_host *h);

/* --- gw_check.c: worker 0 --- */
int gw_check_open(struct gw_worker *w);
void gw_check_close(struct gw_worker *w);
/** Begins checks that are due. */
void gw_check_run(struct gw_worker *w);
/** A host's frame to one of our addresses: true when it answers a check. m stays the caller's. */
bool gw_check_rx(struct gw_worker *w, struct gw_host *h, const struct rte_mbuf *m,
		 const struct net_pkt *p);

/* --- gw_health.c: control thread --- */
/** What is known of a server's health. */
struct gw_health {
	struct corr_health health;
	bool drained;	    /* by the operator */
	bool left;	    /* it is leaving, and its last connection is over */
	uint64_t up_ms;	    /* when it was attached last */
	uint64_t seen_good; /* check results taken in */
	uint64_t seen_bad;
};
/** Takes in who is attached and what checks found; every tick, and when a host comes or goes. */
void gw_health_tick(struct gw *gw);
/** Takes a server out of service for new flows, or back. */
void gw_health_drain(struct gw *gw, uint32_t server, bool drained);
/** What a server's health is called: up, down, draining, slow-start, absent. */
const char *gw_health_name(const struct gw *gw, uint32_t server);

/* --- gw_control_policy.c: control thread --- */
json_t *gw_cmd_service_list(struct gw *gw, const json_t *req);
json_t *gw_cmd_service_pick(struct gw *gw, const json_t *req);
json_t *gw_cmd_server_list(struct gw *gw, const json_t *req);
json_t *gw_cmd_server_drain(struct gw *gw, const json_t *req);
json_t *gw_cmd_server_ready(struct gw *gw, const json_t *req);
json_t *gw_cmd_rule_list(struct gw *gw, const json_t *req);
json_t *gw_cmd_map_flows(struct gw *gw, const json_t *req);
/** Reads "ADDRESS:PORT" or "[ADDRESS]:PORT", the port to network byte order; false: malformed. */
bool gw_endpoint_parse(const char *text, uint8_t addr[16], uint16_t *port);

/* --- gw_map_import.c: control thread --- */
json_t *gw_cmd_map_import(struct gw *gw, const json_t *req);

#endif
