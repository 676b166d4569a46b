#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes a case of a capture: `from_capture.py CAPTURE FOLDER [--conf tagd.conf] [--about TEXT]`.

CAPTURE is what `tagctl capture` wrote of both sides of a gateway on an InfiniBand fabric (LIDs). What
clients and the server's kernel sent becomes captures of the case; the server's requests for
acceleration, what its program sent (as the gateway READ it) and its closes become host.script.
What happened then must happen again: that goes into `expect`. Record the outputs by `tagd --replay -r`.
One server; connections are those whose request is in the capture."""
import argparse
import ipaddress
import logging
import pathlib
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.utils import RawPcapNgReader  # noqa: E402

import make  # noqa: E402

ETHERNET, ERF = 1, 197
REQ, GRANT, DISCONN, SRC_AVAIL = 0x40, 0x41, 0x02, 0xfe
FIELDS = (("flags", 12, 1), ("snd_wscale", 13, 1), ("rcv_wscale", 14, 1), ("mss", 52, 4), ("snd_una", 56, 4),
          ("snd_nxt", 60, 4), ("snd_wnd", 64, 4), ("snd_wl1", 68, 4), ("max_wnd", 72, 4), ("rcv_nxt", 76, 4),
          ("rcv_edge", 80, 4), ("ts_val", 84, 4), ("ts_recent", 88, 4), ("srtt_us", 92, 4), ("rttvar_us", 96, 4),
          ("ip", 100, 4), ("tx_prod", 104, 8), ("rx_prod", 112, 8), ("rx_cons", 120, 8))


def number(data, at, size):
    return int.from_bytes(data[at:at + size], "big")


def address(data):
    a = ipaddress.IPv6Address(data)
    return str(a.ipv4_mapped or a)


def records(path):
    """Time in seconds, link type, bytes, comment of each packet."""
    for data, meta in RawPcapNgReader(str(path)):
        ticks = (meta.tshigh << 32) + meta.tslow
        comment = meta.comment.decode() if isinstance(meta.comment, bytes) else meta.comment or ""
        yield ticks / meta.tsresol, meta.linktype, data, comment


class Packet:
    """An InfiniBand packet of an ERF record."""

    def __init__(self, erf):
        p = erf[16:]
        self.slid, self.dlid = number(p, 6, 2), number(p, 2, 2)
        at = 8 + (40 if p[1] & 3 == 3 else 0)
        end = at - (40 if p[1] & 3 == 3 else 0) - 8 + number(p, 4, 2) * 4  # LRH counts words up to the ICRC
        self.opcode, pad = p[at], p[at + 1] >> 4 & 3
        self.qpn, self.psn = number(p, at + 5, 3), number(p, at + 9, 3)
        at += 12
        self.reth = self.source = None
        if self.opcode in (0x06, 0x0a, 0x0c):  # WRITE first, only; READ request
            self.reth = number(p, at, 8), number(p, at + 12, 4)
            at += 16
        elif self.opcode in (0x0d, 0x0f, 0x10, 0x11):  # answers and acknowledgements with an AETH
            at += 4
        elif self.opcode == 0x64:
            self.source = number(p, at + 5, 3)
            at += 8
        self.data = p[at:end - 4 - pad]


class Conn:
    """A connection from its request on."""

    def __init__(self, time, entry, label):
        self.time, self.label = time, label
        self.req_id = number(entry, 4, 4)
        self.client = address(entry[16:32]), number(entry, 48, 2)
        self.server = address(entry[32:48]), number(entry, 50, 2)
        self.fields = {name: number(entry, at, size) for name, at, size in FIELDS}
        self.token, self.start, self.chunks, self.closes, self.back = None, None, {}, [], None

    def read(self, time, va, data):
        self.start = va if self.start is None else min(self.start, va)
        self.chunks.setdefault(va, (time, data))

    def sends(self):
        """(time, bytes) of what the program sent, in order, each byte once."""
        done = 0
        for va in sorted(self.chunks):
            time, data = self.chunks[va]
            skip = self.start + done - va
            assert skip >= 0, "a READ is missing in the capture"
            if skip < len(data):
                yield time, done, data[skip:]
                done += len(data) - skip


def quoted(data):
    return '"' + "".join(chr(b) if 32 < b < 127 and chr(b) not in '"\\#' else f"\\x{b:02x}" for b in data) + '"'


class Reader:
    """Everything of a capture that a case needs."""

    def __init__(self, path, servers):
        self.servers, self.lan, self.native, self.conns, self.pending = servers, [], [], [], []
        self.gw_mac = self.host_mac = None
        self.packets = [(t, link, d, c) for t, link, d, c in records(path)]
        self.start = min(p[0] for p in self.packets)
        for time, link, data, comment in self.packets:
            if link == ETHERNET:
                self.frame(time - self.start, data)
            elif link == ERF:
                self.fabric(time - self.start, Packet(data))

    def of_server(self, frame):
        ip = frame.getlayer(IP) or frame.getlayer(IPv6)
        return ip is not None and ip.src in self.servers

    def frame(self, time, data):
        if self.of_server(Ether(data)):
            self.gw_mac = data[6:12]
        self.lan.append((time, data))

    def by(self, **kw):
        return next((c for c in reversed(self.conns) if all(getattr(c, k) == v for k, v in kw.items())), None)

    def messages(self, time, data):
        mid, length = data[0], number(data, 4, 4)
        size = {REQ: 128, GRANT: 16, DISCONN: 16, SRC_AVAIL: 24}.get(mid)
        for at in range(16, length, size or length):
            entry = data[at:at + (size or length)]
            if mid == REQ:
                self.conns.append(Conn(time, entry, f"c{len(self.conns) + 1}"))
            elif mid == GRANT and self.by(req_id=number(entry, 4, 4)):
                self.by(req_id=number(entry, 4, 4)).token = number(entry, 0, 4)
            elif mid == DISCONN and self.by(token=number(entry, 0, 4)):
                self.by(token=number(entry, 0, 4)).back = time
            elif mid == SRC_AVAIL and self.by(token=number(entry, 0, 4)) and number(entry, 4, 4) & 3:
                self.by(token=number(entry, 0, 4)).closes.append((time, number(entry, 4, 4)))

    def fabric(self, time, p):
        if p.opcode == 0x64 and p.data[:2] == b"\x65\x58":
            if not p.data[3] & 1 and self.of_server(Ether(p.data[4:])):
                self.host_mac = p.data[10:16]
                self.native.append((time, p.data[4:]))
        elif p.opcode == 0x04 and len(p.data) >= 16:
            self.messages(time, p.data)
        elif p.opcode == 0x0c:
            self.pending.append([time, p, b""])
        elif p.opcode in (0x0d, 0x0e, 0x0f, 0x10):
            self.answer(p)

    def answer(self, p):
        """Data of a READ, in as many packets as it takes; their numbers follow the request's."""
        for want in self.pending:
            time, req, data = want
            if req.slid == p.dlid and (p.psn - req.psn) & 0xffffff == len(data) // 4096 and len(data) < req.reth[1]:
                want[2] += p.data
                if len(want[2]) == req.reth[1]:
                    self.pending.remove(want)
                    if set(want[2]) != {0xee}:  # else a line: captures do not show those
                        self.reads(time, req.reth[0], want[2])
                return

    def reads(self, time, va, data):
        """Whose it is: rings are a power of two apart, so the nearest start below is the ring's."""
        known = [c for c in self.conns if c.start is not None and 0 <= va - c.start < self.ring()]
        fresh = [c for c in self.conns if c.start is None and c.token]
        if known:
            max(known, key=lambda c: c.start).read(time, va, data)
        elif fresh:
            fresh[0].read(time, va, data)

    def segments(self):
        """Time, from and to (address, port), first and last byte of each TCP payload on the LAN."""
        for time, data in self.lan:
            frame = Ether(data)
            ip, tcp = frame.getlayer(IP) or frame.getlayer(IPv6), frame.getlayer(TCP)
            if ip and tcp:
                size = (ip.len - 4 * ip.ihl if isinstance(ip, IP) else ip.plen) - 4 * tcp.dataofs
                yield time, (ip.src, tcp.sport), (ip.dst, tcp.dport), tcp.seq, size

    def received(self, c):
        """Bytes that the client of a connection sent while it was accelerated."""
        ends = [(seq + size - c.fields["rcv_nxt"]) & 0xffffffff for time, src, dst, seq, size in self.segments()
                if (src, dst) == (c.client, c.server) and size and time < (c.back or time + 1)]
        return max((e for e in ends if e < 1 << 31), default=0)

    def repeated(self):
        """Whether the server's side sent payload of accelerated connections twice."""
        seen = set()
        for time, src, dst, seq, size in self.segments():
            taken = any((src, dst) == (c.server, c.client) and time > c.time for c in self.conns)
            if taken and size and (src, dst, seq) in seen:
                return True
            if size:
                seen.add((src, dst, seq))
        return False

    def ring(self):
        edges = [c.fields["rcv_edge"] - c.fields["rcv_nxt"] & 0xffffffff for c in self.conns]
        size = 65536
        while size < max(edges, default=0):
            size *= 2
        return size


def build(reader, name, about, conf):
    case = make.Case(name, about, **conf)
    gw = bytes.fromhex(make.GW_MAC.replace(":", ""))
    for time, data in reader.lan:
        if data[6:12] != reader.gw_mac:
            case.lan(time, data.replace(reader.gw_mac, gw) if reader.gw_mac else data)
    for time, data in reader.native:
        case.srv(time, gw + data[6:])
    mac = ":".join(f"{b:02x}" for b in reader.host_mac or b"\x02\0\0\0\x02\1")
    case.play(0, f"s1 attach mac={mac} ring={reader.ring()}")
    total = 0
    for i, c in enumerate(x for x in reader.conns if x.token):
        words = " ".join(f"{k}={v}" for k, v in c.fields.items())
        ends = [f"{'[' + a + ']' if ':' in a else a}:{p}" for a, p in (c.client, c.server)]
        case.play(c.time, f"s1 conn {c.label} client={ends[0]} server={ends[1]} slot={i % 16} {words}")
        early = c.fields["tx_prod"]
        for time, at, data in c.sends():
            first = data[:max(0, early - at)]
            if first:
                case.play(c.time, f"s1 send {c.label} {quoted(first)}")
            if data[len(first):]:
                case.play(max(time, c.time), f"s1 send {c.label} {quoted(data[len(first):])}")
            total += len(data)
        case.play(c.time, f"s1 take {c.label}")
        for time, flags in c.closes:
            case.play(time, f"s1 {'close' if flags & 2 else 'shut'} {c.label}")
        if c.back is not None:
            case.expect(f"conn {c.label} state=back")
        case.expect(f"received {c.label} bytes={reader.received(c)}")
    if reader.repeated():
        case.expect("counter tcp_retransmits >= 1")
    granted = sum(1 for c in reader.conns if c.token)
    case.expect(f"counter accel_grants = {granted}", f"counter accel_commits = {granted}", f"counter tcp_bytes_out = {total}",
                f"counter native_frames_to_lan = {len(reader.native)}", "count lan0 sound!=yes = 0")
    return case


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("capture", type=pathlib.Path)
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--about", default="A capture of a real network.")
    args.add_argument("--address", action="append", help="of the server (default: those of the lab's first)")
    opts = args.parse_args()
    servers = opts.address or list(make.server(1)[:2])
    reader = Reader(opts.capture, servers)
    case = build(reader, opts.folder.name, opts.about, {"servers": {"s1": {"address": ", ".join(servers)}}})
    case.write(opts.folder)
    (opts.folder / "CAPTURED").write_text("from_capture.py made this of a capture; make.py does not know it\n")
    print(f"{opts.folder}: {len(reader.lan)} frames, {len(reader.native)} native ones of the server, "
          f"{sum(1 for c in reader.conns if c.token)} accelerated connections")


if __name__ == "__main__":
    main()
