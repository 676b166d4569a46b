/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_rx.c - frames of accelerated connections: from the LAN, bounced by a host, held back.
 */
#include <netinet/in.h>
#include <string.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_way.h"

static_assert(sizeof(struct corr_flow) == sizeof(struct net_flow), "the same bytes");

void gw_accel_drop(struct gw_worker *w, struct rte_mbuf *m, enum gw_drop why)
{
	w->stats.drop[why]++;
	rte_pktmbuf_free(m);
}

/* Nothing but an acknowledgement. */
static bool pure_ack(struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct tcp_seg seg;
	struct net_pkt p;

	return !net_parse(frame, rte_pktmbuf_data_len(m), 0, &p) && !p.payload_len &&
	       !net_parse_tcp(frame, &p, &seg) && seg.flags == TCP_ACK;
}

/* Too many are held: a newer ACK takes the place of the newest one, if that is an ACK as well. */
static void replace_ack(struct gw_conn *c, struct rte_mbuf *m)
{
	struct rte_mbuf *last = c->held_last, *prev = last;

	if (!pure_ack(m) || !pure_ack(last))
		return;
	while (prev->next != last)
		prev = prev->next;
	prev->next = last->next;
	last->next = NULL;
	rte_pktmbuf_free(last);
	c->held_last = prev;
	c->held--;
	gw_accel_of(c)->held--;
}

void gw_conn_hold(struct gw_conn *c, struct rte_mbuf *m)
{
	struct gw_accel *a = gw_accel_of(c);

	if (c->held >= GW_CONN_HELD)
		replace_ack(c, m);
	if (c->held >= GW_CONN_HELD || a->held >= GW_HELD_MAX || m->nb_segs != 1) {
		gw_accel_drop(a->w, m, GW_DROP_HELD_FULL);
		return;
	}
	if (c->held_last) {
		m->next = c->held_last->next;
		c->held_last->next = m;
	} else {
		m->next = m;
	}
	c->held_last = m;
	c->held++;
	a->held++;
}

struct rte_mbuf *gw_conn_unhold(struct gw_conn *c)
{
	struct rte_mbuf *last = c->held_last, *m = last ? last->next : NULL;

	if (!m)
		return NULL;
	last->next = m->next;
	if (m == last)
		c->held_last = NULL;
	m->next = NULL;
	c->held--;
	gw_accel_of(c)->held--;
	return m;
}

/* Connection of a frame, or NULL. */
static struct gw_conn *find(const struct gw_accel *a, const struct net_pkt *p)
{
	struct corr_flow f;

	if (p->proto != IPPROTO_TCP || !p->l4_off || !corr_accel_count(a->map))
		return NULL;
	memcpy(f.remote, p->src.b, 16);
	memcpy(f.local, p->dst.b, 16);
	f.rport = p->sport;
	f.lport = p->dport;
	return corr_accel_by_flow(a->map, &f);
}

void gw_conn_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p)
{
	struct gw_worker *w = c->link->worker;
	struct tcp_seg seg;
	enum net_perr err;

	if (c->state == GW_C_FINAL || c->state == GW_C_BACK) {
		gw_conn_hold(c, m);
		return;
	}
	if (!gw_conn_running(c)) {
		gw_accel_drop(w, m, GW_DROP_HELD_LOST);
		return;
	}
	if (!gw_live_wake(c)) {
		gw_accel_drop(w, m, GW_DROP_NO_LIVE);
		return;
	}
	if (p->fragment) {
		gw_accel_drop(w, m, GW_DROP_FRAGMENT);
		return;
	}
	if (p->opt_refuse) {
		gw_accel_drop(w, m, GW_DROP_IP6_OPTION);
		return;
	}
	err = net_parse_tcp(rte_pktmbuf_mtod(m, const uint8_t *), p, &seg);
	if (err) {
		w->stats.perr[err]++;
		rte_pktmbuf_free(m);
		return;
	}
	w->stats.tcp_segments_in++;
	gw_place_input(c, m, p, &seg);
	gw_accel_dirty(c);
}

struct gw_conn *gw_accel_find(const struct gw_worker *w, const struct net_pkt *p)
{
	struct gw_conn *c = w->accel ? find(w->accel, p) : NULL;

	return c && c->state != GW_C_PREPARED ? c : NULL;
}

bool gw_accel_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p)
{
	struct gw_conn *c = gw_accel_find(w, p);

	if (!c)
		return false;
	gw_conn_input(c, m, p);
	return true;
}

/* Keeps a bounced frame that has no connection. Takes m. */
static void stray_add(struct gw_accel *a, struct gw_host *h, struct rte_mbuf *m)
{
	for (uint32_t i = 0; i < GW_STRAYS; i++) {
		if (a->stray[i].m)
			continue;
		a->stray[i] =
			(struct gw_stray){.m = m, .host = h, .until = a->w->now_us + GW_STRAY_US};
		a->n_stray++;
		return;
	}
	gw_accel_drop(a->w, m, GW_DROP_BOUNCED_UNKNOWN);
}

/* A bounced frame for a connection of that host. Takes m. */
static void bounced_input(struct gw_conn *c, struct rte_mbuf *m, const struct net_pkt *p)
{
	if (c->state == GW_C_PREPARED)
		gw_conn_hold(c, m); /* overtook its COMMIT */
	else
		gw_conn_input(c, m, p);
}

void gw_accel_bounced(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		      const struct net_pkt *p)
{
	struct gw_accel *a = w->accel;
	struct gw_conn *c = a ? find(a, p) : NULL;

	w->stats.bounced_frames++;
	if (c && c->link->host == h)
		bounced_input(c, m, p);
	else if (a && !c && p->proto == IPPROTO_TCP && p->l4_off)
		stray_add(a, h, m);
	else
		gw_accel_drop(w, m, GW_DROP_BOUNCED_UNKNOWN);
}

/* Asks the host to offer the connection of a frame again. */
static void reoffer(struct gw_accel *a, struct gw_host *h, const struct net_pkt *p)
{
	const struct net_flow f = {
		.remote = p->src, .local = p->dst, .rport = p->sport, .lport = p->dport};
	struct gw_link *l = &h->link[a->w->index];

	if (l->up && l->accel)
		gw_accel_send_flow(l, IB_MID_REOFFER, &f);
}

void gw_stray_run(struct gw_accel *a)
{
	for (uint32_t i = 0; i < GW_STRAYS; i++) {
		struct gw_stray *s = &a->stray[i];
		struct rte_mbuf *m = s->m;
		struct gw_conn *c;
		struct net_pkt p;

		if (!m)
			continue;
		if (net_parse(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_data_len(m), 0, &p))
			c = NULL;
		else
			c = find(a, &p);
		if (!c && s->until > a->w->now_us)
			continue;
		s->m = NULL;
		a->n_stray--;
		if (c && c->link->host == s->host) {
			bounced_input(c, m, &p);
			continue;
		}
		reoffer(a, s->host, &p);
		gw_accel_drop(a->w, m, GW_DROP_BOUNCED_UNKNOWN);
	}
}
