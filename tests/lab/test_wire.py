# SPDX-License-Identifier: BSD-3-Clause
"""tshark reads the client side of a takeover, a transfer and a close: one plain TCP connection."""
import signal
import subprocess
import time

import pytest

from conftest import sha256, wait_for

MB = 1 << 20
# A Linux client may write the checksum 0xffff for 0; tshark calls that bad, receivers do not.
BAD = ("_ws.malformed or ip.checksum.status == 0 or "
       "(tcp.checksum.status == 0 and tcp.checksum != 0xffff) or "
       "tcp.analysis.lost_segment or tcp.analysis.ack_lost_segment or tcp.analysis.retransmission or "
       "tcp.analysis.fast_retransmission or tcp.analysis.spurious_retransmission or "
       "tcp.analysis.out_of_order or tcp.flags.reset == 1")


class Capture:
    """tcpdump at the client's interface."""

    def __init__(self, lab, path):
        self.path = path
        self.child = lab.start("client", "tcpdump", "-i", "eth0", "-s", "0", "-B", "65536", "-U", "--immediate-mode",
                               "-w", path, "tcp", stderr=subprocess.PIPE, text=True)
        wait_for(lambda: "listening" in self.child.stderr.readline(), what="tcpdump")
        self.lab = lab

    def stop(self):
        time.sleep(1.5)  # the last packets are on their way through the capture ring
        self.child.send_signal(signal.SIGINT)
        self.child.wait(timeout=10)

    def tshark(self, display_filter, *fields):
        command = ["tshark", "-r", str(self.path), "-o", "tcp.check_checksum:TRUE",
                   "-o", "ip.check_checksum:TRUE", "-Y", display_filter]
        if fields:
            command += ["-T", "fields"] + [arg for f in fields for arg in ("-e", f)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return result.stdout.splitlines()


def assert_plain(capture):
    assert capture.tshark(BAD)[:10] == []
    assert set(capture.tshark("tcp", "tcp.stream")) == {"0"}
    for source in ("10.77.0.2", "10.77.0.11"):
        rows = [row.split("\t") for row in
                capture.tshark(f"ip.src == {source} and tcp.options.timestamp.tsval",
                               "frame.number", "tcp.options.timestamp.tsval")]
        back = [(a, b) for a, b in zip(rows, rows[1:]) if int(b[1]) < int(a[1])]
        assert not back, f"TSval of {source} went back (frame, TSval): {back[:5]}"
    fins = capture.tshark("tcp.flags.fin == 1", "ip.src")
    assert sorted(set(fins)) == ["10.77.0.11", "10.77.0.2"]


@pytest.mark.parametrize("policy", [{}, {"accelerate": "min-bytes", "min_bytes": 300000}],
                         ids=["first-send", "mid-stream"])
def test_download_is_one_plain_connection(make_lab, www, tmp_path, policy):
    lab = make_lab(**policy)
    path = www("file", 4 * MB)
    lab.nginx(www.root)
    lab.quiet()
    capture = Capture(lab, tmp_path / "wire.pcap")
    assert lab.fetch("http://10.77.0.11/file") == sha256(path)
    assert lab.stats()["accel_commits"] >= 1
    lab.quiet()
    capture.stop()
    assert_plain(capture)


ECHO = r"""
import socket, sys
l = socket.create_server(("0.0.0.0", 7100))
print("listening", flush=True)
s, _ = l.accept()
while block := s.recv(65536):
    s.sendall(block)
s.close()
"""
TALK = r"""
import hashlib, socket, threading
s = socket.create_connection(("10.77.0.11", 7100))
out, back = hashlib.sha256(), hashlib.sha256()
def send():
    for i in range(400):
        block = bytes([i % 251]) * 5000
        out.update(block); s.sendall(block)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
while block := s.recv(65536):
    back.update(block)
t.join(); s.close()
print(out.hexdigest() == back.hexdigest())
"""


def test_takeover_under_a_client_that_keeps_sending(make_lab, tmp_path):
    lab = make_lab(accelerate="min-bytes", min_bytes=200000)
    server = lab.start("server1", "tagrun", "python3", "-c", ECHO, stdout=-1, text=True)
    assert server.stdout.readline() == "listening\n"
    capture = Capture(lab, tmp_path / "echo.pcap")
    said = lab.run("client", "python3", "-c", TALK, timeout=60).stdout
    assert said == "True\n"
    assert lab.stats()["accel_commits"] == 1
    lab.quiet()
    capture.stop()
    assert_plain(capture)


MARKED = r"""
import socket, sys
v6 = sys.argv[1] == "6"
tos, ttl = ((socket.IPPROTO_IPV6, socket.IPV6_TCLASS), (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)) if v6 \
    else ((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IP, socket.IP_TTL))
l = socket.create_server(("::" if v6 else "0.0.0.0", 7100), family=socket.AF_INET6 if v6 else socket.AF_INET)
print("listening", flush=True)
s, _ = l.accept()
s.setsockopt(*tos, 0xb8)
s.setsockopt(*ttl, 33)
s.sendall(s.recv(1))                    # taken over here
s.recv(1)
s.setsockopt(*tos, 0x28)
s.recv(1)
s.sendall(bytes(50000))
s.recv(1)
"""
ASK = r"""
import socket, time, sys
s = socket.create_connection((sys.argv[1], 7100))
def got(n):
    while n > 0:
        n -= len(s.recv(65536))
s.sendall(b"a"); got(1)
s.sendall(b"b"); time.sleep(0.3)
s.sendall(b"c"); got(50000)
"""


@pytest.mark.parametrize("family", ["4", "6"])
def test_segments_carry_what_the_program_asked_of_its_kernel(lab, tmp_path, family):
    """DSCP and TTL of the connection, at the takeover and when they change later."""
    server = lab.start("server1", "tagrun", "python3", "-c", MARKED, family, stdout=-1, text=True)
    assert server.stdout.readline() == "listening\n"
    capture = Capture(lab, tmp_path / "marked.pcap")
    lab.run("client", "python3", "-c", ASK, "10.77.0.11" if family == "4" else "fd77::11", timeout=60)
    assert lab.stats()["accel_commits"] == 1
    lab.quiet()
    capture.stop()
    ip = "ip" if family == "4" else "ipv6"
    fields = ("ip.dsfield.dscp", "ip.ttl") if family == "4" else ("ipv6.tclass.dscp", "ipv6.hlim")
    rows = capture.tshark(f"tcp.srcport == 7100 and tcp.len > 0 and {ip}", "tcp.len", *fields)
    marks = [tuple(map(int, row.split("\t"))) for row in rows]
    assert marks[0] == (1, 0xb8 >> 2, 33)
    assert len(marks) > 30 and {m[1:] for m in marks[1:]} == {(0x28 >> 2, 33)}
