/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_packet.c - packet lines: flags, positions, window, options; and how they are printed. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pd.h"

static const char flag_letters[] = "FSRP.UEW"; /* bit order of TCP_* */

static uint8_t parse_flags(struct pd_cur *k)
{
	uint8_t flags = 0;
	const char *f;

	pd_space(k);
	if (*k->p == '-') {
		k->p++;
		return 0;
	}
	for (; *k->p && !isspace((unsigned char)*k->p); k->p++) {
		f = strchr(flag_letters, *k->p);
		if (!f || flags & 1u << (f - flag_letters))
			pd_die(k->file, k->line, "syntax error: bad flags at '%.12s'", k->p);
		flags |= (uint8_t)(1u << (f - flag_letters));
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

static void parse_ecn(struct pd_cur *k, struct pd_packet *p)
{
	if (!pd_accept(k, "["))
		return;
	if (!p->in)
		pd_die(k->file, k->line, "the core does not choose the IP header of what it sends");
	if (pd_accept(k, "ce"))
		p->ce = true;
	else if (!pd_accept(k, "noecn") && !pd_accept(k, "ect0") && !pd_accept(k, "ect1"))
		pd_die(k->file, k->line, "unsupported IP header field at '%.12s'", k->p);
	pd_need(k, "]");
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
	int64_t end;

	*p = (struct pd_packet){.win = -1};
	p->in = pd_accept(k, "<");
	if (!p->in)
		pd_need(k, ">");
	parse_ecn(k, p);
	p->flags = parse_flags(k);
	p->seq = (uint32_t)pd_u32(k);
	pd_need(k, ":");
	end = pd_u32(k);
	pd_need(k, "(");
	p->len = (uint32_t)pd_u32(k);
	pd_need(k, ")");
	if (p->seq + p->len != (uint32_t)end)
		pd_die(k->file, k->line, "inconsistent TCP sequence numbers and payload length");
	if (pd_accept(k, "ack")) {
		p->ack = (uint32_t)pd_u32(k);
		if (!(p->flags & TCP_ACK))
			pd_die(k->file, k->line, "ack without the flag");
	} else if (p->flags & TCP_ACK) {
		pd_die(k->file, k->line, "missing ack number");
	}
	if (pd_accept(k, "win"))
		p->win = (int32_t)pd_u32(k);
	else if (p->in)
		pd_die(k->file, k->line, "window must be specified for injected packets");
	if (p->win > UINT16_MAX)
		pd_die(k->file, k->line, "window out of range");
	if (options_follow(k) && pd_accept(k, "<"))
		parse_options(k, p);
}

static int option_text(const struct pd_opt *o, char *out, size_t n)
{
	int len;

	switch (o->kind) {
	case 0:
		return snprintf(out, n, "eol");
	case 1:
		return snprintf(out, n, "nop");
	case 2:
		return snprintf(out, n, "mss %u", o->val);
	case 3:
		return snprintf(out, n, "wscale %u", o->val);
	case 4:
		return snprintf(out, n, "sackOK");
	case 8:
		return snprintf(out, n, "TS val %u ecr %u", o->val, o->ecr);
	}
	len = snprintf(out, n, "sack");
	for (unsigned int i = 0; i < o->n_sack; i++)
		len += snprintf(out + len, n - (size_t)len, " %u:%u", o->sack[i].start,
				o->sack[i].end);
	return len;
}

void pd_packet_text(const struct pd_packet *p, char *out, size_t n)
{
	char flags[12] = "-", opt[128];
	size_t len, f = 0;

	for (unsigned int i = 0; i < 8; i++) {
		if (p->flags & 1u << i)
			flags[f++] = flag_letters[i];
	}
	len = (size_t)snprintf(out, n, "%s %u:%u(%u)", flags, p->seq, p->seq + p->len, p->len);
	if (p->flags & TCP_ACK)
		len += (size_t)snprintf(out + len, n - len, " ack %u", p->ack);
	if (p->win >= 0)
		len += (size_t)snprintf(out + len, n - len, " win %d", p->win);
	for (unsigned int i = 0; i < p->n_opt; i++) {
		option_text(&p->opt[i], opt, sizeof(opt));
		len += (size_t)snprintf(out + len, n - len, "%s%s", i ? "," : " <", opt);
	}
	snprintf(out + len, n - len, p->any_opt ? " <...>" : p->n_opt ? ">" : "");
}
