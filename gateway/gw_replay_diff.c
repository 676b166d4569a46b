/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_diff.c - the outputs of a case against those in its folder: packet by packet, time by
 * time, byte by byte, but for fields that a `mask` line names. The first difference is shown as
 * tshark shows the packets, or in hexadecimal where there is no tshark.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/gw_replay.h"
#include "tcpstack/net_wire.h"

#define ERF_HEAD 16u /* ahead of the LRH in a record */
#define LRH_LEN	 8u
#define GRH_LEN	 40u
#define BTH_LEN	 12u
#define DETH_LEN 8u
#define CRCS	 6u /* ICRC and VCRC */
#define LINES	 2000

/** A packet with its masked fields wiped. */
struct wiped {
	uint64_t us;
	uint32_t len;
	uint8_t data[GW_REP_PATH + 65536];
};

static void wipe(struct wiped *w, uint32_t off, uint32_t len)
{
	if (off < w->len)
		memset(w->data + off, 0, RTE_MIN(len, w->len - off));
}

/* Where the Ethernet frame of a packet begins; UINT32_MAX: it has none. */
static uint32_t frame_at(const struct wiped *w, bool fabric)
{
	uint32_t at = ERF_HEAD;

	if (!fabric)
		return 0;
	if (w->len < ERF_HEAD + LRH_LEN + GRH_LEN + BTH_LEN + DETH_LEN)
		return UINT32_MAX;
	at += LRH_LEN + ((w->data[at + 1] & 3) == 3 ? GRH_LEN : 0);
	if (w->data[at] != PKT_UD_SEND)
		return UINT32_MAX;
	return at + BTH_LEN + DETH_LEN + (uint32_t)sizeof(struct ib_encap);
}

/* Wipes the timestamps option of a segment. */
static void wipe_ts(struct wiped *w, uint32_t tcp)
{
	uint32_t end = tcp + (w->data[tcp + 12] >> 4) * 4u;

	for (uint32_t at = tcp + NET_TCP_HLEN; at + 1 < end && at + 1 < w->len;) {
		if (w->data[at] == 8)
			wipe(w, at + 2, 8);
		at += w->data[at] <= 1 ? 1 : RTE_MAX(w->data[at + 1], 2u);
	}
}

/* Wipes a field of the Ethernet frame at `at`. False: no such field. */
static bool wipe_frame(struct wiped *w, uint32_t at, const char *field)
{
	struct net_pkt p;
	bool ok = at < w->len && net_parse(w->data + at, w->len - at, 0, &p) == NET_PERR_OK;
	uint32_t l3 = ok ? at + p.l3_off : UINT32_MAX, l4 = ok ? at + p.l4_off : UINT32_MAX;
	bool tcp = ok && p.proto == NET_PROTO_TCP && p.l4_off;
	static const struct {
		const char *name;
		uint32_t off, len;
	} of_tcp[] = {{"tcp.seq", 4, 4}, {"tcp.ack", 8, 4}, {"tcp.win", 14, 2}};

	if (strcmp(field, "eth.src") == 0 || strcmp(field, "eth.dst") == 0) {
		wipe(w, at + (field[4] == 's' ? 6 : 0), 6);
		return true;
	}
	if (strcmp(field, "ip.id") == 0 || strcmp(field, "ip.ttl") == 0) {
		if (ok && p.ethertype == NET_ETHERTYPE_IP4) {
			wipe(w, l3 + (field[3] == 'i' ? 4 : 8), field[3] == 'i' ? 2 : 1);
			wipe(w, l3 + 10, 2);
		}
		return true;
	}
	for (size_t i = 0; i < RTE_DIM(of_tcp); i++)
		if (strcmp(field, of_tcp[i].name) == 0) {
			if (tcp) {
				wipe(w, l4 + of_tcp[i].off, of_tcp[i].len);
				wipe(w, l4 + 16, 2);
			}
			return true;
		}
	if (strcmp(field, "tcp.ts") == 0) {
		if (tcp) {
			wipe_ts(w, l4);
			wipe(w, l4 + 16, 2);
		}
		return true;
	}
	return false;
}

/* Wipes one field. False: no such field. */
static bool wipe_field(struct wiped *w, bool fabric, const char *field)
{
	unsigned int off, len;

	if (strcmp(field, "time") == 0) {
		w->us = 0;
		if (fabric)
			wipe(w, 0, 8);
		return true;
	}
	if (sscanf(field, "@%u+%u", &off, &len) == 2) {
		wipe(w, off, len);
		return true;
	}
	if (fabric && strcmp(field, "psn") == 0) {
		wipe(w, ERF_HEAD + LRH_LEN + 9 + ((w->data[ERF_HEAD + 1] & 3) == 3 ? GRH_LEN : 0),
		     3);
		return true;
	}
	return wipe_frame(w, frame_at(w, fabric), field);
}

/* A packet without what the masks of its stream name. */
static void wiped_of(struct gw_rep *r, const char *stream, bool fabric, const struct gw_rep_pkt *p,
		     struct wiped *w)
{
	bool any = false;

	w->us = p->us;
	w->len = RTE_MIN(p->len, (uint32_t)sizeof(w->data));
	memcpy(w->data, p->data, w->len);
	for (uint32_t i = 0; i < r->expect.n; i++) {
		const struct gw_rep_line *l = &r->expect.line[i];

		if (strcmp(l->word[0], "mask") || l->n < 3 ||
		    (strcmp(l->word[1], stream) && strcmp(l->word[1], "all")))
			continue;
		for (uint32_t k = 2; k < l->n; k++, any = true)
			if (!wipe_field(w, fabric, l->word[k]))
				gw_rep_fail_at(r, &r->expect, l, "mask: %s: no such field",
					       l->word[k]);
	}
	if (any && fabric && w->len > CRCS)
		wipe(w, w->len - CRCS, CRCS);
}

/* --- showing ----------------------------------------------------------------------------- */

/* Lines that tshark prints of packet `number` of a file, from 1; how many, 0: no tshark. */
static uint32_t dissect(const char *file, uint32_t number, char *line[LINES])
{
	char filter[64], *text = NULL;
	size_t room = 0;
	uint32_t n = 0;
	int fd[2];
	pid_t pid;
	FILE *f;

	if (pipe(fd))
		return 0;
	snprintf(filter, sizeof(filter), "frame.number==%u", number);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execlp("tshark", "tshark", "-n", "--disable-heuristic", "rpcrdma_infiniband", "-r",
		       file, "-V", "-Y", filter, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	while (f && n < LINES && getline(&text, &room, f) > 0)
		line[n++] = strdup(text);
	free(text);
	if (f)
		fclose(f);
	waitpid(pid, NULL, 0);
	return n;
}

static bool has_line(char *const line[LINES], uint32_t n, const char *text)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(line[i], text) == 0)
			return true;
	return false;
}

/* What is in one packet and not in the other. */
static void show_lines(char *const a[LINES], uint32_t na, char *const b[LINES], uint32_t nb,
		       char sign)
{
	for (uint32_t i = 0; i < na; i++)
		if (!has_line(b, nb, a[i]) && !strstr(a[i], "Time") && !strstr(a[i], "time"))
			fprintf(stderr, "  %c %s", sign, a[i]);
}

static void show_hex(const char *what, const struct gw_rep_pkt *p)
{
	fprintf(stderr, "  %s:", what);
	for (uint32_t i = 0; p && i < RTE_MIN(p->len, 160u); i++)
		fprintf(stderr, " %02x", p->data[i]);
	fputs(p ? "\n" : " none\n", stderr);
}

static void show(const char *want_file, const char *got_file, uint32_t i,
		 const struct gw_rep_list *want, const struct gw_rep_list *got)
{
	char **a = calloc(LINES, sizeof(*a)), **b = calloc(LINES, sizeof(*b));
	uint32_t na = 0, nb = 0;

	if (a && b) {
		na = i < want->n ? dissect(want_file, i + 1, a) : 0;
		nb = i < got->n ? dissect(got_file, i + 1, b) : 0;
	}
	if (na || nb) {
		show_lines(a, na, b, nb, '-');
		show_lines(b, nb, a, na, '+');
	} else {
		show_hex("expected", i < want->n ? &want->v[i] : NULL);
		show_hex("found", i < got->n ? &got->v[i] : NULL);
	}
	for (uint32_t k = 0; k < na; k++)
		free(a[k]);
	for (uint32_t k = 0; k < nb; k++)
		free(b[k]);
	free(a);
	free(b);
}

/* --- comparing --------------------------------------------------------------------------- */

/* Index of the first difference; UINT32_MAX: none. */
static uint32_t difference(struct gw_rep *r, const char *stream, bool fabric,
			   const struct gw_rep_list *want, const struct gw_rep_list *got)
{
	static struct wiped a, b;
	uint32_t n = RTE_MAX(want->n, got->n);

	for (uint32_t i = 0; i < n; i++) {
		if (i >= want->n || i >= got->n)
			return i;
		wiped_of(r, stream, fabric, &want->v[i], &a);
		wiped_of(r, stream, fabric, &got->v[i], &b);
		if (a.us != b.us || a.len != b.len || memcmp(a.data, b.data, a.len))
			return i;
	}
	return UINT32_MAX;
}

static void record(struct gw_rep *r, const char *path, const struct gw_rep_list *got)
{
	int rc = 0;

	if (got->n)
		rc = gw_rep_list_write(got, path);
	else
		unlink(path);
	if (rc)
		gw_rep_fail(r, "%s: %s", path, strerror(rc));
}

static void compare(struct gw_rep *r, const char *stream, const struct gw_rep_list *got)
{
	char want_file[GW_REP_PATH + 96], got_file[GW_REP_PATH + 96];
	bool fabric = got->dlt == DLT_ERF;
	struct gw_rep_list want = {0};
	uint32_t i;
	int rc;

	snprintf(want_file, sizeof(want_file), "%s/%s-out.pcap", r->dir, stream);
	snprintf(got_file, sizeof(got_file), "%s/%s-out.got.pcap", r->work, stream);
	if (gw_rep_list_write(got, got_file))
		gw_rep_fail(r, "%s cannot be written", got_file);
	if (r->record) {
		if (!r->failed)
			record(r, want_file, got);
		return;
	}
	rc = gw_rep_list_read(&want, want_file);
	if (rc && rc != ENOENT) {
		gw_rep_fail(r, "%s cannot be read", want_file);
		return;
	}
	i = difference(r, stream, fabric, &want, got);
	if (i != UINT32_MAX) {
		gw_rep_fail(r, "%s: packet %u of %u differs (%u expected), at %.6f s:", stream,
			    i + 1, got->n, want.n,
			    (double)(i < got->n	  ? got->v[i].us
				     : i < want.n ? want.v[i].us
						  : 0) /
				    1e6);
		if (i < got->n && i < want.n && got->v[i].us != want.v[i].us)
			fprintf(stderr, "  - at %.6f s\n  + at %.6f s\n",
				(double)want.v[i].us / 1e6, (double)got->v[i].us / 1e6);
		show(want_file, got_file, i, &want, got);
	}
	gw_rep_list_free(&want);
}

void gw_rep_compare(struct gw_rep *r)
{
	for (uint32_t i = 0; i < r->cfg->n_port; i++)
		if (r->port[i].open)
			compare(r, r->port[i].file, &r->port[i].out);
	compare(r, "fabric", &r->fabric);
}
