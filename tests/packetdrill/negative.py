#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A script that must fail does so on the line marked `// FAILS: text`, with that text."""
import re
import subprocess
import sys

runner, script = sys.argv[1:]
marks = [(number, mark[1]) for number, line in enumerate(open(script), 1)
         if (mark := re.search(r"// FAILS: (.*)", line))]
assert len(marks) == 1, "one line is marked"
line, text = marks[0]
result = subprocess.run([runner, script], capture_output=True, text=True, timeout=30)
print(result.stdout, result.stderr)
assert result.returncode == 1, f"exit status {result.returncode}"
assert result.stderr.startswith(f"{script}:{line}: "), f"not on line {line}"
assert text in result.stderr, f"{text!r} not in the message"
