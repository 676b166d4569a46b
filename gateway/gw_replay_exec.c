/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_exec.c - lines of host.script: whose they are, and what a server's agent does. Verbs
 * about connections are in gw_replay_conn.c.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gw_replay.h"

/* Words "ff 00 12..." as bytes; how many. */
static uint32_t hex_bytes(const struct gw_rep_line *l, uint32_t from, uint8_t *buf, uint32_t room)
{
	uint32_t n = 0;

	for (; from < l->n; from++)
		for (const char *p = l->word[from];
		     isxdigit((int)p[0]) && isxdigit((int)p[1]) && n < room; p += 2) {
			char two[3] = {p[0], p[1], 0};

			buf[n++] = (uint8_t)strtoul(two, NULL, 16);
		}
	return n;
}

/* A message as the script has it, kind and fields. */
static void send_message(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	const char *name = gw_rep_arg(l, "conn", NULL);
	const struct gw_rep_conn *c = name ? gw_rep_conn_named(r, name) : NULL;
	uint8_t mid = (uint8_t)gw_rep_num(l, "mid", 0);
	uint32_t token = htobe32((uint32_t)gw_rep_num(l, "token", c ? c->token : 0));
	struct ib_cursor cur = {.token = token};
	struct ib_ctl ctl = {.token = token};

	ctl.req_id = htobe32((uint32_t)gw_rep_num(l, "req_id", 0));
	ctl.reason = htobe16((uint16_t)gw_rep_num(l, "reason", 0));
	cur.flags = htobe32((uint32_t)gw_rep_num(l, "flags", 0));
	cur.cursor = htobe64(gw_rep_num(l, "cursor", 0));
	cur.other = htobe64(gw_rep_num(l, "other", 0));
	if (ib_msg_entry_size(mid) == sizeof(ctl))
		ib_set_msg(&s->set, mid, &ctl);
	else if (ib_msg_entry_size(mid) == sizeof(cur))
		ib_set_msg(&s->set, mid, &cur);
	else
		gw_rep_fail_at(r, &r->script, l,
			       "mid=0x%02x: no message of two entries' sizes; use raw", mid);
}

/* Bytes as they are on a queue pair. */
static void send_raw(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	static uint8_t buf[4096];
	uint32_t n = hex_bytes(l, 2, buf, sizeof(buf));
	struct ibv_sge sge = {(uintptr_t)s->tx.addr, n, s->tx.mr->lkey};

	if (strcmp(l->word[1], "raw") == 0) {
		memcpy(s->tx.addr, buf, n);
		ib_qp_send(&s->set.ctl, &sge, 1, NULL);
		ib_cq_poll(&s->cq, 64);
	} else {
		gw_rep_datagram(s, strcmp(l->word[1], "stranger") ? &s->ud : &s->stranger, buf, n,
				-1);
	}
}

static void exec_host(struct gw_rep *r, struct gw_rep_host *s, const struct gw_rep_line *l)
{
	const char *verb = l->word[1];

	if (strcmp(verb, "absent") == 0)
		return;
	if (strcmp(verb, "attach") == 0) {
		if (s->set.impl)
			gw_rep_detach(r, s, false);
		gw_rep_attach(r, s, l);
	} else if (strcmp(verb, "detach") == 0 || strcmp(verb, "lost") == 0) {
		gw_rep_detach(r, s, verb[0] == 'l');
	} else if (!s->set.impl && strcmp(verb, "conn")) {
		gw_rep_fail_at(r, &r->script, l, "%s is not attached", l->word[0]);
	} else if (strcmp(verb, "break") == 0) {
		ib_set_fence(&s->set);
	} else if (strcmp(verb, "message") == 0) {
		send_message(r, s, l);
	} else if (strcmp(verb, "raw") == 0 || strcmp(verb, "datagram") == 0 ||
		   strcmp(verb, "stranger") == 0) {
		send_raw(r, s, l);
	} else if (!gw_rep_conn_exec(r, s, l)) {
		gw_rep_fail_at(r, &r->script, l,
			       "\"%s\": no such verb of a server, or no such connection", verb);
	}
}

/* A command of the control socket. */
static void exec_gw(struct gw_rep *r, const struct gw_rep_line *l)
{
	json_error_t err;
	json_t *req = json_loads(l->word[1], 0, &err), *out;

	if (!req) {
		gw_rep_fail_at(r, &r->script, l, "gw COMMAND: %s", err.text);
		return;
	}
	out = gw_control_cmd(r->gw, getuid(), req);
	json_array_append_new(r->answers, out);
	json_decref(req);
	r->cfg = r->gw->cfg; /* it may have been exchanged */
}

void gw_rep_exec(struct gw_rep *r, const struct gw_rep_line *l)
{
	struct gw_rep_host *s = gw_rep_host_named(r, l->word[0]);

	if (s)
		exec_host(r, s, l);
	else if (strcmp(l->word[0], "gw") == 0)
		exec_gw(r, l);
	else if (strcmp(l->word[0], "case") == 0 && strcmp(l->word[1], "end") == 0)
		r->end_us = l->us;
	else
		gw_rep_fail_at(r, &r->script, l,
			       "\"%s\": allowed: a server's name, gw, or case end", l->word[0]);
}
