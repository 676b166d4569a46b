/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_metrics_page.c - the page of metrics: every counter of gw_stats.h by worker, drops and
 * refusals by reason, and what is up (Prometheus text exposition format 0.0.4).
 */
#include <inttypes.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/gw_int.h"
#include "gateway/gw_metrics.h"
#include "gateway/gw_reload.h"

/** A counter of struct gw_stats. */
struct counter {
	const char *name; /* member */
	const char *help; /* for people */
	size_t off;	  /* of the member */
};

static const struct counter counters[] = {
#define _(name, help) {#name, help, offsetof(struct gw_stats, name)},
	GW_FOREACH_STAT(_)
#undef _
};

#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

/* A worker's counter as it is now. */
static uint64_t read_counter(const struct gw_worker *w, size_t off)
{
	return *(const volatile uint64_t *)((const char *)&w->stats + off);
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP tag_%s %s\n# TYPE tag_%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else
			fputc(*s, f);
	}
}

static void worker_counters(FILE *f, const struct gw *gw)
{
	char name[64];

	for (size_t k = 0; k < N_COUNTERS; k++) {
		snprintf(name, sizeof(name), "%s_total", counters[k].name);
		head(f, name, "counter", counters[k].help);
		for (uint32_t i = 0; i < gw->n_worker; i++)
			fprintf(f, "tag_%s{worker=\"%" PRIu32 "\"} %" PRIu64 "\n", name, i,
				read_counter(gw->worker[i], counters[k].off));
	}
}

/* An object of reason -> count as one counter with the label "reason". */
static void by_reason(FILE *f, const char *name, const char *help, json_t *reasons)
{
	const char *why;
	json_t *n;

	head(f, name, "counter", help);
	json_object_foreach(reasons, why, n)
	{
		fprintf(f, "tag_%s{reason=\"", name);
		label(f, why);
		fprintf(f, "\"} %" JSON_INTEGER_FORMAT "\n", json_integer_value(n));
	}
	json_decref(reasons);
}

/* A value with one label. */
static void gauge(FILE *f, const char *name, const char *key, const char *value, uint64_t n)
{
	fprintf(f, "tag_%s{%s=\"", name, key);
	label(f, value);
	fprintf(f, "\"} %" PRIu64 "\n", n);
}

/* One that leaves may have a namesake: labels are unique. */
static bool configured(const struct gw_server_cfg *s)
{
	return *s->name && !s->leaving;
}

static void servers(FILE *f, const struct gw *gw)
{
	const struct gw_cfg *cfg = gw->cfg;

	head(f, "server_up", "gauge", "1 when the server's host is attached");
	for (uint32_t i = 0; i < cfg->n_server; i++)
		if (configured(&cfg->server[i]))
			gauge(f, "server_up", "server", cfg->server[i].name,
			      gw->host[i].state == GW_HOST_UP);
	head(f, "server_accelerated_connections", "gauge", "accelerated connections of a server");
	for (uint32_t i = 0; i < cfg->n_server; i++)
		if (configured(&cfg->server[i]))
			gauge(f, "server_accelerated_connections", "server", cfg->server[i].name,
			      atomic_load(&gw->host[i].accelerated));
}

static void services(FILE *f, const struct gw *gw)
{
	head(f, "service_accelerated_connections", "gauge", "accelerated connections of a service");
	for (uint32_t i = 0; i < gw->cfg->n_service; i++)
		gauge(f, "service_accelerated_connections", "service", gw->cfg->service[i].name,
		      atomic_load(&gw->service_accelerated[gw->cfg->service[i].id]));
}

/* A counter of the log's modules: a member of their rows. */
static void log_counter(FILE *f, const json_t *modules, const char *name, const char *member,
			const char *help)
{
	const json_t *m;
	size_t i;

	head(f, name, "counter", help);
	json_array_foreach(modules, i, m)
		gauge(f, name, "module", json_string_value(json_object_get(m, "module")),
		      (uint64_t)json_integer_value(json_object_get(m, member)));
}

static void log_counters(FILE *f)
{
	json_t *modules = gw_log_json();

	log_counter(f, modules, "log_lines_total", "lines", "lines written to the log, by module");
	log_counter(f, modules, "log_suppressed_total", "suppressed",
		    "lines of the log that repeated others and were only counted, by module");
	json_decref(modules);
}

static void one(FILE *f, const char *name, const char *help, uint64_t n)
{
	head(f, name, "gauge", help);
	fprintf(f, "tag_%s %" PRIu64 "\n", name, n);
}

/* Reloads of the configuration. A replay has none. */
static void reloads(FILE *f, const struct gw *gw)
{
	const struct gw_reload *r = gw->reload;

	if (!r)
		return;
	head(f, "config_reloads_total", "counter", "configurations put into force since the start");
	fprintf(f, "tag_config_reloads_total %" PRIu64 "\n", r->done);
	head(f, "config_reload_failures_total", "counter", "reloads that were refused");
	fprintf(f, "tag_config_reload_failures_total %" PRIu64 "\n", r->failed);
	one(f, "config_last_reload_successful", "0 when the last reload was refused",
	    r->error[0] == '\0');
	one(f, "config_last_reload_timestamp_seconds",
	    "time of the last one that was made; 0: none", (uint64_t)r->last_s);
	one(f, "config_unconfirmed", "1 while a reload waits to be confirmed", r->before != NULL);
}

static void frame_buffers(FILE *f, const struct gw *gw)
{
	char index[12];

	head(f, "frame_buffers_free", "gauge", "frame buffers of a worker that are not in use");
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		snprintf(index, sizeof(index), "%" PRIu32, i);
		gauge(f, "frame_buffers_free", "worker", index,
		      rte_mempool_avail_count(gw->worker[i]->pool));
	}
}

char *gw_metrics_page(const struct gw *gw, size_t *len)
{
	struct gw_stats sum;
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	gw_stats_sum(gw, &sum);
	head(f, "build_info", "gauge", "version of the running daemon");
	fputs("tag_build_info{version=\"" TAG_VERSION "\"} 1\n", f);
	one(f, "uptime_seconds", "seconds since the daemon started",
	    (gw_now_us() - gw->start_us) / 1000000);
	one(f, "accelerated_connections", "connections accelerated now",
	    atomic_load(&gw->accelerated));
	one(f, "accelerated_connections_max", "limit of [gateway] max-accelerated",
	    gw->cfg->max_accelerated);
	servers(f, gw);
	services(f, gw);
	reloads(f, gw);
	frame_buffers(f, gw);
	log_counters(f);
	worker_counters(f, gw);
	by_reason(f, "drops_total", "frames, segments and messages not used, by reason",
		  gw_drops_json(&sum));
	by_reason(f, "handback_reasons_total", "connections handed back to hosts, by reason",
		  gw_backs_json(&sum));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
