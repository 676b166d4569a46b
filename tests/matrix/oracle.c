/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle.c - SEGMENT ARRIVES of RFC 9293 section 3.10.7, step by step, for one segment.
 *
 * The numbers of the steps are those of the text. Where it leaves a choice, or where this project
 * does more than it asks for, a CHOICE says so and why.
 *
 * CHOICE A (3.10.7.4 step 1). A segment that ends exactly at RCV.NXT holds nothing new and is
 *   answered as table 6 says, but its ACK is used first: MUST-66 asks for that when the window is
 *   zero, and an honest client's retransmission carries its newest ACK. The same for one that
 *   covers the whole window, so that neither of its ends, the ones table 6 looks at, is inside.
 *
 * CHOICE B (step 1). A segment that begins at the right edge itself is taken as far as it needs
 *   no room: its ACK is used. A client that filled the window sends its ACKs there.
 *
 * CHOICE C (steps 1 and 8). A FIN right behind the last byte of the window is taken: it needs no
 *   room in the buffer, and refusing it would only make the client probe.
 *
 * CHOICE D (3.10.7.2 and 3.10.7.3). Text and FIN of a SYN that does not complete the opening are
 *   not kept; the client sends them again.
 *
 * CHOICE E (3.10.7.4, SYN-RECEIVED). The client's SYN once more says that our SYN-ACK was lost:
 *   it is sent again, instead of an ACK that a client in SYN-SENT could not use.
 *
 * CHOICE F (SYN-RECEIVED). The SYN-ACK of a simultaneous open is the ACK that it carries (figure
 *   8), although its SYN lies before the window.
 *
 * CHOICE G (step 5). An ACK that advances SND.UNA brings its window along whatever its SEG.SEQ:
 *   it is newer than any before.
 *
 * CHOICE H (RFC 7323 section 3.2, SHOULD). A segment without the timestamps that were agreed on
 *   is taken: middleboxes that lose options exist, and PAWS only protects who uses it.
 *
 * CHOICE I (step 8). There is nothing behind a FIN: a second one, beyond the first, is ignored
 *   like the text in step 7.
 *
 * CHOICE J (step 4, MAY-2). A SYN ends TIME-WAIT by the rules of RFC 6191 section 2; the connection
 *   is then deleted, and the listener sees the SYN. A SYN that those rules drop silently gets the
 *   challenge ACK of RFC 5961, which is newer, so that a client which lost its state can reset us.
 *
 * CHOICE K (step 7). No ACK is delayed here: the first segments of a connection are answered one
 *   by one (RFC 5681 section 4.2 allows both).
 *
 * CHOICE L (steps 7 and 8). A FIN behind a hole is kept with the text that came; it is processed
 *   when the hole is filled.
 *
 * CHOICE M (step 4, SYN-RECEIVED). "If the SYN is in the window", as RFC 793 said, is taken to mean
 *   its own sequence number: text behind an old SYN must not end a half-open connection.
 *
 * CHOICE N (step 2, CLOSING and LAST-ACK). The text tells the user nothing; but data or a FIN of
 *   ours is not acknowledged yet, so that the owner hears of the reset, as with other TCPs.
 */
#include "tests/matrix/oracle.h"

/* a < b, a <= b in sequence space, section 3.4. */
static bool lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool le(uint32_t a, uint32_t b)
{
	return a == b || lt(a, b);
}

static bool has(const struct tcp_seg *s, uint8_t flag)
{
	return s->flags & flag;
}

/* SEG.LEN: text, SYN and FIN. */
static uint32_t seg_len(const struct tcp_seg *s)
{
	return s->len + has(s, TCP_SYN) + has(s, TCP_FIN);
}

/* Nothing changes. */
static struct outcome unchanged(const struct tcb *t, const char *section)
{
	return (struct outcome){.state = t->state,
				.una = t->una,
				.rcv_nxt = t->rcv_nxt,
				.wnd = t->wnd,
				.ts_recent = t->ts_recent,
				.section = section};
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, and the segment is dropped. */
static struct outcome ack_and_drop(const struct tcb *t, const char *section)
{
	struct outcome o = unchanged(t, section);

	o.reply = AN_ACK;
	o.reply_seq = t->nxt;
	o.reply_ack = t->rcv_nxt;
	return o;
}

/* <SEQ=SEG.ACK><CTL=RST>. */
static struct outcome rst_for_ack(const struct tcb *t, const struct tcp_seg *s, const char *section)
{
	struct outcome o = unchanged(t, section);

	o.reply = A_RST;
	o.reply_seq = s->ack;
	return o;
}

/* The TCB is deleted. */
static struct outcome closed(const struct tcb *t, bool aborted, const char *section)
{
	struct outcome o = unchanged(t, section);

	o.state = TCP_S_CLOSED;
	o.aborted = aborted;
	return o;
}

/* 3.10.7.1: CLOSED STATE. */
static struct outcome closed_state(const struct tcb *t, const struct tcp_seg *s)
{
	struct outcome o = unchanged(t, "3.10.7.1");

	if (has(s, TCP_RST))
		return o;
	if (has(s, TCP_ACK))
		return rst_for_ack(t, s, "3.10.7.1");
	o.reply = A_RST_ACK;
	o.reply_seq = 0;
	o.reply_ack = s->seq + seg_len(s);
	return o;
}

/* 3.10.7.2: LISTEN STATE. */
static struct outcome listen_state(const struct tcb *t, const struct tcp_seg *s)
{
	struct outcome o = unchanged(t, "3.10.7.2 fourth");

	if (has(s, TCP_RST)) /* first */
		return unchanged(t, "3.10.7.2 first");
	if (has(s, TCP_ACK)) /* second */
		return rst_for_ack(t, s, "3.10.7.2 second");
	if (!has(s, TCP_SYN)) /* fourth: anything else is not likely, drop */
		return o;
	o.section = "3.10.7.2 third"; /* CHOICE D */
	o.state = TCP_S_SYN_RCVD;
	o.reply = A_SYN_ACK;
	o.reply_ack = s->seq + 1;
	return o;
}

/* Is the number inside the window? An empty window has its left edge (MUST-66). */
static bool in_window(const struct tcb *t, uint32_t seq)
{
	return t->rcv_wnd ? seq - t->rcv_nxt < t->rcv_wnd : seq == t->rcv_nxt;
}

/* Table 6 of section 3.4, literally. */
static bool table6(const struct tcb *t, const struct tcp_seg *s)
{
	uint32_t len = seg_len(s);

	if (!len)
		return in_window(t, s->seq);
	if (!t->rcv_wnd)
		return false;
	return in_window(t, s->seq) || in_window(t, s->seq + len - 1);
}

/* CHOICES A, B and C. */
static bool acceptable(const struct tcb *t, const struct tcp_seg *s)
{
	uint32_t edge = t->rcv_nxt + t->rcv_wnd;

	return table6(t, s) || s->seq == edge || s->seq + seg_len(s) == t->rcv_nxt ||
	       (lt(s->seq, t->rcv_nxt) && lt(t->rcv_nxt, s->seq + seg_len(s)));
}

/* Step 2, with RFC 5961 section 3.2. */
static struct outcome step2_rst(const struct tcb *t, const struct tcp_seg *s)
{
	if (!in_window(t, s->seq))
		return unchanged(t, "3.10.7.4 second, RFC 5961 3.2: outside");
	if (s->seq != t->rcv_nxt)
		return ack_and_drop(t, "3.10.7.4 second, RFC 5961 3.2: challenge");
	switch (t->state) {
	case TCP_S_SYN_RCVD: /* back to LISTEN without telling, or "connection refused" */
		return closed(t, !t->passive, "3.10.7.4 second, SYN-RECEIVED");
	case TCP_S_ESTABLISHED:
	case TCP_S_FIN_WAIT_1:
	case TCP_S_FIN_WAIT_2:
	case TCP_S_CLOSE_WAIT:
		return closed(t, true, "3.10.7.4 second, ESTABLISHED");
	default: /* CLOSING, LAST-ACK, TIME-WAIT; CHOICE N */
		return closed(t, t->state != TCP_S_TIME_WAIT, "3.10.7.4 second, CLOSING");
	}
}

/* Step 4, with RFC 5961 section 4.2. */
static struct outcome step4_syn(const struct tcb *t, const struct tcp_seg *s)
{
	if (t->state == TCP_S_SYN_RCVD && t->passive && in_window(t, s->seq)) /* CHOICE M */
		return closed(t, false, "3.10.7.4 fourth, SYN-RECEIVED");     /* back to LISTEN */
	return ack_and_drop(t, "3.10.7.4 fourth, RFC 5961 4.2: challenge");
}

/* CHOICE J. */
static bool reopens(const struct tcb *t, const struct tcp_seg *s)
{
	bool later = lt(t->rcv_nxt, s->seq); /* beyond the last number seen, our count of the FIN */

	if (t->state != TCP_S_TIME_WAIT || !has(s, TCP_SYN) || has(s, TCP_RST) || has(s, TCP_ACK))
		return false;
	if (!s->has_ts)
		return later;
	if (!t->ts)
		return true; /* "the new incarnation uses timestamps, the old one did not" */
	return lt(t->ts_recent, s->tsval) || (t->ts_recent == s->tsval && later);
}

/* Step 8 for a FIN that is in order. */
static enum tcp_state after_fin(enum tcp_state state)
{
	switch (state) {
	case TCP_S_ESTABLISHED:
		return TCP_S_CLOSE_WAIT;
	case TCP_S_FIN_WAIT_1: /* our FIN is not acknowledged, else it were FIN-WAIT-2 by now */
		return TCP_S_CLOSING;
	case TCP_S_FIN_WAIT_2:
		return TCP_S_TIME_WAIT;
	default:
		return state;
	}
}

/* Steps 7 and 8; *o is what the steps before made of it. */
static void text_and_fin(const struct tcb *t, const struct tcp_seg *s, struct outcome *o)
{
	uint32_t start = s->seq + has(s, TCP_SYN), end = start + s->len;
	uint32_t edge = t->rcv_nxt + t->rcv_wnd;
	bool fin = has(s, TCP_FIN);

	if (!s->len && !fin)
		return;
	if (le(end + fin, t->rcv_nxt)) { /* old, CHOICE A: answered as step 1 says */
		o->reply = AN_ACK;
		o->reply_ack = o->rcv_nxt;
		o->restarts_2msl = fin && end + 1 == t->rcv_nxt && o->state == TCP_S_TIME_WAIT;
		return;
	}
	if (o->state != TCP_S_ESTABLISHED && o->state != TCP_S_FIN_WAIT_1 &&
	    o->state != TCP_S_FIN_WAIT_2)
		return; /* seventh: this should not occur, ignore the text; CHOICE I */
	if (lt(start, t->rcv_nxt))
		start = t->rcv_nxt;
	if (lt(edge, end)) { /* "trimming off any portions that lie outside the window" */
		end = edge;
		fin = false;
	}
	o->reply = AN_ACK; /* CHOICE K; also for what is out of order or does not fit */
	if (lt(start, end)) {
		o->text = start;
		o->text_len = end - start;
	}
	if (start == t->rcv_nxt) {
		o->rcv_nxt = lt(start, end) ? end : start;
		if (fin) { /* eighth */
			o->rcv_nxt++;
			o->state = after_fin(o->state);
		}
	}
	o->reply_ack = o->rcv_nxt; /* CHOICE L: a FIN behind a hole changes nothing yet */
}

/* Step 5 for states beyond SYN-RECEIVED; false: nothing follows. */
static bool step5_ack(const struct tcb *t, const struct tcp_seg *s, struct outcome *o)
{
	bool advances = lt(t->una, s->ack);

	if (advances)
		o->una = s->ack;
	/* "SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)"; CHOICE G */
	if (le(t->una, s->ack) &&
	    (advances || lt(t->wl1, s->seq) || (t->wl1 == s->seq && le(t->wl2, s->ack))))
		o->wnd = s->wnd;
	if (!t->fin_sent || !advances || s->ack != t->nxt)
		return true;
	switch (t->state) {
	case TCP_S_FIN_WAIT_1:
		o->state = TCP_S_FIN_WAIT_2;
		return true;
	case TCP_S_CLOSING:
		o->state = TCP_S_TIME_WAIT;
		return true;
	case TCP_S_LAST_ACK:
		o->state = TCP_S_CLOSED;
		o->section = "3.10.7.4 fifth, LAST-ACK";
		return false;
	default:
		return true;
	}
}

/* RFC 7323 section 4.3 (2): the segment that spans Last.ACK.sent updates TS.Recent. */
static void step_ts(const struct tcb *t, const struct tcp_seg *s, struct outcome *o)
{
	if (t->ts && s->has_ts && le(t->ts_recent, s->tsval) && le(s->seq, t->rcv_nxt))
		o->ts_recent = s->tsval;
}

/* Steps 5 to 8 in a state of its own right. */
static struct outcome steps_5_to_8(const struct tcb *t, const struct tcp_seg *s)
{
	struct outcome o = unchanged(t, "3.10.7.4 eighth");

	if (!has(s, TCP_ACK))
		return unchanged(t, "3.10.7.4 fifth: ACK off");
	if (lt(t->nxt, s->ack) || lt(s->ack, t->una - t->max_wnd)) /* RFC 5961 section 5.2 */
		return ack_and_drop(t, "3.10.7.4 fifth, RFC 5961 5.2");
	step_ts(t, s, &o);
	o.reply_seq = t->nxt;
	if (step5_ack(t, s, &o))
		text_and_fin(t, s, &o);
	return o;
}

/* Step 5 in SYN-RECEIVED: the ACK completes the opening, or is answered by a RST. */
static struct outcome step5_syn_rcvd(const struct tcb *t, const struct tcp_seg *s)
{
	struct tcb est = *t;
	struct outcome o;

	if (!has(s, TCP_ACK))
		return unchanged(t, "3.10.7.4 fifth: ACK off");
	if (!lt(t->una, s->ack) || lt(t->nxt, s->ack))
		return rst_for_ack(t, s, "3.10.7.4 fifth, SYN-RECEIVED");
	est.state = TCP_S_ESTABLISHED;
	est.una = s->ack;
	est.wnd = s->wnd;
	est.wl1 = s->seq;
	est.wl2 = s->ack;
	o = steps_5_to_8(&est, s);
	o.opens = true;
	return o;
}

/* CHOICES E and F: the SYN that opened the connection, once more. */
static struct outcome same_syn(const struct tcb *t, const struct tcp_seg *s)
{
	struct outcome o = unchanged(t, "3.10.7.4, the same SYN");

	if (!t->passive && has(s, TCP_ACK) && s->ack == t->nxt) {
		o.state = TCP_S_ESTABLISHED;
		o.una = s->ack;
		o.wnd = s->wnd;
		o.opens = true;
		o.reply = AN_ACK;
		o.reply_seq = t->nxt;
		o.reply_ack = t->rcv_nxt;
		step_ts(t, s, &o);
		return o;
	}
	o.reply = A_SYN_ACK;
	o.reply_ack = t->rcv_nxt;
	return o;
}

/* 3.10.7.4: OTHER STATES. */
static struct outcome other_states(const struct tcb *t, const struct tcp_seg *s)
{
	bool rst = has(s, TCP_RST);

	if (t->state == TCP_S_SYN_RCVD && has(s, TCP_SYN) && !rst && s->seq + 1 == t->rcv_nxt)
		return same_syn(t, s);
	if (reopens(t, s))
		return closed(t, false, "3.10.7.4 fourth, TIME-WAIT: MAY-2");
	/* PAWS, RFC 7323 section 5.3 R1; a RST is exempt; CHOICE H */
	if (t->ts && s->has_ts && !rst && lt(s->tsval, t->ts_recent))
		return ack_and_drop(t, "RFC 7323 5.3 R1");
	if (!acceptable(t, s)) { /* first */
		struct outcome o = ack_and_drop(t, "3.10.7.4 first");

		o.restarts_2msl = t->state == TCP_S_TIME_WAIT && has(s, TCP_FIN) &&
				  s->seq + seg_len(s) == t->rcv_nxt;
		return rst ? unchanged(t, "3.10.7.4 first: RST") : o;
	}
	if (rst)
		return step2_rst(t, s);
	if (has(s, TCP_SYN))
		return step4_syn(t, s);
	return t->state == TCP_S_SYN_RCVD ? step5_syn_rcvd(t, s) : steps_5_to_8(t, s);
}

/* 3.10.7.3: SYN-SENT STATE. */
static struct outcome syn_sent_state(const struct tcb *t, const struct tcp_seg *s)
{
	bool ack = has(s, TCP_ACK);
	struct tcb est = *t;
	struct outcome o;

	if (ack && (le(s->ack, t->una) || lt(t->nxt, s->ack))) /* first */
		return has(s, TCP_RST) ? unchanged(t, "3.10.7.3 first: RST")
				       : rst_for_ack(t, s, "3.10.7.3 first");
	if (has(s, TCP_RST)) /* second */
		return ack ? closed(t, true, "3.10.7.3 second")
			   : unchanged(t, "3.10.7.3 second: no ACK");
	if (!has(s, TCP_SYN)) /* fifth */
		return unchanged(t, "3.10.7.3 fifth");
	est.rcv_nxt = s->seq + 1; /* fourth */
	est.ts = t->ts && s->has_ts;
	est.ts_recent = s->tsval;
	if (!ack) { /* CHOICE D */
		est.state = TCP_S_SYN_RCVD;
		o = unchanged(&est, "3.10.7.3 fourth: simultaneous");
		o.reply = A_SYN_ACK;
		o.reply_ack = est.rcv_nxt;
		return o;
	}
	est.state = TCP_S_ESTABLISHED;
	est.una = s->ack;
	est.wnd = s->wnd;
	o = unchanged(&est, "3.10.7.3 fourth: opened");
	o.opens = true;
	o.reply = AN_ACK;
	o.reply_seq = t->nxt;
	o.reply_ack = est.rcv_nxt;
	text_and_fin(&est, s, &o); /* "continue processing at the sixth step" */
	return o;
}

struct outcome oracle(const struct tcb *t, const struct tcp_seg *seg)
{
	switch (t->state) {
	case TCP_S_CLOSED:
		return closed_state(t, seg);
	case TCP_S_LISTEN:
		return listen_state(t, seg);
	case TCP_S_SYN_SENT:
		return syn_sent_state(t, seg);
	default:
		return other_states(t, seg);
	}
}
