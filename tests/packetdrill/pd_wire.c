/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_wire.c - IP packets of the client: TCP (RFC 9293 section 3.1), ICMP (RFC 792), ICMPv6 (RFC
 * 4443) to the stack, TCP from it. Independent of the stack's own code. Payload is zeroes.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "pd.h"

const uint8_t pd_local4[4] = {192, 168, 0, 1}, pd_remote4[4] = {192, 0, 2, 1};
const uint8_t pd_local6[16] = {0xfd, 0x3d, 0xfa, 0x7b, 0xd1, 0x7d, [15] = 1};
const uint8_t pd_remote6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* RFC 1071; the sum is 0 over what carries its checksum. */
static uint32_t checksum(uint64_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint64_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~(uint32_t)sum & 0xffff;
}

/* Checksum of n bytes behind the IP header at ip, pseudo-header included. */
static uint32_t transport_sum(const uint8_t *ip, const uint8_t *l4, size_t n, uint8_t proto)
{
	bool v6 = ip[0] >> 4 == 6;
	uint32_t part = ~checksum(0, ip + (v6 ? 8 : 12), v6 ? 32 : 8) & 0xffff;

	return checksum((uint64_t)part + n + proto, l4, n);
}

/* Length of the header; n bytes follow it. */
static size_t put_ip(uint8_t *ip, bool v6, bool from_client, uint8_t proto, uint8_t ecn, size_t n)
{
	if (v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		ip[1] = (uint8_t)(ecn << 4);
		put16(ip + 4, (uint32_t)n);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, from_client ? pd_remote6 : pd_local6, 16);
		memcpy(ip + 24, from_client ? pd_local6 : pd_remote6, 16);
		return 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = ecn;
	put16(ip + 2, (uint32_t)n + 20);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, from_client ? pd_remote4 : pd_local4, 4);
	memcpy(ip + 16, from_client ? pd_local4 : pd_remote4, 4);
	put16(ip + 10, checksum(0, ip, 20));
	return 20;
}

static size_t put_option(uint8_t *o, const struct pd_opt *p)
{
	size_t n = 2;

	o[0] = p->kind;
	switch (p->kind) {
	case 2:
		put16(o + 2, p->val);
		n = 4;
		break;
	case 3:
		o[2] = (uint8_t)p->val;
		n = 3;
		break;
	case 5:
		for (unsigned int i = 0; i < p->n_sack; i++, n += 8) {
			put32(o + n, p->sack[i].start);
			put32(o + n + 4, p->sack[i].end);
		}
		break;
	case 8:
		put32(o + 2, p->val);
		put32(o + 6, p->ecr);
		n = 10;
		break;
	}
	if (p->kind < 2)
		return 1;
	o[1] = (uint8_t)n;
	return n;
}

size_t pd_tcp_build(const struct pd_packet *p, bool v6, uint16_t sport, uint16_t dport, uint8_t *ip)
{
	uint8_t opt[PD_OPT_MAX * 34], *tcp = ip + (v6 ? 40 : 20);
	size_t n = 0, hlen;

	for (unsigned int i = 0; i < p->n_opt; i++)
		n += put_option(opt + n, &p->opt[i]);
	hlen = 20 + n;
	if (n > 40 || n % 4 || hlen + p->len + 40 > PD_PKT_MAX)
		return 0;
	put_ip(ip, v6, true, IPPROTO_TCP, p->ecn < 0 ? 0 : (uint8_t)p->ecn, hlen + p->len);
	memset(tcp, 0, hlen + p->len);
	put16(tcp, sport);
	put16(tcp + 2, dport);
	put32(tcp + 4, p->seq);
	put32(tcp + 8, p->ack);
	put16(tcp + 12, (uint32_t)(hlen / 4 << 12) | p->flags);
	put16(tcp + 14, (uint32_t)p->win);
	put16(tcp + 18, p->urg);
	memcpy(tcp + 20, opt, n);
	put16(tcp + 16, transport_sum(ip, tcp, hlen + p->len, IPPROTO_TCP));
	return (size_t)(tcp - ip) + hlen + p->len;
}

/* Quotes our header and eight bytes, as packetdrill does. */
size_t pd_icmp_build(const struct pd_packet *p, bool v6, uint16_t lport, uint16_t rport,
		     uint8_t *ip)
{
	const size_t hlen = v6 ? 40 : 20, n = 8 + hlen + 8;
	const uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	uint8_t *icmp = ip + put_ip(ip, v6, true, proto, 0, n), *tcp = icmp + 8 + hlen;

	memset(icmp, 0, n);
	icmp[0] = p->icmp_type[v6];
	icmp[1] = p->icmp_code[v6];
	put32(icmp + 4, p->mtu);
	put_ip(icmp + 8, v6, false, IPPROTO_TCP, 0, 20 + p->len);
	put16(tcp, lport);
	put16(tcp + 2, rport);
	put32(tcp + 4, p->seq);
	put16(icmp + 2, v6 ? transport_sum(ip, icmp, n, proto) : checksum(0, icmp, n));
	return hlen + n;
}

static bool read_option(const uint8_t *o, size_t len, struct pd_opt *out)
{
	static const uint8_t lengths[] = {[2] = 4, [3] = 3, [4] = 2, [8] = 10};

	out->kind = o[0];
	if (o[0] < sizeof(lengths) && lengths[o[0]] && lengths[o[0]] != len)
		return false;
	if (o[0] == 2)
		out->val = get16(o + 2);
	else if (o[0] == 3)
		out->val = o[2];
	else if (o[0] == 8)
		out->val = get32(o + 2), out->ecr = get32(o + 6);
	if (o[0] != 5)
		return true;
	for (size_t i = 2; i + 8 <= len && out->n_sack < 4; i += 8)
		out->sack[out->n_sack++] = (struct pd_range){get32(o + i), get32(o + i + 4)};
	return len >= 10 && len % 8 == 2;
}

static bool read_options(const uint8_t *o, size_t n, struct pd_packet *p)
{
	for (size_t i = 0, len; i < n; i += len) {
		struct pd_opt *out = &p->opt[p->n_opt];

		if (p->n_opt++ == PD_OPT_MAX)
			return false;
		*out = (struct pd_opt){.kind = o[i]};
		len = 1;
		if (o[i] < 2)
			continue;
		len = i + 1 < n ? o[i + 1] : 0;
		if (len < 2 || i + len > n || !read_option(o + i, len, out))
			return false;
	}
	return true;
}

const char *pd_tcp_read(const uint8_t *ip, size_t len, struct pd_packet *p)
{
	bool v6 = len && ip[0] >> 4 == 6;
	size_t l3 = v6 ? 40 : 20, hlen;
	const uint8_t *tcp = ip + l3;

	*p = (struct pd_packet){.win = -1};
	if (len < l3 + 20 || (!v6 && ip[0] != 0x45))
		return "not an IP packet with TCP";
	if ((v6 ? get16(ip + 4) + 40 : get16(ip + 2)) != len)
		return "IP length";
	if (!v6 && checksum(0, ip, 20))
		return "IP checksum";
	if (ip[v6 ? 6 : 9] != IPPROTO_TCP)
		return "IP protocol";
	hlen = (size_t)(tcp[12] >> 4) * 4;
	if (hlen < 20 || l3 + hlen > len)
		return "TCP header length";
	if (transport_sum(ip, tcp, len - l3, IPPROTO_TCP))
		return "TCP checksum";
	p->ecn = (int8_t)((v6 ? ip[1] >> 4 : ip[1]) & 3);
	p->sport = (uint16_t)get16(tcp);
	p->dport = (uint16_t)get16(tcp + 2);
	p->seq = get32(tcp + 4);
	p->flags = get16(tcp + 12) & 0x1ff;
	p->ack = get32(tcp + 8);
	p->win = (int32_t)get16(tcp + 14);
	p->urg = (uint16_t)get16(tcp + 18);
	p->len = (uint32_t)(len - l3 - hlen);
	return read_options(tcp + 20, hlen - 20, p) ? NULL : "TCP options";
}
