/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_shell.c - what a core asks of its shell: READs with latency, the wire, the program told. */
#include <errno.h>
#include <string.h>

#include "../unit/tcpstack/tcp_optparse.h"
#include "sim_int.h"

static struct sim_end *end_of(struct tcp_conn *c)
{
	return (struct sim_end *)c;
}

/* The READs of one want, in parts, each with its own latency and fate. */
static void start_reads(struct sim_end *e, uint32_t seq, uint32_t len)
{
	struct sim *s = e->sim;

	while (len) {
		uint32_t part = s->o.read_parts ? 1 + sim_rand(s, len) : len;
		struct sim_ev ev = {.at = s->now + s->o.read_us + sim_rand(s, s->o.read_jitter),
				    .kind = SIM_READY,
				    .end = e->id,
				    .gen = e->gen,
				    .seq = seq,
				    .len = part};

		if (s->o.read_fail && sim_rand(s, 10000) < s->o.read_fail)
			ev.kind = SIM_FAILED;
		sim_push(s, &ev);
		seq += part;
		len -= part;
	}
}

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	struct sim_end *e = end_of(c);
	struct sim *s = e->sim;
	uint32_t off = seq - e->isn;

	SIM_RULE(s, len > 0 && len <= s->cfg.max_want);
	SIM_RULE(s, off + len <= e->produced);
	if (sim_rand(s, 10000) < s->o.want_nobufs)
		return ENOBUFS;
	if (retx)
		SIM_RULE(s, off >= e->acked && off + len <= c->snd_nxt - e->isn);
	if (memchr(e->ready + off, 0, len) == NULL)
		return 0;
	if (!s->o.read_us && !s->o.read_jitter) {
		memset(e->ready + off, 1, len);
		return 0;
	}
	if (s->trace)
		printf("%12.3f %d  want %u+%u%s\n", (double)s->now / 1000, e->id, off, len,
		       retx ? " again" : "");
	e->want_out += len;
	if (e->want_out > e->max_want_out)
		e->max_want_out = e->want_out;
	start_reads(e, seq, len);
	return EINPROGRESS;
}

static void trace_emit(const struct sim_end *e, const struct tcp_emit *em,
		       const struct tcp_seg *opt)
{
	printf("%12.3f %d> %s%s%s%u:%u(%u) ack %u wnd %u cwnd %u r%d", (double)e->sim->now / 1000,
	       e->id, em->retx ? "RETX " : "", em->flags & TCP_FIN ? "FIN " : "",
	       em->flags & TCP_RST ? "RST " : "", em->seq - e->isn, em->seq - e->isn + em->len,
	       em->len, em->ack - e->peer_isn, (uint32_t)em->wnd << e->sim->o.wscale, e->c.cwnd,
	       e->c.recovery);
	for (unsigned int i = 0; i < opt->n_sack; i++)
		printf(" %u-%u", opt->sack[i].start - e->peer_isn, opt->sack[i].end - e->peer_isn);
	putchar('\n');
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *em)
{
	struct sim_end *e = end_of(c);
	struct sim *s = e->sim;
	struct tcp_seg seg = {.ack = em->ack, .wnd = em->wnd};
	uint32_t off = 0, first = em->seq - e->isn;

	if (sim_rand(s, 10000) < s->o.nobufs)
		return ENOBUFS;
	if (em->len && sim_rand(s, 10000) < s->o.nodata) {
		memset(e->ready + first, 0, em->len);
		return ENODATA;
	}
	if (em->flags & TCP_SYN || c->state == TCP_S_SYN_SENT || c->state == TCP_S_SYN_RCVD) {
		sim_open_send(e, em);
		return 0;
	}
	SIM_RULE(s, em->optlen % 4 == 0 && test_opt_parse(em->opt, em->optlen, &seg));
	if (s->trace)
		trace_emit(e, em, &seg);
	sim_rules_emit(e, em, &seg);
	do {
		uint32_t n = em->len - off < em->mss ? em->len - off : em->mss;

		seg.seq = em->seq + off;
		seg.len = n;
		seg.flags = tcp_emit_flags(em, off, n);
		sim_link(e, &seg, first + off);
		off += n;
	} while (off < em->len);
	if (s->o.evict && em->len)
		memset(e->ready + first, 0, em->len);
	if (em->len)
		sim_push(s, &(struct sim_ev){.at = s->now,
					     .kind = SIM_SENT,
					     .end = e->id,
					     .gen = e->gen,
					     .seq = em->seq,
					     .len = em->len});
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
	struct sim_end *e = end_of(c);
	struct sim *s = e->sim;
	uint32_t off = una - e->isn;

	SIM_RULE(s, off >= e->acked && off <= e->produced);
	/* What the client acknowledged is in its memory: nothing was invented on the way. */
	if (off > e->acked && !s->o.havoc)
		SIM_RULE(s, memchr(s->e[!e->id].placed + e->acked, 0, off - e->acked) == NULL);
	e->acked = off;
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct sim_end *e = end_of(c);

	e->events[ev]++;
	if (ev == TCP_E_ESTABLISHED)
		sim_open_done(e);
	if (e->sim->trace)
		printf("%12.3f %d  event %s\n", (double)e->sim->now / 1000, e->id,
		       tcp_event_name(ev));
}

const struct tcp_ops sim_ops = {op_want, op_emit, op_acked, op_event};
