/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_diff.c - what differs between two configurations: sections that came and went, keys
 * with another value, and another order where the first that fits decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_reload.h"

/** A comparison. */
struct compare {
	void (*fn)(void *ctx, const struct gw_diff *d); /* is told */
	void *ctx;					/* its own */
	int rc;						/* ENOMEM, or 0 so far */
};

/** Sections of a kind that come several times, in both configurations. */
struct repeated {
	enum gw_section section; /* their keys */
	const char *kind;	 /* in the file */
	size_t stride;		 /* of an array of structures that begin with their name */
	const char *old, *new;	 /* arrays */
	uint32_t n_old, n_new;	 /* their lengths */
	bool restart;		 /* one that comes or goes needs a restart */
	bool ordered;		 /* the first that fits decides */
};

static const char *const kind_names[] = {
#define _(sym, name) name,
	GW_FOREACH_DIFF(_)
#undef _
};

const char *gw_diff_kind_name(enum gw_diff_kind k)
{
	return kind_names[k];
}

/* Tells about a key when its values differ. */
static void compare_key(struct compare *c, const struct gw_key *k, const char *title,
			const void *old, const void *new)
{
	char *a = gw_config_text(k, old), *b = gw_config_text(k, new);
	const bool secret = k->type == KEY_SECRET;
	const struct gw_diff d = {.kind = GW_DIFF_CHANGED,
				  .section = title,
				  .key = k->name,
				  .old = secret ? "(secret)" : a,
				  .new = secret ? "(another)" : b,
				  .restart = k->reload == GW_RELOAD_RESTART};

	if (!a || !b)
		c->rc = ENOMEM;
	else if (strcmp(a, b))
		c->fn(c->ctx, &d);
	free(a);
	free(b);
}

static void compare_keys(struct compare *c, enum gw_section s, const char *title, const void *old,
			 const void *new)
{
	for (size_t i = 0; i < gw_n_keys; i++)
		if (gw_keys[i].section == s)
			compare_key(c, &gw_keys[i], title, old, new);
}

/* A server that leaves, or the place of one that has left. */
static bool gone(const struct repeated *r, const char *entry)
{
	const struct gw_server_cfg *s = (const struct gw_server_cfg *)entry;

	return r->section == GW_SEC_SERVER && (s->leaving || !*s->name);
}

/* The entry of a name, or NULL. */
static const char *find(const struct repeated *r, const char *array, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *e = array + i * r->stride;

		if (!gone(r, e) && strcmp(e, name) == 0)
			return e;
	}
	return NULL;
}

static void came_or_went(struct compare *c, const struct repeated *r, enum gw_diff_kind kind,
			 const char *title)
{
	const struct gw_diff d = {.kind = kind, .section = title, .restart = r->restart};

	c->fn(c->ctx, &d);
}

/* Names of an array that the other one has too, in their order. NULL: no memory. */
static char *common(const struct repeated *r, const char *array, uint32_t n, const char *other,
		    uint32_t n_other)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool first = true;

	if (!f)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		const char *name = array + i * r->stride;

		if (!find(r, other, n_other, name))
			continue;
		fprintf(f, "%s%s", first ? "" : " ", name);
		first = false;
	}
	fclose(f);
	return text;
}

static void compare_order(struct compare *c, const struct repeated *r)
{
	char *a = common(r, r->old, r->n_old, r->new, r->n_new);
	char *b = common(r, r->new, r->n_new, r->old, r->n_old);
	const struct gw_diff d = {.kind = GW_DIFF_ORDER, .section = r->kind, .old = a, .new = b};

	if (!a || !b)
		c->rc = ENOMEM;
	else if (strcmp(a, b))
		c->fn(c->ctx, &d);
	free(a);
	free(b);
}

static void compare_repeated(struct compare *c, const struct repeated *r)
{
	char title[GW_NAMELEN + 16];

	for (uint32_t i = 0; i < r->n_old; i++) {
		const char *e = r->old + i * r->stride;

		snprintf(title, sizeof(title), "%s \"%s\"", r->kind, e);
		if (!gone(r, e) && !find(r, r->new, r->n_new, e))
			came_or_went(c, r, GW_DIFF_REMOVED, title);
	}
	for (uint32_t i = 0; i < r->n_new; i++) {
		const char *e = r->new + i * r->stride;
		const char *old = find(r, r->old, r->n_old, e);

		if (gone(r, e))
			continue;
		snprintf(title, sizeof(title), "%s \"%s\"", r->kind, e);
		if (old)
			compare_keys(c, r->section, title, old, e);
		else
			came_or_went(c, r, GW_DIFF_ADDED, title);
	}
	if (r->ordered)
		compare_order(c, r);
}

int gw_config_diff(const struct gw_cfg *old, const struct gw_cfg *new,
		   void (*fn)(void *ctx, const struct gw_diff *d), void *ctx)
{
	struct compare c = {.fn = fn, .ctx = ctx};
#define REPEATED(sec, kind_, member, restart_, ordered_)                                          \
	{                                                                                         \
		.section = GW_SEC_##sec, .kind = kind_, .stride = sizeof(old->member[0]),         \
		.old = old->member[0].name, .new = new->member[0].name, .n_old = old->n_##member, \
		.n_new = new->n_##member, .restart = restart_, .ordered = ordered_                \
	}
	const struct repeated lists[] = {
		REPEATED(PORT, "port", port, true, false),
		REPEATED(SERVER, "server", server, false, false),
		REPEATED(SERVICE, "service", service, false, true),
		REPEATED(RULE, "rule", rule, false, true),
	};
#undef REPEATED

	compare_keys(&c, GW_SEC_GATEWAY, "gateway", old, new);
	compare_keys(&c, GW_SEC_FABRIC, "fabric", old, new);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		compare_repeated(&c, &lists[i]);
	return c.rc;
}
