# SPDX-License-Identifier: BSD-3-Clause
"""Many connections, and that nothing is left of them."""
import subprocess

import pytest

from conftest import LAB, sha256, wait_for

MB = 1 << 20


def resources(lab):
    """What a worker holds: connections, chunks, frames and buffers come back, queue pairs stay."""
    return {key: lab.memory()[key] for key in ("connections", "chunks_used", "frames_held",
                                               "mbufs_used", "queue_pairs")}


def arenas(lab):
    """Memory regions of the host: an arena per user, no more."""
    return lab.ctl("server", "list")["servers"][0]["arenas"]


def rss_kb(lab, name):
    for line in open(f"/proc/{lab.pid(name)}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def parallel(lab, url, count, digest, out):
    """Fetches url `count` times at once with one curl process; every copy must be right."""
    args = ["curl", "-sS", "--fail", "--no-keepalive", "--parallel", "--parallel-immediate",
            "--parallel-max", str(count)]
    for i in range(count):
        args += ["-o", str(out / f"copy{i}"), f"{url}?{i}"]
    lab.run("client", *args, timeout=120)
    for i in range(count):
        assert sha256(out / f"copy{i}") == digest, f"copy {i} differs"
        (out / f"copy{i}").unlink()


@pytest.mark.asan
def test_200_parallel_connections_twice(lab, www, tmp_path):
    path = www("one", MB)
    lab.nginx(www.root)
    out = tmp_path / "out"
    out.mkdir()
    digest = sha256(path)
    parallel(lab, "http://10.77.0.11/one", 200, digest, out)
    lab.quiet(20)
    first, regions = resources(lab), arenas(lab)
    rss = rss_kb(lab, "tagd"), rss_kb(lab, "taghostd1")
    parallel(lab, "http://10.77.0.11/one", 200, digest, out)
    lab.quiet(20)
    wait_for(lambda: resources(lab) == first, 10, what=f"resources back to {first}")
    assert arenas(lab) == regions
    # the second round reuses what the first one made
    assert rss_kb(lab, "tagd") < rss[0] * 1.1 + 4096
    assert rss_kb(lab, "taghostd1") < rss[1] * 1.1 + 4096
    stats = lab.stats()
    assert stats["accel_grants"] >= 390


def test_2000_short_connections(lab, www):
    www("tiny", 2000)
    lab.nginx(www.root)
    start = resources(lab)
    script = ("for i in $(seq 20); do curl -sS --fail -o /dev/null -H 'Connection: close' "
              "'http://10.77.0.11/tiny?[1-100]' || exit 1; done")
    lab.run("client", "bash", "-c", script, timeout=200)
    lab.quiet(20)
    wait_for(lambda: resources(lab) == start, 10, what=f"resources back to {start}")
    assert lab.stats()["accel_grants"] >= 2000
    listing = lab.run("gw", "tagctl", "map", "show", "accelerated").stdout
    assert "10.77.0.2" not in listing
