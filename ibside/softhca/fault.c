/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults on request.  The data path asks soft_fault_on(), two loads, and comes here only while a
 * rule exists.  Operations are hit where they are executed, by their initiator; what ports and
 * idle queue pairs suffer is brought about by the helper thread of the process they belong to.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soft.h"

#define RNR_CODE  12u	   /* RNR timer of receivers that only look empty: 0.64 ms */
#define RETRY_NS  1000000u /* the helper thread found a queue pair busy */
#define BIT(kind) (1u << (kind))

static struct fault_page no_faults; /* stands for a file that is not there */

/* The subnet's rules. */
struct fault_page *_Atomic soft_faults = &no_faults;
static ino_t faults_ino; /* of the file mapped; changes under the lock of all ports */
/* This process's own, from its environment. */
struct fault_page soft_faults_own;

static void own_rule(const char *text)
{
	struct fault_rule r;
	char why[128];

	if (!text[strspn(text, " \t\n")])
		return;
	if (fault_parse(&r, text, why, sizeof(why)) || fault_add(&soft_faults_own, &r))
		fprintf(stderr, "softhca: SOFTHCA_FAULTS: %s: %s\n", text, why);
}

/* Reads the environment: SOFTHCA_FAULTS, rules between semicolons, and SOFTHCA_UD_LOSS. */
void soft_fault_init(void)
{
	const char *env = getenv("SOFTHCA_FAULTS"), *loss = getenv("SOFTHCA_UD_LOSS");
	const char *seed = getenv("SOFTHCA_SEED");
	char *copy = env ? strdup(env) : NULL, *save = NULL, line[128];

	for (char *w = copy ? strtok_r(copy, ";", &save) : NULL; w; w = strtok_r(NULL, ";", &save))
		own_rule(w);
	free(copy);
	if (!loss || strtod(loss, NULL) <= 0)
		return;
	snprintf(line, sizeof(line), "ud-loss=%s%s%s", loss, seed ? " seed=" : "",
		 seed ? seed : "");
	own_rule(line);
}

/* Maps the rules of the subnet, whose directory is locked as @dirfd. */
void soft_fault_attach(int dirfd)
{
	struct fault_page *pg = fault_map(dirfd, true);
	struct stat st;

	if (!pg)
		return;
	if (fstatat(dirfd, FAULT_FILE, &st, 0) == 0 && st.st_ino == faults_ino) {
		munmap(pg, sizeof(*pg));
		return;
	}
	faults_ino = st.st_ino;
	atomic_store(&soft_faults, pg); /* an old one stays mapped: somebody may look at it */
}

/* The last port has closed: nobody looks at the rules. */
void soft_fault_detach(void)
{
	struct fault_page *pg = atomic_exchange(&soft_faults, &no_faults);

	if (pg != &no_faults)
		munmap(pg, sizeof(*pg));
	faults_ino = 0;
}

/* Whether the file of the subnet holds no rule, so that it may go with the last port. */
bool soft_fault_none(void)
{
	return atomic_load(&atomic_load(&soft_faults)->n) == 0;
}

static bool end_match(const struct fault_end *want, const struct shm_port *s, uint32_t qpn)
{
	return (!want->lid || want->lid == s->lid) && (!want->pid || want->pid == s->pid) &&
	       (!want->qpn || want->qpn == qpn) &&
	       (!want->proc[0] || !strncmp(want->proc, s->proc, sizeof(want->proc)));
}

static uint32_t op_bit(uint32_t opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_READ:
		return FAULT_OP_READ;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return FAULT_OP_WRITE;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return FAULT_OP_ATOMIC;
	default:
		return FAULT_OP_SEND;
	}
}

static uint32_t type_bit(enum ibv_qp_type type)
{
	return type == IBV_QPT_RC ? FAULT_RC : type == IBV_QPT_UC ? FAULT_UC : FAULT_UD;
}

/* Per cent of the time, by the rule's own generator (splitmix64). */
static bool roll(struct fault_rule *r, double percent)
{
	uint64_t z;

	if (percent >= 100)
		return true;
	z = atomic_fetch_add(&r->rng, 0x9e3779b97f4a7c15ull) + 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (double)(uint32_t)(z >> 32) < percent / 100 * 4294967296.0;
}

/* Takes one of what @v still holds.  Returns false if that was nothing. */
static bool take_one(_Atomic uint32_t *v)
{
	uint32_t n = atomic_load(v);

	while (n && n != FAULT_UNLIMITED)
		if (atomic_compare_exchange_weak(v, &n, n - 1))
			return true;
	return n;
}

/* Whether rule @r, which matches, acts this time.  @fresh: the operation is tried for the first
 * time. */
static bool acts(struct fault_rule *r, bool percent, bool fresh)
{
	if (atomic_load(&r->after)) {
		if (fresh)
			take_one(&r->after);
		return false;
	}
	if (!roll(r, percent ? r->value : r->chance) || !take_one(&r->left))
		return false;
	atomic_fetch_add(&r->hits, 1);
	return true;
}

static bool matches(const struct fault_rule *r, struct soft_qp *q, const struct soft_wqe *w,
		    const struct shm_port *to, uint32_t to_qpn)
{
	return (r->ops & op_bit(w->opcode)) && (r->types & type_bit(q->qp.qp_type)) &&
	       end_match(&r->from, q->port->shm, q->qp.qp_num) && end_match(&r->to, to, to_qpn);
}

/* Calls @stmt for each live rule r of the kinds in @mask. */
#define EACH_RULE(r, mask, stmt)                                                               \
	do {                                                                                   \
		struct fault_page *pages_[2] = {&soft_faults_own, atomic_load(&soft_faults)};  \
		for (uint32_t p_ = 0; p_ < 2; p_++)                                            \
			for (uint32_t i_ = 0; atomic_load(&pages_[p_]->n) && i_ < FAULT_RULES; \
			     i_++) {                                                           \
				struct fault_rule *r = &pages_[p_]->rule[i_];                  \
				if (atomic_load_explicit(&r->live, memory_order_acquire) &&    \
				    (BIT(r->kind) & (mask)))                                   \
					stmt;                                                  \
			}                                                                      \
	} while (0)

/* The first rule of @kind that hits @w, or NULL. */
static struct fault_rule *hit(enum fault_kind kind, struct soft_qp *q, const struct soft_wqe *w,
			      const struct shm_port *to, uint32_t to_qpn)
{
	bool fresh = atomic_load(&q->stall) == SOFT_STALL_NONE;
	bool percent = kind == FAULT_UD_LOSS || kind == FAULT_UD_REORDER || kind == FAULT_UD_DUP;

	EACH_RULE(r, BIT(kind), {
		if (matches(r, q, w, to, to_qpn) && acts(r, percent, fresh)) {
			soft_count(q->port->shm, faults, 1);
			return r;
		}
	});
	return NULL;
}

/* Whether port @s is down, and until when in *@until (0: not known). */
static bool port_down(const struct shm_port *s, uint64_t *until)
{
	uint64_t now = 0;

	EACH_RULE(r, BIT(FAULT_PORT_DOWN), {
		uint64_t end = atomic_load(&r->until_ns);

		if (!end_match(&r->from, s, r->from.qpn))
			continue;
		if (end && !now)
			now = soft_now();
		if (!end || now < end) {
			*until = end;
			return true;
		}
	});
	return false;
}

/* Whether port @s is up. */
bool soft_fault_port_up(const struct shm_port *s)
{
	uint64_t until;

	return !soft_fault_on() || !port_down(s, &until);
}

/* Receiver of @w looks empty, for a time or until it is given up. */
static bool rnr(struct soft_qp *q, const struct soft_wqe *w, const struct shm_port *to,
		struct soft_result *res)
{
	uint64_t now = soft_now();
	struct fault_rule *r;

	EACH_RULE(t, BIT(FAULT_RNR), {
		if (t->value > 0 && matches(t, q, w, to, q->attr.dest_qp_num) &&
		    now < atomic_load(&t->until_ns))
			goto wait;
	});
	r = hit(FAULT_RNR, q, w, to, q->attr.dest_qp_num);
	if (!r)
		return false;
	if (r->value > 0) {
		atomic_store(&r->until_ns, now + (uint64_t)(r->value * 1e6));
		goto wait;
	}
	*res = (struct soft_result){.status = IBV_WC_RNR_RETRY_EXC_ERR, .why = SOFT_VE_INJECTED};
	return true;
wait:
	*res = (struct soft_result){.stall = SOFT_STALL_RNR, .rnr_code = RNR_CODE};
	return true;
}

/* @w takes its time.  It is decided once for each request. */
static bool slow(struct soft_qp *q, struct soft_wqe *w, const struct shm_port *to,
		 struct soft_result *res)
{
	struct fault_rule *r;

	if (!w->slow_ns) {
		r = hit(FAULT_SLOW_READ, q, w, to, q->attr.dest_qp_num);
		w->slow_ns = r ? soft_now() + (uint64_t)(r->value * 1e6) : 1;
	}
	if (w->slow_ns == 1 || soft_now() >= w->slow_ns)
		return false;
	*res = (struct soft_result){.stall = SOFT_STALL_SLOW};
	return true;
}

/* The adapter gives the queue pair up.  Caller holds sq_lock. */
static void qp_fatal(struct soft_qp *q)
{
	soft_lock(&q->shm->lock);
	soft_qp_set_state(q->port->self, q->shm, IBV_QPS_ERR);
	soft_unlock(&q->shm->lock);
	soft_async(q->port->self, q->ctx->evq, IBV_EVENT_QP_FATAL, q->idx);
}

/*
 * While rules exist: request @w of @q, which is connected to a queue pair of @peer, is about to be
 * executed.  Returns true if a fault decides what becomes of it: *@res.
 */
bool soft_fault_connected(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer,
			  struct soft_result *res)
{
	bool uc = q->qp.qp_type == IBV_QPT_UC;
	const struct shm_port *to = peer->shm;
	uint64_t until;

	*res = (struct soft_result){0};
	if (port_down(q->port->shm, &until) || port_down(to, &until)) {
		res->stall = uc ? SOFT_STALL_NONE : SOFT_STALL_PATH;
		return true;
	}
	if (hit(FAULT_QP_FATAL, q, w, to, q->attr.dest_qp_num)) {
		qp_fatal(q);
		res->status = IBV_WC_WR_FLUSH_ERR;
		res->why = SOFT_VE_INJECTED;
		return true;
	}
	if (hit(FAULT_RETRY_EXC, q, w, to, q->attr.dest_qp_num)) {
		res->status = uc ? IBV_WC_SUCCESS : IBV_WC_RETRY_EXC_ERR;
		res->why = SOFT_VE_INJECTED;
		return true;
	}
	return (!uc && rnr(q, w, to, res)) || slow(q, w, to, res);
}

/* While rules exist: whether @peer is to refuse access to RDMA request @w of @q. */
bool soft_fault_access(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer)
{
	return hit(FAULT_REM_ACCESS, q, w, peer->shm, q->attr.dest_qp_num);
}

/* While rules exist: what becomes of datagram @w of @q to @peer; if it is held or doubled, for how
 * long in *@delay_ns. */
enum soft_ud_fate soft_fault_ud(struct soft_qp *q, struct soft_wqe *w, struct soft_peer *peer,
				uint64_t *delay_ns)
{
	const struct shm_port *to = peer->shm;
	struct fault_rule *r;
	uint64_t until;

	if (port_down(q->port->shm, &until) || port_down(to, &until))
		return SOFT_UD_LOST;
	if (hit(FAULT_QP_FATAL, q, w, to, w->rqpn)) {
		qp_fatal(q);
		return SOFT_UD_FATAL;
	}
	if (hit(FAULT_UD_LOSS, q, w, to, w->rqpn))
		return SOFT_UD_LOST;
	*delay_ns = 10000000;
	if (hit(FAULT_UD_REORDER, q, w, to, w->rqpn))
		return SOFT_UD_HELD;
	r = hit(FAULT_UD_DELAY, q, w, to, w->rqpn);
	if (r) {
		*delay_ns = (uint64_t)(r->value * 1e6);
		return SOFT_UD_LATE;
	}
	return hit(FAULT_UD_DUP, q, w, to, w->rqpn) ? SOFT_UD_TWICE : SOFT_UD_PASS;
}

static void port_event(struct soft_port *p, enum ibv_event_type type)
{
	pthread_mutex_lock(&p->lock);
	for (struct soft_ctx *c = p->ctxs; c; c = c->next)
		soft_async(p->self, c->evq, type, 1);
	pthread_mutex_unlock(&p->lock);
}

/* The rule that names a queue pair of @p acts without waiting for its next request.  Returns false
 * if it is busy: its user may be at the next request. */
static bool idle_fatal(struct soft_port *p, struct fault_rule *r)
{
	bool done = true;
	struct soft_qp *q;
	uint32_t st;

	pthread_mutex_lock(&p->lock); /* while it is in the table, it is not freed */
	q = atomic_load(&p->qps[SOFT_QPN_IDX(r->from.qpn)]);
	if (!q || q->qp.qp_num != r->from.qpn || atomic_load(&r->after))
		goto out;
	done = pthread_mutex_trylock(&q->sq_lock) == 0;
	if (!done)
		goto out;
	st = atomic_load(&q->shm->state);
	if (st >= IBV_QPS_INIT && st != IBV_QPS_ERR && acts(r, false, true)) {
		soft_count(p->shm, faults, 1);
		qp_fatal(q);
		soft_sq_kick(q);
	}
	pthread_mutex_unlock(&q->sq_lock);
out:
	pthread_mutex_unlock(&p->lock);
	return done;
}

/* Gives @p another LID, and the GID made of it: paths to it, and its own connections, lead
 * nowhere. */
static void change_lid(struct soft_port *p)
{
	uint32_t lid;
	int rc = soft_rdv_move(p, &lid);

	if (rc) {
		fprintf(stderr, "softhca: no other LID for LID %u: %s\n", p->lid, strerror(rc));
		return;
	}
	soft_peers_moved(p, lid);
	p->guid = (p->guid & ~0xffffull) | lid;
	p->shm->guid = p->guid;
	soft_count(p->shm, faults, 1);
	port_event(p, IBV_EVENT_LID_CHANGE);
	port_event(p, IBV_EVENT_GID_CHANGE);
}

/* Helper thread: brings about what rules do to port @p by themselves.  Returns when to look again,
 * or 0. */
uint64_t soft_fault_tick(struct soft_port *p)
{
	uint64_t next = 0, until = 0;
	bool down;

	if (!soft_fault_on() && !p->down)
		return 0;
	down = port_down(p->shm, &until);
	if (down != p->down) {
		p->down = down;
		soft_count(p->shm, faults, down);
		port_event(p, down ? IBV_EVENT_PORT_ERR : IBV_EVENT_PORT_ACTIVE);
	}
	if (down)
		next = until;
	EACH_RULE(r, BIT(FAULT_LID_CHANGE) | BIT(FAULT_QP_FATAL), {
		if (!end_match(&r->from, p->shm, r->from.qpn))
			continue;
		if (r->kind == FAULT_LID_CHANGE) {
			if (acts(r, false, true))
				change_lid(p);
		} else if (r->from.qpn && !idle_fatal(p, r)) {
			next = soft_now() + RETRY_NS;
		}
	});
	return next;
}
