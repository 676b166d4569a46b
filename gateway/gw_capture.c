/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture.c - beginning and end of captures of the fabric; see gw_capture.h.
 */
#define GW_LOG_MODULE GW_LM_CAPTURE

#include "gateway/gw_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gw_int.h"

/* Taps a worker. Connections that it has already are introduced. */
static void on_tap(struct gw_worker *w, void *arg)
{
	struct gw_capture *cap = arg;

	w->cq.tap = &cap->ring[w->index].tap;
	for (uint32_t i = 0; i < w->gw->cfg->n_server; i++)
		if (w->gw->host[i].link[w->index].up)
			ib_tap_connect(&w->gw->host[i].link[w->index].set.ctl);
}

static void on_untap(struct gw_worker *w, void *arg)
{
	w->cq.tap = NULL;
}

static void capture_free(struct gw_capture *cap)
{
	for (uint32_t i = 0; i < cap->gw->n_worker; i++)
		gw_cap_ring_close(&cap->ring[i]);
	if (cap->fd >= 0)
		close(cap->fd);
	free(cap);
}

/* File, rings, writer: everything but the taps. */
static int capture_open(struct gw_capture *cap)
{
	int rc = 0;

	cap->fd = open(cap->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (cap->fd < 0)
		return errno;
	for (uint32_t i = 0; rc == 0 && i < cap->gw->n_worker; i++)
		rc = gw_cap_ring_open(&cap->ring[i], cap->gw->worker[i]);
	if (rc == 0)
		rc = pthread_create(&cap->writer, NULL, gw_cap_writer, cap);
	if (rc)
		unlink(cap->file);
	return rc;
}

int gw_capture_start(struct gw *gw, const char *file, const struct gw_cap_limits *limit)
{
	struct gw_capture *cap;
	int rc;

	if (gw->capture && !gw->capture->joined)
		return EBUSY;
	if (file[0] != '/' || strlen(file) >= sizeof(cap->file))
		return EINVAL;
	cap = calloc(1, sizeof(*cap));
	if (!cap)
		return ENOMEM;
	cap->gw = gw;
	cap->limit = *limit;
	cap->start_us = gw_now_us();
	strcpy(cap->file, file);
	rc = capture_open(cap);
	if (rc) {
		capture_free(cap);
		return rc;
	}
	gw_capture_close(gw); /* the result of the one before */
	gw->capture = cap;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_tap, cap);
	gw_log(GW_LOG_NOTICE, "capture of the fabric to %s", file);
	return 0;
}

void gw_capture_stop(struct gw *gw)
{
	static const char *const texts[] = {
#define _(sym, text) [GW_CAP_##sym] = text,
		GW_FOREACH_CAP_END(_)
#undef _
	};
	struct gw_capture *cap = gw->capture;
	int was = GW_CAP_RUNNING;
	uint64_t lost = 0;

	if (!cap || cap->joined)
		return;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_untap, NULL);
	atomic_compare_exchange_strong(&cap->end, &was, GW_CAP_STOPPED);
	pthread_join(cap->writer, NULL);
	cap->joined = true;
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		lost += cap->ring[i].lost;
		gw_cap_ring_close(&cap->ring[i]);
	}
	close(cap->fd);
	cap->fd = -1;
	gw_log(GW_LOG_NOTICE, "capture to %s: %s: %llu packets, %llu operations are missing",
	       cap->file, texts[cap->end], (unsigned long long)cap->packets,
	       (unsigned long long)lost);
}

void gw_capture_tick(struct gw *gw)
{
	if (gw->capture && !gw->capture->joined && gw->capture->end != GW_CAP_RUNNING)
		gw_capture_stop(gw);
}

void gw_capture_close(struct gw *gw)
{
	gw_capture_stop(gw);
	if (gw->capture)
		capture_free(gw->capture);
	gw->capture = NULL;
}
