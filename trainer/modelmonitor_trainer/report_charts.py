"""Small charts as SVG geometry: numbers computed here, drawn and escaped by the templates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.profile import CategoricalProfile, Counts, Floats, NumericProfile
from modelmonitor_trainer.profile_plan import CategoricalPlan, ColumnPlan, NumericPlan

#: Size of a histogram, in units of its view box.
WIDTH, HEIGHT = 320.0, 96.0
_BINS = 32
_BARS = 6


@dataclass(frozen=True)
class Histogram:
    """Two distributions over one axis.

    Attributes
    ----------
    reference, current
        ``d`` of their paths: an area and an outline.
    low, high
        What the ends of the axis stand for.
    """

    reference: str
    current: str
    low: str
    high: str


@dataclass(frozen=True)
class Bar:
    """One category: its label, and its shares of both windows between 0 and 1."""

    label: str
    reference: float
    current: float


@dataclass(frozen=True)
class Bars:
    """The categories with the largest shares, and the scale that the longest bar fills."""

    bars: tuple[Bar, ...]
    largest: float


def chart_of(
    plan: ColumnPlan, reference: NumericProfile | CategoricalProfile, current: NumericProfile | CategoricalProfile
) -> Histogram | Bars | None:
    """Return the chart of a column; None where neither side has values."""
    if not reference.present and not current.present:
        return None
    if isinstance(plan, NumericPlan):
        return _histogram(plan.edges, reference.counts, current.counts)
    return _bars(plan, reference.counts, current.counts)


def number(value: float) -> str:
    """Return a number for people.

    >>> number(1234567.0), number(0.00001234), number(12.5)
    ('1.235e+06', '1.234e-05', '12.5')
    """
    return f"{value:.4g}"


def _histogram(edges: Floats, reference: Counts, current: Counts) -> Histogram | None:
    if edges.size < 2:
        return None
    ends = [_quantile(edges, counts, share) for counts in (reference, current) for share in (0.005, 0.995)]
    low, high = min(ends), max(ends)
    if low == high:
        low, high = low - 0.5, high + 0.5
    cuts = np.linspace(low, high, _BINS + 1)
    shares = [_shares(edges, counts, cuts) for counts in (reference, current)]
    top = max(float(share.max()) for share in shares) or 1.0
    before, now = (_steps(share / top) for share in shares)
    return Histogram(f"M0,{HEIGHT:g}{before}L{WIDTH:g},{HEIGHT:g}Z", "M" + now[1:], number(low), number(high))


def _cumulated(edges: Floats, counts: Counts) -> tuple[Floats, Floats]:
    """Return places and the share of values below them; the outer cells end with their edges."""
    total = max(1, int(counts.sum()))
    return edges, np.asarray(np.cumsum(counts[:-1]) / total, dtype=np.float64)


def _quantile(edges: Floats, counts: Counts, share: float) -> float:
    places, below = _cumulated(edges, counts)
    return float(places[min(int(np.searchsorted(below, share)), places.size - 1)])


def _shares(edges: Floats, counts: Counts, cuts: Floats) -> Floats:
    """Return the share of values in each bin, evenly spread within cells; the outer bins take the rest."""
    places, below = _cumulated(edges, counts)
    at = np.interp(cuts, places, below)
    at[0], at[-1] = 0.0, 1.0 if counts.sum() else 0.0
    return np.diff(at)


def _steps(heights: Floats) -> str:
    step = WIDTH / heights.size
    parts = []
    for place, height in enumerate(heights):
        y = HEIGHT * (1 - float(height))
        parts.append(f"L{place * step:.1f},{y:.1f}L{(place + 1) * step:.1f},{y:.1f}")
    return "".join(parts)


def _bars(plan: CategoricalPlan, reference: Counts, current: Counts) -> Bars:
    p = reference / max(1, int(reference.sum()))
    q = current / max(1, int(current.sum()))
    named = len(plan.categories)
    order = sorted(range(named), key=lambda place: -max(p[place], q[place]))[:_BARS]
    bars = [Bar(plan.categories[place], float(p[place]), float(q[place])) for place in order]
    rest_p, rest_q = 1 - sum(bar.reference for bar in bars), 1 - sum(bar.current for bar in bars)
    if named > len(bars) or max(float(p[-1]), float(q[-1])) > 0:
        both = reference.sum() > 0, current.sum() > 0
        bars.append(Bar("all others", max(0.0, rest_p) * both[0], max(0.0, rest_q) * both[1]))
    return Bars(tuple(bars), max([bar.reference for bar in bars] + [bar.current for bar in bars]) or 1.0)
