/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_event.c - asynchronous events of a device: ports that go and come, queue pairs that fail by
 * what a peer did (IBTA 11.6.3).
 *
 * The responder of a refused request learns of it here only: no completion of its own has failed.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int ib_dev_events(struct ib_dev *d, int *fd)
{
	int fl = fcntl(d->ctx->async_fd, F_GETFL);

	if (fl < 0 || fcntl(d->ctx->async_fd, F_SETFL, fl | O_NONBLOCK) < 0)
		return errno;
	*fd = d->ctx->async_fd;
	return 0;
}

int ib_dev_event(struct ib_dev *d, struct ib_event *e)
{
	struct ibv_async_event ev;

	if (ibv_get_async_event(d->ctx, &ev))
		return errno ? errno : EIO;
	*e = (struct ib_event){.type = ev.event_type};
	switch (ev.event_type) {
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		e->qpn = ev.element.qp->qp_num;
		snprintf(e->text, sizeof(e->text), "%s: queue pair 0x%06x: %s", d->name, e->qpn,
			 ibv_event_type_str(ev.event_type));
		break;
	case IBV_EVENT_PORT_ACTIVE:
	case IBV_EVENT_PORT_ERR:
	case IBV_EVENT_LID_CHANGE:
	case IBV_EVENT_PKEY_CHANGE:
	case IBV_EVENT_SM_CHANGE:
	case IBV_EVENT_CLIENT_REREGISTER:
	case IBV_EVENT_GID_CHANGE:
		e->port = ev.element.port_num;
		snprintf(e->text, sizeof(e->text), "%s: port %u: %s", d->name, e->port,
			 ibv_event_type_str(ev.event_type));
		break;
	default:
		snprintf(e->text, sizeof(e->text), "%s: %s", d->name,
			 ibv_event_type_str(ev.event_type));
		break;
	}
	ibv_ack_async_event(&ev);
	return 0;
}

bool ib_dev_moved(struct ib_dev *d, const struct ib_event *e)
{
	struct ibv_port_attr now;
	union ibv_gid gid;
	bool moved;

	if (e->port != d->port ||
	    (e->type != IBV_EVENT_LID_CHANGE && e->type != IBV_EVENT_GID_CHANGE &&
	     e->type != IBV_EVENT_CLIENT_REREGISTER && e->type != IBV_EVENT_PORT_ACTIVE))
		return false;
	if (ibv_query_port(d->ctx, d->port, &now))
		return false;
	if (ibv_query_gid(d->ctx, d->port, d->gid_index, &gid))
		gid = d->gid;
	moved = now.lid != d->port_attr.lid || memcmp(&gid, &d->gid, sizeof(gid)) != 0;
	d->port_attr.lid = now.lid;
	d->port_attr.sm_sl = now.sm_sl;
	d->gid = gid;
	return moved;
}
