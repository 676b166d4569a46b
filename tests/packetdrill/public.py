#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs somebody else's packetdrill scripts over the TCP core, with packetdrill itself.

    public.py --packetdrill BIN --so LIBRARY [--so-flags FLAGS] [--freebsd] [--only REGEX] DIRECTORY

Prints how many scripts of each directory pass, and the first words of every failure. Commands of
the scripts that change the host (sysctl, tc, ip) run in a network namespace of their own, and find
stand-ins that do nothing. docs/packetdrill.md says what the results mean.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

STAND_INS = ["sysctl", "tc", "ip", "ethtool", "ifconfig", "nstat"]
DEFINES = ["TFO_COOKIE=3021b9d889017eeb", "TFO_COOKIE_ZERO=b7c12350a90dc8f5",
           "CMSG_LEVEL_IP=SOL_IP", "CMSG_TYPE_RECVERR=IP_RECVERR"]
# FreeBSD's names of states, in Linux's words
STATES = {"ESTABLISHED": "ESTABLISHED", "SYN_RECEIVED": "SYN_RECV", "SYN_SENT": "SYN_SENT",
          "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2", "TIME_WAIT": "TIME_WAIT",
          "CLOSED": "CLOSE", "CLOSE_WAIT": "CLOSE_WAIT", "LAST_ACK": "LAST_ACK",
          "LISTEN": "LISTEN", "CLOSING": "CLOSING"}


def from_freebsd(text):
    """A FreeBSD script for Linux's packetdrill; what FreeBSD chooses freely is not compared."""
    text = re.sub(r"(?ms)^#ifdef FreeBSD\n.*?^#endif\n", "", text)
    text = re.sub(r"(?m)^#(ifdef STANDARD|endif).*\n", "", text)
    lines = []
    for line in text.split("\n"):
        if "sockstat" in line or re.search(r"getsockopt\(\d+, SOL_SOCKET, SO_(RCV|SND)BUF", line):
            continue  # asks the host, or for FreeBSD's rounding of buffers
        if re.match(r"\s*[+*]?[0-9. ~+]*>\s", line):
            line = re.sub(r"\bwin\s+[1-9]\d*", "", line)  # depends on the buffer
            if re.search(r">\s+\S*S\S*\s+\d+:", line):
                line = re.sub(r"<[^>]*>\s*$", "<...>", line)  # order of options
        line = line.replace("EWOULDBLOCK", "EAGAIN").replace("IPPROTO_TCP, TCP_", "SOL_TCP, TCP_")
        for theirs, ours in STATES.items():
            line = re.sub(rf"\bTCPI_{theirs}\b", f"TCP_{ours}", line)
        lines.append(line)
    return "\n".join(lines)


class Runner:
    """How a script is run."""

    def __init__(self, args, scratch):
        self.args = args
        self.scratch = scratch
        for name in STAND_INS:
            stand_in = scratch / name
            stand_in.write_text("#!/bin/sh\nexit 0\n")
            stand_in.chmod(0o755)
        self.env = dict(os.environ, PATH=f"{scratch}:{os.environ['PATH']}")

    def run(self, script):
        """(passed, what it said)"""
        cwd, path = script.parent, script
        if self.args.freebsd:
            cwd = self.scratch
            path = self.scratch / str(script).replace("/", "_")
            path.write_text(from_freebsd(script.read_text()))
        command = ["timeout", "20", "env", f"LD_PRELOAD={self.args.so}", self.args.packetdrill,
                   f"--so_filename={self.args.so}", f"--so_flags={self.args.so_flags}"]
        command += [f"--define={d}" for d in DEFINES] + [str(path)]
        result = subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True,
                                errors="replace", check=False)
        said = (result.stdout + result.stderr).replace(str(path), "").strip()
        return result.returncode == 0, said.replace("\n", " | ")[:200]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--packetdrill", required=True, type=os.path.abspath)
    parser.add_argument("--so", required=True, type=os.path.abspath)
    parser.add_argument("--so-flags", default="")
    parser.add_argument("--freebsd", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("directory", type=pathlib.Path)
    args = parser.parse_args()
    if not os.environ.get("IN_OWN_NAMESPACE"):
        os.environ["IN_OWN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    scripts = sorted(s.resolve() for s in args.directory.rglob("*.pkt")
                     if re.search(args.only, str(s)))
    totals = collections.defaultdict(lambda: [0, 0])
    failures = []
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runner = Runner(args, pathlib.Path(scratch))
        for script, (passed, said) in zip(scripts, pool.map(runner.run, scripts)):
            group = script.relative_to(args.directory.resolve()).parent
            totals[group][0 if passed else 1] += 1
            if not passed:
                failures.append(f"{script.name}: {said}")
    print("\n".join(failures))
    for group, (passed, failed) in sorted(totals.items()):
        print(f"{str(group):50} {passed:4} pass {failed:4} fail")
    print(f"{sum(t[0] for t in totals.values())} of {len(scripts)} pass")


if __name__ == "__main__":
    main()
