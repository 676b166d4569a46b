#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The TCP core in figures: goodput over a lossy link beside the kernel's CUBIC, in one run.

Environment: BENCH_RATE Mbit/s of each link (100), BENCH_SECONDS per run (20 at 50 ms, 5 at 1 ms),
BENCH_SEED (1), BENCH_CELLS like "0.1/1 3/50" (loss in percent / RTT in ms; all six).
"""
import os
import pathlib
import platform
import statistics
import subprocess

BUILD = pathlib.Path(os.environ["TAG_BUILD"]) / "tests/bench"
RATE = int(os.environ.get("BENCH_RATE", 100))
SEED = int(os.environ.get("BENCH_SEED", 1))
CELLS = os.environ.get("BENCH_CELLS", "0.1/1 1/1 3/1 0.1/50 1/50 3/50")


def flows(loss, rtt_ms):
    """Runs one cell. Short round trips: two pairs at a time, several times; long ones: all at once."""
    rounds, pairs, seconds = (4, 2, 5) if rtt_ms < 10 else (1, 8, 20)
    seconds = float(os.environ.get("BENCH_SECONDS", seconds))
    found = {"linux": [], "core": []}
    for turn in range(rounds):
        command = [BUILD / "tcp_goodput", f"{loss * 10000:.0f}", f"{rtt_ms * 1000:.0f}", RATE, pairs,
                   seconds, SEED + 100 * turn]
        out = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                             timeout=seconds + 30)
        if out.returncode == 77:
            raise SystemExit(f"goodput: not possible here: {out.stderr.strip()}")
        assert out.returncode == 0, out.stderr
        for line in out.stdout.splitlines():
            kind, _, mbit, resent, _, carried = line.split()
            found[kind].append((float(mbit), 100 * int(resent) / max(1, int(carried))))
    return found


def goodput():
    print(f"\ngoodput, links of {RATE} Mbit/s with a queue of one bandwidth-delay product (100 packets "
          f"at least), seed {SEED}; Mbit/s of payload: median of 8 flows (smallest-largest)")
    print(f"{'loss %':>7} {'RTT ms':>7} {'Linux CUBIC':>24} {'tagd core':>24} {'ratio':>7}   resent %, Linux/core")
    for cell in CELLS.split():
        loss, rtt = (float(v) for v in cell.split("/"))
        text, medians, resent = [], [], []
        for rows in flows(loss, rtt).values():
            rates = [row[0] for row in rows]
            medians.append(statistics.median(rates))
            resent.append(statistics.median(row[1] for row in rows))
            text.append(f"{medians[-1]:.2f} ({min(rates):.2f}-{max(rates):.2f})")
        print(f"{loss:7g} {rtt:7g} {text[0]:>24} {text[1]:>24} {medians[1] / medians[0]:7.2f}   "
              f"{resent[0]:.2f} / {resent[1]:.2f}", flush=True)


def main():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"machine: {os.cpu_count()} x {cpu}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    goodput()


main()
