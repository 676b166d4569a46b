/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_handshake.c - the part of the server's kernel: answers the SYN (RFC 9293 section 3.5), and
 * the takeover when the handshake is complete.
 *
 * The SYN-ACK carries what Linux would: MSS, and SACK-permitted, timestamps and window scale where
 * the client offered them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sk.h"
#include "tcpstack/net_wire.h"

#define K_TS_LAG 1000	     /* a kernel's clock is behind: the map has something to do */
#define TS_START 0xfffff000u /* our timestamp at the start */

uint32_t sk_tsval(const struct sk_stack *st)
{
	return TS_START + (uint32_t)((st->now - st->start) / 1000);
}

static uint8_t synack_options(const struct sk_sock *s, uint8_t *o)
{
	const struct tcp_state_io *io = &s->io;
	uint8_t n = 4;

	o[0] = NET_OPT_MSS;
	o[1] = 4;
	net_put16(o + 2, sk_path_mss(s->st, &s->flow));
	if (io->ts_ok || io->sack_ok) {
		o[n++] = io->sack_ok && io->ts_ok ? NET_OPT_SACK_PERM : 1;
		o[n++] = io->sack_ok && io->ts_ok ? 2 : 1;
	}
	if (io->ts_ok) {
		o[n++] = NET_OPT_TS;
		o[n++] = 10;
		net_put32(o + n, sk_tsval(s->st));
		net_put32(o + n + 4, io->ts_recent);
		n += 8;
	} else if (io->sack_ok) {
		o[n++] = NET_OPT_SACK_PERM;
		o[n++] = 2;
	}
	if (io->wscale_ok) {
		o[n++] = 1;
		o[n++] = NET_OPT_WSCALE;
		o[n++] = 3;
		o[n++] = s->st->wscale;
	}
	return n;
}

static uint16_t syn_window(const struct sk_sock *s)
{
	return (uint16_t)(s->ring < UINT16_MAX ? s->ring : UINT16_MAX);
}

static void on_syn(struct sk_sock *s, const struct tcp_seg *seg)
{
	struct tcp_emit e = {.ack = seg->seq + 1, .flags = TCP_SYN | TCP_ACK};
	uint16_t path = sk_path_mss(s->st, &s->flow), mss = seg->mss;

	if (!mss)
		mss = net_addr_is_v4(&s->flow.remote) ? 536 : 1220; /* RFC 9293 section 3.7.1 */
	s->io = (struct tcp_state_io){
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.is_v6 = !net_addr_is_v4(&s->flow.local),
		.snd_wscale = seg->wscale,
		.rcv_wscale = s->st->wscale,
		.wscale_ok = seg->has_wscale,
		.sack_ok = seg->sack_ok,
		.ts_ok = seg->has_ts,
		.ts_recent_valid = seg->has_ts,
		.ts_recent = seg->tsval,
		.mss = mss < path ? mss : path,
		.snd_una = s->syn_seen ? s->io.snd_una : s->st->iss + 1,
		.rcv_nxt = seg->seq + 1,
	};
	e.seq = s->io.snd_una - 1;
	e.wnd = syn_window(s);
	e.optlen = synack_options(s, e.opt);
	if (!s->syn_seen)
		s->st->iss += SK_ISS_STEP;
	sk_transmit(s, &e);
	s->synack_at = s->syn_seen ? 0 : s->st->now;
	s->syn_seen = true;
}

/* The takeover. */
static void import(struct sk_sock *s, const struct tcp_seg *seg)
{
	struct tcp_state_io *io = &s->io;
	uint64_t now = s->st->now;

	s->first = io->snd_una;
	io->snd_nxt = io->snd_avail = io->snd_una + s->set.in_flight;
	io->snd_wnd = (uint32_t)seg->wnd << (io->wscale_ok ? io->snd_wscale : 0);
	io->max_wnd = io->snd_wnd;
	io->snd_wl1 = seg->seq;
	io->snd_wl2 = seg->ack;
	io->rcv_edge = io->rcv_nxt + syn_window(s);
	io->rcv_room = io->rcv_nxt + s->ring;
	io->resume_loss = s->set.resume_loss;
	io->ts_val = sk_tsval(s->st);
	if (seg->has_ts && io->ts_ok)
		io->ts_recent = seg->tsval;
	if (s->synack_at && now > s->synack_at) {
		io->srtt_us = (uint32_t)(now - s->synack_at);
		io->rttvar_us = io->srtt_us / 2;
	}
	s->k_snd = io->snd_nxt;
	s->k_rcv = io->rcv_nxt;
	s->k_ts = io->ts_val - K_TS_LAG;
	s->consumed = io->rcv_nxt;
	s->import_at = now;
	if (tcp_import(&s->c, &s->cfg, io, now)) {
		fputs("the core refused the state\n", stderr);
		exit(2);
	}
	if (s->set.expect_late)
		tcp_expect_late(&s->c, now + s->set.expect_late);
	s->live = s->open = s->options_due = true;
}

void sk_handshake(struct sk_sock *s, const struct tcp_seg *seg)
{
	if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
		on_syn(s, seg);
	else if (seg->flags & TCP_RST)
		s->kind = SK_FREE;
	else if (seg->flags & TCP_ACK && seg->ack == s->io.snd_una && seg->seq == s->io.rcv_nxt)
		import(s, seg);
}

void sk_successor(struct sk_sock *s)
{
	uint64_t now = s->st->now;

	tcp_export(&s->c, &s->io, now);
	tcp_detach(&s->c);
	s->io.resume_loss = s->set.resume_loss;
	s->n_due = 0;
	s->touched = false;
	s->import_at = now;
	if (tcp_import(&s->c, &s->cfg, &s->io, now)) {
		fputs("the core refused the state it exported\n", stderr);
		exit(2);
	}
	sk_options(s);
	if (s->set.expect_late)
		tcp_expect_late(&s->c, now + s->set.expect_late);
}
