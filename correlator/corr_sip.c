/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_sip.c - SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
 *
 * Clients choose their ports and, with IPv6, their addresses. With an unkeyed hash they could
 * choose the server, too, and bring all load to one. rte_hash's functions are seeded, but several
 * gateways must choose alike, and for their seeds collisions can be computed.
 */
#include "correlator/corr_sip.h"

#include <endian.h>
#include <string.h>

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

/* One SipRound over the four words of state. */
static inline void round1(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

uint64_t corr_sip(const struct corr_sip_key *key, const void *data, size_t len)
{
	uint64_t v[4] = {
		key->k[0] ^ UINT64_C(0x736f6d6570736575), key->k[1] ^ UINT64_C(0x646f72616e646f6d),
		key->k[0] ^ UINT64_C(0x6c7967656e657261), key->k[1] ^ UINT64_C(0x7465646279746573)};
	const uint8_t *p = data;
	size_t left = len;
	uint64_t m;

	for (;; left -= 8, p += 8) {
		m = 0;
		memcpy(&m, p, left < 8 ? left : 8);
		m = le64toh(m);
		if (left < 8)
			m |= (uint64_t)len << 56;
		v[3] ^= m;
		round1(v);
		round1(v);
		v[0] ^= m;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		round1(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct corr_sip_key corr_sip_key_of(const char *text)
{
	const struct corr_sip_key zero = {{0, 0}}, one = {{1, 0}};
	const size_t n = strlen(text);

	return (struct corr_sip_key){{corr_sip(&zero, text, n), corr_sip(&one, text, n)}};
}
