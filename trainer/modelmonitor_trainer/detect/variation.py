"""Variation between batches: how far apart windows are although nothing has changed.

Rows of one batch (a day, a file) are alike, so batches are clusters of rows. For each column, the variance between
batches is estimated from the batches of the reference, and of the current window where the reference has few of them.
The chance of rows, F (1 - F) / n, is subtracted from it, and enters with the rows of the windows instead.

* Batches far from all others (odd batches) do not count: up to a fifth of them cannot raise the estimate. A current
  window that is like one of them has not changed, if odd batches are common enough for that.
* A jump of the reference (:mod:`~modelmonitor_trainer.detect.change_points`) does not count as variation. The current
  window is then compared with every stretch between jumps, and has changed only if it is far from all of them.
* Where both windows have all weekdays, the season within the week does not count.
* Files of the same names on both sides are pairs: what they differ by from other files does not count.
* Where neighbouring batches are correlated, windows are farther apart
  (:mod:`~modelmonitor_trainer.detect.autocorrelation`).

The distance e of two windows with weights w of their batches is then judged as a difference of clustered rows
(:mod:`~modelmonitor_trainer.detect.clustered`), with z² = artanh(e)² / (s² Σ w² + 1 / (4 n) + 1 / (4 m)). Distances are
bounded by 1 and multiples of a deviation are not, hence artanh, Fisher's transformation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.autocorrelation import (
    Autocorrelation,
    expected_variance,
    fit_autocorrelation,
    independent_batches,
)
from modelmonitor_trainer.detect.batches import MIN_BATCHES_ODD, BatchSeries, Series, resolve
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.clustered import (
    alarm_freedom,
    alarm_variance,
    claim_half_width,
    tail_probability,
    tail_quantile,
)
from modelmonitor_trainer.detect.distances import chance_probability, distances, points_of, without_chance

#: Smallest correlation of a steady movement with time.
_STEADY = 0.8
#: Probability from which on a window of odd batches alone is ordinary.
_COMMON = 0.01


@dataclass(frozen=True)
class Baseline:
    """A part of the reference that the current window is compared with.

    Attributes
    ----------
    distance
        Distance of the current window from it, without the part that chance adds.
    spread
        Sum of the squared weights of the batches of both, in units of the variance of one batch.
    rows
        Variance of the distance that the chance of rows adds.
    """

    distance: float
    spread: float
    rows: float


@dataclass(frozen=True)
class Variation:
    """The variation of a series between batches, and what it means for the current window.

    Attributes
    ----------
    variance
        Variance of the distance that one batch adds.
    freedom
        Degrees of freedom of this estimate.
    current_batches
        Number of batches of the current window with rows.
    baselines
        The whole reference first; then its ordinary batches, if some are odd, and stretches between change points.
    dated
        Whether batches are days.
    independent
        Whether batches are taken to differ by the chance of rows alone.
    scale
        Share of the prior variance.
    season
        Distance that a different mix of weekdays in the windows explains.
    odd
        Indices of the odd batches of the reference.
    change_points
        Indices of the batches of the reference at which a new stretch begins.
    trend
        Distance between the first and the last third of the reference if its batches move steadily, otherwise 0.
    trend_p
        Probability of such a movement of independent batches.
    follows_trend
        Whether the current window continues this movement.
    single : (current batches,)
        Distance of each batch of the current window from the ordinary ones of the reference; 0 without rows.
    single_rows : (current batches,)
        Variance that the chance of rows adds to it.
    single_chance : (current batches,)
        Probability that the chance of rows alone makes it as large, among all categories.
    """

    variance: float
    freedom: float
    current_batches: int
    baselines: tuple[Baseline, ...]
    dated: bool = False
    independent: bool = False
    scale: float = 1.0
    season: float = 0.0
    odd: tuple[int, ...] = ()
    change_points: tuple[int, ...] = ()
    trend: float = 0.0
    trend_p: float = 1.0
    follows_trend: bool = False
    single: Floats = field(default_factory=lambda: np.zeros(0))
    single_rows: Floats = field(default_factory=lambda: np.zeros(0))
    single_chance: Floats = field(default_factory=lambda: np.zeros(0))

    def p_value(self) -> float:
        """Return the probability of such a distance without a change; the largest over all baselines."""
        return max(self._tail(baseline, baseline.distance - self.season) for baseline in self.baselines)

    def limit(self, level: float) -> float:
        """Return the distance from the whole reference at which :meth:`p_value` reaches `level`."""
        whole = self.baselines[0].distance
        return max(
            self._quantile(baseline, level) + self.season + whole - baseline.distance for baseline in self.baselines
        )

    def between(self) -> float:
        """Return the half-width of the 95 % interval of the distance that is due to batches alone."""
        if self.independent:
            return 0.0
        return claim_half_width(self.variance, self.freedom, self.baselines[0].spread, dated=self.dated)

    def odd_current(self, level: float, least: float) -> tuple[int, ...]:
        """Return the batches of the current window that are unlike all ordinary ones of the reference.

        Parameters
        ----------
        level
            Probability that any batch is reported without a change.
        least
            Smallest distance that counts.
        """
        if not self.current_batches:
            return ()
        share = level / self.current_batches
        spread = 1 + self.baselines[-1].spread  # an upper bound: the mean of the reference varies less
        batches = zip(self.single.tolist(), self.single_rows.tolist(), self.single_chance.tolist(), strict=True)
        return tuple(
            index
            for index, (distance, rows, chance) in enumerate(batches)
            if distance >= least and max(chance, self._tail(Baseline(distance, spread, rows), distance)) < share
        )

    def _variances(self, baseline: Baseline) -> tuple[float, float]:
        """Return the variance of a distance, and its degrees of freedom."""
        between = 0.0 if self.independent else alarm_variance(self.variance, self.freedom, self.scale) * baseline.spread
        # A column of one value has no variance of rows, and no distance either.
        total = max(between + baseline.rows, 1e-12)
        return total, alarm_freedom(self.freedom, between / total, self.current_batches)

    def _tail(self, baseline: Baseline, distance: float) -> float:
        if distance <= 0:
            return 1.0
        total, freedom = self._variances(baseline)
        return tail_probability(math.atanh(min(distance, _nearly_one(baseline))) ** 2 / total, freedom)

    def _quantile(self, baseline: Baseline, level: float) -> float:
        total, freedom = self._variances(baseline)
        return math.tanh(math.sqrt(total) * tail_quantile(level, freedom))


def independent_rows(series: Series) -> Variation:
    """Return the variation of a series whose batches differ by the chance of rows alone."""
    before, now = (side.sum(axis=0)[None] for side in (series.reference, series.current))
    (whole,) = fit_variation([Series(before, now, series.ordered)], Calendar.of([None], [None]))
    return replace(whole, variance=0.0, independent=True)


def fit_variation(series: Sequence[Series], calendar: Calendar) -> list[Variation]:
    """Return the variation of each of `series`, which have the same batches.

    The correlation of neighbouring batches is estimated from each series and from all of them together: the variogram
    of a few dozen days is noisy, and that of all series together hides a slow one among many. A series whose variation
    the chance of its rows hides is taken to be like the others if most of them vary.
    """
    sides = [resolve(item, calendar) for item in series]
    estimates = [side.variogram() for side in sides]
    varying = [estimate for estimate in estimates if estimate is not None]
    if not varying:
        return [_variation(side, None) for side in sides]
    variograms, reliabilities = zip(*varying, strict=True)
    pooled = np.average(variograms, axis=0, weights=reliabilities)
    most = 2 * len(varying) > sum(bool(side.bernoulli.any()) for side in sides)
    shared = fit_autocorrelation(pooled) if most else None
    return [
        _variation(side, shared if estimate is None else _correlation(*estimate, pooled))
        for side, estimate in zip(sides, estimates, strict=True)
    ]


def _correlation(variogram: Floats, reliability: float, pooled: Floats) -> Autocorrelation:
    """Return the correlation of a series: an unreliable variogram would hide that its neighbours are alike."""
    return fit_autocorrelation((reliability * variogram + pooled) / (reliability + 1))


def _variation(side: BatchSeries, correlation: Autocorrelation | None) -> Variation:
    """Return the variation of a series, with the correlation of neighbouring batches."""
    ordinary = side.ordinary
    variance, freedom = side.variance()
    kernel = None
    if correlation is not None:
        kernel = correlation.covariance(side.positions)
        own = kernel[np.ix_(ordinary, ordinary)]
        freedom = min(freedom, max(1.0, independent_batches(own) - side.fitted))
        kernel = kernel / expected_variance(own)
    trend, trend_p, follows = _trend(side)
    single = np.zeros(side.current_batches)
    single_rows = np.zeros(side.current_batches)
    harmonic = 1 / (1 / side.current_rows + 1 / side.expected_rows)
    expected = side.reference if side.paired else side.current_expected
    apart = distances(side.current, expected, ordered=side.ordered)
    single[side.current_kept] = without_chance(apart, side.shares, harmonic, ordered=side.ordered)
    single_rows[side.current_kept] = _row_variance(side, harmonic)
    single_chance = np.ones(side.current_batches)
    single_chance[side.current_kept] = chance_probability(apart, side.shares, harmonic, ordered=side.ordered)
    return Variation(
        variance=variance,
        freedom=freedom,
        current_batches=int(side.current_kept.size),
        baselines=tuple(_baseline(side, part, kernel) for part in _parts(side)),
        dated=side.dated,
        scale=_scale(side),
        season=side.season,
        odd=tuple(side.kept[side.odd].tolist()),
        change_points=tuple(int(side.kept[ordinary[index]]) for index in side.change_points),
        trend=trend,
        trend_p=trend_p,
        follows_trend=follows,
        single=single,
        single_rows=single_rows,
        single_chance=single_chance,
    )


def _parts(side: BatchSeries) -> list[npt.NDArray[np.int64]]:
    """Return the batches of each baseline."""
    ordinary = side.ordinary
    parts = [np.arange(side.reference_rows.size)]
    if side.odd.any():
        parts.append(ordinary)
        if float(side.odd.mean()) ** side.current_rows.size >= _COMMON:
            parts += [np.array([index]) for index in np.flatnonzero(side.odd)]
    if side.change_points:
        bounds = [0, *side.change_points, ordinary.size]
        parts += [ordinary[start:end] for start, end in pairwise(bounds)]
    return parts


def _weights(side: BatchSeries, part: npt.NDArray[np.int64]) -> Floats:
    """Return the weight of each batch in the difference between the current window and a part of the reference."""
    weights = np.zeros(side.reference_rows.size + side.current_rows.size)
    weights[part] = -side.reference_rows[part] / side.reference_rows[part].sum()
    weights[side.reference_rows.size :] = side.current_rows / side.current_rows.sum()
    return weights


def _baseline(side: BatchSeries, part: npt.NDArray[np.int64], kernel: Floats | None) -> Baseline:
    # Variances are estimated on merged bins; the distance itself is that of all bins.
    counts = np.stack([side.series.reference[side.kept[part]].sum(axis=0), side.series.current.sum(axis=0)])
    before, now = points_of(counts, ordered=side.ordered)
    rows = 1 / (1 / float(side.reference_rows[part].sum()) + 1 / float(side.current_rows.sum()))
    apart = distances(before[None], now[None], ordered=side.ordered)
    shares = counts.sum(axis=0) / counts.sum()
    distance = float(without_chance(apart, shares, rows, ordered=side.ordered)[0])
    weights = _weights(side, part)
    independent = float(np.square(weights).sum())
    spread = independent if kernel is None else max(independent, float(weights @ kernel @ weights))
    return Baseline(distance, spread, float(_row_variance(side, rows)))


def _scale(side: BatchSeries) -> float:
    """Return the share of the prior variance, 4 p (1 - p) for the share p of a rare event on both sides together."""
    now = side.current_rows @ side.current / side.current_rows.sum()
    middle = (side.shares + now) / 2
    return 4 * _largest(side, middle * (1 - middle))


def _row_variance(side: BatchSeries, rows: Floats | float) -> Floats:
    """Return the largest variance of a distance by the chance of rows."""
    return np.asarray(_largest(side, side.bernoulli) / rows, dtype=np.float64)


def _largest(side: BatchSeries, bernoulli: Floats) -> float:
    """Return the largest variance of one row in any set of bins."""
    is_known = bernoulli.size > 0 if side.ordered else bernoulli.size == 2
    return float(bernoulli.max()) if is_known else 0.25


def _trend(side: BatchSeries) -> tuple[float, float, bool]:
    """Return how far a steady movement has carried the reference, its p-value, and whether the window continues it."""
    ordinary = side.ordinary
    third = ordinary.size // 3
    if third < MIN_BATCHES_ODD // 3 or side.change_points or side.paired:
        return 0.0, 1.0, False
    points = side.residuals
    first, last = points[:third].mean(axis=0), points[-third:].mean(axis=0)
    direction = last - first
    length = float(np.square(direction).sum())
    if length <= 1e-12:
        return 0.0, 1.0, False
    scores = _scores(points, third, side.groups[ordinary]) / length
    steadiness = float(np.corrcoef(scores, np.arange(scores.size))[0, 1]) if scores.std() > 0 else 0.0
    if steadiness < _STEADY:
        return 0.0, 1.0, False
    base = side.reference[ordinary] - points
    now = side.current_rows @ (side.current - base.mean(axis=0)) / side.current_rows.sum()
    carried = float(distances(first[None], last[None], ordered=side.ordered)[0])
    return carried, _chance_of(steadiness, scores.size), float(now @ direction / length) > float(scores[-third:].mean())


def _scores(points: Floats, third: int, groups: npt.NDArray[np.int64]) -> Floats:
    """Return how far along the direction from the first third to the last each batch is.

    The direction of a batch leaves out the batch itself and those of its weekday, whose mean it is a part of. Otherwise
    the chance of its own rows would move it along: in a column of many categories, independent days would have a trend.
    """
    size = points.shape[0]
    first, last = np.arange(size) < third, np.arange(size) >= size - third
    start, end = points[first].mean(axis=0), points[last].mean(axis=0)
    scores = np.asarray(points @ (end - start), dtype=np.float64)
    if not (groups != groups[0]).any():
        squares = np.square(points).sum(axis=1)
        # The mean of the others of a third less that of all, along a batch.
        scores[first] -= (points[first] @ start - squares[first]) / (third - 1)
        scores[last] += (points[last] @ end - squares[last]) / (third - 1)
        return scores
    for group in sorted(set(groups[first | last].tolist())):
        members = groups == group
        earlier, later = first & ~members, last & ~members
        if earlier.any() and later.any():
            scores[members] = points[members] @ (points[later].mean(axis=0) - points[earlier].mean(axis=0))
    return scores


def _chance_of(correlation: float, size: int) -> float:
    """Return the probability of a correlation of independent values that is as far from 0, by Fisher's z."""
    z = math.atanh(min(correlation, 1 - 1e-12)) * math.sqrt(size - 3)
    return math.erfc(z / math.sqrt(2))


def _nearly_one(baseline: Baseline) -> float:
    """The largest distance that samples of this size can tell from 1: the artanh of 1 is infinite."""
    return 1 - min(0.1, max(1e-9, baseline.rows))
