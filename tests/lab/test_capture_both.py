# SPDX-License-Identifier: BSD-3-Clause
"""Captures with both sides of the gateway in one file: interfaces, connections, drops, filters, ends."""
import json
import os
import re
import signal
import struct
import subprocess
import time

import pytest
from conftest import LAB, wait_for
from test_capture import show, tshark

CONN = re.compile(r"conn=(10\.77\.0\.2:\d+)>(10\.77\.0\.\d+:\d+)")


@pytest.fixture(scope="module")
def both(make_module_lab):
    """A lab whose server has nginx, accelerated."""
    lab = make_module_lab()
    (lab.tmp / "file").write_bytes(os.urandom(200_000))
    os.chmod(lab.tmp / "file", 0o644)
    lab.nginx(lab.tmp)
    return lab


def blocks(path):
    """Blocks of a pcapng file: type and body."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size
        yield kind, data[at + 8:at + size - 4]
        at += size


def options(body, at):
    """Options of a block."""
    found = {}
    while at + 4 <= len(body):
        code, size = struct.unpack_from("<HH", body, at)
        if not code:
            break
        found[code] = body[at + 4:at + 4 + size]
        at += 4 + -(-size // 4) * 4
    return found


def statistics(path):
    """Per interface: packets seen, packets missing, and the comment."""
    found = {}
    for kind, body in blocks(path):
        if kind == 5:
            opts = options(body, 12)
            found[struct.unpack_from("<I", body)[0]] = (
                struct.unpack("<Q", opts[4])[0], struct.unpack("<Q", opts[5])[0], opts[1].decode())
    return found


def fetch(lab):
    lab.fetch("http://10.77.0.11/file")


def test_both_sides_of_a_connection(both, tmp_path):
    """One fetch: its frames and its fabric packets carry the same name, and once accelerated the token."""
    capture = tmp_path / "both.pcapng"
    both.ctl("capture", "start", capture)
    both.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    fetch(both)
    both.quiet()
    done = both.ctl("capture", "stop")
    assert done["missing_frames"] == done["missing_operations"] == 0
    assert not tshark(capture, "frame.number", select="_ws.malformed || _ws.expert.severity == error")
    names = {(row[0], row[1]) for row in tshark(capture, "frame.interface_id", "frame.interface_name")}
    assert names == {("0", "lan0"), ("1", "fabric")}
    sides = {}
    for side, text in tshark(capture, "frame.interface_name", "frame.comment", select="frame.comment contains \"conn=\""):
        sides.setdefault(CONN.search(text).groups(), {}).setdefault(side, set()).add("token=0x" in text)
    assert len(sides) == 1
    (client, server), seen = sides.popitem()
    assert server == "10.77.0.11:80" and seen == {"lan0": {False, True}, "fabric": {False, True}}
    # every kind of operation of it has the name: native frames, messages, READs with their answers, WRITEs
    named = tshark(capture, "infiniband.bth.opcode", select=f'infiniband && frame.comment contains "{client}"')
    assert {row[0] for row in named} >= {"100", "4", "12", "10", "17"}, named
    reads = tshark(capture, "frame.comment", select="infiniband.bth.opcode in {13, 14, 15, 16}")
    assert reads and all("token=0x" in row[0] for row in reads)
    # directions: what came from the client is in, and its request is on both sides natively or placed
    ways = {tuple(row) for row in tshark(capture, "ip.src", "frame.packet_flags_direction", select="frame.interface_name == lan0 && tcp")}
    assert ways == {("10.77.0.2", "0x00000001"), ("10.77.0.11", "0x00000002")}
    sums = subprocess.run(["tshark", "-n", "-o", "tcp.check_checksum:TRUE", "-r", capture, "-Y",
                           "frame.interface_name == lan0 && tcp.checksum.status == 0"],
                          capture_output=True, text=True, check=True)
    assert sums.stdout == ""
    assert statistics(capture) == {0: (done["lan_packets"], 0, "end=stopped"),
                                   1: (done["fabric_packets"], 0, "end=stopped")}


FRAME = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for text in sys.argv[2:]:
    s.send(bytes.fromhex(text))
"""


def send(lab, *frames):
    """Raw frames from the client."""
    name = json.loads(lab.run("client", "ip", "-j", "route", "get", "10.77.0.11").stdout)[0]["dev"]
    lab.run("client", "python3", "-c", FRAME, name, *(bytes(f).hex() for f in frames))


def test_drops_say_why(both, tmp_path):
    """The frame that was dropped says so, with the name that `drops` counts."""
    from scapy.all import IP, TCP, UDP, Ether
    mac = both.run("client", "bash", "-c", "ping -q -c 1 10.77.0.1 >/dev/null; ip neigh show 10.77.0.1").stdout.split()[4]
    wrong = IP(src="10.77.0.2", dst="10.77.0.11") / TCP(dport=80, flags="A", chksum=1)
    capture, before = tmp_path / "drops.pcapng", both.ctl("drops")["drops"]
    both.ctl("capture", "start", capture)
    send(both, Ether(dst=mac) / IP(src="10.77.0.2", dst="192.0.2.1") / UDP(dport=9),
         Ether(dst=mac) / wrong, Ether(dst="02:00:00:00:00:99") / wrong)
    wait_for(lambda: show(both)["lan_packets"] >= 2, what="frames in the file")
    both.ctl("capture", "stop")
    after = both.ctl("drops")["drops"]
    comments = [row[0] for row in tshark(capture, "frame.comment", select="frame.comment contains \"drop=\"")]
    reasons = [re.search(r"drop=(\S+)", c).group(1) for c in comments]
    assert "no-server" in reasons and "bad-tcp-checksum" in reasons
    for why in set(reasons):
        assert after[why] - before.get(why, 0) == reasons.count(why)
    assert "conn=10.77.0.2:" in [c for c in comments if "checksum" in c][0]


@pytest.mark.parametrize("choice,rest", [("filter=tcp port 80", None), ("filter=icmp", None), ("conn", None)])
def test_only_what_is_wanted(both, tmp_path, choice, rest):
    capture = tmp_path / "some.pcapng"
    hold = None
    if choice == "conn":
        hold = both.start("client", "nc", "10.77.0.11", "80", stdin=subprocess.PIPE)
        row = wait_for(lambda: [c for c in both.conns() if c["state"] != "closed" and c["age_s"] < 5], what="a connection")[-1]
        choice = f"conn={row['client']}"
    both.ctl("capture", "start", capture, choice)
    if hold:
        hold.stdin.write(b"GET /file HTTP/1.0\r\n\r\n")
        hold.stdin.close()
        hold.wait(10)
    fetch(both)
    both.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    both.quiet()
    done = both.ctl("capture", "stop")
    assert done["lan_packets"] > 1 and done["fabric_packets"] > 1
    # a connection of queue pairs is introduced always
    rows = tshark(capture, "tcp.port", "icmp.type", "frame.comment", select="!infiniband.mad")
    if choice == "filter=icmp":
        assert len(rows) == 4 and all(row[1] for row in rows)
        return
    assert not any(row[1] for row in rows)
    assert all(CONN.search(row[2]).group(2) == "10.77.0.11:80" for row in rows)
    clients = {CONN.search(row[2]).group(1) for row in rows}
    assert clients == {row["client"]} if hold else len(clients) == 1


@pytest.mark.parametrize("side", ["lan", "fabric"])
def test_one_side(both, tmp_path, side):
    """One side alone; that of the LAN is for programs that know only frames."""
    capture = tmp_path / f"{side}.pcapng"
    both.ctl("capture", "start", capture, f"side={side}")
    both.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    done = both.ctl("capture", "stop")
    other = "fabric_packets" if side == "lan" else "lan_packets"
    assert done["packets"] > 0 and done[other] == 0
    if side == "lan":
        text = subprocess.run(["tcpdump", "-n", "-r", capture], capture_output=True, text=True, check=True).stdout
        assert "ICMP echo request" in text and "ICMP echo reply" in text


def test_ends_with_its_client(both, tmp_path):
    """capture run: Ctrl-C ends it and says what it has; so does the client's death, without a word."""
    def run(path):
        child = both.start("gw", "tagctl", "--json", "capture", "run", path, "seconds=600", stdout=subprocess.PIPE)
        wait_for(lambda: show(both)["running"] and show(both)["file"] == str(path), what="the capture")
        pids = both.run("gw", "bash", "-c", f"grep -lz {path} /proc/[0-9]*/cmdline | cut -d/ -f3").stdout.split()
        tagctl = [int(p) for p in pids if os.path.realpath(f"/proc/{p}/exe").endswith("/tagctl")]
        assert len(tagctl) == 1
        return child, tagctl[0]

    child, pid = run(tmp_path / "a.pcapng")
    os.kill(pid, signal.SIGINT)
    done = json.loads(child.communicate(timeout=10)[0])
    assert child.returncode == 0 and done["state"] == "stopped" and not done["running"]
    child, pid = run(tmp_path / "b.pcapng")
    os.kill(pid, signal.SIGKILL)
    done = wait_for(lambda: (lambda s: None if s["running"] else s)(show(both)), 5, what="the end")
    assert done["state"] == "whoever asked for it has left"
    assert set(s[2] for s in statistics(tmp_path / "b.pcapng").values()) == {"end=" + done["state"]}
    size = (tmp_path / "b.pcapng").stat().st_size
    both.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    assert (tmp_path / "b.pcapng").stat().st_size == size


def test_ends_with_the_daemon(both, tmp_path):
    """The last test of this file: tagd stops, and the file is whole."""
    capture = tmp_path / "last.pcapng"
    both.ctl("capture", "start", capture)
    both.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    os.kill(both.pid("tagd"), signal.SIGTERM)
    wait_for(lambda: statistics_or_none(capture), 10, what="statistics at the end of the file")
    seen = statistics(capture)
    assert {s[2] for s in seen.values()} == {"end=stopped"} and all(s[0] > 0 for s in seen.values())
    assert len(tshark(capture, "frame.number")) == sum(s[0] for s in seen.values())


def statistics_or_none(path):
    try:
        return statistics(path)
    except (struct.error, AssertionError):
        return None
