"""Evaluation metrics: value, direction, units, and when a metric is undefined.

True outcomes (`truth`) and predictions (`scores`) are arrays over the same rows. Classes are encoded as their indices
0…k-1 in the list of classes, in int arrays; the positive class of a binary task is 1. Scores are, by task:

- binary classification: ``(n,)`` probability of the positive class, or any increasing score in [0, 1],
- multiclass classification: ``(n, k)`` probabilities,
- regression: ``(n,)`` predicted values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sklearn import metrics as sk

from modelmonitor_api.spec import Metric, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.classes import Spellings

_LOWER_IS_BETTER = frozenset(
    {Metric.LOG_LOSS, Metric.BRIER_SCORE, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}
)
_REGRESSION = frozenset({Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR})

#: Probabilities are clipped to this distance from 0 and 1, so that a single row cannot make the log loss infinite.
PROBABILITY_FLOOR = 1e-15

_TITLES = {
    Metric.ROC_AUC: "ROC AUC",
    Metric.AVERAGE_PRECISION: "average precision",
    Metric.ACCURACY: "accuracy",
    Metric.BALANCED_ACCURACY: "balanced accuracy",
    Metric.F1: "F1",
    Metric.LOG_LOSS: "log loss",
    Metric.BRIER_SCORE: "Brier score",
    Metric.R2: "R²",
    Metric.MEAN_ABSOLUTE_ERROR: "mean absolute error",
    Metric.ROOT_MEAN_SQUARED_ERROR: "root mean squared error",
}


class Undefined(ValueError):
    """A metric is not defined on the given rows; the message gives the cause."""


def title(metric: Metric) -> str:
    """Return the display name of a metric."""
    return _TITLES[metric]


def greater_is_better(metric: Metric) -> bool:
    """Whether a larger value of `metric` is better."""
    return metric not in _LOWER_IS_BETTER


def sign(metric: Metric) -> float:
    """Return 1 if larger is better, and -1 for errors and losses."""
    return 1.0 if greater_is_better(metric) else -1.0


def in_units(metric: Metric, declared: float, of: float) -> float:
    """Return a declared margin or drop in units of the metric.

    Mean absolute and root mean squared error have the units of the target, so an absolute margin such as 0.02 has no
    general meaning. For these two the margin is relative: a share of the error `of` the model compared with.
    """
    return declared * of if metric.in_units_of_target else declared


#: Largest margin, and largest drop, as a share of what separates the champion from a trivial model.
MARGIN_SHARE, DROP_SHARE = 0.1, 0.25


def bounded(metric: Metric, declared: float, of: float, trivial: float | None, share: float) -> float:
    """Return a margin or drop in units of the metric, at most a share of what a model has gained.

    A Brier score of a class of 0.2 % is below 0.002 for a trivial model already. There a margin of 0.005 would let any
    model pass.

    Parameters
    ----------
    metric, declared, of
        As for :func:`in_units`.
    trivial
        Score of a trivial model on the same rows; None if it is unknown.
    share
        The share.
    """
    units = in_units(metric, declared, of)
    return units if trivial is None else min(units, share * max(0.0, sign(metric) * (of - trivial)))


def is_regression(metric: Metric) -> bool:
    """Whether `metric` is a regression metric."""
    return metric in _REGRESSION


def score(metric: Metric, task: Task, outcomes: Array, scores: Array, classes: Array | None = None) -> float:
    """Return the value of a metric for outcomes as they are in the data.

    Parameters
    ----------
    metric, task
        Metric, and task of the model.
    outcomes : (n,)
        Booleans or 0 and 1, class names, or values.
    scores : (n,) or (n, k)
        Predictions, as in the module's docstring.
    classes : (k,)
        Class names in the order of the scores; for a multiclass task.

    Returns
    -------
    float
        As for :func:`metric_value`.

    Raises
    ------
    Undefined
        If there are no rows, or one class where two are needed.
    """
    if task is not Task.MULTICLASS_CLASSIFICATION:
        truth = outcomes if task is Task.REGRESSION else np.asarray(outcomes, dtype=np.int64)
        return metric_value(metric, truth, scores)
    indices = {str(name): index for index, name in enumerate(() if classes is None else classes)}
    return metric_value(metric, np.array([indices.get(str(name), -1) for name in outcomes], dtype=np.int64), scores)


def metric_value(metric: Metric, truth: Array, scores: Array) -> float:
    """Return the value of a metric.

    Parameters
    ----------
    metric
        The metric.
    truth : (n,)
        True class indices (-1 for a class that the model does not know), or true values.
    scores : (n,) or (n, k)
        Predictions, as in the module's docstring.

    Returns
    -------
    float
        In units of the metric. F1 is that of the positive class, or with several classes the unweighted mean over
        the classes that occur; ROC AUC with several classes is the unweighted one-vs-rest mean.

    Raises
    ------
    Undefined
        If there are no rows, or one class where two are needed.
    """
    if truth.shape[0] == 0:
        raise Undefined("there are no rows")
    if is_regression(metric):
        return _regression_score(metric, truth, scores)
    if metric is Metric.ROC_AUC:
        return _roc_auc(truth, scores)
    if metric is Metric.LOG_LOSS:
        return float(-np.log(true_class_probability(truth, scores)).mean())
    if metric is Metric.AVERAGE_PRECISION:
        _need_both_classes(metric, truth)
        return float(sk.average_precision_score(truth, scores))
    if metric is Metric.BRIER_SCORE:
        return float(np.mean((scores - truth) ** 2))
    return _label_score(metric, truth, labels_of(scores), binary=scores.ndim == 1)


def labels_of(scores: Array) -> Ints:
    """Return the predicted class indices, (n,): the most probable class, or the positive class from 0.5 on."""
    if scores.ndim == 1:
        return np.asarray(scores >= 0.5, dtype=np.int64)
    return np.asarray(np.argmax(scores, axis=1), dtype=np.int64)


def true_class_probability(truth: Array, scores: Array) -> Floats:
    """Return the predicted probability of the true class, (n,), clipped away from 0."""
    if scores.ndim == 1:
        probability = np.where(truth == 1, scores, 1.0 - scores)
    else:
        probability = np.where(truth >= 0, scores[np.arange(len(truth)), truth], 0.0)
    return np.clip(probability, PROBABILITY_FLOOR, 1.0).astype(np.float64)


def _regression_score(metric: Metric, truth: Array, scores: Array) -> float:
    error = truth - scores
    if metric is Metric.MEAN_ABSOLUTE_ERROR:
        return float(np.mean(np.abs(error)))
    if metric is Metric.ROOT_MEAN_SQUARED_ERROR:
        return math.sqrt(float(np.mean(error**2)))
    spread = float(np.sum((truth - truth.mean()) ** 2))
    if spread == 0.0:
        raise Undefined("all rows have the same true value")
    return 1.0 - float(np.sum(error**2)) / spread


def _roc_auc(truth: Array, scores: Array) -> float:
    if scores.ndim == 1:
        _need_both_classes(Metric.ROC_AUC, truth)
        return float(sk.roc_auc_score(truth, scores))
    present = np.unique(truth[truth >= 0])
    if present.size < 2:
        raise Undefined(f"{title(Metric.ROC_AUC)} needs rows of at least two classes")
    return float(np.mean([sk.roc_auc_score(truth == index, scores[:, index]) for index in present]))


def _label_score(metric: Metric, truth: Array, labels: Ints, *, binary: bool) -> float:
    if metric is Metric.ACCURACY:
        return float(np.mean(truth == labels))
    present = np.unique(truth)
    if metric is Metric.BALANCED_ACCURACY:
        return float(np.mean([np.mean(labels[truth == index] == index) for index in present]))
    if metric is not Metric.F1:
        raise ValueError(f"{metric} is not a metric of predicted classes")
    positive = np.array([1]) if binary else np.union1d(present, labels)
    return float(sk.f1_score(truth, labels, labels=positive, average="macro", zero_division=0.0))


def _need_both_classes(metric: Metric, truth: Array) -> None:
    if np.unique(truth).size < 2:
        raise Undefined(f"{title(metric)} needs rows of both classes")


def padded(scores: Floats, classes: int) -> Floats:
    """Return scores with columns of zeros for classes that were added at the end."""
    return scores if scores.ndim == 1 else np.pad(scores, ((0, 0), (0, classes - scores.shape[1])))


def class_of_few(metric: Metric, truth: Array, *, binary: bool) -> int | None:
    """Return the rows of the rarer class of a binary task, which limit how well models can be distinguished.

    None for other tasks, and if there is one class only: then most metrics are not defined.
    """
    if is_regression(metric) or not binary:
        return None
    positive = int(np.count_nonzero(truth))
    fewer = min(positive, len(truth) - positive)
    return fewer or None


def aligned(scores: Floats, own: Sequence[str], classes: Sequence[str]) -> Floats:
    """Return scores with one column for each of `classes`, zero for classes that the model does not know.

    Parameters
    ----------
    scores : (n,) or (n, k)
        Scores of the model; those of a binary task or a regression are returned unchanged.
    own
        Classes of the model, in the order of its columns; may include some that no longer occur.
    classes
        Classes of the result.

    Returns
    -------
    (n,) or (n, len(classes))
        The aligned scores.
    """
    if scores.ndim == 1:
        return scores
    result = np.zeros((len(scores), len(classes)))
    spellings = Spellings(own)
    for column, name in enumerate(classes):
        index = spellings.index_of(name)
        if index >= 0:
            result[:, column] = scores[:, index]
    return result
