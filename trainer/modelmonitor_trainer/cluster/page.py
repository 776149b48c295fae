"""Pages for a terminal: blocks of labelled rows, wrapped and coloured.

Texts of a cluster are hostile input. Only :func:`render` writes escape sequences, and it removes those in texts.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from modelmonitor_trainer.text import printable

#: Widths between which lines are wrapped: longer ones are hard to read.
MIN_WIDTH, MAX_WIDTH = 40, 120
_BARS = "▁▂▃▄▅▆▇█"


class Tone(Enum):
    """How a text is set apart: the code of its colour in a terminal."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    UNSURE = "33"
    BAD = "31"


@dataclass(frozen=True)
class Row:
    """A row: a label, and a text of which the beginning can be set apart.

    Attributes
    ----------
    label
        Left column; empty for a text that continues the row above.
    text
        Right column.
    lead
        Begins the right column, in its tone.
    tone
        Tone of the lead, or of the whole text without one.
    wrap
        Whether the text is wrapped; lines that are drawn are not.
    """

    label: str
    text: str
    lead: str = ""
    tone: Tone = Tone.PLAIN
    wrap: bool = True


@dataclass(frozen=True)
class Block:
    """Rows under a title; an empty title has no line."""

    title: str
    rows: tuple[Row, ...]
    tone: Tone = Tone.BOLD


def render(blocks: Iterable[Block], *, width: int, color: bool) -> str:
    """Return a page.

    Parameters
    ----------
    blocks
        The blocks; those without rows are left out.
    width
        Columns of the terminal.
    color
        Whether to write escape sequences of colours.
    """
    shown = [block for block in blocks if block.rows]
    width = max(MIN_WIDTH, min(width, MAX_WIDTH))
    return "\n\n".join("\n".join(_lines(block, width, color)) for block in shown)


def _lines(block: Block, width: int, color: bool) -> Iterator[str]:
    if block.title:
        title = textwrap.fill(clean(block.title), width, break_long_words=False, break_on_hyphens=False)
        yield _paint(title, block.tone, color)
    indent = "  " if block.title else ""
    label_width = max((len(clean(row.label)) for row in block.rows), default=0)
    for row in block.rows:
        margin = indent + " " * (label_width + 2 if label_width else 0)
        label = indent + clean(row.label).ljust(label_width) + ("  " if label_width else "")
        lines = _wrapped(row, max(width - len(margin), MIN_WIDTH // 2))
        for index, line in enumerate(lines):
            yield ((label if index == 0 else margin) + _tinted(row, line, index == 0, color)).rstrip()


def _wrapped(row: Row, width: int) -> list[str]:
    text = clean(f"{row.lead} {row.text}".strip() if row.lead else row.text)
    if not row.wrap:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _tinted(row: Row, line: str, first: bool, color: bool) -> str:
    lead = clean(row.lead)
    if not lead:
        return _paint(line, row.tone, color)
    if first and line.startswith(lead):
        return _paint(lead, row.tone, color) + line[len(lead) :]
    return line


def _paint(text: str, tone: Tone, color: bool) -> str:
    return f"\x1b[{tone.value}m{text}\x1b[0m" if color and tone.value and text else text


def clean(text: str) -> str:
    r"""Return text without what a terminal interprets; line breaks and tabs become blanks.

    >>> clean("a\n\x1b[31mb")
    'a ?[31mb'
    """
    return printable(" ".join(text.split("\n")).replace("\t", " ").replace("\r", " "))


def full_stop(text: str) -> str:
    """Return a message with a full stop; its first word can be a name, and stays as it is.

    >>> full_stop("temp has drifted"), full_stop("Done.")
    ('temp has drifted.', 'Done.')
    """
    return text if not text or text.endswith((".", "?", "…")) else f"{text}."


def sparkline(values: Sequence[float | None], most: float = 1.0) -> str:
    """Return values as bars from 0 to `most`; an unknown one is a dot.

    >>> sparkline([0.0, 0.5, 1.0, None])
    '▁▅█·'
    """
    return "".join(
        "·" if value is None else _BARS[min(len(_BARS) - 1, max(0, int(value / most * len(_BARS))))] for value in values
    )


def relative(time: dt.datetime, now: dt.datetime) -> str:
    """Return a time as people say it, with the time itself.

    >>> relative(dt.datetime(2013, 4, 1, 6, tzinfo=dt.UTC), dt.datetime(2013, 4, 1, 9, tzinfo=dt.UTC))
    '3 h ago (2013-04-01 06:00 UTC)'
    """
    exact = f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    seconds = (now - time).total_seconds()
    span = duration(abs(seconds))
    return f"{span} ago ({exact})" if seconds >= 0 else f"in {span} ({exact})"


def duration(seconds: float) -> str:
    """Return a span of time in its largest sensible unit.

    >>> duration(59), duration(5400), duration(200000)
    ('59 s', '90 min', '2 days')
    """
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} days"
