/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock.h - inside libtagsock.so: connections, the descriptor table, and the calls its files make
 * of each other. The theory of operation is at the top of sock_main.c.
 */
#ifndef HOST_SOCK_H
#define HOST_SOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "host/host_shm.h"

#define SOCK_EXPORT   __attribute__((visibility("default")))
#define SOCK_MAX_MEMB 4 /* epoll memberships remembered per connection; more: stays native */

#define SOCK_FOREACH_STATE(_)                                               \
	_(UNDECIDED, "undecided") /* native, may be taken over */           \
	_(TAKING, "taking-over")  /* taghostd is being asked; calls wait */ \
	_(ACCEL, "accelerated")	  /* bytes move through the rings */        \
	_(NATIVE, "native")	  /* native for good */

/** Life of a tracked connection. UNDECIDED -> TAKING -> ACCEL, UNDECIDED or NATIVE;
 * UNDECIDED -> NATIVE. */
enum sock_state {
#define _(sym, name) SOCK_S_##sym,
	SOCK_FOREACH_STATE(_)
#undef _
};

/** A mapped arena. Never unmapped: a connection may point into it as long as the process lives. */
struct sock_arena {
	struct host_arena_hdr *hdr; /* start of the mapping */
	uint32_t number;	    /* as taghostd names it */
	uint32_t slots;		    /* checked copy of hdr->slots */
	uint32_t tx_size;	    /* checked copy, bytes, power of two */
	uint32_t rx_size;	    /* checked copy, bytes, power of two */
	uint64_t off_host;	    /* checked copies of where the parts are */
	uint64_t off_gw;	    /* gateway lines */
	uint64_t off_meta;	    /* struct host_meta */
	uint64_t off_tx;	    /* send rings */
	uint64_t off_rx;	    /* receive rings */
	int evfd;		    /* taghostd's eventfd, a hidden descriptor */
	struct sock_arena *next;    /* of the same taghostd */
};

/** One epoll registration of a tracked descriptor. */
struct sock_memb {
	int epfd;	       /* the epoll descriptor it was made through */
	int fd;		       /* the descriptor it is keyed by */
	struct epoll_event ev; /* as the program gave it last */
};

/** A tracked connection. Type-stable: freed ones go to a list of this type only. */
struct sock_conn {
	_Atomic uint32_t word;	      /* enum sock_state << 24 | native calls under way */
	_Atomic uint32_t refs;	      /* table entries plus calls under way; 0: free */
	_Atomic uint32_t nfds;	      /* descriptors of this process; under the table's lock */
	_Atomic bool pinned;	      /* must stay native (several processes know it, ...) */
	uint16_t policy;	      /* enum host_policy */
	uint32_t min_bytes;	      /* HOST_POLICY_MIN_BYTES */
	_Atomic uint64_t native_sent; /* bytes sent natively so far */
	_Atomic uint64_t next_try;    /* monotonic ns before which taghostd is not asked */
	_Atomic uint32_t asks_seen;   /* struct host_policy_page.n_asks when last looked at */
	pthread_mutex_t mtx;	      /* memberships; held while TAKING */
	struct sock_memb memb[SOCK_MAX_MEMB]; /* under mtx */
	uint32_t n_memb;		      /* used; under mtx */
	struct sock_conn *next_free;	      /* free list; under the pool's lock */
	/* From here on valid in ACCEL only; constant then unless atomic. */
	struct sock_arena *arena;    /* arena of the slot */
	struct ib_host_line *hl;     /* written by programs and taghostd */
	const struct ib_gw_line *gl; /* written by the gateway */
	struct host_meta *meta;	     /* shared with taghostd */
	unsigned char *tx;	     /* send ring */
	unsigned char *rx;	     /* receive ring */
	uint32_t slot;		     /* in the arena */
	uint32_t gen;		     /* of the slot when it was ours */
	_Atomic int kfd;	     /* hidden duplicate of the kernel's socket, -1: none */
	_Atomic bool tx_shut;	     /* shutdown(SHUT_WR) was called */
	_Atomic bool rx_shut;	     /* shutdown(SHUT_RD) was called */
	_Atomic uint32_t soft_seen;  /* gl->soft as SO_ERROR told it last */
	_Atomic bool told;	     /* the program has seen the error that ended it */
};

/** One intercepted call on a descriptor; ended by sock_leave(), also when the thread is
 * cancelled. */
struct sock_call {
	struct sock_conn *c; /* NULL: not tracked */
	bool counted;	     /* counts as a native call under way */
};
#define SOCK_CALL(name) struct sock_call name __attribute__((cleanup(sock_leave))) = {NULL, false}

/* sock_main.c */

/** Process that initialised the library. False in a vfork child or an unannounced clone, which
 * must not change the tables it may share with its parent. */
bool sock_own_process(void);
/** Logs to standard error when TAG_SOCK_DEBUG is set; preserves errno. */
void sock_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Monotonic time in nanoseconds. */
uint64_t sock_now(void);

/* sock_table.c: descriptors and connections */

/** A new connection in UNDECIDED with one reference (the caller's); NULL: no memory. */
struct sock_conn *sock_conn_new(uint16_t policy, uint32_t min_bytes);
/** Drops a reference. */
void sock_put(struct sock_conn *c);
/** The connection of fd with a reference, or NULL. */
struct sock_conn *sock_get(int fd);
/** Makes fd name c (adds a reference); false: no memory or fd too large. */
bool sock_table_set(int fd, struct sock_conn *c);
/** fd no longer names anything (or, unless `only` is NULL, no longer that connection); returns the
 * connection with the entry's reference (to be put), or NULL. *last: it was the last descriptor of
 * it in this process. */
struct sock_conn *sock_table_drop(int fd, const struct sock_conn *only, bool *last);
/** Moves fd to a high number with close-on-exec and hides it; -1 (fd is closed then). */
int sock_hide(int fd);
/** Duplicates fd as a hidden descriptor; -1: errno. */
int sock_hide_dup(int fd);
/** Closes a hidden descriptor. */
void sock_unhide_close(int fd);
/** Is fd one of ours that programs must not see? */
bool sock_hidden(int fd);
/** Calls f for every used entry with lo <= fd <= hi; c is NULL for hidden ones. */
void sock_table_each(unsigned int lo, unsigned int hi,
		     void (*f)(int fd, struct sock_conn *c, void *ctx), void *ctx);
/** Holds (true) or releases the locks of the table around fork(). */
void sock_table_fork(bool hold);

/* sock_state.c: the state of a connection and the calls on it */

/** Changes the state; false: the state was not `from`, or native calls are under way and `to` is
 * TAKING. The only place that does. */
bool sock_set_state(struct sock_conn *c, enum sock_state from, enum sock_state to);
/** State of c now. */
enum sock_state sock_state(const struct sock_conn *c);
/** Connections in UNDECIDED, to skip work when there are none. */
uint32_t sock_n_undecided(void);
/** Begins a call on fd; true: accelerated, use the rings; false: call the kernel. */
bool sock_enter(struct sock_call *k, int fd);
/** Decides again, after the state may have changed. */
bool sock_reenter(struct sock_call *k);
/** Like sock_enter() for a call that sends n bytes: asks for a takeover when it is due. */
bool sock_enter_out(struct sock_call *k, int fd, size_t n);
/** Notes r bytes sent natively (r < 0: none); returns r. */
ssize_t sock_sent(struct sock_call *k, ssize_t r);
/** Ends a call. Preserves errno. */
void sock_leave(struct sock_call *k);

/* sock_takeover.c */

/** Asks taghostd for the connection of k, whose descriptor is fd. True: accelerated now; false: the
 * caller is to look at the state again. Preserves errno. */
bool sock_takeover(struct sock_call *k, int fd);

/* sock_ipc.c: the connection to taghostd */

/** What a takeover brought. */
struct sock_grant {
	uint32_t result;	  /* enum ib_reason; 0: accelerated */
	bool retry;		  /* refused, but worth asking again later */
	int p;			  /* the program's new descriptor, owned by the caller */
	struct sock_arena *arena; /* arena of the slot */
	uint32_t slot;		  /* in it */
	uint32_t gen;		  /* of the slot */
};
/** The policy page; NULL: no taghostd (asks at most once a second). */
const struct host_policy_page *sock_ipc_page(void);
/** Reads the environment, before the program clears it (nginx's workers do). */
void sock_ipc_init(void);
/** Passes kernel socket kfd; 0 with *g filled; ENOTCONN: nobody was reached; else an errno:
 * taghostd went away over it. */
int sock_ipc_takeover(int kfd, const struct sock_conn *c, struct sock_grant *g);
/** Holds the connection's lock around fork(). */
void sock_ipc_fork_prepare(void);
/** Releases it; in the child the connection is given up, to be made anew. */
void sock_ipc_fork_done(bool child);

/* sock_arena.c */

/** Maps and checks an arena; takes ownership of neither descriptor. NULL: it is not sound. */
struct sock_arena *sock_arena_map(int memfd, int evfd, uint32_t number);
/** Points c at slot; false: no such slot or another generation. */
bool sock_arena_slot(struct sock_conn *c, struct sock_arena *a, uint32_t slot, uint32_t gen);
/** Makes taghostd look at the slot of c. */
void sock_kick(struct sock_conn *c);
/** Kicks when a cursor went from `before` to `after` past the armed value. */
void sock_kick_armed(struct sock_conn *c, const uint64_t *arm, uint64_t before, uint64_t after);
/** Locks a robust mutex of the slot; false: it cannot be recovered. */
bool sock_slot_lock(struct sock_conn *c, pthread_mutex_t *m);
/** The slot still belongs to c. */
bool sock_slot_valid(const struct sock_conn *c);
/** Nobody moves the bytes of the slot any more. */
bool sock_dead(const struct sock_conn *c);
/** What SO_ERROR says of ICMP errors since it was asked last, errno or 0. */
int sock_take_soft(struct sock_conn *c);
/** Takes the error the program is to see once; 0: none. */
uint32_t sock_take_err(struct sock_conn *c);

/* sock_policy.c */

/** Own or the peer's address of a socket, IPv4 mapped, and port, network byte order; false: it has
 * none of these families. */
bool sock_end(int fd, bool peer, uint8_t addr[16], uint16_t *port);
/** Looks up the policy of fd's local address; false: not TCP, no taghostd, or "off". */
bool sock_policy_of(int fd, uint16_t *policy, uint32_t *min_bytes);
/** Limits the receive window of a listener or a fresh connection to the receive ring's size. */
void sock_policy_clamp(int fd);

/* sock_ask.c: wishes of the operator */

/** How many there have been. */
uint32_t sock_asks(void);
/** One that came since the last look concerns c, whose descriptor is fd. */
bool sock_asked(struct sock_conn *c, int fd);

/* sock_rx.c, sock_tx.c: the rings */

/** recvmsg() semantics through the receive ring; -1: errno. */
ssize_t sock_rx(struct sock_conn *c, int fd, const struct iovec *iov, int n, int flags);
/** Bytes that can be read now. */
size_t sock_rx_avail(const struct sock_conn *c);
/** Hands the first contiguous bytes to `take`, which returns how many it took or -1 with errno;
 * waits for bytes like sock_rx(). 0: end of file. */
ssize_t sock_rx_take(struct sock_conn *c, int fd, size_t max, int flags,
		     ssize_t (*take)(const void *p, size_t n, void *ctx), void *ctx);
/** The other end of P is closed, or both directions are shut. */
bool sock_hung_up(int fd);
/** Where bytes to be sent come from. fill() puts up to n bytes at `to` and returns how many, 0:
 * no more will come, or -errno. */
struct sock_src {
	ssize_t (*fill)(struct sock_src *s, void *to, size_t n);
};
/** Sends up to `want` bytes of s; -1: errno. Raises SIGPIPE as the kernel does. */
ssize_t sock_tx(struct sock_conn *c, int fd, struct sock_src *s, size_t want, int flags);
/** Sends the bytes of iov. */
ssize_t sock_tx_iov(struct sock_conn *c, int fd, const struct iovec *iov, int n, int flags);
/** Waits until fd is ready for `events`, as a blocking call with that timeout (ns, 0: none); 0,
 * EINTR or EAGAIN. *revents gets the result. */
int sock_wait(int fd, short events, uint64_t timeout, short *revents);
/** Total length of iov; -1: EINVAL. */
ssize_t sock_iov_len(const struct iovec *iov, int n);

/* sock_epoll.c: memberships */

/** After the call on kernel socket fd: makes every membership follow to the descriptor `p` that
 * replaces it, close-on-exec as before. Under c->mtx. Returns 0 or an errno of dup3(). */
int sock_epoll_move(struct sock_conn *c, int fd, int p);
/** After a read that left bytes in the ring: makes edge-triggered memberships report fd again. The
 * kernel reports each arrival, but an arrival while the readiness byte is there makes no edge, and
 * programs that read only what was there when they looked (nginx, by FIONREAD) count on one. */
void sock_epoll_again(struct sock_conn *c, int fd);

/* sock_sys.c: system calls past any interposition; -1 and errno as the C library */

int sys_close(int fd);
int sys_fcntl(int fd, int cmd, long arg);
int sys_dup3(int from, int to, int flags);
ssize_t sys_read(int fd, void *p, size_t n);
ssize_t sys_pread(int fd, void *p, size_t n, off_t off);
ssize_t sys_write(int fd, const void *p, size_t n);
ssize_t sys_recv(int fd, void *p, size_t n, int flags);
ssize_t sys_send(int fd, const void *p, size_t n, int flags);
ssize_t sys_sendmsg(int fd, const void *msg, int flags);
ssize_t sys_recvmsg(int fd, void *msg, int flags);
int sys_getsockopt(int fd, int level, int name, void *val, unsigned int *len);
int sys_setsockopt(int fd, int level, int name, const void *val, unsigned int len);
int sys_getsockname(int fd, void *addr, unsigned int *len);
int sys_getpeername(int fd, void *addr, unsigned int *len);
int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int sys_poll(int fd, short events, int timeout_ms, short *revents);
int sys_ioctl(int fd, unsigned long req, void *arg);

#endif
