"""Seeded paired bootstrap of the difference between two models, stratified by true class.

Every replicate has as many rows of each class as the data.

References
----------
B. Efron, R. Tibshirani: An introduction to the bootstrap (1993), chapter 13.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.model.metrics import Undefined, is_regression, sign, true_class_probability

#: Replicates of a bootstrap.
REPLICATES = 2000
#: Numbers that a bootstrap holds in memory at once.
_CHUNK = 4_000_000


def bootstrap_labels(
    metric: Metric, truth: Array, champion: Ints, challenger: Ints, generator: np.random.Generator, *, binary: bool
) -> Floats:
    """Bootstrap a metric of predicted classes, which depends only on the counts of a contingency table.

    Drawing rows of a class with replacement equals drawing its part of the table (true, champion's, challenger's
    class) from a multinomial distribution, at a cost that does not depend on the number of rows.

    Parameters
    ----------
    metric
        Accuracy, balanced accuracy or F1.
    truth, champion, challenger : (n,)
        True class indices, and those that each model predicts.
    generator
        Source of random numbers.
    binary
        Whether F1 is that of the positive class, and not the mean over classes.

    Returns
    -------
    (replicates,)
        Challenger minus champion.

    Raises
    ------
    Undefined
        If most replicates have no value.
    """
    cells, counts = np.unique(np.stack([truth, champion, challenger]), axis=1, return_counts=True)
    drawn = np.empty((REPLICATES, counts.size))
    for true_class in np.unique(cells[0]):
        stratum = cells[0] == true_class
        total = counts[stratum].sum()
        drawn[:, stratum] = generator.multinomial(total, counts[stratum] / total, size=REPLICATES)
    old = _scores_of_tables(metric, cells[0], cells[1], drawn, binary=binary)
    new = _scores_of_tables(metric, cells[0], cells[2], drawn, binary=binary)
    return _defined_replicates(new - old)


def _scores_of_tables(metric: Metric, truth: Array, predicted: Array, tables: Floats, *, binary: bool) -> Floats:
    """Return the score of each table; truth, predicted : (cells,), tables : (replicates, cells)."""
    correct = truth == predicted
    if metric is Metric.ACCURACY:
        return np.asarray(tables @ correct / tables.sum(axis=1))
    classes = np.union1d(truth, predicted)
    if metric is Metric.F1 and binary:
        classes = np.array([1])
    of_class = np.full((tables.shape[0], classes.size), np.nan)
    for column, index in enumerate(classes):
        hits = tables @ (correct & (truth == index))
        actual, claimed = tables @ (truth == index), tables @ (predicted == index)
        if metric is Metric.BALANCED_ACCURACY:
            np.divide(hits, actual, out=of_class[:, column], where=actual > 0)
        else:
            either = actual + claimed
            of_class[:, column] = np.divide(2 * hits, either, out=np.zeros_like(either), where=either > 0)
    present = ~np.isnan(of_class)
    return np.asarray(np.where(present, of_class, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def bootstrap_means(
    metric: Metric, truth: Array, champion: Array, challenger: Array, generator: np.random.Generator
) -> Floats:
    """Bootstrap a metric that is a function of means over rows: losses, errors, R²; stratified by true class.

    Parameters and errors as for :func:`bootstrap_labels`, but with the models' scores, (n,) or (n, k).
    """
    rows = len(truth)
    parts = np.column_stack([*_contributions(metric, truth, champion), *_contributions(metric, truth, challenger)])
    groups = [parts] if is_regression(metric) else [parts[truth == index] for index in np.unique(truth)]
    means = np.zeros((REPLICATES, parts.shape[1]))
    step = max(1, _CHUNK // rows)
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        for group in groups:
            drawn = generator.integers(0, len(group), size=(size, len(group)), dtype=np.int32)
            for column in range(parts.shape[1]):
                means[start : start + size, column] += group[:, column][drawn].sum(axis=1) / rows
    half = parts.shape[1] // 2
    difference = _from_means(metric, means[:, half:]) - _from_means(metric, means[:, :half])
    return _defined_replicates(sign(metric) * difference)


def _contributions(metric: Metric, truth: Array, scores: Array) -> list[Floats]:
    """Return the contributions of each row to the means that `metric` is a function of."""
    if metric is Metric.LOG_LOSS:
        return [-np.log(true_class_probability(truth, scores))]
    if metric is Metric.MEAN_ABSOLUTE_ERROR:
        return [np.abs(truth - scores)]
    squares = (truth - scores) ** 2
    if metric is Metric.R2:
        # Centred, because the difference of two large numbers would lose digits.
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


def bootstrap_ranks(
    metric: Metric, truth: Array, champion: Array, challenger: Array, generator: np.random.Generator
) -> Floats:
    """Bootstrap a metric of ranks, stratified by true class, so that every replicate has all classes.

    Rows are sorted once; a replicate is a set of row weights. Parameters as for :func:`bootstrap_means`.
    """
    old, new = RankedRows.of(metric, truth, champion), RankedRows.of(metric, truth, challenger)
    groups = [np.flatnonzero(truth == index) for index in np.unique(truth)]
    differences = np.empty(REPLICATES)
    step = max(1, _CHUNK // len(truth))
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        weights = np.zeros((size, len(truth)))
        for group in groups:
            uniform = np.full(group.size, 1 / group.size)
            weights[:, group] = generator.multinomial(group.size, uniform, size=size)
        differences[start : start + size] = new.scores(weights) - old.scores(weights)
    return differences


@dataclass(frozen=True)
class RankedRows:
    """Rows sorted by the score of one class, and, with several classes, of each other class.

    Attributes
    ----------
    metric
        ROC AUC, or average precision.
    order : (n,)
        Row indices by decreasing score.
    starts : (m,)
        Positions at which a new score begins.
    positive : (n,)
        Whether each row, in that order, belongs to the class.
    others
        The same for the other classes.
    """

    metric: Metric
    order: Ints
    starts: Ints
    positive: Array
    others: tuple[RankedRows, ...] = ()

    @classmethod
    def of(cls, metric: Metric, truth: Array, scores: Array) -> RankedRows:
        """Return the rows sorted by `scores`."""
        if scores.ndim == 2:
            first, *others = (cls.of(metric, truth == index, scores[:, index]) for index in np.unique(truth))
            return replace(first, others=tuple(others))
        order = np.argsort(-scores, kind="stable")
        descending = scores[order]
        starts = np.flatnonzero(np.concatenate([[True], descending[1:] != descending[:-1]]))
        return cls(metric, order, starts, np.asarray(truth)[order] == 1)

    def scores(self, weights: Floats) -> Floats:
        """Return the score of each replicate, (replicates,); weights : (replicates, n)."""
        if self.others:
            first = replace(self, others=())
            return np.asarray(np.mean([ranked.scores(weights) for ranked in (first, *self.others)], axis=0))
        sorted_ = weights[:, self.order]
        hits = np.add.reduceat(np.where(self.positive, sorted_, 0.0), self.starts, axis=1)
        misses = np.add.reduceat(np.where(self.positive, 0.0, sorted_), self.starts, axis=1)
        positives, false = hits.sum(axis=1), np.cumsum(misses, axis=1)
        if self.metric is Metric.ROC_AUC:
            # A positive row wins against the negative rows below it, and draws with those of the same score.
            negatives = false[:, -1:]
            return np.asarray((hits * (negatives - false + misses / 2)).sum(axis=1) / (positives * negatives[:, 0]))
        true = np.cumsum(hits, axis=1)
        taken = true + false
        precision = np.divide(true, taken, out=np.zeros_like(true), where=taken > 0)
        return np.asarray((hits * precision).sum(axis=1) / positives)


def _defined_replicates(replicates: Floats) -> Floats:
    """Return the replicates that have a value.

    Raises
    ------
    Undefined
        If fewer than half of them have one.
    """
    finite = replicates[np.isfinite(replicates)]
    if finite.size < replicates.size / 2:
        raise Undefined("there are too few rows, or too few distinct ones, for an interval")
    return finite
