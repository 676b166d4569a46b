# SPDX-License-Identifier: BSD-3-Clause
"""Another configuration for a daemon that runs: what changes, what stays, what is refused, what is undone."""
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import LAB, wait_for
from test_maps import VIP, VIP6, SHARED, Holder, nobody_lost, section, serve, server, without

CONF = LAB / "tagd.conf"
pytestmark = pytest.mark.own_suite


def reload(lab, text, *options):
    """Reloads from a file of its own; the answer."""
    path = LAB / "other.conf"
    path.write_text(text)
    return lab.ctl("config", "reload", path, *options)


def refused(lab, *command):
    """What tagctl says when the daemon refuses."""
    result = lab.run("gw", "tagctl", *command, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stderr


def status(lab):
    return lab.ctl("config", "status")


def names(lab):
    return [s["name"] for s in lab.ctl("server", "list")["servers"]]


@pytest.fixture(scope="module")
def shared_lab(make_module_lab):
    lab = make_module_lab(servers=3, accelerate="off", shared=SHARED)
    serve(lab, 1, 2, 3)
    return lab


@pytest.fixture
def lab3(shared_lab):
    """The lab with the configuration of its file, at the end too."""
    text = CONF.read_text()
    yield shared_lab
    CONF.write_text(text)
    shared_lab.run("gw", "tagctl", "config", "rollback", check=False)
    reload(shared_lab, text)
    shared_lab.wait_up()


def test_nothing_differs_and_what_is_shown_is_the_same(lab3):
    diff = lab3.ctl("config", "diff")
    assert diff["changes"] == [] and diff["connections"]["moved"] == 0 and diff["services"] == []
    shown = lab3.run("gw", "tagctl", "config", "show").stdout
    assert "key is secret" in shown and "secret1" not in shown
    assert lab3.run("gw", "tagctl", "config", "check").returncode == 0
    before = status(lab3)["config_reloads"]
    answer = reload(lab3, CONF.read_text())
    assert answer["in_force"] and status(lab3)["config_reloads"] == before + 1


def test_a_bad_file_changes_nothing(lab3):
    before = status(lab3)
    bad = LAB / "bad.conf"
    bad.write_text(CONF.read_text() + "\nnonsense = 1\n[server \"s9\"]\nkey = x\naddress = nowhere\n")
    for verb in ("check", "diff", "reload"):
        said = refused(lab3, "config", verb, bad)
        assert re.search(r"bad\.conf:\d+: .*nonsense", said) and "nowhere" in said, said
    after = status(lab3)
    assert after["config_reload_failures"] == before["config_reload_failures"] + 1
    assert after["config_reloads"] == before["config_reloads"] and "nonsense" in after["last_error"]
    # a message cut in the middle of a character, and bytes that are no characters, are told all the same
    bad.write_text(CONF.read_text().replace("[gateway]", "[gateway]\nworkers = x" + "\u00e9" * 75, 1))
    assert "workers: found" in refused(lab3, "config", "reload", bad) and "workers" in status(lab3)["last_error"]
    bad.write_bytes(CONF.read_bytes().replace(b"[gateway]", b"[gateway]\nname = caf\xe9", 1))
    assert "found bytes that are not UTF-8" in refused(lab3, "config", "reload", bad)
    assert "No such file" in refused(lab3, "config", "reload", LAB / "none.conf")
    assert names(lab3) == ["s1", "s2", "s3"]


def test_what_needs_a_restart_is_refused_with_all_else(lab3):
    text = CONF.read_text().replace("[gateway]", "[gateway]\nmbufs = 16384\nttl = 61", 1)
    path = LAB / "restart.conf"
    path.write_text(text)
    said = refused(lab3, "config", "reload", path)
    assert "[gateway] mbufs" in said and "needs a restart" in said and "ttl" not in said
    diff = lab3.ctl("config", "diff", path)
    assert {c["key"]: c["reload"] for c in diff["changes"]} == {"mbufs": "restart", "ttl": "live"}
    assert diff["restarts"] == 1
    assert "ttl = 61" not in lab3.run("gw", "tagctl", "config", "show").stdout


def test_a_server_leaves_and_comes_under_connections(lab3):
    """It keeps what it has and gets nothing new; back in the file, it is as before."""
    text = CONF.read_text()
    holder = Holder(lab3, 200)
    before = holder.settled()["names"]
    assert set(before) == {"s1", "s2", "s3"}
    path = LAB / "less.conf"
    path.write_text(without(text, 'server "s2"'))
    diff = lab3.ctl("config", "diff", path)
    assert [(c["what"], c["section"]) for c in diff["changes"]] == [("removed", 'server "s2"')]
    assert diff["connections"] == {"established": 200, "moved": 0, "on_leaving_servers": before["s2"]}
    shares = {s["address"]: "refused" if s["refused"] else s["moved_percent"] for s in diff["services"]}
    for address in (VIP, VIP6):
        assert abs(shares.pop(address) - 100 / 3) < 2, "a third of the new flows had s2"
    assert shares == {"10.77.0.12": "refused", "fd77::12": "refused"}
    lab3.ctl("config", "reload", path)
    assert server(lab3, "s2")["health"] == "leaving" and status(lab3)["leaving"] == ["s2"]
    other = Holder(lab3, 60)
    assert set(other.settled()["names"]) == {"s1", "s3"}
    nobody_lost(holder.used(), 200)
    reload(lab3, text)
    assert server(lab3, "s2")["health"] == "up"
    third = Holder(lab3, 60)
    assert set(third.settled()["names"]) == {"s1", "s2", "s3"}
    report = holder.used()
    nobody_lost(report, 200)
    assert report["names"] == before
    # gone for good, once its connections are over
    for each in (holder, other, third):
        each.stop()
    lab3.ctl("config", "reload", path)
    wait_for(lambda: names(lab3) == ["s1", "s3"], 20, 0.2, "s2 has left")
    assert status(lab3)["leaving"] == []


def test_weights_and_rules(lab3):
    """New flows follow the weights; a rule that denies takes no connection that is there."""
    text = CONF.read_text()
    holder = Holder(lab3, 90)
    before = holder.settled()["names"]
    heavy = text.replace(section(text, 'server "s1"'), section(text, 'server "s1"') + "weight = 100\n")
    answer = reload(lab3, heavy)
    assert answer["changes"] == [{"what": "changed", "section": 'server "s1"', "key": "weight",
                                  "old": "1", "new": "100", "reload": "live"}]
    other = Holder(lab3, 100)
    assert other.settled()["names"]["s1"] > 80
    other.stop()
    deny = '\n[rule "closed"]\naction = reject\ndestination-port = 7000\n'
    reload(lab3, text + deny)
    assert lab3.run("client", "curl", "-m5", f"http://{VIP}:7000/", check=False).returncode == 7
    report = holder.used()
    nobody_lost(report, 90)
    assert report["names"] == before
    allow = '\n[rule "open"]\naction = allow\nsource = 10.77.0.2\n'
    answer = reload(lab3, text + allow + deny)
    assert [c["what"] for c in answer["changes"]] == ["added"]
    fourth = Holder(lab3, 20)
    nobody_lost(fourth.settled(), 20)
    hits = {r["name"]: r["hits"] for r in lab3.ctl("rule", "list")["rules"]}
    assert hits["open"] >= 20 and hits["closed"] >= 1
    # the order changes, the counts stay with the names
    answer = reload(lab3, text + deny + allow)
    assert answer["changes"][0]["what"] == "order" and answer["changes"][0]["new"] == "closed open"
    rules = lab3.ctl("rule", "list")["rules"]
    assert [r["name"] for r in rules[:2]] == ["closed", "open"] and rules[1]["flows"] == 20
    nobody_lost(fourth.used(), 20)
    for each in (holder, fourth):
        each.stop()


def test_no_frame_is_lost(lab3):
    """Every echo comes back while configurations change twenty times."""
    text = CONF.read_text()
    other = text.replace(section(text, 'server "s1"'), section(text, 'server "s1"') + "weight = 7\n") + \
        '\n[rule "closed"]\naction = reject\ndestination-port = 7009\n'
    ping = lab3.start("client", "ping", "-q", "-i", "0.002", "-c", "1500", VIP, stdout=subprocess.PIPE, text=True)
    for n in range(20):
        assert len(reload(lab3, text if n % 2 else other)["changes"]) == 2
    assert ping.poll() is None, "the pings outlast the reloads"
    out, _ = ping.communicate(timeout=20)
    assert "1500 packets transmitted, 1500 received, 0% packet loss" in out, out


def test_unconfirmed_is_undone(lab3):
    def has_rule():
        return any(r["name"] == "guarded" for r in lab3.ctl("rule", "list")["rules"])

    text = CONF.read_text()
    guarded = text + '\n[rule "guarded"]\naction = deny\ndestination-port = 25\n'
    answer = reload(lab3, guarded, "--confirm-within=1")
    assert answer["confirm_within_s"] == 1 and has_rule()
    assert "not confirmed" in refused(lab3, "config", "reload")
    wait_for(lambda: not has_rule(), 5, what="undone")
    assert status(lab3)["confirm_within_s"] == 0
    # confirmed: it stays
    reload(lab3, guarded, "--confirm-within=1")
    assert lab3.ctl("config", "confirm")["confirmed"]
    time.sleep(1.5)
    assert has_rule()
    assert "no reload waits" in refused(lab3, "config", "confirm")
    # undone by hand
    reload(lab3, text, "--confirm-within=60")
    assert not has_rule() and 50 < status(lab3)["confirm_within_s"] <= 60
    assert lab3.ctl("config", "rollback")["rolled_back"]
    assert has_rule() and status(lab3)["confirm_within_s"] == 0


def test_hangup_signal(lab3):
    before = status(lab3)
    CONF.write_text(CONF.read_text().replace("[gateway]", "[gateway]\nttl = 63", 1))
    pid = lab3.pid("tagd")
    os.kill(pid, signal.SIGHUP)
    wait_for(lambda: status(lab3)["config_reloads"] == before["config_reloads"] + 1, 5, what="reloaded")
    assert "ttl = 63" in lab3.run("gw", "tagctl", "config", "show").stdout
    CONF.write_text("[gateway]\nnmae = x\n")
    os.kill(pid, signal.SIGHUP)
    wait_for(lambda: status(lab3)["config_reload_failures"] == before["config_reload_failures"] + 1, 5,
             what="refused")
    log = (LAB / "tagd.log").read_text()
    assert "nmae" in log and "refused" in log and re.search(r"\[gateway\] ttl changed: \w+ -> 63", log)
    assert "ttl = 63" in lab3.run("gw", "tagctl", "config", "show").stdout
