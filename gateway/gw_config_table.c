/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_config_table.c - the table of configuration keys: where each goes, what it may be, what it is
 * when not given. Everything a user can write in a section is a line of this table.
 */
#include <rte_common.h>
#include <stddef.h>

#include "gateway/gw_config_key.h"
#include "gateway/gw_log.h"

#define G(sec, name, type, member, min, max, def, reload, help)                                 \
	{                                                                                       \
		GW_SEC_##sec, name, KEY_##type, offsetof(struct gw_cfg, member), min, max, def, \
			GW_RELOAD_##reload, help, NULL                                          \
	}
#define P(name, type, member, min, max, def, reload, help)                                     \
	{                                                                                      \
		GW_SEC_PORT, name, KEY_##type, offsetof(struct gw_port_cfg, member), min, max, \
			def, GW_RELOAD_##reload, help, NULL                                    \
	}
#define S(name, type, member, min, max, def, reload, help)                                         \
	{                                                                                          \
		GW_SEC_SERVER, name, KEY_##type, offsetof(struct gw_server_cfg, member), min, max, \
			def, GW_RELOAD_##reload, help, NULL                                        \
	}
#define V(name, type, member, min, max, def, reload, help)                                      \
	{                                                                                       \
		GW_SEC_SERVICE, name, KEY_##type, offsetof(struct gw_service_cfg, member), min, \
			max, def, GW_RELOAD_##reload, help, NULL                                \
	}

#define R(name, type, member, min, max, def, reload, help)                                     \
	{                                                                                      \
		GW_SEC_RULE, name, KEY_##type, offsetof(struct gw_rule_cfg, member), min, max, \
			def, GW_RELOAD_##reload, help, NULL                                    \
	}
/* A key with a name among `list`. */
#define ONE_OF(sec, type, name, member, list, def, reload, help)                                  \
	{                                                                                         \
		GW_SEC_##sec, name, KEY_NAME, offsetof(type, member), 0, (uint32_t)RTE_DIM(list), \
			def, GW_RELOAD_##reload, help, list                                       \
	}

static const char *const actions[] = {"allow", "deny", "reject", "via"};
static const char *const defaults[] = {"allow", "deny", "reject"};
static const char *const balances[] = {"maglev", "least-conn", "source"};
static const char *const without[] = {"drop", "reject"};
static const char *const checks[] = {"none", "tcp", "http"};
static const char *const which[] = {"first", "all"};
static const char *const accel_names[] = {"off", "first-send", "accept", "min-bytes"};

static const char *const controllers[] = {
#define _(sym, ops, name) [TCP_CC_##sym] = name,
	TCP_FOREACH_CC(_)
#undef _
};

/* clang-format off */
const struct gw_key gw_keys[] = {
	G(GATEWAY, "name", STR, name, 1, GW_NAMELEN, "gw1", RESTART, "name that hosts and operators see"),
	G(GATEWAY, "workers", U32, workers, 1, GW_MAX_WORKERS, "1", RESTART, "data path threads"),
	G(GATEWAY, "cpus", STR, cpus, 0, 64, "", RESTART, "CPUs of the workers, as 2,3-5; empty: any"),
	G(GATEWAY, "max-accelerated", U32, max_accelerated, 0, 1048576, "4096", RESTART,
	  "accelerated connections of the gateway"),
	G(GATEWAY, "at-work", U32, live, 16, 1048576, "4096", RESTART,
	  "accelerated connections of each worker that may be at work at the same time"),
	G(GATEWAY, "black-box", U32, box_entries, 0, GW_EVENTS_MAX, "64", RESTART,
	  "events remembered of an accelerated connection; 0: none"),
	G(GATEWAY, "black-boxes", U32, boxes, 0, TCP_BOXES_MAX, "1024", RESTART,
	  "connections of each worker whose events are remembered"),
	G(GATEWAY, "host-timeout", SECONDS, host_timeout_ms, 1, 3600, "10", LIVE,
	  "seconds after which the clients of a lost host are reset"),
	G(GATEWAY, "control", STR, control, 1, 108, "/run/tag/tagd.sock", RESTART, "control socket"),
	G(GATEWAY, "metrics", STR, metrics, 0, 108, "", RESTART,
	  "metrics for Prometheus at ADDRESS:PORT or /PATH; empty: none"),
	G(GATEWAY, "eal", STR, eal, 0, 256, "", RESTART, "more arguments for DPDK's EAL"),
	G(GATEWAY, "ttl", U32, ttl, 0, 255, "0", LIVE,
	  "TTL or hop limit of accelerated segments; 0: as the server's kernel"),
	G(GATEWAY, "mbufs", U32, mbufs, 2048, 1048576, "8192", RESTART, "frame buffers of each worker"),
	G(GATEWAY, "tx-records", U32, tx_records, 64, 16777216, "32768", RESTART,
	  "transmission records of each worker, 32 bytes each"),
	G(GATEWAY, "memory", U32, memory_mb, 0, 1048576, "0", RESTART,
	  "MB of DPDK memory without huge pages; 0: as needed"),
	G(GATEWAY, "log-level", LOG_LEVEL, log_level, 0, 0, "notice", LIVE,
	  "error, warning, notice, info or debug"),
	G(GATEWAY, "log-modules", LOG_MODS, log_module, 1, GW_LM_COUNT, "", LIVE,
	  "levels of some modules, as port:debug, host:info"),
	G(GATEWAY, "flows", U32, flows, 256, 16777216, "16384", RESTART,
	  "connection table of each worker: flows that rules and services remember"),
	ONE_OF(GATEWAY, struct gw_cfg, "default-rule", otherwise, defaults, "allow", LIVE,
	  "new flows that no [rule] fits"),
	ONE_OF(GATEWAY, struct gw_cfg, "congestion-control", congestion, controllers, "cubic", RESTART,
	  "of accelerated connections"),
	G(GATEWAY, "pacing", BOOL, pacing, 0, 0, "no", RESTART,
	  "spreads the payload of accelerated connections over the round trip"),
	G(GATEWAY, "policy-key", SECRET, policy_key, 1, GW_NAMELEN, "tagd", LIVE,
	  "secret of the hash that chooses servers; the same on gateways that shall choose alike"),
	G(FABRIC, "device", STR, device, 0, 64, "", RESTART, "RDMA device; empty: the first"),
	G(FABRIC, "port", U8, dev_port, 1, 254, "1", RESTART, "port of the device"),
	G(FABRIC, "gid-index", U8, gid_index, 0, 255, "0", RESTART, "GID used when routing by GID"),
	G(FABRIC, "listen", STR, listen, 1, 108, "/run/tag/fabric.sock", RESTART,
	  "socket on which hosts attach"),
	G(FABRIC, "spare-servers", U32, spare_servers, 0, GW_MAX_HOSTS, "8", RESTART,
	  "servers that a reload may add: completion queues have room for them"),
	P("device", STR, devargs, 1, 256, NULL, RESTART, "DPDK device with its arguments, or PCI address"),
	P("address", PREFIXES, addr, 1, GW_MAX_ADDRS, NULL, RESTART, "the gateway's addresses with prefix"),
	P("next-hop4", ADDR4, next_hop4, 0, 0, "", LIVE, "default router for IPv4"),
	P("next-hop6", ADDR6, next_hop6, 0, 0, "", LIVE, "default router for IPv6"),
	P("neighbour", NEIGHS, neigh, 1, GW_MAX_NEIGHS, "", RESTART,
	  "neighbours that are not asked for, as ADDRESS=MAC"),
	P("mtu", U16, mtu, 1280, 9000, "1500", RESTART, "IP MTU of the client LAN"),
	P("vlan", U16, vlan, 0, 4094, "0", RESTART,
	  "802.1Q VID of its frames, 0: untagged; ports may share a device"),
	P("announce", U32, announce, 0, 20, "3", LIVE,
	  "gratuitous ARPs or neighbour advertisements when an address comes; 0: none"),
	P("announce-interval", SECONDS, announce_ms, 1, 60, "1", LIVE, "seconds between them"),
	S("key", SECRET, key, 1, GW_NAMELEN, NULL, LIVE, "secret shared with the host"),
	S("address", ADDRS, addr, 1, GW_MAX_ADDRS, NULL, LIVE, "addresses the host may serve"),
	S("max-accelerated", LIMIT, max_accelerated, 0, 1048576, "none", LIVE,
	  "accelerated connections of this host"),
	S("mac", MACS, mac, 1, GW_MAX_ADDRS, "", LIVE,
	  "its MACs on the LAN, one per address, the last for the rest; empty: the port's"),
	S("weight", U32, weight, 1, 1000, "1", LIVE, "its share of new flows of shared addresses"),
	S("backup", BOOL, backup, 0, 0, "no", LIVE, "serves when no other server of the address does"),
	S("max-connections", MOST, max_conns, 1, 16777216, "none", LIVE,
	  "flows of shared addresses at a time"),
	S("forward", BOOL, forward, 0, 0, "no", LIVE,
	  "a firewall or IP-security server: may send packets of others"),
	ONE_OF(SERVER, struct gw_server_cfg, "check", check, checks, "none", LIVE,
	  "what else must answer for it to be up"),
	ONE_OF(SERVER, struct gw_server_cfg, "check-addresses", check_all, which, "first", LIVE,
	  "addresses that must answer"),
	S("check-port", U16, check_port, 1, 65535, "80", LIVE, "port of the check"),
	S("check-path", STR, check_path, 1, 128, "/", LIVE, "path of GET; 2xx and 3xx are good"),
	S("check-interval", SECONDS, check_ms, 1, 3600, "2", LIVE, "seconds between checks"),
	S("rise", U32, health.rise, 1, 100, "2", LIVE, "good checks in a row until it is up"),
	S("fall", U32, health.fall, 1, 100, "3", LIVE, "bad checks in a row until it is down"),
	S("hold", SECONDS, health.hold_ms, 0, 3600, "0", LIVE, "seconds that it stays down at least"),
	S("slow-start", SECONDS, health.slow_start_ms, 0, 3600, "0", LIVE,
	  "seconds until a server that is back has its full share"),
	V("address", ADDR_ANY, addr, 0, 0, "any", LIVE, "server address"),
	V("port", PORTNO, port, 1, 65535, "any", LIVE, "server port"),
	V("protocol", PROTO, proto, 0, 255, "any", LIVE, "IP protocol"),
	V("servers", STR, servers, 0, 512, "", LIVE,
	  "names of servers that share it; empty: all that have the address"),
	ONE_OF(SERVICE, struct gw_service_cfg, "balance", balance, balances, "maglev", LIVE,
	  "how a server is chosen"),
	V("table-size", U32, table_size, 101, CORR_MAGLEV_MAX, "65537", LIVE,
	  "places in the Maglev table, a prime; a hundred per server at least"),
	V("affinity", SECONDS, affinity_ms, 0, 86400, "3600", LIVE,
	  "seconds for which balance = source remembers a client"),
	ONE_OF(SERVICE, struct gw_service_cfg, "no-server", no_server, without, "reject", LIVE,
	  "new flows when nobody serves"),
	V("max-connections", MOST, max_conns, 1, 16777216, "none", LIVE, "flows at a time"),
	V("max-per-client", MOST, max_client_conns, 1, 16777216, "none", LIVE,
	  "flows of a client at a time"),
	V("client-prefix4", U8, prefix4, 0, 32, "32", LIVE, "IPv4 clients with these bits alike are one"),
	V("client-prefix6", U8, prefix6, 0, 128, "64", LIVE, "the same for IPv6"),
	V("syn-rate", MOST, syn_rate, 1, 100000000, "none", LIVE, "new TCP connections per second"),
	V("syn-burst", U32, syn_burst, 0, 100000000, "0", LIVE,
	  "of them at once; 0: a tenth of a second's"),
	V("syn-rate-per-client", MOST, client_rate, 1, 100000000, "none", LIVE,
	  "new flows of a client per second"),
	ONE_OF(SERVICE, struct gw_service_cfg, "accelerate", accelerate, accel_names, "first-send", LIVE,
	  "when its connections are accelerated"),
	V("min-bytes", U32, min_bytes, 1, 1073741824, "65536", LIVE, "bytes before min-bytes takes over"),
	V("max-accelerated", LIMIT, max_accelerated, 0, 1048576, "none", LIVE,
	  "accelerated connections of this service"),
	{GW_SEC_RULE, "action", KEY_NAME, offsetof(struct gw_rule_cfg, action), 0,
	  (uint32_t)RTE_DIM(actions), NULL, GW_RELOAD_LIVE, "what happens to a new flow that fits", actions},
	R("source", NET, src, 0, 0, "any", LIVE, "network it comes from"),
	R("destination", NET, dst, 0, 0, "any", LIVE, "network it goes to"),
	R("source-port", RANGE, sport, 0, 65535, "any", LIVE, "port or range"),
	R("destination-port", RANGE, dport, 0, 65535, "any", LIVE, "port or range"),
	R("protocol", PROTO, proto, 0, 255, "any", LIVE, "IP protocol"),
	R("interface", STR, iface, 1, GW_NAMELEN, "any", LIVE,
	  "name of the port it comes from, or fabric for what servers begin"),
	R("via", STR, via, 0, GW_NAMELEN, "", LIVE,
	  "action = via: the firewall or IP-security server that gets it first"),
	R("accelerate", BOOL, accelerate, 0, 0, "no", LIVE,
	  "action = via: its connections may be accelerated, past that server"),
	R("rate", MOST, rate, 1, 100000000, "none", LIVE, "new flows that it lets pass per second"),
	R("burst", U32, burst, 0, 100000000, "0", LIVE, "of them at once; 0: a tenth of a second's"),
	R("max-connections", MOST, max_conns, 1, 16777216, "none", LIVE,
	  "flows that it lets pass at a time"),
	R("rate-per-client", MOST, client_rate, 1, 100000000, "none", LIVE, "the rate of each client"),
	R("max-per-client", MOST, max_client_conns, 1, 16777216, "none", LIVE, "the same of each client"),
	R("client-prefix4", U8, prefix4, 0, 32, "32", LIVE, "IPv4 clients with these bits alike are one"),
	R("client-prefix6", U8, prefix6, 0, 128, "64", LIVE, "the same for IPv6"),
};
/* clang-format on */
#undef G
#undef P
#undef S
#undef V
#undef R
#undef ONE_OF
const size_t gw_n_keys = sizeof(gw_keys) / sizeof(gw_keys[0]);
static_assert(sizeof(gw_keys) / sizeof(gw_keys[0]) <= 128, "gw_config_ctx.seen has a bit for each");
