"""The interval of the difference between two models on the same rows.

Two sources of chance are looked at, and the wider one counts:

- **rows**: DeLong's covariance for the ROC AUC of two classes, exact enough and without resampling;
  a seeded paired bootstrap for everything else, of classes within each true class (stratified), so that every
  replicate has as many rows of it;
- **days**: where rows come from eight days or more, a jackknife that leaves out one day at a time. Rows of
  one day err together (one storm delays every flight), and an interval that takes them for independent is
  too narrow.

References
----------
B. Efron, R. Tibshirani: An introduction to the bootstrap (1993), chapters 11 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import stats

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.gate.delong import auc_without_each_day, delong_variance
from modelmonitor_trainer.model.metrics import (
    Undefined,
    is_regression,
    labels_of,
    score_places,
    sign,
    true_class_probability,
)

#: Replicates of a bootstrap.
REPLICATES = 2000
#: Rows that a bootstrap resamples; of more, a seeded sample stands for all, with its width scaled.
_ROWS = 20_000
_RANKED_ROWS = 5000
#: Numbers that a bootstrap holds in memory at once.
_CHUNK = 4_000_000
#: Groups of rows, or of days, that are left out one by one.
_GROUPS = 50
#: With fewer days, leaving one out says little.
MIN_DAYS = 8


@dataclass(frozen=True)
class Difference:
    """How much better the challenger is, positive for better whatever the metric's direction.

    Attributes
    ----------
    value, low, high
        In units of the metric.
    champion, challenger
        Their scores, as the metric has them.
    method
        How the interval was found, for the report.
    """

    value: float
    low: float
    high: float
    champion: float
    challenger: float
    method: str


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
    """Return the difference of two models on the same rows with a two-sided interval.

    Parameters
    ----------
    metric
        Which score.
    truth : (n,)
        Places of classes, or values.
    champion, challenger : (n,) or (n, k)
        Scores of both models.
    confidence
        Probability that an interval so made holds the true difference, in (0, 1).
    seed
        Of the bootstrap: the same rows give the same interval.
    days : (n,)
        Number of the day of each row. None: rows are taken for independent.
    min_days
        With fewer days, rows alone are looked at; two at least.

    Raises
    ------
    Undefined
        If the metric is not defined on these rows.
    """
    scored = partial(score_places, metric, truth)
    old, new = scored(champion), scored(challenger)
    value = sign(metric) * (new - old)
    low, high, method = _by_rows(metric, truth, champion, challenger, confidence, seed)
    reach = _reach_by_days(metric, truth, champion, challenger, confidence, days, min_days)
    if reach is not None and 2 * reach > high - low:
        low, high, method = value - reach, value + reach, "jackknife over days"
    # A percentile interval of a discrete score may miss its own estimate by a hair.
    return Difference(value, min(low, value), max(high, value), old, new, method)


def _by_rows(
    metric: Metric, truth: Array, champion: Array, challenger: Array, confidence: float, seed: int
) -> tuple[float, float, str]:
    """Return low, high and the method, rows taken for independent."""
    value = sign(metric) * (score_places(metric, truth, challenger) - score_places(metric, truth, champion))
    if metric is Metric.ROC_AUC and champion.ndim == 1:
        reach = float(stats.norm.ppf((1 + confidence) / 2)) * delong_variance(truth, champion, challenger) ** 0.5
        return value - reach, value + reach, "DeLong"
    generator = np.random.default_rng(seed)
    scale = 1.0
    if metric in {Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.F1}:
        binary = champion.ndim == 1
        found = _bootstrap_labels(metric, truth, labels_of(champion), labels_of(challenger), generator, binary=binary)
    else:
        ranked = metric in {Metric.ROC_AUC, Metric.AVERAGE_PRECISION}
        most = _RANKED_ROWS if ranked else _ROWS
        if len(truth) > most:
            scale = (most / len(truth)) ** 0.5
            kept = np.sort(generator.choice(len(truth), most, replace=False))
            truth, champion, challenger = truth[kept], champion[kept], challenger[kept]
        resample = _bootstrap_ranks if ranked else _bootstrap_means
        found = resample(metric, truth, champion, challenger, generator)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    if scale < 1.0:
        centre = float(np.median(found))
        low, high = value + (low - centre) * scale, value + (high - centre) * scale
    return float(low), float(high), "paired bootstrap"


def _bootstrap_labels(
    metric: Metric, truth: Array, champion: Ints, challenger: Ints, generator: np.random.Generator, *, binary: bool
) -> Floats:
    """Bootstrap a score of classes: it depends only on how many rows are in each cell of a table.

    Drawing rows of a class with replacement is drawing its part of the table (true, champion's, challenger's class)
    from a multinomial distribution, which costs nothing per row.
    """
    cells, counts = np.unique(np.stack([truth, champion, challenger]), axis=1, return_counts=True)
    drawn = np.empty((REPLICATES, counts.size))
    for place in np.unique(cells[0]):
        stratum = cells[0] == place
        total = counts[stratum].sum()
        drawn[:, stratum] = generator.multinomial(total, counts[stratum] / total, size=REPLICATES)
    old = _scores_of_tables(metric, cells[0], cells[1], drawn, binary=binary)
    new = _scores_of_tables(metric, cells[0], cells[2], drawn, binary=binary)
    return _defined(new - old)


def _scores_of_tables(metric: Metric, truth: Array, said: Array, tables: Floats, *, binary: bool) -> Floats:
    """Return the score of each table; truth, said : (cells,), tables : (replicates, cells)."""
    hit = truth == said
    if metric is Metric.ACCURACY:
        return np.asarray(tables @ hit / tables.sum(axis=1))
    places = np.union1d(truth, said)
    if metric is Metric.F1 and binary:
        places = np.array([1])
    of_class = np.full((tables.shape[0], places.size), np.nan)
    for column, place in enumerate(places):
        right = tables @ (hit & (truth == place))
        true, claimed = tables @ (truth == place), tables @ (said == place)
        if metric is Metric.BALANCED_ACCURACY:
            np.divide(right, true, out=of_class[:, column], where=true > 0)
        else:
            either = true + claimed
            of_class[:, column] = np.divide(2 * right, either, out=np.zeros_like(either), where=either > 0)
    present = ~np.isnan(of_class)
    return np.asarray(np.where(present, of_class, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def _bootstrap_means(
    metric: Metric, truth: Array, champion: Array, challenger: Array, generator: np.random.Generator
) -> Floats:
    """Bootstrap a score that is a function of means over rows: losses, errors, R²; of classes, class by class."""
    rows = len(truth)
    parts = np.column_stack([*_contributions(metric, truth, champion), *_contributions(metric, truth, challenger)])
    groups = [parts] if is_regression(metric) else [parts[truth == place] for place in np.unique(truth)]
    found = np.zeros((REPLICATES, parts.shape[1]))
    step = max(1, _CHUNK // rows)
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        for group in groups:
            drawn = generator.integers(0, len(group), size=(size, len(group)), dtype=np.int32)
            for column in range(parts.shape[1]):
                found[start : start + size, column] += group[:, column][drawn].sum(axis=1) / rows
    half = parts.shape[1] // 2
    difference = _from_means(metric, found[:, half:]) - _from_means(metric, found[:, :half])
    return _defined(sign(metric) * difference)


def _contributions(metric: Metric, truth: Array, scores: Array) -> list[Floats]:
    """Return what each row adds to the means that `metric` is made of."""
    if metric is Metric.LOG_LOSS:
        return [-np.log(true_class_probability(truth, scores))]
    if metric is Metric.MEAN_ABSOLUTE_ERROR:
        return [np.abs(truth - scores)]
    squares = (truth - scores) ** 2
    if metric is Metric.R2:
        # Shifted by the mean, or the difference of two large numbers would lose its digits.
        centred = truth - truth.mean()
        return [squares, centred, centred**2]
    return [squares]


def _from_means(metric: Metric, means: Floats) -> Floats:
    if metric is Metric.ROOT_MEAN_SQUARED_ERROR:
        return np.sqrt(means[:, 0])
    if metric is Metric.R2:
        spread = means[:, 2] - means[:, 1] ** 2
        share = np.divide(means[:, 0], spread, out=np.full_like(spread, np.nan), where=spread > 0)
        return np.asarray(1.0 - share)
    return np.asarray(means[:, 0])


def _bootstrap_ranks(
    metric: Metric, truth: Array, champion: Array, challenger: Array, generator: np.random.Generator
) -> Floats:
    """Bootstrap a score of ranks, class by class so that no replicate lacks one.

    Rows are sorted once; a replicate only weighs them anew.
    """
    old, new = _Ranked.of(metric, truth, champion), _Ranked.of(metric, truth, challenger)
    groups = [np.flatnonzero(truth == place) for place in np.unique(truth)]
    found = np.empty(REPLICATES)
    step = max(1, _CHUNK // len(truth))
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        weights = np.zeros((size, len(truth)))
        for group in groups:
            even = np.full(group.size, 1 / group.size)
            weights[:, group] = generator.multinomial(group.size, even, size=size)
        found[start : start + size] = new.scores(weights) - old.scores(weights)
    return found


@dataclass(frozen=True)
class _Ranked:
    """Rows sorted by what a model says of one class, and the same for every class where there are several.

    Attributes
    ----------
    metric
        ROC AUC, or average precision.
    order : (n,)
        Rows by falling score.
    starts : (m,)
        Where a new score begins.
    positive : (n,)
        Whether each row, in that order, is of the class.
    others
        The other classes.
    """

    metric: Metric
    order: Ints
    starts: Ints
    positive: Array
    others: tuple[_Ranked, ...] = ()

    @classmethod
    def of(cls, metric: Metric, truth: Array, scores: Array) -> _Ranked:
        """Return the rows sorted by `scores`."""
        if scores.ndim == 2:
            first, *others = (cls.of(metric, truth == place, scores[:, place]) for place in np.unique(truth))
            return replace(first, others=tuple(others))
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
        return cls(metric, order, starts, np.asarray(truth)[order] == 1)

    def scores(self, weights: Floats) -> Floats:
        """Return the score of each replicate; weights : (replicates, n), (replicates,)."""
        if self.others:
            alone = replace(self, others=())
            return np.asarray(np.mean([one.scores(weights) for one in (alone, *self.others)], axis=0))
        sorted_ = weights[:, self.order]
        hits = np.add.reduceat(np.where(self.positive, sorted_, 0.0), self.starts, axis=1)
        misses = np.add.reduceat(np.where(self.positive, 0.0, sorted_), self.starts, axis=1)
        positives, false = hits.sum(axis=1), np.cumsum(misses, axis=1)
        if self.metric is Metric.ROC_AUC:
            # A positive row wins over the negative ones below it, and half over those of its own score.
            negatives = false[:, -1:]
            return np.asarray((hits * (negatives - false + misses / 2)).sum(axis=1) / (positives * negatives[:, 0]))
        true = np.cumsum(hits, axis=1)
        taken = true + false
        precision = np.divide(true, taken, out=np.zeros_like(true), where=taken > 0)
        return np.asarray((hits * precision).sum(axis=1) / positives)


def _reach_by_days(
    metric: Metric,
    truth: Array,
    champion: Array,
    challenger: Array,
    confidence: float,
    days: Ints | None,
    min_days: int,
) -> float | None:
    """Return half the width of the interval from leaving out one day at a time, or None with too few days.

    The variance is (g-1)/g times the sum of squared deviations of the g leave-one-out differences (Efron &
    Tibshirani, chapter 11), and the quantile is that of t with g-1 degrees of freedom.
    """
    if days is None:
        return None
    numbers = np.unique(days)
    if numbers.size < min_days:
        return None
    try:
        if metric is Metric.ROC_AUC and champion.ndim == 1:
            found = auc_without_each_day(truth, challenger, days) - auc_without_each_day(truth, champion, days)
        else:
            found = _without_each_day(metric, truth, challenger, days) - _without_each_day(
                metric, truth, champion, days
            )
    except Undefined:
        return None  # one day holds all rows of a class: its days say nothing
    g = len(found)
    variance = (g - 1) / g * float(np.sum((found - found.mean()) ** 2))
    return float(stats.t.ppf((1 + confidence) / 2, g - 1)) * float(np.sqrt(variance))


def score_deviation(metric: Metric, truth: Array, scores: Array, days: Ints | None) -> float | None:
    """Return the standard deviation of one model's score by the chance of which rows came.

    A delete-a-group jackknife (P. Kott, *Journal of Official Statistics* 17, 2001): of rows in random groups, at most
    20,000 of them, and of days where there are eight or more; the wider one counts, as for a difference.

    Parameters
    ----------
    metric
        Which score.
    truth, scores : (n,), (n,) or (n, k)
        As of :func:`~modelmonitor_trainer.model.metrics.score_places`.
    days : (n,)
        Number of the day of each row, or None.

    Returns
    -------
    float or None
        In units of the metric; None where it is not defined.
    """
    generator = np.random.default_rng(0)
    kept = np.arange(len(truth))
    if len(truth) > _ROWS:
        kept = np.sort(generator.choice(len(truth), _ROWS, replace=False))
    groups = generator.permutation(kept.size) % _GROUPS
    by_rows = _jackknife(metric, truth[kept], scores[kept], groups)
    found = [] if by_rows is None else [by_rows * (kept.size / len(truth)) ** 0.5]
    numbers = np.zeros(0, dtype=np.int64) if days is None else np.unique(days)
    if days is not None and numbers.size >= MIN_DAYS:
        by_days = _jackknife(metric, truth, scores, np.searchsorted(numbers, days) % _GROUPS)
        found += [] if by_days is None else [by_days]
    return max(found, default=None)


def _jackknife(metric: Metric, truth: Array, scores: Array, groups: Ints) -> float | None:
    try:
        left = _without_each_day(metric, truth, scores, groups)
    except Undefined:
        return None
    return float(np.sqrt((left.size - 1) / left.size * np.sum((left - left.mean()) ** 2)))


def _without_each_day(metric: Metric, truth: Array, scores: Array, days: Ints) -> Floats:
    """Return the score of all rows but those of each day, in the order of the days."""
    return np.asarray([score_places(metric, truth[days != day], scores[days != day]) for day in np.unique(days)])


def _defined(found: Floats) -> Floats:
    """Return the replicates that have a value.

    Raises
    ------
    Undefined
        If fewer than half have one.
    """
    kept = found[np.isfinite(found)]
    if kept.size < found.size / 2:
        raise Undefined("the rows are too few or too alike for an interval")
    return kept
