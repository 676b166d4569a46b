/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_notify.h - what the service manager is told by taghostd (sd_notify(3)). Nothing happens
 * without one.
 */
#ifndef HOST_HOST_NOTIFY_H
#define HOST_HOST_NOTIFY_H

struct host;

/** READY=1 with a status line. */
void host_notify_ready(const struct host *h);
/** STOPPING=1. */
void host_notify_stopping(void);
/** Once a second from the event loop: feeds the watchdog, and tells the status when it changed. */
void host_notify_tick(const struct host *h);

#endif
