/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_map_import.c - flows that another gateway, or this one before it was restarted, has shown by
 * "map show flows" are put into the connection tables (control thread, and a call to each worker):
 * so they keep the servers they have although the policy would choose others by now.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"

#define ROWS_MAX 512 /* of one request */

/** A flow to be imported. */
struct row {
	struct corr_track_key key;
	struct corr_track flow;
	uint32_t worker; /* whose it is */
};

/** What is imported into one worker. */
struct import_call {
	struct row *row;   /* all rows of the request */
	uint32_t n;	   /* of them */
	uint32_t imported; /* new in the table */
	uint32_t known;	   /* there already */
};

static uint16_t server_index(const struct gw *gw, const json_t *name)
{
	const char *text = json_string_value(name);

	const uint32_t i = text ? gw_server_named(gw->cfg, text) : UINT32_MAX;

	return i == UINT32_MAX ? CORR_NONE : (uint16_t)i;
}

/* Reads the state by name; false: none of them. */
static bool read_state(const json_t *name, uint8_t *state)
{
	const char *text = json_string_value(name);

	for (int i = 0; text && i < CORR_FLOW_COUNT; i++)
		if (strcmp(text, corr_flow_state_name((enum corr_flow_state)i)) == 0) {
			*state = (uint8_t)i;
			return true;
		}
	return false;
}

/* Milliseconds from a number of seconds, not more than there have been. */
static uint64_t ms_ago(const json_t *seconds, uint64_t now_ms)
{
	const double s = json_number_value(seconds);

	return s > 0 && s * 1000 < (double)now_ms ? now_ms - (uint64_t)(s * 1000) : now_ms;
}

/* Reads one row; false: it makes no sense here. */
static bool read_row(const struct gw *gw, const json_t *o, uint64_t now_ms, struct row *r)
{
	const json_int_t proto = json_integer_value(json_object_get(o, "protocol"));
	struct corr_flow *f = &r->key.flow;
	const struct corr_service *v;
	struct net_flow flow;

	memset(r, 0, sizeof(*r));
	if (proto < 0 || proto > 255 ||
	    !gw_endpoint_parse(json_string_value(json_object_get(o, "client")), f->remote,
			       &f->rport) ||
	    !gw_endpoint_parse(json_string_value(json_object_get(o, "address")), f->local,
			       &f->lport) ||
	    !read_state(json_object_get(o, "state"), &r->flow.state))
		return false;
	r->key.proto = (uint8_t)proto;
	r->flow.server = server_index(gw, json_object_get(o, "server"));
	r->flow.via = server_index(gw, json_object_get(o, "via"));
	r->flow.rule = CORR_NONE;
	r->flow.outbound = json_is_true(json_object_get(o, "outbound"));
	r->flow.no_accel = json_is_true(json_object_get(o, "no_acceleration"));
	r->flow.born_ms = ms_ago(json_object_get(o, "age_s"), now_ms);
	r->flow.seen_ms = ms_ago(json_object_get(o, "idle_s"), now_ms);
	v = corr_services_find(gw->policy->services, f->local, be16toh(f->lport), r->key.proto);
	r->flow.service = v && !r->flow.outbound ? v->cfg.id : CORR_NONE;
	memcpy(&flow, f, sizeof(flow));
	r->worker = gw_spread_flow(gw, &flow);
	return r->flow.server != CORR_NONE && corr_policy_concerns(gw->policy, f->local);
}

static void on_import(struct gw_worker *w, void *arg)
{
	struct import_call *c = arg;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct row *r = &c->row[i];
		struct corr_track *e;

		if (r->worker != w->index)
			continue;
		e = corr_track_find(&w->steer->tracks, &r->key);
		if (e && e->state == CORR_FLOW_GUESSED) { /* the file knows better */
			corr_track_del(&w->steer->tracks, e);
			e = NULL;
		}
		if (e)
			c->known++;
		else if (corr_track_add(&w->steer->tracks, &r->key, &r->flow))
			c->imported++;
	}
}

json_t *gw_cmd_map_import(struct gw *gw, const json_t *req)
{
	const json_t *list = json_object_get(req, "flows"), *o;
	const uint64_t now_ms = gw_now_us() / 1000;
	const size_t n = json_array_size(list);
	struct import_call c = {0};
	size_t i;

	if (!gw->policy || n > ROWS_MAX)
		return json_pack("{s:s}", "error",
				 n > ROWS_MAX ? "too many flows in one request"
					      : "nothing is shared here and there are no rules");
	c.row = calloc(n + 1, sizeof(*c.row));
	json_array_foreach(list, i, o)
	{
		if (c.row && read_row(gw, o, now_ms, &c.row[c.n]))
			c.n++;
	}
	for (uint32_t k = 0; k < gw->n_worker; k++)
		gw_call(gw->worker[k], on_import, &c);
	free(c.row);
	return json_pack("{s:I, s:I, s:I}", "imported", (json_int_t)c.imported, "known",
			 (json_int_t)c.known, "refused", (json_int_t)(n - c.imported - c.known));
}
