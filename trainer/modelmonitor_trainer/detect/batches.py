"""Series of batches: the points of a column by batch, what is expected of each, and the variance between batches.

Odd batches, jumps and seasons within the week are recognized here, so that they do not count as variation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.autocorrelation import variogram
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.change_points import find_change_points
from modelmonitor_trainer.detect.distances import distances, noise_deviation, points_of, variance_of_distance

#: A batch is odd if it is this many robust standard deviations from the middle ...
ODD = 3.5
#: ... of at least this many batches, of which at most this share can be odd.
MIN_BATCHES_ODD, MAX_ODD = 10, 1 / 5
#: A reference with fewer batches is not searched for change points.
MIN_BATCHES_CHANGE = 15
#: With at least this many degrees of freedom from the reference, those of the current window are not needed.
ENOUGH_FREEDOM = 19
#: The median of a chi-square variable with one degree of freedom.
MEDIAN_SQUARE = 0.4549
#: Numeric columns have up to a thousand bins; the variation is estimated on neighbouring ones together.
_MAX_BINS = 128
#: Days are compared with the same weekday where each occurs this often.
_MIN_WEEKDAYS = 3


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
class BatchSeries:
    """A series as points, without its season and its jumps; batches without rows are left out.

    Attributes
    ----------
    series
        The series.
    reference, current : (batches, bins)
        Points of each side: distribution functions, or shares.
    reference_rows, current_rows : (batches,)
        Rows of each batch.
    expected, current_expected : (batches, bins)
        Point of each batch without effects of batches: the mean of its weekday or stretch.
    expected_rows : (current batches,)
        Rows of the reference that each batch of the current window is compared with: of its weekday, or of its pair.
    groups : (batches,)
        Weekday of each batch of the reference; 0 for all if there is no season.
    bernoulli : (bins,)
        F (1 - F) of the reference, the variance of one row.
    odd : (batches,)
        Which batches of the reference are odd.
    change_points
        Positions among the ordinary batches at which a new stretch begins.
    season
        Distance that a different mix of weekdays explains.
    fitted
        Number of means that were fitted to the reference.
    kept, current_kept : (batches,)
        Index of each batch among all batches of its side.
    reference_batches, current_batches
        Number of all batches of each side.
    dated, paired
        As in the :class:`~modelmonitor_trainer.detect.calendar.Calendar`; pairs must have rows on both sides.
    """

    series: Series
    reference: Floats
    current: Floats
    reference_rows: Floats
    current_rows: Floats
    expected: Floats
    current_expected: Floats
    expected_rows: Floats
    groups: npt.NDArray[np.int64]
    bernoulli: Floats
    odd: npt.NDArray[np.bool_]
    change_points: tuple[int, ...]
    season: float
    fitted: int
    kept: npt.NDArray[np.int64]
    current_kept: npt.NDArray[np.int64]
    reference_batches: int
    current_batches: int
    dated: bool
    paired: bool

    @property
    def ordered(self) -> bool:
        """Whether bins are ordered."""
        return self.series.ordered

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each batch in time, those of the reference first."""
        return np.concatenate([self.kept, self.reference_batches + self.current_kept])

    @property
    def ordinary(self) -> npt.NDArray[np.int64]:
        """Batches of the reference that are not odd."""
        return np.flatnonzero(~self.odd)

    @property
    def noise(self) -> Floats:
        """Squared length that the chance of rows adds to each batch of the reference."""
        return float(self.bernoulli.sum()) / self.reference_rows

    @property
    def residuals(self) -> Floats:
        """How the ordinary batches of the reference differ from what is expected of them."""
        return (self.reference - self.expected)[self.ordinary]

    def variogram(self) -> tuple[Floats, float] | None:
        """Return the variogram of the residuals, and its reliability; None if batches vary by chance alone."""
        ordinary = self.ordinary
        if ordinary.size < MIN_BATCHES_ODD or self.paired:
            return None
        deviation = noise_deviation(self.shares, ordered=self.ordered)
        return variogram(
            self.residuals, self.noise[ordinary], deviation, self.positions[ordinary], self.reference_batches
        )

    @property
    def shares(self) -> Floats:
        """Shares or distribution function of the whole reference."""
        return np.asarray(self.reference_rows @ self.reference / self.reference_rows.sum())

    def variance(self) -> tuple[float, float]:
        """Return the variance of the distance that a batch adds, and its degrees of freedom."""
        if self.paired:
            return self._variance_of_pairs()
        ordinary = self.ordinary
        freedom = max(0, ordinary.size - self.fitted)
        squares = np.square(self.residuals).sum(axis=0)
        chance = freedom * float(np.mean(1 / self.reference_rows[ordinary]))
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
        return variance_of_distance(by_bin, self.bernoulli, ordered=self.ordered), float(freedom)

    def _variance_of_pairs(self) -> tuple[float, float]:
        """Return the variance by the differences of pairs, each of which has that of two batches."""
        difference = self.current - self.reference
        freedom = self.reference_rows.size - 1
        squares = np.square(difference - difference.mean(axis=0)).sum(axis=0) / (2 * freedom)
        chance = float(np.mean(1 / self.reference_rows + 1 / self.current_rows)) / 2
        by_bin = squares - self.bernoulli * chance
        return variance_of_distance(by_bin, self.bernoulli, ordered=self.ordered), float(freedom)


def resolve(series: Series, calendar: Calendar) -> BatchSeries:
    """Return a series with what is expected of each batch."""
    before, now = (merge_bins(side, ordered=series.ordered) for side in (series.reference, series.current))
    kept, current_kept = (np.flatnonzero(side.sum(axis=1)) for side in (before, now))
    reference, current = (points_of(side, ordered=series.ordered) for side in (before[kept], now[current_kept]))
    rows, current_rows = (side.sum(axis=1).astype(np.float64) for side in (before[kept], now[current_kept]))
    pooled = rows @ reference / rows.sum()
    bernoulli = pooled * (1 - pooled)
    paired = calendar.paired and kept.size > 1 and np.array_equal(kept, current_kept)
    odd = np.zeros(kept.size, dtype=bool)
    if not paired:
        middles = _middles(reference, _like_days(calendar, kept))
        odd = _odd_batches(reference - middles, float(bernoulli.sum()) / rows)
    ordinary = np.flatnonzero(~odd)
    weekly = calendar.weekly and calendar.reference.size == before.shape[0] and calendar.current.size == now.shape[0]
    groups = calendar.reference[kept] if weekly else np.zeros(kept.size, dtype=np.int64)
    current_groups = calendar.current[current_kept] if weekly else np.zeros(current_kept.size, dtype=np.int64)
    means = _means(reference[ordinary], groups[ordinary])
    expected, current_expected = (
        np.stack([means.get(int(group), pooled) for group in side]) for side in (groups, current_groups)
    )
    sizes = {group: float(rows[ordinary][groups[ordinary] == group].sum()) for group in means}
    expected_rows = np.array([sizes.get(int(group), float(rows.sum())) for group in current_groups])
    changes: tuple[int, ...] = ()
    if ordinary.size >= MIN_BATCHES_CHANGE and not paired:
        changes = find_change_points((reference - expected)[ordinary])
    season = 0.0
    if changes:
        _follow_jumps(expected, reference, ordinary, changes)
    elif weekly:
        mixes = (rows @ expected / rows.sum(), current_rows @ current_expected / current_rows.sum())
        season = float(distances(mixes[0][None], mixes[1][None], ordered=series.ordered)[0])
    return BatchSeries(
        series=series,
        reference=reference,
        current=current,
        reference_rows=rows,
        current_rows=current_rows,
        expected=expected,
        current_expected=current_expected,
        expected_rows=rows if paired else expected_rows,
        groups=groups,
        bernoulli=bernoulli,
        odd=odd,
        change_points=changes,
        season=season,
        fitted=len(means) + len(changes),
        kept=kept,
        current_kept=current_kept,
        reference_batches=before.shape[0],
        current_batches=now.shape[0],
        dated=calendar.dated,
        paired=paired,
    )


def _follow_jumps(
    expected: Floats, reference: Floats, ordinary: npt.NDArray[np.int64], changes: tuple[int, ...]
) -> None:
    """Move what is expected of the batches of each stretch to their own mean, in place."""
    for start, end in pairwise([0, *changes, ordinary.size]):
        stretch = ordinary[start:end]
        expected[stretch] += (reference - expected)[stretch].mean(axis=0)


def merge_bins(counts: Counts, *, ordered: bool) -> Counts:
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
    typical = max(float(_median(squares)) / MEDIAN_SQUARE, float(noise.mean()))
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
