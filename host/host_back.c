/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_back.c - a connection returns from the gateway (DESIGN 4.4; docs/protocol.md, hand-back).
 *
 * The gateway line says where the wire is; the kernel's socket stands still at (k_snd, k_rcv). The
 * sequence map ties them, and from BACK_ACK on the client's frames come natively again:
 *
 *   1. the kernel must stand still (host_kernel.c); if it does not yet, we wait
 *   2. the client's FIN, if it is accepted and the kernel has not seen it yet, is injected
 *   3. the map is made and the flow is MAPPED
 *   4. the client's present window is injected, then the out-of-order intervals, as segments
 *   5. BACK_ACK, and bytes are pumped (host_pump.c): what the client has not acknowledged goes
 *      into the kernel's socket first, and the map swallows first copies of what is on the wire
 *
 * When the gateway failed nobody drained anything: everything from the last acknowledged byte is
 * sent anew and nothing is swallowed. The client's acknowledgement may then be ahead of what the
 * kernel has sent; it is clamped, and given to the kernel as soon as it has sent so far.
 */
#include <errno.h>
#include <string.h>

#include "host/host_daemon.h"

#define STILL_TICK  0.002 /* seconds between looks at the kernel's socket */
#define STILL_TRIES 1000
#define OOO_SEG	    1400 /* bytes per injected segment, within any MTU we allow */

bool host_back_over(const struct host_flow *f)
{
	return !f->conn && (f->end.reset || f->end.at > 0);
}

/* Positions of both sides. */
static void make_map(struct host_conn *c)
{
	const struct ib_gw_line *l = &c->last;
	struct host_flow *f = c->flow;
	struct seqmap_init in = {
		.k_snd = c->k_snd,
		.k_rcv = c->k_rcv,
		.una = c->snd_una0 + (uint32_t)l->tx_acked,
		.snd_max = c->snd_una0 + (uint32_t)l->tx_sent,
		.rcv_nxt = c->rcv_nxt0 + (uint32_t)(l->rx_prod - c->n_rx0) + c->rx_fin,
		.ts_wire = l->ts_val,
		.ts_ok = c->fz.ts,
		.snd_wscale = c->fz.snd_wscale,
		.rcv_wscale = c->fz.rcv_wscale,
		.edge = l->rcv_edge,
	};

	if (c->failed && !c->aborting) {
		in.snd_max = in.una;
		in.unsure = (uint32_t)(c->tx_prod - l->tx_acked);
	}
	if (c->aborting) /* a RST must carry exactly what the client expects next */
		in.una = in.snd_max;
	host_freeze_tsclock(c->kfd, &in.ts_kern);
	seqmap_init(&f->map, &in);
	memset(&f->end, 0, sizeof(f->end));
	if (c->rx_fin) {
		f->end.in_seen = f->end.in_acked = true;
		f->end.in_fin = in.rcv_nxt;
	}
	if (c->fz.ts && host_seq_lt(f->ts_recent, l->ts_recent))
		f->ts_recent = l->ts_recent;
	host_flow_set_state(f, HOST_F_MAPPED);
}

/* Bytes [from, to) of the receive ring as segments of the client. */
static void inject_ring(struct host_conn *c, uint64_t from, uint64_t to)
{
	const uint32_t size = c->arena->rx_size;

	while (from < to) {
		struct host_forge s = {.ack = c->k_snd, .flags = TCP_ACK};
		size_t off = from & (size - 1);
		uint32_t n = to - from < OOO_SEG ? (uint32_t)(to - from) : OOO_SEG;

		if (n > c->h->conf.mtu - 100)
			n = c->h->conf.mtu - 100;
		s.seq = c->k_rcv + (uint32_t)(from - c->last.rx_prod);
		s.wnd = c->last.snd_wnd;
		s.data = c->rx + off;
		s.len = n < size - off ? n : (uint32_t)(size - off);
		s.data2 = c->rx;
		s.len2 = n - s.len;
		s.tsval = c->flow->ts_recent;
		host_freeze_tsclock(c->kfd, &s.tsecr);
		host_kernel_inject(c->h, &c->key, c->gw->mac, &s, c->fz.ts, c->fz.snd_wscale);
		from += n;
	}
}

static void finish(struct host_conn *c)
{
	if ((c->last.flags & IB_GL_RX_FIN) && !c->rx_fin) {
		host_kernel_fin(c);
		host_wake_eof(c);
	}
	make_map(c);
	host_kernel_ack(c, c->k_snd, c->last.snd_wnd);
	for (uint32_t i = 0; !c->rx_fin && i < c->last.n_ooo; i++)
		inject_ring(c, c->last.ooo[i].start, c->last.ooo[i].end);
	host_conn_ctl(c, IB_MID_BACK_ACK, c->why);
	c->worker = NULL;
	host_conn_unlink(c);
	host_conn_set_state(c, HOST_S_PUMP);
	c->p_tx_acked = c->last.tx_acked;
	c->p_rx_prod = c->last.rx_prod;
	if (c->aborting) {
		host_pump_end(c, true);
		return;
	}
	host_pump_start(c);
}

void host_back_timer(struct host_conn *c)
{
	if (host_freeze_outq(c->kfd) > 0 && c->tries++ < STILL_TRIES) {
		host_kernel_settle(c);
		ev_timer_stop(c->h->loop, &c->timer);
		ev_timer_set(&c->timer, STILL_TICK, 0.);
		ev_timer_start(c->h->loop, &c->timer);
		return;
	}
	if (host_freeze_outq(c->kfd) > 0) {
		host_log(HOST_LOG_ERROR, "connection %08x: the kernel's queue does not empty",
			 c->id);
		c->aborting = true;
	}
	finish(c);
}

void host_back_start(struct host_conn *c, enum ib_reason why, bool failed)
{
	struct host *h = c->h;

	host_count(&h->count, HOST_C_HANDBACKS);
	if (failed)
		host_count(&h->count, HOST_C_FAILURES);
	host_log(HOST_LOG_DEBUG, "connection %08x: back, reason %s", c->id, ib_reason_name(why));
	c->why = why;
	c->failed = failed;
	if (!host_conn_gwline(c, &c->last)) { /* nothing to go by: silence would be worse */
		host_back_reset(c);
		return;
	}
	if (failed) /* else it keeps its token until BACK_ACK: a second DISCONN comes too early */
		host_conn_unlink(c);
	host_conn_set_state(c, HOST_S_BACK);
	host_back_timer(c);
}

void host_back_reset(struct host_conn *c)
{
	struct host_flow *f = c->flow;
	int err = c->why == IB_R_TCP_TIMEOUT ? ETIMEDOUT : ECONNRESET;

	/* As the kernel: what a router said before explains better why nobody answered. */
	if (err == ETIMEDOUT && host_soft_errno(le32toh(c->last.soft)))
		err = host_soft_errno(le32toh(c->last.soft));

	host_count(&c->h->count, HOST_C_RESETS);
	host_kernel_rst(c);
	host_conn_ctl(c, IB_MID_BACK_ACK, c->why);
	c->worker = NULL;
	host_conn_unlink(c);
	host_steer_drain(c->h, 64); /* whatever the kernel said to the RST is absorbed */
	host_flow_set_state(f, HOST_F_NATIVE);
	f->conn = NULL;
	f->reset = true;
	c->flow = NULL;
	host_wake_dead(c, err);
}

void host_back_acked(struct host *h, struct host_flow *f)
{
	const struct host_worker *w = f->worker ? f->worker : host_gw_default(h);
	uint8_t frame[NET_MAX_HDR];
	struct net_l2 l2;
	size_t n;

	memset(&l2, 0, sizeof(l2));
	memcpy(l2.dst, h->tap.mac, 6);
	if (w)
		memcpy(l2.src, w->gw->mac, 6);
	n = seqmap_ack_frame(&f->map, frame, sizeof(frame), &l2, &f->key);
	if (!n)
		return;
	host_count(&h->count, HOST_C_FORGED);
	host_steer_deliver(h, frame, (uint32_t)n);
}
