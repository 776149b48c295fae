"""Calibration: how far apart windows of the reference itself lie, because the rows of a day are alike.

Pseudo-current windows are cut from the reference and each is compared with the rest. What drift must
exceed is a high quantile of T, the largest distance over all columns in units of each column's own
ordinary distance. With few windows the maximum alone cannot resolve a small level; a Gumbel
distribution fitted by moments can, and its quantile is moved away from the mean by 2/sqrt(blocks) of
the distance because the fit itself is uncertain. Where neighbouring days are alike, limits are stretched
(:mod:`~modelmonitor_trainer.detect.memory`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.memory import fit_memory, variogram
from modelmonitor_trainer.detect.statistics import rare_categories
from modelmonitor_trainer.profile.plan import NumericPlan
from modelmonitor_trainer.profile.window import ColumnWindow

#: With fewer blocks than this the reference says too little of how blocks differ.
MIN_BLOCKS = 20
#: With fewer contiguous windows than this, blocks are drawn at random instead.
MIN_CONTIGUOUS = 10
_RANDOM_WINDOWS = 200
_SEED = 20130101
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
class Calibration:
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


def calibrate(series: Sequence[Series], current_blocks: int, level: float) -> Calibration:
    """Return what ordinary variation reaches, over all `series` together.

    Parameters
    ----------
    series
        Over the same blocks of the reference.
    current_blocks
        Of how many blocks the current window is.
    level
        Probability that any series exceeds its limit without drift.
    """
    blocks = series[0].reference.shape[0] if series else 0
    observed = np.array([_distances(s.reference.sum(axis=0)[None], s.current[None], s.ordered)[0] for s in series])
    if blocks < MIN_BLOCKS or not current_blocks:
        return Calibration("None", 0, 0.0, level, np.zeros(len(series)), observed)
    method, chosen = pseudo_windows(blocks, current_blocks)
    ordinary = np.stack([_pseudo_distances(s, chosen, current_blocks) for s in series])
    # The root mean square, not the median: series with rare large distances would set everyone's limit.
    # Each window is measured by the others, as the current one is: it must not shrink its own measure.
    squares = np.square(ordinary)
    floors = np.array([_floor(s) for s in series])[:, None]
    others = np.sqrt((squares.sum(axis=1, keepdims=True) - squares).clip(0) / (len(chosen) - 1))
    measures = np.maximum(others, floors)
    # A series of one cell, such as a column of identifiers whose values are all rare, cannot vary: it has no
    # measure and no distance, and must not make those of the others undefined.
    largest = np.divide(ordinary, measures, out=np.zeros_like(ordinary), where=measures > 0).max(axis=0)
    scales = np.maximum(np.sqrt(squares.mean(axis=1)), floors[:, 0])
    stretches, remaining = _memories(series, chosen, current_blocks)
    independent = max(2.0, (len(chosen) if method == "Contiguous" else blocks) * remaining)
    threshold = gumbel_quantile(largest, level, independent)
    return Calibration(
        method=method,
        windows=len(chosen),
        threshold=threshold,
        level=level,
        limits=scales * stretches * threshold,
        observed=observed,
        independent=independent,
        stretch=float(stretches.max()),
    )


def _memories(series: Sequence[Series], chosen: npt.NDArray[np.bool_], current_blocks: int) -> tuple[Floats, float]:
    """Return how much farther each series may lie for its memory, and which share of blocks is independent.

    One series says little of its own memory, all together hide a single slow one: the longer reach counts.
    """
    found = [variogram(s.reference, ordered=s.ordered) for s in series]
    varying = [values for values in found if values.any()]
    if not varying:
        return np.ones(len(series)), 1.0
    together = fit_memory(np.mean(varying, axis=0))
    least = together.stretch(chosen, current_blocks)
    own = [fit_memory(values).stretch(chosen, current_blocks) if values.any() else 1.0 for values in found]
    blocks = chosen.shape[1]
    return np.maximum(own, least), together.independent(blocks) / blocks


def pseudo_windows(blocks: int, size: int) -> tuple[str, npt.NDArray[np.bool_]]:
    """Return how pseudo-current windows are cut, and which blocks each has; shape (windows, blocks).

    Disjoint runs of `size` neighbours where there are enough of them; otherwise random sets of as many
    blocks, or of half of all where that is less (distances are then scaled).
    """
    runs = blocks // size
    if runs >= MIN_CONTIGUOUS:
        chosen = np.zeros((runs, blocks), dtype=bool)
        for run in range(runs):
            chosen[run, run * size : (run + 1) * size] = True
        return "Contiguous", chosen
    size = min(size, blocks // 2)
    generator = np.random.default_rng(_SEED)
    chosen = np.zeros((_RANDOM_WINDOWS, blocks), dtype=bool)
    for row in chosen:
        row[generator.choice(blocks, size, replace=False)] = True
    return "Random", chosen


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
        widened by ``2 / sqrt(independent)`` of itself.
    """
    mean, deviation = float(largest.mean()), float(largest.std(ddof=1))
    scale = deviation * float(np.sqrt(6)) / float(np.pi)
    distance = scale * (-float(np.log(-np.log1p(-level))) - float(np.euler_gamma))
    return mean + distance * (1 + 2 / float(np.sqrt(independent)))


def _pseudo_distances(series: Series, chosen: npt.NDArray[np.bool_], current_blocks: int) -> Floats:
    """Return the distance of every pseudo-current window from the rest, as if of the size of the real one."""
    parts = (chosen.astype(np.float64) @ series.reference).round().astype(np.int64)
    rest = series.reference.sum(axis=0) - parts
    found = _distances(rest, parts, series.ordered)
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


def _floor(series: Series) -> float:
    """Return the usual distance that independent rows alone would show: no series varies less."""
    n, m = max(1, int(series.reference.sum())), max(1, int(series.current.sum()))
    if series.ordered:
        return _KOLMOGOROV_MEDIAN * float(np.sqrt(1 / n + 1 / m))
    shares = (series.reference.sum(axis=0) + 1) / (n + series.reference.shape[1])
    spread = np.sqrt(shares * (1 - shares) * (1 / n + 1 / m))
    return _NORMAL_MEDIAN * float(spread.sum()) / 2
