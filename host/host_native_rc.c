/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_native_rc.c - native frames that no datagram can carry: a reliable queue pair per worker,
 * made when the worker offers one (docs/protocol.md section 4). The counterpart of the gateway's
 * native RC queue pair: a full send queue drops, and a failure ends the attachment.
 *
 * It lives in the daemon's protection domain, as the buffers of the native path do, which offers
 * nothing to remote reads and writes. Send buffers are those of host_native.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_daemon.h"

#define RC_SEND 128 /* SENDs in flight */
#define RC_RECV 64  /* receive buffers */

static void rc_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct host_worker *w = qp->owner;
	struct host_rc *r = w->rc;

	if (wc->status == IBV_WC_SUCCESS)
		host_native_unwrap(w->gw->h, cookie, wc->byte_len, w);
	if (!qp->dead)
		ib_qp_recv(qp, cookie, r->stride, r->mem.mr->lkey, cookie);
}

static void rc_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct host_worker *w = qp->owner;

	host_gw_lost(w->gw, ibv_wc_status_str(status));
}

static const struct ib_qp_ops rc_ops = {.recv = rc_recv, .dead = rc_dead};

int host_rc_open(struct host_worker *w, const struct ib_addr *peer, uint32_t max)
{
	struct host *h = w->gw->h;
	struct host_rc *r = calloc(1, sizeof(*r));
	uint8_t *p;
	int rc;

	if (!r)
		return ENOMEM;
	w->rc = r;
	r->stride = h->native.stride;
	r->max = max;
	rc = ib_mem_alloc(&r->mem, &h->dev, (size_t)r->stride * RC_RECV, IBV_ACCESS_LOCAL_WRITE);
	if (!rc)
		rc = ib_qp_open(&r->qp, &h->dev, &h->cq, IBV_QPT_RC, RC_SEND, RC_RECV, &rc_ops, w);
	p = r->mem.addr;
	for (int i = 0; !rc && i < RC_RECV; i++, p += r->stride)
		rc = ib_qp_recv(&r->qp, p, r->stride, r->mem.mr->lkey, p);
	return rc ? rc : ib_qp_connect(&r->qp, peer);
}

bool host_rc_drained(const struct host_worker *w)
{
	return !w->rc || ib_qp_drained(&w->rc->qp);
}

void host_rc_fence(struct host_worker *w)
{
	if (w->rc)
		ib_qp_fence(&w->rc->qp);
}

void host_rc_close(struct host_worker *w)
{
	if (!w->rc)
		return;
	ib_qp_close(&w->rc->qp);
	ib_mem_free(&w->rc->mem);
	free(w->rc);
	w->rc = NULL;
}
