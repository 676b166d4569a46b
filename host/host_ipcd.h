/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_ipcd.h - taghostd's side of host_ipc.h: programs and their requests.
 */
#ifndef HOST_HOST_IPCD_H
#define HOST_HOST_IPCD_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "host/host_ipc.h"

struct host;
struct host_conn;

#define HOST_IPC_CLIENTS 4096

/** A program. */
struct host_ipc_client {
	LIST_ENTRY(host_ipc_client) link; /* all of them */
	struct host *h;			  /* the daemon */
	int fd;				  /* SOCK_SEQPACKET */
	ev_io io;			  /* readable */
	uid_t uid;			  /* by SO_PEERCRED */
	pid_t pid;			  /* by SO_PEERCRED */
	struct host_conn *pending;	  /* whose reply it waits for, NULL: none */
	ev_timer timer;			  /* a takeover waits for its arena to be known */
	int later_fd;			  /* its socket, -1: none waits */
	uint32_t later_arena;		  /* its have_arena */
	unsigned int tries;		  /* looks so far */
};
LIST_HEAD(host_ipc_clients, host_ipc_client);

/** The listening socket. */
struct host_ipc {
	int fd;				 /* -1: none */
	ev_io io;			 /* somebody connects */
	struct host_ipc_clients clients; /* connected programs */
	unsigned int n;			 /* of them */
};

/** Listens at the configured path. On failure err gets a sentence. 0 or errno. */
int host_ipc_open(struct host *h, char *err, size_t room);
/** Closes all. */
void host_ipc_close(struct host *h);
/** Answers; fds (n of them) are sent along and stay the caller's. */
void host_ipc_reply(struct host_ipc_client *cl, const struct host_ipc_rep *rep, const int *fds,
		    int n);

#endif
