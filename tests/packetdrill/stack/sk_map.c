/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_map.c - hand-back: the connection is the kernel's again, and from here on the sequence map
 * (seqmap.h) stands between it and the wire.
 *
 * The kernel's socket stood still at (k_snd, k_rcv) while the core carried the connection. It
 * goes on with numbers of its own: another import of the core plays it, so that a script sees on
 * the wire what a client sees, and any error of the translation breaks the connection.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sk.h"

/* What the kernel's socket looks like when the host has filled it again. */
static void to_kernel(const struct sk_sock *s, const struct tcp_state_io *w, struct tcp_state_io *k)
{
	const uint32_t d_snd = w->snd_una - s->k_snd, d_rcv = w->rcv_nxt - s->k_rcv;

	*k = *w;
	k->snd_una = k->snd_nxt = s->k_snd;
	k->snd_avail -= d_snd;
	k->snd_wl2 = s->k_snd;
	k->snd_wl1 -= d_rcv;
	k->rcv_nxt = s->k_rcv;
	k->rcv_edge -= d_rcv;
	k->rcv_room -= d_rcv;
	for (unsigned int i = 0; i < k->n_ooo; i++) {
		k->ooo[i].start -= d_rcv;
		k->ooo[i].end -= d_rcv;
	}
	k->ts_val = s->k_ts + (uint32_t)((s->st->now - s->import_at) / 1000);
	k->cwnd = 0;
	k->ssthresh = 0;
	k->resume_loss = false;
}

void sk_handback(struct sk_sock *s, bool unsure)
{
	struct tcp_state_io w, k;
	struct seqmap_init in;

	tcp_export(&s->c, &w, s->st->now);
	to_kernel(s, &w, &k);
	in = (struct seqmap_init){
		.k_snd = s->k_snd,
		.k_rcv = s->k_rcv,
		.una = w.snd_una,
		.snd_max = unsure ? w.snd_una : w.snd_nxt,
		.unsure = unsure ? w.snd_avail - w.snd_una : 0,
		.rcv_nxt = w.rcv_nxt,
		.ts_wire = w.ts_val,
		.ts_kern = k.ts_val,
		.ts_ok = w.ts_ok,
		.snd_wscale = w.snd_wscale,
		.rcv_wscale = w.rcv_wscale,
		.edge = w.rcv_edge,
	};
	seqmap_init(&s->map, &in);
	s->consumed -= w.rcv_nxt - s->k_rcv;
	s->first -= w.snd_una - s->k_snd;
	s->mapped = true;
	s->n_due = 0;
	tcp_detach(&s->c);
	if (tcp_import(&s->c, &s->cfg, &k, s->st->now)) {
		fputs("the kernel's part refused the state\n", stderr);
		exit(2);
	}
	/* A kernel does not owe the ACK that a takeover does. */
	s->io = k;
	s->import_at = s->st->now;
	s->touched = false;
	sk_options(s);
}
