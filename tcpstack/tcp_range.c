/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_range.c - small ascending sets of disjoint sequence ranges; see tcp_range.h. */
#include <string.h>

#include "tcpstack/tcp_range.h"

bool tcp_range_add(struct tcp_range *r, uint8_t *n, unsigned int max, uint32_t start, uint32_t end)
{
	unsigned int i = 0, j;

	if (!tcp_lt(start, end))
		return true;
	while (i < *n && tcp_lt(r[i].end, start))
		i++;
	for (j = i; j < *n && tcp_leq(r[j].start, end); j++) {
		if (tcp_lt(r[j].start, start))
			start = r[j].start;
		if (tcp_lt(end, r[j].end))
			end = r[j].end;
	}
	if (i == j && *n >= max)
		return false;
	memmove(&r[i + 1], &r[j], (*n - j) * sizeof(*r));
	r[i] = (struct tcp_range){start, end};
	*n += 1 - (j - i);
	return true;
}

void tcp_range_drop(struct tcp_range *r, uint8_t *n, unsigned int i)
{
	memmove(&r[i], &r[i + 1], (*n - i - 1) * sizeof(*r));
	(*n)--;
}

void tcp_range_trim(struct tcp_range *r, uint8_t *n, uint32_t below)
{
	while (*n && tcp_leq(r[0].end, below))
		tcp_range_drop(r, n, 0);
	if (*n && tcp_lt(r[0].start, below))
		r[0].start = below;
}

uint32_t tcp_range_covered(const struct tcp_range *r, uint8_t n, uint32_t start, uint32_t end)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t s = tcp_lt(r[i].start, start) ? start : r[i].start;
		uint32_t e = tcp_lt(end, r[i].end) ? end : r[i].end;

		if (tcp_lt(s, e))
			sum += e - s;
	}
	return sum;
}
