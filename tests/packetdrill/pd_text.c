/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_text.c - how packets are printed: as a script says them. */
#include <stdio.h>

#include "pd.h"

#define PD_FLAGS 9 /* letters of pd_flag_letters */

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
	char flags[PD_FLAGS + 1] = "-", opt[128];
	static const char *const ecn[] = {"[noecn] ", "[ect1] ", "[ect0] ", "[ce] ", "[ect01] "};
	size_t len, f = 0;

	for (unsigned int i = 0; i < PD_FLAGS; i++) {
		if (p->flags & 1u << i)
			flags[f++] = pd_flag_letters[i];
	}
	len = (size_t)snprintf(out, n, "%s%s %u:%u(%u)", p->ecn < 0 ? "" : ecn[p->ecn], flags,
			       p->seq, p->seq + p->len, p->len);
	if (p->flags & PD_ACK)
		len += (size_t)snprintf(out + len, n - len, " ack %u", p->ack);
	if (p->win >= 0)
		len += (size_t)snprintf(out + len, n - len, " win %d", p->win);
	if (p->urg)
		len += (size_t)snprintf(out + len, n - len, " urg %u", p->urg);
	for (unsigned int i = 0; i < p->n_opt; i++) {
		option_text(&p->opt[i], opt, sizeof(opt));
		len += (size_t)snprintf(out + len, n - len, "%s%s", i ? "," : " <", opt);
	}
	snprintf(out + len, n - len, p->any_opt ? " <...>" : p->n_opt ? ">" : "");
}
