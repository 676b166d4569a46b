# SPDX-License-Identifier: BSD-3-Clause
"""What can be checked of the text itself: formatting, sizes, walls between modules, promises."""
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]


def sources(*suffixes):
    for folder in ("gateway", "correlator", "tcpstack", "ibside", "host", "tests"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in suffixes and "corpus" not in path.parts:
                yield path


def test_formatting():
    files = [str(p) for p in sources(".c", ".h")]
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], capture_output=True,
                            text=True, cwd=TOP)
    bad = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
    assert not bad, "run clang-format -i on: " + " ".join(bad)


def test_no_function_over_120_lines():
    long = []
    for path in sources(".c"):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start > 120:
                    long.append(f"{path.relative_to(TOP)}:{start} ({number - start} lines)")
                start = None
    assert not long


# Imports go one way; what a module may include besides itself.
WALLS = {
    "tcpstack": set(),
    "correlator": set(),
    "ibside": set(),
    "host": {"ibside", "tcpstack"},
    "gateway": {"correlator", "tcpstack", "ibside"},
}


@pytest.mark.parametrize("module", WALLS)
def test_walls_between_modules(module):
    wrong = []
    for path in (TOP / module).rglob("*.[ch]"):
        for target in re.findall(r'#include "(\w+)/', path.read_text()):
            if target in WALLS and target != module and target not in WALLS[module]:
                wrong.append(f"{path.relative_to(TOP)} includes {target}/")
    assert not wrong


def test_the_tcp_core_is_pure():
    """tcpstack/ knows no DPDK, no verbs, no clock, no heap and no I/O."""
    banned = re.compile(r"#include <(rte_|infiniband|time\.h|stdio\.h|stdlib\.h|unistd\.h|sys/(?!queue\.h))|\bmalloc\(|\bclock_gettime\(")
    wrong = [str(p.relative_to(TOP)) for p in (TOP / "tcpstack").glob("tcp*.[ch]")
             if banned.search(p.read_text())]
    assert not wrong


def test_every_file_names_its_licence():
    missing = [str(p.relative_to(TOP)) for p in sources(".c", ".h", ".py", ".sh")
               if "SPDX-License-Identifier: BSD-3-Clause" not in p.read_text()[:400]]
    assert not missing


def test_tests_named_in_the_documents_exist():
    known = set()
    for path in (TOP / "tests").rglob("*.py"):
        known |= set(re.findall(r"def (test_\w+)", path.read_text()))
    for path in (TOP / "tests/unit").rglob("*.c"):
        known |= set(re.findall(r"\b(test_\w+|\w+_test)\(", path.read_text()))
        known.add(path.stem)
    missing = []
    for path in list((TOP / "docs").rglob("*.md")) + [TOP / "README.md"]:
        for name in re.findall(r"`(test_\w+)`", path.read_text()):
            if name not in known:
                missing.append(f"{path.name}: {name}")
    assert not missing


COMPLIANCE = TOP / "docs/COMPLIANCE.md"
STATUS = {"met", "partly", "deviates", "kernel", "none"}


def compliance_rows():
    """(section, cells) of every row of a table that has a status."""
    section, columns = "", []
    for line in COMPLIANCE.read_text().splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if "status" in cells:
            columns = cells
        elif cells and columns and not set(line) <= set("|- "):
            yield section, dict(zip(columns, cells))
        elif not cells:
            columns = []


def named_tests(text):
    """(file, function) pairs and script names that a text refers to."""
    pairs = []
    for file, names in re.findall(r"\b(test_\w+): (\w+(?:, (?!\w+\.pkt|\w+-)\w+)*)", text):
        pairs += [(file, name) for name in names.split(", ")]
    return pairs, re.findall(r"[\w-]+\.pkt", text)


def test_compliance_names_tests_that_exist():
    functions = {}
    for path in (TOP / "tests").rglob("test_*.*"):
        if path.suffix in (".c", ".py"):
            found = re.findall(r"^(?:static void|def) (\w+)\(", path.read_text(), re.M)
            functions.setdefault(path.stem, set()).update(found)
    scripts = {p.name for p in (TOP / "tests/packetdrill/scripts").rglob("*.pkt")}
    pairs, named = named_tests(COMPLIANCE.read_text())
    missing = [f"{f}: {n}" for f, n in pairs if n not in functions.get(f, ())]
    missing += sorted(set(named) - {"NAME.pkt"} - scripts)
    assert len(pairs) > 100 and len(named) > 80  # the text was understood
    assert not missing


def test_compliance_proves_what_it_says_is_met():
    wrong = []
    for section, row in compliance_rows():
        evidence = row["test or reason"]
        pairs, scripts = named_tests(evidence)
        proof = pairs or scripts or re.search(r"\b(matrix|simulator)\b", evidence)
        first = next(iter(row.values()))
        if row["status"] not in STATUS or (row["status"] == "met" and not proof):
            wrong.append(f"{section}: {first}")
        if row["status"] == "deviates" and not evidence:
            wrong.append(f"{section}: {first}: no reason")
    assert not wrong


def test_compliance_is_complete():
    """Every number of RFC 9293 appendix B has its row, once."""
    want = {f"{kind}-{n}" for kind, last in (("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1))
            for n in range(1, last + 1)}
    seen = []
    for _, row in compliance_rows():
        for kind, numbers in re.findall(r"(MUST|SHLD|MAY|REC)-(\d+(?:, \d+)*)", row.get("number", "")):
            seen += [f"{kind}-{n}" for n in numbers.split(", ")]
    assert not want - set(seen), "missing"
    assert not set(seen) - want, "unknown"
    assert len(seen) == len(set(seen)), "twice: " + str({s for s in seen if seen.count(s) > 1})


def test_paths_named_in_the_documents_exist():
    folders = {p.name for p in TOP.iterdir() if p.is_dir()}
    missing = []
    for path in [TOP / "README.md", *(TOP / "docs").iterdir()]:
        for name in re.findall(r"[`(]((?:\w+)/[\w./*-]*)[`)]", path.read_text()):
            if name.split("/")[0] in folders and not list(TOP.glob(name.rstrip("/"))):
                missing.append(f"{path.name}: {name}")
    assert not missing


@pytest.mark.parametrize("page", sorted(p.name for p in (TOP / "docs").glob("*.[1-9]")))
def test_manual_pages_render(page):
    """Both formatters of this world have nothing to complain about."""
    for command in (["groff", "-mandoc", "-ww", "-Tutf8", "-z"], ["mandoc", "-Tlint", "-Wwarning"]):
        done = subprocess.run([*command, TOP / "docs" / page], capture_output=True, text=True, check=False)
        said = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "outdated mandoc.db" not in line)
        assert not said
