/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_int.h - what the files of the simulator share; see sim.h. */
#ifndef TESTS_SIM_INT_H
#define TESTS_SIM_INT_H

#include "sim.h"

enum sim_kind {
	SIM_SEG,     /* a segment arrives */
	SIM_READY,   /* a READ completes */
	SIM_FAILED,  /* a READ fails */
	SIM_PLACED,  /* a WRITE and its cursor complete */
	SIM_CONSUME, /* the program has read */
	SIM_PRODUCE, /* the program writes */
	SIM_SENT,    /* the device has sent */
	SIM_ABORT,   /* the shell gives up */
	SIM_MOVE,    /* the gateway is left */
	SIM_RESUME,  /* a successor takes over */
	SIM_ICMP,    /* a router says that segment `seq` of `len` bytes was too big */
};

/** Something that happens to an end at a time. */
struct sim_ev {
	uint64_t at, order; /* microseconds; first in, first out */
	enum sim_kind kind; /* what */
	int end;	    /* to whom */
	uint32_t gen;	    /* of the end when it was started */
	uint32_t seq, len;  /* a range of READY, FAILED, PLACED, SENT; `seq` of CONSUME: offset */
	uint32_t off;	    /* SEG and PLACED: true offset of the first payload byte */
	bool bad;	    /* SEG: the checksum is wrong */
	struct tcp_seg seg; /* SEG */
	struct tcp_rx_pos pos; /* PLACED */
};

/** Breaks the run unless x holds. */
#define SIM_RULE(s, x)                               \
	do {                                         \
		if (!(x))                            \
			sim_broken(s, __LINE__, #x); \
	} while (0)

/** Ends the run: `rule` is broken. Does not return. */
_Noreturn void sim_broken(struct sim *s, int line, const char *rule);

/** Byte of end `id`'s stream at an offset. */
static inline uint8_t sim_byte(int id, uint32_t off)
{
	return (uint8_t)(((off + (uint32_t)id * 77) * 2654435761u) >> 23);
}

/** Schedules *ev (copied). */
void sim_push(struct sim *s, const struct sim_ev *ev);

/** Puts one segment on the link of end e; off: true offset of its first payload byte. */
void sim_link(struct sim_end *e, const struct tcp_seg *seg, uint32_t off);

/** One segment arrives at the ideal receiver e; it answers by sim_link(). */
void sim_ideal_input(struct sim_end *e, const struct tcp_seg *seg, uint32_t off);

/** The delayed ACK of the ideal receiver is due. */
void sim_ideal_timer(struct sim_end *e);

/** End e begins to open, with o.open. */
void sim_open_start(struct sim_end *e);

/** The core of e says ESTABLISHED. */
void sim_open_done(struct sim_end *e);

/** A segment arrives at e, which listens; *rx as of tcp_input(). */
void sim_open_listen(struct sim_end *e, const struct tcp_seg *seg, struct tcp_rx *rx);

/** Puts what e sends while it opens on its link. */
void sim_open_send(struct sim_end *e, const struct tcp_emit *em);

/** What the core asks of its shell. */
extern const struct tcp_ops sim_ops;

/** Rules for a segment about to leave end e. */
void sim_rules_emit(struct sim_end *e, const struct tcp_emit *em, const struct tcp_seg *opt);

/** Rules that hold between any two calls. */
void sim_rules_step(struct sim_end *e);

/** Rules for the timer that just ran; `timeouts` are those counted before. */
void sim_rules_timer(struct sim_end *e, uint32_t timeouts);

/** Rules for the end of a run. */
void sim_rules_end(struct sim *s);

/** A random field of a random kind; `any`: beyond what TCP can survive. */
void sim_damage(struct sim *s, struct tcp_seg *seg, bool any);

/** The program of e leaves its gateway; a successor follows. */
void sim_move(struct sim_end *e);
void sim_resume(struct sim_end *e);

/** Parks e if it is at rest (and the options say so), and makes it again. */
void sim_park(struct sim_end *e);

#endif
