# SPDX-License-Identifier: BSD-3-Clause
"""tagctl against a scripted daemon: requests, tables, exit statuses. argv[1] is tagctl."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

TAGCTL = sys.argv.pop(1)
ROW = {"client": "10.77.0.2:40000", "server": "10.77.0.11:80", "host": "s1", "mode": "accelerated",
       "reason": "none", "state": "ESTABLISHED", "dlid": 3, "dgid": "fe80::1", "qpn": 16387,
       "token": 8192, "tx_bytes": 268435456, "rx_bytes": 78, "retransmits": 0, "srtt_us": 120,
       "cwnd": 14480, "rdma_read_bytes": 268435456, "rdma_write_bytes": 0, "age_s": 65.5,
       "worker": 0}


class Daemon:
    """Answers a request with `reply` (bytes: as they are), or as many as replies in a list, and keeps the
    last request."""

    def __init__(self, reply):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "sock")
        replies = reply if isinstance(reply, list) else [reply]
        self.replies = [r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in replies]
        self.requests = []
        self.request = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        conn, _ = self.listener.accept()
        self.listener.close()
        with conn, conn.makefile("rb") as f:
            for reply in self.replies:
                self.request = json.loads(f.readline())
                self.requests.append(self.request)
                conn.sendall(reply)

    def close(self):
        self.thread.join()
        self.dir.cleanup()


def tagctl(*args):
    return subprocess.run([TAGCTL, *args], capture_output=True, text=True, timeout=30)


class TagctlTest(unittest.TestCase):
    def ask(self, reply, *args):
        daemon = Daemon(reply)
        try:
            return tagctl("--socket", daemon.path, *args), daemon
        finally:
            daemon.close()

    def test_connections_are_a_table(self):
        result, daemon = self.ask({"connections": [ROW]}, "conn", "list")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(daemon.request, {"cmd": "conn list"})
        head, row = result.stdout.splitlines()
        self.assertEqual(head, head.upper())
        for text in ("10.77.0.2:40000", "accelerated", "0x00002000", "268.4 MB", "1m05s"):
            self.assertIn(text, row)
        for name in ("CLIENT", "SERVER", "MODE", "AGE"):
            self.assertIn(name, head)
        self.assertEqual(head.index("MODE"), row.index("accelerated"))

    def test_pages_are_put_together(self):
        """Native rows of one connection are added up; those of an accelerated one do not count."""
        native = dict(ROW, client="10.77.0.2:5", mode="native", tx_bytes=10, rx_bytes=1)
        pages = [{"connections": [ROW], "next": "1.0.64"}, {"connections": [native], "next": "1.1.0"},
                 {"connections": [native, dict(ROW, mode="native", tx_bytes=99)]}]
        result, daemon = self.ask(pages, "--json", "conn", "list")
        self.assertEqual([r.get("from") for r in daemon.requests], [None, "1.0.64", "1.1.0"])
        rows = json.loads(result.stdout)["connections"]
        self.assertEqual([(r["client"], r["tx_bytes"]) for r in rows], [("10.77.0.2:40000", 268435456), ("10.77.0.2:5", 20)])

    def test_filters_sort_and_limit(self):
        rows = [dict(ROW, client=f"10.77.0.2:{i}", tx_bytes=i % 7) for i in range(1, 20)]
        result, daemon = self.ask({"connections": rows}, "--json", "conn", "list", "client=10.0.0.0/8", "mode=native",
                                  "sort=tx_bytes", "limit=5")
        self.assertEqual(daemon.request["filter"], {"client": "10.0.0.0/8", "mode": "native"})
        self.assertEqual([r["tx_bytes"] for r in json.loads(result.stdout)["connections"]], [6, 6, 5, 5, 5])
        result, _ = self.ask({"connections": rows}, "--json", "conn", "list", "sort=client", "limit=2")
        self.assertEqual([r["client"] for r in json.loads(result.stdout)["connections"]], ["10.77.0.2:1", "10.77.0.2:10"])

    def test_wrong_filters_are_status_2(self):
        for args in (("mode",), ("=x",), ("client=",), ("limit=0",), ("limit=many",)):
            result = tagctl("conn", "list", *args)
            self.assertEqual(result.returncode, 2, args)
            self.assertIn(args[0].split("=")[-1] or args[0], result.stderr)
        result, _ = self.ask({"connections": [ROW]}, "conn", "list", "sort=beauty")
        self.assertEqual(result.returncode, 2)
        self.assertIn("beauty", result.stderr)

    def test_watch_asks_again(self):
        """One answer after the other until the daemon is gone."""
        daemon = Daemon({"polls": 1})
        result = tagctl("--socket", daemon.path, "--watch=1", "stats")
        daemon.close()
        self.assertEqual(result.stdout.count("polls"), 1)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(tagctl("--watch=never", "stats").returncode, 2)

    def test_json_is_the_document(self):
        result, _ = self.ask({"connections": [ROW]}, "--json", "conn", "list")
        self.assertEqual(json.loads(result.stdout), {"connections": [ROW]})

    def test_empty_results_say_so(self):
        for reply, args, say in (({"connections": []}, ("conn", "list"), "no TCP connections"),
                                 ({"drops": {}, "since_s": 12}, ("drops",),
                                  "nothing was dropped\nsince the start, 12 s ago"),
                                 ({"native": []}, ("map", "show", "native"), "no host is attached"),
                                 ({"accelerated": []}, ("map", "show", "accelerated"),
                                  "no accelerated connections"),
                                 ({"servers": []}, ("server", "list"), "no servers configured")):
            result, daemon = self.ask(reply, *args)
            self.assertEqual(daemon.request, {"cmd": " ".join(args)})
            self.assertEqual((result.returncode, result.stdout), (0, say + "\n"))

    def test_arguments_are_passed(self):
        result, daemon = self.ask({"killed": 1}, "conn", "kill", "10.77.0.2:1", "10.77.0.11:80")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(daemon.request, {"cmd": "conn kill", "conn": "10.77.0.2:1",
                                          "server": "10.77.0.11:80"})

    def test_nested_counters_have_a_prefix(self):
        result, _ = self.ask({"rdma_reads": 5, "drops": {"no-server": 2}}, "stats")
        self.assertRegex(result.stdout, r"rdma_reads +5\n")
        self.assertRegex(result.stdout, r"drops\.no-server +2\n")

    def test_a_refusal_is_status_1(self):
        result, _ = self.ask({"error": "no such connection"}, "conn", "show", "7")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("no such connection", result.stderr)

    def test_wrong_usage_is_status_2(self):
        for args in ((), ("frobnicate",), ("conn",), ("conn", "kill"), ("stats", "now"),
                     ("--nonsense",), ("conn", "show", "1", "2", "3")):
            result = tagctl(*args)
            self.assertEqual(result.returncode, 2, args)
            self.assertIn("usage", result.stderr)

    def test_no_daemon_is_status_3(self):
        result = tagctl("--socket", "/nonexistent/tagd.sock", "stats")
        self.assertEqual((result.returncode, result.stdout), (3, ""))
        self.assertIn("/nonexistent/tagd.sock", result.stderr)

    def test_a_daemon_that_hangs_up_is_status_3(self):
        for reply in (b"", b"not json\n"):
            result, _ = self.ask(reply, "stats")
            self.assertEqual((result.returncode, result.stdout), (3, ""))
            self.assertNotEqual(result.stderr, "")

    def test_help_needs_no_daemon(self):
        result = tagctl("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("map show accelerated", result.stdout)


if __name__ == "__main__":
    unittest.main()
