/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the software HCA's tests share: one end of a connection, its memory, and short forms of the
 * verbs.  A helper that cannot do its work fails the test.
 */
#ifndef SOFT_RIG_H
#define SOFT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <cmocka.h>
#include <infiniband/verbs.h>

#define RIG_BUF	   (1u << 20)
#define RIG_RNR_14 14 /* 0.96 ms */
#define RIG_QKEY   0x11111111u
#define RIG_ALL_ACC                                                                  \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_REMOTE_ATOMIC)

/* What one end tells the other. */
struct rig_addr {
	uint16_t lid;	   /* of its port */
	uint32_t qpn;	   /* of its queue pair */
	uint32_t rkey;	   /* of its buffer */
	uint64_t addr;	   /* of its buffer */
	union ibv_gid gid; /* of its port */
};

/* How an end is made; zero is good for everything but the type. */
struct rig_opt {
	enum ibv_qp_type type; /* of the queue pair */
	uint32_t depth;	       /* of both queues; 0: 64 */
	uint32_t inl;	       /* inline bytes */
	int cqe;	       /* 0: 256 */
	bool sig_all;	       /* every send is signalled */
	bool memfd;	       /* buffer in a memfd, else private */
	bool ex;	       /* with ibv_wr_* */
	bool srq;	       /* receive from a shared queue */
	const char *dev;       /* NULL: soft0 */
	int access;	       /* of the buffer; 0: everything */
};

/* One end. */
struct rig_end {
	struct ibv_context *ctx;     /* own context */
	struct ibv_pd *pd;	     /* own domain */
	struct ibv_comp_channel *ch; /* of both CQs */
	struct ibv_cq *scq, *rcq;    /* sends, receives */
	struct ibv_srq *srq;	     /* or NULL */
	struct ibv_qp *qp;	     /* RESET until connected */
	struct ibv_mr *mr;	     /* of buf */
	uint8_t *buf;		     /* RIG_BUF bytes */
	struct rig_addr me;	     /* to be told */
	enum ibv_qp_type type;	     /* of qp */
	int memfd;		     /* behind buf, or -1 */
};

/* How the ends are connected; zero: timeout 14, 7 retries, RNR for ever. */
struct rig_conn {
	uint8_t timeout;     /* transport timer; 0: 14 */
	uint8_t retry;	     /* 0: 7 */
	int rnr_retry;	     /* 0: 7, -1: none */
	bool global;	     /* by GID alone */
	unsigned int access; /* of the queue pair; 0: everything, 1<<31: nothing */
};

struct ibv_context *rig_open(const char *dev);
void rig_up(struct rig_end *e, const struct rig_opt *o);
void rig_down(struct rig_end *e);
void rig_connect(struct rig_end *e, const struct rig_addr *to, const struct rig_conn *c);
void rig_pair(struct rig_end *a, struct rig_end *b, const struct rig_opt *o,
	      const struct rig_conn *c);
void rig_to(struct ibv_qp *qp, enum ibv_qp_state state);

void rig_recv(struct rig_end *e, uint64_t wr_id, uint32_t off, uint32_t len);
int rig_post(struct rig_end *e, enum ibv_wr_opcode op, uint64_t wr_id, uint32_t off, uint32_t len,
	     const struct rig_addr *to, uint64_t raddr_off, unsigned int flags);
struct ibv_wc rig_wait(struct ibv_cq *cq);
void rig_none(struct ibv_cq *cq);
#define rig_ok(cq) assert_int_equal(rig_wait(cq).status, IBV_WC_SUCCESS)

/* A child process that runs @fn with one end of a socket pair; the parent gets the other. */
int rig_fork(int (*fn)(int fd), int *fd);
int rig_reap(int pid);
void rig_tell(int fd, const void *p, size_t n);
void rig_hear(int fd, void *p, size_t n);
void rig_dir(void);
int rig_dir_done(void **state);

#endif
