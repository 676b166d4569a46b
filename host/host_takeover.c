/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_takeover.c - freeze, REQ, GRANT, COMMIT (DESIGN 4.2; docs/protocol.md, takeover).
 *
 * The flow is frozen before the socket: nothing reaches the kernel after its positions are read.
 * What the kernel had emitted before is drained from the TAP and forwarded; what it emits later
 * is held, and either forwarded after a thaw or dropped after COMMIT, when the gateway sends
 * those bytes. Client frames are kept: they go to the kernel after a thaw, to the gateway (bounced)
 * after COMMIT.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/host_daemon.h"

#define ANSWER_TIME   0.3 /* seconds for GRANT or DENY, and for CANCEL_ACK */
#define MAX_REDIRECTS 2
#define DRAIN_BUDGET  4096 /* frames taken from the TAP at a freeze */
#define DRAIN_ROUNDS  64   /* times a full send queue is waited for meanwhile */

static void refuse(struct host *h, struct host_ipc_client *cl, enum ib_reason why, bool retry)
{
	struct host_ipc_rep rep = {
		.type = HOST_IPC_TAKEOVER, .result = (uint32_t)why, .retry = retry};

	host_count(&h->count, HOST_C_REFUSALS);
	host_log(HOST_LOG_DEBUG, "takeover refused: %s", ib_reason_name(why));
	if (cl)
		host_ipc_reply(cl, &rep, NULL, 0);
}

void host_takeover_keep(struct host_conn *c, bool in, const uint8_t *frame, uint32_t len)
{
	unsigned int *n = in ? &c->n_in : &c->n_out;
	struct host_kept *k = *n < HOST_KEPT_MAX ? malloc(sizeof(*k) + len) : NULL;

	if (!k) {
		host_count(&c->h->count, HOST_C_DROP_KEPT_FULL);
		return;
	}
	k->len = len;
	memcpy(k->frame, frame, len);
	if (in)
		STAILQ_INSERT_TAIL(&c->in, k, next);
	else
		STAILQ_INSERT_TAIL(&c->out, k, next);
	++*n;
	host_count(&c->h->count, HOST_C_KEPT);
}

/* What the kernel emitted before its positions were read goes out. 0 or EAGAIN. */
static int drain_tap(struct host *h)
{
	for (int i = 0; i < DRAIN_ROUNDS; i++) {
		if (host_steer_drain(h, DRAIN_BUDGET) < DRAIN_BUDGET && !h->native.starved)
			return 0;
		ib_cq_poll(&h->cq, 256);
	}
	return EAGAIN;
}

static void send_req(struct host_conn *c)
{
	const struct host_freeze *f = &c->fz;
	struct ib_req r = {
		.req_id = htobe32(c->id),
		.arena = htobe16(c->arena->id),
		.slot = htobe16(c->slot),
		.snd_wscale = f->snd_wscale,
		.rcv_wscale = f->rcv_wscale,
		.rport = c->key.rport,
		.lport = c->key.lport,
		.mss = htobe32(f->mss),
		.snd_una = htobe32(f->snd_una),
		.snd_nxt = htobe32(f->snd_nxt),
		.snd_wnd = htobe32(f->snd_wnd),
		.snd_wl1 = htobe32(f->snd_wl1),
		.max_wnd = htobe32(f->max_wnd),
		.rcv_nxt = htobe32(f->rcv_nxt),
		.rcv_edge = htobe32(f->rcv_edge),
		.ts_val = htobe32(f->ts_val),
		.ts_recent = htobe32(c->flow->ts_recent),
		.srtt_us = htobe32(f->srtt_us),
		.rttvar_us = htobe32(f->rttvar_us),
		.ip = htobe32(f->ip),
		.tx_prod = htobe64(f->n_tx),
		.rx_prod = htobe64(f->n_rx),
	};

	r.flags = (f->wscale ? IB_REQ_WSCALE : 0) | (f->sack ? IB_REQ_SACK : 0) |
		  (f->ts ? IB_REQ_TS : 0) | (f->ecn ? IB_REQ_ECN : 0) |
		  (c->flow->ts_ok ? IB_REQ_TS_RECENT : 0);
	memcpy(r.remote, c->key.remote.b, 16);
	memcpy(r.local, c->key.local.b, 16);
	if (host_gw_msg(c->worker, IB_MID_REQ, &r)) {
		host_takeover_thaw(c, IB_R_QP_ERROR, true);
		return;
	}
	host_count(&c->h->count, HOST_C_REQS);
	ev_timer_stop(c->h->loop, &c->timer);
	ev_timer_set(&c->timer, ANSWER_TIME, 0.);
	ev_timer_start(c->h->loop, &c->timer);
}

/* What can be said before anything is touched. */
static enum ib_reason precheck(struct host *h, const struct net_flow *key, struct host_flow *f,
			       bool *retry)
{
	*retry = false;
	if (h->stopping)
		return IB_R_SHUTDOWN;
	if (!host_conf_owns(&h->conf, &key->local))
		return IB_R_NOT_OWNER;
	if (!host_gw_default(h)) {
		*retry = true;
		return IB_R_NO_GATEWAY;
	}
	if (host_page_lookup(&h->page, &key->local, key->lport) == HOST_POLICY_OFF)
		return IB_R_POLICY;
	if (h->conns.n >= h->conf.max_accel)
		return IB_R_HOST_LIMIT;
	if (!f || !f->worker || f->worker->gw->state != HOST_G_UP) {
		*retry = true;
		return IB_R_NO_ROUTE;
	}
	if (f->conn || f->state != HOST_F_NATIVE)
		return IB_R_EXISTS;
	if (f->urg)
		return IB_R_URGENT;
	if (f->exotic)
		return IB_R_PROTO;
	if (f->accecn)
		return IB_R_ECN;
	return f->fin || f->reset ? IB_R_FIN : IB_R_NONE;
}

/* Against what was seen on the wire. */
static enum ib_reason crosscheck(const struct host_conn *c, bool *retry)
{
	const struct host_flow *f = c->flow;

	*retry = true;
	if (f->hi_ok && host_seq_lt(c->fz.rcv_nxt, f->hi_end))
		return IB_R_OOO;
	if (c->fz.ts && !f->ts_ok)
		return IB_R_BAD_STATE;
	return IB_R_NONE;
}

/* The gateway line before the gateway has written it: the truth as it is (protocol.md, 7). */
static void first_line(struct host_conn *c)
{
	struct ib_gw_line *l = c->gl;

	l->tx_sent = c->fz.snd_nxt - c->fz.snd_una;
	l->rx_prod = c->fz.n_rx;
	l->snd_wnd = c->fz.snd_wnd;
	l->rcv_edge = c->fz.rcv_edge;
	l->ts_val = c->fz.ts_val;
	l->ts_recent = c->flow->ts_recent;
	l->srtt_us = c->fz.srtt_us;
	l->epoch = c->gw->epoch;
}

/* Reads the socket and lays the lines out. The reason when it is not to be. */
static enum ib_reason freeze(struct host_conn *c, bool *retry)
{
	struct host_freeze_buf b = {.tx = c->tx,
				    .rx = c->rx,
				    .tx_size = c->arena->tx_size,
				    .rx_size = c->arena->rx_size,
				    .scratch = c->h->conns.scratch};
	enum ib_reason why;

	why = host_freeze_read(c->kfd, &c->fz, &b);
	*retry = c->fz.retry;
	if (why == IB_R_NONE)
		why = crosscheck(c, retry);
	if (why != IB_R_NONE)
		return why;
	c->snd_una0 = c->fz.snd_una;
	c->rcv_nxt0 = c->fz.rcv_nxt;
	c->n_rx0 = c->fz.n_rx;
	c->k_snd = c->fz.write_seq;
	c->k_rcv = c->fz.rcv_nxt;
	c->tx_prod = c->sent_tx = c->hl->tx_prod = c->fz.n_tx;
	c->flags = c->sent_flags = c->hl->flags = c->fz.ip;
	first_line(c);
	return IB_R_NONE;
}

void host_takeover_start(struct host *h, struct host_ipc_client *client, int fd,
			 uint32_t have_arena)
{
	struct net_flow key;
	enum ib_reason why = host_freeze_tuple(fd, &key);
	struct host_flow *f = why == IB_R_NONE ? host_flow_find(&h->flows, &key) : NULL;
	struct host_conn *c;
	bool retry = false;

	if (why == IB_R_NONE)
		why = precheck(h, &key, f, &retry);
	if (why != IB_R_NONE)
		goto err_refuse;
	c = host_conn_new(h, f, fd, client, client->uid);
	if (!c) {
		why = IB_R_HOST_LIMIT;
		goto err_refuse;
	}
	c->gw = f->worker->gw;
	c->worker = f->worker;
	c->have_arena = have_arena;
	if (!c->arena->mrs[c->gw->idx].ok) { /* the first one of an arena comes too early */
		c->flow->conn = NULL;
		host_takeover_thaw(c, IB_R_BAD_SLOT, true);
		return;
	}
	host_flow_set_state(f, HOST_F_FROZEN);
	if (host_freeze_on(fd, &c->fz)) {
		host_takeover_thaw(c, IB_R_REPAIR, false);
		return;
	}
	why = freeze(c, &retry);
	if (why == IB_R_NONE && drain_tap(h)) {
		why = IB_R_TIMEOUT;
		retry = true;
	}
	if (why == IB_R_NONE && f->accecn) /* a segment on its way out told it */
		why = IB_R_ECN;
	/* The clock comes last: nothing that has left may carry a later TSval (RFC 7323 5.2). */
	if (why == IB_R_NONE && host_freeze_tsclock(fd, &c->fz.ts_val))
		why = IB_R_REPAIR;
	/* A kernel that paces writes the time of departure, which may lie ahead of its clock. */
	if (f->ts_sent_ok && host_seq_lt(c->fz.ts_val, f->ts_sent))
		c->fz.ts_val = f->ts_sent;
	c->drained = true;
	if (why != IB_R_NONE) {
		host_takeover_thaw(c, why, retry);
		return;
	}
	send_req(c);
	return;

err_refuse:
	close(fd);
	refuse(h, client, why, retry);
}

/* Kept frames leave in order: to the kernel, or back to the gateway. */
static void release_in(struct host_conn *c, bool bounce)
{
	struct host_kept *k;

	while ((k = STAILQ_FIRST(&c->in))) {
		STAILQ_REMOVE_HEAD(&c->in, next);
		if (bounce) {
			host_count(&c->h->count, HOST_C_BOUNCED);
			host_native_send_copy(c->h, k->frame, k->len, c->worker, IB_ENCAP_BOUNCED);
		} else {
			host_steer_gateway(c->h, k->frame, k->len, c->flow->worker);
		}
		free(k);
	}
	c->n_in = 0;
}

static void release_out(struct host_conn *c, bool forward)
{
	struct host_kept *k;

	while ((k = STAILQ_FIRST(&c->out))) {
		STAILQ_REMOVE_HEAD(&c->out, next);
		if (forward)
			host_native_send_copy(c->h, k->frame, k->len, c->flow->worker, 0);
		free(k);
	}
	c->n_out = 0;
}

void host_takeover_thaw(struct host_conn *c, enum ib_reason why, bool retry)
{
	struct host *h = c->h;
	struct host_ipc_client *cl = c->client;

	if (c->flow && c->flow->state == HOST_F_FROZEN) {
		int rc = host_freeze_off(c->kfd, &c->fz);

		if (rc)
			host_log(HOST_LOG_ERROR, "connection %08x: leaving repair mode: %s", c->id,
				 strerror(rc));
		host_flow_set_state(c->flow, HOST_F_NATIVE);
		release_out(c, true);
		release_in(c, false);
	}
	host_conn_free(c); /* closes our copy of the program's socket */
	refuse(h, cl, why, retry);
}

/* The program gets its end. */
static void answer(struct host_conn *c)
{
	struct host_ipc_rep rep = {.type = HOST_IPC_TAKEOVER,
				   .arena = c->arena->id,
				   .slot = c->slot,
				   .gen = c->meta->gen};
	int fds[3] = {c->pfd, c->arena->memfd, c->arena->efd};

	if (c->client) {
		host_ipc_reply(c->client, &rep, fds, c->have_arena == c->arena->id + 1u ? 1 : 3);
		c->client->pending = NULL;
		c->client = NULL;
	}
	close(c->pfd); /* if nobody has it, D sees it close */
	c->pfd = -1;
}

void host_takeover_grant(struct host_conn *c, uint32_t token)
{
	struct host *h = c->h;
	int rc;

	if (!token || host_conn_by_token(h, c->gw, token)) {
		host_drop(&h->count, HOST_C_BAD_TOKEN, "gateway %s: token %08x is in use or zero",
			  c->gw->conf->name, token);
		return; /* the timeout cancels it */
	}
	rc = host_freeze_off(c->kfd, &c->fz);
	if (rc)
		host_log(HOST_LOG_ERROR, "connection %08x: leaving repair mode: %s", c->id,
			 strerror(rc));
	host_conn_link(c, token);
	__atomic_store_n(&c->hl->token, token, __ATOMIC_RELEASE);
	atomic_store(&c->meta->mode, HOST_M_ACCEL);
	/* The gateway keeps bounced frames that overtake COMMIT, so it sees them in order. */
	release_in(c, true);
	release_out(c, false);
	host_conn_ctl(c, IB_MID_COMMIT, IB_R_NONE);
	host_flow_set_state(c->flow, HOST_F_COMMITTED);
	host_conn_set_state(c, HOST_S_ACCEL);
	host_count(&h->count, HOST_C_GRANTS);
	host_kernel_settle(c);
	answer(c);
	host_wake_reader(c);
}

void host_takeover_deny(struct host_conn *c, enum ib_reason why)
{
	host_takeover_thaw(c, why, why == IB_R_GW_LIMIT || why == IB_R_NO_ROUTE);
}

void host_takeover_redirect(struct host_conn *c, unsigned int worker)
{
	host_count(&c->h->count, HOST_C_REDIRECTS);
	if (worker >= c->gw->n_workers || ++c->redirects > MAX_REDIRECTS) {
		host_takeover_thaw(c, IB_R_NO_ROUTE, true);
		return;
	}
	c->worker = &c->gw->worker[worker];
	send_req(c);
}

void host_takeover_cancelled(struct host_conn *c)
{
	host_takeover_thaw(c, IB_R_TIMEOUT, true);
}

void host_takeover_timer(struct host_conn *c)
{
	if (c->state == HOST_S_CANCEL) { /* fencing makes sure that nobody emits for it */
		host_gw_lost(c->gw, "a cancelled request was not acknowledged");
		return;
	}
	host_count(&c->h->count, HOST_C_CANCELS);
	host_conn_set_state(c, HOST_S_CANCEL);
	host_conn_ctl(c, IB_MID_CANCEL, IB_R_TIMEOUT);
	ev_timer_set(&c->timer, ANSWER_TIME, 0.);
	ev_timer_start(c->h->loop, &c->timer);
}
