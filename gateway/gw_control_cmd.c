/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_cmd.c - the commands of the control socket, a table of name and function. Each gets
 * the request and returns the document that tagctl prints.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <rte_mempool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_capture.h"
#include "gateway/gw_conn_filter.h"
#include "gateway/gw_policy.h"
#include "gateway/gw_trace.h"
#include "gateway/gw_reload.h"

/* {"error": text} */
static json_t *error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static json_t *error(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_pack("{s:s}", "error", text);
}

static json_t *map_native(struct gw *gw, const json_t *req)
{
	struct corr_native_entry e;
	json_t *list = json_array();
	uint32_t it = 0;

	while (gw->native && corr_native_next(gw->native, &it, &e)) {
		const struct gw_host *h = &gw->host[e.server->id];
		char addr[NET_ADDRSTR], mac[RTE_ETHER_ADDR_FMT_SIZE], gid[INET6_ADDRSTRLEN];
		char src[RTE_ETHER_ADDR_FMT_SIZE];

		net_addr_str((const struct net_addr *)e.addr, addr);
		rte_ether_format_addr(mac, sizeof(mac), &h->mac);
		rte_ether_format_addr(src, sizeof(src), (const void *)e.server->src_mac);
		inet_ntop(AF_INET6, h->native.gid, gid, sizeof(gid));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:s}", "address",
						addr, "host", h->cfg->name, "mac", mac, "dlid",
						(int)h->native.lid, "dgid", gid, "qpn",
						(json_int_t)h->native.qpn, "lan_mac", src));
	}
	return json_pack("{s:o}", "native", list);
}

static json_t *map_accelerated(struct gw *gw, const json_t *req)
{
	static const char *const keys[] = {"client", "server", "host",	"dlid",
					   "dgid",   "qpn",    "token", "worker"};
	const struct gw_conn_filter f = {.mode = "accelerated"};
	json_t *all = gw_control_conns(gw, &f), *list = json_array(), *o;
	size_t i;

	json_array_foreach(all, i, o)
	{
		json_t *row = json_object();

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			json_object_set(row, keys[k], json_object_get(o, keys[k]));
		json_array_append_new(list, row);
	}
	json_decref(all);
	return json_pack("{s:o}", "accelerated", list);
}

static void on_accel_mem(struct gw_worker *w, void *arg)
{
	gw_accel_mem(w, arg);
}

/* What accelerated connections take: each at rest, those at work, and all pools, in bytes. */
static json_t *stats_memory(struct gw *gw)
{
	uint64_t conns = 0, work = 0, recs = 0, boxes = 0, pools = 0;
	struct gw_accel_mem m = {0};

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		gw_call(gw->worker[i], on_accel_mem, &m);
		conns += m.conns;
		work += m.live_used;
		recs += m.recs_used;
		boxes += m.boxes_used;
		pools += (uint64_t)m.live * m.live_bytes + m.box_bytes +
			 (uint64_t)m.recs * sizeof(struct tcp_txrec);
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "connections", (json_int_t)conns,
			 "bytes_at_rest", (json_int_t)m.conn_bytes, "at_work", (json_int_t)work,
			 "bytes_at_work", (json_int_t)m.live_bytes, "tx_records", (json_int_t)recs,
			 "black_boxes", (json_int_t)boxes, "pool_bytes", (json_int_t)pools);
}

static json_t *stats(struct gw *gw, const json_t *req)
{
	struct gw_stats sum;
	json_t *o;

	gw_stats_sum(gw, &sum);
	o = gw_stats_json(&sum);
	json_object_set_new(o, "memory", stats_memory(gw));
	return o;
}

static json_t *drops(struct gw *gw, const json_t *req)
{
	json_t *workers = json_array();
	struct gw_stats sum;

	for (uint32_t i = 0; i < gw->n_worker; i++)
		json_array_append_new(workers, gw_drops_json(&gw->worker[i]->stats));
	gw_stats_sum(gw, &sum);
	return json_pack("{s:o, s:o, s:f}", "drops", gw_drops_json(&sum), "workers", workers,
			 "since_s", (double)((gw_now_us() - gw->start_us) / 1000) / 1000);
}

/** Memory of one worker. */
struct mem_call {
	struct gw_accel_mem accel; /* acceleration's */
	uint32_t mbufs_used;	   /* frame buffers not in the pool */
	uint32_t mbufs;		   /* frame buffers */
	uint32_t posted;	   /* of them, posted for native receives */
	uint32_t flows;		   /* native connections known */
};

static void on_memory(struct gw_worker *w, void *arg)
{
	struct mem_call *c = arg;
	struct gw_conn_row row;
	uint32_t it = 0;

	gw_accel_mem(w, &c->accel);
	c->mbufs = w->pool->size;
	c->mbufs_used = rte_mempool_in_use_count(w->pool);
	c->posted = w->ud.rq_head - w->ud.rq_tail;
	while (gw_flows_next(w, &it, &row))
		c->flows++;
}

static json_t *memory(struct gw *gw, const json_t *req)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < gw->n_worker; i++) {
		struct mem_call c = {0};
		uint32_t links = 0;

		gw_call(gw->worker[i], on_memory, &c);
		for (uint32_t k = 0; k < gw->cfg->n_server; k++)
			links += gw->host[k].link[i].open;
		json_array_append_new(
			list,
			json_pack(
				"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				"s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				"worker", (json_int_t)i, "mbufs", (json_int_t)c.mbufs, "mbufs_used",
				(json_int_t)c.mbufs_used, "mbufs_posted", (json_int_t)c.posted,
				"connections", (json_int_t)c.accel.conns, "connection_bytes",
				(json_int_t)c.accel.conn_bytes, "at_work",
				(json_int_t)c.accel.live_used, "at_work_max",
				(json_int_t)c.accel.live, "at_work_bytes",
				(json_int_t)c.accel.live_bytes, "chunks",
				(json_int_t)c.accel.chunks, "chunks_used",
				(json_int_t)c.accel.chunks_used, "frames_held",
				(json_int_t)c.accel.held, "native_flows", (json_int_t)c.flows,
				"queue_pairs", (json_int_t)(1 + 2 * links), "boxes",
				(json_int_t)c.accel.boxes, "boxes_used",
				(json_int_t)c.accel.boxes_used, "box_bytes",
				(json_int_t)c.accel.box_bytes, "boxes_taken",
				(json_int_t)c.accel.boxes_taken, "boxes_refused",
				(json_int_t)c.accel.boxes_refused, "tx_records",
				(json_int_t)c.accel.recs, "tx_records_used",
				(json_int_t)c.accel.recs_used, "tx_records_peak",
				(json_int_t)c.accel.recs_peak, "tx_records_short",
				(json_int_t)c.accel.recs_short));
	}
	return json_pack("{s:o}", "workers", list);
}

static json_t *version(struct gw *gw, const json_t *req)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:f}", "name", "tagd", "version",
			 TAG_VERSION, "gateway", gw->cfg->name, "workers", (json_int_t)gw->n_worker,
			 "device", gw->dev.name, "epoch", (json_int_t)gw->epoch, "uptime_s",
			 (double)((gw_now_us() - gw->start_us) / 1000) / 1000);
}

/** A command. */
struct command {
	const char *name;				 /* "OBJECT VERB" */
	json_t *(*fn)(struct gw *gw, const json_t *req); /* makes the answer */
};

static const struct command commands[] = {
	{"config check", gw_cmd_config_check},
	{"config confirm", gw_cmd_config_confirm},
	{"config diff", gw_cmd_config_diff},
	{"config reload", gw_cmd_config_reload},
	{"config rollback", gw_cmd_config_rollback},
	{"config show", gw_cmd_config_show},
	{"config status", gw_cmd_config_status},
	{"conn list", gw_control_list},
	{"conn show", gw_cmd_conn_show},
	{"conn accelerate", gw_cmd_conn_accelerate},
	{"conn decelerate", gw_cmd_conn_decelerate},
	{"conn kill", gw_cmd_conn_kill},
	{"log level", gw_cmd_log_level},
	{"log show", gw_cmd_log_show},
	{"log types", gw_cmd_log_types},
	{"map show native", map_native},
	{"map show accelerated", map_accelerated},
	{"map show flows", gw_cmd_map_flows},
	{"map import", gw_cmd_map_import},
	{"neigh import", gw_cmd_neigh_import},
	{"neigh list", gw_cmd_neigh_list},
	{"rule list", gw_cmd_rule_list},
	{"server drain", gw_cmd_server_drain},
	{"server list", gw_cmd_server_list},
	{"server ready", gw_cmd_server_ready},
	{"service list", gw_cmd_service_list},
	{"service pick", gw_cmd_service_pick},
	{"stats", stats},
	{"trace packet", gw_cmd_trace_packet},
	{"capture start", gw_control_capture_start},
	{"capture stop", gw_control_capture_stop},
	{"capture show", gw_control_capture_show},
	{"drops", drops},
	{"memory", memory},
	{"version", version},
	{"worker list", gw_cmd_worker_list},
};

json_t *gw_control_cmd(struct gw *gw, uid_t asker, const json_t *req)
{
	const char *cmd = json_string_value(json_object_get(req, "cmd"));

	if (!cmd)
		return error("a request has a string \"cmd\"");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, cmd))
			continue;
		gw_control_log(asker, commands[i].name);
		return commands[i].fn(gw, req);
	}
	return error("unknown command \"%.60s\"", cmd);
}
