/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault rules as text: KEY=VALUE words, one of them the kind.  docs/softhca-fault.1 has them all.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

/* What is known of each kind. */
static const struct {
	const char *word;	/* its name */
	enum fault_value value; /* what comes behind the = */
	uint32_t ops, types;	/* what it is about */
	uint32_t times;		/* default count; 0: no end */
} kinds[] = {
#define X(name, word, value, ops, types, times) {word, value, ops, types, times},
	FAULT_KINDS(X)
#undef X
};

static const struct {
	const char *word; /* as given */
	uint32_t bit;	  /* enum fault_op or enum fault_type */
} ops[] = {{"read", FAULT_OP_READ},
	   {"write", FAULT_OP_WRITE},
	   {"send", FAULT_OP_SEND},
	   {"atomic", FAULT_OP_ATOMIC}},
  types[] = {{"rc", FAULT_RC}, {"uc", FAULT_UC}, {"ud", FAULT_UD}};

/* Name of @kind. */
const char *fault_kind_name(uint32_t kind)
{
	return kind < FAULT_N_KINDS ? kinds[kind].word : "?";
}

/* Makes @r the rule that matches everything and does nothing yet. */
void fault_rule_init(struct fault_rule *r)
{
	memset(r, 0, sizeof(*r));
	r->kind = FAULT_N_KINDS;
	r->chance = 100;
	atomic_store(&r->left, 0);
}

static int number(const char *s, double max, double *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return EINVAL;
	*out = !strncmp(s, "0x", 2) ? (double)strtoull(s, &end, 16) : strtod(s, &end);
	return *end || *out > max ? EINVAL : 0;
}

static int parse_kind(struct fault_rule *r, uint32_t kind, const char *val, char *why, size_t len)
{
	enum fault_value v = kinds[kind].value;

	if (r->kind != FAULT_N_KINDS) {
		snprintf(why, len, "one rule has one kind: %s or %s", kinds[r->kind].word,
			 kinds[kind].word);
		return EINVAL;
	}
	r->kind = kind;
	if (!val && (v == FAULT_V_NONE || v == FAULT_V_MS_OPT))
		return 0;
	if (v == FAULT_V_NONE) {
		snprintf(why, len, "%s takes no value", kinds[kind].word);
		return EINVAL;
	}
	if (!val || number(val, v == FAULT_V_PERCENT ? 100 : 3600000, &r->value)) {
		snprintf(why, len, "%s wants %s", kinds[kind].word,
			 v == FAULT_V_PERCENT ? "0 to 100 (per cent)" : "0 to 3600000 (ms)");
		return EINVAL;
	}
	return 0;
}

static int parse_set(const char *key, const char *val, uint32_t *set, char *why, size_t len)
{
	bool op = !strcmp(key, "op");
	size_t n = op ? sizeof(ops) / sizeof(ops[0]) : sizeof(types) / sizeof(types[0]);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(val, op ? ops[i].word : types[i].word)) {
			*set = op ? ops[i].bit : types[i].bit;
			return 0;
		}
	snprintf(why, len, "%s=%s: %s", key, val,
		 op ? "read, write, send or atomic" : "rc, uc or ud");
	return EINVAL;
}

/* A selector of one end, without its "to-". */
static int parse_end(struct fault_end *e, const char *key, double n, const char *val)
{
	if (!strcmp(key, "proc"))
		snprintf(e->proc, sizeof(e->proc), "%.*s", (int)sizeof(e->proc) - 1, val);
	else if (!strcmp(key, "pid"))
		e->pid = (uint32_t)(n < 0 ? 0 : n);
	else if (!strcmp(key, "lid"))
		e->lid = (uint32_t)(n < 0 ? 0 : n);
	else if (!strcmp(key, "qpn"))
		e->qpn = (uint32_t)(n < 0 ? 0 : n);
	else
		return ENOENT;
	return n < 0 && strcmp(key, "proc") ? EINVAL : 0;
}

/* How often, of a rule: @key, one of four, is @n. */
static void set_times(struct fault_rule *r, const char *key, double n)
{
	if (!strcmp(key, "count"))
		atomic_store(&r->left, n == 0 ? FAULT_UNLIMITED : (uint32_t)n);
	else if (!strcmp(key, "after"))
		atomic_store(&r->after, (uint32_t)n);
	else if (!strcmp(key, "seed"))
		r->seed = (uint64_t)n;
	else
		r->chance = n;
}

static int parse_pair(struct fault_rule *r, const char *key, const char *val, char *why, size_t len)
{
	double n = -1;
	int rc;

	if (!strcmp(key, "op"))
		return parse_set(key, val, &r->ops, why, len);
	if (!strcmp(key, "type"))
		return parse_set(key, val, &r->types, why, len);
	rc = number(val, 4294967294.0, &n);
	if (rc)
		n = -1;
	if (!strncmp(key, "to-", 3))
		rc = parse_end(&r->to, key + 3, n, val);
	else if (strcmp(key, "count") && strcmp(key, "after") && strcmp(key, "seed") &&
		 strcmp(key, "chance"))
		rc = parse_end(&r->from, key, n, val);
	else if (!rc)
		set_times(r, key, n);
	if (rc == ENOENT)
		snprintf(why, len, "unknown key: %s", key);
	else if (rc)
		snprintf(why, len, "%s=%s: not a number it can be", key, val);
	return rc;
}

/* Adds one word to rule @r.  Returns 0, or EINVAL and the reason in @why (@len bytes). */
int fault_parse_word(struct fault_rule *r, const char *word, char *why, size_t len)
{
	const char *eq = strchr(word, '=');
	char key[24];

	snprintf(key, sizeof(key), "%.*s", eq ? (int)(eq - word) : (int)strlen(word), word);
	for (uint32_t k = 0; k < FAULT_N_KINDS; k++)
		if (!strcmp(key, kinds[k].word))
			return parse_kind(r, k, eq ? eq + 1 : NULL, why, len);
	if (!eq || !eq[1]) {
		snprintf(why, len, "%s: not a kind of fault, nor KEY=VALUE", word);
		return EINVAL;
	}
	return parse_pair(r, key, eq + 1, why, len) ? EINVAL : 0;
}

/* Fills in what was left out and sets the rule's clock and generator.  Returns 0 or EINVAL. */
int fault_rule_finish(struct fault_rule *r, char *why, size_t len)
{
	if (r->kind >= FAULT_N_KINDS) {
		snprintf(why, len, "no kind of fault is named");
		return EINVAL;
	}
	if (!r->ops)
		r->ops = kinds[r->kind].ops;
	if (!r->types)
		r->types = kinds[r->kind].types;
	if (!atomic_load(&r->left))
		atomic_store(&r->left,
			     kinds[r->kind].times ? kinds[r->kind].times : FAULT_UNLIMITED);
	atomic_store(&r->rng, r->seed ? r->seed : fault_now());
	if (r->kind == FAULT_PORT_DOWN && r->value > 0)
		atomic_store(&r->until_ns, fault_now() + (uint64_t)(r->value * 1e6));
	return 0;
}

/* Reads a whole rule, words between blanks.  Returns 0, or EINVAL and the reason in @why. */
int fault_parse(struct fault_rule *r, const char *text, char *why, size_t len)
{
	char buf[512], *save = NULL, *w;
	int rc = 0;

	fault_rule_init(r);
	snprintf(buf, sizeof(buf), "%s", text);
	for (w = strtok_r(buf, " \t\n", &save); w && !rc; w = strtok_r(NULL, " \t\n", &save))
		rc = fault_parse_word(r, w, why, len);
	return rc ? rc : fault_rule_finish(r, why, len);
}

static void format_end(const struct fault_end *e, const char *to, char **at, const char *end)
{
	const struct {
		const char *key; /* selector */
		uint32_t val;	 /* 0: any */
	} f[] = {{"pid", e->pid}, {"lid", e->lid}, {"qpn", e->qpn}};

	if (e->proc[0])
		*at += snprintf(*at, (size_t)(end - *at), " %sproc=%s", to, e->proc);
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		if (f[i].val)
			*at += snprintf(*at, (size_t)(end - *at), " %s%s=%u", to, f[i].key,
					f[i].val);
}

/* Writes @r as words into @out; @len at least 512. */
void fault_format(const struct fault_rule *r, char *out, size_t len)
{
	uint32_t left = atomic_load(&r->left), after = atomic_load(&r->after);
	char *at = out, *end = out + len;

	at += snprintf(at, len, "%s", fault_kind_name(r->kind));
	if (r->value > 0)
		at += snprintf(at, (size_t)(end - at), "=%g", r->value);
	format_end(&r->from, "", &at, end);
	format_end(&r->to, "to-", &at, end);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (r->ops == ops[i].bit)
			at += snprintf(at, (size_t)(end - at), " op=%s", ops[i].word);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (r->types == types[i].bit)
			at += snprintf(at, (size_t)(end - at), " type=%s", types[i].word);
	if (r->chance < 100)
		at += snprintf(at, (size_t)(end - at), " chance=%g", r->chance);
	if (after)
		at += snprintf(at, (size_t)(end - at), " after=%u", after);
	if (left != FAULT_UNLIMITED)
		at += snprintf(at, (size_t)(end - at), " left=%u", left);
	snprintf(at, (size_t)(end - at), " hits=%u", atomic_load(&r->hits));
}
