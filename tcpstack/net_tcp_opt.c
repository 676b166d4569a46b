/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_tcp_opt.c - describes a TCP segment: fixed header and options (RFC 9293 section 3.2; RFC
 * 7323 window scale and timestamps; RFC 2018 SACK). Kinds we do not know are skipped by their
 * length; a length that is zero, leaves the header or is wrong for a known kind is refused
 * (RFC 9293 MUST-7).
 */
#include "tcpstack/net_wire.h"

#define MAX_WSCALE 14 /* RFC 7323 section 2.3 */

/* Reads one option of known kind into *seg. False: wrong length. */
static bool read_opt(const uint8_t *o, uint8_t len, bool syn, struct tcp_seg *seg)
{
	unsigned int i;

	switch (o[0]) {
	case NET_OPT_MSS:
		if (syn && len == 4)
			seg->mss = net_get16(o + 2);
		return len == 4;
	case NET_OPT_WSCALE:
		if (syn && len == 3) {
			seg->has_wscale = true;
			seg->wscale = o[2] > MAX_WSCALE ? MAX_WSCALE : o[2];
		}
		return len == 3;
	case NET_OPT_SACK_PERM:
		seg->sack_ok |= syn;
		return len == 2;
	case NET_OPT_SACK:
		if (len < 10 || (len - 2) % 8 != 0)
			return false;
		seg->n_sack = (uint8_t)((len - 2) / 8);
		for (i = 0; i < seg->n_sack; i++) {
			seg->sack[i].start = net_get32(o + 2 + 8 * i);
			seg->sack[i].end = net_get32(o + 6 + 8 * i);
		}
		return true;
	case NET_OPT_TS:
		if (len != 10)
			return false;
		seg->has_ts = true;
		seg->tsval = net_get32(o + 2);
		seg->tsecr = net_get32(o + 6);
		return true;
	default:
		return true;
	}
}

/* Walks `len` (at most 40) option bytes. */
static enum net_perr read_opts(const uint8_t *o, uint32_t len, struct tcp_seg *seg)
{
	bool syn = seg->flags & TCP_SYN;

	while (len > 0) {
		if (o[0] == NET_OPT_EOL)
			break;
		if (o[0] == NET_OPT_NOP) {
			o++;
			len--;
			continue;
		}
		if (len < 2 || o[1] < 2 || o[1] > len)
			return NET_PERR_TCP_OPT;
		if (!read_opt(o, o[1], syn, seg))
			return NET_PERR_TCP_OPT;
		len -= o[1];
		o += o[1];
	}
	return NET_PERR_OK;
}

enum net_perr net_parse_tcp(const uint8_t *frame, const struct net_pkt *p, struct tcp_seg *seg)
{
	const uint8_t *tcp = frame + p->l4_off;

	memset(seg, 0, sizeof(*seg));
	if (p->proto != NET_PROTO_TCP || p->l4_off == 0)
		return NET_PERR_TCP_HLEN;
	seg->seq = net_get32(tcp + NET_TCP_SEQ);
	seg->ack = net_get32(tcp + NET_TCP_ACK);
	seg->wnd = net_get16(tcp + NET_TCP_WND);
	seg->flags = tcp[NET_TCP_FLAGS];
	seg->urp = net_get16(tcp + NET_TCP_URG);
	seg->len = p->payload_len;
	seg->ce = p->ecn == 3;
	seg->ae = tcp[NET_TCP_DOFF] & 1;
	return read_opts(tcp + NET_TCP_HLEN, p->payload_off - p->l4_off - NET_TCP_HLEN, seg);
}
