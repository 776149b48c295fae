"""Scores of resampled groups of rows, computed from statistics of the groups instead of from the rows of each resample.

A bootstrap over days draws each day some number of times, and a jackknife draws all groups but one, so a score that is
a function of sums over groups follows from these numbers:

- means of rows (accuracy, losses, errors): sums of the groups;
- F1 and balanced accuracy: counts of true, predicted and correctly predicted rows of each class;
- ROC AUC: the pairs of a positive row of one group and a negative row of another that the positive one wins, a matrix
  over the groups; with many groups, weights of the sorted rows, as in :mod:`~modelmonitor_trainer.gate.bootstrap`;
- average precision: such weights.

The results are those of scoring the rows again, up to rounding errors.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

import numpy as np

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.gate.bootstrap import RankedRows
from modelmonitor_trainer.model.metrics import labels_of, true_class_probability

_MEANS = frozenset(
    {
        Metric.ACCURACY,
        Metric.LOG_LOSS,
        Metric.BRIER_SCORE,
        Metric.MEAN_ABSOLUTE_ERROR,
        Metric.ROOT_MEAN_SQUARED_ERROR,
    }
)
#: With more groups, rows are weighted instead of pairs counted.
_PAIRED_GROUPS = 100
#: Numbers that are held in memory at once.
_CHUNK = 2_000_000


class GroupScores(Protocol):
    """Scores of groups that are drawn any number of times; see :mod:`modelmonitor_trainer.detect.resampling`."""

    @property
    @abstractmethod
    def groups(self) -> int:
        """Number of groups."""

    @property
    def width(self) -> int:
        """Numbers that the score of one resample needs in memory."""
        return self.groups

    @abstractmethod
    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample, (resamples,), NaN if it is undefined.

        Parameters
        ----------
        times : (resamples, groups)
            How often each group is drawn.
        """

    def whole(self) -> float | None:
        """Return the score of all rows."""
        return _optional(self.scores(np.ones((1, self.groups))))[0]

    def drawn(self, draws: Iterable[Ints]) -> list[float | None]:
        """Return the score of each draw, an array of groups that can repeat."""
        times = (np.bincount(draw, minlength=self.groups) for draw in draws)
        return self._in_chunks(times)

    def without_each(self) -> list[float | None]:
        """Return the score of all rows but those of each group."""
        numbers = np.arange(self.groups)
        return self._in_chunks(numbers != group for group in range(self.groups))

    def _in_chunks(self, times: Iterator[Array]) -> list[float | None]:
        size = max(1, _CHUNK // max(1, self.width))
        results: list[float | None] = []
        while chunk := list(islice(times, size)):
            results += _optional(self.scores(np.stack(chunk).astype(np.float64)))
        return results


def grouping_of(metric: Metric, *, columns: int) -> Callable[[Array, Array, Ints], GroupScores] | None:
    """Return what computes the scores of groups of rows; None if the rows must be scored again.

    Parameters
    ----------
    metric
        The metric.
    columns
        Dimensions of the predictions: 1, or 2 with one column for each class.

    Returns
    -------
    (truth, predicted, groups) → scores
        True class indices from 0 on or true values, (n,); predictions, (n,) or (n, k), finite; and the group of each
        row, (n,), numbered from 0.
    """
    if metric in _MEANS and (columns == 1 or metric in {Metric.ACCURACY, Metric.LOG_LOSS}):
        return partial(MeansOfGroups.of, metric)
    if metric in {Metric.F1, Metric.BALANCED_ACCURACY}:
        return partial(TablesOfGroups.of, metric)
    if metric is Metric.ROC_AUC:
        return _areas
    if metric is Metric.AVERAGE_PRECISION and columns == 1:
        return partial(RanksOfGroups.of, metric)
    return None


@dataclass(frozen=True)
class MeansOfGroups(GroupScores):
    """A metric that is a mean of rows, or its root.

    Attributes
    ----------
    sums, rows : (groups,)
        Sum of what the rows contribute, and number of rows.
    root
        Whether the metric is the root of the mean.
    """

    sums: Floats
    rows: Floats
    root: bool = False

    @classmethod
    def of(cls, metric: Metric, truth: Array, predicted: Array, groups: Ints) -> MeansOfGroups:
        """Return the sums of groups of rows."""
        sums = np.asarray(np.bincount(groups, weights=_contributions(metric, truth, predicted)), dtype=np.float64)
        return cls(sums, np.bincount(groups).astype(np.float64), metric is Metric.ROOT_MEAN_SQUARED_ERROR)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.rows)

    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample."""
        means = _divide(times @ self.sums, times @ self.rows)
        return np.sqrt(means) if self.root else means


def _contributions(metric: Metric, truth: Array, predicted: Array) -> Floats:
    """Return what each row contributes to the mean, (n,)."""
    if metric is Metric.ACCURACY:
        return np.asarray(truth == labels_of(predicted), dtype=np.float64)
    if metric is Metric.LOG_LOSS:
        return np.asarray(-np.log(true_class_probability(truth, predicted)))
    if metric is Metric.MEAN_ABSOLUTE_ERROR:
        return np.asarray(np.abs(truth - predicted))
    return np.asarray((truth - predicted) ** 2)


@dataclass(frozen=True)
class TablesOfGroups(GroupScores):
    """A metric of predicted classes.

    Attributes
    ----------
    metric
        F1, or balanced accuracy.
    actual, claimed, hits : (groups, classes)
        Number of rows of each class, of those that are predicted to be of it, and of those of both.
    """

    metric: Metric
    actual: Floats
    claimed: Floats
    hits: Floats

    @classmethod
    def of(cls, metric: Metric, truth: Array, predicted: Array, groups: Ints) -> TablesOfGroups:
        """Return the counts of groups of rows."""
        labels = labels_of(predicted)
        # F1 of two classes is that of the positive one.
        alone = metric is Metric.F1 and predicted.ndim == 1
        classes = np.array([1]) if alone else np.union1d(truth, labels)

        def counted(wanted: Callable[[int], Array]) -> Floats:
            size = int(groups.max()) + 1
            columns = [np.bincount(groups[wanted(index)], minlength=size) for index in classes]
            return np.stack(columns, axis=1).astype(np.float64)

        return cls(
            metric,
            counted(lambda index: truth == index),
            counted(lambda index: labels == index),
            counted(lambda index: (truth == index) & (labels == index)),
        )

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.actual)

    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample."""
        actual, claimed, hits = times @ self.actual, times @ self.claimed, times @ self.hits
        if self.metric is Metric.F1 and self.actual.shape[1] == 1:
            either = (actual + claimed)[:, 0]
            return np.divide(2 * hits[:, 0], either, out=np.zeros_like(either), where=either > 0)
        parts = (2 * hits, actual + claimed) if self.metric is Metric.F1 else (hits, actual)
        of_class = _divide(*parts)
        present = np.isfinite(of_class)
        return _divide(np.where(present, of_class, 0.0).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _areas(truth: Array, predicted: Array, groups: Ints) -> GroupScores:
    """Return the ROC AUC of groups of rows; with several classes, that of each class and the rest."""
    size = int(groups.max()) + 1
    of_class = PairsOfGroups.of if size <= _PAIRED_GROUPS else partial(RanksOfGroups.of, Metric.ROC_AUC)
    if predicted.ndim == 1:
        return of_class(truth, predicted, groups)
    parts = (of_class(truth == index, predicted[:, index], groups) for index in np.unique(truth))
    return MeanOfClasses(tuple(parts))


@dataclass(frozen=True)
class PairsOfGroups(GroupScores):
    """ROC AUC: the share of pairs of a positive and a negative row that the positive one wins; draws count one half.

    Attributes
    ----------
    won : (groups, groups)
        Pairs won, by the group of the positive row and that of the negative one.
    positive, negative : (groups,)
        Number of rows of each class.
    """

    won: Floats
    positive: Floats
    negative: Floats

    @classmethod
    def of(cls, truth: Array, predicted: Array, groups: Ints) -> PairsOfGroups:
        """Return the pairs of groups of rows."""
        size = int(groups.max()) + 1
        isin = np.asarray(truth) == 1
        # Sorted, so that neighbours are looked up one after the other.
        order = np.argsort(predicted)
        ordered, positive, by_group = predicted[order], isin[order], groups[order]
        scores, owners = ordered[positive], by_group[positive]
        won = np.zeros((size, size))
        for group in range(size):
            others = ordered[~positive & (by_group == group)]
            if others.size:
                twice = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
                won[:, group] = np.bincount(owners, weights=twice, minlength=size) / 2
        counts = (np.bincount(groups[mask], minlength=size).astype(np.float64) for mask in (isin, ~isin))
        return cls(won, *counts)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.positive)

    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample."""
        won = np.einsum("rg,rg->r", times @ self.won, times)
        return _divide(won, (times @ self.positive) * (times @ self.negative))


@dataclass(frozen=True)
class RanksOfGroups(GroupScores):
    """A metric of ranks: rows are sorted once, and a resample weights them.

    Attributes
    ----------
    ranked
        The sorted rows.
    of_rows : (n,)
        Group of each row.
    positive, negative : (groups,)
        Number of rows of each class.
    """

    ranked: RankedRows
    of_rows: Ints
    positive: Floats
    negative: Floats

    @classmethod
    def of(cls, metric: Metric, truth: Array, predicted: Array, groups: Ints) -> RanksOfGroups:
        """Return the sorted rows of groups."""
        isin, size = np.asarray(truth) == 1, int(groups.max()) + 1
        counts = (np.bincount(groups[mask], minlength=size).astype(np.float64) for mask in (isin, ~isin))
        return cls(RankedRows.of(metric, isin, predicted), groups, *counts)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.positive)

    @property
    def width(self) -> int:
        """Numbers that the score of one resample needs in memory."""
        return len(self.of_rows)

    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample."""
        defined = ((times @ self.positive) > 0) & ((times @ self.negative) > 0)
        result = np.full(len(times), np.nan)
        if defined.any():
            result[defined] = self.ranked.scores(times[defined][:, self.of_rows])
        return result


@dataclass(frozen=True)
class MeanOfClasses(GroupScores):
    """ROC AUC of several classes: the mean of those classes that a resample contains.

    Attributes
    ----------
    parts
        For each class, the scores of it and the rest.
    """

    parts: tuple[GroupScores, ...]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.parts[0].groups

    @property
    def width(self) -> int:
        """Numbers that the score of one resample needs in memory."""
        return max(part.width for part in self.parts)

    def scores(self, times: Floats) -> Floats:
        """Return the score of each resample."""
        of_class = np.stack([part.scores(times) for part in self.parts], axis=1)
        present = np.isfinite(of_class)
        return _divide(np.where(present, of_class, 0.0).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotients, NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator > 0)


def _optional(scores: Floats) -> list[float | None]:
    return [float(score) if np.isfinite(score) else None for score in scores]
