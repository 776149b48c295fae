"""Calibration: how far apart windows of the reference itself lie, because the rows of a day are alike.

Pseudo-current windows are cut from the reference, with the weekdays of the current one, and each is
compared with the rest. What drift must exceed is a high quantile of T, the largest distance over all
columns in units of each column's own ordinary distance. With few windows the maximum alone cannot resolve
a small level; a Gumbel distribution fitted by moments can, and its quantile is moved away from the mean by
WIDENING/sqrt(blocks) of the distance because the fit itself is uncertain. Where neighbouring days are alike,
limits are stretched (:mod:`~modelmonitor_trainer.detect.autocorrelation`).

Distances end at 1 and multiples of them do not, so all of this is done with z = artanh(distance), R. A.
Fisher's transformation: proportional to the distance where that is small, and for logistic variables
proportional to the shift that causes it however large. A limit is therefore below 1.
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

#: With fewer blocks than this the reference says too little of how blocks differ.
MIN_BLOCKS = 20
#: With fewer contiguous windows than this, blocks are drawn at random instead.
MIN_CONTIGUOUS = 10
#: By how much an extrapolated quantile is moved away for its uncertainty, times the root of the blocks.
WIDENING = 3.0
_RANDOM_WINDOWS = 200
_SEED = 20130101
_WEEK = 7
#: Median of Kolmogorov's distribution, and of the absolute value of a normal variable.
_KOLMOGOROV_MEDIAN, _NORMAL_MEDIAN = 0.8276, 0.6745


@dataclass(frozen=True)
class Series:
    """One quantity that is compared between windows: the distribution of a column, or its missing share.

    Attributes
    ----------
    reference : (blocks, cells)
        Rows in each cell, block by block.
    current : (cells,)
        Rows in each cell of the current window.
    ordered
        Whether cells have an order (Kolmogorov-Smirnov) or not (total variation).
    """

    reference: Counts
    current: Counts
    ordered: bool


@dataclass(frozen=True)
class Calendar:
    """Which days the blocks of both windows are.

    Attributes
    ----------
    reference, current : (blocks,)
        Weekday of each block, from 0 for Monday; -1 for a block that is no day.
    """

    reference: Counts
    current: Counts

    @classmethod
    def of(cls, reference: Iterable[dt.date | None], current: Iterable[dt.date | None]) -> Calendar:
        """Return the calendar of blocks that are days, or None where they are not."""
        return cls(_weekdays(reference), _weekdays(current))

    @classmethod
    def of_windows(cls, reference: WindowProfile, current: WindowProfile) -> Calendar:
        """Return the calendar of two windows; batches of the current one without rows do not count."""
        filled = [profile.block.day for profile in current.blocks if profile.rows]
        return cls.of([profile.block.day for profile in reference.blocks], filled)

    @property
    def weekly(self) -> bool:
        """Whether the current window has a week or more, so that a pattern of weekdays is no surprise in it."""
        days = bool((self.reference >= 0).all() and (self.current >= 0).all())
        return days and len(set(self.current.tolist())) == _WEEK


def _weekdays(days: Iterable[dt.date | None]) -> Counts:
    return np.array([-1 if day is None else day.weekday() for day in days], dtype=np.int64)


@dataclass(frozen=True)
class DriftThresholds:
    """What ordinary variation between windows reaches.

    Attributes
    ----------
    method
        "Contiguous" or "Random": how pseudo-current windows were cut; "None": too few blocks.
    windows
        How many there were.
    threshold
        What the largest distance, in units of each series' own, exceeds with the probability `level`.
    level
        That probability.
    limits : (series,)
        The same as a distance of each series: what its distance must exceed.
    observed : (series,)
        The distance of the current window, measured alike.
    independent
        How many independent windows the level is extrapolated from; fewer than `windows` where days are alike.
    stretch
        By how much the limit of the slowest series is stretched for its memory of the days before; 1 is not.
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
        """Return for every series whether it is farther than ordinary variation reaches."""
        return self.observed > self.limits


def distribution_series(plan: NumericPlan | object, reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the distribution of a column as a series.

    Rare categories are pooled as in the test itself.
    """
    counts, now = reference.counts, current.total.counts
    if isinstance(plan, NumericPlan):
        return Series(counts, now, ordered=True)
    rare = rare_categories(counts.sum(axis=0), now)
    pooled = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    return Series(pooled, np.append(now[~rare], now[rare].sum()), ordered=False)


def missing_series(reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the missing and present rows of a column as a series of two cells."""
    blocks = np.stack([reference.missing, reference.rows - reference.missing], axis=1)
    total = current.total
    return Series(blocks, np.array([total.missing, total.present], dtype=np.int64), ordered=False)


def fit_thresholds(series: Sequence[Series], calendar: Calendar, level: float) -> DriftThresholds:
    """Return what ordinary variation reaches, over all `series` together.

    Parameters
    ----------
    series
        Over the same blocks of the reference.
    calendar
        The blocks of both windows.
    level
        Probability that any series exceeds its limit without drift.
    """
    blocks = series[0].reference.shape[0] if series else 0
    observed = np.array([_distances(s.reference.sum(axis=0)[None], s.current[None], s.ordered)[0] for s in series])
    if blocks < MIN_BLOCKS or not calendar.current.size:
        return DriftThresholds("None", 0, 0.0, level, np.zeros(len(series)), observed)
    method, chosen = pseudo_windows(blocks, calendar.current.size, calendar if calendar.weekly else None)
    ordinary = np.stack([_pseudo_distances(s, chosen, calendar.current.size) for s in series])
    # The root mean square, not the median: series with rare large distances would set everyone's limit.
    # Each window is measured by the others, as the current one is: it must not shrink its own measure.
    squares = np.square(ordinary)
    floors = _fisher(np.array([_floor(s) for s in series]))[:, None]
    others = np.sqrt((squares.sum(axis=1, keepdims=True) - squares).clip(0) / (len(chosen) - 1))
    measures = np.maximum(others, floors)
    # A series of one cell, such as a column of identifiers whose values are all rare, cannot vary: it has no
    # measure and no distance, and must not make those of the others undefined.
    largest = np.divide(ordinary, measures, out=np.zeros_like(ordinary), where=measures > 0).max(axis=0)
    scales = np.maximum(np.sqrt(squares.mean(axis=1)), floors[:, 0])
    stretches, together = _memories(series, chosen, calendar)
    # Runs of days are more nearly independent than the days that they are of.
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


def _memories(
    series: Sequence[Series], chosen: npt.NDArray[np.bool_], calendar: Calendar
) -> tuple[Floats, Autocorrelation]:
    """Return how much farther each series may lie for its memory, and the memory of all of them.

    A variogram of a few dozen days says little of its own memory, and that of all together hides a slow one among
    many: each series goes by the mean of both.
    """
    weekdays = calendar.reference if calendar.weekly else None
    found = [variogram(s.reference, ordered=s.ordered, weekdays=weekdays) for s in series]
    varying = [values for values in found if values.any()]
    if not varying:
        return np.ones(len(series)), Autocorrelation(1.0, 0.0, 0.0)
    pooled = np.mean(varying, axis=0)
    memories = [fit_autocorrelation((values + pooled) / 2) if values.any() else None for values in found]
    stretches = [memory.stretch(chosen, calendar.current.size) if memory else 1.0 for memory in memories]
    return np.array(stretches), fit_autocorrelation(pooled)


def pseudo_windows(blocks: int, size: int, calendar: Calendar | None = None) -> tuple[str, npt.NDArray[np.bool_]]:
    """Return how pseudo-current windows are cut, and which blocks each has; shape (windows, blocks).

    Disjoint runs of `size` neighbours where there are enough of them; otherwise random sets of as many
    blocks, or of half of all where that is less (distances are then scaled). Random sets have each weekday as
    often as the current window of `calendar`, where the reference has enough of each.
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
    for places, wanted in strata:
        smallest = np.argsort(keys[:, places], axis=1)[:, :wanted]
        np.put_along_axis(chosen, places[smallest], values=True, axis=1)
    return "Random", chosen


def _strata(calendar: Calendar, size: int) -> list[tuple[Counts, int]] | None:
    """Return the blocks of each weekday and how many of them a window of `size` has; None: too few of one."""
    shares = np.bincount(calendar.current, minlength=_WEEK) * (size / calendar.current.size)
    wanted = np.floor(shares).astype(np.int64)
    # What rounding left goes to the weekdays that lost most by it.
    wanted[np.argsort(wanted - shares, kind="stable")[: size - int(wanted.sum())]] += 1
    places = [np.flatnonzero(calendar.reference == weekday) for weekday in range(_WEEK)]
    if any(place.size <= count for place, count in zip(places, wanted.tolist(), strict=True)):
        return None
    return list(zip(places, wanted.tolist(), strict=True))


def gumbel_quantile(largest: Floats, level: float, independent: float) -> float:
    """Return the 1 - `level` quantile of a Gumbel distribution fitted by moments, widened.

    Parameters
    ----------
    largest : (windows,)
        Maxima.
    level
        Probability to exceed the quantile.
    independent
        How many independent blocks the maxima come from; the distance of the quantile from the mean is
        widened by ``WIDENING / sqrt(independent)`` of itself.
    """
    mean, deviation = float(largest.mean()), float(largest.std(ddof=1))
    scale = deviation * float(np.sqrt(6)) / float(np.pi)
    distance = scale * (-float(np.log(-np.log1p(-level))) - float(np.euler_gamma))
    return mean + distance * (1 + WIDENING / float(np.sqrt(independent)))


def _pseudo_distances(series: Series, chosen: npt.NDArray[np.bool_], current_blocks: int) -> Floats:
    """Return artanh of the distance of every pseudo-current window from the rest, as if of the real one's size."""
    parts = (chosen.astype(np.float64) @ series.reference).round().astype(np.int64)
    rest = series.reference.sum(axis=0) - parts
    found = _fisher(_distances(rest, parts, series.ordered))
    blocks, size = chosen.shape[1], int(chosen[0].sum())
    by_blocks = (1 / current_blocks + 1 / blocks) / (1 / size + 1 / (blocks - size))
    whole, now = int(series.reference.sum()), int(series.current.sum())
    part_rows, rest_rows = np.maximum(parts.sum(axis=1), 1), np.maximum(rest.sum(axis=1), 1)
    by_rows = (1 / max(1, now) + 1 / max(1, whole)) / (1 / part_rows + 1 / rest_rows)
    scaled: Floats = found * np.sqrt(np.maximum(by_blocks, by_rows))
    return scaled


def _distances(one: Counts, other: Counts, ordered: bool) -> Floats:
    """Return the distances between rows of counts, shape (windows, cells); 0 where a side is empty."""
    n, m = one.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)
    difference = one / np.maximum(n, 1) - other / np.maximum(m, 1)
    found = np.abs(np.cumsum(difference, axis=1)).max(axis=1) if ordered else np.abs(difference).sum(axis=1) / 2
    return np.asarray(np.where((n[:, 0] > 0) & (m[:, 0] > 0), found, 0.0), dtype=np.float64)


def _fisher(distances: Floats) -> Floats:
    """Return artanh of distances; of 1, which a sample of a few rows may show, it stays finite."""
    return np.asarray(np.arctanh(np.minimum(distances, 1 - 1e-9)), dtype=np.float64)


def _floor(series: Series) -> float:
    """Return the usual distance that independent rows alone would show: no series varies less."""
    n, m = max(1, int(series.reference.sum())), max(1, int(series.current.sum()))
    if series.ordered:
        return _KOLMOGOROV_MEDIAN * float(np.sqrt(1 / n + 1 / m))
    shares = (series.reference.sum(axis=0) + 1) / (n + series.reference.shape[1])
    spread = np.sqrt(shares * (1 - shares) * (1 / n + 1 / m))
    return _NORMAL_MEDIAN * float(spread.sum()) / 2
