# SPDX-License-Identifier: BSD-3-Clause
"""What the maps of policy make of new flows: rules, limits, services, fail-over."""
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from cases_native import from_client, from_server
from make import CLIENT, CLIENT6, CLIENT_MAC, GW_MAC, S1, S1_6, S1_MAC, S2, Case, Flow, server

VIP = "10.77.0.80"


def syn(k, time, dst=S1, src=CLIENT, sport=40000, dport=80):
    k.lan(time, from_client(dst, TCP(sport=sport, dport=dport, flags="S", seq=1000), src=src))


# --- rules -------------------------------------------------------------------------------------

k = Case("rule-deny", "action = deny: silence, and a counter.", rules={"no-telnet": {"action": "deny", "protocol": "tcp", "destination-port": 23}})
syn(k, 0.001, dport=23)
syn(k, 0.002, dport=80)
k.expect("count lan0 = 0", "counter native_frames_to_fabric = 1", "sequence fabric from=gw op=datagram dport=80",
         "count fabric dport=23 = 0", "counter drops.rule-deny = 1")

k = Case("rule-reject-tcp", "action = reject answers TCP with a RST that the client's stack takes (RFC 9293 3.5.2).",
         rules={"r": {"action": "reject", "destination-port": 23}})
syn(k, 0.001, dport=23)
k.expect(f"packet lan0 1 tcp.flags=RA tcp.seq=0 tcp.ack=1001 ip.src={S1} ip.dst={CLIENT} sport=23 dport=40000 sound=yes",
         "count lan0 = 1", "counter refusals_sent = 1", "counter native_frames_to_fabric = 0")

k = Case("rule-reject-udp", "and UDP with ICMP administratively prohibited.", rules={"r": {"action": "reject", "destination-port": 53}})
k.lan(0.001, from_client(S1, UDP(sport=5000, dport=53) / b"q"))
k.expect(f"packet lan0 1 icmp.type=3 ip.dst={CLIENT} sound=yes", "count lan0 = 1", "counter refusals_sent = 1")

k = Case("rule-reject6", "The same over IPv6: RST, and ICMPv6 for UDP.", rules={"r": {"action": "reject", "destination-port": "1-100"}})
k.lan(0.001, Ether(src=CLIENT_MAC, dst=GW_MAC) / IPv6(src=CLIENT6, dst=S1_6) / TCP(sport=40000, dport=23, flags="S", seq=77))
k.lan(0.002, Ether(src=CLIENT_MAC, dst=GW_MAC) / IPv6(src=CLIENT6, dst=S1_6) / UDP(sport=40000, dport=53) / b"q")
k.expect(f"packet lan0 1 tcp.flags=RA tcp.ack=78 ip.src={S1_6} sound=yes", f"packet lan0 2 icmp.type=1 ip.dst={CLIENT6} sound=yes",
         "counter refusals_sent = 2")

k = Case("rule-order", "The first rule that fits decides: an exception before the rule.",
         rules={"ops": {"action": "allow", "source": "10.77.0.2/32", "destination-port": 22},
                "no-ssh": {"action": "deny", "destination-port": 22}})
syn(k, 0.001, dport=22)
syn(k, 0.002, dport=22, src="10.77.0.3")
k.expect("counter native_frames_to_fabric = 1", f"count fabric from=gw ip.src={CLIENT} op=datagram = 1", "counter drops.rule-deny = 1")

k = Case("rule-default", "default-rule = deny, and one door.", gateway={"default-rule": "deny"},
         rules={"web": {"action": "allow", "protocol": "tcp", "destination-port": 80}})
syn(k, 0.001, dport=80)
syn(k, 0.002, dport=81)
k.lan(0.003, from_client(S1, ICMP(id=1, seq=1)))
k.expect("counter native_frames_to_fabric = 1", "sequence fabric from=gw dport=80", "counter drops = 2")

k = Case("rule-answers", "What a server answers to an allowed flow passes, though the default forbids it to begin one.",
         gateway={"default-rule": "deny"}, rules={"web": {"action": "allow", "protocol": "tcp", "destination-port": 80}})
f = Flow(k).open(0.001)
f.c(0.005, "PA", b"x")
k.srv(0.010, from_server(CLIENT, TCP(sport=3333, dport=25, flags="S", seq=9)))
k.expect("sequence lan0 tcp.flags=SA", "count lan0 dport=25 = 0", "counter native_frames_to_fabric = 3", "counter drops.default-deny = 1")

k = Case("rule-source-port", "Rules by source network, source port and protocol together.",
         rules={"r": {"action": "deny", "source": "10.77.0.0/30", "source-port": "1000-2000", "protocol": "udp"}})
k.lan(0.001, from_client(S1, UDP(sport=1500, dport=9) / b"no"))
k.lan(0.002, from_client(S1, UDP(sport=2500, dport=9) / b"port"))
k.lan(0.003, from_client(S1, UDP(sport=1500, dport=9) / b"net", src="10.77.0.9"))
k.lan(0.004, from_client(S1, TCP(sport=1500, dport=9, flags="S")))
k.expect("counter native_frames_to_fabric = 3", "count fabric payload=no = 0", "counter drops.rule-deny = 1")

k = Case("rule-fabric", "interface = fabric: what servers begin, and only that.",
         rules={"r": {"action": "deny", "interface": "fabric", "destination-port": 25}})
k.srv(0.001, from_server(CLIENT, TCP(sport=3333, dport=25, flags="S", seq=9)))
syn(k, 0.002, dport=25)
k.expect("count lan0 dport=25 = 0", "counter native_frames_to_fabric = 1", "counter drops.rule-deny = 1")

k = Case("rule-rate", "rate and burst: so many new flows per second, the rest is refused.",
         rules={"r": {"action": "allow", "destination-port": 80, "rate": 10, "burst": 3}})
for i in range(6):
    syn(k, 0.001 + i * .001, sport=40000 + i)
syn(k, 1.2, sport=41000)
k.expect("counter native_frames_to_fabric = 4", "count fabric sport=41000 = 1", "counter drops = 3")

k = Case("rule-max", "max-connections: a third flow waits until one has ended.",
         rules={"r": {"action": "allow", "destination-port": 80, "max-connections": 2}})
a = Flow(k, cport=40001).open(0.001)
Flow(k, cport=40002).open(0.010)
syn(k, 0.020, sport=40003)
a.c(0.030, "R", ack=0)
syn(k, 40, sport=40004)
k.expect("count fabric sport=40003 = 0", "count fabric sport=40004 = 1", "counter drops = 1")

k = Case("rule-per-client", "max-per-client: one client's share is not another's.",
         rules={"r": {"action": "allow", "destination-port": 80, "max-per-client": 1}})
syn(k, 0.001, sport=40001)
syn(k, 0.002, sport=40002)
syn(k, 0.003, sport=40003, src="10.77.0.3")
k.expect("count fabric from=gw sport=40001 = 1", "count fabric sport=40002 = 0", "count fabric from=gw sport=40003 = 1", "counter drops = 1")

k = Case("rule-established", "A rule judges new flows: what comes without a SYN is not one that it let in.",
         gateway={"default-rule": "deny"}, rules={"web": {"action": "allow", "destination-port": 80, "max-connections": 1}})
Flow(k, cport=40001).open(0.001)
k.lan(0.010, from_client(S1, TCP(sport=40001, dport=81, flags="A", seq=5, ack=5)))
k.expect("count fabric dport=81 = 0", "counter native_frames_to_fabric = 2")

FW = {"s1": {"address": f"{S1}"}, "fw": {"address": S2, "forward": "yes"}}
k = Case("rule-via", "action = via: the firewall server sees the flow first, and what it passes on reaches the server.",
         servers=FW, rules={"r": {"action": "via", "via": "fw", "destination": f"{S1}/32"}})
syn(k, 0.001)
k.srv(0.002, Ether(src="02:00:00:00:02:02", dst=GW_MAC) / IP(src=CLIENT, dst=S1, ttl=63) / TCP(sport=40000, dport=80, flags="S", seq=1000), "fw")
k.srv(0.003, from_server(CLIENT, TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)))
k.expect("sequence fabric from=gw to=fw tcp.flags=S ip.ttl=64", "sequence fabric from=gw to=s1 tcp.flags=S ip.ttl=63",
         "count fabric from=gw to=s1 ip.ttl=64 = 0")

# --- services ------------------------------------------------------------------------------------

SHARED = {f"s{n}": {"address": f"{server(n)[0]}, {VIP}"} for n in (1, 2)}


def weights(a, b):
    return {"s1": {**SHARED["s1"], "weight": a}, "s2": {**SHARED["s2"], "weight": b}}


k = Case("service-shared", "An address that two servers have: each flow goes to one of them, all its frames to the same.", servers=SHARED)
for i in range(40):
    syn(k, 0.001 + i * .001, dst=VIP, sport=40000 + i)
    syn(k, 0.101 + i * .001, dst=VIP, sport=40000 + i)
k.expect("counter native_frames_to_fabric = 80", "count fabric from=gw to=s1 tcp.flags=S >= 24", "count fabric from=gw to=s2 tcp.flags=S >= 24")

k = Case("service-weights", "Weights 1 and 9.", servers=weights(1, 9))
for i in range(100):
    syn(k, 0.001 + i * .001, dst=VIP, sport=40000 + i)
k.expect("count fabric from=gw to=s1 tcp.flags=S >= 3", "count fabric from=gw to=s1 tcp.flags=S <= 20", "count fabric from=gw tcp.flags=S = 100")

k = Case("service-backup", "A backup serves when no other server of the address does.",
         servers={"s1": SHARED["s1"], "s2": {**SHARED["s2"], "backup": "yes"}})
k.play(0, "s1 attach")
for i in range(10):
    syn(k, 0.010 + i * .001, dst=VIP, sport=40000 + i)
k.play(0.500, "s1 detach")
for i in range(10):
    syn(k, 1.010 + i * .001, dst=VIP, sport=41000 + i)
k.expect("count fabric from=gw to=s1 tcp.flags=S = 10", "count fabric from=gw to=s2 tcp.flags=S = 10")

k = Case("service-failover", "A server is lost: new flows go to the other; its own wait for it until host-timeout.",
         servers=SHARED, gateway={"host-timeout": 2})
k.play(0, "s1 attach")
for i in range(20):
    syn(k, 0.010 + i * .001, dst=VIP, sport=40000 + i)
k.play(0.500, "s1 lost")
for i in range(20):
    syn(k, 1.010 + i * .001, dst=VIP, sport=41000 + i)
for i in range(20):
    syn(k, 5.010 + i * .001, dst=VIP, sport=42000 + i)
k.expect("count fabric from=gw to=s1 tcp.flags=S >= 4", "count fabric from=gw to=s1 time=1.010 = 0",
         "count fabric from=gw to=s2 tcp.flags=S >= 44", "counter native_frames_to_fabric = 60")

k = Case("service-join", "A server joins: established connections stay where they are.", servers=SHARED)
k.play(0, "s2 absent")
flows = [Flow(k, cport=40000 + i, server_addr=VIP) for i in range(10)]
for i, f in enumerate(flows):
    f.open(0.010 + i * .003)
k.play(0.500, "s2 attach")
for i, f in enumerate(flows):
    f.c(1.010 + i * .001, "PA", b"still here")
for i in range(20):
    syn(k, 2.0 + i * .001, dst=VIP, sport=43000 + i)
k.expect('count fabric from=gw to=s1 payload="still here" = 10', 'count fabric from=gw to=s2 payload="still here" = 0',
         "count fabric from=gw to=s2 tcp.flags=S >= 5")

k = Case("service-source", "balance = source: a client keeps its server, whatever its port.", servers=SHARED,
         services={"v": {"address": VIP, "balance": "source", "accelerate": "off"}})
for i in range(20):
    syn(k, 0.001 + i * .001, dst=VIP, sport=40000 + i)
for i in range(20):
    syn(k, 0.101 + i * .001, dst=VIP, sport=40000, src=f"10.77.0.{100 + i}")
k.play(0.9, 'gw "{\\"cmd\\":\\"map show flows\\"}"')
k.expect(f"count fabric from=gw to=s1 ip.src={CLIENT} = 20", "count fabric from=gw tcp.flags=S = 40", f"count fabric from=gw to=s2 ip.src!={CLIENT} >= 3")

k = Case("service-least", "balance = least-conn: the server with fewer flows for its weight.", servers=SHARED,
         services={"v": {"address": VIP, "balance": "least-conn", "accelerate": "off"}})
for i in range(20):
    syn(k, 0.001 + i * .001, dst=VIP, sport=40000 + i)
k.expect("count fabric from=gw to=s1 tcp.flags=S = 10", "count fabric from=gw to=s2 tcp.flags=S = 10")

k = Case("service-nobody", "no-server = reject: RST at once.", servers=SHARED,
         services={"v": {"address": VIP, "no-server": "reject"}})
k.play(0, "s1 absent")
k.play(0, "s2 absent")
syn(k, 2.001, dst=VIP)
k.expect(f"packet lan0 1 tcp.flags=RA tcp.ack=1001 ip.src={VIP}", "counter refusals_sent = 1")

k = Case("service-nobody-drop", "no-server = drop: the client tries again later.", servers=SHARED,
         services={"v": {"address": VIP, "no-server": "drop"}})
k.play(0, "s1 absent")
k.play(0, "s2 absent")
syn(k, 2.001, dst=VIP)
k.play(3.0, "s2 attach")
syn(k, 4.0, dst=VIP)
k.expect("count lan0 = 0", "counter drops = 1", "count fabric from=gw to=s2 tcp.flags=S = 1")

k = Case("service-drain", "server drain: new flows go elsewhere, those it has stay.", servers=SHARED)
flows = [Flow(k, cport=40000 + i, server_addr=VIP) for i in range(10)]
for i, f in enumerate(flows):
    f.c(0.010 + i * .003, "S")
k.play(0.500, 'gw "{\\"cmd\\":\\"server drain\\",\\"conn\\":\\"s1\\"}"')
for i, f in enumerate(flows):
    f.c(1.010 + i * .001, "A", b"", ack=1)
for i in range(10):
    syn(k, 2.0 + i * .001, dst=VIP, sport=43000 + i)
k.expect("count fabric from=gw to=s1 tcp.flags=S >= 1", "count fabric from=gw to=s1 tcp.flags=A >= 1",
         "count fabric from=gw tcp.flags=A = 10", "answer 1 lacks error", "count fabric from=gw to=s2 tcp.flags=S >= 10")

k = Case("service-max", "max-connections of a service.", services={"v": {"address": S1, "max-connections": 2}})
for i in range(4):
    syn(k, 0.001 + i * .001, sport=40000 + i)
k.expect("count fabric from=gw tcp.flags=S = 2", "counter drops = 2")

k = Case("service-syn-rate", "syn-rate: a flood of SYNs is cut, established connections go on.",
         services={"v": {"address": S1, "syn-rate": 10, "syn-burst": 5}})
f = Flow(k, cport=50000).open(0.001)
for i in range(50):
    syn(k, 0.010 + i * .0001, sport=40000 + i)
f.c(0.020, "PA", b"alive")
k.expect("count fabric from=gw tcp.flags=S = 5", "count fabric payload=alive = 1", "counter drops = 46")
