# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of either daemon: nothing hangs for ever, nothing leaks, new connections work."""
import subprocess

import pytest

from conftest import sha256, wait_for

MB = 1 << 20


def slow_fetch(lab, tmp_path):
    """A download that takes long; accelerated when this returns."""
    child = lab.start("client", "curl", "-sS", "--fail", "--limit-rate", "1M", "-o",
                      tmp_path / "slow", "http://10.77.0.11/slow", stderr=subprocess.PIPE, text=True)
    wait_for(lambda: [c for c in lab.conns() if c["mode"] == "accelerated"], what="takeover")
    return child


def test_taghostd_killed_and_restarted(make_lab, www, tmp_path):
    lab = make_lab(host_timeout=2)
    www("slow", 64 * MB)
    path = www("after", 4 * MB)
    lab.nginx(www.root)
    client = slow_fetch(lab, tmp_path)
    lab.kill("taghostd1")
    # the host does not come back in time: its clients get a reset, not silence
    assert client.wait(timeout=30) != 0
    wait_for(lambda: lab.memory()["connections"] == 0, 20, what="no connection left")
    lab.restart_host()
    lab.wait_up()
    before = lab.stats()["rdma_read_bytes"]
    wait_for(lambda: lab.run("client", "curl", "-s", "-m3", "-o", "/dev/null",
                             "http://10.77.0.11/", check=False).returncode == 0, 20, 0.2,
             "the server answers again")
    assert lab.fetch("http://10.77.0.11/after") == sha256(path)
    assert lab.stats()["rdma_read_bytes"] - before >= 4 * MB


def test_tagd_killed_and_restarted(lab, www, tmp_path):
    www("slow", 16 * MB)
    path = www("after", 4 * MB)
    lab.nginx(www.root)
    client = slow_fetch(lab, tmp_path)
    lab.kill("tagd")
    lab.restart_gateway()
    lab.wait_up()
    wait_for(lambda: lab.run("client", "curl", "-s", "-m3", "-o", "/dev/null",
                             "http://10.77.0.11/", check=False).returncode == 0, 20, 0.2,
             "the server answers again")
    assert lab.fetch("http://10.77.0.11/after") == sha256(path)
    assert lab.stats()["rdma_read_bytes"] >= 4 * MB
    # the interrupted download ends, one way or the other
    client.wait(timeout=60)
    lab.quiet(20)


def test_clean_stop_leaves_nothing(make_lab):
    lab = make_lab()
    lab.shell("lab_stop taghostd1; lab_stop tagd")
    assert not subprocess.run("ls /run/tag/*.sock", shell=True, capture_output=True).stdout
