"""Predictions of the model in production: logged ones, or those of the champion on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.data.arrow_floats import numbers_of
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.registry import ModelRegistry


@dataclass(frozen=True)
class Predictor:
    """A source of predictions.

    Attributes
    ----------
    columns
        Columns of the rows that it needs.
    classes
        Classes in the order of its scores; empty for a regression.
    scores
        Rows → predictions.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Callable[[pa.Table], Array]


def predictor_of(registry: ModelRegistry, spec: ModelMonitorSpec, version: str) -> Predictor:
    """Return the logged predictions if there are any, otherwise the champion.

    Raises
    ------
    BadConfiguration
        If there are no logged predictions, and the champion is not a built-in model.
    BadData
        If the champion's files are damaged.
    """
    # scikit-learn takes a second to import, and most checks load no model.
    from modelmonitor_trainer.registry.model_files import load_model

    column = spec.model.prediction_column
    if column is not None and spec.model.task is not Task.MULTICLASS_CLASSIFICATION:
        known = registry.find_version(version) if version else None
        # Without a built-in model the outcomes are what the spec requires of a binary target: true/false or 1/0.
        return logged_predictor(column, tuple(known.classes) if known and known.classes else ("0", "1"))
    model = load_model(registry, version)
    return Predictor(tuple(model.columns), tuple(model.classes), model.predict_scores)


def logged_predictor(column: str, classes: Sequence[str] = ("0", "1")) -> Predictor:
    """Return the predictions in a column of the rows."""
    return Predictor((column,), tuple(classes), lambda rows: _logged(rows.column(column), column))


def _logged(values: pa.ChunkedArray, name: str) -> Floats:
    try:
        return numbers_of(values.cast(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadData(
            f"the prediction column {name!r} is {values.type}, not numeric; log the score of the positive class, or "
            "the predicted value"
        ) from error


def true_outcomes(target: pa.ChunkedArray, name: str, task: Task, classes: Sequence[str]) -> Array:
    """Return outcomes as indices into `classes` (-1 for an unknown class), or as values; (n,)."""
    from modelmonitor_trainer.data.labels import class_places, true_values

    if task is Task.REGRESSION:
        return true_values(target, name)
    return class_places(target, name, classes)


def usable_rows(truth: Array, scores: Array, task: Task) -> Array:
    """Return which rows can be scored; (n,) of booleans.

    Rows of a class that the model does not know, and rows without a prediction, cannot.
    """
    usable = np.ones(truth.size, dtype=bool) if task is Task.REGRESSION else truth >= 0
    return usable & ~np.isnan(scores) if scores.ndim == 1 else usable
