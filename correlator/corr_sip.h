/* SPDX-License-Identifier: BSD-3-Clause */
/* corr_sip.h - SipHash-2-4, a keyed hash for choices that strangers must not be able to aim. */
#ifndef CORRELATOR_CORR_SIP_H
#define CORRELATOR_CORR_SIP_H

#include <stddef.h>
#include <stdint.h>

/** A key. Gateways that shall choose alike have the same one. */
struct corr_sip_key {
	uint64_t k[2]; /* little-endian halves of the 16 key bytes */
};

/** Hash of `len` bytes. */
uint64_t corr_sip(const struct corr_sip_key *key, const void *data, size_t len);

/** A key from a text of any length (a secret in the configuration). */
struct corr_sip_key corr_sip_key_of(const char *text);

/** Next number of a sequence that starts with a hash: a bijective mix (Steele et al., 2014). */
static inline uint64_t corr_sip_next(uint64_t h)
{
	h += UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

#endif
