/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sk_flags.c - what a stack is told at its beginning (packetdrill --so_flags=).
 *
 * Flags, separated by commas: mtu=N of the device, what makes the MSS 1460 unless said; notso,
 * packets are no larger than the path takes; psh, PSH on every run of more than one segment, as on
 * Linux; rcvbuf=N of new sockets; noquick, the first ACKs of a connection are delayed, too; iss=N,
 * first sequence number of the first connection that a kernel opens; takeover, every listener has
 * it (TAGD_TAKEOVER); wscale=N, shift of our windows, 7; nosack, nots and nowscale, options that
 * are not offered; ecn=0, 1 and 2, never, always, and when the client asks; cookies=0, 1 and 2,
 * never, when the backlog is full, and always; rest, connections at rest are parked and woken all
 * the time.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "sk.h"

static void set_offer(struct sk_stack *st, uint8_t bit, uint32_t on)
{
	st->opts = (uint8_t)(on ? st->opts | bit : st->opts & ~bit);
}

static void set_flag(struct sk_stack *st, const char *name, const char *value)
{
	uint32_t v = value ? (uint32_t)strtoul(value, NULL, 0) : 1;

	if (!strcmp(name, "mtu"))
		st->mtu = (uint16_t)v;
	else if (!strcmp(name, "iss"))
		st->iss = v;
	else if (!strcmp(name, "takeover"))
		st->set.takeover = v;
	else if (!strcmp(name, "rest"))
		st->rest = v;
	else if (!strcmp(name, "psh"))
		st->psh = v;
	else if (!strcmp(name, "noquick"))
		st->noquick = v;
	else if (!strcmp(name, "rcvbuf"))
		st->rcvbuf = v;
	else if (!strcmp(name, "notso"))
		st->notso = v;
	else if (!strcmp(name, "nosack"))
		set_offer(st, TCP_O_SACK, 0);
	else if (!strcmp(name, "nots"))
		set_offer(st, TCP_O_TS, 0);
	else if (!strcmp(name, "nowscale"))
		set_offer(st, TCP_O_WSCALE, 0);
	else if (!strcmp(name, "wscale"))
		st->wscale = (uint8_t)v;
	else if (!strcmp(name, "ecn"))
		set_offer(st, TCP_O_ECN, v), st->ecn = (uint8_t)v;
	else if (!strcmp(name, "cookies"))
		st->cookies = (uint8_t)v;
	else
		errx(2, "unknown flag %s", name);
}

void sk_flags(struct sk_stack *st, const char *flags)
{
	char *text = strdup(flags ? flags : ""), *rest = text, *one, *value;

	while ((one = strsep(&rest, ","))) {
		value = one;
		strsep(&value, "=");
		if (*one)
			set_flag(st, one, value);
	}
	free(text);
}
