/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_announce.c - tells the LAN where a server's addresses are when it comes: ARP announcements
 * (RFC 5227 section 2.3) and unsolicited neighbour advertisements (RFC 4861 section 7.2.6), so that
 * switches and neighbours that remember another gateway learn of this one. How many and how far
 * apart is the port's `announce` and `announce-interval`. Worker 0 sends them.
 */
#include <errno.h>
#include <rte_malloc.h>

#include "gateway/gw_policy.h"

/** What is still to be sent of one address. */
struct due {
	uint64_t at_ms; /* the next one */
	uint32_t left;	/* how many */
};

struct gw_announce {
	const struct gw_served *served; /* addresses; it outlives this */
	uint32_t n;			/* entries of due[] */
	uint32_t left;			/* sum of all */
	struct due due[];		/* one per place in served */
};

struct gw_announce *gw_announce_new(const struct gw_served *served)
{
	const uint32_t n = gw_served_count(served);
	struct gw_announce *t = rte_zmalloc("announce", sizeof(*t) + n * sizeof(t->due[0]), 0);

	if (!t)
		return NULL;
	t->served = served;
	t->n = n;
	return t;
}

void gw_announce_free(struct gw_announce *t)
{
	rte_free(t);
}

void gw_announce_take(struct gw_announce *t, const struct gw_announce *old)
{
	for (uint32_t i = 0; i < old->n; i++) {
		const int k = old->due[i].left
				      ? gw_served_find(t->served, gw_served_at(old->served, i))
				      : -1;

		if (k < 0)
			continue;
		t->left += old->due[i].left - t->due[k].left;
		t->due[k] = old->due[i];
	}
}

int gw_announce_open(struct gw_worker *w)
{
	if (w->index)
		return 0;
	w->announce = gw_announce_new(w->gw->served);
	return w->announce ? 0 : ENOMEM;
}

void gw_announce_close(struct gw_worker *w)
{
	gw_announce_free(w->announce);
	w->announce = NULL;
}

/* One announcement. */
static void announce(struct gw_worker *w, struct gw_port *port, const struct net_addr *a)
{
	const uint8_t *mac = gw_lan_mac(w->gw, a, port)->addr_bytes;
	struct rte_mbuf *m;
	uint8_t *buf;
	size_t room, n;

	m = gw_frame_new(w, &buf, &room);
	if (!m)
		return;
	n = net_addr_is_v4(a) ? net_build_arp_request(buf, room, mac, a, a, NULL, 0)
			      : net_build_na_unsolicited(buf, room, mac, a);
	m = gw_frame_end(m, n);
	if (!m)
		return;
	w->stats.announcements++;
	gw_port_tx(w, port, m);
}

static void on_host(struct gw_worker *w, void *arg)
{
	const struct gw_host *h = arg;
	struct gw_announce *t = w->announce;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct net_addr *a = gw_served_at(t->served, i);
		const struct gw_port *port = gw_port_of(w->gw, a);

		if (!port || !gw_server_cfg_has(h->cfg, a) ||
		    (i && net_addr_eq(a, gw_served_at(t->served, i - 1))))
			continue;
		t->left += port->cfg->announce - t->due[i].left;
		t->due[i] = (struct due){.at_ms = w->now_ms, .left = port->cfg->announce};
	}
}

void gw_announce_host(struct gw *gw, struct gw_host *h)
{
	gw_call(gw->worker[0], on_host, h);
}

void gw_announce_run(struct gw_worker *w)
{
	struct gw_announce *t = w->announce;

	if (!t || !t->left)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct net_addr *a = gw_served_at(t->served, i);
		struct gw_port *port = gw_port_of(w->gw, a);

		if (!t->due[i].left || w->now_ms < t->due[i].at_ms)
			continue;
		t->due[i].left--;
		t->left--;
		t->due[i].at_ms = w->now_ms + port->cfg->announce_ms;
		announce(w, port, a);
	}
}
