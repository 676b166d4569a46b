#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The TCP core in figures: instructions and cycles, sizes, and goodput beside the kernel's CUBIC and BBR.

Instructions are counted by callgrind, cycles by the time stamp counter; the core alone, with a
shell that does nothing. Goodput is measured over lossy links, both senders in one run.
Environment: BENCH_PARTS (cost sizes goodput), BENCH_RATE Mbit/s of each link (100), BENCH_SECONDS per run (20 at 50 ms, 5 at 1 ms),
BENCH_SEED (1), BENCH_CONTROLS (cubic bbr; bbr only where the kernel has it), BENCH_CELLS like "0.1/1 3/50" (loss in percent / RTT in ms; all six).
"""
import os
import pathlib
import platform
import re
import statistics
import subprocess

BUILD = pathlib.Path(os.environ["TAG_BUILD"]) / "tests/bench"
RATE = int(os.environ.get("BENCH_RATE", 100))
SEED = int(os.environ.get("BENCH_SEED", 1))
CONTROLS = os.environ.get("BENCH_CONTROLS", "cubic bbr").split()
CELLS = os.environ.get("BENCH_CELLS", "0.1/1 1/1 3/1 0.1/50 1/50 3/50")


PARTS = os.environ.get("BENCH_PARTS", "cost sizes goodput").split()
COSTS = {
    "ack": "ACK of two segments processed",
    "sack": "ACK with a SACK block processed, in recovery",
    "emit": "segment emitted, alone",
    "run": "run of 44 segments emitted (for TSO)",
    "recv": "segment received and placed, every second acknowledged",
    "bulk": "64 KB sent: emitted as runs, 23 ACKs processed",
    "syn": "SYN answered by a cookie",
    "cookie": "the same, and the ACK of the cookie: ESTABLISHED",
}


def output(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)


def cost():
    print(f"\n{'per':54} {'instructions':>12} {'cycles':>9}")
    for name, text in COSTS.items():
        times = 20000 if name != "bulk" else 1000
        traced = output("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                        "--collect-atstart=no", f"--toggle-collect=cost_{name}", BUILD / "tcp_cost", name, times)
        done = int(traced.stdout.split()[0])
        counted = int(re.search(r"Collected : (\d+)", traced.stderr).group(1))
        assert counted > 0, "callgrind saw nothing"
        cycles = statistics.median(
            float(output(BUILD / "tcp_cost", name, 20 * times).stdout.split()[1]) for _ in range(5))
        print(f"{text:54} {counted / done:12.0f} {cycles:9.0f}", flush=True)


def sizes():
    print("\nbytes")
    for line in output(BUILD / "tcp_cost", "sizes").stdout.splitlines():
        text, value = line.rsplit(" ", 1)
        print(f"{text:54} {value:>12}")


def flows(control, loss, rtt_ms):
    """Runs one cell. Short round trips: two pairs at a time, several times; long ones: all at once."""
    rounds, pairs, seconds = (4, 2, 5) if rtt_ms < 10 else (1, 8, 20)
    seconds = float(os.environ.get("BENCH_SECONDS", seconds))
    found = {"linux": [], "core": []}
    for turn in range(rounds):
        command = [BUILD / "tcp_goodput", f"{loss * 10000:.0f}", f"{rtt_ms * 1000:.0f}", RATE, pairs,
                   seconds, SEED + 100 * turn, control]
        out = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                             timeout=seconds + 30)
        if out.returncode == 77:
            return out.stderr.strip()
        assert out.returncode == 0, out.stderr
        for line in out.stdout.splitlines():
            kind, _, mbit, resent, refused, carried = line.split()
            share = [100 * int(n) / max(1, int(carried)) for n in (resent, refused)]
            found[kind].append((float(mbit), *share))
    return found


def goodput(control):
    print(f"\ngoodput with {control}, links of {RATE} Mbit/s with a queue of one bandwidth-delay product (100 "
          f"packets at least), seed {SEED}; Mbit/s of payload: median of 8 flows (smallest-largest)")
    print(f"{'loss %':>7} {'RTT ms':>7} {'Linux':>24} {'tagd core':>24} {'ratio':>7}   "
          "resent %, Linux/core; refused by the queue %")
    for cell in CELLS.split():
        loss, rtt = (float(v) for v in cell.split("/"))
        text, medians, resent, refused = [], [], [], []
        found = flows(control, loss, rtt)
        if isinstance(found, str):
            print(f"not possible here: {found}")
            return
        for rows in found.values():
            rates = [row[0] for row in rows]
            medians.append(statistics.median(rates))
            resent.append(statistics.median(row[1] for row in rows))
            refused.append(statistics.median(row[2] for row in rows))
            text.append(f"{medians[-1]:.2f} ({min(rates):.2f}-{max(rates):.2f})")
        print(f"{loss:7g} {rtt:7g} {text[0]:>24} {text[1]:>24} {medians[1] / medians[0]:7.2f}   "
              f"{resent[0]:.2f} / {resent[1]:.2f}; {refused[0]:.2f} / {refused[1]:.2f}", flush=True)


def main():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"machine: {os.cpu_count()} x {cpu}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    if "cost" in PARTS:
        cost()
    if "sizes" in PARTS:
        sizes()
    if "goodput" in PARTS:
        for control in CONTROLS:
            goodput(control)


main()
