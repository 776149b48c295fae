"""A score over time: of each day, or of blocks of whole weeks where days have few rows.

Only for people to look at: whether the champion has dropped is judged once, over all days (see
:mod:`~modelmonitor_trainer.detect.performance`). Intervals are those of a delete-a-group jackknife,

    P. S. Kott, The delete-a-group jackknife, Journal of Official Statistics 17, 2001,

of random groups of rows within a block, and of its days where it has enough of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Array

#: (true outcomes, predictions) → score.
Score = Callable[[Array, Array], float]

#: Days in a block: whole weeks, so that every block has the same days of the week.
LENGTHS = (1, 7, 14, 28, 91)
#: Half of the blocks, at least, must have as many rows.
MIN_ROWS = 100
#: A block with fewer rows than this is not scored.
MIN_SCORED = 30
#: Blocks that a chart can show.
MAX_PERIODS = 60
#: With as many days in a block they are what is left out, instead of rows.
MIN_DAYS = 8
#: Few, since a score can take milliseconds however few its rows are.
_GROUPS = 10
_CONFIDENCE = 0.95
_SEED = 20130101


@dataclass(frozen=True)
class ScoredDay:
    """The labelled rows of a day.

    Attributes
    ----------
    day
        Which one.
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
    """The score of a block of days.

    Attributes
    ----------
    start, end
        Its first and last day; both may be without rows.
    rows
        How many labelled rows it has.
    score, low, high
        The score and its 95 % interval; None where it has too few rows, or the score is not defined on them.
    """

    start: dt.date
    end: dt.date
    rows: int
    score: float | None = None
    low: float | None = None
    high: float | None = None


def score_over_time(days: Sequence[ScoredDay], score: Score) -> tuple[Period, ...]:
    """Return the score of every block of days, the earliest first; nothing where there are fewer than two.

    Parameters
    ----------
    days
        In any order.
    score
        The metric; raises ValueError, or gives NaN, where it is not defined.
    """
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
        _period(last - dt.timedelta(days=length * number), length, inside, score)
        for number, inside in sorted(blocks.items(), reverse=True)
    )


def block_length(rows: dict[dt.date, int]) -> int:
    """Return the smallest of LENGTHS with which half of the blocks have MIN_ROWS rows, and not too many result.

    Parameters
    ----------
    rows
        Day → how many rows it has, at least one day.
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


def _period(end: dt.date, length: int, days: Sequence[ScoredDay], score: Score) -> Period:
    truth = np.concatenate([day.truth for day in days])
    predicted = np.concatenate([day.predicted for day in days])
    start = end - dt.timedelta(days=length - 1)
    rows = int(truth.size)
    value = or_none(score, truth, predicted) if rows >= MIN_SCORED else None
    if value is None:
        return Period(start, end, rows)
    if len(days) >= MIN_DAYS:
        groups = np.repeat(np.arange(len(days)), [day.truth.size for day in days])
    else:
        groups = np.random.default_rng(_SEED).permutation(rows) % _GROUPS
    reach = _reach(truth, predicted, groups, score)
    if reach is None:
        return Period(start, end, rows, value)
    return Period(start, end, rows, value, value - reach, value + reach)


def _reach(truth: Array, predicted: Array, groups: Array, score: Score) -> float | None:
    """Return half the width of the interval; None where the score is not defined without one of the groups."""
    count = int(groups.max()) + 1
    without = [or_none(score, truth[groups != group], predicted[groups != group]) for group in range(count)]
    values = np.array([value for value in without if value is not None])
    if values.size < count:
        return None
    variance = (count - 1) / count * float(np.square(values - values.mean()).sum())
    from scipy import special  # only here: its import takes half as long as a small check

    return float(special.stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * float(np.sqrt(variance))


def or_none(score: Score, truth: Array, predicted: Array) -> float | None:
    """Return a score, or None where it is not defined (one class only)."""
    try:
        value = float(score(truth, predicted))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
