# SPDX-License-Identifier: BSD-3-Clause
"""Faults of the fabric under live traffic: connections go on natively and intact, the queue pairs
are built anew, new connections are accelerated again, and nothing is left behind."""
import os
import signal
import subprocess
import time

import pytest

from conftest import LAB, sha256, wait_for
from test_wire import Capture

MB = 1 << 20
LAB_TAP_DROPS = "/sys/class/net/tag0/statistics/tx_dropped"
pytestmark = pytest.mark.own_suite


class Transfer:
    """One curl of the client, kept slow enough to be in flight when the fault comes."""

    def __init__(self, lab, source, target, args, rate):
        self.source, self.target = source, target
        self.began = time.monotonic()
        self.child = lab.start("client", "curl", "-sS", "--fail", "--limit-rate", rate,
                               "--speed-limit", "1", "--speed-time", "25", *args,
                               stderr=subprocess.PIPE, text=True)

    def finish(self, timeout=90):
        """Waits for it; the text of what is wrong, or None."""
        try:
            said = self.child.communicate(timeout=timeout)[1]
        except subprocess.TimeoutExpired:
            return f"{self.target.name}: still running after {timeout} s"
        if self.child.returncode:
            return f"{self.target.name}: curl {self.child.returncode}: {said.strip()}"
        if sha256(self.source) != sha256(self.target):
            return f"{self.target.name}: the bytes differ"
        self.target.unlink()
        return None


class Traffic:
    """nginx on a server, downloads and uploads."""

    def __init__(self, lab, www, tmp_path, size=12 * MB, server=1):
        self.lab, self.tmp = lab, tmp_path
        self.path = www("file", size) if server == 1 else www.root / "file"
        self.url = f"http://10.77.0.{10 + server}"
        # a client's buffer is not to swallow a whole download
        lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 262144")
        self.nginx = lab.nginx(www.root, server=server)
        self.count = 0
        lab.quiet()
        self.idle = self.held()

    def held(self):
        """What must be the same whenever nothing is under way."""
        memory = self.lab.memory()
        return {key: memory[key] for key in ("connections", "chunks_used", "frames_held")
                if key in memory}

    def download(self, rate="4M"):
        self.count += 1
        target = self.tmp / f"down-{self.nginx.home.name}-{self.count}"
        return Transfer(self.lab, self.path, target, ["-o", target, f"{self.url}/file"], rate)

    def upload(self, rate="4M"):
        self.count += 1
        name = f"up{self.count}"
        return Transfer(self.lab, self.path, self.nginx.home / "up" / name,
                        ["-T", self.path, f"{self.url}/up/{name}"], rate)

    def start(self, downs=3, ups=3, rate="4M", already=0):
        """Live accelerated transfers."""
        all_of_them = [self.download(rate) for _ in range(downs)]
        all_of_them += [self.upload(rate) for _ in range(ups)]
        wait_for(lambda: len(accelerated(self.lab)) == downs + ups + already, what="all accelerated")
        time.sleep(0.5)
        assert not [t for t in all_of_them if t.child.poll() is not None], "over too soon"
        return all_of_them

    def again(self):
        """A new download and a new upload are accelerated."""
        def reads():
            """A small fetch after which RDMA READs have been counted."""
            before = self.lab.stats()["rdma_read_bytes"]
            code = self.lab.run("client", "curl", "-s", "-m5", "-o", "/dev/null",
                                f"{self.url}/index.html", check=False).returncode
            return code == 0 and self.lab.stats()["rdma_read_bytes"] > before

        wait_for(reads, 20, 0.2, "acceleration resumes")
        before = self.lab.stats()
        complaints = [t.finish() for t in (self.download("1G"), self.upload("1G"))]
        assert complaints == [None, None]
        after = self.lab.stats()
        size = self.path.stat().st_size
        assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= size
        assert after["rdma_write_bytes"] - before["rdma_write_bytes"] >= size

    def clean(self):
        """Nothing is left in the gateway's maps and pools."""
        self.lab.quiet(30)
        wait_for(lambda: self.held() == self.idle, 20, what=f"memory as before: {self.idle}")


def drops(lab):
    """What a failed test should show: who dropped something."""
    kernel = lab.run("server1", "nstat", "-az").stdout.splitlines()
    names = ("Drop", "Prune", "Collapse", "RcvbufErrors")
    return (lab.stats()["drops"], lab.run("server1", "ip", "-s", "link", "show", "tag0").stdout,
            [line for line in kernel if any(n in line for n in names) and " 0 " not in line])


def host_log(lab, host=1):
    return (LAB / f"taghostd{host}.log").read_text()


def losses(lab, host=1):
    """How often a host gave its attachment up."""
    return host_log(lab, host).count("gateway gw1: lost:")


def counters(lab):
    """Counters of taghostd."""
    begin = len(host_log(lab))
    os.kill(lab.pid("taghostd1"), signal.SIGUSR1)
    wait_for(lambda: " programs " in host_log(lab)[begin:], what="counters")
    words = [line.split() for line in host_log(lab)[begin:].splitlines() if " counter " in line]
    return {w[2]: int(w[3]) for w in words}


def accelerated(lab):
    return [c for c in lab.conns() if c["mode"] == "accelerated"]


def finish(lab, transfers, timeout=90):
    """All end well: no reset, no stall, no wrong byte."""
    end = time.monotonic() + timeout
    complaints = [t.finish(max(1, end - time.monotonic())) for t in transfers]
    complaints = [c for c in complaints if c]
    if complaints:
        print(lab.run("gw", "tagctl", "conn", "list").stdout)
        print(lab.run("server1", "ss", "-tinmo").stdout)
    assert not complaints, drops(lab)


@pytest.fixture
def traffic(lab, www, tmp_path):
    return Traffic(lab, www, tmp_path)


# A server that thinks before it answers: the takeover is asked for at a time of our choosing.
SLOW = r"""
import http.server, time
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.5)
        super().do_GET()
http.server.ThreadingHTTPServer(("", 8081), Handler).serve_forever()
"""


def test_gateway_stands_still_during_takeovers(lab, traffic):
    """Requests stay unanswered, and so do their CANCELs: the host gives the attachment up."""
    lab.start("server1", "tagrun", "python3", "-c", SLOW, cwd=traffic.path.parent)
    wait_for(lambda: lab.run("client", "curl", "-s", "-m2", f"{traffic.url}:8081/index.html",
                             check=False).stdout == "ok\n", 15, what="http.server")
    pid = lab.pid("tagd")
    for turn in range(3):
        live = traffic.start(2, 2)
        for i in range(3):
            target = traffic.tmp / f"slow-{turn}-{i}"
            live.append(Transfer(lab, traffic.path, target,
                                 ["-o", target, f"{traffic.url}:8081/file"], "8M"))
        time.sleep(0.3)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(1.2)
        finally:
            os.kill(pid, signal.SIGCONT)
        finish(lab, live)
    assert losses(lab) >= 1
    assert "a cancelled request was not acknowledged" in host_log(lab)
    traffic.again()
    traffic.clean()


def test_hand_back_of_many_at_once(lab, traffic):
    """Kernels begin to send a window each at the same moment: what gets lost is counted."""
    lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 6291456")
    dropped = LAB_TAP_DROPS
    before, tap = lab.stats(), int(lab.run("server1", "cat", dropped).stdout)
    sent = counters(lab).get("native_frames_to_fabric", 0)
    live = [traffic.download("20M") for _ in range(6)]
    time.sleep(0.1)
    for conn in accelerated(lab):
        lab.run("gw", "tagctl", "conn", "decelerate", conn["client"], check=False)
    finish(lab, live, 30)
    lab.quiet()
    after, now = lab.stats(), counters(lab)
    came = after["native_frames_to_lan"] - before["native_frames_to_lan"]
    lost = now["native_frames_to_fabric"] - sent - came
    exhausted = after["native_rx_exhausted"] - before["native_rx_exhausted"]
    assert lost <= 50 or exhausted, (lost, came, drops(lab))
    time.sleep(1.1)  # it looks once a second
    tap = int(lab.run("server1", "cat", dropped).stdout) - tap
    assert counters(lab).get("drop_tap_full", 0) == tap
    traffic.again()
    traffic.clean()


class Fault:
    """softhca-fault in the lab's subnet."""

    def __init__(self, lab):
        self.lab = lab

    def add(self, *words):
        self.lab.run("gw", "softhca-fault", "add", *words)

    def clear(self):
        """Ends all faults; each must have struck."""
        rules = self.lab.run("gw", "softhca-fault", "list").stdout.splitlines()
        self.lab.run("gw", "softhca-fault", "clear")
        missed = [rule for rule in rules if "hits=0" in rule.split()]
        assert not [rule for rule in missed if not rule.startswith("port-")], missed


@pytest.fixture
def fault(lab):
    tool = Fault(lab)
    yield tool
    tool.clear()


# A fault of a queue pair, while six transfers share it: each goes on natively.
SET_FAULTS = {
    "retry-exc-read": ("retry-exc", "proc=tagd", "op=read"),
    "retry-exc-write": ("retry-exc", "proc=tagd", "op=write"),
    "retry-exc-message": ("retry-exc", "proc=taghostd", "op=send", "type=rc"),
    "rem-access-read": ("rem-access", "proc=tagd", "op=read"),
    "rem-access-write": ("rem-access", "proc=tagd", "op=write"),
    "qp-fatal-gateway": ("qp-fatal", "proc=tagd", "type=rc"),
    "qp-fatal-host": ("qp-fatal", "proc=taghostd", "type=rc"),
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.asan if name in ("rem-access-read", "qp-fatal-host") else ())
    for name in SET_FAULTS])
def test_queue_pair_fails(lab, traffic, fault, name):
    live = traffic.start()
    before = losses(lab)
    fault.add(*SET_FAULTS[name], "count=1")
    wait_for(lambda: losses(lab) > before, 15, what="the set is given up")
    finish(lab, live)
    assert losses(lab) == before + 1
    fault.clear()
    traffic.again()
    traffic.clean()


def test_receiver_not_ready(lab, traffic, fault):
    """Receivers look empty for a while: messages wait, nothing fails."""
    live = traffic.start()
    before = losses(lab)
    fault.add("rnr=300", "type=rc", "count=0")
    time.sleep(1)
    fault.clear()
    finish(lab, live)
    assert losses(lab) == before
    traffic.again()
    traffic.clean()


def test_receiver_never_ready(lab, traffic, fault):
    live = traffic.start()
    before = losses(lab)
    fault.add("rnr", "proc=tagd", "type=rc", "count=1")
    wait_for(lambda: losses(lab) > before, 15, what="the set is given up")
    finish(lab, live)
    fault.clear()
    traffic.again()
    traffic.clean()


@pytest.mark.parametrize("where", ["tagd", "taghostd"])
def test_port_goes_down_and_up(lab, traffic, fault, where):
    live = traffic.start(rate="2M")
    before = losses(lab)
    fault.add("port-down", f"proc={where}")
    wait_for(lambda: losses(lab) > before, 20, what="the sets are given up")
    time.sleep(1)
    fault.clear()
    lab.wait_up()
    finish(lab, live)
    traffic.again()
    traffic.clean()


@pytest.mark.parametrize("where", ["tagd", "taghostd"])
def test_lid_changes(lab, traffic, fault, where):
    """An end of the fabric gets another address: everybody learns it, connections go on."""
    live = traffic.start(rate="2M")
    before, lid = losses(lab), lab.ctl("server", "list")["servers"][0]["dlid"]
    fault.add("lid-change", f"proc={where}")
    wait_for(lambda: losses(lab) > before, 10, what="the sets are given up")
    lab.wait_up()
    finish(lab, live)
    assert losses(lab) == before + 1
    fault.clear()
    now = lab.ctl("server", "list")["servers"][0]["dlid"]
    assert (now != lid) == (where == "taghostd")
    traffic.again()
    traffic.clean()


def test_port_blinks(lab, traffic, fault):
    """Shorter than the retries of a queue pair: nothing is given up."""
    live = traffic.start()
    before = losses(lab)
    fault.add("port-down=100", "proc=taghostd")
    finish(lab, live)
    assert losses(lab) == before
    fault.clear()
    traffic.again()
    traffic.clean()


@pytest.mark.parametrize("words", [("ud-loss=10",), ("ud-delay=20",), ("ud-reorder=20",),
                                   ("ud-dup=10",)], ids=lambda words: words[0])
def test_datagrams_in_disorder(lab, traffic, fault, words):
    """Takeovers and hand-backs with an unreliable native path."""
    fault.add(*words, "seed=7")
    live = traffic.start(2, 2)
    for conn in accelerated(lab)[::2]:
        lab.run("gw", "tagctl", "conn", "decelerate", conn["client"], check=False)
    finish(lab, live, 150)
    fault.clear()
    traffic.again()
    traffic.clean()


def test_program_dies_in_the_middle_of_reads(lab, traffic, fault):
    """The one who vanished is reset; all others finish."""
    lab.start("server1", "tagrun", "python3", "-m", "http.server", "8080", "-d", traffic.path.parent)
    wait_for(lambda: lab.run("client", "curl", "-s", "-m2", f"{traffic.url}:8080/index.html",
                             check=False).stdout == "ok\n", 15, what="http.server")
    live = traffic.start(2, 2)
    target = traffic.tmp / "doomed"
    doomed = Transfer(lab, traffic.path, target, ["-o", target, f"{traffic.url}:8080/file"], "1M")
    wait_for(lambda: len(accelerated(lab)) == 5, what="all accelerated")
    fault.add("slow-read=200", "proc=tagd")
    time.sleep(0.3)
    pids = lab.run("server1", "sh", "-c", "ip netns pids tag-server1 | xargs ps -o pid=,args= -p"
                   ).stdout.splitlines()
    for line in pids:
        if "http.server" in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)
    time.sleep(0.5)
    fault.clear()
    finish(lab, live)
    doomed.child.communicate(timeout=60)
    traffic.again()
    traffic.clean()


def test_host_dies_in_the_middle_of_reads(make_lab, www, tmp_path):
    """READs are under way when taghostd is killed: its clients are reset, another host's are not,
    and it comes back."""
    lab = make_lab(servers=2, host_timeout=2)
    fault = Fault(lab)
    first = Traffic(lab, www, tmp_path)
    second = Traffic(lab, www, tmp_path, server=2)
    doomed = [first.download("1M") for _ in range(3)]
    safe = [second.download(), second.download(), second.upload(), second.upload()]
    wait_for(lambda: len(accelerated(lab)) == 7, what="all accelerated")
    fault.add("slow-read=400", "proc=tagd")
    time.sleep(0.2)
    lab.kill("taghostd1")
    time.sleep(0.5)
    fault.clear()
    finish(lab, safe)
    assert losses(lab, 2) == 0
    for transfer in doomed:  # what was not there yet is lost with the host
        transfer.child.communicate(timeout=60)
    lab.restart_host(1)
    lab.wait_up()
    first.again()
    second.again()
    second.clean()


@pytest.mark.asan
def test_gateway_dies_and_comes_back(lab, traffic):
    """Connections go on natively through its successor."""
    live = traffic.start(rate="2M")
    lab.kill("tagd")
    lab.restart_gateway()
    lab.wait_up()
    finish(lab, live)
    traffic.again()
    traffic.clean()


def test_one_host_of_two(make_lab, www, tmp_path):
    """A fault between the gateway and one host is no business of the other."""
    lab = make_lab(servers=2)
    fault = Fault(lab)
    both = [Traffic(lab, www, tmp_path), Traffic(lab, www, tmp_path, server=2)]
    live = both[0].start(2, 2)
    live += both[1].start(2, 2, already=4)
    lid = lab.ctl("conn", "list")["connections"]
    lid = next(c["dlid"] for c in lid if c["server"].startswith("10.77.0.11"))
    fault.add("retry-exc", "proc=tagd", "type=rc", f"to-lid={lid}", "count=1")
    wait_for(lambda: losses(lab) == 1, 15, what="the set is given up")
    finish(lab, live)
    assert losses(lab, 2) == 0
    fault.clear()
    for traffic in both:
        traffic.again()
    both[0].clean()


def test_device_that_can_do_little(make_lab, www, tmp_path, monkeypatch):
    """One entry per request, one READ at a time, nothing inline, short queues: slower, no less."""
    monkeypatch.setenv("SOFTHCA_LIMITS", "sge=1,rd_atomic=1,inline=0,wr=1100,cqe=6000")
    lab = make_lab()
    assert "max_sge:\t\t\t1\n" in lab.run("gw", "softhca-run", "ibv_devinfo", "-v").stdout
    traffic = Traffic(lab, www, tmp_path)
    finish(lab, traffic.start(3, 3, rate="8M"))
    traffic.again()
    traffic.clean()


class Wire(Capture):
    """tcpdump of headers."""

    def __init__(self, lab, path):
        self.lab, self.path = lab, path
        self.child = lab.start("client", "tcpdump", "-i", "eth0", "-s", "128", "-B", "65536", "-U",
                               "-w", path, "tcp", stderr=subprocess.PIPE, text=True)
        wait_for(lambda: "listening" in self.child.stderr.readline(), what="tcpdump")

    def complaints(self):
        """What a plain connection on a LAN without loss does not show. Repeating the very last
        segment is no loss: a tail loss probe of a sender whose peer was not scheduled."""
        odd = ["lost_segment", "ack_lost_segment", "out_of_order", "retransmission"]
        fields = ["frame.number", "tcp.stream", "ip.src", "tcp.seq", "tcp.len", "tcp.flags.reset"]
        top, found = {}, []
        for row in self.tshark("tcp", *fields, *(f"tcp.analysis.{o}" for o in odd)):
            number, stream, source, seq, length, reset, *marks = row.split("\t")
            end = int(seq) + int(length)
            probe = marks == ["", "", "", "1"] and end == top.get((stream, source))
            if reset in ("1", "True") or any(marks) and not probe:
                marks = [name for name, mark in zip(odd, marks) if mark]
                found.append(f"frame {number}, stream {stream}, {source}: {marks} reset {reset}")
            top[stream, source] = max(end, top.get((stream, source), 0))
        return found


@pytest.mark.parametrize("rate", ["6M", "1G"])
def test_decelerate_in_mid_transfer(lab, traffic, tmp_path, rate):
    """Twenty hand-backs by command: none stalls, and the wire shows plain TCP."""
    wire = Wire(lab, tmp_path / "wire.pcap")
    handbacks = lab.stats()["handbacks"]
    for turn in range(20):
        transfer = traffic.upload(rate) if turn % 2 else traffic.download(rate)
        if rate == "6M":
            wait_for(lambda: accelerated(lab), what="takeover")
            time.sleep(0.05 * (turn % 5))
        for conn in accelerated(lab):
            lab.run("gw", "tagctl", "conn", "decelerate", conn["client"], check=rate == "6M")
        finish(lab, [transfer], 8)
    assert lab.stats()["handbacks"] - handbacks >= 20
    wire.stop()
    if rate == "6M":  # faster ones overrun the packet ring of the lab's port now and then
        assert wire.complaints()[:20] == [], drops(lab)
    assert wire.tshark("tcp.flags.reset == 1", "frame.number") == []
    traffic.again()
    traffic.clean()
