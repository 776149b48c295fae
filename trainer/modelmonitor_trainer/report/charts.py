"""Small charts as SVG geometry: coordinates are computed here, drawn and escaped by the templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Counts
from modelmonitor_trainer.data.dates import day_text
from modelmonitor_trainer.detect.hypotheses import Hypothesis
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.plans import CategoricalPlan, ColumnPlan, NumericPlan, next_double
from modelmonitor_trainer.report.histogram import WIDTH, Histogram, finite_counts, histogram_of
from modelmonitor_trainer.text import number

#: Categories that are drawn: so many of the largest, and of those that have changed most.
_BARS = 4
#: Edges of a reference of one value: it, and the next number.
_ONE_VALUE = 2
#: Maximum number of columns of a heat map; those with the strongest evidence are drawn.
_CELLS = 24


@dataclass(frozen=True)
class Bar:
    """One category, or a group of values: its label, and its shares of both windows between 0 and 1.

    Attributes
    ----------
    label
        The category, or the name of the group.
    reference, current
        The shares.
    is_value
        Whether the label is a value from the data, which is shown in quotes: a category can look like a percentage.
    """

    label: str
    reference: float
    current: float
    is_value: bool = False


@dataclass(frozen=True)
class Bars:
    """Categories, and the share that the longest bar of one stands for; a group with a larger share has no bar."""

    bars: tuple[Bar, ...]
    largest: float


@dataclass(frozen=True)
class Cell:
    """One correlation of a heat map.

    Attributes
    ----------
    column, row
        Its position.
    value
        The correlation, between -1 and 1.
    changed
        Whether its change counts.
    title
        Tooltip.
    """

    column: int
    row: int
    value: float
    changed: bool
    title: str


@dataclass(frozen=True)
class HeatMap:
    """Correlations of columns: the reference below the diagonal, the current window above it.

    Attributes
    ----------
    names
        The columns.
    cells
        The pairs that were tested, each twice.
    of
        How many columns there are in all.
    """

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    of: int


@dataclass(frozen=True)
class Scale:
    """A score with its interval on an axis; positions are between 0 and WIDTH.

    Attributes
    ----------
    low, score, high
        The current score and its interval.
    promotion_score, allowed
        The score at promotion, and the worst tolerated one; None if unknown.
    ends
        Labels of the ends of the axis.
    """

    low: float
    score: float
    high: float
    promotion_score: float | None
    allowed: float | None
    ends: tuple[str, str]


def heat_map(subjects: Sequence[Hypothesis], columns: Sequence[str]) -> HeatMap | None:
    """Return the heat map of tests of pairs; None where no pair is of two of `columns`.

    Parameters
    ----------
    subjects
        The pairs, the strongest evidence first, named "one and other".
    columns
        All columns.
    """
    # Column names can contain " and ", so pairs are looked up instead of split.
    named = {f"{one} and {other}": (one, other) for a, b in combinations(columns, 2) for one, other in ((a, b), (b, a))}
    pairs = [(named[subject.name], subject) for subject in subjects if subject.name in named]
    every = list(dict.fromkeys(name for pair, _ in pairs for name in pair))
    chosen = set(every[:_CELLS])
    names = tuple(name for name in columns if name in chosen)
    indices = {name: index for index, name in enumerate(names)}
    cells = []
    for pair, subject in pairs:
        if chosen.issuperset(pair):
            first, last = sorted(indices[name] for name in pair)
            title = f"{subject.name}: {subject.before:.2f} in the reference, {subject.now:.2f} now"
            cells.append(Cell(first, last, subject.before, subject.changed, title))
            cells.append(Cell(last, first, subject.now, subject.changed, title))
    return HeatMap(names, tuple(cells), len(every)) if cells else None


def scale_of(result: PerformanceResult) -> Scale | None:
    """Return a champion's score on an axis; None where it could not be computed."""
    if result.score is None or result.low is None or result.high is None:
        return None
    if not np.isfinite([result.low, result.score, result.high]).all():
        return None
    # Imports scikit-learn, which computing the score has done already; other checks do not need it.
    from modelmonitor_trainer.model.metrics import sign

    allowed = None
    if result.promotion_score is not None:
        allowed = result.promotion_score - sign(Metric(result.metric)) * result.max_drop
    marks = [
        mark for mark in (result.low, result.score, result.high, result.promotion_score, allowed) if mark is not None
    ]
    left, right = min(marks), max(marks)
    reach = 0.08 * (right - left) or max(abs(left), 1.0) * 0.05
    left, right = left - reach, right + reach

    def position(value: float) -> float:
        return WIDTH * (value - left) / (right - left)

    return Scale(
        low=position(result.low),
        score=position(result.score),
        high=position(result.high),
        promotion_score=None if result.promotion_score is None else position(result.promotion_score),
        allowed=None if allowed is None else position(allowed),
        ends=(number(left), number(right)),
    )


def chart_of(
    plan: ColumnPlan, reference: NumericProfile | CategoricalProfile, current: NumericProfile | CategoricalProfile
) -> Histogram | Bars | None:
    """Return the chart of a column; None where neither side has values."""
    if not reference.present and not current.present:
        return None
    if isinstance(plan, NumericPlan):
        assert isinstance(reference, NumericProfile)
        assert isinstance(current, NumericProfile)
        finite = [finite_counts(profile) for profile in (reference, current)]
        if not any(counts.any() for counts in finite):
            return None
        if plan.edges.size == _ONE_VALUE and plan.edges[1] == next_double(plan.edges)[0]:
            return _beside_constant(float(plan.edges[0]), finite[0], finite[1], day_text if plan.dates else number)
        return histogram_of(plan.edges, reference, current, day_text if plan.dates else number)
    return _bars(plan, reference.counts, current.counts)


def _beside_constant(value: float, reference: Counts, current: Counts, label_of: Callable[[float], str]) -> Bars:
    """Return the bars of a reference with a single value: of other values only the number of rows is known."""
    shown = label_of(value)
    labels = (f"below {shown}", shown, f"above {shown}")
    p, q = (counts / max(1, int(counts.sum())) for counts in (reference, current))
    bars = [Bar(label, float(a), float(b)) for label, a, b in zip(labels, p, q, strict=True) if a or b]
    return Bars(tuple(bars), max(max(bar.reference, bar.current) for bar in bars))


def _bars(plan: CategoricalPlan, reference: Counts, current: Counts) -> Bars:
    p = reference / max(1, int(reference.sum()))
    q = current / max(1, int(current.sum()))
    named = len(plan.categories)
    largest = sorted(range(named), key=lambda index: -max(p[index], q[index]))
    moved = sorted(range(named), key=lambda index: -abs(p[index] - q[index]))
    chosen = {*largest[:_BARS], *moved[:_BARS]}
    order = [index for index in largest if index in chosen]
    bars = [Bar(plan.categories[index], float(p[index]), float(q[index]), is_value=True) for index in order]
    rest_p, rest_q = 1 - sum(bar.reference for bar in bars), 1 - sum(bar.current for bar in bars)
    if named > len(bars) or max(float(p[-1]), float(q[-1])) > 0:
        both = reference.sum() > 0, current.sum() > 0
        bars.append(Bar("all others", max(0.0, rest_p) * both[0], max(0.0, rest_q) * both[1]))
    return Bars(tuple(bars), max((max(bar.reference, bar.current) for bar in bars[: len(order)]), default=0.0) or 1.0)
