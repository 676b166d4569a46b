/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_ideal.c - a receiver without limits for sim.h.
 *
 * It keeps any number of runs, answers everything out of order at once with
 * SACK and D-SACK, and delays other ACKs as clients do. With it the sender's
 * recovery is judged apart from the limits of our own receiver.
 */
#include <string.h>

#include "sim_int.h"

static void answer(struct sim_end *e, const struct tcp_range *dup)
{
	struct sim_ideal *d = &e->ideal;
	struct sim *s = e->sim;
	struct tcp_seg a = {.seq = e->isn, .flags = TCP_ACK};
	unsigned int max = s->o.no_ts ? 4 : 3;

	a.ack = e->peer_isn + d->nxt + d->fin;
	a.wnd = (uint16_t)(s->o.ring >> s->o.wscale > 65535 ? 65535 : s->o.ring >> s->o.wscale);
	if (!s->o.no_ts) {
		a.has_ts = true;
		a.tsval = 0xfffffff1u + (uint32_t)(s->now / 1000);
		a.tsecr = d->ts_recent;
	}
	if (!s->o.no_sack) {
		if (dup)
			a.sack[a.n_sack++] = (struct tcp_range){e->peer_isn + dup->start,
								e->peer_isn + dup->end};
		for (unsigned int i = 0; i < d->n_run && a.n_sack < max; i++)
			a.sack[a.n_sack++] = (struct tcp_range){e->peer_isn + d->run[i].start,
								e->peer_isn + d->run[i].end};
	}
	d->unacked = 0;
	d->t_ack = TCP_NEVER;
	sim_link(e, &a, 0);
	/* The sender learns the edge when the ACK arrives; here it is told at once. */
	if (tcp_lt(s->e[0].edge_max, a.ack + ((uint32_t)a.wnd << s->o.wscale)))
		s->e[0].edge_max = a.ack + ((uint32_t)a.wnd << s->o.wscale);
}

/* Joins [a, b) with the runs it touches and puts the result first. */
static void join(struct sim *s, struct sim_ideal *d, uint32_t a, uint32_t b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_run; i++) {
		struct tcp_range r = d->run[i];

		if (r.end < a || r.start > b) {
			d->run[n++] = r;
			continue;
		}
		a = r.start < a ? r.start : a;
		b = r.end > b ? r.end : b;
	}
	d->n_run = n;
	if (a <= d->nxt) {
		d->nxt = b;
		return;
	}
	SIM_RULE(s, n < 1024);
	memmove(d->run + 1, d->run, n * sizeof(d->run[0]));
	d->run[0] = (struct tcp_range){a, b};
	d->n_run++;
}

static void store(struct sim_end *e, uint32_t off, uint32_t at, uint32_t len)
{
	SIM_RULE(e->sim, at + len < e->sim->room);
	memset(e->placed + at, 1, len);
	for (uint32_t i = 0; i < len; i++)
		e->mem[at + i] = sim_byte(!e->id, off + i);
}

void sim_ideal_input(struct sim_end *e, const struct tcp_seg *seg, uint32_t off)
{
	struct sim_ideal *d = &e->ideal;
	struct tcp_range r = {seg->seq - e->peer_isn, seg->seq - e->peer_isn + seg->len};
	bool old = r.end <= d->nxt, urgent = r.start != d->nxt || d->n_run;

	if (!seg->len && !(seg->flags & TCP_FIN))
		return;
	if (seg->has_ts && r.start <= d->nxt)
		d->ts_recent = seg->tsval;
	for (unsigned int i = 0; i < d->n_run; i++)
		old |= r.start >= d->run[i].start && r.end <= d->run[i].end;
	if (seg->len && old) {
		answer(e, &r);
		return;
	}
	if (seg->len) {
		store(e, off, r.start, seg->len);
		join(e->sim, d, r.start, r.end);
	}
	if ((seg->flags & TCP_FIN) && d->nxt == r.end)
		d->fin = urgent = true;
	if (urgent || ++d->unacked >= 2)
		answer(e, NULL);
	else
		d->t_ack = e->sim->now + 40000;
}

void sim_ideal_timer(struct sim_end *e)
{
	answer(e, NULL);
}
