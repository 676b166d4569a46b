# SPDX-License-Identifier: BSD-3-Clause
"""tagctl against a gateway at work: lists of connections by filter, order and page."""
import json
import re

import pytest

pytestmark = pytest.mark.own_suite

KEEP = """
import socket, sys, time
held = [socket.create_connection(("10.77.0.11", 7000)) for _ in range(int(sys.argv[1]))]
print("open", flush=True)
time.sleep(60)
"""

SERVE = """
import selectors, socket
s = socket.create_server(("10.77.0.11", 7000), backlog=4096)
held = []
while True:
    held.append(s.accept())
"""


@pytest.fixture(scope="module")
def busy(make_module_lab):
    """A lab with 700 idle native connections and a fetch that was accelerated."""
    lab = make_module_lab(servers=2)
    (lab.tmp / "a.bin").write_bytes(bytes(300_000))
    lab.nginx(lab.tmp)
    lab.start("server1", "python3", "-c", SERVE)
    lab.run("client", "bash", "-c", "until nc -z 10.77.0.11 7000; do sleep 0.05; done")
    client = lab.start("client", "python3", "-c", KEEP, "700", stdout=-1, text=True)
    assert client.stdout.readline() == "open\n"
    lab.fetch("http://10.77.0.11/a.bin")
    return lab


def rows(lab, *filters):
    return lab.ctl("conn", "list", *filters)["connections"]


def test_all_pages(busy):
    """More connections than a page has: each is there once."""
    clients = [r["client"] for r in rows(busy, "server=10.77.0.11:7000")]
    assert len(clients) >= 700 and len(set(clients)) == len(clients)


def test_filters(busy):
    """Each filter lets through what its column says, and together they narrow."""
    everything = rows(busy)
    for key, value, member in (("mode", "native", "mode"), ("host", "s1", "host"), ("reason", "not-requested", "reason")):
        some = rows(busy, f"{key}={value}")
        assert some and all(r[member] == value for r in some)
    assert rows(busy, "host=s2") == [] and rows(busy, "client=10.99.0.0/16") == []
    one = everything[0]["client"]
    assert [r["client"] for r in rows(busy, f"client={one}")] == [one]
    assert rows(busy, "older=3600") == []


def test_sort_and_limit(busy):
    """The largest first, and no more than asked for."""
    top = rows(busy, "sort=tx_bytes", "limit=3")
    assert len(top) == 3
    assert [r["tx_bytes"] for r in top] == sorted((r["tx_bytes"] for r in rows(busy)), reverse=True)[:3]


def test_refusals_name_the_filter(busy):
    """A filter that does not exist, or makes no sense, is an error of status 1 that names it."""
    for bad in ("colour=red", "client=10.77.0.2/99", "older=soon"):
        done = busy.run("gw", "tagctl", "conn", "list", bad, check=False)
        assert done.returncode == 1 and bad.split("=")[0] in done.stderr, done.stderr


def test_page_is_bounded(busy):
    """On the socket itself: at most 256 rows and where to go on; a made-up place is refused."""
    def ask(**more):
        line = json.dumps({"cmd": "conn list", **more})
        return json.loads(busy.run("gw", "bash", "-c", f"printf '%s\\n' '{line}' | nc -U -q 2 /run/tag/tagd.sock").stdout)

    page, seen = ask(), 0
    while True:
        assert len(page["connections"]) <= 256 + 63
        seen += len(page["connections"])
        if "next" not in page:
            break
        assert re.fullmatch(r"\d\.\d+\.\d+", page["next"])
        page = ask(**{"from": page["next"]})
    assert seen >= 700
    for wrong in ("", "x", "2.0.0", "1.0.0.0", "-1.0.0", "0.9999.99999999999", "1.9.0"):
        answer = ask(**{"from": wrong})
        assert "error" in answer or answer["connections"] == [], wrong
