/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib.h - verbs: device, completion queues, queue pairs, and the set of reliable queue pairs that
 * a host and a worker share. Straight libibverbs; nothing here hides it.
 *
 * Theory of operation
 *
 * A user of this module is one thread per struct ib_cq: it polls with ib_cq_poll(), and the
 * completions are dispatched to the queue pairs' functions and to the struct ib_op of each work
 * request, all on that thread. Work requests are tracked in a ring per queue pair, so unsignaled
 * ones are released by the next signaled one. Nothing allocates after set-up.
 *
 * struct ib_set is what a (host, worker) pair shares: queue pair `ctl` for messages, WRITEs and
 * READs of lines; queue pair `rd` for READs of payload, so that these never delay an
 * acknowledgement. Messages are batched: ib_set_msg() appends an entry, ib_set_flush() sends. The
 * credits of the BSDH keep a sender from overrunning the peer's receive queue; entries
 * that find no credit wait in order, in a bounded queue of the set.
 *
 * Functions return 0 or a positive errno unless said otherwise. After any error completion, a
 * queue pair is dead: ops->dead() is called once, every outstanding op gets its done() with
 * a flush status, and the owner rebuilds.
 */
#ifndef IBSIDE_IB_H
#define IBSIDE_IB_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ibside/ib_line.h"
#include "ibside/ib_msg.h"

#define IB_UD_QKEY 0x11770000u /* Q_Key of native queue pairs */
#define IB_GRH_LEN 40	       /* room a UD receive buffer leaves for the GRH */
#define IB_ERRLEN  256	       /* room for an error text */

/** An open device and port. */
struct ib_dev {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr attr;
	struct ibv_port_attr port_attr;
	uint8_t port;	    /* port number, from 1 */
	uint8_t gid_index;  /* GID used when routing by GID */
	union ibv_gid gid;  /* its value */
	bool roce;	    /* Ethernet link layer: always routed by GID */
	uint32_t mtu;	    /* path MTU in bytes */
	char name[64];
};

/** Opens device `name` (NULL: the first), port and GID index. err gets a sentence on failure. */
int ib_dev_open(struct ib_dev *d, const char *name, uint8_t port, uint8_t gid_index,
		char err[IB_ERRLEN]);
/** Closes; everything made from it must be gone. */
void ib_dev_close(struct ib_dev *d);

/** Address of a peer's queue pair as it travels in the bootstrap. */
struct ib_addr {
	uint16_t lid;
	uint8_t gid[16];
	uint32_t qpn;
	uint32_t psn; /* first PSN (RC) */
};

struct ib_op;
/** Completion of a work request: status IBV_WC_SUCCESS or why not. The op may be reused inside. */
typedef void ib_done_fn(struct ib_op *op, enum ibv_wc_status status);
/** Embedded in the owner's structure; must stay until done() ran. */
struct ib_op {
	ib_done_fn *done;
};

/** A completion queue, with its channel when asked for. */
struct ib_cq {
	struct ibv_cq *cq;
	struct ibv_comp_channel *channel; /* NULL for a purely polled one */
	uint32_t unacked;		  /* events taken but not acknowledged yet */
};
/** Creates; depth entries. */
int ib_cq_open(struct ib_cq *q, struct ib_dev *d, int depth, bool with_channel);
void ib_cq_close(struct ib_cq *q);
/** Polls up to `budget` completions and dispatches them; returns how many. */
int ib_cq_poll(struct ib_cq *q, int budget);
/** Arms the channel (before a last poll and a sleep). */
int ib_cq_arm(struct ib_cq *q);
/** Takes the events that made the channel's fd readable. */
void ib_cq_ack(struct ib_cq *q);

struct ib_qp;
/** What the owner of a queue pair wants to hear. */
struct ib_qp_ops {
	/** A receive buffer came back: status success: `bytes` were received (wc for the rest). */
	void (*recv)(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc);
	/** The queue pair failed; called once. Outstanding work is flushed after it. */
	void (*dead)(struct ib_qp *qp, enum ibv_wc_status status);
};

struct ib_wr_slot;
/** A queue pair with its rings of outstanding work. */
struct ib_qp {
	struct ibv_qp *qp;
	struct ib_dev *dev;
	struct ib_cq *cq;
	const struct ib_qp_ops *ops;
	void *owner;		/* for the owner */
	struct ib_wr_slot *sq;	/* ring of sq_depth */
	struct ib_wr_slot *rq;	/* ring of rq_depth */
	uint32_t sq_depth, sq_head, sq_tail; /* free-running */
	uint32_t rq_depth, rq_head, rq_tail;
	uint32_t psn;		/* our first PSN */
	bool dead;
};

/** Creates a UD (ready to use at once) or RC (INIT) queue pair. */
int ib_qp_open(struct ib_qp *qp, struct ib_dev *d, struct ib_cq *cq, enum ibv_qp_type type,
	       uint32_t sq_depth, uint32_t rq_depth, const struct ib_qp_ops *ops, void *owner);
/** Our address of it. */
void ib_qp_addr(const struct ib_qp *qp, struct ib_addr *a);
/** RC: INIT to RTR to RTS, towards *peer. */
int ib_qp_connect(struct ib_qp *qp, const struct ib_addr *peer);
/** To ERR: everything outstanding is flushed (fencing, DESIGN 4.5). */
void ib_qp_fence(struct ib_qp *qp);
/** True when nothing is outstanding any more. */
bool ib_qp_drained(const struct ib_qp *qp);
/** Destroys; outstanding ops get no done() any more, so drain first. */
void ib_qp_close(struct ib_qp *qp);
/** Free work requests in the send queue. */
static inline uint32_t ib_qp_room(const struct ib_qp *qp)
{
	return qp->sq_depth - (qp->sq_head - qp->sq_tail);
}
/** Posts one receive buffer; cookie comes back in ops->recv(). ENOBUFS: ring full. */
int ib_qp_recv(struct ib_qp *qp, void *addr, uint32_t len, uint32_t lkey, void *cookie);
/** UD SEND. op NULL: unsignaled (buffer must then stay until a later signaled one). */
int ib_qp_send_ud(struct ib_qp *qp, struct ibv_ah *ah, uint32_t qpn, struct ibv_sge *sge, int n,
		  struct ib_op *op);
/** RC SEND. */
int ib_qp_send(struct ib_qp *qp, struct ibv_sge *sge, int n, struct ib_op *op);
/** RDMA WRITE. */
int ib_qp_write(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
		struct ib_op *op);
/** RDMA READ. */
int ib_qp_read(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
	       struct ib_op *op);
/** Address handle towards a LID or GID (as the device routes). NULL: errno. */
struct ibv_ah *ib_ah(struct ib_dev *d, const struct ib_addr *a);

struct ib_set;
/** What the owner of a set wants to hear. */
struct ib_set_ops {
	/** One received message, checked by ib_msg_check(): n entries of kind mid. */
	void (*msg)(struct ib_set *s, uint8_t mid, const void *entries, int n);
	/** A malformed message came: counted by the owner, the message is ignored. */
	void (*bad)(struct ib_set *s, uint8_t mid, uint32_t bytes);
	/** One of the queue pairs failed, or the message queue overflowed; called once. */
	void (*dead)(struct ib_set *s, enum ibv_wc_status status);
};

#define IB_SET_BUFS 128 /* message buffers each way */

struct ib_set_impl; /* message buffers, credits, waiting queue */
/** The queue pairs a host and a worker share. */
struct ib_set {
	struct ib_qp ctl; /* messages, WRITEs, READs of lines */
	struct ib_qp rd;  /* READs of payload */
	const struct ib_set_ops *ops;
	void *owner;
	struct ib_set_impl *impl;
	bool dead;
};
/** Creates both queue pairs and posts the receive buffers. */
int ib_set_open(struct ib_set *s, struct ib_dev *d, struct ib_cq *cq, uint32_t sq_depth,
		const struct ib_set_ops *ops, void *owner);
/** Connects both; addr[0] is the peer's ctl, addr[1] its rd. */
int ib_set_connect(struct ib_set *s, const struct ib_addr addr[2]);
/** Our addresses, ctl and rd. */
void ib_set_addr(const struct ib_set *s, struct ib_addr addr[2]);
/** Appends an entry (size by ib_msg_entry_size()) to the batch; a different mid closes the batch before. */
int ib_set_msg(struct ib_set *s, uint8_t mid, const void *entry);
/** Sends what is batched, as credits allow. */
void ib_set_flush(struct ib_set *s);
/** Both to ERR. */
void ib_set_fence(struct ib_set *s);
bool ib_set_drained(const struct ib_set *s);
void ib_set_close(struct ib_set *s);

/** Text of an address for the bootstrap ("lid:gid-hex:qpn:psn") and back. */
void ib_addr_str(const struct ib_addr *a, char buf[80]);
int ib_addr_parse(const char *text, struct ib_addr *a);

#endif
