/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df_note.c - packets of the scripted peer, and what the end under test emits as text.
 *
 * Masked, since it must differ: initial sequence numbers, timestamp values, IP identification,
 * PSH, and the window unless it is zero. TSecr is shown as the peer's clock in ms. A line looks
 * like "S. 0:0(0) ack 1 <mss 1460,sack,ts,wscale> ecr 0" or ". 1:1449(1448) ack 1 sack 11-21 ecr
 * 50".
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "df.h"
#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"

#define L2_LEN	 14
#define TS_BASE	 1000000u    /* the peer's timestamp at 0 ms */
#define PEER_NET 0x0a4f0000u /* 10.79.0.0/24: .1 under test, .2 the peer */
#define PORT	 5000

void df_peer_init(struct df_peer *p, const struct df_trace *t, unsigned int i)
{
	uint32_t local = htonl(PEER_NET | 1), remote = htonl(PEER_NET | 2);

	memset(p, 0, sizeof(*p));
	p->t = t;
	p->isn = 0x10000000u * (i % 16) - 500; /* near the wrap, too */
	net_addr_v4(&p->flow.local, &local);
	net_addr_v4(&p->flow.remote, &remote);
	p->flow.lport = htons((uint16_t)(PORT + i));
	p->flow.rport = htons((uint16_t)(PORT + 1000 + i));
}

static void put32(struct tcp_emit *e, uint32_t v)
{
	v = htonl(v);
	memcpy(e->opt + e->optlen, &v, 4);
	e->optlen += 4;
}

static void put_opts(const struct df_peer *p, const struct df_step *s, struct tcp_emit *e)
{
	if (s->seg.mss)
		put32(e, 0x02040000u | s->seg.mss);
	if (s->seg.sack_ok)
		put32(e, 0x01010402u);
	if (s->seg.has_wscale)
		put32(e, 0x01030300u | s->seg.wscale);
	if (s->seg.has_ts) {
		put32(e, 0x0101080au);
		put32(e, TS_BASE + s->ms + (uint32_t)s->ts_shift);
		put32(e, s->seg.flags & TCP_ACK ? p->last_tsval : 0);
	}
	if (s->seg.n_sack)
		put32(e, 0x01010500u | (uint32_t)(2 + 8 * s->seg.n_sack));
	for (unsigned int i = 0; i < s->seg.n_sack; i++) {
		put32(e, p->their_isn + s->seg.sack[i].start);
		put32(e, p->their_isn + s->seg.sack[i].end);
	}
}

uint32_t df_peer_packet(const struct df_peer *p, const struct df_step *s, uint8_t *buf)
{
	static const struct net_l2 l2;
	struct net_flow back = {.local = p->flow.remote,
				.remote = p->flow.local,
				.lport = p->flow.rport,
				.rport = p->flow.lport};
	struct tcp_emit e = {.wnd = s->seg.wnd, .ack = p->their_isn + s->seg.ack};
	uint8_t frame[L2_LEN + DF_PACKET];
	uint16_t l4;
	size_t n;

	put_opts(p, s, &e);
	n = net_build_tcp(frame, sizeof(frame), &l2, &back, &e, p->isn + s->seg.seq, s->seg.flags,
			  s->seg.len, (uint16_t)s->ms, &l4);
	if (!n || n + s->seg.len > sizeof(frame))
		return 0;
	memset(frame + n, 0, s->seg.len);
	net_tcp_csum_finish(frame + l4, n - l4, 0);
	n += s->seg.len;
	memcpy(buf, frame + L2_LEN, n - L2_LEN);
	return (uint32_t)(n - L2_LEN);
}

static int note_opts(const struct df_peer *p, const struct tcp_seg *seg, char *to, size_t room)
{
	int n = 0;

	if (seg->flags & TCP_SYN) {
		n = snprintf(to, room, " <mss %u%s%s%s>", seg->mss, seg->sack_ok ? ",sack" : "",
			     seg->has_ts ? ",ts" : "", seg->has_wscale ? ",wscale" : "");
	}
	for (unsigned int i = 0; i < seg->n_sack; i++)
		n += snprintf(to + n, room - (size_t)n, " sack %u-%u", seg->sack[i].start - p->isn,
			      seg->sack[i].end - p->isn);
	if (seg->has_ts && seg->tsecr)
		n += snprintf(to + n, room - (size_t)n, " ecr %d", (int)(seg->tsecr - TS_BASE));
	return n;
}

void df_peer_note(struct df_peer *p, const uint8_t *ip, uint32_t len, double ms)
{
	static const char letters[] = "FSRP.UEW";
	uint8_t frame[L2_LEN + DF_PACKET] = {[12] = 8};
	struct df_line *l;
	struct tcp_seg seg;
	struct net_pkt pkt;
	int n = 0;

	if (ms > p->t->step[p->t->n_step - 1].ms)
		return; /* after the end of the trace */
	memcpy(frame + L2_LEN, ip, len < DF_PACKET ? len : DF_PACKET);
	if (net_parse(frame, len + L2_LEN, NET_F_CSUM_L4 | NET_F_CSUM_IP, &pkt) != NET_PERR_OK ||
	    pkt.proto != IPPROTO_TCP || net_parse_tcp(frame, &pkt, &seg) != NET_PERR_OK ||
	    p->notes.n == DF_LINES) {
		p->full = true;
		return;
	}
	if ((seg.flags & TCP_SYN) && !p->known) {
		p->known = true;
		p->their_isn = seg.seq;
	}
	if (seg.has_ts)
		p->last_tsval = seg.tsval;
	l = &p->notes.line[p->notes.n++];
	l->ms = ms;
	l->step = p->step;
	l->since = ms - p->step_ms;
	for (int i = 0; i < 8; i++)
		if ((seg.flags & 1 << i) && letters[i] != 'P')
			l->text[n++] = letters[i];
	seg.seq -= p->known ? p->their_isn : 0;
	n += snprintf(l->text + n, DF_TEXT - (size_t)n, " %u:%u(%u)", seg.seq, seg.seq + seg.len,
		      seg.len);
	if (seg.flags & TCP_ACK)
		n += snprintf(l->text + n, DF_TEXT - (size_t)n, " ack %u", seg.ack - p->isn);
	if (!seg.wnd && !(seg.flags & TCP_RST))
		n += snprintf(l->text + n, DF_TEXT - (size_t)n, " win 0");
	note_opts(p, &seg, l->text + n, DF_TEXT - (size_t)n);
}
