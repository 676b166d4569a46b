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
#define LOG_BURST  3   /* equal lines in a row that are written in this time */

static enum host_level log_level = HOST_LOG_INFO;
static enum host_level log_wanted = HOST_LOG_INFO; /* what the configuration says */
static bool log_journal;			   /* stderr is the journal */

/** The last line, for those that repeat it. */
static struct {
	char text[LOG_LINE];   /* itself; empty: none */
	enum host_level level; /* of it */
	int64_t since;	       /* second of the first one */
	uint32_t written;      /* how often */
	uint32_t more;	       /* how often not */
} last;

static uint64_t suppressed; /* lines not written, all */

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
	log_level = log_wanted = level;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

const char *host_log_toggle(void)
{
	log_level = log_level == HOST_LOG_DEBUG ? log_wanted : HOST_LOG_DEBUG;
	return level_names[log_level];
}

int host_log_parse(const char *name)
{
	for (int i = 0; i < HOST_LOG_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

static int64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec ? now.tv_sec : 1;
}

static void put(enum host_level level, const char *line)
{
	if (log_journal)
		fprintf(stderr, "<%d>%s\n", level_prio[level], line);
	else
		fprintf(stderr, "taghostd: %s: %s\n", level_names[level], line);
}

/* Tells how often the last line was left out, and forgets it. */
static void end_last(int64_t now)
{
	char line[LOG_LINE + 64];

	if (last.more) {
		snprintf(line, sizeof(line), "%s (%u more of this kind in the last %lld s)",
			 last.text, last.more, (long long)(now - last.since));
		put(last.level, line);
	}
	last.text[0] = '\0';
	last.written = last.more = 0;
}

/* A line that is written unless it repeats the last one too often. */
static void log_write(enum host_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	int64_t now = now_s();

	vsnprintf(line, sizeof(line), fmt, ap);
	for (char *p = line; *p; p++) /* whatever peers have put into it */
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (strcmp(line, last.text) || now >= last.since + LOG_PERIOD) {
		end_last(now);
		memcpy(last.text, line, sizeof(line));
		last.level = level;
		last.since = now;
	}
	if (level < HOST_LOG_DEBUG && last.written == LOG_BURST) {
		last.more++;
		suppressed++;
		return;
	}
	last.written += last.written < LOG_BURST;
	put(level, line);
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
	int64_t now;
	va_list ap;

	c->v[w]++;
	if (log_level < HOST_LOG_WARN)
		return;
	now = now_s();
	if (c->logged[w] && now < c->logged[w] + LOG_PERIOD) {
		c->more[w]++;
		suppressed++;
		return;
	}
	c->logged[w] = now;
	va_start(ap, fmt);
	log_write(HOST_LOG_WARN, fmt, ap);
	va_end(ap);
}

void host_log_tick(struct host_counters *c, bool all)
{
	const int64_t now = now_s();
	char line[LOG_LINE];

	if (last.text[0] && (all || now >= last.since + LOG_PERIOD))
		end_last(now);
	for (int i = 0; i < HOST_C_COUNT; i++) {
		if (!c->more[i] || (!all && now < c->logged[i] + LOG_PERIOD))
			continue;
		snprintf(line, sizeof(line), "%s: %u more of this kind in the last %lld s",
			 counter_names[i], c->more[i], (long long)(now - c->logged[i]));
		put(HOST_LOG_WARN, line);
		c->more[i] = 0;
	}
	c->v[HOST_C_SUPPRESSED] = suppressed;
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
