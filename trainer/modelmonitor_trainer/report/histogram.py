"""Histograms of two distributions over one axis, as SVG geometry.

The axis ends where few values lie beyond; the outer bins hold them, and the labels of the ends say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.profile.binning import LARGEST
from modelmonitor_trainer.profile.columns import NumericProfile
from modelmonitor_trainer.profile.plans import next_double
from modelmonitor_trainer.text import number, percent

#: Size of a histogram, in units of its view box.
WIDTH, HEIGHT = 320.0, 96.0
#: Numbers of bins of a histogram: fewer if that closes gaps, which values in steps cause.
_BINS = (32, 24, 16)
_GAPS = 0.05
#: Share of rows whose value has a cell of its own, from which on values may come in steps; bins that are drawn then.
_ALONE, _MOST_STEPS = 0.9, 64
#: Shares of values beyond an end of the axis: near the reference, and far from it.
_FEW, _SOME = 0.005, 0.05
#: An axis that ends this close to the outermost value, as a share of its length, ends there.
_CLOSE = 0.02
#: Smallest share beyond an end of the axis that is mentioned.
_SEEN = 1e-4


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
class _Cumulative:
    """A distribution function of finite values, linear between the edges of cells.

    Attributes
    ----------
    points
        The edges, and the outermost values: the outer cells are open, and what lies in them reaches up to these.
    below
        Share of values below each point.
    rows
        Number of values.
    """

    points: Floats
    below: Floats
    rows: int

    @classmethod
    def of(cls, edges: Floats, profile: NumericProfile) -> _Cumulative:
        """Return the distribution of a profile; infinities are in the outer cells, and are left out."""
        counts = finite_counts(profile)
        ends = [end for end in (profile.minimum, profile.maximum) if np.isfinite(end)]
        points = np.concatenate([[min([*ends, edges[0]])], edges, [max([*ends, edges[-1]])]])
        below = np.concatenate([[0.0], np.cumsum(counts) / max(1, int(counts.sum()))])
        return cls(points, below, int(counts.sum()))

    def quantile(self, share: float) -> float:
        """Return the value below which `share` of the values are."""
        after = max(1, int(np.searchsorted(self.below, share)))
        left, right = self.below[after - 1], self.below[after]
        part = (share - left) / (right - left) if right > left else 1.0
        return float(self.points[after - 1] + part * (self.points[after] - self.points[after - 1]))

    def shares(self, cuts: Floats) -> Floats:
        """Return the share of values in each bin; the outer bins take what lies beyond."""
        with np.errstate(over="ignore", invalid="ignore"):
            # Slopes between neighbouring numbers of the smallest size are infinite.
            at = np.nan_to_num(np.interp(cuts, self.points, self.below), nan=0.0)
        at[0], at[-1] = 0.0, self.below[-1]
        shares: Floats = np.diff(at)
        return shares

    def beyond(self, low: float, high: float) -> tuple[float, float]:
        """Return the shares of values below and above the ends of an axis."""
        at = np.interp((low, high), self.points, self.below)
        return float(at[0]), float(self.below[-1] - at[1])


def finite_counts(profile: NumericProfile) -> Counts:
    """Return the counts of finite values; those of infinities are in the outer cells."""
    counts = profile.counts.copy()
    counts[0] -= profile.negative_infinities
    counts[-1] -= profile.positive_infinities
    return counts


def histogram_of(
    edges: Floats, reference: NumericProfile, current: NumericProfile, label_of: Callable[[float], str] = number
) -> Histogram | None:
    """Return the histogram of two profiles with cells between `edges`; None where nothing is known of the values.

    `label_of` writes the ends of the axis.
    """
    # Cells of a reference of infinities alone reach over all numbers, and tell nothing of them.
    if not edges.size or float(edges[-1]) / 2 - float(edges[0]) / 2 >= LARGEST:
        return None
    sides = [_Cumulative.of(edges, profile) for profile in (reference, current)]
    low, high = _ends_of([side for side in sides if side.rows])
    steps = _steps_of(edges, reference.counts + current.counts, low, high)
    if steps is None:
        cuts, shares = _bin_sides(sides, low, high)
        ends = (low, high)
    else:
        # The bins lie around the values, which are the labels.
        cuts, shares = steps.cuts, [side.shares(steps.cuts) for side in sides]
        largest = max(float(side.points[-1]) for side in sides)
        ends = (float(cuts[0]) + steps.step / 2, min(float(cuts[-1]) - steps.step / 2, largest))
    top = max(float(share.max()) for share in shares) or 1.0
    before, now = (share / top for share in shares)
    middles = (cuts[1:] + cuts[:-1]) / 2
    inside, outside = "", ""
    if sides[1].rows:
        # Bins without rows have a known shape.
        inside, outside = _outlines(now, ((middles >= edges[0]) & (middles <= edges[-1])) | (now == 0))
    labels = (label_of(ends[0]), label_of(ends[1]))
    beyond = [side.beyond(float(cuts[0]), float(cuts[-1])) for side in sides]
    texts = [
        f"{where} {label} ({percent(before)} → {percent(now)})" if max(before, now) >= _SEEN else ""
        for where, label, before, now in zip(("below", "above"), labels, *beyond, strict=True)
    ]
    both = " and ".join(filter(None, texts))
    return Histogram(
        reference=f"M0,{HEIGHT:g}{_steps(before)}L{WIDTH:g},{HEIGHT:g}Z",
        current=inside,
        beyond=outside,
        low=labels[0],
        high=labels[1],
        below=bool(texts[0]),
        above=bool(texts[1]),
        beyond_ends=f"The outer bars hold all values {both}, reference → current." if both else "",
    )


def _ends_of(sides: Sequence[_Cumulative]) -> tuple[float, float]:
    """Return the ends of the axis: the outer half percents of the first side, or as far as the other one reaches.

    A few values of the other side that are far away must not flatten all others.
    """
    first, last = sides[0], sides[-1]
    low, high = first.quantile(_FEW), first.quantile(1 - _FEW)
    reach = (high - low) / 2
    low, high = (
        min(low, max(last.quantile(_FEW), min(low - reach, last.quantile(_SOME)))),
        max(high, min(last.quantile(1 - _FEW), max(high + reach, last.quantile(1 - _SOME)))),
    )
    smallest, largest = min(side.points[0] for side in sides), max(side.points[-1] for side in sides)
    close = _CLOSE * (high - low)
    low = float(smallest) if low - smallest <= close else low
    high = float(largest) if largest - high <= close else high
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        around = max(abs(low), 1.0) / 2
        low, high = low - around, high + around
    return low, high


@dataclass(frozen=True)
class _Steps:
    """Cuts midway between values that come in equal steps, some steps apart, and the size of a step."""

    cuts: Floats
    step: float


def _steps_of(edges: Floats, counts: Counts, low: float, high: float) -> _Steps | None:
    """Return cuts midway between values that come in equal steps, such as whole numbers; None where they do not.

    Bins of another width would contain one or two steps in turn, and draw a comb that is not in the data.
    """
    alone = np.flatnonzero(edges[1:] == next_double(edges[:-1]))
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


def _bin_sides(sides: Sequence[_Cumulative], low: float, high: float) -> tuple[Floats, list[Floats]]:
    """Return the cuts between bins, and the share of each side in every bin."""
    candidates = []
    for bins in _BINS:
        cuts = np.linspace(low, high, bins + 1)
        shares = [side.shares(cuts) for side in sides]
        candidates.append((max(_gaps(share) for share in shares), cuts, shares))
    fewest = min(gaps for gaps, _, _ in candidates)
    _, cuts, shares = next(item for item in candidates if item[0] <= fewest + _GAPS)
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


def _steps(heights: Floats, first: int = 0, of: int | None = None) -> str:
    """Return the steps of some bins, the first of which is number `first` of all."""
    step = WIDTH / (of or heights.size)
    parts = []
    for index, height in enumerate(heights, first):
        y = HEIGHT * (1 - float(height))
        parts.append(f"V{y:.1f}H{(index + 1) * step:.1f}")
    return "".join(parts)
