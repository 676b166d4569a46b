/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_conn.c - a connection that was taken from a program.
 *
 * Theory of operation
 *
 *	           REQ                GRANT/COMMIT            DISCONN or set fenced
 *	(program) ----> FROZEN --------------------> ACCEL ---------------------> BACK
 *	                  | timeout                    | client reset               | kernel still
 *	                  v                            v                            v
 *	                CANCEL --CANCEL_ACK--> (thaw)  DEAD <---- socket error ---- PUMP --> (end)
 *
 * FROZEN and CANCEL end in a thaw when the gateway refuses or does not answer: the socket goes
 * back to the program as it was (host_takeover.c). In ACCEL the gateway's RDMA moves the payload;
 * here are only doorbells and wake-ups (host_wake.c). BACK waits until the kernel's socket
 * stands still (host_back.c); PUMP is native operation with the program still on its rings
 * (host_pump.c). DEAD keeps the slot until the program has closed its end.
 *
 * The program owns tx_prod and rx_cons and may store any nonsense there; the gateway owns its
 * line. Both are read through host_conn_cursors() and host_conn_gwline(), which refuse what is
 * impossible, and no address is ever computed from what somebody else wrote without a mask.
 */
#include "host/host_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_daemon.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lines are little-endian");

/** States that may follow a state. */
static const uint8_t allowed[HOST_S_COUNT] = {
	[HOST_S_FROZEN] = 1 << HOST_S_CANCEL | 1 << HOST_S_ACCEL,
	[HOST_S_CANCEL] = 0,
	[HOST_S_ACCEL] = 1 << HOST_S_BACK | 1 << HOST_S_DEAD,
	[HOST_S_BACK] = 1 << HOST_S_PUMP | 1 << HOST_S_DEAD,
	[HOST_S_PUMP] = 1 << HOST_S_DEAD,
	[HOST_S_DEAD] = 0,
};

const char *host_cstate_name(enum host_cstate s)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_S_##sym] = name,
		HOST_FOREACH_CSTATE(_)
#undef _
	};

	return names[s];
}

void host_conn_set_state(struct host_conn *c, enum host_cstate s)
{
	host_log(HOST_LOG_DEBUG, "connection %08x: %s -> %s", c->id, host_cstate_name(c->state),
		 host_cstate_name(s));
	if (!(allowed[c->state] >> s & 1))
		host_log(HOST_LOG_ERROR, "connection %08x: impossible step %s -> %s", c->id,
			 host_cstate_name(c->state), host_cstate_name(s));
	c->state = s;
	c->tries = 0;
	ev_timer_stop(c->h->loop, &c->timer);
}

int host_conns_open(struct host *h)
{
	struct host_conns *t = &h->conns;

	t->scratch_len = h->conf.tx_ring + HOST_FREEZE_SLACK;
	t->scratch = malloc(t->scratch_len);
	t->by_idx = calloc(HOST_CONN_MAX, sizeof(struct host_conn *));
	return t->scratch && t->by_idx ? 0 : ENOMEM;
}

void host_conns_close(struct host *h)
{
	free(h->conns.scratch);
	free(h->conns.by_idx);
}

static void conn_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host_conn *c = w->data;

	switch (c->state) {
	case HOST_S_FROZEN:
	case HOST_S_CANCEL:
		host_takeover_timer(c);
		return;
	case HOST_S_ACCEL:
		host_wake_abort(c);
		return;
	case HOST_S_BACK:
		host_back_timer(c);
		return;
	case HOST_S_PUMP:
		host_pump_run(c);
		return;
	default:
		return;
	}
}

static void conn_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	host_wake_event(w->data);
}

static void conn_kernel(struct ev_loop *loop, ev_io *w, int revents)
{
	host_pump_run(w->data);
}

/* An unused index; the id gets a new upper half each time. */
static int conn_number(struct host_conn *c)
{
	struct host_conns *t = &c->h->conns;

	if (t->n >= HOST_CONN_MAX - 1)
		return ENOSPC;
	while (t->by_idx[t->next])
		t->next = (t->next + 1) % HOST_CONN_MAX;
	c->id = ++t->gen << 16 | t->next;
	t->by_idx[t->next] = c;
	t->next = (t->next + 1) % HOST_CONN_MAX;
	return 0;
}

/* The two ends of the program's descriptor. */
static int conn_ends(struct host_conn *c)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = c->id};
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return errno;
	c->dfd = sv[0];
	c->pfd = sv[1];
	return epoll_ctl(c->h->epd, EPOLL_CTL_ADD, c->dfd, &ev) ? errno : 0;
}

static void conn_slot(struct host_conn *c, struct host_arena *a, int slot)
{
	c->arena = a;
	c->slot = (uint16_t)slot;
	c->hl = &a->host[slot];
	c->gl = &a->gw[slot];
	c->meta = &a->meta[slot];
	c->tx = a->tx + (size_t)slot * a->tx_size;
	c->rx = a->rx + (size_t)slot * a->rx_size;
	a->conn[slot] = c;
}

struct host_conn *host_conn_new(struct host *h, struct host_flow *f, int kfd,
				struct host_ipc_client *client, uid_t uid)
{
	struct host_arena *a = host_arena_of(h, uid);
	int slot = a ? host_arena_take(a) : -1;
	struct host_conn *c;

	if (slot < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		host_arena_give(a, (uint16_t)slot);
		return NULL;
	}
	c->h = h;
	c->state = HOST_S_FROZEN;
	c->dfd = c->pfd = -1;
	c->kfd = kfd;
	c->key = f->key;
	STAILQ_INIT(&c->in);
	STAILQ_INIT(&c->out);
	ev_timer_init(&c->timer, conn_timer, 0., 0.);
	ev_io_init(&c->kio, conn_kernel, kfd, EV_READ);
	ev_timer_init(&c->look, conn_look, 0., 0.);
	c->timer.data = c->kio.data = c->look.data = c;
	conn_slot(c, a, slot);
	LIST_INSERT_HEAD(&h->conns.list, c, link);
	h->conns.n++;
	if (conn_number(c) || conn_ends(c)) {
		c->kfd = -1; /* stays the caller's */
		host_conn_free(c);
		return NULL;
	}
	c->flow = f;
	f->conn = c;
	c->client = client;
	if (client)
		client->pending = c;
	return c;
}

static void conn_forget_kept(struct host_kept_list *l)
{
	struct host_kept *k;

	while ((k = STAILQ_FIRST(l))) {
		STAILQ_REMOVE_HEAD(l, next);
		free(k);
	}
}

void host_conn_free(struct host_conn *c)
{
	struct host *h = c->h;

	host_conn_unlink(c);
	ev_timer_stop(h->loop, &c->timer);
	ev_timer_stop(h->loop, &c->look);
	ev_io_stop(h->loop, &c->kio);
	conn_forget_kept(&c->in);
	conn_forget_kept(&c->out);
	if (c->client)
		c->client->pending = NULL;
	if (c->flow)
		c->flow->conn = NULL;
	if (c->kfd >= 0)
		close(c->kfd);
	if (c->dfd >= 0)
		close(c->dfd);
	if (c->pfd >= 0)
		close(c->pfd);
	host_arena_give(c->arena, c->slot);
	if (h->conns.by_idx[c->id % HOST_CONN_MAX] == c)
		h->conns.by_idx[c->id % HOST_CONN_MAX] = NULL;
	LIST_REMOVE(c, link);
	h->conns.n--;
	free(c);
	if (h->stopping && LIST_EMPTY(&h->conns.list))
		ev_break(h->loop, EVBREAK_ALL);
}

struct host_conn *host_conn_by_req(struct host *h, uint32_t req_id)
{
	struct host_conn *c = h->conns.by_idx[req_id % HOST_CONN_MAX];

	return c && c->id == req_id ? c : NULL;
}

static struct host_conn **token_bucket(struct host *h, uint32_t token)
{
	return &h->conns.token[(token * 0x9e3779b1u) >> 20 & (HOST_TOKEN_BUCKETS - 1)];
}

struct host_conn *host_conn_by_token(struct host *h, const struct host_gw *g, uint32_t token)
{
	struct host_conn *c = *token_bucket(h, token);

	while (c && (c->token != token || c->gw != g))
		c = c->tok_next;
	return c;
}

void host_conn_link(struct host_conn *c, uint32_t token)
{
	struct host_conn **b = token_bucket(c->h, token);

	c->token = token;
	c->tok_next = *b;
	*b = c;
	c->linked = true;
}

void host_conn_unlink(struct host_conn *c)
{
	struct host_conn **pp;

	if (!c->linked)
		return;
	for (pp = token_bucket(c->h, c->token); *pp != c; pp = &(*pp)->tok_next)
		;
	*pp = c->tok_next;
	c->linked = false;
}

bool host_conn_cursors(struct host_conn *c)
{
	uint64_t tx = __atomic_load_n(&c->hl->tx_prod, __ATOMIC_ACQUIRE);
	uint64_t rx = __atomic_load_n(&c->hl->rx_cons, __ATOMIC_ACQUIRE);
	uint64_t acked = c->state == HOST_S_PUMP
				 ? c->p_tx_acked
				 : __atomic_load_n(&c->gl->tx_acked, __ATOMIC_ACQUIRE);
	uint64_t prod = c->state == HOST_S_PUMP
				? c->p_rx_prod
				: __atomic_load_n(&c->gl->rx_prod, __ATOMIC_ACQUIRE);

	if (tx < c->tx_prod || tx - acked > c->arena->tx_size || rx < c->rx_cons || rx > prod) {
		host_drop(&c->h->count, HOST_C_BAD_CURSOR,
			  "connection %08x: the program's cursors make no sense", c->id);
		return false;
	}
	c->tx_prod = tx;
	c->rx_cons = rx;
	return true;
}

bool host_conn_gwline(struct host_conn *c, struct ib_gw_line *out)
{
	bool ok;

	memcpy(out, c->gl, sizeof(*out));
	host_conn_cursors(c);
	ok = out->tx_acked <= out->tx_sent && out->tx_sent <= c->tx_prod &&
	     out->rx_prod >= c->rx_cons && out->rx_prod - c->rx_cons <= c->arena->rx_size &&
	     out->n_ooo <= 4;
	for (uint32_t i = 0; ok && i < out->n_ooo; i++)
		ok = out->ooo[i].start > out->rx_prod && out->ooo[i].start < out->ooo[i].end &&
		     out->ooo[i].end - c->rx_cons <= c->arena->rx_size;
	if (!ok)
		host_drop(&c->h->count, HOST_C_BAD_CURSOR,
			  "connection %08x: the gateway's line makes no sense", c->id);
	return ok;
}

/* The program set TTL or DSCP of the kernel's socket: the gateway sends with them from now on. */
static void conn_ip(struct host_conn *c)
{
	if (!atomic_exchange(&c->meta->ip_changed, 0))
		return;
	c->flags = (c->flags & IB_HL_BITS) | host_freeze_ip(c->kfd);
	__atomic_store_n(&c->hl->flags, c->flags, __ATOMIC_RELEASE);
}

void host_conn_kicked(struct host_conn *c)
{
	switch (c->state) {
	case HOST_S_ACCEL:
		conn_ip(c);
		if (host_conn_cursors(c))
			host_conn_doorbell(c);
		host_wake_writer(c);
		host_wake_reader(c);
		return;
	case HOST_S_PUMP:
		host_pump_run(c);
		return;
	default:
		return;
	}
}
