# SPDX-License-Identifier: BSD-3-Clause
"""`tagd --replay`: every case in cases/, the tool's own promises, and tshark as another judge."""
import filecmp
import os
import pathlib
import shutil
import subprocess

import pytest

import make

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE / "cases"
TOP = HERE.parents[1]
TAGD = pathlib.Path(os.environ.get("TAG_DAEMONS") or os.environ.get("TAG_BUILD") or TOP / "build") / "gateway/tagd"
NAMES = sorted(p.name for p in CASES.iterdir() if (p / "tagd.conf").exists())


def replay(*args, **kw):
    return subprocess.run([str(TAGD), "--replay", *map(str, args)], capture_output=True, text=True, timeout=120, **kw)


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """All cases at once, two at a time; what each said."""
    keep = tmp_path_factory.mktemp("replay")
    out = replay("-v", "-j", 2, "-k", keep, CASES)
    return out.stdout + out.stderr


@pytest.mark.parametrize("name", NAMES)
def test_case(results, name):
    said = [line for line in results.splitlines() if f"cases/{name}" in line]
    assert f"{CASES}/{name}: as expected" in results, "\n".join(said) or results[-2000:]


def test_inputs_are_what_their_text_says(tmp_path):
    """Nobody edited an input, and every case of the text is here."""
    made = make.load()
    for name, case in made.items():
        case.write(tmp_path / name)
        files = [p.name for p in (tmp_path / name).iterdir()]
        same, other, missing = filecmp.cmpfiles(tmp_path / name, CASES / name, files, shallow=False)
        assert not other and not missing, f"{name}: {other + missing}; run tests/replay/make.py"
    captured = {n for n in NAMES if (CASES / n / "CAPTURED").exists()}
    assert set(NAMES) - captured == set(made)


def test_a_capture_becomes_a_case(tmp_path):
    """from_capture.py makes of a capture what is here, inputs and expectations."""
    for name in ("curl", "ping"):
        case = tmp_path / f"real-{name}"
        about = (CASES / case.name / "README").read_text().strip()
        subprocess.run(["/usr/bin/python3", str(HERE / "from_capture.py"), str(HERE / f"captures/{name}.pcapng"), str(case),
                        "--about", about], check=True, capture_output=True)
        files = [p.name for p in case.iterdir()]
        same, other, missing = filecmp.cmpfiles(case, CASES / case.name, files, shallow=False)
        assert {"expect", "host.script", "lan0-in.pcap"} <= set(same) and not other and not missing


def test_there_are_cases_enough():
    assert len(NAMES) >= 60
    for name in NAMES:
        assert (CASES / name / "README").read_text().strip()
        lines = [x for x in (CASES / name / "expect").read_text().splitlines() if x and not x.startswith(("mask", "#"))]
        assert lines, f"{name}: nothing must be true"


def test_dissector_finds_nothing_wrong(tmp_path):
    """No frame that the gateway sent to a LAN is malformed or has a wrong checksum, says tshark."""
    outs = [str(p) for p in CASES.glob("*/lan*-out.pcap")]
    whole = tmp_path / "all.pcap"
    subprocess.run(["mergecap", "-a", "-w", str(whole), *outs], check=True)
    bad = ('_ws.malformed or eth.fcs.status == "Bad" or ip.checksum.status == "Bad" or '
           'tcp.checksum.status == "Bad" or udp.checksum.status == "Bad" or icmp.checksum.status == "Bad" or '
           'icmpv6.checksum.status == "Bad"')
    out = subprocess.run(["tshark", "-n", "-r", str(whole), "-o", "ip.check_checksum:TRUE", "-o",
                          "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.desegment_tcp_streams:FALSE", "--disable-protocol", "dns",
                          "-Y", bad],
                         capture_output=True, text=True, check=True)
    assert out.stdout == ""


def copy_case(tmp_path, name):
    return pathlib.Path(shutil.copytree(CASES / name, tmp_path / name))


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_wrong_byte_is_shown_as_tshark_shows_it(tmp_path):
    case = copy_case(tmp_path, "tcp")
    flip(case / "lan0-out.pcap", 24 + 16 + 14 + 20 + 7)  # the last byte of the first segment's number
    out = replay("-k", tmp_path / "keep", case)
    assert out.returncode == 1
    assert "lan0: packet 1 of" in out.stderr
    assert "- " in out.stderr and "Sequence Number (raw): 5001" in out.stderr
    assert "Sequence Number (raw): 5000" in out.stderr
    kept = {p.name for p in (tmp_path / "keep/tcp").iterdir()}
    assert {"tagd.conf", "lan0-in.pcap", "lan0-out.pcap", "lan0-out.got.pcap", "log", "expect"} <= kept


def test_a_wrong_time_is_a_difference_unless_masked(tmp_path):
    case = copy_case(tmp_path, "tcp")
    flip(case / "lan0-out.pcap", 24 + 4)
    assert replay("-k", tmp_path / "keep", case).returncode == 1
    with open(case / "expect", "a") as f:
        f.write("mask lan0 time\n")
    assert replay("-k", tmp_path / "keep", case).returncode == 0


def test_a_masked_field_may_differ_and_no_other(tmp_path):
    case = copy_case(tmp_path, "tcp")
    with open(case / "expect", "a") as f:
        f.write("mask lan0 ip.id\n")
    flip(case / "lan0-out.pcap", 24 + 16 + 14 + 5)
    assert replay("-k", tmp_path / "keep", case).returncode == 0
    flip(case / "lan0-out.pcap", 24 + 16 + 14 + 19)
    assert replay("-k", tmp_path / "keep", case).returncode == 1


def test_missing_and_extra_packets_are_differences(tmp_path):
    case = copy_case(tmp_path, "tcp")
    (case / "lan0-out.pcap").unlink()
    out = replay("-k", tmp_path / "keep", case)
    assert out.returncode == 1 and "(0 expected)" in out.stderr
    case = copy_case(tmp_path / "b", "tcp")
    shutil.copy(CASES / "udp/fabric-out.pcap", case / "fabric-out.pcap")
    assert replay("-k", tmp_path / "keep", case).returncode == 1


@pytest.mark.parametrize("line, says", [
    ("counter native_frames_to_fabric = 999", "is 5, expected = 999"),
    ("counter no_such_counter = 0", "no counter of that name"),
    ("counter drops >= 1", "is 0, expected >= 1"),
    ("count lan0 tcp.flags=R = 1", "is 0, expected = 1"),
    ("packet lan0 1 tcp.flags=R", "has tcp.flags=SA"),
    ("packet lan0 99 tcp.flags=R", "there are 4 packets"),
    ("packet lan0 1 tcp.flugs=R", "no such field"),
    ("sequence lan0 tcp.flags=R", "no such packet"),
    ("count lan7 = 1", "allowed: fabric, or the name of a port"),
    ("conn c9 state=active", "conn CONNECTION"),
    ("answer 1 has x", "not there"),
    ("mask lan0 tcp.nothing", "no such field"),
    ("wish peace", "allowed: counter"),
    ('packet lan0 "open', "cannot be read"),
])
def test_what_is_not_true_fails(tmp_path, line, says):
    case = copy_case(tmp_path, "tcp")
    with open(case / "expect", "a") as f:
        f.write(line + "\n")
    out = replay("-k", tmp_path / "keep", case)
    assert out.returncode == 1 and says in out.stderr


def test_a_case_that_is_not_as_expected_is_not_recorded(tmp_path):
    case = copy_case(tmp_path, "tcp")
    before = (case / "lan0-out.pcap").read_bytes()
    (case / "expect").write_text("counter native_frames_to_fabric = 999\n")
    assert replay("-r", "-k", tmp_path / "keep", case).returncode == 1
    assert (case / "lan0-out.pcap").read_bytes() == before


def test_recording_twice_gives_the_same(tmp_path):
    for name in ("tcp", "service-shared"):
        case = copy_case(tmp_path, name)
        assert replay("-r", "-k", tmp_path / "keep", case).returncode == 0
        for out in case.glob("*-out.pcap"):
            assert out.read_bytes() == (CASES / name / out.name).read_bytes()


def test_bad_files_are_named(tmp_path):
    case = copy_case(tmp_path, "tcp")
    (case / "lan0-in.pcap").write_bytes(b"not a capture")
    out = replay("-k", tmp_path / "keep", case)
    assert out.returncode == 1 and "lan0-in.pcap" in out.stderr
    case = copy_case(tmp_path / "b", "tcp")
    (case / "host.script").write_text("0.1 s7 dance\n")
    out = replay("-k", tmp_path / "keep", case)
    assert out.returncode == 1 and "host.script:1" in out.stderr
    assert replay(tmp_path / "nowhere").returncode == 2
    assert replay().returncode == 2


def test_needs_no_privileges(tmp_path):
    case = copy_case(tmp_path, "tcp")
    for p in [tmp_path, case, *tmp_path.parents]:
        if p.owner() == "root" and str(p) not in ("/", "/tmp"):
            p.chmod(0o755)
    keep = tmp_path / "keep"
    keep.mkdir(mode=0o777)
    keep.chmod(0o777)
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    out = subprocess.run([*drop, str(TAGD), "--replay", "-k", str(keep), str(case)], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
