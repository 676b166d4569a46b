/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_opt.c - any bytes as TCP options, on a SYN and on other segments. A second reader, written
 * for this test and as slow as it likes, must come to the same: refused or not, and what was found.
 */
#include <string.h>

#include "tcpstack/net_wire.h"
#include "tests/fuzz/fuzz_bytes.h"

/* The option bytes of one kind, the last that counts; NULL: none. RFC 9293 section 3.1. */
static const uint8_t *find(const uint8_t *o, size_t n, uint8_t kind, uint8_t len, size_t *found)
{
	const uint8_t *hit = NULL;

	*found = 0;
	for (size_t i = 0; i < n && o[i] != NET_OPT_EOL;) {
		size_t l;

		if (o[i] == NET_OPT_NOP) {
			i++;
			continue;
		}
		l = o[i + 1];
		if (o[i] == kind && (!len || l == len)) {
			hit = o + i;
			*found = l;
		}
		i += l;
	}
	return hit;
}

/* True when the length is one that the option may have; unknown ones may have any. */
static bool length_right(uint8_t kind, uint8_t len)
{
	switch (kind) {
	case NET_OPT_MSS:
		return len == 4;
	case NET_OPT_WSCALE:
		return len == 3;
	case NET_OPT_SACK_PERM:
		return len == 2;
	case NET_OPT_SACK:
		return len == 10 || len == 18 || len == 26 || len == 34;
	case NET_OPT_TS:
		return len == 10;
	default:
		return true;
	}
}

/* True when the lengths are right and lead from one option to the next up to the end. */
static bool sound(const uint8_t *o, size_t n)
{
	for (size_t i = 0; i < n && o[i] != NET_OPT_EOL;) {
		if (o[i] == NET_OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= n || o[i + 1] < 2 || o[i + 1] > n - i || !length_right(o[i], o[i + 1]))
			return false;
		i += o[i + 1];
	}
	return true;
}

/* A segment with these options; its length. */
static uint32_t build(uint8_t *b, uint8_t flags, const uint8_t *opt, size_t n)
{
	struct tcp_emit e = {.optlen = (uint8_t)n, .ack = 7};
	const struct net_l2 l2 = {.dst = {2}, .src = {2, 1}};
	struct net_flow f = {.rport = 1, .lport = 2};
	uint16_t l4;
	size_t len;

	net_addr_parse("10.77.0.2", &f.local);
	net_addr_parse("10.77.0.11", &f.remote);
	memcpy(e.opt, opt, n);
	len = net_build_tcp(b, NET_MAX_HDR, &l2, &f, &e, 5, flags, 0, 1, &l4);
	net_tcp_csum_finish(b + l4, NET_TCP_HLEN + n, 0);
	return (uint32_t)len;
}

/* Compares what the parser found on a SYN or other segment with a second look. */
static void compare(const uint8_t *o, size_t n, bool syn, const struct tcp_seg *s)
{
	const uint8_t *p;
	size_t len;

	p = find(o, n, NET_OPT_TS, 10, &len);
	PROMISE(s->has_ts == (p != NULL));
	PROMISE(!p || (s->tsval == net_get32(p + 2) && s->tsecr == net_get32(p + 6)));
	p = syn ? find(o, n, NET_OPT_MSS, 4, &len) : NULL;
	PROMISE(s->mss == (p ? net_get16(p + 2) : 0));
	p = syn ? find(o, n, NET_OPT_WSCALE, 3, &len) : NULL;
	PROMISE(s->has_wscale == (p != NULL));
	PROMISE(!p || s->wscale == (p[2] > 14 ? 14 : p[2]));
	p = syn ? find(o, n, NET_OPT_SACK_PERM, 2, &len) : NULL;
	PROMISE(s->sack_ok == (p != NULL));
	p = find(o, n, NET_OPT_SACK, 0, &len);
	PROMISE(s->n_sack == (p ? (len - 2) / 8 : 0));
	for (unsigned int i = 0; i < s->n_sack; i++)
		PROMISE(s->sack[i].start == net_get32(p + 2 + 8 * i) &&
			s->sack[i].end == net_get32(p + 6 + 8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t opt[40] = {0}, b[NET_MAX_HDR], *copy;
	size_t n = size > 40 ? 40 : (size + 3) / 4 * 4;

	memcpy(opt, data, size < n ? size : n);
	for (int syn = 0; syn < 2; syn++) {
		uint32_t len = build(b, syn ? TCP_SYN : TCP_ACK, opt, n);
		struct tcp_seg s;
		struct net_pkt p;
		enum net_perr e;

		copy = malloc(len); /* exactly as long, so that reading on is noticed */
		PROMISE(copy);
		memcpy(copy, b, len);
		PROMISE(net_parse(copy, len, NET_F_CSUM_IP | NET_F_CSUM_L4, &p) == NET_PERR_OK);
		e = net_parse_tcp(copy, &p, &s);
		PROMISE(e == (sound(opt, n) ? NET_PERR_OK : NET_PERR_TCP_OPT));
		if (e == NET_PERR_OK)
			compare(opt, n, syn, &s);
		free(copy);
	}
	return 0;
}
