/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures: every kind of packet there is, its numbers and its checks.  With SOFTHCA_PCAP set from
 * outside, the file is left for another reader.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ibside/packet/pkt.h"
#include "rig.h"

#define ERF 16u
#define MAX (1u << 20)

static char file[256];
static bool keep;

/* The packets of the file, LRH to VCRC. */
static struct {
	const uint8_t *p; /* in data */
	uint32_t n;	  /* bytes */
} pk[4096];
static uint32_t npk;
static uint8_t data[4 * MAX];

static uint32_t be(const uint8_t *p, int n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void load(void)
{
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, data, sizeof(data));
	uint32_t rec[4];

	assert_true(n >= 24);
	close(fd);
	memcpy(rec, data, sizeof(rec));
	assert_int_equal(rec[0], 0xa1b23c4d);
	memcpy(rec, data + 20, 4);
	assert_int_equal(rec[0], 197);
	npk = 0;
	for (uint32_t at = 24; at < n; at += 16 + rec[2]) {
		memcpy(rec, data + at, sizeof(rec));
		assert_int_equal(rec[2], rec[3]);
		assert_int_equal(data[at + 16 + 8], 21);
		assert_int_equal(be(data + at + 16 + 10, 2), rec[2]);
		pk[npk].p = data + at + 16 + ERF;
		pk[npk++].n = rec[2] - ERF;
		assert_true(npk < sizeof(pk) / sizeof(pk[0]));
	}
}

static const uint8_t *bth(uint32_t i)
{
	return pk[i].p + ((pk[i].p[1] & 3) == 3 ? 48 : 8);
}

/* From packet @i on, the first one with this opcode. */
static uint32_t find(uint32_t i, uint32_t opcode)
{
	while (i < npk && bth(i)[0] != opcode)
		i++;
	if (i == npk)
		fail_msg("no packet with opcode 0x%02x", opcode);
	return i;
}

/* The example that IBTA volume 1 gives in 7.8. */
static void known_check(void **state)
{
	static const uint8_t p[] = {
		0x70, 0x12, 0x37, 0x5c, 0x00, 0x0e, 0x17, 0xd2, 0x0a, 0x20, 0x24, 0x87, 0x00,
		0x87, 0xb1, 0xb3, 0x00, 0x0d, 0xec, 0x2a, 0x01, 0x71, 0x0a, 0x1c, 0x01, 0x5d,
		0x40, 0x02, 0x38, 0xf2, 0x7a, 0x05, 0x00, 0x00, 0x00, 0x0e, 0xbb, 0x88, 0x4d,
		0x85, 0xfd, 0x5c, 0xfb, 0xa4, 0x72, 0x8b, 0xc0, 0x69, 0x0e, 0xd4, 0x00, 0x00};

	(void)state;
	assert_int_equal(htonl(pkt_icrc(p, sizeof(p), false)), 0x9625b75au);
}

/* What makes an operation of @op on @len bytes and waits for it. */
static void go(struct rig_end *a, struct rig_end *b, enum ibv_wr_opcode op, uint32_t len)
{
	assert_int_equal(rig_post(a, op, 0x01020304, 0, len, &b->me, 0, 0), 0);
	rig_ok(a->scq);
}

/* An SDP message, as the gateway and hosts exchange them, of type @mid. */
static void message(struct rig_end *a, struct rig_end *b, uint8_t mid)
{
	static uint32_t seq = 0x100;
	const uint32_t h[] = {htonl((uint32_t)mid << 24 | 64),
			      htonl(32),
			      htonl(++seq),
			      htonl(seq - 0x20),
			      0x01000000,
			      htonl(0x1000),
			      0,
			      0};

	rig_recv(b, 0, 65536, 4096);
	memcpy(a->buf, h, sizeof(h));
	go(a, b, IBV_WR_SEND, sizeof(h));
	rig_ok(b->rcq);
}

static void atomics(struct rig_end *a, struct rig_end *b)
{
	struct ibv_sge s = {(uintptr_t)a->buf, 8, a->mr->lkey};
	struct ibv_send_wr w = {.sg_list = &s, .num_sge = 1, .send_flags = IBV_SEND_SIGNALED}, *bad;

	*(uint64_t *)b->buf = 0x1122334455667788;
	w.wr.atomic.remote_addr = b->me.addr;
	w.wr.atomic.rkey = b->me.rkey;
	w.wr.atomic.compare_add = 1;
	w.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	assert_int_equal(ibv_post_send(a->qp, &w, &bad), 0);
	rig_ok(a->scq);
	w.opcode = IBV_WR_ATOMIC_CMP_AND_SWP;
	assert_int_equal(ibv_post_send(a->qp, &w, &bad), 0);
	rig_ok(a->scq);
}

static void connected(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_end a, b;
	uint32_t i, j;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	memset(a.buf, 0x5a, RIG_BUF);
	for (int n = 0; n < 4; n++)
		rig_recv(&b, 0, 0, 65536);
	go(&a, &b, IBV_WR_SEND, 9001);
	go(&a, &b, IBV_WR_SEND_WITH_IMM, 5);
	go(&a, &b, IBV_WR_SEND, 0);
	go(&a, &b, IBV_WR_RDMA_WRITE, 4097);
	go(&a, &b, IBV_WR_RDMA_WRITE_WITH_IMM, 100);
	go(&a, &b, IBV_WR_RDMA_READ, 12288);
	atomics(&a, &b);
	go(&a, &b, IBV_WR_RDMA_READ, 8); /* behind what they numbered */
	for (int n = 0; n < 4; n++)
		rig_ok(b.rcq);
	message(&a, &b, 0x40);
	message(&b, &a, 0x41);
	message(&a, &b, 0xfe);
	/* errors last: a receiver that is not ready, then one that refuses */
	assert_int_equal(rig_post(&a, IBV_WR_SEND, 1, 0, 8, NULL, 0, 0), 0);
	rig_none(a.scq);
	rig_recv(&b, 0, 0, 64);
	rig_ok(a.scq);
	assert_int_equal(rig_post(&a, IBV_WR_RDMA_READ, 1, 0, 8, &b.me, RIG_BUF, 0), 0);
	assert_int_equal(rig_wait(a.scq).status, IBV_WC_REM_ACCESS_ERR);
	rig_down(&a);
	rig_down(&b);

	load();
	i = find(0, PKT_SEND_FIRST);
	assert_int_equal(bth(find(i, PKT_SEND_LAST))[1] >> 4 & 3, 3); /* 809 bytes */
	assert_int_equal(find(i, PKT_SEND_MIDDLE), i + 1);
	assert_int_equal(find(i, PKT_ACK), i + 3);
	j = find(i, PKT_SEND_ONLY_IMM);
	assert_int_equal(be(bth(j) + 9, 3), be(bth(i) + 9, 3) + 3);
	assert_int_equal(ntohl(be(bth(j) + 12, 4)), 0x01020304);
	j = find(i, PKT_WRITE_FIRST);
	assert_int_equal(be(bth(j) + 12 + 12, 4), 4097);
	find(j, PKT_WRITE_LAST);
	find(j, PKT_WRITE_ONLY_IMM);
	i = find(j, PKT_READ_FIRST);
	assert_int_equal(find(i, PKT_READ_LAST), i + 2);
	j = find(i, PKT_ATOMIC_ACK);
	assert_int_equal(be(bth(j) + 16, 4), 0x11223344);
	assert_int_equal(be(bth(j) + 20, 4), 0x55667788);
	find(i, PKT_CMP_SWAP);
	find(i, PKT_FETCH_ADD);
	find(i, PKT_READ_ONLY);
	assert_int_equal(bth(npk - 1)[0], PKT_ACK);
	assert_int_equal(bth(npk - 1)[12], 0x62); /* NAK: remote access error */
	for (i = j = 0; i < npk; i++)
		j += bth(i)[0] == PKT_ACK && (bth(i)[12] >> 5) == 1;
	assert_int_equal(j, 1); /* RNR NAK, once */
}

/* A frame as it travels natively: type 0x6558 and an ARP request. */
static void native_frame(uint8_t *p)
{
	static const uint8_t frame[] = {
		0x65, 0x58, 0, 0,  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0,  0, 0, 0, 1,
		8,    6,    0, 1,  8,	 0,    6,    4,	   0,	 1,    2,  0,  0, 0, 0, 1,
		10,   77,   0, 11, 0,	 0,    0,    0,	   0,	 0,    10, 77, 0, 2,
	};

	memset(p, 0, 64);
	memcpy(p, frame, sizeof(frame));
}

static void datagrams(void **state)
{
	const struct rig_opt o = {.type = IBV_QPT_UD};
	struct ibv_ah_attr aa = {.port_num = 1};
	struct ibv_send_wr w = {.num_sge = 1, .send_flags = IBV_SEND_SIGNALED}, *bad;
	struct rig_end a, b;
	struct ibv_sge s;
	uint32_t i, qpn;

	(void)state;
	rig_pair(&a, &b, &o, NULL);
	s = (struct ibv_sge){(uintptr_t)a.buf, 64, a.mr->lkey};
	w.sg_list = &s;
	w.wr.ud.remote_qpn = qpn = b.me.qpn;
	w.wr.ud.remote_qkey = RIG_QKEY;
	aa.dlid = b.me.lid;
	native_frame(a.buf);
	for (int global = 0; global < 2; global++) {
		aa.is_global = (uint8_t)global;
		aa.grh.dgid = b.me.gid;
		w.wr.ud.ah = ibv_create_ah(a.pd, &aa);
		w.opcode = global ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
		rig_recv(&b, 0, 0, 256);
		assert_int_equal(ibv_post_send(a.qp, &w, &bad), 0);
		rig_ok(a.scq);
		rig_ok(b.rcq);
		assert_int_equal(ibv_destroy_ah(w.wr.ud.ah), 0);
	}
	rig_down(&a);
	rig_down(&b);
	load();
	for (i = find(0, PKT_UD_SEND); be(bth(i) + 5, 3) != qpn; i = find(i + 1, PKT_UD_SEND))
		;
	assert_int_equal(be(bth(i) + 12, 4), RIG_QKEY);
	assert_int_equal(be(bth(i) + 20, 2), 0x6558);
	i = find(i, PKT_UD_SEND_IMM);
	assert_int_equal(pk[i].p[1] & 3, 3);
	assert_int_equal(be(pk[i].p + 12, 2), 12 + 8 + 4 + 64 + 4);
}

/* Lengths and checks of whatever was written. */
static void every_packet(void **state)
{
	(void)state;
	load();
	assert_true(npk > 30);
	for (uint32_t i = 0; i < npk; i++) {
		const uint8_t *p = pk[i].p;
		uint32_t n = pk[i].n;

		assert_int_equal(be(p + 4, 2) * 4 + 2, n);
		assert_int_equal(p[n - 6] | p[n - 5] << 8 | p[n - 4] << 16 |
					 (uint32_t)p[n - 3] << 24,
				 pkt_icrc(p, n - 6, (p[1] & 3) == 3));
		assert_int_equal(p[n - 2] | p[n - 1] << 8, pkt_vcrc(p, n - 2));
	}
}

static int reader(int fd)
{
	const struct rig_opt o = {.type = IBV_QPT_RC};
	struct rig_end a, b;
	char name[300];

	snprintf(name, sizeof(name), "%s.%%p", file);
	setenv("SOFTHCA_PCAP", name, 1);
	setenv("SOFTHCA_PCAP_MAX", "100000", 1);
	rig_pair(&a, &b, &o, NULL);
	for (int i = 0; i < 100; i++)
		go(&a, &b, IBV_WR_RDMA_READ, 8192);
	rig_tell(fd, "r", 1);
	rig_down(&a);
	rig_down(&b);
	return 0;
}

/* A file of this process's own, no longer than allowed. */
static void bounded(void **state)
{
	char name[300], c;
	struct stat st;
	int fd, pid;

	(void)state;
	pid = rig_fork(reader, &fd);
	rig_hear(fd, &c, 1);
	assert_int_equal(rig_reap(pid), 0);
	snprintf(name, sizeof(name), "%s.%d", file, pid);
	assert_int_equal(stat(name, &st), 0);
	assert_in_range(st.st_size, 80000, 100000);
	unlink(name);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded), /* before this process opens a device */
		cmocka_unit_test(known_check),
		cmocka_unit_test(datagrams), /* their numbers are used again, for RC */
		cmocka_unit_test(connected),
		cmocka_unit_test(every_packet),
	};
	const char *out = getenv("SOFTHCA_PCAP"), *tmp = getenv("TMPDIR");
	int rc;

	keep = out;
	if (keep)
		snprintf(file, sizeof(file), "%s", out);
	else
		snprintf(file, sizeof(file), "%s/softhca-%d.pcap", tmp ? tmp : "/tmp", getpid());
	setenv("SOFTHCA_PCAP", file, 1);
	rig_dir();
	alarm(60);
	rc = cmocka_run_group_tests(tests, NULL, rig_dir_done);
	if (!keep)
		unlink(file);
	return rc;
}
