"""Performance: whether the champion scores worse than it did when it was promoted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.detect.score_timeline import Period, Score, or_none

#: With fewer rows nothing is said.
MIN_ROWS = 100
#: With as many days, days are resampled instead of rows: the rows of one day err together.
MIN_DAYS = 8
_REPLICATES = 200
_SEED = 20130101


@dataclass(frozen=True)
class PerformanceResult:
    """What one Performance detector found.

    Attributes
    ----------
    detector, metric
        Its name, and the score it follows.
    rows
        Labelled rows that were scored.
    score, low, high
        The champion's score on them and its interval; None where it could not be computed.
    promised
        Its score on the hold-out rows of its promotion.
    max_drop
        How much worse it may be, in units of the metric.
    dropped
        Whether it is worse by more than that, beyond the chance in both scores.
    message
        The same in a sentence, or why nothing can be said.
    unmatched
        Mature rows without a label.
    duplicates
        Day, rows, and rows beyond the first of their join key.
    periods
        The score over time, for people to look at.
    promised_deviation
        Standard deviation of the promised score by chance.
    """

    detector: str
    metric: str
    rows: int = 0
    score: float | None = None
    low: float | None = None
    high: float | None = None
    promised: float | None = None
    max_drop: float = 0.0
    dropped: bool = False
    message: str = ""
    unmatched: int = 0
    duplicates: tuple[tuple[str, int, int], ...] = ()
    periods: tuple[Period, ...] = ()
    promised_deviation: float = 0.0


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
        With everything but the score.
    days
        For each day its true outcomes and predictions, rows alike in order.
    score, title, greater_is_better
        The metric, its name for people, and its direction.
    level
        Probability to call a drop of exactly ``max_drop`` one.

    Notes
    -----
    The interval is the normal one with the standard deviation of a bootstrap over days (over rows where
    there are fewer than MIN_DAYS).
    """
    filled = [day for day in days if day[0].size]
    rows = sum(int(day[0].size) for day in filled)
    if rows < MIN_ROWS:
        text = f"{rows} labelled rows are too few to score the champion; {MIN_ROWS} are needed"
        if result.unmatched:
            text += f", and {result.unmatched:,} rows have no label yet or lie in days of which too few rows have one"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    truth, predicted = (np.concatenate([day[part] for day in filled]) for part in (0, 1))
    now = or_none(score, truth, predicted)
    if now is None:
        text = f"{title} is not defined on the {rows} labelled rows (a single class?)"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    deviation = _deviation(filled, score)
    from scipy import special  # only here: its import takes half as long as a small check

    reach = float(special.ndtri(1 - level)) * deviation
    low, high = now - reach, now + reach
    found: dict[str, Any] = {"rows": rows, "score": now, "low": low, "high": high}
    if result.promised is None:
        text = f"{title} is {now:.4g} on {rows:,} labelled rows; the champion has no score to compare it with"
        return PerformanceResult(**(vars(result) | found | {"message": text}))
    drop = result.promised - now if greater_is_better else now - result.promised
    # What was promised was measured on some rows as well, and would have been another figure on others.
    apart = float(special.ndtri(1 - level)) * math.hypot(deviation, result.promised_deviation)
    dropped = drop - apart > result.max_drop
    moved = "has dropped to" if greater_is_better else "has risen to"
    text = (
        f"{title} {moved if dropped else 'is'} {now:.4g} ({low:.4g} to {high:.4g}) on {rows:,} labelled "
        f"rows; it was {result.promised:.4g}{_give_or_take(result)} at the champion's promotion, and "
        f"{result.max_drop:.3g} worse is tolerated"
    )
    return PerformanceResult(**(vars(result) | found | {"dropped": dropped, "message": text}))


def _give_or_take(result: PerformanceResult) -> str:
    return f" ± {result.promised_deviation:.2g}" if result.promised_deviation else ""


def _deviation(days: Sequence[tuple[Array, Array]], score: Score) -> float:
    generator = np.random.default_rng(_SEED)
    truth, predicted = (np.concatenate([day[part] for day in days]) for part in (0, 1))
    bounds = np.cumsum([0, *(day[0].size for day in days)])
    found = []
    for _ in range(_REPLICATES):
        if len(days) >= MIN_DAYS:
            drawn = generator.integers(0, len(days), len(days))
            chosen = np.concatenate([np.arange(bounds[day], bounds[day + 1]) for day in drawn])
        else:
            chosen = generator.integers(0, truth.size, truth.size)
        value = or_none(score, truth[chosen], predicted[chosen])
        if value is not None:
            found.append(value)
    return float(np.std(found, ddof=1)) if len(found) > 1 else float("inf")
