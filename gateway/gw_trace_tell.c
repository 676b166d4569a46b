/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_trace_tell.c - what was judged of a frame, as a document: steps in the order of the data path,
 * each with what decided; headers rewritten; verdict, path, and the counter of a drop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_trace.h"
#include "tcpstack/net_wire.h"

#define END_LEN (NET_ADDRSTR + 12)

/* Appends {"step": name, "says": text}. */
static void step(json_t *doc, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void step(json_t *doc, const char *name, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(json_object_get(doc, "steps"),
			      json_pack("{s:s, s:s}", "step", name, "says", text));
}

static void put(json_t *doc, const char *key, const char *text)
{
	json_object_set_new(doc, key, json_string(text));
}

/* What becomes of it in the end: said once, by the step that decides. */
static void verdict(json_t *doc, const char *what, const char *path)
{
	put(doc, "verdict", what);
	put(doc, "path", path);
}

static void dropped(json_t *doc, uint32_t why)
{
	char text[GW_WHY_LEN];
	const char *name = gw_why_name(why, text);

	verdict(doc, "drop", "");
	put(doc, "drop_counter", name ? name : "");
}

/* "10.77.0.2:40000", or the address alone. */
static const char *end_text(char out[END_LEN], const struct net_addr *a, uint16_t port_be)
{
	char text[NET_ADDRSTR];

	net_addr_str(a, text);
	if (port_be)
		snprintf(out, END_LEN, net_addr_is_v4(a) ? "%s:%u" : "[%s]:%u", text,
			 ntohs(port_be));
	else
		snprintf(out, END_LEN, "%s", text);
	return out;
}

static void flags_text(uint8_t flags, char out[40])
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg"};

	out[0] = '\0';
	for (size_t i = 0; i < RTE_DIM(names); i++)
		if (flags & 1u << i)
			strcat(strcat(out, " "), names[i]);
}

/* The frame, as far as it could be parsed. */
static void tell_frame(json_t *doc, const struct gw_trace *t)
{
	const struct net_pkt *p = &t->p;
	char from[END_LEN], to[END_LEN], flags[40] = "", what[24], tag[24] = "";

	if (t->tagged)
		snprintf(tag, sizeof(tag), " vlan %u", t->vlan);
	step(doc, "frame",
	     "%u bytes from %s %s%s%s, " RTE_ETHER_ADDR_PRT_FMT " > " RTE_ETHER_ADDR_PRT_FMT,
	     t->len, t->host ? "the host of server" : "port",
	     t->host   ? t->host->cfg->name
	     : t->port ? t->port->cfg->name
		       : "(none)",
	     tag, t->bounced ? ", bounced" : "",
	     RTE_ETHER_ADDR_BYTES((const struct rte_ether_addr *)(t->frame + 6)),
	     RTE_ETHER_ADDR_BYTES((const struct rte_ether_addr *)t->frame));
	if (!p->l3_off || p->ethertype == NET_ETHERTYPE_ARP)
		return;
	snprintf(what, sizeof(what), "%s",
		 p->proto == NET_PROTO_TCP				     ? "tcp"
		 : p->proto == NET_PROTO_UDP				     ? "udp"
		 : p->proto == NET_PROTO_ICMP || p->proto == NET_PROTO_ICMP6 ? "icmp"
									     : "protocol");
	if (p->proto == NET_PROTO_TCP && p->l4_off && !p->fragment)
		flags_text(t->frame[p->l4_off + NET_TCP_FLAGS], flags);
	step(doc, "packet", "%s %s > %s%s, %u bytes of payload%s", what,
	     end_text(from, &p->src, p->sport), end_text(to, &p->dst, p->dport), flags,
	     p->payload_len,
	     p->fragment ? ", a fragment: of TCP, it waits for the others and the whole is judged"
			 : "");
}

/* What the first look at the frame says. True: it goes on. */
static bool tell_first(json_t *doc, const struct gw_trace *t)
{
	char text[GW_WHY_LEN];

	switch (t->first.kind) {
	case GW_WAY_IP:
		step(doc, "checks", "sound, and addressed to the gateway");
		return true;
	case GW_WAY_DROP:
		step(doc, "checks", "%s", gw_why_name(t->first.why, text));
		dropped(doc, t->first.why);
		return false;
	case GW_WAY_NEIGHBOUR:
		step(doc, "neighbours",
		     "ARP or neighbour discovery: answered for addresses that "
		     "are served, learned from");
		verdict(doc, "taken", "gateway");
		return false;
	case GW_WAY_BOUNCED:
		step(doc, "accelerated map",
		     "bounced by its host: to the TCP of its connection, or "
		     "it waits for the host to offer the connection again");
		verdict(doc, "taken", "accelerated");
		return false;
	default:
		step(doc, "gateway",
		     "to one of the gateway's own addresses: a ping is answered, "
		     "health checks hear it, anything else is dropped as no-server");
		verdict(doc, "taken", "gateway");
		return false;
	}
}

/* Which rules did not fit, and for what. */
static void tell_misfits(json_t *doc, const struct gw_trace *t, const struct corr_ask *ask,
			 uint16_t rule)
{
	const struct corr_rules *list = t->gw->policy->rules;
	json_t *misses = json_array();
	struct corr_head head;
	char fields[100];

	corr_steer_head(ask, &head);
	for (uint32_t i = 0; i < corr_rules_count(list); i++) {
		const struct corr_rule *r = corr_rules_at(list, i);
		uint32_t misfit = corr_rules_misfit(list, i, &head);

		if (!misfit || (rule != CORR_NONE && r->id == rule))
			break;
		corr_fields_str(misfit, fields, sizeof(fields));
		if (json_array_size(misses) < 16)
			step(doc, "rule", "%s does not fit: %s", r->name, fields);
		json_array_append_new(
			misses, json_pack("{s:s, s:s}", "rule", r->name, "differs_in", fields));
	}
	json_object_set_new(doc, "rules_passed_over", misses);
}

/* The name of a rule, "" for none. */
static const char *rule_name(const struct gw_trace *t, uint16_t id)
{
	const struct corr_rules *list = t->gw->policy->rules;

	for (uint32_t i = 0; i < corr_rules_count(list); i++)
		if (corr_rules_at(list, i)->id == id)
			return corr_rules_at(list, i)->name;
	return "";
}

/* Rules and service, for a flow that begins. */
static void tell_new(json_t *doc, const struct gw_trace *t, const struct gw_steered *s)
{
	const struct corr_verdict *v = &s->v;
	const bool by_default =
		v->why == CORR_WHY_DEFAULT_DENY || v->why == CORR_WHY_DEFAULT_REJECT;
	char fields[100];

	step(doc, "connection table", "not there: a new flow");
	if (v->why == CORR_WHY_WRONG_SERVER)
		return;
	tell_misfits(doc, t, &s->ask, v->rule);
	corr_fields_str(v->fields, fields, sizeof(fields));
	if (v->rule != CORR_NONE) {
		step(doc, "rule", "%s fits: %s", rule_name(t, v->rule), fields);
		put(doc, "rule", rule_name(t, v->rule));
		put(doc, "decided_by", fields);
	} else if (by_default || corr_rules_count(t->gw->policy->rules)) {
		step(doc, "rule", "none fits: the default says %s",
		     corr_action_name(corr_rules_otherwise(t->gw->policy->rules)));
	}
	if (!v->service)
		return;
	put(doc, "service", v->service->cfg.name);
	step(doc, "service", "%s, %s, %u servers", v->service->cfg.name,
	     corr_balance_name(v->service->cfg.balance), v->service->n);
}

/* What the policy says. */
static void tell_policy(json_t *doc, const struct gw_trace *t, const struct gw_steered *s)
{
	const struct corr_verdict *v = &s->v;
	const struct gw_cfg *cfg = t->gw->cfg;

	if (s->quoted != CORR_NONE) {
		step(doc, "connection table", "an ICMP error that quotes a flow of server %s",
		     cfg->server[s->quoted].name);
		return;
	}
	if (t->flow_state && v->why == CORR_WHY_KNOWN)
		step(doc, "connection table", "a known flow, %s, of server %s", t->flow_state,
		     v->server < cfg->n_server ? cfg->server[v->server].name : "");
	else
		tell_new(doc, t, s);
	put(doc, "why", corr_why_name(v->why));
	if (v->server < cfg->n_server)
		put(doc, "server", cfg->server[v->server].name);
	if (v->via < cfg->n_server) {
		put(doc, "via", cfg->server[v->via].name);
		step(doc, "via", "by way of server %s first", cfg->server[v->via].name);
	}
	if (v->action == CORR_ALLOW) {
		step(doc, "policy", "allow: %s", corr_why_name(v->why));
		return;
	}
	step(doc, "policy", "%s: %s", corr_action_name(v->action), corr_why_name(v->why));
	dropped(doc, GW_DROP_COUNT + (uint32_t)v->why);
	if (v->action == CORR_REJECT)
		put(doc, "verdict", "reject");
}

/* A header field that changes. */
static void rewrite(json_t *doc, const char *field, const char *old, const char *new)
{
	json_array_append_new(json_object_get(doc, "rewrites"),
			      json_pack("{s:s, s:s, s:s}", "field", field, "old", old, "new", new));
	step(doc, "rewrite", "%s: %s -> %s", field, old, new);
}

static void tell_hop(json_t *doc, const struct gw_trace *t, const struct gw_port *out)
{
	char old[RTE_ETHER_ADDR_FMT_SIZE], new[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(old, sizeof(old), (const struct rte_ether_addr *)t->frame);
	rte_ether_format_addr(new, sizeof(new), &t->hop.dst);
	rewrite(doc, "destination MAC", old, new);
	rte_ether_format_addr(old, sizeof(old), (const struct rte_ether_addr *)(t->frame + 6));
	rte_ether_format_addr(new, sizeof(new), &t->hop.src);
	rewrite(doc, "source MAC", old, new);
	snprintf(old, sizeof(old), t->vlan ? "%u" : "none", t->vlan);
	snprintf(new, sizeof(new), out && out->cfg->vlan ? "%u" : "none", out ? out->cfg->vlan : 0);
	if (strcmp(old, new))
		rewrite(doc, "VLAN", old, new);
	if (!t->mss_new)
		return;
	snprintf(old, sizeof(old), "%u", t->mss_old);
	snprintf(new, sizeof(new), "%u", t->mss_new);
	rewrite(doc, "MSS", old, new);
}

/* LID, GID and queue pairs of a way over the fabric. */
static void tell_fabric(json_t *doc, const char *set, const struct ib_addr *a, uint32_t sqpn,
			uint32_t dqpn, uint32_t token)
{
	char gid[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, a->gid, gid, sizeof(gid));
	json_object_set_new(doc, "fabric",
			    json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "queue_pair", set, "dlid",
				      (json_int_t)a->lid, "dgid", gid, "sqpn", (json_int_t)sqpn,
				      "dqpn", (json_int_t)dqpn, "token", (json_int_t)token));
}

/* Natively to a host. */
static void tell_host(json_t *doc, const struct gw_trace *t)
{
	static const char *const qps[] = {
		[GW_QP_ABSENT] = "", [GW_QP_NONE] = "", [GW_QP_UD] = "UD", [GW_QP_RC] = "RC"};

	put(doc, "server", t->to->cfg->name);
	if (t->hop.too_big || t->qp == GW_QP_NONE || t->qp == GW_QP_ABSENT) {
		step(doc, "native path",
		     t->qp == GW_QP_ABSENT ? "the host of server %s is not attached"
					   : "too large for server %s",
		     t->to->cfg->name);
		dropped(doc, t->qp == GW_QP_ABSENT && !t->hop.too_big ? GW_DROP_NOT_ATTACHED
								      : GW_DROP_OVERSIZED);
		return;
	}
	tell_hop(doc, t, NULL);
	step(doc, "native path",
	     "%s SEND, queue pair %u to LID %u, queue pair %u: host of server %s", qps[t->qp],
	     t->sqpn, t->to->native.lid, t->dqpn, t->to->cfg->name);
	tell_fabric(doc, qps[t->qp], &t->to->native, t->sqpn, t->dqpn, 0);
	verdict(doc, "forward", "native");
}

/* To the LAN. */
static void tell_lan(json_t *doc, const struct gw_trace *t)
{
	if (t->neigh == EHOSTUNREACH) {
		step(doc, "neighbours", "no port and no next hop leads there");
		dropped(doc, GW_DROP_NO_NEIGHBOUR);
		return;
	}
	if (t->neigh) {
		step(doc, "neighbours", "the MAC of the next hop is not known: the gateway %s",
		     t->neigh == EAGAIN ? "is asking for it" : "would ask for it");
		put(doc, "port", t->nh.port->cfg->name);
		verdict(doc, "wait", "native");
		return;
	}
	put(doc, "port", t->nh.port->cfg->name);
	if (t->hop.too_big) {
		step(doc, "native path", "too large for port %s", t->nh.port->cfg->name);
		dropped(doc, GW_DROP_OVERSIZED);
		return;
	}
	tell_hop(doc, t, t->nh.port);
	step(doc, "native path", "out of port %s", t->nh.port->cfg->name);
	verdict(doc, "forward", "native");
}

/* The second look, at a packet from a port. */
static void tell_way(json_t *doc, const struct gw_trace *t)
{
	char text[GW_WHY_LEN];

	if (t->way.kind == GW_WAY_DROP && t->way.why == GW_DROP_SPOOFED_SOURCE) {
		step(doc, "checks", "its source is a server's or the gateway's own");
		dropped(doc, t->way.why);
		return;
	}
	if (t->conn_there) {
		step(doc, "accelerated map",
		     "token 0x%08x of server %s, %s: its TCP judges sequence "
		     "numbers and window",
		     t->token, t->conn_host->cfg->name, t->conn_state);
		put(doc, "server", t->conn_host->cfg->name);
		tell_fabric(doc, "RC", &t->peer, 0, t->peer.qpn, t->token);
		verdict(doc, "taken", "accelerated");
		return;
	}
	step(doc, "accelerated map", "not there: native");
	switch (t->way.kind) {
	case GW_WAY_DROP:
		step(doc, "native map", "%s", gw_why_name(t->way.why, text));
		dropped(doc, t->way.why);
		break;
	case GW_WAY_ICMP:
		step(doc, "accelerated map",
		     "an ICMP error that quotes an accelerated connection: "
		     "its TCP decides what to believe");
		verdict(doc, "taken", "accelerated");
		break;
	case GW_WAY_ECHO:
		step(doc, "gateway", "a ping to the gateway: it answers");
		verdict(doc, "answer", "gateway");
		break;
	case GW_WAY_HOST:
		step(doc, "native map", "the address is server %s's", t->way.host->cfg->name);
		break;
	default:
		break;
	}
}

json_t *gw_trace_tell(const struct gw_trace *t)
{
	json_t *doc =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:[], s:[]}", "verdict", "", "path", "",
			  "server", "", "drop_counter", "", "worker", (json_int_t)t->worker, "in",
			  t->host   ? t->host->cfg->name
			  : t->port ? t->port->cfg->name
				    : "",
			  "rewrites", "steps");

	tell_frame(doc, t);
	if (!tell_first(doc, t))
		return doc;
	if (t->gw->n_worker > 1)
		step(doc, "worker", "%u, by addresses and ports", t->worker);
	if (t->port)
		tell_way(doc, t);
	if (t->through.asked_out)
		tell_policy(doc, t, &t->through.out);
	if (t->through.asked_in)
		tell_policy(doc, t, &t->through.in);
	if (t->to)
		tell_host(doc, t);
	else if (t->to_lan)
		tell_lan(doc, t);
	return doc;
}

json_t *gw_cmd_trace_packet(struct gw *gw, const json_t *req)
{
	struct gw_trace *t = calloc(1, sizeof(*t));
	char err[GW_TRACE_ERR];
	json_t *doc;

	if (!t)
		return json_pack("{s:s}", "error", strerror(ENOMEM));
	t->gw = gw;
	if (gw_trace_ask(t, req, err)) {
		doc = json_pack("{s:s}", "error", err);
	} else {
		gw_trace_run(t);
		doc = gw_trace_tell(t);
	}
	free(t);
	return doc;
}
