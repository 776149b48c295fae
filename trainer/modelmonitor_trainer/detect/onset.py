"""The onset of a change: the first day of the current window that is after it.

Each day of the current window has a distance from the reference. Before the change these are ordinary distances, after
it they are about as large as the last ones. The onset is the day at which a step between both levels fits best, by
least squares over all columns that have drifted (J. Bai, Least squares estimation of a shift in linear processes,
1994). A window that begins after the change has its onset at its first day: the change can be older.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Floats


@dataclass(frozen=True)
class DailySeries:
    """What a change is visible in, day by day.

    Attributes
    ----------
    days
        Days, in increasing order.
    values : (days,)
        A value that grows with the change.
    before
        Its level before the change.
    variances : (days,)
        Its variance on each day.
    """

    days: tuple[dt.date, ...]
    values: Floats
    before: float
    variances: Floats


def find_onset(series: Sequence[DailySeries]) -> dt.date | None:
    """Return the first day after the change that `series` have in common; None without any day."""
    days = sorted({day for item in series for day in item.days})
    if not days:
        return None
    costs = sum((_costs(item, days) for item in series), start=np.zeros(len(days)))
    return days[int(np.argmin(costs))]


def _costs(series: DailySeries, days: Sequence[dt.date]) -> Floats:
    """Return the weighted squares around a step at each of `days`; the level after it is fitted."""
    own = np.searchsorted(np.array(days, dtype="datetime64[D]"), np.array(series.days, dtype="datetime64[D]"))
    weights = 1 / np.maximum(series.variances, 1e-12)
    # A far outlier of one column must not outvote all others: what counts is where its step is.
    weights = weights / max(float((weights * np.square(series.values - series.before)).sum()), 1e-300)
    result = np.empty(len(days))
    for index in range(len(days)):
        after = own >= index
        squares = float((weights * np.square(series.values - series.before))[~after].sum())
        if after.any():
            level = float(np.average(series.values[after], weights=weights[after]))
            level = max(level, series.before)
            squares += float((weights * np.square(series.values - level))[after].sum())
        result[index] = squares
    return result


def ordinary_distance(variance: float) -> float:
    """Return the usual distance of a day that has not changed, from the variance between days."""
    return math.tanh(math.sqrt(max(variance, 0.0)))
