/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_commands.c - the commands of tagctl, one table: what they are called and take, the columns
 * of what they list, and the usage text and the shell's completion that come from it.
 */
#include <string.h>

#include "gateway/tagctl.h"

static const struct tab_col conn_cols[] = {
	{"CLIENT", "client", TAB_TEXT},
	{"SERVER", "server", TAB_TEXT},
	{"HOST", "host", TAB_TEXT},
	{"MODE", "mode", TAB_TEXT},
	{"REASON", "reason", TAB_TEXT},
	{"STATE", "state", TAB_TEXT},
	{"DLID", "dlid", TAB_NUMBER},
	{"QPN", "qpn", TAB_NUMBER},
	{"TOKEN", "token", TAB_HEX},
	{"TX", "tx_bytes", TAB_BYTES},
	{"RX", "rx_bytes", TAB_BYTES},
	{"RETX", "retransmits", TAB_NUMBER},
	{"SRTT-US", "srtt_us", TAB_NUMBER},
	{"CWND", "cwnd", TAB_NUMBER},
	{"RDMA-READ", "rdma_read_bytes", TAB_BYTES},
	{"RDMA-WRITE", "rdma_write_bytes", TAB_BYTES},
	{"AGE", "age_s", TAB_SECONDS},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col native_cols[] = {
	{"ADDRESS", "address", TAB_TEXT}, {"HOST", "host", TAB_TEXT}, {"DLID", "dlid", TAB_NUMBER},
	{"DGID", "dgid", TAB_TEXT},	  {"QPN", "qpn", TAB_NUMBER}, {"MAC", "mac", TAB_TEXT},
	{"LAN-MAC", "lan_mac", TAB_TEXT}, {NULL, NULL, TAB_TEXT},
};

static const struct tab_col accel_cols[] = {
	{"CLIENT", "client", TAB_TEXT}, {"SERVER", "server", TAB_TEXT},
	{"HOST", "host", TAB_TEXT},	{"DLID", "dlid", TAB_NUMBER},
	{"DGID", "dgid", TAB_TEXT},	{"QPN", "qpn", TAB_NUMBER},
	{"TOKEN", "token", TAB_HEX},	{"WORKER", "worker", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col server_cols[] = {
	{"NAME", "name", TAB_TEXT},
	{"STATE", "state", TAB_TEXT},
	{"ADDRESSES", "addresses", TAB_TEXT},
	{"DLID", "dlid", TAB_NUMBER},
	{"QPN", "qpn", TAB_NUMBER},
	{"ACCELERATED", "accelerated", TAB_NUMBER},
	{"ARENAS", "arenas", TAB_NUMBER},
	{"HEALTH", "health", TAB_TEXT},
	{"WEIGHT", "weight", TAB_NUMBER},
	{"SHARE%", "share_percent", TAB_NUMBER},
	{"FLOWS", "flows", TAB_NUMBER},
	{"READ-US", "read_us", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col service_cols[] = {
	{"NAME", "name", TAB_TEXT},
	{"ADDRESS", "address", TAB_TEXT},
	{"PORT", "port", TAB_TEXT},
	{"BALANCE", "balance", TAB_TEXT},
	{"FLOWS", "flows", TAB_NUMBER},
	{"TOTAL", "flows_total", TAB_NUMBER},
	{"ACCELERATE", "accelerate", TAB_TEXT},
	{"ACCELERATED", "accelerated", TAB_NUMBER},
	{"LIMIT", "max_accelerated", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col rule_cols[] = {
	{"ORDER", "order", TAB_NUMBER}, {"NAME", "name", TAB_TEXT},
	{"ACTION", "action", TAB_TEXT}, {"ASKS-FOR", "asks_for", TAB_TEXT},
	{"VIA", "via", TAB_TEXT},	{"HITS", "hits", TAB_NUMBER},
	{"FLOWS", "flows", TAB_NUMBER}, {NULL, NULL, TAB_TEXT},
};

static const struct tab_col flow_cols[] = {
	{"CLIENT", "client", TAB_TEXT},	   {"ADDRESS", "address", TAB_TEXT},
	{"PROTO", "protocol", TAB_NUMBER}, {"SERVER", "server", TAB_TEXT},
	{"VIA", "via", TAB_TEXT},	   {"STATE", "state", TAB_TEXT},
	{"RULE", "rule", TAB_TEXT},	   {"AGE", "age_s", TAB_SECONDS},
	{"IDLE", "idle_s", TAB_SECONDS},   {NULL, NULL, TAB_TEXT},
};

static const struct tab_col log_cols[] = {
	{"MODULE", "module", TAB_TEXT}, {"LEVEL", "level", TAB_TEXT},
	{"LINES", "lines", TAB_NUMBER}, {"SUPPRESSED", "suppressed", TAB_NUMBER},
	{"ABOUT", "about", TAB_TEXT},	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col type_cols[] = {
	{"TYPE", "type", TAB_TEXT},
	{"LEVEL", "level", TAB_TEXT},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col memory_cols[] = {
	{"WORKER", "worker", TAB_NUMBER},
	{"MBUFS", "mbufs", TAB_NUMBER},
	{"USED", "mbufs_used", TAB_NUMBER},
	{"POSTED", "mbufs_posted", TAB_NUMBER},
	{"CONNS", "connections", TAB_NUMBER},
	{"BYTES-EACH", "connection_bytes", TAB_NUMBER},
	{"CHUNKS", "chunks", TAB_NUMBER},
	{"CHUNKS-USED", "chunks_used", TAB_NUMBER},
	{"HELD", "frames_held", TAB_NUMBER},
	{"FLOWS", "native_flows", TAB_NUMBER},
	{"QPS", "queue_pairs", TAB_NUMBER},
	{"AT-WORK", "at_work", TAB_NUMBER},
	{"BOXES", "boxes", TAB_NUMBER},
	{"BOXES-USED", "boxes_used", TAB_NUMBER},
	{"RECORDS", "tx_records", TAB_NUMBER},
	{"RECORDS-USED", "tx_records_used", TAB_NUMBER},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col neigh_cols[] = {
	{"ADDRESS", "address", TAB_TEXT}, {"MAC", "mac", TAB_TEXT},
	{"PORT", "port", TAB_TEXT},	  {"STATE", "state", TAB_TEXT},
	{"AGE", "age_s", TAB_SECONDS},	  {"IDLE", "idle_s", TAB_SECONDS},
	{NULL, NULL, TAB_TEXT},
};

static const struct tab_col worker_cols[] = {
	{"WORKER", "worker", TAB_NUMBER},	 {"CPUS", "cpus", TAB_TEXT},
	{"LOAD%", "load_percent", TAB_NUMBER},	 {"QUEUES", "queues", TAB_TEXT},
	{"LAN-RX", "lan_rx_frames", TAB_NUMBER}, {"LAN-TX", "lan_tx_frames", TAB_NUMBER},
	{"HANDED", "handed_frames", TAB_NUMBER}, {"TAKEN", "taken_frames", TAB_NUMBER},
	{"WAITING", "waiting", TAB_NUMBER},	 {"PEAK", "waiting_peak", TAB_NUMBER},
	{"DROPS", "handing_drops", TAB_NUMBER},	 {"ACCELERATED", "accelerated", TAB_NUMBER},
	{"NATIVE", "native", TAB_NUMBER},	 {NULL, NULL, TAB_TEXT},
};

static const struct command commands[] = {
	{"config check", 0, 1, "[FILE]", NULL, NULL, "", "every error of a configuration"},
	{"config diff", 0, 1, "[FILE]", NULL, NULL, "", "what it would change, and for whom"},
	{"config reload", 0, 1, "[FILE]", NULL, NULL, "", "puts it into force, or says why not"},
	{"config confirm", 0, 0, "", NULL, NULL, "", "keeps what reload --confirm-within did"},
	{"config rollback", 0, 0, "", NULL, NULL, "", "undoes it now"},
	{"config show", 0, 0, "", NULL, NULL, "", "the one in force, every key"},
	{"config status", 0, 0, "", NULL, NULL, "", "reloads so far, and who leaves"},
	{"conn list", 0, 16, "[KEY=VALUE...]", "connections", conn_cols, "no TCP connections",
	 "connections, all or some"},
	{"conn show", 1, 2, "CONN", "connections", conn_cols, "", "one connection, every field"},
	{"conn accelerate", 1, 2, "CONN", NULL, NULL, "",
	 "ask its host for it, before its policy would"},
	{"conn decelerate", 1, 2, "CONN", NULL, NULL, "", "hand it back to its server's kernel"},
	{"conn kill", 1, 2, "CONN", NULL, NULL, "", "reset it at both ends"},
	{"log show", 0, 0, "", "modules", log_cols, "", "levels of the log by module, and counts"},
	{"log types", 0, 0, "", "types", type_cols, "", "levels of DPDK's libraries and drivers"},
	{"log level", 2, 2, "MODULE LEVEL", NULL, NULL, "", "changes one until the next start"},
	{"map show native", 0, 0, "", "native", native_cols, "no host is attached",
	 "destination address to fabric address"},
	{"map show accelerated", 0, 0, "", "accelerated", accel_cols, "no accelerated connections",
	 "connection to fabric address and token"},
	{"map show flows", 0, 0, "", "flows", flow_cols, "no flows of shared addresses or rules",
	 "which server each flow has"},
	{"map export", 1, 1, "FILE", NULL, NULL, "", "the flows to a file"},
	{"map import", 1, 1, "FILE", NULL, NULL, "",
	 "flows of a file, so that they keep their servers"},
	{"neigh list", 0, 0, "", "neighbours", neigh_cols, "no neighbours on the client LANs",
	 "MACs of clients and routers, configured and learned"},
	{"rule list", 0, 0, "", "rules", rule_cols, "no rules", "rules in order, and their hits"},
	{"server drain", 1, 64, "[--wait[=SECONDS]] SERVER...", "servers", server_cols, "",
	 "no new flows for it; it keeps its own"},
	{"server ready", 1, 64, "SERVER...", "servers", server_cols, "", "ends a drain"},
	{"server list", 0, 0, "", "servers", server_cols, "no servers configured",
	 "configured servers and their hosts"},
	{"service list", 0, 0, "", "services", service_cols, "no services configured",
	 "what is shared and accelerated, and how much"},
	{"service pick", 2, 2, "CLIENT:PORT SERVER:PORT", NULL, NULL, "",
	 "where a new connection would go, and why"},
	{"trace packet", 1, 32, "PACKET", NULL, NULL, "",
	 "what would become of it, step by step, with no effect"},
	{"capture run", 1, 7, "FILE [CHOICE...]", NULL, NULL, "",
	 "packets of both sides to a file, until Ctrl-C"},
	{"capture start", 1, 7, "FILE [CHOICE...]", NULL, NULL, "",
	 "the same, until a limit or capture stop"},
	{"capture stop", 0, 0, "", NULL, NULL, "", "ends it"},
	{"capture show", 0, 0, "", NULL, NULL, "", "the running capture, or the last one"},
	{"stats", 0, 0, "", NULL, NULL, "no counters", "counters since the start"},
	{"drops", 0, 0, "", NULL, NULL, "nothing was dropped",
	 "what was dropped or refused, and why"},
	{"worker list", 0, 0, "", "workers", worker_cols, "no workers",
	 "how busy workers are, and what they give each other"},
	{"memory", 0, 0, "", "workers", memory_cols, "no workers", "buffers and tables in use"},
	{"doctor", 0, 1, "[FILE]", NULL, NULL, "", "what this machine lacks, and what to type"},
	{"version", 0, 0, "", NULL, NULL, "", "of the daemon"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void command_usage(FILE *out)
{
	fprintf(out, "usage: tagctl [--json] [--socket PATH] [--watch[=SECONDS]] "
		     "[--confirm-within=SECONDS] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s %s", commands[i].words, commands[i].args);
		fprintf(out, "  %-36s %s\n", text, commands[i].help);
	}
	fprintf(out,
		"\nKEY is client, server, token, host, mode, state, reason, older or bytes; sort or limit.\n");
	fprintf(out,
		"CHOICE is bytes=N, packets=N, seconds=N, side=lan|fabric|both, filter=EXPRESSION or "
		"conn=CONN.\n");
	fprintf(out, "PACKET is as 'tcp 192.0.2.7:40000 > 10.77.0.100:80 syn in lan0', FILE#N or "
		     "hexadecimal.\n");
	fprintf(out, "CONN is a token, or CLIENT:PORT, or CLIENT:PORT SERVER:PORT.\n");
}

const struct command *command_find(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *p = commands[i].words;
		int n = 0;

		while (*p && n < argc) {
			size_t len = strcspn(p, " ");

			if (strlen(argv[n]) != len || memcmp(argv[n], p, len))
				break;
			n++;
			p += len;
			p += *p == ' ';
		}
		if (!*p) {
			*used = n;
			return &commands[i];
		}
	}
	return NULL;
}

void command_list(FILE *out)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "%s\t%s\n", commands[i].words, commands[i].help);
}
