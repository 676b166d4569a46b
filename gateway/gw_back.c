/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_back.c - hand-back: by policy or command, at close, after a reset (DESIGN 4.4,
 * docs/protocol.md).
 *
 *	DRAINING  nothing new is sent; what is in flight has two round trips to be acknowledged;
 *		  then no READ may be under way any more
 *	FINAL	  the last line is being WRITTEN; what the client sends from now on is held
 *	BACK	  everything is acknowledged as far as placed, the core is silent, and DisConn or
 *		  AbortConn has been sent. With BACK_ACK the held frames go natively.
 */
#include <endian.h>

#include "gateway/gw_accel.h"

#define DRAIN_MIN_US 2000u   /* two round trips, with their variation, at least */
#define DRAIN_MAX_US 100000u /* and at most */

void gw_back_start(struct gw_conn *c, enum ib_reason r)
{
	struct gw_worker *w = c->link->worker;
	uint64_t wait;

	if (c->state != GW_C_ACTIVE)
		return;
	c->reason = r;
	c->back_due = !gw_live_wake(c);
	if (c->back_due) {
		gw_live_retry(c);
		return;
	}
	wait = 2ull * c->tcp->srtt_us + 4ull * c->tcp->rttvar_us;
	gw_conn_set_state(c, GW_C_DRAINING);
	c->back_mid = IB_MID_DISCONN;
	gw_conn_wait(c, (uint32_t)RTE_MAX(DRAIN_MIN_US, RTE_MIN(wait, DRAIN_MAX_US)));
	tcp_quiesce(c->tcp, w->now_us);
	gw_accel_dirty(c);
}

void gw_back_now(struct gw_conn *c, enum ib_reason r, uint8_t mid)
{
	struct gw_worker *w = c->link->worker;

	if (c->state == GW_C_ACTIVE)
		gw_conn_set_state(c, GW_C_DRAINING);
	if (c->state != GW_C_DRAINING)
		return;
	c->reason = r;
	c->back_mid = mid;
	gw_conn_wait(c, 0);
	tcp_quiesce(c->tcp, w->now_us);
	gw_accel_dirty(c);
}

void gw_back_kill(struct gw_conn *c, enum ib_reason r)
{
	struct gw_worker *w = c->link->worker;

	gw_accel_of(c)->n_run = 0;
	tcp_abort(c->tcp, w->now_us);
	gw_back_now(c, r, IB_MID_ABORT);
}

/* The core says that the connection is over. */
static void ended(struct gw_conn *c)
{
	enum tcp_event ev = c->ended - 1;

	c->ended = 0;
	if (ev == TCP_E_RESET)
		gw_back_now(c, IB_R_RESET, IB_MID_ABORT);
	else if (ev == TCP_E_TIMEOUT)
		gw_back_now(c, IB_R_TCP_TIMEOUT, IB_MID_ABORT);
	else if (ev == TCP_E_PAYLOAD)
		gw_back_now(c, IB_R_PAYLOAD, IB_MID_DISCONN);
	else
		gw_back_now(c, IB_R_CLOSE, IB_MID_DISCONN);
}

void gw_back_run(struct gw_conn *c)
{
	struct gw_worker *w = c->link->worker;

	if (c->ended)
		ended(c);
	if (c->state == GW_C_ACTIVE && c->tx_fin && c->tcp->snd_nxt == gw_tx_seq(c, gw_tx_prod(c)))
		gw_back_start(c, IB_R_CLOSE);
	if (c->state != GW_C_DRAINING || c->rd_out || c->link->set.dead)
		return;
	if (!c->drained && gw_conn_due(c) > w->now_us)
		return;
	if (gw_lines_final(c))
		gw_accel_starve(c);
	else
		gw_conn_set_state(c, GW_C_FINAL);
}

void gw_back_final_done(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);
	struct gw_worker *w = a->w;
	struct ib_ctl m = {.token = htobe32(c->token), .reason = htobe16(c->reason)};

	/* The host's kernel has not seen these bytes and would not acknowledge them. */
	a->n_run = 0;
	tcp_ack_soon(c->tcp);
	tcp_output(c->tcp, w->now_us);
	tcp_detach(c->tcp);
	gw_fetch_drop(c);
	w->stats.handbacks++;
	w->stats.back[c->reason]++;
	gw_accel_send(c->link, c->back_mid, &m);
	gw_conn_set_state(c, GW_C_BACK);
	gw_conn_wait(c, GW_BACK_US);
	gw_timer_set(a, c, gw_conn_due(c));
}

void gw_back_ack(struct gw_conn *c)
{
	struct gw_worker *w = c->link->worker;
	struct gw_host *h = c->link->host;
	struct rte_mbuf *m;
	struct net_pkt p;

	if (c->state != GW_C_BACK) {
		w->stats.drop[GW_DROP_BAD_MESSAGE]++;
		return;
	}
	if (c->back_mid == IB_MID_DISCONN)
		gw_flows_reason(w, &c->flow, h->id, c->reason);
	else
		gw_flows_end(w, &c->flow);
	while ((m = gw_conn_unhold(c)) != NULL) {
		if (net_parse(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_data_len(m), 0, &p))
			gw_accel_drop(w, m, GW_DROP_BAD_ENCAP);
		else
			gw_native_to_host(w, h, m, &p);
	}
	gw_conn_forget(c);
}
