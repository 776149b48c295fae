"""Notes on how a verdict was reached."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelmonitor_api.outcomes import DoubtReason
from modelmonitor_trainer.check.data import ProfiledPair
from modelmonitor_trainer.data.remarks import (
    AS_IN_OTHERS,
    AS_TEXT,
    COMMA,
    NOT_UTF8,
    POINT,
    POINT_OR_THOUSANDS,
    TRUTH,
    missing_words,
)
from modelmonitor_trainer.detect.coverage import Coverage
from modelmonitor_trainer.detect.drift import DISTRIBUTION, ColumnTest, DriftResult
from modelmonitor_trainer.detect.growth import growing_columns
from modelmonitor_trainer.detect.inconclusive import NOT_RULED_OUT, explain_reason
from modelmonitor_trainer.detect.repeated_batches import repeated_batches
from modelmonitor_trainer.detect.unit_changes import days_with_few_rows
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile
from modelmonitor_trainer.profile.window import WindowProfile
from modelmonitor_trainer.text import as_sentence, listed, percent

#: Number of columns and days that a note names.
_SHOWN = 5
#: Number of columns that a note on inconclusive columns names.
_COLUMNS = 20
#: A movement of the reference is noted from this distance between its first and its last third on.
_NOTABLE_TREND = 0.05
#: Probability that the movement of any column is noted although its batches are independent.
_TREND_LEVEL = 0.01


def notes_on(drift: DriftResult | None, rows: ProfiledPair, wording: Wording) -> tuple[str, ...]:
    """Return what a reader should know about how the verdict was reached."""
    notes = [*_notes_on_batches(drift, rows, wording)] if drift else []
    if rows.reference is not None:
        notes += [
            f"Column {name!r} is missing from the reference and could not be compared."
            for name in rows.reference.columns
            if not rows.reference.columns[name].rows.sum()
        ]
        notes += _notes_on_growth(growing_columns(rows.reference, rows.current), wording)
    notes += _notes_on_writing(rows, wording)
    if drift:
        notes += _notes_on_doubts(drift, rows, wording)
    return tuple(notes)


def _notes_on_doubts(drift: DriftResult, rows: ProfiledPair, wording: Wording) -> list[str]:
    """Return which columns are inconclusive, and which batches that is about."""
    doubts = [(column.name, doubt) for column in drift.columns for doubt in column.doubts]
    names = [batch.block.label for batch in rows.current.blocks]
    row_counts = (0 if rows.reference is None else rows.reference.rows, rows.current.rows)
    notes = []
    for reason in dict.fromkeys(doubt.reason for _, doubt in doubts):
        of_reason = [(name, doubt) for name, doubt in doubts if doubt.reason is reason]
        columns = list(dict.fromkeys(name for name, _ in of_reason))
        shown_columns = listed(columns, _COLUMNS)
        explanation = as_sentence(explain_reason(reason, [doubt for _, doubt in of_reason], drift, row_counts, wording))
        text = f"{NOT_RULED_OUT}{shown_columns}: {explanation[0].lower()}{explanation[1:]}"
        # Change points are batches of the reference, which another note names.
        current = reason is not DoubtReason.CHANGE_POINT
        batches = dict.fromkeys(names[index] for _, doubt in of_reason for index in doubt.batches if current)
        if reason is DoubtReason.NEW_VALUES:
            text = (
                f"About {percent(max(doubt.size for _, doubt in of_reason))} of the distinct values of {shown_columns} "
                "do not occur in the reference. Columns with so many values are compared in groups, so new values in "
                "the same proportions show no drift. If these are identifiers, leave the column out; otherwise "
                "inspect them."
            )
        notes.append(text)
        if batches:
            notes.append(f"Farthest from the reference in {shown_columns}: {listed(list(batches), _SHOWN)}.")
    return notes


def notes_on_few_rows(rows: ProfiledPair) -> list[str]:
    """Return which current days may have arrived in part."""
    days = days_with_few_rows(rows.current, rows.reference) if rows.reference is not None else []
    shown = listed([f"{day.block.label} ({day.rows:,})" for day in days], _SHOWN)
    text = f"These days have far fewer rows than any day of the reference, and may be incomplete: {shown}."
    return [text] if days else []


def notes_on_repeated_rows(rows: ProfiledPair) -> list[str]:
    """Return which current batches have the rows of another one."""
    pairs = repeated_batches(rows.reference, rows.current)
    shown = listed([f"{batch.block.label} (as {other.block.label})" for batch, other in pairs], _SHOWN)
    return [f"The same rows as elsewhere, as if they had been copied: {shown}."] if pairs else []


def _notes_on_growth(growing: Sequence[str], wording: Wording) -> list[str]:
    if not growing:
        return []
    text = (
        f"All current values of {listed(growing, _SHOWN)} continue where the reference ends. Row numbers and "
        f"times only grow, so they differ in every window. {wording.leave_out(growing)}"
    )
    return [text]


def _notes_on_writing(rows: ProfiledPair, wording: Wording) -> list[str]:
    """Return how values were read that are written in an unusual way."""
    windows = [window for window in (rows.reference, rows.current) if window is not None]
    notes = []
    for name in rows.current.columns:
        columns = {
            batch.block.name: batch.columns[name]
            for window in windows
            for batch in window.blocks
            if name in batch.columns
        }
        remarks = frozenset[str]().union(*(column.kinds for column in columns.values()))

        def where(remark: str, columns: Mapping[str, ColumnProfile] = columns) -> str:
            return listed([block for block, column in columns.items() if remark in column.kinds], 1)

        if NOT_UTF8 in remarks:
            notes.append(
                f"Text of {name!r} in {where(NOT_UTF8)} is not UTF-8, and is read as Western European (cp1252). "
                "Write it again as UTF-8."
            )
        if AS_TEXT in remarks:
            notes.append(f"The numbers of {name!r} in {where(AS_TEXT)} are text, and are compared as numbers.")
        if TRUTH in remarks:
            notes.append(f"{name!r} in {where(TRUTH)} is words for true and false, which are compared as 1 and 0.")
        if AS_IN_OTHERS in remarks:
            notes.append(f"The marks in {name!r} in {where(AS_IN_OTHERS)} are read as in the other {wording.batches}.")
        if POINT_OR_THOUSANDS in remarks and not _shown_anywhere(windows) & {POINT, COMMA}:
            notes.append(
                f"The points in {name!r} can be decimal points or between thousands, and no other value shows which. "
                f"They are read as decimal points; {wording.decimal_commas} if they are between thousands."
            )
        words = missing_words(remarks)
        if words:
            shown = listed([repr(word[:40]) for word in words], _SHOWN)
            notes.append(f"In {name!r}, {shown} count as missing values, because all others are numbers or dates.")
        padded = sum(column.padded for column in columns.values() if isinstance(column, CategoricalProfile))
        if padded:
            notes.append(f"Blanks around values of {name!r} were removed, in {padded:,} rows.")
    return notes


def _shown_anywhere(windows: Sequence[WindowProfile]) -> frozenset[str]:
    return frozenset[str]().union(*(column.total.kinds for window in windows for column in window.columns.values()))


def with_coverage_notes(notes: tuple[str, ...], coverage: Coverage) -> tuple[str, ...]:
    """Return notes, and those on what was left out that add a name to them."""
    more = [note for note, names in coverage.notes() if not all(_names(name, notes) for name in names)]
    return (*notes, *more)


def _names(name: str, notes: tuple[str, ...]) -> bool:
    """Whether a note names something, and not only something longer."""
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(whole.search(note) for note in notes)


def _notes_on_batches(drift: DriftResult, rows: ProfiledPair, wording: Wording) -> list[str]:
    """Return what is unusual about the batches of the reference: odd ones, jumps, trends, too few of them."""
    assert rows.reference is not None
    tests = {
        column.name: test
        for column in drift.columns
        for test in column.tests
        if test.what == DISTRIBUTION and column.comparison.role == "Feature"
    }
    if not tests:
        return []
    names = [batch.block.label for batch in rows.reference.blocks]
    notes = [
        _name_batches(
            tests,
            "odd",
            names,
            f"These {wording.clusters} of the reference are unlike all others, and do not count as ordinary variation",
        ),
        _name_batches(
            tests,
            "change_points",
            names,
            "The reference has changed within itself, and is compared in parts; a new part begins with",
        ),
    ]
    moving = {
        name: test.variation.trend
        for name, test in tests.items()
        # Of hundreds of columns, some move steadily by chance.
        if test.variation.trend >= _NOTABLE_TREND and test.variation.trend_p * len(tests) < _TREND_LEVEL
    }
    if moving:
        shown = listed([f"{name} ({size:.2f})" for name, size in moving.items()], _SHOWN)
        notes.append(
            f"The reference has a trend: its first and last thirds differ steadily in {shown}. A "
            "window that continues it is outside of what the model was trained on."
        )
    fewest = min(test.variation.freedom for test in tests.values())
    if fewest < 1 and not any(test.variation.independent for test in tests.values()):
        notes.append(
            f"With one {wording.cluster} on each side, nothing shows how much {wording.clusters} vary. Only a change "
            f"that no ordinary variation can explain counts as drift. Add {wording.clusters}, or "
            f"{wording.independent_rows} if rows are independent of each other."
        )
    return [note for note in notes if note]


def _name_batches(tests: dict[str, ColumnTest], what: str, names: list[str], text: str) -> str:
    """Return a note that names batches, and the columns that they were found in."""
    columns_by_batch: dict[int, list[str]] = {}
    for column, test in tests.items():
        for index in getattr(test.variation, what):
            columns_by_batch.setdefault(index, []).append(column)
    if not columns_by_batch:
        return ""
    batches = sorted(columns_by_batch.items())
    shown = "; ".join(f"{names[index]} ({listed(columns, _SHOWN)})" for index, columns in batches[:_SHOWN])
    more = f" and {len(batches) - _SHOWN} more" if len(batches) > _SHOWN else ""
    return f"{text}: {shown}{more}."
