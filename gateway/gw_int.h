/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_int.h - what the infrastructure's own files share; acceleration uses gw.h only.
 */
#ifndef GATEWAY_GW_INT_H
#define GATEWAY_GW_INT_H

#include <ev.h>
#include <jansson.h>
#include <rte_ethdev.h>
#include <rte_hash.h>

#include "gateway/gw.h"
#include "gateway/gw_log.h"
#include "gateway/gw_way.h"

/** Bytes of one LAN frame of this port, without FCS: Ethernet, one tag, IP MTU. */
#define GW_FRAME_MAX(mtu) ((uint32_t)(mtu) + 14 + 4)

#define GW_RSS_KEY_MAX 128u /* bytes of the longest key of a device's hash */

/** Where the frame starts in a native receive buffer, so that it is where LAN frames are too. */
#define GW_RX_OFF (RTE_PKTMBUF_HEADROOM - IB_GRH_LEN - (uint32_t)sizeof(struct ib_encap))

struct gw_conn_filter; /* gw_conn_filter.h */

/** The control thread's world. */
struct gw_ctl {
	struct gw *gw;
	struct ev_loop *loop;	    /* libev */
	struct gw_boot *boot;	    /* bootstrap socket (gw_boot.c) */
	struct gw_control *control; /* control socket (gw_control.c) */
	struct gw_metrics *metrics; /* metrics page, NULL: none (gw_metrics.c) */
	ev_signal sig[3];	    /* SIGTERM, SIGINT, SIGHUP */
	ev_timer tick;		    /* events of workers, dead sets */
	ev_io async;		    /* events of the device (gw_async.c) */
	bool failed;		    /* the device did: the exit status tells */
};

/* --- gw_async.c --- */
/** Listens to the device's asynchronous events. 0 or errno. */
int gw_async_open(struct gw_ctl *ctl);
void gw_async_close(struct gw_ctl *ctl);

/* --- gw_eal.c --- */
/** Starts EAL for this configuration. 0 or errno (printed). */
int gw_eal_open(const struct gw_cfg *cfg);
/** MB of DPDK memory that a configuration needs, and of huge pages that are free. */
unsigned long gw_eal_need_mb(const struct gw_cfg *cfg);
unsigned long gw_eal_huge_free_mb(void);
/** Frees its arguments, after rte_eal_cleanup(). */
void gw_eal_free(void);

/* --- gw_data.c --- */
/** A gateway of a configuration, which must outlive it; nothing is open. NULL: no memory. */
struct gw *gw_new(struct gw_cfg *cfg);
/** Device, workers, ports, maps: everything before traffic. 0 or errno (logged). */
int gw_data_open(struct gw *gw);
/** Closes what gw_data_open() opened, however far it came. */
void gw_data_close(struct gw *gw);

/* --- gw_world.c --- */
/** Monotonic time, microseconds. */
uint64_t gw_now_us(void);
/** Makes it this time from now on, for a replay; 0: the machine's again. One thread only. */
void gw_now_set(uint64_t us);

/* --- gw_port.c --- */
/** True when addr is inside one of the port's subnets (link-local IPv6 is not). */
bool gw_port_cfg_covers(const struct gw_port_cfg *p, const struct net_addr *a);
/** Opens one with a device of its own; its index and configuration are set. 0 or errno (logged). */
int gw_port_open(struct gw *gw, struct gw_port *p);
/** Opens all configured ports. 0 or errno (logged). */
int gw_ports_open(struct gw *gw);
/** Makes the devices take frames to the MACs of servers. */
void gw_ports_macs(struct gw *gw);
/** Stops and closes them. */
void gw_ports_close(struct gw *gw);
/** The port's own address of a family that a question about dst should come from; NULL: none. */
const struct net_addr *gw_port_self(const struct gw_port *p, const struct net_addr *dst);
/** True when addr is one of the port's own. */
bool gw_port_owns(const struct gw_port *p, const struct net_addr *a);
/** Port whose subnet has addr, or NULL. */
struct gw_port *gw_port_of(struct gw *gw, const struct net_addr *a);

/* --- gw_vlan.c --- */
/** Port of a frame that a device received, its tag taken off; NULL: nobody's VLAN. */
struct gw_port *gw_vlan_rx(struct gw_worker *w, struct gw_port *trunk, struct rte_mbuf *m);
/** That port, for a frame that stays as it is; *tagged: it has a tag. */
struct gw_port *gw_vlan_port(struct gw *gw, const struct gw_port *trunk, const uint8_t *frame,
			     uint32_t len, bool *tagged);
/** Puts the port's tag on. 0 or ENOMEM, EINVAL. */
int gw_vlan_tx(const struct gw_port *port, struct rte_mbuf **m);
/** The port before this one that opened the same device, or NULL. */
struct gw_port *gw_vlan_trunk(struct gw *gw, const struct gw_port *port);
/** Largest MTU of the ports on a device. */
uint16_t gw_vlan_mtu(const struct gw_cfg *cfg, const char *devargs);

/* --- gw_port_rss.c --- */
/** Shares a device's queues out among the workers. */
void gw_port_share(const struct gw *gw, struct gw_port *p, uint32_t queues);
/** Asks the device to spread frames as gw_spread.c does, as far as it can. key: room for the hash's
 * key, GW_RSS_KEY_MAX bytes, that lives as long as conf. */
void gw_port_rss(const struct gw_port *p, const struct rte_eth_dev_info *info,
		 struct rte_eth_conf *conf, uint8_t *key);
/** After the start: fills the device's table, and finds out what it has understood. */
void gw_port_told(const struct gw *gw, struct gw_port *p, const struct rte_eth_dev_info *info,
		  const struct rte_eth_conf *conf);

/* --- gw_port_tx.c --- */
/** A complete frame of another worker that has no queue of the port. Takes m. */
void gw_port_send(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m);
/** Gives everything queued to the devices. Returns frames given. */
uint32_t gw_port_flush(struct gw_worker *w);
/** Finishes the checksum of a frame that asks for it (RTE_MBUF_F_TX_TCP_CKSUM). */
void gw_csum_finish(struct rte_mbuf *m);

/* --- gw_fabric.c --- */
/** Work requests of each queue pair of a link, as many as the device allows. */
static inline uint32_t gw_set_sq(const struct gw *gw)
{
	return ib_set_depth(&gw->dev, GW_SET_SQ);
}

/* --- gw_mem.c --- */
/** Room of a frame buffer. */
uint32_t gw_mem_data_room(const struct gw_cfg *cfg);
/** Worker's mbuf pool, registered; frees. 0 or errno. */
int gw_mem_open(struct gw_worker *w);
void gw_mem_close(struct gw_worker *w);

/* --- gw_worker.c --- */
/** Creates worker i: pool, CQ, native queue pair, tables. 0 or errno (logged). */
int gw_worker_open(struct gw *gw, uint32_t i);
void gw_worker_close(struct gw_worker *w);
/** Frees a closed worker and its frame buffers, which others may have had until they closed. */
void gw_worker_free(struct gw_worker *w);
/** The loop: an lcore function, arg is the worker. */
int gw_worker_main(void *arg);
/** One turn of it, at w->now_us; how much there was to do. */
uint32_t gw_worker_turn(struct gw_worker *w);
/** When the next turn is due at the latest if nothing comes, microseconds. */
uint64_t gw_worker_due(const struct gw_worker *w);
/** Serves requests of gw_call(); the number. */
uint32_t gw_calls_run(struct gw_worker *w);
/** Creates and frees the request ring. */
int gw_calls_open(struct gw_worker *w);
void gw_calls_close(struct gw_worker *w);

/* --- gw_idle.c --- */
/** State of a worker's sleeping. */
struct gw_idle {
	uint32_t turns;	  /* without work, in a row */
	uint32_t step_us; /* length of the last sleep, 0: none yet */
};
/** After a turn: work 0 may sleep, until next_us at most. True when it slept. */
bool gw_idle_turn(struct gw_idle *idle, uint32_t work, uint64_t now_us, uint64_t next_us);

/* --- gw_lan.c --- */
/** A burst of frames from a port. */
void gw_lan_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf **m, uint16_t n);
/** A frame of a port that another worker received and checked. Takes m. */
void gw_lan_taken(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m);
/** Counts and frees. */
static inline void gw_drop(struct gw_worker *w, enum gw_drop why, struct rte_mbuf *m)
{
	w->stats.drop[why]++;
	rte_pktmbuf_free(m);
}

/** The same of a frame that was judged to be dropped. */
static inline void gw_drop_way(struct gw_worker *w, const struct gw_way *way, struct rte_mbuf *m)
{
	gw_whys(&w->stats)[way->why]++;
	rte_pktmbuf_free(m);
}

/* --- gw_frag.c --- */
/** Table of a worker. 0 or ENOMEM. */
int gw_frag_open(struct gw_worker *w);
void gw_frag_close(struct gw_worker *w);
/** True for a fragment to a server that gw_frag_rx() can put together with others. */
bool gw_frag_wants(const struct gw_worker *w, const struct rte_mbuf *m, const struct net_pkt *p);
/** A fragment. The whole segment's frame when this was the last one, else NULL. Takes m. */
struct rte_mbuf *gw_frag_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
			    const struct net_pkt *p);
/** Gives up segments that were waited for too long. */
void gw_frag_run(struct gw_worker *w);

/* --- gw_served.c --- */
/** All server addresses of a configuration, sorted. NULL: no memory. free() ends it. */
struct gw_served *gw_served_new(const struct gw_cfg *cfg);
/** The number of addresses, those of several servers as often; address i of them in order. */
uint32_t gw_served_count(const struct gw_served *s);
const struct net_addr *gw_served_at(const struct gw_served *s, uint32_t i);
/** The first place of an address, or -1. */
int gw_served_find(const struct gw_served *s, const struct net_addr *a);
/** Server index of a configured address (of several servers, any), attached or not; or UINT32_MAX.
 */
uint32_t gw_server_of(const struct gw *gw, const struct net_addr *a);
/** MAC that an address of a server has on a port's LAN: the port's, when several servers have it.
 */
const struct rte_ether_addr *gw_lan_mac(const struct gw *gw, const struct net_addr *a,
					const struct gw_port *port);
/** The same in a configuration that need not be in force. */
const struct rte_ether_addr *gw_lan_mac_in(const struct gw_cfg *cfg, const struct gw_served *s,
					   const struct net_addr *a, const struct gw_port *port);
/** True for the MACs of servers. */
bool gw_mac_served(const struct gw *gw, const uint8_t mac[6]);

/* --- gw_arp.c, gw_nd.c, gw_icmp.c --- */
/** An ARP frame or ND message from the LAN. Takes m. */
void gw_neigh_rx(struct gw_worker *w, struct gw_port *port, struct rte_mbuf *m,
		 const struct net_pkt *p);
/** An ARP frame or ND message from a host. Takes m. */
void gw_neigh_rx_host(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		      const struct net_pkt *p);
/** Asks for an address: broadcast, or at mac. False: no address of its family or no mbuf. */
bool gw_neigh_ask(struct gw_worker *w, struct gw_port *port, const struct net_addr *target,
		  const struct rte_ether_addr *mac);
/** True for neighbour discovery messages, and for the router discovery that we ignore. */
bool gw_is_nd(const uint8_t *frame, const struct net_pkt *p);
/** True for an ICMP or ICMPv6 message whose header is there. */
bool gw_is_icmp(const struct net_pkt *p);
/** True for an echo request. */
bool gw_is_echo(const uint8_t *frame, const struct net_pkt *p);
/** A new frame for a builder to fill; NULL (counted): no mbuf. *room gets its size. */
struct rte_mbuf *gw_frame_new(struct gw_worker *w, uint8_t **buf, size_t *room);
/** Ends building: n bytes were built; 0 frees the frame and returns NULL. */
struct rte_mbuf *gw_frame_end(struct rte_mbuf *m, size_t n);
/** The answer to an echo request as a new frame with source mac; NULL: none. */
struct rte_mbuf *gw_icmp_reply(struct gw_worker *w, const struct rte_mbuf *m,
			       const struct net_pkt *p, const struct rte_ether_addr *mac);

/* --- gw_hash.c --- */
/** A table of worker w, for keys of up to 64 bytes. NULL: no memory. */
struct rte_hash *gw_hash_new(const struct gw_worker *w, const char *what, uint32_t entries,
			     uint32_t key_len);

/* --- gw_neigh.c --- */
/** Table of a worker. 0 or errno. */
int gw_neigh_open(struct gw_worker *w);
void gw_neigh_close(struct gw_worker *w);
/** A neighbour, for people. */
struct gw_neigh_row {
	struct net_addr addr;
	struct rte_ether_addr mac; /* zero while it is asked for */
	uint32_t port;		   /* index in gw.port[] */
	const char *state;	   /* static text */
	uint64_t age_ms;	   /* since it was last confirmed */
	uint64_t idle_ms;	   /* since it was last used or confirmed */
};
/** Walks, on the worker: *it = 0 at first; false at the end. */
bool gw_neigh_next(struct gw_worker *w, uint32_t *it, struct gw_neigh_row *row);
/** Keeps m until dst is resolved (bounded; else dropped and counted). Takes m. */
void gw_neigh_wait(struct gw_worker *w, const struct net_addr *dst, struct rte_mbuf *m);
/** An answer or announcement: addr is at mac. */
void gw_neigh_confirm(struct gw_worker *w, struct gw_port *port, const struct net_addr *addr,
		      const struct rte_ether_addr *mac);
/** Questions, ageing, news of other workers; returns the next time in us. */
uint64_t gw_neigh_run(struct gw_worker *w);

/* --- gw_native.c, gw_native_rx.c --- */
/** Opens the native queue pair and posts its buffers. */
int gw_native_open(struct gw_worker *w);
/** Fences; gw_native_drained() tells when gw_native_close() may follow. */
void gw_native_close(struct gw_worker *w);
/** A frame with a final L2 header that is not to be rewritten goes to a host. Takes m. */
void gw_native_send(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m);
/** A frame from host h towards dst: next hop's MAC, or another host. Takes m. */
void gw_native_route(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m,
		     const struct net_pkt *p);
/** What a native queue pair received: `len` bytes of encapsulation and frame, the frame at the
 * mbuf's usual place. Takes m. */
void gw_native_unwrap(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m, uint32_t len);
/** A frame of a host that another worker received and checked. Takes m. */
void gw_native_taken(struct gw_worker *w, struct gw_host *h, struct rte_mbuf *m, bool bounced);
/** Receive side of the native queue pair. */
extern const struct ib_qp_ops gw_native_qp_ops;
/** Posts buffers until the ring is full or no mbuf is left. */
void gw_native_refill(struct gw_worker *w);

/* --- gw_native_rc.c: frames larger than a datagram --- */
/** Learns what a datagram takes, and makes the queue pair if frames of the host may be larger. */
int gw_native_rc_open(struct gw_link *l);
/** Longest frame it receives: the host is told, as a longer one would end the queue pair. */
uint32_t gw_native_rc_max(const struct gw_worker *w);
/** Connects it. */
int gw_native_rc_connect(struct gw_link *l, const struct ib_addr *peer);
/** Posts buffers until its ring is full or no mbuf is left; and for all hosts of a worker. */
void gw_native_rc_refill(struct gw_link *l);
void gw_native_rc_feed(struct gw_worker *w);
/** To ERR; and destroys, after the drain. Both do nothing without one. */
void gw_native_rc_fence(struct gw_link *l);
void gw_native_rc_close(struct gw_link *l);

/* --- gw_flows.c --- */
/** Table of a worker. */
int gw_flows_open(struct gw_worker *w);
void gw_flows_close(struct gw_worker *w);
/** Counts a native TCP frame of `flow`; from_client tells the direction. */
void gw_flows_seen(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p,
		   uint32_t host, bool from_client);
/** SYN, FIN, RST of a client whose frames do not go natively. */
void gw_flows_flags(struct gw_worker *w, const uint8_t *frame, const struct net_pkt *p);
/** Server of an established native connection, or CORR_NONE. */
uint16_t gw_flows_server(struct gw_worker *w, const struct net_flow *f);
/**
 * Counts established native connections that are not accelerated, by server, in the next `places`
 * of the table. *it = 0 at first; false at the end.
 */
bool gw_flows_established(struct gw_worker *w, uint32_t *it, uint32_t places,
			  uint32_t n[GW_MAX_HOSTS]);
/** Ages a few entries. */
void gw_flows_run(struct gw_worker *w);
/** Flows it remembers. */
uint32_t gw_flows_count(const struct gw_worker *w);
/** Walks: *it = 0 at first; false at the end. */
bool gw_flows_next(struct gw_worker *w, uint32_t *it, struct gw_conn_row *row);

/* --- gw_fabric.c --- */
/** A host's greeting is right: queue pairs are made. 0 or errno. Control thread, as all below. */
int gw_host_greet(struct gw *gw, struct gw_host *h);
/** Its queue pairs are known: connect, publish, up. sets has 2 addresses per worker, rcs the one of
 * its native RC queue pair or zero. */
int gw_host_up(struct gw *gw, struct gw_host *h, const struct ib_addr *sets,
	       const struct ib_addr *rcs);
/** Its bootstrap ended. lost: the host itself is gone; else it will take its connections back. */
void gw_host_down(struct gw *gw, struct gw_host *h, bool lost);
/** The time for it to come back is over. */
void gw_host_gone(struct gw *gw, struct gw_host *h);
/** The same taghostd is back: it has taken its connections back, forget them. */
void gw_host_returned(struct gw *gw, struct gw_host *h);
/** Builds and publishes the native maps from the hosts that are up. 0 or errno. */
int gw_publish(struct gw *gw);
/** Name of a state. */
const char *gw_host_state_name(enum gw_host_state s);

/* --- gw_boot.c --- */
/** Bootstrap socket of hosts. 0 or errno (logged). */
int gw_boot_open(struct gw_ctl *ctl);
void gw_boot_close(struct gw_ctl *ctl);
/** Tells all hosts the services that concern them. (gw_boot_msg.c) */
void gw_boot_services(struct gw_ctl *ctl);
/** Ends the session of a host: it is not configured any more. */
void gw_boot_leave(struct gw_ctl *ctl, const struct gw_host *h);
/** Every tick: sessions of hosts whose queue pairs died. */
void gw_boot_tick(struct gw_ctl *ctl);

/* --- gw_control.c, gw_control_cmd.c --- */
/** Control socket. 0 or errno (logged). */
int gw_control_open(struct gw_ctl *ctl);
void gw_control_close(struct gw_ctl *ctl);
/** Executes one request of a user; a new object. */
json_t *gw_control_cmd(struct gw *gw, uid_t asker, const json_t *req);
/** Levels of the log, and a line about who asks for what (gw_control_log.c). */
void gw_control_log(uid_t asker, const char *cmd);
json_t *gw_cmd_log_show(struct gw *gw, const json_t *req);
json_t *gw_cmd_log_types(struct gw *gw, const json_t *req);
json_t *gw_cmd_log_level(struct gw *gw, const json_t *req);
/** Adds to the row of an accelerated connection what `conn show` has more (gw_control_show.c). */
void gw_control_detail(struct gw *gw, json_t *row);
/** Connections that fit, a flow once, as a new array of rows. */
json_t *gw_control_conns(struct gw *gw, const struct gw_conn_filter *f);
/** Rows that a request names ("conn", "server"): by token, by client, or by client and server; none
 * when what it names makes no sense. A new array. */
json_t *gw_control_matching(struct gw *gw, const json_t *req);
/** Name of the host of a row's server, "" when it is not known. */
const char *gw_control_host(const struct gw *gw, const struct gw_conn_row *r);
/** A row as people and `conn list` get it. */
json_t *gw_control_row(const struct gw *gw, const struct gw_conn_row *r);
/* `conn show`, `accelerate`, `decelerate` and `kill` (gw_control_act.c). */
json_t *gw_cmd_conn_show(struct gw *gw, const json_t *req);
json_t *gw_cmd_conn_accelerate(struct gw *gw, const json_t *req);
json_t *gw_cmd_conn_decelerate(struct gw *gw, const json_t *req);
json_t *gw_cmd_conn_kill(struct gw *gw, const json_t *req);
/** A page of `conn list`: see gw_control_list.c. */
json_t *gw_control_list(struct gw *gw, const json_t *req);

#define GW_ROWS 64 /* rows fetched in one call of a worker */

/** A piece of a worker's connections. */
struct gw_rows {
	uint32_t it;			 /* where to go on */
	bool accelerated;		 /* which table */
	uint32_t n;			 /* rows filled; fewer than GW_ROWS at the end */
	struct gw_conn_row row[GW_ROWS]; /* the rows */
};
/** Fetches the next piece of a worker's table. */
void gw_rows_fetch(struct gw_worker *w, struct gw_rows *c);

/* --- gw_control_neigh.c --- */
/** `neigh list`, and what `map import` does with neighbours. */
json_t *gw_cmd_neigh_list(struct gw *gw, const json_t *req);
json_t *gw_cmd_neigh_import(struct gw *gw, const json_t *req);

/* --- gw_control_worker.c --- */
/** Every tick: how busy workers were. */
void gw_load_tick(struct gw *gw);
/** `worker list`. */
json_t *gw_cmd_worker_list(struct gw *gw, const json_t *req);

/* --- gw_sum.c --- */
/** Adds up the counters of all workers. */
void gw_stats_sum(const struct gw *gw, struct gw_stats *sum);
#define GW_WHY_LEN 96 /* room for a reason's name */
/** Name of reason i below GW_WHYS, as `drops` has it: name or text; NULL: counts no drop. */
const char *gw_why_name(uint32_t i, char text[GW_WHY_LEN]);
/** The counters as an object; drops, and hand-backs, by reason as objects. */
json_t *gw_stats_json(const struct gw_stats *s);
json_t *gw_drops_json(const struct gw_stats *s);
json_t *gw_backs_json(const struct gw_stats *s);

/* --- gw_sock.c: Unix sockets that speak lines --- */
/** Listens at path (a stale file is replaced); the fd, or -1 with errno. */
int gw_sock_listen(const char *path, unsigned int mode);

/** True when somebody listens there. */
bool gw_sock_in_use(const char *path);

/** One connection that carries lines. */
struct gw_line_conn {
	int fd;	  /* non-blocking */
	ev_io io; /* reads; writes too while out is not empty */
	struct ev_loop *loop;
	char *in;	 /* partial line */
	size_t in_len;	 /* bytes in it */
	size_t in_max;	 /* longest line allowed */
	char *out;	 /* unsent bytes */
	size_t out_len;	 /* bytes in it */
	size_t out_room; /* bytes allocated */
	bool closing;	 /* ends when out is empty */
	/** A whole line without its newline. */
	void (*line)(struct gw_line_conn *c, char *text);
	/** The connection ended, by the peer, an error or closing: free it. */
	void (*end)(struct gw_line_conn *c);
};
/** Takes over fd. 0 or ENOMEM. */
int gw_line_open(struct gw_line_conn *c, struct ev_loop *loop, int fd, size_t max);
/** Queues a JSON value as a line; takes v. */
void gw_line_send(struct gw_line_conn *c, json_t *v);
/** Ends it after what is queued went out. */
void gw_line_finish(struct gw_line_conn *c);
/** Releases everything; does not call end(). */
void gw_line_free(struct gw_line_conn *c);

#endif
