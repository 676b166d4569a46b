/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_conf.c - what a script says of a connection: the fields of its request for
 * acceleration, by the names of docs/protocol.md section 5.4.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_replay.h"

/** A field of struct ib_req. */
struct field {
	const char *name;
	uint16_t off;  /* in the request */
	uint16_t size; /* bytes, big-endian */
};

#define F(member)                                                                                 \
	{                                                                                         \
#member, offsetof(struct ib_req, member), sizeof(((struct ib_req *)NULL)->member) \
	}
static const struct field fields[] = {
	F(token),   F(req_id),	F(arena),     F(slot),	   F(flags),   F(snd_wscale), F(rcv_wscale),
	F(rsvd),    F(rport),	F(lport),     F(mss),	   F(snd_una), F(snd_nxt),    F(snd_wnd),
	F(snd_wl1), F(max_wnd), F(rcv_nxt),   F(rcv_edge), F(ts_val),  F(ts_recent),  F(srtt_us),
	F(ip),	    F(tx_prod), F(rttvar_us), F(rx_prod),  F(rx_cons),
};
#undef F

/* Stores a number in `size` bytes, highest first. */
static void put(void *at, uint32_t size, uint64_t v)
{
	uint8_t *p = at;

	for (uint32_t i = size; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

bool gw_rep_req_edit(struct gw_rep *r, struct ib_req *q, const struct gw_rep_line *l)
{
	const char *remote = gw_rep_arg(l, "remote", NULL), *local = gw_rep_arg(l, "local", NULL);
	struct net_addr a;

	for (size_t i = 0; i < RTE_DIM(fields); i++) {
		const char *v = gw_rep_arg(l, fields[i].name, NULL);

		if (v)
			put((uint8_t *)q + fields[i].off, fields[i].size, strtoull(v, NULL, 0));
	}
	if (remote && net_addr_parse(remote, &a) == 0)
		memcpy(q->remote, a.b, sizeof(q->remote));
	if (local && net_addr_parse(local, &a) == 0)
		memcpy(q->local, a.b, sizeof(q->local));
	return true;
}

/* "client=ADDRESS:PORT" and the like. */
static bool endpoint(struct gw_rep *r, const struct gw_rep_line *l, const char *key,
		     struct net_addr *a, uint16_t *port)
{
	const char *v = gw_rep_arg(l, key, NULL);

	if (v && gw_endpoint_parse(v, a->b, port))
		return true;
	gw_rep_fail_at(r, &r->script, l, "%s=ADDRESS:PORT is missing or malformed", key);
	return false;
}

/* Whether an option is "yes" (or not given and so by default). */
static bool yes(const struct gw_rep_line *l, const char *key, bool def)
{
	const char *v = gw_rep_arg(l, key, NULL);

	return v ? strcmp(v, "yes") == 0 : def;
}

/* A request as a server in a usual state makes it: snd=, rcv= are the next sequence numbers. */
static void usual(struct gw_rep_conn *c, const struct gw_rep_line *l, uint32_t rx_size)
{
	uint32_t snd = (uint32_t)gw_rep_num(l, "snd", 1), rcv = (uint32_t)gw_rep_num(l, "rcv", 1);
	uint32_t wnd = (uint32_t)gw_rep_num(l, "window", 65535);
	struct ib_req *q = &c->req;

	memcpy(q->remote, c->flow.remote.b, sizeof(q->remote));
	memcpy(q->local, c->flow.local.b, sizeof(q->local));
	q->rport = c->flow.rport;
	q->lport = c->flow.lport;
	q->arena = htobe16(1);
	q->slot = htobe16(c->slot);
	q->flags = (yes(l, "wscale", true) ? IB_REQ_WSCALE : 0) |
		   (yes(l, "sack", true) ? IB_REQ_SACK : 0);
	if (yes(l, "wscale", true))
		q->snd_wscale = q->rcv_wscale = 7;
	if (gw_rep_arg(l, "ts", NULL)) {
		q->flags |= IB_REQ_TS;
		q->ts_val = htobe32((uint32_t)gw_rep_num(l, "ts", 0));
		if (gw_rep_arg(l, "recent", NULL))
			q->flags |= IB_REQ_TS_RECENT;
		q->ts_recent = htobe32((uint32_t)gw_rep_num(l, "recent", 0));
	}
	q->mss = htobe32(1460);
	q->snd_una = q->snd_nxt = htobe32(snd);
	q->snd_wnd = q->max_wnd = htobe32(wnd);
	q->snd_wl1 = q->rcv_nxt = htobe32(rcv);
	q->rcv_edge = htobe32(rcv + rx_size);
}

bool gw_rep_conn_define(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	struct gw_rep_conn *c = &r->conn[r->n_conn];

	if (l->n < 3 || strlen(l->word[2]) >= sizeof(c->name) || r->n_conn == GW_REP_CONNS ||
	    gw_rep_conn_named(r, l->word[2])) {
		gw_rep_fail_at(r, &r->script, l,
			       "conn NAME: missing, too long, a second time, or more than %u",
			       GW_REP_CONNS);
		return false;
	}
	memset(c, 0, sizeof(*c));
	strcpy(c->name, l->word[2]);
	c->host = s;
	c->slot = (uint16_t)gw_rep_num(l, "slot", r->n_conn % s->layout.slots);
	if (!endpoint(r, l, "client", &c->flow.remote, &c->flow.rport) ||
	    !endpoint(r, l, "server", &c->flow.local, &c->flow.lport))
		return false;
	usual(c, l, s->layout.rx_size);
	c->req.req_id = htobe32(++r->n_conn);
	c->reads = yes(l, "reads", true);
	c->acks = yes(l, "acks", true);
	c->bounces = yes(l, "bounces", true);
	return gw_rep_req_edit(r, &c->req, l);
}
