"""Pages for a terminal: wrapped, coloured only if wanted, and harmless whatever is in them."""

from __future__ import annotations

import datetime as dt

import pytest

from modelmonitor_trainer.cluster.page import Block, Row, Tone, clean, duration, full_stop, relative, render, sparkline
from unit.cluster.observed import HOSTILE, NOW

PAGE = (
    Block("ml/flights", (Row("Verdict", "temp has drifted", "Drift.", Tone.BAD), Row("Next", "in 3 h"))),
    Block("Champion", ()),
)


def test_labels_are_aligned_and_empty_blocks_left_out() -> None:
    assert render(PAGE, width=80, color=False) == ("ml/flights\n  Verdict  Drift. temp has drifted\n  Next     in 3 h")


def test_long_texts_are_wrapped_under_their_beginning() -> None:
    row = Row("Why", "one two three four five six seven eight nine ten eleven twelve thirteen")
    lines = render((Block("x", (row,)),), width=44, color=False).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 44
    assert lines[2].startswith(" " * len("  Why  ") + "eight")


def test_colours_are_written_only_if_wanted() -> None:
    assert "\x1b" not in render(PAGE, width=80, color=False)
    assert "\x1b[31mDrift.\x1b[0m temp has drifted" in render(PAGE, width=80, color=True)


@pytest.mark.parametrize("row", [Row(HOSTILE, HOSTILE, HOSTILE, Tone.BAD), Row("", HOSTILE, wrap=False)])
@pytest.mark.parametrize("color", [True, False])
def test_hostile_texts_never_reach_the_terminal(row: Row, color: bool) -> None:
    page = render((Block(HOSTILE, (row,)),), width=80, color=color)
    for tone in Tone:
        page = page.replace(f"\x1b[{tone.value}m", "") if tone.value else page
    assert all(c.isprintable() or c == "\n" for c in page.replace("\x1b[0m", ""))


def test_a_line_break_is_a_blank() -> None:
    assert clean("a\nb\tc") == "a b c"


@pytest.mark.parametrize(
    ("values", "most", "line"),
    [
        ([], 1.0, ""),
        ([0.0, 0.5, 1.0, None], 1.0, "▁▅█·"),
        ([0.0, 0.1, 0.2], 0.2, "▁▅█"),
        ([5.0, -1.0], 1.0, "█▁"),
    ],
)
def test_sparkline(values: list[float | None], most: float, line: str) -> None:
    assert sparkline(values, most) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (130, "2 min"), (7200, "2 h"), (3600 * 30, "30 h"), (86400 * 3, "3 days")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_relative_and_exact() -> None:
    assert relative(NOW + dt.timedelta(hours=3), NOW) == "in 3 h (2013-04-02 12:00 UTC)"
    assert relative(NOW - dt.timedelta(hours=3), NOW) == "3 h ago (2013-04-02 06:00 UTC)"


@pytest.mark.parametrize(("text", "sentence"), [("temp fell", "temp fell."), ("Done.", "Done."), ("", "")])
def test_full_stop(text: str, sentence: str) -> None:
    assert full_stop(text) == sentence
