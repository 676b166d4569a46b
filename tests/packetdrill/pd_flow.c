/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pd_flow.c - connections of a script. Lines without ports are about the newest connection;
 * `40001 > 8080` before the flags names another one by the client's and our port.
 */
#include <string.h>

#include "pd.h"

#define RPORT 40000 /* client's port of a connection whose lines do not say it */
#define LPORT 8080  /* our port of the same */

static struct pd_flow *add(struct pd_run *r, uint16_t sport, uint16_t dport)
{
	struct pd_flow *f = &r->flow[r->n_flow];

	if (r->n_flow == PD_FLOWS)
		return NULL;
	*f = (struct pd_flow){.sport = sport,
			      .dport = dport,
			      .rport = sport ? sport : (uint16_t)(RPORT + r->n_flow),
			      .lport = dport ? dport : LPORT,
			      .in = PD_REMOTE};
	r->n_flow++;
	r->cur = f;
	return f;
}

static struct pd_flow *named(struct pd_run *r, uint16_t sport, uint16_t dport)
{
	for (unsigned int i = 0; i < r->n_flow; i++) {
		if (r->flow[i].sport == sport && r->flow[i].dport == dport)
			return &r->flow[i];
	}
	return NULL;
}

struct pd_flow *pd_flow_in(struct pd_run *r, const struct pd_packet *p)
{
	struct pd_flow *f = p->sport || p->dport ? named(r, p->sport, p->dport) : r->cur;

	f = f ? f : add(r, p->sport, p->dport);
	if (f && (p->flags & (PD_SYN | PD_ACK)) == PD_SYN) {
		/* Another SYN may begin another connection of the same ports, with numbers of its
		 * own. */
		f->out_known &= f->syn == p->seq;
		f->syn = p->seq;
	}
	return f;
}

struct pd_flow *pd_flow_out(struct pd_run *r, const struct pd_packet *want,
			    const struct pd_packet *got)
{
	struct pd_flow *f = NULL;

	for (unsigned int i = 0; i < r->n_flow && !f; i++) {
		if (r->flow[i].rport == got->dport && r->flow[i].lport == got->sport)
			f = &r->flow[i];
	}
	if (!f && r->connecting && got->flags & PD_SYN) {
		f = add(r, want ? want->dport : 0, want ? want->sport : 0);
		r->connecting = false;
		if (f)
			f->rport = got->dport, f->lport = got->sport;
	}
	if (!f)
		return NULL;
	if (want && got->flags & PD_SYN && !f->out_known) {
		f->out = got->seq - want->seq;
		f->out_known = true;
	}
	for (unsigned int i = 0; want && i < want->n_opt && i < got->n_opt; i++) {
		if (f->ts_known || want->opt[i].kind != 8 || got->opt[i].kind != 8)
			continue;
		f->ts = got->opt[i].val - want->opt[i].val;
		f->ts_known = true;
	}
	return f;
}

void pd_to_wire(const struct pd_flow *f, struct pd_packet *p)
{
	p->seq += p->icmp ? f->out : f->in;
	if (p->flags & PD_ACK)
		p->ack += f->out;
	for (unsigned int i = 0; i < p->n_opt; i++) {
		struct pd_opt *o = &p->opt[i];

		if (o->kind == 8 && o->ecr && f->ts_known)
			o->ecr += f->ts;
		for (unsigned int j = 0; j < o->n_sack; j++) {
			o->sack[j].start += f->out;
			o->sack[j].end += f->out;
		}
	}
}

void pd_to_script(const struct pd_flow *f, struct pd_packet *p)
{
	p->seq -= f->out;
	p->ack = p->flags & PD_ACK ? p->ack - f->in : 0;
	for (unsigned int i = 0; i < p->n_opt; i++) {
		struct pd_opt *o = &p->opt[i];

		if (o->kind == 8 && f->ts_known)
			o->val -= f->ts;
		for (unsigned int j = 0; j < o->n_sack; j++) {
			o->sack[j].start -= f->in;
			o->sack[j].end -= f->in;
		}
	}
}
