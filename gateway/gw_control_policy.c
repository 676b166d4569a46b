/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_policy.c - services, servers, rules and flows for the control socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"

#define FLOWS 128 /* flows fetched in one call */

static json_t *refusal(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

/* A limit as a number, or null for none. */
static json_t *limit(uint32_t v, uint32_t none)
{
	return v == none ? json_null() : json_integer(v);
}

static const char *server_name(const struct gw *gw, uint16_t i)
{
	return i < gw->cfg->n_server ? gw->cfg->server[i].name : "";
}

/* Name of the rule of an id; "" for none and for one that is not configured any more. */
static const char *rule_name(const struct gw *gw, uint16_t id)
{
	const struct gw_cfg *cfg = gw->cfg;

	for (uint32_t i = 0; i < cfg->n_rule; i++)
		if (cfg->rule[i].id == id)
			return cfg->rule[i].name;
	return "";
}

/* Servers of a service as names with their shares of the weights of their kind. */
static json_t *members(const struct gw *gw, const struct corr_service *v)
{
	json_t *list = json_array();

	for (uint32_t i = 0; v && i < v->n; i++) {
		const struct corr_member *m = &v->member[i];

		json_array_append_new(
			list,
			json_pack(
				"{s:s, s:I, s:b, s:I}", "server", m->name, "weight",
				(json_int_t)m->weight, "backup", m->backup, "share_percent",
				(json_int_t)(100 * atomic_load(&gw->live->server[m->server].share) /
					     CORR_SHARE_FULL)));
	}
	return list;
}

/* The first service in the policy that came from the [service] of an id, or NULL. */
static const struct corr_service *compiled(const struct gw *gw, uint16_t id)
{
	const struct corr_service *v;

	for (uint32_t k = 0; gw->policy; k++) {
		v = corr_services_at(gw->policy->services, k);
		if (!v || v->cfg.id == id)
			return v;
	}
	return NULL;
}

json_t *gw_cmd_service_list(struct gw *gw, const json_t *req)
{
	static const char *const accel[] = {"off", "first-send", "accept", "min-bytes"};
	static const struct net_addr zero;
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->cfg->n_service; i++) {
		const struct gw_service_cfg *v = &gw->cfg->service[i];
		char text[NET_ADDRSTR] = "any";
		json_t *o;

		if (!net_addr_eq(&v->addr, &zero))
			net_addr_str(&v->addr, text);
		o = json_pack(
			"{s:s, s:s, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:o, s:o}", "name", v->name,
			"address", text, "port",
			v->port ? json_integer(v->port) : json_string("any"), "balance",
			corr_balance_name((enum corr_balance)v->balance), "accelerate",
			accel[v->accelerate], "max_accelerated",
			limit(v->max_accelerated, UINT32_MAX), "accelerated",
			(json_int_t)atomic_load(&gw->service_accelerated[v->id]), "flows",
			(json_int_t)atomic_load(&gw->live->service_conns[v->id]), "flows_total",
			(json_int_t)atomic_load(&gw->live->service_flows[v->id]), "max_connections",
			limit(v->max_conns, 0), "servers", members(gw, compiled(gw, v->id)));
		if (v->accelerate == GW_ACCEL_MIN_BYTES)
			json_object_set_new(o, "min_bytes", json_integer(v->min_bytes));
		json_array_append_new(list, o);
	}
	return json_pack("{s:o}", "services", list);
}

/** A question that a worker answers. */
struct pick_call {
	struct corr_ask ask;
	struct corr_verdict v;
};

static void on_pick(struct gw_worker *w, void *arg)
{
	struct pick_call *c = arg;
	const struct corr_native *map = atomic_load(&w->native);
	const struct corr_server *s = corr_native_by_addr(map, c->ask.pkt.key.flow.local);

	c->ask.owner = s ? (uint16_t)s->id : CORR_NONE;
	corr_steer(w->steer, w->gw->policy, &c->ask, gw_now_us(), &c->v);
}

bool gw_endpoint_parse(const char *text, uint8_t addr[16], uint16_t *port)
{
	char copy[NET_ADDRSTR + 10], *colon, *a = copy;
	struct net_addr n;
	char *end;
	unsigned long v;

	if (!text || strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	colon = strrchr(copy, ':');
	if (!colon)
		return false;
	*colon = '\0';
	if (*a == '[' && colon[-1] == ']') {
		a++;
		colon[-1] = '\0';
	}
	v = strtoul(colon + 1, &end, 10);
	if (*end || end == colon + 1 || v > UINT16_MAX || net_addr_parse(a, &n))
		return false;
	memcpy(addr, n.b, 16);
	*port = htons((uint16_t)v);
	return true;
}

/* What a verdict says. */
static json_t *verdict(const struct gw *gw, const struct corr_verdict *v)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "verdict", corr_action_name(v->action), "why",
			      corr_why_name(v->why), "server", server_name(gw, v->server), "via",
			      server_name(gw, v->via));
	char fields[100];

	if (v->service)
		json_object_set_new(o, "service", json_string(v->service->cfg.name));
	json_object_set_new(o, "rule", json_string(rule_name(gw, v->rule)));
	json_object_set_new(o, "rule_fields",
			    json_string(corr_fields_str(v->fields, fields, sizeof(fields))));
	return o;
}

json_t *gw_cmd_service_pick(struct gw *gw, const json_t *req)
{
	const char *client = json_string_value(json_object_get(req, "conn"));
	const char *server = json_string_value(json_object_get(req, "server"));
	struct pick_call c = {.ask = {.host = CORR_NONE, .dry = true}};
	struct corr_flow *f = &c.ask.pkt.key.flow;
	struct net_flow flow;

	if (!gw_endpoint_parse(client, f->remote, &f->rport) ||
	    !gw_endpoint_parse(server, f->local, &f->lport))
		return refusal("service pick CLIENT:PORT SERVER:PORT, as 10.0.0.9:40000 "
			       "10.77.0.100:80");
	if (!gw->policy || !corr_policy_concerns(gw->policy, f->local))
		return refusal("no service, rule or shared address concerns this server address");
	c.ask.pkt.key.proto = CORR_TCP;
	c.ask.pkt.flags = CORR_TCP_SYN;
	memcpy(&flow, f, sizeof(flow));
	gw_call(gw->worker[gw_spread_flow(gw, &flow)], on_pick, &c);
	return verdict(gw, &c.v);
}

json_t *gw_cmd_server_list(struct gw *gw, const json_t *req)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->cfg->n_server; i++) {
		const struct gw_host *h = &gw->host[i];
		const struct corr_live_server *s = &gw->live->server[i];
		bool here = h->state == GW_HOST_UP || h->state == GW_HOST_GREETING;
		char text[NET_ADDRSTR];
		json_t *addrs;

		if (!*h->cfg->name)
			continue; /* a place that nobody has */
		addrs = json_array();
		for (uint32_t j = 0; j < h->cfg->n_addr; j++)
			json_array_append_new(addrs,
					      json_string(net_addr_str(&h->cfg->addr[j], text)));
		json_array_append_new(
			list,
			json_pack(
				"{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
				"name", h->cfg->name, "state", gw_host_state_name(h->state),
				"addresses", addrs, "dlid", (json_int_t)(here ? h->native.lid : 0),
				"qpn", (json_int_t)(here ? h->native.qpn : 0), "accelerated",
				(json_int_t)atomic_load(&h->accelerated), "arenas",
				(json_int_t)atomic_load(&h->n_arena), "health",
				gw_health_name(gw, i), "weight", (json_int_t)h->cfg->weight,
				"share_percent",
				(json_int_t)(100 * atomic_load(&s->share) / CORR_SHARE_FULL),
				"flows", (json_int_t)atomic_load(&s->conns), "tcp_flows",
				(json_int_t)atomic_load(&s->tcp), "flows_total",
				(json_int_t)atomic_load(&s->picked), "read_us",
				(json_int_t)atomic_load(&h->link[0].read_us)));
	}
	return json_pack("{s:o}", "servers", list);
}

/* server drain and ready. */
static json_t *drain(struct gw *gw, const json_t *req, bool drained)
{
	const char *name = json_string_value(json_object_get(req, "conn"));

	const uint32_t i = name ? gw_server_named(gw->cfg, name) : UINT32_MAX;

	if (i == UINT32_MAX)
		return refusal("no such server; \"server list\" names them");
	gw_health_drain(gw, i, drained);
	return json_pack("{s:s, s:s, s:I}", "server", name, "health", gw_health_name(gw, i),
			 "flows", (json_int_t)atomic_load(&gw->live->server[i].conns));
}

json_t *gw_cmd_server_drain(struct gw *gw, const json_t *req)
{
	return drain(gw, req, true);
}

json_t *gw_cmd_server_ready(struct gw *gw, const json_t *req)
{
	return drain(gw, req, false);
}

json_t *gw_cmd_rule_list(struct gw *gw, const json_t *req)
{
	json_t *list = json_array();
	char fields[100];

	for (uint32_t i = 0; i < gw->cfg->n_rule; i++) {
		const struct gw_rule_cfg *r = &gw->cfg->rule[i];

		json_array_append_new(
			list,
			json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I}", "order", (json_int_t)i + 1,
				  "name", r->name, "action",
				  corr_action_name((enum corr_action)r->action), "asks_for",
				  corr_fields_str(corr_rules_fields(gw->policy->rules, i), fields,
						  sizeof(fields)),
				  "via", r->via, "hits",
				  (json_int_t)atomic_load(&gw->live->rule_hits[r->id]), "flows",
				  (json_int_t)atomic_load(&gw->live->rule_conns[r->id])));
	}
	json_array_append_new(
		list, json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I}", "order",
				(json_int_t)gw->cfg->n_rule + 1, "name", "(default)", "action",
				corr_action_name((enum corr_action)gw->cfg->otherwise), "asks_for",
				"none", "via", "", "hits", (json_int_t)0, "flows", (json_int_t)0));
	return json_pack("{s:o}", "rules", list);
}

/** A piece of a worker's flows. */
struct flows_call {
	uint32_t it;			  /* where to go on */
	uint32_t n;			  /* filled */
	struct corr_track_key key[FLOWS]; /* of each */
	struct corr_track flow[FLOWS];	  /* each */
};

static void on_flows(struct gw_worker *w, void *arg)
{
	struct flows_call *c = arg;
	const struct corr_table *t = w->steer->tracks.table;
	const struct corr_track *e;

	for (c->n = 0; c->n < FLOWS && (e = corr_table_next(t, &c->it)); c->n++) {
		c->flow[c->n] = *e;
		memcpy(&c->key[c->n], corr_table_key(t, e), sizeof(c->key[0]));
	}
}

/* "10.77.0.2:40000" or "[fd77::2]:40000". */
static json_t *endpoint_json(const uint8_t addr[16], uint16_t port_be)
{
	char text[NET_ADDRSTR], buf[NET_ADDRSTR + 10];
	struct net_addr a;

	memcpy(a.b, addr, 16);
	net_addr_str(&a, text);
	snprintf(buf, sizeof(buf), net_addr_is_v4(&a) ? "%s:%u" : "[%s]:%u", text, ntohs(port_be));
	return json_string(buf);
}

static json_t *flow_json(const struct gw *gw, uint32_t worker, const struct corr_track_key *k,
			 const struct corr_track *e, uint64_t now_ms)
{
	return json_pack("{s:o, s:o, s:i, s:s, s:s, s:s, s:b, s:b, s:s, s:f, s:f, s:I}", "client",
			 endpoint_json(k->flow.remote, k->flow.rport), "address",
			 endpoint_json(k->flow.local, k->flow.lport), "protocol", (int)k->proto,
			 "server", server_name(gw, e->server), "via", server_name(gw, e->via),
			 "state", corr_flow_state_name((enum corr_flow_state)e->state), "outbound",
			 e->outbound, "no_acceleration", e->no_accel, "rule",
			 rule_name(gw, e->rule), "age_s", (double)(now_ms - e->born_ms) / 1000,
			 "idle_s", (double)(now_ms - e->seen_ms) / 1000, "worker",
			 (json_int_t)worker);
}

json_t *gw_cmd_map_flows(struct gw *gw, const json_t *req)
{
	struct flows_call *c = malloc(sizeof(*c));
	const uint64_t now_ms = gw_now_us() / 1000;
	json_t *list = json_array();

	for (uint32_t i = 0; c && gw->policy && i < gw->n_worker; i++) {
		c->it = 0;
		do {
			gw_call(gw->worker[i], on_flows, c);
			for (uint32_t k = 0; k < c->n; k++)
				json_array_append_new(
					list, flow_json(gw, i, &c->key[k], &c->flow[k], now_ms));
		} while (c->n == FLOWS);
	}
	free(c);
	return json_pack("{s:o}", "flows", list);
}
