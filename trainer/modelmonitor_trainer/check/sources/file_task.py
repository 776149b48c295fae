"""The task of a model, from a target of whole numbers in files, which can be values or the numbers of classes.

A monitor declares its task. Files declare it with ``--task``; otherwise this rule makes both sources compare the same
rows in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelmonitor_api.spec import DataFormat, Feature, FeatureType, Task
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.check.target import MAX_CLASS_NUMBERS
from modelmonitor_trainer.data.object_format import AnyFormat, format_at
from modelmonitor_trainer.data.tables import Unreadable, is_number, is_text, scan
from modelmonitor_trainer.data.text_numbers import are_numbers, numbers_of
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Number of files of the reference that are read, and rows of each.
_FILES, _ROWS = 10, 10_000


def infer_file_task(
    store: Store, reference: Sequence[ObjectInfo], fmt: AnyFormat, target: str, prediction: str | None
) -> Task | None:
    """Return the task that a target of numbers suggests in a sample of the reference; None if it is not numbers.

    Parameters
    ----------
    store, reference, fmt
        The files of the reference.
    target, prediction
        Columns.
    """
    values: dict[str, Floats] = {}
    wanted = [target] if prediction is None else [target, prediction]
    step = max(1, len(reference) // _FILES)
    for info in reference[::step][:_FILES]:
        for name, known in _read(store, info, fmt, wanted).items():
            values[name] = np.union1d(values.get(name, np.empty(0)), known)
        if target in values and not _are_class_numbers(values[target]):
            return Task.REGRESSION
    if target not in values:
        return None
    return task_of(values[target], values.get(prediction) if prediction is not None else None)


def task_of(targets: Floats, predictions: Floats | None) -> Task:
    """Return the task that the distinct values of a target and its predictions suggest.

    Few different whole numbers are classes, unless the predictions are on their scale and have fractions.

    Parameters
    ----------
    targets, predictions : (n,)
        Distinct values, sorted; no predictions if there are none, or if they are text.

    >>> task_of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0])).value
    'MulticlassClassification'
    >>> task_of(np.array([1.0, 2.0, 3.0]), np.array([1.2, 2.9])).value
    'Regression'
    >>> task_of(np.array([1.0, 2.0]), np.array([0.1, 0.8])).value
    'BinaryClassification'
    """
    if not targets.size or not _are_class_numbers(targets):
        return Task.REGRESSION
    binary = bool(np.isin(targets, (0, 1)).all())
    known = np.empty(0) if predictions is None else predictions
    if bool((known != np.floor(known)).any()):
        probabilities = bool(known.min() >= 0 and known.max() <= 1)
        return Task.BINARY_CLASSIFICATION if binary or probabilities else Task.REGRESSION
    if not _are_class_numbers(known):
        return Task.REGRESSION
    binary = binary and bool(np.isin(known, (0, 1)).all())
    return Task.BINARY_CLASSIFICATION if binary else Task.MULTICLASS_CLASSIFICATION


def with_task(
    columns: Sequence[Feature], task: Task | None, target: str, prediction: str | None, declared: frozenset[str]
) -> tuple[Feature, ...]:
    """Return the columns with the types of the target and the prediction that a monitor of this task has.

    Parameters
    ----------
    columns
        Columns as inferred from the types of their values.
    task
        None to leave them.
    target, prediction
        Names of columns.
    declared
        Columns whose type was declared, which stays.
    """
    types: dict[str | None, FeatureType] = {}
    if task is not None:
        types[target] = FeatureType.NUMERIC if task is Task.REGRESSION else FeatureType.CATEGORICAL
    if task is Task.MULTICLASS_CLASSIFICATION:
        types[prediction] = FeatureType.CATEGORICAL
    return tuple(
        column.model_copy(update={"type": types[column.name]})
        if column.name in types and column.name not in declared
        else column
        for column in columns
    )


def _are_class_numbers(values: Floats) -> bool:
    return values.size <= MAX_CLASS_NUMBERS and bool((values == np.floor(values)).all())


def _read(store: Store, info: ObjectInfo, fmt: AnyFormat, columns: Sequence[str]) -> dict[str, Floats]:
    """Return the distinct values of the columns of numbers; of an unreadable file, which is reported later, none."""
    parquet = format_at(fmt, info.uri) is DataFormat.PARQUET
    values: dict[str, Floats] = {}
    try:
        # A sorted Parquet file is read in places; of text, only the first rows are cheap.
        with scan(store, info, columns, fmt, head=None if parquet else _ROWS, sample=_ROWS) as opened:
            for name, chunk in opened.chunks:
                if is_number(chunk.type) or (is_text(chunk.type) and are_numbers(chunk.chunks)):
                    known = numbers_of(chunk)
                    values[name] = np.union1d(values.get(name, np.empty(0)), known[np.isfinite(known)])
    except Unreadable as error:
        if error.undeclared:
            raise
        return {}
    return values
