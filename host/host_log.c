/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_log.c - log lines and counters of taghostd. The journal adds the time; on a terminal nobody
 * misses it.
 */
#include "host/host_log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_LINE   512 /* bytes of the longest line */
#define LOG_PERIOD 10  /* seconds between two warnings about the same counter */

static enum host_level log_level = HOST_LOG_INFO;
static bool log_journal; /* stderr is the journal */

static const char *const level_names[] = {
#define _(sym, name, prio) [HOST_LOG_##sym] = name,
	HOST_FOREACH_LEVEL(_)
#undef _
};

static const int level_prio[] = {
#define _(sym, name, prio) [HOST_LOG_##sym] = prio,
	HOST_FOREACH_LEVEL(_)
#undef _
};

static const char *const counter_names[] = {
#define _(sym, name) [HOST_C_##sym] = name,
	HOST_FOREACH_COUNTER(_)
#undef _
};

void host_log_level(enum host_level level)
{
	log_level = level;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

int host_log_parse(const char *name)
{
	for (int i = 0; i < HOST_LOG_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

static void log_write(enum host_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE];

	vsnprintf(line, sizeof(line), fmt, ap);
	if (log_journal)
		fprintf(stderr, "<%d>%s\n", level_prio[level], line);
	else
		fprintf(stderr, "taghostd: %s: %s\n", level_names[level], line);
}

void host_log(enum host_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	log_write(level, fmt, ap);
	va_end(ap);
}

void host_show(const char *fmt, ...)
{
	char line[LOG_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "taghostd: %s\n", line);
}

void host_drop(struct host_counters *c, enum host_counter w, const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	c->v[w]++;
	if (log_level < HOST_LOG_WARN)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (c->logged[w] && now.tv_sec < c->logged[w] + LOG_PERIOD)
		return;
	c->logged[w] = now.tv_sec ? now.tv_sec : 1;
	va_start(ap, fmt);
	log_write(HOST_LOG_WARN, fmt, ap);
	va_end(ap);
}

void host_count_dump(const struct host_counters *c)
{
	for (int i = 0; i < HOST_C_COUNT; i++)
		if (c->v[i])
			host_show("counter %s %llu", counter_names[i], (unsigned long long)c->v[i]);
}

const char *host_counter_name(enum host_counter w)
{
	return (unsigned int)w < HOST_C_COUNT ? counter_names[w] : "unknown";
}
