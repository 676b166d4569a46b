#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Says what a run of meson's tests held: programs, test functions (cmocka), and what they say last."""
import json
import re
import sys


def main(log):
    tests = [json.loads(line) for line in open(log)]
    passed = sum(test["result"] in ("OK", "EXPECTEDFAIL") for test in tests)
    functions, cases, last = 0, 0, []
    for test in tests:
        text = test.get("stdout", "") + test.get("stderr", "")
        found = re.findall(r"\[=+\] (\d+) test\(s\) run", text)
        functions += sum(int(n) for n in found)
        cases += sum(int(n) for n in re.findall(r"(\d+) cases", text))
        if not found and len(tests) <= 4 and text.strip():
            last.append(text.strip().splitlines()[-1])
    line = f"{passed} of {len(tests)} passed"
    if functions:
        line += f", {functions} test functions"
    if cases:
        line += f", {cases} cases"
    print("; ".join([line, *last]))


main(sys.argv[1])
