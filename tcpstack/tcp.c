/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcpstack/tcp.h"
#include <errno.h>
#include <string.h>
void tcp_cfg_default(struct tcp_cfg *cfg)
{
	*cfg = (struct tcp_cfg){.rto_min_us = 200000,
				.rto_max_us = 120000000,
				.delack_us = 40000,
				.time_wait_us = 60000000,
				.user_timeout_us = 900000000,
				.lookahead = 131072,
				.max_burst = 65536,
				.max_want = 65536,
				.init_cwnd_segs = 10};
}
int tcp_import(struct tcp_conn *c, const struct tcp_cfg *cfg, const struct tcp_ops *ops,
	       const struct tcp_state_io *st, uint64_t now)
{
	memset(c, 0, sizeof(*c));
	return EINVAL;
}
void tcp_export(const struct tcp_conn *c, struct tcp_state_io *st, uint64_t now)
{
	memset(st, 0, sizeof(*st));
}
void tcp_input(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now, struct tcp_rx *rx)
{
	memset(rx, 0, sizeof(*rx));
	rx->verdict = TCP_V_CLOSED;
}
void tcp_rx_get(const struct tcp_conn *c, struct tcp_rx_pos *pos)
{
	memset(pos, 0, sizeof(*pos));
}
void tcp_placed(struct tcp_conn *c, const struct tcp_rx_pos *pos, uint64_t now)
{
}
void tcp_produced(struct tcp_conn *c, uint32_t bytes, uint64_t now)
{
}
void tcp_room(struct tcp_conn *c, uint32_t edge, uint64_t now)
{
}
void tcp_ready(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
}
void tcp_failed(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
}
void tcp_sent(struct tcp_conn *c, uint32_t seq, uint32_t len, uint64_t now)
{
}
void tcp_shutdown(struct tcp_conn *c, uint64_t now)
{
}
void tcp_abort(struct tcp_conn *c, uint64_t now)
{
}
void tcp_detach(struct tcp_conn *c)
{
}
void tcp_quiesce(struct tcp_conn *c, uint64_t now)
{
}
void tcp_timer(struct tcp_conn *c, uint64_t now)
{
}
uint64_t tcp_deadline(const struct tcp_conn *c)
{
	return TCP_NEVER;
}
void tcp_output(struct tcp_conn *c, uint64_t now)
{
}
const char *tcp_state_name(enum tcp_state s)
{
	return "?";
}
const char *tcp_verdict_name(enum tcp_verdict v)
{
	return "?";
}
const char *tcp_event_name(enum tcp_event e)
{
	return "?";
}
