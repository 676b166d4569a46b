/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_main.c - taghostd, the connection acceleration driver of a server on the fabric.
 *
 * Theory of operation
 *
 * The server's address lives on a TAP (host_tap.c), so the kernel's TCP/IP is the server's TCP/IP.
 * Frames travel between the TAP and the gateway's workers over one UD queue pair (host_native.c);
 * host_steer.c decides per flow what becomes of each. Programs under tagrun offer their sockets
 * (host_ipcd.c); host_takeover.c freezes the kernel's socket, asks the gateway, and commits. From
 * then on the payload moves by RDMA between the gateway and the rings that the program shares
 * with us (host_arena.c), and taghostd is not on the path: it wakes the program (host_wake.c),
 * rings the doorbell, and keeps the kernel's socket still (host_kernel.c). When the connection
 * comes back (host_back.c) numbers are translated at the TAP, and bytes are pumped between the
 * rings and the kernel's socket (host_pump.c) until both sides have closed.
 *
 * One thread and one loop (host_loop.c); nothing blocks in it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/host_loop.h"
#include "host/host_notify.h"

#define DEFAULT_CONF "/etc/tag/taghostd.conf"
#define FLOWS	     65536 /* native flows remembered */
#define CQ_DEPTH     16384 /* completions at once; less when the device has less */

static void usage(FILE *to)
{
	fputs("usage: taghostd [-c FILE] [-t | -V | -h]\n"
	      "  -c FILE  configuration (taghostd.conf(5)) instead of " DEFAULT_CONF "\n"
	      "  -t       check the configuration and exit: 0 it is good, 2 it is not\n"
	      "  -V       print the version\n",
	      to);
}

/* As many descriptors as we may have: each connection takes three. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 65536) {
		r.rlim_cur = r.rlim_max < 65536 ? r.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int open_fabric(struct host *h, char err[IB_ERRLEN])
{
	int depth = CQ_DEPTH;
	int rc = ib_dev_open(&h->dev, h->conf.device, (uint8_t)h->conf.port,
			     (uint8_t)h->conf.gid_index, err);

	if (rc)
		return rc;
	if (depth > h->dev.attr.max_cqe)
		depth = h->dev.attr.max_cqe;
	rc = ib_cq_open(&h->cq, &h->dev, depth, true);
	if (rc) {
		ib_explain(rc, "creating the completion queue", err);
		return rc;
	}
	return host_native_open(h, err);
}

/* Everything; a sentence in err on failure. */
static int host_open(struct host *h, char err[IB_ERRLEN])
{
	int rc;

	h->loop = ev_default_loop(EVFLAG_AUTO);
	h->tap.fd = h->epd = h->ipc.fd = -1;
	LIST_INIT(&h->conns.list);
	snprintf(err, IB_ERRLEN, "out of memory");
	if (!h->loop || getrandom(&h->epoch, sizeof(h->epoch), 0) < 0)
		return ENOMEM;
	h->epoch |= 1; /* never 0 */
	rc = host_flows_open(&h->flows, FLOWS);
	if (!rc)
		rc = host_conns_open(h);
	if (!rc)
		rc = host_page_open(&h->page, h->conf.rx_ring);
	if (!rc)
		rc = host_tap_open(&h->tap, &h->conf, err, IB_ERRLEN);
	if (!rc)
		rc = open_fabric(h, err);
	if (!rc)
		rc = host_ipc_open(h, err, IB_ERRLEN);
	if (!rc)
		rc = host_loop_open(h);
	for (unsigned int i = 0; !rc && i < h->conf.n_gw; i++) {
		h->n_gw = i + 1;
		rc = host_gw_start(h, &h->gw[i], &h->conf.gw[i], i);
	}
	return rc;
}

static void host_close(struct host *h)
{
	host_conn_kill_all(h);
	for (unsigned int i = 0; i < h->n_gw; i++)
		host_gw_stop(&h->gw[i]);
	host_ipc_close(h);
	for (unsigned int i = 0; i < h->n_arena; i++)
		host_arena_close(h->arena[i]);
	if (h->cq.cq)
		host_native_close(h);
	ib_cq_close(&h->cq);
	if (h->dev.ctx)
		ib_dev_close(&h->dev);
	host_loop_close(h);
	host_tap_close(&h->tap);
	host_page_close(&h->page);
	host_conns_close(h);
	host_flows_close(&h->flows);
	if (h->loop)
		ev_loop_destroy(h->loop);
}

int main(int argc, char **argv)
{
	static struct host h;
	char err[IB_ERRLEN] = "";
	const char *path = DEFAULT_CONF;
	bool check = false;
	unsigned int errors;
	int opt, rc;

	while ((opt = getopt(argc, argv, "c:tVh")) != -1) {
		if (opt == 'c') {
			path = optarg;
		} else if (opt == 't') {
			check = true;
		} else if (opt == 'V') {
			puts("taghostd " TAG_VERSION);
			return 0;
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	errors = host_conf_load(&h.conf, path, stderr);
	if (errors) {
		fprintf(stderr, "%s: %u error(s), nothing started\n", path, errors);
		return 2;
	}
	if (check) {
		printf("%s: good\n", path);
		return 0;
	}
	host_log_level(h.conf.level);
	signal(SIGPIPE, SIG_IGN);
	raise_limits();
	rc = host_open(&h, err);
	if (rc) {
		host_log(HOST_LOG_ERROR, "%s", err[0] ? err : strerror(rc));
		host_close(&h);
		return 1;
	}
	host_log(HOST_LOG_INFO, "%s: serving on %s, fabric device %s", h.conf.name, h.conf.tap,
		 h.dev.name);
	host_notify_ready(&h);
	ev_run(h.loop, 0);
	host_notify_stopping();
	host_close(&h);
	host_log_tick(&h.count, true);
	return 0;
}
