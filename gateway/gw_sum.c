/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_sum.c - the counters of all workers, added up and named for people. The workers write their
 * own without any lock; a sum is a little older in one place than in another.
 */
#include <string.h>

#include "gateway/gw_int.h"

static const char *const stat_names[] = {
#define _(name, help) #name,
	GW_FOREACH_STAT(_)
#undef _
};

static const char *const drop_names[] = {
#define _(sym, name) name,
	GW_FOREACH_DROP(_)
#undef _
};

#define N_STATS (sizeof(stat_names) / sizeof(stat_names[0]))
static_assert(offsetof(struct gw_stats, drop) == N_STATS * sizeof(uint64_t),
	      "the named counters come first");

void gw_stats_sum(const struct gw *gw, struct gw_stats *sum)
{
	uint64_t *to = (uint64_t *)sum;

	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		const volatile uint64_t *from = (const volatile uint64_t *)&gw->worker[i]->stats;

		for (size_t k = 0; k < sizeof(*sum) / sizeof(uint64_t); k++)
			to[k] += from[k];
	}
}

/* Adds n under a name when it is not 0. */
static void put(json_t *o, const char *prefix, const char *name, uint64_t n)
{
	char full[96];

	if (!n)
		return;
	snprintf(full, sizeof(full), "%s%s", prefix, name);
	n += (uint64_t)json_integer_value(json_object_get(o, full));
	json_object_set_new(o, full, json_integer((json_int_t)n));
}

/* A name with a prefix. */
static const char *prefixed(char text[GW_WHY_LEN], const char *prefix, const char *name)
{
	snprintf(text, GW_WHY_LEN, "%s%s", prefix, name);
	return text;
}

const char *gw_why_name(uint32_t i, char text[GW_WHY_LEN])
{
	if (i < GW_DROP_COUNT)
		return drop_names[i];
	i -= GW_DROP_COUNT;
	if (i < CORR_WHY_COUNT)
		return corr_why_name((enum corr_why)i);
	i -= CORR_WHY_COUNT;
	if (i < NET_PERR_COUNT)
		return i == NET_PERR_OK ? NULL : net_perr_name((enum net_perr)i);
	i -= NET_PERR_COUNT;
	if (i < TCP_V_COUNT) {
		if (i == TCP_V_OK || i == TCP_V_OLD)
			return NULL;
		return prefixed(text, "tcp-", tcp_verdict_name((enum tcp_verdict)i));
	}
	i -= TCP_V_COUNT;
	if (i < TCP_I_COUNT) {
		if (i != TCP_I_SEQUENCE && i != TCP_I_BAD_SIZE && i != TCP_I_CLOSED)
			return NULL;
		return prefixed(text, "icmp-", tcp_icmp_name((enum tcp_icmp_verdict)i));
	}
	return prefixed(text, "deny-", ib_reason_name((enum ib_reason)(i - TCP_I_COUNT)));
}

json_t *gw_drops_json(const struct gw_stats *s)
{
	const uint64_t *v = gw_whys((struct gw_stats *)s);
	json_t *o = json_object();
	char text[GW_WHY_LEN];

	for (uint32_t i = 0; i < GW_WHYS; i++) {
		const char *name = v[i] ? gw_why_name(i, text) : NULL;

		if (name)
			put(o, "", name, v[i]);
	}
	return o;
}

json_t *gw_backs_json(const struct gw_stats *s)
{
	json_t *o = json_object();

	for (int i = 0; i < IB_R_COUNT; i++)
		put(o, "", ib_reason_name((enum ib_reason)i), s->back[i]);
	return o;
}

json_t *gw_stats_json(const struct gw_stats *s)
{
	const uint64_t *v = (const uint64_t *)s;
	json_t *o = json_object();

	for (size_t i = 0; i < N_STATS; i++)
		json_object_set_new(o, stat_names[i], json_integer((json_int_t)v[i]));
	json_object_set_new(o, "handback_reasons", gw_backs_json(s));
	json_object_set_new(o, "drops", gw_drops_json(s));
	return o;
}
