/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ib_line.h - the control block of an accelerated connection, as far as the gateway sees it.
 *
 * Each connection slot of a host's arena has two lines: the host line, written by the program and
 * taghostd and READ by the gateway, and the gateway line, written by the gateway with RDMA WRITE
 * and read by the host. Nobody else writes either. Integers are little-endian, 8-byte aligned,
 * and each field is meaningful on its own: a WRITE that is cut short leaves a mix of two states
 * that were both true, so no field needs another one to be read safely.
 *
 * Cursors count bytes since the takeover and never wrap (64 bits). Byte `cursor` lies at offset
 * cursor modulo the ring size. tx cursor 0 is the wire's snd_una at the takeover (REQ.snd_una),
 * rx cursor REQ.rx_prod is REQ.rcv_nxt.
 *
 * Arming. A doorbell is wanted only when the other side waits. The gateway writes arm_tx = the
 * tx_prod it knows; whoever moves tx_prod from a value <= arm_tx to a greater one sends the
 * doorbell. arm_rx works the same way with rx_cons. IB_ARM_NEVER disarms. The gateway arms, then
 * READs the host line once more (same queue pair, so ordered): Dekker's pattern. The host side
 * stores the cursor, executes a full fence and then loads the armed value.
 */
#ifndef IBSIDE_IB_LINE_H
#define IBSIDE_IB_LINE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define IB_ARM_NEVER UINT64_MAX

/** Bits of ib_host_line.flags. */
#define IB_HL_TX_FIN 0x1u /* nothing follows tx_prod: the program shut its sending side */
#define IB_HL_CLOSED 0x2u /* the program has closed: nobody will read the receive ring */
/* What the program wants in the IP headers of its segments: 8 bits each, 0: not said. */
#define IB_HL_TTL_SHIFT 16	    /* TTL or hop limit */
#define IB_HL_TOS_SHIFT 24	    /* DSCP in the upper six bits, the others 0 */
#define IB_HL_IP	0xfcff0000u /* both */
#define IB_HL_BITS	0x3u	    /* the others above */

/** Written by the host, READ by the gateway. */
struct ib_host_line {
	uint64_t tx_prod; /* bytes put into the send ring */
	uint64_t rx_cons; /* bytes taken out of the receive ring */
	uint32_t flags;	  /* IB_HL_* */
	uint32_t token;	  /* token of the connection, to detect a reused slot */
	uint64_t rsvd[5]; /* 0 */
};
static_assert(sizeof(struct ib_host_line) == 64, "one cache line");

/** Bits of ib_gw_line.flags. */
#define IB_GL_RX_FIN 0x1u /* the client's FIN lies at rx_prod and is accepted */
#define IB_GL_BACK   0x2u /* the connection has been handed back: the line is final */

/*
 * ib_gw_line.soft: what a router said last of segments to the client, believed but no reason to end
 * (RFC 9293 section 3.9.2.2): one of these in the low 8 bits, how many there were in the others.
 */
#define IB_SOFT_NONE	    0 /* nothing */
#define IB_SOFT_UNREACHABLE 1 /* net or host cannot be reached */
#define IB_SOFT_REFUSED	    2 /* port, protocol, or prohibited */
#define IB_SOFT_TIME	    3 /* time exceeded */
#define IB_SOFT_PARAMETER   4 /* parameter problem */

/** An out-of-order interval in the receive ring, half open, as cursors. */
struct ib_interval {
	uint64_t start; /* first byte placed */
	uint64_t end;	/* one past the last */
};

/** Written by the gateway, read by the host. */
struct ib_gw_line {
	uint64_t tx_acked;  /* acknowledged by the client and no READ outstanding: free to reuse */
	uint64_t tx_sent;   /* end of what has been emitted to the client */
	uint64_t rx_prod;   /* contiguous bytes placed in the receive ring */
	uint64_t arm_tx;    /* doorbell when tx_prod moves past this */
	uint64_t arm_rx;    /* doorbell when rx_cons moves past this */
	uint32_t flags;	    /* IB_GL_* */
	uint32_t token;	    /* token of the connection */
	uint32_t snd_wnd;   /* client's window, bytes */
	uint32_t rcv_edge;  /* wire: right edge last advertised */
	uint32_t ts_val;    /* timestamp clock when the line was written: floor for any successor */
	uint32_t ts_recent; /* TS.Recent */
	uint32_t n_ooo;	    /* intervals used */
	uint32_t srtt_us;   /* smoothed RTT */
	struct ib_interval
		ooo[4];	  /* placed beyond rx_prod; written before the SACK that names them */
	uint32_t epoch;	  /* gateway's epoch on this host */
	uint32_t soft;	  /* IB_SOFT_*, and a count */
	uint64_t rsvd[6]; /* 0 */
};
static_assert(sizeof(struct ib_gw_line) == 192, "three cache lines");

/** Where the parts of an arena are, as the host tells the gateway at bootstrap (addresses in the
 * host's registered address space). Slot n of each part lies at base + n * stride. */
struct ib_arena {
	uint16_t id;	    /* number of the arena on this host */
	uint16_t slots;	    /* connections it has room for */
	uint32_t tx_size;   /* bytes of a send ring, a power of two */
	uint32_t rx_size;   /* bytes of a receive ring, a power of two */
	uint64_t host_base; /* host lines, stride 64, REMOTE_READ */
	uint64_t gw_base;   /* gateway lines, stride 192, REMOTE_READ|REMOTE_WRITE */
	uint64_t tx_base;   /* send rings, stride tx_size, REMOTE_READ */
	uint64_t rx_base;   /* receive rings, stride rx_size, REMOTE_WRITE */
	uint32_t host_rkey;
	uint32_t gw_rkey;
	uint32_t tx_rkey;
	uint32_t rx_rkey;
};

#endif
