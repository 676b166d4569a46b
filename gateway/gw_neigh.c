/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_neigh.c - neighbours on the client LAN: which MAC an address has (RFC 826; the states are a
 * subset of RFC 4861 section 7.3).
 *
 * Theory of operation
 *
 * Every worker has a table of its own, of bounded size. Addresses come into it by questions
 * (INCOMPLETE until answered; frames wait, a few of them) and by what clients send us anyway
 * (learned). A neighbour confirmed less than CONFIRM_MS ago is REACHABLE; later, if it is still
 * in use, it is asked again directly (PROBE) while its MAC stays in use, and forgotten when it does
 * not answer. What one worker learns it tells the others by their rings, since an answer comes
 * to one receive queue only. STATIC ones come from the configuration ([port] neighbour): they are
 * not asked for, and what anybody says about them is not believed.
 */
#include <errno.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_ring_elem.h>
#include <stdio.h>
#include <string.h>

#include "gateway/gw_way.h"
#include "gateway/gw_int.h"

#define ENTRIES	   4096
#define WAIT_EACH  8	  /* frames that wait for one neighbour */
#define WAIT_ALL   512	  /* frames that wait in a worker */
#define TRIES	   3	  /* questions without answer before giving up */
#define ASK_MS	   1000	  /* between questions */
#define CONFIRM_MS 30000  /* REACHABLE lasts this long */
#define UNUSED_MS  600000 /* forgotten when not used for this long */
#define RECENT_MS  10000  /* used later than this: not evicted */
#define SCAN	   64	  /* entries looked at in one ageing pass */
#define CACHE	   64	  /* recently learned, a power of two */
#define CACHE_MS   1000	  /* a learned neighbour is not looked up again for this long */
#define NEWS_RING  1024

/** State of an entry, see above. */
enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE,
	NEIGH_REACHABLE,
	NEIGH_PROBE,
	NEIGH_STATIC,
};

static const char *const state_names[] = {
	[NEIGH_INCOMPLETE] = "incomplete",
	[NEIGH_REACHABLE] = "reachable",
	[NEIGH_PROBE] = "probe",
	[NEIGH_STATIC] = "static",
};

/** A neighbour. */
struct neigh {
	struct net_addr addr;		  /* key */
	struct rte_ether_addr mac;	  /* not when INCOMPLETE */
	uint8_t state;			  /* enum neigh_state */
	uint8_t tries;			  /* questions since the last answer */
	uint8_t port;			  /* index in gw.port[] */
	uint8_t n_wait;			  /* frames waiting */
	uint64_t confirmed_ms;		  /* last sign of life */
	uint64_t asked_ms;		  /* last question */
	uint64_t used_ms;		  /* last lookup */
	struct rte_mbuf *wait[WAIT_EACH]; /* INCOMPLETE: frames, MACs to be filled in */
};

/** A learned neighbour that need not be looked up again for a while. */
struct cached {
	struct net_addr addr;	   /* address */
	struct rte_ether_addr mac; /* its MAC */
	uint64_t until_ms;	   /* valid before this */
};

/** What workers tell each other. */
struct news {
	struct net_addr addr;	   /* address */
	struct rte_ether_addr mac; /* its MAC */
	uint8_t port;		   /* index in gw.port[] */
	bool learned;		   /* from a client's frame: worth an entry of its own */
};
static_assert(sizeof(struct news) % 4 == 0, "ring elements are words");

struct gw_neigh {
	struct rte_hash *hash;	    /* net_addr -> position in e[] */
	struct neigh *e;	    /* ENTRIES */
	struct cached cache[CACHE]; /* by the last address byte */
	uint32_t waiting;	    /* frames in all wait[] */
	uint32_t scan;		    /* where ageing goes on */
	uint32_t hand;		    /* where eviction goes on */
	uint32_t incomplete;	    /* entries that are asked for */
};

/* The one place where an entry changes its state. */
static void set_state(struct gw_neigh *t, struct neigh *e, enum neigh_state s)
{
	t->incomplete += (s == NEIGH_INCOMPLETE) - (e->state == NEIGH_INCOMPLETE);
	e->state = (uint8_t)s;
	e->tries = 0;
}

/* Entry of an address, or NULL. */
static struct neigh *find(struct gw_neigh *t, const struct net_addr *a)
{
	int32_t pos = rte_hash_lookup(t->hash, a);

	return pos < 0 ? NULL : &t->e[pos];
}

/* Forgets a neighbour; frames that waited for it are dropped. */
static void forget(struct gw_worker *w, struct neigh *e)
{
	struct gw_neigh *t = w->neigh;

	t->waiting -= e->n_wait;
	while (e->n_wait)
		gw_drop(w, GW_DROP_NO_NEIGHBOUR, e->wait[--e->n_wait]);
	set_state(t, e, NEIGH_FREE);
	rte_hash_del_key(t->hash, &e->addr);
}

/*
 * Makes room: forgets somebody who is not in use, or anybody for whom nothing waits, since who is
 * there will be learned again with the next frame.
 */
static bool evict(struct gw_worker *w)
{
	struct gw_neigh *t = w->neigh;
	struct neigh *victim = NULL;

	for (int i = 0; i < SCAN; i++) {
		struct neigh *e = &t->e[t->hand++ % ENTRIES];

		if (e->state == NEIGH_FREE || e->state == NEIGH_STATIC || e->n_wait)
			continue;
		victim = e;
		if (w->now_ms - e->used_ms > RECENT_MS)
			break;
	}
	gw_event(w, GW_EV_NEIGH_FULL, "more than %u addresses on the client LAN", ENTRIES);
	if (victim)
		forget(w, victim);
	return victim != NULL;
}

/* A new entry, or NULL when the table is full of used ones. */
static struct neigh *create(struct gw_worker *w, struct gw_port *port, const struct net_addr *a)
{
	struct gw_neigh *t = w->neigh;
	int32_t pos = rte_hash_add_key(t->hash, a);
	struct neigh *e;

	if (pos < 0 && evict(w))
		pos = rte_hash_add_key(t->hash, a);
	if (pos < 0)
		return NULL;
	e = &t->e[pos];
	memset(e, 0, sizeof(*e));
	e->addr = *a;
	e->port = (uint8_t)port->index;
	e->confirmed_ms = w->now_ms;
	return e;
}

/* Tells the other workers: one of them may have asked. */
static void spread(struct gw_worker *w, const struct gw_port *port, const struct net_addr *addr,
		   const struct rte_ether_addr *mac, bool learned)
{
	struct news n = {
		.addr = *addr, .mac = *mac, .port = (uint8_t)port->index, .learned = learned};

	for (uint32_t i = 0; i < w->gw->n_worker; i++)
		if (i != w->index && w->gw->worker[i]->news)
			rte_ring_enqueue_elem(w->gw->worker[i]->news, &n, sizeof(n));
}

/* The neighbour is at mac for sure: waiting frames go. */
static void resolved(struct gw_worker *w, struct neigh *e, const struct rte_ether_addr *mac)
{
	struct gw_port *port = &w->gw->port[e->port];
	uint8_t n = e->n_wait;

	e->mac = *mac;
	e->confirmed_ms = w->now_ms;
	set_state(w->neigh, e, NEIGH_REACHABLE);
	w->neigh->waiting -= n;
	e->n_wait = 0;
	for (uint8_t i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(e->wait[i], struct rte_ether_hdr *);

		eth->dst_addr = e->mac;
		if (rte_is_zero_ether_addr(&eth->src_addr)) /* else a server has its own */
			eth->src_addr = port->mac;
		gw_port_tx(w, port, e->wait[i]);
	}
}

/* Takes in that addr is at mac; learned: even when nobody asked. True when that was new. */
static bool update(struct gw_worker *w, struct gw_port *port, const struct net_addr *addr,
		   const struct rte_ether_addr *mac, bool learned)
{
	struct neigh *e = find(w->neigh, addr);
	bool fresh;

	if (!e && learned)
		e = create(w, port, addr);
	if (!e)
		return true;
	if (e->state == NEIGH_STATIC)
		return false;
	fresh = e->state == NEIGH_FREE || e->state == NEIGH_INCOMPLETE ||
		!rte_is_same_ether_addr(&e->mac, mac);
	e->port = (uint8_t)port->index;
	resolved(w, e, mac);
	return fresh;
}

void gw_neigh_confirm(struct gw_worker *w, struct gw_port *port, const struct net_addr *addr,
		      const struct rte_ether_addr *mac)
{
	if (!rte_is_unicast_ether_addr(mac) || rte_is_zero_ether_addr(mac))
		return;
	update(w, port, addr, mac, false);
	spread(w, port, addr, mac, false);
}

void gw_neigh_learn(struct gw_worker *w, struct gw_port *port, const struct net_addr *addr,
		    const struct rte_ether_addr *mac)
{
	struct cached *c = &w->neigh->cache[addr->b[15] & (CACHE - 1)];

	if (w->now_ms < c->until_ms && net_addr_eq(&c->addr, addr) &&
	    rte_is_same_ether_addr(&c->mac, mac))
		return;
	if (!rte_is_unicast_ether_addr(mac) || rte_is_zero_ether_addr(mac) ||
	    !gw_port_cfg_covers(port->cfg, addr) || gw_port_owns(port, addr) ||
	    gw_server_of(w->gw, addr) != UINT32_MAX)
		return;
	if (update(w, port, addr, mac, true))
		spread(w, port, addr, mac, true);
	c->addr = *addr;
	c->mac = *mac;
	c->until_ms = w->now_ms + CACHE_MS;
}

/* Port and on-link address towards dst: itself or a router. */
static struct gw_port *route(struct gw *gw, const struct net_addr *dst, struct net_addr *via)
{
	static const struct net_addr zero;
	struct gw_port *port = gw_port_of(gw, dst);
	bool v4 = net_addr_is_v4(dst);

	*via = *dst;
	if (port)
		return gw_port_owns(port, dst) ? NULL : port;
	for (uint32_t i = 0; i < gw->n_port; i++) {
		const struct gw_port_cfg *c = gw->port[i].cfg;
		const struct net_addr *hop = v4 ? &c->next_hop4 : &c->next_hop6;

		if (!net_addr_eq(hop, &zero)) {
			*via = *hop;
			return &gw->port[i];
		}
	}
	return NULL;
}

int gw_neigh_peek(struct gw_worker *w, const struct net_addr *dst, struct gw_next_hop *nh)
{
	struct net_addr via;
	struct gw_port *port = route(w->gw, dst, &via);
	const struct neigh *e = port ? find(w->neigh, &via) : NULL;

	if (!port)
		return EHOSTUNREACH;
	nh->port = port;
	if (!e)
		return ENOENT;
	if (e->state == NEIGH_INCOMPLETE)
		return EAGAIN;
	nh->port = &w->gw->port[e->port];
	nh->mac = e->mac;
	return 0;
}

int gw_neigh_lookup(struct gw_worker *w, const struct net_addr *dst, struct gw_next_hop *nh)
{
	struct net_addr via;
	struct gw_port *port = route(w->gw, dst, &via);
	struct neigh *e;

	if (!port)
		return EHOSTUNREACH;
	e = find(w->neigh, &via);
	if (!e) {
		e = create(w, port, &via);
		if (!e)
			return EHOSTUNREACH;
		set_state(w->neigh, e, NEIGH_INCOMPLETE);
		e->asked_ms = w->now_ms;
		e->tries = 1;
		gw_neigh_ask(w, port, &via, NULL);
	}
	e->used_ms = w->now_ms;
	if (e->state == NEIGH_INCOMPLETE)
		return EAGAIN;
	nh->port = &w->gw->port[e->port];
	nh->mac = e->mac;
	return 0;
}

void gw_neigh_wait(struct gw_worker *w, const struct net_addr *dst, struct rte_mbuf *m)
{
	struct gw_neigh *t = w->neigh;
	struct net_addr via;
	struct neigh *e = route(w->gw, dst, &via) ? find(t, &via) : NULL;

	if (!e || e->state != NEIGH_INCOMPLETE || e->n_wait == WAIT_EACH ||
	    t->waiting == WAIT_ALL) {
		gw_drop(w, GW_DROP_NO_NEIGHBOUR, m);
		return;
	}
	e->wait[e->n_wait++] = m;
	t->waiting++;
}

/* What time brings for one entry. */
static void age(struct gw_worker *w, struct neigh *e)
{
	struct gw_port *port = &w->gw->port[e->port];

	switch (e->state) {
	case NEIGH_REACHABLE:
		if (w->now_ms - e->confirmed_ms < CONFIRM_MS)
			return;
		if (w->now_ms - e->used_ms > CONFIRM_MS) {
			if (w->now_ms - RTE_MAX(e->used_ms, e->confirmed_ms) > UNUSED_MS)
				forget(w, e);
			return;
		}
		set_state(w->neigh, e, NEIGH_PROBE);
		break;
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE:
		if (w->now_ms - e->asked_ms < ASK_MS)
			return;
		if (e->tries >= TRIES) {
			forget(w, e);
			return;
		}
		break;
	default:
		return;
	}
	e->tries++;
	e->asked_ms = w->now_ms;
	gw_neigh_ask(w, port, &e->addr, e->state == NEIGH_PROBE ? &e->mac : NULL);
}

uint64_t gw_neigh_run(struct gw_worker *w)
{
	struct gw_neigh *t = w->neigh;
	struct news n;

	while (w->news && rte_ring_dequeue_elem(w->news, &n, sizeof(n)) == 0)
		update(w, &w->gw->port[n.port], &n.addr, &n.mac, n.learned);
	for (int i = 0; i < SCAN; i++)
		age(w, &t->e[t->scan++ % ENTRIES]);
	return w->now_us + 10000;
}

bool gw_neigh_next(struct gw_worker *w, uint32_t *it, struct gw_neigh_row *row)
{
	while (*it < ENTRIES) {
		const struct neigh *e = &w->neigh->e[(*it)++];

		if (e->state == NEIGH_FREE)
			continue;
		row->addr = e->addr;
		row->mac = e->mac;
		row->port = e->port;
		row->state = state_names[e->state];
		row->age_ms = w->now_ms - e->confirmed_ms;
		row->idle_ms = w->now_ms - RTE_MAX(e->used_ms, e->confirmed_ms);
		return true;
	}
	return false;
}

/* Takes in what the configuration says. 0 or ENOMEM. */
static int open_static(struct gw_worker *w)
{
	for (uint32_t i = 0; i < w->gw->cfg->n_port; i++) {
		const struct gw_port_cfg *p = &w->gw->cfg->port[i];

		for (uint32_t j = 0; j < p->n_neigh; j++) {
			struct neigh *e = create(w, &w->gw->port[i], &p->neigh[j].addr);

			if (!e)
				return ENOMEM;
			e->mac = p->neigh[j].mac;
			e->port = (uint8_t)i; /* the port itself is opened later */
			set_state(w->neigh, e, NEIGH_STATIC);
		}
	}
	return 0;
}

int gw_neigh_open(struct gw_worker *w)
{
	char name[RTE_RING_NAMESIZE];

	w->neigh = rte_zmalloc("neigh", sizeof(*w->neigh), 0);
	if (!w->neigh)
		return ENOMEM;
	w->neigh->hash = gw_hash_new(w, "neigh", ENTRIES, sizeof(struct net_addr));
	/* positions of rte_hash run from 0 to entries, both included, with spare slots */
	w->neigh->e = rte_zmalloc("neigh entries", (ENTRIES + 64) * sizeof(struct neigh), 0);
	if (!w->neigh->hash || !w->neigh->e)
		return ENOMEM;
	snprintf(name, sizeof(name), "news%u", w->index);
	w->news = rte_ring_create_elem(name, sizeof(struct news), NEWS_RING, SOCKET_ID_ANY,
				       RING_F_SC_DEQ);
	return w->news ? open_static(w) : ENOMEM;
}

void gw_neigh_close(struct gw_worker *w)
{
	if (!w->neigh)
		return;
	for (uint32_t i = 0; w->neigh->e && i < ENTRIES; i++)
		while (w->neigh->e[i].n_wait)
			rte_pktmbuf_free(w->neigh->e[i].wait[--w->neigh->e[i].n_wait]);
	rte_ring_free(w->news);
	rte_hash_free(w->neigh->hash);
	rte_free(w->neigh->e);
	rte_free(w->neigh);
	w->neigh = NULL;
	w->news = NULL;
}
