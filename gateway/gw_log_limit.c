/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log_limit.c - see gw_log_limit.h. Kinds are few and lines are rare, so they stand in an array
 * that is searched from its start.
 */
#include "gateway/gw_log_limit.h"

#include <stdio.h>

/* The slot of a kind, taken when it had none. The first line of a kind starts its while. */
static struct gw_limit_kind *slot(struct gw_limit *l, uint64_t key, uint64_t now_ms,
				  const char *line)
{
	struct gw_limit_kind *k = NULL;

	key += !key;
	for (uint32_t i = 0; i < GW_LIMIT_KINDS; i++) {
		if (l->kind[i].key == key)
			return &l->kind[i];
		if (!k && !l->kind[i].key)
			k = &l->kind[i];
	}
	if (!k) {
		k = &l->kind[GW_LIMIT_KINDS];
		if (k->key)
			return k;
	}
	*k = (struct gw_limit_kind){.key = key, .since_ms = now_ms};
	snprintf(k->last, sizeof(k->last), "%s", line);
	if (!l->next_ms || now_ms + GW_LIMIT_MS < l->next_ms)
		l->next_ms = now_ms + GW_LIMIT_MS;
	return k;
}

bool gw_limit_pass(struct gw_limit *l, uint64_t key, uint64_t now_ms, uint16_t tag,
		   const char *line)
{
	struct gw_limit_kind *k = slot(l, key, now_ms, line);

	k->tag = tag;
	if (k->passed < GW_LIMIT_BURST) {
		k->passed++;
		return true;
	}
	k->more++;
	snprintf(k->last, sizeof(k->last), "%s", line);
	return false;
}

void gw_limit_more(struct gw_limit *l, uint64_t key, uint64_t now_ms, uint16_t tag,
		   const char *line, uint32_t more)
{
	struct gw_limit_kind *k = slot(l, key, now_ms, line);

	k->tag = tag;
	k->more += more;
}

void gw_limit_flush(struct gw_limit *l, uint64_t now_ms, bool all, gw_limit_tell *tell, void *ctx)
{
	uint64_t next = 0;

	if (!l->next_ms || (!all && now_ms < l->next_ms))
		return;
	for (uint32_t i = 0; i <= GW_LIMIT_KINDS; i++) {
		struct gw_limit_kind *k = &l->kind[i];
		const uint64_t end = k->since_ms + GW_LIMIT_MS;

		if (!k->key)
			continue;
		if (!all && now_ms < end) {
			if (!next || end < next)
				next = end;
			continue;
		}
		if (k->more)
			tell(ctx, k->tag, k->last, k->more,
			     (uint32_t)((now_ms - k->since_ms + 500) / 1000));
		k->key = 0;
	}
	l->next_ms = next;
}
