/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_optparse.h - a plain parser of option bytes for tests, apart from the product's own. */
#ifndef TESTS_TCP_OPTPARSE_H
#define TESTS_TCP_OPTPARSE_H

#include "tcpstack/tcp.h"

static inline uint32_t test_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/** Fills *seg from any option we send, those of a SYN included. False: the bytes are malformed. */
static inline bool test_opt_parse(const uint8_t *p, unsigned int n, struct tcp_seg *seg)
{
	for (unsigned int i = 0; i < n;) {
		if (p[i] == 1) {
			i++;
			continue;
		}
		if (i + 2 > n || p[i + 1] < 2 || i + p[i + 1] > n)
			return false;
		if (p[i] == 8 && p[i + 1] == 10) {
			seg->has_ts = true;
			seg->tsval = test_be32(p + i + 2);
			seg->tsecr = test_be32(p + i + 6);
		} else if (p[i] == 5 && (p[i + 1] - 2) % 8 == 0 && p[i + 1] <= 34) {
			seg->n_sack = (p[i + 1] - 2) / 8;
			for (unsigned int k = 0; k < seg->n_sack; k++) {
				seg->sack[k].start = test_be32(p + i + 2 + 8 * k);
				seg->sack[k].end = test_be32(p + i + 6 + 8 * k);
			}
		} else if (p[i] == 2 && p[i + 1] == 4) {
			seg->mss = (uint16_t)(p[i + 2] << 8 | p[i + 3]);
		} else if (p[i] == 3 && p[i + 1] == 3) {
			seg->has_wscale = true;
			seg->wscale = p[i + 2];
		} else if (p[i] == 4 && p[i + 1] == 2) {
			seg->sack_ok = true;
		} else {
			return false;
		}
		i += p[i + 1];
	}
	return true;
}

#endif
