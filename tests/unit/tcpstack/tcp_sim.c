/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_sim.c - two TCP cores over a simulated network; see tcp_sim.h. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tcp_check.h"
#include "tcp_optparse.h"
#include "tcp_sim.h"

enum ev_kind { EV_SEG, EV_READY, EV_PLACED, EV_CONSUME, EV_PRODUCE, EV_SENT };

struct sim_ev {
	uint64_t at, order;
	enum ev_kind kind;
	int end;
	uint32_t seq, len;
	struct tcp_seg seg;
	struct tcp_rx_pos pos;
};

uint32_t sim_rand(struct sim *s, uint32_t n)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return n ? (uint32_t)((s->rng >> 16) % n) : 0;
}

uint64_t sim_seed(void)
{
	const char *env = getenv("TCP_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

	printf("TCP_SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

static bool before(const struct sim_ev *a, const struct sim_ev *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, const struct sim_ev *ev)
{
	unsigned int i = s->n++;

	if (s->n > s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->heap = realloc(s->heap, s->cap * sizeof(*s->heap));
		assert_non_null(s->heap);
	}
	s->heap[i] = *ev;
	s->heap[i].order = s->order++;
	while (i && before(&s->heap[i], &s->heap[(i - 1) / 2])) {
		struct sim_ev t = s->heap[i];

		s->heap[i] = s->heap[(i - 1) / 2];
		s->heap[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static struct sim_ev pop(struct sim *s)
{
	struct sim_ev top = s->heap[0];
	unsigned int i = 0;

	s->heap[0] = s->heap[--s->n];
	for (;;) {
		unsigned int m = i, l = 2 * i + 1;

		for (unsigned int k = l; k < l + 2 && k < s->n; k++)
			if (before(&s->heap[k], &s->heap[m]))
				m = k;
		if (m == i)
			return top;
		struct sim_ev t = s->heap[i];

		s->heap[i] = s->heap[m];
		s->heap[m] = t;
		i = m;
	}
}

static struct sim_end *end_of(struct tcp_conn *c)
{
	return (struct sim_end *)c;
}

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct sim_end *e = end_of(c);
	struct sim *s = e->sim;
	uint32_t off = seq - e->isn;

	assert_true(len > 0 && len <= s->cfg.max_want);
	assert_true(off + len <= e->produced);
	if (sim_rand(s, 10000) < s->o.want_nobufs)
		return ENOBUFS;
	if (retx)
		assert_true(off >= e->acked && off + len <= c->snd_nxt - e->isn);
	if (memchr(e->ready + off, 0, len) == NULL)
		return 0;
	if (!s->o.read_us && !s->o.read_jitter) {
		memset(e->ready + off, 1, len);
		return 0;
	}
	e->want_out += len;
	if (e->want_out > e->max_want_out)
		e->max_want_out = e->want_out;
	while (len) {
		uint32_t part = s->o.read_parts ? 1 + sim_rand(s, len) : len;
		uint32_t lat = s->o.read_us + sim_rand(s, s->o.read_jitter);

		push(s, &(struct sim_ev){.at = s->now + lat,
					 .kind = EV_READY,
					 .end = e->id,
					 .seq = seq,
					 .len = part});
		seq += part;
		len -= part;
	}
	return EINPROGRESS;
}

/* Delivers one segment to the other end, or not. */
void sim_link(struct sim_end *e, const struct tcp_seg *seg)
{
	struct sim *s = e->sim;
	struct sim_ev ev = {.kind = EV_SEG, .end = !e->id, .seg = *seg, .at = s->now};

	s->sent++;
	if (s->o.rate_bps) {
		uint64_t cost = (uint64_t)(seg->len + 60) * 1000000 / s->o.rate_bps;

		if (e->link_free < s->now)
			e->link_free = s->now;
		if ((e->link_free - s->now) * s->o.rate_bps / 1000000 > s->o.queue) {
			s->lost++;
			return;
		}
		e->link_free += cost;
		ev.at = e->link_free;
	}
	if (sim_rand(s, 10000) < s->o.loss) {
		s->lost++;
		return;
	}
	ev.at += s->o.delay_us;
	if (sim_rand(s, 10000) < s->o.reorder)
		ev.at += sim_rand(s, s->o.reorder_us);
	push(s, &ev);
	if (sim_rand(s, 10000) < s->o.dup) {
		ev.at += sim_rand(s, 2 * s->o.delay_us);
		push(s, &ev);
	}
}

static void check_emit(struct sim_end *e, const struct tcp_emit *em, const struct tcp_seg *opt)
{
	struct sim *s = e->sim;
	uint32_t off = em->seq - e->isn, ack = em->ack - e->peer_isn;
	uint32_t edge = em->ack + ((uint32_t)em->wnd << s->o.wscale);

	if (em->flags & TCP_RST)
		return;
	assert_true(ack <= e->placed_nxt);
	for (unsigned int i = 0; i < opt->n_sack; i++) {
		uint32_t a = opt->sack[i].start - e->peer_isn, b = opt->sack[i].end - e->peer_isn;

		assert_true(a < b && b < s->room);
		assert_null(memchr(e->placed + a, 0, b - a));
	}
	assert_true(tcp_leq(edge, e->peer_isn + e->consumed + s->o.ring));
	assert_true(tcp_lt(e->my_edge, edge + (1u << s->o.wscale)));
	if (tcp_lt(e->my_edge, edge))
		e->my_edge = edge;
	if (!em->len)
		return;
	assert_true(off + em->len <= e->produced);
	assert_null(memchr(e->ready + off, 0, em->len));
	assert_true(tcp_leq(em->seq + em->len, e->edge_max));
	assert_true(em->mss + em->optlen <= s->o.mss);
	assert_true(em->len <= s->cfg.max_burst);
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *em)
{
	struct sim_end *e = end_of(c);
	struct sim *s = e->sim;
	struct tcp_seg seg = {.ack = em->ack, .wnd = em->wnd};
	uint32_t off = 0;

	if (sim_rand(s, 10000) < s->o.nobufs)
		return ENOBUFS;
	assert_int_equal(em->optlen % 4, 0);
	assert_true(test_opt_parse(em->opt, em->optlen, &seg));
	check_emit(e, em, &seg);
	if (s->trace)
		printf("%8.3f %d> %s%s%u:%u(%u) ack %u wnd %u cwnd %u r%d sack %u\n",
		       s->now / 1000.0, e->id, em->retx ? "RETX " : "",
		       em->flags & TCP_FIN ? "FIN " : "", em->seq - e->isn,
		       em->seq - e->isn + em->len, em->len, em->ack - e->peer_isn,
		       em->wnd << s->o.wscale, c->cwnd, c->recovery, seg.n_sack);
	do {
		uint32_t n = em->len - off < em->mss ? em->len - off : em->mss;

		seg.seq = em->seq + off;
		seg.len = n;
		off += n;
		seg.flags = em->flags;
		if (off < em->len)
			seg.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		sim_link(e, &seg);
	} while (off < em->len);
	if (s->o.evict && em->len)
		memset(e->ready + (em->seq - e->isn), 0, em->len);
	if (em->len)
		push(s, &(struct sim_ev){.at = s->now,
					 .kind = EV_SENT,
					 .end = e->id,
					 .seq = em->seq,
					 .len = em->len});
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
	struct sim_end *e = end_of(c);
	uint32_t off = una - e->isn;

	assert_true(off >= e->acked && off <= e->produced);
	if (e->sim->o.ideal)
		assert_true(off <= e->sim->e[1].ideal.nxt);
	/* What the client acknowledged is in its memory: nothing was invented on the way. */
	if (off > e->acked && !e->sim->o.ideal)
		assert_null(memchr(e->sim->e[!e->id].placed + e->acked, 0, off - e->acked));
	e->acked = off;
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct sim_end *e = end_of(c);

	e->events[ev]++;
	if (ev == TCP_E_FIN)
		e->fin_seen = true;
}

static const struct tcp_ops sim_ops = {op_want, op_emit, op_acked, op_event};

void sim_defaults(struct sim_opts *o)
{
	*o = (struct sim_opts){
		.delay_us = 1000,
		.reorder_us = 2000,
		.ring = 262144,
		.wscale = 7,
		.mss = 1460,
		.isn = {0xffff0000u, 0x7fff8000u},
		.bytes = {1 << 20, 0},
		.fin = true,
	};
}

static void start_end(struct sim *s, int i)
{
	struct sim_end *e = &s->e[i];
	uint32_t wnd = s->o.ring >> s->o.wscale;
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.wscale_ok = s->o.wscale > 0,
		.snd_wscale = s->o.wscale,
		.rcv_wscale = s->o.wscale,
		.sack_ok = !s->o.no_sack,
		.ts_ok = !s->o.no_ts,
		.mss = s->o.mss,
	};

	wnd = (wnd > 65535 ? 65535 : wnd) << s->o.wscale;
	e->sim = s;
	e->id = i;
	e->isn = s->o.isn[i];
	e->peer_isn = s->o.isn[!i];
	s->room = 1 + (s->o.bytes[0] > s->o.bytes[1] ? s->o.bytes[0] : s->o.bytes[1]);
	e->ready = calloc(1, s->room);
	e->placed = calloc(1, s->room);
	assert_true(e->ready && e->placed && s->o.bytes[i] < SIM_STREAM_MAX);
	st.snd_una = st.snd_nxt = st.snd_avail = st.snd_wl2 = e->isn;
	st.snd_wl1 = st.rcv_nxt = e->peer_isn;
	st.snd_wnd = st.max_wnd = wnd;
	st.rcv_edge = e->peer_isn + wnd;
	st.rcv_room = e->peer_isn + s->o.ring;
	st.ts_val = 0xfffffff0u + (uint32_t)i;
	e->edge_max = e->isn + wnd;
	e->my_edge = st.rcv_edge;
	assert_int_equal(tcp_import(&e->c, &s->cfg, &sim_ops, &st, s->now), 0);
	e->ideal.t_ack = TCP_NEVER;
	push(s, &(struct sim_ev){.at = s->now, .kind = EV_PRODUCE, .end = i});
}

void sim_init(struct sim *s, const struct sim_opts *o, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->o = *o;
	s->rng = seed;
	s->now = 1000000;
	s->trace = getenv("TCP_TRACE") != NULL;
	tcp_cfg_default(&s->cfg);
	start_end(s, 0);
	start_end(s, 1);
}

void sim_fini(struct sim *s)
{
	free(s->heap);
	for (int i = 0; i < 2; i++) {
		free(s->e[i].ready);
		free(s->e[i].placed);
	}
}

static void ev_seg(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	uint32_t edge = ev->seg.ack + ((uint32_t)ev->seg.wnd << s->o.wscale);
	struct sim_ev p = {.kind = EV_PLACED, .end = e->id};
	struct tcp_rx rx;

	if (tcp_lt(e->edge_max, edge))
		e->edge_max = edge;
	tcp_input(&e->c, &ev->seg, s->now, &rx);
	assert_true(rx.verdict != TCP_V_RST && rx.verdict != TCP_V_ACK_FUTURE);
	if (!rx.len && !rx.fin)
		return;
	assert_int_equal(ev->seg.seq + rx.skip, rx.seq);
	assert_true(rx.skip + rx.len <= ev->seg.len);
	assert_true(rx.seq - e->peer_isn + rx.len <= e->consumed + s->o.ring);
	tcp_rx_get(&e->c, &p.pos);
	p.seq = rx.seq;
	p.len = rx.len;
	p.at = s->now + s->o.write_us;
	if (p.at < e->write_free)
		p.at = e->write_free; /* WRITEs complete in order */
	e->write_free = p.at;
	push(s, &p);
}

static void ev_placed(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	uint32_t data;

	memset(e->placed + (ev->seq - e->peer_isn), 1, ev->len);
	data = ev->pos.rcv_nxt - e->peer_isn - ev->pos.fin;
	if (ev->pos.rcv_nxt - e->peer_isn > e->placed_nxt)
		e->placed_nxt = ev->pos.rcv_nxt - e->peer_isn;
	if (data > e->consumed)
		assert_null(memchr(e->placed + e->consumed, 0, data - e->consumed));
	tcp_placed(&e->c, &ev->pos, s->now);
	push(s, &(struct sim_ev){
			.at = s->now + s->o.app_us, .kind = EV_CONSUME, .end = e->id, .seq = data});
}

static void ev_produce(struct sim *s, struct sim_end *e)
{
	uint32_t left = s->o.bytes[e->id] - e->produced;
	uint32_t n = s->o.chunk && s->o.chunk < left ? s->o.chunk : left;

	e->produced += n;
	tcp_produced(&e->c, n, s->now);
	if (n < left)
		push(s, &(struct sim_ev){
				.at = s->now + s->o.chunk_us, .kind = EV_PRODUCE, .end = e->id});
	else if (s->o.fin)
		tcp_shutdown(&e->c, s->now);
}

static void dispatch(struct sim *s, const struct sim_ev *ev)
{
	struct sim_end *e = &s->e[ev->end];

	switch (ev->kind) {
	case EV_SEG:
		if (s->o.ideal && e->id == 1) {
			sim_ideal_input(e, &ev->seg);
			return;
		}
		ev_seg(s, e, ev);
		break;
	case EV_READY:
		memset(e->ready + (ev->seq - e->isn), 1, ev->len);
		e->want_out -= ev->len;
		tcp_ready(&e->c, ev->seq, ev->len, s->now);
		break;
	case EV_PLACED:
		ev_placed(s, e, ev);
		break;
	case EV_CONSUME:
		if (ev->seq > e->consumed)
			e->consumed = ev->seq;
		tcp_room(&e->c, e->peer_isn + e->consumed + s->o.ring, s->now);
		break;
	case EV_PRODUCE:
		if (s->o.ideal && e->id == 1)
			return;
		ev_produce(s, e);
		break;
	case EV_SENT:
		tcp_sent(&e->c, ev->seq, ev->len, s->now);
		break;
	}
	tcp_output(&e->c, s->now);
	if (tcp_check(&e->c))
		fail_msg("broken: %s", tcp_check(&e->c));
}

/* Runs the earliest event or timer. Returns false when there is none until `until`. */
static bool step(struct sim *s, uint64_t until)
{
	uint64_t at = s->n ? s->heap[0].at : TCP_NEVER;
	int who = -1;

	for (int i = 0; i < 2; i++) {
		bool ideal = s->o.ideal && i == 1;
		uint64_t d = ideal ? s->e[i].ideal.t_ack : tcp_deadline(&s->e[i].c);

		if (d < at) {
			at = d;
			who = i;
		}
	}
	if (at == TCP_NEVER || at > until)
		return false;
	if (at > s->now)
		s->now = at;
	if (who == 1 && s->o.ideal) {
		sim_ideal_timer(&s->e[1]);
	} else if (who >= 0) {
		tcp_timer(&s->e[who].c, s->now);
		assert_true(tcp_deadline(&s->e[who].c) > s->now);
		tcp_output(&s->e[who].c, s->now);
	} else {
		struct sim_ev ev = pop(s);

		dispatch(s, &ev);
	}
	return true;
}

static bool arrived(struct sim *s, int i)
{
	struct sim_end *from = &s->e[i], *to = &s->e[!i];
	uint32_t n = s->o.bytes[i];

	if (s->o.ideal && i == 1)
		return true;
	if (s->o.ideal)
		to->placed_nxt = to->ideal.nxt + to->ideal.fin;
	if (from->produced < n || to->placed_nxt < n + s->o.fin || from->acked < n)
		return false;
	if (!to->done_at)
		to->done_at = s->now;
	return !s->o.fin || from->c.state == TCP_S_CLOSED || s->o.ideal ||
	       from->c.state == TCP_S_TIME_WAIT;
}

bool sim_run(struct sim *s, uint64_t limit)
{
	uint64_t until = s->now + limit;
	bool a = false, b = false;

	while (!(a && b)) {
		/* A shell calls tcp_output() again after ENOBUFS. */
		if (!step(s, s->o.nobufs || s->o.want_nobufs ? s->now + 10000 : until)) {
			if (s->now >= until || !(s->o.nobufs || s->o.want_nobufs))
				return false;
			s->now += 10000;
			tcp_output(&s->e[0].c, s->now);
			tcp_output(&s->e[1].c, s->now);
		}
		a = arrived(s, 0);
		b = arrived(s, 1);
		if (s->now > until)
			return false;
	}
	return true;
}

void sim_until(struct sim *s, uint64_t until)
{
	while (step(s, until))
		;
	s->now = until;
}
