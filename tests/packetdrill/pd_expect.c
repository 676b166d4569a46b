/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_expect.c - an expected packet against what was sent.
 *
 * A line longer than a segment takes as many segments as it covers: the core
 * sends runs that a device may or may not have cut.
 */
#include <stdio.h>
#include <string.h>

#include "pd.h"

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void read_sack(const uint8_t *o, unsigned int len, struct pd_opt *out)
{
	for (unsigned int i = 2; i + 8 <= len && out->n_sack < 4; i += 8)
		out->sack[out->n_sack++] =
			(struct tcp_range){be32(o + i) - PD_REMOTE, be32(o + i + 4) - PD_REMOTE};
}

/* Options of a segment, in the script's numbers but for the timestamp. False: malformed. */
static bool read_options(const struct pd_seg *g, struct pd_packet *p)
{
	for (unsigned int i = 0, len; i < g->optlen; i += len) {
		struct pd_opt *o = &p->opt[p->n_opt++];

		*o = (struct pd_opt){.kind = g->opt[i]};
		len = 1;
		if (o->kind < 2)
			continue;
		len = i + 1 < g->optlen ? g->opt[i + 1] : 0;
		if (len < 2 || i + len > g->optlen || p->n_opt == PD_OPT_MAX)
			return false;
		if (o->kind == 2)
			o->val = (uint32_t)g->opt[i + 2] << 8 | g->opt[i + 3];
		else if (o->kind == 3)
			o->val = g->opt[i + 2];
		else if (o->kind == 5)
			read_sack(g->opt + i, len, o);
		else if (o->kind == 8)
			o->val = be32(g->opt + i + 2), o->ecr = be32(g->opt + i + 6);
	}
	return g->optlen % 4 == 0;
}

/* A segment as a packet line would say it. */
static bool to_script(const struct pd_shell *s, const struct pd_seg *g, struct pd_packet *p)
{
	*p = (struct pd_packet){.flags = g->flags,
				.seq = g->seq - PD_LOCAL,
				.len = g->len,
				.ack = g->flags & TCP_ACK ? g->ack - PD_REMOTE : 0,
				.win = g->wnd};
	if (!read_options(g, p))
		return false;
	for (unsigned int i = 0; i < p->n_opt && s->ts_mapped; i++) {
		if (p->opt[i].kind == 8)
			p->opt[i].val -= s->ts_off;
	}
	return true;
}

/* The first expected timestamp says what the script calls our clock. */
static void map_timestamp(struct pd_shell *s, const struct pd_packet *want, struct pd_packet *got)
{
	for (unsigned int i = 0; i < want->n_opt && i < got->n_opt && !s->ts_mapped; i++) {
		if (want->opt[i].kind != 8 || got->opt[i].kind != 8)
			continue;
		s->ts_off = got->opt[i].val - want->opt[i].val;
		s->ts_mapped = true;
		got->opt[i].val = want->opt[i].val;
	}
}

static bool same_option(const struct pd_opt *a, const struct pd_opt *b, int64_t tolerance)
{
	int32_t d = (int32_t)(a->val - b->val);

	if (a->kind != b->kind || a->n_sack != b->n_sack || a->ecr != b->ecr)
		return false;
	for (unsigned int i = 0; i < a->n_sack; i++) {
		if (a->sack[i].start != b->sack[i].start || a->sack[i].end != b->sack[i].end)
			return false;
	}
	if (a->kind != 8)
		return !d;
	return (d < 0 ? -d : d) <= (tolerance + 999) / 1000;
}

/* Name of the first field that differs, NULL: none. */
static const char *differs(const struct pd_packet *want, const struct pd_packet *got,
			   int64_t tolerance)
{
	if (want->flags != got->flags)
		return "tcp_flags";
	if (want->seq != got->seq)
		return "tcp_seq";
	if (want->len != got->len)
		return "tcp_payload_len";
	if (want->ack != got->ack)
		return "tcp_ack";
	if (want->win >= 0 && want->win != got->win)
		return "tcp_window";
	if (want->any_opt)
		return NULL;
	if (want->n_opt != got->n_opt)
		return "tcp_options";
	for (unsigned int i = 0; i < want->n_opt; i++) {
		if (!same_option(&want->opt[i], &got->opt[i], tolerance))
			return "tcp_options";
	}
	return NULL;
}

static void take(struct pd_shell *s)
{
	memmove(s->sent, s->sent + 1, --s->n_sent * sizeof(s->sent[0]));
}

/* Takes the oldest segment, and those that the line covers as well. */
static void take_run(struct pd_shell *s, uint32_t len, struct pd_seg *g)
{
	struct pd_seg *next = &s->sent[0];

	*g = *next;
	take(s);
	while (g->len && g->len < len && s->n_sent && next->seq == g->seq + g->len && next->len &&
	       g->len + next->len <= len && next->at == g->at && next->ack == g->ack &&
	       !(g->flags & (TCP_PSH | TCP_FIN))) {
		g->len += next->len;
		g->flags = next->flags;
		take(s);
	}
}

static _Noreturn void mismatch(const struct pd_script *t, const struct pd_event *e,
			       const char *what, const struct pd_packet *got, int64_t at)
{
	char want_text[512], got_text[512];

	pd_packet_text(&e->p, want_text, sizeof(want_text));
	pd_packet_text(got, got_text, sizeof(got_text));
	pd_die(t->file, e->line,
	       "error handling packet: live packet field %s differs\n"
	       "script packet: %s\nactual packet: %s at %.6f",
	       what, want_text, got_text, (double)at / 1e6);
}

void pd_expect(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e, int64_t lo,
	       int64_t hi)
{
	struct pd_packet got;
	const char *field;
	struct pd_seg g;
	int64_t at;

	while (!s->n_sent && pd_next(s) <= s->t0 + (uint64_t)(hi + t->tolerance))
		pd_step(s, pd_next(s));
	if (!s->n_sent)
		pd_die(t->file, e->line,
		       "error handling packet: timed out waiting for packet until %.6f",
		       (double)(hi + t->tolerance) / 1e6);
	take_run(s, e->p.len, &g);
	at = (int64_t)(g.at - s->t0);
	if (!to_script(s, &g, &got))
		mismatch(t, e, "tcp_options (malformed)", &got, at);
	map_timestamp(s, &e->p, &got);
	field = differs(&e->p, &got, t->tolerance);
	if (field)
		mismatch(t, e, field, &got, at);
	if (at < lo - t->tolerance || at > hi + t->tolerance)
		pd_die(t->file, e->line,
		       "error handling packet: timing error: expected outbound packet at "
		       "%.6f to %.6f sec but happened at %.6f sec; tolerance %.6f sec",
		       (double)lo / 1e6, (double)hi / 1e6, (double)at / 1e6,
		       (double)t->tolerance / 1e6);
}

void pd_left_over(const struct pd_shell *s, const struct pd_script *t)
{
	struct pd_packet got;
	char text[512];

	if (!s->n_sent)
		return;
	to_script(s, &s->sent[0], &got);
	pd_packet_text(&got, text, sizeof(text));
	pd_die(t->file, t->ev[t->n - 1].line, "packet that no line expects: %s at %.6f", text,
	       (double)(s->sent[0].at - s->t0) / 1e6);
}
