# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of the port tests.

    ports_peer.py vlan DEVICE VID TAP ADDRESS MTU   a TAP that is VLAN VID of DEVICE, for kernels without
                                                    802.1Q: tags frames of the TAP, takes tags off its own
    ports_peer.py raw PROTOCOL                      answers IP packets of a protocol: payload upside down
    ports_peer.py ask PROTOCOL ADDRESS COUNT        sends them; prints how many answers were right
    ports_peer.py udp PORT                          answers datagrams in the same way
    ports_peer.py askudp PORT ADDRESS COUNT         sends them from as many ports
    ports_peer.py count DEVICE PROTOCOL SECONDS     IP packets of a protocol that a device received
"""
import fcntl
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID, ETH_P_ALL, OUTGOING = 263, 8, 0x10, 3, 4


def vlan(device, vid, tap, address, mtu):
    tun = open("/dev/net/tun", "r+b", buffering=0)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", tap.encode(), IFF_TAP | IFF_NO_PI))
    for words in (f"link set {tap} address 02:00:00:00:20:02 mtu {mtu} up", f"addr add {address} dev {tap}"):
        subprocess.run(["ip", *words.split()], check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.bind((device, ETH_P_ALL))
    tag = struct.pack("!HH", 0x8100, int(vid))
    print("ready", flush=True)
    while True:
        for ready in select.select([tun, wire], [], [])[0]:
            if ready is tun:
                frame = tun.read(65536)
                wire.send(frame[:12] + tag + frame[12:])
                continue
            frame, control, _, peer = wire.recvmsg(65536, 256)
            status, *_, tci, _ = struct.unpack("IIIHHHH", control[0][2][:20])
            if peer[2] != OUTGOING and status & VLAN_VALID and tci & 0xFFF == int(vid):
                tun.write(frame)


def raw(proto):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(proto))
    print("ready", flush=True)
    while True:
        packet, peer = sock.recvfrom(2048)
        sock.sendto(packet[20:][::-1], peer)


def ask(proto, address, count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(proto))
    sock.settimeout(2)
    right = 0
    for i in range(int(count)):
        question = b"question %03d" % i
        sock.sendto(question, (address, 0))
        try:
            right += sock.recvfrom(2048)[0][20:] == question[::-1]
        except TimeoutError:
            pass
    print(right)


def udp(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", int(port)))
    print("ready", flush=True)
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data[::-1], peer)


def askudp(port, address, count):
    right = 0
    for i in range(int(count)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            question = b"question %03d" % i
            sock.sendto(question, (address, int(port)))
            try:
                right += sock.recvfrom(2048)[0] == question[::-1]
            except TimeoutError:
                pass
    print(right)


def count(device, proto, seconds):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    sock.bind((device, 0x0800))
    sock.settimeout(0.2)
    end, seen = time.monotonic() + float(seconds), 0
    print("ready", flush=True)
    while time.monotonic() < end:
        try:
            frame, peer = sock.recvfrom(65536)
        except TimeoutError:
            continue
        seen += peer[2] != OUTGOING and frame[23] == int(proto)
    print(seen)


if __name__ == "__main__":
    {"vlan": vlan, "raw": raw, "ask": ask, "udp": udp, "askudp": askudp,
     "count": count}[sys.argv[1]](*sys.argv[2:])
