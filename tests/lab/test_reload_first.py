# SPDX-License-Identifier: BSD-3-Clause
"""Another configuration for a daemon that runs: what brings the first shared address or another policy."""
import pytest

from conftest import LAB, sha256, wait_for
from test_maps import PEER, VIP, SHARED, Holder, nobody_lost, serve, server, without

CONF = LAB / "tagd.conf"
pytestmark = pytest.mark.own_suite


@pytest.mark.asan
def test_the_first_shared_address_under_connections(make_lab, www):
    """Connections that nobody had to remember, native and accelerated ones, stay with the server that
    they have when a second one gets its address and the first rules come."""
    lab = make_lab(servers=2, shared=SHARED)
    www("f", 3_000_000)
    whole = CONF.read_text()
    CONF.write_text(without(whole, 'server "s2"'))
    lab.kill("tagd")
    lab.restart_gateway()
    wait_for(lambda: lab.run("gw", "tagctl", "version", check=False).returncode == 0, 10, what="tagd")
    wait_for(lambda: server(lab, "s1")["state"] == "up", 15, what="s1 up")
    serve(lab, 1)
    lab.start("server2", "/usr/bin/python3", PEER, "serve", "s2", 7000)
    lab.nginx(www.root, server=1, extra="limit_rate 400k;")
    holder = Holder(lab, 100)
    assert holder.settled()["names"] == {"s1": 100}
    assert lab.ctl("map", "show", "flows")["flows"] == []
    slow = [lab.start("client", "curl", "-s", "-o", lab.tmp / f"slow-{n}", f"http://{VIP}/f") for n in range(6)]
    wait_for(lambda: len([c for c in lab.conns() if c["mode"] == "accelerated"]) == 6, 10,
             what="6 accelerated")
    CONF.write_text(whole.replace("[gateway]", "[gateway]\ndefault-rule = deny", 1) +
                    '\n[rule "new"]\naction = allow\ndestination-port = 7000\n')
    diff = lab.ctl("config", "diff")
    assert diff["connections"] == {"established": 106, "moved": 0, "on_leaving_servers": 0}
    lab.ctl("config", "reload")
    lab.wait_up()
    wait_for(lambda: server(lab, "s2")["health"] == "up", 15, what="s2 takes new flows")
    report = holder.used()
    nobody_lost(report, 100)
    assert report["names"] == {"s1": 100}
    flows = lab.ctl("map", "show", "flows")["flows"]
    assert len([f for f in flows if f["server"] == "s1" and f["state"] == "open"]) >= 100
    other = Holder(lab, 40)
    assert set(other.settled()["names"]) == {"s1", "s2"}
    assert lab.run("client", "curl", "-m1", "-s", f"http://{VIP}/f", check=False).returncode == 28, "denied"
    assert all(child.wait(60) == 0 for child in slow)
    want = sha256(www.root / "f")
    assert all(sha256(lab.tmp / f"slow-{n}") == want for n in range(6))


def test_hosts_learn_what_is_accelerated(make_lab, www):
    """A service that is switched off and on again: new connections follow, those of before go on."""
    lab = make_lab()
    www("f", 2_000_000)
    text = CONF.read_text()
    lab.nginx(www.root, server=1)

    def commits_of_a_fetch():
        before = lab.stats()["accel_commits"]
        lab.fetch("http://10.77.0.11/f")
        return lab.stats()["accel_commits"] - before

    assert commits_of_a_fetch() == 1
    slow = lab.start("client", "curl", "-s", "--limit-rate", "500k", "-o", lab.tmp / "slow", "http://10.77.0.11/f")
    wait_for(lambda: any(c["mode"] == "accelerated" for c in lab.conns()), 10, what="accelerated")
    CONF.write_text(text.replace("accelerate = first-send", "accelerate = off"))
    lab.ctl("config", "reload")
    requests = lab.stats()["accel_requests"]
    assert commits_of_a_fetch() == 0
    assert lab.stats()["accel_requests"] == requests, "the host knows: it does not ask"
    assert slow.wait(30) == 0 and sha256(lab.tmp / "slow") == sha256(www.root / "f")
    CONF.write_text(text)
    lab.ctl("config", "reload")
    assert commits_of_a_fetch() == 1
