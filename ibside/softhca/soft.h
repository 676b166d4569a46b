/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private declarations of the software HCA.  The theory of operation is at the top of port.c.
 *
 * Lock order, outermost first: a QP's sq_lock, the port's stall_lock, the port's lock, a shared
 * QP's lock, a shared receive queue's lock, a CQ's consumer lock, a CQ's producer lock, an event
 * queue's lock.  Never two of one kind at a time.
 */
#ifndef SOFT_H
#define SOFT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "fault.h"
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

/* lock.c */
int soft_mutex_init_shared(pthread_mutex_t *m);
bool soft_lock(pthread_mutex_t *m);
void soft_unlock(pthread_mutex_t *m);
uint64_t soft_now(void);

/* arena.c */
int soft_arena_create(struct soft_port *p);
void soft_arena_destroy(struct soft_port *p);
uint64_t soft_heap_alloc(struct soft_port *p, size_t bytes);
void soft_heap_free(struct soft_port *p, uint64_t off, size_t bytes);
#define soft_at(shm, off) ((void *)((uint8_t *)(shm) + (off)))

/* stage.c */
void soft_stage_init(struct shm_port *s);
uint32_t soft_stage_get(struct shm_port *s, uint32_t lid);
void soft_stage_put(struct shm_port *s, uint32_t slot);
void soft_stage_reclaim(struct shm_port *s, uint32_t lid);
void soft_stage_deliver(struct shm_port *s, uint32_t slot);

/* rendezvous.c */
int soft_rdv_publish(struct soft_port *p);
int soft_rdv_move(struct soft_port *p, uint32_t *lid);
void soft_rdv_withdraw(struct soft_port *p);
bool soft_rdv_alive(uint32_t lid);
int soft_rdv_find(uint32_t lid, int *pid, int *memfd_nr, int *pidfd);

/* port.c */
int soft_port_get(uint32_t dev, struct soft_port **out);
void soft_port_put(struct soft_port *p);
struct soft_port *soft_port_local(uint32_t lid);
int soft_port_fd(const struct soft_port *p);
bool soft_is_port_fd(int fd);
void soft_ports_each(void (*fn)(struct soft_port *p, void *arg), void *arg);
uint64_t soft_node_guid(uint32_t dev);

/* peer.c */
struct soft_peer *soft_peer_get(struct soft_port *p, uint32_t lid);
void soft_peer_put(struct soft_port *p, struct soft_peer *peer);
int soft_peers_init(struct soft_port *p);
void soft_peers_moved(struct soft_port *p, uint32_t lid);
void soft_peers_free(struct soft_port *p);
bool soft_peer_alive(struct soft_peer *peer);
bool soft_peer_gone(const struct soft_peer *peer);
void soft_peer_died(struct soft_peer *peer);
uint8_t *soft_peer_map(struct soft_peer *peer, const struct shm_mr *mr, uint64_t off, uint64_t len);
int soft_peer_evfd(struct soft_peer *peer, uint32_t evq);

/* watch.c */
int soft_watch_start(void);
void soft_watch_stop(void);
void soft_watch_forked(void);
int soft_watch_peer(struct soft_peer *peer);
void soft_watch_forget(struct soft_peer *peer);
void soft_watch_sync(void);
void soft_watch_timer(uint64_t when_ns);
void soft_watch_faults(const char *path);

/* device.c */
bool soft_is_dev(const struct ibv_device *dev);
uint32_t soft_dev_index(const struct ibv_device *dev);
uint32_t soft_dev_count(void);
struct ibv_device *soft_dev(uint32_t i);
struct ibv_context *soft_open_device(struct ibv_device *dev);
int soft_close_device(struct ibv_context *ctx);

/* query.c */
int soft_query_device(struct ibv_context *ctx, struct ibv_device_attr *attr);
int soft_query_device_ex(struct ibv_context *ctx, const struct ibv_query_device_ex_input *in,
			 struct ibv_device_attr_ex *attr, size_t size);
uint32_t soft_mtu(void);
int soft_query_port(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr, size_t size);
int soft_query_gid(struct ibv_context *ctx, uint32_t port, int index, union ibv_gid *gid);
int soft_query_gid_ex(struct ibv_context *ctx, uint32_t port, uint32_t index,
		      struct ibv_gid_entry *entry, size_t size);
int soft_query_rt_values(struct ibv_context *ctx, struct ibv_values_ex *values);
uint32_t soft_gid_to_lid(const union ibv_gid *gid);
void soft_port_gid(const struct shm_port *s, union ibv_gid *gid);

/* mr.c */
struct ibv_pd *soft_alloc_pd(struct ibv_context *ctx);
int soft_dealloc_pd(struct ibv_pd *pd);
struct ibv_mr *soft_reg_mr(struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
			   uint32_t access);
int soft_dereg_mr(struct ibv_mr *mr);
enum soft_vendor_err soft_mr_check(struct shm_port *s, uint32_t key, uint32_t pd, uint64_t va,
				   uint64_t len, uint32_t access, struct shm_mr **out);

/* pin.c */
uint32_t soft_pin(struct soft_peer *peer, uint32_t key);
void soft_unpin(struct soft_peer *peer, uint32_t pin);
bool soft_pin_drain(struct soft_port *p, uint32_t mr);

/* backing.c */
uint32_t soft_backing_get(struct soft_port *p, void *addr, size_t len, uint64_t *off);
void soft_backing_put(struct soft_port *p, uint32_t idx);
int soft_range_mapped(const void *addr, size_t len, bool write);

/* copy.c */
int soft_copy_out(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src);
int soft_copy_in(struct soft_peer *peer, struct soft_vec *dst, struct soft_vec *src);
bool soft_vec_mapped(const struct soft_vec *v);

/* stats.c */
extern bool soft_stats_on;
void soft_stats_init(void);
void soft_stats_print(const struct soft_port *p);

/* Time for soft_stats_end(), or 0 when nobody wants to know. */
static inline uint64_t soft_stats_begin(void)
{
	return soft_unlikely(soft_stats_on) ? soft_now() : 0;
}

/* Adds the time since @since to what port @s spent on copies. */
static inline void soft_stats_end(struct shm_port *s, uint64_t since)
{
	if (soft_unlikely(since))
		soft_count(s, copy_ns, soft_now() - since);
}

/* guard.c */
bool soft_guard_needed(int fd);
int soft_guarded(void (*copy)(struct soft_vec *dst, struct soft_vec *src), struct soft_vec *dst,
		 struct soft_vec *src);

/* evq.c */
uint32_t soft_evq_create(struct soft_port *p, int *fd);
void soft_evq_destroy(struct soft_port *p, uint32_t idx);
void soft_evq_push(struct soft_peer *peer, uint32_t idx, uint64_t msg, _Atomic uint32_t *once);
void soft_evq_nudge(struct soft_port *p, uint32_t idx);
bool soft_evq_pop(struct soft_port *p, uint32_t idx, uint64_t *msg);
void soft_evq_purge(struct soft_port *p, uint32_t idx, uint64_t msg, uint64_t mask);
void soft_async(struct soft_peer *peer, uint32_t evq, enum ibv_event_type type, uint32_t object);

/* channel.c */
struct ibv_comp_channel *soft_create_comp_channel(struct ibv_context *ctx);
int soft_destroy_comp_channel(struct ibv_comp_channel *ch);
int soft_get_cq_event(struct ibv_comp_channel *ch, struct ibv_cq **cq, void **cq_context);
void soft_ack_cq_events(struct ibv_cq *cq, unsigned int n);
int soft_get_async_event(struct ibv_context *ctx, struct ibv_async_event *ev);
void soft_ack_async_event(struct ibv_async_event *ev);

/* cq.c */
struct ibv_cq_ex *soft_create_cq_ex(struct ibv_context *ctx, struct ibv_cq_init_attr_ex *attr);
int soft_resize_cq(struct ibv_cq *cq, int cqe);
int soft_destroy_cq(struct ibv_cq *cq);
int soft_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc);
int soft_req_notify_cq(struct ibv_cq *cq, int solicited_only);
void soft_cq_purge(struct soft_cq *cq, uint32_t qpn);
void soft_cq_ex_ops(struct soft_cq *cq);

/* cqpush.c */
int soft_cq_push(struct soft_peer *peer, uint32_t cq, struct shm_cqe *e, struct shm_rq *rq);
void soft_cq_repair(struct shm_port *s, struct shm_cq *q);
void soft_cq_after_death(struct soft_port *p);

/* rq.c */
int soft_rq_create(struct soft_port *p, struct shm_rq *rq, uint32_t wr, uint32_t sge);
void soft_rq_destroy(struct soft_port *p, struct shm_rq *rq);
int soft_rq_put(struct soft_port *p, struct shm_rq *rq, uint32_t max_wr,
		const struct ibv_recv_wr *wr);
void soft_rq_flush(struct soft_peer *peer, struct shm_qp *qp);
int soft_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

/* srq.c */
struct ibv_srq *soft_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr);
int soft_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask);
int soft_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr);
int soft_destroy_srq(struct ibv_srq *srq);
int soft_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

/* ah.c */
struct ibv_ah *soft_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int soft_destroy_ah(struct ibv_ah *ah);
int soft_init_ah_from_wc(struct ibv_context *ctx, uint8_t port, struct ibv_wc *wc,
			 struct ibv_grh *grh, struct ibv_ah_attr *attr);
struct soft_peer *soft_ah_peer(struct soft_port *p, struct soft_ah *ah);
uint32_t soft_av_lid(const struct ibv_ah_attr *attr);
bool soft_av_match(const struct soft_peer *peer, const struct ibv_ah_attr *attr);

/* qp.c */
struct ibv_qp *soft_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
struct ibv_qp *soft_create_qp_ex(struct ibv_context *ctx, struct ibv_qp_init_attr_ex *attr);
int soft_destroy_qp(struct ibv_qp *qp);

/* qpstate.c */
int soft_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask);
int soft_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init);
void soft_qp_set_state(struct soft_peer *peer, struct shm_qp *qp, enum ibv_qp_state state);

/* qpmask.c */
int soft_qp_mask_ok(enum ibv_qp_type type, enum ibv_qp_state from, enum ibv_qp_state to, int mask);

/* post.c */
int soft_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
void soft_sq_kick(struct soft_qp *q);
bool soft_sq_full(struct soft_qp *q);

/* What became of a work request. */
struct soft_result {
	enum ibv_wc_status status; /* when @stall is SOFT_STALL_NONE */
	enum soft_vendor_err why;  /* detail */
	enum soft_stall stall;	   /* or: try again later */
	uint32_t rnr_code;	   /* RNR timer the peer asked for */
	uint32_t byte_len;	   /* payload */
};

/* stall.c */
bool soft_stall_start(struct soft_qp *q, struct soft_result *r);
void soft_stall_end(struct soft_qp *q);
uint64_t soft_stall_progress(struct soft_port *p, bool timers);

/* wr.c */
void soft_wr_ops(struct soft_qp *q, uint64_t send_ops);

/* exec.c */
int soft_gather(struct soft_qp *q, struct soft_wqe *w, uint32_t access, struct soft_vec *v,
		struct soft_result *r);
struct soft_result soft_exec(struct soft_qp *q, struct soft_wqe *w);

/* deliver.c */
struct soft_result soft_deliver(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
				struct soft_wqe *w, struct soft_vec *src,
				const struct ibv_grh *grh);
struct soft_result soft_deliver_imm(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
				    struct soft_wqe *w, uint32_t len);
bool soft_rq_ready(struct soft_peer *peer, struct shm_qp *dqp);

/* rdma.c */
struct soft_result soft_rdma(struct soft_qp *q, struct soft_peer *peer, struct shm_qp *dqp,
			     struct soft_wqe *w, struct soft_vec *local);

/* ud.c */
struct soft_result soft_exec_ud(struct soft_qp *q, struct soft_wqe *w);
void soft_ud_arrive(struct soft_qp *q, struct soft_peer *peer, struct soft_wqe *w,
		    struct soft_vec *v, const struct ibv_grh *grh, uint32_t qkey);

/* What faults make of a datagram. */
enum soft_ud_fate {
	SOFT_UD_PASS,  /* nothing */
	SOFT_UD_LOST,  /* it does not arrive */
	SOFT_UD_LATE,  /* it arrives later */
	SOFT_UD_HELD,  /* it arrives behind the next one */
	SOFT_UD_TWICE, /* it arrives, and again later */
	SOFT_UD_FATAL, /* the queue pair is in error */
};

/* fault.c */
extern struct fault_page *_Atomic soft_faults;
extern struct fault_page soft_faults_own;
void soft_fault_init(void);
void soft_fault_attach(int dirfd);
void soft_fault_detach(void);
bool soft_fault_none(void);
bool soft_fault_port_up(const struct shm_port *s);
bool soft_fault_connected(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer,
			  struct soft_result *res);
bool soft_fault_access(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer);
enum soft_ud_fate soft_fault_ud(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer,
				uint64_t *delay_ns);
uint64_t soft_fault_tick(struct soft_port *p);

/* Whether any fault rule exists. */
static inline bool soft_fault_on(void)
{
	struct fault_page *pg = atomic_load_explicit(&soft_faults, memory_order_relaxed);

	return soft_unlikely(atomic_load_explicit(&pg->n, memory_order_relaxed) |
			     atomic_load_explicit(&soft_faults_own.n, memory_order_relaxed));
}

/* limits.c */
struct soft_limits {
	uint32_t sge, rd_atomic, inl, wr, cqe; /* scatter entries, READs, inline bytes, queues */
};
extern struct soft_limits soft_limits;
void soft_limits_init(void);

/* pcap.c */
extern bool soft_pcap_on, soft_pcap_cm;
void soft_pcap_init(void);
void soft_pcap_forked(void);
void soft_pcap_begin(void);
void soft_pcap_packet(void *arg, const uint8_t *pkt, uint32_t n);
void soft_pcap_end(void);

/* capture.c */
void soft_capture_request(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v);
void soft_capture_answer(struct soft_qp *q, struct soft_wqe *w, const struct soft_vec *v,
			 const struct soft_result *r);
void soft_capture_datagram(struct soft_qp *q, const struct soft_wqe *w, const struct soft_vec *v,
			   const struct ibv_grh *grh, uint32_t qkey);
void soft_capture_connect(const struct soft_qp *q);

/* defer.c */
void soft_defer(struct soft_qp *q, struct soft_wqe *w, struct soft_vec *v,
		const struct ibv_grh *grh, uint32_t qkey, uint64_t when_ns, bool overtaken);
void soft_defer_overtake(struct soft_port *p, uint32_t qpn);
uint64_t soft_defer_progress(struct soft_port *p);
void soft_defer_drop(struct soft_port *p);

#endif
