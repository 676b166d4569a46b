/* SPDX-License-Identifier: BSD-3-Clause */
/* pd_expect.c - an expected packet against what was sent. */
#include <stdio.h>
#include <string.h>

#include "pd.h"

/** What came out of the stack. */
struct sent {
	struct pd_packet p;   /* in the script's numbers when flow is known */
	struct pd_flow *flow; /* NULL: of no connection of the script */
	int64_t at;	      /* when, of the script, microseconds */
	const char *bad;      /* what is wrong with it as a packet, NULL: nothing */
};

static bool same_option(const struct pd_opt *a, const struct pd_opt *b, int64_t tolerance)
{
	int32_t d = (int32_t)(a->val - b->val);

	if (a->kind != b->kind || a->n_sack != b->n_sack || a->ecr != b->ecr)
		return false;
	for (unsigned int i = 0; i < a->n_sack; i++) {
		if (a->sack[i].start != b->sack[i].start || a->sack[i].end != b->sack[i].end)
			return false;
	}
	if (a->kind != 8)
		return !d;
	return (d < 0 ? -d : d) <= (tolerance + 999) / 1000;
}

static bool same_ecn(int8_t want, int8_t got)
{
	if (want == PD_ECN_ANY)
		return true;
	return want == PD_ECN_ECT01 ? got == 1 || got == 2 : want == got;
}

/* Name of the first field that differs, NULL: none. */
static const char *differs(const struct pd_packet *want, const struct pd_packet *got,
			   int64_t tolerance)
{
	if (want->flags != got->flags)
		return "tcp_flags";
	if (want->seq != got->seq)
		return "tcp_seq";
	if (want->len != got->len)
		return "tcp_payload_len";
	if (want->ack != got->ack)
		return "tcp_ack";
	if (want->win >= 0 && want->win != got->win)
		return "tcp_window";
	if (want->urg != got->urg)
		return "tcp_urg_ptr";
	if (!same_ecn(want->ecn, got->ecn))
		return "ip_ecn";
	if (want->any_opt)
		return NULL;
	if (want->n_opt != got->n_opt)
		return "tcp_options";
	for (unsigned int i = 0; i < want->n_opt; i++) {
		if (!same_option(&want->opt[i], &got->opt[i], tolerance))
			return "tcp_options";
	}
	return NULL;
}

/* The oldest packet sent, until `hi` of the script; false: there is none. */
static bool take(struct pd_run *r, const struct pd_packet *want, int64_t hi, struct sent *s)
{
	static uint8_t ip[PD_PKT_MAX];
	size_t n = sizeof(ip);
	long long at = 0;

	r->extra->limit(r->so.ud, r->t0 + hi);
	if (r->so.netdev_receive(r->so.ud, ip, &n, &at) || !n)
		return false;
	s->at = at - r->t0;
	s->bad = pd_tcp_read(ip, n, &s->p);
	if (!s->bad && ip[0] >> 4 != (r->version == PD_IPV6 ? 6 : 4))
		s->bad = "IP version";
	s->flow = s->bad ? NULL : pd_flow_out(r, want, &s->p);
	if (s->flow)
		pd_to_script(s->flow, &s->p);
	return true;
}

static _Noreturn void mismatch(struct pd_run *r, const struct pd_event *e, const char *what,
			       const struct sent *got)
{
	char want_text[512], got_text[512];

	pd_packet_text(&e->p, want_text, sizeof(want_text));
	pd_packet_text(&got->p, got_text, sizeof(got_text));
	pd_die(r->t->file, e->line,
	       "error handling packet: live packet field %s differs\n"
	       "script packet: %s\nactual packet: %s at %.6f",
	       what, want_text, got_text, (double)got->at / 1e6);
}

void pd_expect(struct pd_run *r, const struct pd_event *e, int64_t lo, int64_t hi)
{
	const int64_t tolerance = r->t->tolerance;
	const struct pd_packet *want = &e->p;
	const char *field;
	struct sent got;

	if (!take(r, want, hi + tolerance, &got))
		pd_die(r->t->file, e->line,
		       "error handling packet: timed out waiting for packet until %.6f",
		       (double)(hi + tolerance) / 1e6);
	if (got.bad)
		mismatch(r, e, got.bad, &got);
	if (!got.flow ||
	    ((want->sport || want->dport) &&
	     (got.flow->sport != want->dport || got.flow->dport != want->sport)) ||
	    (!want->sport && !want->dport && got.flow != r->cur))
		mismatch(r, e, "tcp_port", &got);
	field = differs(want, &got.p, tolerance);
	if (field)
		mismatch(r, e, field, &got);
	if (got.at < lo - tolerance || got.at > hi + tolerance)
		pd_die(r->t->file, e->line,
		       "error handling packet: timing error: expected outbound packet at "
		       "%.6f to %.6f sec but happened at %.6f sec; tolerance %.6f sec",
		       (double)lo / 1e6, (double)hi / 1e6, (double)got.at / 1e6,
		       (double)tolerance / 1e6);
}

void pd_left_over(struct pd_run *r)
{
	struct sent got;
	char text[512];

	if (!take(r, NULL, pd_now(r), &got))
		return;
	pd_packet_text(&got.p, text, sizeof(text));
	pd_die(r->t->file, r->t->ev[r->t->n - 1].line, "packet that no line expects: %s at %.6f",
	       text, (double)got.at / 1e6);
}
