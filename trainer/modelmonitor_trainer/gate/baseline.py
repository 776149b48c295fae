"""The trivial models that every model must beat: they know the training rows' outcomes and no feature.

One knows all of them, the other those of the last days only: where the level of the outcome moves, the latter is the
harder to beat.
"""

from __future__ import annotations

import numpy as np

from modelmonitor_api.spec import Metric, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints


def baseline_scores(metric: Metric, task: Task, train_truth: Array, classes: int, rows: int) -> Floats:
    """Return what the trivial model says of `rows` rows.

    Parameters
    ----------
    metric
        What it is scored by: of constants, the median has the smallest absolute error and the mean the smallest
        squared one.
    task
        What is predicted.
    train_truth : (m,)
        Places of classes, or values, of the training rows.
    classes
        How many classes there are.
    rows
        How many predictions are wanted.

    Returns
    -------
    (rows,) or (rows, classes)
        The same for every row: the share of the positive class, the shares of all classes, the mean or median.
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
    """Return what the trivial model says that goes on as the last period was.

    Parameters
    ----------
    metric, task, train_truth, classes, rows
        As for :func:`baseline_scores`.
    days : (m,)
        Number of the day of each training row.
    period
        Days of the period: as many as the hold-out has.

    Returns
    -------
    (rows,) or (rows, classes)
        As of :func:`baseline_scores`, of the outcomes of the last `period` days of the training window.
    """
    last = days > days.max() - period
    return baseline_scores(metric, task, train_truth[last], classes, rows)
