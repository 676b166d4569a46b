# SPDX-License-Identifier: BSD-3-Clause
"""The main job: unmodified servers on the fabric, unmodified clients on Ethernet."""
import collections
import subprocess

import pytest

from conftest import sha256, wait_for

MB = 1 << 20


@pytest.mark.asan
def test_ping_both_families(lab):
    lab.run("client", "ping", "-c2", "-W2", "10.77.0.11")
    lab.run("client", "ping", "-c2", "-W2", "fd77::11")
    lab.run("client", "ping", "-c1", "-W2", "10.77.0.1")
    lab.run("client", "ping", "-c1", "-W2", "fd77::1")
    lab.run("server1", "ping", "-c1", "-W2", "10.77.0.2")
    lab.run("server1", "ping", "-c1", "-W2", "fd77::2")


def test_servers_reach_each_other_and_connect_out(make_lab, www):
    lab = make_lab(servers=2)
    lab.run("server1", "ping", "-c1", "-W2", "10.77.0.12")
    lab.nginx(www.root, server=2)
    body = lab.run("server1", "curl", "-sS", "-m5", "http://10.77.0.12/").stdout
    assert body == "ok\n"
    # an outbound connection of a server to a program on the client LAN
    lab.start("client", "python3", "-m", "http.server", "8000", "-d", www.root)
    wait_for(lambda: lab.run("server1", "curl", "-sS", "-m2", "http://10.77.0.2:8000/index.html",
                             check=False).stdout == "ok\n", what="outbound connection")


@pytest.mark.asan
@pytest.mark.parametrize("sendfile", ["on", "off"])
def test_download_accelerated(lab, www, sendfile):
    path = www("big", 64 * MB)
    lab.nginx(www.root, sendfile=sendfile)
    before = lab.stats()
    assert lab.fetch("http://10.77.0.11/big") == sha256(path)
    after = lab.stats()
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 64 * MB
    assert after["native_bytes_to_lan"] - before["native_bytes_to_lan"] < 64 * 1024
    lab.quiet()


def test_download_ipv6(lab, www):
    path = www("big", 16 * MB)
    lab.nginx(www.root)
    before = lab.stats()
    assert lab.fetch("http://[fd77::11]/big", "-g") == sha256(path)
    assert lab.stats()["rdma_read_bytes"] - before["rdma_read_bytes"] >= 16 * MB
    lab.quiet()


def test_download_native_when_policy_is_off(make_lab, www):
    lab = make_lab(accelerate="off")
    path = www("big", 16 * MB)
    lab.nginx(www.root)
    assert lab.fetch("http://10.77.0.11/big") == sha256(path)
    stats = lab.stats()
    assert stats["rdma_read_bytes"] == 0
    assert stats["native_bytes_to_lan"] >= 16 * MB


@pytest.mark.asan
def test_takeover_in_mid_stream(make_lab, www):
    lab = make_lab(accelerate="min-bytes", min_bytes=1 * MB)
    path = www("big", 32 * MB)
    lab.nginx(www.root)
    before = lab.stats()
    assert lab.fetch("http://10.77.0.11/big") == sha256(path)
    after = lab.stats()
    assert after["accel_grants"] - before["accel_grants"] >= 1
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 24 * MB
    lab.quiet()


ASKING = """
import http.client, sys
conn = http.client.HTTPConnection("10.77.0.11", timeout=10)
conn.connect()
print("10.77.0.2:%d" % conn.sock.getsockname()[1], flush=True)
for line in sys.stdin:
    conn.request("GET", "/index.html")
    print(conn.getresponse().read().decode(), end="", flush=True)
"""


def test_conn_accelerate(make_lab, www):
    """Asked for by command, a connection far below min-bytes is taken over at the next bytes."""
    lab = make_lab(accelerate="min-bytes", min_bytes=1 << 30)
    lab.nginx(www.root)
    child = lab.start("client", "python3", "-c", ASKING, stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True)

    def request():
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ok\n"

    def refused(*args):
        result = lab.run("gw", "tagctl", "conn", "accelerate", *args, check=False)
        assert result.returncode != 0
        return result.stderr

    def mode():
        return next(c["mode"] for c in lab.conns() if c["client"] == client)

    client = child.stdout.readline().strip()
    for _ in range(3):
        request()
    assert mode() == "native"
    assert lab.ctl("conn", "accelerate", client) == {"asked": 1}
    wait_for(lambda: request() or mode() == "accelerated", 5, what="taken over")
    assert "accelerated already" in refused(client)
    request()
    lab.run("gw", "tagctl", "conn", "decelerate", client)
    wait_for(lambda: mode() == "native", 5, what="handed back")
    request()
    assert "its server's kernel keeps it" in refused(client)
    assert "no such connection" in refused("10.77.0.2:1")
    child.stdin.close()
    assert child.wait(10) == 0
    stats = lab.stats()
    assert (stats["accel_asks"], stats["accel_commits"], stats["handbacks"]) == (1, 1, 1)


@pytest.mark.asan
def test_upload_accelerated(lab, www):
    path = www("up64", 64 * MB)
    nginx = lab.nginx(www.root)
    before = lab.stats()
    lab.run("client", "curl", "-sS", "--fail", "-T", path, "http://10.77.0.11/up/up64")
    assert sha256(nginx.home / "up/up64") == sha256(path)
    assert lab.stats()["rdma_write_bytes"] - before["rdma_write_bytes"] >= 64 * MB
    lab.quiet()


def test_mixed_when_the_gateway_may_accelerate_only_ten(make_lab, www, tmp_path):
    lab = make_lab(max=10)
    path = www("slow", 6 * MB)
    lab.nginx(www.root)
    script = ('for i in $(seq 50); do curl -sS --fail --limit-rate 500K -o "$1/$i" '
              'http://10.77.0.11/slow & p="$p $!"; done; for j in $p; do wait $j || exit 1; done')
    child = lab.start("client", "bash", "-c", script, "fetch", tmp_path)

    def kinds():
        """Live connections by mode and reason."""
        return collections.Counter((c["mode"], c["reason"]) for c in lab.conns()
                                   if c["state"] != "closed")

    wanted = {("accelerated", "none"): 10, ("native", "gateway-limit"): 40}
    seen = []
    try:
        wait_for(lambda: seen.append(kinds()) or seen[-1] == wanted, 20)
    except AssertionError:
        raise AssertionError(f"wanted {wanted}, seen {seen[::20]}") from None
    assert child.wait(timeout=90) == 0
    assert {sha256(tmp_path / str(i)) for i in range(1, 51)} == {sha256(path)}
    lab.quiet()


@pytest.mark.parametrize("reverse", [False, True])
def test_iperf3(lab, reverse):
    lab.start("server1", "tagrun", "iperf3", "-s", "-1")
    def client():
        return lab.run("client", "iperf3", "-c", "10.77.0.11", "-t", "2", "-J",
                       *(["-R"] if reverse else []), check=False)

    wait_for(lambda: '"bits_per_second"' in client().stdout, 20, 0.3, "iperf3 run")
    lab.quiet()


def test_python_http_server(lab, www):
    path = www("py", 8 * MB)
    lab.start("server1", "tagrun", "python3", "-m", "http.server", "8080", "-d", www.root)
    wait_for(lambda: lab.run("client", "curl", "-s", "-m2", "http://10.77.0.11:8080/index.html",
                             check=False).stdout == "ok\n", what="http.server")
    before = lab.stats()
    assert lab.fetch("http://10.77.0.11:8080/py") == sha256(path)
    assert lab.stats()["rdma_read_bytes"] - before["rdma_read_bytes"] >= 8 * MB
    lab.quiet()
