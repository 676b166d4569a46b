# SPDX-License-Identifier: BSD-3-Clause
"""Bad frames from both sides: counted, never a crash, and the rest of the traffic goes on."""
import pytest

from conftest import sha256, wait_for

MB = 1 << 20

# Runs in the client's namespace: argv[1] is the gateway's MAC, frames go out as they are.
HOSTILE_LAN = r"""
import random, socket, struct, sys
from scapy.all import Ether, IP, IPv6, TCP, UDP, ICMP, ARP, Raw, fragment, IPv6ExtHdrHopByHop
gw, seed = sys.argv[1], int(sys.argv[2])
print("seed", seed)
rnd = random.Random(seed)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
me = open("/sys/class/net/eth0/address").read().strip()
E = lambda: Ether(src=me, dst=gw)
I = lambda **k: E() / IP(src="10.77.0.2", dst="10.77.0.11", **k)
def out(p):
    try: s.send(bytes(p))
    except OSError: pass
def opt(raw):
    # a TCP header whose options are exactly `raw`
    raw = raw + b"\0" * (-len(raw) % 4)
    p = I() / TCP(sport=999, dport=80, flags="A", seq=1, ack=1, dataofs=5 + len(raw) // 4) / Raw(raw)
    return p
good = bytes(I() / TCP(sport=999, dport=80, flags="A"))
for n in (14, 15, 20, 33, 40, 53): out(good[:n])                       # runts
out(I(len=10) / TCP()); out(I(len=4000) / TCP()); out(I(ihl=4) / TCP()); out(I(ihl=15) / TCP())
out(I(chksum=0x1234) / TCP()); out(I(version=5) / TCP())
out(I() / TCP(chksum=0x1234)); out(I() / UDP(chksum=0x1234)); out(I() / UDP(len=3)); out(I() / UDP(len=9000))
out(I() / TCP(dataofs=3)); out(I() / TCP(dataofs=15)); out(I() / TCP(flags="SF")); out(I() / TCP(flags=0))
out(I() / TCP(flags="FSRPAU"))
for raw in (b"\x02\x00", b"\x02\x01", b"\x08\xff", b"\x05\x0b" + b"\0" * 6, b"\x03", b"\xfe\x00\x00\x00", b"\x01" * 39 + b"\x08"):
    out(opt(raw))
for f in fragment(I() / UDP(sport=1, dport=2) / Raw(b"x" * 3000), 800): out(f)
out(E() / IP(src="127.0.0.1", dst="10.77.0.11") / TCP()); out(E() / IP(src="224.0.0.1", dst="10.77.0.11") / TCP())
out(E() / IP(src="10.77.0.2", dst="10.77.0.200") / TCP())
out(E() / ARP(hwlen=7)); out(E() / ARP(plen=9)); out(E() / ARP(op=77)); out(bytes(E() / ARP())[:30])
out(E() / IPv6(src="fd77::2", dst="fd77::11", plen=5000) / TCP()); out(E() / IPv6(src="fd77::2", dst="fd77::11", nh=0) / Raw(b"\x06\xff" + b"\0" * 6))
out(E() / IPv6(src="fd77::2", dst="fd77::11") / IPv6ExtHdrHopByHop() / TCP(flags="S"))
out(E() / IPv6(src="::1", dst="fd77::11") / TCP()); out(E() / IPv6(src="ff02::1", dst="fd77::11") / TCP())
out(Ether(src=me, dst=gw, type=0x1234) / Raw(b"?" * 60)); out(Ether(src=me, dst=gw, type=0x8100) / Raw(b"\0"))
out(E() / IP(src="10.77.0.2", dst="10.77.0.11") / ICMP(type=3, code=4) / Raw(b"\x45\0"))
for i in range(3000):                                                    # mutations of a good frame
    b = bytearray(good + rnd.randbytes(rnd.randrange(60)))
    for _ in range(rnd.randrange(1, 8)): b[rnd.randrange(12, len(b))] = rnd.randrange(256)
    out(bytes(b[: rnd.randrange(1, len(b) + 1)]))
"""

# Runs in the server's namespace: frames from its TAP with addresses that are not its own.
SPOOF = r"""
from scapy.all import Ether, IP, IPv6, TCP, UDP, ARP, sendp, conf
conf.verb = 0
for p in (IP(src="10.77.0.99", dst="10.77.0.2") / UDP(dport=9), IP(src="10.77.0.1", dst="10.77.0.2") / UDP(dport=9),
          IP(src="8.8.8.8", dst="10.77.0.2") / TCP(), IPv6(src="fd77::99", dst="fd77::2") / UDP(dport=9)):
    sendp(Ether(dst="02:00:00:00:00:01") / p, iface="tag0", count=5)
"""


def gateway_mac(lab):
    lab.run("client", "ping", "-c1", "-W2", "10.77.0.1")
    text = lab.run("client", "ip", "neigh", "show", "10.77.0.1").stdout.split()
    return text[text.index("lladdr") + 1]


@pytest.mark.asan
def test_hostile_frames_from_the_lan(lab, www):
    path = www("file", 4 * MB)
    lab.nginx(www.root)
    mac = gateway_mac(lab)
    before = lab.ctl("drops")
    download = lab.start("client", "curl", "-sS", "--fail", "--limit-rate", "2M", "-o",
                         lab.tmp / "file", "http://10.77.0.11/file")
    said = lab.run("client", "/usr/bin/python3", "-c", HOSTILE_LAN, mac, "20261120").stdout
    assert "seed" in said
    assert download.wait(timeout=60) == 0
    assert sha256(lab.tmp / "file") == sha256(path)
    drops = lab.ctl("drops")
    for reason in ("bad-ip-length", "bad-ip-header-length", "bad-ip-checksum",
                   "bad-tcp-checksum", "bad-udp-checksum", "bad-tcp-header-length", "bad-tcp-option",
                   "bad-tcp-flags", "bad-ip-address", "bad-arp", "no-server", "unknown-ethertype",
                   "bad-ipv6-extension", "runt-frame"):
        assert drops["drops"].get(reason, 0) > before["drops"].get(reason, 0), (reason, drops)
    assert lab.fetch("http://10.77.0.11/file") == sha256(path)


@pytest.mark.asan
def test_hostile_options_on_a_live_connection(lab, www):
    """Well-checksummed segments with hostile options and numbers inside a live accelerated flow."""
    path = www("file", 8 * MB)
    lab.nginx(www.root)
    mac = gateway_mac(lab)
    download = lab.start("client", "curl", "-sS", "--fail", "--limit-rate", "2M", "--local-port",
                         "45678", "-o", lab.tmp / "file", "http://10.77.0.11/file")
    wait_for(lambda: [c for c in lab.conns() if c["mode"] == "accelerated"], what="takeover")
    script = r"""
import random, socket, sys
from scapy.all import Ether, IP, TCP, Raw
rnd = random.Random(7); gw = sys.argv[1]
me = open("/sys/class/net/eth0/address").read().strip()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for i in range(3000):
    raw = rnd.randbytes(rnd.randrange(0, 10) * 4)
    p = (Ether(src=me, dst=gw) / IP(src="10.77.0.2", dst="10.77.0.11") /
         TCP(sport=45678, dport=80, flags=rnd.choice(["A", "PA", "R", "S", "FA", "UA", "RA", "SA"]),
             seq=rnd.getrandbits(32), ack=rnd.getrandbits(32), window=rnd.getrandbits(16),
             dataofs=5 + len(raw) // 4) / Raw(raw + rnd.randbytes(rnd.randrange(50))))
    s.send(bytes(p))
"""
    lab.run("client", "/usr/bin/python3", "-c", script, mac)
    assert download.wait(timeout=60) == 0
    assert sha256(lab.tmp / "file") == sha256(path)
    lab.quiet()


def test_spoofed_sources_from_a_host(lab, www):
    lab.nginx(www.root)
    before = lab.ctl("drops")["drops"].get("spoofed-source", 0)
    lab.run("server1", "/usr/bin/python3", "-c", SPOOF)
    assert wait_for(lambda: lab.ctl("drops")["drops"].get("spoofed-source", 0) - before >= 15)
    assert lab.run("client", "curl", "-sS", "http://10.77.0.11/").stdout == "ok\n"
