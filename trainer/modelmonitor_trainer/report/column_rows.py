"""Rows of the table of columns: what the page shows of each column, compared or left out, and the orders of sorting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelmonitor_api.outcomes import Verdict
from modelmonitor_trainer.data.dates import date_text, days_text
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.batch_distances import distances_of_batches
from modelmonitor_trainer.detect.drift import DISTRIBUTION, MISSING, ColumnResult, ColumnTest
from modelmonitor_trainer.detect.inconclusive import explain_doubts
from modelmonitor_trainer.detect.result import CheckResult
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.plans import ColumnPlan, NumericPlan
from modelmonitor_trainer.report.charts import Bar, Bars, chart_of
from modelmonitor_trainer.report.heat_line import HeatLine, heat_line_of
from modelmonitor_trainer.report.histogram import Histogram
from modelmonitor_trainer.text import number, percent

#: Maximum number of columns whose heat line has a tooltip for each cell, and that are open when the page is.
_TITLED, _OPEN = 60, 3
#: Length of the axis of effects: at least this multiple of ``detectableEffect``.
_AXIS = 2.0
#: Maximum number of left-out columns that are listed.
_LEFT_OUT = 1000

#: State of a row → its badge. The states are also the filters of the page.
STATES = {
    "drifted": "drift",
    "inconclusive": "inconclusive",
    "unchanged": "no drift",
    "left-out": "left out",
}
_STATES = {Verdict.DRIFT: "drifted", Verdict.INCONCLUSIVE: "inconclusive", Verdict.NO_DRIFT: "unchanged"}


@dataclass(frozen=True)
class Fact:
    """A figure of both sides."""

    name: str
    reference: str
    current: str


@dataclass(frozen=True)
class Gauge:
    """An effect on its axis; positions are percentages of its length."""

    effect: float
    low: float
    high: float
    limit: float
    detectable: float


@dataclass(frozen=True)
class ColumnRow:
    """What the page shows of one column.

    Attributes
    ----------
    name, role
        The column; the role is empty for a feature.
    state
        One of :data:`STATES`.
    reasons
        Why it is inconclusive or left out, and what is unusual about it, in sentences.
    column
        The result of its tests; None if it was left out.
    shown
        The test that the row shows; None if there is none.
    gauge, heat, chart
        Charts; None where there is nothing to draw.
    is_unusual
        Whether there is a finding about it.
    titled, is_open
        Whether each cell of the heat line has a tooltip, and whether the row is open.
    missing, missing_bars
        Shares of missing values: as text, and as bars if they decide.
    facts
        Figures of both sides.
    unknown
        Some values that are not among the common ones of the reference.
    orders
        Key → position when the table is sorted by it.
    """

    name: str
    role: str
    state: str
    reasons: tuple[str, ...] = ()
    column: ColumnResult | None = None
    shown: ColumnTest | None = None
    gauge: Gauge | None = None
    heat: HeatLine | None = None
    chart: Histogram | Bars | None = None
    is_unusual: bool = False
    titled: bool = False
    is_open: bool = False
    missing: tuple[str, str] = ("–", "–")
    missing_bars: Bars | None = None
    facts: tuple[Fact, ...] = ()
    unknown: tuple[str, ...] = ()
    orders: dict[str, int] = field(default_factory=dict)

    @property
    def is_histogram(self) -> bool:
        """Whether the chart is a histogram."""
        return isinstance(self.chart, Histogram)

    @property
    def measure(self) -> str:
        """What the effect of the shown test is about."""
        return "" if self.shown is None else measure_of(self.shown)

    @property
    def tests(self) -> tuple[ColumnTest, ...]:
        """Its tests, the shown one first; that of missing values only where there are some."""
        if self.column is None:
            return ()
        totals = (self.column.comparison.reference.total, self.column.comparison.current.total)
        tests = [test for test in self.column.tests if test.what != MISSING or any(p.missing for p in totals)]
        return tuple(sorted(tests, key=lambda test: test is not self.shown))


def measure_of(test: ColumnTest) -> str:
    """Return what a test compares, in words."""
    return "distribution" if test.what == DISTRIBUTION else "missing values"


def rows_of(result: CheckResult) -> list[ColumnRow]:
    """Return the rows of all columns: compared ones in the order of their evidence, then those left out."""
    drift = result.drift
    columns = drift.columns if drift else ()
    longest = max([1e-9, *(test.evidence.high for column in columns if (test := column.decisive))])
    axis = min(1.0, max(longest, _AXIS * float(result.sensitivity.detectable_effect)))
    left_out = result.coverage.columns.left_out if result.coverage else ()
    rows = [_row(column, index, axis, result, left_out) for index, column in enumerate(columns)]
    compared = {row.name for row in rows}
    others = [item for item in left_out if item.name not in compared]
    rows += [ColumnRow(item.name, "", "left-out", (_reason(item),)) for item in others[:_LEFT_OUT]]
    return _with_orders(rows)


def unlisted(result: CheckResult, rows: Sequence[ColumnRow]) -> int:
    """Return how many left-out columns have no row."""
    names = {row.name for row in rows}
    left_out = result.coverage.columns.left_out if result.coverage else ()
    return len({item.name for item in left_out} - names)


def _row(column: ColumnResult, index: int, axis: float, result: CheckResult, left_out: Sequence[LeftOut]) -> ColumnRow:
    comparison = column.comparison
    reference, current = comparison.reference.total, comparison.current.total
    shown = column.decisive
    drift = result.drift
    assert drift is not None
    reasons = explain_doubts(column, drift, (result.reference.rows, result.current.rows), result.wording)
    if not column.tests and not reasons:
        reasons = ["One side has no rows, so there is nothing to compare."]
    reasons += [_reason(item) for item in left_out if item.name == column.name]
    unusual = [f"Unusual: {finding.message}." for finding in result.findings if finding.column == column.name]
    reasons += unusual
    state = _STATES[column.verdict] if column.tests or column.doubts else "left-out"
    return ColumnRow(
        name=column.name,
        role="" if comparison.role == "Feature" else comparison.role.lower(),
        state=state,
        reasons=tuple(dict.fromkeys(reasons)),
        column=column,
        shown=shown,
        gauge=_gauge(shown, axis, float(result.sensitivity.detectable_effect)) if shown else None,
        heat=_heat_line(column, shown, result) if shown else None,
        chart=chart_of(comparison.plan, reference, current),
        is_unusual=bool(unusual),
        titled=index < _TITLED,
        is_open=index < _OPEN and state in {"drifted", "inconclusive"},
        missing=(_share(reference.missing, reference.rows), _share(current.missing, current.rows)),
        missing_bars=_missing_bars(shown, reference, current),
        facts=tuple(_facts(column.comparison.plan, reference, current)),
        unknown=_other_values(current),
    )


def _gauge(test: ColumnTest, axis: float, detectable: float) -> Gauge:
    evidence = test.evidence
    values = (evidence.effect, evidence.low, evidence.high, test.limit, detectable)
    return Gauge(*(100 * min(1.0, value / axis) for value in values))


def _heat_line(column: ColumnResult, test: ColumnTest, result: CheckResult) -> HeatLine | None:
    before, now = column.comparison.batches
    names = (_names(before), _names(now))
    limits = (float(result.sensitivity.minimum_effect), float(result.sensitivity.detectable_effect))
    nouns = (result.wording.cluster, result.wording.clusters)
    return heat_line_of(distances_of_batches(column, test), names, *limits, nouns)


def _missing_bars(
    shown: ColumnTest | None,
    reference: NumericProfile | CategoricalProfile,
    current: NumericProfile | CategoricalProfile,
) -> Bars | None:
    if shown is None or shown.what != MISSING:
        return None
    before, now = reference.missing / reference.rows, current.missing / current.rows
    return Bars((Bar("missing", before, now), Bar("present", 1 - before, 1 - now)), 1.0)


def _names(batches: Sequence[Batch]) -> list[str]:
    """Return days, or the names of files without their folders."""
    return [batch.label.rstrip("/").rsplit("/", 1)[-1] for batch in batches]


def _facts(
    plan: ColumnPlan,
    reference: NumericProfile | CategoricalProfile,
    current: NumericProfile | CategoricalProfile,
) -> list[Fact]:
    sides = (reference, current)
    facts = [
        Fact("Rows", *(f"{side.rows:,}" for side in sides)),
        Fact("Missing", *(_share(side.missing, side.rows) for side in sides)),
    ]
    numeric = [side for side in sides if isinstance(side, NumericProfile)]
    if any(side.infinities for side in numeric):
        facts.append(
            Fact(f"Infinite ({_signs(numeric)})", *(_share(side.infinities, side.present) for side in numeric))
        )
    if numeric:
        known = [side.finite > 0 for side in numeric]
        dates = isinstance(plan, NumericPlan) and plan.dates
        written = date_text if dates else number
        for name, values, text in (
            ("Mean", [side.mean for side in numeric], written),
            ("Standard deviation", [side.deviation for side in numeric], days_text if dates else number),
            ("Smallest", [side.minimum for side in numeric], written),
            ("Largest", [side.maximum for side in numeric], written),
        ):
            shown = (text(value) if exists else "–" for value, exists in zip(values, known, strict=True))
            facts.append(Fact(name, *shown))
    categorical = [side for side in sides if isinstance(side, CategoricalProfile)]
    if categorical:
        facts.append(Fact("Distinct values", *(f"{side.distinct:,}" for side in categorical)))
    return facts


def _share(count: int, of: int) -> str:
    return percent(count / of) if of else "–"


def _signs(sides: Sequence[NumericProfile]) -> str:
    negative, positive = any(p.negative_infinities for p in sides), any(p.positive_infinities for p in sides)
    return "±∞" if negative and positive else "−∞" if negative else "+∞"


def _other_values(current: NumericProfile | CategoricalProfile) -> tuple[str, ...]:
    others = current.others if isinstance(current, CategoricalProfile) else {}
    return tuple(sorted(others, key=lambda value: -others[value])[:3])


def _reason(item: LeftOut) -> str:
    detail = f" ({item.detail})" if item.detail else ""
    return f"{item.reason.meaning.removesuffix('.')}{detail}."


def _with_orders(rows: Sequence[ColumnRow]) -> list[ColumnRow]:
    """Return rows with their positions in each order of sorting."""
    keys: dict[str, Callable[[ColumnRow], Any]] = {
        "effect": lambda row: -row.shown.evidence.effect if row.shown else 1.0,
        "name": lambda row: _words(row.name),
        "missing": lambda row: -_change_of_missing(row),
    }
    positions = {
        key: {index: position for position, index in enumerate(sorted(range(len(rows)), key=lambda i: order(rows[i])))}
        for key, order in keys.items()
    }
    for index, row in enumerate(rows):
        row.orders.update({"evidence": index} | {key: ranks[index] for key, ranks in positions.items()})
    return list(rows)


def _words(name: str) -> list[tuple[str, int]]:
    """Return a name as words, each with the number after it, so that x10 comes after x9."""
    return [(word, int(digits or -1)) for word, digits in re.findall(r"([^0-9]*)([0-9]{0,15})", name.casefold())]


def _change_of_missing(row: ColumnRow) -> float:
    if row.column is None:
        return -1.0
    sides = (row.column.comparison.reference.total, row.column.comparison.current.total)
    before, now = (side.missing / side.rows if side.rows else 0.0 for side in sides)
    return abs(now - before)
