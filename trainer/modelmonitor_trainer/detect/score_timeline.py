"""A score over time: of days, or of periods of whole weeks if days have few rows.

It is only displayed; whether the score has dropped is tested once, over all days (see
:mod:`~modelmonitor_trainer.detect.performance`). Intervals are those of a delete-a-group jackknife,

    P. S. Kott, The delete-a-group jackknife, Journal of Official Statistics 17, 2001,

with random groups of rows within a period, or with its days if it has enough of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.detect.resampling import GroupedRows, Grouping, Score, rescored

#: Lengths of periods in days: whole weeks, so that all periods have the same weekdays.
LENGTHS = (1, 7, 14, 28, 91)
#: At least half of the periods must have this many rows.
MIN_ROWS = 100
#: A period with fewer rows is not scored.
MIN_SCORED = 30
#: Maximum number of periods of a chart.
MAX_PERIODS = 60
#: With at least this many days in a period, the jackknife leaves out days instead of groups of rows.
MIN_DAYS = 8
#: Few, because a score can take milliseconds even on few rows.
_GROUPS = 10
_CONFIDENCE = 0.95
_SEED = 20130101


@dataclass(frozen=True)
class ScoredDay:
    """The labelled rows of a day.

    Attributes
    ----------
    day
        The day.
    truth : (n,)
        True outcomes, as the score takes them.
    predicted : (n,) or (n, k)
        Predictions.
    """

    day: dt.date
    truth: Array
    predicted: Array


@dataclass(frozen=True)
class Period:
    """The score of a period.

    Attributes
    ----------
    start, end
        First and last day; they need not have rows.
    rows
        Number of labelled rows.
    score, low, high
        The score and its 95 % interval; None if there are too few rows, or it is undefined.
    """

    start: dt.date
    end: dt.date
    rows: int
    score: float | None = None
    low: float | None = None
    high: float | None = None


def score_over_time(days: Sequence[ScoredDay], score: Score, grouping: Grouping | None = None) -> tuple[Period, ...]:
    """Return the score of each period, the earliest first; nothing for fewer than two periods.

    Parameters
    ----------
    days
        In any order.
    score
        The metric; raises ValueError or returns NaN if it is undefined.
    grouping
        Computes the scores of groups of rows; by default they are scored again.
    """
    grouping = grouping or rescored(score)
    filled = sorted((day for day in days if day.truth.size), key=lambda day: day.day)
    if not filled:
        return ()
    last = filled[-1].day
    length = block_length({day.day: int(day.truth.size) for day in filled})
    blocks: dict[int, list[ScoredDay]] = {}
    for day in filled:
        blocks.setdefault((last - day.day).days // length, []).append(day)
    if len(blocks) < 2:
        return ()
    return tuple(
        _period(last - dt.timedelta(days=length * number), length, inside, grouping)
        for number, inside in sorted(blocks.items(), reverse=True)
    )


def block_length(rows: dict[dt.date, int]) -> int:
    """Return the smallest length with which half of the periods have MIN_ROWS rows, and there are not too many.

    Parameters
    ----------
    rows
        Day → number of rows; at least one day.
    """
    last = max(rows)
    for length in LENGTHS:
        totals: dict[int, int] = {}
        for day, count in rows.items():
            number = (last - day).days // length
            totals[number] = totals.get(number, 0) + count
        if len(totals) <= MAX_PERIODS and np.median(list(totals.values())) >= MIN_ROWS:
            return length
    return LENGTHS[-1]


def _period(end: dt.date, length: int, days: Sequence[ScoredDay], grouping: Grouping) -> Period:
    truth = np.concatenate([day.truth for day in days])
    predicted = np.concatenate([day.predicted for day in days])
    start = end - dt.timedelta(days=length - 1)
    rows = int(truth.size)
    if rows < MIN_SCORED:
        return Period(start, end, rows)
    if len(days) >= MIN_DAYS:
        groups = np.repeat(np.arange(len(days)), [day.truth.size for day in days])
    else:
        groups = np.random.default_rng(_SEED).permutation(rows) % _GROUPS
    grouped = grouping(truth, predicted, groups)
    value = grouped.whole()
    if value is None:
        return Period(start, end, rows)
    reach = _reach(grouped)
    if reach is None:
        return Period(start, end, rows, value)
    return Period(start, end, rows, value, value - reach, value + reach)


def _reach(grouped: GroupedRows) -> float | None:
    """Return half the width of the interval; None if the score is undefined without one of the groups."""
    without = grouped.without_each()
    values = np.array([value for value in without if value is not None])
    count = len(without)
    if values.size < count:
        return None
    variance = (count - 1) / count * float(np.square(values - values.mean()).sum())
    from scipy import special  # only here: its import takes half as long as a small check

    return float(special.stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * float(np.sqrt(variance))
