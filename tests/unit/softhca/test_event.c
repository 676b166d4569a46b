/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion channels: when events come, how many, and that their descriptor is a real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rig.h"

static const struct rig_opt rc = {.type = IBV_QPT_RC};

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void one_send(struct rig_end *a, struct rig_end *b, unsigned int flags)
{
	rig_recv(b, 1, 0, 8);
	assert_int_equal(rig_post(a, IBV_WR_SEND, 1, 0, 8, NULL, 0, flags), 0);
	rig_ok(a->scq);
}

static void take_event(struct rig_end *e, struct ibv_cq *want)
{
	struct ibv_cq *cq;
	void *ctx;

	assert_int_equal(ibv_get_cq_event(e->ch, &cq, &ctx), 0);
	assert_ptr_equal(cq, want);
	assert_ptr_equal(ctx, e);
	ibv_ack_cq_events(cq, 1);
}

static void once_per_arm(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	one_send(&a, &b, 0);
	assert_false(readable(b.ch->fd));
	assert_int_equal(ibv_req_notify_cq(b.rcq, 0), 0);
	assert_false(readable(b.ch->fd));
	one_send(&a, &b, 0);
	one_send(&a, &b, 0);
	assert_true(readable(b.ch->fd));
	take_event(&b, b.rcq);
	assert_false(readable(b.ch->fd));
	for (int i = 0; i < 3; i++)
		rig_ok(b.rcq);
	/* the sender's own CQ, on the same channel type */
	assert_int_equal(ibv_req_notify_cq(a.scq, 0), 0);
	rig_recv(&b, 1, 0, 8);
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	take_event(&a, a.scq);
	rig_down(&a);
	rig_down(&b);
}

static void solicited(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	assert_int_equal(ibv_req_notify_cq(b.rcq, 1), 0);
	one_send(&a, &b, 0);
	assert_false(readable(b.ch->fd));
	one_send(&a, &b, IBV_SEND_SOLICITED);
	assert_true(readable(b.ch->fd));
	take_event(&b, b.rcq);
	/* an error counts as solicited */
	assert_int_equal(ibv_req_notify_cq(b.rcq, 1), 0);
	rig_recv(&b, 1, 0, 8);
	rig_to(b.qp, IBV_QPS_ERR);
	take_event(&b, b.rcq);
	rig_down(&a);
	rig_down(&b);
}

static void nonblocking_and_epoll(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct rig_end a, b;
	struct ibv_cq *cq;
	void *ctx;
	int ep = epoll_create1(0);

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	assert_int_equal(fcntl(b.ch->fd, F_SETFL, fcntl(b.ch->fd, F_GETFL) | O_NONBLOCK), 0);
	assert_int_equal(ibv_get_cq_event(b.ch, &cq, &ctx), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, b.ch->fd, &ev), 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	assert_int_equal(ibv_req_notify_cq(b.rcq, 0), 0);
	one_send(&a, &b, 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1);
	take_event(&b, b.rcq);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	close(ep);
	rig_down(&a);
	rig_down(&b);
}

static void *wait_thread(void *arg)
{
	struct rig_end *e = arg;

	take_event(e, e->rcq);
	rig_ok(e->rcq);
	return NULL;
}

static void blocking(void **state)
{
	struct rig_end a, b;
	pthread_t t;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(ibv_req_notify_cq(b.rcq, 0), 0);
		assert_int_equal(pthread_create(&t, NULL, wait_thread, &b), 0);
		one_send(&a, &b, 0);
		pthread_join(t, NULL);
	}
	rig_down(&a);
	rig_down(&b);
}

static void channel_in_use(void **state)
{
	struct rig_end a;

	(void)state;
	rig_up(&a, &rc);
	assert_int_equal(ibv_destroy_comp_channel(a.ch), EBUSY);
	rig_down(&a);
}

/* An event of a CQ that goes away before the event is read must not be delivered. */
static void destroyed_cq(void **state)
{
	struct rig_end a, b;

	(void)state;
	rig_pair(&a, &b, &rc, NULL);
	assert_int_equal(ibv_req_notify_cq(b.rcq, 0), 0);
	one_send(&a, &b, 0);
	assert_int_equal(ibv_destroy_qp(b.qp), 0);
	b.qp = NULL;
	assert_int_equal(ibv_destroy_cq(b.rcq), 0);
	assert_int_equal(fcntl(b.ch->fd, F_SETFL, O_NONBLOCK), 0);
	{
		struct ibv_cq *cq;
		void *ctx;

		assert_int_equal(ibv_get_cq_event(b.ch, &cq, &ctx), -1);
	}
	b.rcq = ibv_create_cq(b.ctx, 16, &b, b.ch, 0);
	rig_down(&a);
	rig_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_per_arm),		 cmocka_unit_test(solicited),
		cmocka_unit_test(nonblocking_and_epoll), cmocka_unit_test(blocking),
		cmocka_unit_test(channel_in_use),	 cmocka_unit_test(destroyed_cq),
	};

	rig_dir();
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, rig_dir_done);
}
