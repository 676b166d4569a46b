/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_open.c - connections that the core opens itself (tcpstack/tcp_open.h), as a host with an
 * integral stack does: connect(), and listeners without TAGD_TAKEOVER.
 */
#include <arpa/inet.h>

#include "sk.h"

#define PORT_FIRST 32768 /* ephemeral */

static struct tcp_offer offer(const struct sk_sock *s, bool active)
{
	uint8_t opts = s->st->opts;

	if (active && s->st->ecn == SK_ECN_ACCEPT)
		opts &= (uint8_t)~TCP_O_ECN;
	return (struct tcp_offer){.room = s->ring,
				  .mss = sk_path_mss(s->st, &s->flow),
				  .opts = opts,
				  .wscale = s->st->wscale};
}

static struct tcp_conn *op_take(struct tcp_listener *core, const struct net_flow *f)
{
	struct sk_sock *l = (struct sk_sock *)((char *)core - offsetof(struct sk_sock, l));
	struct sk_sock *s = sk_child(l, f);

	if (!s)
		return NULL;
	s->live = true;
	return &s->c;
}

static const struct tcp_listen_ops listen_ops = {op_take};

void sk_listen_core(struct sk_sock *l)
{
	l->l.cfg = &l->cfg;
	l->l.lop = &listen_ops;
	l->l.offer = offer(l, false);
	l->l.backlog = l->backlog > 0 ? (uint32_t)l->backlog : 1;
	l->l.cookies = l->st->cookies;
}

void sk_listen_input(struct sk_sock *l, const struct net_flow *f, const struct tcp_seg *seg,
		     const uint32_t *after)
{
	struct tcp_listen_res res;
	struct sk_sock *s;

	/* The MSS depends on the version of IP, which a listener on both does not know. */
	l->l.offer.mss = sk_path_mss(l->st, f);
	tcp_listen_input(&l->l, f, seg, after, l->st->now, &res);
	if (res.has_reply)
		sk_reply(l->st, f, &res.reply);
	s = (struct sk_sock *)res.conn;
	if (!s)
		return;
	tcp_set_cfg(&s->c, &s->cfg); /* its own from here on: options of one connection */
	if (res.rx.len || res.rx.fin)
		sk_place(s);
	sk_output(s);
}

static bool port_used(const struct sk_stack *st, uint16_t port)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		if (st->sock[i].kind != SK_FREE && st->sock[i].flow.lport == port)
			return true;
	}
	return false;
}

static void choose_local(struct sk_sock *s)
{
	static const uint8_t local4[4] = {192, 168, 0, 1};
	static const struct net_addr local6 = {{0xfd, 0x3d, 0xfa, 0x7b, 0xd1, 0x7d, [15] = 1}};
	struct sk_stack *st = s->st;

	if (net_addr_is_v4(&s->flow.remote))
		net_addr_v4(&s->flow.local, local4);
	else
		s->flow.local = local6;
	while (!s->flow.lport) {
		uint16_t port = htons((uint16_t)(PORT_FIRST + st->next_port++ % PORT_FIRST));

		if (!port_used(st, port))
			s->flow.lport = port;
	}
}

int sk_connect_core(struct sk_sock *s)
{
	struct tcp_offer o;
	int err;

	choose_local(s);
	o = offer(s, true);
	s->err = 0;
	s->open = false;
	err = tcp_connect(&s->c, &s->cfg, &o, &s->flow, s->st->now);
	if (err)
		return err;
	s->kind = SK_CONN;
	s->live = s->connecting = true;
	sk_output(s);
	return 0;
}
