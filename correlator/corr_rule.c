/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * corr_rule.c - ordered rules, looked through from the first to the last.
 *
 * Why a list and not a classifier such as rte_acl: rules are asked once per flow, not per packet
 * (established ones are in the connection table), so 1000 of them cost what some packets do (see
 * `test_corr_rule`, which prints it); a list says by itself which rule and which field decided;
 * and it can be changed at any time without building a trie. What is compared lies in one array of
 * cache lines apart from names and limits, the cheap fields are asked first.
 */
#include "correlator/corr_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What is compared of a rule. */
struct match {
	uint64_t src[2], src_mask[2]; /* network byte order, masked already */
	uint64_t dst[2], dst_mask[2]; /* the same */
	uint16_t sport[2], dport[2];  /* from, to */
	uint8_t proto;		      /* 0: any */
	uint8_t iface;		      /* CORR_IFACE_ANY: any */
};

struct corr_rules {
	struct match *match;	    /* of each rule */
	struct corr_rule *rule;	    /* the same in full */
	uint32_t n, max;	    /* used, allocated */
	enum corr_action otherwise; /* where none fits */
};

static const char *const action_names[] = {
#define _(sym, name) name,
	CORR_FOREACH_ACTION(_)
#undef _
};

const char *corr_action_name(enum corr_action a)
{
	return action_names[a];
}

const char *corr_fields_str(uint32_t fields, char *buf, size_t room)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} all[] = {
#define _(sym, name, bit) {name, bit},
		CORR_FOREACH_FIELD(_)
#undef _
	};
	size_t n = 0;

	snprintf(buf, room, "none");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (fields & all[i].bit && n < room)
			n += (size_t)snprintf(buf + n, room - n, "%s%s", n ? "," : "", all[i].name);
	return buf;
}

struct corr_rules *corr_rules_new(uint32_t max, enum corr_action otherwise)
{
	struct corr_rules *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->max = max;
	l->otherwise = otherwise;
	l->match = calloc(max + 1, sizeof(*l->match));
	l->rule = calloc(max + 1, sizeof(*l->rule));
	if (!l->match || !l->rule) {
		corr_rules_free(l);
		return NULL;
	}
	return l;
}

void corr_rules_free(struct corr_rules *l)
{
	if (!l)
		return;
	free(l->match);
	free(l->rule);
	free(l);
}

/* A prefix as masked words. */
static void compile_prefix(const struct corr_prefix *p, uint64_t addr[2], uint64_t mask[2])
{
	uint8_t m[16] = {0};

	for (uint32_t i = 0; i < p->len; i++)
		m[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(mask, m, 16);
	memcpy(addr, p->addr, 16);
	addr[0] &= mask[0];
	addr[1] &= mask[1];
}

int corr_rules_add(struct corr_rules *l, const struct corr_rule *r)
{
	struct match *m = &l->match[l->n];

	if (l->n == l->max || l->n == CORR_NONE)
		return ENOSPC;
	if (r->sport[0] > r->sport[1] || r->dport[0] > r->dport[1] || r->src.len > 128 ||
	    r->dst.len > 128 || r->id >= CORR_MAX_RULES ||
	    (r->action == CORR_VIA) != (r->via != CORR_NONE))
		return EINVAL;
	compile_prefix(&r->src, m->src, m->src_mask);
	compile_prefix(&r->dst, m->dst, m->dst_mask);
	memcpy(m->sport, r->sport, sizeof(m->sport));
	memcpy(m->dport, r->dport, sizeof(m->dport));
	m->proto = r->proto;
	m->iface = r->iface;
	l->rule[l->n++] = *r;
	return 0;
}

uint32_t corr_rules_count(const struct corr_rules *l)
{
	return l->n;
}

const struct corr_rule *corr_rules_at(const struct corr_rules *l, uint32_t i)
{
	return &l->rule[i];
}

enum corr_action corr_rules_otherwise(const struct corr_rules *l)
{
	return l->otherwise;
}

static bool in_prefix(const uint64_t a[2], const uint64_t net[2], const uint64_t mask[2])
{
	return (((a[0] & mask[0]) ^ net[0]) | ((a[1] & mask[1]) ^ net[1])) == 0;
}

uint16_t corr_rules_match(const struct corr_rules *l, const struct corr_head *h)
{
	uint64_t src[2], dst[2];

	memcpy(src, h->src, 16);
	memcpy(dst, h->dst, 16);
	for (uint32_t i = 0; i < l->n; i++) {
		const struct match *m = &l->match[i];

		if ((m->proto && m->proto != h->proto) || h->dport < m->dport[0] ||
		    h->dport > m->dport[1] || h->sport < m->sport[0] || h->sport > m->sport[1] ||
		    (m->iface != CORR_IFACE_ANY && m->iface != h->iface))
			continue;
		if (in_prefix(src, m->src, m->src_mask) && in_prefix(dst, m->dst, m->dst_mask))
			return (uint16_t)i;
	}
	return CORR_NONE;
}

uint32_t corr_rules_fields(const struct corr_rules *l, uint32_t i)
{
	const struct corr_rule *r = &l->rule[i];

	return (r->proto ? CORR_F_PROTO : 0u) | (r->iface != CORR_IFACE_ANY ? CORR_F_IFACE : 0u) |
	       (r->src.len ? CORR_F_SRC : 0u) | (r->dst.len ? CORR_F_DST : 0u) |
	       (r->sport[0] || r->sport[1] != UINT16_MAX ? CORR_F_SPORT : 0u) |
	       (r->dport[0] || r->dport[1] != UINT16_MAX ? CORR_F_DPORT : 0u);
}

uint32_t corr_rules_misfit(const struct corr_rules *l, uint32_t i, const struct corr_head *h)
{
	const struct match *m = &l->match[i];
	uint64_t src[2], dst[2];
	uint32_t bad = 0;

	memcpy(src, h->src, 16);
	memcpy(dst, h->dst, 16);
	if (m->proto && m->proto != h->proto)
		bad |= CORR_F_PROTO;
	if (m->iface != CORR_IFACE_ANY && m->iface != h->iface)
		bad |= CORR_F_IFACE;
	if (h->dport < m->dport[0] || h->dport > m->dport[1])
		bad |= CORR_F_DPORT;
	if (h->sport < m->sport[0] || h->sport > m->sport[1])
		bad |= CORR_F_SPORT;
	if (!in_prefix(src, m->src, m->src_mask))
		bad |= CORR_F_SRC;
	if (!in_prefix(dst, m->dst, m->dst_mask))
		bad |= CORR_F_DST;
	return bad;
}
