"""Warm starts: continues the training of a fitted model on new rows only."""

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
from modelmonitor_trainer.model.categories import respelled
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.pipeline import (
    UNKNOWN_CATEGORIES,
    Model,
    fit_weights,
    inner_estimator,
    refuse_missing,
)
from modelmonitor_trainer.text import one_line


def continue_training(
    model: Model, estimator: Estimator, arrays: Mapping[str, Array], truth: Array, days: Ints, settings: WarmStart
) -> Model:
    """Return a copy of a model that has also been trained on new rows; `model` is not changed.

    The preprocessing stays as it was fitted, because the estimator depends on it. A linear model with stochastic
    gradient descent takes mini-batches in the order of the days. A random forest gets new trees, fitted to the new
    rows, and drops as many of its oldest.

    Parameters
    ----------
    model
        Model to start from.
    estimator
        ``spec.retraining.estimator``, from which `model` was built.
    arrays
        Feature → values of the new rows, (n,).
    truth : (n,)
        Class indices, all known to the model, or values.
    days : (n,)
        Day number of each row.
    settings
        ``spec.retraining.warmStart``.

    Returns
    -------
    Model
        The new model.

    Raises
    ------
    BadConfiguration
        If the estimator does not support warm starts.
    BadData
        If there are missing values that the estimator does not accept.
    """
    pipeline = copy.deepcopy(model.pipeline)
    inner = inner_estimator(pipeline)
    rows = respelled(frame(arrays, model.features), model.pipeline["columns"])
    refuse_missing(pipeline, rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        numbers = pipeline["columns"].transform(rows)
        weight = fit_weights(estimator, truth).get("model__sample_weight")
        if isinstance(inner, SGDClassifier | SGDRegressor):
            _fit_batches(inner, numbers, truth, weight, np.argsort(days, kind="stable"), settings.batch_rows)
        elif isinstance(inner, RandomForestClassifier | RandomForestRegressor):
            _replace_trees(inner, numbers, truth, weight, settings.new_trees)
        else:
            raise BadConfiguration(
                f"{type(inner).__name__} does not support warm starts; set retraining.strategy to Refit, or use "
                "one of SGDClassifier, SGDRegressor, RandomForestClassifier and RandomForestRegressor"
            )
    messages = (one_line(warning.message) for warning in caught)
    notes = dict.fromkeys(message for message in messages if not message.startswith(UNKNOWN_CATEGORIES))
    return replace(model, pipeline=pipeline, notes=tuple(notes))


def _fit_batches(inner: Any, numbers: Array, truth: Array, weight: Array | None, order: Ints, size: int) -> None:
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        inner.partial_fit(numbers[batch], truth[batch], sample_weight=None if weight is None else weight[batch])


def _replace_trees(inner: Any, numbers: Array, truth: Array, weight: Array | None, count: int) -> None:
    size = inner.n_estimators
    new = min(count, size)
    inner.set_params(warm_start=True, n_estimators=size + new)
    inner.fit(numbers, truth, sample_weight=weight)
    inner.estimators_ = inner.estimators_[new:]
    inner.set_params(warm_start=False, n_estimators=size)
