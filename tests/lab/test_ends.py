# SPDX-License-Identifier: BSD-3-Clause
"""How connections end: the other side sees what it would see from a plain kernel server."""
import pytest

from conftest import wait_for

# A client that sends a line, then behaves as told; prints what it sees of the end.
CLIENT = r"""
import socket, struct, sys, time
mode, port = sys.argv[1], int(sys.argv[2])
s = socket.create_connection(("10.77.0.11", port), timeout=10)
s.sendall(b"hello\n")
first = s.recv(6)
assert first == b"HELLO\n", first
if mode == "reset":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
elif mode == "halfclose":
    s.shutdown(socket.SHUT_WR)
    rest = b""
    while block := s.recv(65536):
        rest += block
    print("got", len(rest))
elif mode == "read":
    s.sendall(b"x" * 100000)
    total = 0
    try:
        while block := s.recv(65536):
            total += len(block)
        print("eof", total)
    except ConnectionResetError:
        print("reset", total)
elif mode == "stay":
    print("ready", flush=True)
    time.sleep(60)
"""

# A server of one connection: answers the first line, then behaves as told.
SERVER = r"""
import os, signal, socket, sys, time
mode, port = sys.argv[1], int(sys.argv[2])
l = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("0.0.0.0", port)); l.listen(8)
print("listening", flush=True)
s, _ = l.accept()
line = s.recv(6)
s.sendall(line.upper())
if mode == "wait":
    try:
        while block := s.recv(65536):
            pass
        print("eof", flush=True)
    except ConnectionResetError:
        print("reset", flush=True)
elif mode == "afterfin":
    while s.recv(65536):
        pass
    s.sendall(b"y" * 300000)
    s.close(); print("closed", flush=True)
elif mode == "unread":
    time.sleep(0.5)
    s.close(); print("closed", flush=True)
elif mode == "shutwr":
    s.sendall(b"z" * 200000); s.shutdown(socket.SHUT_WR)
    n = 0
    while block := s.recv(65536):
        n += len(block)
    print("read", n, flush=True)
elif mode == "die":
    s.sendall(b"d" * 200000); time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)
elif mode == "dieunread":
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Pair:
    """One server program and one client program, natively or accelerated."""

    def __init__(self, lab, accelerated):
        self.lab = lab
        self.prefix = ["tagrun"] if accelerated else []
        self.port = 7000

    def run(self, server_mode, client_mode):
        self.port += 1
        server = self.lab.start("server1", *self.prefix, "python3", "-c", SERVER, server_mode,
                                self.port, stdout=-1, text=True)
        assert server.stdout.readline() == "listening\n"
        client = self.lab.start("client", "python3", "-c", CLIENT, client_mode, self.port,
                                stdout=-1, text=True)
        return server, client


def outcome(lab, accelerated, server_mode, client_mode):
    """What both programs report of the end."""
    server, client = Pair(lab, accelerated).run(server_mode, client_mode)
    said = client.communicate(timeout=30)[0], server.communicate(timeout=30)[0]
    return said


@pytest.mark.asan
@pytest.mark.parametrize("server_mode, client_mode", [
    ("wait", "reset"),       # client RST
    ("afterfin", "halfclose"),  # half-close by the client
    ("shutwr", "read"),      # half-close by the server
    ("unread", "read"),      # close with unread data: RST
    ("die", "read"),         # server program killed, data sent: all of it, then the end
    ("dieunread", "read"),   # server program killed with unread data: RST
])
def test_end_is_the_same_as_from_a_kernel_server(lab, server_mode, client_mode):
    native = outcome(lab, False, server_mode, client_mode)
    before = lab.stats()["accel_commits"]
    accelerated = outcome(lab, True, server_mode, client_mode)
    assert lab.stats()["accel_commits"] == before + 1
    assert accelerated == native
    lab.quiet(15)
    wait_for(lambda: lab.memory()["connections"] == 0, what="no connection left")


def test_client_killed(lab):
    server, client = Pair(lab, True).run("wait", "stay")
    assert client.stdout.readline() == "ready\n"
    wait_for(lambda: [c for c in lab.conns() if c["mode"] == "accelerated"], what="takeover")
    client.kill()
    assert server.communicate(timeout=20)[0] in ("eof\n", "reset\n")
    lab.quiet(15)
