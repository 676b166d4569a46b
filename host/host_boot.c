/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_boot.c - the lines of the bootstrap (DESIGN 4.6, docs/protocol.md): one JSON object each.
 * What comes from the gateway is checked before it is used; anything malformed ends the session.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/host_daemon.h"

#define BOOT_VERSION 1

void host_boot_hello(struct host_gw *g)
{
	struct host *h = g->h;
	char mac[18], text[NET_ADDRSTR], native[80];
	const uint8_t *m = h->tap.mac;
	struct ib_addr addr;
	json_t *addrs = json_array();

	for (unsigned int i = 0; i < h->conf.n_addr; i++)
		json_array_append_new(addrs,
				      json_string(net_addr_str(&h->conf.addr[i].addr, text)));
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	ib_qp_addr(&h->native.qp, &addr);
	ib_addr_str(&addr, native);
	host_gw_write(g, json_pack("{s:s,s:i,s:s,s:s,s:I,s:s,s:o,s:s,s:i}", "type", "hello",
				   "version", BOOT_VERSION, "name", h->conf.name, "key",
				   h->conf.key, "epoch", (json_int_t)h->epoch, "mac", mac, "addrs",
				   addrs, "native", native, "mtu", (int)h->conf.mtu));
}

void host_boot_ready(struct host_gw *g)
{
	json_t *sets = json_array(), *rcs = json_array();

	for (unsigned int i = 0; i < g->n_workers; i++) {
		char ctl[80], rd[80];
		struct ib_addr a[2];

		ib_set_addr(&g->worker[i].set, a);
		ib_addr_str(&a[0], ctl);
		ib_addr_str(&a[1], rd);
		json_array_append_new(sets, json_pack("[s,s]", ctl, rd));
		if (g->worker[i].rc) {
			ib_qp_addr(&g->worker[i].rc->qp, &a[0]);
			ib_addr_str(&a[0], ctl);
		}
		json_array_append_new(rcs, g->worker[i].rc ? json_string(ctl) : json_null());
	}
	host_gw_write(g,
		      json_pack("{s:s,s:o,s:o}", "type", "ready", "sets", sets, "native_rc", rcs));
}

static json_t *boot_hex(uint64_t v)
{
	char text[20];

	snprintf(text, sizeof(text), "%llx", (unsigned long long)v);
	return json_string(text);
}

void host_boot_arena(struct host_gw *g, struct host_arena *a)
{
	struct ib_arena d;

	host_arena_describe(a, g->idx, &d);
	host_gw_write(g, json_pack("{s:s,s:i,s:i,s:I,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "type",
				   "arena", "id", d.id, "slots", d.slots, "tx_size",
				   (json_int_t)d.tx_size, "rx_size", (json_int_t)d.rx_size,
				   "host_base", boot_hex(d.host_base), "gw_base",
				   boot_hex(d.gw_base), "tx_base", boot_hex(d.tx_base), "rx_base",
				   boot_hex(d.rx_base), "host_rkey", (json_int_t)d.host_rkey,
				   "gw_rkey", (json_int_t)d.gw_rkey, "tx_rkey",
				   (json_int_t)d.tx_rkey, "rx_rkey", (json_int_t)d.rx_rkey));
}

void host_boot_ping(struct host_gw *g)
{
	host_gw_write(g, json_pack("{s:s,s:I}", "type", "ping", "n", (json_int_t)++g->ping_n));
}

static int boot_mac(const char *text, uint8_t mac[6])
{
	unsigned int m[6];

	if (!text ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	return 0;
}

/* One service of the gateway's policy; false: malformed. */
static bool boot_service(json_t *s, struct host_policy_entry *e)
{
	const char *addr = json_string_value(json_object_get(s, "addr"));
	const char *acc = json_string_value(json_object_get(s, "accelerate"));
	json_int_t port = json_integer_value(json_object_get(s, "port"));
	json_int_t min = json_integer_value(json_object_get(s, "min_bytes"));
	struct net_addr a = {0};
	int policy = acc ? host_policy_parse(acc) : -1;

	if (!addr || policy < 0 || port < 0 || port > 65535 || min < 0)
		return false;
	if (strcmp(addr, "*") != 0 && net_addr_parse(addr, &a) != 0)
		return false;
	memcpy(e->addr, a.b, 16);
	e->port = (uint16_t)port;
	e->policy = (uint16_t)policy;
	e->min_bytes = min > UINT32_MAX ? UINT32_MAX : (uint32_t)min;
	return true;
}

static int boot_services(struct host_gw *g, json_t *list)
{
	size_t i;
	json_t *s;

	g->n_services = 0;
	json_array_foreach(list, i, s)
	{
		if (g->n_services == HOST_POLICY_MAX)
			break;
		if (!boot_service(s, &g->services[g->n_services]))
			return EINVAL;
		g->n_services++;
	}
	host_page_update(g->h);
	return 0;
}

static int boot_welcome(struct host_gw *g, json_t *o)
{
	json_int_t beat = json_integer_value(json_object_get(o, "heartbeat_ms"));
	int rc;

	if (g->state != HOST_G_HELLO ||
	    json_integer_value(json_object_get(o, "version")) != BOOT_VERSION ||
	    boot_mac(json_string_value(json_object_get(o, "gw_mac")), g->mac))
		return EINVAL;
	g->epoch = (uint32_t)json_integer_value(json_object_get(o, "epoch"));
	g->heartbeat = beat < 10 || beat > 60000 ? 1.0 : (double)beat / 1000;
	rc = host_gw_open_workers(g, json_object_get(o, "workers"));
	if (!rc)
		rc = boot_services(g, json_object_get(o, "services"));
	if (rc)
		return rc;
	host_boot_ready(g);
	host_gw_set_state(g, HOST_G_READY);
	return 0;
}

static int boot_arena_ok(struct host_gw *g, json_t *o)
{
	json_t *id = json_object_get(o, "id");
	json_int_t n = json_integer_value(id);

	if (!json_is_integer(id) || n < 0 || n >= g->h->n_arena ||
	    !g->h->arena[n]->mrs[g->idx].told)
		return EINVAL;
	g->h->arena[n]->mrs[g->idx].ok = true;
	return 0;
}

static int boot_dispatch(struct host_gw *g, const char *type, json_t *o)
{
	if (strcmp(type, "ping") == 0)
		return 0;
	if (strcmp(type, "welcome") == 0)
		return boot_welcome(g, o);
	if (strcmp(type, "services") == 0)
		return boot_services(g, json_object_get(o, "services"));
	if (strcmp(type, "arena-ok") == 0)
		return boot_arena_ok(g, o);
	if (strcmp(type, "up") == 0) {
		if (g->state != HOST_G_READY)
			return EINVAL;
		host_gw_up(g);
		return 0;
	}
	if (strcmp(type, "error") == 0) {
		const char *text = json_string_value(json_object_get(o, "text"));

		host_log(HOST_LOG_ERROR, "gateway %s refuses: %s", g->conf->name,
			 text ? text : "(no reason given)");
		return ECONNREFUSED;
	}
	host_log(HOST_LOG_DEBUG, "gateway %s: unknown bootstrap line \"%s\"", g->conf->name, type);
	return 0; /* a newer gateway may say more */
}

int host_boot_line(struct host_gw *g, const char *line, size_t len)
{
	json_error_t e;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	const char *type = json_string_value(json_object_get(o, "type"));
	int rc = EINVAL;

	g->missed = 0;
	if (type)
		rc = boot_dispatch(g, type, o);
	if (rc && rc != ECONNREFUSED)
		host_drop(&g->h->count, HOST_C_BAD_BOOT,
			  "gateway %s: bad bootstrap line \"%s\": %s", g->conf->name,
			  type ? type : e.text, strerror(rc));
	json_decref(o);
	return rc;
}
