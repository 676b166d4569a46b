/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_conn.c - accelerated connections as the scripted server sees them: requests, cursors,
 * doorbells, hand-back (docs/protocol.md sections 6 to 10), and the program at the socket.
 *
 * A script says when the program sends, reads and closes; what follows from that by the protocol
 * (COMMIT after GRANT, doorbells when armed, bounced frames, HandbackAck) happens by itself unless
 * the connection is declared without it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_replay.h"

static const char *const state_names[] = {
#define _(sym, name) [GW_REP_##sym] = name,
	GW_REP_FOREACH_STATE(_)
#undef _
};

const char *gw_rep_state_name(enum gw_rep_state s)
{
	return state_names[s];
}

struct gw_rep_conn *gw_rep_conn_named(struct gw_rep *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_conn; i++)
		if (strcmp(r->conn[i].name, name) == 0)
			return &r->conn[i];
	return NULL;
}

static struct ib_host_line *host_line(const struct gw_rep_conn *c)
{
	return (struct ib_host_line *)c->host->arena + c->slot % c->host->layout.slots;
}

static struct ib_gw_line *gw_line(const struct gw_rep_conn *c)
{
	const struct ib_arena *a = &c->host->layout;

	return (struct ib_gw_line *)(c->host->arena + (a->gw_base - a->host_base)) +
	       c->slot % a->slots;
}

static uint8_t *ring(const struct gw_rep_conn *c, bool tx)
{
	const struct ib_arena *a = &c->host->layout;
	uint64_t base = tx ? a->tx_base : a->rx_base, size = tx ? a->tx_size : a->rx_size;

	return c->host->arena + (base - a->host_base) + (c->slot % a->slots) * size;
}

static void message(struct gw_rep_conn *c, uint8_t mid, enum ib_reason why)
{
	struct ib_ctl m = {.token = htobe32(c->token), .reason = htobe16((uint16_t)why)};

	if (mid == IB_MID_COMMIT || mid == IB_MID_CANCEL)
		m.req_id = c->req.req_id;
	if (mid == IB_MID_CANCEL)
		m.token = 0;
	ib_set_msg(&c->host->set, mid, &m);
}

static void doorbell(struct gw_rep_conn *c)
{
	struct ib_cursor m = {.token = htobe32(c->token), .flags = htobe32(c->flags)};

	m.cursor = htobe64(c->tx_prod);
	m.other = htobe64(c->rx_cons);
	ib_set_msg(&c->host->set, IB_MID_SRC_AVAIL, &m);
}

/* Publishes cursors and rings when the gateway waits for what moved. */
static void publish(struct gw_rep_conn *c, uint64_t old_prod, uint64_t old_cons, bool force)
{
	struct ib_host_line *h = host_line(c);
	const struct ib_gw_line *g = gw_line(c);
	uint64_t arm_tx = le64toh(g->arm_tx), arm_rx = le64toh(g->arm_rx);

	h->tx_prod = htole64(c->tx_prod);
	h->rx_cons = htole64(c->rx_cons);
	h->flags = htole32(c->flags);
	if (c->state != GW_REP_ACTIVE)
		return;
	if (force || (old_prod <= arm_tx && c->tx_prod > arm_tx) ||
	    (old_cons <= arm_rx && c->rx_cons > arm_rx))
		doorbell(c);
}

/* The program sends n bytes, of data or, when that is NULL, of the alphabet. */
static bool produce(struct gw_rep_conn *c, const char *data, uint32_t n)
{
	uint64_t acked = c->token ? le64toh(gw_line(c)->tx_acked) : 0, old = c->tx_prod;
	uint32_t size = c->host->layout.tx_size;
	uint8_t *to = ring(c, true);

	if (c->tx_prod - acked + n > size)
		return false;
	for (uint32_t i = 0; i < n; i++, c->tx_prod++)
		to[c->tx_prod % size] = data ? (uint8_t)data[i] : 'a' + (uint8_t)(c->tx_prod % 26);
	publish(c, old, c->rx_cons, false);
	return true;
}

static void ask(struct gw_rep_conn *c, const struct gw_rep_line *l)
{
	struct ib_host_line *h = host_line(c);
	struct ib_gw_line *g = gw_line(c);
	struct ib_req q = c->req;

	if (c->tx_prod)
		q.tx_prod = htobe64(c->tx_prod);
	gw_rep_req_edit(c->host->rep, &q, l);
	memset(g, 0, sizeof(*g));
	memset(h, 0, sizeof(*h));
	g->arm_tx = g->arm_rx = htole64(IB_ARM_NEVER);
	g->tx_sent = htole64(be32toh(q.snd_nxt) - be32toh(q.snd_una));
	g->rx_prod = htole64(be64toh(q.rx_prod));
	c->tx_prod = be64toh(q.tx_prod);
	c->rx_seen = be64toh(q.rx_prod);
	c->rx_cons = be64toh(q.rx_cons);
	publish(c, c->tx_prod, c->rx_cons, false);
	c->state = GW_REP_ASKED;
	c->req.req_id = q.req_id;
	ib_set_msg(&c->host->set, IB_MID_REQ, &q);
}

static void commit(struct gw_rep_conn *c)
{
	host_line(c)->token = htole32(c->token);
	gw_line(c)->token = htole32(c->token);
	c->state = GW_REP_ACTIVE;
	message(c, IB_MID_COMMIT, IB_R_NONE);
}

/* --- what the gateway says --------------------------------------------------------------- */

static struct gw_rep_conn *by_req(struct gw_rep_host *s, uint32_t req_id)
{
	for (uint32_t i = 0; i < s->rep->n_conn; i++)
		if (s->rep->conn[i].host == s && s->rep->conn[i].req.req_id == req_id)
			return &s->rep->conn[i];
	return NULL;
}

static struct gw_rep_conn *by_token(struct gw_rep_host *s, uint32_t token)
{
	for (uint32_t i = 0; i < s->rep->n_conn; i++)
		if (s->rep->conn[i].host == s && s->rep->conn[i].token == token)
			return &s->rep->conn[i];
	return NULL;
}

static void on_grant(struct gw_rep_host *s, const struct ib_grant *m)
{
	struct gw_rep_conn *c = by_req(s, m->req_id);

	if (!c || c->state != GW_REP_ASKED)
		return;
	c->token = be32toh(m->token);
	c->state = GW_REP_GRANTED;
	if (c->commits)
		commit(c);
}

static void on_ctl(struct gw_rep_host *s, uint8_t mid, const struct ib_ctl *m)
{
	bool by_id = mid == IB_MID_DENY || mid == IB_MID_CANCEL_ACK || mid == IB_MID_REDIRECT;
	struct gw_rep_conn *c = by_id ? by_req(s, m->req_id) : by_token(s, be32toh(m->token));

	if (!c)
		return;
	if (mid == IB_MID_CANCEL_ACK)
		c->state = GW_REP_NATIVE;
	else
		c->state = mid == IB_MID_DISCONN ? GW_REP_BACK
			   : mid == IB_MID_ABORT ? GW_REP_ABORTED
						 : GW_REP_DENIED;
	c->reason = (enum ib_reason)be16toh(m->reason);
	if (!by_id && c->acks)
		message(c, IB_MID_BACK_ACK, IB_R_NONE);
}

static void on_msg(struct ib_set *set, uint8_t mid, const void *entries, int n)
{
	struct gw_rep_host *s = set->owner;

	for (int i = 0; i < n; i++) {
		if (mid == IB_MID_GRANT)
			on_grant(s, (const struct ib_grant *)entries + i);
		else if (mid == IB_MID_DENY || mid == IB_MID_CANCEL_ACK || mid == IB_MID_REDIRECT ||
			 mid == IB_MID_DISCONN || mid == IB_MID_ABORT)
			on_ctl(s, mid, (const struct ib_ctl *)entries + i);
	}
}

static void on_bad(struct ib_set *set, uint8_t mid, uint32_t bytes)
{
	struct gw_rep_host *s = set->owner;

	gw_rep_fail(s->rep, "the gateway sent a malformed message of kind 0x%02x", mid);
}

static void on_dead(struct ib_set *set, enum ibv_wc_status status)
{
	/* the gateway's tick ends the attachment */
}

const struct ib_set_ops gw_rep_set_ops = {
	.from = IB_FROM_GW, .msg = on_msg, .bad = on_bad, .dead = on_dead};

/* --- what the gateway placed ------------------------------------------------------------- */

/* Takes what is new in the receive ring. */
static void take(struct gw_rep_conn *c, uint64_t upto)
{
	uint32_t size = c->host->layout.rx_size, n = (uint32_t)(upto - c->rx_seen);
	const uint8_t *from = ring(c, false);

	if (c->n_got + n > c->got_room) {
		uint32_t room = 2 * (c->n_got + n);
		uint8_t *got = realloc(c->got, room);

		if (!got)
			return;
		c->got = got;
		c->got_room = room;
	}
	for (uint32_t i = 0; i < n; i++)
		c->got[c->n_got++] = from[(c->rx_seen + i) % size];
	c->rx_seen = upto;
}

uint32_t gw_rep_conns_poll(struct gw_rep_host *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->rep->n_conn; i++) {
		struct gw_rep_conn *c = &s->rep->conn[i];
		uint64_t prod, old = c->rx_cons;

		if (c->host != s || !c->token || c->state < GW_REP_ACTIVE)
			continue;
		prod = le64toh(gw_line(c)->rx_prod);
		if (prod > c->rx_seen && prod - c->rx_cons <= s->layout.rx_size) {
			take(c, prod);
			n++;
		}
		if (c->reads && c->rx_cons < c->rx_seen) {
			c->rx_cons = c->rx_seen;
			publish(c, c->tx_prod, old, false);
		}
	}
	return n;
}

bool gw_rep_bounce(struct gw_rep_host *s, const uint8_t *frame, uint32_t len)
{
	struct net_pkt p;

	if (net_parse(frame, len, 0, &p) || p.proto != 6 || !p.l4_off)
		return false;
	for (uint32_t i = 0; i < s->rep->n_conn; i++) {
		const struct gw_rep_conn *c = &s->rep->conn[i];

		if (c->host != s || c->state != GW_REP_ACTIVE || !c->bounces ||
		    c->flow.rport != p.sport || c->flow.lport != p.dport ||
		    !net_addr_eq(&c->flow.remote, &p.src) || !net_addr_eq(&c->flow.local, &p.dst))
			continue;
		gw_rep_datagram(s, &s->ud, frame, len, IB_ENCAP_BOUNCED);
		return true;
	}
	return false;
}

/* --- verbs ------------------------------------------------------------------------------- */

static void verb_send(struct gw_rep *r, struct gw_rep_conn *c, const struct gw_rep_line *l)
{
	uint32_t n = (uint32_t)gw_rep_num(l, "bytes", 0);
	bool ok = gw_rep_arg(l, "bytes", NULL) ? produce(c, NULL, n)
		  : l->n > 3		       ? produce(c, l->word[3], l->len[3])
					       : false;

	if (!ok)
		gw_rep_fail_at(r, &r->script, l, "nothing to send, or no room in the ring");
}

static void verb_read(struct gw_rep_conn *c, const struct gw_rep_line *l)
{
	uint64_t old = c->rx_cons, n = gw_rep_num(l, "bytes", c->rx_seen - c->rx_cons);

	c->rx_cons = RTE_MIN(c->rx_cons + n, c->rx_seen);
	publish(c, c->tx_prod, old, false);
}

/* Cursors as they must never be. */
static void verb_line(struct gw_rep_conn *c, const struct gw_rep_line *l)
{
	c->tx_prod = gw_rep_num(l, "tx_prod", c->tx_prod);
	c->rx_cons = gw_rep_num(l, "rx_cons", c->rx_cons);
	c->flags = (uint32_t)gw_rep_num(l, "flags", c->flags);
	publish(c, c->tx_prod, c->rx_cons, gw_rep_num(l, "bell", 1));
	if (gw_rep_arg(l, "token", NULL))
		host_line(c)->token = htole32((uint32_t)gw_rep_num(l, "token", 0));
}

static void verb_shut(struct gw_rep_conn *c, uint32_t flags)
{
	c->flags |= flags;
	publish(c, c->tx_prod, c->rx_cons, true);
}

/* Verbs without arguments of their own. */
static bool simple(struct gw_rep_conn *c, const char *verb)
{
	if (strcmp(verb, "commit") == 0)
		commit(c);
	else if (strcmp(verb, "cancel") == 0)
		message(c, IB_MID_CANCEL, IB_R_NONE);
	else if (strcmp(verb, "revoke") == 0)
		message(c, IB_MID_REVOKE, IB_R_COMMAND);
	else if (strcmp(verb, "abort") == 0)
		message(c, IB_MID_ABORT, IB_R_CLOSE);
	else if (strcmp(verb, "ack") == 0)
		message(c, IB_MID_BACK_ACK, IB_R_NONE);
	else if (strcmp(verb, "shut") == 0)
		verb_shut(c, IB_HL_TX_FIN);
	else if (strcmp(verb, "close") == 0)
		verb_shut(c, IB_HL_TX_FIN | IB_HL_CLOSED);
	else if (strcmp(verb, "bell") == 0)
		doorbell(c);
	else
		return false;
	return true;
}

bool gw_rep_conn_exec(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	const char *verb = l->word[1];
	struct gw_rep_conn *c;

	if (strcmp(verb, "conn") == 0) {
		gw_rep_conn_define(r, s, l);
		return true;
	}
	c = l->n > 2 ? gw_rep_conn_named(r, l->word[2]) : NULL;
	if (!c)
		return false;
	if (strcmp(verb, "ask") == 0 || strcmp(verb, "take") == 0) {
		c->commits = verb[0] == 't';
		ask(c, l);
	} else if (strcmp(verb, "send") == 0) {
		verb_send(r, c, l);
	} else if (strcmp(verb, "read") == 0) {
		verb_read(c, l);
	} else if (strcmp(verb, "line") == 0) {
		verb_line(c, l);
	} else {
		return simple(c, verb);
	}
	return true;
}
