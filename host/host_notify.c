/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_notify.c - readiness, status line and watchdog towards systemd (sd_notify(3)). taghostd is
 * one event loop: while that turns, the daemon works, so the loop's own second feeds the watchdog.
 */
#include "host/host_notify.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "host/host_daemon.h"

#define STATUS_LEN 192

static char told[STATUS_LEN]; /* status line told last */

static void status_line(const struct host *h, char line[STATUS_LEN])
{
	unsigned int up = 0;

	for (unsigned int i = 0; i < h->n_gw; i++)
		up += h->gw[i].state == HOST_G_UP;
	snprintf(line, STATUS_LEN, "%u of %u gateways up, %u connection%s accelerated, %s on %s",
		 up, h->n_gw, h->conns.n, h->conns.n == 1 ? "" : "s", h->conf.tap, h->dev.name);
}

void host_notify_ready(const struct host *h)
{
	status_line(h, told);
	sd_notifyf(0, "READY=1\nSTATUS=%s", told);
}

void host_notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void host_notify_tick(const struct host *h)
{
	char line[STATUS_LEN];

	if (sd_watchdog_enabled(0, NULL) > 0)
		sd_notify(0, "WATCHDOG=1");
	status_line(h, line);
	if (strcmp(line, told) == 0)
		return;
	memcpy(told, line, sizeof(line));
	sd_notifyf(0, "STATUS=%s", line);
}
