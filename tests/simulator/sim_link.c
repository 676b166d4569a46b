/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_link.c - the network between two ends: bottleneck queue with marks, loss, delay, jitter,
 * reordering, duplication, wrong checksums, and damage that a checksum does not see.
 */
#include "sim_int.h"

#define HDR 60 /* bytes of a segment beside its payload, for the bottleneck */

/* Through the bottleneck. Returns false when its queue is full, else sets when it has left. */
static bool bottleneck(struct sim_end *e, struct sim_ev *ev)
{
	struct sim *s = e->sim;
	uint64_t queued;

	if (!s->o.rate_bps)
		return true;
	if (e->link_free < s->now)
		e->link_free = s->now;
	queued = (e->link_free - s->now) * s->o.rate_bps / 1000000;
	if (queued > s->o.queue)
		return false;
	if (s->o.mark && queued > s->o.mark && ev->seg.len) {
		ev->seg.ce = true;
		s->late++;
	}
	e->link_free += (uint64_t)(ev->seg.len + HDR) * 1000000 / s->o.rate_bps;
	ev->at = e->link_free;
	return true;
}

/* True when the path does not take the segment; the router may say so. */
static bool too_big(struct sim_end *e, const struct tcp_seg *seg)
{
	struct sim *s = e->sim;
	uint32_t len = seg->len + 40 + (seg->has_ts ? 12 : 0);

	if (!s->o.path_mtu || !seg->len || len <= s->o.path_mtu)
		return false;
	if (s->o.path_icmp)
		sim_push(s, &(struct sim_ev){.at = s->now + s->o.delay_us,
					     .kind = SIM_ICMP,
					     .end = e->id,
					     .seq = seg->seq,
					     .len = len});
	return true;
}

static bool chance(struct sim *s, uint32_t per_10000)
{
	return per_10000 && sim_rand(s, 10000) < per_10000;
}

/* Delivers one segment to the other end, or not. */
void sim_link(struct sim_end *e, const struct tcp_seg *seg, uint32_t off)
{
	struct sim *s = e->sim;
	struct sim_ev ev = {.kind = SIM_SEG, .end = !e->id, .seg = *seg, .off = off, .at = s->now};

	s->sent++;
	if (too_big(e, seg) || !bottleneck(e, &ev) || chance(s, s->o.loss)) {
		s->lost++;
		if (s->trace)
			printf("%12.3f %d  x lost\n", (double)s->now / 1000, e->id);
		return;
	}
	ev.at += s->o.delay_us + sim_rand(s, s->o.jitter_us);
	if (ev.at < e->link_last)
		ev.at = e->link_last;
	e->link_last = ev.at;
	if (chance(s, s->o.reorder)) {
		ev.at += sim_rand(s, s->o.reorder_us);
		s->late++;
	}
	if (chance(s, s->o.damage)) {
		sim_damage(s, &ev.seg, false);
		s->late++;
	}
	if (chance(s, s->o.havoc))
		sim_damage(s, &ev.seg, true);
	ev.bad = chance(s, s->o.corrupt);
	s->lost += ev.bad;
	sim_push(s, &ev);
	if (chance(s, s->o.dup)) {
		ev.at += sim_rand(s, 2 * s->o.delay_us);
		s->late++;
		sim_push(s, &ev);
	}
}

/* A position far from the truth, so that it lies outside any window. */
static uint32_t far_off(struct sim *s, uint32_t seq)
{
	return seq + (1u << 30) + sim_rand(s, 1u << 31);
}

static void damage_sack(struct sim *s, struct tcp_seg *seg)
{
	seg->n_sack = (uint8_t)(1 + sim_rand(s, TCP_MAX_SACK));
	for (unsigned int i = 0; i < seg->n_sack; i++) {
		uint32_t near = seg->ack + sim_rand(s, 100000) - 20000;
		uint32_t start = sim_rand(s, 2) ? near : far_off(s, seg->ack);

		seg->sack[i] = (struct tcp_range){start, start + sim_rand(s, 30000) - 2000};
	}
}

/* The rest of the kinds: what a segment may carry without being believed. */
static void damage_mild(struct sim *s, struct tcp_seg *seg, uint32_t kind)
{
	switch (kind) {
	case 0:
		seg->flags |= TCP_RST;
		seg->seq = far_off(s, seg->seq);
		break;
	case 1:
		seg->flags |= TCP_SYN;
		break;
	case 2:
		seg->ack = far_off(s, seg->ack);
		break;
	case 3:
		seg->seq = far_off(s, seg->seq);
		break;
	case 4:
		seg->flags &= (uint8_t)~TCP_ACK;
		break;
	case 5:
		seg->tsval -= 1000 + sim_rand(s, 1000000);
		break;
	case 6:
		seg->wnd = (uint16_t)sim_rand(s, 65536);
		break;
	case 7:
		damage_sack(s, seg);
		break;
	default: /* cut short */
		seg->len = sim_rand(s, seg->len + 1);
		seg->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		break;
	}
}

void sim_damage(struct sim *s, struct tcp_seg *seg, bool any)
{
	uint32_t r = sim_rand(s, UINT32_MAX);

	if (!any) {
		damage_mild(s, seg, sim_rand(s, 9));
		return;
	}
	switch (sim_rand(s, 8)) {
	case 0:
		seg->flags = (uint8_t)r;
		break;
	case 1:
		seg->seq += r % 200000 - 100000;
		break;
	case 2:
		seg->ack += r % 200000 - 100000;
		break;
	case 3:
		seg->has_ts = !seg->has_ts;
		break;
	case 4:
		seg->tsval = r;
		break;
	case 5:
		seg->tsecr = r;
		break;
	case 6:
		seg->ce = true;
		seg->wnd = (uint16_t)r;
		break;
	default:
		damage_mild(s, seg, sim_rand(s, 9));
		break;
	}
}
