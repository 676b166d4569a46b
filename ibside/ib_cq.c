/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_cq.c - completion queues and their channels (IBTA 11.4.2).
 *
 * Sleeping follows the usual pattern: arm, poll once more, sleep on the channel, acknowledge.
 */
#include "ibside/ib_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define POLL_BATCH 16  /* completions taken per call of the provider */
#define ACK_BATCH  128 /* events acknowledged at once: the call takes a mutex */

int ib_cq_open(struct ib_cq *q, struct ib_dev *d, int depth, bool with_channel)
{
	int fl, rc;

	memset(q, 0, sizeof(*q));
	if (depth < 1 || depth > d->attr.max_cqe)
		return EINVAL;
	if (with_channel) {
		q->channel = ibv_create_comp_channel(d->ctx);
		if (!q->channel)
			return errno ? errno : ENOMEM;
		fl = fcntl(q->channel->fd, F_GETFL);
		if (fl < 0 || fcntl(q->channel->fd, F_SETFL, fl | O_NONBLOCK) < 0) {
			rc = errno;
			ib_cq_close(q);
			return rc;
		}
	}
	q->cq = ibv_create_cq(d->ctx, depth, q, q->channel, 0);
	if (!q->cq) {
		rc = errno ? errno : ENOMEM;
		ib_cq_close(q);
		return rc;
	}
	return 0;
}

void ib_cq_close(struct ib_cq *q)
{
	if (q->cq) {
		if (q->unacked)
			ibv_ack_cq_events(q->cq, q->unacked);
		ibv_destroy_cq(q->cq);
	}
	if (q->channel)
		ibv_destroy_comp_channel(q->channel);
	memset(q, 0, sizeof(*q));
}

int ib_cq_poll(struct ib_cq *q, int budget)
{
	struct ibv_wc wc[POLL_BATCH];
	int total = 0;

	while (total < budget) {
		int want = budget - total < POLL_BATCH ? budget - total : POLL_BATCH;
		int n = ibv_poll_cq(q->cq, want, wc);

		if (n <= 0)
			break;
		for (int i = 0; i < n; i++)
			ib_qp_complete(&wc[i]);
		total += n;
		if (n < want)
			break;
	}
	return total;
}

int ib_cq_arm(struct ib_cq *q)
{
	return ibv_req_notify_cq(q->cq, 0);
}

void ib_cq_ack(struct ib_cq *q)
{
	struct ibv_cq *cq;
	void *context;

	while (ibv_get_cq_event(q->channel, &cq, &context) == 0) {
		if (++q->unacked >= ACK_BATCH) {
			ibv_ack_cq_events(q->cq, q->unacked);
			q->unacked = 0;
		}
	}
}
