/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_config.c - the configuration for the control socket: checked, compared, put into
 * force, confirmed, shown. What concerns a file takes `file`, a path that the daemon opens; without
 * it, the one that the daemon was started with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_reload.h"

#define CONFIRM_MAX_S 86400

/* {"error": text}; takes text. */
static json_t *refusal(char *text)
{
	json_t *o;

	if (text && *text && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	if (text)
		gw_reload_clean(text);
	o = json_pack("{s:s}", "error", text && *text ? text : "out of memory");
	free(text);
	return o;
}

/* The file that a request means. */
static const char *file_of(const struct gw *gw, const json_t *req)
{
	const char *file = json_string_value(json_object_get(req, "file"));

	return file ? file : gw->file;
}

json_t *gw_cmd_config_check(struct gw *gw, const json_t *req)
{
	struct gw_cfg *cfg = malloc(sizeof(*cfg));
	char *text = NULL;
	size_t len;
	FILE *err = open_memstream(&text, &len);
	int rc = ENOMEM;

	if (cfg && err)
		rc = gw_config_load(file_of(gw, req), cfg, err);
	if (err)
		fclose(err);
	free(cfg);
	if (rc)
		return refusal(text);
	free(text);
	return json_pack("{s:s, s:b}", "file", file_of(gw, req), "good", true);
}

/* A file looked through; *text gets what is wrong with it, the caller's. 0 or errno. */
static int plan(struct gw *gw, const json_t *req, struct gw_plan *p, char **text)
{
	size_t len;
	FILE *err = open_memstream(text, &len);
	int rc;

	*p = (struct gw_plan){0};
	if (!err)
		return ENOMEM;
	rc = gw_plan_file(gw, file_of(gw, req), p, err);
	fclose(err);
	return rc;
}

/* What a plan is, as the answer to a request. */
static json_t *describe(struct gw *gw, const json_t *req, const struct gw_plan *p)
{
	json_t *o = json_pack("{s:s, s:O, s:I}", "file", file_of(gw, req), "changes", p->changes,
			      "restarts", (json_int_t)p->restarts);
	json_t *forecast = p->restarts ? NULL : gw_reload_forecast(gw, p->next);

	if (forecast)
		json_object_update(o, forecast);
	json_decref(forecast);
	return o;
}

json_t *gw_cmd_config_diff(struct gw *gw, const json_t *req)
{
	struct gw_plan p;
	char *text = NULL;
	int rc = plan(gw, req, &p, &text);
	json_t *o;

	if (rc && !p.restarts) {
		o = refusal(text);
	} else {
		o = describe(gw, req, &p);
		free(text);
	}
	gw_plan_free(&p);
	return o;
}

/* Puts a plan into force, to be confirmed within some seconds unless these are 0. */
static json_t *apply(struct gw *gw, const json_t *req, struct gw_plan *p, uint32_t confirm_s)
{
	json_t *o = describe(gw, req, p);
	struct gw_cfg *before = confirm_s ? malloc(sizeof(*before)) : NULL;
	int rc = confirm_s && !before ? ENOMEM : 0;

	if (before)
		gw_config_pure(before, gw->cfg);
	if (rc == 0)
		rc = gw_reload_apply(gw, p, file_of(gw, req));
	if (rc) {
		free(before);
		json_decref(o);
		return json_pack("{s:s}", "error", strerror(rc));
	}
	if (before)
		gw_reload_guard(gw, before, confirm_s);
	json_object_set_new(o, "in_force", json_true());
	if (confirm_s)
		json_object_set_new(o, "confirm_within_s", json_integer(confirm_s));
	return o;
}

json_t *gw_cmd_config_reload(struct gw *gw, const json_t *req)
{
	const json_int_t confirm_s = json_integer_value(json_object_get(req, "confirm_within"));
	struct gw_plan p = {0};
	char *text = NULL;
	json_t *o;

	if (gw->reload->before)
		return json_pack("{s:s}", "error",
				 "the last reload is not confirmed yet: config confirm, or config "
				 "rollback");
	if (confirm_s < 0 || confirm_s > CONFIRM_MAX_S)
		return json_pack("{s:s}", "error", "confirm_within: allowed: 1 to 86400 seconds");
	if (plan(gw, req, &p, &text)) {
		gw_reload_failed(gw, file_of(gw, req), text ? text : "out of memory");
		o = refusal(text);
	} else {
		o = apply(gw, req, &p, (uint32_t)confirm_s);
		free(text);
	}
	gw_plan_free(&p);
	return o;
}

/* confirm and rollback. */
static json_t *settle(struct gw *gw, bool back)
{
	const int rc = gw_reload_settle(gw, back);

	if (rc == ENOENT)
		return json_pack("{s:s}", "error", "no reload waits to be confirmed");
	if (rc)
		return json_pack("{s:s}", "error", gw->reload->error);
	return json_pack("{s:b}", back ? "rolled_back" : "confirmed", true);
}

json_t *gw_cmd_config_confirm(struct gw *gw, const json_t *req)
{
	return settle(gw, false);
}

json_t *gw_cmd_config_rollback(struct gw *gw, const json_t *req)
{
	return settle(gw, true);
}

json_t *gw_cmd_config_show(struct gw *gw, const json_t *req)
{
	struct gw_cfg *pure = malloc(sizeof(*pure));
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	json_t *o;

	if (pure && f) {
		gw_config_pure(pure, gw->cfg);
		gw_config_show(f, pure, false);
	}
	if (f)
		fclose(f);
	free(pure);
	o = json_pack("{s:s}", "text", text ? text : "");
	free(text);
	return o;
}

json_t *gw_cmd_config_status(struct gw *gw, const json_t *req)
{
	const struct gw_reload *r = gw->reload;
	const struct gw_cfg *cfg = gw->cfg;
	json_t *leaving = json_array();
	double left = 0;

	if (r->before)
		left = ev_timer_remaining(gw->ctl->loop, (ev_timer *)&r->confirm);
	for (uint32_t i = 0; i < cfg->n_server; i++)
		if (cfg->server[i].leaving)
			json_array_append_new(leaving, json_string(cfg->server[i].name));
	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:f, s:o}", "file", gw->file, "config_reloads",
			 (json_int_t)r->done, "config_reload_failures", (json_int_t)r->failed,
			 "last_reload", (json_int_t)r->last_s, "last_error", r->error,
			 "confirm_within_s", left, "leaving", leaving);
}
