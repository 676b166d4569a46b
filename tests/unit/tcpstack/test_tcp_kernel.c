/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core against the kernel's TCP, over a TUN device in a network namespace of its own.
 *
 * A child plays an ordinary client with ordinary sockets; the parent is the
 * shell. The connection is opened by hand and imported, or by the core: from a
 * listener with half-open connections or cookies, actively, or by both ends at
 * once. Segments are lost in both directions by a seeded generator. Skipped
 * where namespaces or TUN cannot be had.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tcpstack/net_build.h"
#include "tcpstack/net_parse.h"
#include "tcpstack/tcp_open.h"

#define RING   (256u << 10)
#define MSS    1460
#define PORT   80
#define L2_LEN 14

/** One connection of a client. */
struct job {
	const char *name;
	uint32_t down; /* bytes to the client */
	uint32_t up;   /* bytes from it */
	uint32_t loss; /* per 10000, each direction */
	int end;       /* how the client ends, see below */
	int open;      /* how it begins */
};

enum { OPEN_IMPORT, OPEN_LISTEN, OPEN_COOKIE, OPEN_CONNECT, OPEN_BOTH };

enum { END_READ_EOF, END_FIN_FIRST, END_RST };

/** The shell of the connection under test. */
struct shell {
	struct tcp_conn c;	   /* first: ops get the shell from it */
	struct tcp_cfg cfg;	   /* defaults */
	struct tcp_pool pool;	   /* of rec[] */
	struct tcp_txrec rec[256]; /* transmission records */
	struct tcp_keys keys;	   /* any */
	struct tcp_listener l;	   /* gives this one connection */
	const struct job *job;	   /* what goes on */
	int tun;		   /* packets of the kernel */
	struct net_flow flow;	   /* from us to the client */
	uint32_t isn, irs;	   /* first payload byte of each direction */
	bool live;		   /* imported */
	bool bad;		   /* a wrong byte came */
	uint64_t rng;		   /* of the loss */
	unsigned int events[TCP_E_COUNT];
	uint16_t ip_id;
	uint32_t down_left; /* bytes not produced yet */
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint8_t pattern(uint32_t off)
{
	return (uint8_t)((off * 2654435761u) >> 23);
}

static bool lose(struct shell *s)
{
	s->rng = s->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (s->rng >> 33) % 10000 < s->job->loss;
}

/* One segment of a run to the kernel. */
static void send_one(struct shell *s, const struct tcp_emit *e, uint32_t off, uint32_t len)
{
	static const struct net_l2 l2;
	uint8_t buf[2048], flags = tcp_emit_flags(e, off, len);
	uint32_t base = e->seq + off - s->isn;
	uint16_t l4;
	size_t n;

	n = net_build_tcp(buf, sizeof(buf), &l2, &s->flow, e, e->seq + off, flags, len, s->ip_id++,
			  &l4);
	for (uint32_t i = 0; i < len; i++)
		buf[n + i] = pattern(base + i);
	net_tcp_csum_finish(buf + l4, n - l4, net_csum_add(0, buf + n, len, false));
	if (!s->live || !lose(s))
		(void)!write(s->tun, buf + L2_LEN, n + len - L2_LEN);
}

static int on_want(struct tcp_conn *c, uint32_t seq, uint32_t len, bool retx)
{
	return 0;
}

static int on_emit(struct tcp_conn *c, const struct tcp_emit *e)
{
	uint32_t off = 0;

	do {
		uint32_t n = e->len - off < e->mss ? e->len - off : e->mss;

		send_one((struct shell *)c, e, off, n);
		off += n;
	} while (off < e->len);
	return 0;
}

static void on_acked(struct tcp_conn *c, uint32_t una)
{
}

static void on_event(struct tcp_conn *c, enum tcp_event ev)
{
	struct shell *s = (struct shell *)c;

	s->events[ev]++;
	if (ev != TCP_E_ESTABLISHED)
		return;
	s->isn = c->snd_una;
	s->irs = c->rcv_nxt;
}

static const struct tcp_ops ops = {on_want, on_emit, on_acked, on_event};

static struct tcp_conn *on_take(struct tcp_listener *l, const struct net_flow *f)
{
	struct shell *s = (struct shell *)((char *)l - offsetof(struct shell, l));

	return s->job->open == OPEN_COOKIE && !l->cookie_period ? NULL : &s->c;
}

static const struct tcp_listen_ops listen_ops = {on_take};

/* The core's own opening: what our end brings. */
static void prepare_open(struct shell *s)
{
	uint8_t seed[64];

	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(s->rng >> (i % 8 * 8)) ^ (uint8_t)i;
	tcp_keys_init(&s->keys, seed);
	s->cfg.keys = &s->keys;
	s->l = (struct tcp_listener){
		.cfg = &s->cfg,
		.lop = &listen_ops,
		.offer = {RING, MSS, TCP_O_ALL, TCP_WSCALE_AUTO},
		.backlog = 1,
		.cookies = TCP_COOKIE_FULL,
	};
}

static void start_connect(struct shell *s)
{
	if (tcp_connect(&s->c, &s->cfg, &s->l.offer, &s->flow, now_us()))
		abort();
	s->live = true;
	tcp_output(&s->c, now_us());
}

/* What a segment brought: judged, and placed. */
static void place(struct shell *s, const uint8_t *frame, const struct net_pkt *p,
		  const struct tcp_rx *rx)
{
	struct tcp_rx_pos pos;

	for (uint32_t i = 0; i < rx->len; i++)
		s->bad |= frame[p->payload_off + rx->skip + i] != pattern(rx->seq - s->irs + i);
	if (!rx->len && !rx->fin)
		return;
	tcp_rx_get(&s->c, &pos);
	tcp_placed(&s->c, &pos, now_us());
	tcp_room(&s->c, pos.rcv_nxt + RING, now_us());
}

/* A segment that finds no connection. Returns true when it has one now and is to be given to it. */
static bool on_stray(struct shell *s, const uint8_t *frame, const struct net_pkt *p,
		     const struct tcp_seg *seg)
{
	struct tcp_listen_res res;

	s->flow = (struct net_flow){
		.local = p->dst, .remote = p->src, .lport = p->dport, .rport = p->sport};
	if (s->job->open == OPEN_BOTH) {
		start_connect(s);
		return true;
	}
	tcp_listen_input(&s->l, &s->flow, seg, NULL, now_us(), &res);
	if (res.has_reply)
		send_one(s, &res.reply, 0, 0);
	s->live = res.conn != NULL;
	if (s->live)
		place(s, frame, p, &res.rx);
	return false;
}

/* Answers a SYN: MSS, SACK, timestamps, window scale 7. */
static void on_syn(struct shell *s, const struct net_pkt *p, const struct tcp_seg *seg)
{
	static const uint8_t opt[20] = {2, 4, MSS >> 8, MSS & 255, 4, 2, 8, 10, 0, 0, 0, 100};
	struct tcp_emit e = {.flags = TCP_SYN | TCP_ACK, .mss = MSS, .wnd = 65535, .optlen = 20};
	uint32_t ecr = htonl(seg->tsval);

	s->flow = (struct net_flow){
		.local = p->dst, .remote = p->src, .lport = p->dport, .rport = p->sport};
	s->irs = seg->seq + 1;
	memcpy(e.opt, opt, sizeof(opt));
	memcpy(e.opt + 12, &ecr, 4);
	e.opt[16] = 1;
	e.opt[17] = 3;
	e.opt[18] = 3;
	e.opt[19] = 7;
	e.seq = s->isn - 1;
	e.ack = s->irs;
	send_one(s, &e, 0, 0);
}

/* The handshake is complete: the core takes over. */
static int on_established(struct shell *s, const struct tcp_seg *seg, uint8_t wscale)
{
	struct tcp_state_io st = {
		.version = TCP_STATE_VERSION,
		.state = TCP_S_ESTABLISHED,
		.snd_wscale = wscale,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.ts_recent_valid = true,
		.mss = MSS,
		.snd_una = s->isn,
		.snd_nxt = s->isn,
		.snd_avail = s->isn,
		.snd_wnd = (uint32_t)seg->wnd << wscale,
		.snd_wl1 = seg->seq,
		.snd_wl2 = seg->ack,
		.rcv_nxt = s->irs,
		.rcv_edge = s->irs + 65535,
		.rcv_room = s->irs + RING,
		.ts_val = 200,
		.ts_recent = seg->tsval,
	};

	s->live = true;
	return tcp_import(&s->c, &s->cfg, &st, now_us());
}

/* A segment of the live connection. */
static void on_segment(struct shell *s, const uint8_t *frame, const struct net_pkt *p,
		       const struct tcp_seg *seg)
{
	struct tcp_rx rx;

	if (lose(s))
		return;
	tcp_input(&s->c, seg, now_us(), &rx);
	place(s, frame, p, &rx);
}

static void on_packet(struct shell *s, uint8_t *frame, uint32_t len)
{
	static uint8_t wscale;
	struct tcp_seg seg;
	struct net_pkt p;

	memset(frame, 0, L2_LEN);
	frame[12] = 8;
	if (net_parse(frame, len, NET_F_CSUM_L4 | NET_F_CSUM_IP, &p) != NET_PERR_OK ||
	    p.proto != IPPROTO_TCP || net_parse_tcp(frame, &p, &seg) != NET_PERR_OK)
		return;
	if (s->job->open != OPEN_IMPORT && !s->live && !on_stray(s, frame, &p, &seg))
		return;
	if (seg.flags & TCP_SYN && !s->live) {
		wscale = seg.wscale;
		on_syn(s, &p, &seg);
		return;
	}
	if (p.sport != s->flow.rport)
		return;
	if (!s->live && on_established(s, &seg, wscale))
		abort();
	on_segment(s, frame, &p, &seg);
}

/* What the server program would do. */
static void program(struct shell *s)
{
	if (s->c.state == TCP_S_SYN_SENT || s->c.state == TCP_S_SYN_RCVD)
		return;
	if (s->down_left) {
		tcp_produced(&s->c, s->down_left, now_us());
		s->down_left = 0;
	}
	if (s->job->end != END_FIN_FIRST || s->events[TCP_E_FIN])
		tcp_shutdown(&s->c, now_us());
}

/* Runs the connection to its end. Returns false when it does not come within 60 s. */
static bool serve(struct shell *s)
{
	uint64_t limit = now_us() + 60000000;
	uint8_t frame[4096];

	while (now_us() < limit) {
		struct pollfd pf = {.fd = s->tun, .events = POLLIN};
		uint64_t now = now_us(), due = s->live ? tcp_deadline(&s->c, now_us()) : TCP_NEVER;
		int wait = due <= now ? 0 : due - now > 20000 ? 20 : (int)((due - now) / 1000) + 1;
		ssize_t n;

		poll(&pf, 1, wait);
		/* As the worker does: what has come is read before a timer sees this time. */
		now = now_us();
		while ((n = read(s->tun, frame + L2_LEN, sizeof(frame) - L2_LEN)) > 0)
			on_packet(s, frame, (uint32_t)n + L2_LEN);
		if (!s->live)
			continue;
		program(s);
		if (tcp_deadline(&s->c, now_us()) <= now)
			tcp_timer(&s->c, now);
		tcp_output(&s->c, now_us());
		if (s->c.state == TCP_S_CLOSED || s->c.state == TCP_S_TIME_WAIT)
			return true;
	}
	return false;
}

/* Reads down to end-of-file or n bytes. Returns 0 when they are right. */
static int client_read(int fd, uint32_t n, bool to_eof)
{
	uint8_t buf[65536];
	uint32_t off = 0;

	while (off < n || to_eof) {
		ssize_t k = read(fd, buf, sizeof(buf));

		if (k < 0)
			return 2;
		if (k == 0)
			break;
		for (ssize_t i = 0; i < k; i++)
			if (buf[i] != pattern(off + (uint32_t)i))
				return 3;
		off += (uint32_t)k;
	}
	return off == n ? 0 : 4;
}

static int client_write(int fd, uint32_t n)
{
	uint8_t buf[16384];
	uint32_t off = 0;

	while (off < n) {
		uint32_t len = n - off < sizeof(buf) ? n - off : sizeof(buf);
		ssize_t k;

		for (uint32_t i = 0; i < len; i++)
			buf[i] = pattern(off + i);
		k = write(fd, buf, len);
		if (k <= 0)
			return 5;
		off += (uint32_t)k;
	}
	return 0;
}

/* The client's end of the opening; ready: told when it listens. -1: it failed. */
static int client_open(const struct job *j, int ready)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, conn;

	if (j->open == OPEN_CONNECT) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&to, sizeof(to)) || listen(fd, 1) ||
		    write(ready, "", 1) != 1)
			return -1;
		conn = accept(fd, NULL, NULL);
		close(fd);
		return conn;
	}
	to.sin_addr.s_addr = htonl(0x0a630002);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

/* True when the kernel agreed to every option. */
static bool all_options(int fd)
{
	const unsigned int all =
		TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE | TCPI_OPT_ECN;
	struct tcp_info ti;
	socklen_t n = sizeof(ti);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n) && (ti.tcpi_options & all) == all;
}

/* The client. Returns its exit status. */
static int client(const struct job *j, int ready)
{
	struct linger hard = {.l_onoff = 1};
	int fd = client_open(j, ready), rc;
	uint8_t byte;

	if (fd < 0)
		return 1;
	/* A SYN that was lost, or that met another, is sent again without asking for ECN. */
	if (j->open != OPEN_IMPORT && j->open != OPEN_BOTH && !j->loss && !all_options(fd))
		return 7;
	if (j->end == END_RST) {
		rc = client_read(fd, j->down / 2, false) & 0;
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
		return rc;
	}
	rc = client_write(fd, j->up);
	if (!rc && j->end == END_FIN_FIRST)
		shutdown(fd, SHUT_WR);
	if (!rc)
		rc = client_read(fd, j->down, true);
	if (!rc && read(fd, &byte, 1) != 0)
		rc = 6;
	close(fd);
	return rc;
}

/* A TUN device with 10.99.0.1/24, in a namespace of our own; -1: cannot be had. */
static int make_tun(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr.ifr_addr;
	int fd, s;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return -1;
	strcpy(ifr.ifr_name, "tcp0");
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return -1;
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(0x0a630001);
	if (ioctl(s, SIOCSIFADDR, &ifr))
		return -1;
	a->sin_addr.s_addr = htonl(0xffffff00);
	if (ioctl(s, SIOCSIFNETMASK, &ifr) || ioctl(s, SIOCGIFFLAGS, &ifr))
		return -1;
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &ifr))
		return -1;
	close(s);
	return fd;
}

/* Clients of this namespace ask for ECN. */
static void ask_for_ecn(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_ecn", "w");

	if (!f || fputs("1", f) < 0 || fclose(f))
		abort();
}

/* Runs one job. Returns true when everything was as it must be. */
static bool run(int tun, const struct job *j, uint64_t seed)
{
	struct shell s = {.job = j, .tun = tun, .rng = seed, .isn = 0xffff0000u};
	struct tcp_stats *st = &s.c.stats;
	uint64_t start = now_us();
	bool ended, ok;
	int status = 0;
	int ready[2];
	uint8_t byte;
	pid_t pid;

	tcp_cfg_default(&s.cfg);

	s.cfg.ops = &ops;
	prepare_open(&s);
	tcp_pool_init(&s.pool, s.rec, 256, 128);
	s.cfg.pool = &s.pool;
	s.down_left = j->down;
	if (pipe(ready))
		return false;
	pid = fork();
	if (!pid)
		_exit(client(j, ready[1]));
	if (j->open == OPEN_CONNECT) {
		net_addr_v4(&s.flow.local, "\x0a\x63\x00\x02");
		net_addr_v4(&s.flow.remote, "\x0a\x63\x00\x01");
		s.flow.lport = htons(20000);
		s.flow.rport = htons(PORT);
		if (read(ready[0], &byte, 1) == 1)
			start_connect(&s);
	}
	close(ready[0]);
	close(ready[1]);
	ended = serve(&s);
	if (!ended)
		kill(pid, SIGKILL);
	/* The kernel may still want an answer to its FIN. */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct shell tail = s;

		serve(&tail);
		usleep(1000);
	}
	ok = ended && WIFEXITED(status) && !WEXITSTATUS(status) && !s.bad;
	if (j->end == END_RST)
		ok = ok && s.events[TCP_E_RESET];
	else
		ok = ok && tcp_bytes_in(&s.c) == j->up && tcp_bytes_out(&s.c) == j->down;
	if (!j->loss && j->end != END_RST)
		ok = ok && !st->retx_segs && !st->rto_count && !st->probes;
	printf("%-28s %s: %.3f s, client %d, state %s, retransmitted %u, probes %u, timeouts %u, "
	       "recoveries %u, undone %u, D-SACKs %u\n",
	       j->name, ok ? "ok" : "FAILED", (double)(now_us() - start) / 1e6,
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1, tcp_state_name(s.c.state),
	       st->retx_segs, st->probes, st->rto_count, st->recoveries,
	       st->undone_fr + st->undone_rto, st->dsacks);
	return ok;
}

int main(void)
{
	static const struct job jobs[] = {
		{"download", 8 << 20, 100, 0, END_READ_EOF, OPEN_IMPORT},
		{"upload", 100, 8 << 20, 0, END_FIN_FIRST, OPEN_IMPORT},
		{"both ways", 2 << 20, 2 << 20, 0, END_FIN_FIRST, OPEN_IMPORT},
		{"nothing", 0, 0, 0, END_READ_EOF, OPEN_IMPORT},
		{"download, 1 % loss", 2 << 20, 100, 100, END_READ_EOF, OPEN_IMPORT},
		{"download, 5 % loss", 500000, 100, 500, END_READ_EOF, OPEN_IMPORT},
		{"upload, 1 % loss", 100, 2 << 20, 100, END_FIN_FIRST, OPEN_IMPORT},
		{"upload, 5 % loss", 100, 500000, 500, END_FIN_FIRST, OPEN_IMPORT},
		{"both ways, 3 % loss", 300000, 300000, 300, END_FIN_FIRST, OPEN_IMPORT},
		{"client resets", 4 << 20, 0, 0, END_RST, OPEN_IMPORT},
		{"listener", 2 << 20, 1 << 20, 0, END_FIN_FIRST, OPEN_LISTEN},
		{"listener, 3 % loss", 200000, 200000, 300, END_FIN_FIRST, OPEN_LISTEN},
		{"cookie", 2 << 20, 1 << 20, 0, END_FIN_FIRST, OPEN_COOKIE},
		{"connect", 2 << 20, 1 << 20, 0, END_FIN_FIRST, OPEN_CONNECT},
		{"connect, 3 % loss", 200000, 200000, 300, END_FIN_FIRST, OPEN_CONNECT},
		{"both connect", 2 << 20, 1 << 20, 0, END_FIN_FIRST, OPEN_BOTH},
	};
	const char *env = getenv("TCP_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	int tun = make_tun();
	bool ok = true;

	if (tun >= 0)
		ask_for_ecn();
	if (tun < 0) {
		printf("no namespace or TUN device here: skipped\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TCP_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned int i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		/* On a busy machine a client may get no processor for as long as a probe waits. */
		ok &= run(tun, &jobs[i], seed + i) ||
		      (!jobs[i].loss && run(tun, &jobs[i], seed + i));
	}
	return ok ? 0 : 1;
}
