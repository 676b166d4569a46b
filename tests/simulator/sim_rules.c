/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_rules.c - what must hold in every run, step by step and at its end. */
#include <string.h>

#include "../unit/tcpstack/tcp_check.h"
#include "sim_int.h"

#define STORM_BASE 40 /* retransmitted segments that any run may have */

static bool all_set(const uint8_t *map, uint32_t from, uint32_t n)
{
	return memchr(map + from, 0, n) == NULL;
}

/* Only what was placed is named; the right edge stays, by a unit of the scale, and in the ring. */
static void rules_ack(struct sim_end *e, const struct tcp_emit *em, const struct tcp_seg *opt)
{
	struct sim *s = e->sim;
	uint32_t edge = em->ack + ((uint32_t)em->wnd << s->o.wscale);
	bool fin = em->ack - e->peer_isn > s->o.bytes[!e->id]; /* takes no room */

	SIM_RULE(s, em->ack - e->peer_isn <= e->placed_nxt);
	for (unsigned int i = 0; i < opt->n_sack; i++) {
		uint32_t a = opt->sack[i].start - e->peer_isn, b = opt->sack[i].end - e->peer_isn;

		SIM_RULE(s, s->o.havoc || (a < b && b < s->room));
		if (a < b && b < s->room)
			SIM_RULE(s, all_set(e->placed, a, b - a));
	}
	SIM_RULE(s, s->o.havoc || tcp_leq(edge, e->peer_isn + e->consumed + s->o.ring + fin));
	SIM_RULE(s, tcp_lt(e->my_edge, edge + (1u << s->o.wscale)));
	if (tcp_lt(e->my_edge, edge))
		e->my_edge = edge;
}

void sim_rules_emit(struct sim_end *e, const struct tcp_emit *em, const struct tcp_seg *opt)
{
	struct sim *s = e->sim;
	uint32_t off = em->seq - e->isn;

	if (em->flags & TCP_RST) {
		SIM_RULE(s, e->read_failed || s->o.havoc);
		return;
	}
	rules_ack(e, em, opt);
	if (!em->len)
		return;
	SIM_RULE(s, !e->read_failed);
	SIM_RULE(s, off + em->len <= e->produced);
	SIM_RULE(s, all_set(e->ready, off, em->len));
	/* A window that closed over data in flight is probed with its first segment. */
	if (!em->retx || e->c.snd_wnd || em->seq != e->c.snd_una || em->len > em->mss)
		SIM_RULE(s, tcp_leq(em->seq + em->len, e->edge_max));
	SIM_RULE(s, em->mss + em->optlen <= s->o.mss);
	SIM_RULE(s, em->len <= s->cfg.max_burst);
}

void sim_rules_step(struct sim_end *e)
{
	const char *wrong = tcp_check(&e->c);
	struct sim *s = e->sim;
	uint32_t nxt = e->c.snd_nxt - e->isn;

	if (wrong)
		sim_broken(s, 0, wrong);
	/* No algorithm grows by more than what may have been acknowledged or SACKed. */
	if (e->c.state != TCP_S_CLOSED && !s->o.havoc)
		SIM_RULE(s, e->c.cwnd <= nxt + (s->cfg.init_cwnd_segs + 10) * s->o.mss);
}

void sim_rules_timer(struct sim_end *e, uint32_t timeouts)
{
	struct sim *s = e->sim;

	if (e->c.stats.rto_count == timeouts)
		return;
	SIM_RULE(s, e->c.stats.rto_count == timeouts + 1);
	if (e->rto_at && e->rto_una == e->c.snd_una && e->moved_at < e->rto_at) {
		uint32_t shift = e->rto_run < 8 ? e->rto_run : 8;

		e->rto_run++;
		SIM_RULE(s, s->now - e->rto_at >= (uint64_t)s->cfg.rto_min_us << shift);
	} else {
		e->rto_run = 1;
	}
	e->rto_at = s->now;
	e->rto_una = e->c.snd_una;
}

/* What arrived is what was sent. */
static void rules_stream(struct sim *s, int from)
{
	struct sim_end *to = &s->e[!from];
	uint32_t n = s->aborted ? to->placed_nxt : s->o.bytes[from];

	if (n > s->o.bytes[from])
		n = s->o.bytes[from];
	for (uint32_t i = 0; i < n; i++)
		SIM_RULE(s, to->mem[i] == sim_byte(from, i));
}

/* What is sent again is in proportion to what happened. */
static void rules_storm(struct sim *s)
{
	bool quiet = !s->lost && !s->late && !s->o.moves;

	for (int i = 0; i < 2; i++) {
		const struct tcp_stats *st = &s->e[i].c.stats;
		/* A move may lose all that was in flight or not yet placed; window edges cut it
		 * small. */
		uint32_t mss = s->e[i].c.mss - 40u, half = s->o.ring / 2 + 1;
		uint32_t least = mss < half ? mss : half;
		uint32_t moved = (s->e[0].moves + s->e[1].moves) * 2 * (s->o.bytes[i] / least + 1);

		SIM_RULE(s, st->retx_segs <=
				    STORM_BASE + 20 * (s->lost + s->late) + moved + st->rto_count);
		if (!quiet)
			continue;
		/*
		 * What a spurious timeout sends again draws duplicate ACKs, which without SACK
		 * may stop where the client's next bytes should come (RFC 6582 section 4).
		 */
		if (!s->o.no_sack || !st->rto_count)
			SIM_RULE(s, st->recoveries == 0);
		/*
		 * The SYN-ACK of a simultaneous open is the SYN again. After a timeout, which a
		 * queue draws that grows faster than the RTO, more goes, within the bound above.
		 */
		if (!st->rto_count)
			SIM_RULE(s, st->retx_segs <=
					    st->probes + (s->o.open == SIM_OPEN_BOTH ? 1u : 0));
	}
}

/* Whatever happened, all transmission records come back. */
static void rules_pool(struct sim *s)
{
	tcp_detach(&s->e[0].c);
	tcp_detach(&s->e[1].c);
	SIM_RULE(s, s->pool.n_free == s->pool.n_total);
}

/* Nobody sends ECN-capable segments to an end that would not echo their marks. */
static void rules_ecn(struct sim *s)
{
	if (!s->o.open || s->aborted || s->o.ideal)
		return;
	for (int i = 0; i < 2; i++) {
		const struct tcp_conn *c = &s->e[i].c;

		SIM_RULE(s, !c->ecn_ok || s->o.ecn == 3);
		SIM_RULE(s, !c->ecn_ok || c->ecn_mute || s->e[!i].c.ecn_ok);
		/* Agreed on, unless something of the opening was lost or cannot keep it. */
		if (s->o.ecn == 3 && s->o.open == SIM_OPEN_LISTEN && !s->lost && !s->late)
			SIM_RULE(s, c->ecn_ok);
	}
}

void sim_rules_end(struct sim *s)
{
	rules_pool(s);
	if (s->o.havoc)
		return;
	for (int i = 0; i < 2 && s->o.open && !s->aborted; i++)
		SIM_RULE(s, s->e[i].events[TCP_E_ESTABLISHED] == 1);
	rules_ecn(s);
	rules_stream(s, 0);
	rules_stream(s, 1);
	rules_storm(s);
}
