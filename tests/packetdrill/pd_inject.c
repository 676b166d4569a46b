/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_inject.c - injected packets. */
#include "pd.h"

void pd_inject(struct pd_run *r, const struct pd_event *e)
{
	static uint8_t ip[PD_PKT_MAX];
	const bool v6 = r->version == PD_IPV6;
	struct pd_packet p = e->p;
	struct pd_flow *f = pd_flow_in(r, &p);
	size_t n;

	if (!f)
		pd_die(r->t->file, e->line, "too many connections");
	pd_to_wire(f, &p);
	if (p.icmp && p.icmp_type[v6] == 0xff)
		pd_die(r->t->file, e->line, "ICMP%s has no such message", v6 ? "v6" : "");
	n = p.icmp ? pd_icmp_build(&p, v6, f->lport, f->rport, ip)
		   : pd_tcp_build(&p, v6, f->rport, f->lport, ip);
	if (!n)
		pd_die(r->t->file, e->line, "packet or options too long or not padded");
	if (r->so.netdev_send(r->so.ud, ip, n))
		pd_die(r->t->file, e->line, "the stack refuses the packet");
}
