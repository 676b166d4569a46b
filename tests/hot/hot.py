#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which bytes of a connection does traffic in order touch? argv: tcp_hot, bytes that are hot.

valgrind's lackey lists every memory access of tcp_hot; those between the two writes of its marker
that fall into the connection are collected. All must lie in the hot part, and a direction must not
need more cache lines than it does today.
"""
import re
import shutil
import subprocess
import sys

LINES = {"send": 4, "receive": 3}  # of 64 bytes


def touched(program, way):
    """Size of the connection, and the set of its bytes that are read or written."""
    run = subprocess.run(["valgrind", "--tool=lackey", "--trace-mem=yes", program, way],
                         capture_output=True, text=True, check=True)
    said = re.match(r"conn 0x(\w+) (\d+)\nmarker 0x(\w+)", run.stdout)
    conn, size, marker = int(said[1], 16), int(said[2]), int(said[3], 16)
    on, hits = False, set()
    for kind, address, n in re.findall(r"^ ([LSM]) (\w+),(\d+)$", run.stderr, re.M):
        first, n = int(address, 16), int(n)
        if first <= marker < first + n and kind != "L":
            on = not on
        elif on and conn <= first < conn + size:
            hits.update(range(first - conn, first - conn + n))
    return size, hits


def main():
    program, hot = sys.argv[1], int(sys.argv[2])
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        return 77
    bad = 0
    for way, limit in LINES.items():
        size, hits = touched(program, way)
        lines = {byte // 64 for byte in hits}
        cold = sorted(byte for byte in hits if byte >= hot)
        print(f"{way}: {len(hits)} of {size} bytes in {len(lines)} cache lines")
        if not hits or cold or len(lines) > limit:
            bad = 1
            print(f"  beyond the hot part: {cold}; at most {limit} lines are expected")
    return bad


if __name__ == "__main__":
    sys.exit(main())
