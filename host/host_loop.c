/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_loop.c - the event loop of taghostd: what it watches, and the last look before it sleeps.
 *
 * Kicks and completions have no file descriptor until somebody sleeps, so before each wait the
 * loop says that it sleeps (the arenas' `asleep`, the completion channel's arming), looks once
 * more, and does not wait when there is something.
 */
#include "host/host_loop.h"
#include "host/host_notify.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CQ_BUDGET  256 /* completions per look */
#define TAP_BUDGET 64  /* frames per look */
#define LOOKS	   8   /* rounds before other events get a turn */
#define STOP_TIME  2.0 /* seconds that a clean shutdown waits for the gateway */

static void loop_tap(struct ev_loop *loop, ev_io *w, int revents)
{
	host_steer_drain(w->data, TAP_BUDGET);
}

static void loop_cq(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host *h = w->data;

	ib_cq_ack(&h->cq);
}

/* Events of the device: with another address, every gateway has to learn it. */
static void loop_dev(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host *h = w->data;
	struct ib_event e;

	while (ib_dev_event(&h->dev, &e) == 0) {
		host_log(HOST_LOG_INFO, "%s", e.text);
		if (!ib_dev_moved(&h->dev, &e))
			continue;
		for (unsigned int i = 0; i < h->n_gw; i++) {
			h->gw[i].dev.port_attr = h->dev.port_attr;
			h->gw[i].dev.gid = h->dev.gid;
			host_gw_lost(&h->gw[i], "our fabric address has changed");
		}
	}
}

static void loop_epd(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host *h = w->data;
	struct epoll_event ev[64];
	int n = epoll_wait(h->epd, ev, 64, 0);

	for (int i = 0; i < n; i++) {
		struct host_conn *c = host_conn_by_req(h, (uint32_t)ev[i].data.u64);

		if (c) /* it may have gone with an earlier event */
			host_wake_event(c);
	}
}

/* Everything that is due; returns how much was done. */
static int loop_work(struct host *h)
{
	int done = ib_cq_poll(&h->cq, CQ_BUDGET);

	for (unsigned int i = 0; i < h->n_arena; i++)
		done += host_arena_poll(h->arena[i]);
	host_gw_flush(h);
	return done;
}

static bool loop_asleep(struct host *h, bool asleep)
{
	bool pending = false;

	for (unsigned int i = 0; i < h->n_arena; i++)
		pending |= host_arena_sleep(h->arena[i], asleep);
	return pending;
}

static void loop_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct host *h = w->data;

	for (int i = 0; i < LOOKS; i++) {
		bool pending;

		if (loop_work(h))
			continue;
		ib_cq_arm(&h->cq);
		pending = loop_asleep(h, true);
		if (!loop_work(h) && !pending) {
			ev_idle_stop(h->loop, &h->busy);
			return;
		}
	}
	ev_idle_start(h->loop, &h->busy);
}

static void loop_check(struct ev_loop *loop, ev_check *w, int revents)
{
	loop_asleep(w->data, false);
}

static void loop_busy(struct ev_loop *loop, ev_idle *w, int revents)
{
}

static void loop_age(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host *h = w->data;

	host_flows_age(&h->flows, host_now(h));
	host_conn_age(h);
	host_notify_tick(h);
	host_log_tick(&h->count, false);
	h->count.v[HOST_C_DROP_TAP_FULL] = host_tap_dropped(&h->conf) - h->tap.dropped0;
}

/* One connection, with everything that decides who waits for whom. */
static void loop_show(struct host_conn *c)
{
	const struct host_meta *m = c->meta;

	host_show("connection %08x token %08x slot %u.%u %s tx %llu/%llu/%llu rx %llu/%llu "
		  "arm %lld/%lld signaled %u blocked %u filler %llu/%llu%s%s",
		  c->id, c->token, c->arena->id, c->slot, host_cstate_name(c->state),
		  (unsigned long long)c->hl->tx_prod, (unsigned long long)c->gl->tx_sent,
		  (unsigned long long)c->gl->tx_acked, (unsigned long long)c->gl->rx_prod,
		  (unsigned long long)c->hl->rx_cons, (long long)c->gl->arm_tx,
		  (long long)c->gl->arm_rx, m->rx_signaled, m->tx_blocked,
		  (unsigned long long)m->filler_written, (unsigned long long)m->filler_drained,
		  c->p_shut ? " shut" : "", c->p_gone ? " gone" : "");
}

static void loop_usr1(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct host *h = w->data;
	struct host_conn *c;

	host_count_dump(&h->count);
	for (unsigned int i = 0; i < h->n_gw; i++)
		host_show("gateway %s %s", h->gw[i].conf->name, host_gwstate_name(h->gw[i].state));
	host_show("flows %u connections %u programs %u", h->flows.n, h->conns.n, h->ipc.n);
	LIST_FOREACH (c, &h->conns.list, link)
		loop_show(c);
}

static void loop_usr2(struct ev_loop *loop, ev_signal *w, int revents)
{
	host_show("log level: %s", host_log_toggle());
}

static void loop_stop_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static void loop_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct host *h = w->data;

	if (h->stopping) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	host_log(HOST_LOG_INFO, "stopping: handing %u connection(s) back", h->conns.n);
	h->stopping = true;
	host_page_update(h);
	host_conn_stop(h);
	host_gw_flush(h);
	ev_timer_set(&h->stop_timer, LIST_EMPTY(&h->conns.list) ? 0. : STOP_TIME, 0.);
	ev_timer_start(loop, &h->stop_timer);
}

/* Watches a descriptor for reading. */
static void loop_watch(struct host *h, ev_io *io, int fd,
		       void (*cb)(struct ev_loop *, ev_io *, int))
{
	ev_io_init(io, cb, fd, EV_READ);
	io->data = h;
	ev_io_start(h->loop, io);
}

static void loop_signal(struct host *h, ev_signal *s, int sig,
			void (*cb)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(s, cb, sig);
	s->data = h;
	ev_signal_start(h->loop, s);
}

int host_loop_open(struct host *h)
{
	int fd, rc = ib_dev_events(&h->dev, &fd);

	if (rc)
		return rc;
	h->epd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epd < 0)
		return errno;
	loop_watch(h, &h->tap.io, h->tap.fd, loop_tap);
	loop_watch(h, &h->cq_io, h->cq.channel->fd, loop_cq);
	loop_watch(h, &h->dev_io, fd, loop_dev);
	loop_watch(h, &h->epd_io, h->epd, loop_epd);
	ev_prepare_init(&h->prepare, loop_prepare);
	h->prepare.data = h;
	ev_prepare_start(h->loop, &h->prepare);
	ev_check_init(&h->check, loop_check);
	h->check.data = h;
	ev_check_start(h->loop, &h->check);
	ev_idle_init(&h->busy, loop_busy);
	ev_timer_init(&h->age, loop_age, 1., 1.);
	h->age.data = h;
	ev_timer_start(h->loop, &h->age);
	ev_timer_init(&h->stop_timer, loop_stop_timer, 0., 0.);
	loop_signal(h, &h->sig_term, SIGTERM, loop_term);
	loop_signal(h, &h->sig_int, SIGINT, loop_term);
	loop_signal(h, &h->sig_usr1, SIGUSR1, loop_usr1);
	loop_signal(h, &h->sig_usr2, SIGUSR2, loop_usr2);
	return 0;
}

void host_loop_close(struct host *h)
{
	if (h->epd >= 0)
		close(h->epd);
	h->epd = -1;
}
