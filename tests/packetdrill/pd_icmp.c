/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_icmp.c - ICMP lines: `< icmp unreachable frag_needed mtu 1200 [1:1001(1000)]`. */
#include <string.h>

#include "pd.h"

#define NONE 0xff

/* Types and, below a type, codes: name, ICMP's number, ICMPv6's. */
static const struct {
	const char *type, *code; /* names; code NULL: without one */
	uint8_t v4[2], v6[2];	 /* type and code */
} messages[] = {
	{"unreachable", "net_unreachable", {3, 0}, {1, 0}},
	{"unreachable", "host_unreachable", {3, 1}, {NONE, 0}},
	{"unreachable", "protocol_unreachable", {3, 2}, {NONE, 0}},
	{"unreachable", "port_unreachable", {3, 3}, {1, 4}},
	{"unreachable", "frag_needed", {3, 4}, {NONE, 0}},
	{"unreachable", "source_route_failed", {3, 5}, {NONE, 0}},
	{"unreachable", "host_prohibited", {3, 10}, {NONE, 0}},
	{"unreachable", "packet_filtered", {3, 13}, {NONE, 0}},
	{"unreachable", "no_route", {NONE, 0}, {1, 0}},
	{"unreachable", "admin_prohibited", {NONE, 0}, {1, 1}},
	{"unreachable", "address_unreachable", {NONE, 0}, {1, 3}},
	{"source_quench", NULL, {4, 0}, {NONE, 0}},
	{"time_exceeded", "exceeded_hop_limit", {NONE, 0}, {3, 0}},
	{"time_exceeded", NULL, {11, 0}, {3, 0}},
	{"parameter_problem", NULL, {12, 0}, {4, 0}},
	{"packet_too_big", NULL, {NONE, 0}, {2, 0}},
};

static bool next_is(struct pd_cur *k, const char *word)
{
	struct pd_cur look = *k;

	return pd_accept(&look, word);
}

void pd_icmp_parse(struct pd_cur *k, struct pd_packet *p)
{
	char type[32], code[32] = "";
	size_t i;

	if (!p->in)
		pd_die(k->file, k->line, "the stack sends no ICMP");
	if (!pd_word(k, type, sizeof(type)))
		pd_die(k->file, k->line, "syntax error: ICMP type expected at '%.12s'", k->p);
	if (!next_is(k, "mtu") && !next_is(k, "["))
		pd_word(k, code, sizeof(code));
	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (!strcmp(type, messages[i].type) &&
		    (messages[i].code ? !strcmp(code, messages[i].code) : !*code))
			break;
	}
	if (i == sizeof(messages) / sizeof(messages[0]))
		pd_die(k->file, k->line, "unsupported ICMP message %s %s", type, code);
	p->icmp = true;
	p->icmp_type[0] = messages[i].v4[0];
	p->icmp_code[0] = messages[i].v4[1];
	p->icmp_type[1] = messages[i].v6[0];
	p->icmp_code[1] = messages[i].v6[1];
	if (pd_accept(k, "mtu"))
		p->mtu = (uint32_t)pd_u32(k);
	pd_need(k, "[");
	p->seq = (uint32_t)pd_u32(k);
	pd_need(k, ":");
	pd_u32(k);
	pd_need(k, "(");
	p->len = (uint32_t)pd_u32(k);
	pd_need(k, ")");
	pd_need(k, "]");
}
