/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_check.c - health checks of servers: a TCP connection, and over it an HTTP GET.
 *
 * They go the native path, as a client's frames do after they were received, so they prove all of
 * it: queue pair, agent, TAP, the server's kernel and the program that listens. The gateway
 * has no kernel sockets there; a check is three segments by hand instead. What a reply means
 * follows from its flags; nothing is sent again, as one lost check is what `fall` is for:
 *
 *	SYN -> SYN,ACK                    good (tcp), or:
 *	       ACK,PSH "GET" -> "HTTP/1.x 2xx or 3xx"   good (http)
 *	       RST, anything else, silence until the next check is due   bad
 *
 * With `check-addresses = all` one address is asked after the other, and all must be good in time.
 * A RST ends each. Worker 0 does it; results are counters that gw_health.c reads.
 */
#include <errno.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <stdio.h>

#include "gateway/gw_policy.h"
#include "tcpstack/net_wire.h"

#define FIRST_PORT 61000 /* source ports: one per server */
#define WINDOW	   8192
#define STATUS_LEN 12 /* "HTTP/1.1 200" */

static_assert(FIRST_PORT + GW_MAX_HOSTS <= 65536, "a source port names a server");

/** State of a check. */
enum check_state {
	CHECK_IDLE,
	CHECK_SYN,     /* SYN sent */
	CHECK_REQUEST, /* GET sent */
};

/** The check of a server. */
struct check {
	uint64_t due_ms; /* next one */
	uint32_t seq;	 /* of our next byte */
	uint32_t ack;	 /* of its next byte */
	uint8_t state;	 /* enum check_state */
	uint8_t at;	 /* which of the server's addresses is asked */
};

struct gw_checks {
	struct check check[GW_MAX_HOSTS];
};

int gw_check_open(struct gw_worker *w)
{
	if (w->index)
		return 0;
	w->checks = rte_zmalloc("checks", sizeof(*w->checks), 0);
	return w->checks ? 0 : ENOMEM;
}

void gw_check_close(struct gw_worker *w)
{
	rte_free(w->checks);
	w->checks = NULL;
}

/* The one place where a check changes its state. */
static void set_state(struct check *c, enum check_state s)
{
	c->state = (uint8_t)s;
}

/* Address of a server that is asked, and ours on that LAN. False: none. */
static bool ends(struct gw *gw, const struct gw_host *h, const struct check *c, struct net_flow *f,
		 struct gw_port **port)
{
	const struct gw_server_cfg *cfg = h->cfg;
	const struct net_addr *self;

	if (c->at >= cfg->n_addr)
		return false;
	*port = gw_port_of(gw, &cfg->addr[c->at]);
	self = *port ? gw_port_self(*port, &cfg->addr[c->at]) : NULL;
	if (!self)
		return false;
	*f = (struct net_flow){.remote = cfg->addr[c->at],
			       .local = *self,
			       .rport = htobe16(cfg->check_port),
			       .lport = htobe16((uint16_t)(FIRST_PORT + h->id))};
	return true;
}

/* Sends one segment with `len` bytes of text. */
static void send_segment(struct gw_worker *w, struct gw_host *h, const struct check *c,
			 uint8_t flags, const char *text, uint32_t len)
{
	const struct tcp_emit e = {.seq = c->seq, .ack = c->ack, .wnd = WINDOW, .flags = flags};
	struct net_l2 l2 = {0};
	struct gw_port *port;
	struct rte_mbuf *m;
	struct net_flow f;
	uint8_t *buf;
	size_t room, n;
	uint16_t l4;

	if (!ends(w->gw, h, c, &f, &port) || !(m = gw_frame_new(w, &buf, &room)))
		return;
	memcpy(l2.dst, h->mac.addr_bytes, sizeof(l2.dst));
	memcpy(l2.src, port->mac.addr_bytes, sizeof(l2.src));
	n = net_build_tcp(buf, room, &l2, &f, &e, e.seq, flags, len, 0, &l4);
	if (n && n + len <= room) {
		memcpy(buf + n, text, len);
		net_tcp_csum_finish(buf + l4, n - l4, net_csum_add(0, buf + n, len, false));
		n += len;
	}
	m = gw_frame_end(m, n);
	if (m)
		gw_native_send(w, h, m);
}

/* Asks the address whose turn it is. */
static void ask(struct gw_worker *w, struct gw_host *h, struct check *c)
{
	c->seq = (uint32_t)rte_rand();
	c->ack = 0;
	send_segment(w, h, c, TCP_SYN, "", 0);
	c->seq++;
	set_state(c, CHECK_SYN);
	w->stats.checks_sent++;
}

/* The result for an address is known: one that is bad is enough, good must be all that count. */
static void finish(struct gw_worker *w, struct gw_host *h, struct check *c, bool good)
{
	const struct gw_server_cfg *cfg = h->cfg;

	if (good && cfg->check_all && c->at + 1u < cfg->n_addr) {
		c->at++;
		ask(w, h, c);
		return;
	}
	atomic_fetch_add_explicit(good ? &h->checks_good : &h->checks_bad, 1, memory_order_relaxed);
	set_state(c, CHECK_IDLE);
}

/* The next check begins; one that has no answer yet has failed. */
static void begin(struct gw_worker *w, struct gw_host *h, struct check *c)
{
	if (c->state != CHECK_IDLE) {
		send_segment(w, h, c, TCP_RST | TCP_ACK, "", 0);
		finish(w, h, c, false);
	}
	c->due_ms = w->now_ms + h->cfg->check_ms;
	c->at = 0;
	ask(w, h, c);
}

void gw_check_run(struct gw_worker *w)
{
	struct gw *gw = w->gw;

	for (uint32_t i = 0; w->checks && i < gw->cfg->n_server; i++) {
		struct check *c = &w->checks->check[i];
		struct gw_host *h = &gw->host[i];

		if (h->cfg->check == GW_CHECK_NONE || w->now_ms < c->due_ms)
			continue;
		if (h->link[w->index].up)
			begin(w, h, c);
		else
			set_state(c, CHECK_IDLE);
	}
}

/* The server accepted: asks, or is content. */
static void accepted(struct gw_worker *w, struct gw_host *h, struct check *c,
		     const struct net_addr *to)
{
	char text[256], addr[NET_ADDRSTR];
	int n;

	if (h->cfg->check == GW_CHECK_TCP) {
		send_segment(w, h, c, TCP_RST | TCP_ACK, "", 0);
		finish(w, h, c, true);
		return;
	}
	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: tagd\r\nConnection: close\r\n\r\n",
		     h->cfg->check_path, net_addr_str(to, addr));
	send_segment(w, h, c, TCP_ACK | TCP_PSH, text, (uint32_t)n);
	c->seq += (uint32_t)n;
	set_state(c, CHECK_REQUEST);
}

/* True for the beginning of a good answer. */
static bool status_good(const uint8_t *text, uint32_t len)
{
	return len >= STATUS_LEN && memcmp(text, "HTTP/1.", 7) == 0 && text[8] == ' ' &&
	       (text[9] == '2' || text[9] == '3');
}

/* An answer to a check under way. */
static void answer(struct gw_worker *w, struct gw_host *h, struct check *c, const uint8_t *frame,
		   const struct net_pkt *p)
{
	const uint8_t *tcp = frame + p->l4_off;
	const uint8_t flags = tcp[NET_TCP_FLAGS];

	if (flags & TCP_RST) {
		finish(w, h, c, false);
	} else if (c->state == CHECK_SYN && (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		c->ack = net_get32(tcp + NET_TCP_SEQ) + 1;
		accepted(w, h, c, &p->src);
	} else if (c->state == CHECK_REQUEST && (p->payload_len || flags & TCP_FIN)) {
		c->ack = net_get32(tcp + NET_TCP_SEQ) + p->payload_len;
		send_segment(w, h, c, TCP_RST | TCP_ACK, "", 0);
		finish(w, h, c, status_good(frame + p->payload_off, p->payload_len));
	}
}

bool gw_check_rx(struct gw_worker *w, struct gw_host *h, const struct rte_mbuf *m,
		 const struct net_pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct gw_port *port;
	struct net_flow f;
	struct check *c;

	if (!w->checks || p->proto != NET_PROTO_TCP || !p->l4_off || p->fragment)
		return false;
	c = &w->checks->check[h->id];
	if (!ends(w->gw, h, c, &f, &port) || p->dport != f.lport || p->sport != f.rport ||
	    !net_addr_eq(&p->src, &f.remote) || !net_addr_eq(&p->dst, &f.local))
		return false;
	if (c->state != CHECK_IDLE && net_get32(frame + p->l4_off + NET_TCP_ACK) == c->seq)
		answer(w, h, c, frame, p);
	return true;
}
