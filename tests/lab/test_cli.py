# SPDX-License-Identifier: BSD-3-Clause
"""tagctl against a gateway at work: lists of connections by filter, order and page; and what it does
without one: the doctor, completion."""
import json
import os
import re
import subprocess

import pytest
from conftest import BUILD, LAB, TOP, wait_for

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
    one = rows(busy, "server=10.77.0.11:7000")[0]["client"]
    assert one in [r["client"] for r in everything]
    # with the server: a client may use a port twice, towards two of them
    assert [r["client"] for r in rows(busy, f"client={one}", "server=:7000")] == [one]
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


def test_log_levels(busy):
    """A module says more as soon as it is told to, and less again; another one does not change."""
    def module(name):
        return next(m for m in busy.ctl("log", "show")["modules"] if m["module"] == name)

    log = LAB / "tagd.log"
    assert module("control")["level"] == "notice"
    before = log.read_text().count("control: stats")
    busy.ctl("stats")
    busy.ctl("log", "level", "control", "debug")
    lines = module("control")["lines"]
    for _ in range(5):
        busy.ctl("stats")
    busy.ctl("log", "level", "control", "notice")
    busy.ctl("stats")
    assert log.read_text().count("tagd: debug: control: stats, by uid 0\n") - before == 5
    assert module("control")["lines"] - lines >= 5 and module("host")["level"] == "notice"
    done = busy.run("gw", "tagctl", "log", "level", "harbour", "debug", check=False)
    assert done.returncode == 1 and "log show" in done.stderr
    done = busy.run("gw", "tagctl", "log", "level", "all", "loud", check=False)
    assert done.returncode == 1 and "debug" in done.stderr


def test_repeated_lines_are_counted(busy):
    """A host that nobody knows greets again and again: three lines, the others are a number."""
    busy.run("gw", "python3", "-c", GREET)
    assert next(m for m in busy.ctl("log", "show")["modules"] if m["module"] == "host")["suppressed"] == 37
    assert (LAB / "tagd.log").read_text().count("host: bootstrap: ") == 3


GREET = """
import socket
for _ in range(40):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("/run/tag/fabric.sock")
        s.sendall(b'{"type": "hello", "name": "nobody", "key": "x"}\\n')
        s.recv(4096)
"""

DOCTOR = """
[gateway]
control = {dir}/tagd.sock
[port "lan0"]
device = net_af_packet0,iface={iface}
address = 10.77.0.1/24
mtu = {mtu}
[fabric]
device = {device}
listen = {dir}/fabric.sock
[server "s1"]
key = k
address = 10.77.0.11
"""


def examine(tmp_path, setup, iface="lan0", mtu=1500, device="soft0"):
    """The doctor's findings in a namespace of their own: (what, finding) -> text and remedy."""
    conf = tmp_path / "tagd.conf"
    conf.write_text(DOCTOR.format(dir=tmp_path, iface=iface, mtu=mtu, device=device))
    conf.chmod(0o600)
    env = {**os.environ, "SOFTHCA_DIR": str(tmp_path / "hca"), "PATH": f"{BUILD}/gateway:{os.environ['PATH']}"}
    done = subprocess.run(["unshare", "-n", "bash", "-c", f"{setup}; exec tagctl --json doctor {conf}"],
                          capture_output=True, text=True, timeout=30, env=env)
    doc = json.loads(done.stdout)
    assert done.returncode == (1 if doc["broken"] else 0)
    return {(f["what"], f["finding"]): (f["found"], f["fix"]) for f in doc["findings"]}


PORT = "ip link add lan0 type veth peer name eth0; ip link set lan0 up"


def test_doctor_finds_nothing(tmp_path):
    """A machine where tagd would work."""
    found = examine(tmp_path, PORT)
    assert not [k for k in found if k[1] == "broken"], found
    assert ("[fabric] device", "good") in found and ('[port "lan0"] device', "good") in found


@pytest.mark.parametrize("setup, options, what, words, fix", [
    (PORT, {"iface": "eth7"}, '[port "lan0"] device', "no interface eth7", "ip link"),
    ("ip link add lan0 type veth peer name eth0", {}, '[port "lan0"] device', "lan0 is down", "ip link set lan0 up"),
    (PORT, {"mtu": 9000}, '[port "lan0"] device', "MTU 1500", "ip link set lan0 mtu 9000"),
    (PORT + "; ip addr add 10.77.0.1/24 dev lan0", {}, '[port "lan0"] device', "1 IPv4 address",
     "ip addr flush dev lan0"),
    (PORT, {"device": "mlx5_9"}, "[fabric] device", "mlx5_9", "ibv_devinfo"),
    (PORT, {"iface": "lan0\nfoo = 1"}, "configuration", "unknown key", "tagd -k"),
])
def test_doctor_names_what_is_broken(tmp_path, setup, options, what, words, fix):
    """Each thing that keeps tagd from working is named, with what to type."""
    found = examine(tmp_path, setup, **options)
    text, remedy = found[what, "broken"]
    assert words in text and fix in remedy


def complete(*words):
    """What bash offers for the last of the words, without and with descriptions."""
    script = (f"source {TOP}/conf/bash-completion/tagctl; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
              f"COMP_CWORD={len(words) - 1}; COMP_TYPE=$1; _tagctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    env = {**os.environ, "PATH": f"{BUILD}/gateway:{os.environ['PATH']}"}
    return [subprocess.run(["bash", "-c", script, "_", kind], capture_output=True, text=True, check=True,
                           timeout=20, env=env).stdout.split("\n")[:-1] for kind in ("9", "63")]


def test_completion():
    """Every word of every command can be completed, and is explained where there is a choice."""
    commands = subprocess.run([BUILD / "gateway/tagctl", "--commands"], capture_output=True, text=True,
                              check=True).stdout
    for command in commands.splitlines():
        words = command.split("\t")[0].split(" ")
        for i, word in enumerate(words):
            plain, _ = complete("tagctl", *words[:i], word[:1])
            assert word in plain, (words, plain)
    plain, told = complete("tagctl", "conn", "")
    assert plain == sorted(plain) and "list" in plain
    assert any(line.startswith("kill") and "(reset it at both ends)" in line for line in told), told
    assert complete("tagctl", "--js")[0] == ["--json"]
    assert "mode=native" in complete("tagctl", "conn", "list", "mo")[0]
    assert complete("tagctl", "log", "level", "all", "de")[0] == ["debug"]
    assert complete("tagctl", "nonsense", "")[0] in ([], [""])


def test_suppressed_lines_are_told(busy):
    """Of the lines above: ten seconds after the first one, the log says how many there were."""
    told = wait_for(lambda: re.search(r"host: bootstrap: .* \((\d+) more of this kind in the last (\d+) s\)",
                                      (LAB / "tagd.log").read_text()), 15, what="the number of suppressed lines")
    assert told[1] == "37" and told[2] == "10"
