"""Models of the built-in trainer: builds and fits a declared estimator as a scikit-learn pipeline.

A pipeline has two steps: ``columns`` preprocesses the features, ``model`` is the estimator, or the calibrated
estimator.

The same rows, parameters and seed give the same model, whose predictions are equal bit for bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight

from modelmonitor_api.spec import (
    Calibration,
    ClassWeights,
    Estimator,
    Feature,
    Task,
)
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.model.categories import merged, respelled
from modelmonitor_trainer.model.columns import frame, missing_numbers
from modelmonitor_trainer.model.estimators import build
from modelmonitor_trainer.model.folds import last_days
from modelmonitor_trainer.text import listed, one_line

#: Share of the training days that is used for calibration.
CALIBRATION_SHARE = 0.2
#: Rows beyond which boosting stops early by itself.
_STOPPED_ROWS = 10_000
#: Start of scikit-learn's warning about categories that were not in the training rows.
UNKNOWN_CATEGORIES = "Found unknown categories"


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with what is needed to predict with it.

    Attributes
    ----------
    pipeline
        The pipeline, from a data frame of features to predictions.
    features
        Features of the model, in order.
    task
        Task of the model.
    classes
        Class names in the order of their indices; empty for a regression.
    ignored
        Features without any value in the training window, on which the model cannot depend.
    notes
        Warnings of the fit, for example that it did not converge.
    """

    pipeline: Pipeline
    features: tuple[Feature, ...]
    task: Task
    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def scores(self, arrays: Mapping[str, Array]) -> Floats:
        """Return the predictions of the model for some rows.

        Parameters
        ----------
        arrays
            Feature → values, (n,), as :func:`~modelmonitor_trainer.data.labels.feature_arrays` returns them.

        Returns
        -------
        (n,) or (n, k)
            As in :mod:`~modelmonitor_trainer.model.metrics`.

        Raises
        ------
        BadData
            If there are missing values and the model does not accept any.
        """
        rows = respelled(frame(arrays, self.features), self.pipeline["columns"])
        if len(rows) == 0:
            return np.zeros((0, len(self.classes)) if self.task is Task.MULTICLASS_CLASSIFICATION else 0)
        refuse_missing(self.pipeline, rows)
        with warnings.catch_warnings():
            # Unknown categories are expected in production; the encoder handles them.
            warnings.filterwarnings("ignore", message=UNKNOWN_CATEGORIES, category=UserWarning)
            if self.task is Task.REGRESSION:
                return np.asarray(self.pipeline.predict(rows), dtype=np.float64)
            probabilities = np.asarray(self.pipeline.predict_proba(rows), dtype=np.float64)
        return probabilities[:, 1] if self.task is Task.BINARY_CLASSIFICATION else probabilities


def fit(
    estimator: Estimator,
    features: Sequence[Feature],
    task: Task,
    arrays: Mapping[str, Array],
    truth: Array,
    classes: Sequence[str],
    *,
    seed: int,
    days: Ints | None = None,
) -> Model:
    """Fit the declared estimator.

    Parameters
    ----------
    estimator
        ``spec.retraining.estimator``.
    features, task
        Features and task of ``spec.model``.
    arrays
        Feature → values, (n,).
    truth : (n,)
        Class indices, or values.
    classes
        Class names; empty for a regression.
    seed
        Random state of the estimator and its preprocessing.
    days : (n,)
        Day number of each row, which selects the latest rows for calibration; None if the rows are in order.

    Returns
    -------
    Model
        The fitted model.

    Raises
    ------
    BadConfiguration
        If scikit-learn rejects the combination of parameters.
    BadData
        If there are missing values that the estimator does not accept, no feature has any value, or the rows for
        calibration lack a class.
    """
    used = features_with_values(features, arrays)
    pipeline = build(estimator, used, seed=seed)
    rows = merged(frame(arrays, features), features)
    refuse_missing(pipeline, rows)
    unstopped = () if task is Task.REGRESSION else without_early_stopping(pipeline["model"], truth, classes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline = _fit_pipeline(pipeline, estimator, rows, truth, days, classes)
    inner = inner_estimator(pipeline)
    if "n_jobs" in inner.get_params():
        # The order of floating-point sums depends on the threads; predictions must not.
        inner.set_params(n_jobs=None)
    ignored = tuple(feature.name for feature in features if feature not in used)
    notes = (*unstopped, *dict.fromkeys(one_line(warning.message) for warning in caught))
    return Model(pipeline, tuple(features), task, tuple(classes), ignored, notes)


def without_early_stopping(model: Any, truth: Array, classes: Sequence[str]) -> tuple[str, ...]:
    """Turn early stopping off if a class has a single row, which cannot be on both sides; return a note about it.

    Early stopping divides the training rows so that both parts have all classes, and fails on such a class.
    """
    counts = np.bincount(truth, minlength=len(classes)) if classes else np.zeros(0, dtype=np.int64)
    single = [name for name, count in zip(classes, counts, strict=True) if count == 1]
    stopping = getattr(model, "early_stopping", False)
    if not single or stopping is False or (stopping == "auto" and len(truth) <= _STOPPED_ROWS):
        return ()
    model.set_params(early_stopping=False)
    named = listed([repr(name) for name in single], 5)
    return (f"early stopping is off, because the training rows have one row of the class {named}",)


def features_with_values(features: Sequence[Feature], arrays: Mapping[str, Array]) -> list[Feature]:
    """Return the features that have at least one value.

    Raises
    ------
    BadData
        If there is none.
    """
    used = [feature for feature in features if bool(pd.notna(arrays[feature.name]).any())]
    if not used:
        raise BadData("no feature has any value in the training window; check what is written to spec.data.live.uri")
    return used


def fit_weights(estimator: Estimator, truth: Array) -> dict[str, Array]:
    """Return the keyword arguments of a pipeline's ``fit`` for the declared class weights."""
    if estimator.class_weights is ClassWeights.NONE:
        return {}
    return {"model__sample_weight": compute_sample_weight("balanced", truth)}


def inner_estimator(pipeline: Pipeline) -> Any:
    """Return the declared estimator of a pipeline, without its calibration."""
    model = pipeline["model"]
    if isinstance(model, CalibratedClassifierCV):
        model = model.estimator
    return model.estimator if isinstance(model, FrozenEstimator) else model


def _fit_pipeline(
    pipeline: Pipeline,
    estimator: Estimator,
    rows: pd.DataFrame,
    truth: Array,
    days: Ints | None,
    classes: Sequence[str],
) -> Pipeline:
    try:
        if estimator.calibration is not Calibration.NONE:
            return _fit_calibrated(pipeline, estimator, rows, truth, days, classes)
        return pipeline.fit(rows, truth, **fit_weights(estimator, truth))
    except ValueError as error:
        raise BadConfiguration(
            f"{estimator.name} cannot be fitted: {one_line(error)}; change retraining.estimator, or the data"
        ) from error


def _fit_calibrated(
    pipeline: Pipeline,
    estimator: Estimator,
    rows: pd.DataFrame,
    truth: Array,
    days: Ints | None,
    classes: Sequence[str],
) -> Pipeline:
    """Fit a pipeline to the earlier days and calibrate it on the later ones, which it has not seen."""
    later = last_days(days, len(truth), CALIBRATION_SHARE)
    lacking = np.setdiff1d(truth, truth[later])
    if lacking.size:
        named = listed([repr(classes[index]) for index in lacking], 5)
        raise BadData(
            f"the last {CALIBRATION_SHARE:.0%} of the training days, {int(later.sum()):,} rows for calibration, lack "
            f"{lacking.size} of {np.unique(truth).size} classes ({named}); raise retraining.windowDays, or set "
            "retraining.estimator.calibration to None"
        )
    earlier = ~later
    pipeline.fit(rows[earlier], truth[earlier], **fit_weights(estimator, truth[earlier]))
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline["model"]), method=estimator.calibration.value.lower())
    calibrated.fit(pipeline["columns"].transform(rows[later]), truth[later])
    return Pipeline([("columns", pipeline["columns"]), ("model", calibrated)])


def effective_parameters(model: Model) -> dict[str, Any]:
    """Return all parameters of the estimator that are plain data, including defaults, for the record."""
    return {
        name: value
        for name, value in inner_estimator(model.pipeline).get_params(deep=False).items()
        if _is_plain(value)
    }


def refuse_missing(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    """Reject missing values that the estimator does not accept, with an actionable message.

    Raises
    ------
    BadData
        If there are any; the message names the columns.
    """
    model = inner_estimator(pipeline)
    if not isinstance(model, LogisticRegression | Ridge | SGDClassifier | SGDRegressor):
        return
    missing = missing_numbers(pipeline["columns"], rows)
    if missing:
        counts = [(name, f"{count:,} rows" if count > 1 else "1 row") for name, count in [*missing.items()][:5]]
        named = ", ".join(f"{name} ({rows_of})" for name, rows_of in counts)
        raise BadData(
            f"{type(model).__name__} does not accept missing values, and there are some in {named}; set "
            "retraining.estimator.preprocessing.numericImputation to Median or Mean"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and np.isfinite(value))
