# SPDX-License-Identifier: BSD-3-Clause
"""Frames that no datagram of the fabric can carry: the native RC queue pairs, at a path MTU of 1024."""
import pytest

from conftest import sha256

MB = 1 << 20


def ping(lab):
    """Whole Ethernet frames there and back, from either side."""
    for where, target in (("client", "10.77.0.11"), ("server1", "10.77.0.2"),
                          ("server1", "10.77.0.12")):
        out = lab.run(where, "ping", "-c3", "-i0.2", "-W5", "-Mdo", "-s1472", target).stdout
        assert " 3 received" in out, f"{where} to {target}"


@pytest.mark.asan
def test_frames_larger_than_a_datagram(make_lab, www):
    lab = make_lab(servers=2, fabric_mtu=1024)
    ping(lab)
    path = www("big", 16 * MB)
    server = lab.nginx(www.root, accelerated=False)
    before = lab.stats()
    assert lab.fetch("http://10.77.0.11/big") == sha256(path)
    lab.run("client", "curl", "-sS", "--fail", "-T", path, "http://10.77.0.11/up/copy")
    assert sha256(server.home / "up/copy") == sha256(path)
    after = lab.stats()
    assert after["native_bytes_to_lan"] - before["native_bytes_to_lan"] >= 16 * MB
    assert after["native_bytes_to_fabric"] - before["native_bytes_to_fabric"] >= 16 * MB


@pytest.mark.asan
def test_accelerated_beside_them(make_lab, www):
    lab = make_lab(fabric_mtu=1024)
    path = www("big", 16 * MB)
    server = lab.nginx(www.root)
    assert lab.fetch("http://10.77.0.11/big") == sha256(path)
    lab.run("client", "curl", "-sS", "--fail", "-T", path, "http://10.77.0.11/up/copy")
    assert sha256(server.home / "up/copy") == sha256(path)
    stats = lab.stats()
    assert stats["rdma_read_bytes"] >= 16 * MB
    assert stats["rdma_write_bytes"] >= 15 * MB
    lab.quiet()


@pytest.mark.asan
def test_large_frames_after_a_server_attached_again(make_lab):
    lab = make_lab(servers=2, fabric_mtu=1024)
    lab.kill("taghostd2")
    lab.restart_host(2)
    lab.wait_up()
    ping(lab)
