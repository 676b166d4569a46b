/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layout of a port's arena: the memory that a process shares with every other process of the
 * subnet.  It lives in a memfd of the owner.  Whoever initiates an operation does all of its
 * work, so everything a peer must read or change to deliver a message is in here.
 *
 * Nothing in an arena is a pointer: references are table indices or offsets from its start.
 * Slots are handed out and taken back by the owner only.  "Owner" below is the process that
 * opened the device; "initiator" is any process, the owner included, that delivers into it.
 */
#ifndef SOFT_SHM_H
#define SOFT_SHM_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "softhca.h"

#define SOFT_MAGIC	   0x5441474843413031ull /* "TAGHCA01" */
#define SOFT_VERSION	   2u
#define SOFT_ARENA_SIZE	   (1ull << 30) /* virtual; pages exist once touched */
#define SOFT_MAX_QP	   16384u
#define SOFT_MAX_CQ	   8192u
#define SOFT_MAX_SRQ	   1024u
#define SOFT_MAX_MR	   65536u
#define SOFT_MAX_EVQ	   1024u
#define SOFT_MAX_BACKING   256u
#define SOFT_STAGE_SLOTS   1024u
#define SOFT_PINS	   1024u
#define SOFT_MAX_SGE	   16u
#define SOFT_MAX_WR	   16384u
#define SOFT_MAX_CQE	   (1u << 20)
#define SOFT_MAX_INLINE	   1024u
#define SOFT_MAX_RD_ATOMIC 128u
#define SOFT_MAX_MSG	   (1u << 30)
#define SOFT_MTU	   4096u
#define SOFT_GRH	   40u
#define SOFT_STAGE_BYTES   (SOFT_MTU + SOFT_GRH)
#define SOFT_NONE	   UINT32_MAX
#define SOFT_QPN_IDX_BITS  14 /* QPN: 10 bits of generation above 14 bits of table index */
#define SOFT_KEY_IDX(key)  ((key) >> 8 & (SOFT_MAX_MR - 1))
#define SOFT_QPN_IDX(qpn)  ((qpn) & (SOFT_MAX_QP - 1))

static_assert(SOFT_MAX_QP == 1u << SOFT_QPN_IDX_BITS, "QPN split");
static_assert(SOFT_MAX_MR <= 65536, "a pin holds a LID and a region's index");

/* A ring of 64-bit messages with a descriptor that becomes readable: completion channels and
 * the asynchronous events of contexts. */
struct shm_evq {
	pthread_mutex_t lock;	    /* robust; producers and the consumer */
	int32_t fd;		    /* eventfd (semaphore) in the owner's descriptor table */
	_Atomic uint32_t gen;	    /* changes when the slot is reused; 0: never used */
	_Atomic uint32_t head;	    /* next to take */
	_Atomic uint32_t tail;	    /* next to fill */
	uint64_t ring[SOFT_MAX_CQ]; /* CQ index, or event type << 32 | object index */
};

/* One receive work request. */
struct shm_rwqe {
	uint64_t wr_id;	      /* the consumer's */
	uint32_t nsge;	      /* entries used in sge */
	uint32_t pad;	      /* zero */
	struct ibv_sge sge[]; /* as posted, shm_rq.max_sge of them */
};

/* A receive queue, of one QP or shared. */
struct shm_rq {
	uint64_t ring_off;     /* offset of the shm_rwqe ring in the arena */
	uint32_t mask;	       /* entries in the ring, less one */
	uint32_t stride;       /* bytes from one shm_rwqe to the next */
	uint32_t max_sge;      /* scatter entries of each */
	uint32_t limit;	       /* SRQ: event when fewer are posted; 0: not armed */
	_Atomic uint32_t tail; /* next free entry; written by the owner */
	_Atomic uint32_t head; /* next entry to consume; written under the lock */
};

/* A shared receive queue. */
struct shm_srq {
	pthread_mutex_t lock; /* robust; held while an entry is consumed */
	uint32_t used;	      /* slot is taken */
	uint32_t evq;	      /* where its events go */
	uint32_t pd;	      /* protection domain of its buffers */
	struct shm_rq rq;     /* the queue */
};

/* One completion. */
struct shm_cqe {
	_Alignas(64) uint64_t wr_id; /* the consumer's */
	uint32_t byte_len;	     /* payload and, for UD, the 40 bytes of the GRH */
	uint32_t imm;		     /* immediate data, network byte order */
	uint32_t qpn;		     /* local QP; SOFT_NONE: withdrawn */
	uint32_t src_qp;	     /* UD: sender */
	uint32_t sq_pos;	     /* send: position of the work request in its queue */
	uint32_t stage;	     /* receive: staging slot to copy out of when polled, or SOFT_NONE */
	uint16_t slid;	     /* sender's LID, host byte order */
	uint8_t status;	     /* enum ibv_wc_status */
	uint8_t opcode;	     /* enum ibv_wc_opcode */
	uint8_t wc_flags;    /* enum ibv_wc_flags */
	uint8_t sl;	     /* service level */
	uint8_t solicited;   /* sender asked for an event, or an error */
	uint8_t is_recv;     /* for a receive queue */
	uint32_t vendor_err; /* enum soft_vendor_err: why */
	uint32_t rq_head;    /* receive: position consumed, for repair after a crash */
	uint32_t rq_owner;   /* receive: 1 + QP index, or SRQ index | SOFT_RQ_IS_SRQ; 0: none */
};

#define SOFT_RQ_IS_SRQ 0x80000000u
static_assert(sizeof(struct shm_cqe) == 64, "one completion, one cache line");

/* A completion queue. */
struct shm_cq {
	pthread_mutex_t lock;	 /* robust; producers */
	uint64_t ring_off;	 /* offset of the shm_cqe ring */
	uint32_t mask;		 /* entries, less one */
	uint32_t used;		 /* slot is taken */
	uint32_t evq;		 /* completion channel, or SOFT_NONE */
	uint32_t async_evq;	 /* where its errors go */
	uint32_t pushing;	 /* redo record: entry at tail is complete but unpublished */
	uint32_t overrun;	 /* a completion was lost */
	_Atomic uint32_t armed;	 /* enum soft_arm, and its generation */
	_Atomic uint32_t queued; /* already in the channel's ring */
	_Alignas(64) _Atomic uint32_t tail; /* next entry to fill */
	_Alignas(64) _Atomic uint32_t head; /* next entry to poll; written by the owner */
};

/* shm_cq.armed: one of these, and a generation above. */
enum soft_arm { SOFT_ARM_NONE, SOFT_ARM_SOLICITED, SOFT_ARM_ANY, SOFT_ARM_MASK = 3 };

/* What peers need of a queue pair. */
struct shm_qp {
	pthread_mutex_t lock;	/* robust; state changes and deliveries */
	_Atomic uint32_t state; /* enum ibv_qp_state */
	_Atomic uint32_t qpn;	/* 0: slot is free */
	uint32_t type;		/* enum ibv_qp_type */
	uint32_t pd;		/* protection domain */
	uint32_t access;	/* what peers may do: enum ibv_access_flags */
	uint32_t qkey;		/* UD */
	uint32_t dest_qpn;	/* RC, UC: the one peer */
	uint32_t dest_lid;	/* RC, UC: its port */
	uint32_t min_rnr;	/* RNR timer code told to the sender */
	uint32_t max_dest_rd;	/* READs and atomics it answers; 0: none */
	uint32_t ready;		/* lock has been set up */
	uint32_t srq;		/* shared receive queue, or SOFT_NONE */
	uint32_t recv_cq;	/* CQ index */
	uint32_t evq;		/* asynchronous events of its context */
	struct shm_rq rq;	/* own receive queue */
};

/* A memory region. */
struct shm_mr {
	_Atomic uint32_t key; /* lkey and rkey; 0: slot is free */
	uint32_t pd;	      /* protection domain */
	uint32_t access;      /* enum ibv_access_flags */
	uint64_t addr;	      /* address in the owner */
	uint64_t iova;	      /* address that work requests use */
	uint64_t len;	      /* bytes */
	uint32_t backing;     /* shm_backing index, or SOFT_NONE: reach it by system call */
	uint32_t backing_gen; /* generation of that backing */
	uint64_t backing_off; /* where the region starts in it */
};

/* A file, already open in the owner, that peers map to reach registered memory. */
struct shm_backing {
	int32_t fd;	      /* in the owner's descriptor table; -1: free */
	_Atomic uint32_t gen; /* changes when the slot is reused */
	uint64_t size;	      /* bytes that regions use of it */
};

/* A small message parked in the receiver's arena until the receiver polls its completion. */
struct shm_stage {
	_Atomic uint32_t next;		      /* free list */
	_Atomic uint32_t holder;	      /* LID filling it; 0: free or published */
	uint32_t len;			      /* bytes in data */
	uint32_t nsge;			      /* entries in sge */
	struct ibv_sge sge[SOFT_MAX_SGE + 1]; /* where they go: owner's addresses */
	uint8_t data[SOFT_STAGE_BYTES];	      /* the bytes */
};

/* The arena. */
struct shm_port {
	uint64_t magic;		      /* SOFT_MAGIC once the rest is set up */
	uint32_t layout;	      /* SOFT_LAYOUT */
	_Atomic uint32_t lid;	      /* host byte order */
	uint64_t guid;		      /* port GUID, host byte order */
	uint64_t size;		      /* bytes of the arena */
	uint32_t pid;		      /* process, for fault rules */
	char proc[16];		      /* first 15 bytes of its program's name */
	_Atomic uint32_t closed;      /* the port has left the subnet */
	pthread_mutex_t atomic_lock;  /* robust; serialises atomics on unmapped memory */
	_Atomic uint64_t stage_head;  /* staging slots given back: tag << 32 | index */
	_Atomic uint32_t stage_fresh; /* staging slots ever used: those above are free, untouched */
	_Atomic uint32_t pin[SOFT_PINS]; /* regions being copied: LID << 16 | index; 0: free */
	_Atomic uint64_t ctr[32];	 /* struct softhca_counters, in order */
	struct shm_qp qp[SOFT_MAX_QP];
	struct shm_cq cq[SOFT_MAX_CQ];
	struct shm_srq srq[SOFT_MAX_SRQ];
	struct shm_mr mr[SOFT_MAX_MR];
	struct shm_backing backing[SOFT_MAX_BACKING];
	struct shm_stage stage[SOFT_STAGE_SLOTS];
	struct shm_evq evq[SOFT_MAX_EVQ];
};

static_assert(sizeof(struct shm_port) < SOFT_ARENA_SIZE / 2, "tables leave room for rings");
static_assert(sizeof(struct softhca_counters) <= sizeof(((struct shm_port *)0)->ctr), "counters");

/* Two builds whose arenas differ must not meet. */
#define SOFT_LAYOUT (SOFT_VERSION << 28 ^ (uint32_t)sizeof(struct shm_port))

#define SOFT_CTR(field) (offsetof(struct softhca_counters, field) / sizeof(uint64_t))

/* Adds @n to a counter of arena @p. */
#define soft_count(p, field, n) \
	atomic_fetch_add_explicit(&(p)->ctr[SOFT_CTR(field)], (n), memory_order_relaxed)

#endif
