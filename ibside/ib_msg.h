/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_msg.h - messages between host and gateway on their reliable queue pairs.
 *
 * Every message starts with the BSDH of the Sockets Direct Protocol (IBTA Annex A4, section 4.7):
 * 16 bytes, big-endian. The body is one or more entries of one kind; the length says how many,
 * so one message carries many connections. Each entry starts with the token of its connection (0
 * in requests that have none yet). docs/protocol.md is the normative text; the structures below
 * are the wire format itself, all fields big-endian.
 */
#ifndef IBSIDE_IB_MSG_H
#define IBSIDE_IB_MSG_H

#include <assert.h>
#include <endian.h>
#include <stdint.h>

#include "ibside/ib_line.h"

#define IB_MSG_MAX 4096 /* bytes of the largest message, header included */
#define IB_MSEQ_NONE                                                                \
	256 /* number before the first: dissectors take a 1 there for RPC over RDMA \
	     */

#define IB_FOREACH_MID(_)                                                                        \
	_(DISCONN, 0x02, "DisConn")	      /* gw->host: handed back, see the gateway line */  \
	_(ABORT, 0x03, "AbortConn")	      /* either way: reset */                            \
	_(SEND_SM, 0x04, "SendSm")	      /* gw->host: send the payload by Data */           \
	_(WR_COMPL, 0x05, "RdmaWrCompl")      /* gw->host: rx_prod moved */                      \
	_(RD_COMPL, 0x06, "RdmaRdCompl")      /* gw->host: tx_acked moved */                     \
	_(REQ, 0x40, "AccelReq")	      /* host->gw: carry these connections */            \
	_(GRANT, 0x41, "AccelGrant")	      /* gw->host: yes, under this token */              \
	_(DENY, 0x42, "AccelDeny")	      /* gw->host: no, and why */                        \
	_(REDIRECT, 0x43, "AccelRedirect")    /* gw->host: ask that worker */                    \
	_(COMMIT, 0x44, "AccelCommit")	      /* host->gw: go */                                 \
	_(CANCEL, 0x45, "AccelCancel")	      /* host->gw: forget the request */                 \
	_(CANCEL_ACK, 0x46, "AccelCancelAck") /* gw->host: forgotten */                          \
	_(REVOKE, 0x47, "Revoke")	      /* host->gw: hand it back */                       \
	_(BACK_ACK, 0x48, "HandbackAck")      /* host->gw: DisConn seen, translation in place */ \
	_(REOFFER, 0x49, "Reoffer")	      /* gw->host: a bounced frame has no state here */  \
	_(CREDIT, 0x4a, "Credit")	      /* either way: nothing but the header */           \
	_(ASK, 0x4b, "AccelAsk")	      /* gw->host: request this connection soon */       \
	_(SRC_AVAIL, 0xfe, "SrcAvail")	      /* host->gw: doorbell: cursors moved */            \
	_(DATA, 0xff, "Data")		      /* host->gw: a copy of bytes of the send ring */

/** Message identifiers: SDP's where the meaning is SDP's, else of its experimental range. */
enum ib_mid {
#define _(sym, val, name) IB_MID_##sym = val,
	IB_FOREACH_MID(_)
#undef _
};

/** BSDH: base sockets direct header. */
struct ib_bsdh {
	uint8_t mid;   /* enum ib_mid */
	uint8_t flags; /* 0 */
	uint16_t bufs; /* receive buffers posted: credits, counted after mseq_ack */
	uint32_t len;  /* bytes of the whole message, this header included */
	uint32_t mseq; /* sequence number of this message on the queue pair, after IB_MSEQ_NONE */
	uint32_t mseq_ack; /* last message of the peer that was received */
};
static_assert(sizeof(struct ib_bsdh) == 16, "IBTA A4");

#define IB_REQ_WSCALE	 0x01 /* window scaling in use */
#define IB_REQ_SACK	 0x02 /* SACK in use */
#define IB_REQ_TS	 0x04 /* timestamps in use */
#define IB_REQ_TS_RECENT 0x08 /* ts_recent is known */
#define IB_REQ_FIN_SEEN	 0x10 /* client's FIN already accepted: CLOSE-WAIT */
#define IB_REQ_ECN	 0x20 /* ECN in use */
#define IB_REQ_ALL	 0x3f /* every bit of version 1 */

/** AccelReq: everything negotiated, all positions, and where the memory is. */
struct ib_req {
	uint32_t token;	    /* 0 */
	uint32_t req_id;    /* host's name of the request */
	uint16_t arena;	    /* struct ib_arena.id */
	uint16_t slot;	    /* slot in the arena */
	uint8_t flags;	    /* IB_REQ_* */
	uint8_t snd_wscale; /* shift of the client's windows */
	uint8_t rcv_wscale; /* shift of the server's windows */
	uint8_t rsvd;	    /* 0 */
	uint8_t remote[16]; /* client IP */
	uint8_t local[16];  /* server IP */
	uint16_t rport;	    /* client port */
	uint16_t lport;	    /* server port */
	uint32_t mss;	    /* payload per segment without options */
	uint32_t snd_una;   /* tx cursor 0 */
	uint32_t snd_nxt;   /* [snd_una, snd_nxt) is in flight */
	uint32_t snd_wnd;   /* client's window in bytes */
	uint32_t snd_wl1;
	uint32_t max_wnd;
	uint32_t rcv_nxt;  /* rx cursor rx_prod */
	uint32_t rcv_edge; /* right edge last advertised */
	uint32_t ts_val;   /* the kernel's timestamp clock, ticks of 1 ms */
	uint32_t ts_recent;
	uint32_t srtt_us; /* kernel's estimate, 0 when none */
	uint32_t rttvar_us;
	uint32_t ip;	  /* of the host line's flags (ib_line.h): IB_HL_IP */
	uint64_t tx_prod; /* bytes already in the send ring (from snd_una on) */
	uint64_t rx_prod; /* bytes already in the receive ring (up to rcv_nxt) */
	uint64_t rx_cons; /* of which the program has taken */
};
static_assert(sizeof(struct ib_req) == 128, "wire format");

/** AccelGrant. */
struct ib_grant {
	uint32_t token;	 /* name of the connection from now on */
	uint32_t req_id; /* of the request */
	uint32_t epoch;	 /* gateway's epoch */
	uint32_t rsvd;	 /* 0 */
};
static_assert(sizeof(struct ib_grant) == 16, "wire format");

#define IB_FOREACH_REASON(_)                                                           \
	_(NONE, "none")                                                                \
	_(POLICY, "policy")	     /* the service is not to be accelerated */        \
	_(GW_LIMIT, "gateway-limit") /* the gateway carries as many as it may */       \
	_(HOST_LIMIT, "host-limit")  /* the host has no slot left or may not */        \
	_(NOT_OWNER, "not-owner")    /* the local address is not this host's */        \
	_(EXISTS, "exists")	     /* the 4-tuple is accelerated already */          \
	_(BAD_STATE, "bad-state")    /* positions contradict each other or the wire */ \
	_(BAD_SLOT, "bad-slot")	     /* arena or slot unknown or in use */             \
	_(WINDOW, "window")	     /* advertised window exceeds the receive ring */  \
	_(NO_ROUTE, "no-route")	     /* the client's MAC is not known */               \
	_(SHUTDOWN, "shutdown")	     /* the gateway or host is stopping */             \
	_(TIMEOUT, "timeout")	     /* no answer in time */                           \
	_(FIN, "fin-seen")	     /* the connection is closing */                   \
	_(URGENT, "urgent-data")                                                       \
	_(OOO, "out-of-order-data")   /* the kernel holds SACKed data */               \
	_(PROTO, "protocol-option")   /* MD5, AO, MPTCP, kTLS, fast open */            \
	_(SHARED, "shared-socket")    /* several processes hold the socket */          \
	_(REPAIR, "repair-failed")    /* the kernel refused TCP_REPAIR */              \
	_(NO_GATEWAY, "no-gateway")   /* no gateway attached */                        \
	_(CLOSE, "close")	      /* the server closed */                          \
	_(COMMAND, "command")	      /* the operator asked */                         \
	_(RESET, "client-reset")      /* the client reset the connection */            \
	_(TCP_TIMEOUT, "tcp-timeout") /* the client stopped answering */               \
	_(PAYLOAD, "payload-lost")    /* server memory could not be read */            \
	_(QP_ERROR, "qp-error")	      /* the queue pair failed */                      \
	_(NOT_TRIED, "not-requested") /* nobody has asked yet */                       \
	_(ECN, "accurate-ecn")	      /* the kernel agreed on it, the gateway does not speak it */

/** Why a connection is native, or not any more accelerated. */
enum ib_reason {
#define _(sym, name) IB_R_##sym,
	IB_FOREACH_REASON(_)
#undef _
		IB_R_COUNT
};

/** AccelDeny, AccelRedirect, AccelCancel, AccelCancelAck, AccelCommit, DisConn, AbortConn, Revoke,
 * HandbackAck. Unused fields are 0. */
struct ib_ctl {
	uint32_t token;	 /* 0 for requests */
	uint32_t req_id; /* requests; 0 otherwise */
	uint16_t reason; /* enum ib_reason */
	uint16_t worker; /* AccelRedirect: index of the right worker */
	uint32_t rsvd;	 /* 0 */
};
static_assert(sizeof(struct ib_ctl) == 16, "wire format");

/** SrcAvail, RdmaWrCompl, RdmaRdCompl, SendSm: cursors. */
struct ib_cursor {
	uint32_t token;
	uint32_t flags;	 /* SrcAvail: flags of the host line; RdmaWrCompl: IB_GL_*; otherwise 0 */
	uint64_t cursor; /* SrcAvail: tx_prod; RdmaWrCompl: rx_prod; RdmaRdCompl: tx_acked;
			  * SendSm: first byte wanted */
	uint64_t other;	 /* SrcAvail: rx_cons; SendSm: end of what is wanted; otherwise 0 */
};
static_assert(sizeof(struct ib_cursor) == 24, "wire format");

/** Data: one entry, followed by `len` bytes, a copy of the send ring's bytes from `cursor` on. */
struct ib_data {
	uint32_t token;
	uint32_t len;	 /* bytes that follow, at least 1 */
	uint64_t cursor; /* tx cursor of the first */
};
static_assert(sizeof(struct ib_data) == 16, "wire format");

/** Reoffer: the flow of the bounced frame. AccelAsk: that of a native connection. */
struct ib_reoffer {
	uint32_t token; /* 0 */
	uint16_t rport;
	uint16_t lport;
	uint8_t remote[16];
	uint8_t local[16];
};
static_assert(sizeof(struct ib_reoffer) == 40, "wire format");

/** Native encapsulation, RFC 4391 section 6 with type 0x6558; flags use its reserved field. */
struct ib_encap {
	uint16_t type;	/* IB_ENCAP_ETH */
	uint16_t flags; /* IB_ENCAP_BOUNCED or 0 */
};
static_assert(sizeof(struct ib_encap) == 4, "RFC 4391");
#define IB_ENCAP_ETH	 0x6558 /* transparent Ethernet bridging */
#define IB_ENCAP_BOUNCED 0x0001 /* comes back from a host: never to be sent to the fabric again */

/** Size of an entry of a message kind, 0 for kinds without entries of one size or unknown ones. */
uint32_t ib_msg_entry_size(uint8_t mid);

#define IB_FROM_HOST 0x1u
#define IB_FROM_GW   0x2u
/** Who may send a kind: IB_FROM_*; 0 for unknown kinds. Receivers refuse the rest. */
unsigned int ib_mid_senders(uint8_t mid);

/** Names for people; static strings, "unknown" for unknown ones. */
const char *ib_mid_name(uint8_t mid);
/** The same for a reason. */
const char *ib_reason_name(enum ib_reason r);

/**
 * Checks the header of a received message of `bytes` bytes: length, known kind, whole entries.
 * Returns the number of entries (0 only for Credit), or -1 when the message is malformed.
 */
int ib_msg_check(const void *msg, uint32_t bytes);

/** Checks an arena that a host offers: sizes, alignment, no wrap. 0 or EINVAL. */
int ib_arena_check(const struct ib_arena *a);

/**
 * Checks a request against its arena: positions that agree with each other and fit the rings, and
 * options within their ranges. IB_R_NONE, or the reason to deny it.
 */
enum ib_reason ib_req_check(const struct ib_req *r, const struct ib_arena *a);

#endif
