/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_msg.c - messages between the gateway's workers and the connections of this host
 * (docs/protocol.md, sections 5 and 7). A message that does not fit the state of its connection is
 * counted and ignored.
 */
#include <string.h>

#include "host/host_daemon.h"

void host_conn_ctl(struct host_conn *c, uint8_t mid, enum ib_reason why)
{
	struct ib_ctl m = {.token = htobe32(c->token), .reason = htobe16((uint16_t)why)};

	if (mid == IB_MID_COMMIT || mid == IB_MID_CANCEL)
		m.req_id = htobe32(c->id);
	if (c->worker)
		host_gw_msg(c->worker, mid, &m);
}

void host_conn_doorbell(struct host_conn *c)
{
	struct ib_cursor m = {.token = htobe32(c->token), .flags = htobe32(c->flags)};

	if (c->state != HOST_S_ACCEL || c->aborting ||
	    (c->sent_tx == c->tx_prod && c->sent_rx == c->rx_cons && c->sent_flags == c->flags))
		return;
	m.cursor = htobe64(c->tx_prod);
	m.other = htobe64(c->rx_cons);
	if (host_gw_msg(c->worker, IB_MID_SRC_AVAIL, &m) == 0) {
		c->sent_tx = c->tx_prod;
		c->sent_rx = c->rx_cons;
		c->sent_flags = c->flags;
		host_count(&c->h->count, HOST_C_DOORBELLS);
	}
}

/* Answers to requests. */
static void conn_answer(struct host_worker *w, uint8_t mid, const struct ib_ctl *m)
{
	struct host *h = w->gw->h;
	struct host_conn *c = host_conn_by_req(h, be32toh(m->req_id));
	enum ib_reason why = be16toh(m->reason);

	if (!c || c->worker != w || (c->state != HOST_S_FROZEN && c->state != HOST_S_CANCEL)) {
		host_count(&h->count, HOST_C_BAD_TOKEN);
		return;
	}
	if (mid == IB_MID_CANCEL_ACK) {
		if (c->state == HOST_S_CANCEL)
			host_takeover_cancelled(c);
	} else if (mid == IB_MID_DENY && c->state == HOST_S_FROZEN) {
		host_takeover_deny(c, why < IB_R_COUNT && why ? why : IB_R_POLICY);
	} else if (mid == IB_MID_REDIRECT && c->state == HOST_S_FROZEN) {
		host_takeover_redirect(c, be16toh(m->worker));
	}
}

/* The gateway has no state for a connection that we believe it runs: nothing of it can be trusted.
 */
static void conn_reoffer(struct host_worker *w, const struct ib_reoffer *m)
{
	struct net_flow key = {.rport = m->rport, .lport = m->lport};
	struct host *h = w->gw->h;
	struct host_flow *f;

	host_count(&h->count, HOST_C_REOFFERS);
	memcpy(key.remote.b, m->remote, 16);
	memcpy(key.local.b, m->local, 16);
	f = host_flow_find(&h->flows, &key);
	if (f && f->conn && f->conn->state == HOST_S_ACCEL && f->conn->worker == w)
		host_gw_lost(w->gw, "it has lost a connection");
}

/* The gateway wants to be asked for a connection: its program hands it over with its next bytes. */
static void conn_ask(struct host *h, const struct ib_reoffer *m)
{
	struct net_flow key = {.rport = m->rport, .lport = m->lport};
	const struct host_flow *f;

	memcpy(key.remote.b, m->remote, 16);
	memcpy(key.local.b, m->local, 16);
	f = host_flow_find(&h->flows, &key);
	if (!f || f->conn || f->state != HOST_F_NATIVE) {
		host_count(&h->count, HOST_C_ASKS_IGNORED);
		return;
	}
	host_count(&h->count, HOST_C_ASKS);
	host_page_ask(&h->page, &key);
}

/* The gateway gives a connection back, or tells of the client's reset. */
static void conn_return(struct host_worker *w, uint8_t mid, const struct ib_ctl *m)
{
	struct host *h = w->gw->h;
	struct host_conn *c = host_conn_by_token(h, w->gw, be32toh(m->token));
	struct ib_ctl ack = {.token = m->token};
	enum ib_reason why = be16toh(m->reason) < IB_R_COUNT ? be16toh(m->reason) : IB_R_NONE;

	if (!c || c->worker != w || c->state != HOST_S_ACCEL) {
		host_count(&h->count, HOST_C_BAD_TOKEN);
		if (!c) /* whatever it means, nothing here holds it back */
			host_gw_msg(w, IB_MID_BACK_ACK, &ack);
		return;
	}
	if (mid == IB_MID_ABORT) {
		c->why = why;
		host_back_reset(c);
	} else {
		host_back_start(c, why, false);
	}
}

static void conn_cursor(struct host_worker *w, uint8_t mid, const struct ib_cursor *m)
{
	struct host *h = w->gw->h;
	struct host_conn *c = host_conn_by_token(h, w->gw, be32toh(m->token));

	if (!c || c->worker != w || c->state != HOST_S_ACCEL) {
		host_count(&h->count, HOST_C_BAD_TOKEN);
		return;
	}
	if (mid == IB_MID_RD_COMPL) {
		host_wake_writer(c);
		return;
	}
	host_wake_reader(c);
	if (c->state == HOST_S_ACCEL && (be32toh(m->flags) & IB_GL_RX_FIN) && !c->rx_fin) {
		host_kernel_fin(c);
		host_wake_eof(c);
	}
}

void host_conn_msg(struct host_worker *w, uint8_t mid, const void *entries, int n)
{
	const struct ib_ctl *ctl = entries;
	const struct ib_cursor *cur = entries;
	const struct ib_grant *grant = entries;
	const struct ib_reoffer *offer = entries;
	struct host *h = w->gw->h;

	for (int i = 0; i < n; i++) {
		struct host_conn *c;

		switch (mid) {
		case IB_MID_GRANT:
			c = host_conn_by_req(h, be32toh(grant[i].req_id));
			if (c && c->worker == w && c->state == HOST_S_FROZEN)
				host_takeover_grant(c, be32toh(grant[i].token));
			break; /* too late: CANCEL is on its way */
		case IB_MID_DENY:
		case IB_MID_REDIRECT:
		case IB_MID_CANCEL_ACK:
			conn_answer(w, mid, &ctl[i]);
			break;
		case IB_MID_DISCONN:
		case IB_MID_ABORT:
			conn_return(w, mid, &ctl[i]);
			break;
		case IB_MID_WR_COMPL:
		case IB_MID_RD_COMPL:
			conn_cursor(w, mid, &cur[i]);
			break;
		case IB_MID_REOFFER:
			conn_reoffer(w, &offer[i]);
			break;
		case IB_MID_ASK:
			conn_ask(h, &offer[i]);
			break;
		case IB_MID_CREDIT:
			break;
		default:
			host_drop(&h->count, HOST_C_BAD_MSG, "gateway %s: unexpected %s",
				  w->gw->conf->name, ib_mid_name(mid));
		}
	}
}
