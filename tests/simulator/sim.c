/* SPDX-License-Identifier: BSD-3-Clause */
/* sim.c - virtual time: what happens next, to which end, until everything arrived; see sim.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim_int.h"

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

void sim_broken(struct sim *s, int line, const char *rule)
{
	snprintf(s->broken, sizeof(s->broken), "at %.3f ms, line %d: %s", (double)s->now / 1000,
		 line, rule);
	longjmp(s->out, 1);
}

static bool before(const struct sim_ev *a, const struct sim_ev *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_push(struct sim *s, const struct sim_ev *ev)
{
	unsigned int i = s->n++;

	if (s->n > s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->heap = realloc(s->heap, s->cap * sizeof(*s->heap));
		if (!s->heap)
			abort();
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

static void start_end(struct sim *s, int i)
{
	struct sim_end *e = &s->e[i];
	uint32_t wnd = s->o.ring >> s->o.wscale;
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.wscale_ok = s->o.wscale > 0,
		.snd_wscale = (uint8_t)s->o.wscale,
		.rcv_wscale = (uint8_t)s->o.wscale,
		.sack_ok = !s->o.no_sack,
		.ecn_ok = s->o.mark != 0,
		.ts_ok = !s->o.no_ts,
		.mss = (uint16_t)s->o.mss,
	};

	wnd = (wnd > 65535 ? 65535 : wnd) << s->o.wscale;
	e->sim = s;
	e->id = i;
	e->isn = s->o.isn[i];
	e->peer_isn = s->o.isn[!i];
	s->room = 1 + (s->o.bytes[0] > s->o.bytes[1] ? s->o.bytes[0] : s->o.bytes[1]);
	e->ready = calloc(3, s->room);
	if (!e->ready || s->o.bytes[i] > SIM_STREAM_MAX)
		abort();
	e->placed = e->ready + s->room;
	e->mem = e->placed + s->room;
	st.snd_una = st.snd_nxt = st.snd_avail = st.snd_wl2 = e->isn;
	st.snd_wl1 = st.rcv_nxt = e->peer_isn;
	st.snd_wnd = st.max_wnd = wnd;
	st.rcv_edge = e->peer_isn + wnd;
	st.rcv_room = e->peer_isn + s->o.ring;
	st.ts_val = 0xfffffff0u + (uint32_t)i;
	e->edge_max = e->isn + wnd;
	e->my_edge = st.rcv_edge;
	if (tcp_import(&e->c, &s->cfg, &st, s->now))
		abort();
	e->ideal.t_ack = TCP_NEVER;
	if (s->o.open)
		sim_open_start(e);
	else
		sim_push(s, &(struct sim_ev){.at = s->now, .kind = SIM_PRODUCE, .end = i});
	for (uint32_t k = 0; k < s->o.moves && !(s->o.ideal && i); k++)
		sim_push(s, &(struct sim_ev){.at = s->now + sim_rand(s, s->o.move_us),
					     .kind = SIM_MOVE,
					     .end = i});
}

void sim_init(struct sim *s, const struct sim_opts *o, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->o = *o;
	s->rng = seed * 0x9e3779b97f4a7c15ull | 1;
	s->now = 1000000;
	s->trace = getenv("TCP_TRACE") != NULL;
	tcp_cfg_default(&s->cfg);
	s->cfg.ops = &sim_ops;
	s->cfg.cc = (uint8_t)(o->cc % TCP_CC_COUNT);
	s->cfg.pacing = o->pacing;
	tcp_pool_init(&s->pool, s->rec, o->records ? o->records : SIM_RECORDS,
		      (o->records ? o->records : SIM_RECORDS) / 4);
	s->cfg.pool = &s->pool;
	start_end(s, 0);
	start_end(s, 1);
}

void sim_fini(struct sim *s)
{
	free(s->heap);
	for (int i = 0; i < 2; i++)
		free(s->e[i].ready);
}

/* Whoever is closed answers with RST, once something went wrong on purpose. */
static void answer_closed(struct sim_end *e, const struct tcp_seg *in)
{
	struct tcp_seg rst = {.flags = TCP_RST, .seq = in->ack};

	if ((in->flags & TCP_ACK) && !(in->flags & TCP_RST))
		sim_link(e, &rst, 0);
}

static void trace_in(const struct sim_end *e, const struct tcp_seg *seg, const struct tcp_rx *rx)
{
	printf("%12.3f %d< %u:%u(%u) ack %u flags %#x: %s, takes %u\n", (double)e->sim->now / 1000,
	       e->id, seg->seq - e->peer_isn, seg->seq + seg->len - e->peer_isn, seg->len,
	       seg->ack - e->isn, seg->flags, tcp_verdict_name(rx->verdict), rx->len);
}

static void ev_seg(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	uint32_t shift = ev->seg.flags & TCP_SYN ? 0 : s->o.wscale;
	uint32_t edge = ev->seg.ack + ((uint32_t)ev->seg.wnd << shift);
	struct sim_ev p = {.kind = SIM_PLACED, .end = e->id, .gen = e->gen};
	struct tcp_rx rx;

	if (ev->seg.flags & TCP_ACK && tcp_lt(e->edge_max, edge) &&
	    ev->seg.ack - e->c.snd_una < 1u << 29)
		e->edge_max = edge;
	if (e->c.state == TCP_S_CLOSED && s->aborted)
		answer_closed(e, &ev->seg);
	if (e->listening)
		sim_open_listen(e, &ev->seg, &rx);
	else
		tcp_input(&e->c, &ev->seg, s->now, &rx);
	if (s->trace)
		trace_in(e, &ev->seg, &rx);
	if (!s->o.havoc && !s->aborted)
		SIM_RULE(s, rx.verdict != TCP_V_RST);
	if (!s->o.havoc && !s->o.damage)
		SIM_RULE(s, rx.verdict != TCP_V_ACK_FUTURE);
	if (!rx.len && !rx.fin)
		return;
	SIM_RULE(s, ev->seg.seq + rx.skip == rx.seq);
	SIM_RULE(s, rx.skip + rx.len <= ev->seg.len);
	SIM_RULE(s, rx.seq - e->peer_isn + rx.len <= e->consumed + s->o.ring);
	tcp_rx_get(&e->c, &p.pos);
	p.seq = rx.seq;
	p.len = rx.len;
	p.off = ev->off + rx.skip;
	p.at = s->now + s->o.write_us;
	if (p.at < e->write_free)
		p.at = e->write_free; /* WRITEs complete in order */
	e->write_free = p.at;
	sim_push(s, &p);
}

static void ev_placed(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	uint32_t data = ev->pos.rcv_nxt - e->peer_isn - ev->pos.fin;
	uint32_t at = ev->seq - e->peer_isn;
	uint64_t read = s->now;

	SIM_RULE(s, s->o.havoc || at + ev->len < s->room);
	for (uint32_t i = 0; i < ev->len && at + i < s->room; i++) {
		e->placed[at + i] = 1;
		e->mem[at + i] = sim_byte(!e->id, ev->off + i);
	}
	if (ev->pos.rcv_nxt - e->peer_isn > e->placed_nxt)
		e->placed_nxt = ev->pos.rcv_nxt - e->peer_isn;
	if (data > e->consumed && data < s->room)
		SIM_RULE(s, memchr(e->placed + e->consumed, 0, data - e->consumed) == NULL);
	tcp_placed(&e->c, &ev->pos, s->now);
	read += s->o.app_us;
	if (s->o.pause && sim_rand(s, 10000) < s->o.pause)
		read += s->o.pause_us;
	if (read < e->read_free)
		read = e->read_free; /* the program reads in order */
	e->read_free = read;
	sim_push(s, &(struct sim_ev){.at = read, .kind = SIM_CONSUME, .end = e->id, .seq = data});
}

static void ev_consume(struct sim *s, struct sim_end *e, uint32_t upto)
{
	if (upto > e->consumed)
		e->consumed = upto;
	if (!e->down)
		tcp_room(&e->c, e->peer_isn + e->consumed + s->o.ring, s->now);
}

static void ev_produce(struct sim *s, struct sim_end *e)
{
	uint32_t left = s->o.bytes[e->id] - e->produced;
	uint32_t n = s->o.chunk && s->o.chunk < left ? s->o.chunk : left;

	if (s->o.ideal && e->id == 1)
		return;
	e->produced += n;
	if (!e->down)
		tcp_produced(&e->c, n, s->now);
	if (n < left)
		sim_push(s, &(struct sim_ev){.at = s->now + s->o.chunk_us,
					     .kind = SIM_PRODUCE,
					     .end = e->id});
	else if (s->o.fin && !e->down)
		tcp_shutdown(&e->c, s->now);
}

static void ev_icmp(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	struct tcp_icmp_err err = {
		.kind = TCP_K_TOO_BIG, .seq = ev->seq, .mtu = s->o.path_mtu, .len = ev->len};

	tcp_icmp(&e->c, &err, s->now);
}

static void ev_failed(struct sim *s, struct sim_end *e, const struct sim_ev *ev)
{
	bool told = e->events[TCP_E_PAYLOAD];

	tcp_failed(&e->c, ev->seq, ev->len, s->now);
	if (!e->events[TCP_E_PAYLOAD])
		return; /* nobody needs these bytes any more */
	SIM_RULE(s, e->events[TCP_E_PAYLOAD] == 1);
	e->read_failed = true;
	s->aborted = true;
	if (!told)
		sim_push(s, &(struct sim_ev){.at = s->now + sim_rand(s, 100000),
					     .kind = SIM_ABORT,
					     .end = e->id});
}

/* What started at a gateway that is gone never completes; a segment meets nobody. */
static bool void_event(const struct sim_end *e, const struct sim_ev *ev)
{
	switch (ev->kind) {
	case SIM_SEG:
		return e->down || ev->bad;
	case SIM_ICMP:
		return e->down;
	case SIM_READY:
	case SIM_FAILED:
	case SIM_PLACED:
	case SIM_SENT:
		return ev->gen != e->gen;
	default:
		return false;
	}
}

static void dispatch(struct sim *s, const struct sim_ev *ev)
{
	struct sim_end *e = &s->e[ev->end];

	if (void_event(e, ev)) {
		s->lost += ev->kind == SIM_SEG && e->down;
		return;
	}
	switch (ev->kind) {
	case SIM_SEG:
		if (s->o.ideal && e->id == 1)
			sim_ideal_input(e, &ev->seg, ev->off);
		else
			ev_seg(s, e, ev);
		break;
	case SIM_READY:
		memset(e->ready + (ev->seq - e->isn), 1, ev->len);
		e->want_out -= ev->len;
		tcp_ready(&e->c, ev->seq, ev->len, s->now);
		break;
	case SIM_FAILED:
		ev_failed(s, e, ev);
		break;
	case SIM_PLACED:
		ev_placed(s, e, ev);
		break;
	case SIM_CONSUME:
		ev_consume(s, e, ev->seq);
		break;
	case SIM_PRODUCE:
		ev_produce(s, e);
		break;
	case SIM_SENT:
		tcp_sent(&e->c, ev->seq, ev->len, s->now);
		break;
	case SIM_ABORT:
		tcp_abort(&e->c, s->now);
		break;
	case SIM_ICMP:
		ev_icmp(s, e, ev);
		break;
	case SIM_MOVE:
		sim_move(e);
		break;
	case SIM_RESUME:
		sim_resume(e);
		break;
	}
	if (e->down || (s->o.ideal && e->id == 1))
		return;
	tcp_output(&e->c, s->now);
	sim_rules_step(e);
	sim_park(e);
}

static uint64_t timer_of(const struct sim *s, int i)
{
	if (s->o.ideal && i == 1)
		return s->e[1].ideal.t_ack;
	return s->e[i].down ? TCP_NEVER : tcp_deadline(&s->e[i].c, s->now);
}

static void run_timer(struct sim *s, struct sim_end *e)
{
	uint32_t timeouts = e->c.stats.rto_count;

	if (s->o.ideal && e->id == 1) {
		sim_ideal_timer(e);
		return;
	}
	tcp_timer(&e->c, s->now);
	SIM_RULE(s, tcp_deadline(&e->c, s->now) > s->now);
	sim_rules_timer(e, timeouts);
	tcp_output(&e->c, s->now);
	sim_rules_step(e);
	sim_park(e);
}

/* Runs the earliest event or timer. Returns false when there is none until `until`. */
static bool step(struct sim *s, uint64_t until)
{
	uint64_t at = s->n ? s->heap[0].at : TCP_NEVER;
	int who = -1;

	for (int i = 0; i < 2; i++) {
		uint64_t d = timer_of(s, i);

		if (d < at) {
			at = d;
			who = i;
		}
	}
	if (at == TCP_NEVER || at > until)
		return false;
	if (at > s->now)
		s->now = at;
	if (who >= 0) {
		run_timer(s, &s->e[who]);
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
	if (from->down || from->produced < n || to->placed_nxt < n + s->o.fin)
		return false;
	if (to->c.state == TCP_S_CLOSED && to->events[TCP_E_CLOSED])
		return true; /* its TIME-WAIT may end before we hear of its last ACK */
	if (from->acked < n)
		return false;
	if (!to->done_at)
		to->done_at = s->now;
	return !s->o.fin || from->c.state == TCP_S_CLOSED || s->o.ideal ||
	       from->c.state == TCP_S_TIME_WAIT;
}

/* All arrived, or both ends know that it never will. */
static bool finished(struct sim *s)
{
	bool closed = s->e[0].c.state == TCP_S_CLOSED && s->e[1].c.state == TCP_S_CLOSED;
	bool a, b;

	if ((s->aborted || s->o.havoc) && closed && !s->e[0].down && !s->e[1].down)
		return true;
	a = arrived(s, 0);
	b = arrived(s, 1);
	return a && b;
}

/* One step, or 10 ms of a shell that calls tcp_output() again after ENOBUFS or ENODATA. */
static bool step_or_retry(struct sim *s, uint64_t until)
{
	bool retry = s->o.nobufs || s->o.want_nobufs || s->o.nodata;

	if (step(s, retry ? s->now + 10000 : until))
		return true;
	if (!retry || s->now >= until)
		return false;
	s->now += 10000;
	for (int i = 0; i < 2; i++)
		if (!s->e[i].down)
			tcp_output(&s->e[i].c, s->now);
	return true;
}

bool sim_run(struct sim *s, uint64_t limit)
{
	uint64_t until = s->now + limit;

	if (setjmp(s->out))
		return false;
	while (!finished(s)) {
		if (!step_or_retry(s, until) || s->now > until) {
			/* A connection aborted or damaged on purpose may rest half open. */
			if (!s->aborted && !s->o.havoc)
				return false;
			break;
		}
	}
	sim_rules_end(s);
	return true;
}

void sim_print(FILE *f, const struct sim *s)
{
	for (int i = 0; i < 2; i++) {
		const struct sim_end *e = &s->e[i];
		const struct tcp_conn *c = &e->c;

		fprintf(f,
			"end %d: %s%s timer %d acked %u of %u placed %u una %u nxt %u want %u cwnd %u "
			"wnd %u r%d backoff %u ready %u rto %u retx %u\n",
			i, tcp_state_name(c->state), e->down ? " (moving)" : "", c->timer, e->acked,
			s->o.bytes[i], e->placed_nxt, c->snd_una - e->isn, c->snd_nxt - e->isn,
			c->want_nxt - e->isn, c->cwnd, c->snd_wnd, c->recovery, c->backoff,
			c->n_ready, c->stats.rto_count, c->stats.retx_segs);
	}
}
