/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_icmp.c - ICMP errors about segments of accelerated connections (RFC 792, RFC 4443
 * section 3) reach the core of the connection that they quote; the core decides what to believe.
 *
 * The router that sends an error is a stranger, so that the device may give its frame to any
 * worker. A worker that does not know the quoted connection tells the others what the error says,
 * and lets the frame go natively: it may be about a connection of the server's own kernel.
 */
#include <errno.h>
#include <rte_ring_elem.h>
#include <stdio.h>

#include "gateway/gw_accel.h"

#define NOTES 64 /* errors waiting for a worker; more are lost, as ICMP may be */

/** What one worker tells another. */
struct note {
	struct net_flow flow;	 /* quoted */
	struct tcp_icmp_err err; /* what is said about it */
};
static_assert(sizeof(struct note) % 4 == 0, "rte_ring wants multiples of 4");

int gw_icmp_open(struct gw_accel *a)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "icmp%u", a->w->index);
	a->notes = rte_ring_create_elem(name, sizeof(struct note), NOTES, SOCKET_ID_ANY,
					RING_F_SC_DEQ);
	return a->notes ? 0 : ENOMEM;
}

void gw_icmp_close(struct gw_accel *a)
{
	rte_ring_free(a->notes);
	a->notes = NULL;
}

/* The connection hears of it, if it is this worker's. */
static bool tell(struct gw_accel *a, const struct note *n)
{
	struct gw_worker *w = a->w;
	struct corr_flow f;
	struct gw_conn *c;

	memcpy(&f, &n->flow, sizeof(f));
	c = corr_accel_by_flow(a->map, &f);
	if (!c || !gw_conn_running(c) || !gw_live_wake(c))
		return false;
	w->stats.icmp[tcp_icmp(c->tcp, &n->err, w->now_us)]++;
	w->stats.icmp_errors++;
	gw_accel_dirty(c);
	return true;
}

/* Tells the other workers. */
static void spread(struct gw_worker *w, struct note *n)
{
	for (uint32_t i = 0; i < w->gw->n_worker; i++) {
		struct gw_accel *a = w->gw->worker[i]->accel;

		if (i != w->index && a && rte_ring_enqueue_elem(a->notes, n, sizeof(*n)))
			w->stats.drop[GW_DROP_ICMP_FULL]++;
	}
}

bool gw_accel_icmp(struct gw_worker *w, const struct rte_mbuf *m, const struct net_pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct note n;

	if (!w->accel || net_icmp_error(frame, p, &n.flow, &n.err))
		return false;
	if (!net_addr_eq(&p->dst, &n.flow.local)) /* not sent by whom it was sent to */
		return false;
	if (tell(w->accel, &n))
		return true;
	spread(w, &n);
	return false;
}

void gw_icmp_run(struct gw_accel *a)
{
	struct note n;

	while (rte_ring_dequeue_elem(a->notes, &n, sizeof(n)) == 0)
		tell(a, &n);
}
