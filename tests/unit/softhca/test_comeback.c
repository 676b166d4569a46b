/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between processes: peers that die or close their port, and come back under the same address.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

/* How the child makes its end; set before the fork. */
static struct rig_opt child_opt;

/* Opens a child's end, which says its address and receives one datagram. */
static void receive_one(struct rig_end *e, int fd)
{
	rig_up(e, &child_opt);
	rig_connect(e, NULL, NULL);
	rig_recv(e, 0, 0, 4096);
	rig_tell(fd, &e->me, sizeof(e->me));
	rig_ok(e->rcq);
}

/* Sends a datagram to the child at an address, by the handle made for the first of them. */
static void send_one(struct rig_end *e, struct ibv_ah **ah, const struct rig_addr *to)
{
	struct ibv_ah_attr aa = {.port_num = 1, .dlid = to->lid};
	struct ibv_sge s = {(uintptr_t)e->buf, 100, e->mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s,
				.num_sge = 1,
				.opcode = IBV_WR_SEND,
				.send_flags = IBV_SEND_SIGNALED},
			   *bad;

	if (!*ah)
		*ah = ibv_create_ah(e->pd, &aa);
	w.wr.ud.ah = *ah;
	w.wr.ud.remote_qpn = to->qpn;
	w.wr.ud.remote_qkey = RIG_QKEY;
	assert_int_equal(ibv_post_send(e->qp, &w, &bad), 0);
	rig_ok(e->scq);
}

/* Child: receives a datagram and waits to be killed. */
static int datagram_child(int fd)
{
	struct rig_end e;
	char c;

	receive_one(&e, fd);
	rig_tell(fd, "", 1);
	rig_hear(fd, &c, 1);
	return 0; /* never: it is killed first */
}

/* A peer that restarts under the same LID is reached by the handle that led to the dead one. */
static void restarted(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_ah *ah = NULL;
	struct rig_addr to;
	struct rig_end e;
	char ready;

	(void)state;
	rig_up(&e, &o);
	rig_connect(&e, NULL, NULL);
	child_opt = o;
	for (int i = 0; i < 3; i++) {
		int fd, pid = rig_fork(datagram_child, &fd);

		rig_hear(fd, &to, sizeof(to));
		assert_int_equal(to.lid, e.me.lid + 1);
		for (bool heard = false; !heard;) { /* datagrams to the dead are lost */
			struct pollfd p = {.fd = fd, .events = POLLIN};

			send_one(&e, &ah, &to);
			heard = poll(&p, 1, 1) == 1;
		}
		rig_hear(fd, &ready, 1);
		kill(pid, SIGKILL);
		assert_int_equal(rig_reap(pid), 128 + SIGKILL);
		close(fd);
	}
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&e);
}

/* Child: opens its port, receives one datagram and closes it, again and again. */
static int reopen_child(int fd)
{
	for (int i = 0; i < 3; i++) {
		struct rig_end e;
		char c;

		receive_one(&e, fd);
		rig_down(&e);
		rig_tell(fd, "", 1);
		rig_hear(fd, &c, 1);
	}
	return 0;
}

/* The same for a peer that lives on but closes its port and opens another. */
static void reopened(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_ah *ah = NULL;
	struct rig_addr to;
	struct rig_end e;
	int fd, pid;
	char c;

	(void)state;
	child_opt = o;
	rig_up(&e, &o);
	rig_connect(&e, NULL, NULL);
	pid = rig_fork(reopen_child, &fd);
	for (int i = 0; i < 3; i++) {
		rig_hear(fd, &to, sizeof(to));
		send_one(&e, &ah, &to); /* none is lost */
		rig_hear(fd, &c, 1);
		rig_tell(fd, "", 1);
	}
	assert_int_equal(rig_reap(pid), 0);
	close(fd);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	rig_down(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restarted),
		cmocka_unit_test(reopened),
	};

	rig_dir();
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
