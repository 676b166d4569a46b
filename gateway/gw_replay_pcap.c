/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gw_replay_pcap.c - captures as lists of packets in memory: pcap and pcapng read, pcap written
 * (by libpcap, times in microseconds).
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gw_replay.h"

#define SNAP 65535

int gw_rep_list_add(struct gw_rep_list *l, uint64_t us, const struct iovec *v, int n)
{
	struct gw_rep_pkt *p;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += v[i].iov_len;
	if (l->n == l->room) {
		uint32_t room = l->room ? l->room * 2 : 64;

		p = realloc(l->v, room * sizeof(*p));
		if (!p)
			return ENOMEM;
		l->v = p;
		l->room = room;
	}
	p = &l->v[l->n];
	p->us = us;
	p->len = 0;
	p->data = malloc(len + 1);
	if (!p->data)
		return ENOMEM;
	for (int i = 0; i < n; i++) {
		memcpy(p->data + p->len, v[i].iov_base, v[i].iov_len);
		p->len += (uint32_t)v[i].iov_len;
	}
	l->n++;
	return 0;
}

int gw_rep_list_read(struct gw_rep_list *l, const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc = 0, got;
	pcap_t *pc;

	if (access(path, F_OK))
		return ENOENT;
	pc = pcap_open_offline(path, text);
	if (!pc) {
		fprintf(stderr, "%s: %s\n", path, text);
		return EINVAL;
	}
	l->dlt = pcap_datalink(pc);
	while (rc == 0 && (got = pcap_next_ex(pc, &h, &data)) == 1) {
		struct iovec v = {(void *)(uintptr_t)data, h->caplen};

		rc = gw_rep_list_add(l, (uint64_t)h->ts.tv_sec * 1000000 + (uint64_t)h->ts.tv_usec,
				     &v, 1);
	}
	if (rc == 0 && got == PCAP_ERROR) {
		fprintf(stderr, "%s: %s\n", path, pcap_geterr(pc));
		rc = EINVAL;
	}
	pcap_close(pc);
	return rc;
}

int gw_rep_list_write(const struct gw_rep_list *l, const char *path)
{
	pcap_t *pc = pcap_open_dead(l->dlt, SNAP);
	pcap_dumper_t *d = pc ? pcap_dump_open(pc, path) : NULL;
	int rc = 0;

	for (uint32_t i = 0; d && i < l->n; i++) {
		const struct gw_rep_pkt *p = &l->v[i];
		struct pcap_pkthdr h = {.caplen = p->len, .len = p->len};

		h.ts.tv_sec = (time_t)(p->us / 1000000);
		h.ts.tv_usec = (suseconds_t)(p->us % 1000000);
		pcap_dump((u_char *)d, &h, p->data);
	}
	if (!d || pcap_dump_flush(d))
		rc = errno ? errno : EIO;
	if (d)
		pcap_dump_close(d);
	if (pc)
		pcap_close(pc);
	return rc;
}

void gw_rep_list_free(struct gw_rep_list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		free(l->v[i].data);
	free(l->v);
	memset(l, 0, sizeof(*l));
}
