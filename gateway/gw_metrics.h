/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_metrics.h - figures for Prometheus: GET /metrics over HTTP, text exposition format 0.0.4.
 * Labels are bounded by the configuration (server, service, worker) and by the source code
 * (reason, mode): never by what clients do.
 */
#ifndef GATEWAY_GW_METRICS_H
#define GATEWAY_GW_METRICS_H

#include <stddef.h>

struct gw;
struct gw_ctl;

/** Listens as [gateway] metrics says; nothing when it is empty. 0 or errno (logged). */
int gw_metrics_open(struct gw_ctl *ctl);
/** Ends it; nothing when it is not open. */
void gw_metrics_close(struct gw_ctl *ctl);

/** The page as text, to be freed by free(); *len gets its bytes. NULL: no memory. */
char *gw_metrics_page(const struct gw *gw, size_t *len);

#endif
