#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The software HCA alone: RDMA READ by perftest against the raw copy it is made of.

ib_read_bw of 64 KB, from private memory and from a shared mapping, and a loop of
process_vm_readv of the same size take turns in one run, so that they meet the same machine. What
else the machine does comes and goes: the raw copy is measured before and after each READ, and the
ratio of a turn is to the mean of both. ib_read_lat of 2 bytes, both ends polling. Medians of all turns.
Environment: BENCH_RUNS (9), BENCH_BYTES (65536).
"""
import contextlib
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
RUN = BUILD / "ibside" / "softhca" / "softhca-run"
RUNS = int(os.environ.get("BENCH_RUNS", 9))
BYTES = int(os.environ.get("BENCH_BYTES", 65536))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listening(port):
    """Whether somebody listens on a TCP port, asked without connecting."""
    want = f":{port:04X} "
    return any(want in line and line.split()[3] == "0A"
               for table in ("/proc/net/tcp", "/proc/net/tcp6")
               for line in pathlib.Path(table).read_text().splitlines()[1:])


def perftest(env, *command):
    """Runs the two ends; the numbers of the one line of results."""
    for _ in range(5):  # it gives up when a busy machine spoils its calibration
        port = free_port()
        line = [str(RUN), *command, "-d", "soft0", "-p", str(port)]
        with subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as peer:
            try:
                end = time.monotonic() + 20
                while not listening(port) and time.monotonic() < end and peer.poll() is None:
                    time.sleep(0.02)
                client = subprocess.run([*line, "127.0.0.1"], env=env, text=True, timeout=60,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            finally:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    peer.wait(5)
                if peer.poll() is None:
                    peer.kill()
        found = re.search(r"#bytes[^\n]*\n *\d+ +(.*)", client.stdout)
        if client.returncode == 0 and found:
            return [float(v) for v in found.group(1).split()]
    sys.exit(f"{' '.join(command)}:\n{client.stdout}")


def bandwidth(env, *options):
    """GB/s of ib_read_bw (which prints MiB/s)."""
    values = perftest(env, "ib_read_bw", "-s", str(BYTES), "-n", "20000", *options)
    return values[2] * (1 << 20) / 1e9


def raw(program):
    """GB/s of the raw loop."""
    return float(subprocess.run([program, str(BYTES), "0.4"], check=True, capture_output=True,
                                text=True).stdout)


def show(label, values, unit):
    print(f"{label:46} {statistics.median(values):8.2f} {unit:5} ({min(values):.2f} to {max(values):.2f})")


def main():
    if not shutil.which("ib_read_bw"):
        sys.exit("perftest is not installed")
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"machine: {os.cpu_count()} x {cpu}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}; "
          f"medians of {RUNS} turns (least to most)")
    copies, private, mapped, latency, latency_mapped = [], [], [], [], []
    ratios, ratios_mapped = [], []
    with tempfile.TemporaryDirectory(prefix="tagd-bench.") as name, \
            tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="tagd-bench.") as memory:
        program = f"{name}/raw_copy"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, TOP / "tests/bench/raw_copy.c"],
                       check=True)
        memory.truncate(64 << 20)
        env = dict(os.environ, SOFTHCA_DIR=f"{name}/fabric")
        for _ in range(RUNS):
            around = [raw(program)]
            private.append(bandwidth(env))
            around.append(raw(program))
            mapped.append(bandwidth(env, f"--mmap={memory.name}"))
            around.append(raw(program))
            copies.append(statistics.mean(around))
            ratios.append(private[-1] / statistics.mean(around[:2]))
            ratios_mapped.append(mapped[-1] / statistics.mean(around[1:]))
            small = ("ib_read_lat", "-s", "2", "-n", "20000")
            latency.append(perftest(env, *small)[3])
            latency_mapped.append(perftest(env, *small, f"--mmap={memory.name}")[3])
    show(f"process_vm_readv of {BYTES} bytes", copies, "GB/s")
    show("ib_read_bw, private memory", private, "GB/s")
    show("  ratio to the raw copy of its turn (aim 0.8)", ratios, "")
    show("ib_read_bw, shared mapping", mapped, "GB/s")
    show("  ratio to the raw copy of its turn", ratios_mapped, "")
    show("ib_read_lat 2 bytes, private memory (aim 3 us)", latency, "us")
    show("ib_read_lat 2 bytes, shared mapping", latency_mapped, "us")


main()
