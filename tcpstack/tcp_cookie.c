/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cookie.c - SYN cookies that keep the options (RFC 4987 section 3.6, RFC
 * 7323 section 5.4 for what a timestamp may tell).
 *
 * The cookie is our initial sequence number:
 *
 *	31..30 period, modulo 4 | 29..27 MSS by table | 26..0 SipHash-2-4
 *
 * A period is 64 seconds; the current and the one before are valid. The hash
 * covers the 4-tuple, the client's sequence number, the whole period, the MSS
 * and the timestamp's low bits, so that nothing can be changed or replayed
 * later or elsewhere; a guess is right once in 2^26. The upper five bits are
 * masked by a hash of the 4-tuple, so that they tell nothing.
 *
 * When the client uses timestamps, window scale, SACK-permitted and ECN travel
 * in the six low bits of our timestamp, which is lowered so that it is never
 * ahead of the clock. Without timestamps the SYN-ACK grants none of the three.
 */
#include <errno.h>
#include <string.h>

#include "tcpstack/tcp_priv.h"

#define PERIOD_US  64000000u /* step of the cookies' clock */
#define PERIOD_AGE 1u	     /* valid for the current period and this many before */

#define MAC_BITS 27
#define MAC_MASK ((1u << MAC_BITS) - 1)

#define TS_BITS	     6
#define TS_MASK	     ((1u << TS_BITS) - 1)
#define TS_WSCALE    0x0f /* shift count */
#define TS_NO_WSCALE 0x0f /* instead of a shift: none */
#define TS_SACK	     0x10
#define TS_ECN	     0x20
#define TS_NONE	     UINT32_MAX /* hashed when there is no timestamp */

/* MSS the cookie can express, rounded down to: common links, less 40 or 60 and options. */
static const uint16_t mss_table[8] = {256, 536, 1220, 1340, 1400, 1440, 1460, 8940};

/* What the hash covers, besides the key. */
struct mac_input {
	struct net_flow f; /* as the server sees it */
	uint32_t irs;	   /* the client's initial sequence number */
	uint64_t period;   /* number of the period */
	uint32_t mss;	   /* index into mss_table */
	uint32_t ts;	   /* low bits of our timestamp, or TS_NONE */
};
static_assert(sizeof(struct mac_input) == 56, "hashed as bytes: no padding");

static uint64_t period_at(uint64_t now)
{
	return now / PERIOD_US;
}

int tcp_keys_rotate(struct tcp_keys *k, const uint8_t key[TCP_KEY_LEN], uint64_t now)
{
	uint64_t from = period_at(now) + 1;

	if (k->cookie_from && from - k->cookie_from <= PERIOD_AGE)
		return EBUSY;
	memcpy(k->cookie[1], k->cookie[0], TCP_KEY_LEN);
	memcpy(k->cookie[0], key, TCP_KEY_LEN);
	k->cookie_from = from;
	return 0;
}

/* The cookie, all of its bits. */
static uint32_t make(const struct tcp_keys *k, const struct mac_input *in)
{
	const uint8_t *key = k->cookie[in->period < k->cookie_from];
	uint32_t mask = (uint32_t)(tcp_siphash(k->isn, &in->f, sizeof(in->f)) >> 32);
	uint32_t top = (uint32_t)(in->period & 3) << 30 | in->mss << MAC_BITS;

	return (top ^ (mask & ~MAC_MASK)) |
	       ((uint32_t)tcp_siphash(key, in, sizeof(*in)) & MAC_MASK);
}

/* Index of the largest MSS in the table that is not above mss. */
static uint32_t mss_index(uint16_t mss)
{
	uint32_t i = sizeof(mss_table) / sizeof(mss_table[0]) - 1;

	while (i && mss_table[i] > mss)
		i--;
	return i;
}

/* What both ends agree on, as the low bits of a timestamp. */
static uint32_t ts_bits(const struct tcp_seg *syn, uint8_t opts)
{
	uint32_t bits = TS_NO_WSCALE;

	if (syn->has_wscale && opts & TCP_O_WSCALE)
		bits = syn->wscale;
	if (syn->sack_ok && opts & TCP_O_SACK)
		bits |= TS_SACK;
	if (tcp_syn_ecn(syn) && opts & TCP_O_ECN)
		bits |= TS_ECN;
	return bits;
}

/* The clock's value, lowered until it ends in the bits. */
static uint32_t ts_with_bits(uint32_t clock, uint32_t bits)
{
	uint32_t v = (clock & ~TS_MASK) | bits;

	return tcp_lt(clock, v) ? v - TS_MASK - 1 : v;
}

void tcp_cookie_reply(struct tcp_listener *l, const struct net_flow *f, const struct tcp_seg *syn,
		      uint64_t now, struct tcp_emit *e)
{
	bool ts = syn->has_ts && l->offer.opts & TCP_O_TS;
	struct mac_input in = {.f = *f, .irs = syn->seq, .period = period_at(now), .ts = TS_NONE};
	struct tcp_syn s = {.mss = l->offer.mss, .wscale = tcp_offer_wscale(&l->offer)};

	in.mss = mss_index(tcp_syn_mss(syn, f, l->offer.mss));
	*e = (struct tcp_emit){.flags = TCP_SYN | TCP_ACK, .ack = syn->seq + 1};
	if (ts) {
		in.ts = ts_bits(syn, l->offer.opts);
		s.tsval = ts_with_bits(tcp_ts_offset(l->cfg->keys, f) + tcp_ms(now), in.ts);
		s.tsecr = syn->tsval;
		s.opts = TCP_O_TS | ((in.ts & TS_SACK) ? TCP_O_SACK : 0);
		if ((in.ts & TS_WSCALE) != TS_NO_WSCALE)
			s.opts |= TCP_O_WSCALE;
		if (in.ts & TS_ECN)
			e->flags |= TCP_ECE;
	}
	e->seq = make(l->cfg->keys, &in);
	e->wnd = tcp_syn_window(l->offer.room);
	e->optlen = tcp_syn_options(&s, e->opt);
	l->cookie_period = in.period + 1;
}

bool tcp_cookie_expected(const struct tcp_listener *l, uint64_t now)
{
	return l->cookie_period && period_at(now) + 1 - l->cookie_period <= PERIOD_AGE;
}

bool tcp_cookie_check(const struct tcp_listener *l, const struct net_flow *f,
		      const struct tcp_seg *seg, uint64_t now, struct tcp_cookie *k)
{
	const struct tcp_keys *keys = l->cfg->keys;
	uint32_t cookie = seg->ack - 1;
	uint32_t top = cookie ^ (uint32_t)(tcp_siphash(keys->isn, f, sizeof(*f)) >> 32);
	uint64_t period = period_at(now), age = (period - (top >> 30)) & 3;
	struct mac_input in = {.f = *f, .irs = seg->seq - 1, .ts = TS_NONE};

	if (age > PERIOD_AGE || age > period)
		return false;
	in.period = period - age;
	in.mss = top >> MAC_BITS & 7;
	if (seg->has_ts && l->offer.opts & TCP_O_TS)
		in.ts = seg->tsecr & TS_MASK;
	if (make(keys, &in) != cookie)
		return false;
	*k = (struct tcp_cookie){.mss = mss_table[in.mss], .ts = in.ts != TS_NONE};
	if (!k->ts)
		return true;
	k->has_wscale = (in.ts & TS_WSCALE) != TS_NO_WSCALE;
	k->wscale = k->has_wscale ? in.ts & TS_WSCALE : 0;
	k->sack = in.ts & TS_SACK;
	k->ecn = in.ts & TS_ECN;
	return true;
}

void tcp_cookie_open(struct tcp_conn *c, const struct tcp_listener *l, const struct net_flow *f,
		     const struct tcp_seg *seg, const struct tcp_cookie *k, uint64_t now)
{
	struct tcp_seg syn = {
		.seq = seg->seq - 1,
		.flags = TCP_SYN | (k->ecn ? TCP_ECE | TCP_CWR : 0),
		.mss = k->mss,
		.has_ts = k->ts,
		.tsval = seg->tsval,
		.sack_ok = k->sack,
		.has_wscale = k->has_wscale,
		.wscale = k->wscale,
	};

	tcp_set_state(c, TCP_S_SYN_RCVD);
	tcp_open_begin(c, &l->offer, f, seg->ack - 1, now);
	tcp_open_learn(c, &syn, now);
}
