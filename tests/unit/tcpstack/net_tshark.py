# SPDX-License-Identifier: BSD-3-Clause
"""net_tshark.py PROGRAM: lets tshark judge the frames that PROGRAM (net_pcap) writes.

Every frame must dissect completely, and every checksum in it must be right.
"""
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
FIELDS = ["frame.number", "frame.protocols", "_ws.malformed", "_ws.expert.severity",
          "_ws.expert.message", "ip.checksum.status", "tcp.checksum.status",
          "icmp.checksum.status", "icmpv6.checksum.status"]
PREFERENCES = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE",
               "tcp.analyze_sequence_numbers:FALSE", "tcp.desegment_tcp_streams:FALSE"]
GOOD = "1"
ERROR = 0x00800000
KINDS = {"tcp": 6, "icmp": 7, "icmpv6": 8}


def judge(row):
    """What is wrong with one frame, or nothing."""
    number, protocols, malformed, severity, message = row[:5]
    wrong = []
    if malformed or any(int(s, 0) >= ERROR for s in severity.split(",") if s):
        wrong.append(message or "malformed")
    if row[5] not in ("", GOOD):
        wrong.append("IP checksum")
    for kind, column in KINDS.items():
        if kind in protocols.split(":") and row[column] != GOOD:
            wrong.append(f"{kind} checksum")
    return [f"frame {number} ({protocols}): {w}" for w in wrong]


def main():
    if not shutil.which("tshark"):
        sys.exit(SKIPPED)
    with tempfile.NamedTemporaryFile(suffix=".pcap") as capture:
        subprocess.run([sys.argv[1]], stdout=capture, check=True)
        command = ["tshark", "-n", "-r", capture.name, "-T", "fields", "-E", "separator=|",
                   "--disable-protocol", "http"]  # the payload is no HTTP
        command += [word for p in PREFERENCES for word in ("-o", p)]
        command += [word for f in FIELDS for word in ("-e", f)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split("|") for line in out.splitlines()]
    wrong = [w for row in rows for w in judge(row)]
    seen = {p for row in rows for p in row[1].split(":")}
    missing = {"tcp", "arp", "icmp", "icmpv6", "ipv6", "vlan"} - seen
    if missing:
        wrong.append(f"not seen: {sorted(missing)}")
    print(f"{len(rows)} frames", *wrong, sep="\n")
    sys.exit(1 if wrong else 0)


main()
