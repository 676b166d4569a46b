/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_hot.c - what an established connection does all day, for hot.py, which looks at the memory
 * accesses: says where the connection and the marker lie, then works; each write of the marker
 * begins or ends what argv[1] names:
 *
 *	receive	payload in order comes in, is placed, ACKs leave
 *	emit	a segment is produced and leaves
 *	ack	its ACK comes in; the congestion window does not grow
 *	send	both
 *	start	the same in slow start
 *	bulk	cwnd is full of runs; each ACK for two segments lets two leave, and CUBIC grows
 */
#include <stdio.h>
#include <string.h>

#include "tcpstack/tcp.h"
#include "tcpstack/tcp_pool.h"

#define MSS  1448u
#define RING 1000000u
#define SND  1000u /* first sequence numbers */
#define RCV  5000u

#define BULK 20u /* segments in flight */

static struct tcp_conn conn __attribute__((aligned(64)));
static struct tcp_txrec rec[64] __attribute__((aligned(64)));
static volatile uint32_t marker;
static const char *way = "send"; /* argv[1] */
static bool warm;		 /* from now on it is looked at */
static uint32_t left; /* where the segments begin that left since the device was told last */

static int op_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int op_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	if (e->len && !left)
		left = e->seq;
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

/* Begins or ends what is looked at, if it is that. */
static void look(const char *what)
{
	if (warm && !strcmp(way, what))
		marker = 1;
}

/* What may leave does, and the device has it. */
static void output(uint64_t now)
{
	left = 0;
	tcp_output(&conn, now);
	if (left)
		tcp_sent(&conn, left, conn.snd_nxt - left, now);
}

/* The server produces a segment's worth, it leaves, the client acknowledges it. */
static void send_one(uint64_t now)
{
	struct tcp_rx rx;
	struct tcp_seg seg;

	look("emit");
	tcp_produced(&conn, MSS, now);
	output(now);
	look("emit");
	seg = segment(conn.rcv_nxt, 0, conn.snd_nxt, now + 500);
	look("ack");
	tcp_input(&conn, &seg, now + 500, &rx);
	output(now + 500);
	look("ack");
}

/* The client acknowledges two segments of many, and as much leaves. */
static void bulk_one(uint64_t now)
{
	struct tcp_rx rx;
	struct tcp_seg seg;

	tcp_produced(&conn, 2 * MSS, now);
	output(now);
	seg = segment(conn.rcv_nxt, 0, conn.snd_una + 2 * MSS, now);
	seg.tsecr = (uint32_t)(now / 1000) - BULK / 2;
	tcp_input(&conn, &seg, now, &rx);
	output(now);
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
	uint64_t now = 1000000;
	struct tcp_cfg cfg;
	bool bulk, whole;

	if (argc > 1)
		way = argv[1];
	bulk = !strcmp(way, "bulk");
	whole = strcmp(way, "emit") && strcmp(way, "ack");
	if (strcmp(way, "start")) { /* slow start is over */
		st.cwnd = (bulk ? BULK : BULK / 2) * MSS;
		st.ssthresh = BULK / 4 * MSS;
	}
	tcp_cfg_default(&cfg);
	cfg.ops = &ops;
	tcp_pool_init(&pool, rec, 64, 64);
	cfg.pool = &pool;
	if (tcp_import(&conn, &cfg, &st, now))
		return 1;
	printf("conn %p %zu\nrecords %p %zu\nmarker %p\nrtt %zu\nstart %zu %zu\n", (void *)&conn,
	       sizeof(conn), (void *)rec, sizeof(rec), (void *)&marker,
	       offsetof(struct tcp_conn, stats) + offsetof(struct tcp_stats, max_rtt_us),
	       offsetof(struct tcp_conn, hs_end), offsetof(struct tcp_conn, stats));
	fflush(stdout);
	if (bulk)
		tcp_produced(&conn, 2 * BULK * MSS, now);
	for (int i = 0; i < 40; i++, now += 1000) {
		warm = i >= 30;
		look(whole ? way : "");
		if (!strcmp(way, "receive"))
			receive_one(now);
		else if (bulk)
			bulk_one(now);
		else
			send_one(now);
		look(whole ? way : "");
	}
	return conn.stats.retx_segs != 0;
}
