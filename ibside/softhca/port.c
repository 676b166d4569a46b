/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: the software HCA of one process.
 *
 * Theory of operation.
 *
 * A process that opens soft0 gets a port: a LID, a GID and an arena, a block of shared memory
 * (soft_shm.h) with everything of its queue pairs, completion queues, receive queues and memory
 * regions that another process needs to deliver a message to it.  There is no daemon and no
 * thread that moves data.  The initiator of an operation does all of it inside ibv_post_send():
 * it locks the destination queue pair in the peer's arena, checks that the two are connected,
 * takes the peer's receive request (SEND) or checks the rkey in the peer's region table (WRITE,
 * READ, atomics), copies the payload once, from where it lies to where it belongs, puts the
 * completion into the peer's CQ, wakes the peer through its completion channel if that is armed,
 * and completes its own request.  So order, visibility of data before completions, and
 * back-pressure are those of the program's own instructions.
 *
 * Payload is copied by memcpy when the far end is in a memfd (the initiator maps the same file:
 * backing.c, peer.c), by process_vm_readv/writev otherwise (copy.c), and small SENDs to such
 * memory are parked in the arena and moved by the receiver when it polls (stage.c).
 *
 * An operation that cannot be done now (receive queue empty, peer not ready) stays in the send
 * queue and stalls it; it is tried again from polls and posts of the process and by one helper
 * thread per process (stall.c, watch.c), until the queue pair's retry limits fail it.  The same
 * thread sleeps on the pidfds of attached peers and marks those that died.
 *
 * Threads: each queue pair has a private lock for its send queue, and everything shared has a
 * robust lock in the arena (lock.c).  Order: see soft.h.
 *
 * Fork: the child has no port; the library forgets the parent's, so that the child's exit leaves
 * them alone and it may open its own.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soft.h"

static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_port *ports[SOFT_MAX_DEVICES];
static pthread_once_t ports_once = PTHREAD_ONCE_INIT;

/* After a fork, in the child: the parent's ports are not ours. */
static void ports_forked(void)
{
	pthread_mutex_init(&ports_lock, NULL);
	memset(ports, 0, sizeof(ports));
	soft_watch_forked();
	soft_pcap_forked();
}

static void ports_init(void)
{
	soft_stats_init();
	soft_limits_init();
	soft_fault_init();
	soft_pcap_init();
	pthread_atfork(NULL, NULL, ports_forked);
#ifdef PR_SET_PTRACER
	/* Under Yama's restricted mode, peers of the same user may still reach this memory. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
}

/* What tells this process's GUIDs from others': SOFTHCA_NODE, or @unique. */
uint64_t soft_node(uint64_t unique)
{
	const char *env = getenv("SOFTHCA_NODE");

	return env && *env ? strtoull(env, NULL, 0) : unique;
}

/* GUID of a device in this process, host byte order. */
uint64_t soft_node_guid(uint32_t dev)
{
	uint64_t node = soft_node((uint64_t)getpid());

	return 0x0254414800000000ull | (node & 0xffffff) << 8 | dev;
}

/* This process's own port with @lid, or NULL. */
struct soft_port *soft_port_local(uint32_t lid)
{
	for (uint32_t i = 0; i < SOFT_MAX_DEVICES; i++)
		if (ports[i] && ports[i]->lid == lid)
			return ports[i];
	return NULL;
}

/* A descriptor that stands for @p in contexts (cmd_fd); the caller closes it.  -1 on failure. */
int soft_port_fd(const struct soft_port *p)
{
	return fcntl(p->memfd, F_DUPFD_CLOEXEC, 3);
}

/* Whether @fd is such a descriptor. */
bool soft_is_port_fd(int fd)
{
	struct stat a, b;

	if (fstat(fd, &a))
		return false;
	for (uint32_t i = 0; i < SOFT_MAX_DEVICES; i++)
		if (ports[i] && fstat(ports[i]->memfd, &b) == 0 && a.st_ino == b.st_ino &&
		    a.st_dev == b.st_dev)
			return true;
	return false;
}

/* Calls @fn for each open port.  No port comes or goes meanwhile. */
void soft_ports_each(void (*fn)(struct soft_port *p, void *arg), void *arg)
{
	pthread_mutex_lock(&ports_lock);
	for (uint32_t i = 0; i < SOFT_MAX_DEVICES; i++)
		if (ports[i])
			fn(ports[i], arg);
	pthread_mutex_unlock(&ports_lock);
}

static void port_free(struct soft_port *p)
{
	soft_arena_destroy(p);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->map_lock);
	pthread_mutex_destroy(&p->stall_lock);
	free(p->by_lid);
	free(p);
}

static int port_create(uint32_t dev, struct soft_port **out)
{
	struct soft_port *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return ENOMEM;
	p->dev = dev;
	p->memfd = p->file = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->map_lock, NULL);
	pthread_mutex_init(&p->stall_lock, NULL);
	p->by_lid = calloc(SOFT_LID_MAX + 1, sizeof(*p->by_lid));
	rc = p->by_lid ? soft_arena_create(p) : ENOMEM;
	if (rc)
		goto err_free;
	rc = soft_rdv_publish(p);
	if (rc)
		goto err_free;
	rc = soft_peers_init(p);
	if (rc)
		goto err_publish;
	*out = p;
	return 0;
err_publish:
	soft_rdv_withdraw(p);
err_free:
	port_free(p);
	return rc;
}

/* The port of device @dev, opened if need be; counted.  Returns 0 or errno. */
int soft_port_get(uint32_t dev, struct soft_port **out)
{
	int rc;

	pthread_once(&ports_once, ports_init);
	rc = soft_watch_start();
	if (rc)
		return rc;
	pthread_mutex_lock(&ports_lock);
	if (!ports[dev])
		rc = port_create(dev, &ports[dev]);
	if (!rc) {
		ports[dev]->nctx++;
		*out = ports[dev];
	}
	pthread_mutex_unlock(&ports_lock);
	if (rc)
		soft_watch_stop();
	return rc;
}

static bool ports_any(void)
{
	for (uint32_t i = 0; i < SOFT_MAX_DEVICES; i++)
		if (ports[i])
			return true;
	return false;
}

/* Drops one count of @p; the last one closes it. */
void soft_port_put(struct soft_port *p)
{
	bool last;

	pthread_mutex_lock(&ports_lock);
	last = --p->nctx == 0;
	if (last) {
		soft_stats_print(p);
		soft_rdv_withdraw(p);
		ports[p->dev] = NULL;
		if (!ports_any())
			soft_fault_detach();
	}
	pthread_mutex_unlock(&ports_lock);
	if (last) {
		soft_defer_drop(p);
		soft_peers_free(p);
		port_free(p);
	}
	soft_watch_stop();
}

/* At exit: ports the program left open leave nothing behind in the file system. */
__attribute__((destructor)) static void ports_exit(void)
{
	for (uint32_t i = 0; i < SOFT_MAX_DEVICES; i++)
		if (ports[i]) {
			soft_stats_print(ports[i]);
			soft_rdv_withdraw(ports[i]);
		}
}
