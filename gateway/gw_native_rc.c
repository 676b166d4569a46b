/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_native_rc.c - the native path for frames that no datagram can carry: a reliable queue pair per
 * (host, worker), made when the host's MTU asks for it (docs/protocol.md section 4). Frames are
 * encapsulated as in datagrams; the queue pair itself names the host.
 *
 * A wire does not wait for its receiver: when the host posts no buffers, or is slow, SENDs stay in
 * the send queue, and frames that find it full are dropped and counted. A queue pair that fails
 * ends the host's session as one of its set does (gw_boot.c).
 */
#include <errno.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_int.h"

#define BUF_OFF (RTE_PKTMBUF_HEADROOM - (uint32_t)sizeof(struct ib_encap))

/* A buffer with a frame came back. */
static void received(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct gw_link *l = qp->owner;
	struct rte_mbuf *m = cookie;

	if (wc->status != IBV_WC_SUCCESS) {
		rte_pktmbuf_free(m);
		return;
	}
	gw_native_unwrap(l->worker, l->host, m, wc->byte_len);
	if (l->worker->capture)
		gw_cap_settle(l->worker->capture);
	gw_native_rc_refill(l);
}

static void died(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct gw_link *l = qp->owner;

	l->rc_up = false;
	gw_event(l->worker, GW_EV_QP_DEAD, "native RC queue pair %u of server %s: %s",
		 qp->qp->qp_num, l->host->cfg->name, ibv_wc_status_str(status));
}

static const struct ib_qp_ops rc_ops = {.recv = received, .dead = died};

void gw_native_rc_refill(struct gw_link *l)
{
	struct gw_worker *w = l->worker;
	uint32_t len = rte_pktmbuf_data_room_size(w->pool) - BUF_OFF;

	while (l->rc.rq_head - l->rc.rq_tail < l->rc.rq_depth && !l->rc.dead) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
		uint8_t *at;

		if (!m) {
			w->rc_hungry = true;
			return;
		}
		at = (uint8_t *)m->buf_addr + BUF_OFF;
		if (ib_qp_recv(&l->rc, at, len, gw_mbuf_lkey(w, at), m)) {
			rte_pktmbuf_free(m);
			return;
		}
	}
}

void gw_native_rc_feed(struct gw_worker *w)
{
	w->rc_hungry = false;
	for (uint32_t i = 0; i < w->gw->cfg->n_server; i++) {
		struct gw_link *l = &w->gw->host[i].link[w->index];

		if (l->up) /* else the control thread may be about to close it */
			gw_native_rc_refill(l);
	}
}

uint32_t gw_native_rc_max(const struct gw_worker *w)
{
	return rte_pktmbuf_data_room_size(w->pool) - RTE_PKTMBUF_HEADROOM;
}

int gw_native_rc_open(struct gw_link *l)
{
	struct gw_worker *w = l->worker;
	const struct gw_host *h = l->host;
	uint32_t path = w->gw->dev.mtu, frame = GW_FRAME_MAX(h->mtu);
	int rc;

	if (h->native.mtu && 128u << h->native.mtu < path)
		path = 128u << h->native.mtu;
	l->ud_max = path - (uint32_t)sizeof(struct ib_encap);
	if (frame <= l->ud_max)
		return 0;
	rc = ib_qp_open(&l->rc, &w->gw->dev, &w->cq, IBV_QPT_RC, GW_RC_SQ, GW_RC_RQ, &rc_ops, l);
	if (rc == 0)
		gw_native_rc_refill(l);
	return rc;
}

int gw_native_rc_connect(struct gw_link *l, const struct ib_addr *peer)
{
	int rc = ib_qp_connect(&l->rc, peer);

	l->rc_up = rc == 0;
	if (rc == 0)
		gw_native_rc_refill(l);
	return rc;
}

void gw_native_rc_fence(struct gw_link *l)
{
	l->rc_up = false;
	ib_qp_fence(&l->rc);
}

void gw_native_rc_close(struct gw_link *l)
{
	ib_qp_close(&l->rc);
	memset(&l->rc, 0, sizeof(l->rc));
}
