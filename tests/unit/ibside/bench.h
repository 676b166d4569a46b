/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.h - what the tests that need a device share: the device, two ends on completion queues of
 * their own, and polling until something is true.
 */
#ifndef TESTS_IBSIDE_BENCH_H
#define TESTS_IBSIDE_BENCH_H

#include "ibside/ib_set_impl.h"

/** One end: a completion queue, and memory the other end may read and write. */
struct end {
	struct ib_dev *dev; /* bench_dev, or for b another one if there is */
	struct ib_cq cq;
	struct ib_mem mem;	  /* BENCH_MEM bytes */
	struct ib_qp qp;	  /* for tests of queue pairs */
	struct ib_set set;	  /* for tests of sets */
	int received;		  /* receive completions with success */
	int flushed;		  /* and without */
	int deaths;		  /* dead() calls */
	enum ibv_wc_status cause; /* of the first */
	struct ibv_wc last;	  /* last receive completion */
	void *last_cookie;	  /* and its cookie */
};

#define BENCH_MEM (1u << 20)

/*
 * The devices are named by the environment: TAG_IB_DEVICE (soft0), TAG_IB_GID_INDEX (0), and
 * TAG_IB_DEVICE_B for end b and for the other process, so that everything crosses a link.
 */

/** The device, and the two ends. */
extern struct ib_dev bench_dev;
extern struct end a, b;

/** Makes the directory of a private software fabric; by bench_open() if not called before. */
int bench_dir(void);
/** The other process uses the device of end b as its only one; before bench_open(). */
void bench_other_process(void);
/** Group fixtures: the fabric and its device. No device is an error. */
int bench_open(void **state);
int bench_close(void **state);

/** Per-test fixtures: both ends with completion queues (with channels) and memory, zeroed. */
int ends_open(void **state);
int ends_close(void **state);

/** Polls both ends until *value reaches want, 5 s at most; returns whether it did. */
bool poll_until(const int *value, int want);
/** Polls both ends until nothing came for some turns. */
void poll_quiet(void);

/** An op that counts. */
struct counted {
	struct ib_op op;	   /* first */
	int done;		   /* calls */
	enum ibv_wc_status status; /* of the last */
};
/** Prepares and returns &c->op. */
struct ib_op *counted(struct counted *c);

/** Queue pair functions that count in the end that owns the queue pair. */
extern const struct ib_qp_ops bench_qp_ops;

/** A scatter/gather entry in an end's memory. */
struct ibv_sge sge_of(const struct end *e, uint32_t offset, uint32_t len);

#endif
