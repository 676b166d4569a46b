/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_native.c - the UD queue pair that whole Ethernet frames travel on, RFC 4391 section 6 with
 * type 0x6558 (docs/protocol.md).
 *
 * Receive buffers take the largest packet of the path, since a longer one than its buffer would
 * end a queue pair on some HCAs. Frames longer than that take the worker's native RC queue pair
 * (host_native_rc.c), from the same send buffers. A frame that finds no send buffer is left in the
 * TAP's queue: the TAP is not read until a completion frees one.
 */
#include "host/host_native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_daemon.h"

#define NATIVE_SEND 1024 /* send buffers */
#define NATIVE_RECV 1024 /* receive buffers */
#define FRAME_EXTRA 22	 /* bytes beyond the IP MTU: encapsulation, Ethernet header, one tag */

static void native_sent(struct ib_op *op, enum ibv_wc_status status)
{
	struct host_nbuf *b = (struct host_nbuf *)((char *)op - offsetof(struct host_nbuf, op));
	struct host_native *n = b->native;

	if (status != IBV_WC_SUCCESS)
		host_drop(&n->h->count, HOST_C_DROP_SEND, "native frame not sent: %s",
			  ibv_wc_status_str(status));
	host_native_put(n, b);
	if (n->starved && !n->h->stopping) {
		n->starved = false;
		ev_io_start(n->h->loop, &n->h->tap.io);
	}
}

/* A frame, or something else that pretends to be one. */
static void native_frame(struct host *h, uint8_t *buf, const struct ibv_wc *wc)
{
	struct host_worker *from = host_gw_by_source(h, wc, buf);

	if (!from) {
		host_drop(&h->count, HOST_C_DROP_SOURCE,
			  "native packet from unknown source LID %u QPN %u", wc->slid, wc->src_qp);
		return;
	}
	host_native_unwrap(h, buf + IB_GRH_LEN,
			   wc->byte_len < IB_GRH_LEN ? 0 : wc->byte_len - IB_GRH_LEN, from);
}

void host_native_unwrap(struct host *h, uint8_t *buf, uint32_t len, struct host_worker *from)
{
	struct ib_encap e;

	if (len < sizeof(e) + 14) {
		host_drop(&h->count, HOST_C_DROP_ENCAP, "native packet of %u bytes", len);
		return;
	}
	memcpy(&e, buf, sizeof(e));
	if (e.type != htobe16(IB_ENCAP_ETH)) {
		host_drop(&h->count, HOST_C_DROP_ENCAP, "native packet of type 0x%04x",
			  be16toh(e.type));
		return;
	}
	host_count(&h->count, HOST_C_NATIVE_RX);
	host_steer_gateway(h, buf + sizeof(e), len - (uint32_t)sizeof(e), from);
}

static void native_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct host_native *n = qp->owner;

	if (wc->status == IBV_WC_SUCCESS)
		native_frame(n->h, cookie, wc);
	if (!qp->dead)
		ib_qp_recv(qp, cookie, n->stride, n->mem.mr->lkey, cookie);
}

static void native_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct host_native *n = qp->owner;

	host_log(HOST_LOG_ERROR, "native queue pair failed (%s): stopping",
		 ibv_wc_status_str(status));
	ev_break(n->h->loop, EVBREAK_ALL);
}

static const struct ib_qp_ops native_ops = {.recv = native_recv, .dead = native_dead};

int host_native_open(struct host *h, char err[IB_ERRLEN])
{
	struct host_native *n = &h->native;
	uint8_t *p;
	int rc;

	memset(n, 0, sizeof(*n));
	n->h = h;
	n->frame_max = h->dev.mtu - (uint32_t)sizeof(struct ib_encap);
	n->stride = h->dev.mtu + IB_GRH_LEN;
	if (n->stride < h->conf.mtu + FRAME_EXTRA)
		n->stride = h->conf.mtu + FRAME_EXTRA;
	n->stride = (n->stride + 63) & ~63u;
	n->bufs = calloc(NATIVE_SEND, sizeof(*n->bufs));
	if (!n->bufs)
		return ENOMEM;
	rc = ib_mem_alloc(&n->mem, &h->dev, (size_t)n->stride * (NATIVE_SEND + NATIVE_RECV),
			  IBV_ACCESS_LOCAL_WRITE);
	if (rc) {
		ib_explain(rc, "registering native buffers", err);
		goto err_free;
	}
	rc = ib_qp_open(&n->qp, &h->dev, &h->cq, IBV_QPT_UD, NATIVE_SEND, NATIVE_RECV, &native_ops,
			n);
	if (rc) {
		ib_explain(rc, "creating the native queue pair", err);
		goto err_free;
	}
	p = n->mem.addr;
	for (int i = 0; i < NATIVE_RECV; i++, p += n->stride) {
		rc = ib_qp_recv(&n->qp, p, n->stride, n->mem.mr->lkey, p);
		if (rc) {
			ib_explain(rc, "posting native buffers", err);
			goto err_free;
		}
	}
	for (int i = 0; i < NATIVE_SEND; i++, p += n->stride) {
		n->bufs[i].native = n;
		n->bufs[i].data = p;
		n->bufs[i].op.done = native_sent;
		host_native_put(n, &n->bufs[i]);
	}
	return 0;

err_free:
	host_native_close(h);
	return rc;
}

void host_native_close(struct host *h)
{
	struct host_native *n = &h->native;

	if (n->qp.qp) {
		ib_qp_fence(&n->qp);
		for (int i = 0; i < 100 && !ib_qp_drained(&n->qp); i++)
			ib_cq_poll(&h->cq, 256);
	}
	ib_qp_close(&n->qp);
	ib_mem_free(&n->mem);
	free(n->bufs);
	n->bufs = n->free = NULL;
}

struct host_nbuf *host_native_get(struct host_native *n)
{
	struct host_nbuf *b = n->free;

	if (b)
		n->free = b->next;
	return b;
}

void host_native_put(struct host_native *n, struct host_nbuf *b)
{
	b->next = n->free;
	n->free = b;
}

void host_native_send(struct host *h, struct host_nbuf *b, uint32_t len, struct host_worker *w,
		      uint16_t flags)
{
	struct host_native *n = &h->native;
	const struct ib_encap e = {.type = htobe16(IB_ENCAP_ETH), .flags = htobe16(flags)};
	struct ibv_sge sge = {.addr = (uintptr_t)b->data,
			      .length = len + (uint32_t)sizeof(e),
			      .lkey = n->mem.mr->lkey};
	bool rc_sized;
	int rc;

	if (!w || !w->ah) {
		host_count(&h->count, HOST_C_DROP_NO_GATEWAY);
		host_native_put(n, b);
		return;
	}
	rc_sized = len > n->frame_max || (w->native.mtu && len + sizeof(e) > 128u << w->native.mtu);
	if (rc_sized && (!w->rc || len > w->rc->max || w->gw->state != HOST_G_UP)) {
		host_drop(&h->count, HOST_C_DROP_TOO_LONG,
			  "frame of %u bytes exceeds what the fabric takes (%u)", len,
			  w->rc ? w->rc->max : n->frame_max);
		host_native_put(n, b);
		return;
	}
	memcpy(b->data, &e, sizeof(e));
	rc = rc_sized ? ib_qp_send(&w->rc->qp, &sge, 1, &b->op)
		      : ib_qp_send_ud(&n->qp, w->ah, w->native.qpn, &sge, 1, &b->op);
	if (rc) {
		host_drop(&h->count, HOST_C_DROP_SEND, "native frame not sent: %s", strerror(rc));
		host_native_put(n, b);
		return;
	}
	host_count(&h->count, HOST_C_NATIVE_TX);
}

void host_native_send_copy(struct host *h, const uint8_t *frame, uint32_t len,
			   struct host_worker *w, uint16_t flags)
{
	struct host_nbuf *b = host_native_get(&h->native);

	if (!b || len > h->native.stride - sizeof(struct ib_encap)) {
		host_drop(&h->count, HOST_C_DROP_SEND, "no send buffer for a kept frame");
		if (b)
			host_native_put(&h->native, b);
		return;
	}
	memcpy(host_nbuf_frame(b), frame, len);
	host_native_send(h, b, len, w, flags);
}
