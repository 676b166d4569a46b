#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the inputs and expectations of the cases in cases/: `make.py [--out DIR] [NAME...]`.

What a case sends and what must be true of it stands in cases_*.py, by hand. The outputs are then
recorded by `tagd --replay -r tests/replay/cases`, which refuses a case that is not as expected.
The same text gives the same bytes, so test_replay.py can tell that inputs were not edited."""
import argparse
import importlib
import logging
import pathlib
import shutil
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.utils import PcapWriter  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ("cases_native", "cases_policy", "cases_accel", "cases_ends", "cases_hostile")

GW = "10.77.0.1"
GW6 = "fd77::1"
CLIENT = "10.77.0.2"
CLIENT6 = "fd77::2"
GW_MAC = "02:00:00:00:01:01"
CLIENT_MAC = "02:00:00:00:00:02"
BROADCAST = "ff:ff:ff:ff:ff:ff"


def server(n):
    """Addresses of server n, from 1: IPv4, IPv6, MAC of its TAP."""
    return f"10.77.0.{10 + n}", f"fd77::{10 + n}", f"02:00:00:00:02:{n:02x}"


S1, S1_6, S1_MAC = server(1)
S2, S2_6, S2_MAC = server(2)


def section(kind, name, keys):
    head = f'[{kind} "{name}"]' if name else f"[{kind}]"
    return head + "\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n"


def conf(gateway=None, ports=None, servers=None, services=None, rules=None):
    """A configuration. servers: number, or name -> keys; the others: name -> keys."""
    if isinstance(servers, int) or servers is None:
        servers = {f"s{n}": {"address": ", ".join(server(n)[:2])} for n in range(1, (servers or 1) + 1)}
    text = section("gateway", "", {"name": "gw1", **(gateway or {})})
    for name, keys in (ports or {"lan0": {}}).items():
        text += section("port", name, {"device": f"net_af_packet0,iface={name}", "announce": 0,
                                       "address": f"{GW}/24, {GW6}/64", **keys})
    text += section("fabric", "", {"device": "soft0"})
    for name, keys in servers.items():
        text += section("server", name, {"key": "secret", **keys})
    for name, keys in (services if services is not None else {"all": {"accelerate": "first-send"}}).items():
        text += section("service", name, keys)
    for name, keys in (rules or {}).items():
        text += section("rule", name, keys)
    return text


class Case:
    """One case: what is sent, what is played, what must be true."""
    all = {}

    def __init__(self, name, about, **config):
        assert name not in Case.all, name
        Case.all[name] = self
        self.name, self.about, self.config = name, about, config
        self.inputs, self.script, self.expectations = {}, [], []

    def lan(self, time, packet, port="lan0"):
        """A frame (or bytes) that a port receives."""
        self.inputs.setdefault(port, []).append((time, bytes(packet)))

    def srv(self, time, packet, name="s1"):
        """A frame that a server's kernel sends."""
        self.inputs.setdefault(name, []).append((time, bytes(packet)))

    def play(self, time, line):
        """A line of host.script."""
        self.script.append((time, line))

    def expect(self, *lines):
        self.expectations += lines

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*-in.pcap"):
            old.unlink()
        (folder / "README").write_text(self.about.strip() + "\n")
        (folder / "tagd.conf").write_text(conf(**self.config))
        (folder / "expect").write_text("\n".join(self.expectations) + "\n")
        if self.script:
            lines = sorted(self.script, key=lambda x: x[0])
            (folder / "host.script").write_text("".join(f"{t:.6f} {line}\n" for t, line in lines))
        else:
            (folder / "host.script").unlink(missing_ok=True)
        for name, packets in self.inputs.items():
            with PcapWriter(str(folder / f"{name}-in.pcap"), linktype=1, sync=False) as w:
                w.write_header(None)
                for time, data in sorted(packets, key=lambda x: x[0]):
                    whole = round(time * 1e6)
                    w.write_packet(data, sec=whole // 1000000, usec=whole % 1000000)


class Flow:
    """A TCP connection between a client and a server: both ends' sequence numbers are followed."""

    def __init__(self, case, cport=40000, sport=80, client=None, srv=1, name=None, v6=False, isn=1000,
                 sisn=5000, mss=1460, options=None, client_mac=CLIENT_MAC, gw_mac=GW_MAC, port="lan0",
                 ts=None, window=512, server_addr=None):
        v4_addr, v6_addr, mac = server(srv)
        self.case, self.name, self.port, self.v6 = case, name or f"s{srv}", port, v6
        self.client = client or (CLIENT6 if v6 else CLIENT)
        self.server = server_addr or (v6_addr if v6 else v4_addr)
        self.cport, self.sport = cport, sport
        self.cl2 = Ether(src=client_mac, dst=gw_mac)
        self.sl2 = Ether(src=mac, dst=gw_mac)
        self.cseq, self.sseq, self.window, self.ts, self.ident = isn, sisn, window, ts, 0
        self.options = options if options is not None else [("MSS", mss), ("WScale", 7), ("SAckOK", b"")]

    def ip(self, src, dst, **kw):
        self.ident += 1
        return IPv6(src=src, dst=dst, **kw) if self.v6 else IP(src=src, dst=dst, id=self.ident, **{"flags": "DF", **kw})

    def to_server(self, flags, seq=None, ack=None, data=b"", options=None, window=None, ip=None, **kw):
        """A segment of the client, not yet sent anywhere."""
        has_ack = flags != "S"
        return (self.cl2 / self.ip(self.client, self.server, **(ip or {})) /
                TCP(sport=self.cport, dport=self.sport, flags=flags, seq=self.cseq if seq is None else seq,
                    ack=(self.sseq if ack is None else ack) if has_ack else 0,
                    window=self.window if window is None else window, options=options or [], **kw) / data)

    def to_client(self, flags, seq=None, ack=None, data=b"", options=None, window=512, ip=None):
        """A segment of the server's kernel."""
        return (self.sl2 / self.ip(self.server, self.client, **(ip or {})) /
                TCP(sport=self.sport, dport=self.cport, flags=flags, seq=self.sseq if seq is None else seq,
                    ack=self.cseq if ack is None else ack, window=window, options=options or []) / data)

    def c(self, time, flags="A", data=b"", **kw):
        """The client sends."""
        self.case.lan(time, self.to_server(flags, data=data, **kw), self.port)
        if kw.get("seq") is None:
            self.cseq += len(data) + ("S" in flags) + ("F" in flags)

    def s(self, time, flags="A", data=b"", **kw):
        """The server's kernel sends."""
        self.case.srv(time, self.to_client(flags, data=data, **kw), self.name)
        if kw.get("seq") is None:
            self.sseq += len(data) + ("S" in flags) + ("F" in flags)

    def open(self, time):
        """Three-way handshake, natively, a millisecond between its segments."""
        self.c(time, "S", options=self.options)
        self.s(time + .001, "SA", options=self.options, window=65535)
        self.c(time + .002, "A")
        return self

    def conn(self, time, label="c1", **kw):
        """Declares the connection to the script, with the numbers it has by now."""
        words = "".join(f" {k}={v}" for k, v in kw.items())
        client = f"[{self.client}]" if self.v6 else self.client
        local = f"[{self.server}]" if self.v6 else self.server
        self.case.play(time, f"{self.name} conn {label} client={client}:{self.cport} "
                             f"server={local}:{self.sport} snd={self.sseq} rcv={self.cseq}{words}")
        self.label = label
        return self

    def do(self, time, verb, *words):
        """A verb of the script about this connection."""
        self.case.play(time, " ".join([self.name, verb, self.label, *map(str, words)]))


def load():
    sys.path.insert(0, str(HERE))
    for name in MODULES:
        importlib.import_module(name)
    return Case.all


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--out", type=pathlib.Path, default=HERE / "cases")
    args.add_argument("names", nargs="*")
    opts = args.parse_args()
    cases = load()
    for name in opts.names or cases:
        cases[name].write(opts.out / name)
    if not opts.names and opts.out.is_dir():
        for folder in opts.out.iterdir():
            made = not (folder / "CAPTURED").exists()
            if folder.is_dir() and made and folder.name not in cases:
                shutil.rmtree(folder)
    print(f"{len(opts.names or cases)} cases in {opts.out}")


if __name__ == "__main__":
    sys.modules["make"] = sys.modules["__main__"]
    main()
