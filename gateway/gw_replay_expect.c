/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_expect.c - the file `expect`: what must be true of a case, whoever recorded its
 * outputs. docs/replay.md lists the kinds of lines.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_replay.h"

/* Packets of a stream: operations of the fabric, or frames of a port. */
static uint32_t stream_n(const struct gw_rep *r, int port)
{
	return port < 0 ? r->n_op : r->port[port].out.n;
}

static void view(const struct gw_rep *r, int port, uint32_t i, struct gw_rep_view *v)
{
	if (port < 0)
		gw_rep_view_op(v, &r->op[i]);
	else
		gw_rep_view_frame(v, &r->port[port].out.v[i]);
}

/* Index of a stream by name: -1 the fabric; -2 (told): none. */
static int stream_of(struct gw_rep *r, const struct gw_rep_line *l)
{
	if (l->n > 1 && strcmp(l->word[1], "fabric") == 0)
		return -1;
	for (uint32_t i = 0; l->n > 1 && i < r->cfg->n_port; i++)
		if (strcmp(l->word[1], r->cfg->port[i].name) == 0)
			return (int)i;
	gw_rep_fail_at(r, &r->expect, l, "second word: allowed: fabric, or the name of a port");
	return -2;
}

/* "a OP b". False: no such comparison. */
static bool holds(uint64_t a, const char *op, uint64_t b, bool *yes)
{
	if (strcmp(op, "=") == 0)
		*yes = a == b;
	else if (strcmp(op, "!=") == 0)
		*yes = a != b;
	else if (strcmp(op, ">=") == 0)
		*yes = a >= b;
	else if (strcmp(op, "<=") == 0)
		*yes = a <= b;
	else
		return false;
	return true;
}

/* Checks "WHAT... OP NUMBER" at the end of a line. */
static void check_number(struct gw_rep *r, const struct gw_rep_line *l, const char *what,
			 uint64_t have)
{
	const char *op = l->n > 2 ? l->word[l->n - 2] : "";
	uint64_t want = strtoull(l->word[l->n - 1], NULL, 0);
	bool yes;

	if (!holds(have, op, want, &yes))
		gw_rep_fail_at(r, &r->expect, l, "ends in = != >= or <= and a number");
	else if (!yes)
		gw_rep_fail_at(r, &r->expect, l, "%s is %llu, expected %s %llu", what,
			       (unsigned long long)have, op, (unsigned long long)want);
}

/* A counter, or all in an object. */
static uint64_t total(const json_t *v)
{
	uint64_t sum = (uint64_t)json_integer_value(v);
	const char *key;
	json_t *one;

	json_object_foreach((json_t *)v, key, one) sum += total(one);
	return sum;
}

/* counter NAME OP NUMBER, with dots into objects; a counter that is not there is 0. */
static void line_counter(struct gw_rep *r, const struct gw_rep_line *l)
{
	char name[128], *rest = name, *word;
	struct gw_stats sum;
	json_t *all, *v;

	gw_stats_sum(r->gw, &sum);
	all = v = gw_stats_json(&sum);
	snprintf(name, sizeof(name), "%s", l->n > 1 ? l->word[1] : "");
	while (v && (word = strsep(&rest, ".")))
		v = json_object_get(v, word);
	if (!v && !strchr(l->n > 1 ? l->word[1] : "", '.'))
		gw_rep_fail_at(r, &r->expect, l, "no counter of that name");
	else
		check_number(r, l, l->word[1], total(v));
	json_decref(all);
}

/* count STREAM [FIELD=VALUE...] OP NUMBER */
static void line_count(struct gw_rep *r, const struct gw_rep_line *l)
{
	struct gw_rep_line fields = *l;
	int port = stream_of(r, l), rc = 0;
	uint32_t n = 0, bad = 0;
	struct gw_rep_view v;

	if (port == -2)
		return;
	fields.n = l->n > 4 ? l->n - 2 : 2;
	for (uint32_t i = 0; i < stream_n(r, port) && rc != EINVAL; i++) {
		view(r, port, i, &v);
		n += gw_rep_match(&v, &fields, 2, &bad, &rc);
	}
	if (rc == EINVAL)
		gw_rep_fail_at(r, &r->expect, l, "%s: no such field", l->word[bad]);
	else
		check_number(r, l, "the number of such packets", n);
}

/* packet STREAM NUMBER FIELD=VALUE... */
static void line_packet(struct gw_rep *r, const struct gw_rep_line *l)
{
	int port = stream_of(r, l), rc = 0;
	uint32_t at = l->n > 2 ? (uint32_t)strtoul(l->word[2], NULL, 0) : 0, bad = 0;
	char got[4096] = "nothing", name[64];
	struct gw_rep_view v;

	if (port == -2)
		return;
	if (at < 1 || at > stream_n(r, port)) {
		gw_rep_fail_at(r, &r->expect, l, "there are %u packets", stream_n(r, port));
		return;
	}
	view(r, port, at - 1, &v);
	if (gw_rep_match(&v, l, 3, &bad, &rc))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(l->word[bad], "!="), l->word[bad]);
	if (rc == EINVAL) {
		gw_rep_fail_at(r, &r->expect, l, "%s: no such field", l->word[bad]);
		return;
	}
	gw_rep_field(&v, name, got, sizeof(got));
	gw_rep_fail_at(r, &r->expect, l, "packet %u of %s has %s=%s, expected %s", at, l->word[1],
		       name, got, l->word[bad]);
}

/* sequence STREAM FIELD=VALUE...: a packet like this after the one of the sequence line before. */
static void line_sequence(struct gw_rep *r, const struct gw_rep_line *l, uint32_t *at)
{
	int port = stream_of(r, l), rc = 0;
	uint32_t *next, bad = 0;
	struct gw_rep_view v;

	if (port == -2)
		return;
	next = &at[port + 1];
	for (uint32_t i = *next; i < stream_n(r, port) && rc != EINVAL; i++) {
		view(r, port, i, &v);
		if (gw_rep_match(&v, l, 2, &bad, &rc)) {
			*next = i + 1;
			return;
		}
	}
	if (rc == EINVAL)
		gw_rep_fail_at(r, &r->expect, l, "%s: no such field", l->word[bad]);
	else
		gw_rep_fail_at(r, &r->expect, l, "no such packet in %s after number %u", l->word[1],
			       *next);
}

/* received CONN TEXT, or received CONN bytes=N */
static void line_received(struct gw_rep *r, const struct gw_rep_line *l)
{
	const struct gw_rep_conn *c = l->n > 2 ? gw_rep_conn_named(r, l->word[1]) : NULL;
	bool ok;

	if (!c) {
		gw_rep_fail_at(r, &r->expect, l, "received CONNECTION TEXT, or bytes=NUMBER");
		return;
	}
	if (gw_rep_arg(l, "bytes", NULL))
		ok = c->n_got == gw_rep_num(l, "bytes", 0);
	else
		ok = c->n_got == l->len[2] && memcmp(c->got, l->word[2], c->n_got) == 0;
	if (!ok)
		gw_rep_fail_at(r, &r->expect, l, "its program was given %u bytes: %.*s", c->n_got,
			       (int)RTE_MIN(c->n_got, 200u), c->got ? (const char *)c->got : "");
}

/* conn CONN state=STATE [reason=REASON] */
static void line_conn(struct gw_rep *r, const struct gw_rep_line *l)
{
	const struct gw_rep_conn *c = l->n > 2 ? gw_rep_conn_named(r, l->word[1]) : NULL;
	const char *state = gw_rep_arg(l, "state", NULL), *why = gw_rep_arg(l, "reason", NULL);

	if (!c || !state)
		gw_rep_fail_at(r, &r->expect, l, "conn CONNECTION state=STATE [reason=REASON]");
	else if (strcmp(state, gw_rep_state_name(c->state)) ||
		 (why && strcmp(why, ib_reason_name(c->reason))))
		gw_rep_fail_at(r, &r->expect, l, "it is %s, reason %s", gw_rep_state_name(c->state),
			       ib_reason_name(c->reason));
}

/* answer NUMBER has TEXT: the gateway's answer to its n-th command, as compact JSON. */
static void line_answer(struct gw_rep *r, const struct gw_rep_line *l)
{
	uint32_t at = l->n > 3 ? (uint32_t)strtoul(l->word[1], NULL, 0) : 0;
	char *text = json_dumps(json_array_get(r->answers, at - 1), JSON_COMPACT | JSON_SORT_KEYS);

	if (!text || (strstr(text, l->word[3]) != NULL) != (strcmp(l->word[2], "has") == 0))
		gw_rep_fail_at(r, &r->expect, l, "the answer is %.2000s",
			       text ? text : "not there");
	free(text);
}

void gw_rep_expect(struct gw_rep *r)
{
	char path[GW_REP_PATH + 16];
	uint32_t at[GW_MAX_PORTS + 1] = {0};

	snprintf(path, sizeof(path), "%s/expect", r->dir);
	if (gw_rep_script_read(&r->expect, path, false)) {
		gw_rep_fail(r, "a case says in its file \"expect\" what must be true of it");
		return;
	}
	for (uint32_t i = 0; i < r->expect.n; i++) {
		const struct gw_rep_line *l = &r->expect.line[i];
		const char *kind = l->word[0];

		if (strcmp(kind, "counter") == 0)
			line_counter(r, l);
		else if (r->figure)
			continue; /* no output was kept */
		else if (strcmp(kind, "count") == 0)
			line_count(r, l);
		else if (strcmp(kind, "packet") == 0)
			line_packet(r, l);
		else if (strcmp(kind, "sequence") == 0)
			line_sequence(r, l, at);
		else if (strcmp(kind, "received") == 0)
			line_received(r, l);
		else if (strcmp(kind, "conn") == 0)
			line_conn(r, l);
		else if (strcmp(kind, "answer") == 0)
			line_answer(r, l);
		else if (strcmp(kind, "mask") != 0)
			gw_rep_fail_at(r, &r->expect, l,
				       "\"%s\": allowed: counter, count, packet, sequence, "
				       "received, conn, answer, mask",
				       kind);
	}
}
