/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_open.c - connections that the cores open themselves over the faulty network: end 0 connects
 * to a listener at end 1, which may answer with cookies, or both ends connect at once.
 *
 * Where the streams begin is known when a core says ESTABLISHED; what is sent before carries no
 * payload and is not subject to the rules of sim_rules.c. A RST of the listener is lost here: it
 * meets a client whose handshake was completed by a cookie that has not arrived yet.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/tcpstack/tcp_optparse.h"
#include "sim_int.h"

static struct tcp_conn *op_take(struct tcp_listener *l, const struct net_flow *f)
{
	struct sim *s = (struct sim *)((char *)l - offsetof(struct sim, listener));

	return &s->e[1].c;
}

static const struct tcp_listen_ops listen_ops = {op_take};

static void prepare(struct sim *s)
{
	uint8_t seed[4 * TCP_KEY_LEN];

	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)sim_rand(s, 256);
	tcp_keys_init(&s->keys, seed);
	s->cfg.keys = &s->keys;
	s->listener = (struct tcp_listener){
		.cfg = &s->cfg,
		.lop = &listen_ops,
		.offer = {.room = s->o.ring,
			  .mss = (uint16_t)s->o.mss,
			  .opts = (s->o.wscale ? TCP_O_WSCALE : 0) |
				  (s->o.no_sack ? 0 : TCP_O_SACK) | (s->o.no_ts ? 0 : TCP_O_TS) |
				  (s->o.ecn & 2 ? TCP_O_ECN : 0),
			  .wscale = (uint8_t)s->o.wscale},
		.backlog = 1,
		.cookies = s->o.open == SIM_OPEN_COOKIE ? TCP_COOKIE_ALWAYS : TCP_COOKIE_NEVER,
	};
}

/* The program of an end begins to write. */
static void begin_stream(struct sim_end *e)
{
	sim_push(e->sim, &(struct sim_ev){.at = e->sim->now, .kind = SIM_PRODUCE, .end = e->id});
}

/* Of end `id`, as that end sees it: IPv4, as the sizes of sim_link.c are. */
static struct net_flow flow(int id)
{
	static const uint8_t addr[2][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}};
	struct net_flow f = {.rport = (uint16_t)id, .lport = (uint16_t)!id};

	net_addr_v4(&f.local, addr[id]);
	net_addr_v4(&f.remote, addr[!id]);
	return f;
}

void sim_open_start(struct sim_end *e)
{
	struct sim *s = e->sim;
	struct net_flow f = flow(e->id);
	struct tcp_offer offer;

	if (e->id == 0)
		prepare(s);
	tcp_detach(&e->c);
	e->listening = e->id == 1 && s->o.open != SIM_OPEN_BOTH;
	if (e->listening)
		return;
	offer = s->listener.offer;
	offer.opts &= (uint8_t)~TCP_O_ECN;
	offer.opts |= s->o.ecn >> e->id & 1 ? TCP_O_ECN : 0;
	if (tcp_connect(&e->c, &s->cfg, &offer, &f, s->now))
		abort();
	e->isn = e->edge_max = e->c.snd_nxt;
	tcp_output(&e->c, s->now);
}

void sim_open_done(struct sim_end *e)
{
	e->isn = e->c.snd_una;
	e->peer_isn = e->c.rcv_nxt;
	e->my_edge = e->c.rcv_edge;
	if (e->id == 0 || e->sim->o.open != SIM_OPEN_LISTEN)
		begin_stream(e);
}

void sim_open_listen(struct sim_end *e, const struct tcp_seg *seg, struct tcp_rx *rx)
{
	struct net_flow f = flow(1);
	struct tcp_listen_res res;
	struct sim *s = e->sim;

	tcp_listen_input(&s->listener, &f, seg, NULL, s->now, &res);
	*rx = res.rx;
	SIM_RULE(s, res.verdict != TCP_L_FULL && res.verdict != TCP_L_NO_MEMORY);
	if (res.verdict == TCP_L_COOKIE)
		sim_open_send(e, &res.reply);
	if (!res.conn)
		return;
	e->listening = false;
	SIM_RULE(s, (res.verdict == TCP_L_HALF_OPEN) == (s->listener.n_half == 1));
	SIM_RULE(s, (res.verdict == TCP_L_ESTABLISHED) == (s->o.open == SIM_OPEN_COOKIE));
	if (res.verdict == TCP_L_ESTABLISHED) {
		e->edge_max = seg->ack + ((uint32_t)seg->wnd << s->o.wscale);
		return;
	}
	e->edge_max = e->c.snd_nxt; /* until an ACK tells the client's window */
	begin_stream(e);	    /* while the connection is half open */
}

void sim_open_send(struct sim_end *e, const struct tcp_emit *em)
{
	struct tcp_seg seg = {.seq = em->seq, .ack = em->ack, .wnd = em->wnd, .flags = em->flags};

	SIM_RULE(e->sim, !em->len && !(em->flags & (TCP_FIN | TCP_PSH)));
	SIM_RULE(e->sim, test_opt_parse(em->opt, em->optlen, &seg));
	SIM_RULE(e->sim, !(em->flags & TCP_SYN) || seg.mss == e->sim->o.mss);
	sim_link(e, &seg, 0);
}
