# SPDX-License-Identifier: BSD-3-Clause
"""Stock RDMA programs on the software HCA, unmodified: rdma-core's examples and perftest.

They need no lab: two processes on this machine, or in two network namespaces, that exchange
addresses over TCP.  The subnet is a directory of the test's own, empty afterwards.
"""
import contextlib
import gzip
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

pytestmark = pytest.mark.own_suite

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
RUN = BUILD / "ibside" / "softhca" / "softhca-run"


def free_port():
    """A TCP port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def subnet(tmp_path):
    """Environment of a fabric of its own; fails if a port is left behind."""
    path = tmp_path / "fabric"
    env = dict(os.environ, SOFTHCA_DIR=str(path))
    yield env
    assert not path.exists() or list(path.iterdir()) == []


def launch(env, *command, timeout=60):
    """Runs a program on the software HCA; its exit status and output."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    result = subprocess.run([RUN, *command], env=env, text=True, timeout=timeout,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def run(env, *command, timeout=60):
    """The same for a program that must succeed; its output."""
    status, out = launch(env, *command, timeout=timeout)
    assert status == 0, out
    return out


def wait_listening(port, process):
    """Until the server side listens, which /proc/net/tcp tells without connecting to it."""
    want = f":{port:04X} "
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if (local + " ").endswith(want) and state == "0A":
                    return
        time.sleep(0.02)
    pytest.fail(f"server side did not listen: {process.communicate()[0]}")


@contextlib.contextmanager
def server(env, *command):
    """The server side of a pair, killed if it is still there at the end."""
    process = subprocess.Popen([RUN, *command], env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def attempt(env, *command, timeout=60):
    """Runs a program as server and as client; both exit statuses and both outputs."""
    port = free_port()
    command = (*command, "-d", "soft0", "-p", str(port))
    with server(env, *command) as peer:
        wait_listening(port, peer)
        status, out = launch(env, *command, "127.0.0.1", timeout=timeout)
        there, _ = peer.communicate(timeout=timeout)
        return status, peer.returncode, out, there


def pair(env, *command, timeout=60):
    """Runs a program as server and as client; both must succeed; the client's output.

    Perftest first measures the processor's clock against the time of day and gives up, after all
    its traffic, if a busy machine spoils that; then it may try again."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    for _ in range(5):
        status, status_there, out, there = attempt(env, *command, timeout=timeout)
        if "Correlation coefficient" not in out + there:
            break
    assert status == 0, out
    assert status_there == 0, there
    return out


def test_devices(subnet):
    assert re.search(r"^\s+soft0\s+[0-9a-f]{16}$", run(subnet, "ibv_devices"), re.M)


def test_devinfo(subnet):
    out = run(subnet, "ibv_devinfo", "-v")
    assert "hca_id:\tsoft0" in out
    assert re.search(r"state:\s+PORT_ACTIVE \(4\)", out)
    assert re.search(r"active_mtu:\s+4096 \(5\)", out)
    assert re.search(r"link_layer:\s+InfiniBand", out)
    assert re.search(r"GID\[\s*0\]:\s+fe80:", out)


def test_more_devices(subnet):
    out = run(dict(subnet, SOFTHCA_DEVICES="3"), "ibv_devinfo")
    assert re.findall(r"hca_id:\t(soft\d)", out) == ["soft0", "soft1", "soft2"]
    assert sorted(re.findall(r"port_lid:\s+(\d+)", out)) != []


@pytest.mark.parametrize("options", [[], ["-e"], ["-g", "0"], ["-s", "1"], ["-s", "1000000"],
                                     ["-m", "1024", "-r", "50"], ["-t"], ["-c"], ["-N"]],
                         ids=lambda o: "".join(o) or "plain")
def test_rc_pingpong(subnet, options):
    out = pair(subnet, "ibv_rc_pingpong", *options)
    assert re.search(r"^\d+ iters in .* usec/iter$", out, re.M)


@pytest.mark.parametrize("program", ["ibv_ud_pingpong", "ibv_uc_pingpong", "ibv_srq_pingpong"])
@pytest.mark.parametrize("options", [[], ["-e"], ["-g", "0"]], ids=lambda o: "".join(o) or "plain")
def test_pingpong(subnet, program, options):
    out = pair(subnet, program, *options)
    assert re.search(r"iters in .* usec/iter$", out, re.M)


PERFTEST = [
    ["ib_read_bw"], ["ib_read_bw", "-a"], ["ib_read_bw", "--use_old_post_send"],
    ["ib_read_lat", "-s", "65536"], ["ib_read_bw", "-q", "4"],
    ["ib_write_bw"], ["ib_write_bw", "-c", "UC"], ["ib_write_bw", "-I", "64", "-s", "64"],
    ["ib_write_bw", "-b"], ["ib_write_lat"],
    ["ib_send_bw"], ["ib_send_bw", "-e"], ["ib_send_bw", "-b"], ["ib_send_bw", "-x", "0"],
    ["ib_send_bw", "-c", "UD", "-s", "2048"], ["ib_send_bw", "-c", "UD", "-s", "512", "-x", "0"],
    ["ib_send_bw", "-c", "UC"], ["ib_send_bw", "-r", "16", "-q", "4", "--use-srq"],
    ["ib_send_lat"], ["ib_send_lat", "-e"], ["ib_send_lat", "-c", "UD"], ["ib_send_lat", "-a"],
    ["ib_atomic_bw"], ["ib_atomic_lat", "-A", "CMP_AND_SWAP"],
]


@pytest.mark.parametrize("command", PERFTEST, ids=" ".join)
def test_perftest(subnet, command):
    out = pair(subnet, *command, "-n", "300")
    assert re.search(r"^ *#bytes.*\n *\d+ +300 ", out, re.M) or "-q" in command, out


def test_another_namespace(subnet):
    """The fabric crosses network namespaces; only perftest's own TCP needs a way across."""
    if os.geteuid() or not shutil.which("ib_read_bw"):
        pytest.skip("needs root and perftest")
    port, space = str(free_port()), f"softhca-{os.getpid()}"
    command = ["ib_read_bw", "-d", "soft0", "-p", port, "-n", "500"]
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        for line in (f"link add {space[-9:]}a type veth peer name {space[-9:]}b netns {space}",
                     f"addr add 10.99.77.1/30 dev {space[-9:]}a", f"link set {space[-9:]}a up",
                     f"-n {space} addr add 10.99.77.2/30 dev {space[-9:]}b",
                     f"-n {space} link set {space[-9:]}b up"):
            subprocess.run(["ip", *line.split()], check=True)
        with server(subnet, *command) as peer:
            wait_listening(int(port), peer)
            result = subprocess.run(["ip", "netns", "exec", space, RUN, *command, "10.99.77.1"],
                                    env=subnet, text=True, capture_output=True, timeout=60)
            assert result.returncode == 0, result.stdout + result.stderr
            peer.communicate(timeout=30)
            assert peer.returncode == 0
    finally:
        subprocess.run(["ip", "netns", "del", space], check=True)


def test_killed_server(subnet):
    """A peer's death is an error within seconds, not a hang, and its traces go."""
    if not shutil.which("ib_write_bw"):
        pytest.skip("perftest is not installed")
    port = str(free_port())
    command = ["ib_write_bw", "-d", "soft0", "-p", port, "-D", "30"]
    with server(subnet, *command) as peer:
        wait_listening(int(port), peer)
        client = subprocess.Popen([RUN, *command, "127.0.0.1"], env=subnet, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(1.5)
        assert client.poll() is None
        peer.send_signal(signal.SIGKILL)
        out, _ = client.communicate(timeout=10)
        assert client.returncode != 0
        assert "status 12" in out or "Completion with error" in out, out
    run(subnet, "ibv_devinfo")  # the next port sweeps what the dead one left


def test_rdma_core_suite(subnet, tmp_path):
    """rdma-core's own tests of verbs (Debian: python3-pyverbs): what they can run on a device with
    one InfiniBand port must pass; what needs other hardware they skip."""
    source = pathlib.Path("/usr/share/doc/rdma-core/tests")
    if not (source / "run_tests.py").exists():
        pytest.skip("python3-pyverbs, or its documentation folder, is not installed")
    work = tmp_path / "tests"
    shutil.copytree(source, work)
    for packed in work.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    out = run(subnet, "/usr/bin/python3", str(work / "run_tests.py"), "-v", "--dev", "soft0",
              timeout=300)
    assert len(re.findall(r"\bok$", out, re.M)) >= 70, out
    for name in ("test_atomic_invalid_rkey", "test_cq_events_rc", "test_qp_ex_rc_rdma_read",
                 "test_rc_traffic_cq_ex", "test_resize_cq"):
        assert re.search(rf"^{name} \(.*\)(\n.*)? \.\.\. ok$", out, re.M), name


@pytest.mark.parametrize("program", ["gateway/tagd", "host/taghostd"])
def test_comes_before_libibverbs(program):
    """The daemons' references must meet this library first, and libibverbs only behind it."""
    elffile = pytest.importorskip("elftools.elf.elffile")
    with open(BUILD / program, "rb") as stream:
        elf = elffile.ELFFile(stream)
        needed = [tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags()
                  if tag.entry.d_tag == "DT_NEEDED"]
        bound = {}
        for need, auxes in elf.get_section_by_name(".gnu.version_r").iter_versions():
            for aux in auxes:
                bound.setdefault(aux.name, []).append(need.name)
    assert needed.index("libsofthca.so.0") < needed.index("libibverbs.so.1")
    assert "libsofthca.so.0" in bound["IBVERBS_1.1"], bound


def test_nothing_to_run(subnet):
    result = subprocess.run([RUN], env=subnet, text=True, capture_output=True)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: softhca-run")


def test_unwritable_directory(subnet, tmp_path):
    """A fabric that cannot be joined says why and what to set."""
    (tmp_path / "file").write_text("")
    env = dict(subnet, SOFTHCA_DIR=str(tmp_path / "file" / "fabric"))
    result = subprocess.run([RUN, "ibv_devinfo"], env=env, text=True, capture_output=True)
    assert result.returncode != 0
    assert "SOFTHCA_DIR" in result.stderr
