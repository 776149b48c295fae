"""Trivial baselines: constant predictions from the training outcomes, without any feature.

One baseline uses all training rows, the other only those of the last days. If the level of the outcome moves, the
latter is harder to beat.
"""

from __future__ import annotations

import numpy as np

from modelmonitor_api.spec import Metric, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints


def baseline_scores(metric: Metric, task: Task, train_truth: Array, classes: int, rows: int) -> Floats:
    """Return the constant scores of the baseline of all training rows.

    Parameters
    ----------
    metric
        Metric of the comparison: the median minimizes the absolute error, the mean the squared one.
    task
        Task of the model.
    train_truth : (m,)
        Class indices, or values, of the training rows.
    classes
        Number of classes.
    rows
        Number of rows to score.

    Returns
    -------
    (rows,) or (rows, classes)
        The same for every row: share of the positive class, shares of all classes, or the mean or median.
    """
    if task is Task.REGRESSION:
        middle = np.median if metric is Metric.MEAN_ABSOLUTE_ERROR else np.mean
        return np.full(rows, float(middle(train_truth)))
    shares = np.bincount(train_truth[train_truth >= 0], minlength=classes) / max(1, len(train_truth))
    if task is Task.BINARY_CLASSIFICATION:
        return np.full(rows, float(shares[1]) if classes > 1 else 1.0)
    return np.tile(shares, (rows, 1))


def last_period_scores(
    metric: Metric, task: Task, train_truth: Array, days: Ints, period: int, classes: int, rows: int
) -> Floats:
    """Return the constant scores of the baseline of the last training days.

    Parameters
    ----------
    metric, task, train_truth, classes, rows
        As for :func:`baseline_scores`.
    days : (m,)
        Day number of each training row.
    period
        Number of last days, as many as the hold-out has.

    Returns
    -------
    (rows,) or (rows, classes)
        As for :func:`baseline_scores`, from the rows of the last `period` days of the training window.
    """
    last = days > days.max() - period
    return baseline_scores(metric, task, train_truth[last], classes, rows)
