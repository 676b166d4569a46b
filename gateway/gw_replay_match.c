/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_match.c - fields of packets as text, for the lines of an expectation. The names follow
 * tshark's where it has one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_replay.h"
#include "tcpstack/net_wire.h"

/** A field: its text into buf; 0, or ENOENT where the packet has none. */
struct field {
	const char *name;
	int (*get)(const struct gw_rep_view *v, char *buf, size_t room);
};

#define GETTER(fn, there, ...)                                             \
	static int fn(const struct gw_rep_view *v, char *buf, size_t room) \
	{                                                                  \
		if (!(there))                                              \
			return ENOENT;                                     \
		snprintf(buf, room, __VA_ARGS__);                          \
		return 0;                                                  \
	}

#define IP(v)	 ((v)->frame && ((v)->p.ethertype == NET_ETHERTYPE_IP4 || (v)->p.is_v6))
#define ARP(v)	 ((v)->frame && (v)->p.ethertype == NET_ETHERTYPE_ARP && (v)->len >= 42)
#define PORTS(v) (IP(v) && (v)->p.l4_off && ((v)->p.proto == 6 || (v)->p.proto == 17))
#define ICMP(v)	 (IP(v) && (v)->p.l4_off && ((v)->p.proto == 1 || (v)->p.proto == 58) && !(v)->perr)
#define OPT(v)	 ((v)->tcp)
#define MSG(v)	 ((v)->op && (v)->op->op.kind == PKT_K_SEND && (v)->op->len >= sizeof(struct ib_bsdh))

static const uint8_t *l3(const struct gw_rep_view *v)
{
	return v->frame + v->p.l3_off;
}

static const uint8_t *l4(const struct gw_rep_view *v)
{
	return v->frame + v->p.l4_off;
}

static const struct ib_bsdh *bsdh(const struct gw_rep_view *v)
{
	return (const struct ib_bsdh *)v->op->data;
}

static const char *mac(const uint8_t *m, char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

/* Flags as letters, lowest bit first: SA, PA, FA. */
static const char *flags(const struct gw_rep_view *v, char buf[16])
{
	static const char letters[] = "FSRPAUEC";
	uint8_t f = l4(v)[13];
	int n = 0;

	for (int i = 0; i < 8; i++)
		if (f >> i & 1)
			buf[n++] = letters[i];
	buf[n] = '\0';
	return buf;
}

/* The payload with unprintable bytes as dots. */
static const char *text_of(const uint8_t *p, uint32_t n)
{
	static char buf[4096];
	uint32_t i;

	for (i = 0; i < n && i < sizeof(buf) - 1; i++)
		buf[i] = p[i] >= ' ' && p[i] < 127 ? (char)p[i] : '.';
	buf[i] = '\0';
	return buf;
}

/* Reason of a control message. */
static unsigned int reason_of(const struct gw_rep_view *v)
{
	return be16toh(((const struct ib_ctl *)(bsdh(v) + 1))->reason);
}

static uint64_t cursor_of(const struct gw_rep_view *v)
{
	return be64toh(((const struct ib_cursor *)(bsdh(v) + 1))->cursor);
}

static const char *kind_of(const struct gw_rep_view *v)
{
	static const char *const names[] = {
		[PKT_K_SEND] = "send",	     [PKT_K_WRITE] = "write",
		[PKT_K_READ] = "read",	     [PKT_K_READ_ANSWER] = "answer",
		[PKT_K_ACK] = "ack",	     [PKT_K_DATAGRAM] = "datagram",
		[PKT_K_CONNECT] = "connect",
	};
	const char *n = v->op->op.kind < RTE_DIM(names) ? names[v->op->op.kind] : NULL;

	return n ? n : "other";
}

static const char *peer_of(const struct gw_rep_view *v)
{
	return v->op->peer ? v->op->peer->h->cfg->name : "?";
}

static bool bounced(const struct gw_rep_view *v)
{
	return net_get16(v->op->data + 2) & IB_ENCAP_BOUNCED;
}

static char scratch[NET_ADDRSTR];

GETTER(get_time, true, "%.6f", (double)v->us / 1e6)
GETTER(get_len, v->frame, "%u", v->len)
GETTER(get_eth_dst, v->frame, "%s", mac(v->frame, scratch))
GETTER(get_eth_src, v->frame, "%s", mac(v->frame + 6, scratch))
GETTER(get_eth_type, v->frame, "0x%04x", v->p.ethertype)
GETTER(get_vlan, v->frame, "%u", v->p.vlan)
GETTER(get_sound, v->frame, "%s", v->perr ? net_perr_name(v->perr) : "yes")
GETTER(get_arp_op, ARP(v), "%s", net_get16(l3(v) + 6) == 1 ? "request" : "reply")
GETTER(get_arp_sha, ARP(v), "%s", mac(l3(v) + 8, scratch))
GETTER(get_arp_tha, ARP(v), "%s", mac(l3(v) + 18, scratch))
GETTER(get_arp_spa, ARP(v), "%s", net_addr_str(&v->p.src, scratch))
GETTER(get_arp_tpa, ARP(v), "%s", net_addr_str(&v->p.dst, scratch))
GETTER(get_ip_src, IP(v), "%s", net_addr_str(&v->p.src, scratch))
GETTER(get_ip_dst, IP(v), "%s", net_addr_str(&v->p.dst, scratch))
GETTER(get_ip_proto, IP(v), "%u", v->p.proto)
GETTER(get_ip_ttl, IP(v), "%u", v->p.ttl)
GETTER(get_ip_id, IP(v) && !v->p.is_v6, "%u", net_get16(l3(v) + 4))
GETTER(get_ip_df, IP(v) && !v->p.is_v6, "%u", l3(v)[6] >> 6 & 1)
GETTER(get_ip_ecn, IP(v), "%u", v->p.ecn)
GETTER(get_ip_frag, IP(v), "%s", v->p.fragment ? "yes" : "no")
GETTER(get_sport, PORTS(v), "%u", net_get16(l4(v)))
GETTER(get_dport, PORTS(v), "%u", net_get16(l4(v) + 2))
GETTER(get_seq, OPT(v), "%u", v->seg.seq)
GETTER(get_ack, OPT(v), "%u", v->seg.flags &TCP_ACK ? v->seg.ack : 0)
GETTER(get_tcp_len, OPT(v), "%u", v->seg.len)
GETTER(get_win, OPT(v), "%u", v->seg.wnd)
GETTER(get_flags, OPT(v), "%s", flags(v, scratch))
GETTER(get_mss, OPT(v) && v->seg.mss, "%u", v->seg.mss)
GETTER(get_tsval, OPT(v) && v->seg.has_ts, "%u", v->seg.tsval)
GETTER(get_tsecr, OPT(v) && v->seg.has_ts, "%u", v->seg.tsecr)
GETTER(get_sacks, OPT(v), "%u", v->seg.n_sack)
GETTER(get_sack_l, OPT(v) && v->seg.n_sack, "%u", v->seg.sack[0].start)
GETTER(get_sack_r, OPT(v) && v->seg.n_sack, "%u", v->seg.sack[0].end)
GETTER(get_payload, PORTS(v) && !v->perr, "%s",
       text_of(v->frame + v->p.payload_off, v->p.payload_len))
GETTER(get_icmp_type, ICMP(v), "%u", l4(v)[0])
GETTER(get_icmp_code, ICMP(v), "%u", l4(v)[1])
GETTER(get_icmp_mtu, ICMP(v), "%u", v->p.is_v6 ? net_get32(l4(v) + 4) : net_get16(l4(v) + 6))
GETTER(get_from, v->op, "%s", v->op->from_gw ? "gw" : peer_of(v))
GETTER(get_to, v->op, "%s", v->op->from_gw ? peer_of(v) : "gw")
GETTER(get_op, v->op, "%s", kind_of(v))
GETTER(get_bytes, v->op, "%u", v->op->op.len)
GETTER(get_nak, v->op, "%s", v->op->op.syndrome & 0x60 ? "yes" : "no")
GETTER(get_bounced, v->op && v->frame, "%s", bounced(v) ? "yes" : "no")
GETTER(get_msg, MSG(v), "%s", ib_mid_name(bsdh(v)->mid))
GETTER(get_token, MSG(v) && v->op->len >= 20, "%u", be32toh(*(const uint32_t *)(bsdh(v) + 1)))
GETTER(get_reason, MSG(v) && ib_msg_entry_size(bsdh(v)->mid) == sizeof(struct ib_ctl), "%s",
       ib_reason_name((enum ib_reason)reason_of(v)))
GETTER(get_cursor, MSG(v) && ib_msg_entry_size(bsdh(v)->mid) == sizeof(struct ib_cursor), "%llu",
       (unsigned long long)cursor_of(v))

static const struct field fields[] = {
	{"time", get_time},
	{"len", get_len},
	{"eth.dst", get_eth_dst},
	{"eth.src", get_eth_src},
	{"eth.type", get_eth_type},
	{"vlan.id", get_vlan},
	{"sound", get_sound},
	{"arp.op", get_arp_op},
	{"arp.sha", get_arp_sha},
	{"arp.tha", get_arp_tha},
	{"arp.spa", get_arp_spa},
	{"arp.tpa", get_arp_tpa},
	{"ip.src", get_ip_src},
	{"ip.dst", get_ip_dst},
	{"ip.proto", get_ip_proto},
	{"ip.ttl", get_ip_ttl},
	{"ip.id", get_ip_id},
	{"ip.df", get_ip_df},
	{"ip.ecn", get_ip_ecn},
	{"ip.fragment", get_ip_frag},
	{"sport", get_sport},
	{"dport", get_dport},
	{"tcp.seq", get_seq},
	{"tcp.ack", get_ack},
	{"tcp.len", get_tcp_len},
	{"tcp.win", get_win},
	{"tcp.flags", get_flags},
	{"tcp.mss", get_mss},
	{"tcp.tsval", get_tsval},
	{"tcp.tsecr", get_tsecr},
	{"tcp.sacks", get_sacks},
	{"tcp.sack.left", get_sack_l},
	{"tcp.sack.right", get_sack_r},
	{"payload", get_payload},
	{"icmp.type", get_icmp_type},
	{"icmp.code", get_icmp_code},
	{"icmp.mtu", get_icmp_mtu},
	{"from", get_from},
	{"to", get_to},
	{"op", get_op},
	{"bytes", get_bytes},
	{"nak", get_nak},
	{"bounced", get_bounced},
	{"msg", get_msg},
	{"token", get_token},
	{"reason", get_reason},
	{"cursor", get_cursor},
};

int gw_rep_field(const struct gw_rep_view *v, const char *name, char *buf, size_t room)
{
	for (size_t i = 0; i < RTE_DIM(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].get(v, buf, room);
	return EINVAL;
}

static void parse(struct gw_rep_view *v)
{
	v->perr = net_parse(v->frame, v->len, NET_F_CSUM_L4 | NET_F_CSUM_IP, &v->p);
	v->tcp = v->perr == NET_PERR_OK && v->p.proto == NET_PROTO_TCP && v->p.l4_off &&
		 net_parse_tcp(v->frame, &v->p, &v->seg) == NET_PERR_OK;
}

void gw_rep_view_frame(struct gw_rep_view *v, const struct gw_rep_pkt *pkt)
{
	memset(v, 0, sizeof(*v));
	v->us = pkt->us;
	v->frame = pkt->data;
	v->len = pkt->len;
	parse(v);
}

void gw_rep_view_op(struct gw_rep_view *v, const struct gw_rep_op *op)
{
	const uint32_t head = sizeof(struct ib_encap);

	memset(v, 0, sizeof(*v));
	v->us = op->us;
	v->op = op;
	if (op->len > head + NET_ETH_HLEN && net_get16(op->data) == IB_ENCAP_ETH &&
	    (op->op.kind == PKT_K_DATAGRAM || op->op.kind == PKT_K_SEND)) {
		v->frame = op->data + head;
		v->len = op->len - head;
		parse(v);
	}
}

/* True when two texts are the same, or the same number. */
static bool same(const char *a, const char *b)
{
	char *ea, *eb;
	double x, y;

	if (strcmp(a, b) == 0)
		return true;
	x = strtod(a, &ea);
	y = strtod(b, &eb);
	return *a && *b && !*ea && !*eb && x == y;
}

bool gw_rep_match(const struct gw_rep_view *v, const struct gw_rep_line *l, uint32_t from,
		  uint32_t *bad, int *rc)
{
	char name[64], got[4096];

	*rc = 0;
	for (uint32_t i = from; i < l->n; i++) {
		const char *eq = strchr(l->word[i], '=');
		bool not = eq && eq > l->word[i] && eq[-1] == '!', ok;

		*bad = i;
		if (!eq || (size_t)(eq - l->word[i]) >= sizeof(name)) {
			*rc = EINVAL;
			return false;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(eq - l->word[i]) - not, l->word[i]);
		*rc = gw_rep_field(v, name, got, sizeof(got));
		if (*rc == EINVAL)
			return false;
		ok = *rc == 0 && same(got, eq + 1);
		if (ok == not )
			return false;
	}
	return true;
}
