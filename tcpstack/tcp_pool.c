/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_pool.c - a capped pool of transmission records; see tcp_pool.h. */
#include <stddef.h>

#include "tcpstack/tcp_pool.h"

#define RESERVE_PART 8 /* of the pool, kept for splits */

void tcp_pool_init(struct tcp_pool *p, struct tcp_txrec *mem, uint32_t n, uint32_t max_conn)
{
	*p = (struct tcp_pool){.n_total = n, .n_free = n, .min_free = n, .max_conn = max_conn};
	p->reserve = n / RESERVE_PART;
	SLIST_INIT(&p->free);
	while (n-- > 0)
		SLIST_INSERT_HEAD(&p->free, &mem[n], next);
}

struct tcp_txrec *tcp_pool_get(struct tcp_pool *p, bool from_reserve)
{
	struct tcp_txrec *r = SLIST_FIRST(&p->free);

	if (!r || (!from_reserve && p->n_free <= p->reserve))
		return NULL;
	SLIST_REMOVE_HEAD(&p->free, next);
	p->n_free--;
	if (p->n_free < p->min_free)
		p->min_free = p->n_free;
	return r;
}

void tcp_pool_put(struct tcp_pool *p, struct tcp_txrec *r)
{
	SLIST_INSERT_HEAD(&p->free, r, next);
	p->n_free++;
}
