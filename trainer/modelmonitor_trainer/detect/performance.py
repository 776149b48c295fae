"""Performance: the champion's current score against its score at promotion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.detect.day_effects import DayEffects, between_days
from modelmonitor_trainer.detect.resampling import GroupedRows, Grouping, Score, or_none, rescored
from modelmonitor_trainer.detect.score_timeline import Period
from modelmonitor_trainer.text import number

#: The champion is not scored on fewer rows.
MIN_ROWS = 100
#: With at least this many days, days are resampled instead of rows: errors of a day are correlated. Fewer do not show
#: how much they vary, so what is usual elsewhere is assumed with them.
MIN_DAYS = 8
_REPLICATES = 200
#: Error probability of the claim that the score has held.
_RULED_OUT = 0.05
#: True outcomes and predictions.
Rows = tuple[Array, Array]
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
    possible_drop
        The largest drop that is not ruled out, with 95 % confidence; None if the scores were not compared.
    scale
        What ``detectableEffect`` is a share of: 1 for scores, the loss of a trivial model for losses.
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
    possible_drop: float | None = None
    scale: float = 1.0
    message: str = ""
    unmatched: int = 0
    duplicates: tuple[tuple[str, int, int], ...] = ()
    periods: tuple[Period, ...] = ()
    promotion_score_deviation: float = 0.0
    labelled: int = 0
    corrected: int = 0
    contradictions: tuple[tuple[str, int], ...] = ()
    unusable: bool = False

    @property
    def held(self) -> bool:
        """Whether a drop by more than is tolerated is ruled out."""
        return self.possible_drop is not None and self.possible_drop <= self.max_drop

    def may_have_dropped(self, share: float) -> bool:
        """Return whether a drop by this share of the scale is not ruled out."""
        return self.possible_drop is not None and self.possible_drop >= max(self.max_drop, share * self.scale)


def judge(
    result: PerformanceResult,
    days: Sequence[Rows],
    score: Score,
    *,
    title: str,
    greater_is_better: bool,
    level: float,
    independent: bool = False,
    grouping: Grouping | None = None,
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
    independent
        Whether rows are independent of each other, so that days differ by chance alone.
    grouping
        Computes the scores of resampled rows; by default they are scored again.

    Notes
    -----
    Student's t with the standard deviation of a bootstrap over days. With fewer than MIN_DAYS days it is that over
    rows, and :mod:`~modelmonitor_trainer.detect.day_effects` for the days.
    """
    filled = [day for day in days if day[0].size]
    rows = sum(int(day[0].size) for day in filled)
    if rows < MIN_ROWS:
        text = f"{rows} labelled rows are too few to score the champion; {MIN_ROWS} are needed"
        if result.unmatched:
            text += f", and {result.unmatched:,} rows have no label yet, or are of days with too few labels"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    truth, predicted = _concatenate(filled)
    now = or_none(score, truth, predicted)
    if now is None:
        text = f"{title} is not defined on the {rows} labelled rows (a single class?)"
        return PerformanceResult(**(vars(result) | {"rows": rows, "message": text}))
    grouping = grouping or rescored(score)
    if independent:
        deviation, freedom = _rows_resampled(filled, grouping), float(rows - 1)
    elif len(filled) >= MIN_DAYS:
        deviation, freedom = _days_resampled(filled, grouping)
    else:
        deviation, freedom = _few_days(filled, grouping, now)
    reach = _quantile(level, freedom) * deviation
    low, high = now - reach, now + reach
    fields: dict[str, Any] = {"rows": rows, "score": now, "low": low, "high": high}
    if result.promotion_score is None:
        text = f"{title} is {number(now)} on {rows:,} labelled rows; the champion has no score to compare it with"
        return PerformanceResult(**(vars(result) | fields | {"message": text}))
    drop = result.promotion_score - now if greater_is_better else now - result.promotion_score
    # The score at promotion is an estimate from a sample, too: Welch and Satterthwaite.
    both = math.hypot(deviation, result.promotion_score_deviation)
    freedom = freedom * (both / deviation) ** 4 if 0 < deviation < math.inf else freedom
    apart = _quantile(level, freedom) * both
    dropped = drop - apart > result.max_drop
    possible = drop + _quantile(_RULED_OUT, freedom) * both
    verb = "has dropped to" if greater_is_better else "has risen to"
    text = (
        f"{title} {verb if dropped else 'is'} {number(now)} ({number(low)} to {number(high)}) on {rows:,} labelled "
        f"rows; it was {number(result.promotion_score)}{_plus_minus(result)} at the champion's promotion, and "
        f"{number(result.max_drop)} worse is tolerated"
    )
    if not dropped and possible > result.max_drop:
        text += f"; a drop of up to {number(possible)} cannot be ruled out"
    decided = {"dropped": dropped, "possible_drop": possible, "message": text}
    return PerformanceResult(**(vars(result) | fields | decided))


def _plus_minus(result: PerformanceResult) -> str:
    return f" ± {number(result.promotion_score_deviation)}" if result.promotion_score_deviation else ""


def _quantile(level: float, freedom: float) -> float:
    """Return the upper quantile of Student's t distribution."""
    from scipy import special  # imported late: it takes half as long as a small check

    return float(special.stdtrit(freedom, 1 - level))


def _rows_resampled(days: Sequence[Rows], grouping: Grouping) -> float:
    truth, predicted = _concatenate(days)
    return _deviation(grouping(truth, predicted, np.arange(truth.size)), int(truth.size))


def _days_resampled(days: Sequence[Rows], grouping: Grouping) -> tuple[float, float]:
    """Return the standard deviation of the score, and its degrees of freedom, by a bootstrap of days."""
    count = len(days)
    # The days that are drawn vary around their own mean.
    return _deviation(_grouped_by_day(days, grouping), count) * math.sqrt(count / (count - 1)), float(count - 1)


def _few_days(days: Sequence[Rows], grouping: Grouping, score: float) -> tuple[float, float]:
    """Return the standard deviation of the score, and its degrees of freedom, for too few days to resample.

    The score is taken for a mean of rows: what one row adds has the deviation that the bootstrap of rows shows, and
    what the days add follows from the scores without one of them (the jackknife).
    """
    sizes = [int(day[0].size) for day in days]
    rows = sum(sizes)
    by_rows = _rows_resampled(days, grouping)
    if not math.isfinite(by_rows):
        return by_rows, 1.0
    row_deviation = by_rows * math.sqrt(rows)
    between = between_days(_squares_of_days(days, grouping, score, sizes), row_deviation, sizes)
    return DayEffects(by_rows**2, row_deviation, between, sizes).alarm_error()


def _squares_of_days(days: Sequence[Rows], grouping: Grouping, score: float, sizes: Sequence[int]) -> float:
    """Return the squared deviations of the days' parts of the score, each times its rows.

    Without a day of n_g of N rows, a mean changes by (m - m_g) n_g / (N - n_g).
    """
    if len(days) < 2:
        return 0.0
    rows, squares = sum(sizes), 0.0
    for size, without in zip(sizes, _grouped_by_day(days, grouping).without_each(), strict=True):
        if without is not None:
            squares += size * ((without - score) * (rows - size) / size) ** 2
    return squares


def _grouped_by_day(days: Sequence[Rows], grouping: Grouping) -> GroupedRows:
    return grouping(*_concatenate(days), np.repeat(np.arange(len(days)), [day[0].size for day in days]))


def _concatenate(days: Sequence[Rows]) -> tuple[Array, Array]:
    return np.concatenate([day[0] for day in days]), np.concatenate([day[1] for day in days])


def _deviation(grouped: GroupedRows, groups: int) -> float:
    """Return the standard deviation of the scores of as many groups as there are, drawn with replacement.

    Infinite if it cannot be computed.
    """
    generator = np.random.default_rng(_SEED)
    draws: Iterator[Ints] = (generator.integers(0, groups, groups) for _ in range(_REPLICATES))
    scores = [value for value in grouped.drawn(draws) if value is not None]
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else float("inf")
