/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tagctl_ask.c - the conversation with the daemon: a line of JSON each way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/tagctl.h"

#define TIMEOUT_S 10

FILE *daemon_open(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = TIMEOUT_S};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "tagctl: %s: the path is too long\n", path);
		return NULL;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		return fdopen(fd, "r+");
	}
	fprintf(stderr, "tagctl: no tagd answers at %s: %s%s\n", path, strerror(errno),
		errno == EACCES ? " (try as root)"
		: errno == ENOENT || errno == ECONNREFUSED
			? " (is it running? --socket names another)"
			: "");
	if (fd >= 0)
		close(fd);
	return NULL;
}

json_t *daemon_ask(FILE *daemon, const json_t *req)
{
	char *text = json_dumps(req, JSON_COMPACT), *line = NULL;
	json_t *reply = NULL;
	size_t room = 0;
	ssize_t n;

	if (text && dprintf(fileno(daemon), "%s\n", text) > 0 &&
	    (n = getline(&line, &room, daemon)) > 0)
		reply = json_loadb(line, (size_t)n, 0, NULL);
	if (!reply)
		fprintf(stderr, "tagctl: tagd closed the connection or did not answer in %d s\n",
			TIMEOUT_S);
	free(text);
	free(line);
	return reply;
}
