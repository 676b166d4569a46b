#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which bytes of a connection does traffic without loss touch? argv: tcp_hot, bytes that are hot.

valgrind's lackey lists every memory access of tcp_hot; those between two writes of its marker that
fall into the connection or into the transmission records are collected. None may lie beyond what
docs/tcp.md says: the hot part, what is in flight for what sends, the third cache line for a window
that grows, and what watches the first slow start. A round-trip time above the mean, once in a round
trip, also looks at the largest one there was.
"""
import re
import shutil
import subprocess
import sys

LINE = 64
FLIGHT = 32  # bytes behind the hot part: what is in flight
# Bytes behind the hot part that may be touched.
WAYS = {"receive": 0, "emit": FLIGHT, "ack": FLIGHT, "send": FLIGHT, "start": FLIGHT, "bulk": LINE}
SAID = r"""conn 0x(?P<conn>\w+) (?P<size>\d+)
records 0x(?P<records>\w+) (?P<room>\d+)
marker 0x(?P<marker>\w+)
rtt (?P<rtt>\d+)
start (?P<start>\d+) (?P<end>\d+)"""


def within(start, size, accesses):
    """Offsets of the accessed bytes that lie in [start, start + size)."""
    return {first - start + i for first, n in accesses if start <= first < start + size
            for i in range(n)}


def touched(program, way):
    """Bytes of the connection that are read or written, those of the records, and what was said."""
    run = subprocess.run(["valgrind", "--tool=lackey", "--trace-mem=yes", program, way],
                         capture_output=True, text=True, check=True)
    said = {name: int(number, 16 if name in ("conn", "records", "marker") else 10)
            for name, number in re.match(SAID, run.stdout).groupdict().items()}
    on, accesses = False, []
    for kind, address, n in re.findall(r"^ ([LSM]) (\w+),(\d+)$", run.stderr, re.M):
        first, n = int(address, 16), int(n)
        if first <= said["marker"] < first + n and kind != "L":
            on = not on
        elif on:
            accesses.append((first, n))
    return (within(said["conn"], said["size"], accesses),
            within(said["records"], said["room"], accesses), said)


def lines(hits):
    """Number of the cache lines that bytes are in."""
    return len({byte // LINE for byte in hits})


def main():
    program, hot = sys.argv[1], int(sys.argv[2])
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        return 77
    bad = 0
    for way, more in WAYS.items():
        hits, records, said = touched(program, way)
        hits -= set(range(said["rtt"], said["rtt"] + 4))
        known = set(range(hot + more))
        if way == "start":
            known.update(range(said["start"], said["end"]))
        print(f"{way}: {len(hits)} of {said['size']} bytes in {lines(hits)} cache lines, "
              f"{len(hits - set(range(hot)))} of them behind the hot part; "
              f"{len(records)} bytes in {lines(records)} lines of transmission records")
        if not hits or hits - known or (way != "receive") != bool(records):
            bad = 1
            print(f"  beyond what is expected: {sorted(hits - known)}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
