/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw.h - the daemon's own structures: configuration, ports, attached hosts, workers.
 *
 * Theory of operation
 *
 * Threads. The control thread runs a libev loop: configuration, bootstrap socket for hosts
 * (gw_fabric.c), control socket (gw_control.c). Each worker is a DPDK lcore thread that owns its
 * receive and transmit queues, completion queue, queue pairs, connections, maps and timers, and
 * shares nothing it writes. The control thread changes a worker's world only by gw_call(): a
 * function that the worker runs between two bursts.
 *
 * One turn of a worker (gw_worker.c):
 *
 *	frames that other workers handed over (gw_hand.c)
 *	ports --rx burst--> gw_lan_rx() --another worker's?--> gw_hand_away()
 *				 |------accelerated flow?--> gw_accel_rx()  --> TCP core, WRITE
 *				 `----native map---------> gw_native_to_fabric()
 *	CQ ----ib_cq_poll--> native frame -> gw_native_from_fabric() -> port
 *				   bounced frame -> gw_accel_bounced()
 *			     message      -> gw_accel_msg()
 *			     READ/WRITE done -> the connection
 *	gw_accel_run(): connections with something due: tcp_output(), lines, messages
 *	timers, gw_port_flush(), publish counters
 *
 * A worker without work sleeps in growing steps (gw_idle.c).
 *
 * Frames. A frame is one rte_mbuf (or a chain: header mbuf plus slices of a payload chunk).
 * Functions named gw_..._rx take ownership of the mbuf they get; whoever drops it counts it.
 */
#ifndef GATEWAY_GW_H
#define GATEWAY_GW_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "correlator/corr.h"
#include "correlator/corr_steer.h"
#include "gateway/gw_stats.h"
#include "ibside/ib.h"
#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp.h"
#include "tcpstack/tcp_estats.h"
#include "tcpstack/tcp_trace.h"

#define GW_MAX_WORKERS	16
#define GW_MAX_PORTS	8
#define GW_MAX_HOSTS	256
#define GW_MAX_SERVICES 256
#define GW_MAX_RULES	1024
#define GW_MAX_ADDRS	16 /* addresses of one port or server */
#define GW_MAX_ARENAS	64 /* arenas of one host */
#define GW_NAMELEN	64
#define GW_MAX_NEIGHS	64 /* configured neighbours of one port */
#define GW_EVENT_KINDS	32 /* kinds of events that workers report (gw_log.h) */
#define GW_LOG_MODULES	16 /* parts of the daemon that log (gw_log.h) */
#define GW_BURST	32
#define GW_UD_SQ	1024u /* native SENDs in flight of a worker */
#define GW_UD_RQ	4096u /* native receive buffers of a worker, half of its mbufs at most */
#define GW_RC_SQ	128u  /* SENDs of a native RC queue pair in flight */
#define GW_RC_RQ	64u   /* receive buffers of one */
#define GW_SET_SQ	512u  /* work requests of each queue pair of a link */

/** When a service's connections are accelerated; the names are host_shm.h's policies. */
enum gw_accelerate {
	GW_ACCEL_OFF,
	GW_ACCEL_FIRST_SEND,
	GW_ACCEL_ACCEPT,
	GW_ACCEL_MIN_BYTES,
};

/** A neighbour that is known by configuration. */
struct gw_neigh_cfg {
	struct net_addr addr;	   /* address */
	struct rte_ether_addr mac; /* its MAC, unicast */
};

/** [port "lan0"] */
struct gw_port_cfg {
	char name[GW_NAMELEN];
	char devargs[256]; /* DPDK device: "net_af_packet0,iface=lan0" or a PCI address */
	struct net_addr addr[GW_MAX_ADDRS]; /* the gateway's own addresses */
	uint8_t plen[GW_MAX_ADDRS];	    /* prefix lengths, of 32 or 128 */
	uint32_t n_addr;
	struct net_addr next_hop4, next_hop6; /* default routers; zero: none */
	struct gw_neigh_cfg neigh[GW_MAX_NEIGHS];
	uint32_t n_neigh;
	uint16_t mtu;	      /* IP MTU */
	uint16_t vlan;	      /* VID of its frames, 0: untagged */
	uint32_t announce;    /* gratuitous ARPs or NAs per address and change */
	uint32_t announce_ms; /* between two of them */
};

/** How the gateway finds out whether a server is well, beside its agent and queue pairs. */
enum gw_check {
	GW_CHECK_NONE,
	GW_CHECK_TCP,  /* it accepts a connection */
	GW_CHECK_HTTP, /* and answers GET with 2xx or 3xx */
};

/** [server "s1"]; without a name: a place that nobody has. */
struct gw_server_cfg {
	char name[GW_NAMELEN];
	bool leaving; /* not configured any more: it keeps its connections, until they end */
	char key[GW_NAMELEN];		    /* shared secret of the bootstrap */
	struct net_addr addr[GW_MAX_ADDRS]; /* addresses it may serve */
	uint32_t n_addr;
	uint32_t max_accelerated; /* connections; UINT32_MAX: no limit of its own */
	struct rte_ether_addr
		mac[GW_MAX_ADDRS]; /* on the LAN, of each address; the last for more */
	uint32_t n_mac;		   /* 0: the port's */
	uint32_t weight;	   /* share of new flows */
	uint32_t max_conns;	   /* flows at a time, 0: no limit */
	bool backup;		   /* only when no other server of an address is there */
	bool forward;		   /* a firewall or IP-security server: passes on others' packets */
	uint32_t check;		   /* enum gw_check */
	uint16_t check_port;	   /* host byte order */
	char check_path[128];	   /* of GET */
	uint32_t check_ms;	   /* between checks */
	uint32_t check_all;	   /* 0: the first address is asked, 1: all must be good */
	struct corr_health_cfg health;
};

/** [service "web"] */
struct gw_service_cfg {
	char name[GW_NAMELEN];
	uint16_t id;	      /* of its counts, the same as long as it is configured */
	struct net_addr addr; /* server address; all zero: any */
	uint16_t port;	      /* host byte order; 0: any */
	enum gw_accelerate accelerate;
	uint32_t min_bytes;
	uint32_t max_accelerated;		   /* connections; UINT32_MAX: no limit */
	uint8_t proto;				   /* IP protocol, 0: any */
	char servers[512];			   /* names; empty: all that have the address */
	uint32_t balance;			   /* enum corr_balance */
	uint32_t table_size;			   /* of Maglev, a prime */
	uint32_t affinity_ms;			   /* of SOURCE */
	uint32_t no_server;			   /* 0: drop, 1: reject */
	uint32_t max_conns;			   /* flows at a time, 0: no limit */
	uint32_t max_client_conns;		   /* the same of each client */
	uint8_t prefix4, prefix6;		   /* what counts as one client */
	uint32_t syn_rate, syn_burst, client_rate; /* per second, 0: no limit */
};

/** [rule "name"] */
struct gw_rule_cfg {
	char name[GW_NAMELEN];
	uint16_t id;	 /* of its counts and in flows, the same as long as it is configured */
	uint32_t action; /* enum corr_action */
	struct corr_prefix src, dst; /* networks */
	uint16_t sport[2], dport[2]; /* ranges, host byte order */
	uint8_t proto;		     /* IP protocol, 0: any */
	char iface[GW_NAMELEN];	     /* name of a port, "fabric" or "any" */
	char via[GW_NAMELEN];	     /* server */
	bool accelerate;	     /* past the via server */
	uint32_t rate, burst, max_conns, client_rate, max_client_conns; /* 0: no limit */
	uint8_t prefix4, prefix6; /* what counts as one client */
};

/** The whole configuration file. */
struct gw_cfg {
	char name[GW_NAMELEN]; /* [gateway] name */
	char control[108];     /* control socket path */
	char metrics[108];     /* where metrics are served: ADDRESS:PORT or /PATH; empty: nowhere */
	char eal[256];	       /* extra EAL arguments */
	char cpus[64];	       /* CPUs of the workers ("2,3-5"); empty: any */
	uint32_t mbufs;	       /* frame buffers of each worker */
	uint32_t ttl;	       /* TTL or hop limit of accelerated segments, 0: the server's */
	uint32_t tx_records;   /* transmission records of each worker */
	uint32_t memory_mb;    /* of DPDK without huge pages; 0: as much as needed */
	uint32_t log_level;    /* enum gw_log_level */
	uint8_t log_module[GW_LOG_MODULES]; /* enum gw_log_level + 1 by enum gw_log_module; 0:
					       log_level */
	uint32_t workers;
	uint32_t max_accelerated;    /* connections of the whole gateway */
	uint32_t live;		     /* connections of each worker that may be at work at once */
	uint32_t box_entries;	     /* of a black box; 0: no boxes */
	uint32_t boxes;		     /* black boxes of each worker */
	uint32_t host_timeout_ms;    /* a lost host's clients are reset after this */
	uint32_t flows;		     /* of each worker's connection table */
	uint32_t congestion;	     /* enum tcp_cc_kind of accelerated connections */
	bool pacing;		     /* of accelerated connections */
	uint32_t otherwise;	     /* enum corr_action of flows that no rule fits */
	char policy_key[GW_NAMELEN]; /* gateways that choose servers alike have the same */
	char device[64];	     /* [fabric] device, empty: first */
	uint8_t dev_port;
	uint8_t gid_index;
	char listen[108];	/* [fabric] bootstrap socket path */
	uint32_t spare_servers; /* that reloads may add */
	struct gw_port_cfg port[GW_MAX_PORTS];
	uint32_t n_port;
	struct gw_server_cfg server[GW_MAX_HOSTS];
	uint32_t n_server;
	struct gw_service_cfg service[GW_MAX_SERVICES];
	uint32_t n_service;
	struct gw_rule_cfg rule[GW_MAX_RULES];
	uint32_t n_rule;
};

/** A client LAN port. */
struct gw_port {
	uint16_t id;	/* DPDK port number */
	uint16_t index; /* in gw.port[] */
	struct rte_ether_addr mac;
	const struct gw_port_cfg *_Atomic cfg; /* of the configuration in force */
	int16_t queue[GW_MAX_WORKERS];	 /* receive and transmit queue of a worker, -1: none */
	uint16_t sender[GW_MAX_WORKERS]; /* worker that sends for it: itself, or one with a queue */
	uint16_t n_queue;		 /* queues */
	bool hw_spread; /* the device gives frames to workers as gw_spread.c does */
	bool hw_csum;	/* the device finishes TCP and IPv4 checksums */
	bool multi_seg; /* the device takes chains of mbufs */
	bool opened;	/* probed: to be polled and closed; not on another port's device */
};

/** One attached host as one worker uses it. Owned by the worker while attached. */
struct gw_link {
	struct gw_host *host;
	struct gw_worker *worker;
	struct ib_set set;	  /* its RC queue pairs */
	struct ib_addr peer;	  /* the host's ctl queue pair, for listing; set when connected */
	struct ibv_ah *ah;	  /* towards its native queue pair */
	struct ib_qp rc;	  /* native RC queue pair; rc.qp NULL: not needed */
	bool rc_up;		  /* rc is connected */
	uint32_t ud_max;	  /* longest frame that a datagram takes, bytes */
	bool up;		  /* both ends connected, set alive */
	bool open;		  /* set exists */
	_Atomic uint32_t read_us; /* smoothed time of an RDMA READ, 0: none so far */
	void *accel;		  /* acceleration's own per-link data, by gw_accel_link_up() */
};

/** States of a host, one gw_host_set_state() in gw_fabric.c. */
enum gw_host_state {
	GW_HOST_ABSENT,	  /* never seen, or forgotten */
	GW_HOST_GREETING, /* hello received */
	GW_HOST_UP,	  /* attached */
	GW_HOST_LOST,	  /* bootstrap closed: its clients are kept for host_timeout_ms */
};

/** A configured server and what is attached for it. Index = server id in the maps. */
struct gw_host {
	uint32_t id;
	const struct gw_server_cfg *_Atomic cfg; /* of the configuration in force */
	enum gw_host_state state;		 /* control thread */
	uint64_t epoch;				 /* of the attached taghostd */
	struct net_addr addr[GW_MAX_ADDRS];	 /* addresses it attached with, of cfg->addr[] */
	uint32_t n_addr;
	struct ib_addr native;		      /* its UD queue pair */
	struct rte_ether_addr mac;	      /* of its TAP */
	uint32_t mtu;			      /* of its TAP */
	struct ib_arena arena[GW_MAX_ARENAS]; /* n_arena set after the entry is complete */
	_Atomic uint32_t n_arena;
	_Atomic uint32_t accelerated; /* connections, all workers */
	_Atomic uint64_t checks_good; /* checks that it passed (gw_check.c) */
	_Atomic uint64_t checks_bad;  /* and failed */
	struct gw_link link[GW_MAX_WORKERS];
};

/** MAC that a server's frames from an address carry on a port's LAN. */
static inline const struct rte_ether_addr *gw_server_mac(const struct gw_server_cfg *s,
							 const struct net_addr *a,
							 const struct gw_port *port)
{
	for (uint32_t i = 0; s->n_mac && i < s->n_addr; i++)
		if (net_addr_eq(&s->addr[i], a))
			return &s->mac[RTE_MIN(i, s->n_mac - 1)];
	return &port->mac;
}

/** A neighbour lookup's answer. */
struct gw_next_hop {
	struct gw_port *port;
	struct rte_ether_addr mac;
};

/**
 * Private area of each mbuf of a worker's pool: whoever owns the mbuf may use it, so that a work
 * request on the mbuf needs no allocation. gw_native.c keeps the op of its SEND here.
 */
struct gw_mbuf_priv {
	struct ib_op op;
	struct gw_worker *worker; /* set by whoever posts op */
	void *ctx;		  /* owner's */
	uint64_t u[5];		  /* owner's */
};
/** The private area, and back from its op to the mbuf. */
static inline struct gw_mbuf_priv *gw_mbuf_priv(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}
static inline struct rte_mbuf *gw_mbuf_of_op(struct ib_op *op)
{
	return (struct rte_mbuf *)((char *)op - sizeof(struct rte_mbuf));
}

struct gw_served;   /* server addresses (gw_served.c) */
struct gw_reload;   /* what reloads did, and may undo (gw_reload.h) */
struct gw_neigh;    /* neighbour table of one worker (gw_neigh.c) */
struct gw_flows;    /* native TCP flows seen by one worker, for listing (gw_flows.c) */
struct gw_accel;    /* everything of acceleration in one worker (gw_accel.c) */
struct gw_health;   /* of a server (gw_policy.h) */
struct gw_announce; /* addresses to be announced (gw_announce.c) */
struct gw_checks;   /* health checks (gw_check.c) */
struct gw_cap_ring; /* a capture of one worker (gw_capture.h) */

/** A worker: everything an lcore owns. */
struct gw_worker {
	uint32_t index;
	unsigned int lcore;
	struct gw *gw;
	uint64_t now_us; /* time of this turn, monotonic */
	uint64_t now_ms;
	uint64_t house_us; /* when tables age next */
	uint64_t neigh_us; /* when a neighbour wants to be asked for, at the earliest */
	struct ib_cq cq;
	struct ib_qp ud;		    /* native queue pair */
	bool rc_hungry;			    /* a native RC queue pair lacks receive buffers */
	struct rte_mempool *pool;	    /* mbufs of received frames and headers, registered */
	struct ibv_mr *pool_mr[8];	    /* its memory, see gw_mem.c */
	struct corr_native *_Atomic native; /* snapshot in use, published by the control thread */
	struct corr_policy *_Atomic policy; /* the same; NULL: nothing is shared or forbidden */
	struct corr_steer *steer;	    /* what the policy remembers; NULL without policy */
	struct gw_announce *announce;	    /* worker 0: what is to be announced */
	struct gw_checks *checks;	    /* worker 0: health checks */
	uint64_t answer_rate;		    /* of RSTs and ICMP errors (gw_refuse.c) */
	struct gw_neigh *neigh;
	struct gw_flows *flows;
	struct gw_frag *frag; /* fragments of TCP segments (gw_frag.c) */
	struct gw_accel *accel;
	struct gw_cap_ring *capture; /* what sees all frames (gw_capture.h); NULL: nobody */
	struct gw_stats stats;
	struct rte_ring *calls;	 /* gw_call() requests */
	struct rte_ring *news;	 /* neighbours other workers learned (gw_neigh.c) */
	struct rte_ring *events; /* abuse to be logged by the control thread (gw_event.c) */
	uint64_t event_ms[GW_EVENT_KINDS]; /* per kind: not before this time (gw_event.c) */
	_Atomic uint32_t event_more[GW_EVENT_KINDS]; /* per kind: counted, not reported */
	uint32_t event_told[GW_EVENT_KINDS]; /* of them, those that the control thread knows of */
	_Atomic bool running; /* the lcore is in its loop: gw_call() goes by the ring */
	struct rte_mbuf *tx[GW_MAX_PORTS][GW_BURST * 4]; /* frames queued for this burst */
	uint16_t n_tx[GW_MAX_PORTS];
	struct rte_mbuf *to[GW_MAX_WORKERS][GW_BURST]; /* frames for other workers (gw_hand.c) */
	uint16_t n_to[GW_MAX_WORKERS];
	struct rte_ring *from[GW_MAX_WORKERS]; /* frames that other workers gave; NULL: none */
	uint32_t hand_peak;		       /* the most that ever waited in one of them */
	_Atomic bool stop;		       /* the lcore shall leave its loop */
	bool accel_open;		       /* gw_accel_open() succeeded */
};

/** How busy a worker is. Control thread. */
struct gw_load {
	uint64_t at_us;	  /* when it was looked at, monotonic; 0: never */
	uint64_t busy_us; /* what its counter said then */
	uint32_t percent; /* of the second before */
};

/** The daemon. */
struct gw {
	struct gw_cfg *_Atomic cfg; /* in force; exchanged by gw_reload.c */
	const char *file;	    /* where it was read, and is again by default */
	struct ib_dev dev;
	bool dev_open; /* dev is */
	struct gw_port port[GW_MAX_PORTS];
	uint32_t n_port;
	struct gw_host host[GW_MAX_HOSTS];
	struct gw_worker *worker[GW_MAX_WORKERS];
	struct gw_load load[GW_MAX_WORKERS]; /* of each worker */
	uint32_t n_worker;
	uint32_t epoch;			  /* random per start */
	uint32_t first_psn;		  /* of our queue pairs, for a replay; 0: random ones */
	uint64_t start_us;		  /* monotonic */
	struct gw_served *_Atomic served; /* configured server addresses (gw_served.c) */
	uint32_t room_servers;		  /* that can be attached at the same time */
	struct corr_native *native;	  /* the snapshot that all workers have */
	struct gw_capture *capture;	  /* the last one, or NULL (gw_capture.c) */
	struct corr_policy *policy;	  /* the policy that all workers have, or NULL */
	struct corr_live *live;		  /* what changes beside it */
	struct gw_health *health;	  /* of each server; control thread */
	struct gw_reload *reload;	  /* control thread (gw_reload.c) */
	struct gw_ctl *ctl;		  /* control thread: event loop, sockets (gw_main.c) */
	/** A replay's devices: puts the DPDK port for cfg into *id. 0 or errno; NULL: EAL probes.
	 */
	int (*probe)(struct gw *gw, const struct gw_port_cfg *cfg, uint16_t *id);
	struct tcp_cfg tcp;	      /* tunables of the TCP core */
	_Atomic uint32_t accelerated; /* connections, all hosts */
	_Atomic uint32_t
		service_accelerated[GW_MAX_SERVICES]; /* connections, by gw_service_cfg.id */
};

/* --- gateway/gw_worker.c, gw_call.c: by the infrastructure ------------------------------- */

/** Runs fn(w, arg) on the worker between two bursts, and waits for it. Control thread only. */
void gw_call(struct gw_worker *w, void (*fn)(struct gw_worker *w, void *arg), void *arg);

/* --- gateway/gw_world.c ------------------------------------------------------------------ */

/** Fills buf with numbers that cannot be guessed; in a replay, with rte_rand()'s. 0 or EAGAIN. */
int gw_random(void *buf, size_t len);

/* --- gateway/gw_port.c ------------------------------------------------------------------- */

/** Queues a frame on a port; sent at the end of the turn or when the queue is full. Takes m. */
void gw_port_tx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m);

/* --- gateway/gw_mem.c -------------------------------------------------------------------- */

/** lkey of memory inside the pool of the worker, or of another one (any mbuf's data room). */
uint32_t gw_mbuf_lkey(const struct gw_worker *w, const void *addr);
/** Registers the memory of a mempool with the device; keys in mr[]. 0 or errno. */
int gw_pool_register(struct ib_dev *d, struct rte_mempool *mp, struct ibv_mr **mr, uint32_t n_mr);

/* --- gateway/gw_neigh.c ------------------------------------------------------------------ */

/** MAC and port towards an address (its own subnet or the next hop). 0; EAGAIN: being resolved;
 * EHOSTUNREACH. */
int gw_neigh_lookup(struct gw_worker *w, const struct net_addr *dst, struct gw_next_hop *nh);
/** Learns from a frame a client sent: saves a question on the LAN. */
void gw_neigh_learn(struct gw_worker *w, struct gw_port *port, const struct net_addr *addr,
		    const struct rte_ether_addr *mac);

/* --- gateway/gw_native.c ----------------------------------------------------------------- */

/** Sends a client's frame to a host natively. flags: IB_ENCAP_BOUNCED or 0. Takes m. */
void gw_native_to_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		       const struct net_pkt *p);

/* --- gateway/gw_flows.c ------------------------------------------------------------------ */

/** Remembers why a flow is native, for `conn list`; a flow without native frames is not listed. */
void gw_flows_reason(struct gw_worker *w, const struct net_flow *f, uint32_t host,
		     enum ib_reason r);

/** The flow was accelerated and carried so many payload bytes meanwhile, since born_us. */
void gw_flows_carried(struct gw_worker *w, const struct net_flow *f, uint64_t tx_bytes,
		      uint64_t rx_bytes, uint64_t born_us);

/** The flow was reset while it was accelerated: nothing of it will be seen natively. */
void gw_flows_end(struct gw_worker *w, const struct net_flow *f);

/** The gateway has reset a connection at its client: no native frame will tell. */
void gw_flows_ended(struct gw_worker *w, const struct net_flow *f);

/* --- gateway/gw_steer.c ------------------------------------------------------------------ */

/** True when a flow must stay native: its firewall wants to see it. */
bool gw_steer_native(struct gw_worker *w, const struct net_flow *f);

/* --- gateway/gw_accel.c and its neighbours: acceleration --------------------------------- */

/** Creates and destroys a worker's acceleration state. */
int gw_accel_open(struct gw_worker *w);
void gw_accel_close(struct gw_worker *w);
/** Messages and failures of a link's set; given to ib_set_open() by the infrastructure. */
extern const struct ib_set_ops gw_accel_set_ops; /* set->owner is the struct gw_link */
/** The link is up / is going away (host lost or set dead): worker thread. */
void gw_accel_link_up(struct gw_link *l);
void gw_accel_link_down(struct gw_link *l, bool host_lost);
/**
 * The host did not come back in time, or came back with another epoch: reset what is left. (When
 * the same taghostd comes back, gw_accel_link_down(l, false) is called before gw_accel_link_up():
 * the host has taken its connections back by itself, forget them.)
 */
void gw_accel_host_gone(struct gw_worker *w, struct gw_host *h);
/** An accelerated or being-handed-back flow takes the frame: true. Else false, m stays the
 * caller's. */
bool gw_accel_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p);
/** An ICMP error that quotes an accelerated connection of this worker is taken: true. m stays the
 * caller's in either case. */
bool gw_accel_icmp(struct gw_worker *w, const struct rte_mbuf *m, const struct net_pkt *p);
/** A bounced frame from a host. Takes m (frame starts at its data). */
void gw_accel_bounced(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		      const struct net_pkt *p);
/** Once per turn, after rx and completions. Returns how many connections had work. */
uint32_t gw_accel_run(struct gw_worker *w);
/** Next time anything is due, for idle sleeping; TCP_NEVER. */
uint64_t gw_accel_deadline(const struct gw_worker *w);

/** True when a flow is in the accelerated map of worker w (its context). */
bool gw_accel_has(struct gw_worker *w, const struct corr_flow *f);

/** Token of an accelerated flow of worker w, or 0; and back, false: there is none. */
uint32_t gw_accel_token(struct gw_worker *w, const struct net_flow *f);
bool gw_accel_flow(struct gw_worker *w, uint32_t token, struct net_flow *f);

/** One row of `conn list`; both kinds of connections. */
struct gw_conn_row {
	struct net_flow flow;
	uint32_t host; /* server id */
	bool accelerated;
	enum ib_reason reason; /* why native; IB_R_NONE when accelerated */
	const char *state;     /* static text */
	uint32_t token, qpn;
	uint16_t dlid;
	uint8_t dgid[16];
	uint64_t tx_bytes, rx_bytes, retransmits;
	uint32_t srtt_us, cwnd;
	uint64_t rdma_read_bytes, rdma_write_bytes;
	uint64_t age_us;
	uint32_t worker;
};
#define GW_EVENTS_MAX 1024u /* entries of a black box that `conn show` gives */

/** Everything `conn show` adds to the row of an accelerated connection. */
struct gw_conn_detail {
	uint64_t now;			       /* time of the copy, microseconds */
	bool at_work;			       /* and not at rest */
	uint8_t recovery;		       /* enum tcp_recovery_state */
	uint8_t timer;			       /* enum tcp_timer_kind */
	uint8_t soft_error;		       /* enum tcp_icmp_kind of the last soft error */
	struct tcp_estats estats;	       /* counters */
	uint64_t count;			       /* events ever recorded */
	uint32_t n_ev;			       /* of them here, the newest */
	struct tcp_trace_at ev[GW_EVENTS_MAX]; /* oldest first */
};
/** Copies the detail of a connection, on the worker. 0 or ENOENT. */
int gw_accel_detail(struct gw_worker *w, uint32_t token, struct gw_conn_detail *d);
/** Name of the state that an entry of kind OWNER holds: the gateway's part of the connection. */
const char *gw_accel_state_name(uint8_t what);
/** Walks accelerated connections of a worker, on the worker: *it = 0 at first; false at the end. */
bool gw_accel_next(struct gw_worker *w, uint32_t *it, struct gw_conn_row *row);
/** `conn decelerate` and `conn kill` of a flow or token, on the worker. 0 or ENOENT. */
int gw_accel_handback(struct gw_worker *w, uint32_t token, enum ib_reason r);
int gw_accel_kill(struct gw_worker *w, uint32_t token);
/** The service that accelerates connections of a flow's server address and port; NULL: none. */
const struct gw_service_cfg *gw_take_service(const struct gw_cfg *cfg, const struct net_flow *f);
/** `conn accelerate`: asks a host to request a native connection of its, on the worker. 0, or
 * ENOTCONN: the host is not attached. What comes of it, its program's next bytes decide. */
int gw_accel_ask(struct gw_worker *w, uint32_t host, const struct net_flow *f);
/** Memory in use: bytes of connection structures, chunks in use, waiting frames. */
struct gw_accel_mem {
	uint32_t conns, conn_bytes;   /* connections and bytes of state each */
	uint32_t chunks, chunks_used; /* payload chunks */
	uint32_t held;		      /* frames held */
	uint32_t live, live_used;     /* TCP states of connections at work */
	uint32_t live_bytes;	      /* bytes of each */
	uint32_t boxes, boxes_used;   /* black boxes */
	uint64_t box_bytes;	      /* memory of all of them */
	uint64_t boxes_taken;	      /* taken from silent connections for new ones */
	uint32_t recs, recs_used;     /* transmission records of the core */
	uint32_t recs_peak;	      /* the most ever in use */
	uint64_t recs_short;	      /* times there was none for something */
	uint64_t boxes_refused;	      /* connections that got none */
};
void gw_accel_mem(const struct gw_worker *w, struct gw_accel_mem *mem);

#endif
