/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_notify.c - readiness, status line and watchdog towards systemd (sd_notify(3),
 * sd_watchdog_enabled(3)).
 */
#include "gateway/gw_notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "gateway/gw_int.h"

#define STATUS_LEN 256

/** What was told last. */
static struct {
	char status[STATUS_LEN];	/* status line */
	uint64_t period_us;		/* between two feedings, 0: no watchdog */
	uint64_t fed_us;		/* when it was fed last */
	uint64_t polls[GW_MAX_WORKERS]; /* of each worker, then */
	bool stalled;			/* a worker stands still, and that was told */
} told;

static void status_line(const struct gw *gw, char line[STATUS_LEN])
{
	uint32_t up = 0, accelerated = atomic_load(&gw->accelerated);

	for (uint32_t i = 0; i < gw->cfg->n_server; i++)
		up += gw->host[i].state == GW_HOST_UP;
	snprintf(line, STATUS_LEN,
		 "%u of %u servers up, %u connection%s accelerated, %u worker%s, device %s", up,
		 gw->cfg->n_server, accelerated, accelerated == 1 ? "" : "s", gw->n_worker,
		 gw->n_worker == 1 ? "" : "s", gw->dev.name);
}

/* Workers that have not gone round since the last feeding. */
static uint32_t standing_still(const struct gw *gw)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		uint64_t polls = *(const volatile uint64_t *)&gw->worker[i]->stats.polls;

		n += polls == told.polls[i];
	}
	return n;
}

static void feed(const struct gw *gw, uint64_t now)
{
	for (uint32_t i = 0; i < gw->n_worker; i++)
		told.polls[i] = *(const volatile uint64_t *)&gw->worker[i]->stats.polls;
	told.fed_us = now;
	sd_notify(0, "WATCHDOG=1");
}

void gw_notify_ready(const struct gw *gw)
{
	uint64_t usec = 0;

	/* Three chances before the manager's patience ends. */
	if (sd_watchdog_enabled(0, &usec) > 0)
		told.period_us = usec / 3;
	status_line(gw, told.status);
	sd_notifyf(0, "READY=1\nSTATUS=%s", told.status);
}

void gw_notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
		   gw_now_us());
	told.status[0] = '\0';
}

void gw_notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

bool gw_notify_tick(const struct gw *gw)
{
	uint64_t now = gw_now_us();
	char line[STATUS_LEN];

	status_line(gw, line);
	if (strcmp(line, told.status) != 0) {
		memcpy(told.status, line, sizeof(line));
		sd_notifyf(0, "STATUS=%s", line);
	}
	if (!told.period_us || now - told.fed_us < told.period_us)
		return true;
	if (standing_still(gw)) {
		bool again = told.stalled;

		told.stalled = true;
		return again;
	}
	told.stalled = false;
	feed(gw, now);
	return true;
}
