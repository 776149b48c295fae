"""Findings: what is unusual about a column although it is no drift: mean, spread, range, single values, single days.

A distance between distributions hardly notices a few extreme rows, or one day among many. A user who pays by the mean
does. Findings do not change the verdict. Their bounds are far beyond chance: six standard errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.outcomes import FindingKind
from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.dates import date_text, days_text
from modelmonitor_trainer.detect.drift import ColumnResult, Comparison
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan, next_double
from modelmonitor_trainer.text import listed, number, percent

#: Fewer values are not examined.
_MIN_ROWS = 100
#: A change of the mean is unusual from this share of the standard deviation of the reference on ...
_MEAN = 0.5
#: ... and one of the standard deviation from this factor on.
_SPREAD = 2.0
#: Values lie far outside from this share of the width of the reference beyond its ends on.
_OUTSIDE = 0.5
#: A share of a single value has changed by at least this much, and by this factor.
_SHARE, _FACTOR = 0.01, 3.0
#: Number of values of a column that are named.
_VALUES = 3
#: Or by this much, and by this smaller factor.
_LARGE_SHARE, _LARGE_FACTOR = 0.05, 1.5
#: Standard errors that a change must exceed.
_ERRORS = 6.0
#: With at least this many batches of the reference, a change must exceed as many of their errors, too.
_BATCHES = 3


@dataclass(frozen=True)
class Finding:
    """Something unusual about a column.

    Attributes
    ----------
    column
        The column.
    kind
        What it is about.
    message
        What is unusual, with the figures of both sides.
    """

    column: str
    kind: FindingKind
    message: str

    @property
    def sentence(self) -> str:
        """The finding as a note."""
        return f"Unusual, but not drift: {self.column}: {self.message}."


def find_unusual(
    columns: Sequence[ColumnResult],
    current_batches: Sequence[str],
    least: float,
    level: float,
    wording: Wording,
    samples: Mapping[str, Floats] | None = None,
) -> tuple[Finding, ...]:
    """Return what is unusual about columns that have not drifted.

    Parameters
    ----------
    columns
        Decided columns.
    current_batches
        Names of the batches of the current window.
    least
        Smallest distance of a single batch that is reported.
    level
        Level of the check, for all batches of all columns together.
    wording
        Words for days or files.
    samples
        Column → values of a sample of the current rows, of the columns with :func:`crowded_cells`.
    """
    findings: list[Finding] = []
    for column in columns:
        if not column.drifted:
            findings += _of_column(column)
            if samples and column.name in samples:
                findings += _of_sample(column, samples[column.name])
            findings += _of_batches(column, current_batches, least, level / max(1, len(columns)), wording)
    return tuple(findings)


def _of_column(column: ColumnResult) -> Iterator[Finding]:
    reference, current = column.comparison.reference.total, column.comparison.current.total
    rows = (reference.present, current.present)
    if min(rows) < _MIN_ROWS:
        return
    plan = column.comparison.plan
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        assert isinstance(plan, NumericPlan)
        messages = _of_numbers(reference, current, _date_words if plan.dates else _number_words)
        names = _names_of_values(plan)
    else:
        assert isinstance(plan, CategoricalPlan)
        assert isinstance(current, CategoricalProfile)
        messages = iter(())
        names = {index: repr(value) for index, value in enumerate(plan.categories)}
        yield from _new_values(column.name, current)
    for kind, message in messages:
        yield Finding(column.name, kind, message)
    shares = (reference.counts / reference.present, current.counts / current.present)
    changed = [
        (abs(now - before), f"the value {name} is {percent(now)} of the rows ({percent(before)} in the reference)")
        for index, name in names.items()
        if _has_changed(before := float(shares[0][index]), now := float(shares[1][index]), *rows)
        or _has_moved(before, now, column.comparison, index)
    ]
    if changed:
        texts = [text for _, text in sorted(changed, key=lambda item: -item[0])]
        more = f", and {len(texts) - _VALUES} more values are as unusual" if len(texts) > _VALUES else ""
        yield Finding(column.name, FindingKind.VALUE_SHARE, ", ".join(texts[:_VALUES]) + more)


def crowded_cells(column: ColumnResult) -> tuple[int, ...]:
    """Return the cells of several numbers that hold far more of the current rows than of the reference.

    One value can be the reason: a value of the current rows that was too rare in the reference for a cell of its own.
    """
    reference, current, plan = (
        column.comparison.reference.total,
        column.comparison.current.total,
        column.comparison.plan,
    )
    if column.drifted or not isinstance(plan, NumericPlan) or min(reference.present, current.present) < _MIN_ROWS:
        return ()
    single = _names_of_values(plan)
    before, now = reference.counts / reference.present, current.counts / current.present
    larger = np.flatnonzero(now > before + _SHARE).tolist()
    sizes = reference.present, current.present
    return tuple(i for i in larger if i not in single and _has_changed(float(before[i]), float(now[i]), *sizes))


def _of_sample(column: ColumnResult, sample: Floats) -> Iterator[Finding]:
    """Yield the most common values of a sample in the cells that have become crowded."""
    plan, reference = column.comparison.plan, column.comparison.reference.total
    assert isinstance(plan, NumericPlan)
    cells = np.searchsorted(plan.edges, sample, side="right")
    for cell in crowded_cells(column) if sample.size >= _MIN_ROWS else ():
        values, counts = _distinct(sample[cells == cell])
        if not values.size:
            continue
        most = int(counts.argmax())
        share, at_most = float(counts[most] / sample.size), float(reference.counts[cell] / reference.present)
        if _has_changed(at_most, share, reference.present, sample.size):
            shown = (date_text if plan.dates else number)(float(values[most]))
            text = f"the value {shown} is about {percent(share)} of the rows, "
            text += f"at most {percent(at_most)} in the reference" if at_most else "and not in the reference"
            yield Finding(column.name, FindingKind.VALUE_SHARE, text)


def _distinct(values: Floats) -> tuple[Floats, Counts]:
    """Return distinct values and their counts, without np.unique, which imports masked arrays."""
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: ordered.size])
    return ordered[starts], np.diff(starts, append=ordered.size)


@dataclass(frozen=True)
class _Words:
    """How the values of a column, and their differences, are written."""

    value: Callable[[float], str]
    size: Callable[[float], str]


def _of_numbers(reference: NumericProfile, current: NumericProfile, words: _Words) -> Iterator[tuple[FindingKind, str]]:
    if reference.finite < _MIN_ROWS or current.finite < _MIN_ROWS:
        return
    before, now = reference.deviation, current.deviation
    width = reference.maximum - reference.minimum
    if not np.isfinite(width) or before <= 0:
        return
    apart = abs(current.mean - reference.mean)
    if apart > _MEAN * before:
        text = f"the mean is {words.value(current.mean)} ({words.value(reference.mean)} in the reference"
        yield FindingKind.MEAN, f"{text}, {apart / before:.1f} standard deviations apart)"
    if now > _SPREAD * before or now * _SPREAD < before:
        text = f"the standard deviation is {words.size(now)} ({words.size(before)} in the reference)"
        yield FindingKind.SPREAD, text
    for end, value, beyond in (
        ("smallest", current.minimum, reference.minimum - current.minimum),
        ("largest", current.maximum, current.maximum - reference.maximum),
    ):
        if beyond > _OUTSIDE * width:
            text = (
                f"the {end} value is {words.value(value)}, and those of the reference lie between "
                f"{words.value(reference.minimum)} and {words.value(reference.maximum)}"
            )
            yield FindingKind.RANGE, text


def _names_of_values(plan: NumericPlan) -> dict[int, str]:
    """Return bin → value, for the bins of a single value."""
    edges = plan.edges
    single = np.flatnonzero(edges[1:] == next_double(edges[:-1])) + 1
    # A bin holds the values from its lower edge up to, and without, its upper edge.
    shown = date_text if plan.dates else number
    return {int(index): shown(float(edges[index - 1])) for index in single}


def _new_values(name: str, current: CategoricalProfile) -> Iterator[Finding]:
    for value, rows in sorted(current.others.items(), key=lambda item: (-item[1], item[0]))[:3]:
        share = rows / current.present
        if _has_changed(0.0, share, current.present, current.present):
            text = f"the value {value[:40]!r} is {percent(share)} of the rows, and is new or rare in the reference"
            yield Finding(name, FindingKind.VALUE_SHARE, text)


def _of_batches(
    column: ColumnResult, names: Sequence[str], least: float, level: float, wording: Wording
) -> Iterator[Finding]:
    for test in column.tests:
        odd = test.variation.odd_current(level, least)
        if odd and len(odd) < test.variation.current_batches:
            shown = listed([names[index] for index in odd], 3)
            what = "distribution" if test.what == "Distribution" else "share of missing values"
            text = f"the {what} on {len(odd)} of {test.variation.current_batches} {wording.clusters} is unlike that of"
            yield Finding(column.name, FindingKind.ODD_BATCH, f"{text} the reference: {shown}")


def _has_changed(before: float, now: float, n: int, m: int) -> bool:
    both = (before * n + now * m) / (n + m)
    error = np.sqrt(both * (1 - both) * (1 / n + 1 / m))
    larger, smaller = max(before, now), min(before, now)
    return larger - smaller > max(_SHARE, _ERRORS * error) and larger > _FACTOR * smaller


def _has_moved(before: float, now: float, comparison: Comparison, cell: int) -> bool:
    """Whether a share has changed by much, though not by a large factor, and more than between batches."""
    larger, smaller = max(before, now), min(before, now)
    if larger - smaller < _LARGE_SHARE or larger < _LARGE_FACTOR * smaller:
        return False
    reference, current = comparison.reference, comparison.current
    n, m = reference.total.present, current.total.present
    both = (before * n + now * m) / (n + m)
    error = both * (1 - both) * (1 / n + 1 / m)
    sides = [side.counts[:, cell] / np.maximum(1, side.rows - side.missing) for side in (reference, current)]
    filled = [shares[(side.rows > side.missing)] for shares, side in zip(sides, (reference, current), strict=True)]
    if filled[0].size >= _BATCHES:
        error = max(error, float(filled[0].var(ddof=1)) * sum(1 / shares.size for shares in filled))
    return bool(larger - smaller > _ERRORS * np.sqrt(error))


_number_words = _Words(number, number)
_date_words = _Words(date_text, days_text)
