"""Choices of a draft: target, key, windows and schedule that fit the rows of a day."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelmonitor_api.spec import EstimatorName, FeatureType, Metric, Task
from modelmonitor_trainer.check.target import MAX_CLASS_NUMBERS
from modelmonitor_trainer.draft.columns import Column, ColumnUse, Sample
from modelmonitor_trainer.draft.partitions import Partitions
from modelmonitor_trainer.errors import BadConfiguration

#: Rows that each window should have, so that a change of a few hundredths is detected.
_LIVE_ROWS, _HOLDOUT_ROWS, _TRAIN_ROWS = 2000, 1000, 5000


@dataclass(frozen=True)
class Windows:
    """Lengths of windows in days.

    Attributes
    ----------
    live, train, holdout
        Live window, training window and hold-out.
    every
        Period of trainings.
    """

    live: int
    train: int
    holdout: int
    every: int


@dataclass(frozen=True)
class Draft:
    """A monitor that fits some data.

    Attributes
    ----------
    name, rows
        Name, and partitions of the rows.
    labels
        Partitions of the labels; None if the target is a column of the rows.
    target, task, metric, estimator
        What the model predicts, and how it is trained and judged.
    key
        Column by which rows and labels are joined; None without labels.
    delay
        Days after which labels are expected.
    prediction
        Column of logged predictions; None if there is none.
    features, left_out
        Columns that a model may use, and others.
    windows
        Lengths of windows.
    rows_per_day
        Median number of rows of a day.
    guessed
        Whether the target was guessed.
    """

    name: str
    rows: Partitions
    labels: Partitions | None
    target: str
    task: Task
    metric: Metric
    estimator: EstimatorName
    key: str | None
    delay: int
    prediction: str | None
    features: tuple[Column, ...]
    left_out: tuple[Column, ...]
    windows: Windows
    rows_per_day: float
    guessed: bool


def draft_monitor(
    name: str,
    rows: Partitions,
    sample: Sample,
    labels: Partitions | None,
    label_sample: Sample | None,
    target: str | None,
) -> Draft:
    """Return a draft.

    Raises
    ------
    BadConfiguration
        If the target cannot be guessed, or rows and labels have no column in common.
    """
    key = _key(sample, label_sample) if label_sample is not None else None
    column = _target(sample, label_sample, key, target)
    task = suggest_task(column)
    prediction = next((each.name for each in sample.used_as(ColumnUse.PREDICTION) if each.name != column.name), None)
    usable = [
        each
        for each in sample.columns
        if each.use in {ColumnUse.FEATURE, ColumnUse.TARGET} and each.name not in {column.name, key, prediction}
    ]
    per_day = sample.rows_per_object * max(1.0, sum(map(len, rows.days.values())) / len(rows.days))
    delay = max(0, (rows.last - labels.last).days) if labels is not None else 0
    return Draft(
        name=name,
        rows=rows,
        labels=labels,
        target=column.name,
        task=task,
        metric=_METRICS[task],
        estimator=_REGRESSOR if task is Task.REGRESSION else _CLASSIFIER,
        key=key,
        delay=delay,
        prediction=prediction if task is not Task.MULTICLASS_CLASSIFICATION else None,
        features=tuple(usable),
        left_out=tuple(
            each for each in sample.columns if each not in usable and each.name not in {column.name, key, prediction}
        ),
        windows=choose_windows(per_day, (rows.last - rows.first).days + 1 - delay),
        rows_per_day=per_day,
        guessed=target is None,
    )


_CLASSIFIER = EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER
_REGRESSOR = EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR
_METRICS = {
    Task.BINARY_CLASSIFICATION: Metric.ROC_AUC,
    Task.MULTICLASS_CLASSIFICATION: Metric.LOG_LOSS,
    Task.REGRESSION: Metric.MEAN_ABSOLUTE_ERROR,
}


def suggest_task(target: Column) -> Task:
    """Return the task that the values of a target suggest."""
    numbers = target.type is FeatureType.NUMERIC
    if target.distinct == 2 and (not numbers or (target.low, target.high) == (0.0, 1.0)):
        return Task.BINARY_CLASSIFICATION
    whole = target.kind.startswith(("int", "uint"))
    if not numbers or (whole and target.distinct <= MAX_CLASS_NUMBERS):
        return Task.MULTICLASS_CLASSIFICATION
    return Task.REGRESSION


def choose_windows(rows_per_day: float, days: int) -> Windows:
    """Return windows of whole weeks where there are enough days, and of enough rows where that is possible.

    Parameters
    ----------
    rows_per_day
        Median number of rows of a day.
    days
        Days with mature labels.

    >>> choose_windows(900, 365)
    Windows(live=28, train=90, holdout=14, every=30)
    >>> choose_windows(900, 30)
    Windows(live=7, train=15, holdout=4, every=7)
    """

    def days_for(rows: int) -> int:
        return math.ceil(rows / max(rows_per_day, 1.0))

    live = 28 if days >= 120 else 14 if days >= 60 else 7
    holdout = min(14, max(1, days // 7))
    train = min(90, max(1, days // 2))
    return Windows(
        max(live, min(days_for(_LIVE_ROWS), 366)),
        max(train, min(days_for(_TRAIN_ROWS), 3650)),
        max(holdout, min(days_for(_HOLDOUT_ROWS), 366)),
        30 if days >= 60 else 7,
    )


def _key(rows: Sample, labels: Sample) -> str:
    """Return the column that rows and labels have in common: a key if there is one, with the most distinct values.

    Raises
    ------
    BadConfiguration
        If there is none.
    """
    common = [column for column in rows.columns if labels.find(column.name) is not None and column.distinct > 1]
    if not common:
        names = ", ".join(column.name for column in labels.columns)
        raise BadConfiguration(
            f"rows and labels have no column in common (the labels have {names}), so they cannot be joined"
        )
    return max(common, key=lambda column: (column.use is ColumnUse.KEY, column.distinct)).name


def _target(rows: Sample, labels: Sample | None, key: str | None, target: str | None) -> Column:
    """Return the declared target, or the column that is most likely to be it.

    Raises
    ------
    BadConfiguration
        With the columns that there are.
    """
    source = labels if labels is not None else rows
    known = [column for column in source.columns if column.type is not None and column.name != key]
    if not known:
        raise BadConfiguration(
            f"the {'labels' if labels is not None else 'rows'} that were read have no values in any column"
            f"{'' if key is None else f' but the key {key!r}'}, so a monitor cannot be drafted from them"
        )
    names = ", ".join(column.name for column in known)
    if target is not None:
        column = next((each for each in known if each.name == target), None)
        if column is None:
            raise BadConfiguration(
                f"--target {target!r} is not a column of the {'labels' if labels else 'rows'}; they have {names}"
            )
        return column
    candidates = [column for column in known if column.use is ColumnUse.TARGET]
    if labels is not None:
        candidates += [column for column in known if column.use is not ColumnUse.TARGET]
    if not candidates:
        raise BadConfiguration(f"which column does the model predict? Name it with --target; the columns are {names}")
    return candidates[0]
