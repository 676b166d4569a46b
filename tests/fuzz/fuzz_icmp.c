/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_icmp.c - any bytes as an ICMP or ICMPv6 message from the client's side, on a live connection
 * with data in flight. Whatever is believed, segments stay between the least size and what
 * both ends agreed to, the connection stays open, and all of its stream is sent in the end.
 */
#include <errno.h>
#include <string.h>

#include "tcpstack/net_wire.h"
#include "tests/fuzz/fuzz_bytes.h"
#include "tests/unit/tcpstack/tcp_check.h"

#define SND    0xffffff00u /* first byte of ours */
#define RCV    0x12345678u /* the client's */
#define STREAM 60000u	   /* bytes of ours */

/** One connection; the client's side takes what fits through its path. */
struct world {
	struct tcp_conn c; /* first: ops get the world from it */
	struct tcp_cfg cfg;
	struct tcp_pool pool;	  /* of rec[] */
	struct tcp_txrec rec[32]; /* transmission records */
	struct bytes in;
	uint64_t now;
	uint32_t got; /* bytes the client has in order */
	bool v6;
};

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	struct world *w = (struct world *)c;
	uint32_t off = e->seq - SND;

	if (!e->len)
		return 0;
	PROMISE(e->mss + e->optlen <= 1460 && e->mss + e->optlen >= (w->v6 ? 1220 : 536));
	PROMISE(!e->df_off || !w->v6);
	if (off <= w->got && off + e->len > w->got && bytes_take(&w->in, 1) % 4)
		w->got = off + e->len;
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	PROMISE(ev == TCP_E_COUNT); /* none is due */
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

static void setup(struct world *w)
{
	struct tcp_state_io st = {.version = TCP_STATE_VERSION,
				  .state = TCP_S_ESTABLISHED,
				  .sack_ok = true,
				  .is_v6 = w->v6,
				  .mss = 1460,
				  .snd_una = SND,
				  .snd_nxt = SND,
				  .snd_avail = SND,
				  .snd_wnd = 65535,
				  .snd_wl1 = RCV,
				  .snd_wl2 = SND,
				  .max_wnd = 65535,
				  .rcv_nxt = RCV,
				  .rcv_edge = RCV + 1000,
				  .rcv_room = RCV + 1000,
				  .srtt_us = 1000,
				  .rttvar_us = 500};

	tcp_cfg_default(&w->cfg);

	w->cfg.ops = &ops;
	tcp_pool_init(&w->pool, w->rec, 32, 16);
	w->cfg.pool = &w->pool;
	PROMISE(tcp_import(&w->c, &w->cfg, &st, w->now) == 0);
	tcp_produced(&w->c, STREAM, w->now);
	tcp_output(&w->c, w->now);
}

/* A frame around the next bytes: headers are right, so that the fuzzer gets past them. */
static uint32_t frame(struct world *w, uint8_t *b)
{
	struct net_addr router, server;
	uint32_t n = bytes_take(&w->in, 1) % 120, off, sum = 0;

	net_addr_parse(w->v6 ? "fd77::99" : "10.77.0.99", &router);
	net_addr_parse(w->v6 ? "fd77::11" : "10.77.0.11", &server);
	off = (uint32_t)net_put_eth(b, (uint8_t[6]){2, 1}, (uint8_t[6]){2, 2}, 0,
				    w->v6 ? NET_ETHERTYPE_IP6 : NET_ETHERTYPE_IP4);
	if (w->v6) {
		off += net_put_ip6(b + off, &router, &server, NET_PROTO_ICMP6, 64, (uint16_t)n);
		sum = net_csum_pseudo(&router, &server, NET_PROTO_ICMP6, n);
	} else {
		off += net_put_ip4(b + off, &router, &server, NET_PROTO_ICMP, 1, (uint16_t)n);
	}
	for (uint32_t i = 0; i < n; i++)
		b[off + i] = (uint8_t)bytes_take(&w->in, 1);
	if (n >= 4) {
		net_put16(b + off + 2, 0);
		net_put_raw16(b + off + 2,
			      (uint16_t)~net_csum_fold(net_csum_add(sum, b + off, n, false)));
	}
	return off + n;
}

/* The message reaches the core if it says something; what it says may be moved into the flight. */
static void message(struct world *w)
{
	uint8_t b[256], *copy;
	struct tcp_icmp_err e;
	struct net_flow f;
	struct net_pkt p;
	uint32_t n = frame(w, b);
	bool aim = bytes_take(&w->in, 1) % 4;

	copy = malloc(n); /* exactly as long, so that reading on is noticed */
	PROMISE(copy);
	memcpy(copy, b, n);
	if (net_parse(copy, n, NET_F_CSUM_IP | NET_F_CSUM_L4, &p) == NET_PERR_OK &&
	    net_icmp_error(copy, &p, &f, &e) == 0) {
		PROMISE(e.kind > TCP_K_NONE && e.kind < TCP_K_COUNT);
		PROMISE(!e.mtu || e.kind == TCP_K_TOO_BIG);
		if (aim)
			e.seq = w->c.snd_una + e.seq % (tcp_flight(&w->c) + 1);
		PROMISE(tcp_icmp(&w->c, &e, w->now) < TCP_I_COUNT);
	}
	free(copy);
}

/* The client says what it has. */
static void answer(struct world *w)
{
	struct tcp_seg s = {.seq = RCV, .ack = SND + w->got, .wnd = 65535, .flags = TCP_ACK};
	struct tcp_rx rx;

	tcp_input(&w->c, &s, w->now, &rx);
}

/* One step of time: timers, answers. */
static void pass(struct world *w, uint64_t us)
{
	const char *broken;

	w->now += us;
	if (tcp_deadline(&w->c, w->now) <= w->now)
		tcp_timer(&w->c, w->now);
	answer(w);
	tcp_output(&w->c, w->now);
	broken = tcp_check(&w->c);
	if (broken) {
		fprintf(stderr, "broken: %s\n", broken);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.in = (struct bytes){data, size};
	w.now = 1000000;
	w.v6 = bytes_take(&w.in, 1) & 1;
	setup(&w);
	while (w.in.left) {
		message(&w);
		tcp_output(&w.c, w.now);
		pass(&w, bytes_take(&w.in, 2) << 4);
	}
	w.in = (struct bytes){(const uint8_t *)"\1", 1}; /* the path loses every fourth no more */
	for (int i = 0; i < 1000 && w.got < STREAM; i++) {
		w.in = (struct bytes){(const uint8_t *)"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 16};
		pass(&w, tcp_deadline(&w.c, w.now) == TCP_NEVER
				 ? 1000
				 : tcp_deadline(&w.c, w.now) - w.now);
	}
	PROMISE(w.got == STREAM && w.c.state == TCP_S_ESTABLISHED);
	return 0;
}
