/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_capture.c - beginning and end of captures; see gw_capture.h.
 */
#define GW_LOG_MODULE GW_LM_CAPTURE

#include "gateway/gw_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gw_int.h"

const char *gw_cap_end_text(int end)
{
	static const char *const texts[] = {
#define _(sym, text) [GW_CAP_##sym] = text,
		GW_FOREACH_CAP_END(_)
#undef _
	};

	return texts[end];
}

uint64_t gw_cap_lost(const struct gw_capture *cap, enum gw_cap_side side)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < cap->gw->n_worker; i++)
		sum += cap->ring[i].lost[side];
	return sum;
}

/* Begins on a worker. Connections of queue pairs that it has already are introduced. */
static void on_tap(struct gw_worker *w, void *arg)
{
	struct gw_capture *cap = arg;
	struct gw_cap_ring *r = &cap->ring[w->index];

	w->capture = r;
	if (!(cap->want.sides & 1u << GW_CAP_FABRIC))
		return;
	w->cq.tap = &r->tap;
	for (uint32_t i = 0; i < w->gw->cfg->n_server; i++)
		if (w->gw->host[i].link[w->index].up)
			ib_tap_connect(&w->gw->host[i].link[w->index].set.ctl);
}

static void on_untap(struct gw_worker *w, void *arg)
{
	w->capture = NULL;
	w->cq.tap = NULL;
}

static void capture_free(struct gw_capture *cap)
{
	for (uint32_t i = 0; i < cap->gw->n_worker; i++)
		gw_cap_ring_close(&cap->ring[i]);
	if (cap->fd >= 0)
		close(cap->fd);
	pcap_freecode(&cap->prog);
	free(cap);
}

/* Numbers the interfaces: ports that were opened, then the fabric. */
static void number(struct gw_capture *cap)
{
	struct gw *gw = cap->gw;

	for (uint32_t i = 0; i < gw->n_port; i++) {
		const struct gw_port *trunk = gw_vlan_trunk(gw, &gw->port[i]);

		cap->port_iface[i] = trunk ? cap->port_iface[trunk->index] : cap->n_iface++;
	}
	if (cap->want.sides & 1u << GW_CAP_FABRIC)
		cap->n_iface++;
}

/* The filter as a program. 0, or EINVAL with a message. */
static int compile(struct gw_capture *cap, char err[GW_CAP_ERR])
{
	pcap_t *p;
	int rc = 0;

	if (!cap->want.filter[0])
		return 0;
	p = pcap_open_dead(DLT_EN10MB, GW_CAP_FRAME);
	if (!p || pcap_compile(p, &cap->prog, cap->want.filter, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(err, GW_CAP_ERR, "filter: %.120s", p ? pcap_geterr(p) : strerror(ENOMEM));
		rc = EINVAL;
	}
	if (p)
		pcap_close(p);
	return rc;
}

/* File, rings, writer: everything but the workers. */
static int capture_open(struct gw_capture *cap)
{
	int rc = 0;

	cap->fd = open(cap->want.file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (cap->fd < 0)
		return errno;
	for (uint32_t i = 0; rc == 0 && i < cap->gw->n_worker; i++)
		rc = gw_cap_ring_open(&cap->ring[i], cap, cap->gw->worker[i]);
	if (rc == 0)
		rc = pthread_create(&cap->writer, NULL, gw_cap_writer, cap);
	if (rc)
		unlink(cap->want.file);
	return rc;
}

/* Says what is wrong. */
static int refuse(int rc, char err[GW_CAP_ERR], const char *text)
{
	snprintf(err, GW_CAP_ERR, "%s", text);
	return rc;
}

int gw_capture_start(struct gw *gw, const struct gw_cap_want *want, char err[GW_CAP_ERR])
{
	static uint64_t serial; /* of the last one; only the control thread comes here */
	struct gw_capture *cap;
	int rc;

	if (gw->capture && !gw->capture->joined)
		return refuse(EBUSY, err, "a capture is running; \"capture stop\" ends it");
	if (want->file[0] != '/')
		return refuse(EINVAL, err, "a capture needs the absolute name of a file");
	cap = calloc(1, sizeof(*cap));
	if (!cap)
		return refuse(ENOMEM, err, strerror(ENOMEM));
	cap->gw = gw;
	cap->fd = -1;
	cap->want = *want;
	cap->start_us = gw_now_us();
	clock_gettime(CLOCK_REALTIME, &cap->start);
	number(cap);
	rc = compile(cap, err);
	if (rc == 0) {
		rc = capture_open(cap);
		if (rc)
			refuse(rc, err,
			       rc == EEXIST ? "the file exists; a capture does not replace one"
					    : strerror(rc));
	}
	if (rc) {
		capture_free(cap);
		return rc;
	}
	cap->serial = ++serial;
	gw_capture_close(gw); /* the result of the one before */
	gw->capture = cap;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_tap, cap);
	gw_log(GW_LOG_NOTICE, "capture to %s", want->file);
	return 0;
}

/* Ends for a reason, unless it has ended for another one. */
static void stop(struct gw *gw, enum gw_cap_end why)
{
	struct gw_capture *cap = gw->capture;
	int was = GW_CAP_RUNNING;

	if (!cap || cap->joined)
		return;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_call(gw->worker[i], on_untap, NULL);
	atomic_compare_exchange_strong(&cap->end, &was, (int)why);
	pthread_join(cap->writer, NULL);
	cap->joined = true;
	for (uint32_t i = 0; i < gw->n_worker; i++)
		gw_cap_ring_close(&cap->ring[i]);
	close(cap->fd);
	cap->fd = -1;
	gw_log(GW_LOG_NOTICE,
	       "capture to %s: %s: %llu packets, %llu frames and %llu operations "
	       "are missing",
	       cap->want.file, gw_cap_end_text(cap->end), (unsigned long long)cap->packets,
	       (unsigned long long)gw_cap_lost(cap, GW_CAP_LAN),
	       (unsigned long long)gw_cap_lost(cap, GW_CAP_FABRIC));
}

void gw_capture_stop(struct gw *gw)
{
	stop(gw, GW_CAP_STOPPED);
}

void gw_capture_left(struct gw *gw, uint64_t serial)
{
	if (gw->capture && gw->capture->serial == serial)
		stop(gw, GW_CAP_LEFT);
}

void gw_capture_tick(struct gw *gw)
{
	if (gw->capture && gw->capture->end != GW_CAP_RUNNING)
		gw_capture_stop(gw);
}

void gw_capture_close(struct gw *gw)
{
	gw_capture_stop(gw);
	if (gw->capture)
		capture_free(gw->capture);
	gw->capture = NULL;
}
