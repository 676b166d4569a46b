# SPDX-License-Identifier: BSD-3-Clause
"""tagctl beside services and rules: what would become of a packet, and drains that wait."""
import json
import subprocess
import time

import pytest
from conftest import wait_for
from test_capture import tshark
from test_maps import PEER, PYTHON, Holder, serve, server

pytestmark = pytest.mark.own_suite
VIP = "10.77.0.100"
RULES = """
[rule "no-telnet"]
action = deny
protocol = tcp
destination-port = 23

[rule "no-finger"]
action = reject
source = 10.77.0.0/24
protocol = tcp
destination-port = 79

[rule "few"]
action = allow
protocol = tcp
destination-port = 7777
rate = 1
burst = 1
"""


@pytest.fixture(scope="module")
def shared(make_module_lab):
    """Two servers with one address, echo servers on both, and rules."""
    lab = make_module_lab(servers=2, accelerate="off", shared=VIP, more=RULES)
    serve(lab, 1, 2)
    return lab


def trace(lab, *words):
    return lab.ctl("trace", "packet", *words)


def everything(lab):
    """All that the gateway counts and remembers, but what time alone moves, and multicast of the client's kernel."""
    stats = {k: v for k, v in lab.stats().items() if k not in ("polls", "sleeps", "busy_us", "lan_rx_frames", "lan_rx_bytes")}
    stats["drops"].pop("broadcast", None)
    flows = [{k: v for k, v in f.items() if not k.endswith("_s")} for f in lab.ctl("map", "show", "flows")["flows"]]
    conns = [{k: v for k, v in c.items() if k != "age_s"} for c in lab.conns()]
    return (stats, flows, conns, lab.ctl("rule", "list"), lab.ctl("service", "list"), lab.ctl("memory"),
            [{k: v for k, v in r.items() if k != "read_us"} for r in lab.ctl("server", "list")["servers"]])


def quiet(lab):
    """everything(), when it stays as it is for a while; else None."""
    now = everything(lab)
    time.sleep(1)
    return now if everything(lab) == now else None


QUESTIONS = (
    "tcp 10.77.0.2:41000 > 10.77.0.100:7000 syn mss 1460",
    "tcp 10.77.0.2:41000 > 10.77.0.100:7777 syn in lan0",
    "tcp 192.0.2.9:41000 > 10.77.0.11:23 syn in lan0",
    "tcp 10.77.0.2:41000 > 10.77.0.11:79 syn",
    "udp 10.77.0.9:5000 > 10.77.0.12:53 len 100",
    "tcp 10.77.0.2:1 > 10.77.0.55:2 syn",
    "tcp 10.77.0.11:1 > 10.77.0.2:2 syn in lan0",
    "icmp 10.77.0.2 > 10.77.0.1",
    "icmp 10.77.0.11 > 10.77.0.77 in s1",
    "tcp 10.77.0.11:80 > 10.77.0.2:41000 syn ack in s1",
    "tcp 10.77.0.11:80 > 10.77.0.2:41000 syn in s2",
    "tcp 10.77.0.2:41000 > 10.77.0.11:80 ack in s1 bounced",
    "tcp 10.77.0.2:41000 > 10.77.0.11:80 ack len 9000",
    "tcp [fd77::2]:41000 > [fd77::11]:80 syn",
    "tcp 10.77.0.2:41000 > 10.77.0.11:80 syn vlan 7",
)


def test_trace_has_no_effect(shared):
    """Any number of questions, of every kind: no counter moves, nothing is remembered, no limit's token is taken."""
    held = shared.start("client", PYTHON, "-c", "import socket, sys\n"
                        f"held = [socket.create_connection(('{VIP}', 7000)) for _ in range(3)]\nsys.stdin.read()",
                        stdin=subprocess.PIPE)
    shared.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    wait_for(lambda: len(shared.ctl("map", "show", "flows")["flows"]) >= 3, what="flows")
    before = wait_for(lambda: quiet(shared), 20, what="silence")
    answers = [trace(shared, q) for _ in range(3) for q in QUESTIONS]
    assert everything(shared) == before
    assert answers[:len(QUESTIONS)] == answers[-len(QUESTIONS):]
    # the rule with one token in its bucket would still let one pass
    assert answers[-len(QUESTIONS) + 1]["verdict"] == "forward"
    held.stdin.close()
    assert held.wait(10) == 0


@pytest.mark.parametrize("question,verdict,counter,words", [
    (QUESTIONS[0], "forward", "", ("picked", "everything", "destination-port")),
    (QUESTIONS[2], "drop", "rule-deny", ("no-telnet fits: protocol,destination-port",)),
    (QUESTIONS[3], "reject", "rule-reject", ("no-telnet does not fit: destination-port", "no-finger fits")),
    (QUESTIONS[4], "forward", "", ("server s2", "no-telnet does not fit: protocol")),
    (QUESTIONS[5], "drop", "no-server", ()),
    (QUESTIONS[6], "drop", "spoofed-source", ()),
    (QUESTIONS[7], "answer", "", ()),
    (QUESTIONS[8], "wait", "", ("would ask",)),
    (QUESTIONS[9], "forward", "", ("out of port lan0",)),
    (QUESTIONS[10], "drop", "spoofed-source", ()),
    (QUESTIONS[11], "taken", "", ("accelerated map",)),
    (QUESTIONS[12], "drop", "oversized", ()),
    (QUESTIONS[13], "forward", "", ("host of server s1",)),
    (QUESTIONS[14], "drop", "vlan", ()),
])
def test_trace_says_why(shared, question, verdict, counter, words):
    """Verdict and counter, and among the steps what decided; the same for people."""
    shared.run("client", "ping", "-q", "-c", "1", "10.77.0.11")
    answer = trace(shared, question)
    assert (answer["verdict"], answer["drop_counter"]) == (verdict, counter), answer
    text = shared.run("gw", "tagctl", "trace", "packet", question).stdout
    for word in words:
        assert word in text, text
    assert text.splitlines()[-1].startswith(f"verdict           {verdict}")
    if verdict == "forward":
        assert {r["field"] for r in answer["rewrites"]} >= {"destination MAC", "source MAC"}
        assert answer["path"] == "native" and ("fabric" in answer or answer["port"] == "lan0")


def test_trace_is_what_happens(shared, tmp_path):
    """A connection goes where the trace said; a frame is dropped by the counter that it named; a captured packet says the same."""
    said = trace(shared, f"tcp 10.77.0.2:45680 > {VIP}:7000 syn in lan0")
    capture = tmp_path / "c.pcapng"
    shared.ctl("capture", "start", capture)
    name = shared.run("client", PYTHON, "-c", f"""
import socket
s = socket.socket(); s.bind(("10.77.0.2", 45680)); s.connect(("{VIP}", 7000)); print(s.recv(9).decode())
s.close()
s = socket.socket(); s.settimeout(0.3); s.bind(("10.77.0.2", 45681)); s.connect_ex(("10.77.0.11", 23))""").stdout.strip()
    shared.ctl("capture", "stop")
    assert name == said["server"]
    drops = shared.ctl("drops")["drops"]["rule-deny"]
    telnet = trace(shared, "tcp 10.77.0.2:45681 > 10.77.0.11:23 syn in lan0")
    assert telnet["drop_counter"] == "rule-deny" and drops >= 1
    rows = tshark(capture, "frame.number", "frame.interface_name", "frame.comment", "tcp.flags.syn", "ip.src", "tcp.port")
    syn = next(r for r in rows if r[1] == "lan0" and r[3] == "1" and "45680" in r[5] and r[4] == "10.77.0.2")
    answer = trace(shared, f"{capture}#{syn[0]}")
    assert answer["in"] == "lan0" and answer["server"] == name and answer["why"] == "picked"  # it is over: a SYN begins anew
    assert trace(shared, f"tcp 10.77.0.2:45680 > {VIP}:7000 ack")["why"] == "known-flow"
    denied = next(r for r in rows if "drop=rule-deny" in r[2])
    assert trace(shared, f"{capture}#{denied[0]}")["drop_counter"] == "rule-deny"
    # and the answer of the server, as it crossed the fabric
    reply = next(r for r in rows if r[1] == "fabric" and r[3] == "1" and r[4] == VIP)
    answer = trace(shared, f"{capture}#{reply[0]}")
    assert answer["in"] == name and answer["verdict"] == "forward" and answer["port"] == "lan0"
    ours = next(r for r in rows if r[1] == "fabric" and r[3] == "1" and r[4] == "10.77.0.2")
    assert "the gateway itself sent it" in shared.run("gw", "tagctl", "trace", "packet", f"{capture}#{ours[0]}", check=False).stderr


def test_drops_since_when_and_by_worker(shared):
    """Totals are the workers' sums; --watch says what is new since the last look."""
    def telnet():
        shared.run("client", "bash", "-c", "timeout 0.2 bash -c '</dev/tcp/10.77.0.11/23'", check=False)

    telnet()
    answer = shared.ctl("drops")
    assert answer["since_s"] > 0
    for reason, count in answer["drops"].items():
        assert count == sum(w.get(reason, 0) for w in answer["workers"])
    watch = shared.start("gw", "tagctl", "--watch=2", "drops", stdout=subprocess.PIPE, text=True)
    first = [watch.stdout.readline() for _ in range(len(answer["drops"]) + 1)]
    assert first[0].split() == ["REASON", "TOTAL"]
    telnet()
    lines = iter(watch.stdout.readline, "")
    assert next(line for line in lines if line.startswith("REASON")).split() == ["REASON", "TOTAL", "NEW"]
    assert int(next(line for line in lines if line.startswith("rule-deny")).split()[2]) >= 1


def test_trace_refuses_nonsense(shared, tmp_path):
    """Words that make no sense, files that are none: status 1 or 2, and what is wrong."""
    (tmp_path / "text").write_text("no capture at all, but long enough")
    for words, said in (("tcp 10.77.0.2 > 10.77.0.11:80", "no such end"), ("sctp 1 > 2", "neither tcp, udp nor icmp"),
                        ("tcp 10.77.0.2:1 > [fd77::1]:2", "another family"), ("tcp 1.2.3.4:1 < 1.2.3.5:2", "not >"),
                        ("tcp 1.2.3.4:1 > 1.2.3.5:2 fast", "makes no sense"), ("tcp 1.2.3.4:1 > 1.2.3.5:2 in lan9", "neither a port"),
                        ("tcp 1.2.3.4:1 > 1.2.3.5:2 bounced", "only a server's host"),
                        (f"{tmp_path}/text#1", "is no capture file"), (f"{tmp_path}/none#1", "cannot be opened")):
        done = shared.run("gw", "tagctl", "trace", "packet", words, check=False)
        assert done.returncode in (1, 2) and said in done.stderr, (words, done.stderr)


def test_drain_waits_for_the_last_flow(shared):
    """--wait counts down and returns with the last flow, or when its time is over with status 4."""
    holder = Holder(shared, 30, VIP)
    holder.settled()
    busy = shared.run("gw", "tagctl", "server", "drain", "--wait=1", "s1", "s2", check=False)
    assert busy.returncode == 4 and " left\n" in busy.stdout and "draining" in busy.stdout
    left = json.loads(shared.run("gw", "tagctl", "--json", "server", "drain", "--wait=1", "s1", check=False).stdout)
    assert left["left"] == server(shared, "s1")["tcp_flows"] > 0
    assert [s["name"] for s in left["servers"]] == ["s1"]
    waiting = shared.start("gw", "tagctl", "server", "drain", "--wait", "s1", "s2", stdout=subprocess.PIPE, text=True)
    assert waiting.stdout.readline().endswith(" left\n")
    holder.stop()
    assert waiting.wait(30) == 0
    assert sum(server(shared, name)["tcp_flows"] for name in ("s1", "s2")) == 0
    assert json.loads(shared.run("gw", "tagctl", "--json", "server", "ready", "s1", "s2").stdout)["left"] == 0
    assert {server(shared, name)["health"] for name in ("s1", "s2")} <= {"up", "reduced"}
    assert shared.run("gw", "tagctl", "server", "drain", "s1", "nobody", check=False).returncode == 1
    assert shared.run("gw", "tagctl", "server", "drain", "--wait=no", "s1", check=False).returncode == 2
    shared.ctl("server", "ready", "s1")
