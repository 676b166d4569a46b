/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_reload.c - reloads as the operator sees them: looked through, put into force, counted, undone
 * when nobody confirms; and the places of servers that have left. gw_reload.h has the theory.
 */
#define GW_LOG_MODULE GW_LM_CONFIG
#include "gateway/gw_reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/gw_notify.h"

#define TICK_MS 1000 /* between two looks at servers that leave */

/* Everything that still refers to numbers of the configuration in force. */
static void in_use(struct gw *gw, struct gw_in_use *use)
{
	memset(use, 0, sizeof(*use));
	use->room = gw->room_servers;
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		const struct gw_host *h = &gw->host[i];

		use->server[i].busy = h->state != GW_HOST_ABSENT || atomic_load(&h->accelerated) ||
				      atomic_load(&gw->live->server[i].conns);
		if (h->state == GW_HOST_ABSENT)
			continue;
		use->server[i].addr = h->addr;
		use->server[i].n_addr = h->n_addr;
	}
	for (uint32_t i = 0; i < CORR_MAX_SERVICES; i++)
		use->service[i] = atomic_load(&gw->live->service_conns[i]) ||
				  atomic_load(&gw->service_accelerated[i]);
	for (uint32_t i = 0; i < CORR_MAX_RULES; i++)
		use->rule[i] = atomic_load(&gw->live->rule_conns[i]);
}

/* A difference into the list of changes. */
static void on_diff(void *ctx, const struct gw_diff *d)
{
	struct gw_plan *plan = ctx;
	json_t *o = json_pack("{s:s, s:s, s:s}", "what", gw_diff_kind_name(d->kind), "section",
			      d->section, "reload", d->restart ? "restart" : "live");

	plan->restarts += d->restart;
	if (d->key)
		json_object_set_new(o, "key", json_string(d->key));
	if (d->old)
		json_object_set_new(o, "old", json_string(d->old));
	if (d->new)
		json_object_set_new(o, "new", json_string(d->new));
	json_array_append_new(plan->changes, o);
}

/* Names what needs a restart. */
static void tell_restarts(const struct gw_plan *plan, FILE *err)
{
	const json_t *o;
	size_t i;

	json_array_foreach(plan->changes, i, o)
	{
		const char *key = json_string_value(json_object_get(o, "key"));

		if (strcmp(json_string_value(json_object_get(o, "reload")), "restart"))
			continue;
		fprintf(err, "[%s]%s%s: %s; this needs a restart\n",
			json_string_value(json_object_get(o, "section")), key ? " " : "",
			key ? key : "", json_string_value(json_object_get(o, "what")));
	}
}

/* Compares plan->next with what is in force and places it. */
static int plan_next(struct gw *gw, struct gw_plan *plan, FILE *err)
{
	struct gw_in_use *use = malloc(sizeof(*use));
	int rc = ENOMEM;

	plan->changes = json_array();
	if (use && plan->changes)
		rc = gw_config_diff(gw->cfg, plan->next, on_diff, plan);
	if (rc == 0 && plan->restarts) {
		tell_restarts(plan, err);
		rc = EINVAL;
	}
	if (rc == 0) {
		in_use(gw, use);
		rc = gw_config_place(plan->next, gw->cfg, use, err);
	}
	if (rc == ENOMEM)
		fprintf(err, "out of memory\n");
	free(use);
	return rc;
}

int gw_plan_file(struct gw *gw, const char *file, struct gw_plan *plan, FILE *err)
{
	int rc;

	*plan = (struct gw_plan){.next = malloc(sizeof(*plan->next))};
	if (!plan->next)
		return ENOMEM;
	rc = gw_config_load(file, plan->next, err);
	return rc ? rc : plan_next(gw, plan, err);
}

int gw_plan_cfg(struct gw *gw, const struct gw_cfg *cfg, struct gw_plan *plan, FILE *err)
{
	*plan = (struct gw_plan){.next = malloc(sizeof(*plan->next))};
	if (!plan->next)
		return ENOMEM;
	gw_config_pure(plan->next, cfg);
	return plan_next(gw, plan, err);
}

void gw_plan_free(struct gw_plan *plan)
{
	free(plan->next);
	json_decref(plan->changes);
	*plan = (struct gw_plan){0};
}

/* One line per change, for whoever reads the log later. */
static void log_changes(const struct gw_plan *plan)
{
	const json_t *o;
	size_t i;

	json_array_foreach(plan->changes, i, o)
	{
		const char *key = json_string_value(json_object_get(o, "key"));
		const char *old = json_string_value(json_object_get(o, "old"));
		const char *new = json_string_value(json_object_get(o, "new"));

		gw_log(GW_LOG_NOTICE, "[%s]%s%s %s%s%s%s%s",
		       json_string_value(json_object_get(o, "section")), key ? " " : "",
		       key ? key : "", json_string_value(json_object_get(o, "what")),
		       old ? ": " : "", old ? old : "", old ? " -> " : "", new ? new : "");
	}
}

int gw_reload_apply(struct gw *gw, struct gw_plan *plan, const char *what)
{
	struct gw_reload *r = gw->reload;
	int rc = gw_reload_swap(gw, plan->next);

	if (rc) {
		gw_reload_failed(gw, what, strerror(rc));
		return rc;
	}
	gw_log_configure(plan->next);
	plan->next = NULL;
	r->done++;
	r->last_s = (int64_t)time(NULL);
	r->error[0] = '\0';
	log_changes(plan);
	gw_log(GW_LOG_NOTICE, "%s: in force, %zu change%s", what, json_array_size(plan->changes),
	       json_array_size(plan->changes) == 1 ? "" : "s");
	return 0;
}

void gw_reload_clean(char *text)
{
	json_t *v = json_string(text);

	for (; !v && *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
	json_decref(v);
}

void gw_reload_failed(struct gw *gw, const char *what, const char *why)
{
	struct gw_reload *r = gw->reload;

	r->failed++;
	r->error[0] = '\0';
	while (*why) {
		const int n = (int)strcspn(why, "\n");
		char line[sizeof(r->error)];

		snprintf(line, sizeof(line), "%.*s", n, why);
		gw_reload_clean(line);
		gw_log(GW_LOG_ERROR, "%s: refused: %s", what, line);
		if (!*r->error)
			memcpy(r->error, line, sizeof(line));
		why += n;
		why += strspn(why, "\n");
	}
}

int gw_reload_file(struct gw *gw)
{
	struct gw_plan plan = {0};
	char *text = NULL;
	size_t len;
	FILE *err = open_memstream(&text, &len);
	int rc = ENOMEM;

	if (!err)
		return rc;
	gw_notify_reloading();
	if (gw->reload->before) {
		fprintf(err, "the last reload is not confirmed yet\n");
		rc = EBUSY;
	} else {
		rc = gw_plan_file(gw, gw->file, &plan, err);
	}
	fclose(err);
	if (rc)
		gw_reload_failed(gw, gw->file, text);
	else
		rc = gw_reload_apply(gw, &plan, gw->file);
	gw_plan_free(&plan);
	free(text);
	gw_notify_ready(gw);
	return rc;
}

/* Nobody confirmed in time. */
static void on_confirm(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct gw *gw = t->data;

	gw_log(GW_LOG_WARNING, "the last reload was not confirmed: going back");
	gw_reload_settle(gw, true);
}

void gw_reload_guard(struct gw *gw, struct gw_cfg *before, uint32_t seconds)
{
	struct gw_reload *r = gw->reload;

	r->before = before;
	ev_now_update(gw->ctl->loop);
	ev_timer_init(&r->confirm, on_confirm, seconds, 0.);
	r->confirm.data = gw;
	ev_timer_start(gw->ctl->loop, &r->confirm);
}

/* Puts the configuration before the last reload into force. */
static int go_back(struct gw *gw, const struct gw_cfg *before)
{
	static const char what[] = "configuration before the last reload";
	struct gw_plan plan = {0};
	char *text = NULL;
	size_t len;
	FILE *err = open_memstream(&text, &len);
	int rc;

	if (!err)
		return ENOMEM;
	gw_notify_reloading();
	rc = gw_plan_cfg(gw, before, &plan, err);
	fclose(err);
	if (rc)
		gw_reload_failed(gw, what, text);
	else
		rc = gw_reload_apply(gw, &plan, what);
	gw_plan_free(&plan);
	free(text);
	gw_notify_ready(gw);
	return rc;
}

int gw_reload_settle(struct gw *gw, bool back)
{
	struct gw_reload *r = gw->reload;
	struct gw_cfg *before = r->before;
	int rc = 0;

	if (!before)
		return ENOENT;
	ev_timer_stop(gw->ctl->loop, &r->confirm);
	r->before = NULL;
	if (back)
		rc = go_back(gw, before);
	else
		gw_log(GW_LOG_NOTICE, "the last reload is confirmed");
	free(before);
	return rc;
}

/* True when a server that leaves has nothing left to do. */
static bool idle(struct gw *gw, uint32_t i, const uint32_t n[GW_MAX_HOSTS])
{
	return !n[i] && !atomic_load(&gw->live->server[i].conns) &&
	       !atomic_load(&gw->host[i].accelerated);
}

/* The configuration in force without servers that have left; NULL: there are none. */
static struct gw_cfg *without_gone(struct gw *gw)
{
	const struct gw_cfg *now = gw->cfg;
	struct gw_cfg *next = NULL;

	for (uint32_t i = 0; i < now->n_server; i++) {
		if (!now->server[i].leaving || gw->host[i].state != GW_HOST_ABSENT ||
		    atomic_load(&gw->live->server[i].conns) ||
		    atomic_load(&gw->host[i].accelerated))
			continue;
		if (!next) {
			next = malloc(sizeof(*next));
			if (!next)
				return NULL;
			*next = *now;
		}
		gw_log(GW_LOG_NOTICE, "server %s: has left", now->server[i].name);
		memset(&next->server[i], 0, sizeof(next->server[i]));
	}
	while (next && next->n_server && !*next->server[next->n_server - 1].name)
		next->n_server--;
	return next;
}

void gw_reload_tick(struct gw *gw)
{
	const uint64_t now_ms = gw_now_us() / 1000;
	const struct gw_cfg *cfg = gw->cfg;
	uint32_t n[GW_MAX_HOSTS], leaving = 0;
	struct gw_cfg *next;

	if (now_ms < gw->reload->tick_ms)
		return;
	gw->reload->tick_ms = now_ms + TICK_MS;
	for (uint32_t i = 0; i < cfg->n_server; i++)
		leaving += cfg->server[i].leaving;
	if (!leaving)
		return;
	gw_reload_count(gw, n);
	for (uint32_t i = 0; i < cfg->n_server; i++)
		if (cfg->server[i].leaving && gw->host[i].state != GW_HOST_LOST && idle(gw, i, n)) {
			gw->health[i].left = true;
			gw_boot_leave(gw->ctl, &gw->host[i]);
		}
	next = without_gone(gw);
	if (next && gw_reload_swap(gw, next))
		free(next);
}

int gw_reload_open(struct gw *gw)
{
	gw->reload = calloc(1, sizeof(*gw->reload));
	return gw->reload ? 0 : ENOMEM;
}

void gw_reload_close(struct gw *gw)
{
	if (!gw->reload)
		return;
	free(gw->reload->before);
	free(gw->reload);
	gw->reload = NULL;
}
