/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_async.c - asynchronous events of the device (IBTA 11.6.3), on the control thread: all are
 * logged. When the port has another address, every host is told to attach again, since what it
 * knows of our queue pairs leads nowhere; its connections go on natively meanwhile. A port that is
 * down needs nothing here: short absences are bridged by the queue pairs' retries, and long ones
 * end them (gw_boot.c).
 */
#define GW_LOG_MODULE GW_LM_FABRIC

#include "gateway/gw_boot.h"

static enum gw_log_level level(enum ibv_event_type type)
{
	switch (type) {
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return GW_LOG_DEBUG;
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_GID_CHANGE:
		return GW_LOG_NOTICE;
	case IBV_EVENT_DEVICE_FATAL:
		return GW_LOG_ERROR;
	default:
		return GW_LOG_WARNING;
	}
}

static void on_async(struct ev_loop *loop, ev_io *io, int revents)
{
	struct gw_ctl *ctl = io->data;
	struct ib_event e;

	while (ib_dev_event(&ctl->gw->dev, &e) == 0) {
		gw_log(level(e.type), "%s", e.text);
		if (e.type == IBV_EVENT_DEVICE_FATAL) { /* whoever supervises us starts anew */
			ctl->failed = true;
			ev_break(loop, EVBREAK_ALL);
		}
		if (ib_dev_moved(&ctl->gw->dev, &e))
			gw_boot_again(ctl,
				      "the gateway's fabric address has changed; attach again");
	}
}

int gw_async_open(struct gw_ctl *ctl)
{
	int fd, rc = ib_dev_events(&ctl->gw->dev, &fd);

	if (rc)
		return rc;
	ev_io_init(&ctl->async, on_async, fd, EV_READ);
	ctl->async.data = ctl;
	ev_io_start(ctl->loop, &ctl->async);
	return 0;
}

void gw_async_close(struct gw_ctl *ctl)
{
	ev_io_stop(ctl->loop, &ctl->async);
}
