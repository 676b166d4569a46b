# SPDX-License-Identifier: BSD-3-Clause
"""Examples of the manual pages and documents: found, and compared with what a command really prints.

An example is a line that begins with a prompt, and what it prints follows until the next prompt or the end of the block:

    gateway# tagctl server list          (place, # or $, command; a plain # or $ is the page's own place)
    NAME  STATE  ADDRESSES ...           ("..." at the end: the rest of the line is left out)
    s1    up     10.77.0.11 ...
    ...                                  (any lines, or none)

Blocks are .EX/.EE, .nf/.fi, .Bd -literal/.Ed and .Dl of roff, and ``` of Markdown. Numbers, addresses and sums may differ,
and how wide columns are; everything else must be as printed.
"""
import dataclasses
import re

PROMPT = re.compile(r"(?:(gateway|client|server\d)?([$#])) (\S.*)")
ROFF_BEGIN = re.compile(r"\.(EX|nf|Bd -literal)\b")
ROFF_END = re.compile(r"\.(EE|fi|Ed)\b")
MASKS = (
    (r"\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b", "MAC"),
    (r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", "ADDRESS"),
    (r"\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b", "#"),
    (r"(?<![\w.])(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s\b", "#"),
    (r"(?<![\w-])-?\d+(?:\.\d+)*(?: ?[kMGT]?B\b)?(?!\w)", "#"),
    (r"\s+", " "),
)


@dataclasses.dataclass
class Example:
    """A command and what it is said to print."""
    page: str      # path of the document
    number: int    # line of the command
    place: str     # gateway, client, serverN, or "" for the page's own
    command: str
    output: list   # lines

    def __str__(self):
        return f"{self.page}:{self.number}: {self.command}"


def unroff(line):
    """A line of roff as it is shown."""
    for escape, text in ((r"\-", "-"), (r"\&", ""), (r"\(dq", '"'), (r"\(aq", "'"), (r"\e", "\\"), (r"\ ", " ")):
        line = line.replace(escape, text)
    return line


def blocks(path):
    """(kind, number of the first line, lines) of every literal block of a page; kind is what Markdown names."""
    kind, start, block = None, 0, []
    markdown = path.suffix == ".md"
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if markdown:
            begin, end = line.startswith("```"), line == "```"
        else:
            begin, end = ROFF_BEGIN.match(line), ROFF_END.match(line)
        if kind is None and begin:
            kind, start, block = line[3:] if markdown else "", number + 1, []
        elif kind is not None and end:
            yield kind, start, block
            kind = None
        elif kind is not None:
            block.append(line if markdown else unroff(line))
        elif not markdown and line.startswith(".Dl "):
            yield "", number, [unroff(line[4:])]
        elif markdown and re.match(r" {4}\S", line) and not previous:
            raise AssertionError(f"{path}:{number}: an indented block; fence it, so that it can be told what it is")
        previous = line.strip()
    assert kind is None, f"{path}:{start}: a block without end"


def examples(path, top):
    """Every example of a page."""
    found = []
    for _, start, block in blocks(path):
        current = None
        for number, line in enumerate(block, start):
            prompt = PROMPT.fullmatch(line)
            if current and current.command.endswith("\\"):
                current.command = current.command[:-1].rstrip() + " " + line.strip()
            elif prompt:
                current = Example(str(path.relative_to(top)), number, prompt[1] or "", prompt[3], [])
                found.append(current)
            elif current:
                current.output.append(line)
    for example in found:  # an empty line before the next command is there for the eye
        while example.output and not example.output[-1].strip():
            example.output.pop()
    return found


def shape(line):
    """A line without what differs from run to run."""
    for pattern, mark in MASKS:
        line = re.sub(pattern, mark, line)
    return line.strip()


def fits(expected, actual):
    """Whether a line printed is the line of the page."""
    if expected.endswith(" ..."):
        return shape(actual).startswith(shape(expected[:-4]))
    return shape(expected) == shape(actual)


def matches(expected, actual):
    """Whether the lines printed are those of the page, with any lines in place of "..."."""
    runs, run = [], []
    for line in expected:
        if line.strip() == "...":
            runs.append(run)
            run = []
        else:
            run.append(line)
    runs.append(run)

    def at(run, place):
        return place + len(run) <= len(actual) and all(fits(e, a) for e, a in zip(run, actual[place:]))

    place = len(runs[0])
    if not at(runs[0], 0):
        return False
    if len(runs) == 1:
        return place == len(actual)
    for run in runs[1:-1]:
        while not at(run, place):
            place += 1
            if place > len(actual):
                return False
        place += len(run)
    return len(actual) - len(runs[-1]) >= place and at(runs[-1], len(actual) - len(runs[-1]))
