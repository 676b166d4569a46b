/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_act.c - commands about single connections: show, accelerate, decelerate, kill. Each
 * names them by token, by client, or by client and server, and concerns all that fit.
 */
#include <errno.h>
#include <string.h>

#include "gateway/gw_conn_filter.h"
#include "gateway/gw_int.h"

/* Nothing fits. */
static json_t *nothing(void)
{
	return json_pack("{s:s}", "error", "no such connection; \"conn list\" names them");
}

json_t *gw_control_matching(struct gw *gw, const json_t *req)
{
	const char *conn = json_string_value(json_object_get(req, "conn"));
	json_t *server = json_object_get(req, "server"), *keys = json_object(), *found;
	struct gw_conn_filter f;
	char err[GW_FILTER_ERR];

	json_object_set_new(keys, conn && strchr(conn, ':') ? "client" : "token",
			    json_string(conn));
	if (server)
		json_object_set(keys, "server", server);
	if (conn && gw_conn_filter_parse(&f, keys, err) == 0)
		found = gw_control_conns(gw, &f);
	else
		found = json_array();
	json_decref(keys);
	return found;
}

json_t *gw_cmd_conn_show(struct gw *gw, const json_t *req)
{
	json_t *found = gw_control_matching(gw, req), *row;
	size_t i;

	json_array_foreach(found, i, row) gw_control_detail(gw, row);
	if (json_array_size(found))
		return json_pack("{s:o}", "connections", found);
	json_decref(found);
	return nothing();
}

/** Something to be done by the worker of a connection. */
struct act {
	uint32_t token;	      /* which, when it is accelerated */
	bool kill;	      /* kill, or hand back */
	struct net_flow flow; /* which, when it is native */
	uint32_t host;	      /* whose that is */
	int rc;		      /* result */
};

static void on_token(struct gw_worker *w, void *arg)
{
	struct act *c = arg;

	c->rc = c->kill ? gw_accel_kill(w, c->token) : gw_accel_handback(w, c->token, IB_R_COMMAND);
}

static void on_ask(struct gw_worker *w, void *arg)
{
	struct act *c = arg;

	c->rc = gw_accel_ask(w, c->host, &c->flow);
}

/* Worker that a row names. */
static struct gw_worker *worker_of(struct gw *gw, const json_t *row)
{
	return gw->worker[json_integer_value(json_object_get(row, "worker"))];
}

static uint32_t token_of(const json_t *row)
{
	return (uint32_t)json_integer_value(json_object_get(row, "token"));
}

/* conn kill and conn decelerate. */
static json_t *end(struct gw *gw, const json_t *req, bool kill)
{
	json_t *found = gw_control_matching(gw, req), *row;
	size_t i, done = 0, native = 0;

	json_array_foreach(found, i, row)
	{
		struct act c = {.token = token_of(row), .kill = kill};

		if (!c.token) {
			native++;
			continue;
		}
		gw_call(worker_of(gw, row), on_token, &c);
		done += c.rc == 0;
	}
	json_decref(found);
	if (done)
		return json_pack("{s:I}", kill ? "killed" : "decelerated", (json_int_t)done);
	if (native)
		return json_pack("{s:s}", "error",
				 "the connection is native: its server's kernel has it");
	return nothing();
}

json_t *gw_cmd_conn_kill(struct gw *gw, const json_t *req)
{
	return end(gw, req, true);
}

json_t *gw_cmd_conn_decelerate(struct gw *gw, const json_t *req)
{
	return end(gw, req, false);
}

/* Flow and host of a row. */
static bool flow_of(const struct gw *gw, const json_t *row, struct act *c)
{
	const char *host = json_string_value(json_object_get(row, "host"));
	json_t *ends = json_pack("{s:O, s:O}", "client", json_object_get(row, "client"), "server",
				 json_object_get(row, "server"));
	struct gw_conn_filter f;
	char err[GW_FILTER_ERR];
	int rc = gw_conn_filter_parse(&f, ends, err);

	json_decref(ends);
	if (rc)
		return false;
	c->flow = (struct net_flow){.remote = f.client.addr,
				    .local = f.server.addr,
				    .rport = f.client.port_be,
				    .lport = f.server.port_be};
	for (c->host = 0; c->host < gw->cfg->n_server; c->host++)
		if (host && !strcmp(gw->cfg->server[c->host].name, host))
			return true;
	return false;
}

/* Why a native connection cannot be asked for, or NULL. */
static const char *unwilling(const struct gw *gw, const json_t *row, const struct act *c)
{
	const char *reason = json_string_value(json_object_get(row, "reason"));

	if (!gw_take_service(gw->cfg, &c->flow))
		return "no service with acceleration covers its server's address and port; see "
		       "\"service list\"";
	if (reason && !strcmp(reason, ib_reason_name(IB_R_COMMAND)))
		return "it was handed back: its server's kernel keeps it to its end";
	return NULL;
}

json_t *gw_cmd_conn_accelerate(struct gw *gw, const json_t *req)
{
	json_t *found = gw_control_matching(gw, req), *row;
	const char *why = NULL;
	size_t i, asked = 0;

	json_array_foreach(found, i, row)
	{
		struct act c = {0};

		if (token_of(row))
			why = "it is accelerated already";
		else if (!flow_of(gw, row, &c))
			why = "its server has no host";
		else
			why = unwilling(gw, row, &c);
		if (why)
			continue;
		gw_call(worker_of(gw, row), on_ask, &c);
		asked += c.rc == 0;
		why = c.rc ? "its host is not attached; see \"server list\"" : NULL;
	}
	json_decref(found);
	if (asked)
		return json_pack("{s:I}", "asked", (json_int_t)asked);
	return why ? json_pack("{s:s}", "error", why) : nothing();
}
