# SPDX-License-Identifier: BSD-3-Clause
"""Random loss on the client LAN, and of datagrams on the fabric."""
import pytest

from conftest import sha256

MB = 1 << 20


def lose(lab, percent):
    """Drops TCP segments at random in both directions, in the client's namespace."""
    rules = f"""
        table inet loss {{
          chain in {{ type filter hook input priority 0; meta l4proto tcp numgen random mod 100 < {percent} drop; }}
          chain out {{ type filter hook output priority 0; meta l4proto tcp numgen random mod 100 < {percent} drop; }}
        }}"""
    lab.run("client", "nft", "-f", "-", input=rules)


@pytest.mark.parametrize("percent, control", [(1, "cubic"), (1, "bbr"),
                                              pytest.param(5, "cubic", marks=pytest.mark.asan)])
def test_download_and_upload_under_loss(make_lab, www, percent, control):
    lab = make_lab(ud_loss=5 if percent == 5 else 0, gateway=f"congestion-control = {control}")
    down, up = www("down", 8 * MB), www("upl", 8 * MB)
    nginx = lab.nginx(www.root)
    lose(lab, percent)
    before = lab.stats()
    assert lab.fetch("http://10.77.0.11/down", timeout=180) == sha256(down)
    lab.run("client", "curl", "-sS", "--fail", "-T", up, "http://10.77.0.11/up/upl", timeout=180)
    assert sha256(nginx.home / "up/upl") == sha256(up)
    after = lab.stats()
    assert after["tcp_retransmits"] > before["tcp_retransmits"]
    lab.quiet(60)
