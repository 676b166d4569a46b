# SPDX-License-Identifier: BSD-3-Clause
"""Kernel RDMA devices (soft-RoCE) in a throw-away guest: the verbs layer on real libibverbs, and the
whole main job.

Each guest boots once and runs several cases; a test looks at its case's result. Where no guest can
be had (no qemu, no mirror with the kernel), the tests are skipped and say why.
"""
import collections
import functools
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

pytestmark = pytest.mark.own_suite

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
HERE = TOP / "tests/vm"
NO_GUEST = []  # why there is none, once that is known
LEFT = tempfile.TemporaryDirectory(prefix="tagd-vm-out.")  # what guests leave, by case


def vm(*command, timeout=240, **options):
    """Runs a command in a guest; its exit status and output. Skips the test without a guest."""
    if NO_GUEST:
        pytest.skip(NO_GUEST[0])
    argv = ["nice", HERE / "vm.sh", "--timeout", timeout]
    for key, value in options.items():
        argv += [f"--{key}", value]
    result = subprocess.run([*map(str, argv), "--", *map(str, command)], text=True,
                            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=timeout + 120)
    if result.returncode == 77:
        NO_GUEST.append(result.stdout.strip())
        pytest.skip(NO_GUEST[0])
    return result.returncode, result.stdout


# Path MTU by the fabric's Ethernet MTU, and what runs there: TEST/ENDS/GID/LOSS as in verbs.sh. GID 1
# is RoCE v2 over IPv4, 2 over IPv6. Under loss only what is reliable can be expected to work.
VERBS = {
    4200: ["qp/one/1/0", "qp/two/1/0", "qp/two/2/0", "set/two/1/0", "two/two/1/0",
           "threads/two/1/0", "two/two/1/0.5"],
    1500: ["qp/two/1/0", "set/two/1/0", "two/two/2/0", "two/two/1/1"],
}


@functools.lru_cache(maxsize=None)
def verbs(mtu):
    """Results of all cases at an MTU: {case: (status, output)}, and everything the guest said."""
    status, text = vm("bash", HERE / "guest/verbs.sh", BUILD, *VERBS[mtu], mtu=mtu)
    parts = re.split(r"^case (\S+): (\d+)\n", text, flags=re.M)
    cases = {parts[i + 1]: (int(parts[i + 2]), parts[i]) for i in range(0, len(parts) - 1, 3)}
    return cases, f"guest ended with {status}\n{text}"


@pytest.mark.parametrize("mtu, case", [(m, c) for m, cases in VERBS.items() for c in cases])
def test_verbs(mtu, case):
    cases, everything = verbs(mtu)
    assert case in cases, everything
    status, text = cases[case]
    assert status == 0, text


# The main job: (MTU of the fabric's Ethernet, GID index, loss in per cent, megabytes, huge pages).
MAIN = {
    "path-mtu-4096-ipv6": (4200, 2, 0, 8, 192),
    "path-mtu-1024-ipv4": (1500, 1, 0, 4, 0),
    "path-mtu-1024-loss": (1500, 1, 0.5, 2, 0),
}


@functools.lru_cache(maxsize=None)
def main_job(name):
    """What main.sh measured: {name: text}, and everything the guest said."""
    mtu, gid, loss, size, huge = MAIN[name]
    left = pathlib.Path(LEFT.name) / name
    left.mkdir()
    status, text = vm("bash", HERE / "guest/main.sh", TOP, BUILD, mtu, gid, loss, size, huge,
                      mtu=0, memory=1024 + 2 * huge, timeout=500, out=left)
    found = dict(re.findall(r"^(\w+) (\S+)$", text, flags=re.M))
    return found, f"guest ended with {status}\n{text}"


@pytest.mark.parametrize("name", MAIN)
def test_accelerated(name):
    """curl to and from nginx under tagrun: by READ and WRITE alone, every byte right."""
    got, everything = main_job(name)
    mtu, _, _, megabytes, huge = MAIN[name]
    assert got.get("path_mtu") == ("4096" if mtu == 4200 else "1024"), everything
    assert (int(got["huge_pages_used"]) > 20) == bool(huge), everything
    assert got.get("accelerated_equal") == "1", everything
    assert int(got["accelerated_down_rdma_read_bytes"]) >= megabytes << 20, everything
    assert int(got["accelerated_up_rdma_write_bytes"]) >= megabytes << 20, everything
    assert int(got["accelerated_down_native_bytes_to_lan"]) < 65536, everything
    assert int(got["accelerated_up_native_bytes_to_fabric"]) < 65536, everything


@pytest.mark.parametrize("name", MAIN)
def test_native(name):
    """The same without tagrun: in frames of which a path MTU of 1024 takes none as a datagram."""
    got, everything = main_job(name)
    _, _, loss, megabytes, _ = MAIN[name]
    assert got.get("native_equal") == "1", everything
    assert int(got["native_down_rdma_read_bytes"]) == 0, everything
    assert int(got["native_up_rdma_write_bytes"]) == 0, everything
    assert int(got["native_down_native_bytes_to_lan"]) > megabytes << 20, everything
    assert int(got["native_up_native_bytes_to_fabric"]) > megabytes << 20, everything
    if not loss:
        assert got.get("pings") == got.get("pings_back") == "3", everything


def requests(capture):
    """What reliable queue pairs were sent but acknowledgements: to whom, what, numbered how."""
    fields = ["infiniband.bth.destqp", "infiniband.bth.opcode", "infiniband.bth.psn",
              "infiniband.reth.va", "infiniband.reth.r_key", "infiniband.reth.dmalen"]
    command = ["tshark", "-n", "-r", str(capture), "-Y", "infiniband.bth.opcode < 17", "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    out = subprocess.run(command, text=True, capture_output=True, timeout=60, check=True).stdout
    return collections.Counter(out.splitlines())


@pytest.mark.parametrize("name", [n for n in MAIN if not MAIN[n][2]])
def test_capture_is_what_the_wire_has(name):
    """tagd's reconstruction against the kernel's packets, number by number."""
    got, everything = main_job(name)
    left = pathlib.Path(LEFT.name) / name
    assert got.get("capture_missing") == "0", everything
    gateway, wire = requests(left / "gateway.pcap"), requests(left / "wire.pcap")
    assert sum(gateway.values()) > 100, everything
    assert not [packet for packet in gateway if packet not in wire]
    assert max(gateway.values()) == 1  # none is repeated, on the wire it may be
    assert sum(packet not in gateway for packet in wire) <= 0.1 * len(wire)
    bad = subprocess.run(["tshark", "-n", "-r", left / "gateway.pcap", "-Y", "_ws.malformed"],
                         text=True, capture_output=True, timeout=60, check=True).stdout
    assert bad == ""


def test_locked_memory_is_explained():
    """A tagd that may lock 64 KiB refuses to start, says why, and ends in order."""
    _, everything = main_job("path-mtu-1024-ipv4")
    said = "\n".join(re.findall(r"^memlock (.*)$", everything, flags=re.M))
    assert "the limit of locked memory is 64 KiB" in said, everything
    assert "LimitMEMLOCK=infinity" in said
    assert "status 1" in said and "Segmentation" not in said, everything
