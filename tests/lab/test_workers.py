# SPDX-License-Identifier: BSD-3-Clause
"""Several workers: whatever a device or a host hands to which of them, each flow is one worker's."""
import json
import os

import pytest

from conftest import LAB, sha256, wait_for
from test_maps import PEER, PYTHON, SHARED, VIP, VIP6, Holder, nobody_lost, serve, server

MB = 1 << 20


def workers(lab):
    return lab.ctl("worker", "list")["workers"]


def nothing_lost(lab):
    """Everything handed over arrived (what is under way is not counted yet: wait for it)."""
    def settled():
        rows = workers(lab)
        return sum(w["handed_frames"] for w in rows) == sum(w["taken_frames"] for w in rows)

    wait_for(settled, what="frames handed over are taken")
    assert "worker-queue-full" not in lab.ctl("drops")["drops"]


@pytest.mark.parametrize("count,queues", [(4, 1), (2, 2)])
def test_main_job(make_lab, www, count, queues):
    """Native and accelerated, both ways and families, over one queue and over several."""
    lab = make_lab(workers=count, queues=queues)
    path, up = www("f", 2 * MB), www("up", 2 * MB)
    lab.nginx(www.root)
    lab.nginx(www.root, port=81, accelerated=False)
    for port in (80, 81):
        hashes = [lab.fetch(f"http://{a}:{port}/f") for a in ("10.77.0.11", "[fd77::11]") * 6]
        assert set(hashes) == {sha256(path)}
    stats = lab.stats()
    assert stats["accel_commits"] >= 12 and stats["rdma_read_bytes"] >= 24 * MB
    home = lab.tmp / "nginx-1-80"
    for i, address in enumerate(("10.77.0.11", "[fd77::11]") * 4):
        lab.run("client", "curl", "-sS", "--fail", "-T", up, f"http://{address}/up/{i}")
        assert sha256(home / "up" / str(i)) == sha256(up)
    assert lab.stats()["rdma_write_bytes"] > 0
    # the other way about: the server begins, the client's answers meet it on one worker
    lab.run("server1", "ping", "-c3", "-i0.1", "-W2", "10.77.0.2")
    rows = workers(lab)
    assert len(rows) == count
    assert [len(w["queues"]) for w in rows].count(1) == queues
    assert all(w["lan_rx_frames"] > 0 for w in rows if w["queues"])
    assert all(w["taken_frames"] > 100 for w in rows if not w["queues"]), rows
    assert lab.stats().get("accel_redirects", 0) == 0, "hosts ask the worker that has the flow"
    nothing_lost(lab)


def test_each_connection_has_one_worker(make_lab, www):
    """Connections of all workers are listed, shown and killed alike; each worker has its CPU."""
    cpus = [str(c) for c in sorted(os.sched_getaffinity(0))] * 2
    lab = make_lab(workers=2, gateway=f"cpus = {cpus[0]},{cpus[1]}")
    assert [w["cpus"] for w in workers(lab)] == cpus[:2]
    www("slow", 32 * MB)
    lab.nginx(www.root)
    slow = [lab.start("client", "curl", "-s", "--limit-rate", "300k", "-o", "/dev/null",
                      "http://10.77.0.11/slow") for _ in range(12)]
    rows = wait_for(lambda: (lambda c: c if len(c) == 12 else None)(
        [c for c in lab.conns() if c["mode"] == "accelerated"]), what="12 accelerated")
    assert len({c["client"] for c in rows}) == 12
    by_worker = {}
    for c in lab.ctl("map", "show", "accelerated")["accelerated"]:
        by_worker.setdefault(c["worker"], []).append(c)
    assert set(by_worker) == {0, 1}, by_worker
    for c in (by_worker[0][0], by_worker[1][0]):
        assert lab.ctl("conn", "show", c["client"])["connections"][0]["token"] == c["token"]
        lab.ctl("conn", "kill", c["client"])
    wait_for(lambda: [s.poll() for s in slow].count(None) == 10, what="two of them reset")
    assert sum(w["accelerated"] for w in workers(lab)) == 10
    nothing_lost(lab)


FIREWALL = f"""
[service "web"]
address = {VIP}
port = 7000
max-per-client = 150

[service "web6"]
address = {VIP6}
port = 7000
max-connections = 60

[rule "inspect"]
action = via
via = s3
destination = 10.77.0.11
destination-port = 7100

[rule "rest"]
action = allow
"""


def test_maps(make_lab):
    """Shared addresses, limits of the whole gateway, a firewall in between, a host that dies."""
    lab = make_lab(servers=3, workers=2, accelerate="off", shared=SHARED, host_timeout=20,
                   server3="forward = yes", more=FIREWALL)
    lab.run("server3", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.tag0.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.tag0.send_redirects=0")
    serve(lab, 1, 2, 3)
    serve(lab, 1, port=7100)
    holder = Holder(lab, 153)
    report = wait_for(lambda: (lambda r: r if "" not in r["names"] else None)(holder.report()), 30)
    assert report["refused"] == 3 and sum(report["names"].values()) == 150, report
    assert set(report["names"]) == {"s1", "s2", "s3"}
    six = Holder(lab, 61, VIP6)
    assert (lambda r: (r["refused"], sum(r["names"].values())))(six.settled()) == (1, 60)
    flows = [f for f in lab.ctl("map", "show", "flows")["flows"] if f["protocol"] == 6]
    assert {f["worker"] for f in flows} == {0, 1}
    assert len({(f["client"], f["address"]) for f in flows}) == len(flows), "no flow twice"
    # a firewall server gets both directions, whichever worker its frames come to
    through = Holder(lab, 40, "10.77.0.11", 7100)
    nobody_lost(through.settled(), 40)
    via = [f for f in lab.ctl("map", "show", "flows")["flows"] if f["via"] == "s3"]
    assert len(via) >= 40 and {f["worker"] for f in via} == {0, 1}
    # an agent dies and comes back
    before = report["names"]
    lab.kill("taghostd2")
    wait_for(lambda: server(lab, "s2")["share_percent"] == 0, 5, what="s2 takes nothing")
    lab.restart_host(2)
    wait_for(lambda: server(lab, "s2")["health"] == "up", 15, what="s2 back")
    report = holder.used()
    nobody_lost({**report, "refused": 0}, 150)
    assert report["names"] == before
    nobody_lost(through.report(), 40)
    nothing_lost(lab)


def test_another_number_of_workers(make_lab, www):
    """A gateway that is restarted with more workers has flows elsewhere: hosts are told."""
    lab = make_lab(workers=2)
    path = www("slow", 12 * MB)
    lab.nginx(www.root)
    outs = [lab.tmp / f"out{i}" for i in range(8)]
    slow = [lab.start("client", "curl", "-s", "--limit-rate", "3M", "-o", out,
                      "http://10.77.0.11/slow") for out in outs]
    wait_for(lambda: len([c for c in lab.conns() if c["mode"] == "accelerated"]) == 8,
             what="8 accelerated")
    lab.kill("tagd")
    conf = LAB / "tagd.conf"
    conf.write_text(conf.read_text().replace("workers = 2", "workers = 3"))
    lab.restart_gateway()
    lab.wait_up()
    assert [s.wait(40) for s in slow] == [0] * 8
    assert {sha256(out) for out in outs} == {sha256(path)}
    assert len(workers(lab)) == 3
    assert json.loads(lab.run("gw", "tagctl", "--json", "version").stdout)["workers"] == 3
    nothing_lost(lab)
