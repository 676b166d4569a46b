/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle.h - what RFC 9293 section 3.10.7 (SEGMENT ARRIVES), with RFC 5961 and RFC 7323, makes of
 * one segment. Written from the text alone: it knows nothing of the core but the names of the
 * states and flags (tcpstack/tcp.h).
 */
#ifndef TESTS_MATRIX_ORACLE_H
#define TESTS_MATRIX_ORACLE_H

#include "tcpstack/tcp.h"

/** The variables of section 3.3.1 that matter when a segment arrives. */
struct tcb {
	enum tcp_state state;
	bool passive;	    /* opened by a passive OPEN (SYN-RECEIVED) */
	uint32_t una;	    /* SND.UNA */
	uint32_t nxt;	    /* SND.NXT */
	uint32_t wnd;	    /* SND.WND */
	uint32_t wl1;	    /* SND.WL1 */
	uint32_t wl2;	    /* SND.WL2 */
	uint32_t max_wnd;   /* MAX.SND.WND, RFC 5961 section 5.2 */
	uint32_t rcv_nxt;   /* RCV.NXT */
	uint32_t rcv_wnd;   /* RCV.WND */
	bool fin_sent;	    /* our FIN is the number before SND.NXT */
	bool ts;	    /* Snd.TS.OK, RFC 7323 */
	uint32_t ts_recent; /* TS.Recent, valid with ts */
};

/** What is sent in answer. */
enum reply { NOTHING, AN_ACK, A_RST, A_RST_ACK, A_SYN_ACK };

/** What the text wants. */
struct outcome {
	enum tcp_state state; /* afterwards; CLOSED: the TCB is deleted */
	enum reply reply;
	uint32_t reply_seq;  /* its SEQ; of a SYN-ACK: any */
	uint32_t reply_ack;  /* its ACK, with AN_ACK, A_RST_ACK and A_SYN_ACK */
	uint32_t una;	     /* SND.UNA afterwards */
	uint32_t rcv_nxt;    /* RCV.NXT afterwards */
	uint32_t wnd;	     /* SND.WND afterwards */
	uint32_t ts_recent;  /* TS.Recent afterwards */
	uint32_t text;	     /* first byte of the text that is taken */
	uint32_t text_len;   /* its length, 0: none */
	bool aborted;	     /* the user is told "connection reset" or "refused" */
	bool opens;	     /* the connection becomes ESTABLISHED with this segment */
	bool restarts_2msl;  /* the TIME-WAIT timer begins anew */
	const char *section; /* where the text ends the processing of this segment */
};

/** Applies one segment to a TCB in any state but LISTEN and CLOSED, or to those. */
struct outcome oracle(const struct tcb *t, const struct tcp_seg *seg);

#endif
