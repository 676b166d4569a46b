#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bulk downloads from nginx: accelerated, native through the same gateway, and plain kernel TCP.

All at equal wire conditions: MTU 1500, no segmentation or checksum offload on the client's link.
CPU seconds are counted by cgroup (server: nginx and taghostd; gateway: tagd) and for the whole
machine from /proc/stat; kernel work that runs in interrupts is only in the last.
Environment: BENCH_RUNS (5), BENCH_MB per run (256).
"""
import os
import pathlib
import platform
import re
import statistics
import subprocess
import tempfile
import time

from conftest import LAB, Lab, wait_for

RUNS = int(os.environ.get("BENCH_RUNS", 5))
TOTAL_MB = int(os.environ.get("BENCH_MB", 256))
CC = "reno"  # every kernel has it and lets namespaces use it; tagd's own is CUBIC
CGROUP = pathlib.Path("/sys/fs/cgroup/cpuacct")
if not CGROUP.exists():
    CGROUP = pathlib.Path("/sys/fs/cgroup")


class Group:
    """A cgroup that counts the CPU time of the processes put into it and their children."""

    def __init__(self, name):
        self.path = CGROUP / f"tagbench-{name}"
        self.path.mkdir(exist_ok=True)

    def add(self, pid):
        """Moves a process and its descendants."""
        for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True,
                                    text=True).stdout.split():
            self.add(int(child))
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except (ProcessLookupError, OSError):
            pass

    def seconds(self):
        usage = self.path / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        for line in (self.path / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
        raise RuntimeError("no CPU accounting in " + str(self.path))


def machine_seconds():
    """Busy CPU seconds of the whole machine since boot."""
    fields = open("/proc/stat").readline().split()[1:]
    busy = sum(int(v) for i, v in enumerate(fields[:8]) if i not in (3, 4))
    return busy / os.sysconf("SC_CLK_TCK")


def download(run, url, streams):
    """Fetches TOTAL_MB split over `streams` parallel connections; returns seconds."""
    each = TOTAL_MB // streams
    start = time.monotonic()
    script = (f'for i in $(seq {streams}); do curl -sS --fail -o /dev/null -r 0-{(each << 20) - 1} "{url}" & '
              'p="$p $!"; done; for j in $p; do wait $j || exit 1; done')
    result = run("bash", "-c", script)
    assert result.returncode == 0, result.stderr
    return time.monotonic() - start


def measure(label, run, url, server, gateway, rows):
    for streams in (1, 16):
        samples = []
        download(run, url, streams)
        for _ in range(RUNS):
            s0, g0, m0 = server.seconds(), gateway.seconds(), machine_seconds()
            took = download(run, url, streams)
            gb = TOTAL_MB * (1 << 20) / 1e9
            samples.append((gb * 8 / took, (server.seconds() - s0) / gb,
                            (gateway.seconds() - g0) / gb, (machine_seconds() - m0) / gb))
        rows.append((label, streams, *[statistics.median(c) for c in zip(*samples)]))
        print(f"{label:28} {streams:8} {rows[-1][2]:9.2f} {rows[-1][3]:12.3f} {rows[-1][4]:12.3f} "
              f"{rows[-1][5]:12.3f}", flush=True)


def moving(tails, program):
    """Seconds that a daemon's software HCA spent moving payload, from what it says at its end."""
    log = tails.partition(f"--- {program}")[2].partition("\n--- ")[0]
    found = re.findall(r"copy_ns=(\d+)", log)
    return sum(map(int, found)) / 1e9


def through_gateway(tmp, rows, accelerate):
    """Measures; the memory of a connection, and a line about CPU time without moving payload."""
    lab = Lab(tmp, 1, accelerate=accelerate, cc=CC)
    lab.up()
    server, gateway = Group("server"), Group("gateway")
    memory, tails = None, ""
    try:
        nginx = lab.nginx(tmp / "www", workers=1, accelerated=accelerate != "off")
        server.add(nginx.pid)
        server.add(lab.pid("taghostd1"))
        gateway.add(lab.pid("tagd"))
        label = "tagd, native" if accelerate == "off" else "tagd, accelerated"
        began = server.seconds(), gateway.seconds()
        measure(label, lambda *c: lab.run("client", *c, check=False), "http://10.77.0.11/big",
                server, gateway, rows)
        used = server.seconds() - began[0], gateway.seconds() - began[1]
        if accelerate != "off":
            memory = memory_per_connection(lab)
    finally:
        tails = lab.down()[1]
    gb = 2 * (RUNS + 1) * TOTAL_MB * (1 << 20) / 1e9
    moved = moving(tails, "taghostd1.log"), moving(tails, "tagd.log")
    print(f"{label}, without the time in which the software HCA moves payload, as an adapter would by "
          f"DMA: server {(used[0] - moved[0]) / gb:.3f} of {used[0] / gb:.3f} s/GB, gateway "
          f"{(used[1] - moved[1]) / gb:.3f} of {used[1] / gb:.3f} s/GB", flush=True)
    return memory


def memory_per_connection(lab):
    """Bytes of gateway state per connection with 100 of them open and idle."""
    script = """
import socket, time
conns = []
for i in range(100):
    s = socket.create_connection(("10.77.0.11", 80)); s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"); s.recv(4096)
    conns.append(s)
print("ready", flush=True); time.sleep(20)
"""
    child = lab.start("client", "python3", "-c", script, stdout=-1, text=True)
    assert child.stdout.readline() == "ready\n"
    memory = wait_for(lambda: (lambda m: m if m["connections"] >= 100 else None)(lab.memory()), 20)
    child.kill()
    return memory


def plain_kernel(tmp, rows):
    """The same nginx one veth away, the same offloads off."""
    names = ["tagbench-c", "tagbench-s"]
    def sh(text):
        subprocess.run(text, shell=True, check=True)
    server, gateway = Group("server"), Group("gateway")
    try:
        for ns in names:
            sh(f"ip netns add {ns}; ip -n {ns} link set lo up; "
               f"ip netns exec {ns} sysctl -qw net.ipv4.tcp_congestion_control={CC}")
        sh("ip link add eth0 netns tagbench-c type veth peer name eth0 netns tagbench-s")
        for ns, addr in zip(names, ("10.77.9.2/24", "10.77.9.11/24")):
            sh(f"ip netns exec {ns} ethtool -K eth0 tx off tso off gso off gro off >/dev/null; "
               f"ip -n {ns} link set eth0 up; ip -n {ns} addr add {addr} dev eth0")
        home = tmp / "plain"
        home.mkdir()
        os.chmod(home, 0o777)
        conf = home / "nginx.conf"
        conf.write_text(f"""daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
            events {{ worker_connections 1024; }} http {{ access_log off; sendfile on;
            client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
            uwsgi_temp_path {home}; scgi_temp_path {home}; server {{ listen 80; root {tmp}/www; }} }}""")
        nginx = subprocess.Popen(["ip", "netns", "exec", "tagbench-s", "nginx", "-c", conf, "-e",
                                  home / "error.log"])
        time.sleep(0.5)
        server.add(nginx.pid)
        run = lambda *c: subprocess.run(["ip", "netns", "exec", "tagbench-c", *c],
                                        capture_output=True, text=True, timeout=120)
        measure("plain kernel TCP, one veth", run, "http://10.77.9.11/big", server, gateway, rows)
        nginx.terminate()
        nginx.wait()
    finally:
        for ns in names:
            subprocess.run(["ip", "netns", "del", ns], check=False)


def main():
    os.environ["SOFTHCA_STATS"] = "1"  # the daemons time their copies
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"machine: {os.cpu_count()} x {cpu}, Linux {platform.release()}; medians of {RUNS} runs, "
          f"{TOTAL_MB} MB each, MTU 1500, no offloads; the kernels' congestion control is {CC}")
    print(f"{'':28} {'streams':>8} {'Gbit/s':>9} {'server s/GB':>12} {'gateway s/GB':>12} {'machine s/GB':>12}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="tagd-bench.") as name:
        tmp = pathlib.Path(name)
        os.chmod(tmp, 0o755)
        (tmp / "www").mkdir()
        (tmp / "www/index.html").write_text("ok\n")
        with open(tmp / "www/big", "wb") as stream:
            for _ in range(TOTAL_MB):
                stream.write(os.urandom(1 << 20))
        memory = through_gateway(tmp, rows, "first-send")
        through_gateway(tmp, rows, "off")
        plain_kernel(tmp, rows)
    print(f"gateway memory per idle accelerated connection: {memory['connection_bytes']} bytes of state "
          f"({memory['connections']} connections open, {memory['chunks_used']} payload chunks in use)")
    for group in ("server", "gateway"):
        (CGROUP / f"tagbench-{group}").rmdir()


if __name__ == "__main__":
    main()
