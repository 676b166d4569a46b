/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_worker.c - the workers of a gateway: their queue-pair sets, their addresses, what is sent
 * to them.
 */
#include <errno.h>
#include <string.h>

#include "host/host_daemon.h"

static void gw_set_dead(struct ib_set *s, enum ibv_wc_status status)
{
	struct host_worker *w = s->owner;

	host_gw_lost(w->gw, ibv_wc_status_str(status));
}

static void gw_set_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	struct host_worker *w = s->owner;

	host_drop(&w->gw->h->count, HOST_C_BAD_MSG, "gateway %s: malformed %s of %u bytes",
		  w->gw->conf->name, ib_mid_name(mid), bytes);
}

static void gw_set_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	struct host_worker *w = s->owner;

	host_conn_msg(w, mid, entries, n);
}

static const struct ib_set_ops set_ops = {
	.msg = gw_set_msg, .bad = gw_set_bad, .dead = gw_set_dead};

static int gw_open_worker(struct host_gw *g, struct host_worker *w, json_t *desc)
{
	json_t *pair = json_object_get(desc, "set");
	const char *native = json_string_value(json_object_get(desc, "native"));
	const char *nrc = json_string_value(json_object_get(desc, "native_rc"));
	const char *ctl = json_string_value(json_array_get(pair, 0));
	const char *rd = json_string_value(json_array_get(pair, 1));
	json_int_t max = json_integer_value(json_object_get(desc, "native_max"));
	struct ib_addr peer[2], rc_peer;
	int rc;

	if (!native || !ctl || !rd || ib_addr_parse(native, &w->native) ||
	    ib_addr_parse(ctl, &peer[0]) || ib_addr_parse(rd, &peer[1]) ||
	    (nrc && (ib_addr_parse(nrc, &rc_peer) || max < 1 || max > UINT16_MAX)))
		return EINVAL;
	w->ah = ib_ah(&g->h->dev, &w->native);
	if (!w->ah)
		return errno ? errno : EIO;
	rc = ib_set_open(&w->set, &g->dev, &g->h->cq, ib_set_depth(&g->dev, HOST_SQ_DEPTH),
			 &set_ops, w);
	if (rc)
		return rc;
	w->open = true;
	rc = ib_set_connect(&w->set, peer);
	return rc || !nrc ? rc : host_rc_open(w, &rc_peer, (uint32_t)max);
}

int host_gw_open_workers(struct host_gw *g, json_t *workers)
{
	size_t i;
	json_t *desc;

	if (json_array_size(workers) < 1 || json_array_size(workers) > HOST_MAX_WORKERS)
		return EINVAL;
	json_array_foreach(workers, i, desc)
	{
		struct host_worker *w = &g->worker[i];
		int rc;

		memset(w, 0, sizeof(*w));
		w->gw = g;
		w->idx = (uint16_t)i;
		g->n_workers = (unsigned int)i + 1;
		rc = gw_open_worker(g, w, desc);
		if (rc)
			return rc;
	}
	return 0;
}

int host_gw_msg(struct host_worker *w, uint8_t mid, const void *entry)
{
	if (!w || !w->open || w->gw->state != HOST_G_UP)
		return EPIPE;
	return ib_set_msg(&w->set, mid, entry);
}

void host_gw_flush(struct host *h)
{
	for (unsigned int i = 0; i < h->n_gw; i++)
		for (unsigned int k = 0; k < h->gw[i].n_workers; k++) {
			struct host_worker *w = &h->gw[i].worker[k];

			if (w->open && !w->set.dead)
				ib_set_flush(&w->set);
		}
}

struct host_worker *host_gw_by_source(struct host *h, const struct ibv_wc *wc, const uint8_t *grh)
{
	uint8_t mapped[16];
	const uint8_t *gid = h->dev.roce ? ib_grh_source(grh, mapped) : NULL;

	for (unsigned int i = 0; i < h->n_gw; i++) {
		struct host_gw *g = &h->gw[i];

		for (unsigned int k = 0; k < g->n_workers; k++) {
			const struct ib_addr *a = &g->worker[k].native;

			if (a->qpn != wc->src_qp)
				continue;
			if (gid ? !memcmp(gid, a->gid, 16) : wc->slid == a->lid)
				return &g->worker[k];
		}
	}
	return NULL;
}

struct host_worker *host_gw_default(struct host *h)
{
	for (unsigned int i = 0; i < h->n_gw; i++)
		if (h->gw[i].state == HOST_G_UP || h->gw[i].state == HOST_G_READY)
			return &h->gw[i].worker[0];
	return NULL;
}
