# SPDX-License-Identifier: BSD-3-Clause
"""Kernel RDMA devices (soft-RoCE) in a throw-away guest: the verbs layer on real libibverbs.

Each guest boots once and runs several cases; a test looks at its case's result. Where no guest can
be had (no qemu, no mirror with the kernel), the tests are skipped and say why.
"""
import functools
import os
import pathlib
import re
import subprocess

import pytest

pytestmark = pytest.mark.own_suite

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
HERE = TOP / "tests/vm"


def vm(*command, timeout=120, **options):
    """Runs a command in a guest; its exit status and output. Skips the test without a guest."""
    argv = ["nice", HERE / "vm.sh", "--timeout", timeout]
    for key, value in options.items():
        argv += [f"--{key}", value]
    result = subprocess.run([*map(str, argv), "--", *map(str, command)], text=True,
                            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=timeout + 120)
    if result.returncode == 77:
        pytest.skip(result.stdout.strip())
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
