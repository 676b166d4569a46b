/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects of the software HCA that are private to a process: ports, peers, and what is behind the
 * handles that applications hold.  What peers share is in soft_shm.h.
 */
#ifndef SOFT_OBJ_H
#define SOFT_OBJ_H

#include <stdbool.h>
#include <stddef.h>

#include "soft_shm.h"

#define SOFT_MAX_CTX	 32u
#define SOFT_MAX_DEVICES 16u
#define SOFT_LID_MAX	 0xbfffu
#define soft_likely(x)	 __builtin_expect(!!(x), 1)
#define soft_unlikely(x) __builtin_expect(!!(x), 0)
#define SOFT_ROUTINE	 __attribute__((visibility("default")))

/* Why a completion failed, in ibv_wc.vendor_err. */
enum soft_vendor_err {
	SOFT_VE_NONE,
	SOFT_VE_FLUSHED,    /* QP was in error */
	SOFT_VE_LKEY,	    /* local key unknown, other PD, or without local write */
	SOFT_VE_LBOUNDS,    /* outside the local region */
	SOFT_VE_LENGTH,	    /* message longer than allowed */
	SOFT_VE_RKEY,	    /* remote key unknown or of another PD */
	SOFT_VE_RBOUNDS,    /* outside the remote region */
	SOFT_VE_RACCESS,    /* region or QP does not allow it */
	SOFT_VE_RLENGTH,    /* receive buffer too small */
	SOFT_VE_RBUFFER,    /* receive buffer's keys are wrong */
	SOFT_VE_COPY,	    /* memory went away under a registration */
	SOFT_VE_PEER_DEAD,  /* the peer's process ended */
	SOFT_VE_NO_PEER,    /* no such port, or QP not connected to this one */
	SOFT_VE_RNR,	    /* no receive buffer in time */
	SOFT_VE_PERMISSION, /* the kernel forbids reaching the peer's memory */
	SOFT_VE_OPCODE,	    /* operation not supported on this QP */
	SOFT_VE_ALIGN,	    /* atomic not on 8 bytes */
	SOFT_VE_INJECTED,   /* a fault rule had it so */
};

/* A peer's memory file mapped here. */
struct soft_map {
	uint32_t gen;	      /* of the backing; 0: empty */
	uint64_t size;	      /* bytes mapped */
	uint8_t *base;	      /* the mapping */
	struct soft_map *old; /* shorter mapping of the same file that may still be in use */
};

/* Another port of the subnet, or one of this process. */
struct soft_peer {
	struct shm_port *shm;	      /* its arena, mapped here */
	_Atomic uint32_t lid;	      /* its LID when it was attached; of self: now */
	bool self;		      /* it is a port of this process */
	_Atomic bool dead;	      /* its process has ended */
	bool unlisted;		      /* no longer in the port's table; freed with the last ref */
	bool claimed;		      /* somebody is freeing it */
	_Atomic bool guard;	      /* copies to and from it need the guard */
	uint32_t refs;		      /* QPs and AHs; under the port's lock */
	int pidfd;		      /* -1 for self */
	int pid;		      /* its process */
	_Atomic uint64_t alive_ns;    /* last time it was known to live */
	struct soft_port *port;	      /* the local port that attached it */
	struct soft_peer *next;	      /* port's list */
	struct soft_peer *watch_next; /* watched list; under the watch lock */
	uint64_t watch_id;	      /* its name in the helper thread's events; 0: not watched */
	struct soft_map map[SOFT_MAX_BACKING]; /* under the port's map_lock */
	struct {
		uint32_t gen; /* of the event queue; 0: empty */
		int fd;	      /* our duplicate of its eventfd */
	} evfd[SOFT_MAX_EVQ]; /* under the port's map_lock */
};

/* An open device of this process: one port. */
struct soft_port {
	struct shm_port *shm;					/* own arena */
	int memfd;						/* of the arena */
	int file;						/* rendezvous file, held locked */
	char path[128];						/* of the rendezvous file */
	_Atomic uint32_t lid;					/* own LID */
	uint32_t dev;						/* device index */
	uint32_t nctx;						/* contexts open */
	uint64_t guid;						/* port GUID, host byte order */
	pthread_mutex_t lock;					/* slots, heap, peers */
	pthread_mutex_t map_lock;				/* peers' maps and descriptors */
	struct soft_peer **by_lid;				/* attached peers by LID */
	struct soft_peer *peers;				/* all of them */
	struct soft_peer *self;					/* this port as its own peer */
	struct soft_qp *_Atomic qps[SOFT_MAX_QP];		/* local QPs by index */
	struct soft_cq *_Atomic cqs[SOFT_MAX_CQ];		/* local CQs by index */
	struct soft_srq *_Atomic srqs[SOFT_MAX_SRQ];		/* local SRQs by index */
	uint16_t qp_gen[SOFT_MAX_QP];				/* next generation of each QPN */
	uint16_t mr_gen[SOFT_MAX_MR];				/* next generation of each key */
	uint32_t back_refs[SOFT_MAX_BACKING];			/* regions using each backing */
	uint64_t back_dev[SOFT_MAX_BACKING];			/* st_dev of each */
	uint64_t back_ino[SOFT_MAX_BACKING];			/* st_ino of each */
	uint32_t next_qp, next_cq, next_srq, next_mr, next_evq; /* where to look for a free slot */
	uint32_t next_pd;	    /* last protection domain number given */
	uint64_t heap_top;	    /* first byte of the arena never handed out */
	uint64_t heap_free[32];	    /* freed blocks by log2 of size; linked through themselves */
	pthread_mutex_t stall_lock; /* stalled */
	struct soft_qp *stalled;    /* QPs with a send that waits */
	_Atomic uint32_t nstalled;  /* how many */
	struct soft_ctx *ctxs;	    /* open contexts; under lock */
	bool down;		    /* PORT_ERR was the last event; helper thread only */
};

struct soft_ctx {
	struct verbs_context v; /* must be first: what applications see is inside */
	struct soft_port *port; /* shared by the contexts of one device */
	uint32_t evq;		/* asynchronous events */
	struct soft_ctx *next;	/* port's list */
};

struct soft_pd {
	struct ibv_pd pd;	/* must be first */
	uint32_t id;		/* unique in the port */
	_Atomic uint32_t users; /* objects in it */
};

struct soft_mr {
	struct ibv_mr mr; /* must be first; in truth a verbs-private superset elsewhere */
	uint32_t idx;	  /* slot */
};

struct soft_cq {
	union {
		struct ibv_cq cq;    /* what applications see */
		struct ibv_cq_ex ex; /* the same, extended */
	};
	struct soft_port *port;
	struct shm_cq *shm;	     /* in own arena */
	uint32_t idx;		     /* slot */
	pthread_mutex_t poll_lock;   /* consumers */
	_Atomic uint32_t users;	     /* QPs using it */
	_Atomic uint32_t events_got; /* completion events handed to the application */
	_Atomic uint32_t async_got;  /* asynchronous ones */
	struct ibv_wc cur;	     /* extended polling: the current completion */
};

struct soft_channel {
	struct ibv_comp_channel ch; /* must be first */
	uint32_t evq;		    /* slot */
};

struct soft_ah {
	struct ibv_ah ah;	 /* must be first */
	struct ibv_ah_attr attr; /* as given */
	uint32_t lid;		 /* where it leads; 0: unresolvable GID */
	struct soft_peer *peer;	 /* counted; NULL until first used */
	pthread_mutex_t lock;	 /* peer */
};

struct soft_srq {
	struct ibv_srq srq; /* must be first */
	struct soft_port *port;
	struct shm_srq *shm;	    /* in own arena */
	uint32_t idx;		    /* slot */
	uint32_t max_wr;	    /* depth promised */
	pthread_mutex_t post_lock;  /* posting */
	_Atomic uint32_t users;	    /* QPs using it */
	_Atomic uint32_t async_got; /* events handed to the application */
};

/* One send work request, as kept in the send queue until it has been executed. */
struct soft_wqe {
	uint64_t wr_id;	    /* the consumer's */
	uint64_t raddr;	    /* remote address */
	uint64_t cmp_add;   /* atomics */
	uint64_t swap;	    /* atomics */
	struct soft_ah *ah; /* UD */
	uint32_t rkey;	    /* remote key */
	uint32_t rqpn;	    /* UD */
	uint32_t qkey;	    /* UD */
	uint32_t imm;	    /* network byte order */
	uint64_t slow_ns;   /* faults: not to be executed before; 1: at once; 0: undecided */
	uint32_t psn;	    /* captures: of its first packet */
	uint32_t flags;	    /* enum ibv_send_flags */
	uint32_t nsge;	    /* in the queue's scatter table */
	uint32_t inl;	    /* inline bytes, in the queue's inline table */
	uint16_t opcode;    /* enum ibv_wr_opcode */
	uint8_t bad;	    /* status to fail with, found when it was built */
	uint8_t captured;   /* enum soft_captured */
};

/* What captures have of a request. */
enum soft_captured {
	SOFT_CAP_NONE,
	SOFT_CAP_SENT,	 /* its first packets */
	SOFT_CAP_WAITED, /* and the reason why it waits */
};

/* What a send waits for. */
enum soft_stall {
	SOFT_STALL_NONE,
	SOFT_STALL_RNR,	 /* a receive request */
	SOFT_STALL_PATH, /* the peer */
	SOFT_STALL_SLOW, /* its time, as a fault rule has it */
};

struct soft_qp {
	union {
		struct ibv_qp qp;    /* what applications see */
		struct ibv_qp_ex ex; /* the same, extended */
	};
	struct soft_port *port;
	struct shm_qp *shm;  /* in own arena */
	uint32_t idx;	     /* slot */
	uint32_t generation; /* part of the QPN */
	struct soft_ctx *ctx;
	bool is_ex;		    /* ibv_wr_* may be used */
	bool sig_all;		    /* every send is signalled */
	struct ibv_qp_attr attr;    /* as modified, for queries */
	struct ibv_qp_cap cap;	    /* as granted */
	struct soft_cq *scq, *rcq;  /* completion queues */
	struct soft_srq *srq;	    /* or NULL */
	pthread_mutex_t sq_lock;    /* everything below */
	struct soft_wqe *wqe;	    /* send queue */
	struct ibv_sge *sge;	    /* max_send_sge for each */
	uint8_t *inl;		    /* max_inline_data for each */
	uint32_t sq_mask;	    /* entries, less one */
	uint32_t sq_prod;	    /* posted */
	uint32_t sq_exec;	    /* executed */
	_Atomic uint32_t sq_done;   /* slots given back by polled completions */
	uint32_t wr_first;	    /* ibv_wr_*: sq_prod at ibv_wr_start() */
	int wr_err;		    /* ibv_wr_*: first error */
	uint32_t cap_psn;	    /* captures: of the next packet sent */
	uint32_t cap_msn;	    /* captures: messages the peer has answered */
	struct soft_peer *peer;	    /* RC, UC: counted, or NULL */
	_Atomic uint32_t stall;	    /* enum soft_stall: why sq_exec does not move */
	uint64_t stall_until;	    /* ns: gives up then */
	uint64_t stall_next;	    /* ns: next attempt by the helper thread */
	struct soft_qp *stall_link; /* port's list; under stall_lock */
	bool stall_listed;	    /* under stall_lock */
	pthread_mutex_t rq_lock;    /* posting receives */
	_Atomic uint32_t async_got; /* events handed to the application */
};

/* One stretch of memory of some port. */
struct soft_seg {
	uint64_t va;   /* address in the process that owns it */
	uint8_t *here; /* address here, or NULL when it is not mapped */
	uint32_t len;  /* bytes */
};

/* A gather or scatter list. */
struct soft_vec {
	struct soft_seg seg[SOFT_MAX_SGE + 2]; /* in order */
	uint32_t n;			       /* used */
	uint64_t len;			       /* sum */
};

static inline struct soft_ctx *soft_ctx(struct ibv_context *c)
{
	return (struct soft_ctx *)((uint8_t *)c - offsetof(struct soft_ctx, v.context));
}
static inline struct soft_pd *soft_pd(struct ibv_pd *p)
{
	return (struct soft_pd *)p;
}
static inline struct soft_cq *soft_cq(struct ibv_cq *c)
{
	return (struct soft_cq *)c;
}
static inline struct soft_qp *soft_qp(struct ibv_qp *q)
{
	return (struct soft_qp *)q;
}

#endif
