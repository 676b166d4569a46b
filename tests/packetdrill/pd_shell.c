/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_shell.c - the virtual clock and the shell around the core: payload, placement, segments. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "pd.h"

/* Milliseconds wrap five seconds into a script. */
#define CLOCK_START ((((uint64_t)1 << 32) - 5000) * 1000)
#define RING	    131072

static void add_due(struct pd_shell *s, const struct pd_due *d)
{
	if (s->n_due == PD_DUE) {
		fputs("too many completions on their way\n", stderr);
		exit(2);
	}
	s->due[s->n_due++] = *d;
}

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct pd_shell *s = (struct pd_shell *)c;
	struct pd_due d = {.at = s->now + s->read_delay, .seq = seq, .len = len};

	if (!s->read_delay)
		return 0;
	for (unsigned int i = 0; i < s->n_due; i++) {
		if (!s->due[i].place && s->due[i].seq == seq && s->due[i].len == len)
			return EINPROGRESS;
	}
	add_due(s, &d);
	return EINPROGRESS;
}

void pd_queue(struct pd_shell *s, const struct pd_seg *g)
{
	if (s->n_sent == PD_SENT) {
		fputs("too many segments that no line expects\n", stderr);
		exit(2);
	}
	s->sent[s->n_sent++] = *g;
}

/* The ACK that a takeover owes the client: scripts of plain TCP do not know of it. */
static bool is_courtesy(const struct pd_shell *s, const struct tcp_emit *e)
{
	return !s->courtesy_ack && !s->touched && !e->len && e->flags == TCP_ACK &&
	       s->now == s->import_at + s->cfg.delack_us && e->ack == s->io.rcv_nxt;
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct pd_shell *s = (struct pd_shell *)c;
	uint32_t off = 0;

	if (is_courtesy(s, e)) {
		s->touched = true;
		return 0;
	}
	s->touched = true;
	do {
		uint32_t n = e->len - off < e->mss ? e->len - off : e->mss;
		struct pd_seg g = {.at = s->now,
				   .seq = e->seq + off,
				   .ack = e->ack,
				   .len = n,
				   .wnd = e->wnd,
				   .flags = e->flags,
				   .optlen = e->optlen};

		memcpy(g.opt, e->opt, e->optlen);
		off += n;
		if (off < e->len)
			g.flags &= (uint8_t) ~(TCP_PSH | TCP_FIN);
		pd_queue(s, &g);
	} while (off < e->len);
	if (e->len && s->n_runs < sizeof(s->runs) / sizeof(s->runs[0]))
		s->runs[s->n_runs++] = (struct tcp_range){e->seq, e->seq + e->len};
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
	((struct pd_shell *)c)->events[ev]++;
}

const struct tcp_ops pd_ops = {op_want, op_emit, op_acked, op_event};

void pd_shell_init(struct pd_shell *s)
{
	memset(s, 0, sizeof(*s));
	tcp_cfg_default(&s->cfg);
	s->t0 = s->now = CLOCK_START;
	s->ring = RING;
	s->listen_fd = s->conn_fd = -1;
}

void pd_output(struct pd_shell *s)
{
	if (!s->live)
		return;
	tcp_output(&s->c, s->now);
	for (unsigned int i = 0; i < s->n_runs; i++)
		tcp_sent(&s->c, s->runs[i].start, s->runs[i].end - s->runs[i].start, s->now);
	s->n_runs = 0;
}

void pd_place(struct pd_shell *s)
{
	struct pd_due d = {.at = s->now + s->place_delay, .place = true};

	tcp_rx_get(&s->c, &d.pos);
	if (s->place_delay)
		add_due(s, &d);
	else
		tcp_placed(&s->c, &d.pos, s->now);
}

uint64_t pd_next(const struct pd_shell *s)
{
	uint64_t at = s->live ? tcp_deadline(&s->c) : TCP_NEVER;

	for (unsigned int i = 0; i < s->n_due; i++)
		at = s->due[i].at < at ? s->due[i].at : at;
	return at;
}

void pd_step(struct pd_shell *s, uint64_t at)
{
	struct pd_due d;

	s->now = at > s->now ? at : s->now;
	for (unsigned int i = 0; i < s->n_due;) {
		d = s->due[i];
		if (d.at > s->now) {
			i++;
			continue;
		}
		memmove(&s->due[i], &s->due[i + 1], (--s->n_due - i) * sizeof(d));
		if (d.place)
			tcp_placed(&s->c, &d.pos, s->now);
		else
			tcp_ready(&s->c, d.seq, d.len, s->now);
	}
	if (s->live && tcp_deadline(&s->c) <= s->now)
		tcp_timer(&s->c, s->now);
	pd_output(s);
}

void pd_advance(struct pd_shell *s, uint64_t to)
{
	while (pd_next(s) <= to)
		pd_step(s, pd_next(s));
	s->now = to > s->now ? to : s->now;
}
