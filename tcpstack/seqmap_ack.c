/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seqmap_ack.c - repeats to the kernel an ACK that came before the kernel had sent the bytes: the
 * client said it once and will not say it again for a copy that was absorbed.
 */
#include "tcpstack/seqmap_int.h"

size_t seqmap_ack_frame(struct seqmap *m, uint8_t *buf, size_t room, const struct net_l2 *l2,
			const struct net_flow *f)
{
	const struct net_flow from_client = {
		.remote = f->local, .local = f->remote, .rport = f->lport, .lport = f->rport};
	const uint32_t told = seqmap_clamp(m, m->c_ack);
	struct tcp_emit e = {.ack = told - m->d_snd,
			     .wnd = seqmap_wnd(m, m->c_wnd, m->c_ack - told)};
	uint16_t l4_off;
	size_t n;

	if (told == m->c_told)
		return 0;
	if (m->ts_ok)
		e.optlen = net_put_ts(e.opt, m->c_tsval, m->c_tsecr);
	n = net_build_tcp(buf, room, l2, &from_client, &e, m->c_seq - m->d_rcv, TCP_ACK, 0, 0,
			  &l4_off);
	if (n) {
		net_tcp_csum_finish(buf + l4_off, n - l4_off, 0);
		m->c_told = told;
	}
	return n;
}
