# SPDX-License-Identifier: BSD-3-Clause
"""What tagd's captures hold of the fabric, in tshark's eyes and beside those of the software HCA."""
import collections
import json
import subprocess
import time

import pytest

from conftest import wait_for

KB = 1 << 10


def tshark(capture, *fields, select=None):
    """Rows of fields of a capture's packets."""
    command = ["tshark", "-n", "-r", str(capture), *(["-Y", select] if select else []), "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    result = subprocess.run(command, text=True, capture_output=True, timeout=120, check=True)
    return [line.split("\t") for line in result.stdout.splitlines()]


def show(lab):
    return lab.ctl("capture", "show")


def traffic(lab, www, size=300 * KB):
    """A ping, and a file down and up again."""
    path = www("file", size)
    nginx = lab.nginx(www.root)
    lab.run("client", "ping", "-q", "-c", "2", "-i", "0.2", "10.77.0.11")
    lab.fetch("http://10.77.0.11/file")
    lab.run("client", "curl", "-sS", "--fail", "-T", path, "http://10.77.0.11/up/file")
    assert (nginx.home / "up/file").read_bytes() == path.read_bytes()
    return path


@pytest.mark.asan
def test_everything_is_there(lab, www, tmp_path):
    capture = tmp_path / "fabric.pcapng"
    assert lab.ctl("capture", "start", capture)["running"]
    path = traffic(lab, www)
    done = lab.ctl("capture", "stop")
    assert not done["running"] and done["state"] == "stopped"
    assert done["missing_operations"] == 0
    assert done["bytes"] == capture.stat().st_size

    rows = tshark(capture, "infiniband.bth.opcode", "infiniband.bth.destqp", "infiniband.bth.psn",
                  "infiniband.lrh.pktlen", "frame.len", "data.data", select="infiniband")
    assert len(rows) == done["fabric_packets"]
    assert len(tshark(capture, "frame.number")) == done["packets"] == len(rows) + done["lan_packets"]
    assert not tshark(capture, "frame.number", select="_ws.malformed || _ws.expert.severity == error")
    for row in rows:
        assert int(row[3]) * 4 + 2 == int(row[4])
    # all of the file was READ, and its packets are numbered without gaps
    answers = collections.defaultdict(list)
    for opcode, qpn, psn, _, _, data in rows:
        if opcode in ("13", "14", "15", "16"):
            answers[qpn].append((int(psn), bytes.fromhex(data)))
    assert any(path.read_bytes() in b"".join(data for _, data in packets)
               for packets in answers.values())
    longest = max(answers.values(), key=len)
    assert all((b[0] - a[0]) & 0xffffff == 1 for a, b in zip(longest, longest[1:]))
    # and WRITten
    written = sum(int(n[0]) for n in tshark(capture, "infiniband.reth.dmalen",
                                            select="infiniband.bth.opcode in {6, 10}"))
    assert written >= path.stat().st_size
    # the messages of a takeover, and what they lead to
    kinds = {row[0] for row in tshark(capture, "infiniband_sdp.bsdh.mid",
                                      select="infiniband.bth.opcode == 4 && infiniband_sdp")}
    assert kinds >= {"0x40", "0x41", "0x44", "0xfe"}, kinds
    # native frames, from either side
    pings = {row[0] for row in tshark(capture, "icmp.type", select="infiniband && eth && icmp")}
    assert pings == {"0", "8"}


def requests(capture, peers=None):
    """What is sent on reliable queue pairs but acknowledgements: where, what, which number."""
    rows = tshark(capture, "infiniband.lrh.slid", "infiniband.lrh.dlid", "infiniband.bth.destqp",
                  "infiniband.bth.opcode", "infiniband.bth.psn", "infiniband.reth.va",
                  "infiniband.reth.r_key", "infiniband.reth.dmalen", "frame.len",
                  select="infiniband.bth.opcode < 17")
    return collections.Counter(tuple(row) for row in rows)


def test_same_as_the_device_says(make_lab, www, tmp_path, monkeypatch):
    """The software HCA records what it executes: both have the same packets, number by number."""
    monkeypatch.setenv("SOFTHCA_PCAP", str(tmp_path / "device.pcap"))
    lab = make_lab()
    lab.ctl("capture", "start", tmp_path / "gateway.pcapng")
    traffic(lab, www)
    lab.quiet()
    assert lab.ctl("capture", "stop")["missing_operations"] == 0
    gateway, device = requests(tmp_path / "gateway.pcapng"), requests(tmp_path / "device.pcap")
    assert sum(gateway.values()) > 200
    # the device's was on before the other began, and is so still
    assert gateway - device == collections.Counter()
    first = {(r[0], r[1], r[2]): r for r in gateway}
    assert len(first) >= 3  # both ways on `ctl`, and READs on `rd`
    assert sum((device - gateway).values()) < 0.2 * sum(device.values())


@pytest.mark.parametrize("limit,state", [
    ("bytes=60000", "size limit reached"), ("packets=40", "packet limit reached"),
    ("seconds=1", "time limit reached")])
def test_bounded(lab, www, tmp_path, limit, state):
    capture = tmp_path / "short.pcapng"
    lab.ctl("capture", "start", capture, limit)
    began = time.monotonic()
    traffic(lab, www)
    done = wait_for(lambda: (lambda s: None if s["running"] else s)(show(lab)), 10, what="the end")
    assert done["state"] == state
    assert done["bytes"] == capture.stat().st_size <= (60000 if "bytes" in limit else 2 << 20)  # both sides have each byte
    assert done["packets"] == len(tshark(capture, "frame.number"))
    if "packets" in limit:
        assert done["packets"] == 40
    if "bytes" in limit:
        assert done["bytes"] > 50000
    if "seconds" in limit:
        assert time.monotonic() - began > 0.9


def test_never_in_the_way(lab, www, tmp_path):
    """A file nobody can write as fast: what is missing is counted, transfers are whole."""
    path = www("big", 64 << 20)
    lab.nginx(www.root)
    before = lab.fetch("http://10.77.0.11/big")
    lab.ctl("capture", "start", tmp_path / "all.pcapng", "bytes=300000000")
    assert lab.fetch("http://10.77.0.11/big") == before
    done = lab.ctl("capture", "stop")
    assert done["packets"] > 1000
    losses = {int(row[0]) for row in tshark(tmp_path / "all.pcapng", "erf.lctr", select="erf.lctr > 0")}
    assert bool(losses) == bool(done["missing_operations"])
    assert path.exists()


def test_refused(lab, tmp_path):
    def said(*words):
        result = lab.run("gw", "tagctl", "capture", *words, check=False)
        return result.returncode, result.stderr

    (tmp_path / "old").write_text("")
    assert said("start", tmp_path / "old") == (1, "tagctl: the file exists; a capture does not "
                                                  "replace one\n")
    assert said("start", tmp_path / "none" / "file")[0] == 1
    assert "no such limit" in said("start", tmp_path / "a", "colour=3")[1]
    assert "no such limit" in said("start", tmp_path / "a", "bytes=many")[1]
    assert "a side is" in said("start", tmp_path / "a", "side=up")[1]
    assert "filter: " in said("start", tmp_path / "a", "filter=tcp prot 80")[1]
    assert "no such connection" in said("start", tmp_path / "a", "conn=192.0.2.1:1")[1]
    assert not (tmp_path / "a").exists()
    assert json.loads(lab.run("gw", "tagctl", "--json", "capture", "show").stdout) == {"running": False}
    assert said("start", tmp_path / "new")[0] == 0
    assert "is running" in said("start", tmp_path / "newer")[1]
    assert not (tmp_path / "newer").exists()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert said("stop")[0] == 0
