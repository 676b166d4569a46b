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
	uint8_t port;	     /* port number, from 1 */
	uint8_t gid_index;   /* GID used when routing by GID */
	union ibv_gid gid;   /* its value */
	bool roce;	     /* Ethernet link layer: always routed by GID */
	uint32_t mtu;	     /* path MTU in bytes */
	uint8_t rd_atomic;   /* READs outstanding per queue pair, as initiator and as responder */
	uint32_t max_sge;    /* scatter/gather entries we use per SEND or WRITE */
	uint32_t max_sge_rd; /* and per READ */
	char name[64];	     /* as ibv_devices shows it */
	uint32_t next_psn;   /* first PSN of the next queue pair, for a replay; 0: a random one */
};

/** Opens device `name` (NULL or empty: the first), port and GID index. err gets a sentence on
 * failure. */
int ib_dev_open(struct ib_dev *d, const char *name, uint8_t port, uint8_t gid_index,
		char err[IB_ERRLEN]);
/** Closes; everything made from it must be gone. */
void ib_dev_close(struct ib_dev *d);

/** An asynchronous event of the device. */
struct ib_event {
	enum ibv_event_type type; /* as the verbs name it */
	uint32_t qpn;		  /* queue pair it is about, or 0 */
	uint8_t port;		  /* port it is about, or 0 */
	char text[IB_ERRLEN];	  /* all of it, for the log */
};
/** Makes asynchronous events pollable: *fd becomes readable, and ib_dev_event() does not block. */
int ib_dev_events(struct ib_dev *d, int *fd);
/** Takes one event. EAGAIN: there is none (any more). */
int ib_dev_event(struct ib_dev *d, struct ib_event *e);

/** Brings *d up to date after an event. True: its port has another address, so what peers know of
 * it leads nowhere any more. */
bool ib_dev_moved(struct ib_dev *d, const struct ib_event *e);

/** Writes "what: reason, and what to do" for errno `error` of a verbs call into err. */
void ib_explain(int error, const char *what, char err[IB_ERRLEN]);

/** Registered memory in a shared mapping: a fork never copies its pages away from the HCA. */
struct ib_mem {
	void *addr;	   /* page aligned, zeroed; ours */
	size_t len;	   /* bytes, whole pages */
	struct ibv_mr *mr; /* lkey and rkey of all of it; ours */
};
/** Allocates and registers at least len bytes with IBV_ACCESS_* bits. */
int ib_mem_alloc(struct ib_mem *m, struct ib_dev *d, size_t len, int access);
/** Gives back what ib_mem_alloc() got; does nothing on a zeroed one. */
void ib_mem_free(struct ib_mem *m);

/** Address of a peer's queue pair as it travels in the bootstrap. Zero: unknown, use our own. */
struct ib_addr {
	uint16_t lid;	   /* 0 where the fabric has none (RoCE) */
	uint8_t gid[16];   /* network order */
	uint32_t qpn;	   /* 24 bits */
	uint32_t psn;	   /* first PSN (RC), 24 bits */
	uint8_t mtu;	   /* enum ibv_mtu of the peer's port, or 0 */
	uint8_t rd_atomic; /* READs the peer answers at a time, or 0 */
};

/**
 * Source GID of a UD packet from the IB_GRH_LEN bytes in front of its payload: of a GRH, of the
 * IPv6 header of RoCE v2, or of its IPv4 header, mapped into `mapped`. Points into either.
 */
const uint8_t *ib_grh_source(const uint8_t *grh, uint8_t mapped[16]);

struct ib_tap;
struct ib_op;
/** Completion of a work request: status IBV_WC_SUCCESS or why not. The op may be reused inside. */
typedef void ib_done_fn(struct ib_op *op, enum ibv_wc_status status);
/** Embedded in the owner's structure; must stay until done() ran. */
struct ib_op {
	ib_done_fn *done; /* called once per post, from ib_cq_poll() */
};

/** A completion queue, with its channel when asked for. */
struct ib_cq {
	struct ibv_cq *cq;		  /* ours */
	struct ibv_comp_channel *channel; /* NULL for a purely polled one */
	uint32_t unacked;		  /* events taken but not acknowledged yet */
	struct ib_tap *tap; /* sees what crosses the fabric (ib_tap.h); NULL: nobody */
};
/**
 * Creates a queue of `depth` entries: at least the sum of IB_QP_CQES() and IB_SET_CQES() of all
 * that will report to it. With a channel, q->channel->fd becomes readable, and never blocks.
 */
int ib_cq_open(struct ib_cq *q, struct ib_dev *d, int depth, bool with_channel);
/** Destroys; its queue pairs must be gone. */
void ib_cq_close(struct ib_cq *q);
/** Polls up to `budget` completions and dispatches them; returns how many (0 on a broken queue). */
int ib_cq_poll(struct ib_cq *q, int budget);
/** Arms the channel (before a last poll and a sleep). 0 or errno. */
int ib_cq_arm(struct ib_cq *q);
/** Takes the events that made the channel's fd readable. */
void ib_cq_ack(struct ib_cq *q);

struct ib_qp;
/** What the owner of a queue pair wants to hear. */
struct ib_qp_ops {
	/** A receive buffer came back. wc->status success: wc->byte_len bytes were received. */
	void (*recv)(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc);
	/**
	 * The queue pair failed by itself (not by ib_qp_fence()); called once. Outstanding work is
	 * flushed after it, by later completions. Do not close it inside.
	 */
	void (*dead)(struct ib_qp *qp, enum ibv_wc_status status);
};

struct ib_wr_slot;
/** A queue pair with its rings of outstanding work. */
struct ib_qp {
	struct ibv_qp *qp;	     /* ours */
	struct ib_dev *dev;	     /* of ib_qp_open(), as cq, ops and owner */
	struct ib_cq *cq;	     /* both directions complete here */
	const struct ib_qp_ops *ops; /* functions of the owner */
	void *owner;		     /* for the owner */
	struct ib_wr_slot *sq;	     /* ring of sq_mask + 1 */
	struct ib_wr_slot *rq;	     /* ring of rq_mask + 1 */
	uint32_t sq_mask;	     /* ring size - 1 */
	uint32_t rq_mask;	     /* ring size - 1 */
	uint32_t sq_depth;	     /* outstanding sends allowed */
	uint32_t sq_head;	     /* next to post, free-running */
	uint32_t sq_tail;	     /* oldest not released, free-running */
	uint32_t sq_signaled;	     /* one past the last signaled, free-running */
	uint32_t rq_depth;	     /* outstanding receives allowed */
	uint32_t rq_head;	     /* next to post, free-running */
	uint32_t rq_tail;	     /* oldest not completed, free-running */
	uint32_t max_inline;	     /* bytes the device takes inline, 0: none */
	uint32_t psn;		     /* our first PSN */
	uint32_t tx_psn;	     /* of the next packet we send; the lowest 24 bits count */
	uint32_t rx_psn;	     /* of the next packet we receive; likewise */
	uint32_t tx_msn;	     /* for the tap: messages that the peer has answered */
	uint32_t rx_msn;	     /* for the tap: messages received */
	uint32_t mtu;		     /* RC: path MTU, bytes; UD: larger than any datagram */
	struct ib_addr peer;	     /* RC: as connected; qpn 0: not yet */
	bool messages;		     /* RC: carries messages that begin with a BSDH */
	enum ibv_qp_type type;	     /* IBV_QPT_UD or IBV_QPT_RC */
	bool dead;		     /* failed or fenced: posting gives EPIPE */
};

/** Completions that a queue pair of these depths may have in its queue at once. */
#define IB_QP_CQES(sq_depth, rq_depth) ((sq_depth) + (rq_depth) + 1)

/** Creates a UD (ready to use at once) or RC (INIT) queue pair. */
int ib_qp_open(struct ib_qp *qp, struct ib_dev *d, struct ib_cq *cq, enum ibv_qp_type type,
	       uint32_t sq_depth, uint32_t rq_depth, const struct ib_qp_ops *ops, void *owner);
/** Our address of it. */
void ib_qp_addr(const struct ib_qp *qp, struct ib_addr *a);
/** RC: INIT to RTR to RTS, towards *peer. */
int ib_qp_connect(struct ib_qp *qp, const struct ib_addr *peer);
/** To ERR: everything outstanding is flushed (fencing, DESIGN 4.5). */
void ib_qp_fence(struct ib_qp *qp);
/**
 * True when nothing is outstanding any more: every done() and flushed recv() ran. On a live queue
 * pair, unsignaled work at the end of the ring counts as outstanding; a fence settles it.
 */
bool ib_qp_drained(const struct ib_qp *qp);
/**
 * Destroys; outstanding ops get no done() any more, so drain first. Not inside a callback. Does
 * nothing on a zeroed one.
 */
void ib_qp_close(struct ib_qp *qp);
/** Free work requests in the send queue. */
static inline uint32_t ib_qp_room(const struct ib_qp *qp)
{
	return qp->sq_depth - (qp->sq_head - qp->sq_tail);
}
/** Posts one receive buffer; cookie comes back in ops->recv(). ENOBUFS: ring full, EPIPE: dead. */
int ib_qp_recv(struct ib_qp *qp, void *addr, uint32_t len, uint32_t lkey, void *cookie);
/*
 * Posting: n entries of *sge, copied by the call. 0, EPIPE: dead, ENOBUFS: the send queue is full,
 * EINVAL: more entries than the device takes, EMSGSIZE: more than a UD packet, or what the
 * provider says; then the op is not posted and gets no done(). op NULL: unsignaled (the buffer
 * must then stay until a later signaled one; every quarter of the ring is signaled anyway).
 */
/** UD SEND towards queue pair qpn behind ah. */
int ib_qp_send_ud(struct ib_qp *qp, struct ibv_ah *ah, uint32_t qpn, struct ibv_sge *sge, int n,
		  struct ib_op *op);
/** RC SEND. Arguments and results as above. */
int ib_qp_send(struct ib_qp *qp, struct ibv_sge *sge, int n, struct ib_op *op);
/** RDMA WRITE to raddr. */
int ib_qp_write(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
		struct ib_op *op);
/** RDMA READ from raddr. */
int ib_qp_read(struct ib_qp *qp, struct ibv_sge *sge, int n, uint64_t raddr, uint32_t rkey,
	       struct ib_op *op);
/** Address handle towards a LID or GID (as the device routes). NULL: errno. */
struct ibv_ah *ib_ah(struct ib_dev *d, const struct ib_addr *a);

struct ib_set;
/** What the owner of a set wants to hear. */
struct ib_set_ops {
	/** Who the peer is: IB_FROM_HOST or IB_FROM_GW; kinds the other side sends are malformed.
	 * 0: any kind passes. */
	unsigned int from;
	/** One received message, checked by ib_msg_check(): n entries of kind mid. */
	void (*msg)(struct ib_set *s, uint8_t mid, const void *entries, int n);
	/** A malformed message came: counted by the owner, the message is ignored. */
	void (*bad)(struct ib_set *s, uint8_t mid, uint32_t bytes);
	/** One of the queue pairs failed, or the message queue overflowed; called once. */
	void (*dead)(struct ib_set *s, enum ibv_wc_status status);
};

#define IB_SET_BUFS 128 /* receive buffers posted for messages: the first credit (protocol.md) */
/** Completions that a set opened with sq_depth may have in its queue at once. */
#define IB_SET_CQES(sq_depth) (2 * (sq_depth) + 2 * IB_SET_BUFS + 4)

/** The sq_depth that a set may have on a device whose queues are shorter than wanted. */
static inline uint32_t ib_set_depth(const struct ib_dev *d, uint32_t wish)
{
	uint32_t most = (uint32_t)d->attr.max_qp_wr;

	most = most > IB_SET_BUFS + 1 ? most - IB_SET_BUFS - 1 : 1;
	return wish < most ? wish : most;
}

struct ib_set_impl; /* message buffers, credits, waiting queue */
/** The queue pairs a host and a worker share. */
struct ib_set {
	struct ib_qp ctl;	      /* messages, WRITEs, READs of lines */
	struct ib_qp rd;	      /* READs of payload */
	const struct ib_set_ops *ops; /* functions of the owner */
	void *owner;		      /* for the owner */
	struct ib_set_impl *impl;     /* ours */
	bool dead;		      /* failed or fenced: messages give EPIPE */
};
/**
 * Creates both queue pairs, sq_depth each (ctl has room for messages beside), and posts the receive
 * buffers. Registers 1 MiB.
 */
int ib_set_open(struct ib_set *s, struct ib_dev *d, struct ib_cq *cq, uint32_t sq_depth,
		const struct ib_set_ops *ops, void *owner);
/** Connects both; addr[0] is the peer's ctl, addr[1] its rd. */
int ib_set_connect(struct ib_set *s, const struct ib_addr addr[2]);
/** Our addresses, ctl and rd. */
void ib_set_addr(const struct ib_set *s, struct ib_addr addr[2]);
/**
 * Appends an entry (size by ib_msg_entry_size()) to what waits to be sent. Cursor messages that
 * still wait are overtaken in place: only the newest cursor of a token travels. EPIPE: dead,
 * EINVAL: a kind without entries, ENOBUFS: too much waits; the set then dies by the next
 * ib_cq_poll().
 */
int ib_set_msg(struct ib_set *s, uint8_t mid, const void *entry);
/** Sends what waits, as credits and the send queue allow; call it once per turn of the worker. */
void ib_set_flush(struct ib_set *s);
/** Bytes of entries that wait for credits or for ib_set_flush(). */
uint32_t ib_set_waiting(const struct ib_set *s);
/** Both to ERR (fencing, DESIGN 4.5); ops->dead() is not called. */
void ib_set_fence(struct ib_set *s);
/** True when nothing is outstanding any more. */
bool ib_set_drained(const struct ib_set *s);
/** Destroys both and frees; not inside its own callbacks. Does nothing on a zeroed one. */
void ib_set_close(struct ib_set *s);

/** Text of an address for the bootstrap: "lid:gid:qpn:psn:mtu:rd", all in hexadecimal. */
void ib_addr_str(const struct ib_addr *a, char buf[80]);
/** And back; mtu and rd may be left out. EINVAL: not an address, *a is then untouched. */
int ib_addr_parse(const char *text, struct ib_addr *a);

#endif
