/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_control_show.c - one connection in all detail, for `conn show`: what it counted in the terms
 * of RFC 4898 and the entries of its black box, in words. The worker only copies; everything is
 * formatted here, by the control thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gw_int.h"

#define TEXT 160 /* room for the words of an entry */

/** A request for the detail of a connection. */
struct show_call {
	uint32_t token;		 /* whose */
	int rc;			 /* 0 or ENOENT */
	struct gw_conn_detail d; /* the answer */
};

static void on_show(struct gw_worker *w, void *arg)
{
	struct show_call *c = arg;

	c->rc = gw_accel_detail(w, c->token, &c->d);
}

/* "SYN,ACK"; "-" without flags. */
static const char *flags_text(uint8_t flags, char buf[40])
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	size_t n = 0;

	strcpy(buf, "-");
	for (int i = 0; i < 8; i++) {
		if (flags & 1 << i)
			n += (size_t)snprintf(buf + n, 40 - n, "%s%s", n ? "," : "", names[i]);
	}
	return buf;
}

/* What the answer to a want was. */
static const char *answer(int err)
{
	return !err		    ? "here"
	       : err == EINPROGRESS ? "coming"
	       : err == ENOBUFS	    ? "no room now"
				    : "cannot be had";
}

/* Segments: what came and what left. False: another kind. */
static bool segment_text(char out[TEXT], const struct tcp_trace_ev *ev)
{
	char flags[40];

	switch (ev->kind) {
	case TCP_TR_IN:
	case TCP_TR_OUT:
	case TCP_TR_RETX:
		snprintf(out, TEXT, "%s seq %u len %u ack %u", flags_text(ev->what, flags), ev->a,
			 ev->len, ev->b);
		return true;
	case TCP_TR_NO_EMIT:
		snprintf(out, TEXT, "%s seq %u len %u: %s", flags_text(ev->what, flags), ev->a,
			 ev->b, ev->len == ENODATA ? "payload is gone" : "no buffers");
		return true;
	case TCP_TR_SACK:
		snprintf(out, TEXT, "[%u, %u), blocks %u", ev->a, ev->b, ev->len);
		return true;
	case TCP_TR_REFUSED:
		snprintf(out, TEXT, "%s seq %u ack %u", tcp_verdict_name(ev->what), ev->a, ev->b);
		return true;
	default:
		return false;
	}
}

/* Payload on its way through the gateway. False: another kind. */
static bool payload_text(char out[TEXT], const struct tcp_trace_ev *ev)
{
	switch (ev->kind) {
	case TCP_TR_WANT:
		snprintf(out, TEXT, "seq %u len %u%s: %s", ev->a, ev->b, ev->what ? " again" : "",
			 answer(ev->len));
		return true;
	case TCP_TR_READY:
	case TCP_TR_FAILED:
		snprintf(out, TEXT, "seq %u len %u", ev->a, ev->b);
		return true;
	case TCP_TR_PLACED:
		snprintf(out, TEXT, "rcv_nxt %u, %u bytes more, intervals beyond %u", ev->a, ev->b,
			 ev->what);
		return true;
	default:
		return false;
	}
}

/* What the connection went through. */
static void state_text(char out[TEXT], const struct tcp_trace_ev *ev)
{
	switch (ev->kind) {
	case TCP_TR_GAP:
		snprintf(out, TEXT, "%u s", ev->b);
		break;
	case TCP_TR_START:
		snprintf(out, TEXT, "%s snd_nxt %u rcv_nxt %u", tcp_state_name(ev->what), ev->a,
			 ev->b);
		break;
	case TCP_TR_STATE:
		snprintf(out, TEXT, "%s -> %s snd_nxt %u rcv_nxt %u", tcp_state_name(ev->len),
			 tcp_state_name(ev->what), ev->a, ev->b);
		break;
	case TCP_TR_RECOVERY:
		snprintf(out, TEXT, "%s -> %s cwnd %u ssthresh %u", tcp_recovery_name(ev->len),
			 tcp_recovery_name(ev->what), ev->a, ev->b);
		break;
	case TCP_TR_WINDOW:
		snprintf(out, TEXT, "%s at %u, %u bytes", ev->b ? "opened" : "closed", ev->a,
			 ev->b);
		break;
	case TCP_TR_TIMER:
		snprintf(out, TEXT, "%s back-off %u snd_una %u snd_nxt %u",
			 tcp_timer_name(ev->what), ev->len, ev->a, ev->b);
		break;
	case TCP_TR_EVENT:
		snprintf(out, TEXT, "%s", tcp_event_name(ev->what));
		break;
	case TCP_TR_OWNER:
		snprintf(out, TEXT, "%s", gw_accel_state_name(ev->what));
		break;
	default:
		out[0] = '\0';
	}
}

/* Entries, oldest first, with their words. */
static json_t *events_json(const struct gw_conn_detail *d)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->n_ev; i++) {
		const struct tcp_trace_at *at = &d->ev[i];
		char text[TEXT];

		if (!segment_text(text, &at->ev) && !payload_text(text, &at->ev))
			state_text(text, &at->ev);
		json_array_append_new(list,
				      json_pack("{s:I, s:s, s:s, s:i, s:i, s:I, s:I}", "us_ago",
						(json_int_t)(d->now - at->us), "event",
						tcp_trace_name(at->ev.kind), "detail", text, "what",
						(int)at->ev.what, "len", (int)at->ev.len, "a",
						(json_int_t)at->ev.a, "b", (json_int_t)at->ev.b));
	}
	return list;
}

/* The counters, by the tables of RFC 4898. */
static json_t *estats_json(const struct tcp_estats *e)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < TCP_ES_COUNT; i++) {
		json_t *group = json_object_get(o, tcp_estat_group(i));

		if (!group) {
			group = json_object();
			json_object_set_new(o, tcp_estat_group(i), group);
		}
		json_object_set_new(group, tcp_estat_name(i), json_integer((json_int_t)e->v[i]));
	}
	return o;
}

void gw_control_detail(struct gw *gw, json_t *row)
{
	uint32_t wi = (uint32_t)json_integer_value(json_object_get(row, "worker"));
	struct show_call *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->token = (uint32_t)json_integer_value(json_object_get(row, "token"));
	if (c->token)
		gw_call(gw->worker[wi], on_show, c);
	if (c->token && !c->rc) {
		json_object_set_new(row, "at_work", json_boolean(c->d.at_work));
		json_object_set_new(row, "recovery", json_string(tcp_recovery_name(c->d.recovery)));
		json_object_set_new(row, "soft_error",
				    json_string(tcp_icmp_kind_name(c->d.soft_error)));
		json_object_set_new(row, "timer", json_string(tcp_timer_name(c->d.timer)));
		json_object_set_new(row, "estats", estats_json(&c->d.estats));
		json_object_set_new(row, "events_recorded", json_integer((json_int_t)c->d.count));
		json_object_set_new(row, "black_box", events_json(&c->d));
	}
	free(c);
}
