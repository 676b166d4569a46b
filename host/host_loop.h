/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_loop.h - the event loop of taghostd.
 */
#ifndef HOST_HOST_LOOP_H
#define HOST_HOST_LOOP_H

#include "host/host_daemon.h"

/** Starts all watchers; TAP, device and queues must be open. 0 or errno. */
int host_loop_open(struct host *h);
/** Closes what host_loop_open() opened. */
void host_loop_close(struct host *h);

#endif
