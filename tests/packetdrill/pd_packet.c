/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_packet.c - packet lines: IP header, ports, flags, positions, window, options. */
#include <ctype.h>
#include <string.h>

#include "pd.h"

const char pd_flag_letters[] = "FSRP.UEWA";

/* Numeric: the ACE field of accurate ECN, AE CWR ECE. */
static uint16_t ace(unsigned int v)
{
	return (uint16_t)((v & 1 ? PD_ECE : 0) | (v & 2 ? PD_CWR : 0) | (v & 4 ? PD_AE : 0));
}

static uint16_t parse_flags(struct pd_cur *k)
{
	uint16_t flags = 0;
	const char *f;

	pd_space(k);
	if (*k->p == '-') {
		k->p++;
		return 0;
	}
	for (; *k->p && !isspace((unsigned char)*k->p); k->p++) {
		if (*k->p >= '0' && *k->p <= '7' && flags) {
			flags |= ace((unsigned int)(*k->p - '0'));
			continue;
		}
		f = strchr(pd_flag_letters, *k->p);
		if (!f || flags & 1u << (f - pd_flag_letters))
			pd_die(k->file, k->line, "syntax error: bad flags at '%.12s'", k->p);
		flags |= (uint16_t)(1u << (f - pd_flag_letters));
	}
	if (!flags)
		pd_die(k->file, k->line, "syntax error: flags expected");
	return flags;
}

static void parse_sack(struct pd_cur *k, struct pd_opt *o)
{
	int64_t v;

	pd_space(k);
	while (isdigit((unsigned char)*k->p)) {
		if (o->n_sack == 4)
			pd_die(k->file, k->line, "more than four SACK blocks");
		v = pd_u32(k);
		o->sack[o->n_sack].start = (uint32_t)v;
		pd_need(k, ":");
		o->sack[o->n_sack++].end = (uint32_t)pd_u32(k);
		pd_space(k);
	}
	if (!o->n_sack)
		pd_die(k->file, k->line, "syntax error: SACK block expected");
}

static void parse_option(struct pd_cur *k, struct pd_opt *o)
{
	*o = (struct pd_opt){.kind = 1};
	if (pd_accept(k, "nop"))
		return;
	if (pd_accept(k, "eol")) {
		o->kind = 0;
	} else if (pd_accept(k, "mss")) {
		o->kind = 2;
		o->val = (uint32_t)pd_u32(k);
	} else if (pd_accept(k, "wscale")) {
		o->kind = 3;
		o->val = (uint32_t)pd_u32(k);
	} else if (pd_accept(k, "sackOK")) {
		o->kind = 4;
	} else if (pd_accept(k, "sack")) {
		o->kind = 5;
		parse_sack(k, o);
	} else if (pd_accept(k, "TS")) {
		o->kind = 8;
		pd_need(k, "val");
		o->val = (uint32_t)pd_u32(k);
		pd_need(k, "ecr");
		o->ecr = (uint32_t)pd_u32(k);
	} else {
		pd_die(k->file, k->line, "unsupported option at '%.12s'", k->p);
	}
}

static void parse_options(struct pd_cur *k, struct pd_packet *p)
{
	if (pd_accept(k, "...")) {
		if (p->in)
			pd_die(k->file, k->line, "options of an injected packet must be said");
		p->any_opt = true;
	} else {
		do {
			if (p->n_opt == PD_OPT_MAX)
				pd_die(k->file, k->line, "too many options");
			parse_option(k, &p->opt[p->n_opt++]);
		} while (pd_accept(k, ","));
	}
	pd_need(k, ">");
}

static void parse_ip(struct pd_cur *k, struct pd_packet *p)
{
	static const struct {
		const char *name;
		int8_t ecn;
	} fields[] = {{"noecn", 0}, {"ect1", 1}, {"ect0", 2}, {"ce", 3}, {"ect01", PD_ECN_ECT01}};

	p->ecn = p->in ? 0 : PD_ECN_ANY;
	if (!pd_accept(k, "["))
		return;
	p->ecn = PD_ECN_ANY;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (p->ecn == PD_ECN_ANY && pd_accept(k, fields[i].name))
			p->ecn = fields[i].ecn;
	}
	if (p->ecn == PD_ECN_ANY || (p->in && p->ecn == PD_ECN_ECT01))
		pd_die(k->file, k->line, "unsupported IP header field at '%.12s'", k->p);
	pd_need(k, "]");
}

/* "40001 > 8080", in front of the flags. */
static void parse_ports(struct pd_cur *k, struct pd_packet *p)
{
	int64_t v;

	pd_space(k);
	if (!pd_number(k, &v))
		return;
	p->sport = (uint16_t)v;
	pd_need(k, ">");
	p->dport = (uint16_t)pd_u32(k);
	if (!p->sport || !p->dport)
		pd_die(k->file, k->line, "port out of range");
}

static void parse_seq(struct pd_cur *k, struct pd_packet *p)
{
	int64_t end;

	p->seq = (uint32_t)pd_u32(k);
	pd_need(k, ":");
	end = pd_u32(k);
	pd_need(k, "(");
	p->len = (uint32_t)pd_u32(k);
	pd_need(k, ")");
	if (p->seq + p->len != (uint32_t)end)
		pd_die(k->file, k->line, "inconsistent TCP sequence numbers and payload length");
}

static void parse_numbers(struct pd_cur *k, struct pd_packet *p)
{
	parse_seq(k, p);
	if (pd_accept(k, "ack")) {
		p->ack = (uint32_t)pd_u32(k);
		if (!(p->flags & PD_ACK))
			pd_die(k->file, k->line, "ack without the flag");
	} else if (p->flags & PD_ACK) {
		pd_die(k->file, k->line, "missing ack number");
	}
	if (pd_accept(k, "win"))
		p->win = (int32_t)pd_u32(k);
	else if (p->in)
		pd_die(k->file, k->line, "window must be specified for injected packets");
	if (p->win > UINT16_MAX)
		pd_die(k->file, k->line, "window out of range");
	if (pd_accept(k, "urg"))
		p->urg = (uint16_t)pd_u32(k);
}

/* True when an option list follows on this line: the next line may begin with '<' as well. */
static bool options_follow(const struct pd_cur *k)
{
	const char *p = k->p;

	while (*p == ' ' || *p == '\t')
		p++;
	return *p == '<';
}

void pd_packet_parse(struct pd_cur *k, struct pd_packet *p)
{
	*p = (struct pd_packet){.win = -1};
	p->in = pd_accept(k, "<");
	if (!p->in)
		pd_need(k, ">");
	parse_ip(k, p);
	if (pd_accept(k, "icmp")) {
		pd_icmp_parse(k, p);
		return;
	}
	parse_ports(k, p);
	p->flags = parse_flags(k);
	parse_numbers(k, p);
	if (options_follow(k) && pd_accept(k, "<"))
		parse_options(k, p);
}
