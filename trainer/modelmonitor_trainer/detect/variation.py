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

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.autocorrelation import (
    Autocorrelation,
    expected_variance,
    fit_autocorrelation,
    independent_batches,
    variogram,
)
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.change_points import find_change_points
from modelmonitor_trainer.detect.clustered import (
    alarm_freedom,
    alarm_variance,
    claim_half_width,
    tail_probability,
    tail_quantile,
)
from modelmonitor_trainer.detect.distances import distances, points_of, without_chance

#: A batch is odd if it is this many robust standard deviations from the middle ...
ODD = 3.5
#: ... of at least this many batches, of which at most this share can be odd.
MIN_BATCHES_ODD, MAX_ODD = 10, 1 / 5
#: A reference with fewer batches is not searched for change points.
MIN_BATCHES_CHANGE = 15
#: With at least this many degrees of freedom from the reference, those of the current window are not needed.
ENOUGH_FREEDOM = 19
#: The median of a chi-square variable with one degree of freedom.
_MEDIAN_SQUARE = 0.4549
#: Numeric columns have up to a thousand bins; the variation is estimated on neighbouring ones together.
_MAX_BINS = 128


@dataclass(frozen=True)
class Series:
    """A quantity compared between windows: the distribution of a column, or its missing rate.

    Attributes
    ----------
    reference, current : (batches, bins)
        Rows in each bin, by batch.
    ordered
        Whether bins are ordered (Kolmogorov-Smirnov distance) or not (total variation).
    """

    reference: Counts
    current: Counts
    ordered: bool


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
    season
        Distance that a different mix of weekdays in the windows explains.
    odd
        Indices of the odd batches of the reference.
    change_points
        Indices of the batches of the reference at which a new stretch begins.
    trend
        Distance between the first and the last third of the reference if its batches move steadily, otherwise 0.
    follows_trend
        Whether the current window continues this movement.
    single : (current batches,)
        Distance of each batch of the current window from the ordinary ones of the reference; 0 without rows.
    single_rows : (current batches,)
        Variance that the chance of rows adds to it.
    """

    variance: float
    freedom: float
    current_batches: int
    baselines: tuple[Baseline, ...]
    dated: bool = False
    independent: bool = False
    season: float = 0.0
    odd: tuple[int, ...] = ()
    change_points: tuple[int, ...] = ()
    trend: float = 0.0
    follows_trend: bool = False
    single: Floats = field(default_factory=lambda: np.zeros(0))
    single_rows: Floats = field(default_factory=lambda: np.zeros(0))

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
        found = []
        for index, (distance, rows) in enumerate(zip(self.single.tolist(), self.single_rows.tolist(), strict=True)):
            if distance >= least and self._tail(Baseline(distance, spread, rows), distance) < share:
                found.append(index)
        return tuple(found)

    def _variances(self, baseline: Baseline) -> tuple[float, float]:
        """Return the variance of a distance, and its degrees of freedom."""
        between = 0.0 if self.independent else alarm_variance(self.variance, self.freedom) * baseline.spread
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
    of a few dozen days is noisy, and that of all series together hides a slow one among many.
    """
    sides = [_resolve(item, calendar) for item in series]
    variograms = [side.variogram() for side in sides]
    varying = [values for values in variograms if values is not None]
    pooled = np.mean(varying, axis=0) if varying else None
    return [
        side.variation(None if values is None or pooled is None else fit_autocorrelation((values + pooled) / 2))
        for side, values in zip(sides, variograms, strict=True)
    ]


@dataclass(frozen=True)
class _Resolved:
    """A series as points, without its season and its jumps; only batches with rows."""

    series: Series
    ordered: bool
    #: (batches, bins) and (batches,): points, and rows, of each side.
    reference: Floats
    current: Floats
    reference_rows: Floats
    current_rows: Floats
    #: (batches,): position of each batch in time, reference first.
    positions: npt.NDArray[np.int64]
    #: (bins,): F (1 - F) of the reference.
    bernoulli: Floats
    #: (batches, bins): expected point of each batch without effects of batches.
    expected: Floats
    current_expected: Floats
    odd: npt.NDArray[np.bool_]
    change_points: tuple[int, ...]
    season: float
    fitted: int
    reference_batches: int
    current_batches: int
    dated: bool
    paired: bool
    kept: npt.NDArray[np.int64]
    current_kept: npt.NDArray[np.int64]

    @property
    def good(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(~self.odd)

    @property
    def noise(self) -> Floats:
        """Squared length that the chance of rows adds to each batch of the reference."""
        return float(self.bernoulli.sum()) / self.reference_rows

    @property
    def residuals(self) -> Floats:
        return (self.reference - self.expected)[self.good]

    def variogram(self) -> Floats | None:
        """Return the variogram of the residuals; None if batches do not vary beyond the chance of their rows."""
        good = self.good
        if good.size < MIN_BATCHES_ODD or self.paired:
            return None
        return variogram(self.residuals, self.noise[good], self.positions[good], self.reference_batches)

    def variation(self, correlation: Autocorrelation | None) -> Variation:
        good = self.good
        variance, freedom = self._variance()
        weights = [self._weights(part) for part in self._parts()]
        kernel = None
        if correlation is not None:
            kernel = correlation.covariance(self.positions)
            own = kernel[np.ix_(good, good)]
            freedom = min(freedom, max(1.0, independent_batches(own) - self.fitted))
            kernel = kernel / expected_variance(own)
        trend, follows = self._trend()
        single = np.zeros(self.current_batches)
        single_rows = np.zeros(self.current_batches)
        middle = float(self.reference_rows[good].sum())
        harmonic = 1 / (1 / self.current_rows + 1 / middle)
        expected = self.reference if self.paired else self.current_expected
        apart = distances(self.current, expected, ordered=self.ordered)
        shares = self._shares()
        single[self.current_kept] = without_chance(apart, shares, harmonic, ordered=self.ordered)
        single_rows[self.current_kept] = self._row_variance(harmonic)
        return Variation(
            variance=variance,
            freedom=freedom,
            current_batches=int(self.current_kept.size),
            baselines=tuple(
                self._baseline(part, weight, kernel) for part, weight in zip(self._parts(), weights, strict=True)
            ),
            dated=self.dated,
            season=self.season,
            odd=tuple(self.kept[self.odd].tolist()),
            change_points=tuple(int(self.kept[good[index]]) for index in self.change_points),
            trend=trend,
            follows_trend=follows,
            single=single,
            single_rows=single_rows,
        )

    def _parts(self) -> list[npt.NDArray[np.int64]]:
        """Return the batches of each baseline."""
        good = self.good
        parts = [np.arange(self.reference_rows.size)]
        if self.odd.any():
            parts.append(good)
            if float(self.odd.mean()) ** self.current_rows.size >= _COMMON:
                parts += [np.array([index]) for index in np.flatnonzero(self.odd)]
        if self.change_points:
            bounds = [0, *self.change_points, good.size]
            parts += [good[start:end] for start, end in pairwise(bounds)]
        return parts

    def _weights(self, part: npt.NDArray[np.int64]) -> Floats:
        weights = np.zeros(self.reference_rows.size + self.current_rows.size)
        weights[part] = -self.reference_rows[part] / self.reference_rows[part].sum()
        weights[self.reference_rows.size :] = self.current_rows / self.current_rows.sum()
        return weights

    def _baseline(self, part: npt.NDArray[np.int64], weights: Floats, kernel: Floats | None) -> Baseline:
        # Variances are estimated on merged bins; the distance itself is that of all bins.
        counts = np.stack([self.series.reference[self.kept[part]].sum(axis=0), self.series.current.sum(axis=0)])
        before, now = points_of(counts, ordered=self.ordered)
        rows = 1 / (1 / float(self.reference_rows[part].sum()) + 1 / float(self.current_rows.sum()))
        apart = distances(before[None], now[None], ordered=self.ordered)
        shares = counts.sum(axis=0) / counts.sum()
        distance = float(without_chance(apart, shares, rows, ordered=self.ordered)[0])
        independent = float(np.square(weights).sum())
        spread = independent if kernel is None else max(independent, float(weights @ kernel @ weights))
        return Baseline(distance, spread, float(self._row_variance(rows)))

    def _shares(self) -> Floats:
        return np.asarray(self.reference_rows @ self.reference / self.reference_rows.sum())

    def _row_variance(self, rows: Floats | float) -> Floats:
        """Return the largest variance of a distance by the chance of rows."""
        largest = float(self.bernoulli.max()) if self.bernoulli.size and self.ordered else 0.25
        if not self.ordered and self.bernoulli.size == 2:
            largest = float(self.bernoulli.max())
        return np.asarray(largest / rows, dtype=np.float64)

    def _variance(self) -> tuple[float, float]:
        """Return the variance of the distance that a batch adds, and its degrees of freedom."""
        if self.paired:
            return self._variance_of_pairs()
        good = self.good
        freedom = max(0, good.size - self.fitted)
        squares = np.square(self.residuals).sum(axis=0)
        chance = freedom * float(np.mean(1 / self.reference_rows[good]))
        batches = self.current_rows.size
        if freedom < ENOUGH_FREEDOM and batches > 1:
            own = self.current - self.current.mean(axis=0)
            more = min(batches - 1, ENOUGH_FREEDOM - freedom)
            squares = squares + np.square(own).sum(axis=0) * (more / (batches - 1))
            chance += more * float(np.mean(1 / self.current_rows))
            freedom += more
        if not freedom:
            return 0.0, 0.0
        by_bin = squares / freedom - self.bernoulli * (chance / freedom)
        return _variance_of_distance(by_bin, self.bernoulli, ordered=self.ordered), float(freedom)

    def _variance_of_pairs(self) -> tuple[float, float]:
        """Return the variance by the differences of pairs, each of which has that of two batches."""
        difference = self.current - self.reference
        freedom = self.reference_rows.size - 1
        squares = np.square(difference - difference.mean(axis=0)).sum(axis=0) / (2 * freedom)
        chance = float(np.mean(1 / self.reference_rows + 1 / self.current_rows)) / 2
        by_bin = squares - self.bernoulli * chance
        return _variance_of_distance(by_bin, self.bernoulli, ordered=self.ordered), float(freedom)

    def _trend(self) -> tuple[float, bool]:
        """Return how far a steady movement has carried the reference, and whether the current window continues it."""
        good = self.good
        third = good.size // 3
        if third < MIN_BATCHES_ODD // 3 or self.change_points or self.paired:
            return 0.0, False
        points = self.residuals
        first, last = points[:third].mean(axis=0), points[-third:].mean(axis=0)
        direction = last - first
        length = float(np.square(direction).sum())
        if length <= 1e-12:
            return 0.0, False
        scores = points @ direction / length
        steadiness = float(np.corrcoef(scores, np.arange(scores.size))[0, 1]) if scores.std() > 0 else 0.0
        if steadiness < _STEADY:
            return 0.0, False
        base = self.reference[good] - points
        now = self.current_rows @ (self.current - base.mean(axis=0)) / self.current_rows.sum()
        carried = float(distances(first[None], last[None], ordered=self.ordered)[0])
        return carried, float(now @ direction / length) > float(scores[-third:].mean())


#: Smallest correlation of a steady movement with time.
_STEADY = 0.8
#: Probability from which on a window of odd batches alone is ordinary.
_COMMON = 0.01
#: Days are compared with the same weekday where each occurs this often.
_MIN_WEEKDAYS = 3


def _resolve(series: Series, calendar: Calendar) -> _Resolved:
    before, now = (_merged(side, ordered=series.ordered) for side in (series.reference, series.current))
    kept, current_kept = (np.flatnonzero(side.sum(axis=1)) for side in (before, now))
    reference, current = (points_of(side, ordered=series.ordered) for side in (before[kept], now[current_kept]))
    rows, current_rows = (side.sum(axis=1).astype(np.float64) for side in (before[kept], now[current_kept]))
    weekly = calendar.weekly and calendar.reference.size == before.shape[0] and calendar.current.size == now.shape[0]
    groups = calendar.reference[kept] if weekly else np.zeros(kept.size, dtype=np.int64)
    current_groups = calendar.current[current_kept] if weekly else np.zeros(current_kept.size, dtype=np.int64)
    pooled = rows @ reference / rows.sum()
    bernoulli = pooled * (1 - pooled)
    # Pairs need both sides.
    paired = calendar.paired and kept.size > 1 and np.array_equal(kept, current_kept)
    odd = np.zeros(kept.size, dtype=bool)
    if not paired:
        middles = _middles(reference, _like_days(calendar, kept))
        odd = _odd_batches(reference - middles, float(bernoulli.sum()) / rows)
    good = np.flatnonzero(~odd)
    means = _means(reference[good], groups[good])
    expected = np.stack([means.get(int(group), pooled) for group in groups])
    current_expected = np.stack([means.get(int(group), pooled) for group in current_groups])
    changes: tuple[int, ...] = ()
    if good.size >= MIN_BATCHES_CHANGE and not paired:
        changes = find_change_points((reference - expected)[good])
        bounds = [0, *changes, good.size]
        for start, end in pairwise(bounds):
            if changes:
                stretch = good[start:end]
                expected[stretch] += (reference - expected)[stretch].mean(axis=0)
    season = 0.0
    if weekly:
        mixes = (rows @ expected / rows.sum(), current_rows @ current_expected / current_rows.sum())
        season = 0.0 if changes else float(distances(mixes[0][None], mixes[1][None], ordered=series.ordered)[0])
    return _Resolved(
        series=series,
        ordered=series.ordered,
        reference=reference,
        current=current,
        reference_rows=rows,
        current_rows=current_rows,
        positions=np.concatenate([kept, before.shape[0] + current_kept]),
        bernoulli=bernoulli,
        expected=expected,
        current_expected=current_expected,
        odd=odd,
        change_points=changes,
        season=season,
        fitted=len(means) + len(changes),
        reference_batches=before.shape[0],
        current_batches=now.shape[0],
        dated=calendar.dated,
        paired=paired,
        kept=kept,
        current_kept=current_kept,
    )


def _merged(counts: Counts, *, ordered: bool) -> Counts:
    """Return counts with neighbouring ordered bins merged to at most _MAX_BINS."""
    bins = counts.shape[1]
    if not ordered or bins <= _MAX_BINS:
        return counts
    merged: Counts = np.add.reduceat(counts, np.arange(_MAX_BINS) * bins // _MAX_BINS, axis=1)
    return merged


def _odd_batches(deviations: Floats, noise: Floats) -> npt.NDArray[np.bool_]:
    """Return which batches are far from all others."""
    batches = deviations.shape[0]
    if batches < MIN_BATCHES_ODD:
        return np.zeros(batches, dtype=bool)
    squares = np.square(deviations).sum(axis=1)
    typical = max(float(_median(squares)) / _MEDIAN_SQUARE, float(noise.mean()))
    odd: npt.NDArray[np.bool_] = squares > ODD**2 * np.maximum(typical, noise)
    return odd if odd.sum() <= MAX_ODD * batches else np.zeros(batches, dtype=bool)


def _like_days(calendar: Calendar, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the weekday of each batch, or 0 for all if some are not days or a weekday is rare: Sundays are not odd."""
    nothing = np.zeros(kept.size, dtype=np.int64)
    if not calendar.dated or not kept.size:
        return nothing
    weekdays = calendar.reference[kept]
    counts = np.bincount(weekdays)
    return weekdays if counts[counts > 0].min() >= _MIN_WEEKDAYS else nothing


def _middles(points: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """Return the median point of the group of each batch."""
    middles = np.empty_like(points)
    for group in set(groups.tolist()):
        members = groups == group
        middles[members] = _median(points[members])
    return middles


def _median(values: Floats) -> Floats:
    """Return the median along the first axis. That of NumPy imports the module of masked arrays."""
    ordered = np.sort(values, axis=0)
    middle = values.shape[0] // 2
    return np.asarray((ordered[middle] + ordered[~middle]) / 2)


def _means(points: Floats, groups: npt.NDArray[np.int64]) -> dict[int, Floats]:
    return {group: points[groups == group].mean(axis=0) for group in sorted(set(groups.tolist()))}


def _variance_of_distance(by_bin: Floats, bernoulli: Floats, *, ordered: bool) -> float:
    """Return the variance of a distance from the variance of each point, which may be negative by chance.

    Ordered bins: the largest variance of any point. Others: total variation is the largest of all sums of shares, whose
    deviation is at most half the sum of the deviations. Many noisy variances inflate that sum, so it is bounded by that
    of shares which all vary in proportion (the design effect of J. N. K. Rao and A. J. Scott, 1981).
    """
    if not by_bin.size:
        return 0.0
    if ordered:
        return max(0.0, float(by_bin.max()))
    total, chance = max(0.0, float(by_bin.sum())), float(bernoulli.sum())
    if not chance:
        return 0.0
    proportional = total / chance * float(np.sqrt(bernoulli).sum()) ** 2
    return min(float(np.sqrt(by_bin.clip(0)).sum()) ** 2, proportional) / 4


def _nearly_one(baseline: Baseline) -> float:
    """The largest distance that samples of this size can tell from 1: the artanh of 1 is infinite."""
    return 1 - min(0.1, max(1e-9, baseline.rows))
