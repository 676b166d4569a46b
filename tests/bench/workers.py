#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bulk downloads through one, two and four workers: 16 connections, accelerated and native.

A device of one queue is shared (each worker's frames go by the worker that has the queue), or has a
queue for each. Cycles are the gateway's CPU time by cgroup times the nominal clock, over all
segments and frames of the client's link. Workers poll, so the CPU time holds what they spend waiting;
`busy` is the part of the time in which turns had work, of all workers together.
Environment: BENCH_RUNS (5), BENCH_MB per run (256).
"""
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile

from conftest import Lab
from transfer import CC, CGROUP, TOTAL_MB, Group, download

RUNS = int(os.environ.get("BENCH_RUNS", 5))
STREAMS = 16
CASES = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 4))


def hertz():
    """TSC frequency as the kernel reports the clock."""
    for line in open("/proc/cpuinfo"):
        if line.startswith("cpu MHz"):
            return float(line.split(":")[1]) * 1e6
    raise RuntimeError("no clock in /proc/cpuinfo")


def frames(stats):
    return stats["lan_rx_frames"] + stats["lan_tx_frames"]


def sample(lab, group):
    """One run: Gbit/s, gateway CPU s/GB, cycles per frame, part of frames handed over, busy workers."""
    before, cpu = lab.stats(), group.seconds()
    took = download(lambda *c: lab.run("client", *c, check=False), "http://10.77.0.11/big", STREAMS)
    after, used = lab.stats(), group.seconds() - cpu
    gb = TOTAL_MB * (1 << 20) / 1e9
    moved = frames(after) - frames(before)
    return (gb * 8 / took, used / gb, used * hertz() / moved,
            100 * (after["handed_frames"] - before["handed_frames"]) / moved,
            (after["busy_us"] - before["busy_us"]) / 1e6 / took)


def measure(tmp, workers, queues, accelerate):
    lab = Lab(tmp, 1, workers=workers, queues=queues, accelerate=accelerate, cc=CC)
    lab.up()
    try:
        lab.nginx(tmp / "www", workers=1, accelerated=accelerate != "off")
        group = Group("workers")
        group.add(lab.pid("tagd"))
        sample(lab, group)
        samples = [sample(lab, group) for _ in range(RUNS)]
        drops = lab.ctl("drops")["drops"].get("worker-queue-full", 0)
    finally:
        lab.down()
    how = "native" if accelerate == "off" else "accelerated"
    values = [statistics.median(c) for c in zip(*samples)]
    rates = [s[0] for s in samples]
    print(f"{how:12} {workers:7} {queues:6} {values[0]:7.2f} ({min(rates):.2f}-{max(rates):.2f}) "
          f"{values[1]:8.3f} {values[2]:12.0f} {values[3]:8.1f} {values[4]:6.2f} {drops:7}", flush=True)


def costs():
    """Cycles of finding a packet's worker, and of handing a frame over, in one thread."""
    program = pathlib.Path(os.environ["TAG_BUILD"]) / "tests/bench/hand_cost"
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = [line.rsplit(" ", 1) for line in out.splitlines() if line[-1:].isdigit()]
    assert len(rows) == 4, out
    print(f"{'cycles, the fewest of many bursts':54}")
    for text, value in rows:
        print(f"{text:54} {value:>9}", flush=True)


def main():
    costs()
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    print(f"{os.cpu_count()} CPUs ({cpu}), Linux {platform.release()}; client, server and gateway share "
          f"them. Medians of {RUNS} downloads of {TOTAL_MB} MiB over {STREAMS} connections, MTU 1500.")
    print(f"{'':12} {'workers':>7} {'queues':>6} {'Gbit/s':>7} {'(range)':11} {'CPU s/GB':>8} "
          f"{'cycles/frame':>12} {'handed %':>8} {'busy':>6} {'drops':>7}")
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        os.chmod(tmp, 0o755)
        (tmp / "www").mkdir()
        os.chmod(tmp / "www", 0o755)
        with open(tmp / "www" / "big", "wb") as stream:
            stream.truncate(TOTAL_MB << 20)
        for accelerate in ("first-send", "off"):
            for workers, queues in CASES:
                measure(tmp, workers, queues, accelerate)
    (CGROUP / "tagbench-workers").rmdir()


if __name__ == "__main__":
    main()
