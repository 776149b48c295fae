"""Warm starts: a fitted model learns from new rows alone, keeping what it knows."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import SGDClassifier, SGDRegressor

from modelmonitor_api.spec import Estimator, WarmStart
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.pipeline import Model, innermost, one_line, refuse_missing, weights


def continue_training(
    model: Model, estimator: Estimator, arrays: Mapping[str, Array], truth: Array, days: Ints, settings: WarmStart
) -> Model:
    """Return a model that has learnt from new rows as well; `model` stays as it is.

    The steps before the estimator stay as they were fitted: what the estimator has learnt is in terms of them. A
    linear model by stochastic gradient descent takes mini-batches in the order of the days. A forest is given new
    trees, fitted to the new rows, and loses as many of its oldest.

    Parameters
    ----------
    model
        What to start from.
    estimator
        ``spec.retraining.estimator``, which it was made by.
    arrays
        Feature → (n,) values of the new rows.
    truth : (n,)
        Places of classes, all of which the model knows, or values.
    days : (n,)
        Number of the day of each row.
    settings
        ``spec.retraining.warmStart``.

    Raises
    ------
    BadConfiguration
        If the estimator cannot learn from new rows alone.
    BadData
        If there are missing numbers and it takes none.
    """
    pipeline = copy.deepcopy(model.pipeline)
    inner = innermost(pipeline)
    rows = frame(arrays, model.features)
    refuse_missing(pipeline, rows)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        numbers = pipeline["columns"].transform(rows)
        weight = weights(estimator, truth).get("model__sample_weight")
        if isinstance(inner, SGDClassifier | SGDRegressor):
            _take_batches(inner, numbers, truth, weight, np.argsort(days, kind="stable"), settings.batch_rows)
        elif isinstance(inner, RandomForestClassifier | RandomForestRegressor):
            _renew_trees(inner, numbers, truth, weight, settings.new_trees)
        else:
            raise BadConfiguration(
                f"{type(inner).__name__} cannot learn from new rows alone; set retraining.strategy to Refit, or use "
                "one of SGDClassifier, SGDRegressor, RandomForestClassifier and RandomForestRegressor"
            )
    ignored = "Found unknown categories"
    notes = dict.fromkeys(text for text in (one_line(each.message) for each in said) if not text.startswith(ignored))
    return replace(model, pipeline=pipeline, notes=tuple(notes))


def _take_batches(inner: Any, numbers: Array, truth: Array, weight: Array | None, order: Ints, size: int) -> None:
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        inner.partial_fit(numbers[batch], truth[batch], sample_weight=None if weight is None else weight[batch])


def _renew_trees(inner: Any, numbers: Array, truth: Array, weight: Array | None, count: int) -> None:
    size = inner.n_estimators
    new = min(count, size)
    inner.set_params(warm_start=True, n_estimators=size + new)
    inner.fit(numbers, truth, sample_weight=weight)
    inner.estimators_ = inner.estimators_[new:]
    inner.set_params(warm_start=False, n_estimators=size)
