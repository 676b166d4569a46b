# SPDX-License-Identifier: BSD-3-Clause
"""The two ends of the map tests: a server that says who it is and echoes, and a client that holds
many connections, uses them all the time, and tells what became of them.

    maps_peer.py serve NAME PORT [udp]
    maps_peer.py hold COUNT ADDRESS PORT     (commands on stdin: "report", "stop")
    maps_peer.py udp COUNT ADDRESS PORT      (one line: {"names": {...}, "silent": n})
"""
import collections
import json
import selectors
import socket
import sys
import time

PAUSE = 0.2  # between two uses of a connection
PATIENCE = 20.0  # an echo that takes longer is a lost connection
NUDGE = 1.0  # an echo that takes longer is asked for again: a client that says nothing hears no RST


def address(text, port):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return family, (text, int(port))


def serve(name, port, kind="tcp"):
    """Says NAME to each connection, then echoes; a datagram is answered with NAME."""
    if kind == "udp":
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # one socket per local address is not needed: the answer's source is the question's target
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.bind(("::", int(port)))
        while True:
            _, control, _, peer = sock.recvmsg(2048, 256)
            sock.sendmsg([name.encode()], control, 0, peer)
    listener = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True,
                                    backlog=4096)
    listener.setblocking(False)
    sel = selectors.DefaultSelector()
    sel.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            if key.fileobj is listener:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    continue
                conn.setblocking(False)
                conn.send(name.encode() + b"\n")
                sel.register(conn, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(4096)
                if data:
                    key.fileobj.send(data)
            except OSError:
                data = b""
            if not data:
                sel.unregister(key.fileobj)
                key.fileobj.close()


class Conn:
    """One held connection."""

    def __init__(self, sock):
        self.sock = sock
        self.name = b""
        self.waiting = True  # for the name, later for an echo
        self.since = time.monotonic()
        self.asked = self.since  # when it was last written to


class Holder:
    """All held connections."""

    def __init__(self, count, text, port):
        self.sel = selectors.DefaultSelector()
        self.conns = []
        self.lost = collections.Counter()
        self.refused = 0
        self.echoes = 0
        self.longest = 0.0
        family, where = address(text, port)
        for _ in range(count):
            sock = socket.socket(family)
            sock.settimeout(3)
            try:
                sock.connect(where)
            except OSError:
                self.refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            conn = Conn(sock)
            self.conns.append(conn)
            self.sel.register(sock, selectors.EVENT_READ, conn)

    def lose(self, conn):
        self.lost[conn.name.decode() or "?"] += 1
        self.sel.unregister(conn.sock)
        conn.sock.close()
        self.conns.remove(conn)

    def read(self, conn):
        try:
            data = conn.sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.lose(conn)
            return
        now = time.monotonic()
        if not conn.name:
            conn.name = data.strip()
        else:
            self.echoes += 1
            self.longest = max(self.longest, now - conn.since)
        conn.waiting = False
        conn.since = now

    def use(self, conn, now):
        if conn.waiting and now - conn.since > PATIENCE:
            self.lose(conn)
            return
        if not conn.name or now - conn.asked < (NUDGE if conn.waiting else PAUSE):
            return
        try:
            conn.sock.send(b"x")
        except OSError:
            self.lose(conn)
            return
        conn.asked = now
        if not conn.waiting:
            conn.waiting = True
            conn.since = now

    def report(self):
        names = collections.Counter(c.name.decode() for c in self.conns)
        print(json.dumps({"names": names, "lost": self.lost, "refused": self.refused,
                          "echoes": self.echoes, "longest_s": round(self.longest, 3)}), flush=True)
        self.longest = 0.0

    def run(self):
        self.sel.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in self.sel.select(0.02):
                if key.fileobj is not sys.stdin:
                    self.read(key.data)
                    continue
                line = sys.stdin.readline().strip()
                if line == "report":
                    self.report()
                else:
                    return
            now = time.monotonic()
            for conn in list(self.conns):
                self.use(conn, now)


def udp(count, text, port):
    """COUNT datagrams from as many ports: who answers."""
    names = collections.Counter()
    silent = 0
    family, where = address(text, port)
    for _ in range(count):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect(where)
            sock.send(b"who")
            try:
                names[sock.recv(100).decode()] += 1
            except OSError:
                silent += 1
    print(json.dumps({"names": names, "silent": silent}))


def main():
    verb, *args = sys.argv[1:]
    if verb == "serve":
        serve(*args)
    elif verb == "udp":
        udp(int(args[0]), *args[1:])
    else:
        Holder(int(args[0]), *args[1:]).run()


if __name__ == "__main__":
    main()
