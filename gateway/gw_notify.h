/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_notify.h - what the service manager is told (sd_notify(3)). All of it does nothing when there
 * is no service manager. Control thread only.
 */
#ifndef GATEWAY_GW_NOTIFY_H
#define GATEWAY_GW_NOTIFY_H

#include <stdbool.h>

struct gw;

/** READY=1 with a status line; also ends a gw_notify_reloading(). */
void gw_notify_ready(const struct gw *gw);

/** RELOADING=1: a new configuration is being looked at. */
void gw_notify_reloading(void);

/** STOPPING=1. */
void gw_notify_stopping(void);

/**
 * Every tick of the control loop: brings the status line up to date when it changed, and feeds the
 * watchdog if, and only if, every worker has gone through its loop since it was fed last. A worker
 * that hangs is thus restarted by the service manager, however healthy the control thread is.
 * Returns false when the watchdog is due and a worker stands still, once per such time.
 */
bool gw_notify_tick(const struct gw *gw);

#endif
