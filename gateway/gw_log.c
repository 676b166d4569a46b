/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_log.c - log lines to stderr, and the rate-limited events of the workers.
 *
 * An event is 160 bytes of text in a single-producer ring. A worker formats at most one per kind
 * and GW_EVENT_MS, so an attacker costs it a comparison per frame; the suppressed ones are
 * counted and told with the next line of their kind.
 */
#include "gateway/gw_log.h"

#include <errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw.h"

#define EVENT_RING 64

/** One event on its way to the control thread. */
struct event_msg {
	uint32_t kind;		 /* enum gw_event */
	uint32_t suppressed;	 /* of this kind since the last one */
	char text[GW_EVENT_LEN]; /* NUL-terminated */
};
static_assert(sizeof(struct event_msg) % 4 == 0, "ring elements are words");
static_assert(GW_EV_COUNT <= 32, "room in struct gw_worker");

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

static const char *const event_names[] = {
#define _(sym, name) name,
	GW_FOREACH_EVENT(_)
#undef _
};

static enum gw_log_level log_max = GW_LOG_NOTICE; /* set once at start */
static bool log_journal;			  /* set once at start */

void gw_log_open(enum gw_log_level level)
{
	log_max = level;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void gw_log(enum gw_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log_journal)
		fprintf(stderr, "<%u>%s\n", level_prio[level], line);
	else
		fprintf(stderr, "tagd: %s: %s\n", level_names[level], line);
}

const char *gw_log_level_name(enum gw_log_level level)
{
	return level_names[level];
}

int gw_log_level_parse(const char *name)
{
	for (int i = 0; i < GW_LOG_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

void gw_event(struct gw_worker *w, enum gw_event kind, const char *fmt, ...)
{
	struct event_msg m;
	va_list ap;

	if (w->now_ms < w->event_ms[kind]) {
		w->event_more[kind]++;
		return;
	}
	w->event_ms[kind] = w->now_ms + GW_EVENT_MS;
	m.kind = kind;
	m.suppressed = w->event_more[kind];
	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (w->events && rte_ring_enqueue_elem(w->events, &m, sizeof(m)) == 0)
		w->event_more[kind] = 0;
}

int gw_events_open(struct gw_worker *w)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "events%u", w->index);
	w->events = rte_ring_create_elem(name, sizeof(struct event_msg), EVENT_RING, SOCKET_ID_ANY,
					 RING_F_SP_ENQ | RING_F_SC_DEQ);
	return w->events ? 0 : ENOMEM;
}

void gw_events_close(struct gw_worker *w)
{
	rte_ring_free(w->events);
	w->events = NULL;
}

void gw_events_drain(struct gw *gw)
{
	struct event_msg m;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct gw_worker *w = gw->worker[i];

		if (!w || !w->events) /* its start failed before it had a ring */
			continue;
		while (rte_ring_dequeue_elem(w->events, &m, sizeof(m)) == 0) {
			if (m.suppressed)
				gw_log(GW_LOG_WARNING, "%s: %s (%u more since the last report)",
				       event_names[m.kind], m.text, m.suppressed);
			else
				gw_log(GW_LOG_WARNING, "%s: %s", event_names[m.kind], m.text);
		}
	}
}
