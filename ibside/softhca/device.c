/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices soft0, soft1, ... and their contexts.  Applications reach most operations through
 * inline functions over struct verbs_context, so it is filled completely: what is not provided is
 * a null pointer where those inlines check for one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "soft.h"

static struct ibv_device devs[SOFT_MAX_DEVICES];
static uint32_t ndevs;
static pthread_once_t devs_once = PTHREAD_ONCE_INIT;

static void devs_init(void)
{
	const char *env = getenv("SOFTHCA_DEVICES");
	long n = env && *env ? strtol(env, NULL, 10) : 1;

	ndevs = n < 0 ? 0 : n > (long)SOFT_MAX_DEVICES ? SOFT_MAX_DEVICES : (uint32_t)n;
	for (uint32_t i = 0; i < ndevs; i++) {
		devs[i].node_type = IBV_NODE_CA;
		devs[i].transport_type = IBV_TRANSPORT_IB;
		snprintf(devs[i].name, sizeof(devs[i].name), "soft%u", i);
		snprintf(devs[i].dev_name, sizeof(devs[i].dev_name), "softuverbs%u", i);
		snprintf(devs[i].dev_path, sizeof(devs[i].dev_path), "/nonexistent/softuverbs%u",
			 i);
		snprintf(devs[i].ibdev_path, sizeof(devs[i].ibdev_path), "/nonexistent/soft%u", i);
	}
}

/* How many devices there are. */
uint32_t soft_dev_count(void)
{
	pthread_once(&devs_once, devs_init);
	return ndevs;
}

/* Device @i, which is below soft_dev_count(). */
struct ibv_device *soft_dev(uint32_t i)
{
	return &devs[i];
}

/* Whether @dev is one of these; looks at the pointer only. */
bool soft_is_dev(const struct ibv_device *dev)
{
	return dev >= devs && dev < devs + SOFT_MAX_DEVICES;
}

/* Index of a device of ours. */
uint32_t soft_dev_index(const struct ibv_device *dev)
{
	return (uint32_t)(dev - devs);
}

static int compat_query_port(struct ibv_context *ctx, uint8_t port, struct _compat_ibv_port_attr *a)
{
	return soft_query_port(ctx, port, (struct ibv_port_attr *)a,
			       offsetof(struct ibv_port_attr, port_cap_flags2));
}

static const struct ibv_context_ops ops = {
	._compat_query_device = soft_query_device,
	._compat_query_port = compat_query_port,
	.poll_cq = soft_poll_cq,
	.req_notify_cq = soft_req_notify_cq,
	.post_srq_recv = soft_post_srq_recv,
	.post_send = soft_post_send,
	.post_recv = soft_post_recv,
};

/* Whether @ctx is a context of this library; reads public fields only. */
SOFT_ROUTINE bool softhca_is_soft(const struct ibv_context *ctx)
{
	return ctx && ctx->ops.poll_cq == soft_poll_cq;
}

/* Copies the port's counters. */
SOFT_ROUTINE int softhca_query_counters(struct ibv_context *ctx, struct softhca_counters *out)
{
	uint64_t *to = (uint64_t *)out;

	if (!softhca_is_soft(ctx))
		return EINVAL;
	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = atomic_load_explicit(&soft_ctx(ctx)->port->shm->ctr[i],
					     memory_order_relaxed);
	return 0;
}

/* Opens a device.  Returns NULL and errno on failure. */
struct ibv_context *soft_open_device(struct ibv_device *dev)
{
	struct soft_ctx *c = calloc(1, sizeof(*c));
	struct ibv_context *ctx;
	int rc;

	if (!c)
		return NULL;
	ctx = &c->v.context;
	rc = soft_port_get(soft_dev_index(dev), &c->port);
	if (rc)
		goto err_port;
	c->evq = soft_evq_create(c->port, &ctx->async_fd);
	if (c->evq == SOFT_NONE) {
		rc = errno;
		goto err_evq;
	}
	ctx->device = dev;
	ctx->ops = ops;
	ctx->cmd_fd = soft_port_fd(c->port);
	ctx->num_comp_vectors = 1;
	ctx->abi_compat = __VERBS_ABI_IS_EXTENDED;
	pthread_mutex_init(&ctx->mutex, NULL);
	c->v.sz = sizeof(c->v);
	c->v.query_port = soft_query_port;
	c->v.query_device_ex = soft_query_device_ex;
	c->v.query_rt_values = soft_query_rt_values;
	c->v.create_cq_ex = soft_create_cq_ex;
	c->v.create_qp_ex = soft_create_qp_ex;
	pthread_mutex_lock(&c->port->lock);
	c->next = c->port->ctxs;
	c->port->ctxs = c;
	pthread_mutex_unlock(&c->port->lock);
	return ctx;
err_evq:
	soft_port_put(c->port);
err_port:
	free(c);
	errno = rc;
	return NULL;
}

/* Closes a context.  Returns 0. */
int soft_close_device(struct ibv_context *ctx)
{
	struct soft_ctx *c = soft_ctx(ctx);

	if (ctx->cmd_fd >= 0)
		close(ctx->cmd_fd);
	pthread_mutex_lock(&c->port->lock);
	for (struct soft_ctx **pp = &c->port->ctxs; *pp; pp = &(*pp)->next)
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	pthread_mutex_unlock(&c->port->lock);
	soft_evq_destroy(c->port, c->evq);
	soft_port_put(c->port);
	pthread_mutex_destroy(&ctx->mutex);
	free(c);
	return 0;
}
