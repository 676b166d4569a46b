# SPDX-License-Identifier: BSD-3-Clause
"""`tagctl conn show`: one connection in all detail, while it runs and after it was handed back."""
import json

import pytest

from conftest import wait_for

MB = 1 << 20
FLOW = ["client", "curl", "-sS", "--limit-rate", "2M", "-o", "/dev/null", "http://10.77.0.11/big"]


def accelerated(lab):
    return next((c for c in lab.conns() if c["mode"] == "accelerated" and c["tx_bytes"] > MB), None)


@pytest.mark.asan
def test_conn_show(lab, www):
    www("big", 64 * MB)
    lab.nginx(www.root)
    lab.start(*FLOW)
    conn = wait_for(lambda: accelerated(lab), what="an accelerated download")

    # by token, as `conn list` prints it, and by the client's address
    for name in (f"0x{conn['token']:08x}", str(conn["token"]), conn["client"]):
        reply = json.loads(lab.run("gw", "tagctl", "--json", "conn", "show", name).stdout)
        (row,) = reply["connections"]
        assert row["token"] == conn["token"]
    assert row["at_work"]
    perf, app = row["estats"]["perf"], row["estats"]["app"]
    assert app["HCThruOctetsAcked"] >= conn["tx_bytes"] // 2
    assert perf["HCDataOctetsOut"] >= app["HCThruOctetsAcked"]
    assert perf["DataSegsOut"] * perf["CurMSS"] >= app["HCThruOctetsAcked"]
    assert perf["SegsIn"] > 0
    path = row["estats"]["path"]
    assert 0 < path["MinRTTUs"] <= perf["SmoothedRTTUs"] and path["MaxRTTUs"] > 0
    # something limits the sender at any time
    limited = sum(perf[f"SndLimTime{who}Us"] for who in ("Rwin", "Cwnd", "Snd"))
    assert abs(limited / 1e6 - row["age_s"]) < 1

    # the black box: the newest events in their order
    box = row["black_box"]
    assert 0 < len(box) <= 64 and row["events_recorded"] > len(box)
    ago = [e["us_ago"] for e in box]
    assert ago == sorted(ago, reverse=True) and ago[-1] < 5_000_000
    assert {"in", "out", "want"} <= {e["event"] for e in box}
    out = next(e for e in box if e["event"] == "out")
    assert f"seq {out['a']} len {out['len']}" in out["detail"]

    text = lab.run("gw", "tagctl", "conn", "show", conn["client"]).stdout
    for part in ("estats.perf.SegsOut", "estats.stack.DSACKDups", "US-AGO", "EVENT", "DETAIL"):
        assert part in text
    refused = lab.run("gw", "tagctl", "conn", "show", "10.77.0.2:1", check=False)
    assert refused.returncode == 1 and "no such connection" in refused.stderr


def test_bytes_survive_the_hand_back(lab, www):
    """What it carried while accelerated is still listed when the server's kernel has it again."""
    www("big", 64 * MB)
    lab.nginx(www.root)
    lab.start(*FLOW)
    conn = wait_for(lambda: accelerated(lab), what="an accelerated download")
    lab.run("gw", "tagctl", "conn", "decelerate", conn["client"])
    native = wait_for(lambda: next((c for c in lab.conns() if c["client"] == conn["client"] and
                                    c["mode"] == "native"), None), what="the hand-back")
    assert native["reason"] == "command"
    assert native["tx_bytes"] >= conn["tx_bytes"]
    (row,) = json.loads(lab.run("gw", "tagctl", "--json", "conn", "show",
                                conn["client"]).stdout)["connections"]
    assert "black_box" not in row


def test_without_black_boxes(make_lab, www):
    """With `black-box = 0` nothing is remembered, and the counters are there all the same."""
    lab = make_lab(gateway="black-box = 0")
    www("big", 64 * MB)
    lab.nginx(www.root)
    lab.start(*FLOW)
    conn = wait_for(lambda: accelerated(lab), what="an accelerated download")
    (row,) = json.loads(lab.run("gw", "tagctl", "--json", "conn", "show",
                                conn["client"]).stdout)["connections"]
    assert row["black_box"] == [] and row["estats"]["perf"]["SegsOut"] > 0
    assert "no events are remembered" in lab.run("gw", "tagctl", "conn", "show",
                                                  conn["client"]).stdout
    assert lab.memory()["boxes"] == 0
