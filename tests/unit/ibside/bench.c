/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.c - device and ends for the tests (bench.h).
 */
#include "bench.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct ib_dev bench_dev;
struct end a, b;

static struct ib_dev dev_b; /* TAG_IB_DEVICE_B */

static char dir[] = "/tmp/ibside-test-XXXXXX";
static bool have_dir;

int bench_dir(void)
{
	have_dir = have_dir || mkdtemp(dir);
	setenv("SOFTHCA_DIR", dir, 1);
	return have_dir ? 0 : -1;
}

void bench_other_process(void)
{
	if (getenv("TAG_IB_DEVICE_B"))
		setenv("TAG_IB_DEVICE", getenv("TAG_IB_DEVICE_B"), 1);
	unsetenv("TAG_IB_DEVICE_B");
}

static int open_dev(struct ib_dev *d, const char *name)
{
	char err[IB_ERRLEN];
	int rc = ib_dev_open(d, name, 1, atoi(getenv("TAG_IB_GID_INDEX") ?: "0"), err);

	if (rc)
		fprintf(stderr, "%s\n", err);
	return rc;
}

int bench_open(void **state)
{
	const char *other = getenv("TAG_IB_DEVICE_B");

	if (bench_dir() || open_dev(&bench_dev, getenv("TAG_IB_DEVICE") ?: "soft0"))
		return -1;
	return other ? open_dev(&dev_b, other) : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

int bench_close(void **state)
{
	ib_dev_close(&bench_dev);
	ib_dev_close(&dev_b);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int end_open(struct end *e, struct ib_dev *dev)
{
	int rc;

	memset(e, 0, sizeof(*e));
	e->dev = dev;
	rc = ib_cq_open(&e->cq, dev, 4096, true);
	if (!rc)
		rc = ib_mem_alloc(&e->mem, dev, BENCH_MEM,
				  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
					  IBV_ACCESS_REMOTE_WRITE);
	return rc;
}

int ends_open(void **state)
{
	return end_open(&a, &bench_dev) || end_open(&b, dev_b.ctx ? &dev_b : &bench_dev);
}

static void end_close(struct end *e)
{
	if (e->qp.qp)
		ib_qp_close(&e->qp);
	ib_set_close(&e->set);
	ib_mem_free(&e->mem);
	ib_cq_close(&e->cq);
}

int ends_close(void **state)
{
	end_close(&a);
	end_close(&b);
	return 0;
}

static int poll_both(void)
{
	int n = ib_cq_poll(&a.cq, 64) + ib_cq_poll(&b.cq, 64);

	ib_set_flush(&a.set);
	ib_set_flush(&b.set);
	return n;
}

bool poll_until(const int *value, int want)
{
	time_t end = time(NULL) + 5;

	while (*value < want && time(NULL) <= end)
		if (!poll_both())
			usleep(100);
	return *value == want;
}

void poll_quiet(void)
{
	for (int idle = 0; idle < 20; idle++) {
		if (poll_both())
			idle = 0;
		else
			usleep(200);
	}
}

static void count_done(struct ib_op *op, enum ibv_wc_status status)
{
	struct counted *c = (struct counted *)op;

	c->done++;
	c->status = status;
}

struct ib_op *counted(struct counted *c)
{
	memset(c, 0, sizeof(*c));
	c->op.done = count_done;
	return &c->op;
}

static void on_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
	struct end *e = qp->owner;

	if (wc->status != IBV_WC_SUCCESS) {
		e->flushed++;
		return;
	}
	e->received++;
	e->last = *wc;
	e->last_cookie = cookie;
}

static void on_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
	struct end *e = qp->owner;

	if (e->deaths++ == 0)
		e->cause = status;
}

const struct ib_qp_ops bench_qp_ops = {.recv = on_recv, .dead = on_dead};

struct ibv_sge sge_of(const struct end *e, uint32_t offset, uint32_t len)
{
	return (struct ibv_sge){
		.addr = (uintptr_t)e->mem.addr + offset,
		.length = len,
		.lkey = e->mem.mr->lkey,
	};
}
