"""Findings: what is unusual about a column although it is no drift: mean, spread, range, single values, single days.

A distance between distributions hardly notices a few extreme rows, or one day among many. A user who pays by the mean
does. Findings do not change the verdict. Their bounds are far beyond chance: six standard errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.outcomes import FindingKind
from modelmonitor_trainer.detect.drift import ColumnResult
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.binning import CategoricalPlan, NumericPlan
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
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
#: Standard errors that a change must exceed.
_ERRORS = 6.0


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
    columns: Sequence[ColumnResult], current_batches: Sequence[str], least: float, level: float, wording: Wording
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
    """
    findings: list[Finding] = []
    for column in columns:
        if not column.drifted:
            findings += _of_column(column)
            findings += _of_batches(column, current_batches, least, level / max(1, len(columns)), wording)
    return tuple(findings)


def _of_column(column: ColumnResult) -> Iterator[Finding]:
    reference, current = column.comparison.reference.total, column.comparison.current.total
    rows = (reference.present, current.present)
    if min(rows) < _MIN_ROWS:
        return
    plan = column.comparison.plan
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        messages = _of_numbers(reference, current)
        assert isinstance(plan, NumericPlan)
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
    ]
    if changed:
        texts = [text for _, text in sorted(changed, key=lambda item: -item[0])]
        more = f", and {len(texts) - _VALUES} more values are as unusual" if len(texts) > _VALUES else ""
        yield Finding(column.name, FindingKind.VALUE_SHARE, ", ".join(texts[:_VALUES]) + more)


def _of_numbers(reference: NumericProfile, current: NumericProfile) -> Iterator[tuple[FindingKind, str]]:
    if reference.finite < _MIN_ROWS or current.finite < _MIN_ROWS:
        return
    before, now = reference.deviation, current.deviation
    width = reference.maximum - reference.minimum
    if not np.isfinite(width) or before <= 0:
        return
    apart = abs(current.mean - reference.mean)
    if apart > _MEAN * before:
        text = f"the mean is {number(current.mean)} ({number(reference.mean)} in the reference"
        yield FindingKind.MEAN, f"{text}, {apart / before:.1f} standard deviations apart)"
    if now > _SPREAD * before or now * _SPREAD < before:
        text = f"the standard deviation is {number(now)} ({number(before)} in the reference)"
        yield FindingKind.SPREAD, text
    for end, value, beyond in (
        ("smallest", current.minimum, reference.minimum - current.minimum),
        ("largest", current.maximum, current.maximum - reference.maximum),
    ):
        if beyond > _OUTSIDE * width:
            text = (
                f"the {end} value is {number(value)}, and those of the reference lie between "
                f"{number(reference.minimum)} and {number(reference.maximum)}"
            )
            yield FindingKind.RANGE, text


def _names_of_values(plan: NumericPlan) -> dict[int, str]:
    """Return bin → value, for the bins of a single value."""
    edges = plan.edges
    single = np.flatnonzero(edges[1:] == np.nextafter(edges[:-1], np.inf)) + 1
    # A bin holds the values from its lower edge up to, and without, its upper edge.
    return {int(index): number(float(edges[index - 1])) for index in single}


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
