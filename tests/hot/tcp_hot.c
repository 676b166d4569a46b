/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_hot.c - what an established connection does all day, for hot.py, which looks at the memory
 * accesses: says where the connection and the marker lie, then works between two writes of the
 * marker. argv[1]: "send" (ACKs in order come in, payload leaves) or "receive" (payload in
 * order comes in, is placed, ACKs leave).
 */
#include <stdio.h>
#include <string.h>

#include "tcpstack/tcp.h"
#include "tcpstack/tcp_pool.h"

#define MSS  1448u
#define RING 1000000u
#define SND  1000u /* first sequence numbers */
#define RCV  5000u

static struct tcp_conn conn __attribute__((aligned(64)));
static volatile uint32_t marker;
static struct tcp_emit last;

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	last = *e;
	return 0;
}

static void op_acked(struct tcp_conn *c, uint32_t una)
{
}

static void op_event(struct tcp_conn *c, enum tcp_event ev)
{
}

static const struct tcp_ops ops = {op_want, op_emit, op_acked, op_event};

/* A segment of the client's, the options it always carries included. */
static struct tcp_seg segment(uint32_t seq, uint32_t len, uint32_t ack, uint64_t now)
{
	return (struct tcp_seg){.seq = seq,
				.len = len,
				.ack = ack,
				.wnd = 2000,
				.flags = TCP_ACK,
				.has_ts = true,
				.tsval = (uint32_t)(now / 1000),
				.tsecr = (uint32_t)(now / 1000)};
}

/* The server produces a segment's worth, it leaves, the client acknowledges it. */
static void send_one(uint64_t now)
{
	struct tcp_rx rx;
	struct tcp_seg seg;

	tcp_produced(&conn, MSS, now);
	tcp_output(&conn, now);
	tcp_sent(&conn, conn.snd_nxt - MSS, MSS, now);
	seg = segment(conn.rcv_nxt, 0, conn.snd_nxt, now + 500);
	tcp_input(&conn, &seg, now + 500, &rx);
	tcp_output(&conn, now + 500);
}

/* The client sends a segment, it is placed and acknowledged; the program reads it. */
static void receive_one(uint64_t now)
{
	struct tcp_seg seg = segment(conn.rcv_nxt, MSS, conn.snd_nxt, now);
	struct tcp_rx_pos pos;
	struct tcp_rx rx;

	tcp_input(&conn, &seg, now, &rx);
	tcp_rx_get(&conn, &pos);
	tcp_placed(&conn, &pos, now);
	tcp_room(&conn, conn.rcv_nxt + RING, now);
	tcp_output(&conn, now);
}

int main(int argc, char **argv)
{
	static struct tcp_txrec rec[64];
	static struct tcp_pool pool;
	struct tcp_state_io st = {.version = TCP_STATE_VERSION,
				  .state = TCP_S_ESTABLISHED,
				  .wscale_ok = true,
				  .sack_ok = true,
				  .ts_ok = true,
				  .ts_recent_valid = true,
				  .snd_wscale = 7,
				  .rcv_wscale = 7,
				  .mss = MSS + 12,
				  .snd_una = SND,
				  .snd_nxt = SND,
				  .snd_avail = SND,
				  .snd_wnd = 2000 << 7,
				  .max_wnd = 2000 << 7,
				  .snd_wl1 = RCV,
				  .snd_wl2 = SND,
				  .rcv_nxt = RCV,
				  .rcv_edge = RCV + RING,
				  .rcv_room = RCV + RING};
	bool send = argc > 1 && !strcmp(argv[1], "send");
	uint64_t now = 1000000;
	struct tcp_cfg cfg;

	tcp_cfg_default(&cfg);

	cfg.ops = &ops;
	tcp_pool_init(&pool, rec, 64, 64);
	cfg.pool = &pool;
	if (tcp_import(&conn, &cfg, &st, now))
		return 1;
	printf("conn %p %zu\nmarker %p\n", (void *)&conn, sizeof(conn), (void *)&marker);
	fflush(stdout);
	for (int i = 0; i < 40; i++, now += 1000) {
		if (i == 30)
			marker = 1;
		if (send)
			send_one(now);
		else
			receive_one(now);
	}
	marker = 2;
	return conn.stats.retx_segs != 0;
}
