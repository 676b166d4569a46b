/* SPDX-License-Identifier: BSD-3-Clause */
/* sk_icmp.c - ICMP (RFC 792) and ICMPv6 (RFC 4443) errors about a connection. */
#include "sk.h"
#include "tcpstack/net_wire.h"

static struct sk_sock *about(struct sk_stack *st, const struct net_flow *f)
{
	for (unsigned int i = 0; i < SK_SOCKS; i++) {
		struct sk_sock *s = &st->sock[i];

		if (s->kind == SK_CONN && s->live && !memcmp(&s->flow, f, sizeof(*f)))
			return s;
	}
	return NULL;
}

void sk_icmp(struct sk_stack *st, uint8_t *frame, struct net_pkt *p)
{
	uint32_t len = p->frame_len;
	struct tcp_icmp_err e;
	struct net_flow f;
	struct sk_sock *s;

	if (net_icmp_error(frame, p, &f, &e))
		return;
	s = about(st, &f);
	if (!s)
		return;
	if (s->mapped && (seqmap_icmp_in(&s->map, frame, &len, p) != SEQMAP_PASS ||
			  net_parse(frame, len, NET_F_CSUM_L4 | NET_F_CSUM_IP, p) ||
			  net_icmp_error(frame, p, &f, &e)))
		return;
	tcp_icmp(&s->c, &e, st->now);
	sk_output(s);
}
