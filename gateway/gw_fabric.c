/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_fabric.c - hosts as the gateway uses them: queue pairs made, connected, fenced and destroyed
 * in every worker, and the native maps that follow from who is attached.
 *
 * Theory of operation
 *
 * All of it runs on the control thread, which reaches into workers by gw_call() only. A host's
 * states:
 *
 *	ABSENT -> GREETING -> UP -> LOST -> ABSENT      (bootstrap closed, host did not return)
 *	                       UP -> ABSENT             (queue pair died, host is alive)
 *	                LOST -> GREETING                (it is back)
 *
 * The native maps are an immutable snapshot shared by all workers: a new one is published to each,
 * then one gw_call() each proves that nobody looks at the old one any more, which is freed.
 */
#define GW_LOG_MODULE GW_LM_HOST

#include <errno.h>
#include <string.h>
#include <time.h>

#include "gateway/gw_policy.h"

#define DRAIN_MS 200 /* a fenced queue pair flushes in microseconds; then it is closed anyway */

/** What a call about a host carries. */
struct host_call {
	struct gw_host *h;	    /* the host */
	const struct ib_addr *sets; /* up: two addresses per worker */
	const struct ib_addr *rcs;  /* up: native RC queue pair per worker; QPN 0: none */
	struct ibv_ah *ah;	    /* down: to be destroyed after the drain */
	uint32_t ud_head;	    /* down: native SENDs posted until then */
	bool lost;		    /* down: the host is gone, too */
	bool drained;		    /* drain: nothing is outstanding */
	int rc;			    /* result */
};

static const char *const state_names[] = {
	[GW_HOST_ABSENT] = "absent",
	[GW_HOST_GREETING] = "greeting",
	[GW_HOST_UP] = "up",
	[GW_HOST_LOST] = "lost",
};

const char *gw_host_state_name(enum gw_host_state s)
{
	return state_names[s];
}

/* The one place where a host changes its state. */
static void set_state(struct gw_host *h, enum gw_host_state s)
{
	if (h->state == s)
		return;
	gw_log(s == GW_HOST_LOST       ? GW_LOG_WARNING
	       : s == GW_HOST_GREETING ? GW_LOG_DEBUG
				       : GW_LOG_NOTICE,
	       "server %s: %s", h->cfg->name, state_names[s]);
	h->state = s;
}

static void on_down(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;
	struct gw_link *l = &c->h->link[w->index];

	l->up = false;
	gw_accel_link_down(l, c->lost);
	if (l->open)
		ib_set_fence(&l->set);
	gw_native_rc_fence(l);
	c->ah = l->ah;
	l->ah = NULL;
	c->ud_head = w->ud.sq_head;
}

static void on_drained(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;
	struct gw_link *l = &c->h->link[w->index];

	ib_cq_poll(&w->cq, 64);
	c->drained = (!l->open || ib_set_drained(&l->set)) && ib_qp_drained(&l->rc) &&
		     (int32_t)(w->ud.sq_tail - c->ud_head) >= 0;
}

static void on_close(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;
	struct gw_link *l = &c->h->link[w->index];

	if (l->open)
		ib_set_close(&l->set);
	l->open = false;
	gw_native_rc_close(l);
	if (c->ah)
		ibv_destroy_ah(c->ah);
}

/* Takes a host's link of one worker away. */
static void link_down(struct gw_worker *w, struct gw_host *h, bool lost)
{
	struct host_call c = {.h = h, .lost = lost};
	struct timespec ms = {.tv_nsec = 1000000};

	gw_call(w, on_down, &c);
	for (int i = 0; i < DRAIN_MS; i++) {
		gw_call(w, on_drained, &c);
		if (c.drained)
			break;
		nanosleep(&ms, NULL);
	}
	if (!c.drained)
		gw_log(GW_LOG_WARNING, "server %s: queue pairs of worker %u did not drain",
		       h->cfg->name, w->index);
	/* Nothing of a drained link can come up in the worker any more: it need not wait. */
	if (c.drained)
		on_close(w, &c);
	else
		gw_call(w, on_close, &c);
}

static void on_native_rc(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;

	c->rc = gw_native_rc_open(&c->h->link[w->index]);
}

/*
 * Makes a host's link of one worker. Registering memory takes long, and nothing completes on
 * queue pairs that are not connected, so the worker is only asked for what needs its mbufs.
 */
static int link_open(struct gw_worker *w, struct gw_host *h)
{
	struct gw_link *l = &h->link[w->index];
	struct host_call c = {.h = h};

	l->host = h;
	l->worker = w;
	l->up = false;
	c.rc = ib_set_open(&l->set, &w->gw->dev, &w->cq, gw_set_sq(w->gw), &gw_accel_set_ops, l);
	if (c.rc)
		return c.rc;
	l->open = true;
	l->ah = ib_ah(&w->gw->dev, &h->native);
	if (!l->ah)
		return errno ? errno : EINVAL;
	gw_call(w, on_native_rc, &c);
	return c.rc;
}

int gw_host_greet(struct gw *gw, struct gw_host *h)
{
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		int rc = link_open(gw->worker[i], h);

		if (rc) {
			for (uint32_t j = 0; j <= i; j++)
				link_down(gw->worker[j], h, false);
			set_state(h, GW_HOST_ABSENT);
			return rc;
		}
	}
	set_state(h, GW_HOST_GREETING);
	return 0;
}

static void on_up(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;
	struct gw_link *l = &c->h->link[w->index];

	c->rc = ib_set_connect(&l->set, c->sets + 2 * w->index);
	if (c->rc == 0 && l->rc.qp && c->rcs[w->index].qpn)
		c->rc = gw_native_rc_connect(l, &c->rcs[w->index]);
	if (c->rc)
		return;
	l->peer = c->sets[2 * w->index];
	l->up = true;
	gw_accel_link_up(l);
}

int gw_host_up(struct gw *gw, struct gw_host *h, const struct ib_addr *sets,
	       const struct ib_addr *rcs)
{
	struct host_call c = {.h = h, .sets = sets, .rcs = rcs};
	int rc;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		gw_call(gw->worker[i], on_up, &c);
		if (c.rc)
			return c.rc;
	}
	set_state(h, GW_HOST_UP);
	rc = gw_publish(gw);
	gw_health_tick(gw);
	if (rc == 0)
		gw_announce_host(gw, h);
	return rc;
}

static void on_gone(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;

	gw_accel_host_gone(w, c->h);
}

void gw_host_gone(struct gw *gw, struct gw_host *h)
{
	struct host_call c = {.h = h};

	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_gone, &c);
	if (h->state == GW_HOST_LOST)
		set_state(h, GW_HOST_ABSENT);
}

static void on_forget(struct gw_worker *w, void *arg)
{
	struct host_call *c = arg;

	gw_accel_link_down(&c->h->link[w->index], false);
}

void gw_host_returned(struct gw *gw, struct gw_host *h)
{
	struct host_call c = {.h = h};

	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_forget, &c);
}

void gw_host_down(struct gw *gw, struct gw_host *h, bool lost)
{
	bool was_up = h->state == GW_HOST_UP;

	for (uint32_t i = 0; i < gw->n_worker; i++)
		link_down(gw->worker[i], h, lost);
	atomic_store(&h->n_arena, 0);
	set_state(h, was_up && lost ? GW_HOST_LOST : GW_HOST_ABSENT);
	gw_health_tick(gw);
	if (was_up)
		gw_publish(gw);
}

/* Adds a host that is up to a snapshot. */
static int add_host(struct gw *gw, struct corr_native *map, const struct gw_host *h)
{
	struct corr_server s = {.id = h->id,
				.native = {.lid = h->native.lid, .qpn = h->native.qpn}};
	int rc;

	if (gw->dev.roce)
		memcpy(s.native.gid, h->native.gid, sizeof(s.native.gid));
	memcpy(s.mac, &h->mac, sizeof(s.mac));
	memcpy(s.src_mac, gw_server_mac(h->cfg, &h->addr[0], &gw->port[0]), sizeof(s.src_mac));
	rc = corr_native_add_server(map, &s);
	for (uint32_t i = 0; rc == 0 && i < h->n_addr; i++)
		rc = corr_native_add_addr(map, h->addr[i].b, h->id);
	return rc;
}

static void on_quiescent(struct gw_worker *w, void *arg)
{
	/* that it ran is all that counts */
}

int gw_publish(struct gw *gw)
{
	struct corr_native *map, *old = gw->native;
	uint32_t servers = 1, addrs = 1;
	int rc = 0;

	for (uint32_t i = 0; i < gw->cfg->n_server; i++)
		if (gw->host[i].state == GW_HOST_UP) {
			servers++;
			addrs += gw->host[i].n_addr;
		}
	map = corr_native_new(servers, addrs);
	if (!map)
		return ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < gw->cfg->n_server; i++)
		if (gw->host[i].state == GW_HOST_UP)
			rc = add_host(gw, map, &gw->host[i]);
	if (rc) {
		gw_log(GW_LOG_ERROR, "native maps cannot be made: %s", strerror(rc));
		corr_native_free(map);
		return rc;
	}
	gw->native = map;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		atomic_store_explicit(&gw->worker[i]->native, map, memory_order_release);
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_quiescent, NULL);
	corr_native_free(old);
	return 0;
}
