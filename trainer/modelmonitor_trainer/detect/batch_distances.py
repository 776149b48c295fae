"""Distances of single batches: how far each day or file is from the reference, which shows when a change began.

No decision depends on them. Each batch is compared with the ordinary batches of the reference other than itself; where
both windows have all weekdays, with those of its own weekday. Distances include the
chance of rows, so :attr:`BatchDistances.usual` is what the batches of the reference reach themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.batches import merge_bins
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.column_series import distribution_series, missing_series
from modelmonitor_trainer.detect.distances import distances, points_of
from modelmonitor_trainer.detect.drift import (
    DISTRIBUTION,
    ColumnResult,
    ColumnTest,
)

#: Share of the ordinary batches of the reference whose distance is usual.
_USUAL = 0.9


@dataclass(frozen=True)
class BatchDistances:
    """The distance of each batch of a column from the reference.

    Attributes
    ----------
    reference, current : (batches,)
        Distance of each batch, from 0 to 1; NaN for one without rows, and if there is nothing to compare it with.
    usual
        Distance that nine of ten ordinary batches of the reference do not exceed; 0 if there are fewer than two.
    """

    reference: Floats
    current: Floats
    usual: float


def distances_of_batches(column: ColumnResult, test: ColumnTest) -> BatchDistances:
    """Return the distance of each batch of a column, in terms of one of its tests."""
    comparison = column.comparison
    series = (
        distribution_series(comparison.plan, comparison.reference, comparison.current)
        if test.what == DISTRIBUTION
        else missing_series(comparison.reference, comparison.current)
    )
    reference, current = (merge_bins(side, ordered=series.ordered) for side in (series.reference, series.current))
    odd = np.zeros(reference.shape[0], dtype=bool)
    odd[list(test.variation.odd)] = True
    groups = _weekdays(comparison.batches, (reference.shape[0], current.shape[0]))
    totals = {
        group: reference[(groups[0] == group) & ~odd].sum(axis=0, dtype=np.int64)
        for group in sorted({*groups[0].tolist(), *groups[1].tolist()})
    }
    # An odd batch is not part of what it is compared with.
    own = np.where(odd[:, None], 0, reference)
    before = _distances(reference, _expected_counts(totals, groups[0]) - own, ordered=series.ordered)
    now = _distances(current, _expected_counts(totals, groups[1]), ordered=series.ordered)
    ordinary = before[~odd & ~np.isnan(before)]
    # As np.quantile, which (with np.unique) imports numpy.ma; a check does without.
    ranks = np.arange(ordinary.size)
    usual = float(np.interp(_USUAL * ranks[-1], ranks, np.sort(ordinary))) if ordinary.size > 1 else 0.0
    return BatchDistances(before, now, usual)


def _expected_counts(totals: dict[int, Counts], groups: npt.NDArray[np.int64]) -> Counts:
    return np.stack([totals[group] for group in groups.tolist()]) if groups.size else np.zeros((0, 1), dtype=np.int64)


def _weekdays(
    batches: tuple[Sequence[Batch], Sequence[Batch]], sizes: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the weekday of each batch, or 0 for all if a window lacks one."""
    calendar = Calendar.of(*([batch.day for batch in side] for side in batches))
    if calendar.weekly and (calendar.reference.size, calendar.current.size) == sizes:
        return calendar.reference, calendar.current
    return np.zeros(sizes[0], dtype=np.int64), np.zeros(sizes[1], dtype=np.int64)


def _distances(counts: Counts, expected: Counts, *, ordered: bool) -> Floats:
    """Return the distance of each batch from what is expected of it, both as counts, (batches, bins)."""
    if not counts.shape[0]:
        return np.zeros(0)
    rows, others = counts.sum(axis=1), expected.sum(axis=1)
    apart = distances(points_of(counts, ordered=ordered), points_of(expected, ordered=ordered), ordered=ordered)
    return np.where((rows > 0) & (others > 0), apart, np.nan)
