/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_isn.c - what nobody but the two ends may guess: initial sequence numbers
 * (RFC 6528, RFC 9293 section 3.4.1) and timestamp offsets (RFC 7323 section
 * 5.4).
 *
 * ISN = M + F(4-tuple, key), where M ticks every 4 us. The offset of the
 * timestamps is a function of the 4-tuple alone: to a client that remembers
 * an earlier connection of the same ports the clock goes on, and to others it
 * tells nothing (not how long we are up, not how many connections there are).
 */
#include <string.h>

#include "tcpstack/tcp_open.h"

#define ISN_TICK_US 4

void tcp_keys_init(struct tcp_keys *k, const uint8_t seed[4 * TCP_KEY_LEN])
{
	memcpy(k->isn, seed, TCP_KEY_LEN);
	memcpy(k->ts, seed + TCP_KEY_LEN, TCP_KEY_LEN);
	memcpy(k->cookie, seed + 2 * TCP_KEY_LEN, sizeof(k->cookie));
	k->cookie_from = 0;
}

uint32_t tcp_isn(const struct tcp_keys *k, const struct net_flow *f, uint64_t now)
{
	return (uint32_t)(now / ISN_TICK_US) + (uint32_t)tcp_siphash(k->isn, f, sizeof(*f));
}

uint32_t tcp_ts_offset(const struct tcp_keys *k, const struct net_flow *f)
{
	return (uint32_t)tcp_siphash(k->ts, f, sizeof(*f));
}
