/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture file: SOFTHCA_PCAP=FILE, a pcap file of ERF records (link type 197) of type 21,
 * InfiniBand.  The processes of a subnet may share one: each writes the packets of the operations
 * it initiates, requests and answers, with one append for a whole operation.  %p in the name
 * stands for the pid.  Nothing more is written once the file has SOFTHCA_PCAP_MAX bytes.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "packet.h"

#define PCAP_MAX     (64u << 20) /* bytes, unless told otherwise */
#define PCAP_BUF     (256u << 10)
#define PCAP_NS	     0xa1b23c4du /* times in nanoseconds */
#define LINKTYPE_ERF 197u
#define ERF_IB	     21u

struct pcap_head {
	uint32_t magic;	  /* PCAP_NS, own byte order */
	uint16_t major;	  /* 2 */
	uint16_t minor;	  /* 4 */
	uint32_t zone;	  /* 0 */
	uint32_t sigfigs; /* 0 */
	uint32_t snap;	  /* longest record */
	uint32_t link;	  /* LINKTYPE_ERF */
};

struct pcap_record {
	uint32_t sec, nsec; /* time of day */
	uint32_t caplen;    /* bytes that follow, in the file */
	uint32_t len;	    /* and on the wire */
};

struct erf_head {
	uint64_t ts;   /* seconds above binary fraction; lowest byte first */
	uint8_t type;  /* ERF_IB */
	uint8_t flags; /* varying length */
	uint16_t rlen; /* of record with this header, big endian */
	uint16_t loss; /* 0 */
	uint16_t wlen; /* of the packet, big endian */
};

static_assert(sizeof(struct pcap_head) == 24 && sizeof(struct pcap_record) == 16, "pcap");
static_assert(sizeof(struct erf_head) == 16, "ERF");

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
	const struct pcap_head h = {PCAP_NS, 2, 4, 0, 0, 65535, LINKTYPE_ERF};
	struct stat st;
	int rc = 0;

	pcap_fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (pcap_fd < 0)
		return errno;
	while (flock(pcap_fd, LOCK_EX) < 0 && errno == EINTR)
		;
	if (fstat(pcap_fd, &st) < 0 || (!st.st_size && write(pcap_fd, &h, sizeof(h)) != sizeof(h)))
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

/* Adds a packet of @n bytes, LRH to VCRC. */
void soft_pcap_packet(const uint8_t *pkt, uint32_t n)
{
	struct pcap_record r = {.caplen = n + sizeof(struct erf_head)};
	struct erf_head e = {.type = ERF_IB, .flags = 4};
	struct timespec ts;

	if (!soft_pcap_on)
		return;
	if (pcap_used + sizeof(r) + sizeof(e) + n > PCAP_BUF)
		pcap_flush();
	clock_gettime(CLOCK_REALTIME, &ts);
	r.sec = (uint32_t)ts.tv_sec;
	r.nsec = (uint32_t)ts.tv_nsec;
	r.len = r.caplen;
	e.ts = (uint64_t)ts.tv_sec << 32 | (((uint64_t)ts.tv_nsec << 32) / 1000000000u);
	e.rlen = htons((uint16_t)r.caplen);
	e.wlen = htons((uint16_t)n);
	memcpy(pcap_buf + pcap_used, &r, sizeof(r));
	memcpy(pcap_buf + pcap_used + sizeof(r), &e, sizeof(e));
	memcpy(pcap_buf + pcap_used + sizeof(r) + sizeof(e), pkt, n);
	pcap_used += sizeof(r) + sizeof(e) + n;
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
