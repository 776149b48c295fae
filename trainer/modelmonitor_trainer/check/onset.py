"""The onset of what a check has found: the first day after the change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.check.data import ProfiledData
from modelmonitor_trainer.detect.drift import ColumnResult, DriftResult
from modelmonitor_trainer.detect.onset import DailySeries, find_onset, ordinary_distance
from modelmonitor_trainer.detect.performance import PerformanceResult


def onset_of(data: ProfiledData, drift: DriftResult | None, performance: Sequence[PerformanceResult]) -> dt.date | None:
    """Return the first day after the change that a check has found; None if it found none, or compared files.

    Where no single column shows the change (relations between columns, or a score without enough periods), it is the
    last day of the window: a later day than the true one makes a training wait, an earlier one would let it train
    on the data from before the change.
    """
    window = data.source.current_window
    if window is None:
        return None
    dropped = [result for result in performance if result.dropped]
    columns = [column for column in drift.columns if column.drifted] if drift else []
    onset = find_onset([*_of_columns(data, columns), *_of_scores(dropped)])
    if onset is not None:
        return max(onset, window[0])
    if dropped:
        return data.source.monitor.mature if data.source.monitor else window[1]
    return window[1] if drift is not None and any(family.drifted for family in drift.relations) else None


def _of_columns(data: ProfiledData, columns: Sequence[ColumnResult]) -> Iterator[DailySeries]:
    days_of = {
        id(plan): [profile.block.day for profile in pair.current.blocks] for pair in data.pairs for plan in pair.plan
    }
    for column in columns:
        days = days_of[id(column.comparison.plan)]
        rows = column.comparison.current.rows
        kept = [index for index, day in enumerate(days) if day is not None and rows[index] > 0]
        for test in column.tests:
            variation = test.variation
            if not test.drifted or variation.single.size != len(days) or not kept:
                continue
            yield DailySeries(
                tuple(day for index in kept if (day := days[index]) is not None),
                variation.single[kept],
                ordinary_distance(variation.variance),
                variation.single_rows[kept] + variation.variance,
            )


def _of_scores(performance: Sequence[PerformanceResult]) -> Iterator[DailySeries]:
    if not performance:
        return
    from modelmonitor_trainer.model.metrics import greater_is_better  # imports scikit-learn

    for result in performance:
        scored = [(period, period.score) for period in result.periods if period.score is not None]
        if len(scored) < 2 or result.promotion_score is None:
            continue
        sign = -1.0 if greater_is_better(Metric(result.metric)) else 1.0
        yield DailySeries(
            tuple(period.start for period, _ in scored),
            np.array([sign * score for _, score in scored]),
            sign * result.promotion_score,
            np.array([1 / period.rows for period, _ in scored]),
        )
