/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_neigh.c - neighbours on the client LANs for the control socket: what all workers know,
 * each once, and what a file of another gateway, or of this one before it was restarted, says.
 */
#include "gateway/gw_int.h"

#define ROWS	 64   /* fetched in one call of a worker */
#define ROWS_MAX 1024 /* of one import */

/** A piece of a worker's table. */
struct neigh_call {
	uint32_t it;		       /* where to go on */
	uint32_t n;		       /* filled */
	struct gw_neigh_row row[ROWS]; /* the rows */
};

static void on_list(struct gw_worker *w, void *arg)
{
	struct neigh_call *c = arg;

	for (c->n = 0; c->n < ROWS && gw_neigh_next(w, &c->it, &c->row[c->n]);)
		c->n++;
}

/* A neighbour of which a worker knows the MAC counts for more than one that is asked for. */
static void add_row(const struct gw *gw, json_t *all, const struct gw_neigh_row *r)
{
	char addr[NET_ADDRSTR], mac[RTE_ETHER_ADDR_FMT_SIZE];

	net_addr_str(&r->addr, addr);
	if (json_object_get(all, addr) && rte_is_zero_ether_addr(&r->mac))
		return;
	rte_ether_format_addr(mac, sizeof(mac), &r->mac);
	json_object_set_new(all, addr,
			    json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "address", addr, "mac",
				      rte_is_zero_ether_addr(&r->mac) ? "" : mac, "port",
				      gw->cfg->port[r->port].name, "state", r->state, "age_s",
				      (double)r->age_ms / 1000, "idle_s",
				      (double)r->idle_ms / 1000));
}

json_t *gw_cmd_neigh_list(struct gw *gw, const json_t *req)
{
	json_t *all = json_object(), *list = json_array(), *row;
	struct neigh_call c;
	const char *key;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		c.it = 0;
		do {
			gw_call(gw->worker[i], on_list, &c);
			for (uint32_t k = 0; k < c.n; k++)
				add_row(gw, all, &c.row[k]);
		} while (c.n == ROWS);
	}
	json_object_foreach(all, key, row) json_array_append(list, row);
	json_decref(all);
	return json_pack("{s:o}", "neighbours", list);
}

/** Neighbours to be learned. */
struct learn_call {
	struct gw_neigh_cfg *neigh; /* owned by the caller */
	struct gw_port **port;	    /* of each */
	uint32_t n;		    /* of them */
};

static void on_learn(struct gw_worker *w, void *arg)
{
	const struct learn_call *c = arg;

	for (uint32_t i = 0; i < c->n; i++)
		gw_neigh_learn(w, c->port[i], &c->neigh[i].addr, &c->neigh[i].mac);
}

json_t *gw_cmd_neigh_import(struct gw *gw, const json_t *req)
{
	const json_t *list = json_object_get(req, "neighbours"), *o;
	const size_t n = json_array_size(list);
	struct learn_call c = {.n = 0};
	size_t i;

	if (n > ROWS_MAX)
		return json_pack("{s:s}", "error", "too many neighbours in one request");
	c.neigh = calloc(n + 1, sizeof(*c.neigh));
	c.port = calloc(n + 1, sizeof(struct gw_port *));
	json_array_foreach(list, i, o)
	{
		const char *addr = json_string_value(json_object_get(o, "address"));
		const char *mac = json_string_value(json_object_get(o, "mac"));

		if (!c.neigh || !c.port || !addr || !mac ||
		    net_addr_parse(addr, &c.neigh[c.n].addr) ||
		    rte_ether_unformat_addr(mac, &c.neigh[c.n].mac))
			continue;
		c.port[c.n] = gw_port_of(gw, &c.neigh[c.n].addr);
		c.n += c.port[c.n] != NULL;
	}
	for (uint32_t k = 0; k < gw->n_worker; k++)
		gw_call(gw->worker[k], on_learn, &c);
	free(c.neigh);
	free(c.port);
	return json_pack("{s:I}", "neighbours", (json_int_t)c.n);
}
