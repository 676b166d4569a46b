/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_lines.c - the two lines of a connection's control block (ib_line.h).
 *
 * The gateway line is WRITTEN at most once per turn, with everything it has to say: what was
 * placed, what is released, where doorbells are armed. Messages that point at it follow it on the
 * same queue pair. Its completion allows the ACK (tcp_placed()).
 *
 * The host line is READ when a doorbell has been armed (to catch a cursor that moved before the
 * arming was visible), and by busy connections instead of doorbells: with READs of payload when
 * little is known to be left, and while bytes are placed and the known room shrinks. An
 * armed value that the cursor has passed is as good as disarmed, so nothing is ever disarmed.
 */
#include <endian.h>
#include <errno.h>

#include "gateway/gw_accel.h"
#include "gateway/gw_log.h"

int gw_lines_open(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);

	if (!gw_place_room(c, 1))
		return ENOBUFS;
	gw_conn_set_place(c, gw_place_get(a, c));
	if (!c->place)
		return ENOBUFS;
	gw_alink_of(c->link)->places++;
	return 0;
}

/* What the program may reuse: acknowledged, and not being READ. */
static uint64_t releasable(const struct gw_conn *c)
{
	uint64_t una = gw_tx_cursor(c, c->tcp->snd_una), floor = gw_fetch_floor(c);

	una = RTE_MIN(una, gw_tx_prod(c));
	return RTE_MIN(una, floor);
}

/* Free bytes in the receive ring, as far as known. */
static uint32_t rx_room(const struct gw_conn *c)
{
	return gw_conn_arena(c)->rx_size - c->rx_unread;
}

/* Values the doorbells should be armed with. */
static uint64_t arm_tx(const struct gw_conn *c)
{
	return c->tcp->snd_nxt == gw_tx_seq(c, gw_tx_prod(c)) ? gw_tx_prod(c) : c->arm_tx;
}

static uint64_t arm_rx(const struct gw_conn *c)
{
	uint32_t size = gw_conn_arena(c)->rx_size;

	if (rx_room(c) >= size / 2)
		return c->arm_rx;
	if (c->arm_rx != IB_ARM_NEVER && gw_rx_cons(c) <= c->arm_rx)
		return c->arm_rx; /* still armed */
	return gw_rx_cons(c) + size / 4 - 1;
}

/* Out-of-order intervals of the position as cursors. */
static void fill_ooo(const struct gw_conn *c, const struct tcp_rx_pos *pos, struct ib_gw_line *l)
{
	l->n_ooo = htole32(pos->n_ooo);
	for (int i = 0; i < TCP_MAX_SACK; i++) {
		uint64_t start = 0, end = 0;

		if (i < pos->n_ooo) {
			start = gw_rx_cursor(c, pos->ooo[i].start);
			end = gw_rx_cursor(c, pos->ooo[i].end);
		}
		l->ooo[i].start = htole64(start);
		l->ooo[i].end = htole64(end);
	}
}

/* Moves the "last written" cursors; what is kept as a distance from them follows. */
static void move(struct gw_conn *c, uint64_t tx_acked, uint64_t rx_prod)
{
	c->tx_ahead -= (uint32_t)(tx_acked - c->tx_acked);
	c->tx_acked = tx_acked;
	c->rx_unread += (uint32_t)(rx_prod - c->rx_prod);
	c->rx_prod = rx_prod;
}

/* Composes a line and moves the "last written" values. */
static void fill(struct gw_conn *c, struct gw_place *p, uint32_t flags)
{
	struct gw_worker *w = c->link->worker;
	struct ib_gw_line *l = p->line;
	struct tcp_rx_pos *pos = &p->pos;
	struct tcp_state_io st;
	uint64_t sent;

	tcp_rx_get(c->tcp, pos);
	tcp_export(c->tcp, &st, w->now_us);
	fill_ooo(c, pos, l);
	move(c, releasable(c), gw_rx_cursor(c, pos->rcv_nxt - pos->fin));
	c->arm_tx = flags & IB_GL_BACK ? IB_ARM_NEVER : arm_tx(c);
	c->arm_rx = flags & IB_GL_BACK ? IB_ARM_NEVER : arm_rx(c);
	c->rx_fin = pos->fin;
	sent = gw_tx_cursor(c, st.snd_nxt);
	l->tx_acked = htole64(c->tx_acked);
	l->tx_sent = htole64(RTE_MIN(sent, gw_tx_prod(c)));
	l->rx_prod = htole64(c->rx_prod);
	l->arm_tx = htole64(c->arm_tx);
	l->arm_rx = htole64(c->arm_rx);
	l->flags = htole32(flags | (pos->fin ? IB_GL_RX_FIN : 0));
	l->token = htole32(c->token);
	l->snd_wnd = htole32(st.snd_wnd);
	l->rcv_edge = htole32(st.rcv_edge);
	l->ts_val = htole32(st.ts_val);
	l->ts_recent = htole32(st.ts_recent);
	l->srtt_us = htole32(st.srtt_us);
	l->epoch = htole32(w->gw->epoch);
	l->soft = htole32(c->soft);
}

/* The line is in the server's memory, and so is all that it names. */
static void on_written(struct ib_op *op, enum ibv_wc_status status)
{
	struct gw_place *p = (struct gw_place *)op;
	struct gw_conn *c = p->conn;
	struct gw_accel *a = gw_accel_of(c);
	bool final = p->final;

	if (status == IBV_WC_SUCCESS && c->state != GW_C_LOST && c->state != GW_C_GONE) {
		tcp_placed(c->tcp, &p->pos, a->w->now_us);
		if (final)
			gw_back_final_done(c);
		else
			gw_accel_dirty(c);
	}
	gw_place_put(a, p);
	gw_conn_op_done(c);
}

/* Posts c->place. 0 or errno: the link is failing. */
static int post(struct gw_conn *c, uint32_t flags)
{
	struct gw_accel *a = gw_accel_of(c);
	const struct ib_arena *ar = gw_conn_arena(c);
	struct gw_place *p = gw_conn_place(c);
	struct ibv_sge sge = {
		.addr = (uintptr_t)p->line, .length = sizeof(*p->line), .lkey = a->line_mr->lkey};
	int rc;

	fill(c, p, flags);
	p->op.done = on_written;
	ib_tap_mark(&c->link->set.ctl, c->token);
	rc = ib_qp_write(&c->link->set.ctl, &sge, 1,
			 ar->gw_base + (uint64_t)c->slot * sizeof(struct ib_gw_line), ar->gw_rkey,
			 &p->op);
	if (rc) {
		gw_accel_fail(c->link); /* the line goes with the connection */
		return rc;
	}
	gw_conn_set_place(c, NULL);
	gw_alink_of(c->link)->places--;
	c->ops_out++;
	a->ops_out++;
	a->w->stats.line_writes++;
	c->line_due = false;
	return 0;
}

void gw_lines_post(struct gw_conn *c)
{
	uint64_t rx = c->rx_prod, tx = c->tx_acked, atx = c->arm_tx, arx = c->arm_rx;
	bool fin = c->rx_fin;
	struct ib_cursor m = {.token = htobe32(c->token)};

	if (c->link->set.dead || post(c, 0))
		return;
	if (c->arm_tx != atx || c->arm_rx != arx)
		c->peek_due = true;
	if (c->rx_prod != rx || c->rx_fin != fin) {
		m.cursor = htobe64(c->rx_prod);
		m.flags = htobe32(c->rx_fin ? IB_GL_RX_FIN : 0);
		gw_accel_send(c->link, IB_MID_WR_COMPL, &m);
		if (rx_room(c) < gw_conn_arena(c)->rx_size / 4 * 3)
			c->peek_due = true;
	}
	c->rd_noted += (uint32_t)(c->tx_acked - tx);
	if (c->rd_noted >= gw_conn_arena(c)->tx_size / 8 || (c->rd_noted && !c->tx_ahead)) {
		c->rd_noted = 0;
		m.cursor = htobe64(c->tx_acked);
		m.flags = 0;
		gw_accel_send(c->link, IB_MID_RD_COMPL, &m);
	}
}

/* True when the released part is worth a line. */
static bool release_due(const struct gw_conn *c)
{
	uint64_t now = releasable(c), freed = now - c->tx_acked;

	return freed >= gw_conn_arena(c)->tx_size / 8 || (freed && now == gw_tx_prod(c));
}

/* The host line is here. */
static void on_peek(struct ib_op *op, enum ibv_wc_status status)
{
	struct gw_peek *p = (struct gw_peek *)op;
	struct gw_conn *c = p->conn;
	uint32_t flags = le32toh(p->line->flags);

	c->peeking = false;
	if (status == IBV_WC_SUCCESS && gw_conn_running(c)) {
		/* The flag and the cursor may be of two moments: believe the flag the second time.
		 */
		if (flags & IB_HL_TX_FIN && !c->tx_fin_seen) {
			c->tx_fin_seen = true;
			c->peek_due = true;
			flags &= ~IB_HL_TX_FIN;
		}
		if (le32toh(p->line->token) != c->token ||
		    !gw_lines_cursors(c, le64toh(p->line->tx_prod), le64toh(p->line->rx_cons),
				      flags))
			gw_back_kill(c, IB_R_BAD_STATE);
		gw_accel_dirty(c);
	}
	gw_peek_put(gw_accel_of(c), p);
	gw_conn_op_done(c);
}

/* READs the host line. */
static void peek(struct gw_conn *c)
{
	struct gw_accel *a = gw_accel_of(c);
	const struct ib_arena *ar = gw_conn_arena(c);
	struct ibv_sge sge = {.length = sizeof(struct ib_host_line), .lkey = a->line_mr->lkey};
	struct gw_peek *p;

	if (c->peeking || !gw_place_room(c, 1))
		return;
	p = gw_peek_get(a, c);
	if (!p)
		return;
	p->op.done = on_peek;
	sge.addr = (uintptr_t)p->line;
	ib_tap_mark(&c->link->set.ctl, c->token);
	if (ib_qp_read(&c->link->set.ctl, &sge, 1,
		       ar->host_base + (uint64_t)c->slot * sizeof(struct ib_host_line),
		       ar->host_rkey, &p->op)) {
		gw_peek_put(a, p);
		gw_accel_fail(c->link);
		return;
	}
	c->peek_due = false;
	c->peeking = true;
	c->ops_out++;
	a->ops_out++;
	a->w->stats.line_reads++;
}

void gw_lines_run(struct gw_conn *c)
{
	if (c->link->set.dead)
		return;
	if (release_due(c) || arm_tx(c) != c->arm_tx || arm_rx(c) != c->arm_rx)
		c->line_due = true;
	if (c->line_due && (c->place || !gw_lines_open(c)))
		gw_lines_post(c);
	if (c->place && !gw_conn_place(c)->n && !c->line_due) {
		/* Opened for a segment that brought nothing. */
		gw_place_put(gw_accel_of(c), gw_conn_place(c));
		gw_conn_set_place(c, NULL);
		gw_alink_of(c->link)->places--;
	}
	if (c->peek_due && !c->line_due)
		peek(c);
}

int gw_lines_final(struct gw_conn *c)
{
	if (!c->place && gw_lines_open(c))
		return ENOBUFS;
	gw_conn_place(c)->final = true;
	return post(c, IB_GL_BACK);
}

bool gw_lines_cursors(struct gw_conn *c, uint64_t tx_prod, uint64_t rx_cons, uint32_t flags)
{
	struct gw_worker *w = c->link->worker;
	const struct ib_arena *ar = gw_conn_arena(c);
	bool tx_new = tx_prod > gw_tx_prod(c), rx_new = rx_cons > gw_rx_cons(c);

	/* Older values than known are late news, not errors. */
	if ((tx_new && (tx_prod - c->tx_acked > ar->tx_size || c->tx_fin)) ||
	    (rx_new && rx_cons > c->rx_prod)) {
		w->stats.drop[GW_DROP_BAD_CURSOR]++;
		gw_event(w, GW_EV_BAD_MESSAGE, "server %s: cursor outside its ring",
			 c->link->host->cfg->name);
		return false;
	}
	if (tx_new) {
		tcp_produced(c->tcp, (uint32_t)(tx_prod - gw_tx_prod(c)), w->now_us);
		c->tx_ahead = (uint32_t)(tx_prod - c->tx_acked);
	}
	if (rx_new) {
		c->rx_unread = (uint32_t)(c->rx_prod - rx_cons);
		tcp_room(c->tcp, gw_rx_edge(c), w->now_us);
	}
	if (flags & IB_HL_TX_FIN)
		c->tx_fin = true;
	gw_lines_ip(c, flags);
	return true;
}

void gw_lines_ip(struct gw_conn *c, uint32_t flags)
{
	c->ttl = (uint8_t)(flags >> IB_HL_TTL_SHIFT);
	c->tos = (uint8_t)((flags & IB_HL_IP) >> IB_HL_TOS_SHIFT);
}

void gw_lines_avail(struct gw_conn *c, const struct ib_cursor *m)
{
	if (!gw_conn_running(c))
		return;
	if (!gw_live_wake(c)) {
		c->peek_due = true; /* the host line says the same, whenever it is READ */
		gw_live_retry(c);
		return;
	}
	if (!gw_lines_cursors(c, be64toh(m->cursor), be64toh(m->other), be32toh(m->flags)))
		gw_back_kill(c, IB_R_BAD_STATE);
	gw_accel_dirty(c);
}
