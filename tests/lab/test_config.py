# SPDX-License-Identifier: BSD-3-Clause
"""Bad configuration: every error with file, line and key, what is allowed, exit status 2."""
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["TAG_BUILD"])
TOP = pathlib.Path(os.environ["TAG_TOP"])
pytestmark = pytest.mark.own_suite

GOOD_TAGD = """\
[gateway]
name = gw1

[port "lan0"]
device = net_af_packet0,iface=lan0
address = 10.77.0.1/24

[fabric]
device = soft0

[server "s1"]
key = secret
address = 10.77.0.11

[service "web"]
address = any
port = 80
accelerate = first-send
"""
GOOD_HOST = """\
[host]
name = s1
key = secret
address = 10.77.0.11/24

[fabric]
device = soft0

[gateway "gw1"]
connect = unix:/run/tag/fabric.sock
"""
PROGRAMS = {"tagd": (BUILD / "gateway/tagd", GOOD_TAGD), "taghostd": (BUILD / "host/taghostd", GOOD_HOST)}


def check(program, text, tmp_path, *options):
    path = tmp_path / f"{program}.conf"
    path.write_text(text)
    return path, subprocess.run([PROGRAMS[program][0], *options, "-c", path], capture_output=True,
                                text=True, timeout=20)


@pytest.mark.parametrize("program", ["tagd", "taghostd"])
def test_good_configuration_passes(program, tmp_path):
    _, result = check(program, PROGRAMS[program][1], tmp_path, "-t")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("program, line, text, key, expect", [
    ("tagd", 2, "nmae = gw1", "nmae", "unknown"),
    ("tagd", 2, "workers = 0", "workers", "1"),
    ("tagd", 2, "workers = many", "workers", "many"),
    ("tagd", 2, "max-accelerated = -5", "max-accelerated", "-5"),
    ("tagd", 6, "address = 10.77.0.300/24", "address", "10.77.0.300"),
    ("tagd", 6, "address = 10.77.0.1/99", "address", "99"),
    ("tagd", 13, "address = nowhere", "address", "nowhere"),
    ("tagd", 17, "port = 70000", "port", "70000"),
    ("tagd", 18, "accelerate = sometimes", "accelerate", "first-send"),
    ("taghostd", 4, "address = 10.77.0.11/64", "address", "64"),
    ("taghostd", 10, "connect = carrier-pigeon", "connect", "unix:"),
    ("taghostd", 2, "nmae = s1", "nmae", "unknown"),
])
def test_each_error_names_file_line_and_key(program, line, text, key, expect, tmp_path):
    lines = PROGRAMS[program][1].splitlines()
    lines[line - 1] = text
    path, result = check(program, "\n".join(lines) + "\n", tmp_path, "-t")
    assert result.returncode == 2
    assert f"{path}:{line}:" in result.stderr, result.stderr
    assert key in result.stderr and expect in result.stderr, result.stderr


def test_all_errors_are_reported_at_once(tmp_path):
    text = GOOD_TAGD.replace("port = 80", "port = x").replace("10.77.0.11", "?").replace("gw1", "gw1\nbad = 1")
    _, result = check("tagd", text, tmp_path, "-t")
    assert result.returncode == 2
    assert len([l for l in result.stderr.splitlines() if ".conf:" in l]) >= 3, result.stderr


@pytest.mark.parametrize("program", ["tagd", "taghostd"])
def test_duplicate_section_is_an_error(program, tmp_path):
    text = PROGRAMS[program][1] + "\n[fabric]\ndevice = soft1\n"
    _, result = check(program, text, tmp_path, "-t")
    assert result.returncode == 2
    assert "fabric" in result.stderr and "twice" in result.stderr or "duplicate" in result.stderr


def test_nothing_is_started_with_a_bad_file(tmp_path):
    path, result = check("tagd", GOOD_TAGD.replace("workers", "x") + "\nnonsense\n", tmp_path)
    assert result.returncode == 2
    assert not os.path.exists("/run/tag/tagd.sock")


@pytest.mark.parametrize("program", ["tagd", "taghostd"])
def test_missing_file_is_a_clear_error(program, tmp_path):
    result = subprocess.run([PROGRAMS[program][0], "-t", "-c", tmp_path / "none.conf"],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 2
    assert "none.conf" in result.stderr and "No such file" in result.stderr


@pytest.mark.parametrize("program", ["tagd", "taghostd"])
def test_example_configuration_is_good(program):
    result = subprocess.run([PROGRAMS[program][0], "-t", "-c", TOP / f"conf/{program}.conf"],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stderr


def test_too_little_memory(tmp_path):
    """A worker that gets no frame buffers: the daemon says what to change, and ends in order."""
    conf = tmp_path / "tagd.conf"
    conf.write_text(f"""[gateway]\nname = g\ncontrol = {tmp_path}/control.sock\nmbufs = 65536\nmemory = 64
[fabric]\ndevice = soft0\nlisten = {tmp_path}/listen.sock
[port "lan0"]\ndevice = net_null0\naddress = 10.77.0.1/24\n""")
    result = subprocess.run([BUILD / "gateway/tagd", "-c", conf], text=True, capture_output=True,
                            timeout=60, env=dict(os.environ, SOFTHCA_DIR=str(tmp_path / "fabric")))
    assert result.returncode == 1, result.stderr
    assert "lower [gateway] mbufs, raise memory" in result.stderr


@pytest.mark.parametrize("iface, words", [
    ("lan0", "its rings are locked memory, and the limit of that is 64 KiB; raise it (ulimit -l unlimited"),
    ("eth7", "cannot be opened"),
])
def test_too_little_locked_memory(tmp_path, iface, words):
    """A packet socket's rings are locked: where the limit is too low, the daemon names it and what to do."""
    conf = tmp_path / "tagd.conf"
    conf.write_text(f"""[gateway]\nname = g\ncontrol = {tmp_path}/control.sock
[fabric]\ndevice = soft0\nlisten = {tmp_path}/listen.sock
[port "lan0"]\ndevice = net_af_packet0,iface={iface}\naddress = 10.77.0.1/24\n""")
    command = (f"ip link add lan0 type veth peer name eth0; ip link set lan0 up; exec prlimit --memlock=65536 "
               f"setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock {BUILD}/gateway/tagd -c {conf}")
    result = subprocess.run(["unshare", "-n", "bash", "-c", command], text=True, capture_output=True, timeout=60,
                            env=dict(os.environ, SOFTHCA_DIR=str(tmp_path / "fabric")))
    assert result.returncode == 1, result.stderr
    assert words in result.stderr, result.stderr
