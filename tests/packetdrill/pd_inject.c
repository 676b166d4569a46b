/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_inject.c - injected packets: to the handshake, then to the core. */
#include "pd.h"

static void add_option(struct pd_shell *s, const struct pd_opt *o, struct tcp_seg *seg)
{
	switch (o->kind) {
	case 2:
		seg->mss = (uint16_t)o->val;
		break;
	case 3:
		seg->has_wscale = true;
		seg->wscale = (uint8_t)(o->val > 14 ? 14 : o->val); /* RFC 7323 section 2.3 */
		break;
	case 4:
		seg->sack_ok = true;
		break;
	case 5:
		seg->n_sack = o->n_sack;
		for (unsigned int i = 0; i < o->n_sack; i++)
			seg->sack[i] = (struct tcp_range){o->sack[i].start + PD_LOCAL,
							  o->sack[i].end + PD_LOCAL};
		break;
	case 8:
		seg->has_ts = true;
		seg->tsval = o->val;
		seg->tsecr = o->ecr && s->ts_mapped ? o->ecr + s->ts_off : o->ecr;
		break;
	}
}

void pd_inject(struct pd_shell *s, const struct pd_script *t, const struct pd_event *e)
{
	const struct pd_packet *p = &e->p;
	struct tcp_seg seg = {.seq = p->seq + PD_REMOTE,
			      .ack = p->flags & TCP_ACK ? p->ack + PD_LOCAL : 0,
			      .len = p->len,
			      .wnd = (uint16_t)p->win,
			      .flags = p->flags,
			      .ce = p->ce};
	struct tcp_rx rx;

	for (unsigned int i = 0; i < p->n_opt; i++)
		add_option(s, &p->opt[i], &seg);
	if (!s->live) {
		pd_handshake(s, &seg, e->line, t->file);
		if (!s->live || (!seg.len && !(seg.flags & TCP_FIN)))
			return;
	}
	s->touched = true;
	tcp_input(&s->c, &seg, s->now, &rx);
	if (rx.len || rx.fin)
		pd_place(s);
	pd_output(s);
}
