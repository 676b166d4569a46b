/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_accel_msg.c - messages of hosts, to the file that acts on them (ib_msg.h, docs/protocol.md).
 *
 * A token names a connection only on the link it was granted on: one host cannot reach another
 * host's connections.
 */
#include <endian.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_log.h"

/* Connection of a token that came by link l, or NULL (counted). */
static struct gw_conn *by_token(struct gw_link *l, uint32_t token)
{
	struct gw_worker *w = l->worker;
	struct gw_conn *c = corr_accel_by_token(w->accel->map, be32toh(token));

	if (c && c->link == l)
		return c;
	w->stats.drop[GW_DROP_STALE_TOKEN]++;
	return NULL;
}

/* AbortConn: the host wants it stopped at once. */
static void on_abort(struct gw_conn *c, enum ib_reason r)
{
	c->link->worker->stats.host_aborts++;
	if (!gw_conn_running(c))
		return;
	if (gw_live_wake(c))
		gw_back_now(c, r, IB_MID_DISCONN);
	else
		gw_back_start(c, r); /* as soon as there is room for it; nothing is under way */
}

/* Kinds whose entry is a struct ib_ctl. */
static void on_ctl(struct gw_link *l, uint8_t mid, const struct ib_ctl *m)
{
	enum ib_reason r = be16toh(m->reason);
	struct gw_conn *c;

	if (mid == IB_MID_COMMIT) {
		gw_take_commit(l, m);
		return;
	}
	if (mid == IB_MID_CANCEL) {
		gw_take_cancel(l, m);
		return;
	}
	c = by_token(l, m->token);
	if (!c)
		return;
	if (r >= IB_R_COUNT)
		r = IB_R_NONE;
	if (mid == IB_MID_ABORT)
		on_abort(c, r);
	else if (mid == IB_MID_REVOKE)
		gw_back_start(c, r);
	else
		gw_back_ack(c);
}

/* One entry. */
static void on_entry(struct gw_link *l, uint8_t mid, const void *entry)
{
	struct gw_conn *c;

	switch (mid) {
	case IB_MID_REQ:
		gw_take_req(l, entry);
		break;
	case IB_MID_COMMIT:
	case IB_MID_CANCEL:
	case IB_MID_ABORT:
	case IB_MID_REVOKE:
	case IB_MID_BACK_ACK:
		on_ctl(l, mid, entry);
		break;
	case IB_MID_SRC_AVAIL:
		c = by_token(l, ((const struct ib_cursor *)entry)->token);
		if (c)
			gw_lines_avail(c, entry);
		break;
	case IB_MID_DATA: /* duplicates what is in the ring */
		break;
	default: /* a gateway's own kinds */
		l->worker->stats.drop[GW_DROP_BAD_MESSAGE]++;
		break;
	}
}

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	struct gw_link *l = s->owner;
	const uint8_t *entry = entries;
	uint32_t size = ib_msg_entry_size(mid);

	l->worker->stats.messages_in += n;
	if (!l->accel) {
		l->worker->stats.drop[GW_DROP_BAD_MESSAGE] += n;
		return;
	}
	for (int i = 0; i < n; i++, entry += size)
		on_entry(l, mid, entry);
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
	struct gw_link *l = s->owner;

	l->worker->stats.drop[GW_DROP_BAD_MESSAGE]++;
	gw_event(l->worker, GW_EV_BAD_MESSAGE, "server %s: malformed message 0x%02x of %u bytes",
		 l->host->cfg->name, mid, bytes);
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	struct gw_link *l = s->owner;

	gw_event(l->worker, GW_EV_QP_DEAD, "server %s: queue pairs failed: %s", l->host->cfg->name,
		 ibv_wc_status_str(status));
	if (l->accel)
		gw_alink_dead(l);
}

const struct ib_set_ops gw_accel_set_ops = {.msg = on_msg, .bad = on_bad, .dead = on_dead};
