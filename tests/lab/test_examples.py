# SPDX-License-Identifier: BSD-3-Clause
"""Every example of the manual pages, of README.md and of the operator's guide, typed as it stands."""
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from conftest import BUILD, LAB, TOP, wait_for
from examples import blocks, examples, matches, shape

pytestmark = pytest.mark.own_suite

# Pages, and where their plain prompts are.
LAB_PAGES = {
    "docs/tagctl.1": "gateway", "docs/tagd.8": "gateway", "docs/tagd.conf.5": "gateway", "docs/taghostd.8": "server1",
    "docs/taghostd.conf.5": "server1", "docs/tagrun.1": "server1", "docs/softhca-run.1": "server1",
    "docs/softhca-fault.1": "gateway", "docs/operations.md": "gateway",
}
PLACES = {"gateway": "gw", "client": "client"}

# What cannot be run here: the beginning of the command, and why.
NOT_RUN = {
    "README.md": {
        "./run test": "it is what runs this",
        "./run bench": "figures; minutes, and a quiet machine",
        "tests/service/deb.sh": "the suite `service` builds the packages and installs them",
        "apt install": "the suite `service` installs the packages",
        "editor": "for a person",
        "tagctl doctor": "docs/tagctl.1 has it, for the lab",
        "systemctl": "the suite `service` starts the units in a container",
    },
    "docs/operations.md": {
        "apt install": "the suite `service` installs the packages",
        "editor": "for a person",
        "systemctl": "the suite `service` starts the units in a container",
        "journalctl": "the lab has no journal",
        "echo 512 >": "it would take a gigabyte of this machine",
    },
}

CONF = """
[service "web"]
address = 10.77.0.100
port = 80

[rule "no-telnet"]
action = deny
protocol = tcp
destination-port = 23
"""

# Slow fetches from these ports of the client: something moves at any time, for as long as the examples last.
SLOW = range(40001, 40006)
FETCH = """
import socket, sys, time
held = []
for port in map(int, sys.argv[1:]):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    s.bind(("10.77.0.2", port))
    s.connect(("10.77.0.11", 80))
    s.sendall(b"GET /file HTTP/1.0\\r\\n\\r\\n")
    s.setblocking(False)
    held.append(s)
while held:
    time.sleep(0.05)
    for s in list(held):
        try:
            if not s.recv(20000):
                held.remove(s)
        except BlockingIOError:
            pass
        except ConnectionError:
            held.remove(s)
"""


def why_not(example):
    """Why an example is not run, or None."""
    return next((why for start, why in NOT_RUN.get(example.page, {}).items() if example.command.startswith(start)), None)


def check(example, run):
    """Runs an example and compares what it prints. Connections change a moment after what changes them: on a busy
    machine their list may take longer to be as shown."""
    end = time.monotonic() + (10 if "tagctl conn list" in example.command else 0)
    while True:
        done = run(example)
        text = done.stdout
        if matches(example.output, text.splitlines()) or time.monotonic() >= end:
            break
        time.sleep(0.2)
    if not matches(example.output, text.splitlines()):
        said = "\n".join(shape(line) for line in text.splitlines())
        want = "\n".join(shape(line) for line in example.output)
        pytest.fail(f"{example} prints (status {done.returncode})\n{text}\n--- without what differs:\n{said}\n--- the page:\n{want}")


def listeners():
    """How many sockets listen on the first server."""
    done = subprocess.run(["ip", "netns", "exec", "tag-server1", "ss", "-Hltn"], capture_output=True, text=True, check=False)
    return len(done.stdout.splitlines())


class Shell:
    """Types examples; `argv` makes a command line of a place and a command."""

    def __init__(self, argv, files=(), **kw):
        self.argv = argv
        self.files = dict(files)  # as shown -> as they are here
        self.kw = kw
        self.children = []

    def __call__(self, example):
        if example.command.endswith("&"):
            self.children.append(subprocess.Popen(self.argv(example, example.command[:-1]), start_new_session=True,
                                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.kw))
            return subprocess.CompletedProcess("", 0, "")
        done = subprocess.run(self.argv(example, example.command), text=True, timeout=90,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.kw)
        for shown, real in self.files.items():
            done.stdout = done.stdout.replace(real, shown)
        return done

    def type(self, all_of_them):
        """All examples of a page; a server in the background is given the time to listen, as a person would."""
        for example in all_of_them:
            before = listeners()
            if not why_not(example):
                check(example, self)
            if example.command.endswith("&"):
                wait_for(lambda: listeners() > before, what=f"{example} listens")

    def close(self):
        for child in self.children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def page(name):
    return examples(TOP / name, TOP)


def test_readme():
    """The tour and the demo, from the repository's own folder."""
    with open("/run/lock/tag-lab", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the lab's names exist once
        shell = Shell(lambda example, command: ["bash", "-c", command], cwd=TOP)
        try:
            shell.type(page("README.md"))
        finally:
            subprocess.run(["./run", "lab", "down"], cwd=TOP, check=False, capture_output=True)
            shell.close()


@pytest.fixture(scope="module")
def busy(make_module_lab):
    """Two servers, an address that both carry, a rule, and connections from known ports."""
    lab = make_module_lab(servers=2, shared="10.77.0.100", more=CONF)
    root = lab.tmp / "www"
    root.mkdir()
    os.chmod(root, 0o755)
    (root / "index.html").write_text("hello from the fabric\n")
    (root / "file").touch()
    os.truncate(root / "file", 256 << 20)
    for server in (1, 2):
        lab.nginx(root, server)
    lab.fetch("http://10.77.0.100/")
    lab.start("client", "python3", "-c", FETCH, *SLOW)
    lab.start("client", "nc", "-p", 40010, "10.77.0.11", 80, stdin=subprocess.PIPE)  # asks for nothing
    wait_for(lambda: len([c for c in lab.conns() if c["mode"] == "accelerated"]) == len(SLOW), what="slow fetches")
    return lab


@pytest.mark.parametrize("name", LAB_PAGES)
def test_page(busy, name, tmp_path):
    """Every example of a page, in the lab."""
    def argv(example, command):
        place = example.place or LAB_PAGES[name]
        for shown, real in files.items():
            command = command.replace(shown, real)
        return busy.argv(PLACES.get(place, place), ["bash", "-c", command])

    files = {"/etc/tag/tagd.conf": f"{LAB}/tagd.conf", "/etc/tag/taghostd.conf": f"{LAB}/s1/taghostd.conf",
             "/tmp/": f"{tmp_path}/"}
    shell = Shell(argv, files, cwd=tmp_path)
    try:
        shell.type(page(name))
    finally:
        shell.close()


def test_readme_states_the_memory(busy):
    """What a connection takes, as the daemon has it."""
    memory = busy.ctl("stats")["memory"]
    text = (TOP / "README.md").read_text()
    assert f"An idle connection takes {memory['bytes_at_rest']} bytes" in text
    assert f"One at work takes {memory['bytes_at_work']} more" in text


CONFIGURATIONS = {"docs/tagd.conf.5": "gateway/tagd", "docs/taghostd.conf.5": "host/taghostd"}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations(name, tmp_path):
    """Configurations shown in a page are good ones."""
    seen = 0
    for _, number, block in blocks(TOP / name):
        if not block or not block[0].startswith("["):
            continue
        seen += 1
        conf = tmp_path / f"{number}.conf"
        conf.write_text("\n".join(block) + "\n")
        done = subprocess.run([BUILD / CONFIGURATIONS[name], "-t", "-c", conf], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}:{number}: {done.stderr}"
    assert seen


def test_no_example_escapes():
    """Every page of docs/ is looked at; every literal block holds examples or a configuration; what is not run is there."""
    manual = {str(p.relative_to(TOP)) for p in (TOP / "docs").glob("*.[1-9]")}
    assert manual <= set(LAB_PAGES), "a manual page that nobody runs"
    for name in [*LAB_PAGES, "README.md"]:
        path = TOP / name
        found = page(name)
        for kind, number, block in blocks(path):
            inside = [e for e in found if number <= e.number < number + len(block)]
            known = inside or kind == "text" or (block and block[0].startswith("[") and name in CONFIGURATIONS)
            assert known, f"{name}:{number}: neither an example nor a configuration"
        if name.startswith("docs/") and name not in CONFIGURATIONS:
            assert found, f"{name} has no examples"
        for start in NOT_RUN.get(name, {}):
            assert any(e.command.startswith(start) for e in found), f"{name}: no example begins with {start}"


def test_every_command_has_an_example():
    """Whatever tagctl can do is shown in its page."""
    listed = subprocess.run([BUILD / "gateway/tagctl", "--commands"], capture_output=True, text=True, check=True).stdout
    typed = " ; ".join(e.command for e in page("docs/tagctl.1")).replace("--json ", "")
    for line in listed.splitlines():
        words = line.split("\t")[0]
        assert f"tagctl {words}" in typed, f"{words}: give it an example in docs/tagctl.1"


@pytest.mark.parametrize("line, other, same", [
    ("NAME  STATE", "NAME     STATE", True), ("NAME  STATE", "NAME  STATES", False), ("rdma_reads 12", "rdma_reads 7", True),
    ("rdma_reads 12", "rdma_read 12", False), ("s1  up", "s2  up", False), ("10.77.0.2:40001 286.7 kB 0.2s", "10.9.9.1:5 0 B 1m05s", True),
    ("02:D1:78:B5:07:FF fe80::1", "BE:55:DA:45:4E:47 fd77::254:4147", True), ("token 0x00002003", "token 0x1", True),
    ("token 0x00002003", "token -", False), ("CLIENT SERVER ...", "CLIENT SERVER HOST MODE", True), ("CLIENT HOST ...", "CLIENT SERVER HOST", False),
])
def test_comparison(line, other, same):
    """What may differ, and what may not."""
    assert matches([line], [other]) == same


def test_left_out_lines():
    assert matches(["a", "...", "c", "...", "e"], list("abcde")) and matches(["..."], []) and matches([], [])
    assert matches(["a", "..."], ["a"]) and matches(["...", "b", "b"], list("abbb"))
    for lines, text in ((["a"], "ab"), (["a", "...", "x", "..."], "abc"), (["...", "a"], "ab"), (["b", "..."], "ab"), (["a", "...", "a"], "a"), ([], "a")):
        assert not matches(lines, list(text)), (lines, text)
