/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_data.c - the data path as a whole, before traffic and after it: device, workers, ports, maps.
 * The daemon and a replay make the same one.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/gw_policy.h"
#include "gateway/gw_spread.h"

struct gw *gw_new(struct gw_cfg *cfg)
{
	struct gw *gw = calloc(1, sizeof(*gw));

	if (!gw)
		return NULL;
	gw->cfg = cfg;
	gw->start_us = gw_now_us();
	tcp_cfg_default(&gw->tcp);
	gw->tcp.cc = (uint8_t)cfg->congestion;
	gw->tcp.pacing = cfg->pacing;
	gw->room_servers = RTE_MIN(cfg->n_server + cfg->spare_servers, (uint32_t)GW_MAX_HOSTS);
	for (uint32_t i = 0; i < GW_MAX_HOSTS; i++) {
		gw->host[i].id = i;
		gw->host[i].cfg = &cfg->server[i];
	}
	return gw;
}

int gw_data_open(struct gw *gw)
{
	char err[IB_ERRLEN];
	int rc;

	rc = ib_dev_open(&gw->dev, gw->cfg->device[0] ? gw->cfg->device : NULL, gw->cfg->dev_port,
			 gw->cfg->gid_index, err);
	if (rc) {
		gw_log(GW_LOG_ERROR, "[fabric] device: %s", err);
		return rc;
	}
	gw->dev_open = true;
	gw->dev.next_psn = gw->first_psn;
	for (uint32_t i = 0; rc == 0 && i < gw->cfg->workers; i++)
		rc = gw_worker_open(gw, i);
	if (rc == 0)
		rc = gw_hand_open(gw);
	if (rc == 0)
		rc = gw_ports_open(gw);
	if (rc == 0)
		rc = gw_publish(gw);
	return rc;
}

void gw_data_close(struct gw *gw)
{
	gw_events_drain(gw);
	gw_ports_close(gw);
	gw_hand_close(gw);
	for (uint32_t i = gw->n_worker; i-- > 0;)
		if (gw->worker[i])
			gw_worker_close(gw->worker[i]);
	for (uint32_t i = gw->n_worker; i-- > 0;)
		if (gw->worker[i])
			gw_worker_free(gw->worker[i]);
	corr_native_free(gw->native);
	gw->native = NULL;
	if (gw->dev_open)
		ib_dev_close(&gw->dev);
}
