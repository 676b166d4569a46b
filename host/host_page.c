/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_page.c - the policy page: what the gateways offer to accelerate, for the addresses of this
 * host. Programs read it under a sequence lock; they map it through a read-only descriptor of a
 * memfd that is sealed against any other writer.
 */
#include "host/host_page.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host_daemon.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

int host_page_open(struct host_page *p, uint32_t rx_size)
{
	const size_t size = sizeof(*p->page);
	char path[64];
	int rc;

	p->ro_fd = -1;
	p->page = MAP_FAILED;
	p->memfd = memfd_create("tag-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->memfd < 0)
		return errno;
	if (ftruncate(p->memfd, (off_t)size) == 0)
		p->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->memfd, 0);
	if (p->page == MAP_FAILED)
		goto err_close;
	fcntl(p->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->memfd);
	p->ro_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->ro_fd < 0)
		goto err_close;
	p->page->magic = HOST_POLICY_MAGIC;
	p->page->rx_size = rx_size;
	return 0;

err_close:
	rc = errno;
	host_page_close(p);
	return rc;
}

void host_page_close(struct host_page *p)
{
	if (p->page && p->page != MAP_FAILED) {
		/* Programs keep their mapping: let them ask, and find our successor. */
		p->page->gateway_up = 1;
		munmap(p->page, sizeof(*p->page));
	}
	if (p->memfd > 0)
		close(p->memfd);
	if (p->ro_fd > 0)
		close(p->ro_fd);
	memset(p, 0, sizeof(*p));
}

/* A service concerns us when it names one of our addresses or none. */
static bool page_wants(const struct host *h, const struct host_policy_entry *e)
{
	static const uint8_t any[16];
	struct net_addr a;

	memcpy(a.b, e->addr, 16);
	return memcmp(e->addr, any, 16) == 0 || host_conf_owns(&h->conf, &a);
}

/* What programs read between these two they read again. */
static void begin(struct host_policy_page *p)
{
	atomic_fetch_add_explicit(&p->seq, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void end(struct host_policy_page *p)
{
	atomic_thread_fence(memory_order_seq_cst);
	atomic_fetch_add_explicit(&p->seq, 1, memory_order_relaxed);
}

void host_page_update(struct host *h)
{
	struct host_policy_page *p = h->page.page;
	uint32_t n = 0, up = 0;

	begin(p);
	for (unsigned int i = 0; i < h->n_gw; i++) {
		const struct host_gw *g = &h->gw[i];

		if (g->state != HOST_G_UP)
			continue;
		up = 1;
		for (unsigned int k = 0; k < g->n_services && n < HOST_POLICY_MAX; k++)
			if (page_wants(h, &g->services[k]))
				p->e[n++] = g->services[k];
	}
	if (up) /* else the last known ones stay, and gateway_up says not to ask */
		p->n = n;
	p->gateway_up = up && !h->stopping && h->conf.max_accel > 0;
	end(p);
}

void host_page_ask(struct host_page *pg, const struct net_flow *key)
{
	struct host_policy_page *p = pg->page;
	const uint32_t n = atomic_load_explicit(&p->n_asks, memory_order_relaxed);
	struct host_policy_ask *a = &p->ask[n % HOST_ASKS_MAX];

	begin(p);
	memcpy(a->remote, key->remote.b, 16);
	memcpy(a->local, key->local.b, 16);
	a->rport = key->rport;
	a->lport = key->lport;
	atomic_store_explicit(&p->n_asks, n + 1, memory_order_relaxed);
	end(p);
}

enum host_policy host_page_lookup(const struct host_page *p, const struct net_addr *addr,
				  uint16_t port)
{
	static const uint8_t any[16];

	for (uint32_t i = 0; i < p->page->n; i++) {
		const struct host_policy_entry *e = &p->page->e[i];

		if ((memcmp(e->addr, any, 16) == 0 || memcmp(e->addr, addr->b, 16) == 0) &&
		    (!e->port || e->port == ntohs(port)))
			return (enum host_policy)e->policy;
	}
	return HOST_POLICY_OFF;
}

int host_policy_parse(const char *name)
{
	static const char *const names[] = {
#define _(sym, name) [HOST_POLICY_##sym] = name,
		HOST_FOREACH_POLICY(_)
#undef _
	};

	for (int i = 0; i < HOST_POLICY_COUNT; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}
