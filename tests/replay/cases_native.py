# SPDX-License-Identifier: BSD-3-Clause
"""The native path: neighbours, ping, frames both ways, VLANs, MTUs, fragments."""
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from make import (BROADCAST, CLIENT, CLIENT6, CLIENT_MAC, GW, GW6, GW_MAC, S1, S1_6, S1_MAC, S2, S2_MAC,
                  Case, Flow, server)


def who_has(target, psrc=CLIENT, mac=CLIENT_MAC):
    return Ether(src=mac, dst=BROADCAST) / ARP(op=1, hwsrc=mac, psrc=psrc, pdst=target)


def solicit(target, src=CLIENT6, mac=CLIENT_MAC, hlim=255):
    return (Ether(src=mac, dst="33:33:ff:00:00:11") / IPv6(src=src, dst="ff02::1:ff00:11", hlim=hlim) /
            ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def is_at(ip, mac, to=GW, to_mac=GW_MAC):
    return Ether(src=mac, dst=to_mac) / ARP(op=2, hwsrc=mac, psrc=ip, hwdst=to_mac, pdst=to)


def from_client(dst, payload, src=CLIENT, **kw):
    return Ether(src=CLIENT_MAC, dst=GW_MAC) / IP(src=src, dst=dst, **kw) / payload


def from_server(dst, payload, n=1, src=None, **kw):
    v4, _, mac = server(n)
    return Ether(src=mac, dst=GW_MAC) / IP(src=src or v4, dst=dst, **kw) / payload


# --- neighbours --------------------------------------------------------------------------------

k = Case("arp-server", "The gateway answers ARP for a server with its port's MAC.")
k.lan(0.001, who_has(S1))
k.expect(f"packet lan0 1 arp.op=reply arp.spa={S1} arp.sha={GW_MAC} arp.tpa={CLIENT} eth.dst={CLIENT_MAC} time=0.001",
         "count lan0 = 1", "counter arp_replies = 1")

k = Case("arp-gateway", "ARP for the gateway's own address.")
k.lan(0.001, who_has(GW))
k.expect(f"packet lan0 1 arp.op=reply arp.spa={GW} arp.sha={GW_MAC}", "count lan0 = 1")

k = Case("arp-others", "ARP for an address of nobody here, and for the client's own: silence.")
k.lan(0.001, who_has("10.77.0.99"))
k.lan(0.002, who_has(CLIENT))
k.expect("count lan0 = 0", "counter arp_replies = 0", "count fabric op=datagram = 0")

k = Case("arp-absent", "A server that is not attached is answered for: its clients wait, they do not fail.")
k.play(0, "s1 absent")
k.lan(0.001, who_has(S1))
k.expect(f"packet lan0 1 arp.op=reply arp.spa={S1}", "count lan0 = 1")

k = Case("arp-probe", "An address probe (RFC 5227, sender 0.0.0.0) for a server's address is answered, so it is not taken.")
k.lan(0.001, who_has(S1, psrc="0.0.0.0"))
k.expect(f"packet lan0 1 arp.op=reply arp.spa={S1} eth.dst={CLIENT_MAC}", "count lan0 = 1")

k = Case("arp-of-a-server", "A server that asks for a client is told the gateway's MAC: proxy ARP (RFC 1027).")
k.srv(0.001, Ether(src=S1_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=S1_MAC, psrc=S1, pdst=CLIENT))
k.expect(f"sequence fabric from=gw to=s1 op=datagram arp.op=reply arp.spa={CLIENT} arp.sha={GW_MAC}", "count lan0 = 0")

k = Case("nd-server", "Neighbour discovery for a server's IPv6 address.")
k.lan(0.001, solicit(S1_6))
k.expect(f"packet lan0 1 ip.src={S1_6} ip.dst={CLIENT6} ip.ttl=255 icmp.type=136 eth.src={GW_MAC} sound=yes",
         "counter nd_replies = 1", "count lan0 = 1")

k = Case("nd-far", "A neighbour solicitation that was routed (hop limit below 255) is dropped (RFC 4861 7.1.1).")
k.lan(0.001, solicit(S1_6, hlim=64))
k.expect("count lan0 = 0", "counter nd_replies = 0", "counter drops.bad-neighbour-message = 1")

k = Case("announce", "A server that attaches is announced: three gratuitous ARPs and NAs, a second apart.",
         ports={"lan0": {"announce": 3, "announce-interval": 1}})
k.play(0.5, "s1 attach")
k.play(4, "case end")
k.expect(f"count lan0 arp.op=request arp.spa={S1} arp.tpa={S1} eth.dst={BROADCAST} = 3",
         f"count lan0 icmp.type=136 ip.src={S1_6} ip.dst=ff02::1 = 3", "counter announcements = 6", "count lan0 = 6")

# --- ping ----------------------------------------------------------------------------------------

k = Case("ping-gateway", "Ping of the gateway itself, IPv4 and IPv6.")
k.lan(0.001, from_client(GW, ICMP(id=7, seq=1) / b"abcdefgh"))
k.lan(0.002, Ether(src=CLIENT_MAC, dst=GW_MAC) / IPv6(src=CLIENT6, dst=GW6) / ICMPv6EchoRequest(id=7, seq=1, data=b"xyz"))
k.expect(f"packet lan0 1 ip.src={GW} ip.dst={CLIENT} icmp.type=0 sound=yes",
         f"packet lan0 2 ip.src={GW6} ip.dst={CLIENT6} icmp.type=129 sound=yes",
         "counter icmp_echo_replies = 2", "count lan0 = 2")

k = Case("ping-server", "Ping of a server goes to its own kernel and back, unchanged but for the MACs.")
k.lan(0.001, from_client(S1, ICMP(id=7, seq=1) / b"abcdefgh", ttl=63))
k.srv(0.002, from_server(CLIENT, ICMP(type=0, id=7, seq=1) / b"abcdefgh"))
k.expect(f"sequence fabric from=gw to=s1 op=datagram icmp.type=8 eth.dst={S1_MAC} eth.src={GW_MAC} ip.ttl=63 bounced=no",
         f"packet lan0 1 icmp.type=0 ip.src={S1} eth.dst={CLIENT_MAC} eth.src={GW_MAC} ip.ttl=64 sound=yes",
         "counter native_frames_to_fabric = 1", "counter native_frames_to_lan = 1")

# --- frames ----------------------------------------------------------------------------------------

k = Case("tcp", "A connection that nobody accelerates: every segment passes as it is.")
f = Flow(k).open(0.001)
f.c(0.005, "PA", b"GET / HTTP/1.0\r\n\r\n")
f.s(0.006, "PA", b"HTTP/1.0 200 OK\r\n\r\nhello\n")
f.c(0.007)
f.s(0.008, "FA")
f.c(0.009, "FA")
f.s(0.010)
k.expect("counter native_frames_to_fabric = 5", "counter native_frames_to_lan = 4", "counter drops = 0",
         "sequence lan0 tcp.flags=SA tcp.seq=5000 tcp.ack=1001 tcp.mss=1460", "sequence lan0 tcp.flags=PA tcp.len=25",
         "sequence lan0 tcp.flags=FA", "sequence lan0 tcp.flags=A tcp.ack=1020", "count lan0 sound!=yes = 0")

k = Case("tcp6", "The same over IPv6.")
f = Flow(k, v6=True, mss=1440).open(0.001)
f.c(0.005, "PA", b"hello")
f.s(0.006, "A")
k.expect("counter native_frames_to_fabric = 3", f"packet lan0 1 tcp.flags=SA ip.src={S1_6} ip.dst={CLIENT6}",
         "packet lan0 2 tcp.flags=A tcp.ack=1006", "count lan0 = 2", "count lan0 sound!=yes = 0")

k = Case("udp", "Datagrams both ways, IPv4.")
k.lan(0.001, from_client(S1, UDP(sport=5000, dport=53) / b"question"))
k.srv(0.002, from_server(CLIENT, UDP(sport=53, dport=5000) / b"answer"))
k.expect("sequence fabric from=gw op=datagram ip.proto=17 payload=question",
         "packet lan0 1 ip.proto=17 sport=53 dport=5000 payload=answer", "count lan0 = 1")

k = Case("server-begins", "A server begins: the client's MAC is not known, so the frame waits for the ARP answer.")
k.srv(0.001, from_server(CLIENT, UDP(sport=5000, dport=514) / b"first"))
k.srv(0.002, from_server(CLIENT, UDP(sport=5000, dport=514) / b"second"))
k.lan(0.010, is_at(CLIENT, CLIENT_MAC))
k.expect(f"packet lan0 1 arp.op=request arp.spa={GW} arp.tpa={CLIENT} eth.dst={BROADCAST}",
         f"packet lan0 2 payload=first eth.dst={CLIENT_MAC} time=0.010", "packet lan0 3 payload=second", "count lan0 = 3")

k = Case("nobody-answers", "A client that answers no ARP: the gateway asks a few times, then drops what waited.")
k.srv(0.001, from_server(CLIENT, UDP(sport=5000, dport=514) / b"lost"))
k.play(20, "case end")
k.expect("count lan0 arp.op=request >= 2", "count lan0 arp.op!=request = 0", "counter drops.no-neighbour = 1",
         "count lan0 arp.op=request <= 6")

k = Case("router", "A client elsewhere: its frames come from the router's MAC, and answers go there.",
         ports={"lan0": {"next-hop4": "10.77.0.254"}})
ROUTER = "02:00:00:00:00:fe"
k.lan(0.001, Ether(src=ROUTER, dst=GW_MAC) / IP(src="192.0.2.9", dst=S1) / UDP(sport=1, dport=2) / b"far")
k.srv(0.002, from_server("192.0.2.9", UDP(sport=2, dport=1) / b"back"))
k.lan(0.003, is_at("10.77.0.254", ROUTER))
k.expect("sequence lan0 arp.op=request arp.tpa=10.77.0.254", f"sequence lan0 payload=back eth.dst={ROUTER} ip.dst=192.0.2.9",
         "counter native_frames_to_lan = 1")

k = Case("absent", "Frames for a server that is not attached are dropped and counted.")
k.play(0, "s1 absent")
k.lan(0.001, from_client(S1, UDP(sport=1, dport=2) / b"x"))
k.expect("counter drops.host-not-attached = 1", "counter native_frames_to_fabric = 0")

k = Case("nobody", "Frames for an address that is no server's.")
k.lan(0.001, from_client("10.77.0.77", UDP(sport=1, dport=2) / b"x"))
k.expect("counter drops.no-server = 1", "counter native_frames_to_fabric = 0", "count lan0 = 0")

k = Case("foreign-mac", "Frames to another's MAC and group frames that nobody serves.")
k.lan(0.001, Ether(src=CLIENT_MAC, dst="02:00:00:00:00:99") / IP(src=CLIENT, dst=S1) / UDP() / b"x")
k.lan(0.002, Ether(src=CLIENT_MAC, dst=BROADCAST) / IP(src=CLIENT, dst="10.77.0.255") / UDP() / b"x")
k.expect("counter drops.foreign-mac = 1", "counter drops.broadcast = 1", "counter native_frames_to_fabric = 0")

k = Case("hairpin", "One server to another: through the gateway, not the LAN.", servers=2)
k.srv(0.001, from_server(S2, UDP(sport=1, dport=2) / b"peer"))
k.expect(f"sequence fabric from=gw to=s2 payload=peer eth.dst={S2_MAC}", "counter native_hairpins = 1", "count lan0 = 0")

k = Case("server-mac", "A server with a MAC of its own on the LAN: in ARP answers and as source.",
         servers={"s1": {"address": S1, "mac": "02:00:00:00:77:01"}})
k.lan(0.001, who_has(S1))
k.lan(0.002, Ether(src=CLIENT_MAC, dst="02:00:00:00:77:01") / IP(src=CLIENT, dst=S1) / UDP(sport=1, dport=2) / b"in")
k.srv(0.003, from_server(CLIENT, UDP(sport=2, dport=1) / b"out"))
k.expect("packet lan0 1 arp.op=reply arp.sha=02:00:00:00:77:01", "packet lan0 2 payload=out eth.src=02:00:00:00:77:01",
         "counter native_frames_to_fabric = 1")

k = Case("reattach", "An agent ends in order and attaches again with another MAC: frames follow.")
k.play(0, "s1 attach")
k.lan(0.001, from_client(S1, UDP(sport=1, dport=2) / b"one"))
k.play(0.010, "s1 attach mac=02:00:00:00:02:aa")
k.lan(0.020, from_client(S1, UDP(sport=1, dport=2) / b"two"))
k.expect(f"sequence fabric from=gw payload=one eth.dst={S1_MAC}", "sequence fabric from=gw payload=two eth.dst=02:00:00:00:02:aa")

# --- VLANs ------------------------------------------------------------------------------------------

TRUNK = {"lan0": {"device": "net_af_packet0,iface=trunk"},
         "lan1": {"device": "net_af_packet0,iface=trunk", "vlan": 100, "address": "10.78.0.1/24"}}
k = Case("vlan", "Two ports on a device: tags end at the gateway and begin there.", ports=TRUNK,
         servers={"s1": {"address": f"{S1}, 10.78.0.11"}})
k.lan(0.001, Ether(src=CLIENT_MAC, dst=GW_MAC) / Dot1Q(vlan=100) / IP(src="10.78.0.2", dst="10.78.0.11") / UDP(sport=1, dport=2) / b"in")
k.srv(0.002, from_server("10.78.0.2", UDP(sport=2, dport=1) / b"out", src="10.78.0.11"))
k.expect("sequence fabric from=gw payload=in vlan.id=0", "packet lan0 1 vlan.id=100 payload=out ip.dst=10.78.0.2", "count lan0 = 1")

k = Case("vlan-arp", "ARP in a VLAN is answered in it.", ports=TRUNK, servers={"s1": {"address": f"{S1}, 10.78.0.11"}})
k.lan(0.001, Ether(src=CLIENT_MAC, dst=BROADCAST) / Dot1Q(vlan=100) / ARP(op=1, hwsrc=CLIENT_MAC, psrc="10.78.0.2", pdst="10.78.0.11"))
k.expect("packet lan0 1 vlan.id=100 arp.op=reply arp.spa=10.78.0.11", "count lan0 = 1")

k = Case("vlan-unknown", "A tag that no port has.", ports=TRUNK)
k.lan(0.001, Ether(src=CLIENT_MAC, dst=GW_MAC) / Dot1Q(vlan=200) / IP(src=CLIENT, dst=S1) / UDP() / b"x")
k.expect("counter drops.vlan = 1", "counter native_frames_to_fabric = 0")

k = Case("vlan-of-a-host", "A server must not tag.")
k.srv(0.001, Ether(src=S1_MAC, dst=GW_MAC) / Dot1Q(vlan=5) / IP(src=S1, dst=CLIENT) / UDP() / b"x")
k.expect("counter drops.vlan = 1", "count lan0 = 0")

# --- MTUs --------------------------------------------------------------------------------------------

k = Case("mss-clamp", "A SYN between unlike MTUs has its MSS lowered, both ways; its checksum stays right.")
k.play(0, "s1 attach mtu=1400")
Flow(k).open(0.010)
k.expect("sequence fabric from=gw to=s1 tcp.flags=S tcp.mss=1360 sound=yes", "sequence lan0 tcp.flags=SA tcp.mss=1360 sound=yes",
         "counter mss_clamped = 2")

k = Case("mss-small", "An MSS that is small enough already is left alone.")
k.play(0, "s1 attach mtu=1400")
Flow(k, mss=1200).open(0.010)
k.expect("sequence fabric from=gw tcp.flags=S tcp.mss=1200", "sequence lan0 tcp.flags=SA tcp.mss=1200", "counter mss_clamped = 0")

k = Case("too-big", "A packet with DF that the server's link does not take: ICMP with the MTU to use (RFC 1191).")
k.play(0, "s1 attach mtu=1400")
k.lan(0.010, from_client(S1, UDP(sport=1, dport=2) / (b"x" * 1450), flags="DF"))
k.expect(f"packet lan0 1 icmp.type=3 icmp.code=4 icmp.mtu=1400 ip.dst={CLIENT} sound=yes", "counter too_big_sent = 1",
         "counter drops.oversized = 1", "counter native_frames_to_fabric = 0")

k = Case("too-big6", "The same for IPv6 (RFC 4443 3.2).")
k.play(0, "s1 attach mtu=1400")
k.lan(0.010, Ether(src=CLIENT_MAC, dst=GW_MAC) / IPv6(src=CLIENT6, dst=S1_6) / UDP(sport=1, dport=2) / (b"x" * 1440))
k.expect(f"packet lan0 1 icmp.type=2 icmp.mtu=1400 ip.dst={CLIENT6} sound=yes", "counter too_big_sent = 1")

k = Case("too-big-out", "The other direction: the server is told.", ports={"lan0": {"mtu": 1280}})
k.lan(0.001, who_has(S1))
k.srv(0.010, from_server(CLIENT, UDP(sport=1, dport=2) / (b"x" * 1400), flags="DF"))
k.expect(f"sequence fabric from=gw to=s1 icmp.type=3 icmp.code=4 icmp.mtu=1280 ip.dst={S1}", "count lan0 payload!=x arp.op!=reply = 0",
         "counter drops.oversized = 1")

# --- fragments, ICMP errors ------------------------------------------------------------------------------

k = Case("fragments", "Fragments of a datagram pass natively, each as it is.")
for i, p in enumerate(fragment(IP(src=CLIENT, dst=S1, id=77) / UDP(sport=1, dport=2) / (b"y" * 3000), fragsize=1400)):
    k.lan(0.001 + i * .001, Ether(src=CLIENT_MAC, dst=GW_MAC) / p)
k.expect("count fabric from=gw ip.fragment=yes = 3", "counter native_frames_to_fabric = 3", "counter drops = 0")

k = Case("fragments-out", "Fragments of a server pass to the LAN.")
k.lan(0.001, who_has(S1))
for i, p in enumerate(fragment(IP(src=S1, dst=CLIENT, id=78) / UDP(sport=1, dport=2) / (b"z" * 3000), fragsize=1400)):
    k.srv(0.002 + i * .001, Ether(src=S1_MAC, dst=GW_MAC) / p)
k.expect("count lan0 ip.fragment=yes = 3", "counter native_frames_to_lan = 3")

k = Case("icmp-error", "An ICMP error that quotes a server's segment reaches the server.")
f = Flow(k).open(0.001)
quoted = IP(src=S1, dst=CLIENT, id=9) / TCP(sport=80, dport=40000, seq=5001, flags="A")
k.lan(0.010, from_client(S1, ICMP(type=3, code=1) / bytes(quoted)))
k.expect("sequence fabric from=gw to=s1 icmp.type=3 icmp.code=1")

k = Case("spoofed-host", "A server that uses another's address: dropped, counted.", servers=2)
k.srv(0.001, from_server(CLIENT, UDP(sport=1, dport=2) / b"lie", src=S2))
k.expect("counter drops.spoofed-source = 1", "count lan0 = 0")

k = Case("neighbour-moves", "A client whose MAC changes says so by a gratuitous ARP; frames go to the new one.")
k.lan(0.001, who_has(S1))
k.lan(0.002, from_client(S1, UDP(sport=1, dport=2) / b"hello"))
k.srv(0.003, from_server(CLIENT, UDP(sport=2, dport=1) / b"old"))
k.lan(0.010, Ether(src="02:00:00:00:00:77", dst=BROADCAST) / ARP(op=1, hwsrc="02:00:00:00:00:77", psrc=CLIENT, pdst=CLIENT))
k.srv(0.020, from_server(CLIENT, UDP(sport=2, dport=1) / b"new"))
k.expect(f"sequence lan0 payload=old eth.dst={CLIENT_MAC}", "sequence lan0 payload=new eth.dst=02:00:00:00:00:77")

k = Case("nd-server-begins", "A server begins over IPv6: solicitation, answer, then the frame.")
k.srv(0.001, Ether(src=S1_MAC, dst=GW_MAC) / IPv6(src=S1_6, dst=CLIENT6) / UDP(sport=1, dport=2) / b"six")
k.lan(0.010, Ether(src=CLIENT_MAC, dst=GW_MAC) / IPv6(src=CLIENT6, dst=GW6, hlim=255) /
      ICMPv6ND_NA(tgt=CLIENT6, S=1, O=1, R=0) / ICMPv6NDOptDstLLAddr(lladdr=CLIENT_MAC))
k.expect(f"packet lan0 1 icmp.type=135 ip.src={GW6} ip.ttl=255", f"packet lan0 2 payload=six eth.dst={CLIENT_MAC}", "count lan0 = 2")
