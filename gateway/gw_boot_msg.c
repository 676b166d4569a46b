/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_boot_msg.c - the messages of the bootstrap (docs/protocol.md): hello, ready, arena and ping
 * from a host; welcome, up, arena-ok, ping and error from the gateway. Every field is checked
 * against the configuration before anything is made.
 */
#define GW_LOG_MODULE GW_LM_HOST

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_boot.h"
#include "gateway/gw_policy.h"

#define ARENA_RING_MIN 4096u
#define ARENA_RING_MAX (1u << 30)
#define ARENA_SLOTS    4096

static const char *const accel_names[] = {"off", "first-send", "accept", "min-bytes"};

/* Compares without telling by its time how much was right. */
static bool key_eq(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned char diff = la != lb;

	for (size_t i = 0; i < la; i++)
		diff |= (unsigned char)(a[i] ^ b[lb ? i % lb : 0]);
	return diff == 0 && lb > 0;
}

/* Host configured under a name, or NULL. */
static struct gw_host *find_host(struct gw *gw, const char *name)
{
	const uint32_t i = gw_server_named(gw->cfg, name);

	return i == UINT32_MAX ? NULL : &gw->host[i];
}

/* Reads "02:00:..."; false: malformed or no unicast address. */
static bool parse_mac(const char *text, struct rte_ether_addr *mac)
{
	return rte_ether_unformat_addr(text, mac) == 0 && rte_is_unicast_ether_addr(mac) &&
	       !rte_is_zero_ether_addr(mac);
}

/* Reads the host's addresses; false: the session has been told what is wrong. */
static bool parse_addrs(struct gw_session *s, const struct gw_host *h, const json_t *addrs,
			struct net_addr out[GW_MAX_ADDRS])
{
	size_t n = json_array_size(addrs), i;
	const json_t *v;

	if (n == 0 || n > GW_MAX_ADDRS) {
		gw_boot_error(s, "hello addrs: found %zu; allowed: a list of 1 to %u", n,
			      GW_MAX_ADDRS);
		return false;
	}
	json_array_foreach(addrs, i, v)
	{
		const char *text = json_string_value(v);

		if (!text || net_addr_parse(text, &out[i]) || !gw_server_cfg_has(h->cfg, &out[i])) {
			gw_boot_error(s,
				      "hello addrs: %.45s is not among the addresses of [server "
				      "\"%s\"] in the gateway's configuration",
				      text ? text : "?", h->cfg->name);
			return false;
		}
		for (size_t k = 0; k < i; k++)
			if (net_addr_eq(&out[k], &out[i])) {
				gw_boot_error(s, "hello addrs: %.45s comes twice", text);
				return false;
			}
	}
	return true;
}

/* True when a service concerns the host. */
static bool concerns(const struct gw_service_cfg *v, const struct gw_host *h)
{
	static const struct net_addr zero;

	if (net_addr_eq(&v->addr, &zero))
		return true;
	for (uint32_t i = 0; i < h->n_addr; i++)
		if (net_addr_eq(&v->addr, &h->addr[i]))
			return true;
	return false;
}

/* Policies for a host. */
static json_t *services(const struct gw *gw, const struct gw_host *h)
{
	static const struct net_addr zero;
	json_t *list = json_array();
	char text[NET_ADDRSTR];

	for (uint32_t i = 0; i < gw->cfg->n_service; i++) {
		const struct gw_service_cfg *v = &gw->cfg->service[i];
		const char *addr = "*";

		if (!concerns(v, h))
			continue;
		if (!net_addr_eq(&v->addr, &zero))
			addr = net_addr_str(&v->addr, text);
		json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:I}", "addr", addr, "port",
						      (int)v->port, "accelerate",
						      accel_names[v->accelerate], "min_bytes",
						      (json_int_t)v->min_bytes));
	}
	return list;
}

void gw_boot_services(struct gw_ctl *ctl)
{
	struct gw_session *s, *next;

	for (s = ctl->boot->sessions; s; s = next) {
		next = s->next;
		if (s->host && !s->conn.closing)
			gw_line_send(&s->conn, json_pack("{s:s, s:o}", "type", "services",
							 "services", services(ctl->gw, s->host)));
	}
}

/* Our queue pairs for a host, per worker. */
static json_t *workers(const struct gw *gw, const struct gw_host *h)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		const struct gw_link *l = &h->link[i];
		char native[80], ctl[80], rd[80];
		struct ib_addr a[2];
		json_t *o;

		ib_qp_addr(&gw->worker[i]->ud, &a[0]);
		ib_addr_str(&a[0], native);
		ib_set_addr(&l->set, a);
		ib_addr_str(&a[0], ctl);
		ib_addr_str(&a[1], rd);
		o = json_pack("{s:s, s:[s, s]}", "native", native, "set", ctl, rd);
		if (l->rc.qp) {
			ib_qp_addr(&l->rc, &a[0]);
			ib_addr_str(&a[0], native);
			json_object_set_new(o, "native_rc", json_string(native));
			json_object_set_new(o, "native_max",
					    json_integer(gw_native_rc_max(gw->worker[i])));
		}
		json_array_append_new(list, o);
	}
	return list;
}

static void send_welcome(struct gw_session *s, const struct gw_host *h)
{
	const struct gw *gw = s->boot->gw;
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &gw->port[0].mac);
	gw_line_send(&s->conn,
		     json_pack("{s:s, s:i, s:s, s:I, s:I, s:o, s:o, s:i, s:s, s:I}", "type",
			       "welcome", "version", GW_BOOT_VERSION, "gateway", gw->cfg->name,
			       "epoch", (json_int_t)gw->epoch, "worker_count",
			       (json_int_t)gw->n_worker, "workers", workers(gw, h), "services",
			       services(gw, h), "heartbeat_ms", GW_BOOT_HEARTBEAT, "gw_mac", mac,
			       "host_timeout_ms", (json_int_t)gw->cfg->host_timeout_ms));
}

/* True when another attached host has the same native queue pair. */
static bool native_taken(const struct gw *gw, const struct gw_host *h, const struct ib_addr *a)
{
	for (uint32_t i = 0; i < gw->cfg->n_server; i++) {
		const struct gw_host *o = &gw->host[i];

		if (o != h && (o->state == GW_HOST_UP || o->state == GW_HOST_GREETING) &&
		    o->native.qpn == a->qpn && o->native.lid == a->lid &&
		    memcmp(o->native.gid, a->gid, 16) == 0)
			return true;
	}
	return false;
}

/* Parts of hello that need no state; the host, or NULL after telling the session. */
static struct gw_host *check_hello(struct gw_session *s, const char *name, const char *key, int ver)
{
	struct gw_host *h = find_host(s->boot->gw, name);

	if (ver != GW_BOOT_VERSION) {
		gw_boot_error(s, "hello version: found %d; allowed: %d", ver, GW_BOOT_VERSION);
		return NULL;
	}
	if (!h || !key_eq(key, h->cfg->key) || s->boot->gw->health[h->id].left) {
		gw_boot_error(s, "name or key of \"%.60s\" is not in the gateway's configuration",
			      name);
		return NULL;
	}
	return h;
}

static void on_hello(struct gw_session *s, const json_t *v)
{
	const char *name, *key, *mac, *native;
	struct gw_boot *b = s->boot;
	json_error_t err;
	struct net_addr list[GW_MAX_ADDRS];
	struct rte_ether_addr ea;
	json_t *addrs;
	json_int_t epoch;
	struct ib_addr a;
	struct gw_host *h;
	int ver, mtu, rc;

	if (s->host) {
		gw_boot_error(s, "a second hello");
		return;
	}
	if (json_unpack_ex((json_t *)v, &err, 0, "{s:i, s:s, s:s, s:I, s:s, s:o, s:s, s:i}",
			   "version", &ver, "name", &name, "key", &key, "epoch", &epoch, "mac",
			   &mac, "addrs", &addrs, "native", &native, "mtu", &mtu)) {
		gw_boot_error(s, "hello: %s; see docs/protocol.md, bootstrap", err.text);
		return;
	}
	h = check_hello(s, name, key, ver);
	if (!h || !parse_addrs(s, h, addrs, list))
		return;
	if (!parse_mac(mac, &ea) || ib_addr_parse(native, &a) || mtu < 576 || mtu > 65535 ||
	    native_taken(b->gw, h, &a)) {
		gw_boot_error(s, "hello mac, native or mtu: found %.20s, %.79s, %d", mac, native,
			      mtu);
		return;
	}
	if (h->state == GW_HOST_UP || h->state == GW_HOST_GREETING) {
		gw_boot_error(s, "\"%.60s\" is attached already", name);
		return;
	}
	if (h->state == GW_HOST_LOST) {
		ev_timer_stop(b->loop, &b->lost[h->id]);
		if ((uint64_t)epoch == h->epoch)
			gw_host_returned(b->gw, h);
		else
			gw_host_gone(b->gw, h);
	}
	memcpy(h->addr, list, sizeof(h->addr));
	h->n_addr = (uint32_t)json_array_size(addrs);
	h->epoch = (uint64_t)epoch;
	h->native = a;
	h->mac = ea;
	h->mtu = (uint32_t)mtu;
	rc = gw_host_greet(b->gw, h);
	if (rc) {
		gw_boot_error(s, "queue pairs cannot be made: %s", strerror(rc));
		return;
	}
	s->host = h;
	gw_log(GW_LOG_INFO, "server %s: %u addresses, TAP MTU %u, native LID %u QPN %u", name,
	       h->n_addr, h->mtu, a.lid, a.qpn);
	send_welcome(s, h);
}

/* The host's native RC queue pairs, null where it has none. False: malformed. */
static bool take_rcs(const json_t *list, uint32_t n, struct ib_addr *rcs)
{
	memset(rcs, 0, n * sizeof(*rcs));
	if (list && json_array_size(list) != n)
		return false;
	for (uint32_t i = 0; list && i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_null(v) &&
		    (!json_is_string(v) || ib_addr_parse(json_string_value(v), &rcs[i])))
			return false;
	}
	return true;
}

static void on_ready(struct gw_session *s, const json_t *v)
{
	struct ib_addr sets[2 * GW_MAX_WORKERS], rcs[GW_MAX_WORKERS];
	struct gw *gw = s->boot->gw;
	json_t *list = json_object_get(v, "sets");
	int rc;

	if (!s->host || s->host->state != GW_HOST_GREETING ||
	    json_array_size(list) != gw->n_worker) {
		gw_boot_error(s, "ready before hello, a second time, or not with %u sets",
			      gw->n_worker);
		return;
	}
	for (uint32_t i = 0; i < gw->n_worker; i++) {
		const char *ctl, *rd;

		if (json_unpack(json_array_get(list, i), "[s, s]", &ctl, &rd) ||
		    ib_addr_parse(ctl, &sets[2 * i]) || ib_addr_parse(rd, &sets[2 * i + 1])) {
			gw_boot_error(s, "ready sets: entry %u is not two addresses", i);
			return;
		}
	}
	if (!take_rcs(json_object_get(v, "native_rc"), gw->n_worker, rcs)) {
		gw_boot_error(s, "ready native_rc: not one address or null for each worker");
		return;
	}
	rc = gw_host_up(gw, s->host, sets, rcs);
	if (rc) {
		gw_boot_error(s, "queue pairs cannot be connected: %s", strerror(rc));
		return;
	}
	gw_line_send(&s->conn, json_pack("{s:s}", "type", "up"));
}

/* Reads an address that travels as hexadecimal text. */
static bool get_hex(const json_t *v, const char *name, uint64_t *out)
{
	const char *text = json_string_value(json_object_get(v, name));
	char *end;

	if (!text || !*text)
		return false;
	errno = 0;
	*out = strtoull(text, &end, 16);
	return !errno && !*end;
}

/* A ring's size. */
static bool ring_ok(json_int_t n)
{
	return n >= ARENA_RING_MIN && n <= ARENA_RING_MAX && (n & (n - 1)) == 0;
}

/* Reads an arena; false: not acceptable. */
static bool parse_arena(const json_t *v, struct ib_arena *a)
{
	json_int_t id, slots, tx, rx, rk[4];

	if (json_unpack((json_t *)v, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id", &id, "slots",
			&slots, "tx_size", &tx, "rx_size", &rx, "host_rkey", &rk[0], "gw_rkey",
			&rk[1], "tx_rkey", &rk[2], "rx_rkey", &rk[3]))
		return false;
	if (id < 0 || id > 65535 || slots < 1 || slots > ARENA_SLOTS || !ring_ok(tx) ||
	    !ring_ok(rx))
		return false;
	for (int i = 0; i < 4; i++)
		if (rk[i] < 0 || rk[i] > UINT32_MAX)
			return false;
	memset(a, 0, sizeof(*a));
	a->id = (uint16_t)id;
	a->slots = (uint16_t)slots;
	a->tx_size = (uint32_t)tx;
	a->rx_size = (uint32_t)rx;
	a->host_rkey = (uint32_t)rk[0];
	a->gw_rkey = (uint32_t)rk[1];
	a->tx_rkey = (uint32_t)rk[2];
	a->rx_rkey = (uint32_t)rk[3];
	return get_hex(v, "host_base", &a->host_base) && get_hex(v, "gw_base", &a->gw_base) &&
	       get_hex(v, "tx_base", &a->tx_base) && get_hex(v, "rx_base", &a->rx_base);
}

static void on_arena(struct gw_session *s, const json_t *v)
{
	struct gw_host *h = s->host;
	uint32_t n = h ? atomic_load(&h->n_arena) : 0;
	struct ib_arena a;

	if (!h || h->state != GW_HOST_UP || n == GW_MAX_ARENAS) {
		gw_boot_error(s, "arena before up, or more than %u", GW_MAX_ARENAS);
		return;
	}
	if (!parse_arena(v, &a)) {
		gw_boot_error(s, "arena: a field is missing or out of range");
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (h->arena[i].id == a.id) {
			gw_boot_error(s, "arena: id %u a second time", a.id);
			return;
		}
	h->arena[n] = a;
	gw_log(GW_LOG_INFO, "server %s: arena %u of %u connections", h->cfg->name, a.id, a.slots);
	atomic_store_explicit(&h->n_arena, n + 1, memory_order_release);
	gw_line_send(&s->conn, json_pack("{s:s, s:i}", "type", "arena-ok", "id", (int)a.id));
}

void gw_boot_line(struct gw_line_conn *c, char *text)
{
	struct gw_session *s = (struct gw_session *)c;
	json_t *v = json_loads(text, 0, NULL);
	const char *type = json_string_value(json_object_get(v, "type"));

	s->silent = 0;
	if (!type)
		gw_boot_error(s, "a line that is no JSON object with a type");
	else if (strcmp(type, "hello") == 0)
		on_hello(s, v);
	else if (strcmp(type, "ready") == 0)
		on_ready(s, v);
	else if (strcmp(type, "arena") == 0)
		on_arena(s, v);
	else if (strcmp(type, "ping") != 0)
		gw_boot_error(s, "unknown message type \"%.30s\"", type);
	json_decref(v);
}
