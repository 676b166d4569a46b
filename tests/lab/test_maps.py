# SPDX-License-Identifier: BSD-3-Clause
"""Maps by policy: one address with several servers, weights, drains, deaths, additions, backups,
acceleration through a shared address, rules, firewalls."""
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

from conftest import LAB, wait_for

PEER = pathlib.Path(__file__).parent / "maps_peer.py"
PYTHON = "/usr/bin/python3"
VIP, VIP6 = "10.77.0.100", "fd77::100"
SHARED = f"{VIP} {VIP6}"
pytestmark = pytest.mark.own_suite


def section(text, title):
    """The lines of a section of a configuration, up to the next one."""
    return re.search(rf"^\s*\[{re.escape(title)}\]\n(?:(?!\s*\[).*\n)*", text, re.M).group(0)


def without(text, title):
    return text.replace(section(text, title), "")


class Holder:
    """Connections held by a client in the lab."""

    def __init__(self, lab, count, address=VIP, port=7000):
        self.child = lab.start("client", PYTHON, PEER, "hold", count, address, port,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def report(self):
        self.child.stdin.write("report\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def settled(self, seconds=30):
        """A report in which every connection knows its server."""
        return wait_for(lambda: (lambda r: r if "" not in r["names"] else None)(self.report()),
                        seconds, 0.2, "all connections answered")

    def used(self, seconds=25):
        """A report after which every connection has been used again, a lost one noticed."""
        before = self.report()["echoes"]
        count = sum(self.report()["names"].values())
        wait_for(lambda: self.report()["echoes"] >= before + 3 * count, seconds, 0.2, "echoes")
        return self.report()

    def stop(self):
        self.child.stdin.write("stop\n")
        self.child.stdin.close()
        self.child.wait(10)


def serve(lab, *servers, port=7000, kind="tcp", run=()):
    for n in servers:
        lab.start(f"server{n}", *run, PYTHON, PEER, "serve", f"s{n}", port, kind)
    if kind == "tcp":
        for n in servers:
            wait_for(lambda n=n: lab.run("client", "bash", "-c",
                                         f"exec 3<>/dev/tcp/10.77.0.{10 + n}/{port} && head -1 <&3",
                                         check=False, timeout=5).stdout.strip() == f"s{n}",
                     15, 0.1, f"server {n}")


def server(lab, name):
    return next(s for s in lab.ctl("server", "list")["servers"] if s["name"] == name)


def nobody_lost(report, count):
    assert not report["lost"], report
    assert report["refused"] == 0, report
    assert sum(report["names"].values()) == count, report


def test_weights_ipv4_ipv6_udp_and_ping(make_lab):
    lab = make_lab(servers=3, accelerate="off", shared=SHARED, server2="weight = 2",
                   server3="weight = 3")
    serve(lab, 1, 2, 3)
    serve(lab, 1, 2, 3, port=7001, kind="udp")
    for address in (VIP, VIP6):
        holder = Holder(lab, 300, address)
        names = holder.settled()["names"]
        nobody_lost(holder.report(), 300)
        for name, share in (("s1", 50), ("s2", 100), ("s3", 150)):
            assert abs(names[name] - share) < 45, names
        holder.stop()
        assert lab.run("client", "ping", "-c2", "-i0.2", "-W2", address).returncode == 0
        answer = json.loads(lab.run("client", PYTHON, PEER, "udp", 60, address, 7001).stdout)
        assert answer["silent"] == 0 and set(answer["names"]) == {"s1", "s2", "s3"}, answer
    # what the gateway says it would do is what it does
    pick = lab.ctl("service", "pick", "10.77.0.2:45678", f"{VIP}:7000")
    assert pick["why"] == "picked" and pick["service"] == "everything"
    out = lab.run("client", PYTHON, "-c", f"""
import socket
s = socket.socket(); s.bind(("10.77.0.2", 45678)); s.connect(("{VIP}", 7000)); print(s.recv(9).decode())""")
    assert out.stdout.strip() == pick["server"]


def test_changes_under_live_connections(make_lab):
    """A drain, an agent that dies and returns, a server that comes back, another configuration that
    adds a server: nobody notices."""
    lab = make_lab(servers=4, accelerate="off", shared=SHARED, host_timeout=20)
    serve(lab, 1, 2, 3, 4)
    whole = (LAB / "tagd.conf").read_text()
    less = LAB / "less.conf"
    less.write_text(without(whole, 'server "s4"'))
    lab.ctl("config", "reload", less)
    wait_for(lambda: len(lab.ctl("server", "list")["servers"]) == 3, 20, 0.2, "s4 has left")
    count = 2000
    holder = Holder(lab, count)
    before = holder.settled()["names"]
    assert set(before) == {"s1", "s2", "s3"} and min(before.values()) > 500

    lab.ctl("server", "drain", "s1")
    assert server(lab, "s1")["health"] == "draining"
    other = Holder(lab, 60)
    assert set(other.settled()["names"]) == {"s2", "s3"}
    nobody_lost(holder.used(), count)

    lab.kill("taghostd2")
    wait_for(lambda: server(lab, "s2")["share_percent"] == 0, 5, what="s2 takes nothing")
    third = Holder(lab, 30)
    assert set(third.settled()["names"]) == {"s3"}
    lab.restart_host(2)
    wait_for(lambda: server(lab, "s2")["health"] == "up", 15, what="s2 back")
    nobody_lost(holder.used(), count)

    lab.ctl("server", "ready", "s1")
    fourth = Holder(lab, 90)
    assert set(fourth.settled()["names"]) == {"s1", "s2", "s3"}
    report = holder.used()
    nobody_lost(report, count)
    assert report["names"] == before, "no connection has another server than before"

    # another configuration: a fourth server, another weight, rules
    more = LAB / "more.conf"
    more.write_text(whole.replace("key = lab-key-1\n", "key = lab-key-1\nweight = 2\n") +
                    '\n[rule "closed"]\naction = reject\ndestination-port = 7009\n')
    diff = lab.ctl("config", "diff", more)
    assert diff["connections"]["established"] >= count and diff["connections"]["moved"] == 0, diff
    lab.ctl("config", "reload", more)
    wait_for(lambda: server(lab, "s4")["health"] == "up", 15, what="s4 attaches")
    fifth = Holder(lab, 120)
    assert set(fifth.settled()["names"]) == {"s1", "s2", "s3", "s4"}
    report = holder.used()
    nobody_lost(report, count)
    assert report["names"] == before, "no connection has another server than before"
    for each in (holder, other, third, fourth, fifth):
        nobody_lost(each.report(), {holder: count, other: 60, third: 30, fourth: 90, fifth: 120}[each])
        each.stop()


def test_a_server_that_dies_takes_only_its_own(make_lab):
    lab = make_lab(servers=2, accelerate="off", shared=SHARED, host_timeout=2)
    serve(lab, 1, 2)
    holder = Holder(lab, 100)
    before = holder.settled()["names"]
    lab.kill("taghostd2")
    wait_for(lambda: server(lab, "s2")["share_percent"] == 0, 5, what="s2 takes nothing")
    other = Holder(lab, 50)
    assert other.settled()["names"] == {"s1": 50}
    # their server is gone for good: the others' kernels say so, clients can begin anew
    wait_for(lambda: holder.report()["lost"].get("s2", 0) == before["s2"], 15, 0.3, "RSTs")
    report = holder.used()
    assert report["names"] == {"s1": before["s1"]} and "s1" not in report["lost"], report


def test_backup_and_nobody(make_lab):
    lab = make_lab(servers=2, accelerate="off", shared=SHARED, host_timeout=1,
                   server2="backup = yes")
    serve(lab, 1, 2)
    holder = Holder(lab, 40)
    assert holder.settled()["names"] == {"s1": 40}
    lab.kill("taghostd1")
    wait_for(lambda: server(lab, "s1")["share_percent"] == 0, 5, what="s1 takes nothing")
    other = Holder(lab, 40)
    assert other.settled()["names"] == {"s2": 40}
    lab.ctl("server", "drain", "s2")
    start = time.monotonic()
    assert lab.run("client", "curl", "-m5", f"http://{VIP}:7000/", check=False).returncode == 7
    assert time.monotonic() - start < 2, "refused at once, not by a timeout"
    nobody_lost(other.used(), 40)
    drops = lab.ctl("drops")["drops"]
    assert drops["service-no-server"] >= 1
    lab.restart_host(1)
    wait_for(lambda: server(lab, "s1")["health"] == "up", 15, what="s1 back")
    third = Holder(lab, 20)
    assert third.settled()["names"] == {"s1": 20}


@pytest.mark.asan
def test_acceleration_through_a_shared_address(make_lab, www):
    lab = make_lab(servers=2, shared=SHARED)
    www("f", 3_000_000)
    from conftest import sha256
    want = sha256(www.root / "f")
    for n in (1, 2):
        lab.nginx(www.root, server=n)
    for address in (VIP, f"[{VIP6}]"):
        for _ in range(12):
            assert lab.fetch(f"http://{address}/f") == want
    servers = {s["name"]: s for s in lab.ctl("server", "list")["servers"]}
    assert servers["s1"]["flows_total"] > 2 and servers["s2"]["flows_total"] > 2
    stats = lab.stats()
    assert stats["accel_commits"] >= 24 and stats["rdma_read_bytes"] >= 24 * 3_000_000
    assert all(s["read_us"] > 0 for s in servers.values())
    # drained while it carries accelerated connections: they stay, new ones go to the other
    slow = [lab.start("client", "curl", "-s", "--limit-rate", "300k", "-o", "/dev/null",
                      f"http://{VIP}/f") for _ in range(8)]
    wait_for(lambda: len([c for c in lab.conns() if c["mode"] == "accelerated"]) == 8, 10,
             what="8 accelerated")
    lab.ctl("server", "drain", "s1")
    assert lab.fetch(f"http://{VIP}/f") == want
    assert all(child.wait(60) == 0 for child in slow)


RULES = f"""
[service "web"]
address = {VIP}
port = 7000
max-per-client = 50

[rule "web"]
action = allow
destination = {VIP}/32
destination-port = 7000-7001
protocol = tcp

[rule "ping"]
action = allow
protocol = icmp
interface = lan0

[rule "out"]
action = allow
interface = fabric

[rule "closed"]
action = reject
destination-port = 7002
"""


def test_rules_and_limits(make_lab):
    lab = make_lab(servers=2, accelerate="off", shared=SHARED, more=RULES,
                   gateway="default-rule = deny")
    serve_one = [lab.start(f"server{n}", PYTHON, PEER, "serve", f"s{n}", p)
                 for n in (1, 2) for p in (7000, 7001)]
    assert serve_one
    wait_for(lambda: lab.run("client", "curl", "-m1", "-s", f"http://{VIP}:7001/",
                             check=False).returncode == 1, 15, 0.2, "HTTP/0.9 refused by curl")
    holder = Holder(lab, 52)
    report = wait_for(lambda: (lambda r: r if r["refused"] else None)(holder.report()), 20, 0.5,
                      "limit")
    assert report["refused"] == 2 and sum(report["names"].values()) == 50
    assert lab.run("client", "ping", "-c1", "-W2", VIP).returncode == 0
    assert lab.run("client", "ping", "-c1", "-W1", VIP6, check=False).returncode == 1
    start = time.monotonic()
    assert lab.run("client", "curl", "-m5", f"http://{VIP}:7002/", check=False).returncode == 7
    assert time.monotonic() - start < 2
    assert lab.run("client", "curl", "-m1", f"http://{VIP}:7003/", check=False).returncode == 28
    assert lab.run("server1", "ping", "-c1", "-W2", "10.77.0.2").returncode == 0
    drops = lab.ctl("drops")["drops"]
    assert drops["service-client-limit"] >= 2
    assert drops["rule-reject"] >= 1 and drops["default-deny"] >= 2
    hits = {r["name"]: r["hits"] for r in lab.ctl("rule", "list")["rules"]}
    assert hits["web"] >= 51 and hits["ping"] >= 1 and hits["closed"] >= 1 and hits["out"] >= 1
    pick = lab.ctl("service", "pick", "10.77.0.2:1", f"{VIP}:7002")
    assert (pick["verdict"], pick["rule"], pick["rule_fields"]) == \
        ("reject", "closed", "destination-port")


def test_by_way_of_a_firewall(make_lab):
    """Flows to the shared address pass a third server that forwards, and can forbid."""
    lab = make_lab(servers=3, shared="", accelerate="first-send", server3="forward = yes",
                   more='[rule "inspect"]\naction = via\nvia = s3\ndestination = 10.77.0.11\n')
    lab.run("server3", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.tag0.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.tag0.send_redirects=0")
    lab.start("server1", PYTHON, PEER, "serve", "s1", 7000)
    holder = wait_for(lambda: lab.run("client", "bash", "-c", "exec 3<>/dev/tcp/10.77.0.11/7000 && head -1 <&3",
                                      check=False, timeout=5).stdout.strip() == "s1", 15, 0.2, "through")
    assert holder
    seen = int(lab.run("server3", "bash", "-c",
                       "awk '/^Ip: [0-9]/ {print $7}' /proc/net/snmp").stdout.split()[0])
    assert seen >= 6, "the firewall forwarded both directions"
    flows = lab.ctl("map", "show", "flows")["flows"]
    assert any(f["via"] == "s3" and f["server"] == "s1" for f in flows)
    lab.run("server3", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    assert lab.run("client", "curl", "-m2", "http://10.77.0.11:7000/", check=False).returncode == 28


def neighbour(lab, address):
    """MAC that the client has for an address, after a ping."""
    lab.run("client", "ping", "-c1", "-W2", address)
    return json.loads(lab.run("client", "ip", "-j", "neigh", "show", address).stdout)[0]["lladdr"]


def test_checks_take_a_server_out(make_lab, www):
    lab = make_lab(servers=2, accelerate="off", shared=SHARED,
                   server1="check = tcp; check-addresses = all; check-port = 7000; check-interval = 1; fall = 2",
                   server2="check = http; check-port = 8080; check-path = /up; check-interval = 1; fall = 2")
    serve(lab, 1, 2)
    assert server(lab, "s2")["health"] == "down"  # attached, but nobody answers the check
    wait_for(lambda: server(lab, "s1")["health"] == "up", 8, what="s1 answers at all its addresses")
    holder = Holder(lab, 20)
    assert holder.settled()["names"] == {"s1": 20}
    # s2's program answers: first with an error, then well
    web = lab.start("server2", PYTHON, "-m", "http.server", "8080", "-d", www.root)
    wait_for(lambda: lab.run("client", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                             "http://10.77.0.12:8080/up", check=False).stdout == "404", 10,
             what="http.server")
    time.sleep(2.5)
    assert server(lab, "s2")["health"] == "down"
    www("up", 10)
    wait_for(lambda: server(lab, "s2")["health"] == "up", 8, what="s2 passes its checks")
    other = Holder(lab, 60)
    assert set(other.settled()["names"]) == {"s1", "s2"}
    pids = lab.run("server2", "pgrep", "-f", "http.server 8080").stdout.split()
    assert web.poll() is None and pids
    lab.run("server2", "kill", *pids)
    wait_for(lambda: server(lab, "s2")["health"] == "down", 8, what="s2 fails its checks")
    third = Holder(lab, 20)
    assert third.settled()["names"] == {"s1": 20}
    nobody_lost(other.used(), 60)  # its connections are its own business
    assert lab.stats()["checks_sent"] >= 6
    # one address of s1 is gone, not the first: that is enough
    lab.run("server1", "ip", "addr", "del", "fd77::11/64", "dev", "tag0")
    wait_for(lambda: server(lab, "s1")["health"] == "down", 8, what="s1 fails at its second address")


def test_macs_and_announcements(make_lab, www):
    """One MAC for all servers, or several for one; a new one is announced; a shared address has ours."""
    lab = make_lab(servers=2, shared=SHARED, server1="mac = 02:00:00:00:0a:01, 02:00:00:00:0a:02")
    ours = neighbour(lab, "10.77.0.1")
    assert neighbour(lab, "10.77.0.11") == "02:00:00:00:0a:01"
    assert neighbour(lab, "fd77::11") == "02:00:00:00:0a:02"
    assert neighbour(lab, "10.77.0.12") == neighbour(lab, "fd77::12") == ours
    assert neighbour(lab, VIP) == neighbour(lab, VIP6) == ours
    trace = lab.tmp / "macs.pcap"
    sniff = lab.start("client", "tcpdump", "--immediate-mode", "-U", "-i", "eth0", "-w", trace, "tcp src port 80")
    wait_for(trace.exists, what="tcpdump")
    www("f", 200_000)
    lab.nginx(www.root, server=1)
    from conftest import sha256
    assert lab.fetch("http://10.77.0.11/f") == sha256(www.root / "f")
    assert lab.stats()["accel_commits"] >= 1
    sniff.terminate()
    sniff.wait(5)
    sources = set(lab.run("client", "tshark", "-r", trace, "-T", "fields", "-e",
                          "eth.src").stdout.split())
    assert sources == {"02:00:00:00:0a:01"}, "native and accelerated segments alike"
    for address in ("10.77.0.11", "fd77::11"):
        lab.run("client", "ip", "neigh", "replace", address, "lladdr", "02:ff:ff:ff:ff:ff", "dev",
                "eth0", "nud", "stale")
    lab.kill("taghostd1")
    lab.restart_host(1)
    lab.wait_up()

    def lladdr(address):
        return json.loads(lab.run("client", "ip", "-j", "neigh", "show", address).stdout)[0]["lladdr"]

    wait_for(lambda: lladdr("10.77.0.11") == "02:00:00:00:0a:01" and
             lladdr("fd77::11") == "02:00:00:00:0a:02", 5, what="announced")
    assert lab.stats()["announcements"] >= 4


def test_gateway_restarts_under_live_connections(make_lab):
    """The table is lost with the gateway; hashes and servers know. What they cannot know is imported."""
    lab = make_lab(servers=3, accelerate="off", shared=SHARED, host_timeout=20)
    serve(lab, 1, 2, 3)
    holder = Holder(lab, 600)
    before = holder.settled()["names"]
    assert set(before) == {"s1", "s2", "s3"}
    lab.kill("tagd")
    lab.restart_gateway()
    lab.wait_up()
    report = holder.used(40)
    nobody_lost(report, 600)
    assert report["names"] == before
    # connections that have another server than their hash means
    for name in ("s1", "s2"):
        lab.ctl("server", "drain", name)
    other = Holder(lab, 100)
    assert other.settled()["names"] == {"s3": 100}
    path = lab.tmp / "flows.json"
    assert lab.ctl("map", "export", path)["exported"] >= 700
    lab.kill("tagd")
    lab.restart_gateway()
    wait_for(lambda: lab.run("gw", "tagctl", "version", check=False).returncode == 0, 10, 0.02, "tagd")
    result = lab.ctl("map", "import", path)
    assert result["imported"] + result["known"] >= 700 and result["refused"] == 0, result
    lab.wait_up()
    report = other.used(40)
    nobody_lost(report, 100)
    assert report["names"] == {"s3": 100}
    nobody_lost(holder.used(40), 600)
