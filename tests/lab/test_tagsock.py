# SPDX-License-Identifier: BSD-3-Clause
"""libtagsock.so under unmodified programs, with a stand-in for taghostd and the fabric.

fake_taghostd moves bytes between the shared rings and the kernel's sockets on loopback, so what is
judged here is the socket layer alone: clients are curl, wrk, iperf3, redis-benchmark and plain
sockets.
"""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import random
import socket
import subprocess
import time

import pytest

pytestmark = pytest.mark.own_suite

TOP = pathlib.Path(os.environ.get("TAG_TOP", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("TAG_BUILD", TOP / "build"))
TESTS = BUILD / "tests/unit/host"
TAGRUN = str(BUILD / "host/tagrun")
MB = 1 << 20
SEED = int(os.environ.get("TAG_SEED", random.randrange(1 << 32)))


def wait_for(check, seconds=10.0, what="condition"):
    """Calls check() until it is true; returns its value."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Rig:
    """A stand-in taghostd and the servers that run against it."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.sock = tmp / "host.sock"
        self.stats_file = tmp / "stats"
        self.fake = None
        self.children = []
        self.env = dict(os.environ, TAG_HOST_SOCKET=str(self.sock))
        print("seed", SEED)

    def start(self, **options):
        self.stats_file.unlink(missing_ok=True)
        args = [f"{key}={value}" for key, value in options.items()]
        self.fake = subprocess.Popen([TESTS / "fake_taghostd", self.sock, self.stats_file, *args])
        wait_for(self.stats_file.exists, what="stand-in for taghostd")
        return self

    def stats(self):
        time.sleep(0.05)
        return json.loads(self.stats_file.read_text())

    def idle(self):
        """Every accelerated connection has ended."""
        wait_for(lambda: not self.stats()["active"], 5, "all slots free")
        return self.stats()

    def serve(self, *command, port=None, accelerated=True, **options):
        """Runs a server under tagrun until the end of the test."""
        log = open(self.tmp / f"server{len(self.children)}.log", "w", encoding="utf-8")
        prefix = [TAGRUN] if accelerated else []
        child = subprocess.Popen([*prefix, *map(str, command)], env=self.env, stdout=log,
                                 stderr=log, **options)
        self.children.append(child)
        if port:
            wait_for(lambda: listening(port), what=f"{command[0]} on port {port}")
        return child

    def stop(self):
        for child in self.children:
            child.terminate()
        for child in [*self.children, *([self.fake] if self.fake else [])]:
            try:
                child.wait(3 if child is not self.fake else 0)
            except subprocess.TimeoutExpired:
                child.terminate() if child is self.fake else child.kill()
            child.wait(5)
        for log in self.tmp.glob("*.log"):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")


def listening(port):
    """Is anybody listening (asked without connecting)?"""
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                return True
    return False


@pytest.fixture(name="rig")
def rig_fixture(tmp_path):
    rig = Rig(tmp_path)
    try:
        yield rig
    finally:
        rig.stop()


def random_file(path, size):
    """A file of random bytes; returns its SHA-256."""
    data = random.Random(SEED).randbytes(size)
    path.write_bytes(data)
    path.chmod(0o644)
    return hashlib.sha256(data).hexdigest()


def fetch(url, *options):
    """SHA-256 of what curl gets."""
    result = subprocess.run(["curl", "-sS", "--fail", "--max-time", "20", *options, url],
                            capture_output=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr
    return hashlib.sha256(result.stdout).hexdigest()


# --- the library's calls, against the kernel's behaviour

@pytest.mark.parametrize("options", [
    {}, {"policy": "accept"}, {"policy": "accept", "tx": 8192, "rx": 4096},
    {"policy": "min-bytes", "min": 3}, {"deny": 2}, {"deny": 2, "retry": 1}, {"gateway": 0},
], ids=str)
@pytest.mark.parametrize("suite", ["test_sock_calls", "test_sock_fds"])
def test_calls_behave_as_the_kernels(rig, suite, options):
    rig.start(**options)
    result = subprocess.run([TAGRUN, TESTS / suite], env=rig.env, timeout=30, check=False,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    stats = rig.idle()
    if options.get("gateway") == 0:
        assert stats["asked"] == 0
    elif "deny" not in options:
        assert stats["granted"] >= (1 if "min" in options else 15)


def test_without_taghostd_nothing_is_noticed(rig):
    rig.env["TAG_HOST_SOCKET"] = str(rig.tmp / "absent")
    for suite in ("test_sock_calls", "test_sock_fds"):
        subprocess.run([TAGRUN, TESTS / suite], env=rig.env, timeout=30, check=True,
                       capture_output=True)
    result = subprocess.run([TAGRUN, "python3", "-c", "print('plain')"], env=rig.env, timeout=30,
                            check=True, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("plain\n", "")


# --- every way of waiting

def echo_client(port, seed, size):
    """Sends and receives at its own pace; the bytes must come back as they went."""
    rng = random.Random(seed)
    data = rng.randbytes(size)
    sent, got = 0, bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.setblocking(False)
        end = time.monotonic() + 20
        while len(got) < size:
            assert time.monotonic() < end, f"stuck: {sent} sent, {len(got)} back of {size}"
            moved = False
            with contextlib.suppress(BlockingIOError):
                if sent < size:
                    sent += s.send(data[sent:sent + rng.randrange(1, 200000)])
                    moved = True
            with contextlib.suppress(BlockingIOError):
                block = s.recv(rng.randrange(1, 100000))
                assert block, f"ended: {sent} sent, {len(got)} back"
                got += block
                moved = True
            if not moved:
                time.sleep(0.0005)
        s.shutdown(socket.SHUT_WR)
        s.setblocking(True)
        s.settimeout(10)
        assert s.recv(1) == b""
    assert got == data


@pytest.mark.parametrize("mode", ["threads", "select", "poll", "epoll-lt", "epoll-et",
                                  "epoll-oneshot"])
@pytest.mark.parametrize("options", [{"jitter": 200}, {"tx": 8192, "rx": 4096, "jitter": 100},
                                     {"policy": "min-bytes", "min": 100000}], ids=str)
def test_ways_of_waiting(rig, mode, options):
    rig.start(**options)
    port = free_port()
    rig.serve(TESTS / "sock_echo", mode, port, port=port)
    size = MB // 2 if "tx" in options else 2 * MB
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(echo_client, port, SEED + n, size) for n in range(4)]:
            job.result()
    stats = rig.idle()
    assert stats["granted"] == 4
    assert stats["unmarked"] == 0
    assert stats["tx_bytes"] >= 4 * (size - 400000)


# --- nginx

def nginx(rig, port, sendfile, extra=""):
    conf = rig.tmp / "nginx.conf"
    www = rig.tmp / "www"
    www.mkdir()
    for folder in (rig.tmp, *rig.tmp.parents[:3], www):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o755)
    conf.write_text(f"""
        user root; worker_processes 2; daemon off; pid {rig.tmp}/nginx.pid;
        error_log {rig.tmp}/error.log; events {{ worker_connections 512; }}
        http {{
          access_log off; sendfile {sendfile}; keepalive_timeout 30;
          client_body_temp_path {rig.tmp}/body; proxy_temp_path {rig.tmp}/proxy;
          fastcgi_temp_path {rig.tmp}/fcgi; uwsgi_temp_path {rig.tmp}/uwsgi;
          scgi_temp_path {rig.tmp}/scgi; {extra}
          server {{ listen 127.0.0.1:{port}; root {www}; dav_methods PUT;
                    client_max_body_size 0; }}
        }}""")
    rig.serve("nginx", "-e", rig.tmp / "error.log", "-c", conf, port=port)
    return www


@pytest.mark.parametrize("sendfile", ["on", "off"])
def test_nginx(rig, sendfile):
    rig.start()
    port = free_port()
    www = nginx(rig, port, sendfile)
    size = 48 * MB
    digest = random_file(www / "big", size)
    small = random_file(www / "small", 5000)
    url = f"http://127.0.0.1:{port}/"
    assert fetch(url + "big") == digest
    stats = rig.idle()
    assert stats["granted"] == 1 and stats["tx_bytes"] >= size
    # slow reader beside fast ones, and several requests on one connection
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        slow = pool.submit(fetch, url + "big", "--limit-rate", "24M")
        fast = [pool.submit(fetch, url + "big") for _ in range(3)]
        assert {job.result() for job in [slow, *fast]} == {digest}
    several = subprocess.run(["curl", "-sS", "--max-time", "20", *[url + "small"] * 20],
                             capture_output=True, check=True, timeout=30).stdout
    assert [hashlib.sha256(several[n * 5000:(n + 1) * 5000]).hexdigest() for n in range(20)] \
        == [small] * 20
    load = subprocess.run(["wrk", "-t1", "-c32", "-d2s", url + "small"], capture_output=True,
                          text=True, check=True, timeout=30).stdout
    assert "Socket errors" not in load and "Non-2xx" not in load, load
    stats = rig.idle()
    assert stats["unmarked"] == 0


@pytest.mark.parametrize("policy", ["accept", "first-send"])
def test_nginx_upload(rig, policy):
    rig.start(policy=policy)
    port = free_port()
    www = nginx(rig, port, "on")
    size = 24 * MB
    digest = random_file(rig.tmp / "big", size)
    url = f"http://127.0.0.1:{port}/up"

    def put(n):
        subprocess.run(["curl", "-sS", "--fail", "--max-time", "20", "-H", "Expect: 100-continue",
                        "-T", rig.tmp / "big", f"{url}{n}"], check=True, timeout=30)
        return fetch(f"{url}{n}")

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert set(pool.map(put, range(3))) == {digest}
    stats = rig.idle()
    assert stats["granted"] == 6
    assert stats["rx_bytes"] >= 3 * size - MB
    assert (www / "up0").stat().st_size == size


def test_nginx_proxies(rig):
    """One worker's connections to clients are accelerated, those to its upstream are not."""
    rig.start()
    port, upstream = free_port(), free_port()
    nginx(rig, port, "on", f"""
          server {{ listen 127.0.0.1:{upstream}; root {rig.tmp}/www; }}
          proxy_buffering off;
          server {{ listen 127.0.0.1:{port + 1}; location / {{
                    proxy_pass http://127.0.0.1:{upstream}; }} }}""")
    digest = random_file(rig.tmp / "www" / "big", 16 * MB)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fetch, f"http://127.0.0.1:{port + 1}/big") for _ in range(4)]
        assert {job.result() for job in jobs} == {digest}
    assert rig.idle()["granted"] == 8


def test_tls(rig):
    rig.start()
    port = free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", rig.tmp / "key", "-out",
                    rig.tmp / "cert", "-subj", "/CN=localhost"], check=True, capture_output=True)
    digest = random_file(rig.tmp / "big", 16 * MB)
    rig.serve("openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-HTTP", "-key",
              rig.tmp / "key", "-cert", rig.tmp / "cert", port=port, cwd=rig.tmp,
              stdin=subprocess.DEVNULL)
    for _ in range(2):
        assert fetch(f"https://127.0.0.1:{port}/big", "-k", "--http0.9") == digest
    assert rig.idle()["granted"] == 2


def test_nginx_partly_refused(rig):
    rig.start(deny=3)
    port = free_port()
    www = nginx(rig, port, "on")
    digest = random_file(www / "f", MB)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(fetch, f"http://127.0.0.1:{port}/f") for _ in range(60)]
        assert {job.result() for job in jobs} == {digest}
    stats = rig.idle()
    assert (stats["asked"], stats["granted"]) == (60, 20)


def test_clients_and_servers_that_vanish(rig):
    rig.start()
    port = free_port()
    www = nginx(rig, port, "on")
    random_file(www / "big", 32 * MB)
    for _ in range(10):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        assert s.recv(1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    rig.idle()
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET /big HTTP/1.0\r\n\r\n")
    assert s.recv(1000)
    wait_for(lambda: rig.stats()["active"] == 1, what="accelerated")
    master = rig.children[0]
    for pid in pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split():
        os.kill(int(pid), 9)
    with contextlib.suppress(ConnectionResetError):
        while s.recv(MB):
            pass
    rig.idle()
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/big"), what="new workers")


def test_taghostd_dies_and_comes_back(rig):
    rig.start()
    port = free_port()
    www = nginx(rig, port, "on")
    digest = random_file(www / "big", 32 * MB)
    url = f"http://127.0.0.1:{port}/big"
    assert fetch(url) == digest
    s = socket.create_connection(("127.0.0.1", port), timeout=5)
    s.sendall(b"GET /big HTTP/1.0\r\n\r\n")
    assert s.recv(1000)
    wait_for(lambda: rig.stats()["active"] == 1, what="accelerated")
    rig.fake.kill()
    rig.fake.wait()
    got = 1
    while got:  # what the kernel had; then the server gives up
        with contextlib.suppress(ConnectionResetError):
            got = s.recv(MB)
            continue
        break
    assert fetch(url) == digest
    rig.start()
    time.sleep(1.1)  # asks at most once a second
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {j.result() for j in [pool.submit(fetch, url) for _ in range(8)]} == {digest}
    stats = rig.idle()
    assert stats["granted"] >= 6


def test_a_new_taghostd_has_other_rules(rig):
    rig.start(policy="off")
    port = free_port()
    www = nginx(rig, port, "on")
    digest = random_file(www / "f", MB)
    url = f"http://127.0.0.1:{port}/f"
    assert fetch(url) == digest
    rig.fake.kill()
    rig.fake.wait()
    assert fetch(url) == digest
    rig.start(policy="first-send")
    time.sleep(1.1)
    for _ in range(10):
        assert fetch(url) == digest
    assert rig.idle()["granted"] >= 8


# --- other programs

UPLOAD = """
import hashlib, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            block = self.rfile.read(min(left, 1 << 16))
            digest.update(block)
            left -= len(block)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_python_http_server(rig):
    rig.start()
    port = free_port()
    digest = random_file(rig.tmp / "big", 24 * MB)
    rig.serve("python3", "-m", "http.server", "--bind", "127.0.0.1", port, port=port,
              cwd=rig.tmp)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fetch, f"http://127.0.0.1:{port}/big") for _ in range(4)]
        assert {job.result() for job in jobs} == {digest}
    stats = rig.idle()
    assert stats["granted"] == 4 and stats["tx_bytes"] >= 4 * 24 * MB


def test_programs_that_inherit_the_connection(rig):
    """CGI: another program writes to the accelerated descriptor, past the library."""
    rig.start()
    port = free_port()
    (rig.tmp / "cgi-bin").mkdir()
    script = rig.tmp / "cgi-bin" / "data"
    script.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
                      f"head -c 300000 {rig.tmp}/big\n")
    digest = random_file(rig.tmp / "big", 300000)
    for path in (script, rig.tmp, *rig.tmp.parents[:3]):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o755)
    rig.serve("python3", "-m", "http.server", "--cgi", "--bind", "127.0.0.1", port, port=port,
              cwd=rig.tmp)
    for _ in range(3):
        assert fetch(f"http://127.0.0.1:{port}/cgi-bin/data") == digest
    stats = rig.idle()
    assert stats["granted"] == 3
    assert stats["unmarked"] >= 3 * 300000


@pytest.mark.parametrize("policy", ["first-send", "accept"])
def test_upload(rig, policy):
    rig.start(policy=policy)
    port = free_port()
    size = 64 * MB
    digest = random_file(rig.tmp / "big", size)
    rig.serve("python3", "-c", UPLOAD, port, port=port)
    for _ in range(2):
        out = subprocess.run(["curl", "-sS", "--max-time", "20", "-H", "Expect: 100-continue",
                              "-T", rig.tmp / "big", f"http://127.0.0.1:{port}/"],
                             capture_output=True, check=True, timeout=30).stdout
        assert out.decode() == digest
    stats = rig.idle()
    assert stats["granted"] == 2
    assert stats["rx_bytes"] >= size


@pytest.mark.parametrize("direction", [[], ["-R"], ["--bidir"]], ids=["up", "down", "both"])
def test_iperf3(rig, direction):
    rig.start(policy="accept")
    port = free_port()
    rig.serve("iperf3", "-s", "-B", "127.0.0.1", "-p", port, port=port)
    out = subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(port), "-n", "200M", "-P", "2",
                          "-J", *direction], capture_output=True, text=True, timeout=30,
                         check=False)
    report = json.loads(out.stdout)
    assert "error" not in report, report["error"]
    stats = rig.idle()
    assert stats["granted"] == 3 + 2 * (direction == ["--bidir"])
    assert stats["tx_bytes"] + stats["rx_bytes"] >= 180 * MB


DUAL = """
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", int(sys.argv[1])))
s.listen()
limits = (s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
          s.getsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP))
while True:
    c, peer = s.accept()
    c.sendall(repr((*limits, c.getpeername()[0])).encode())
    c.close()
"""


def test_policy_by_address(rig):
    """An IPv6 socket that carries IPv4 is matched by its IPv4 address; windows are limited."""
    port = free_port()
    rig.start(addr="127.0.0.1", port=port, rx=1 << 17)
    rig.serve("python3", "-c", DUAL, port, port=port)
    for host, peer, granted in (("127.0.0.1", "::ffff:127.0.0.1", 1), ("::1", "::1", 1),
                                ("127.0.0.1", "::ffff:127.0.0.1", 2)):
        with socket.create_connection((host, port), timeout=5) as s:
            answer = s.makefile().read()
        assert answer == repr((1 << 17, 1 << 17, peer))
        assert rig.idle()["granted"] == granted


KILLED = """
import os, socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
data = os.urandom(1 << 20)
while True:
    c, _ = s.accept()
    c.sendall(b"first")
    for n in range(8):  # all on one connection
        if not os.fork():
            while True:
                c.sendall(data)
                c.setblocking(False)
                try:
                    c.recv(1)
                except BlockingIOError:
                    pass
                c.setblocking(True)
    c.close()
    time.sleep(0.3)
    os.killpg(0, 9)
"""


def test_processes_killed_while_sending(rig):
    """Whoever dies with a lock of a slot in hand leaves the others and taghostd unharmed."""
    rig.start(tx=1 << 16)
    for _ in range(3):
        port = free_port()
        rig.serve("python3", "-c", KILLED, port, port=port, start_new_session=True)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            total = 0
            with contextlib.suppress(ConnectionResetError):
                while block := s.recv(MB):
                    total += len(block)
        assert total > MB
        assert rig.idle()["granted"] >= 1


def test_redis(rig):
    rig.start()
    port = free_port()
    rig.serve("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
              rig.tmp, port=port)
    load = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "4000", "-c", "20", "-q",
                           "-P", "4", "-d", "1000", "-t", "set,get,lpush,lrange_100"],
                          capture_output=True, text=True, check=True, timeout=40).stdout
    assert "LRANGE" in load and "rror" not in load, load
    value = random.Random(SEED).randbytes(3 * MB)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (len(value), value))
        assert s.recv(5) == b"+OK\r\n"
        s.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        want = b"$%d\r\n%s\r\n" % (len(value), value)
        got = b""
        while len(got) < len(want):
            got += s.recv(MB)
        assert got == want
    stats = rig.idle()
    assert stats["granted"] >= 80 and stats["unmarked"] == 0


def test_tagrun_says_what_is_wrong(tmp_path):
    def run(*args):
        result = subprocess.run([TAGRUN, *args], capture_output=True, text=True, check=False,
                                timeout=10)
        return result.returncode, result.stdout + result.stderr

    assert run()[0] == 2 and "usage:" in run()[1]
    assert run("--help")[0] == 0
    assert run("--version")[1].startswith("tagrun ")
    assert run("--nonsense", "true")[0] == 2
    assert run("/no/such/program")[0] == 127
    assert run(str(tmp_path))[0] == 126
    assert run("sh", "-c", "exit 7")[0] == 7
    assert "libtagsock.so" in run("sh", "-c", "echo $LD_PRELOAD")[1]
