/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_conn.c - connections for the control socket: rows of all workers, native and
 * accelerated, fetched in pieces so that no worker stands still for long.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_conn_filter.h"
#include "gateway/gw_conn_rows.h"
#include "gateway/gw_int.h"

static void on_rows(struct gw_worker *w, void *arg)
{
	struct gw_rows *c = arg;

	c->n = 0;
	while (c->n < GW_ROWS && (c->accelerated ? gw_accel_next(w, &c->it, &c->row[c->n])
						 : gw_flows_next(w, &c->it, &c->row[c->n])))
		c->n++;
}

void gw_rows_fetch(struct gw_worker *w, struct gw_rows *c)
{
	gw_call(w, on_rows, c);
}

const char *gw_control_host(const struct gw *gw, const struct gw_conn_row *r)
{
	return r->host < gw->cfg->n_server ? gw->host[r->host].cfg->name : "";
}

/* "10.77.0.2:40000" or "[fd77::2]:40000". */
static void endpoint(char buf[NET_ADDRSTR + 10], const struct net_addr *a, uint16_t port_be)
{
	char text[NET_ADDRSTR];

	net_addr_str(a, text);
	snprintf(buf, NET_ADDRSTR + 10, net_addr_is_v4(a) ? "%s:%u" : "[%s]:%u", text,
		 ntohs(port_be));
}

json_t *gw_control_row(const struct gw *gw, const struct gw_conn_row *r)
{
	const struct gw_host *h = r->host < gw->cfg->n_server ? &gw->host[r->host] : NULL;
	char client[NET_ADDRSTR + 10], server[NET_ADDRSTR + 10], gid[INET6_ADDRSTRLEN];
	const uint8_t *dgid = r->accelerated || !h ? r->dgid : h->native.gid;
	json_t *o = json_object();

	endpoint(client, &r->flow.remote, r->flow.rport);
	endpoint(server, &r->flow.local, r->flow.lport);
	inet_ntop(AF_INET6, dgid, gid, sizeof(gid));
#define PUT_S(k, v) json_object_set_new(o, k, json_string(v))
#define PUT_I(k, v) json_object_set_new(o, k, json_integer((json_int_t)(v)))
	PUT_S("client", client);
	PUT_S("server", server);
	PUT_S("host", h ? h->cfg->name : "");
	PUT_S("mode", r->accelerated ? "accelerated" : "native");
	PUT_S("reason", ib_reason_name(r->reason));
	PUT_S("state", r->state);
	PUT_I("dlid", r->accelerated || !h ? r->dlid : h->native.lid);
	PUT_S("dgid", gid);
	PUT_I("qpn", r->accelerated || !h ? r->qpn : h->native.qpn);
	PUT_I("token", r->token);
	PUT_I("tx_bytes", r->tx_bytes);
	PUT_I("rx_bytes", r->rx_bytes);
	PUT_I("retransmits", r->retransmits);
	PUT_I("srtt_us", r->srtt_us);
	PUT_I("cwnd", r->cwnd);
	PUT_I("rdma_read_bytes", r->rdma_read_bytes);
	PUT_I("rdma_write_bytes", r->rdma_write_bytes);
	json_object_set_new(o, "age_s", json_real((double)(r->age_us / 1000) / 1000));
	PUT_I("worker", r->worker);
#undef PUT_S
#undef PUT_I
	return o;
}

/* Appends a worker's rows that fit. */
static void add_rows(struct gw *gw, struct gw_worker *w, bool accelerated,
		     const struct gw_conn_filter *f, json_t *list, json_t *seen)
{
	struct gw_rows *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->accelerated = accelerated;
	do {
		gw_rows_fetch(w, c);
		for (uint32_t i = 0; i < c->n; i++) {
			json_t *row;

			if (!gw_conn_filter_match(f, &c->row[i], gw_control_host(gw, &c->row[i])))
				continue;
			row = gw_control_row(gw, &c->row[i]);
			gw_conn_rows_add(list, seen, row);
			json_decref(row);
		}
	} while (c->n == GW_ROWS);
	free(c);
}

json_t *gw_control_conns(struct gw *gw, const struct gw_conn_filter *f)
{
	json_t *list = json_array(), *seen = json_object();

	for (uint32_t i = 0; i < gw->n_worker; i++)
		add_rows(gw, gw->worker[i], true, f, list, seen);
	for (uint32_t i = 0; i < gw->n_worker; i++)
		add_rows(gw, gw->worker[i], false, f, list, seen);
	json_decref(seen);
	return list;
}
