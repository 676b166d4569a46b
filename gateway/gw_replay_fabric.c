/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_fabric.c - what crosses the fabric in a replay, seen by a tap on the gateway's
 * completion queue: as operations for expectations, and as ERF packets for the output.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_replay.h"

/** An ERF record being made. */
struct sink {
	struct gw_rep *r;
	struct timespec ts; /* of the operation */
};

/* A packet of the operation. */
static void on_packet(void *arg, const uint8_t *pkt, uint32_t n)
{
	static uint8_t rec[PKT_ERF_RECORD + PKT_MTU + PKT_HEADERS];
	const uint32_t pcap_head = 16; /* libpcap writes its own */
	struct sink *s = arg;
	struct iovec v;

	n = pkt_erf_record(rec, &s->ts, pkt, n, 0);
	v = (struct iovec){rec + pcap_head, n - pcap_head};
	if (gw_rep_list_add(&s->r->fabric, s->r->us, &v, 1))
		gw_rep_fail(s->r, "no memory for packets of the fabric");
}

/* The server at the other end. */
static struct gw_rep_host *peer_of(struct gw_rep *r, const struct pkt_op *op, bool from_gw)
{
	uint16_t lid = from_gw ? op->flow.dlid : op->flow.slid;

	for (uint32_t i = 0; i < r->n_host; i++)
		if (r->host[i].open && r->host[i].dev.port_attr.lid == lid)
			return &r->host[i];
	return NULL;
}

static void on_op(struct ib_tap *t, const struct pkt_op *op, const struct iovec *v, int n)
{
	struct gw_rep *r = (struct gw_rep *)((char *)t - offsetof(struct gw_rep, tap));
	struct sink s = {.r = r, .ts = {(time_t)(r->us / 1000000), r->us % 1000000 * 1000}};
	struct gw_rep_op *o;

	pkt_op_put(op, v, n, on_packet, &s);
	if (r->n_op == r->op_room) {
		r->op_room = r->op_room ? 2 * r->op_room : 256;
		o = reallocarray(r->op, r->op_room, sizeof(*o));
		if (!o) {
			r->op_room = r->n_op;
			gw_rep_fail(r, "no memory for operations of the fabric");
			return;
		}
		r->op = o;
	}
	o = &r->op[r->n_op++];
	*o = (struct gw_rep_op){.us = r->us, .op = *op};
	o->from_gw = op->flow.slid == r->gw->dev.port_attr.lid;
	o->peer = peer_of(r, op, o->from_gw);
	o->data = malloc(op->len + 1);
	for (int i = 0; i < n && o->data; i++) {
		memcpy(o->data + o->len, v[i].iov_base, v[i].iov_len);
		o->len += (uint32_t)v[i].iov_len;
	}
}

/* Which server an address handle of the gateway leads to. */
static bool on_path(struct ib_tap *t, const struct ibv_ah *ah, struct ib_addr *to)
{
	struct gw_rep *r = (struct gw_rep *)((char *)t - offsetof(struct gw_rep, tap));

	for (uint32_t i = 0; i < r->n_host; i++)
		if (r->gw->host[i].link[0].ah == ah) {
			*to = r->gw->host[i].native;
			return true;
		}
	return false;
}

void gw_rep_fabric_open(struct gw_rep *r)
{
	r->fabric.dlt = DLT_ERF;
	r->tap = (struct ib_tap){.op = on_op, .path = on_path};
	if (!r->figure)
		r->gw->worker[0]->cq.tap = &r->tap;
}

void gw_rep_fabric_close(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->n_op; i++)
		free(r->op[i].data);
	free(r->op);
	gw_rep_list_free(&r->fabric);
}
