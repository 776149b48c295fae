"""Small charts as SVG geometry: coordinates are computed here, drawn and escaped by the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.hypotheses import Hypothesis
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.profile.binning import LARGEST, CategoricalPlan, ColumnPlan, NumericPlan
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.text import number, percent

#: Size of a histogram, in units of its view box.
WIDTH, HEIGHT = 320.0, 96.0
#: Numbers of bins of a histogram: fewer if that closes gaps, which values in steps cause.
_BINS = (32, 24, 16)
_GAPS = 0.05
#: Categories that are drawn: so many of the largest, and of those that have changed most.
_BARS = 4
#: Share of rows whose value has a cell of its own, from which on values may come in steps; bins that are drawn then.
_ALONE, _MOST_STEPS = 0.9, 64
#: Shares of values beyond an end of the axis: within the range of the reference, and outside it.
_FEW, _SOME = 0.005, 0.05
#: Smallest share beyond an end of the axis that is mentioned.
_SEEN = 1e-4
#: Edges of a reference of one value: it, and the next number.
_ONE_VALUE = 2
#: Maximum number of columns of a heat map; those with the strongest evidence are drawn.
_CELLS = 24


@dataclass(frozen=True)
class Histogram:
    """Two distributions over one axis.

    Attributes
    ----------
    reference, current
        ``d`` of their paths: an area and an outline.
    beyond
        ``d`` of the parts of the outline outside the reference, where only the number of rows is known. Empty if there
        are none.
    low, high
        Labels of the ends of the axis.
    below, above
        Whether the outer bins hold values beyond the ends of the axis.
    beyond_ends
        How many, on both sides, in a sentence; empty if they hold none.
    """

    reference: str
    current: str
    beyond: str
    low: str
    high: str
    below: bool = False
    above: bool = False
    beyond_ends: str = ""


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
        ends = [end for p in (reference, current) if isinstance(p, NumericProfile) for end in (p.minimum, p.maximum)]
        finite = [_without_infinities(p) for p in (reference, current) if isinstance(p, NumericProfile)]
        if not any(counts.any() for counts in finite):
            return None
        if plan.edges.size == _ONE_VALUE and plan.edges[1] == np.nextafter(plan.edges[0], np.inf):
            return _beside_constant(float(plan.edges[0]), finite[0], finite[1])
        return _histogram(plan.edges, finite[0], finite[1], [e for e in ends if np.isfinite(e)])
    return _bars(plan, reference.counts, current.counts)


def _without_infinities(profile: NumericProfile) -> Counts:
    """Return the counts of finite values; those of infinities are in the outer cells."""
    counts = profile.counts.copy()
    counts[0] -= profile.negative_infinities
    counts[-1] -= profile.positive_infinities
    return counts


def _beside_constant(value: float, reference: Counts, current: Counts) -> Bars:
    """Return the bars of a reference with a single value: of other values only the number of rows is known."""
    labels = (f"below {number(value)}", number(value), f"above {number(value)}")
    p, q = (counts / max(1, int(counts.sum())) for counts in (reference, current))
    bars = [Bar(label, float(a), float(b)) for label, a, b in zip(labels, p, q, strict=True) if a or b]
    return Bars(tuple(bars), max(max(bar.reference, bar.current) for bar in bars))


def _histogram(edges: Floats, reference: Counts, current: Counts, ends: list[float]) -> Histogram | None:
    """Return the histogram between the outer half percents of both sides; the outer bars hold what lies beyond."""
    # Cells of a reference of infinities alone reach over all numbers, and tell nothing of them.
    if not edges.size or float(edges[-1]) / 2 - float(edges[0]) / 2 >= LARGEST:
        return None
    # The outer cells are open; what lies in them is drawn up to the outermost values.
    places = np.concatenate([[min([*ends, edges[0]])], edges, [max([*ends, edges[-1]])]])
    below = [np.concatenate([[0.0], np.cumsum(counts) / max(1, int(counts.sum()))]) for counts in (reference, current)]
    shown = [b for b, counts in zip(below, (reference, current), strict=True) if counts.sum()]
    low, high = min(_quantile(places, b, _FEW) for b in shown), max(_quantile(places, b, 1 - _FEW) for b in shown)
    if len(shown) == len(below):
        low, high = _nearer_ends(places, below, edges, low, high)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        reach = max(abs(low), 1.0) / 2
        low, high = low - reach, high + reach
    steps = _steps_of(edges, reference + current, low, high)
    if steps is None:
        cuts, shares = _binned(places, below, low, high)
    else:
        cuts, shares = steps.cuts, [_shares(places, b, steps.cuts) for b in below]
    top = max(float(share.max()) for share in shares) or 1.0
    before, now = (share / top for share in shares)
    middles = (cuts[1:] + cuts[:-1]) / 2
    inside, outside = "", ""
    if current.any():
        # Bins without rows have a known shape.
        inside, outside = _outlines(now, ((middles >= edges[0]) & (middles <= edges[-1])) | (now == 0))
    area = f"M0,{HEIGHT:g}{_steps(before)}L{WIDTH:g},{HEIGHT:g}Z"
    ends_of_axis = (low, high)
    if steps is not None:
        # The bins lie around the values, which are the labels.
        half = steps.step / 2
        ends_of_axis = (float(cuts[0]) + half, min(float(cuts[-1]) - half, max([*ends, float(edges[-1])])))
    labels = (number(ends_of_axis[0]), number(ends_of_axis[1]))
    cut_off = [_cut_off(places, b, (float(cuts[0]), float(cuts[-1]))) for b in below]
    texts = [
        f"{where} {label} ({percent(before)} → {percent(now)})" if max(before, now) >= _SEEN else ""
        for where, label, before, now in zip(("below", "above"), labels, *cut_off, strict=True)
    ]
    beyond_ends = " and ".join(filter(None, texts))
    return Histogram(
        *(area, inside, outside, *labels),
        below=bool(texts[0]),
        above=bool(texts[1]),
        beyond_ends=f"The outer bars hold all values {beyond_ends}, reference → current." if beyond_ends else "",
    )


def _cut_off(places: Floats, below: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the shares of values below and above the ends of the axis."""
    at = np.interp(ends, places, below)
    return float(at[0]), float(below[-1] - at[1])


@dataclass(frozen=True)
class _Steps:
    """Cuts midway between values that come in equal steps, some steps apart, and the size of a step."""

    cuts: Floats
    step: float


def _steps_of(edges: Floats, counts: Counts, low: float, high: float) -> _Steps | None:
    """Return cuts midway between values that come in equal steps, such as whole numbers; None where they do not.

    Bins of another width would contain one or two steps in turn, and draw a comb that is not in the data.
    """
    alone = np.flatnonzero(edges[1:] == np.nextafter(edges[:-1], np.inf))
    if alone.size < 2 or counts[alone + 1].sum() < _ALONE * counts.sum():
        return None
    values = edges[alone]
    step = float(np.diff(values).min())
    first = float(values[max(0, int(np.searchsorted(values, low, side="right")) - 1)])
    if np.abs((values - first) / step - np.round((values - first) / step)).max() > 1e-6:
        return None
    bins = max(1, round((high - first) / step) + 1)
    together = -(-bins // _MOST_STEPS)
    cuts: Floats = first - step / 2 + step * together * np.arange(-(-bins // together) + 1, dtype=np.float64)
    return _Steps(cuts, step)


def _binned(places: Floats, below: Sequence[Floats], low: float, high: float) -> tuple[Floats, list[Floats]]:
    """Return the cuts between bins, and the share of each side in every bin."""
    made = []
    for bins in _BINS:
        cuts = np.linspace(low, high, bins + 1)
        shares = [_shares(places, b, cuts) for b in below]
        made.append((max(_gaps(share) for share in shares), cuts, shares))
    fewest = min(gaps for gaps, _, _ in made)
    _, cuts, shares = next(item for item in made if item[0] <= fewest + _GAPS)
    return cuts, shares


def _gaps(shares: Floats) -> float:
    """Return the share of empty bins between the first and the last bin with rows."""
    filled = np.flatnonzero(shares > 0)
    return float(1 - filled.size / (filled[-1] - filled[0] + 1)) if filled.size else 0.0


def _outlines(heights: Floats, known: npt.NDArray[np.bool_]) -> tuple[str, str]:
    """Return the outline where it is known, and where it is not."""
    width = WIDTH / heights.size
    parts: dict[bool, list[str]] = {True: [], False: []}
    for run in np.split(np.arange(heights.size), np.flatnonzero(np.diff(known)) + 1):
        first = int(run[0])
        # From the height of the bin before, so that the parts hang together.
        start = HEIGHT * (1 - float(heights[max(0, first - 1)]))
        parts[bool(known[first])].append(f"M{first * width:.1f},{start:.1f}{_steps(heights[run], first, heights.size)}")
    return "".join(parts[True]), "".join(parts[False])


def _nearer_ends(
    places: Floats, below: Sequence[Floats], edges: Floats, low: float, high: float
) -> tuple[float, float]:
    """Return ends of the axis so that a few current values far outside the reference do not flatten all others."""
    reference, current = below
    if low < edges[0]:
        low = min(_quantile(places, reference, _FEW), _quantile(places, current, _SOME))
    if high > edges[-1]:
        high = max(_quantile(places, reference, 1 - _FEW), _quantile(places, current, 1 - _SOME))
    return low, high


def _quantile(places: Floats, below: Floats, share: float) -> float:
    """Return the value below which `share` of the values are, assuming an even spread within bins."""
    after = max(1, int(np.searchsorted(below, share)))
    left, right = below[after - 1], below[after]
    part = (share - left) / (right - left) if right > left else 1.0
    return float(places[after - 1] + part * (places[after] - places[after - 1]))


def _shares(places: Floats, below: Floats, cuts: Floats) -> Floats:
    """Return the share of values in each bin; the outer bins take what lies beyond."""
    at = np.interp(cuts, places, below)
    at[0], at[-1] = 0.0, below[-1]
    shares: Floats = np.diff(at)
    return shares


def _steps(heights: Floats, first: int = 0, of: int | None = None) -> str:
    """Return the steps of some bins, the first of which is number `first` of all."""
    step = WIDTH / (of or heights.size)
    parts = []
    for place, height in enumerate(heights, first):
        y = HEIGHT * (1 - float(height))
        parts.append(f"V{y:.1f}H{(place + 1) * step:.1f}")
    return "".join(parts)


def _bars(plan: CategoricalPlan, reference: Counts, current: Counts) -> Bars:
    p = reference / max(1, int(reference.sum()))
    q = current / max(1, int(current.sum()))
    named = len(plan.categories)
    largest = sorted(range(named), key=lambda place: -max(p[place], q[place]))
    moved = sorted(range(named), key=lambda place: -abs(p[place] - q[place]))
    chosen = {*largest[:_BARS], *moved[:_BARS]}
    order = [place for place in largest if place in chosen]
    bars = [Bar(plan.categories[place], float(p[place]), float(q[place]), is_value=True) for place in order]
    rest_p, rest_q = 1 - sum(bar.reference for bar in bars), 1 - sum(bar.current for bar in bars)
    if named > len(bars) or max(float(p[-1]), float(q[-1])) > 0:
        both = reference.sum() > 0, current.sum() > 0
        bars.append(Bar("all others", max(0.0, rest_p) * both[0], max(0.0, rest_q) * both[1]))
    return Bars(tuple(bars), max((max(bar.reference, bar.current) for bar in bars[: len(order)]), default=0.0) or 1.0)
