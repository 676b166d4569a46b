/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_conn.c - the shell around the core: payload, placement, what the core tells. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sk.h"

#define RING 131072 /* bytes of a receive ring */
#define MSS  1460   /* of both versions of IP: scripts are the same for both */

static void add_due(struct sk_sock *s, const struct sk_due *d)
{
	if (s->n_due == SK_DUE) {
		fputs("too many completions on their way\n", stderr);
		exit(2);
	}
	s->due[s->n_due++] = *d;
}

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct sk_sock *s = (struct sk_sock *)c;
	struct sk_due d = {.at = s->st->now + s->set.read_delay, .seq = seq, .len = len};

	if (s->set.read_fail)
		return EIO;
	if (!s->set.read_delay)
		return 0;
	for (unsigned int i = 0; i < s->n_due; i++) {
		if (!s->due[i].place && s->due[i].seq == seq && s->due[i].len == len)
			return EINPROGRESS;
	}
	add_due(s, &d);
	return EINPROGRESS;
}

/* The ACK that a takeover owes the client: scripts of plain TCP do not know of it. */
static bool is_courtesy(const struct sk_sock *s, const struct tcp_emit *e)
{
	return s->import_at && !s->set.courtesy_ack && !s->touched && !e->len &&
	       e->flags == TCP_ACK && s->st->now == s->import_at + s->cfg.delack_us &&
	       e->ack == s->io.rcv_nxt;
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct sk_sock *s = (struct sk_sock *)c;
	bool courtesy = is_courtesy(s, e);

	s->touched = true;
	if (courtesy)
		return 0;
	sk_transmit(s, e);
	if (e->len && s->n_runs < SK_RUNS)
		s->runs[s->n_runs++] = (struct tcp_range){e->seq, e->seq + e->len};
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct sk_sock *s = (struct sk_sock *)c;

	s->events[ev]++;
	switch (ev) {
	case TCP_E_ESTABLISHED:
		s->open = s->options_due = true;
		s->first = c->snd_una;
		s->consumed = c->rcv_nxt;
		break;
	case TCP_E_REFUSED:
		s->err = ECONNREFUSED;
		break;
	case TCP_E_RESET:
		s->err = c->state == TCP_S_CLOSE_WAIT ? EPIPE : ECONNRESET;
		break;
	case TCP_E_TIMEOUT:
		s->err = ETIMEDOUT;
		break;
	case TCP_E_CLOSED:
		break;
	default:
		return;
	}
	s->connecting = false;
}

const struct tcp_ops sk_ops = {op_want, op_emit, op_acked, op_event};

struct sk_sock *sk_new(struct sk_stack *st)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &st->sock[i];

		if (s->kind != SK_FREE)
			continue;
		memset(s, 0, sizeof(*s));
		s->st = st;
		s->kind = SK_NEW;
		s->fd = -1;
		s->cfg = st->cfg;
		s->set = st->set;
		s->ring = st->rcvbuf ? st->rcvbuf : RING;
		s->lowat = 1;
		return s;
	}
	return NULL;
}

void sk_drop(struct sk_sock *s)
{
	if (s->kind == SK_CONN && s->fd < 0 && (!s->parent || !s->open) && s->live &&
	    s->c.state == TCP_S_CLOSED && !s->n_due)
		s->kind = SK_FREE;
}

uint16_t sk_path_mss(const struct sk_stack *st, const struct net_flow *f)
{
	return (uint16_t)(st->mtu ? st->mtu - (net_addr_is_v4(&f->local) ? 40 : 60) : MSS);
}

/* Parked, its memory spoilt, and woken again: nobody may notice (tcpstack/tcp_park.h). */
static void rest(struct sk_sock *s)
{
	struct tcp_parked p;

	if (!s->open || s->n_due || tcp_park(&s->c, &p, s->st->now))
		return;
	memset(&s->c, 0xa5, sizeof(s->c));
	tcp_unpark(&s->c, &p, &s->cfg);
	s->st->rests++;
}

void sk_output(struct sk_sock *s)
{
	if (!s->live)
		return;
	if (s->options_due) {
		sk_options(s);
		if (s->st->noquick)
			tcp_quickack(&s->c, false);
	}
	tcp_output(&s->c, s->st->now);
	for (unsigned int i = 0; i < s->n_runs; i++)
		tcp_sent(&s->c, s->runs[i].start, s->runs[i].end - s->runs[i].start, s->st->now);
	s->n_runs = 0;
	sk_map_ack(s);
	if (s->st->rest)
		rest(s);
}

void sk_place(struct sk_sock *s)
{
	struct sk_due d = {.at = s->st->now + s->set.place_delay, .place = true};

	tcp_rx_get(&s->c, &d.pos);
	if (s->set.place_delay)
		add_due(s, &d);
	else
		tcp_placed(&s->c, &d.pos, s->st->now);
}

void sk_due_run(struct sk_sock *s)
{
	struct sk_due d;

	for (unsigned int i = 0; i < s->n_due;) {
		d = s->due[i];
		if (d.at > s->st->now) {
			i++;
			continue;
		}
		memmove(&s->due[i], &s->due[i + 1], (--s->n_due - i) * sizeof(d));
		if (d.place)
			tcp_placed(&s->c, &d.pos, s->st->now);
		else
			tcp_ready(&s->c, d.seq, d.len, s->st->now);
	}
}
