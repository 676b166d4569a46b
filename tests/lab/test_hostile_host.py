# SPDX-License-Identifier: BSD-3-Clause
"""A server that attaches properly and then lies: refused, counted, and nobody else is hurt."""
import json
import os
import pathlib
import socket

import pytest

from conftest import sha256, wait_for

MB = 1 << 20
TOOL = pathlib.Path(os.environ["TAG_BUILD"]) / "tests/lab/hostile_host"


@pytest.fixture
def victim(make_lab, www):
    """A lab whose second server is the liar, with a slow accelerated download from the first."""
    lab = make_lab(servers=2)
    path = www("file", 6 * MB)
    lab.nginx(www.root)
    lab.shell("lab_stop taghostd2")
    wait_for(lambda: [s for s in lab.ctl("server", "list")["servers"]
                      if s["name"] == "s2" and s["state"] != "up"], what="server 2 detached")
    download = lab.start("client", "curl", "-sS", "--fail", "--limit-rate", "2M", "-o",
                         lab.tmp / "file", "http://10.77.0.11/file")
    wait_for(lambda: [c for c in lab.conns() if c["mode"] == "accelerated"], what="takeover")
    yield lab
    assert download.wait(timeout=60) == 0
    assert sha256(lab.tmp / "file") == sha256(path)
    assert lab.fetch("http://10.77.0.11/file") == sha256(path)
    lab.quiet(30)


def lie(lab, kind):
    return lab.run("gw", TOOL, kind, timeout=60).stdout.split("\n")


def drops(lab, reason):
    return lab.ctl("drops")["drops"].get(reason, 0)


@pytest.mark.asan
def test_malformed_messages(victim):
    lie(victim, "messages")
    assert drops(victim, "bad-message") > 0


@pytest.mark.asan
def test_messages_out_of_order(victim):
    said = lie(victim, "order")
    assert "dead" not in said
    assert drops(victim, "stale-token") > 0


def test_connection_that_is_not_its_own(victim):
    said = lie(victim, "not-owner")
    assert said.count("deny not-owner") == 4
    assert "grant" not in said


def test_contradicting_positions(victim):
    said = lie(victim, "positions")
    assert "grant" not in said
    assert len([line for line in said if line.startswith("deny")]) == 8


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["forged-rkey", "bounds"])
def test_memory_that_is_not_its_own(victim, kind):
    said = lie(victim, kind)
    assert "grant" in said


@pytest.mark.asan
def test_cursors_outside_the_ring(victim):
    # the client of the invented connection does not exist: let its machine keep quiet
    victim.run("client", "nft", "-f", "-", input="""
        table ip quiet {
          chain in { type filter hook input priority 0; ip saddr 10.77.0.12 drop; }
        }""")
    said = lie(victim, "cursors")
    assert "grant" in said
    assert drops(victim, "bad-cursor") > 0


def bootstrap(*lines):
    """Says lines to the bootstrap socket; returns what comes back until the gateway closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect("/run/tag/fabric.sock")
        out = b""
        try:
            for line in lines:
                sock.sendall(line)
            while block := sock.recv(65536):
                out += block
        except (BrokenPipeError, ConnectionResetError):
            pass
        return out.decode(errors="replace")


HELLO = {"type": "hello", "version": 1, "name": "s2", "key": "lab-key-2", "epoch": 1,
         "mac": "02:00:00:00:00:09", "addrs": ["10.77.0.12"], "native": "1:00:1:0", "mtu": 1500}


REFUSALS = [
    ({"key": "wrong"}, "key"), ({"name": "nobody"}, "nobody"), ({"addrs": ["10.77.0.11"]}, "10.77.0.11"),
    ({"version": 99}, "version"), ({"mac": "xx"}, "mac"), ({"native": "zzz"}, "native"),
    ({"addrs": "10.77.0.12"}, "addrs"), ({"type": "ready"}, "hello"), ({"epoch": "x"}, "Expected integer"),
    ({"mtu": -1}, "mtu"),
]


def test_bootstrap_refuses_and_says_why(make_lab):
    lab = make_lab(servers=2)
    lab.shell("lab_stop taghostd2")
    wait_for(lambda: lab.ctl("server", "list")["servers"][1]["state"] != "up")
    for change, expect in REFUSALS:
        said = bootstrap(json.dumps({**HELLO, **change}).encode() + b"\n")
        assert '"error"' in said and expect in said, change
    assert lab.ctl("server", "list")["servers"][0]["state"] == "up"


def test_bootstrap_garbage(make_lab):
    lab = make_lab()
    for data in (b"{}\n", b"[1]\n", b"\xff\xfe\n", b"{" * 5000 + b"\n", b"x" * 2_000_000,
                 json.dumps("x").encode() + b"\n"):
        bootstrap(data)
    assert lab.ctl("server", "list")["servers"][0]["state"] == "up"
    lab.run("client", "ping", "-c1", "-W2", "10.77.0.11")
