/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_link.c - see wire_link.h. */
#include "wire_link.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_EXTRA \
	38 /* Ethernet header, FCS, preamble and gap: what a packet costs beside itself */

void wire_link_init(struct wire_link *l)
{
	STAILQ_INIT(&l->fly);
	STAILQ_INIT(&l->spare);
	l->free_at_ns = 0;
	l->lost = l->dropped = l->carried = 0;
	l->seed = l->seed * 2654435761u | 1;
}

void wire_link_fini(struct wire_link *l)
{
	struct wire_packet *p;

	STAILQ_CONCAT(&l->spare, &l->fly);
	while ((p = STAILQ_FIRST(&l->spare))) {
		STAILQ_REMOVE_HEAD(&l->spare, link);
		free(p);
	}
}

/* Decided for every packet that enters, so that equal seeds lose the same packets. */
static bool by_chance(struct wire_link *l)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 7;
	l->seed ^= l->seed << 17;
	return (l->seed >> 20) % 1000000 < l->loss;
}

void wire_link_push(struct wire_link *l, const void *ip, uint32_t len, uint64_t now)
{
	struct wire_packet *p = STAILQ_FIRST(&l->spare);
	uint64_t now_ns = now * 1000;

	if (by_chance(l)) {
		l->lost++;
		return;
	}
	if (l->free_at_ns < now_ns)
		l->free_at_ns = now_ns;
	if ((l->free_at_ns - now_ns) * (l->rate / 1000) / 1000000 > l->queue) {
		l->dropped++;
		return;
	}
	if (p) {
		STAILQ_REMOVE_HEAD(&l->spare, link);
	} else {
		p = malloc(sizeof(*p));
		if (!p)
			abort();
	}
	l->free_at_ns += (uint64_t)(len + FRAME_EXTRA) * 1000000 / (l->rate / 1000);
	p->due = l->free_at_ns / 1000 + l->delay_us;
	p->len = len;
	memcpy(p->data, ip, len);
	STAILQ_INSERT_TAIL(&l->fly, p, link);
}

struct wire_packet *wire_link_pop(struct wire_link *l, uint64_t now)
{
	struct wire_packet *p = STAILQ_FIRST(&l->fly);

	if (!p || p->due > now)
		return NULL;
	STAILQ_REMOVE_HEAD(&l->fly, link);
	l->carried++;
	return p;
}

void wire_link_done(struct wire_link *l, struct wire_packet *p)
{
	STAILQ_INSERT_HEAD(&l->spare, p, link);
}

uint64_t wire_link_due(const struct wire_link *l)
{
	const struct wire_packet *p = STAILQ_FIRST(&l->fly);

	return p ? p->due : UINT64_MAX;
}
