#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many frames per second of processor time the data path takes from a large capture: native
datagrams of 64 and of 1400 bytes in bursts of 32, through port, policy and software HCA, which
copies each to its server. One thread; reading files is not counted."""
import os
import pathlib
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
sys.path.insert(0, str(TOP / "tests/replay"))
import make  # noqa: E402
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402

FRAMES = 200_000


def large(folder, size, policy):
    name = f"{size}-{'rules' if policy else 'plain'}"
    rules = {f"r{i}": {"action": "deny", "destination-port": 10000 + i} for i in range(100)} if policy else None
    case = make.Case(name, "A large capture.", rules=rules)
    frames = [bytes(Ether(src=make.CLIENT_MAC, dst=make.GW_MAC) / IP(src=make.CLIENT, dst=make.S1) /
                    UDP(sport=1000 + flow, dport=2000) / (b"x" * (size - 42))) for flow in range(64)]
    for i in range(FRAMES):
        case.lan(0.001 + i // 32 * .000032, frames[i % 64])
    case.expect(f"counter native_frames_to_fabric = {FRAMES}", "counter drops = 0")
    case.write(folder / name)
    out = subprocess.run([BUILD / "gateway/tagd", "--replay", "-f", "-k", folder / "keep", folder / name],
                         capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stdout + out.stderr)
    figure = next(line for line in out.stdout.splitlines() if "frames/s" in line)
    print(f"replay {size:5} bytes, {'100 rules' if policy else 'no rules ':9}: {figure.split(': ', 1)[1]}")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        for size in (64, 1400):
            for policy in (False, True):
                large(pathlib.Path(tmp), size, policy)


if __name__ == "__main__":
    main()
