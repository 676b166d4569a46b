/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile_host.c - a server that attaches properly and then lies. One argument names the lie:
 *
 *   messages     random bytes, unknown kinds, wrong lengths, half entries, replies nobody asked for
 *   order        COMMIT, CANCEL, SrcAvail, HandbackAck for tokens that do not exist or are others'
 *   not-owner    asks for connections of addresses that are another server's
 *   positions    requests whose numbers contradict themselves
 *   forged-rkey  an arena with invented keys: the gateway's first READ or WRITE must fail
 *   bounds       an arena that says it is larger than what is registered
 *   cursors      a granted connection whose cursors leave its rings
 *
 * It prints what the gateway answered, a line each ("grant", "deny REASON", "dead"), and exits 0
 * when it said all its lies; the test looks at the gateway.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ibside/ib.h"

#define RING 65536u

static struct ib_dev dev;
static struct ib_cq cq;
static struct ib_qp ud;
static struct ib_set set;
static struct ib_arena arena = {.slots = 8, .tx_size = RING, .rx_size = RING};
static uint8_t memory[8 * (2 * RING + 64 + 192)] __attribute__((aligned(4096)));
static struct ibv_mr *mr;
static uint8_t raw[16][IB_MSG_MAX];
static struct ibv_mr *raw_mr;
static uint32_t token; /* of the last grant */
static bool answered, dead;

static void die(const char *what)
{
	fprintf(stderr, "hostile_host: %s\n", what);
	exit(1);
}

static void on_msg(struct ib_set *s, uint8_t mid, const void *entries, int n)
{
	const struct ib_ctl *c = entries;
	const struct ib_grant *g = entries;

	for (int i = 0; i < n; i++) {
		if (mid == IB_MID_GRANT) {
			token = be32toh(g[i].token);
			puts("grant");
		} else if (mid == IB_MID_DENY) {
			printf("deny %s\n", ib_reason_name(be16toh(c[i].reason)));
		} else {
			printf("%s\n", ib_mid_name(mid));
			break;
		}
	}
	answered = true;
}

static void on_bad(struct ib_set *s, uint8_t mid, uint32_t bytes)
{
}

static void on_dead(struct ib_set *s, enum ibv_wc_status status)
{
	if (!dead)
		puts("dead");
	dead = true;
}

static const struct ib_set_ops set_ops = {.msg = on_msg, .bad = on_bad, .dead = on_dead};

static void ud_recv(struct ib_qp *qp, void *cookie, const struct ibv_wc *wc)
{
}
static void ud_dead(struct ib_qp *qp, enum ibv_wc_status status)
{
}
static const struct ib_qp_ops ud_ops = {.recv = ud_recv, .dead = ud_dead};

static void raw_done(struct ib_op *op, enum ibv_wc_status status)
{
}
static struct ib_op raw_op = {.done = raw_done};

/* Polls for a while. */
static void run_ms(int ms)
{
	while (ms-- > 0) {
		ib_cq_poll(&cq, 64);
		usleep(1000);
	}
}

static void wait_answer(void)
{
	for (int i = 0; i < 500 && !answered && !dead; i++)
		run_ms(1);
	answered = false;
}

/* Sends bytes as they are. */
static void send_raw(const void *bytes, uint32_t len)
{
	static unsigned int next;
	uint8_t *buf = raw[next++ % 16];
	struct ibv_sge sge = {(uintptr_t)buf, len, raw_mr->lkey};

	memcpy(buf, bytes, len);
	ib_qp_send(&set.ctl, &sge, 1, &raw_op);
	run_ms(1);
}

static void send_msg(uint8_t mid, const void *entry)
{
	ib_set_msg(&set, mid, entry);
	ib_set_flush(&set);
	run_ms(2);
}

static void send_line(int fd, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	if (dprintf(fd, "%s\n", text) < 0)
		die("the gateway closed the bootstrap");
	free(text);
	json_decref(o);
}

/* Next line of the type named. */
static json_t *get_line(FILE *in, const char *type)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, in) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *t = json_string_value(json_object_get(o, "type"));

		if (t && strcmp(t, type) == 0) {
			free(line);
			return o;
		}
		if (t && strcmp(t, "error") == 0)
			die(json_string_value(json_object_get(o, "text")));
		json_decref(o);
	}
	die("the gateway closed the bootstrap");
	return NULL;
}

static json_t *hex(uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lx", v);
	return json_string(text);
}

static void fill_arena(void)
{
	arena.host_base = (uintptr_t)memory;
	arena.gw_base = arena.host_base + 8 * 64;
	arena.tx_base = arena.gw_base + 8 * 192;
	arena.rx_base = arena.tx_base + 8 * RING;
	arena.host_rkey = arena.gw_rkey = arena.tx_rkey = arena.rx_rkey = mr->rkey;
}

static json_t *arena_json(void)
{
	return json_pack("{s:s,s:i,s:i,s:I,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "type", "arena",
			 "id", arena.id, "slots", arena.slots, "tx_size", (json_int_t)arena.tx_size,
			 "rx_size", (json_int_t)arena.rx_size, "host_base", hex(arena.host_base),
			 "gw_base", hex(arena.gw_base), "tx_base", hex(arena.tx_base), "rx_base",
			 hex(arena.rx_base), "host_rkey", (json_int_t)arena.host_rkey, "gw_rkey",
			 (json_int_t)arena.gw_rkey, "tx_rkey", (json_int_t)arena.tx_rkey, "rx_rkey",
			 (json_int_t)arena.rx_rkey);
}

static int attach(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct ib_addr ua, sa[2], peer[2];
	char u[80], c[80], r[80];
	json_t *o, *w;
	FILE *in;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		die("cannot connect to the gateway");
	in = fdopen(dup(fd), "r");
	ib_qp_addr(&ud, &ua);
	ib_addr_str(&ua, u);
	send_line(fd, json_pack("{s:s,s:i,s:s,s:s,s:I,s:s,s:[s],s:s,s:i}", "type", "hello",
				"version", 1, "name", "s2", "key", "lab-key-2", "epoch",
				(json_int_t)time(NULL), "mac", "02:00:00:00:02:02", "addrs",
				"10.77.0.12", "native", u, "mtu", 1500));
	o = get_line(in, "welcome");
	w = json_array_get(json_object_get(json_array_get(json_object_get(o, "workers"), 0), "set"),
			   0);
	if (!w || ib_addr_parse(json_string_value(w), &peer[0]))
		die("bad welcome");
	w = json_array_get(json_object_get(json_array_get(json_object_get(o, "workers"), 0), "set"),
			   1);
	if (!w || ib_addr_parse(json_string_value(w), &peer[1]) || ib_set_connect(&set, peer))
		die("bad welcome");
	json_decref(o);
	ib_set_addr(&set, sa);
	ib_addr_str(&sa[0], c);
	ib_addr_str(&sa[1], r);
	send_line(fd, json_pack("{s:s,s:[[s,s]]}", "type", "ready", "sets", c, r));
	json_decref(get_line(in, "up"));
	send_line(fd, arena_json());
	return fd;
}

/* A request that a gateway would grant. */
static struct ib_req good_req(uint16_t rport)
{
	struct ib_req q = {.req_id = htobe32(rport), .rport = htons(rport), .lport = htons(80)};

	q.flags = IB_REQ_WSCALE | IB_REQ_SACK;
	q.snd_wscale = q.rcv_wscale = 7;
	q.remote[10] = q.remote[11] = q.local[10] = q.local[11] = 0xff;
	inet_pton(AF_INET, "10.77.0.2", q.remote + 12);
	inet_pton(AF_INET, "10.77.0.12", q.local + 12);
	q.slot = htobe16(rport % 8);
	q.mss = htobe32(1460);
	q.snd_una = q.snd_nxt = htobe32(1000);
	q.rcv_nxt = htobe32(5000);
	q.rcv_edge = htobe32(5000 + 30000);
	q.snd_wnd = q.max_wnd = htobe32(60000);
	return q;
}

static void lie_messages(void)
{
	struct ib_bsdh h = {.mid = IB_MID_REQ, .len = htobe32(16)};
	uint8_t junk[2048];
	uint32_t seq = 1000;

	srandom(7);
	for (int i = 0; i < 300 && !dead; i++) {
		uint32_t len = random() % sizeof(junk);

		for (uint32_t k = 0; k < len; k++)
			junk[k] = random();
		if (i % 3 == 0) { /* a plausible header over junk */
			h.mid = i % 2 ? IB_MID_REQ : (uint8_t)random();
			h.len = htobe32(i % 4 ? len : 0xffffffff);
			h.mseq = htobe32(seq++);
			memcpy(junk, &h, sizeof(h));
		}
		send_raw(junk, len);
	}
}

static void lie_order(void)
{
	struct ib_ctl c = {.token = htobe32(0x12345), .req_id = htobe32(99)};
	struct ib_cursor s = {.token = htobe32(0x54321), .cursor = htobe64(1ull << 60)};

	for (int i = 0; i < 20; i++) {
		send_msg(IB_MID_COMMIT, &c);
		send_msg(IB_MID_SRC_AVAIL, &s);
		send_msg(IB_MID_BACK_ACK, &c);
		send_msg(IB_MID_REVOKE, &c);
		send_msg(IB_MID_ABORT, &c);
		send_msg(IB_MID_CANCEL, &c);
		send_msg(IB_MID_DISCONN, &c);
		c.token = htobe32(random());
		s.token = htobe32(random());
	}
}

static void lie_not_owner(void)
{
	static const char *const addrs[] = {"10.77.0.11", "10.77.0.1", "10.77.0.2", "8.8.8.8"};

	for (unsigned int i = 0; i < 4; i++) {
		struct ib_req q = good_req(6000 + i);

		inet_pton(AF_INET, addrs[i], q.local + 12);
		send_msg(IB_MID_REQ, &q);
		wait_answer();
	}
}

static void lie_positions(void)
{
	for (int i = 0; i < 8; i++) {
		struct ib_req q = good_req(6100 + i);

		if (i == 0)
			q.slot = htobe16(8);
		else if (i == 1)
			q.arena = htobe16(7);
		else if (i == 2)
			q.tx_prod = htobe64(RING + 1);
		else if (i == 3)
			q.snd_nxt = htobe32(999);
		else if (i == 4)
			q.rcv_edge = htobe32(5000 + RING + 1);
		else if (i == 5)
			q.snd_wscale = 15;
		else if (i == 6)
			q.mss = 0;
		else
			q.rx_cons = htobe64(1);
		send_msg(IB_MID_REQ, &q);
		wait_answer();
	}
}

/* Gets one connection granted and committed. */
static void start_connection(uint64_t tx_prod)
{
	struct ib_req q = good_req(6200);
	struct ib_host_line *line;
	struct ib_ctl c = {0};

	q.tx_prod = htobe64(tx_prod);
	send_msg(IB_MID_REQ, &q);
	wait_answer();
	c.token = htobe32(token);
	c.req_id = q.req_id;
	line = (struct ib_host_line *)memory + be16toh(q.slot);
	line->token = htole32(token);
	line->tx_prod = htole64(tx_prod);
	send_msg(IB_MID_COMMIT, &c);
	run_ms(300);
}

static void lie_cursors(void)
{
	struct ib_cursor s = {0};

	start_connection(0);
	s.token = htobe32(token);
	s.cursor = htobe64(1ull << 40);
	send_msg(IB_MID_SRC_AVAIL, &s);
	run_ms(200);
}

int main(int argc, char **argv)
{
	const char *lie = argc > 1 ? argv[1] : "";
	char err[IB_ERRLEN];
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ib_dev_open(&dev, "soft0", 1, 0, err))
		die(err);
	if (ib_cq_open(&cq, &dev, 1024, false) ||
	    ib_qp_open(&ud, &dev, &cq, IBV_QPT_UD, 64, 64, &ud_ops, NULL) ||
	    ib_set_open(&set, &dev, &cq, 256, &set_ops, NULL))
		die("cannot create queue pairs");
	mr = ibv_reg_mr(dev.pd, memory, sizeof(memory),
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	raw_mr = ibv_reg_mr(dev.pd, raw, sizeof(raw), IBV_ACCESS_LOCAL_WRITE);
	if (!mr || !raw_mr)
		die("cannot register memory");
	fill_arena();
	if (strcmp(lie, "forged-rkey") == 0)
		arena.tx_rkey = arena.rx_rkey = 0xdeadbeef;
	if (strcmp(lie, "bounds") == 0)
		arena.tx_base += sizeof(memory);
	fd = attach("/run/tag/fabric.sock");
	run_ms(100);
	if (strcmp(lie, "messages") == 0)
		lie_messages();
	else if (strcmp(lie, "order") == 0)
		lie_order();
	else if (strcmp(lie, "not-owner") == 0)
		lie_not_owner();
	else if (strcmp(lie, "positions") == 0)
		lie_positions();
	else if (strcmp(lie, "cursors") == 0)
		lie_cursors();
	else
		start_connection(40000);
	run_ms(200);
	close(fd);
	return 0;
}
