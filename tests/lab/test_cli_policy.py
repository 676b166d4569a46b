# SPDX-License-Identifier: BSD-3-Clause
"""tagctl beside services and rules: drains that wait."""
import json
import subprocess

import pytest
from test_maps import PEER, PYTHON, Holder, serve, server

pytestmark = pytest.mark.own_suite
VIP = "10.77.0.100"


@pytest.fixture(scope="module")
def shared(make_module_lab):
    """Two servers with one address, echo servers on both."""
    lab = make_module_lab(servers=2, accelerate="off", shared=VIP)
    serve(lab, 1, 2)
    return lab


def test_drain_waits_for_the_last_flow(shared):
    """--wait counts down and returns with the last flow, or when its time is over with status 4."""
    holder = Holder(shared, 30, VIP)
    holder.settled()
    busy = shared.run("gw", "tagctl", "server", "drain", "--wait=1", "s1", "s2", check=False)
    assert busy.returncode == 4 and " left\n" in busy.stdout and "draining" in busy.stdout
    left = json.loads(shared.run("gw", "tagctl", "--json", "server", "drain", "--wait=1", "s1", check=False).stdout)
    assert left["left"] == server(shared, "s1")["flows"] > 0
    assert [s["name"] for s in left["servers"]] == ["s1"]
    waiting = shared.start("gw", "tagctl", "server", "drain", "--wait", "s1", "s2", stdout=subprocess.PIPE, text=True)
    assert waiting.stdout.readline().endswith(" left\n")
    holder.stop()
    assert waiting.wait(30) == 0
    assert sum(server(shared, name)["flows"] for name in ("s1", "s2")) == 0
    assert json.loads(shared.run("gw", "tagctl", "--json", "server", "ready", "s1", "s2").stdout)["left"] == 0
    assert {server(shared, name)["health"] for name in ("s1", "s2")} <= {"up", "reduced"}
    assert shared.run("gw", "tagctl", "server", "drain", "s1", "nobody", check=False).returncode == 1
    assert shared.run("gw", "tagctl", "server", "drain", "--wait=no", "s1", check=False).returncode == 2
    shared.ctl("server", "ready", "s1")
