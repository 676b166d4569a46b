/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_icmp.c - ICMP errors about segments of accelerated connections (RFC 792, RFC 4443
 * section 3) reach the core of the connection that they quote; the core decides what to believe.
 *
 * The worker that has the connection gets the error as well (gw_spread.c). An error about another
 * connection goes on natively: it may be one of the server's own kernel.
 */
#include <errno.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_way.h"

/* The server hears of an error that ends nothing: the line tells it (RFC 9293 SHLD-25). */
static void tell_server(struct gw_conn *c, enum tcp_icmp_kind kind)
{
	static const uint8_t soft[TCP_K_COUNT] = {
		[TCP_K_UNREACHABLE] = IB_SOFT_UNREACHABLE,
		[TCP_K_REFUSED] = IB_SOFT_REFUSED,
		[TCP_K_TIME] = IB_SOFT_TIME,
		[TCP_K_PARAMETER] = IB_SOFT_PARAMETER,
	};

	c->soft = ((c->soft >> 8) + 1) << 8 | soft[kind];
	c->line_due = true;
}

/* The connection hears of it, if it is accelerated. */
static bool tell(struct gw_accel *a, const struct net_flow *flow, const struct tcp_icmp_err *err)
{
	struct gw_worker *w = a->w;
	enum tcp_icmp_verdict v;
	struct corr_flow f;
	struct gw_conn *c;

	memcpy(&f, flow, sizeof(f));
	c = corr_accel_by_flow(a->map, &f);
	if (!c || !gw_conn_running(c) || !gw_live_wake(c))
		return false;
	v = tcp_icmp(c->tcp, err, w->now_us);
	w->stats.icmp[v]++;
	w->stats.icmp_errors++;
	if (v == TCP_I_NOTED)
		tell_server(c, err->kind);
	gw_accel_dirty(c);
	return true;
}

bool gw_accel_icmp_ours(const struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p)
{
	const struct gw_conn *c;
	struct tcp_icmp_err err;
	struct net_flow flow;
	struct corr_flow f;

	if (!w->accel || net_icmp_error(frame, p, &flow, &err) ||
	    !net_addr_eq(&p->dst, &flow.local))
		return false;
	memcpy(&f, &flow, sizeof(f));
	c = corr_accel_by_flow(w->accel->map, &f);
	return c && gw_conn_running(c);
}

bool gw_accel_icmp(struct gw_worker *w, const struct rte_mbuf *m, const struct net_pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct tcp_icmp_err err;
	struct net_flow flow;

	if (!w->accel || net_icmp_error(frame, p, &flow, &err))
		return false;
	if (!net_addr_eq(&p->dst, &flow.local)) /* not sent by whom it was sent to */
		return false;
	return tell(w->accel, &flow, &err);
}
