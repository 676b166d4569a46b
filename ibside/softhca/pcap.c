/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture file: SOFTHCA_PCAP=FILE (its format: ibside/packet/pkt_erf.c).  The processes of a
 * subnet may share one: each writes the packets of the operations it initiates, requests and
 * answers, with one append for a whole operation.  %p in the name stands for the pid.  Nothing more
 * is written once the file has SOFTHCA_PCAP_MAX bytes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ibside/packet/pkt.h"
#include "soft.h"

#define PCAP_MAX (64u << 20) /* bytes, unless told otherwise */
#define PCAP_BUF (256u << 10)

/* Whether there is a capture; set before the first port opens. */
bool soft_pcap_on;
/* Whether connections are introduced by messages of the communication manager. */
bool soft_pcap_cm;

static pthread_mutex_t pcap_lock = PTHREAD_MUTEX_INITIALIZER; /* what follows */
static int pcap_fd = -1;
static uint64_t pcap_max = PCAP_MAX;
static uint8_t *pcap_buf;
static size_t pcap_used;

/* Opens the file; whoever comes first writes its head.  Returns 0 or errno. */
static int pcap_open(const char *name)
{
	uint8_t h[PKT_ERF_HEAD];
	struct stat st;
	int rc = 0;

	pkt_erf_head(h);
	pcap_fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (pcap_fd < 0)
		return errno;
	while (flock(pcap_fd, LOCK_EX) < 0 && errno == EINTR)
		;
	if (fstat(pcap_fd, &st) < 0 || (!st.st_size && write(pcap_fd, h, sizeof(h)) != sizeof(h)))
		rc = errno;
	flock(pcap_fd, LOCK_UN);
	return rc;
}

static void pcap_name(const char *pattern, char *out, size_t len)
{
	const char *p = strstr(pattern, "%p");

	if (p)
		snprintf(out, len, "%.*s%d%s", (int)(p - pattern), pattern, getpid(), p + 2);
	else
		snprintf(out, len, "%s", pattern);
}

/* Reads the environment. */
void soft_pcap_init(void)
{
	const char *file = getenv("SOFTHCA_PCAP"), *max = getenv("SOFTHCA_PCAP_MAX");
	const char *cm = getenv("SOFTHCA_PCAP_CM");
	char name[512];
	int rc;

	if (!file || !*file)
		return;
	if (max && *max)
		pcap_max = strtoull(max, NULL, 0);
	pcap_name(file, name, sizeof(name));
	pcap_buf = malloc(PCAP_BUF);
	rc = pcap_buf ? pcap_open(name) : ENOMEM;
	if (rc)
		fprintf(stderr, "softhca: no capture to %s: %s\n", name, strerror(rc));
	soft_pcap_on = !rc;
	soft_pcap_cm = soft_pcap_on && cm && *cm && *cm != '0';
}

static void pcap_flush(void)
{
	struct stat st;

	if (!pcap_used)
		return;
	if (fstat(pcap_fd, &st) < 0 || (uint64_t)st.st_size + pcap_used > pcap_max ||
	    write(pcap_fd, pcap_buf, pcap_used) != (ssize_t)pcap_used)
		soft_pcap_on = soft_pcap_cm = false; /* full: the capture ends here */
	pcap_used = 0;
}

/* Begins the packets of one operation.  No other thread's come between. */
void soft_pcap_begin(void)
{
	pthread_mutex_lock(&pcap_lock);
}

/* Adds a packet of @n bytes, LRH to VCRC: a pkt_sink_fn. */
void soft_pcap_packet(void *arg, const uint8_t *pkt, uint32_t n)
{
	struct timespec ts;

	(void)arg;
	if (!soft_pcap_on)
		return;
	if (pcap_used + PKT_ERF_RECORD + n > PCAP_BUF)
		pcap_flush();
	clock_gettime(CLOCK_REALTIME, &ts);
	pcap_used += pkt_erf_record(pcap_buf + pcap_used, &ts, pkt, n, 0);
}

/* Writes what soft_pcap_begin() began. */
void soft_pcap_end(void)
{
	pcap_flush();
	pthread_mutex_unlock(&pcap_lock);
}

/* In the child of a fork: nobody else is writing. */
void soft_pcap_forked(void)
{
	pthread_mutex_init(&pcap_lock, NULL);
	pcap_used = 0;
}
