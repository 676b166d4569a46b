/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the software HCA offers beyond libibverbs: a way to ask whether a device is one of its
 * own, and its counters.  Everything else is the public libibverbs API.
 */
#ifndef SOFTHCA_H
#define SOFTHCA_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

/* Counters of one port (one process and device).  All cumulative. */
struct softhca_counters {
	uint64_t ud_delivered;	 /* UD messages that reached a receive buffer of this port */
	uint64_t ud_no_buffer;	 /* UD messages dropped here: receive queue empty */
	uint64_t ud_bad_qp;	 /* UD messages dropped here: no such QP, or not ready */
	uint64_t ud_bad_qkey;	 /* UD messages dropped here: Q_Key did not match */
	uint64_t ud_too_long;	 /* UD messages dropped here: buffer shorter than message */
	uint64_t ud_lost;	 /* UD messages this port dropped on request (fault rules) */
	uint64_t ud_unroutable;	 /* UD messages this port sent to an address nobody has */
	uint64_t rnr;		 /* requests of this port that met an empty receive queue */
	uint64_t bytes_mapped;	 /* payload bytes this port moved through shared mappings */
	uint64_t bytes_syscall;	 /* payload bytes this port moved with process_vm_* */
	uint64_t bytes_staged;	 /* payload bytes this port left in the receiver's staging slots */
	uint64_t copy_ns;	 /* time spent moving payload; only counted with SOFTHCA_STATS=1 */
	uint64_t access_errors;	 /* remote requests refused by this port's protection checks */
	uint64_t peers_attached; /* ports of other processes attached */
	uint64_t peers_died;	 /* attached ports whose process has ended */
	uint64_t cq_overruns;	 /* completions that found their CQ of this port full */
	uint64_t faults;	 /* times a fault rule acted on this port or what it sent */
};

/* True if @ctx belongs to the software HCA; reads only public fields of @ctx. */
bool softhca_is_soft(const struct ibv_context *ctx);

/* Copies the counters of @ctx's port into @out.  Returns 0, or EINVAL for a foreign context. */
int softhca_query_counters(struct ibv_context *ctx, struct softhca_counters *out);

#endif
