/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df_trace.c - reads traces. One command per line; # begins a comment.
 *
 *	handshake [nosack] [nots] [nowscale] [mss N]
 *	    the peer opens at 0 ms and completes it at 10 ms
 *	MS > FLAGS [seq N] [len N] [ack N] [win N] [sack A-B]... [ts N] [nots]
 *	     [mss N] [wscale N] [sackok]
 *	    the peer sends. FLAGS as tcpdump writes them: S F R P . U E W, or 0 for none. seq
 *	    defaults to what the peer has not sent yet, ack and win to what they were; ts N
 *	    shifts the peer's timestamp by N ms
 *	MS write N | shutdown | connect
 *	    what the program does. It reads everything at once.
 *	MS end
 *	differs NAME
 *	    what follows is expected to differ and explained by the row NAME of the table:
 *	    - TEXT only the kernel, + TEXT only the core, ~ TEXT at different times
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "df.h"

/** State of a trace being read. */
struct reader {
	struct df_trace *t;
	uint32_t seq, ack; /* defaults */
	uint16_t win;	   /* default */
	bool ts;	   /* segments carry timestamps */
	char id[DF_NAME];  /* difference being declared */
};

static bool parse_flags(const char *text, uint8_t *flags)
{
	static const char letters[] = "FSRP.UEW";

	*flags = 0;
	for (; *text; text++) {
		const char *at = strchr(letters, *text);

		if (!at)
			return *text == '0' && !text[1];
		*flags |= (uint8_t)(1 << (at - letters));
	}
	return true;
}

static struct df_step *new_step(struct reader *r, uint32_t ms, enum df_do what)
{
	struct df_step *s;

	if (r->t->n_step == DF_STEPS || (r->t->n_step && r->t->step[r->t->n_step - 1].ms > ms))
		return NULL; /* too many, or back in time */
	s = &r->t->step[r->t->n_step++];
	*s = (struct df_step){.ms = ms, .what = what};
	return s;
}

static bool seg_sack(struct tcp_seg *seg, const char *value)
{
	struct tcp_range *r = &seg->sack[seg->n_sack];

	return seg->n_sack < TCP_MAX_SACK && sscanf(value, "%u-%u", &r->start, &r->end) == 2 &&
	       ++seg->n_sack;
}

/* One "name value" of a segment. Returns false when it is none. */
static bool seg_value(struct reader *r, struct df_step *s, const char *name, const char *value)
{
	uint32_t v = (uint32_t)strtol(value, NULL, 0);

	if (strcmp(name, "seq") == 0)
		s->seg.seq = v;
	else if (strcmp(name, "len") == 0)
		s->seg.len = v;
	else if (strcmp(name, "ack") == 0)
		s->seg.ack = r->ack = v;
	else if (strcmp(name, "win") == 0)
		s->seg.wnd = r->win = (uint16_t)v;
	else if (strcmp(name, "ts") == 0)
		s->ts_shift = (int32_t)v;
	else if (strcmp(name, "mss") == 0)
		s->seg.mss = (uint16_t)v;
	else if (strcmp(name, "wscale") == 0)
		s->seg.wscale = (uint8_t)v;
	else if (strcmp(name, "sack") == 0)
		return seg_sack(&s->seg, value);
	else
		return false;
	s->seg.has_wscale |= strcmp(name, "wscale") == 0;
	return true;
}

/* The rest of a segment's line. */
static bool parse_seg(struct reader *r, uint32_t ms, char *save)
{
	struct df_step *s = new_step(r, ms, DF_SEG);
	char *word = strtok_r(NULL, " \t\n", &save);
	uint32_t end;

	if (!s || !word || !parse_flags(word, &s->seg.flags))
		return false;
	s->seg.seq = r->seq;
	s->seg.ack = r->ack;
	s->seg.wnd = r->win;
	s->seg.has_ts = r->ts;
	while ((word = strtok_r(NULL, " \t\n", &save))) {
		if (strcmp(word, "nots") == 0)
			s->seg.has_ts = false;
		else if (strcmp(word, "sackok") == 0)
			s->seg.sack_ok = true;
		else if (!seg_value(r, s, word, strtok_r(NULL, " \t\n", &save) ?: ""))
			return false;
	}
	end = s->seg.seq + s->seg.len + !!(s->seg.flags & TCP_SYN) + !!(s->seg.flags & TCP_FIN);
	if (tcp_lt(r->seq, end) && end - r->seq < 65536)
		r->seq = end;
	return true;
}

/* A SYN and the ACK of the answer. */
static bool handshake(struct reader *r, char *save)
{
	struct df_step *syn = new_step(r, 0, DF_SEG), *ack;
	char *word;

	if (!syn)
		return false;
	syn->seg = (struct tcp_seg){.flags = TCP_SYN,
				    .wnd = 65535,
				    .mss = 1460,
				    .has_wscale = true,
				    .wscale = 7,
				    .sack_ok = true,
				    .has_ts = true};
	while ((word = strtok_r(NULL, " \t\n", &save))) {
		if (strcmp(word, "nosack") == 0)
			syn->seg.sack_ok = false;
		else if (strcmp(word, "nots") == 0)
			syn->seg.has_ts = false;
		else if (strcmp(word, "nowscale") == 0)
			syn->seg.has_wscale = false;
		else if (strcmp(word, "mss") == 0)
			syn->seg.mss = (uint16_t)atoi(strtok_r(NULL, " \t\n", &save) ?: "0");
		else
			return false;
	}
	r->ts = syn->seg.has_ts;
	r->seq = r->ack = 1;
	ack = new_step(r, 10, DF_SEG);
	ack->seg = (struct tcp_seg){
		.flags = TCP_ACK, .seq = 1, .ack = 1, .wnd = r->win, .has_ts = r->ts};
	return true;
}

static bool timed(struct reader *r, char *word, char *save)
{
	uint32_t ms = (uint32_t)atoi(word);
	struct df_step *s;

	word = strtok_r(NULL, " \t\n", &save);
	if (!word)
		return false;
	if (strcmp(word, ">") == 0)
		return parse_seg(r, ms, save);
	if (strcmp(word, "write") == 0) {
		s = new_step(r, ms, DF_WRITE);
		word = strtok_r(NULL, " \t\n", &save);
		if (!s || !word)
			return false;
		s->n = (uint32_t)atoi(word);
		return true;
	}
	if (strcmp(word, "connect") == 0) {
		r->t->active = true;
		return new_step(r, ms, DF_CONNECT);
	}
	if (strcmp(word, "shutdown") == 0)
		return new_step(r, ms, DF_SHUTDOWN);
	return strcmp(word, "end") == 0 && new_step(r, ms, DF_END);
}

static bool declare(struct reader *r, const char *line)
{
	struct df_diff *d = &r->t->diff[r->t->n_diff];
	const char *text = line + 1 + strspn(line + 1, " ");

	if (!r->id[0] || r->t->n_diff == DF_LINES)
		return false;
	r->t->n_diff++;
	memcpy(d->id, r->id, DF_NAME);
	snprintf(d->text, DF_TEXT, "%c%.*s", line[0], (int)strcspn(text, "\n"), text);
	return true;
}

static bool parse_line(struct reader *r, char *line)
{
	char *save, *word;

	if (strchr("-+~", line[0]))
		return declare(r, line);
	word = strtok_r(line, " \t\n", &save);
	if (!word || word[0] == '#')
		return true;
	if (isdigit((unsigned char)word[0]))
		return timed(r, word, save);
	if (strcmp(word, "handshake") == 0)
		return handshake(r, save);
	if (strcmp(word, "differs") != 0)
		return false;
	word = strtok_r(NULL, " \t\n", &save);
	return word && snprintf(r->id, DF_NAME, "%s", word) < DF_NAME;
}

int df_trace_read(struct df_trace *t, const char *file)
{
	struct reader r = {.t = t, .win = 1000, .ts = true};
	const char *base = strrchr(file, '/');
	char line[512];
	FILE *f = fopen(file, "r");
	unsigned int number = 0;

	if (!f) {
		perror(file);
		return EINVAL;
	}
	memset(t, 0, sizeof(*t));
	base = base ? base + 1 : file;
	snprintf(t->name, sizeof(t->name), "%.*s", (int)strcspn(base, "."), base);
	while (fgets(line, sizeof(line), f)) {
		number++;
		if (line[0] == '\0' || parse_line(&r, line))
			continue;
		fprintf(stderr, "%s:%u: not understood\n", file, number);
		fclose(f);
		return EINVAL;
	}
	fclose(f);
	if (!t->n_step || t->step[t->n_step - 1].what != DF_END) {
		fprintf(stderr, "%s: no end\n", file);
		return EINVAL;
	}
	return 0;
}
