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
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "fault.h"
#include "soft_obj.h"

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
uint64_t soft_node(uint64_t unique);
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
