# SPDX-License-Identifier: BSD-3-Clause
"""A client beyond a router whose next link is narrower than both ends': with and without ICMP."""
import time

import pytest

from conftest import sha256

MB = 1 << 20
ADDRESS = {4: "10.77.0.11", 6: "[fd77::11]"}
MTU = 1400  # of the link between router and far client


@pytest.fixture
def far(make_lab):
    """A lab whose client is a router; beyond it tag-far, 10.78.0.2 and fd78::2."""
    lab = make_lab(routed=1)
    lab.shell(f"""
        ip netns add tag-far
        ip link add far0 netns tag-client type veth peer name eth0 netns tag-far
        ip netns exec tag-client ethtool -K far0 tx off tso off gso off gro off >/dev/null
        ip netns exec tag-far ethtool -K eth0 tx off tso off gso off gro off >/dev/null
        ip netns exec tag-client sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        # A router says as much as it is asked to; the test wants every error.
        ip netns exec tag-client sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
        ip -n tag-client addr add 10.78.0.1/24 dev far0
        ip -n tag-client addr add fd78::1/64 dev far0 nodad
        ip -n tag-far addr add 10.78.0.2/24 dev eth0
        ip -n tag-far addr add fd78::2/64 dev eth0 nodad
        ip -n tag-client link set far0 up
        ip -n tag-far link set eth0 up
        ip -n tag-far route add default via 10.78.0.1
        ip -n tag-far route add default via fd78::1
    """)
    yield lab
    lab.shell("ip netns pids tag-far | xargs -r kill; ip netns del tag-far", check=False)


def narrow(lab):
    """From now on the link takes no more than MTU bytes; the far client does not know it."""
    lab.run("client", "ip", "link", "set", "far0", "mtu", MTU)


def silence(lab):
    """The router's errors are lost."""
    lab.run("client", "nft", "-f", "-", input="""
        table inet silent {
          chain out { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }
        }""")


def download(lab, version, name, limit):
    """SHA-256 of what the far client gets, and how long it took."""
    start = time.monotonic()
    out = lab.shell(f"""ip netns exec tag-far curl -sS --fail -m {limit} http://{ADDRESS[version]}/{name} |
                        sha256sum""", timeout=limit + 10).stdout.split()[0]
    return out, time.monotonic() - start


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_lowers_the_segment_size(far, www, version):
    file = www("narrow", 8 * MB)
    far.nginx(www.root)
    narrow(far)
    before = far.stats()
    got, _ = download(far, version, "narrow", 60)
    after = far.stats()
    assert got == sha256(file)
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 8 * MB  # it was accelerated
    assert after["icmp_errors"] > before["icmp_errors"]
    # The first window did not fit, and hardly anything else.
    assert after["tcp_retransmits"] - before["tcp_retransmits"] < 100
    far.quiet(30)


@pytest.mark.parametrize("version", [4, 6])
def test_black_hole_is_found_without_icmp(far, www, version):
    file = www("hole", 4 * MB)
    far.nginx(www.root)
    narrow(far)
    silence(far)
    before = far.stats()
    got, seconds = download(far, version, "hole", 60)
    after = far.stats()
    assert got == sha256(file)
    assert after["rdma_read_bytes"] - before["rdma_read_bytes"] >= 4 * MB
    assert after["icmp_errors"] == before["icmp_errors"]
    assert seconds < 20
    far.quiet(30)
