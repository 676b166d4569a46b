/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_syn.c - what a SYN and a SYN-ACK carry, and what both ends then agree on
 * (RFC 9293 sections 3.7.1 and 3.10.7, RFC 7323 sections 2.2 and 3.2, RFC 2018
 * section 2, RFC 3168 section 6.1.1, RFC 9768 section 3.1).
 *
 * An option is in use when both SYNs carried it. We are an end that knows
 * classic ECN at most: to a client that asks for Accurate ECN (AE, CWR and ECE
 * all set) that is a request for classic ECN, as RFC 9768 section 3.1.2 wants
 * it understood, and the SYN-ACK never reflects its flags.
 */
#include "tcpstack/tcp_priv.h"

#define OPT_NOP	      1
#define OPT_MSS	      2
#define OPT_WSCALE    3
#define OPT_SACK_PERM 4
#define OPT_TS	      8

#define WSCALE_MAX   14 /* RFC 7323 section 2.3 */
#define ROOM_MAX     (1u << 30)
#define MSS_DEFAULT4 536  /* RFC 9293 section 3.7.1, MUST-15 */
#define MSS_DEFAULT6 1220 /* the same for IPv6 */

bool tcp_offer_valid(const struct tcp_offer *o)
{
	return o->room && o->room <= ROOM_MAX && o->mss >= TCP_MSS_MIN &&
	       (o->wscale <= WSCALE_MAX || o->wscale == TCP_WSCALE_AUTO);
}

uint8_t tcp_offer_wscale(const struct tcp_offer *o)
{
	uint8_t shift = 0;

	if (o->wscale != TCP_WSCALE_AUTO)
		return o->wscale;
	while (shift < WSCALE_MAX && o->room >> shift > UINT16_MAX)
		shift++;
	return shift;
}

uint16_t tcp_syn_mss(const struct tcp_seg *seg, const struct net_flow *f, uint16_t own)
{
	uint16_t peer = seg->mss;

	if (!peer)
		peer = net_addr_is_v4(&f->remote) ? MSS_DEFAULT4 : MSS_DEFAULT6;
	return (uint16_t)tcp_max(tcp_min(peer, own), TCP_MSS_MIN);
}

uint16_t tcp_syn_window(uint32_t room)
{
	return (uint16_t)tcp_min(room, UINT16_MAX);
}

bool tcp_syn_ecn(const struct tcp_seg *seg)
{
	uint8_t ecn = seg->flags & (TCP_ECE | TCP_CWR);

	if (seg->flags & TCP_ACK)
		return ecn == TCP_ECE;
	return ecn == (TCP_ECE | TCP_CWR);
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return p + 4;
}

uint8_t tcp_syn_options(const struct tcp_syn *s, uint8_t opt[40])
{
	bool sack = s->opts & TCP_O_SACK, ts = s->opts & TCP_O_TS;
	uint8_t *p = opt;

	p = put32(p, OPT_MSS << 24 | 4 << 16 | s->mss);
	if (ts) {
		p = put32(p, sack ? OPT_SACK_PERM << 24 | 2 << 16 | OPT_TS << 8 | 10
				  : OPT_NOP << 24 | OPT_NOP << 16 | OPT_TS << 8 | 10);
		p = put32(p, s->tsval);
		p = put32(p, s->tsecr);
	} else if (sack) {
		p = put32(p, OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK_PERM << 8 | 2);
	}
	if (s->opts & TCP_O_WSCALE)
		p = put32(p, OPT_NOP << 24 | OPT_WSCALE << 16 | 3 << 8 | s->wscale);
	return (uint8_t)(p - opt);
}
