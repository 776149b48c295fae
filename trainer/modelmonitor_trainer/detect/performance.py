"""Performance: the champion's current score against its score at promotion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.detect.score_timeline import Period, Score, or_none
from modelmonitor_trainer.text import number

#: The champion is not scored on fewer rows.
MIN_ROWS = 100
#: With at least this many days, days are resampled instead of rows: errors of a day are correlated.
MIN_DAYS = 8
_REPLICATES = 200
_SEED = 20130101


@dataclass(frozen=True)
class PerformanceResult:
    """The result of a Performance detector.

    Attributes
    ----------
    detector, metric
        Its name, and its metric.
    rows
        Number of labelled rows scored.
    score, low, high
        The champion's score and its interval; None if it could not be computed.
    promotion_score
        Its score on the hold-out rows at promotion.
    max_drop
        Tolerated drop, in units of the metric.
    dropped
        Whether the drop is significantly larger than that.
    message
        The result in a sentence, or why there is none.
    unmatched
        Mature rows without a label.
    labelled, corrected
        Rows with a label, and those whose label replaced a different one.
    contradictions
        Day, and number of rows that are left out because their labels contradict each other.
    duplicates
        Day, rows, and rows beyond the first of their join key.
    periods
        The score over time, for the report.
    unusable
        Whether the champion cannot be loaded or scored; the message says why.
    promotion_score_deviation
        Standard error of the score at promotion.
    """

    detector: str
    metric: str
    rows: int = 0
    score: float | None = None
    low: float | None = None
    high: float | None = None
    promotion_score: float | None = None
    max_drop: float = 0.0
    dropped: bool = False
    message: str = ""
    unmatched: int = 0
    duplicates: tuple[tuple[str, int, int], ...] = ()
    periods: tuple[Period, ...] = ()
    promotion_score_deviation: float = 0.0
    labelled: int = 0
    corrected: int = 0
    contradictions: tuple[tuple[str, int], ...] = ()
    unusable: bool = False


def judge(
    result: PerformanceResult,
    days: Sequence[tuple[Array, Array]],
    score: Score,
    *,
    title: str,
    greater_is_better: bool,
    level: float,
) -> PerformanceResult:
    """Return `result` with the champion's score on `days` and whether it has dropped.

    Parameters
    ----------
    result
        The result without the score.
    days
        True outcomes and predictions of each day, in the same order.
    score, title, greater_is_better
        The metric, its display name, and its direction.
    level
        Probability of reporting a drop of exactly ``max_drop``.

    Notes
    -----
    A normal interval with the standard deviation of a bootstrap over days, or over rows with fewer than MIN_DAYS days.
    """
    filled = [day for day in days if day[0].size]
    rows = sum(int(day[0].size) for day in filled)
    if rows < MIN_ROWS:
        text = f"{rows} labelled rows are too few to score the champion; {MIN_ROWS} are needed"
        if result.unmatched:
            text += f", and {result.unmatched:,} rows have no label yet, or are of days with too few labels"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    truth, predicted = (np.concatenate([day[part] for day in filled]) for part in (0, 1))
    now = or_none(score, truth, predicted)
    if now is None:
        text = f"{title} is not defined on the {rows} labelled rows (a single class?)"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    deviation = _deviation(filled, score)
    from scipy import special  # imported late: it takes half as long as a small check

    reach = float(special.ndtri(1 - level)) * deviation
    low, high = now - reach, now + reach
    fields: dict[str, Any] = {"rows": rows, "score": now, "low": low, "high": high}
    if result.promotion_score is None:
        text = f"{title} is {number(now)} on {rows:,} labelled rows; the champion has no score to compare it with"
        return PerformanceResult(**(vars(result) | fields | {"message": text}))
    drop = result.promotion_score - now if greater_is_better else now - result.promotion_score
    # The score at promotion is an estimate from a sample, too.
    apart = float(special.ndtri(1 - level)) * math.hypot(deviation, result.promotion_score_deviation)
    dropped = drop - apart > result.max_drop
    verb = "has dropped to" if greater_is_better else "has risen to"
    text = (
        f"{title} {verb if dropped else 'is'} {number(now)} ({number(low)} to {number(high)}) on {rows:,} labelled "
        f"rows; it was {number(result.promotion_score)}{_plus_minus(result)} at the champion's promotion, and "
        f"{number(result.max_drop)} worse is tolerated"
    )
    return PerformanceResult(**(vars(result) | fields | {"dropped": dropped, "message": text}))


def _plus_minus(result: PerformanceResult) -> str:
    return f" ± {number(result.promotion_score_deviation)}" if result.promotion_score_deviation else ""


def _deviation(days: Sequence[tuple[Array, Array]], score: Score) -> float:
    generator = np.random.default_rng(_SEED)
    truth, predicted = (np.concatenate([day[part] for day in days]) for part in (0, 1))
    bounds = np.cumsum([0, *(day[0].size for day in days)])
    scores = []
    for _ in range(_REPLICATES):
        if len(days) >= MIN_DAYS:
            drawn = generator.integers(0, len(days), len(days))
            chosen = np.concatenate([np.arange(bounds[day], bounds[day + 1]) for day in drawn])
        else:
            chosen = generator.integers(0, truth.size, truth.size)
        value = or_none(score, truth[chosen], predicted[chosen])
        if value is not None:
            scores.append(value)
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else float("inf")
