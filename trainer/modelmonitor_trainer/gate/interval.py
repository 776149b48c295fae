"""Confidence interval of the difference between two models on the same rows.

Two sources of random variation are considered, and the wider interval counts:

- **rows**: DeLong's covariance for the ROC AUC of two classes, without resampling; a seeded paired bootstrap for all
  other metrics, stratified by true class (:mod:`~modelmonitor_trainer.gate.bootstrap`);
- **days**: if the rows come from eight days or more, a jackknife that leaves out one day at a time. Errors of one day
  are correlated (one storm delays every flight), and an interval that assumes independent rows is too narrow.

References
----------
B. Efron, R. Tibshirani: An introduction to the bootstrap (1993), chapters 11 and 13.
P. S. Kott: The delete-a-group jackknife. Journal of Official Statistics 17 (2001), 521-526.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.gate.bootstrap import bootstrap_labels, bootstrap_means, bootstrap_ranks
from modelmonitor_trainer.gate.delong import auc_without_each_day, delong_variance
from modelmonitor_trainer.model.jackknife import jackknife_variance
from modelmonitor_trainer.model.metrics import Undefined, labels_of, metric_value, sign

#: Rows that a bootstrap resamples; of more rows a seeded sample is resampled, and the interval is scaled.
_ROWS = 20_000
_RANKED_ROWS = 5000
#: Groups of rows, or of days, that the jackknife of a single score leaves out one by one.
_GROUPS = 50
#: Fewest days for a jackknife over days.
MIN_DAYS = 8


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion, positive if the challenger is better, whatever the direction of the metric.

    Attributes
    ----------
    value, low, high
        The difference and its interval, in units of the metric.
    champion, challenger
        Scores of both models, in units of the metric.
    method
        Method of the interval, for the report.
    """

    value: float
    low: float
    high: float
    champion: float
    challenger: float
    method: str


def shared_confidence(confidence: float, comparisons: int) -> float:
    """Return the confidence of each of several comparisons that together keep `confidence` (Bonferroni)."""
    return 1 - (1 - confidence) / comparisons


def paired_difference(
    metric: Metric,
    truth: Array,
    champion: Array,
    challenger: Array,
    *,
    confidence: float,
    seed: int,
    days: Ints | None = None,
    min_days: int = MIN_DAYS,
) -> Difference:
    """Return the difference of two models on the same rows with a two-sided confidence interval.

    Parameters
    ----------
    metric
        Metric of the comparison.
    truth : (n,)
        Class indices, or values.
    champion, challenger : (n,) or (n, k)
        Scores of both models.
    confidence
        Coverage probability of the interval, in (0, 1).
    seed
        Seed of the bootstrap: the same rows give the same interval.
    days : (n,)
        Day number of each row. None: rows are assumed to be independent.
    min_days
        Fewest days for a jackknife over days; at least two.

    Returns
    -------
    Difference
        In units of the metric.

    Raises
    ------
    Undefined
        If the metric is not defined on these rows.
    """
    old, new = metric_value(metric, truth, champion), metric_value(metric, truth, challenger)
    value = sign(metric) * (new - old)
    low, high, method = _interval_by_rows(metric, truth, champion, challenger, confidence, seed)
    half_width = _half_width_by_days(metric, truth, champion, challenger, confidence, days, min_days)
    if half_width is not None and 2 * half_width > high - low:
        low, high, method = value - half_width, value + half_width, "jackknife over days"
    # The percentile interval of a discrete score can exclude its own estimate by a rounding error.
    return Difference(value, min(low, value), max(high, value), old, new, method)


def score_deviation(metric: Metric, truth: Array, scores: Array, days: Ints | None) -> float | None:
    """Return the standard deviation of one model's score over samples of rows.

    A delete-a-group jackknife (Kott, 2001), of random groups of at most 20,000 rows, and of days if there are eight
    or more; the larger deviation counts, as for a difference.

    Parameters
    ----------
    metric
        Metric of the score.
    truth, scores : (n,), (n,) or (n, k)
        As for :func:`~modelmonitor_trainer.model.metrics.metric_value`.
    days : (n,)
        Day number of each row, or None.

    Returns
    -------
    float or None
        In units of the metric; None if it is not defined.
    """
    generator = np.random.default_rng(0)
    rows = np.arange(len(truth))
    if len(truth) > _ROWS:
        rows = np.sort(generator.choice(len(truth), _ROWS, replace=False))
    groups = generator.permutation(rows.size) % _GROUPS
    deviations = []
    by_rows = _jackknife_deviation(metric, truth[rows], scores[rows], groups)
    if by_rows is not None:
        deviations.append(by_rows * (rows.size / len(truth)) ** 0.5)
    numbers = np.zeros(0, dtype=np.int64) if days is None else np.unique(days)
    if days is not None and numbers.size >= MIN_DAYS:
        by_days = _jackknife_deviation(metric, truth, scores, np.searchsorted(numbers, days) % _GROUPS)
        if by_days is not None:
            deviations.append(by_days)
    return max(deviations, default=None)


def _interval_by_rows(
    metric: Metric, truth: Array, champion: Array, challenger: Array, confidence: float, seed: int
) -> tuple[float, float, str]:
    """Return low, high and the method, assuming independent rows."""
    value = sign(metric) * (metric_value(metric, truth, challenger) - metric_value(metric, truth, champion))
    if metric is Metric.ROC_AUC and champion.ndim == 1:
        quantile = float(stats.norm.ppf((1 + confidence) / 2))
        half_width = quantile * delong_variance(truth, champion, challenger) ** 0.5
        return value - half_width, value + half_width, "DeLong"
    generator = np.random.default_rng(seed)
    scale = 1.0
    if metric in {Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.F1}:
        binary = champion.ndim == 1
        replicates = bootstrap_labels(
            metric, truth, labels_of(champion), labels_of(challenger), generator, binary=binary
        )
    else:
        ranked = metric in {Metric.ROC_AUC, Metric.AVERAGE_PRECISION}
        most = _RANKED_ROWS if ranked else _ROWS
        if len(truth) > most:
            scale = (most / len(truth)) ** 0.5
            rows = np.sort(generator.choice(len(truth), most, replace=False))
            truth, champion, challenger = truth[rows], champion[rows], challenger[rows]
        resample = bootstrap_ranks if ranked else bootstrap_means
        replicates = resample(metric, truth, champion, challenger, generator)
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    if scale < 1.0:
        centre = float(np.median(replicates))
        low, high = value + (low - centre) * scale, value + (high - centre) * scale
    return float(low), float(high), "paired bootstrap"


def _half_width_by_days(
    metric: Metric,
    truth: Array,
    champion: Array,
    challenger: Array,
    confidence: float,
    days: Ints | None,
    min_days: int,
) -> float | None:
    """Return half the width of the interval from leaving out one day at a time, or None with too few days.

    The quantile is that of Student's t with one degree of freedom less than there are days (Efron & Tibshirani,
    chapter 11).
    """
    if days is None or np.unique(days).size < min_days:
        return None
    try:
        if metric is Metric.ROC_AUC and champion.ndim == 1:
            without = auc_without_each_day(truth, challenger, days) - auc_without_each_day(truth, champion, days)
        else:
            without = _without_each_group(metric, truth, challenger, days) - _without_each_group(
                metric, truth, champion, days
            )
    except Undefined:
        return None  # one day has all rows of a class, so the days cannot be compared
    quantile = float(stats.t.ppf((1 + confidence) / 2, len(without) - 1))
    return quantile * float(np.sqrt(jackknife_variance(without)))


def _jackknife_deviation(metric: Metric, truth: Array, scores: Array, groups: Ints) -> float | None:
    try:
        without = _without_each_group(metric, truth, scores, groups)
    except Undefined:
        return None
    return float(np.sqrt(jackknife_variance(without)))


def _without_each_group(metric: Metric, truth: Array, scores: Array, groups: Ints) -> Floats:
    """Return the score of all rows but those of each group, in the order of the groups."""
    return np.asarray(
        [metric_value(metric, truth[groups != group], scores[groups != group]) for group in np.unique(groups)]
    )
