"""Drift thresholds: how far windows of the reference are apart without drift, because rows of a day are correlated.

Pseudo-current windows are drawn from the reference, with the weekdays of the current window, and each is compared with
the rest. Drift must exceed a high quantile of T, the largest distance over all columns, each in units of the root mean
square of the column's own distances. With few windows the empirical maximum cannot resolve a small level. A Gumbel
distribution fitted by moments can; its quantile is moved away from the mean by ``WIDENING / sqrt(n)`` of the distance,
with n the number of *independent* windows, because the fit itself is uncertain. Where neighbouring days are
correlated, thresholds are stretched (:mod:`~modelmonitor_trainer.detect.autocorrelation`).

Distances are bounded by 1 and multiples of them are not, so all computations use z = artanh(distance), Fisher's
transformation. It is proportional to small distances, and for logistic variables proportional to the shift of any
size. A threshold is therefore below 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.autocorrelation import Autocorrelation, fit_autocorrelation, variogram
from modelmonitor_trainer.detect.statistics import rare_categories
from modelmonitor_trainer.profile.binning import NumericPlan
from modelmonitor_trainer.profile.window import ColumnWindow, WindowProfile

#: A reference with fewer batches has no thresholds.
MIN_BLOCKS = 20
#: With fewer contiguous windows, batches are drawn at random instead.
MIN_CONTIGUOUS = 10
#: Relative widening of an extrapolated quantile, times the square root of the number of independent windows.
WIDENING = 3.0
_RANDOM_WINDOWS = 200
_SEED = 20130101
_WEEK = 7
#: Medians of Kolmogorov's distribution and of the absolute value of a standard normal variable.
_KOLMOGOROV_MEDIAN, _NORMAL_MEDIAN = 0.8276, 0.6745


@dataclass(frozen=True)
class Series:
    """A quantity compared between windows: the distribution of a column, or its missing rate.

    Attributes
    ----------
    reference : (blocks, cells)
        Rows in each bin, by batch.
    current : (cells,)
        Rows in each bin of the current window.
    ordered
        Whether bins are ordered (Kolmogorov-Smirnov distance) or not (total variation).
    """

    reference: Counts
    current: Counts
    ordered: bool


@dataclass(frozen=True)
class Calendar:
    """The weekdays of the batches of both windows.

    Attributes
    ----------
    reference, current : (blocks,)
        Weekday of each batch, from 0 for Monday; -1 for a batch that is not a day.
    """

    reference: Counts
    current: Counts

    @classmethod
    def of(cls, reference: Iterable[dt.date | None], current: Iterable[dt.date | None]) -> Calendar:
        """Return the calendar of batches; None stands for one that is not a day."""
        return cls(_weekdays(reference), _weekdays(current))

    @classmethod
    def of_windows(cls, reference: WindowProfile, current: WindowProfile) -> Calendar:
        """Return the calendar of two windows; batches of the current one without rows do not count."""
        filled = [profile.block.day for profile in current.blocks if profile.rows]
        return cls.of([profile.block.day for profile in reference.blocks], filled)

    @property
    def weekly(self) -> bool:
        """Whether the current window has all weekdays, so that pseudo-current windows must have them too."""
        days = bool((self.reference >= 0).all() and (self.current >= 0).all())
        return days and len(set(self.current.tolist())) == _WEEK


def _weekdays(days: Iterable[dt.date | None]) -> Counts:
    return np.array([-1 if day is None else day.weekday() for day in days], dtype=np.int64)


@dataclass(frozen=True)
class DriftThresholds:
    """Thresholds that variation without drift rarely exceeds.

    Attributes
    ----------
    method
        "Contiguous" or "Random": how pseudo-current windows were drawn; "None": too few batches.
    windows
        Number of pseudo-current windows.
    threshold
        Value that T exceeds with probability `level`.
    level
        That probability.
    limits : (series,)
        Threshold of the distance of each series.
    observed : (series,)
        Distance of the current window of each series.
    independent
        Effective number of independent windows; less than `windows` where days are correlated.
    stretch
        Largest factor by which a threshold is raised for autocorrelation; 1 if none is.
    """

    method: str
    windows: int
    threshold: float
    level: float
    limits: Floats
    observed: Floats
    independent: float = 0.0
    stretch: float = 1.0

    def exceeded(self) -> npt.NDArray[np.bool_]:
        """Return which series exceed their threshold."""
        return self.observed > self.limits


def distribution_series(plan: NumericPlan | object, reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the distribution of a column as a series.

    Rare categories are pooled as in the test.
    """
    counts, now = reference.counts, current.total.counts
    if isinstance(plan, NumericPlan):
        return Series(counts, now, ordered=True)
    rare = rare_categories(counts.sum(axis=0), now)
    pooled = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    return Series(pooled, np.append(now[~rare], now[rare].sum()), ordered=False)


def missing_series(reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the missing and present rows of a column as a series of two bins."""
    blocks = np.stack([reference.missing, reference.rows - reference.missing], axis=1)
    total = current.total
    return Series(blocks, np.array([total.missing, total.present], dtype=np.int64), ordered=False)


def fit_thresholds(series: Sequence[Series], calendar: Calendar, level: float) -> DriftThresholds:
    """Return the thresholds of all `series` together.

    Parameters
    ----------
    series
        Series over the same batches of the reference.
    calendar
        Batches of both windows.
    level
        Probability that any series exceeds its threshold without drift.
    """
    blocks = series[0].reference.shape[0] if series else 0
    observed = np.array([_distances(s.reference.sum(axis=0)[None], s.current[None], s.ordered)[0] for s in series])
    if blocks < MIN_BLOCKS or not calendar.current.size:
        return DriftThresholds("None", 0, 0.0, level, np.zeros(len(series)), observed)
    method, chosen = pseudo_windows(blocks, calendar.current.size, calendar if calendar.weekly else None)
    pseudo = np.stack([_pseudo_distances(s, chosen, calendar.current.size) for s in series])
    # The root mean square, not the median: series with rare large distances would determine all thresholds.
    # The unit of a window comes from the other windows, as for the current one: it must not reduce its own distance.
    squares = np.square(pseudo)
    floors = _fisher(np.array([_floor(s) for s in series]))[:, None]
    others = np.sqrt((squares.sum(axis=1, keepdims=True) - squares).clip(0) / (len(chosen) - 1))
    units = np.maximum(others, floors)
    # A series of one bin, such as identifiers that are all rare, cannot vary. Its unit and its distance are 0, and
    # must not make those of the others undefined.
    largest = np.divide(pseudo, units, out=np.zeros_like(pseudo), where=units > 0).max(axis=0)
    scales = np.maximum(np.sqrt(squares.mean(axis=1)), floors[:, 0])
    stretches, together = _stretches(series, chosen, calendar)
    # Runs of days are less correlated than their days.
    means = chosen / chosen.sum(axis=1, keepdims=True) if method == "Contiguous" else np.eye(blocks)
    independent = together.independent(means)
    threshold = gumbel_quantile(largest, level, independent)
    return DriftThresholds(
        method=method,
        windows=len(chosen),
        threshold=threshold,
        level=level,
        limits=np.tanh(scales * stretches * threshold),
        observed=observed,
        independent=independent,
        stretch=float(stretches.max()),
    )


def _stretches(
    series: Sequence[Series], chosen: npt.NDArray[np.bool_], calendar: Calendar
) -> tuple[Floats, Autocorrelation]:
    """Return the stretch of each series, and the autocorrelation of all of them.

    The variogram of a few dozen days is noisy, and that of all series together hides a slow one among many. So each
    series uses the mean of both.
    """
    weekdays = calendar.reference if calendar.weekly else None
    variograms = [variogram(s.reference, ordered=s.ordered, weekdays=weekdays) for s in series]
    varying = [values for values in variograms if values.any()]
    if not varying:
        return np.ones(len(series)), Autocorrelation(1.0, 0.0, 0.0)
    pooled = np.mean(varying, axis=0)
    fits = [fit_autocorrelation((values + pooled) / 2) if values.any() else None for values in variograms]
    stretches = [fit.stretch(chosen, calendar.current.size) if fit else 1.0 for fit in fits]
    return np.array(stretches), fit_autocorrelation(pooled)


def pseudo_windows(blocks: int, size: int, calendar: Calendar | None = None) -> tuple[str, npt.NDArray[np.bool_]]:
    """Return how pseudo-current windows are drawn, and the batches of each; shape (windows, batches).

    Disjoint runs of `size` neighbours if there are enough of them; otherwise random sets of `size` batches, or of half
    of all if that is less (distances are then scaled). Random sets have each weekday as often as the current window of
    `calendar`, if the reference has enough of each.
    """
    runs = blocks // size
    if runs >= MIN_CONTIGUOUS:
        chosen = np.zeros((runs, blocks), dtype=bool)
        for run in range(runs):
            chosen[run, run * size : (run + 1) * size] = True
        return "Contiguous", chosen
    size = min(size, blocks // 2)
    strata = _strata(calendar, size) if calendar is not None else None
    if strata is None:
        strata = [(np.arange(blocks), size)]
    keys = np.random.default_rng(_SEED).random((_RANDOM_WINDOWS, blocks))
    chosen = np.zeros((_RANDOM_WINDOWS, blocks), dtype=bool)
    for indices, wanted in strata:
        smallest = np.argsort(keys[:, indices], axis=1)[:, :wanted]
        np.put_along_axis(chosen, indices[smallest], values=True, axis=1)
    return "Random", chosen


def _strata(calendar: Calendar, size: int) -> list[tuple[Counts, int]] | None:
    """Return the batches of each weekday and their number in a window of `size`; None if there are too few of one."""
    shares = np.bincount(calendar.current, minlength=_WEEK) * (size / calendar.current.size)
    wanted = np.floor(shares).astype(np.int64)
    # The remainder goes to the weekdays that lost most by rounding.
    wanted[np.argsort(wanted - shares, kind="stable")[: size - int(wanted.sum())]] += 1
    indices = [np.flatnonzero(calendar.reference == weekday) for weekday in range(_WEEK)]
    if any(days.size <= count for days, count in zip(indices, wanted.tolist(), strict=True)):
        return None
    return list(zip(indices, wanted.tolist(), strict=True))


def gumbel_quantile(largest: Floats, level: float, independent: float) -> float:
    """Return the 1 - `level` quantile of a Gumbel distribution fitted by moments, widened.

    Parameters
    ----------
    largest : (windows,)
        Maxima.
    level
        Probability to exceed the quantile.
    independent
        Number of independent windows; the distance of the quantile from the mean is
        widened by ``WIDENING / sqrt(independent)`` of itself.
    """
    mean, deviation = float(largest.mean()), float(largest.std(ddof=1))
    scale = deviation * float(np.sqrt(6)) / float(np.pi)
    distance = scale * (-float(np.log(-np.log1p(-level))) - float(np.euler_gamma))
    return mean + distance * (1 + WIDENING / float(np.sqrt(independent)))


def _pseudo_distances(series: Series, chosen: npt.NDArray[np.bool_], current_blocks: int) -> Floats:
    """Return artanh of the distance of each pseudo-current window from the rest, scaled to the current one."""
    parts = (chosen.astype(np.float64) @ series.reference).round().astype(np.int64)
    rest = series.reference.sum(axis=0) - parts
    distances = _fisher(_distances(rest, parts, series.ordered))
    blocks, size = chosen.shape[1], int(chosen[0].sum())
    by_blocks = (1 / current_blocks + 1 / blocks) / (1 / size + 1 / (blocks - size))
    whole, now = int(series.reference.sum()), int(series.current.sum())
    part_rows, rest_rows = np.maximum(parts.sum(axis=1), 1), np.maximum(rest.sum(axis=1), 1)
    by_rows = (1 / max(1, now) + 1 / max(1, whole)) / (1 / part_rows + 1 / rest_rows)
    scaled: Floats = distances * np.sqrt(np.maximum(by_blocks, by_rows))
    return scaled


def _distances(one: Counts, other: Counts, ordered: bool) -> Floats:
    """Return the distances between rows of counts, shape (windows, bins); 0 if a side is empty."""
    n, m = one.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)
    difference = one / np.maximum(n, 1) - other / np.maximum(m, 1)
    distance = np.abs(np.cumsum(difference, axis=1)).max(axis=1) if ordered else np.abs(difference).sum(axis=1) / 2
    return np.asarray(np.where((n[:, 0] > 0) & (m[:, 0] > 0), distance, 0.0), dtype=np.float64)


def _fisher(distances: Floats) -> Floats:
    """Return artanh of distances, finite also for 1, which small samples can show."""
    return np.asarray(np.arctanh(np.minimum(distances, 1 - 1e-9)), dtype=np.float64)


def _floor(series: Series) -> float:
    """Return the median distance of independent rows: no series varies less."""
    n, m = max(1, int(series.reference.sum())), max(1, int(series.current.sum()))
    if series.ordered:
        return _KOLMOGOROV_MEDIAN * float(np.sqrt(1 / n + 1 / m))
    shares = (series.reference.sum(axis=0) + 1) / (n + series.reference.shape[1])
    spread = np.sqrt(shares * (1 - shares) * (1 / n + 1 / m))
    return _NORMAL_MEDIAN * float(spread.sum()) / 2
