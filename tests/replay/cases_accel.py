# SPDX-License-Identifier: BSD-3-Clause
"""Accelerated connections: takeover, payload both ways, loss, windows, refusals."""
from scapy.layers.inet import ICMP, IP, TCP, fragment
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from cases_native import from_client
from make import CLIENT, CLIENT_MAC, GW_MAC, S1, S1_6, Case, Flow

ABC = b"abcdefghijklmnopqrstuvwxyz"


def letters(start, n):
    """What `send bytes=N` sends from a cursor on."""
    return bytes(ABC[i % 26] for i in range(start, start + n))


def taken(k, at=0.010, label="c1", words=(), conn=None, **kw):
    """A connection that is accelerated from `at` on."""
    f = Flow(k, **kw).open(0.001)
    f.conn(at - .001, label, **(conn or {}))
    f.do(at, "take", *words)
    return f


# --- payload ---------------------------------------------------------------------------------------

k = Case("fetch", "Server to client: READ from the server's memory, segments with its bytes, acknowledged, released.")
f = taken(k)
f.do(0.020, "send", "bytes=4000")
f.c(0.030, ack=5001 + 2920)
f.c(0.031, ack=5001 + 4000)
k.expect("counter accel_grants = 1", "counter accel_commits = 1", "counter rdma_read_bytes = 4000", "counter tcp_bytes_out = 4000",
         f"sequence lan0 tcp.seq=5001 tcp.len=1460 tcp.ack=1001 ip.src={S1} sport=80 eth.src={GW_MAC} eth.dst={CLIENT_MAC} sound=yes",
         "sequence lan0 tcp.seq=6461 tcp.len=1460", "sequence lan0 tcp.seq=7921 tcp.len=1080 tcp.flags=PA",
         "sequence fabric from=gw op=read bytes=4000", "sequence fabric from=s1 op=answer bytes=4000",
         "sequence fabric from=gw msg=RdmaRdCompl cursor=4000",
         "count lan0 sound!=yes = 0", "counter tcp_retransmits = 0", "conn c1 state=active")

k = Case("upload", "Client to server: payload and cursor are WRITTEN, then acknowledged.")
f = taken(k)
f.c(0.020, "A", letters(0, 1460))
f.c(0.021, "PA", letters(1460, 540))
k.expect("counter rdma_write_bytes = 2000", "counter tcp_bytes_in = 2000", "received c1 bytes=2000",
         "sequence lan0 tcp.flags=A tcp.ack=3001 tcp.seq=5001 tcp.len=0", "sequence fabric from=gw op=write bytes=1460",
         "sequence fabric from=gw msg=RdmaWrCompl cursor=2000")

k = Case("both-ways", "A question and an answer.")
f = taken(k)
f.c(0.020, "PA", b"how are you?")
f.do(0.030, "send", '"fine, thank you"')
f.c(0.040, "A", ack=5016)
k.expect('received c1 "how are you?"', 'sequence lan0 payload="fine, thank you" tcp.ack=1013 tcp.flags=PA', "conn c1 state=active")

k = Case("first-send", "What the program sent first is in the ring when the request is made.")
f = Flow(k).open(0.001)
f.conn(0.005)
f.do(0.006, "send", '"220 ready"')
f.do(0.010, "take")
k.expect('packet lan0 2 payload="220 ready" tcp.seq=5001 time=0.010', "counter rdma_reads = 1")

k = Case("in-flight", "Bytes that the kernel has sent already and the client has not acknowledged: they are the ring's first.")
f = Flow(k).open(0.001)
f.s(0.004, "PA", b"half of a sentence")
f.conn(0.005, "c1", snd_una=5001, snd_nxt=5019, tx_prod=18)
f.do(0.010, "take")
f.c(0.020, "A", ack=5019)
f.do(0.030, "send", '" and the rest"')
f.c(0.040, "A", ack=5032)
k.expect('sequence lan0 payload="half of a sentence" tcp.seq=5001 time=0.004', 'sequence lan0 payload=" and the rest" tcp.seq=5019',
         "counter tcp_retransmits = 0")

k = Case("timestamps", "Timestamps: our clock goes on from the kernel's, the client's is echoed.")
f = Flow(k, options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (100, 0)), ("WScale", 7)])
f.open(0.001)
f.conn(0.009, ts=700000, recent=100)
f.do(0.010, "take")
f.do(0.510, "send", "hello")
f.c(0.520, "PA", b"x", ack=5006, options=[("NOP", None), ("NOP", None), ("Timestamp", (620, 700500))])
k.expect("sequence lan0 payload=hello tcp.tsval=700500 tcp.tsecr=100", "sequence lan0 tcp.ack=1002 tcp.tsval=700510 tcp.tsecr=620")

k = Case("ipv6", "An accelerated connection over IPv6.")
f = taken(k, v6=True, mss=1440)
f.do(0.020, "send", "bytes=2000")
f.c(0.030, "PA", b"six", ack=7001)
k.expect(f"sequence lan0 tcp.len=1440 ip.src={S1_6} ip.dst=fd77::2 ip.ttl=64 sound=yes", "sequence lan0 tcp.len=560",
         "received c1 six", "count lan0 sound!=yes = 0")

k = Case("two", "Two connections of one server: tokens keep them apart.")
a = taken(k, label="a", cport=40001)
b = taken(k, label="b", cport=40002, at=0.012, sisn=9000, isn=3000)
a.do(0.020, "send", "alpha")
b.do(0.021, "send", "beta")
a.c(0.030, "PA", b"to a", ack=5006)
b.c(0.031, "PA", b"to b", ack=9005)
k.expect("sequence lan0 payload=alpha dport=40001 tcp.seq=5001", "sequence lan0 payload=beta dport=40002 tcp.seq=9001",
         'received a "to a"', 'received b "to b"', "counter accel_grants = 2")

# --- loss and order -----------------------------------------------------------------------------------

SACK = "SAck"

k = Case("loss-sack", "A lost segment: three SACKs, and it is sent again at once, from cache or READ again; nothing else is.")
f = taken(k)
f.do(0.020, "send", "bytes=11680")
for i in range(3):
    f.c(0.040 + i * .001, "A", ack=5001, options=[("NOP", None), ("NOP", None), (SACK, (6461, 6461 + 1460 * (i + 1)))])
f.c(0.060, "A", ack=5001 + 11680)
k.expect("count lan0 tcp.seq=5001 tcp.len=1460 = 2", "counter tcp_retransmits = 1", "count lan0 tcp.seq=6461 tcp.len!=0 = 1",
         "counter tcp_bytes_out = 11680")

k = Case("loss-timeout", "Nobody answers: the timer sends the oldest segment again, later each time (RFC 6298).")
f = taken(k)
f.do(0.020, "send", "bytes=1000")
k.play(8, "case end")
k.expect("counter tcp_retransmits >= 3", "counter tcp_retransmits <= 8", "count lan0 tcp.seq=5001 tcp.len=1000 >= 4", "counter tcp_bytes_out = 1000")

k = Case("reorder", "Segments of the client out of order: placed where they belong, SACKed, acknowledged when whole.")
f = taken(k)
f.c(0.020, "A", letters(1460, 1460), seq=1001 + 1460)
f.c(0.021, "A", letters(2920, 100), seq=1001 + 2920)
f.c(0.030, "A", letters(0, 1460), seq=1001)
k.expect("packet lan0 2 tcp.ack=1001 tcp.sacks=1 tcp.sack.left=2461 tcp.sack.right=3921", "packet lan0 3 tcp.ack=1001 tcp.sack.right=4021",
         "sequence lan0 tcp.ack=4021 tcp.sacks=0", "received c1 bytes=3020", "counter rdma_write_bytes = 3020")

k = Case("duplicate", "A segment that comes twice is written once and answered with a D-SACK (RFC 2883).")
f = taken(k)
f.c(0.020, "PA", b"only once")
f.c(0.030, "PA", b"only once", seq=1001)
k.expect('received c1 "only once"', "sequence lan0 tcp.ack=1010 tcp.sacks=0", "sequence lan0 tcp.ack=1010 tcp.sacks=1 tcp.sack.left=1001 tcp.sack.right=1010")

k = Case("overlap", "Segments that overlap: every byte is placed once, the first copy stays.")
f = taken(k)
f.c(0.020, "PA", b"abcdef")
f.c(0.021, "PA", b"XXXghi", seq=1004)
k.expect("received c1 abcdefghi", "counter tcp_bytes_in = 9")

k = Case("beyond-window", "Payload beyond the window is not placed.")
f = taken(k)
f.c(0.020, "PA", b"too far", seq=1001 + 70000)
k.expect("received c1 bytes=0", "counter tcp_bytes_in = 0", "sequence lan0 tcp.ack=1001 tcp.len=0")

k = Case("bad-checksum", "A segment whose checksum is wrong changes nothing; the good copy does.")
f = taken(k)
f.c(0.020, "PA", b"bad", seq=1001, chksum=0x1234)
f.c(0.030, "PA", b"good", seq=1001)
k.expect("received c1 good", "counter drops.bad-tcp-checksum = 1")

k = Case("keepalive", "The client's keepalive probe is answered.")
f = taken(k)
f.c(0.020, "PA", b"x")
f.c(5.0, "A", b"", seq=1001)
k.expect("sequence lan0 tcp.ack=1002", "sequence lan0 tcp.ack=1002 tcp.seq=5001 tcp.len=0 time=5", "conn c1 state=active")

# --- windows --------------------------------------------------------------------------------------------

k = Case("zero-window", "The client's window closes: probes, and on when it opens (RFC 9293 3.8.6.1).")
f = taken(k, conn={"window": 2000})
f.do(0.020, "send", "bytes=5000")
f.c(0.030, "A", ack=6461, window=0)
f.c(3.0, "A", ack=6461, window=512)
f.c(3.1, "A", ack=10001, window=512)
k.expect("count lan0 time=0.020 = 1", "count lan0 time=0.030 = 0", "counter tcp_bytes_out = 5000",
         "count lan0 tcp.seq=6460 tcp.len=0 >= 2", "sequence lan0 tcp.seq=6461 tcp.len=1460 time=3", "conn c1 state=active")

k = Case("slow-reader", "A program that reads late: the window shrinks to nothing, and opens when it reads.")
f = taken(k, conn={"reads": "no"})
for i in range(44):
    f.c(0.020 + i * .001, "A", letters(i * 1460, 1460))
f.c(0.070, "PA", letters(64240, 1296))
f.do(0.500, "read")
k.expect("sequence lan0 tcp.ack=66537 tcp.win=0", "sequence lan0 tcp.ack=66537 tcp.win!=0", "received c1 bytes=65536",
         "counter tcp_bytes_in = 65536")

k = Case("big", "More than the ring: produced, read, sent and acknowledged by and by.")
f = taken(k)
f.do(0.020, "send", "bytes=65536")
at, done = 0.030, 0
for i in range(30):
    done = min(65536, done + 2920 * (i + 1))
    f.c(at, "A", ack=5001 + done)
    at += .010
f.do(0.500, "send", "bytes=30000")
for i in range(12):
    done = min(95536, done + 2920 * (i + 1))
    f.c(0.510 + i * .010, "A", ack=5001 + done)
k.expect("counter rdma_read_bytes >= 95536", "counter tcp_bytes_out = 95536", "counter tcp_retransmits = 0", "count lan0 sound!=yes = 0")

# --- paths ----------------------------------------------------------------------------------------------

k = Case("path-mtu", "A router says that the path is narrower: segments shrink and what it dropped comes again (RFC 1191).")
f = taken(k)
f.do(0.020, "send", "bytes=1460")
quoted = bytes(IP(src=S1, dst=CLIENT, id=0, flags="DF") / TCP(sport=80, dport=40000, seq=5001, flags="A") / letters(0, 1460))[:28]
k.lan(0.030, Ether(src=CLIENT_MAC, dst=GW_MAC) / IP(src="10.77.0.9", dst=S1) / ICMP(type=3, code=4, nexthopmtu=1000) / Raw(quoted))
f.c(0.040, "A", ack=5001 + 1460)
k.expect("sequence lan0 tcp.seq=5001 tcp.len=1460", "sequence lan0 tcp.seq=5001 tcp.len=960", "sequence lan0 tcp.seq=5961 tcp.len=500",
         "counter icmp_errors = 1")

k = Case("path-mtu-forged", "An ICMP error about bytes that are not in flight is ignored (RFC 5927).")
f = taken(k)
f.do(0.020, "send", "bytes=1460")
quoted = bytes(IP(src=S1, dst=CLIENT, id=0, flags="DF") / TCP(sport=80, dport=40000, seq=9005001, flags="A") / letters(0, 1460))[:28]
k.lan(0.030, Ether(src=CLIENT_MAC, dst=GW_MAC) / IP(src="10.77.0.9", dst=S1) / ICMP(type=3, code=4, nexthopmtu=576) / Raw(quoted))
f.c(0.040, "A", ack=5001 + 1460)
f.do(0.050, "send", "bytes=1460")
f.c(0.060, "A", ack=5001 + 2920)
k.expect("count lan0 tcp.len=1460 = 2", "counter tcp_retransmits = 0", "counter drops.icmp-sequence = 1")

k = Case("segment-fragments", "A segment in IPv4 fragments is put together and placed.")
f = taken(k)
seg = f.to_server("PA", data=letters(0, 1200), ip={"flags": 0})
for i, p in enumerate(reversed(fragment(seg[IP], fragsize=600))):
    k.lan(0.020 + i * .001, Ether(src=CLIENT_MAC, dst=GW_MAC) / p)
k.expect("received c1 bytes=1200", "counter tcp_fragments = 3", "counter tcp_reassembled = 1", "sequence lan0 tcp.ack=2201")

k = Case("segment-fragment-lost", "One of its fragments never comes: the segment is given up, the connection waits for the client.")
f = taken(k)
seg = f.to_server("PA", data=letters(0, 1200), ip={"flags": 0})
k.lan(0.020, Ether(src=CLIENT_MAC, dst=GW_MAC) / fragment(seg[IP], fragsize=600)[0])
f.c(40, "PA", letters(0, 1200))
k.expect("received c1 bytes=1200", "counter drops.fragment = 1", "counter tcp_reassembled = 0")

k = Case("congestion-mark", "A segment with CE: the ECE of its ACK goes on until the client's CWR (RFC 3168 6.1.3).")
f = taken(k, conn={"flags": "0x23"})
f.c(0.020, "PA", b"marked", ip={"tos": 3})
f.c(0.100, "PA", b"again", ip={"tos": 2})
f.c(0.200, "PAC", b"cwr", ip={"tos": 2})
f.c(0.300, "PA", b"clean", ip={"tos": 2})
k.expect("sequence lan0 tcp.ack=1007 tcp.flags=AE", "sequence lan0 tcp.ack=1012 tcp.flags=AE", "sequence lan0 tcp.ack=1015 tcp.flags=A",
         "sequence lan0 tcp.ack=1020 tcp.flags=A", "received c1 markedagaincwrclean")

# --- refusals --------------------------------------------------------------------------------------------


def refused(name, about, reason, words=(), conn=None, more=(), **config):
    k = Case(name, about, **config)
    f = Flow(k).open(0.001)
    f.conn(0.009, **(conn or {}))
    f.do(0.010, "take", *words)
    f.c(0.020, "PA", b"goes natively")
    k.expect(f"conn c1 state=denied reason={reason}", "counter accel_grants = 0", f"counter drops.deny-{reason} = 1",
             f"sequence fabric from=gw msg=AccelDeny reason={reason}", 'sequence fabric from=gw op=datagram payload="goes natively"', *more)
    return k


refused("deny-policy", "The service is not to be accelerated.", "policy", services={"web": {"port": 80, "accelerate": "off"}})
refused("deny-no-service", "No service fits.", "policy", services={"ssh": {"port": 22, "accelerate": "accept"}})
refused("deny-not-owner", "The local address is another server's.", "not-owner", words=("local=10.77.0.12",), servers=2)
refused("deny-slot", "A slot that the arena does not have.", "bad-slot", words=("slot=16",))
refused("deny-arena", "An arena that nobody told.", "bad-slot", words=("arena=9",))
refused("deny-state", "Positions that contradict each other: more in flight than in the ring.", "bad-state", words=("snd_nxt=9000",))
refused("deny-window", "More was advertised than the ring holds.", "window", words=("rcv_edge=99999",))
refused("deny-mss", "A segment size that makes no sense.", "bad-state", words=("mss=10",))
refused("deny-scale", "A window scale beyond 14 (RFC 7323 2.3).", "bad-state", words=("snd_wscale=15",))
refused("deny-limit", "max-accelerated of the gateway.", "gateway-limit", gateway={"max-accelerated": 0})
refused("deny-server-limit", "max-accelerated of the server.", "host-limit", servers={"s1": {"address": S1, "max-accelerated": 0}})
refused("deny-service-limit", "max-accelerated of the service.", "gateway-limit", services={"web": {"port": 80, "accelerate": "accept", "max-accelerated": 0}})
refused("deny-route", "A client whose MAC nobody knows: the gateway could not answer it.", "no-route", conn={"remote": "10.77.0.200"})

k = Case("deny-exists", "The same flow a second time: refused, and the first goes on.")
f = taken(k)
f.case.play(0.011, f"s1 conn again client={CLIENT}:40000 server={S1}:80 snd=5001 rcv=1001 slot=3 bounces=no")
f.case.play(0.015, "s1 take again")
f.do(0.020, "send", "still")
k.expect("conn again state=denied reason=exists", "conn c1 state=active", "sequence lan0 payload=still")

# --- before COMMIT ------------------------------------------------------------------------------------------

k = Case("cancel", "CANCEL between GRANT and COMMIT: forgotten, native again, and the slot is free for another request.")
f = Flow(k).open(0.001)
f.conn(0.009)
f.do(0.010, "ask")
f.do(0.020, "cancel")
f.c(0.030, "PA", b"native")
f.do(0.040, "take")
k.expect("sequence fabric from=gw msg=AccelGrant", "sequence fabric from=gw msg=AccelCancelAck",
         "sequence fabric from=gw op=datagram payload=native bounced=no", "sequence fabric from=gw msg=AccelGrant", "counter accel_cancels = 1")

k = Case("granted-is-native", "Between GRANT and COMMIT the gateway forwards natively and emits nothing.")
f = Flow(k).open(0.001)
f.conn(0.009)
f.do(0.010, "ask")
f.c(0.020, "PA", b"not yet")
k.play(1, "case end")
k.expect('sequence fabric from=gw op=datagram payload="not yet"', "count lan0 = 1", "counter tcp_segments_out = 0", "conn c1 state=granted")

k = Case("grant-expires", "A grant without COMMIT is void after five seconds; a late COMMIT is answered by DisConn.")
f = Flow(k).open(0.001)
f.conn(0.009)
f.do(0.010, "ask")
f.do(6, "commit")  # its server then says HandbackAck for a token that is nobody's either
k.expect("sequence fabric from=gw msg=AccelGrant", "sequence fabric from=gw msg=DisConn reason=timeout", "counter accel_commits = 0",
         "counter drops.stale-token = 2", "conn c1 state=back reason=timeout")

k = Case("overtaken", "A segment that went natively while the server took over comes back bounced and is placed.")
f = Flow(k).open(0.001)
f.conn(0.009)
f.do(0.010, "ask")
f.c(0.015, "PA", b"early")
f.do(0.020, "commit")
frame = bytes(f.to_server("PA", seq=1001, data=b"early"))
frame = bytes.fromhex("020000000201") + bytes.fromhex("020000000101") + frame[12:]
k.play(0.021, "s1 datagram 65580001 " + frame.hex())
k.expect("sequence fabric from=s1 op=datagram bounced=yes payload=early", "received c1 early", "counter bounced_frames = 1",
         "sequence lan0 tcp.ack=1006")
