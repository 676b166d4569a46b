/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap_opt.c - translates timestamps (RFC 7323) and SACK blocks (RFC 2018) in place. The header
 * keeps its length: what becomes free is filled with NOPs.
 */
#include "tcpstack/seqmap_int.h"

#define TS_LEN 10

/* Moves, clamps and compacts the blocks of a SACK option of len bytes. */
static bool map_sack(uint8_t *opt, uint8_t len, const struct seqmap_opts *o)
{
	uint8_t at, to = 2;

	if (len < 10 || (len - 2) % 8 != 0)
		return false;
	for (at = 2; at < len; at += 8) {
		uint32_t start = net_get32(opt + at), end = net_get32(opt + at + 4);

		if (o->sack_clamp && tcp_lt(o->sack_max, end))
			end = o->sack_max;
		if (o->sack_clamp && !tcp_lt(start, end))
			continue;
		net_put32(opt + to, start + o->d_sack);
		net_put32(opt + to + 4, end + o->d_sack);
		to += 8;
	}
	opt[1] = to;
	memset(opt + (to > 2 ? to : 0), NET_OPT_NOP, len - (to > 2 ? to : 0));
	return true;
}

/* Moves one of the two timestamps. */
static bool map_ts(uint8_t *opt, uint8_t len, const struct seqmap_opts *o)
{
	uint32_t ts;

	if (len != TS_LEN)
		return false;
	if (o->ts_at == 0)
		return true;
	ts = net_get32(opt + o->ts_at);
	if (ts != 0 || !o->ts_keep_zero)
		net_put32(opt + o->ts_at, ts + o->d_ts);
	return true;
}

/* Length of the option at opt, of which `room` bytes exist; 0: end of the list or malformed. */
static uint8_t opt_len(const uint8_t *opt, uint32_t room, bool *bad)
{
	*bad = false;
	if (opt[0] == NET_OPT_EOL)
		return 0;
	if (opt[0] == NET_OPT_NOP)
		return 1;
	*bad = room < 2 || opt[1] < 2 || opt[1] > room;
	return *bad ? 0 : opt[1];
}

bool seqmap_map_opts(uint8_t *tcp, uint32_t hlen, const struct seqmap_opts *o)
{
	uint32_t off = NET_TCP_HLEN;
	bool bad = false;
	uint8_t len;

	for (; off < hlen; off += len) {
		const uint8_t kind = tcp[off];

		len = opt_len(tcp + off, hlen - off, &bad);
		if (len == 0)
			break;
		if ((kind == NET_OPT_TS && !map_ts(tcp + off, len, o)) ||
		    (kind == NET_OPT_SACK && !map_sack(tcp + off, len, o)))
			return false;
	}
	return !bad;
}

bool seqmap_get_ts(const uint8_t *tcp, uint32_t hlen, uint32_t *tsval, uint32_t *tsecr)
{
	uint32_t off = NET_TCP_HLEN;
	uint8_t len;
	bool bad;

	for (; off < hlen; off += len) {
		len = opt_len(tcp + off, hlen - off, &bad);
		if (len == 0)
			return false;
		if (tcp[off] != NET_OPT_TS || len != TS_LEN)
			continue;
		*tsval = net_get32(tcp + off + 2);
		*tsecr = net_get32(tcp + off + 6);
		return true;
	}
	return false;
}
