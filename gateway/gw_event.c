/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_event.c - what workers report to the log, by way of the control thread.
 *
 * An event is 160 bytes of text in a single-producer ring. A worker formats at most one per kind
 * and GW_EVENT_MS, so an attacker costs it a comparison per frame; the others are counted, and the
 * control thread tells how many there were.
 */
#include <errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdarg.h>
#include <stdio.h>

#include "gateway/gw_int.h"

#define EVENT_RING 64

/** One event on its way to the control thread. */
struct event_msg {
	uint32_t kind;		 /* enum gw_event */
	char text[GW_EVENT_LEN]; /* NUL-terminated */
};
static_assert(sizeof(struct event_msg) % 4 == 0, "ring elements are words");
static_assert(GW_EV_COUNT <= GW_EVENT_KINDS, "room in struct gw_worker");

static const char *const event_names[] = {
#define _(sym, module, name) name,
	GW_FOREACH_EVENT(_)
#undef _
};

static const uint8_t event_modules[] = {
#define _(sym, module, name) GW_LM_##module,
	GW_FOREACH_EVENT(_)
#undef _
};

/* Counts one that is not reported. The control thread reads the counter meanwhile. */
static void count_more(struct gw_worker *w, enum gw_event kind)
{
	atomic_store_explicit(&w->event_more[kind],
			      atomic_load_explicit(&w->event_more[kind], memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void gw_event(struct gw_worker *w, enum gw_event kind, const char *fmt, ...)
{
	struct event_msg m = {.kind = kind};
	va_list ap;

	if (w->now_ms < w->event_ms[kind]) {
		count_more(w, kind);
		return;
	}
	w->event_ms[kind] = w->now_ms + GW_EVENT_MS;
	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (!w->events || rte_ring_enqueue_elem(w->events, &m, sizeof(m)))
		count_more(w, kind);
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

/* Tells the log what a worker has counted since it was asked last. */
static void drain_counts(struct gw_worker *w)
{
	for (uint32_t k = 0; k < GW_EV_COUNT; k++) {
		uint32_t n = atomic_load_explicit(&w->event_more[k], memory_order_relaxed);

		if (n == w->event_told[k])
			continue;
		gw_log_kind(event_modules[k], GW_LOG_WARNING, event_names[k], NULL,
			    n - w->event_told[k]);
		w->event_told[k] = n;
	}
}

void gw_events_drain(struct gw *gw)
{
	struct event_msg m;
	char line[GW_EVENT_LEN + 64];

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct gw_worker *w = gw->worker[i];

		if (!w || !w->events) /* its start failed before it had a ring */
			continue;
		while (rte_ring_dequeue_elem(w->events, &m, sizeof(m)) == 0) {
			snprintf(line, sizeof(line), "%s: %s", event_names[m.kind], m.text);
			gw_log_kind(event_modules[m.kind], GW_LOG_WARNING, event_names[m.kind],
				    line, 0);
		}
		drain_counts(w);
	}
}
