/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_handshake.c - the kernel's part: answers the SYN (RFC 9293 section 3.5),
 * and the takeover when the handshake is complete.
 *
 * The SYN-ACK carries what Linux would: MSS, and SACK-permitted, timestamps
 * and window scale where the client offered them.
 */
#include <stdlib.h>
#include <stdio.h>

#include "pd.h"

#define WSCALE	 7
#define TS_START 0xfffff000u /* our timestamp at time 0 of the script */

uint32_t pd_tsval(const struct pd_shell *s)
{
	return TS_START + (uint32_t)((s->now - s->t0) / 1000);
}

static unsigned int put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return 4;
}

static uint8_t synack_options(const struct pd_shell *s, uint8_t *o)
{
	unsigned int n = 0;

	o[n++] = 2;
	o[n++] = 4;
	o[n++] = PD_MSS >> 8;
	o[n++] = PD_MSS & 255;
	if (s->io.ts_ok || s->io.sack_ok) {
		o[n++] = s->io.sack_ok && s->io.ts_ok ? 4 : 1;
		o[n++] = s->io.sack_ok && s->io.ts_ok ? 2 : 1;
	}
	if (s->io.ts_ok) {
		o[n++] = 8;
		o[n++] = 10;
		n += put32(o + n, pd_tsval(s));
		n += put32(o + n, s->io.ts_recent);
	} else if (s->io.sack_ok) {
		o[n++] = 4;
		o[n++] = 2;
	}
	if (s->io.wscale_ok) {
		o[n++] = 1;
		o[n++] = 3;
		o[n++] = 3;
		o[n++] = WSCALE;
	}
	return (uint8_t)n;
}

static uint16_t syn_window(const struct pd_shell *s)
{
	return (uint16_t)(s->ring < UINT16_MAX ? s->ring : UINT16_MAX);
}

static void on_syn(struct pd_shell *s, const struct tcp_seg *seg)
{
	struct pd_seg g = {.at = s->now, .seq = PD_LOCAL, .ack = seg->seq + 1};

	s->io = (struct tcp_state_io){
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.snd_wscale = seg->wscale,
		.rcv_wscale = WSCALE,
		.wscale_ok = seg->has_wscale,
		.sack_ok = seg->sack_ok,
		.ts_ok = seg->has_ts,
		.ts_recent_valid = seg->has_ts,
		.ts_recent = seg->tsval,
		.mss = seg->mss && seg->mss < PD_MSS ? seg->mss
		       : seg->mss		     ? PD_MSS
						     : 536,
		.snd_una = PD_LOCAL + 1,
		.rcv_nxt = seg->seq + 1,
	};
	g.wnd = syn_window(s);
	g.flags = TCP_SYN | TCP_ACK;
	g.optlen = synack_options(s, g.opt);
	pd_queue(s, &g);
	s->synack_at = s->syn_seen ? 0 : s->now;
	s->syn_seen = true;
}

/* The takeover. */
static void import(struct pd_shell *s, const struct tcp_seg *seg)
{
	struct tcp_state_io *io = &s->io;

	io->snd_nxt = io->snd_avail = io->snd_una + s->in_flight;
	io->snd_wnd = (uint32_t)seg->wnd << (io->wscale_ok ? io->snd_wscale : 0);
	io->max_wnd = io->snd_wnd;
	io->snd_wl1 = seg->seq;
	io->snd_wl2 = seg->ack;
	io->rcv_edge = io->rcv_nxt + syn_window(s);
	io->rcv_room = io->rcv_nxt + s->ring;
	io->resume_loss = s->resume_loss;
	io->ts_val = pd_tsval(s);
	if (seg->has_ts && io->ts_ok)
		io->ts_recent = seg->tsval;
	if (s->synack_at && s->now > s->synack_at) {
		io->srtt_us = (uint32_t)(s->now - s->synack_at);
		io->rttvar_us = io->srtt_us / 2;
	}
	s->consumed = io->rcv_nxt;
	s->import_at = s->now;
	if (tcp_import(&s->c, &s->cfg, &pd_ops, io, s->now)) {
		fputs("the core refused the state\n", stderr);
		exit(2);
	}
	if (s->expect_late)
		tcp_expect_late(&s->c, s->now + s->expect_late);
	s->live = true;
}

void pd_handshake(struct pd_shell *s, const struct tcp_seg *seg, unsigned int line,
		  const char *file)
{
	if (!s->listening)
		pd_die(file, line, "packet injected before listen()");
	if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		on_syn(s, seg);
		return;
	}
	if (!s->syn_seen || seg->flags & (TCP_SYN | TCP_RST) || !(seg->flags & TCP_ACK) ||
	    seg->ack != PD_LOCAL + 1 || seg->seq != s->io.rcv_nxt)
		pd_die(file, line, "unsupported packet during the handshake");
	import(s, seg);
}

void pd_successor(struct pd_shell *s)
{
	tcp_export(&s->c, &s->io, s->now);
	s->io.resume_loss = s->resume_loss;
	s->n_due = 0;
	s->touched = false;
	s->import_at = s->now;
	if (tcp_import(&s->c, &s->cfg, &pd_ops, &s->io, s->now)) {
		fputs("the core refused the state it exported\n", stderr);
		exit(2);
	}
	if (s->expect_late)
		tcp_expect_late(&s->c, s->now + s->expect_late);
}
