/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One receiver that sleeps on its completion channel, several processes that send to it, and one of
 * them killed every few milliseconds, whatever it is doing.  Every receive request must come back
 * once and in order, and the receiver must not miss the event that wakes it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "softhca.h"

#define SENDERS 3
#define DEPTH	128u
#define SLOT	2048u
#define KILLS	60

static struct rig_addr target; /* the receiver; known before the senders are forked */

/* Child: datagrams of all lengths, at an uneven pace, for ever. */
static int sender(int fd)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_ah_attr aa = {.port_num = 1, .dlid = target.lid};
	unsigned int rnd = (unsigned int)getpid();
	struct rig_end e;
	struct ibv_ah *ah;

	rig_up(&e, &o);
	rig_connect(&e, NULL, NULL);
	ah = ibv_create_ah(e.pd, &aa);
	rig_tell(fd, "", 1);
	for (;;) {
		struct ibv_sge s = {(uintptr_t)e.buf, (uint32_t)rand_r(&rnd) % 1900, e.mr->lkey};
		struct ibv_send_wr w = {.sg_list = &s,
					.num_sge = 1,
					.opcode = IBV_WR_SEND,
					.send_flags = IBV_SEND_SIGNALED},
				   *bad;

		w.wr.ud.ah = ah;
		w.wr.ud.remote_qpn = target.qpn;
		w.wr.ud.remote_qkey = RIG_QKEY;
		memset(e.buf, (int)(s.length & 0xff), s.length);
		if (ibv_post_send(e.qp, &w, &bad))
			return 1;
		rig_ok(e.scq);
		if (rand_r(&rnd) % 4 == 0)
			usleep((useconds_t)rand_r(&rnd) % 200);
	}
}

static int spawn(void)
{
	char ready;
	int fd, pid = rig_fork(sender, &fd);

	rig_hear(fd, &ready, 1);
	close(fd);
	return pid;
}

/* Takes what has arrived; checks order and content.  Returns how many. */
static unsigned int take(struct rig_end *e, uint64_t *want)
{
	struct ibv_wc wc;
	unsigned int n = 0;

	while (ibv_poll_cq(e->rcq, 1, &wc)) {
		uint32_t off = (uint32_t)wc.wr_id * SLOT, len = wc.byte_len - 40;

		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(wc.wr_id, *want);
		for (uint32_t i = 0; i < len; i += 97)
			assert_int_equal(e->buf[off + 40 + i], len & 0xff);
		*want = (*want + 1) % DEPTH;
		rig_recv(e, wc.wr_id, off, SLOT);
		n++;
	}
	return n;
}

static void killed_at_random(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD, .depth = DEPTH};
	unsigned int seed = (unsigned int)time(NULL), total = 0, spurious = 0;
	struct softhca_counters c;
	int pid[SENDERS], kills = 0;
	struct rig_end e;
	uint64_t want = 0;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	rig_up(&e, &o);
	rig_connect(&e, NULL, NULL);
	target = e.me;
	for (uint32_t i = 0; i < DEPTH; i++)
		rig_recv(&e, i, i * SLOT, SLOT);
	for (int i = 0; i < SENDERS; i++)
		pid[i] = spawn();
	while (kills < KILLS) {
		struct pollfd p = {.fd = e.ch->fd, .events = POLLIN};
		struct ibv_cq *cq;
		void *ctx;

		assert_int_equal(ibv_req_notify_cq(e.rcq, 0), 0);
		total += take(&e, &want);
		assert_int_equal(poll(&p, 1, 10000), 1); /* no event although all of them send */
		assert_int_equal(ibv_get_cq_event(e.ch, &cq, &ctx), 0);
		ibv_ack_cq_events(cq, 1);
		if (!take(&e, &want))
			spurious++;
		if (random() % 50 == 0) {
			int i = (int)(random() % SENDERS);

			kill(pid[i], SIGKILL);
			assert_int_equal(rig_reap(pid[i]), 128 + SIGKILL);
			pid[i] = spawn();
			kills++;
		}
	}
	for (int i = 0; i < SENDERS; i++) {
		kill(pid[i], SIGKILL);
		rig_reap(pid[i]);
	}
	take(&e, &want);
	rig_to(e.qp, IBV_QPS_ERR); /* and the rest, each once */
	for (uint32_t i = 0; i < DEPTH; i++) {
		struct ibv_wc wc = rig_wait(e.rcq);

		assert_int_equal(wc.wr_id, want);
		want = (want + 1) % DEPTH;
	}
	rig_none(e.rcq);
	assert_int_equal(softhca_query_counters(e.ctx, &c), 0);
	print_message("%u datagrams, %u events with nothing behind them\n", total, spurious);
	rig_down(&e);
}

/* Ports of the killed are still in the directory; one more port sweeps them. */
static int sweep(void **state)
{
	ibv_close_device(rig_open(NULL));
	return rig_dir_done(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_random)};

	rig_dir();
	alarm(110);
	return cmocka_run_group_tests(tests, NULL, sweep);
}
