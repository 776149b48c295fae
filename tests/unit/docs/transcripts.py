"""Transcripts on pages: the commands of a page in order, and what the page shows of their output.

A page shows output in a shortened form, which :func:`shorten` computes, so that it can be written from the output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

#: A line is cut after so many characters, at the end of a sentence or word.
_WIDTH = 240
#: Number of columns that a table shows.
_ROWS = 6
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"[Ss]ave this as `(\S+)`")
#: The hash in the name of a version depends on where the results are.
_HASH = re.compile(r"\bv(\d+)-[0-9a-f]{8}\b")
#: The folder of a check is named after its time.
_TIME = re.compile(r"\d{8}T\d{6}Z-local")
#: The time at which a version became the champion.
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TABLE = re.compile(r"^  column +effect ")


@dataclass(frozen=True)
class Step:
    """A command of a page, or a file that it tells to save.

    Attributes
    ----------
    text
        The command, or the content of the file.
    saved_as
        Name of the file; empty for a command.
    shown
        Output that the page shows; None if it shows none.
    span
        Where the page shows it: start and end, with the fence's indentation.
    indent
        The indentation.
    """

    text: str
    saved_as: str = ""
    shown: str | None = None
    span: tuple[int, int] = (0, 0)
    indent: str = ""


def steps_of(page: str) -> Iterator[Step]:
    """Yield the steps of a page in order."""
    command: Step | None = None
    end = 0
    for match in _FENCE.finditer(page):
        indent, kind, body = match.groups()
        text = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        if command is not None and kind in {"text", "json"}:
            yield Step(command.text, shown=text, span=match.span(3), indent=indent)
            command = None
            continue
        if command is not None:
            yield command
            command = None
        saved = _SAVED.findall(page[end : match.start()])
        if kind == "sh":
            command = Step(text)
        elif saved:
            yield Step(text, saved_as=saved[-1])
        end = match.end()
    if command is not None:
        yield command


def shorten(output: str, folder: Path) -> str:
    """Return output as a page shows it: without folder and time, long lines cut, and notes left out.

    >>> print(shorten("NoDrift: No change.\\n\\nA note.\\nAnother.\\n\\nReport: file:///tmp/a.html\\n", Path("/tmp")))
    NoDrift: No change.
    <BLANKLINE>
    …
    Report: file:///…/a.html
    <BLANKLINE>
    """
    if output.startswith("{"):
        return json.dumps(json.loads(output), indent=2) + "\n"
    output = _TIME.sub("…", output.replace(str(folder), "/…"))
    lines = [_cut(line) for line in output.rstrip().splitlines()]
    kept: list[str] = lines[:1]
    rest = lines[1:]
    table = next((index for index, line in enumerate(rest) if _TABLE.match(line)), None)
    if table is not None:
        columns = list(takewhile(bool, rest[table + 1 :]))
        kept += ["", rest[table], *columns[:_ROWS]]
        rest = rest[table + 1 + len(columns) :]
        if len(columns) > _ROWS:
            kept.append("  …")
        if rest[:1] == [""] and rest[1:2] and rest[1].startswith("  "):  # how many there are of each kind
            kept += rest[:2]
            rest = rest[2:]
    elif not any(line.startswith("Report: ") for line in rest):
        return "\n".join([*kept, *rest]) + "\n"
    where = [line for line in rest if line.startswith("Report: ")]
    if any(rest[: -len(where) or None]):
        kept += ["", "…"]
    kept += [*([""] if kept[-1] != "…" else []), *where] if where else []
    return "\n".join(kept) + "\n"


def comparable(text: str) -> str:
    """Return output without what differs from folder to folder, and from run to run."""
    return re.sub(" +", " ", _MOMENT.sub("then", _HASH.sub(r"v\1", text)))


def with_outputs(page: str, outputs: list[tuple[Step, str]]) -> str:
    """Return a page with other outputs for some of its steps."""
    for step, output in sorted(outputs, key=lambda item: -item[0].span[0]):
        indented = "".join(f"{step.indent}{line}\n" if line else "\n" for line in output.splitlines())
        page = page[: step.span[0]] + indented + page[step.span[1] :]
    return page


def _cut(line: str) -> str:
    if len(line) <= _WIDTH:
        return line
    head = line[:_WIDTH]
    sentence = head.rfind(". ")
    end = sentence + 1 if sentence > _WIDTH // 3 else head.rfind(" ")
    return f"{line[:end]} …"
