/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log.c - log lines to stderr: which are written, how often, and how they look.
 *
 * A module is a dynamic log type of DPDK (rte_log.h), so that one mechanism holds all levels. The
 * stream behind it is ours: DPDK's own lines get the journal's priorities as well, and are limited
 * like ours. The daemon's control thread writes nearly all lines; threads of DPDK may write some.
 */
#include "gateway/gw_log.h"

#include <errno.h>
#include <pthread.h>
#include <rte_hash_crc.h>
#include <rte_log.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_int.h"
#include "gateway/gw_log_limit.h"

#define LINE_LEN 1024 /* of the longest line, NUL included */

static_assert(GW_LM_COUNT <= GW_LOG_MODULES, "room in struct gw_cfg");

static const char *const level_names[] = {
#define _(sym, name, prio) name,
	GW_FOREACH_LOG_LEVEL(_)
#undef _
};

static const uint8_t level_prio[] = {
#define _(sym, name, prio) prio,
	GW_FOREACH_LOG_LEVEL(_)
#undef _
};

static const char *const module_names[] = {
#define _(sym, name, about) name,
	GW_FOREACH_LOG_MODULE(_)
#undef _
};

static const char *const module_about[] = {
#define _(sym, name, about) about,
	GW_FOREACH_LOG_MODULE(_)
#undef _
};

/** The process's log: there is one stderr. */
static struct {
	FILE *stream;			  /* that DPDK writes to */
	bool journal;			  /* stderr is the journal */
	uint32_t type[GW_LM_COUNT];	  /* DPDK's log type of a module */
	enum gw_log_level dpdk;		  /* level of DPDK's own types */
	pthread_mutex_t lock;		  /* of what follows */
	struct gw_limit limit;		  /* lines of late */
	uint64_t lines[GW_LM_COUNT];	  /* written */
	uint64_t suppressed[GW_LM_COUNT]; /* counted only */
} out = {.dpdk = GW_LOG_WARNING, .lock = PTHREAD_MUTEX_INITIALIZER};

/* DPDK's number of a level; it has three graver ones than we. */
static uint32_t to_rte(enum gw_log_level level)
{
	return RTE_LOG_ERR + (uint32_t)level;
}

static enum gw_log_level from_rte(int level)
{
	return level <= (int)RTE_LOG_ERR     ? GW_LOG_ERROR
	       : level >= (int)RTE_LOG_DEBUG ? GW_LOG_DEBUG
					     : (enum gw_log_level)(level - (int)RTE_LOG_ERR);
}

RTE_INIT(register_modules)
{
	for (int m = 0; m < GW_LM_DPDK; m++) {
		char name[32];
		int type;

		snprintf(name, sizeof(name), "tagd.%s", module_names[m]);
		type = rte_log_register_type_and_pick_level(name, RTE_LOG_NOTICE);
		out.type[m] = type < 0 ? RTE_LOGTYPE_USER1 : (uint32_t)type;
	}
}

/* Module of a log type; what is not ours is DPDK's. */
static enum gw_log_module module_of(int type)
{
	for (int m = 0; m < GW_LM_DPDK; m++)
		if ((int)out.type[m] == type)
			return (enum gw_log_module)m;
	return GW_LM_DPDK;
}

/* Lines of a module that say the same are of a kind. */
static uint64_t kind_of(enum gw_log_module module, const char *text)
{
	return (uint64_t)module << 32 | rte_hash_crc(text, (uint32_t)strlen(text), 0);
}

/* Whether a line is written now; counts it either way. */
static bool admit(enum gw_log_module module, enum gw_log_level level, uint64_t key,
		  const char *line)
{
	bool pass;

	pthread_mutex_lock(&out.lock);
	pass = level == GW_LOG_DEBUG || /* who asks for that wants all of it */
	       gw_limit_pass(&out.limit, key, gw_now_us() / 1000,
			     (uint16_t)(module << 8 | (unsigned int)level), line);
	out.lines[module] += pass;
	out.suppressed[module] += !pass;
	pthread_mutex_unlock(&out.lock);
	return pass;
}

static void put(enum gw_log_module module, enum gw_log_level level, const char *line)
{
	if (out.journal)
		fprintf(stderr, "<%u>%s: %s\n", level_prio[level], module_names[module], line);
	else
		fprintf(stderr, "tagd: %s: %s: %s\n", level_names[level], module_names[module],
			line);
}

/* The stream's write function: what DPDK made of a message, whole lines mostly. */
static ssize_t on_write(void *cookie, const char *buf, size_t len)
{
	const enum gw_log_module module = module_of(rte_log_cur_msg_logtype());
	const enum gw_log_level level = from_rte(rte_log_cur_msg_loglevel());
	char text[LINE_LEN], *p = text, *line;

	snprintf(text, sizeof(text), "%.*s", (int)RTE_MIN(len, sizeof(text) - 1), buf);
	while ((line = strsep(&p, "\n"))) {
		if (*line &&
		    (module != GW_LM_DPDK || admit(module, level, kind_of(module, line), line)))
			put(module, level, line);
	}
	return (ssize_t)len;
}

int gw_log_open(void)
{
	const cookie_io_functions_t io = {.write = on_write};

	out.journal = getenv("JOURNAL_STREAM") != NULL;
	rte_log_set_global_level(RTE_LOG_DEBUG); /* types decide */
	out.stream = fopencookie(NULL, "w", io);
	return out.stream ? rte_openlog_stream(out.stream) : ENOMEM;
}

static void tell(void *ctx, uint16_t tag, const char *last, uint32_t more, uint32_t seconds)
{
	char line[GW_LIMIT_LEN + 64];

	snprintf(line, sizeof(line), "%s (%u more of this kind in the last %u s)", last, more,
		 seconds);
	out.lines[tag >> 8]++;
	put(tag >> 8, tag & 0xff, line);
}

/* Tells about suppressed lines: of kinds whose time is over, or of all. */
static void flush(bool all)
{
	pthread_mutex_lock(&out.lock);
	gw_limit_flush(&out.limit, gw_now_us() / 1000, all, tell, NULL);
	pthread_mutex_unlock(&out.lock);
}

void gw_log_tick(void)
{
	flush(false);
}

void gw_log_close(void)
{
	flush(true);
	rte_openlog_stream(NULL);
	if (out.stream)
		fclose(out.stream);
	out.stream = NULL;
}

/* One line, whatever peers have put into it. */
static void write_line(enum gw_log_module module, enum gw_log_level level, const char *line)
{
	char text[LINE_LEN];

	snprintf(text, sizeof(text), "%s", line);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	rte_log(to_rte(level), out.type[module], "%s\n", text);
}

static bool can_log(enum gw_log_module module, enum gw_log_level level)
{
	return rte_log_can_log(out.type[module], to_rte(level));
}

void gw_log_as(enum gw_log_module module, enum gw_log_level level, const char *fmt, ...)
{
	char line[LINE_LEN];
	va_list ap;

	if (!can_log(module, level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (admit(module, level, kind_of(module, line), line))
		write_line(module, level, line);
}

void gw_log_kind(enum gw_log_module module, enum gw_log_level level, const char *key,
		 const char *line, uint32_t more)
{
	if (!can_log(module, level))
		return;
	if (line && admit(module, level, kind_of(module, key), line))
		write_line(module, level, line);
	if (!more)
		return;
	pthread_mutex_lock(&out.lock);
	gw_limit_more(&out.limit, kind_of(module, key), gw_now_us() / 1000,
		      (uint16_t)(module << 8 | (unsigned int)level), line ? line : key, more);
	out.suppressed[module] += more;
	pthread_mutex_unlock(&out.lock);
}

/* DPDK's types are all that are not ours: they are set together, then ours again. */
static void set_dpdk(enum gw_log_level level)
{
	int ours[GW_LM_COUNT];

	for (int m = 0; m < GW_LM_DPDK; m++)
		ours[m] = rte_log_get_level(out.type[m]);
	rte_log_set_level_pattern("*", to_rte(level));
	for (int m = 0; m < GW_LM_DPDK; m++)
		rte_log_set_level(out.type[m], (uint32_t)ours[m]);
	out.dpdk = level;
}

void gw_log_set(enum gw_log_module module, enum gw_log_level level)
{
	for (int m = 0; m < GW_LM_DPDK; m++)
		if (module == GW_LM_COUNT || (int)module == m)
			rte_log_set_level(out.type[m], to_rte(level));
	if (module == GW_LM_COUNT || module == GW_LM_DPDK)
		set_dpdk(level);
}

json_t *gw_log_types_json(void)
{
	json_t *list = json_array();
	char *text = NULL, *p, *line;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return list;
	rte_log_dump(f); /* the one call that tells names and numbers together */
	fclose(f);
	for (p = text; (line = strsep(&p, "\n"));) {
		unsigned int id;
		char name[64];

		if (sscanf(line, "id %u: %63[^,],", &id, name) != 2 ||
		    module_of((int)id) != GW_LM_DPDK)
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "type", name, "level",
						level_names[from_rte(rte_log_get_level(id))]));
	}
	free(text);
	return list;
}

int gw_log_set_type(const char *name, enum gw_log_level level)
{
	json_t *all = gw_log_types_json(), *o;
	int rc = ENOENT;
	size_t i;

	json_array_foreach(all, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "type")), name) == 0)
			rc = -rte_log_set_level((uint32_t)rte_log_register(name), to_rte(level));
	}
	json_decref(all);
	return rc;
}

void gw_log_configure(const struct gw_cfg *cfg)
{
	for (int m = 0; m < GW_LM_DPDK; m++)
		gw_log_set((enum gw_log_module)m,
			   cfg->log_module[m] ? (enum gw_log_level)(cfg->log_module[m] - 1)
					      : (enum gw_log_level)cfg->log_level);
	if (cfg->log_module[GW_LM_DPDK])
		set_dpdk((enum gw_log_level)(cfg->log_module[GW_LM_DPDK] - 1));
}

json_t *gw_log_json(void)
{
	json_t *list = json_array();

	for (int m = 0; m < GW_LM_COUNT; m++) {
		const enum gw_log_level level =
			m == GW_LM_DPDK ? out.dpdk : from_rte(rte_log_get_level(out.type[m]));

		pthread_mutex_lock(&out.lock);
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:s}", "module",
						      module_names[m], "level", level_names[level],
						      "lines", (json_int_t)out.lines[m],
						      "suppressed", (json_int_t)out.suppressed[m],
						      "about", module_about[m]));
		pthread_mutex_unlock(&out.lock);
	}
	return list;
}

const char *gw_log_level_name(enum gw_log_level level)
{
	return level_names[level];
}

const char *gw_log_module_name(enum gw_log_module module)
{
	return module_names[module];
}

/* Place of a name in a list, or -1. */
static int find(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return i;
	return -1;
}

int gw_log_level_parse(const char *name)
{
	return find(name, level_names, GW_LOG_COUNT);
}

int gw_log_module_parse(const char *name)
{
	return find(name, module_names, GW_LM_COUNT);
}
