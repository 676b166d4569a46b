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
FAULT = BUILD / "ibside" / "softhca" / "softhca-fault"
ALL = os.environ.get("SOFTHCA_ORACLES") == "all"  # every row of the table in docs/softhca.md


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


def wait_listening_or_end(port, process):
    """The same for a program that may end at once."""
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        table = pathlib.Path("/proc/net/tcp").read_text() + pathlib.Path("/proc/net/tcp6").read_text()
        if f":{port:04X} " in table:
            return
        time.sleep(0.02)


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
        if not process.stdout.closed:
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


@pytest.mark.parametrize("options", [
    "", "-e", "-g 0", "-s 1", "-s 1000000 -n 100", "-m 1024 -r 50", "-t", "-c", "-N", "-l 3"],
    ids=lambda o: o or "plain")
def test_rc_pingpong(subnet, options):
    out = pair(subnet, "ibv_rc_pingpong", *options.split())
    assert re.search(r"^\d+ iters in .* usec/iter$", out, re.M)


@pytest.mark.parametrize("command", [
    f"ibv_{kind}_pingpong{options}" for kind in ("ud", "uc", "srq") for options in ("", " -e", " -g 0")
] + ["ibv_ud_pingpong -s 2048 -r 10", "ibv_uc_pingpong -s 1 -n 100", "ibv_srq_pingpong -q 4 -e",
     "ibv_srq_pingpong -s 65536"])
def test_pingpong(subnet, command):
    out = pair(subnet, *command.split())
    assert re.search(r"iters in .* usec/iter$", out, re.M)


# What a device without the feature must say, and no crash.
@pytest.mark.parametrize("command,says", [
    ("ibv_rc_pingpong -o", "isn't ODP capable"),
    ("ibv_rc_pingpong -j", "doesn't support dm allocation"),
    ("ibv_xsrq_pingpong", "Couldn't Open the XRC Domain"),
    ("ib_send_bw -c XRC", "XRC"),
    ("ib_send_bw -c DC", "Unable to create QP"),
    ("ib_read_bw --odp", "failed to create mr"),
    ("ib_send_bw -R", "rdma_create_event_channel failed"),
])
def test_refused(subnet, command, says):
    command = command.split()
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    port = free_port()
    with server(subnet, *command, "-d", "soft0", "-p", str(port)) as peer:
        if command[0].startswith("ibv"):
            peer.wait(20)
        else:
            wait_listening_or_end(port, peer)
        if peer.poll() is None:
            status, out = launch(subnet, *command, "-d", "soft0", "-p", str(port), "127.0.0.1")
            peer.communicate(timeout=20)  # its client has gone: it ends by itself, and closes its port
        else:
            status, out = peer.returncode, peer.communicate()[0]
    assert status not in (0, None) and status > 0, out
    assert says in out, out


PERFTEST = """
ib_read_bw
ib_read_bw -a -n 50
ib_read_bw --use_old_post_send
ib_read_bw -q 16
ib_read_bw -e
ib_read_bw -b
ib_read_bw -o 1
ib_read_bw -m 256
ib_read_bw -s 8388608 -n 20
ib_read_lat -s 2
ib_read_lat -s 65536
ib_read_lat -e
ib_read_lat -x 0
ib_write_bw
ib_write_bw -c UC
ib_write_bw -I 64 -s 64
ib_write_bw -b
ib_write_bw -q 8
ib_write_bw -l 8 -n 400
ib_write_bw -s 2
ib_write_bw -s 8388608 -n 20
ib_write_bw -c UC -s 8388608 -n 20
ib_write_lat
ib_write_lat -c UC
ib_write_lat -I 128 -s 64
ib_send_bw
ib_send_bw -e
ib_send_bw -e -q 4
ib_send_bw -e -c UC
ib_send_bw -e -c UD -s 1024
ib_send_bw -b
ib_send_bw -x 0
ib_send_bw -c UD -s 2
ib_send_bw -c UD -s 4096
ib_send_bw -c UD -s 512 -x 0
ib_send_bw -c UD -q 8 -s 1024
ib_send_bw -c UD -I 128 -s 64
ib_send_bw -c UC
ib_send_bw -I 512 -s 256
ib_send_bw -l 8 -r 64 -n 400
ib_send_bw --recv_post_list 8 -r 64 -n 400
ib_send_bw -r 16 -q 4 --use-srq
ib_send_bw -s 8388608 -n 20
ib_send_bw -c UC -s 8388608 -n 20
ib_send_bw --use_old_post_send
ib_send_lat
ib_send_lat -e
ib_send_lat -e -c UD
ib_send_lat -c UC
ib_send_lat -c UD
ib_send_lat -I 128 -s 64
ib_send_lat -s 8388608 -n 20
ib_atomic_bw
ib_atomic_bw -A CMP_AND_SWAP
ib_atomic_bw -q 4
ib_atomic_bw -e
ib_atomic_lat -A CMP_AND_SWAP
ib_atomic_lat
"""

# Every size from 2 bytes to 8 MB: most of the time is perftest's calibration for each.
SWEEPS = """
ib_read_lat -a -n 50
ib_write_bw -a -n 50
ib_write_bw -a -n 50 -c UC
ib_write_lat -a -n 50
ib_write_lat -a -n 50 -c UC
ib_send_bw -a -n 50
ib_send_bw -a -n 50 -c UC
ib_send_lat -a -n 50
ib_send_lat -a -n 50 -c UC
ib_send_lat -a -n 50 -c UD
ib_send_bw -a -n 50 -c UD
"""


@pytest.mark.parametrize("command", (PERFTEST + (SWEEPS if ALL else "")).strip().splitlines())
def test_perftest(subnet, command):
    command = command.split()
    count = [] if "-n" in command else ["-n", "200"]
    out = pair(subnet, *command, *count)
    iterations = (command + count)[(command + count).index("-n") + 1]
    rows = re.findall(rf"^ *\d+ +{iterations} ", out, re.M)
    if "-a" in command:
        assert len(rows) == (12 if "UD" in command else 23), out  # 2 bytes to the MTU, or to 8 MB
    else:
        assert rows or "-q" in command or "-b" in command, out


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


# Why a test of rdma-core's suite may be skipped here; docs/softhca.md says what is behind each.
SKIPPED_FOR = """
Can not run the test over non MLX5 device|Can not run the test over non EFA device
Could not open mlx5 context|ODP is not supported|Device memory is not supported
doesn't have net interface|Allocating dmabuf is not supported|Must be run by root on Ethernet
RAW QP must be done by root on Ethernet|Create XRCD is not supported|Create MW is not supported
Create memory window of type 3|Parent Domain is not supported|Rereg MR is not supported
Extended CQ is not supported|Extended QP is not supported|no huge pages|cuda-python|CUDA
PCI device must be passed|Converting timestamp to nanoseconds|Link layer of port=1 is InfiniBand
Importing a device is not supported|All gid indices populated|No supported port is up
""".strip().replace("\n", "|")


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
    assert "FAILED" not in out, out
    for why in re.findall(r"skipped ['\"](.*)['\"]$", out, re.M):
        assert re.search(SKIPPED_FOR, why), why
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


def tshark(capture, *fields, select=None):
    """Rows of @fields of a capture's packets."""
    command = ["tshark", "-n", "--disable-heuristic", "rpcrdma_infiniband", "-r", str(capture),
               *(["-Y", select] if select else []), *(["-T", "fields"] if fields else [])]
    for field in fields:
        command += ["-e", field]
    result = subprocess.run(command, text=True, capture_output=True, timeout=60, check=True)
    return [line.split("\t") for line in result.stdout.splitlines()]


def need_tshark():
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")


def test_captures_dissect(subnet, tmp_path):
    """Every kind of packet, native frames and SDP messages, in tshark's eyes."""
    need_tshark()
    capture = tmp_path / "all.pcap"
    subprocess.run([BUILD / "tests/unit/softhca/test_soft_capture"], check=True, timeout=60,
                   env=dict(subnet, SOFTHCA_PCAP=str(capture), SOFTHCA_PCAP_CM="1"),
                   capture_output=True)
    lines = [row[0] for row in tshark(capture)]
    assert len(lines) > 35
    assert not [line for line in lines if "alformed" in line or "Invalid" in line]
    assert not tshark(capture, select="_ws.malformed || _ws.expert.severity == error")
    opcodes = {int(row[0]) for row in tshark(capture, "infiniband.bth.opcode")}
    assert opcodes >= {0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 100, 101}
    frames = tshark(capture, "frame.protocols", "eth.src", "arp.dst.proto_ipv4", select="eth")
    assert [f[0] for f in frames] == ["erf:infiniband:ethertype:eth:ethertype:arp"] * 2
    assert {tuple(f[1:]) for f in frames} == {("02:00:00:00:00:01", "10.77.0.2")}
    types = [row[0] for row in tshark(capture, "infiniband_sdp.bsdh.mid",
                                      select="infiniband.bth.opcode == 4 && infiniband_sdp")]
    assert types == ["0x40", "0x41", "0xfe"]
    assert tshark(capture, "infiniband.grh.nxthdr", select="infiniband.bth.opcode == 101") == [["27"]]
    naks = tshark(capture, "infiniband.aeth.syndrome.error_code",
                  select="infiniband.aeth.syndrome.opcode == 3")
    assert [int(row[0]) for row in naks] == [2]  # remote access error
    reads = tshark(capture, "infiniband.reth.dmalen", select="infiniband.bth.opcode == 12")
    assert [int(row[0]) for row in reads] == [12288, 8, 8]


@pytest.mark.parametrize("program,opcodes", [
    ("ib_read_bw", {13, 14, 15}), ("ib_send_bw", {0, 1, 2}), ("ib_write_bw -c UC", {38, 39, 40})])
def test_packet_numbers_have_no_gaps(subnet, tmp_path, program, opcodes):
    need_tshark()
    capture = tmp_path / "perftest.pcap"
    pair(dict(subnet, SOFTHCA_PCAP=str(capture)), *program.split(), "-s", "20000", "-n", "40")
    rows = tshark(capture, "infiniband.lrh.dlid", "infiniband.bth.destqp", "infiniband.bth.opcode",
                  "infiniband.bth.psn", "infiniband.lrh.pktlen", "frame.len")
    assert not tshark(capture, select="_ws.malformed")
    streams = {}
    for dlid, qpn, opcode, psn, words, length in rows:
        assert int(words) * 4 + 2 == int(length)
        if int(opcode) in opcodes:
            streams.setdefault((dlid, qpn), []).append(int(psn))
    assert streams
    for numbers in streams.values():
        assert len(numbers) >= 5 * 40
        assert all((b - a) % (1 << 24) == 1 for a, b in zip(numbers, numbers[1:]))


def test_capture_is_bounded(subnet, tmp_path):
    capture = tmp_path / "some.pcap"
    pair(dict(subnet, SOFTHCA_PCAP=str(capture), SOFTHCA_PCAP_MAX="200000"), "ib_read_bw", "-n", "200")
    assert 100000 < capture.stat().st_size <= 200000


def fault(env, *words):
    """softhca-fault; its output."""
    return subprocess.run([FAULT, *words], env=env, check=True, text=True, capture_output=True).stdout


@pytest.mark.parametrize("rule,says", [
    ("retry-exc op=write after=100", "status 12"), ("rem-access to-proc=ib_write_bw", "status 10"),
    ("qp-fatal", "status 5"), ("port-down lid=1", "status 12")])
def test_fault_hits_a_running_program(subnet, rule, says):
    """Rules reach programs that are up already, and leave nothing behind."""
    if not shutil.which("ib_write_bw"):
        pytest.skip("perftest is not installed")
    port = str(free_port())
    command = ["ib_write_bw", "-d", "soft0", "-p", port, "-D", "30", "-u", "12"]
    with server(subnet, *command) as peer:
        wait_listening(int(port), peer)
        client = subprocess.Popen([RUN, *command, "127.0.0.1"], env=subnet, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(0.8)
        assert client.poll() is None
        fault(subnet, "add", *rule.split())
        out, _ = client.communicate(timeout=10)
        assert client.returncode != 0
        assert says in out, out
        listed = fault(subnet, "list")
        assert listed.startswith(rule.split()[0])
        if "port-down" not in rule:
            assert "left=0 hits=1" in listed
        fault(subnet, "clear")
        assert fault(subnet, "list") == ""
    run(subnet, "ibv_devinfo")


def test_port_down_is_seen(subnet):
    assert fault(subnet, "add", "port-down") == ""
    assert re.search(r"state:\s+PORT_DOWN \(1\)", run(subnet, "ibv_devinfo"))
    fault(subnet, "add", "port-up")
    assert re.search(r"state:\s+PORT_ACTIVE \(4\)", run(subnet, "ibv_devinfo"))


@pytest.mark.parametrize("words,says", [
    ("add", "usage"), ("add op=read", "no kind of fault"), ("add ud-loss", "per cent"),
    ("add rnr retry-exc", "one rule has one kind"), ("add rnr colour=red", "unknown key: colour"),
    ("add rnr op=dance", "read, write, send or atomic"), ("add rnr lid=x", "lid=x: not a number"),
    ("dance", "usage")])
def test_fault_tool_explains_mistakes(subnet, words, says):
    result = subprocess.run([FAULT, *words.split()], env=subnet, text=True, capture_output=True)
    assert result.returncode == 2
    assert says in result.stderr
    subprocess.run([FAULT, "clear"], env=subnet, check=True)
