"""What a newer model is expected to gain, learnt from the comparisons of a monitor's own trainings.

Each training compares a model of newer data with one of older data. The differences say how fast models lose with age.
A model that loses `r` points a day has cost ``r * days**2 / 2`` point-days, `days` after its newest data. A training is
worth its price once that loss has reached it: for a constant rate this is the cheapest period, as in the economic order
quantity (Harris, 1913), and it is the threshold rule of cost-aware retraining (Mahadevan and Mathioudakis, CARA, 2024).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from modelmonitor_api.scores import parse_number
from modelmonitor_api.spec import Metric, ModelMonitorSpec
from modelmonitor_api.status import AgeComparison
from modelmonitor_policy.training_calendar import TrainingCalendar, fits_with_holdout

#: Before the first comparison: standard deviation of the rate, in points a day, around zero. A model of 100 days has
#: then lost 0.8 points on average.
PRIOR_DEVIATION = 0.02
#: Likewise, standard deviation of the rate from one period to another: no comparison, however precise, says more than
#: that about the days to come. The comparisons correct it; it weighs as much as `PERIOD_WEIGHT` of them.
PERIOD_DEVIATION, PERIOD_WEIGHT = 0.01, 2
#: A point is a hundredth of the metric, or of the champion's error where the metric has the units of the target.
POINT = 0.01
#: Points a day beyond which a comparison in a status is a mistake: it would outweigh all others.
_MAX_RATE = 1e6


@dataclass(frozen=True)
class Decay:
    """How fast models lose with age: a normal distribution of the rate in the days to come.

    Attributes
    ----------
    mean, deviation
        The average rate in points a day, and the standard deviation by which it is known.
    period_deviation
        Standard deviation of the rate from one period to another.
    comparisons
        Number of comparisons that it is learnt from.
    """

    mean: float
    deviation: float
    period_deviation: float = 0.0
    comparisons: int = 0

    @property
    def expected_rate(self) -> float:
        """The expected loss in points a day: an older model that is better is not replaced, and loses nothing."""
        standard, deviation = NormalDist(), math.hypot(self.deviation, self.period_deviation)
        return self.mean * standard.cdf(self.mean / deviation) + deviation * standard.pdf(self.mean / deviation)

    def loss(self, days: int) -> float:
        """Return what a model is expected to have cost `days` after its newest data, in points times days."""
        return self.expected_rate * max(0, days) ** 2 / 2


def learn_decay(comparisons: Iterable[AgeComparison], *, point: float, confidence: float) -> Decay:
    """Return the rate at which models lose, by the comparisons so far.

    A normal prior around zero, and differences that are normal around the rate times the days between the two models:
    their variance is that of the comparison plus that of the rate from one period to another. The latter is estimated
    by the method of moments, as in a random-effects meta-analysis, and shrunk towards its prior.

    Parameters
    ----------
    comparisons
        Differences between a newer and an older model.
    point
        A point in units of the metric.
    confidence
        Confidence level of their intervals.
    """
    width = 2 * NormalDist().inv_cdf((1 + confidence) / 2)
    rates = [rate for one in comparisons if (rate := _rate_of(one, point, width)) is not None]
    mean, _ = _posterior(rates, PERIOD_DEVIATION)
    excess = sum(max(0.0, (rate - mean) ** 2 - error**2) for rate, error in rates)
    between = math.sqrt((PERIOD_WEIGHT * PERIOD_DEVIATION**2 + excess) / (PERIOD_WEIGHT + len(rates)))
    mean, deviation = _posterior(rates, between)
    return Decay(mean, deviation, between, len(rates))


def _rate_of(comparison: AgeComparison, point: float, width: float) -> tuple[float, float] | None:
    """Return the rate of a comparison and its standard error; None if the status has no numbers that can be true."""
    numbers = [parse_number(text) for text in (comparison.difference, comparison.low, comparison.high)]
    if None in numbers or comparison.days <= 0 or point <= 0:
        return None
    difference, low, high = (float(number or 0.0) / point / comparison.days for number in numbers)
    rate, error = difference, (high - low) / width
    return (rate, error) if abs(rate) < _MAX_RATE and 0 <= error < _MAX_RATE else None


def _posterior(rates: Sequence[tuple[float, float]], between: float) -> tuple[float, float]:
    """Return mean and standard deviation of the average rate, from rates with their standard errors."""
    precisions = [1 / (error**2 + between**2) for _, error in rates]
    total = 1 / PRIOR_DEVIATION**2 + sum(precisions)
    weighted = sum(rate * precision for (rate, _), precision in zip(rates, precisions, strict=True))
    return weighted / total, math.sqrt(1 / total)


def point_of(metric: Metric, score: float | None) -> float:
    """Return a point in units of the metric; `score` is the champion's."""
    if metric.in_units_of_target and score:
        return POINT * abs(score)
    return POINT


def last_day_learnt(spec: ModelMonitorSpec, calendar: TrainingCalendar) -> dt.date:
    """Return the newest day that the model of a training learns from."""
    return calendar.holdout.end if fits_with_holdout(spec) else calendar.train.end


def last_day_tried(spec: ModelMonitorSpec, train_end: dt.date) -> dt.date:
    """Return the newest day that an earlier training would have learnt from, had it been promoted."""
    return train_end + dt.timedelta(days=spec.promotion.holdout_days if fits_with_holdout(spec) else 0)
