# SPDX-License-Identifier: BSD-3-Clause
"""Frames and messages that nobody in his right mind sends."""
import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, ICMPv6EchoRequest, PadN
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from cases_accel import letters, taken
from cases_native import from_client, from_server, who_has
from make import BROADCAST, CLIENT, CLIENT6, CLIENT_MAC, GW, GW_MAC, S1, S1_6, S1_MAC, S2, Case, Flow

L2 = Ether(src=CLIENT_MAC, dst=GW_MAC)
GOOD = from_client(S1, UDP(sport=1, dport=2) / b"good")


def survives(k, at=0.5):
    """Whatever came before, an ordinary frame passes."""
    k.lan(at, GOOD)
    k.expect("sequence fabric from=gw op=datagram payload=good")


k = Case("truncated", "A good frame cut off at every length: each is refused by name, none reads beyond its end.")
whole = bytes(from_client(S1, TCP(sport=4000, dport=80, flags="S", seq=1, options=[("MSS", 1460), ("SAckOK", b"")]) / b""))
for n in range(len(whole)):
    k.lan(0.001 + n * .001, whole[:n])
survives(k)
k.expect("counter native_frames_to_fabric = 1", "counter drops >= 50", "count lan0 = 0")

k = Case("truncated6", "The same with IPv6, an extension header and TCP.")
whole = bytes(L2 / IPv6(src=CLIENT6, dst=S1_6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / TCP(sport=4000, dport=80, flags="S", seq=1))
for n in range(len(whole)):
    k.lan(0.001 + n * .001, whole[:n])
survives(k)
k.expect("counter native_frames_to_fabric = 1", "count lan0 = 0")

k = Case("bad-ip-header", "IPv4 headers that lie: version, header length, total length, checksum.")
base = bytearray(bytes(GOOD))
for i, (at, value) in enumerate([(14, 0x65), (14, 0x44), (14, 0x4f), (16, 0xff), (24, base[24] ^ 1)]):
    bad = bytearray(base)
    bad[at] = value
    k.lan(0.001 + i * .001, bytes(bad))
survives(k)
k.expect("counter native_frames_to_fabric = 1", "counter drops = 5", "counter drops.bad-ip-checksum >= 1", "counter drops.bad-ip-version >= 1",
         "counter drops.bad-ip-header-length >= 1", "counter drops.bad-ip-length >= 1")

k = Case("bad-checksums", "Wrong checksums of TCP, UDP and ICMP to an accelerated service: dropped by name.")
f = taken(k)
f.c(0.020, "PA", b"evil", seq=1001, chksum=0xbeef)
k.lan(0.021, from_client(GW, ICMP(id=1, seq=1, chksum=0xbeef)))
survives(k)
k.expect("counter drops.bad-tcp-checksum = 1", "counter drops.bad-icmp-checksum = 1", "received c1 bytes=0", "counter icmp_echo_replies = 0")

k = Case("land", "A SYN from a server to itself (land): sources that are servers' do not come from the LAN.")
k.lan(0.001, L2 / IP(src=S1, dst=S1) / TCP(sport=80, dport=80, flags="S"))
k.lan(0.002, L2 / IP(src=S1, dst=GW) / ICMP())
survives(k)
k.expect("counter native_frames_to_fabric = 1", "count lan0 = 0")

k = Case("bad-sources", "Sources that nobody can have: loopback, multicast, broadcast, none.")
for i, src in enumerate(["127.0.0.1", "224.0.0.5", "255.255.255.255", "0.0.0.0"]):
    k.lan(0.001 + i * .001, from_client(S1, UDP(sport=1, dport=2) / b"x", src=src))
survives(k)
k.expect("counter native_frames_to_fabric = 1", "counter drops.bad-ip-address = 4")

k = Case("flag-games", "No flags, all flags, SYN with FIN, SYN with RST at an accelerated connection: nothing moves.")
f = taken(k)
for i, flags in enumerate([0, "FSRPAUEC", "SF", "SR", "FPU", "F"]):
    f.c(0.020 + i * .001, flags, seq=1001 if i != 5 else 900000)
f.c(0.100, "PA", b"unharmed", seq=1001)
k.expect("received c1 unharmed", "conn c1 state=active", "counter client_resets = 0")

k = Case("bad-options", "TCP options with impossible lengths: the segment is refused, the next one is not.")
f = taken(k)
for i, opts in enumerate([b"\x02\x00\x05\xb4", b"\x08\xff\x00\x00", b"\x05\x03\x00\x00", b"\x03\x01\x07\x00", b"\x08\x02\x00\x00"]):
    seg = f.to_server("PA", data=b"evil")
    ip = seg[IP]
    tcp = bytearray(bytes(ip)[20:40]) + opts + b"evil"
    tcp[12] = 6 << 4
    tcp[16:18] = b"\0\0"
    pseudo = bytes(ip)[12:20] + struct.pack("!BBH", 0, 6, len(tcp))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(tcp)) // 2}H", pseudo + bytes(tcp)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    tcp[16:18] = struct.pack("!H", ~total & 0xffff)
    k.lan(0.020 + i * .001, L2 / IP(src=CLIENT, dst=S1, id=100 + i, proto=6) / Raw(bytes(tcp)))
f.c(0.100, "PA", b"fine", seq=1001)
k.expect("received c1 fine", "counter drops.bad-tcp-option >= 3", "conn c1 state=active")

k = Case("tiny-fragments", "Fragments of eight bytes, the first without a whole TCP header (RFC 3128): not assembled into a connection.")
f = taken(k)
seg = bytes(f.to_server("PA", data=b"evilevil", ip={"flags": 0})[IP])[20:]
for i in range(0, len(seg), 8):
    k.lan(0.020 + i * .001, L2 / IP(src=CLIENT, dst=S1, id=500, proto=6, flags="MF" if i + 8 < len(seg) else 0, frag=i // 8) / Raw(seg[i:i + 8]))
f.c(0.500, "PA", b"whole", seq=1001)
k.expect("conn c1 state=active", "counter tcp_fragments >= 1")

k = Case("overlapping-fragments", "Fragments that overlap (teardrop): thrown away together (RFC 5722's rule, for IPv4 as well).")
f = taken(k)
seg = bytes(f.to_server("PA", data=letters(0, 64), ip={"flags": 0})[IP])[20:]
k.lan(0.020, L2 / IP(src=CLIENT, dst=S1, id=501, proto=6, flags="MF", frag=0) / Raw(seg[:48]))
k.lan(0.021, L2 / IP(src=CLIENT, dst=S1, id=501, proto=6, flags=0, frag=4) / Raw(b"E" * (len(seg) - 32)))
f.c(40, "PA", b"whole", seq=1001)
k.expect("received c1 whole", "conn c1 state=active", "counter tcp_reassembled = 0")

k = Case("fragment-flood", "First fragments without end: they take a bounded place and are given up.")
f = taken(k)
for i in range(300):
    k.lan(0.020 + i * .0001, L2 / IP(src=CLIENT, dst=S1, id=1000 + i, proto=6, flags="MF", frag=0) / Raw(b"\x9c\x40\x00\x50" + b"\0" * 28))
f.c(40, "PA", b"alive", seq=1001)
k.expect("received c1 alive", "counter tcp_reassembled = 0", "counter drops >= 300")

k = Case("bad-arp", "ARP with impossible hardware types, lengths, senders.")
base = bytearray(bytes(who_has(S1)))
for i, (at, value) in enumerate([(15, 9), (18, 5), (19, 16), (21, 77), (22, 0xff)]):
    bad = bytearray(base)
    bad[at] = value
    k.lan(0.001 + i * .001, bytes(bad))
survives(k)
k.expect("counter native_frames_to_fabric = 1")

k = Case("arp-poison", "Somebody on the LAN claims a server's address: not believed, and reported.")
k.lan(0.001, Ether(src=CLIENT_MAC, dst=BROADCAST) / ARP(op=2, hwsrc="02:00:00:00:00:66", psrc=S1, pdst=S1))
k.srv(0.010, from_server(CLIENT, UDP(sport=1, dport=2) / b"x"))
k.lan(0.020, who_has(S1))
k.expect(f"sequence lan0 arp.op=reply arp.spa={S1} arp.sha={GW_MAC}", "count lan0 eth.dst=02:00:00:00:00:66 = 0")

k = Case("extension-headers", "IPv6 with chains of extension headers: hop-by-hop, routing, an unknown option that says to discard.")
k.lan(0.001, L2 / IPv6(src=CLIENT6, dst=S1_6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / UDP(sport=1, dport=2) / b"hbh")
k.lan(0.002, L2 / IPv6(src=CLIENT6, dst=S1_6) / IPv6ExtHdrRouting(addresses=[], segleft=0) / UDP(sport=1, dport=2) / b"rt0")
k.lan(0.003, L2 / IPv6(src=CLIENT6, dst="fd77::1", nh=0) / Raw(b"\x3a\x00\xc2\x04\0\0\0\0") / Raw(b"\x80\x00\0\0\0\1\0\1"))
survives(k)
k.expect("counter icmp_echo_replies = 0")

k = Case("ip-options", "IPv4 options, source routes among them, pass to the server as they are or not at all; they never confuse where TCP begins.")
k.lan(0.001, from_client(S1, UDP(sport=1, dport=2) / b"opt", options=IPOption(b"\x44\x04\x05\x00")))
survives(k)
k.expect("count fabric from=gw payload=opt <= 1")

k = Case("unknown-ethertype", "Frames of other protocols.")
k.lan(0.001, Ether(src=CLIENT_MAC, dst=GW_MAC, type=0x88cc) / Raw(b"lldp" * 12))
k.lan(0.002, Ether(src=CLIENT_MAC, dst=GW_MAC, type=0x0600) / Raw(b"x" * 60))
survives(k)
k.expect("counter drops.unknown-ethertype = 2", "counter native_frames_to_fabric = 1")

# --- servers that lie -----------------------------------------------------------------------------------------

k = Case("host-bad-encap", "Datagrams of a server without the encapsulation, with another type, with flags that are not defined, empty.")
for i, data in enumerate(["00", "65580000", "08000000" + "00" * 60, "65588000" + "00" * 60, "6558" + "00"]):
    k.play(0.010 + i * .001, "s1 datagram " + data)
survives(k)
k.expect("counter drops.bad-encapsulation = 5", "count lan0 = 0")

k = Case("host-bad-frame", "A server's frame that is no sound frame.")
k.srv(0.001, bytes(from_server(CLIENT, UDP(sport=1, dport=2) / b"x"))[:30])
k.srv(0.002, Ether(src=S1_MAC, dst=GW_MAC, type=0x1234) / Raw(b"x" * 50))
survives(k)
k.expect("count lan0 = 0", "counter drops = 2")

k = Case("stranger", "A datagram from a queue pair that nobody introduced.")
k.play(0.010, "s1 stranger 65580000 " + bytes(from_server(CLIENT, UDP(sport=1, dport=2) / b"x")).hex())
survives(k)
k.expect("counter drops.unknown-source-qp = 1", "count lan0 = 0")

k = Case("host-raw", "Bytes that are no message, kinds that do not exist, lengths that lie: ignored and counted, the queue pair lives.")
for i, data in enumerate(["00", "ff" * 16, "400000000000001000000101000000ff", "99000000000000100000010100000100",
                          "40000000ffffffff0000010100000100" + "00" * 128]):
    k.play(0.010 + i * .001, "s1 raw " + data)
survives(k)
k.expect("counter drops.bad-message >= 4")

k = Case("host-unknown-token", "Messages about tokens that nobody has: ignored; only a COMMIT is answered, since its server waits.")
for i, mid in enumerate([0x44, 0x47, 0x03, 0x48, 0xfe]):
    k.play(0.010 + i * .001, f"s1 message mid={mid} token=0x12345")
k.play(0.020, "s1 message mid=0x45 req_id=77")
k.expect("sequence fabric from=gw msg=DisConn reason=timeout", "sequence fabric from=gw msg=AccelCancelAck", "count fabric from=gw msg=DisConn = 1",
         "counter drops.stale-token >= 3")
survives(k)

k = Case("host-others-token", "A server speaks about another server's connection: as if it did not exist.", servers=2)
f = taken(k)
for i, mid in enumerate([0x47, 0x03, 0x48, 0xfe]):
    k.play(0.020 + i * .001, f"s2 message mid={mid} conn=c1 cursor=100")
f.c(0.100, "PA", b"untouched")
k.expect("received c1 untouched", "conn c1 state=active", "counter drops.stale-token >= 3", "count lan0 tcp.flags=RA = 0")

k = Case("host-cursor", "A cursor that leaves the ring: the client is reset, the server told, nothing is read beyond the ring.")
f = taken(k)
f.do(0.020, "line", "tx_prod=1099511627776")
survives(k)
k.expect("conn c1 state=aborted reason=bad-state", "counter drops.bad-cursor >= 1", "count lan0 tcp.flags=RA = 1", "counter rdma_read_bytes = 0")

k = Case("host-cursor-back", "A cursor that goes back is ignored.")
f = taken(k)
f.do(0.020, "send", "hello")
f.c(0.030, "A", ack=5006)
f.do(0.040, "line", "tx_prod=2")
f.do(0.050, "line", "tx_prod=5")
f.do(0.060, "send", "world")
k.expect("sequence lan0 payload=hello", "sequence lan0 payload=world tcp.seq=5006", "conn c1 state=active")

k = Case("host-bounces-others", "A server bounces a frame of an address that is not its own.", servers=2)
k.play(0.010, "s2 datagram 65580001 " + bytes(from_client(S1, TCP(sport=40000, dport=80, flags="A"))).hex())
survives(k)
k.expect("counter drops.spoofed-source = 1", "counter bounced_frames = 0")

k = Case("host-bounces-unknown", "A bounced frame of a connection that is not here: the server is asked to offer it again; the frame is never sent back to the fabric.")
frame = bytes(Ether(src=GW_MAC, dst=S1_MAC) / IP(src=CLIENT, dst=S1) / TCP(sport=40000, dport=80, flags="A", seq=5, ack=6))
k.play(0.010, "s1 datagram 65580001 " + frame.hex())
k.expect("sequence fabric from=gw msg=Reoffer", "count fabric from=gw op=datagram tcp.flags=A = 0", "counter drops.bounced-unknown = 1")
survives(k)
