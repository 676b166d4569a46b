# SPDX-License-Identifier: BSD-3-Clause
"""The lab as pytest fixtures: real daemons, namespaces, unmodified programs.

    def test_something(lab):            # one server, accelerated at the first send
    lab = make_lab(servers=2, accelerate="off")

A failing test prints the tails of the daemons' logs; a daemon that wrote a sanitizer report or
left its lab unclean fails the test that did it.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
LAB = pathlib.Path("/run/tag/lab")
PRELUDE = (
    f"set -euo pipefail; TOP={TOP}; BUILD={BUILD}; "
    'say() { printf "%s\\n" "$*" >&2; }; die() { say "$*"; exit 1; }; '
    f". {TOP}/tests/lab/lab.sh; "
)


def pytest_configure(config):
    config.addinivalue_line("markers", "asan: also run with daemons built with sanitizers")
    config.addinivalue_line("markers", "own_suite: run by a suite of its own, not by `lab`")


def wait_for(check, seconds=10.0, step=0.05, what="condition"):
    """Calls check() until it is true; returns its value, or fails after the time."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s (last: {value!r})")
        time.sleep(step)


def sha256(path):
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Lab:
    """A running lab."""

    def __init__(self, tmp, servers=1, **options):
        self.tmp = tmp
        self.servers = servers
        self.options = options
        self.children = []

    def _env(self):
        env = dict(os.environ)
        for key, value in self.options.items():
            env["LAB_" + key.upper()] = str(value)
        return env

    def shell(self, text, check=True, timeout=60):
        """Runs lab.sh functions."""
        return subprocess.run(["bash", "-c", PRELUDE + text], env=self._env(), check=check,
                              text=True, capture_output=True, timeout=timeout)

    def up(self):
        result = self.shell(f"lab_up {self.servers}", check=False)
        if result.returncode:
            logs = self.logs()
            self.shell("lab_down", check=False)
            pytest.fail(f"lab up failed:\n{result.stderr}\n{logs}")

    def down(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        stops = "".join(f"lab_stop taghostd{i + 1}; " for i in range(self.servers))
        self.shell(stops + "lab_stop tagd", check=False)  # leaks are reported at the end
        reports = self.reports()
        tails = self.logs()
        self.shell("lab_down", check=False)
        return reports, tails

    def logs(self, lines=15):
        out = []
        for path in sorted(LAB.glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            out.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(out)

    def reports(self):
        """Texts of sanitizer reports (they appear when a daemon dies or ends)."""
        return "\n".join(p.read_text(errors="replace")[:6000]
                         for pat in ("*.asan*", "*.ubsan*") for p in sorted(LAB.glob(pat)))

    def argv(self, where, command):
        return ["bash", "-c", PRELUDE + 'lab_exec "$@"', "lab", where, "--", *map(str, command)]

    def run(self, where, *command, check=True, timeout=120, **kw):
        """Runs a command in the lab and returns the finished process."""
        kw.setdefault("capture_output", True)
        kw.setdefault("text", True)
        result = subprocess.run(self.argv(where, command), env=self._env(), timeout=timeout, **kw)
        if check and result.returncode:
            raise AssertionError(f"{command} at {where}: exit {result.returncode}\n"
                                 f"{result.stdout}\n{result.stderr}")
        return result

    def start(self, where, *command, **kw):
        """Starts a command in the lab; it is killed when the lab goes down."""
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        child = subprocess.Popen(self.argv(where, command), env=self._env(), **kw)
        self.children.append(child)
        return child

    def ctl(self, *args):
        """tagctl --json ARGS, decoded."""
        return json.loads(self.run("gw", "tagctl", "--json", *args).stdout)

    def stats(self):
        return self.ctl("stats")

    def conns(self):
        return self.ctl("conn", "list")["connections"]

    def memory(self):
        """What worker 0 holds: connections, payload chunks, frames, mbufs, queue pairs."""
        return self.ctl("memory")["workers"][0]

    def pid(self, name):
        return int((LAB / f"{name}.pid").read_text())

    def kill(self, name, sig=signal.SIGKILL):
        """Ends a daemon abruptly; name: tagd, taghostd1, ..."""
        os.kill(self.pid(name), sig)
        proc = pathlib.Path(f"/proc/{self.pid(name)}")

        def gone():
            """All threads are: the first one may be a zombie while others hold the sockets."""
            try:
                return ((proc / "stat").read_text().split()[2] == "Z" and
                        len(list((proc / "task").iterdir())) == 1)
            except (FileNotFoundError, ProcessLookupError):
                return True

        wait_for(gone, what=f"{name} gone")

    def restart_gateway(self):
        self.shell("lab_start_gateway")

    def restart_host(self, n=1):
        self.shell(f"lab_start_host {n}")

    def wait_up(self):
        self.shell(f"lab_wait {self.servers}")

    def quiet(self, seconds=10):
        """Waits until no connection is left in the accelerated maps."""
        wait_for(lambda: not [c for c in self.conns() if c["mode"] == "accelerated"], seconds,
                 what="accelerated maps empty")

    # --- servers

    def nginx(self, root, server=1, port=80, accelerated=True, sendfile="on", workers=2, extra=""):
        """An unmodified nginx on serverN; PUT works below /up/."""
        home = self.tmp / f"nginx-{server}-{port}"
        for sub in ("", "logs", "body", "up"):
            (home / sub).mkdir(exist_ok=True)
            os.chmod(home / sub, 0o777)
        conf = home / "nginx.conf"
        conf.write_text(f"""
            daemon off; worker_processes {workers}; pid {home}/nginx.pid; error_log {home}/logs/error.log info;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; sendfile {sendfile}; client_max_body_size 0; keepalive_timeout 30s;
              client_body_temp_path {home}/body; proxy_temp_path {home}/body;
              fastcgi_temp_path {home}/body; uwsgi_temp_path {home}/body; scgi_temp_path {home}/body;
              server {{ listen {port} backlog=4096; listen [::]:{port} backlog=4096; root {root}; {extra}
                location /up/ {{ alias {home}/up/; dav_methods PUT; create_full_put_path on; }} }} }}
        """)
        command = ["nginx", "-c", conf, "-e", home / "logs/error.log"]
        child = self.start(f"server{server}", *(["tagrun"] if accelerated else []), *command)
        address = f"10.77.0.{10 + server}"
        wait_for(lambda: self.run("client", "curl", "-s", "-m", "2", "-o", "/dev/null",
                                  f"http://{address}:{port}/", check=False).returncode == 0,
                 15, 0.1, f"nginx at {address}:{port}")
        child.home = home
        return child

    def fetch(self, url, *options, timeout=120):
        """curl from the client; returns the SHA-256 of the body."""
        out = self.tmp / f"fetch-{time.monotonic_ns()}"
        try:
            self.run("client", "curl", "-sS", "--fail", "-o", out, *options, url, timeout=timeout)
            return sha256(out)
        finally:
            with contextlib.suppress(FileNotFoundError):
                out.unlink()


@contextlib.contextmanager
def lab_factory(tmp_path, has_failed):
    """A function that makes labs, one at a time; has_failed() tells whether logs are wanted at the end."""
    made = []
    assert not lab_factory.busy, "the module's lab is up: a test that makes another belongs in a file of its own"
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:  # programs of other users read below here
        if not parent.name.startswith("pytest-"):
            break
        os.chmod(parent, 0o755)

    def make(servers=1, **options):
        lab = Lab(tmp_path, servers, **options)
        if LAB.exists():
            lab.shell("lab_down", check=False)
        lab.up()
        made.append(lab)
        return lab

    with open("/run/lock/tag-lab", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the lab's names exist once: other test runs wait
        lab_factory.busy = True
        try:
            yield make
            for lab in made:
                reports, tails = lab.down()
                if has_failed():
                    print(tails)
                if reports:
                    pytest.fail(f"a sanitizer reported:\n{reports}")
        finally:
            lab_factory.busy = False


lab_factory.busy = False


@pytest.fixture
def make_lab(tmp_path, request):
    """Factory of labs for one test."""
    with lab_factory(tmp_path, lambda: getattr(request.node, "failed_call", False)) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_lab(tmp_path_factory):
    """Factory of a lab that all tests of a file share, where none of them harms it."""
    with lab_factory(tmp_path_factory.mktemp("lab"), lambda: False) as make:
        yield make


@pytest.fixture
def lab(make_lab):
    return make_lab()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_call = outcome.get_result().failed


@pytest.fixture
def www(tmp_path):
    """A document root and a function that puts random files there."""
    root = tmp_path / "www"
    root.mkdir()
    os.chmod(root, 0o755)
    (root / "index.html").write_text("ok\n")

    def put(name, size):
        path = root / name
        with open(path, "wb") as stream, open("/dev/urandom", "rb") as source:
            left = size
            while left:
                block = source.read(min(left, 1 << 20))
                stream.write(block)
                left -= len(block)
        os.chmod(path, 0o644)
        return path

    put.root = root
    return put
