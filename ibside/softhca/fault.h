/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault rules of the software HCA: what the library and the tool softhca-fault share.  No verbs in
 * here.  A rule says what goes wrong (its kind and value), for whom (its selectors) and how often.
 * Rules live in $SOFTHCA_DIR/faults, a file that all processes of the subnet map, and for one
 * process in the environment variable SOFTHCA_FAULTS.
 */
#ifndef SOFT_FAULT_H
#define SOFT_FAULT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_MAGIC	0x5441474641303031ull /* "TAGFA001" */
#define FAULT_RULES	64u
#define FAULT_PROC	16u	   /* bytes of a process name, with its zero */
#define FAULT_UNLIMITED UINT32_MAX /* fault_rule.left: no end */
#define FAULT_FILE	"faults"
#define FAULT_DIR	"/run/softhca" /* where SOFTHCA_DIR is not set */

/* What a kind's value is. */
enum fault_value {
	FAULT_V_NONE,	 /* none is given */
	FAULT_V_PERCENT, /* share of the matching datagrams */
	FAULT_V_MS,	 /* milliseconds */
	FAULT_V_MS_OPT,	 /* milliseconds, may be left out */
};

/* Kinds: name, word, value, operations and queue pairs they are about unless told otherwise, how
 * many times by default (0: until cleared). */
#define FAULT_KINDS(X)                                                              \
	X(UD_LOSS, "ud-loss", FAULT_V_PERCENT, FAULT_OP_ANY, FAULT_UD, 0)           \
	X(UD_DELAY, "ud-delay", FAULT_V_MS, FAULT_OP_ANY, FAULT_UD, 0)              \
	X(UD_REORDER, "ud-reorder", FAULT_V_PERCENT, FAULT_OP_ANY, FAULT_UD, 0)     \
	X(UD_DUP, "ud-dup", FAULT_V_PERCENT, FAULT_OP_ANY, FAULT_UD, 0)             \
	X(RETRY_EXC, "retry-exc", FAULT_V_NONE, FAULT_OP_ANY, FAULT_RC, 1)          \
	X(RNR, "rnr", FAULT_V_MS_OPT, FAULT_OP_SEND, FAULT_RC, 1)                   \
	X(REM_ACCESS, "rem-access", FAULT_V_NONE,                                   \
	  FAULT_OP_READ | FAULT_OP_WRITE | FAULT_OP_ATOMIC, FAULT_RC, 1)            \
	X(QP_FATAL, "qp-fatal", FAULT_V_NONE, FAULT_OP_ANY, FAULT_RC | FAULT_UC, 1) \
	X(SLOW_READ, "slow-read", FAULT_V_MS, FAULT_OP_READ, FAULT_RC, 0)           \
	X(PORT_DOWN, "port-down", FAULT_V_MS_OPT, FAULT_OP_ANY, FAULT_TYPE_ANY, 0)  \
	X(PORT_UP, "port-up", FAULT_V_NONE, FAULT_OP_ANY, FAULT_TYPE_ANY, 0)        \
	X(LID_CHANGE, "lid-change", FAULT_V_NONE, FAULT_OP_ANY, FAULT_TYPE_ANY, 1)

enum fault_kind {
#define X(name, word, value, ops, types, times) FAULT_##name,
	FAULT_KINDS(X)
#undef X
		FAULT_N_KINDS
};

/* fault_rule.ops */
enum fault_op {
	FAULT_OP_READ = 1,
	FAULT_OP_WRITE = 2,
	FAULT_OP_SEND = 4,
	FAULT_OP_ATOMIC = 8,
	FAULT_OP_ANY = 15,
};

/* fault_rule.types */
enum fault_type {
	FAULT_RC = 1,
	FAULT_UC = 2,
	FAULT_UD = 4,
	FAULT_TYPE_ANY = 7,
};

/* One end of an operation, as selectors see it.  In rules, zero or empty means any. */
struct fault_end {
	uint32_t pid;	       /* process */
	uint32_t lid;	       /* port */
	uint32_t qpn;	       /* queue pair */
	char proc[FAULT_PROC]; /* first 15 bytes of the program's name */
};

/* One rule. */
struct fault_rule {
	_Atomic uint32_t live;	   /* slot is taken */
	uint32_t kind;		   /* enum fault_kind */
	uint32_t ops;		   /* enum fault_op, a set */
	uint32_t types;		   /* enum fault_type, a set */
	double value;		   /* per cent or milliseconds; 0: none */
	struct fault_end from;	   /* who initiates, or whose port it is */
	struct fault_end to;	   /* whom it is for */
	double chance;		   /* per cent of the matching operations that are hit */
	uint64_t seed;		   /* of the choice; 0: the time */
	_Atomic uint32_t after;	   /* matching operations still let through */
	_Atomic uint32_t left;	   /* times it will still act; FAULT_UNLIMITED: always */
	_Atomic uint32_t hits;	   /* times it has acted */
	_Atomic uint64_t rng;	   /* generator's state */
	_Atomic uint64_t until_ns; /* end of its time, monotonic; 0: not begun, or none */
};

/* The file. */
struct fault_page {
	_Atomic uint64_t magic;		     /* FAULT_MAGIC once set up */
	_Atomic uint32_t n;		     /* live rules; the data path looks at this alone */
	_Atomic uint32_t gen;		     /* changes with every command */
	struct fault_rule rule[FAULT_RULES]; /* in no order */
};

static_assert(sizeof(struct fault_page) % 8 == 0, "a file of whole words");

/* fault_rule.c */
const char *fault_kind_name(uint32_t kind);
int fault_parse_word(struct fault_rule *r, const char *word, char *why, size_t len);
int fault_parse(struct fault_rule *r, const char *text, char *why, size_t len);
void fault_rule_init(struct fault_rule *r);
int fault_rule_finish(struct fault_rule *r, char *why, size_t len);
void fault_format(const struct fault_rule *r, char *out, size_t len);

/* fault_page.c */
const char *fault_dir(void);
int fault_lock_dir(const char *dir);
bool fault_ports(int dirfd);
struct fault_page *fault_map(int dirfd, bool create);
int fault_add(struct fault_page *pg, const struct fault_rule *r);
void fault_clear(struct fault_page *pg);
uint64_t fault_now(void);

#endif
