#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Keeps the manual page and the example of tagd.conf true to the daemon's table of keys.

    docs/confpage.py TAGD            writes docs/tagd.conf.5 and conf/tagd.conf
    docs/confpage.py TAGD --check    says what it would change; exit status 1 if anything

The words of the page are written by hand; what stands in brackets behind a key (default; what is allowed; live or
restart) comes from `tagd -k -j`. In the example, a section's lines that begin with ";" come from there: the keys it
does not set, with their defaults. In a section that is commented out itself these lines begin with ";;".
"""
import difflib
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).parents[1]
PAGE, EXAMPLE = TOP / "docs/tagd.conf.5", TOP / "conf/tagd.conf"


class Wrong(Exception):
    """A page that does not fit the table."""


def table(tagd):
    """{section: {key: row}} in the daemon's order."""
    rows = json.loads(subprocess.run([tagd, "-k", "-j"], capture_output=True, text=True, check=True).stdout)
    keys = {}
    for row in rows["keys"]:
        keys.setdefault(row["section"], {})[row["name"]] = row
    return keys


def default(row, required, empty):
    """The default of a key for people."""
    if row["default"] is None:
        return required
    return row["default"] or empty


def head(row):
    """The line of the page that introduces a key."""
    facts = f"{default(row, 'required', 'nothing')}; {row['allowed']}; {row['reload']}"
    return '.BR %s " (%s)"' % (row["name"], facts.replace("\\", r"\e").replace('"', r"\(dq"))


def page(text, keys):
    """The manual page with the facts of each key; every key has its place in its section."""
    section, out, seen, intro = None, [], set(), False
    for line in text.splitlines():
        title = re.fullmatch(r"\.SH \[(\w+).*\]", line)
        if line.startswith(".SH"):
            section = title[1] if title else None
        words = re.findall(r"[\w-]+", re.sub(r'"[^"]*"', " ", line.partition(" ")[2])) if intro and section else []
        if words and line.startswith((".BR ", ".B ")):
            for name in words:
                if name not in keys[section]:
                    raise Wrong(f"tagd.conf.5 has {name} in [{section}], the daemon has not")
                out += [".TQ"] * (name != words[0]) + [head(keys[section][name])]
                seen.add((section, name))
        else:
            out.append(line)
        intro = line in (".TP", ".TQ")
    for section, names in keys.items():
        for name in names:
            if (section, name) not in seen:
                raise Wrong(f"tagd.conf.5 lacks {name} of [{section}]")
    return "\n".join(out) + "\n"


def defaults(rows, given, mark):
    """Lines of an example for the keys that are not given."""
    out = []
    for row in rows.values():
        if row["name"] not in given and row["default"] is not None:
            value = f"{mark} {row['name']} = {row['default']}".rstrip()
            out.append(f"{value:<37} ; {row['help']} ({row['reload']})")
    return out


def example(text, keys):
    """The example with the defaults of each kind of section at the first one that has room for them."""
    lines, out, done = text.splitlines(), [], set()
    begin = re.compile(r"(; )?\[(\w+)")
    starts = [i for i, line in enumerate(lines) if begin.match(line)] + [len(lines)]
    out += lines[:starts[0]]
    for start, end in zip(starts, starts[1:]):
        quiet, name = begin.match(lines[start]).groups()
        mark = ";;" if quiet else ";"
        body = lines[start + 1:end]
        places = [i for i, line in enumerate(body) if line.startswith(mark)]
        given = {re.sub(r"^; ", "", line).split("=")[0].strip() for line in body
                 if "=" in line and not line.startswith((mark, "#"))}
        if places:
            body = [line for line in body if not line.startswith(mark)]
            body[places[0]:places[0]] = defaults(keys[name], given, mark)
            done.add(name)
        out += [lines[start]] + body
    if done != set(keys):
        raise Wrong(f"tagd.conf has no place for the defaults of {sorted(set(keys) - done)}")
    return "\n".join(out) + "\n"


def main(tagd, check=""):
    keys = table(tagd)
    differs = False
    for path, make in ((PAGE, page), (EXAMPLE, example)):
        old = path.read_text()
        new = make(old, keys)
        differs |= old != new
        if check and old != new:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(path),
                                                       f"{path}, as the daemon's table has it"))
            print(f"to write it: docs/confpage.py {tagd}")
        elif old != new:
            path.write_text(new)
    return int(bool(check) and differs)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Wrong as why:
        sys.exit(f"confpage: {why}")
