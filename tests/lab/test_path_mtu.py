# SPDX-License-Identifier: BSD-3-Clause
"""A client beyond a router whose next link is narrower than both ends': with and without ICMP."""
import subprocess
import time

import pytest

from conftest import sha256

MB = 1 << 20
ADDRESS = {4: "10.77.0.11", 6: "[fd77::11]"}
MTU = 1400  # of the link between router and far client


@pytest.fixture
def far(make_lab):
    """A lab whose client is a router; beyond it tag-far, 10.78.0.2 and fd78::2."""
    lab = make_lab(routed=1)
    lab.shell("""
        ip netns add tag-far
        ip link add far0 netns tag-client type veth peer name eth0 netns tag-far
        ip netns exec tag-client ethtool -K far0 tx off tso off gso off gro off >/dev/null
        ip netns exec tag-far ethtool -K eth0 tx off tso off gso off gro off >/dev/null
        ip netns exec tag-client sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        # A router says as much as it is asked to; the test wants every error.
        ip netns exec tag-client sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
        ip -n tag-client addr add 10.78.0.1/24 dev far0
        ip -n tag-client addr add fd78::1/64 dev far0 nodad
        ip -n tag-far addr add 10.78.0.2/24 dev eth0
        ip -n tag-far addr add fd78::2/64 dev eth0 nodad
        ip -n tag-client link set far0 up
        ip -n tag-far link set eth0 up
        ip -n tag-far route add default via 10.78.0.1
        ip -n tag-far route add default via fd78::1
    """)
    yield lab
    lab.shell("ip netns pids tag-far | xargs -r kill; ip netns del tag-far", check=False)


def narrow(lab):
    """From now on the link takes no more than MTU bytes; the far client does not know it."""
    lab.run("client", "ip", "link", "set", "far0", "mtu", MTU)


def silence(lab):
    """The router's errors are lost."""
    lab.run("client", "nft", "-f", "-", input="""
        table inet silent {
          chain out { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }
        }""")


def download(lab, version, name, limit):
    """SHA-256 of what the far client gets, and how long it took."""
    start = time.monotonic()
    out = lab.shell(f"""ip netns exec tag-far curl -sS --fail -m {limit} http://{ADDRESS[version]}/{name} |
                        sha256sum""", timeout=limit + 10).stdout.split()[0]
    return out, time.monotonic() - start


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_lowers_the_segment_size(far, www, version):
    file = www("narrow", 8 * MB)
    far.nginx(www.root)
    narrow(far)
    before = far.stats()
    got, _ = download(far, version, "narrow", 60)
    after = far.stats()
    assert got == sha256(file)
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 8 * MB  # it was accelerated
    assert after["icmp_errors"] > before["icmp_errors"]
    # The first window did not fit, and hardly anything else.
    assert after["tcp_retransmits"] - before["tcp_retransmits"] < 100
    far.quiet(30)


@pytest.mark.parametrize("version", [4, 6])
def test_black_hole_is_found_without_icmp(far, www, version):
    file = www("hole", 4 * MB)
    far.nginx(www.root)
    narrow(far)
    silence(far)
    before = far.stats()
    got, seconds = download(far, version, "hole", 60)
    after = far.stats()
    assert got == sha256(file)
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 4 * MB
    assert after["icmp_errors"] == before["icmp_errors"]
    assert seconds < 20
    far.quiet(30)


FRAGMENTS = r"""
import random, time
from scapy.all import AsyncSniffer, IPv6, IPv6ExtHdrFragment, TCP, conf, fragment6, raw, send, sr1
conf.verb = 0
here, there, port = "fd77::2", "fd77::11", 40000 + random.randrange(10000)
ip = IPv6(src=here, dst=there)
syn = TCP(sport=port, dport=7301, flags="S", seq=1000, window=65535, options=[("MSS", 1200)])
answer = sr1(ip / syn, timeout=5)
ack = answer.seq + 1
send(ip / TCP(sport=port, dport=7301, flags="A", seq=1001, ack=ack, window=65535))
acked, data, at = set(), bytes(range(250)) * 40, 0
sniffer = AsyncSniffer(iface="eth0", store=False, prn=lambda p: acked.add(p[TCP].ack) if TCP in p and p[TCP].sport == 7301 else None)
sniffer.start()
time.sleep(0.5)
def wait(n):
    deadline = time.monotonic() + 5
    while 1001 + n not in acked and time.monotonic() < deadline:
        time.sleep(0.005)
    assert 1001 + n in acked, (n, sorted(acked))
while at < len(data):
    block = data[at:at + 1000]
    whole = ip / TCP(sport=port, dport=7301, flags="PA", seq=1001 + at, ack=ack, window=65535) / block
    whole = IPv6(raw(whole))                # with its checksum
    pieces = fragment6(IPv6(src=here, dst=there) / IPv6ExtHdrFragment() / whole[TCP], 500)
    assert len(pieces) >= 3
    random.shuffle(pieces)
    send(pieces)
    at += len(block)
    wait(at)
send(ip / TCP(sport=port, dport=7301, flags="FA", seq=1001 + at, ack=ack, window=65535))
wait(at + 1)
print("acknowledged", at)
"""
DIGEST = r"""
import hashlib, socket
l = socket.create_server(("::", 7301), family=socket.AF_INET6)
print("listening", flush=True)
s, _ = l.accept()
data = b""
while block := s.recv(65536):
    data += block
print(data == bytes(range(250)) * 40, flush=True)
"""


def test_fragments_of_accelerated_segments(make_lab):
    """A client whose segments come in pieces, in any order. (Of IPv4 the packet socket's kernel leaves none.)"""
    lab = make_lab(accelerate="accept")
    # The client's kernel knows nothing of the connection and would reset it.
    lab.run("client", "nft", "-f", "-", input="""
        table inet quiet {
          chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }
        }""")
    server = lab.start("server1", "tagrun", "python3", "-c", DIGEST, stdout=-1, text=True)
    assert server.stdout.readline() == "listening\n"
    out = lab.run("client", "/usr/bin/python3", "-c", FRAGMENTS, timeout=60)
    assert out.stdout == "acknowledged 10000\n"
    assert server.stdout.readline() == "True\n"
    stats = lab.stats()
    assert stats["accel_commits"] == 1 and stats["rdma_write_bytes"] >= 250 * 40
    assert stats["tcp_reassembled"] == 10 and stats["tcp_fragments"] >= 30
    assert not stats["drops"].get("fragment")


PATIENT = r"""
import os, socket, sys, time
l = socket.create_server(("::", 7300), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
s, _ = l.accept()
s.sendall(s.recv(1))                    # taken over here
s.recv(1)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
s.recv(1)                               # the path is cut now
s.sendall(b"x" * 1000)
error, deadline = 0, time.monotonic() + 20
while not error and time.monotonic() < deadline:
    time.sleep(0.1)
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
print(os.strerror(error), flush=True)
sys.stdin.readline()                    # the path is whole again, no more errors come
s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.recv(1), flush=True)
"""
FAR = r"""
import socket, sys
s = socket.create_connection((sys.argv[1], 7300))
s.sendall(b"a"); s.recv(1)
s.sendall(b"b")
print("accelerated", flush=True)
sys.stdin.readline()
s.sendall(b"c")
n = 0
while n < 1000:
    n += len(s.recv(1000))
s.sendall(b"d")
print("got", n, flush=True)
"""


@pytest.mark.parametrize("version", [4, 6])
def test_soft_error_is_told_and_ends_nothing(far, version):
    """RFC 9293 SHLD-25, MUST-56: a router that cannot reach the client for a while."""
    ip = "ip" if version == 4 else "ip -6"
    net = "10.78.0.2/32" if version == 4 else "fd78::2/128"
    server = far.start("server1", "tagrun", "python3", "-c", PATIENT, stdin=-1, stdout=-1, text=True)
    assert server.stdout.readline() == "listening\n"
    client = subprocess.Popen(["ip", "netns", "exec", "tag-far", "python3", "-c", FAR, ADDRESS[version].strip("[]")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "accelerated\n"
    assert server.stdout.readline() == "0\n"
    # What the client says still passes; what is sent to it comes back as unreachable.
    far.shell(f"ip netns exec tag-client {ip} route add unreachable {net}")
    client.stdin.write("\n"); client.stdin.flush()
    assert server.stdout.readline() == "No route to host\n"
    assert far.stats()["icmp_errors"] > 0
    far.shell(f"ip netns exec tag-client {ip} route del unreachable {net}")
    assert client.stdout.readline() == "got 1000\n"
    server.stdin.write("\n"); server.stdin.flush()
    assert server.stdout.readline() == "0 b'd'\n"
    assert client.wait(timeout=10) == 0 and server.wait(timeout=10) == 0
    far.quiet(30)
