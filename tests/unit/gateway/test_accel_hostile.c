/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_accel_hostile.c - a host and clients that send whatever they like: random messages, lines
 * and segments, close enough to the truth to get far. Nothing may crash, leak or hang, and what the
 * gateway emits must always be well formed (checked by the bench).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "accel_bench.h"

#define ROUNDS 6000

/* A number near `near`, sometimes far away. */
static uint64_t near64(uint64_t near)
{
	switch (b_rand(8)) {
	case 0:
		return near + B_RING + b_rand(3) - 1;
	case 1:
		return (uint64_t)b_rand(UINT32_MAX) << b_rand(32);
	case 2:
		return near - b_rand(100);
	default:
		return near + b_rand(3000);
	}
}

static uint32_t any_token(void)
{
	const struct b_conn *k = B.conn[b_rand(B.n_conn)];

	return b_rand(20) ? k->token : b_rand(UINT32_MAX);
}

/* A request, sometimes with a byte changed. */
static void send_req(struct b_conn *k)
{
	struct ib_req r;

	b_req(k, &r);
	k->req_id = r.req_id = b_rand(100);
	if (b_rand(3) == 0)
		((uint8_t *)&r)[b_rand(sizeof(r))] ^= (uint8_t)(1u << b_rand(8));
	if (b_rand(3) == 0) {
		r.tx_prod = htobe64(b_rand(B_RING));
		r.snd_nxt = htobe32(k->sisn + b_rand((uint32_t)be64toh(r.tx_prod) + 1));
	}
	memset(b_host_line(k->slot), 0, sizeof(struct ib_host_line));
	b_host_line(k->slot)->tx_prod = be64toh(r.tx_prod);
	b_send(IB_MID_REQ, &r);
}

/* Grants that came: most are committed. */
static void take_grants(void)
{
	for (uint32_t i = 0; i < B.n_msg && i < B_MSGS; i++) {
		const struct b_msg *m = &B.msg[i];

		if (m->mid == IB_MID_DISCONN || m->mid == IB_MID_ABORT) {
			if (b_rand(4))
				b_ctl(IB_MID_BACK_ACK, be32toh(m->ctl.token), 0, IB_R_NONE);
		}
		if (m->mid != IB_MID_GRANT)
			continue;
		for (uint32_t c = 0; c < B.n_conn; c++) {
			if (B.conn[c]->req_id != m->grant.req_id)
				continue;
			B.conn[c]->token = be32toh(m->grant.token);
			b_host_line(B.conn[c]->slot)->token = B.conn[c]->token;
			break;
		}
		if (b_rand(5))
			b_ctl(IB_MID_COMMIT, be32toh(m->grant.token), m->grant.req_id, IB_R_NONE);
	}
	B.n_msg = 0;
}

static void send_message(struct b_conn *k)
{
	static const uint8_t mids[] = {IB_MID_COMMIT,	IB_MID_CANCEL, IB_MID_REVOKE, IB_MID_ABORT,
				       IB_MID_BACK_ACK, IB_MID_DENY,   IB_MID_DISCONN};
	struct ib_host_line *h = b_host_line(k->slot);
	struct ib_cursor m = {.token = htobe32(any_token())};

	if (b_rand(10) == 0) {
		b_ctl(mids[b_rand(RTE_DIM(mids))], any_token(), b_rand(100), b_rand(300));
		return;
	}
	m.cursor = htobe64(b_rand(10) ? h->tx_prod + b_rand(5000) : near64(h->tx_prod));
	m.other = htobe64(b_rand(10) ? h->rx_cons : near64(h->rx_cons));
	m.flags = htobe32(b_rand(50) ? 0 : b_rand(4));
	b_send(IB_MID_SRC_AVAIL, &m);
}

static void change_line(struct b_conn *k)
{
	struct ib_host_line *h = b_host_line(k->slot);
	const struct ib_gw_line *g = b_gw_line(k->slot);

	if (b_rand(10)) {
		h->tx_prod = g->tx_acked + b_rand(B_RING);
		h->rx_cons = g->rx_prod;
	} else {
		h->tx_prod = near64(h->tx_prod);
		h->rx_cons = near64(h->rx_cons);
		h->flags = b_rand(8) ? 0 : b_rand(4);
		h->token ^= b_rand(5) == 0;
	}
}

static void send_segment(struct b_conn *k)
{
	const struct tcp_conn *t = b_gw(k) ? b_tcp(k) : NULL;
	struct tcp_emit e = {.mss = 1460, .wnd = (uint16_t)b_rand(65536), .len = b_rand(1400)};
	struct net_pkt p;
	struct rte_mbuf *m;

	e.flags = b_rand(10) ? TCP_ACK : (uint8_t)b_rand(64);
	e.seq = k->cisn + b_rand(B_RING);
	e.ack = k->sisn + b_rand(B_RING);
	if (t && b_rand(8)) {
		e.seq = t->rcv_nxt + (b_rand(4) ? 0 : b_rand(B_RING));
		e.ack = t->snd_una + b_rand(t->snd_nxt - t->snd_una + 1);
		e.optlen = t->ts_ok ? 12 : 0;
		e.opt[0] = e.opt[1] = 1;
		e.opt[2] = 8;
		e.opt[3] = 10;
		memset(e.opt + 4, 0x7f, 4);
	}
	m = b_frame(k, &e);
	if (net_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, 0, &p)) {
		rte_pktmbuf_free(m);
		return;
	}
	if (b_rand(5) == 0)
		gw_accel_bounced(B.w, B.host, m, &p);
	else if (!gw_accel_rx(B.w, &B.gw->port[0], m, &p))
		rte_pktmbuf_free(m);
}

/* Blind resets on many connections: together they get no more challenge ACKs than the limit. */
static void test_challenges(void **state)
{
	uint64_t before, refused, answered;

	for (uint16_t i = 0; i < 8; i++) {
		b_take(b_conn_new(i));
		b_step(100000);
	}
	B.w->accel->challenges.per_s = 4;
	before = B.w->stats.tcp_segments_out;
	refused = B.w->stats.challenges_refused;
	b_step(1100000); /* another second, another number */
	for (unsigned int i = 0; i < 40; i++) {
		struct b_conn *k = B.conn[i % B.n_conn];
		struct tcp_emit e = {.flags = TCP_RST, .mss = 1460, .optlen = 0};
		struct net_pkt p;
		struct rte_mbuf *m;

		e.seq = b_tcp(k)->rcv_nxt + 100;
		m = b_frame(k, &e);
		b_parse(m, &p);
		if (!gw_accel_rx(B.w, &B.gw->port[0], m, &p))
			rte_pktmbuf_free(m);
		b_step(10);
	}
	answered = B.w->stats.tcp_segments_out - before;
	assert_in_range(answered, 2, 6);
	assert_int_equal(B.w->stats.challenges_refused - refused, 40 - answered);
}

static void test_random(void **state)
{
	struct gw_conn_row row;
	uint32_t it = 0;

	B.wild = true;
	for (uint16_t i = 0; i < 8; i++)
		b_conn_new(i);
	for (int i = 0; i < ROUNDS; i++) {
		struct b_conn *k = B.conn[b_rand(B.n_conn)];
		uint32_t what = b_rand(16);

		if (what == 0 && (!k->token || !b_gw(k)))
			send_req(k);
		else if (what < 4)
			send_message(k);
		else if (what < 7)
			change_line(k);
		else
			send_segment(k);
		b_step(b_rand(50) ? b_rand(1000) : 300000);
		take_grants();
		for (; B.n_native; B.n_native--)
			rte_pktmbuf_free(B.native[B.n_native - 1]);
		if (b_rand(500) == 0)
			gw_accel_kill(B.w, k->token);
	}
	assert_true(B.w->stats.accel_commits > 20);
	assert_true(B.w->stats.handbacks > 10);
	assert_false(B.link->set.dead);
	/* All of them end in an orderly way: nothing hangs. */
	for (int i = 0; i < 5; i++)
		b_step(10);
	while (gw_accel_next(B.w, &it, &row))
		gw_accel_handback(B.w, row.token, IB_R_COMMAND);
	for (int i = 0; i < 120; i++)
		b_step(100000);
	assert_int_equal(corr_accel_count(B.w->accel->map), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_challenges, b_open, b_close),
		cmocka_unit_test_setup_teardown(test_random, b_open, b_close),
	};

	return cmocka_run_group_tests(tests, b_group_open, b_group_close);
}
