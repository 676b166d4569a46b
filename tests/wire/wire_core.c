/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_core.c - see wire_core.h. */
#include "wire_core.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"

#define L2_LEN 14
#define MSS    1460
#define WSCALE 7
#define SYN_TS 100 /* TSval of our SYN-ACK, milliseconds */

/* One segment of a run to the client. */
static void send_one(struct wire_core *w, const struct tcp_emit *e, uint32_t off, uint32_t len)
{
	static const struct net_l2 l2;
	uint8_t buf[2048], flags = tcp_emit_flags(e, off, len);
	uint16_t l4;
	size_t n;

	n = net_build_tcp(buf, sizeof(buf), &l2, &w->flow, e, e->seq + off, flags, len, w->ip_id++,
			  &l4);
	memset(buf + n, 0, len);
	net_tcp_csum_finish(buf + l4, n - l4, 0);
	w->out(w->arg, buf + L2_LEN, (uint32_t)(n + len - L2_LEN));
}

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct wire_core *w = (struct wire_core *)c;
	uint32_t off = 0;

	do {
		uint32_t n = e->len - off < e->mss ? e->len - off : e->mss;

		send_one(w, e, off, n);
		off += n;
	} while (off < e->len);
	if (e->len)
		w->sent[w->n_sent++] = (struct tcp_range){e->seq, e->seq + e->len};
	if (w->n_sent == sizeof(w->sent) / sizeof(w->sent[0]))
		abort();
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	((struct wire_core *)c)->events[ev]++;
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

void wire_core_init(struct wire_core *w)
{
	memset(w, 0, sizeof(*w));
	tcp_cfg_default(&w->cfg);
	w->cfg.ops = &ops;
	tcp_pool_init(&w->pool, w->rec, WIRE_RECORDS, WIRE_RECORDS);
	w->cfg.pool = &w->pool;
	w->ring = 256u << 10;
	w->isn = 0xffff0000u;
}

/* Answers a SYN: MSS, SACK, timestamps, window scale. */
static void on_syn(struct wire_core *w, const struct net_pkt *p, const struct tcp_seg *seg)
{
	static const uint8_t opt[20] = {2, 4,	   MSS >> 8, MSS & 255, 4, 2, 8, 10, 0, 0,
					0, SYN_TS, 0,	     0,		0, 0, 1, 3,  3, WSCALE};
	struct tcp_emit e = {.flags = TCP_SYN | TCP_ACK, .mss = MSS, .wnd = 65535, .optlen = 20};
	uint32_t ecr = htonl(seg->tsval);

	w->flow = (struct net_flow){
		.local = p->dst, .remote = p->src, .lport = p->dport, .rport = p->sport};
	w->irs = seg->seq + 1;
	w->snd_wscale = seg->wscale;
	memcpy(e.opt, opt, sizeof(opt));
	memcpy(e.opt + 12, &ecr, 4);
	e.seq = w->isn;
	e.ack = w->irs;
	send_one(w, &e, 0, 0);
}

/* The handshake is complete: the core takes over. */
static void on_established(struct wire_core *w, const struct tcp_seg *seg)
{
	uint32_t first = w->isn + 1;
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.snd_wscale = w->snd_wscale,
		.rcv_wscale = WSCALE,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.ts_recent_valid = true,
		.mss = MSS,
		.snd_una = first,
		.snd_nxt = first,
		.snd_avail = first,
		.snd_wnd = (uint32_t)seg->wnd << w->snd_wscale,
		.snd_wl1 = seg->seq,
		.snd_wl2 = seg->ack,
		.max_wnd = (uint32_t)seg->wnd << w->snd_wscale,
		.rcv_nxt = w->irs,
		.rcv_edge = w->irs + 65535,
		.rcv_room = w->irs + w->ring,
		.ts_val = SYN_TS + 100,
		.ts_recent = seg->tsval,
	};

	w->live = true;
	if (tcp_import(&w->c, &w->cfg, &st, w->now))
		abort();
}

void wire_core_input(struct wire_core *w, const void *ip, uint32_t len, uint64_t now)
{
	uint8_t frame[L2_LEN + 2048] = {[12] = 8};
	struct tcp_rx_pos pos;
	struct tcp_seg seg;
	struct tcp_rx rx;
	struct net_pkt p;

	if (len > sizeof(frame) - L2_LEN)
		return;
	memcpy(frame + L2_LEN, ip, len);
	if (net_parse(frame, len + L2_LEN, NET_F_CSUM_L4 | NET_F_CSUM_IP, &p) != NET_PERR_OK ||
	    p.proto != IPPROTO_TCP || net_parse_tcp(frame, &p, &seg) != NET_PERR_OK)
		return;
	w->now = now;
	if (!w->live && (seg.flags & TCP_SYN))
		on_syn(w, &p, &seg);
	if ((seg.flags & TCP_SYN) || p.sport != w->flow.rport)
		return;
	if (!w->live)
		on_established(w, &seg);
	tcp_input(&w->c, &seg, now, &rx);
	if (!rx.len && !rx.fin)
		return;
	tcp_rx_get(&w->c, &pos);
	tcp_placed(&w->c, &pos, now);
	tcp_room(&w->c, pos.rcv_nxt + w->ring, now);
}

void wire_core_run(struct wire_core *w, uint64_t now)
{
	uint32_t unsent;

	if (!w->live)
		return;
	w->now = now;
	unsent = w->c.snd_avail - w->c.snd_nxt;
	if (unsent < w->backlog && w->c.state != TCP_S_CLOSED)
		tcp_produced(&w->c, (uint32_t)w->backlog - unsent, now);
	if (tcp_deadline(&w->c, now) <= now)
		tcp_timer(&w->c, now);
	tcp_output(&w->c, now);
	for (unsigned int i = 0; i < w->n_sent; i++)
		tcp_sent(&w->c, w->sent[i].start, w->sent[i].end - w->sent[i].start, now);
	w->n_sent = 0;
}

uint64_t wire_core_due(const struct wire_core *w)
{
	return w->live ? tcp_deadline(&w->c, w->now) : TCP_NEVER;
}
