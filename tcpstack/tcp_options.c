/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_options.c - option bytes of outgoing segments (RFC 7323 appendix A, RFC
 * 2018 section 3, RFC 2883).
 */
#include "tcpstack/tcp_priv.h"

#define OPT_NOP	 1
#define OPT_SACK 5
#define OPT_TS	 8

static unsigned int put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return 4;
}

static unsigned int put_timestamps(const struct tcp_conn *c, uint64_t now, uint8_t *p)
{
	p[0] = OPT_NOP;
	p[1] = OPT_NOP;
	p[2] = OPT_TS;
	p[3] = 10;
	put32(p + 4, tcp_tsval(c, now));
	put32(p + 8, c->ts_recent_valid ? c->ts_recent : 0);
	return TCP_OPT_TS_LEN;
}

/*
 * Blocks in the order of the wire: a duplicate first, then the block around
 * it, then the others, the most recent first. Returns their number.
 */
static unsigned int sack_blocks(const struct tcp_conn *c, unsigned int max, struct tcp_range *b)
{
	unsigned int n = 0, around = c->n_ooo_placed;

	if (c->dsack_due) {
		b[n++] = c->dsack;
		for (unsigned int i = 0; i < c->n_ooo_placed && around == c->n_ooo_placed; i++) {
			if (tcp_leq(c->ooo_placed[i].start, c->dsack.start) &&
			    tcp_leq(c->dsack.end, c->ooo_placed[i].end))
				around = i;
		}
		if (around < c->n_ooo_placed)
			b[n++] = c->ooo_placed[around];
	}
	for (unsigned int i = 0; i < c->n_ooo_placed && n < max; i++) {
		if (i != around)
			b[n++] = c->ooo_placed[i];
	}
	return n;
}

unsigned int tcp_options_build(const struct tcp_conn *c, bool with_sack, uint64_t now,
			       uint8_t opt[40])
{
	struct tcp_range b[TCP_MAX_SACK + 1];
	unsigned int len = 0, n;

	if (c->ts_ok)
		len += put_timestamps(c, now, opt);
	if (!with_sack || !c->sack_ok)
		return len;
	n = sack_blocks(c, (40 - len - 4) / 8, b);
	if (!n)
		return len;
	opt[len++] = OPT_NOP;
	opt[len++] = OPT_NOP;
	opt[len++] = OPT_SACK;
	opt[len++] = (uint8_t)(2 + 8 * n);
	for (unsigned int i = 0; i < n; i++) {
		len += put32(opt + len, b[i].start);
		len += put32(opt + len, b[i].end);
	}
	return len;
}
