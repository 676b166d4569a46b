/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_move.c - a connection leaves its gateway and is taken up by another one; a connection at rest
 * loses its memory and gets other.
 *
 * Orderly: optionally quiesced for two round trips, then exported; the successor imports that
 * state. After a crash the successor knows only what the host holds: what was placed, what was
 * acknowledged to the program, what was produced; what may have been sent in between is in doubt
 * (snd_nxt is the producer) and its start is sent again at once. Meanwhile the program goes on,
 * and segments meet nobody.
 */
#include <string.h>

#include "sim_int.h"
#include "tcpstack/tcp_park.h"

static bool movable(const struct sim_end *e)
{
	return !e->down && !e->c.fin_sent && !e->read_failed &&
	       (e->c.state == TCP_S_ESTABLISHED || e->c.state == TCP_S_CLOSE_WAIT);
}

void sim_move(struct sim_end *e)
{
	struct sim *s = e->sim;

	if (!movable(e))
		return;
	if (s->o.move_drain && !e->draining) {
		e->draining = true;
		tcp_quiesce(&e->c, s->now);
		sim_push(s, &(struct sim_ev){.at = s->now + 4 * s->o.delay_us + 1000,
					     .kind = SIM_MOVE,
					     .end = e->id});
		return;
	}
	tcp_export(&e->c, &e->io, s->now);
	if (s->o.move_crash) {
		e->io.cwnd = e->io.ssthresh = e->io.srtt_us = e->io.rttvar_us = 0;
		e->io.resume_loss = true;
	}
	tcp_detach(&e->c);
	SIM_RULE(s, tcp_deadline(&e->c, s->now) == TCP_NEVER);
	e->gen++;
	e->down = true;
	e->draining = false;
	e->want_out = 0;
	memset(e->ready, 0, s->room);
	sim_push(s, &(struct sim_ev){
			    .at = s->now + s->o.move_down_us, .kind = SIM_RESUME, .end = e->id});
	if (s->trace)
		printf("%12.3f %d  leaves its gateway\n", (double)s->now / 1000, e->id);
}

void sim_resume(struct sim_end *e)
{
	struct sim *s = e->sim;

	e->io.snd_avail = e->isn + e->produced;
	e->io.rcv_room = e->peer_isn + e->consumed + s->o.ring;
	e->io.ts_val += s->o.move_down_us / 1000;
	if (s->o.move_crash)
		e->io.snd_nxt = e->io.snd_avail;
	e->down = false;
	e->moves++;
	e->moved_at = s->now;
	SIM_RULE(s, tcp_import(&e->c, &s->cfg, &e->io, s->now) == 0);
	if (s->o.fin && e->produced == s->o.bytes[e->id])
		tcp_shutdown(&e->c, s->now);
	if (s->trace)
		printf("%12.3f %d  is taken up\n", (double)s->now / 1000, e->id);
}

void sim_park(struct sim_end *e)
{
	struct sim *s = e->sim;
	uint64_t due = tcp_deadline(&e->c, s->now);
	struct tcp_parked p;

	if (!s->o.park || tcp_park(&e->c, &p, s->now))
		return;
	memset(&e->c, 0xa5, sizeof(e->c));
	tcp_unpark(&e->c, &p, &s->cfg);
	SIM_RULE(s, tcp_deadline(&e->c, s->now) == due && tcp_parked_deadline(&p) == due);
	s->parks++;
}
