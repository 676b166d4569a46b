/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address handles and routing (IBTA 11.2.2, 4.1).  A destination is its LID; with a GRH the GID
 * must be the destination's too, and alone it suffices, since a port's GUID ends in its LID.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>

#include "soft.h"

/* The port's GID: the link-local prefix and its GUID. */
void soft_port_gid(const struct shm_port *s, union ibv_gid *gid)
{
	gid->global.subnet_prefix = htobe64(0xfe80000000000000ull);
	gid->global.interface_id = htobe64(s->guid);
}

/* LID that the GUID in @gid carries, or 0 if it is of no software HCA. */
uint32_t soft_gid_to_lid(const union ibv_gid *gid)
{
	uint64_t guid = be64toh(gid->global.interface_id);

	return guid >> 32 == 0x02544147 ? (uint32_t)(guid & 0xffff) : 0;
}

/* LID that @attr leads to; 0: nowhere. */
uint32_t soft_av_lid(const struct ibv_ah_attr *attr)
{
	if (attr->dlid)
		return attr->dlid;
	return attr->is_global ? soft_gid_to_lid(&attr->grh.dgid) : 0;
}

/* Whether @peer is whom @attr names. */
bool soft_av_match(const struct soft_peer *peer, const struct ibv_ah_attr *attr)
{
	union ibv_gid gid;

	if (!attr->is_global)
		return true;
	soft_port_gid(peer->shm, &gid);
	return !memcmp(&gid, &attr->grh.dgid, sizeof(gid));
}

/* Creates an address handle.  Returns NULL and errno on failure. */
struct ibv_ah *soft_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct soft_ah *ah;

	if (attr->port_num != 1 || (attr->is_global && attr->grh.sgid_index) ||
	    (!attr->is_global && !attr->dlid)) {
		errno = EINVAL;
		return NULL;
	}
	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;
	ah->ah.context = pd->context;
	ah->ah.pd = pd;
	ah->attr = *attr;
	ah->lid = soft_av_lid(attr);
	pthread_mutex_init(&ah->lock, NULL);
	atomic_fetch_add(&soft_pd(pd)->users, 1);
	return &ah->ah;
}

/* Destroys an address handle. */
int soft_destroy_ah(struct ibv_ah *ibah)
{
	struct soft_ah *ah = (struct soft_ah *)ibah;

	soft_peer_put(soft_ctx(ibah->context)->port, ah->peer);
	pthread_mutex_destroy(&ah->lock);
	atomic_fetch_sub(&soft_pd(ibah->pd)->users, 1);
	free(ah);
	return 0;
}

/* The peer that @ah leads to at present, or NULL.  Valid as long as the handle. */
struct soft_peer *soft_ah_peer(struct soft_port *p, struct soft_ah *ah)
{
	struct soft_peer *peer;

	pthread_mutex_lock(&ah->lock);
	if (ah->peer && soft_unlikely(soft_peer_gone(ah->peer))) {
		soft_peer_put(p, ah->peer);
		ah->peer = NULL;
	}
	if (!ah->peer)
		ah->peer = soft_peer_get(p, ah->lid);
	peer = ah->peer;
	pthread_mutex_unlock(&ah->lock);
	return peer && soft_av_match(peer, &ah->attr) ? peer : NULL;
}

/* Fills @attr with the way back to the sender of @wc.  Returns 0 or errno. */
int soft_init_ah_from_wc(struct ibv_context *ctx, uint8_t port, struct ibv_wc *wc,
			 struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	(void)ctx;
	memset(attr, 0, sizeof(*attr));
	attr->dlid = wc->slid;
	attr->sl = wc->sl;
	attr->src_path_bits = wc->dlid_path_bits;
	attr->port_num = port;
	if (wc->wc_flags & IBV_WC_GRH) {
		uint32_t vtf = ntohl(grh->version_tclass_flow);

		attr->is_global = 1;
		attr->grh.dgid = grh->sgid;
		attr->grh.flow_label = vtf & 0xfffff;
		attr->grh.traffic_class = (uint8_t)(vtf >> 20);
		attr->grh.hop_limit = 64;
	}
	return 0;
}
