# SPDX-License-Identifier: BSD-3-Clause
"""The metrics page as Prometheus sees it, and the rules and the dashboard that rest on it."""
import json
import pathlib
import re
import socket
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

SOCKET = "/run/tag/metrics.sock"
CONF = pathlib.Path(__file__).parents[2] / "conf/prometheus"


pytestmark = pytest.mark.own_suite


def get(url="http://tagd/metrics", *more):
    """(status, headers and body) of a request to the metrics socket."""
    done = subprocess.run(["curl", "-s", "--max-time", "5", "--unix-socket", SOCKET, "-w", "\n%{http_code}",
                           *more, url], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.fixture(scope="module")
def lab(make_module_lab):
    return make_module_lab(servers=2)


@pytest.fixture(scope="module")
def page(lab):
    """The page after an accelerated transfer."""
    (lab.tmp / "a.bin").write_bytes(bytes(200_000))
    lab.nginx(lab.tmp)
    lab.fetch("http://10.77.0.11/a.bin")
    status, body = get()
    assert status == 200
    return body


def test_page_parses(page):
    """Every family has help and type, every counter ends in _total, no sample comes twice."""
    seen = set()
    families = list(text_string_to_metric_families(page))
    assert len(families) > 40
    for family in families:
        assert family.documentation and family.type in ("counter", "gauge"), family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen
            seen.add(key)
            assert sample.name.startswith("tag_")
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name


def test_page_agrees_with_tagctl(page, lab):
    """The same counters as `tagctl stats`, which can only have grown since."""
    stats = lab.stats()
    for family in text_string_to_metric_families(page):
        name = family.name.removeprefix("tag_")
        if isinstance(stats.get(name), int):
            assert sum(s.value for s in family.samples) <= stats[name], name
    samples = {s.name: s.value for f in text_string_to_metric_families(page) for s in f.samples}
    assert samples["tag_rdma_read_bytes_total"] >= 200_000


def test_labels_are_bounded(page):
    """Labels name what the configuration or the source names, never a client."""
    labels = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            for key, value in sample.labels.items():
                labels.setdefault(key, set()).add(value)
    assert set(labels) <= {"worker", "server", "service", "reason", "version", "backend", "module", "state"}
    assert labels["server"] == {"s1", "s2"}
    assert not re.search(r"10\.77\.0\.2\b", page)


def test_other_requests(lab, page):
    """What is not GET /metrics is refused politely; garbage and a client that says nothing harm nobody."""
    assert get("http://tagd/")[0] == 404
    assert get("http://tagd/metrics", "-X", "POST", "-d", "x=1")[0] == 405
    silent = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    for s in silent:
        s.connect(SOCKET)
    silent[0].sendall(b"\x00\xff GET garbage\r\n\r\n")
    assert get()[0] == 200
    for s in silent:
        s.close()
    assert get()[0] == 200


def names(text):
    return set(re.findall(r"\btag_[a-z_]+", text))


def served(page):
    return {s.name for f in text_string_to_metric_families(page) for s in f.samples} | {"tag_drops_total",
                                                                                       "tag_handback_reasons_total"}


def test_alert_rules_name_served_metrics(page):
    """An alert on a metric that does not exist would never fire."""
    text = (CONF / "tag.rules.yml").read_text()
    expressions = re.findall(r"^\s+expr: (.*)$", text, re.M)
    assert len(expressions) == text.count("- alert:") >= 8
    for expression in expressions:
        assert names(expression) <= served(page), expression


def test_alerts_have_their_sections():
    """Each alert links to the section of the operator's guide that says what to do."""
    guide = (CONF.parents[1] / "docs/operations.md").read_text()
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", guide, re.M)}
    text = (CONF / "tag.rules.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", text)
    links = re.findall(r'runbook_url: "file:///usr/share/doc/tagd/operations.md#([\w-]+)"', text)
    assert [a.lower() for a in alerts] == links and set(links) <= anchors
    assert set(re.findall(r"^### (Tag\w+)$", guide, re.M)) == set(alerts)
    assert set(re.findall(r"\]\(#([\w-]+)\)", guide)) <= anchors, "a link inside the guide that leads nowhere"


def test_documents_name_served_metrics(page):
    """Metrics that a document or a manual page speaks of exist."""
    top = CONF.parents[1]
    for path in [top / "README.md", *(top / "docs").iterdir()]:
        named = {n for n in names(path.read_text()) if n not in ("tag_",)}
        assert {n for n in named if not n.endswith("_")} <= served(page), path.name


def test_dashboard_names_served_metrics(page):
    """The same for the panels of the dashboard."""
    board = json.loads((CONF / "tag-dashboard.json").read_text())
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"]) >= 10
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert names(target["expr"]) and names(target["expr"]) <= served(page), panel["title"]
