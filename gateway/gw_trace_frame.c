/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_trace_frame.c - the frame that `trace packet` is about: described in words,
 *
 *	tcp 192.0.2.7:40000 > 198.51.100.1:80 syn mss 1460 len 0 in lan0 vlan 7
 *	udp [fd77::2]:5000 > [fd77::11]:53 len 40
 *	icmp 10.77.0.11 > 10.77.0.2 in s1
 *
 * or given as the bytes of an Ethernet frame, or of an InfiniBand packet that carries one. In: a
 * port, or a server, whose host sends it; else the port whose subnet has the source, or the first.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_trace.h"
#include "ibside/packet/pkt.h"
#include "tcpstack/net_wire.h"

#define UDP_CSUM  6u /* RFC 768 */
#define ICMP_CSUM 2u /* RFC 792, RFC 4443 */

/** What a description says. */
struct words {
	uint8_t proto;	     /* IP protocol */
	struct net_flow f;   /* local is who sends */
	uint8_t flags;	     /* TCP_* */
	uint32_t len;	     /* payload bytes */
	uint32_t mss;	     /* option, 0: none */
	uint32_t vlan;	     /* 0: no tag */
	char in[GW_NAMELEN]; /* port or server; empty: not said */
	bool bounced;	     /* with the bounced bit */
};

static int wrong(char err[GW_TRACE_ERR], const char *what, const char *word)
{
	snprintf(err, GW_TRACE_ERR,
		 "%s: \"%.60s\"; a packet is described as tcp "
		 "192.0.2.7:40000 > 198.51.100.1:80 syn in lan0",
		 what, word ? word : "");
	return EINVAL;
}

/* "10.0.0.1:80", "[fd77::1]:80" or, without a port, an address. */
static bool end(const char *text, bool ports, struct net_addr *a, uint16_t *port)
{
	if (ports)
		return gw_endpoint_parse(text, a->b, port);
	return text && net_addr_parse(text, a) == 0;
}

/* Puts a TCP flag's bit; false: it is none. */
static bool flag(struct words *d, const char *word)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} flags[] = {{"syn", TCP_SYN}, {"ack", TCP_ACK}, {"fin", TCP_FIN},
		     {"rst", TCP_RST}, {"psh", TCP_PSH}, {"urg", TCP_URG}};

	for (size_t i = 0; i < RTE_DIM(flags); i++) {
		if (strcasecmp(word, flags[i].name))
			continue;
		d->flags |= flags[i].bit;
		return d->proto == NET_PROTO_TCP;
	}
	return false;
}

/* A number behind a word; false: it is none, or too much. */
static bool number(const char *text, uint32_t max, uint32_t *v)
{
	char *rest;
	unsigned long n = text ? strtoul(text, &rest, 10) : 0;

	*v = (uint32_t)n;
	return text && isdigit((unsigned char)*text) && !*rest && n <= max;
}

/* Words behind the ends. */
static int more(struct words *d, char **save, char err[GW_TRACE_ERR])
{
	char *word;

	while ((word = strtok_r(NULL, " ", save))) {
		char *value;

		if (flag(d, word))
			continue;
		if (strcmp(word, "bounced") == 0) {
			d->bounced = true;
			continue;
		}
		value = strtok_r(NULL, " ", save);
		if (strcmp(word, "in") == 0 && value && strlen(value) < sizeof(d->in))
			strcpy(d->in, value);
		else if (!(strcmp(word, "len") == 0 && number(value, 9000, &d->len)) &&
			 !(strcmp(word, "mss") == 0 && number(value, 65535, &d->mss)) &&
			 !(strcmp(word, "vlan") == 0 && number(value, 4094, &d->vlan)))
			return wrong(err, "makes no sense", word);
	}
	return 0;
}

static int read_words(struct words *d, char *text, char err[GW_TRACE_ERR])
{
	char *save = NULL, *proto = strtok_r(text, " ", &save), *from, *arrow, *to;

	memset(d, 0, sizeof(*d));
	if (proto && strcasecmp(proto, "tcp") == 0)
		d->proto = NET_PROTO_TCP;
	else if (proto && strcasecmp(proto, "udp") == 0)
		d->proto = NET_PROTO_UDP;
	else if (proto && strcasecmp(proto, "icmp") == 0)
		d->proto = NET_PROTO_ICMP;
	else
		return wrong(err, "neither tcp, udp nor icmp", proto);
	from = strtok_r(NULL, " ", &save);
	arrow = strtok_r(NULL, " ", &save);
	to = strtok_r(NULL, " ", &save);
	if (!end(from, d->proto != NET_PROTO_ICMP, &d->f.local, &d->f.lport))
		return wrong(err, "no such end", from);
	if (!arrow || strcmp(arrow, ">"))
		return wrong(err, "not >", arrow);
	if (!end(to, d->proto != NET_PROTO_ICMP, &d->f.remote, &d->f.rport))
		return wrong(err, "no such end", to);
	if (net_addr_is_v4(&d->f.local) != net_addr_is_v4(&d->f.remote))
		return wrong(err, "of another family", to);
	return more(d, &save, err);
}

/* Where a frame from src comes in; the name of a port or server, empty: not said. */
static int place(struct gw_trace *t, const char *in, const struct net_addr *src,
		 char err[GW_TRACE_ERR])
{
	struct gw *gw = t->gw;

	for (uint32_t i = 0; *in && i < gw->n_port; i++)
		if (strcmp(gw->port[i].cfg->name, in) == 0)
			t->port = &gw->port[i];
	if (*in && !t->port && gw_server_named(gw->cfg, in) != UINT32_MAX)
		t->host = &gw->host[gw_server_named(gw->cfg, in)];
	if (!*in)
		t->port = src && gw_port_of(gw, src) ? gw_port_of(gw, src) : &gw->port[0];
	if (t->port || t->host)
		return 0;
	snprintf(err, GW_TRACE_ERR, "\"%.60s\" is neither a port nor a server", in);
	return EINVAL;
}

/* The header of TCP becomes one of UDP, or an echo request. */
static void other_proto(struct gw_trace *t, const struct words *d, uint16_t l4)
{
	const bool v4 = net_addr_is_v4(&d->f.local);
	uint8_t *ip = t->frame + NET_ETH_HLEN, *h = t->frame + l4;
	const uint16_t len = (uint16_t)(NET_UDP_HLEN + d->len); /* ICMP's is as long */

	memset(h, 0, NET_TCP_HLEN);
	if (d->proto == NET_PROTO_UDP) {
		net_put_raw16(h, d->f.lport);
		net_put_raw16(h + 2, d->f.rport);
		net_put16(h + 4, len);
	} else {
		h[0] = v4 ? NET_ICMP_ECHO : NET_ICMP6_ECHO;
	}
	t->len = l4 + (uint32_t)len;
	if (!v4) {
		ip[NET_IP6_NEXT] = d->proto == NET_PROTO_ICMP ? NET_PROTO_ICMP6 : d->proto;
		net_put16(ip + NET_IP6_PLEN, len);
		return;
	}
	ip[NET_IP4_PROTO] = d->proto;
	net_put16(ip + NET_IP4_TOTLEN, (uint16_t)(NET_IP4_HLEN + len));
	net_put16(ip + NET_IP4_CSUM, 0);
	net_put_raw16(ip + NET_IP4_CSUM,
		      (uint16_t)~net_csum_fold(net_csum_add(0, ip, NET_IP4_HLEN, false)));
}

/* The checksum of what IP carries; the payload is zero. */
static void finish_csum(struct gw_trace *t, const struct words *d, uint16_t l4)
{
	const bool icmp = d->proto == NET_PROTO_ICMP, v4 = net_addr_is_v4(&d->f.local);
	const uint32_t field = d->proto == NET_PROTO_TCP   ? NET_TCP_CSUM
			       : d->proto == NET_PROTO_UDP ? UDP_CSUM
							   : ICMP_CSUM;
	const uint32_t len = t->len - l4;
	uint32_t sum = 0;

	net_put16(t->frame + l4 + field, 0);
	if (!icmp || !v4)
		sum = net_csum_pseudo(&d->f.local, &d->f.remote, icmp ? NET_PROTO_ICMP6 : d->proto,
				      len);
	sum = net_csum_add(sum, t->frame + l4, len, false);
	net_put_raw16(t->frame + l4 + field, (uint16_t)~net_csum_fold(sum));
}

static int describe(struct gw_trace *t, const char *text, char err[GW_TRACE_ERR])
{
	static const uint8_t sender[6] = {0x02, 0, 0, 0, 0, 1};
	char copy[512];
	struct words d;
	struct tcp_emit e = {0};
	struct net_l2 l2 = {0};
	uint16_t l4;

	snprintf(copy, sizeof(copy), "%s", text);
	if (read_words(&d, copy, err) || place(t, d.in, &d.f.local, err))
		return EINVAL;
	if (d.bounced && !t->host)
		return wrong(err, "only a server's host bounces", d.in);
	t->bounced = d.bounced;
	if (d.vlan && t->port) {
		uint8_t tag[NET_ETH_HLEN + NET_VLAN_HLEN] = {0};

		net_put16(tag + 12, NET_ETHERTYPE_VLAN);
		net_put16(tag + NET_ETH_HLEN, (uint16_t)d.vlan);
		t->port = gw_vlan_port(t->gw, t->port, tag, sizeof(tag), &t->tagged);
		t->vlan = (uint16_t)d.vlan;
	}
	memcpy(l2.src, t->host ? t->host->mac.addr_bytes : sender, 6);
	memcpy(l2.dst, (t->port ? t->port : &t->gw->port[0])->mac.addr_bytes, 6);
	e.flags = d.flags ? d.flags : TCP_ACK;
	if (d.mss) {
		e.opt[0] = NET_OPT_MSS;
		e.opt[1] = e.optlen = 4;
		net_put16(e.opt + 2, (uint16_t)d.mss);
	}
	t->len = (uint32_t)net_build_tcp(t->frame, sizeof(t->frame), &l2, &d.f, &e, 0, e.flags,
					 d.len, 0, &l4);
	if (!t->len)
		return wrong(err, "cannot be built", text);
	if (d.proto != NET_PROTO_TCP)
		other_proto(t, &d, l4);
	else
		t->len += d.len;
	finish_csum(t, &d, l4);
	return 0;
}

/* Reads hexadecimal; bytes, 0: it is none, or too long. */
static uint32_t read_hex(const char *text, uint8_t *to, uint32_t room)
{
	uint32_t n = 0;
	unsigned int v;

	for (; text[0] && text[1] && n < room; text += 2) {
		if (!isxdigit((unsigned char)text[0]) || sscanf(text, "%2x", &v) != 1 ||
		    !isxdigit((unsigned char)text[1]))
			return 0;
		to[n++] = (uint8_t)v;
	}
	return *text ? 0 : n;
}

#define LRH_LEN	 8u
#define GRH_LEN	 40u
#define BTH_LEN	 12u
#define DETH_LEN 8u
#define CRC_LEN	 6u /* ICRC and VCRC */

/* A native datagram as it crossed the fabric: LRH to VCRC (IBTA 7.7, 8.3, 9.2, 9.3). */
static int from_fabric(struct gw_trace *t, const uint8_t *b, uint32_t n, char err[GW_TRACE_ERR])
{
	const uint8_t *gid = NULL, *bth, *deth, *encap;
	const struct corr_server *s;
	uint32_t head = LRH_LEN, sqpn;

	if (n > LRH_LEN && (b[1] & 3) == 3) {
		gid = b + LRH_LEN + 8; /* of the GRH: source */
		head += GRH_LEN;
	}
	bth = b + head;
	deth = bth + BTH_LEN;
	encap = deth + DETH_LEN;
	if (n < head + BTH_LEN + DETH_LEN + sizeof(struct ib_encap) + CRC_LEN ||
	    bth[0] != PKT_UD_SEND || net_get16(encap) != IB_ENCAP_ETH) {
		snprintf(err, GW_TRACE_ERR, "that packet of the fabric is no native datagram");
		return EINVAL;
	}
	sqpn = net_get32(deth + 4) & 0xffffff;
	s = t->gw->native ? corr_native_by_source(t->gw->native, net_get16(b + 6),
						  t->gw->dev.roce ? gid : NULL, sqpn)
			  : NULL;
	if (!s) {
		snprintf(err, GW_TRACE_ERR,
			 "queue pair %u of LID %u is no attached host's: it would be dropped as "
			 "unknown-source-qp, unless the gateway itself sent it",
			 sqpn, net_get16(b + 6));
		return EINVAL;
	}
	t->host = &t->gw->host[s->id];
	t->bounced = net_get16(encap + 2) & IB_ENCAP_BOUNCED;
	t->len = n - head - BTH_LEN - DETH_LEN - (uint32_t)sizeof(struct ib_encap) - CRC_LEN -
		 (bth[1] >> 4 & 3);
	memcpy(t->frame, encap + sizeof(struct ib_encap), t->len);
	return 0;
}

/* A frame as it was on the wire of a port: its tag goes. */
static void untag(struct gw_trace *t)
{
	if (!t->port)
		return;
	t->port = gw_vlan_port(t->gw, t->port, t->frame, t->len, &t->tagged);
	if (!t->tagged)
		return;
	t->vlan = net_get16(t->frame + NET_ETH_HLEN) & 0x0fff;
	t->len -= NET_VLAN_HLEN;
	memmove(t->frame + 12, t->frame + 12 + NET_VLAN_HLEN, t->len - 12);
}

int gw_trace_ask(struct gw_trace *t, const json_t *req, char err[GW_TRACE_ERR])
{
	const char *text = json_string_value(json_object_get(req, "packet"));
	const char *frame = json_string_value(json_object_get(req, "frame"));
	const char *fabric = json_string_value(json_object_get(req, "fabric"));
	const char *in = json_string_value(json_object_get(req, "in"));
	uint8_t raw[GW_TRACE_FRAME + 128];
	uint32_t n;

	if (text)
		return describe(t, text, err);
	n = frame || fabric
		    ? read_hex(frame ? frame : fabric, raw, frame ? GW_TRACE_FRAME : sizeof(raw))
		    : 0;
	if (!n) {
		snprintf(err, GW_TRACE_ERR, "a packet is described, or given in hexadecimal");
		return EINVAL;
	}
	if (fabric)
		return from_fabric(t, raw, n, err);
	t->len = n;
	memcpy(t->frame, raw, n);
	if (place(t, in ? in : "", NULL, err))
		return EINVAL;
	untag(t);
	return 0;
}
