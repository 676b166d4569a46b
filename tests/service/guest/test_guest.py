# SPDX-License-Identifier: BSD-3-Clause
"""The packages on a machine that systemd has booted: installed, configured, started, hurt, upgraded and
removed, with one client namespace and one server namespace. Runs inside the container of boot.sh,
top to bottom: each test takes the machine as the one before left it."""
import ctypes
import hashlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

DEBS = sorted(str(p) for p in pathlib.Path("/tag-test").glob("*.deb"))
ETC = pathlib.Path("/etc/tag")
RUN = pathlib.Path("/etc/systemd/system")
METRICS = "http://127.0.0.1:9477/metrics"

TAGD_CONF = """
[gateway]
name = gw1
metrics = 127.0.0.1:9477

[port "lan0"]
device = net_af_packet0,iface=lan0,qdisc_bypass=1,framecnt=4096
address = 10.77.0.1/24

[fabric]
device = soft0

[server "s1"]
key = a-secret
address = 10.77.0.11

[service "all"]
address = any
port = any
"""

TAGHOSTD_CONF = """
[host]
name = s1
key = a-secret
tap = tag0
address = 10.77.0.11/24

[fabric]
device = soft0

[arena]
slots = 64

[gateway "gw1"]
connect = unix:/run/tag/fabric.sock
"""


def state():
    """What there is to know when something went wrong."""
    return "\n" + sh("systemctl status --no-pager -n 30 tagd taghostd; tagctl conn list; tagctl drops; tagctl stats", False)


def sh(command, check=True, timeout=60):
    """Runs a command line; its output, both streams."""
    done = subprocess.run(command, shell=True, text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}" + state()
    return done.stdout.strip()


def show(unit, prop):
    return sh(f"systemctl show -P {prop} {unit}")


def until(what, seconds=15):
    """Waits until what() is true; returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s; " + state())


def all_up():
    return "1 of 1 servers up" in show("tagd", "StatusText")


def drop_in(unit, name, text):
    path = RUN / f"{unit}.service.d" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="session", autouse=True)
def network():
    """A LAN port, a client on it, and a server's namespace."""
    sh("ip link set lo up; ip netns add client; ip netns add server;"
       "ip link add lan0 type veth peer name eth0 netns client; ip link set lan0 up;"
       "ip -n client addr add 10.77.0.2/24 dev eth0; ip -n client link set eth0 up;"
       "ip -n server link set lo up;"
       "ethtool -K lan0 tx off tso off gso off gro off; ip netns exec client ethtool -K eth0 tx off tso off gso off gro off")


def test_install():
    """A fresh install: the user exists, secrets are private, nothing runs that was not asked for."""
    sh("dpkg -i " + " ".join(DEBS))
    assert sh("id -un tag") == "tag"
    for name in ("tagd.conf", "taghostd.conf"):
        st = (ETC / name).stat()
        assert (oct(st.st_mode & 0o777), st.st_uid) == ("0o640", 0), name
        assert sh(f"stat -c %G {ETC / name}") == "tag"
    for unit in ("tagd", "taghostd"):
        assert show(unit, "LoadState") == "loaded"
        assert show(unit, "UnitFileState") == "disabled"
        assert show(unit, "ActiveState") == "inactive"
    assert sh("stat -c %U /run/tag /run/softhca").split() == ["tag", "tag"]
    assert sh("tagd -V").startswith("tagd ") and sh("tagctl version 2>&1", False)


def test_bad_configuration_does_not_start():
    """ExecStartPre checks the file, and the journal says which line is wrong."""
    (ETC / "tagd.conf").write_text("[gateway]\nworkers = many\n")
    assert "failed" in sh("systemctl start tagd", False)
    assert show("tagd", "ActiveState") in ("failed", "activating", "inactive")
    log = sh("journalctl -u tagd -o cat")
    assert re.search(r"/etc/tag/tagd.conf:2: ", log), log
    sh("systemctl stop tagd; systemctl reset-failed tagd", False)


def test_start():
    """Both units become active, which they say themselves, and find each other as the user "tag"."""
    (ETC / "tagd.conf").write_text(TAGD_CONF)
    (ETC / "taghostd.conf").write_text(TAGHOSTD_CONF)
    softhca = pathlib.Path("/usr/share/doc/tagd/examples/softhca.conf").read_text()
    for unit in ("tagd", "taghostd"):
        drop_in(unit, "softhca.conf", softhca)
        drop_in(unit, "test.conf", "[Service]\nWatchdogSec=2\n")
    drop_in("taghostd", "server.conf", "[Service]\nNetworkNamespacePath=/run/netns/server\n")
    sh("systemctl daemon-reload; systemctl enable --now tagd taghostd || journalctl -u tagd -u taghostd -n 40 -o cat")
    until(all_up)
    until(lambda: "1 of 1 gateways up" in show("taghostd", "StatusText"))
    for unit in ("tagd", "taghostd"):
        pid = show(unit, "MainPID")
        assert sh(f"ps -o user= -p {pid}") == "tag"
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"NoNewPrivs:\s+1", status) and re.search(r"Seccomp:\s+2", status)


def fetch():
    """One accelerated transfer; the counters say that it was."""
    page = pathlib.Path("/srv/page")
    page.write_bytes(os.urandom(3_000_000))
    server = subprocess.Popen(["ip", "netns", "exec", "server", "tagrun", "/usr/bin/python3", "-m", "http.server",
                               "80", "--bind", "10.77.0.11", "--directory", "/srv"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: sh("ip netns exec server ss -Hltn sport = :80"))
        before = metric("tag_rdma_read_bytes_total")
        sh("ip netns exec client curl -sf --max-time 30 -o /tmp/page http://10.77.0.11/page")
    finally:
        server.kill()
        server.wait()
    same = [hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest() for p in ("/srv/page", "/tmp/page")]
    assert same[0] == same[1]
    return metric("tag_rdma_read_bytes_total") - before


def metric(name):
    """Sum of a metric's samples."""
    page = sh(f"curl -sf --max-time 5 {METRICS}")
    return sum(float(line.split()[-1]) for line in page.splitlines() if re.match(name + r"[{ ]", line))


def test_transfer():
    """A client gets a file through the packaged daemons, accelerated."""
    assert fetch() > 2_900_000


def test_journal():
    """Log lines carry their priority."""
    for unit, started in (("tagd", "5"), ("taghostd", "6")):
        entries = [json.loads(line) for line in sh(f"journalctl -u {unit} -o json").splitlines()]
        own = [e for e in entries if e.get("SYSLOG_IDENTIFIER") == unit and e["MESSAGE"].startswith(("main: version", "s1: serving"))]
        assert own and all(e["PRIORITY"] == started for e in own), own


def test_log_level_changes_live():
    """A module says more from the next line on, with the journal's priority for it, and less again."""
    def said():
        lines = [json.loads(line) for line in sh("journalctl -u tagd -o json").splitlines()]
        return [e["PRIORITY"] for e in lines if e["MESSAGE"] == "control: stats, by uid 0"]

    sh("tagctl stats; tagctl log level control debug; tagctl stats; tagctl log level control notice; tagctl stats")
    assert until(said) == ["7"]


def test_killed_daemon_comes_back():
    """Restart=on-failure."""
    before = int(show("tagd", "NRestarts"))
    sh("systemctl kill -s KILL tagd")
    until(lambda: int(show("tagd", "NRestarts")) > before and show("tagd", "ActiveState") == "active")
    until(all_up)


def test_watchdog_of_a_stopped_worker():
    """The watchdog follows the workers, not the control thread: one that stands still is enough."""
    pid = int(show("tagd", "MainPID"))
    before = int(show("tagd", "NRestarts"))
    worker = [int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()
              if (t / "comm").read_text().startswith("lcore-worker") or (t / "comm").read_text().startswith("rte-worker")]
    assert worker, sh(f"cat /proc/{pid}/task/*/comm")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(16, worker[0], None, None) == 0, os.strerror(ctypes.get_errno())  # PTRACE_ATTACH
    os.waitpid(worker[0], 0x40000000)  # __WALL
    until(lambda: "stands still" in sh("journalctl -u tagd -o cat"), 10)
    # The manager aborts the process; who holds the thread has to let it go.
    until(lambda: "Watchdog timeout" in sh("journalctl -u tagd -o cat"), 10)
    os.waitpid(worker[0], 0x40000000)
    libc.ptrace(17, worker[0], None, 6)  # PTRACE_DETACH, with SIGABRT
    until(lambda: int(show("tagd", "NRestarts")) > before and show("tagd", "ActiveState") == "active", 20)
    assert "watchdog" in sh("journalctl -u tagd -o cat").lower()
    until(all_up)


def test_watchdog_of_taghostd():
    """A taghostd that does not turn is replaced as well."""
    before = int(show("taghostd", "NRestarts"))
    sh("systemctl kill -s STOP taghostd")
    until(lambda: int(show("taghostd", "NRestarts")) > before and show("taghostd", "ActiveState") == "active", 30)
    until(all_up)


def test_reload():
    """systemctl reload puts the changed file into force in the same process, or fails and says why."""
    pid = show("tagd", "MainPID")
    good = TAGD_CONF.replace("[gateway]\n", "[gateway]\nttl = 61\n", 1)
    (ETC / "tagd.conf").write_text(good)
    sh("systemctl reload tagd")
    assert "ttl = 61" in sh("tagctl config show") and show("tagd", "MainPID") == pid
    until(lambda: "servers up" in show("tagd", "StatusText"))
    (ETC / "tagd.conf").write_text(good.replace("ttl = 61", "ttl = many"))
    assert subprocess.run(["systemctl", "reload", "tagd"], capture_output=True).returncode != 0
    assert re.search(r"/etc/tag/tagd.conf:\d+: .*ttl: found \"many\"", sh("journalctl -u tagd -o cat"))
    assert show("tagd", "ActiveState") == "active" and "ttl = 61" in sh("tagctl config show")
    (ETC / "tagd.conf").write_text(TAGD_CONF)
    sh("systemctl kill -s HUP tagd")
    until(lambda: "ttl = 61" not in sh("tagctl config show"))
    assert show("tagd", "MainPID") == pid and all_up()


def test_upgrade_keeps_running():
    """An upgrade neither restarts the daemons nor touches the configuration."""
    pids = [show(u, "MainPID") for u in ("tagd", "taghostd")]
    sh("dpkg --force-confdef --force-confold -i " + " ".join(DEBS))
    assert pids == [show(u, "MainPID") for u in ("tagd", "taghostd")]
    assert (ETC / "tagd.conf").read_text() == TAGD_CONF
    assert fetch() > 2_900_000


def test_security_score():
    """The score that docs/operations.md states, measured on the installed units."""
    for unit in ("tagd", "taghostd"):
        for name in ("softhca.conf", "test.conf", "server.conf"):
            (RUN / f"{unit}.service.d" / name).unlink(missing_ok=True)
    sh("systemctl daemon-reload")
    for unit, stated in (("tagd", 2.4), ("taghostd", 2.0)):
        line = sh(f"systemd-analyze security --no-pager {unit}.service").splitlines()[-1]
        assert float(re.search(r"(\d+\.\d+)", line)[1]) <= stated, line


def test_stop():
    """An orderly end: no failure, no sockets left."""
    sh("systemctl stop taghostd tagd")
    for unit in ("tagd", "taghostd"):
        assert show(unit, "Result") == "success", sh(f"systemctl status {unit}", False)
    assert not [p.name for p in pathlib.Path("/run/tag").iterdir() if p.is_socket()]


def test_purge():
    """Nothing of the packages stays behind."""
    sh("systemctl disable tagd taghostd; dpkg -P tagd taghostd softhca")
    left = sh("dpkg -l 'tagd' 'taghostd' 'softhca' 2>/dev/null | grep -E '^(ii|rc)'", False)
    assert not left
    for path in (ETC, pathlib.Path("/usr/sbin/tagd"), pathlib.Path("/lib/systemd/system/tagd.service")):
        assert not path.exists(), path
