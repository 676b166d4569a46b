/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_wire.c - IP packets in and out. Scripts have no Ethernet: a header of zeroes is put in front
 * for the parser and taken off behind the builder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sk.h"
#include "tcpstack/net_wire.h"

#define MAX_IP 65535 /* bytes of a packet */

static void queue(struct sk_stack *st, const uint8_t *frame, size_t len)
{
	struct sk_pkt *p = malloc(sizeof(*p) + len - NET_ETH_HLEN);

	if (!p)
		abort();
	p->at = st->now;
	p->len = len - NET_ETH_HLEN;
	memcpy(p->ip, frame + NET_ETH_HLEN, p->len);
	STAILQ_INSERT_TAIL(&st->out, p, link);
}

/* A frame of the kernel's that a handed-back connection sends. */
static void transmit_mapped(struct sk_sock *s, uint8_t *frame, size_t len)
{
	uint32_t n = (uint32_t)len;
	struct net_pkt p;

	if (net_parse(frame, n, 0, &p))
		abort();
	if (seqmap_out(&s->map, frame, &n, &p) == SEQMAP_PASS)
		queue(s->st, frame, n);
	s->map_ack_due = true;
}

static void transmit_one(struct sk_sock *s, const struct tcp_emit *e, uint32_t seq, uint8_t flags,
			 uint32_t len)
{
	static const struct net_l2 l2;
	uint8_t frame[NET_ETH_HLEN + MAX_IP];
	uint16_t l4;
	size_t hlen;

	hlen = net_build_tcp(frame, sizeof(frame), &l2, &s->flow, e, seq, flags, len,
			     s->st->ip_id++, &l4);
	if (!hlen)
		abort();
	memset(frame + hlen, 0, len);
	net_tcp_csum_finish(frame + l4, hlen - l4, 0);
	if (s->mapped)
		transmit_mapped(s, frame, hlen + len);
	else
		queue(s->st, frame, hlen + len);
}

/* A run is one packet, as with TSO, or cut as a device would. */
void sk_transmit(struct sk_sock *s, const struct tcp_emit *e)
{
	uint32_t max = s->st->notso && e->len ? e->mss : e->len, off = 0, n;
	uint8_t flags;

	do {
		n = e->len - off < max ? e->len - off : max;
		flags = tcp_emit_flags(e, off, n);
		if (s->st->psh && n > e->mss)
			flags |= TCP_PSH;
		transmit_one(s, e, e->seq + off, flags, n);
		off += n;
	} while (off < e->len);
}

/* A closed connection is none: its 4-tuple may be used again. */
static struct sk_sock *find(struct sk_stack *st, const struct net_flow *f)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &st->sock[i];

		if (s->kind == SK_CONN && !memcmp(&s->flow, f, sizeof(*f)) &&
		    !(s->live && s->c.state == TCP_S_CLOSED))
			return s;
	}
	return NULL;
}

static struct sk_sock *find_listener(struct sk_stack *st, const struct net_flow *f)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		if (st->sock[i].kind == SK_LISTENING && st->sock[i].flow.lport == f->lport)
			return &st->sock[i];
	}
	return NULL;
}

struct sk_sock *sk_child(struct sk_sock *l, const struct net_flow *f)
{
	struct sk_sock *s = sk_new(l->st);

	if (!s)
		return NULL;
	s->kind = SK_CONN;
	s->parent = l;
	s->flow = *f;
	s->cfg = l->cfg;
	s->set = l->set;
	s->ring = l->ring;
	s->sndbuf = l->sndbuf;
	s->form6 = l->form6;
	return s;
}

void sk_reply(struct sk_stack *st, const struct net_flow *f, const struct tcp_emit *e)
{
	struct sk_sock s = {.st = st, .flow = *f};

	sk_transmit(&s, e);
}

/* RFC 9293 section 3.10.7.1: a segment of no connection. */
static void refuse(struct sk_stack *st, const struct net_flow *f, const struct tcp_seg *seg)
{
	static const struct net_l2 l2;
	uint8_t frame[NET_MAX_HDR];
	size_t n = net_build_rst(frame, sizeof(frame), &l2, f, seg);

	if (n)
		queue(st, frame, n);
}

static void input(struct sk_sock *s, const struct tcp_seg *seg)
{
	struct tcp_rx rx;

	if (!s->live) {
		sk_handshake(s, seg);
		if (!s->live || (!seg->len && !(seg->flags & TCP_FIN)))
			return;
	}
	s->touched = true;
	tcp_input(&s->c, seg, s->st->now, &rx);
	if (rx.len && s->fd < 0 && !s->parent)
		tcp_abort(&s->c, s->st->now); /* RFC 1122 section 4.2.2.13: nobody will read it */
	else if (rx.len || rx.fin)
		sk_place(s);
	sk_output(s);
	sk_drop(s);
}

/* After a hand-back the map may owe the kernel an ACK that the client has sent long ago. */
void sk_map_ack(struct sk_sock *s)
{
	static const struct net_l2 l2;
	uint8_t frame[NET_MAX_HDR];
	struct tcp_seg seg;
	struct net_pkt p;
	size_t n;

	while (s->map_ack_due) {
		s->map_ack_due = false;
		n = seqmap_ack_frame(&s->map, frame, sizeof(frame), &l2, &s->flow);
		if (n && !net_parse(frame, (uint32_t)n, NET_F_CSUM_L4 | NET_F_CSUM_IP, &p) &&
		    !net_parse_tcp(frame, &p, &seg))
			input(s, &seg);
	}
}

/* A segment of no connection. */
static void stray(struct sk_stack *st, const struct net_flow *f, const struct tcp_seg *seg,
		  const uint32_t *after)
{
	struct sk_sock *l = find_listener(st, f), *s;

	if (l && !l->set.takeover) {
		sk_listen_input(l, f, seg, after);
		return;
	}
	s = l && (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN ? sk_child(l, f) : NULL;
	if (s)
		input(s, seg);
	else
		refuse(st, f, seg);
}

static void receive_tcp(struct sk_stack *st, uint8_t *frame, struct net_pkt *p)
{
	struct net_flow f = {
		.remote = p->src, .local = p->dst, .rport = p->sport, .lport = p->dport};
	uint32_t len = p->frame_len, after;
	struct sk_sock *s = find(st, &f);
	struct tcp_seg seg;

	if (s && s->mapped &&
	    (seqmap_in(&s->map, frame, &len, p) != SEQMAP_PASS ||
	     net_parse(frame, len, NET_F_CSUM_L4 | NET_F_CSUM_IP, p)))
		return;
	if (net_parse_tcp(frame, p, &seg))
		return;
	if (!s) {
		stray(st, &f, &seg, NULL);
		return;
	}
	input(s, &seg);
	if (seg.flags & TCP_SYN && s->events[TCP_E_CLOSED] && s->c.state == TCP_S_CLOSED) {
		after = s->c.snd_nxt; /* TIME-WAIT gave way */
		stray(st, &f, &seg, &after);
	}
}

int sk_receive(struct sk_stack *st, const void *ip, size_t len)
{
	uint8_t frame[NET_ETH_HLEN + MAX_IP] = {0};
	struct net_pkt p;

	if (len < NET_IP4_HLEN || len > MAX_IP)
		return EINVAL;
	memcpy(frame + NET_ETH_HLEN, ip, len);
	net_put16(frame + 12,
		  frame[NET_ETH_HLEN] >> 4 == 6 ? NET_ETHERTYPE_IP6 : NET_ETHERTYPE_IP4);
	if (net_parse(frame, (uint32_t)(NET_ETH_HLEN + len), NET_F_CSUM_L4 | NET_F_CSUM_IP, &p))
		return 0; /* a host drops it silently */
	if (p.proto == NET_PROTO_TCP && p.l4_off)
		receive_tcp(st, frame, &p);
	else if (p.proto == NET_PROTO_ICMP || p.proto == NET_PROTO_ICMP6)
		sk_icmp(st, frame, &p);
	sk_release(st);
	return 0;
}
