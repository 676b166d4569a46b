/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk.h - sockets over the TCP core, on virtual time: what scripts talk to.
 *
 * Theory of operation
 *
 * A stack is a table of sockets around struct tcp_conn and a clock that moves only when it is
 * told to. IP packets go in (sk_wire.c) and come out of a queue with the time at which they were
 * sent; socket calls (sk_call.c, sk_io.c, sk_opt.c) do what a kernel's would. sk_abi.h is the
 * one way in: packetdrill loads the stack as a shared object, the runner of this directory
 * uses the same table.
 *
 * A blocking call waits on a condition (sk_clock.c) while another thread moves the clock. The
 * clock stands from the moment the condition holds until the caller has read it, so that the
 * time at which the call returned is exact.
 *
 * A listener opens connections itself, as a host with an integral stack does, or (TAGD_TAKEOVER)
 * plays the server's kernel during the handshake and has the core take over what was negotiated:
 * sk_handshake.c. sk_map.c gives a connection back to the kernel: from there on the sequence map
 * translates every frame.
 */
#ifndef TESTS_PACKETDRILL_SK_H
#define TESTS_PACKETDRILL_SK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "sk_abi.h"
#include "sk_tagd.h"
#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/seqmap.h"
#include "tcpstack/tcp.h"
#include "tcpstack/tcp_open.h"
#include "tcpstack/tcp_park.h"

#define SK_SOCKS    64		/* sockets of one stack */
#define SK_REC	    1024	/* transmission records of one stack */
#define SK_DUE	    256		/* completions of one connection on their way */
#define SK_ISS_STEP 0x01000000u /* from one connection's first sequence number to the next */
#define SK_RUNS	    64		/* emitted runs of one connection not yet told to tcp_sent() */

/** Who speaks of ECN, as Linux's tcp_ecn. */
enum sk_ecn { SK_ECN_NEVER, SK_ECN_ASK, SK_ECN_ACCEPT };

/** A packet on its way out; malloc'ed. */
struct sk_pkt {
	STAILQ_ENTRY(sk_pkt) link; /* of sk_stack.out */
	uint64_t at;		   /* when it was sent, microseconds */
	size_t len;		   /* bytes */
	uint8_t ip[];		   /* from the IP header on */
};

/** A completion that takes time. */
struct sk_due {
	uint64_t at;	       /* when, microseconds */
	bool place;	       /* placement, else payload of [seq, seq + len) */
	uint32_t seq, len;     /* payload */
	struct tcp_rx_pos pos; /* placement */
};

enum sk_kind {
	SK_FREE,      /* unused entry */
	SK_NEW,	      /* socket() was called */
	SK_LISTENING, /* listen() was called */
	SK_CONN,      /* a connection, accepted or not, open or not */
};

/** What a script says by setsockopt(); children of a listener inherit it. */
struct sk_setup {
	bool takeover;	      /* the kernel's handshake, then a takeover */
	bool courtesy_ack;    /* the ACK that a takeover owes is shown to the script */
	bool resume_loss;     /* see struct tcp_state_io */
	uint32_t in_flight;   /* bytes sent by the kernel before the takeover */
	uint32_t expect_late; /* microseconds, 0: off */
	uint32_t read_delay;  /* payload takes that long, microseconds */
	bool read_fail;	      /* payload cannot be had any more */
	bool nodelay, cork;   /* TCP_NODELAY, TCP_CORK */
	bool keepalive;	      /* SO_KEEPALIVE */
	uint32_t place_delay; /* placement takes that long, microseconds */
};

/** One socket. */
struct sk_sock {
	struct tcp_conn c;	   /* first: ops get the socket from it */
	struct sk_stack *st;	   /* owner */
	enum sk_kind kind;	   /* what it is */
	int fd;			   /* descriptor, -1: none (not accepted, or closed) */
	struct sk_sock *parent;	   /* listener it waits at for accept(), NULL: none */
	struct net_flow flow;	   /* addresses; remote is zero before connect() */
	bool form6;		   /* AF_INET6 socket: addresses are told in that form */
	int backlog;		   /* listen() */
	struct tcp_listener l;	   /* the core's part of a listener */
	struct tcp_cfg cfg;	   /* tunables of this connection */
	struct tcp_state_io io;	   /* handshake: what is imported */
	struct sk_setup set;	   /* see there */
	bool syn_seen;		   /* handshake: SYN-ACK was sent */
	bool live;		   /* the core has the connection */
	bool open;		   /* it was ESTABLISHED */
	bool options_due;	   /* sk_options() is to be called */
	bool touched;		   /* something was sent or received since the import */
	uint64_t synack_at;	   /* handshake: when the SYN-ACK was sent, 0: more than once */
	uint64_t import_at;	   /* when the core took over */
	struct sk_due due[SK_DUE]; /* completions on their way */
	unsigned int n_due;	   /* used entries of due[] */
	struct tcp_range runs[SK_RUNS];	  /* emitted, not told to tcp_sent() */
	unsigned int n_runs;		  /* used entries of runs[] */
	uint32_t first;			  /* first byte of our stream, number of the core */
	uint32_t consumed;		  /* end of what the program read, the same */
	uint32_t ring;			  /* bytes of the receive ring */
	uint32_t sndbuf;		  /* bytes the program may have unacknowledged, 0: any */
	uint32_t lowat;			  /* SO_RCVLOWAT */
	unsigned int events[TCP_E_COUNT]; /* events told by the core */
	int err;			  /* pending error, told once */
	bool shut_rd, shut_wr, nonblock;  /* state of the program's descriptor */
	bool linger0;			  /* close() aborts */
	bool connecting;		  /* connect() has not been answered */
	uint32_t k_snd, k_rcv;		  /* where the kernel stands since the takeover */
	uint32_t k_ts;			  /* its timestamp clock at the takeover */
	bool mapped;			  /* handed back: map is in use, see sk_map.c */
	bool map_ack_due;		  /* seqmap_ack_frame() is to be asked */
	struct seqmap map;		  /* kernel's numbers <-> the wire's */
};

/** A blocked call. */
struct sk_wait {
	LIST_ENTRY(sk_wait) link;		     /* of sk_stack.waits */
	bool (*ready)(struct sk_stack *st, void *x); /* what it waits for */
	void *x;				     /* its argument */
	uint64_t until;				     /* gives up then, TCP_NEVER: never */
	bool released;				     /* ready, or given up */
};

/** One stack: a host on virtual time. */
struct sk_stack {
	pthread_mutex_t lock;	      /* held by every call */
	pthread_cond_t wake;	      /* a wait was released */
	pthread_cond_t read;	      /* a released caller has read the clock */
	LIST_HEAD(, sk_wait) waits;   /* blocked calls */
	unsigned int held;	      /* released callers that have not read the clock */
	unsigned int blocked;	      /* calls in sk_block() */
	uint64_t now, start;	      /* virtual time and its begin, microseconds */
	uint64_t limit;		      /* netdev_receive() goes up to there; 0: not said */
	STAILQ_HEAD(, sk_pkt) out;    /* packets sent, oldest first */
	uint32_t iss;		      /* first sequence number of the next connection */
	uint16_t mtu;		      /* of the device, 0: what makes the MSS 1460 */
	uint16_t next_port;	      /* ephemeral */
	uint16_t ip_id;		      /* next IPv4 identification */
	struct tcp_keys keys;	      /* secrets */
	struct tcp_cfg cfg;	      /* tunables, copied to new sockets */
	struct tcp_pool pool;	      /* of rec[] */
	struct tcp_txrec rec[SK_REC]; /* transmission records of all sockets */
	uint8_t opts;		      /* TCP_O_*, what openings bring */
	uint8_t wscale;		      /* shift of our windows */
	uint8_t ecn;		      /* enum sk_ecn */
	uint8_t cookies;	      /* enum tcp_cookie_policy */
	bool notso;		      /* runs are cut into segments */
	bool rest;	     /* connections at rest are parked and woken after each event */
	unsigned int rests;  /* how often one was */
	bool psh;	     /* runs of more than one segment carry PSH */
	bool noquick;	     /* the first ACKs are delayed like all others */
	uint32_t rcvbuf;     /* ring of new sockets, bytes */
	struct sk_setup set; /* copied to new sockets */
	struct sk_sock sock[SK_SOCKS]; /* all */
};

/* sk_clock.c: all with the lock held. */
uint64_t sk_next(const struct sk_stack *st); /* when something happens by itself */
void sk_step(struct sk_stack *st, uint64_t at);
void sk_advance(struct sk_stack *st, uint64_t to);
void sk_release(struct sk_stack *st); /* lets calls return that can, and waits for them */
/** Blocks until ready or `until`; true: ready. */
bool sk_block(struct sk_stack *st, bool (*ready)(struct sk_stack *st, void *x), void *x,
	      uint64_t until);

/* sk_conn.c: the shell around the core. */
struct sk_sock *sk_new(struct sk_stack *st); /* NULL: table full */
void sk_drop(struct sk_sock *s);	     /* a connection that is over and has no descriptor */
void sk_output(struct sk_sock *s);
void sk_place(struct sk_sock *s);
void sk_due_run(struct sk_sock *s); /* what is due now */
uint16_t sk_path_mss(const struct sk_stack *st, const struct net_flow *f);
extern const struct tcp_ops sk_ops;

/* sk_handshake.c */
void sk_handshake(struct sk_sock *s, const struct tcp_seg *seg);
void sk_successor(struct sk_sock *s); /* exports, and imports again */
uint32_t sk_tsval(const struct sk_stack *st);

/* sk_open.c: the core opens connections. */
void sk_listen_core(struct sk_sock *l);
void sk_listen_input(struct sk_sock *l, const struct net_flow *f, const struct tcp_seg *seg,
		     const uint32_t *after);
int sk_connect_core(struct sk_sock *s); /* 0 or errno; flow.remote is set */

/* sk_wire.c: packets. */
struct sk_sock *sk_child(struct sk_sock *l, const struct net_flow *f); /* NULL: table full */
void sk_reply(struct sk_stack *st, const struct net_flow *f, const struct tcp_emit *e);
int sk_receive(struct sk_stack *st, const void *ip, size_t len); /* 0 or EINVAL */
void sk_transmit(struct sk_sock *s, const struct tcp_emit *e);
void sk_map_ack(struct sk_sock *s); /* gives the kernel the ACK that the map owes it */

/* sk_icmp.c: an ICMP or ICMPv6 message. */
void sk_icmp(struct sk_stack *st, uint8_t *frame, struct net_pkt *p);

/* sk_flags.c: reads the flags of packetdrill_interface_init(); an unknown one ends the program. */
void sk_flags(struct sk_stack *st, const char *flags);

/* sk_map.c: hand-back. `unsure`: the gateway failed, nobody knows what it emitted last. */
void sk_handback(struct sk_sock *s, bool unsure);

/* sk_opt.c, sk_info.c: as the ABI says. */
int sk_getsockopt(struct sk_sock *s, int level, int name, void *v, socklen_t *n);
int sk_setsockopt(struct sk_sock *s, int level, int name, const void *v, socklen_t n);
void sk_options(struct sk_sock *s); /* tells the core what the program has set */
int sk_set_tagd(struct sk_sock *s, int name, uint32_t v);	 /* sk_tagd.c */
size_t sk_info(const struct sk_sock *s, void *buf, size_t room); /* TCP_INFO, fills it */

/* sk_call.c, sk_io.c: socket of a descriptor, NULL with errno EBADF. */
struct sk_sock *sk_fd(struct sk_stack *st, int fd);
short sk_readiness(const struct sk_sock *s);   /* POLL* */
uint32_t sk_readable(const struct sk_sock *s); /* bytes */
int sk_accept(struct sk_stack *st, int fd, struct sockaddr *a, socklen_t *n);
int sk_connect(struct sk_stack *st, int fd, const struct sockaddr *a, socklen_t n);
int sk_bind(struct sk_stack *st, int fd, const struct sockaddr *a, socklen_t n);
int sk_listen(struct sk_stack *st, int fd, int backlog);
int sk_socket(struct sk_stack *st, int domain, int type, int protocol);
int sk_close(struct sk_stack *st, int fd);
int sk_shutdown(struct sk_stack *st, int fd, int how);
ssize_t sk_recv(struct sk_stack *st, int fd, size_t n, int flags);
ssize_t sk_send(struct sk_stack *st, int fd, size_t n, int flags);
int sk_fcntl(struct sk_stack *st, int fd, int cmd, long arg);
int sk_ioctl(struct sk_stack *st, int fd, unsigned long request, int *v);
int sk_poll(struct sk_stack *st, struct pollfd *fds, nfds_t n, int timeout_ms);

#endif
