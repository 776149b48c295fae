"""The built-in trainer: a declared estimator as a scikit-learn pipeline, fitted the same way every time.

A pipeline has two steps: ``columns`` makes numbers of features, ``model`` is the estimator, or the estimator with its
calibration around it.

The same rows, parameters and seed give the same model, bit for bit in its predictions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight

from modelmonitor_api.spec import (
    Calibration,
    CategoricalEncoding,
    ClassWeights,
    Estimator,
    EstimatorName,
    Feature,
    FeatureType,
    Task,
)
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.model.columns import columns_step, frame, missing_numbers
from modelmonitor_trainer.model.folds import last_days

#: The allow-list: nothing else is ever instantiated from a spec.
ESTIMATORS: Mapping[EstimatorName, type[Any]] = {
    EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER: HistGradientBoostingClassifier,
    EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR: HistGradientBoostingRegressor,
    EstimatorName.LOGISTIC_REGRESSION: LogisticRegression,
    EstimatorName.RANDOM_FOREST_CLASSIFIER: RandomForestClassifier,
    EstimatorName.RANDOM_FOREST_REGRESSOR: RandomForestRegressor,
    EstimatorName.RIDGE: Ridge,
    EstimatorName.SGD_CLASSIFIER: SGDClassifier,
    EstimatorName.SGD_REGRESSOR: SGDRegressor,
}
_BOOSTING = frozenset({EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER, EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR})
_LINEAR = frozenset(
    {
        EstimatorName.LOGISTIC_REGRESSION,
        EstimatorName.RIDGE,
        EstimatorName.SGD_CLASSIFIER,
        EstimatorName.SGD_REGRESSOR,
    }
)

#: Parameters that come from elsewhere in the spec, and from where.
_NOT_HERE = {
    "random_state": "set retraining.randomSeed",
    "categorical_features": "the declared types of the features and preprocessing.categoricalEncoding say it",
    "warm_start": "set retraining.strategy to WarmStart",
    "class_weight": "set retraining.estimator.classWeights",
    "verbose": "the log is the pod's",
}

#: Losses of SGDClassifier that give probabilities.
_PROBABLE = ("log_loss", "modified_huber")
#: Share of the training days that calibrates.
CALIBRATION_SHARE = 0.2


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with what is needed to ask it.

    Attributes
    ----------
    pipeline
        From a data frame of features to predictions.
    features
        What it takes, in order.
    task
        What it predicts.
    classes
        The classes as text, in the order of their places; empty for a regression.
    ignored
        Features without any value in the training window, on which it cannot depend.
    notes
        What the fit had to say, such as that it did not converge.
    """

    pipeline: Pipeline
    features: tuple[Feature, ...]
    task: Task
    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def scores(self, arrays: Mapping[str, Array]) -> Floats:
        """Return what the model says of some rows.

        Parameters
        ----------
        arrays
            Feature → (n,) values, as :func:`~modelmonitor_trainer.data.labels.feature_arrays` makes them.

        Returns
        -------
        (n,) or (n, k)
            As in :mod:`~modelmonitor_trainer.model.metrics`.

        Raises
        ------
        BadData
            If there are missing numbers and the model takes none.
        """
        rows = frame(arrays, self.features)
        if len(rows) == 0:
            return np.zeros((0, len(self.classes)) if self.task is Task.MULTICLASS_CLASSIFICATION else 0)
        refuse_missing(self.pipeline, rows)
        with warnings.catch_warnings():
            # An unknown category is an ordinary event in production, and handled by the encoder.
            warnings.filterwarnings("ignore", message="Found unknown categories", category=UserWarning)
            if self.task is Task.REGRESSION:
                return np.asarray(self.pipeline.predict(rows), dtype=np.float64)
            said = np.asarray(self.pipeline.predict_proba(rows), dtype=np.float64)
        return said[:, 1] if self.task is Task.BINARY_CLASSIFICATION else said


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
    """Return the declared estimator, fitted.

    Parameters
    ----------
    estimator
        ``spec.retraining.estimator``.
    features, task
        Of ``spec.model``.
    arrays
        Feature → (n,) values.
    truth : (n,)
        Places of classes, or values.
    classes
        The classes as text; empty for a regression.
    seed
        Of everything random.
    days : (n,)
        Number of the day of each row, by which the rows that calibrate are the latest; None: the rows are in order.

    Raises
    ------
    BadConfiguration
        If the parameters do not go together, with scikit-learn's own words.
    BadData
        If there are missing numbers and the estimator takes none, no feature has any value, or the rows that
        calibrate lack a class.
    """
    used = with_values(features, arrays)
    pipeline = build(estimator, used, seed=seed)
    rows = frame(arrays, features)
    refuse_missing(pipeline, rows)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if estimator.calibration is Calibration.NONE:
                pipeline.fit(rows, truth, **weights(estimator, truth))
            else:
                pipeline = _fit_calibrated(pipeline, estimator, rows, truth, days)
        except ValueError as error:
            raise BadConfiguration(
                f"{estimator.name} cannot be fitted: {one_line(error)}. Change retraining.estimator, or the data"
            ) from error
    inner = innermost(pipeline)
    if "n_jobs" in inner.get_params():
        # Sums of several threads depend on which is first; a prediction must not.
        inner.set_params(n_jobs=None)
    ignored = tuple(feature.name for feature in features if feature not in used)
    notes = tuple(dict.fromkeys(one_line(warning.message) for warning in said))
    return Model(pipeline, tuple(features), task, tuple(classes), ignored, notes)


def with_values(features: Sequence[Feature], arrays: Mapping[str, Array]) -> list[Feature]:
    """Return the features that have any value.

    Raises
    ------
    BadData
        If none has.
    """
    used = [feature for feature in features if bool(pd.notna(arrays[feature.name]).any())]
    if not used:
        raise BadData("no feature has any value in the training window; check what is written to spec.data.live.uri")
    return used


def weights(estimator: Estimator, truth: Array) -> dict[str, Array]:
    """Return what ``fit`` of a pipeline is told of how much each row counts."""
    if estimator.class_weights is ClassWeights.NONE:
        return {}
    return {"model__sample_weight": compute_sample_weight("balanced", truth)}


def innermost(pipeline: Pipeline) -> Any:
    """Return the declared estimator in a pipeline, without the calibration around it."""
    model = pipeline["model"]
    if isinstance(model, CalibratedClassifierCV):
        model = model.estimator
    return model.estimator if isinstance(model, FrozenEstimator) else model


def _fit_calibrated(
    pipeline: Pipeline, estimator: Estimator, rows: pd.DataFrame, truth: Array, days: Ints | None
) -> Pipeline:
    """Return the pipeline fitted to the earlier days, and calibrated by the later ones, which it has not seen."""
    later = last_days(days, len(truth), CALIBRATION_SHARE)
    lacking = np.setdiff1d(truth, truth[later])
    if lacking.size:
        raise BadData(
            f"the last {CALIBRATION_SHARE:.0%} of the training days, {int(later.sum()):,} rows which calibrate, lack "
            f"{lacking.size} of {np.unique(truth).size} classes; raise retraining.windowDays, or set "
            "retraining.estimator.calibration to None"
        )
    earlier = ~later
    pipeline.fit(rows[earlier], truth[earlier], **weights(estimator, truth[earlier]))
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline["model"]), method=estimator.calibration.value.lower())
    calibrated.fit(pipeline["columns"].transform(rows[later]), truth[later])
    return Pipeline([("columns", pipeline["columns"]), ("model", calibrated)])


def build(estimator: Estimator, features: Sequence[Feature], *, seed: int) -> Pipeline:
    """Return the pipeline of a declared estimator, not yet fitted.

    Numbers are imputed, then scaled, as ``preprocessing`` says. Categories become codes or columns; rare ones
    share one, and one that was not there in training counts as missing. The boosting estimators are told which
    columns are codes, so that no order is read into them.

    Raises
    ------
    BadConfiguration
        If a parameter is unknown, not for here, or of the wrong kind.
    """
    steps = estimator.preprocessing
    codes = steps.categorical_encoding is CategoricalEncoding.ORDINAL
    parameters = checked_parameters(estimator)
    if estimator.name in _BOOSTING:
        categorical = sum(feature.type is FeatureType.CATEGORICAL for feature in features)
        first = len(features) - categorical
        parameters["categorical_features"] = list(range(first, len(features))) if codes else None
        bins = parameters.get("max_bins", 255)
        if codes and categorical and steps.max_categories > bins:
            raise BadConfiguration(
                f"retraining.estimator: preprocessing.maxCategories is {steps.max_categories} and max_bins {bins}; "
                "the estimator needs a bin for each category, so lower the first or raise the second"
            )
    if estimator.name is EstimatorName.SGD_CLASSIFIER and parameters.setdefault("loss", "log_loss") not in _PROBABLE:
        raise BadConfiguration(
            f"retraining.estimator.parameters: with loss {parameters['loss']!r} SGDClassifier gives no probabilities, "
            f"which scores and comparisons need; use {' or '.join(_PROBABLE)}"
        )
    model = ESTIMATORS[estimator.name]
    if "random_state" in inspect.signature(model).parameters:
        parameters["random_state"] = seed
    made = model(**parameters)
    try:
        # The only way to have scikit-learn check values without fitting; a wrong one would fail after the data are
        # read, an hour later.
        made._validate_params()  # noqa: SLF001
    except ValueError as error:
        raise BadConfiguration(f"retraining.estimator: {one_line(error)}") from error
    columns = columns_step(
        steps,
        features,
        takes_nan=estimator.name not in _LINEAR,
        classifies=estimator.name.is_classifier,
        seed=seed,
    )
    return Pipeline([("columns", columns), ("model", made)])


def checked_parameters(estimator: Estimator) -> dict[str, Any]:
    """Return the declared parameters as Python values.

    Raises
    ------
    BadConfiguration
        Naming the parameter, and those that there are.
    """
    known = set(inspect.signature(ESTIMATORS[estimator.name]).parameters)
    found: dict[str, Any] = {}
    for parameter in estimator.parameters:
        if parameter.name in _NOT_HERE:
            raise BadConfiguration(
                f"retraining.estimator.parameters: {parameter.name} cannot be set here; {_NOT_HERE[parameter.name]}"
            )
        if parameter.name not in known:
            offered = ", ".join(sorted(known - set(_NOT_HERE)))
            raise BadConfiguration(
                f"retraining.estimator.parameters: {estimator.name} has no parameter {parameter.name!r}; "
                f"it has {offered}"
            )
        if parameter.name in found:
            raise BadConfiguration(f"retraining.estimator.parameters: {parameter.name} is there twice; remove one")
        found[parameter.name] = parameter.decoded()
    return found


def effective_parameters(model: Model) -> dict[str, Any]:
    """Return all parameters of the estimator, defaults included, as plain data; for the record."""
    return {name: value for name, value in innermost(model.pipeline).get_params(deep=False).items() if _is_plain(value)}


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that make a model what it is."""
    named = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")
    return {name: importlib.metadata.version(name) for name in named}


def installed_digest() -> str:
    """Return the SHA-256 of the code that is installed: of each distribution's name, version and list of files.

    A pod does not know the digest of its own image. What trained the model is in here all the same, ModelMonitor's own
    code included, and equal images give equal digests.
    """
    digest = hashlib.sha256()
    found = {
        (dist.name, dist.version, dist.read_text("RECORD") or "")
        for dist in importlib.metadata.distributions()
        if dist.name
    }
    for name, version, files in sorted(found):
        digest.update(f"{name} {version} {hashlib.sha256(files.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def refuse_missing(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    """Refuse missing numbers before an estimator that takes none does so in words of its own.

    Raises
    ------
    BadData
        Naming the columns.
    """
    model = innermost(pipeline)
    if not isinstance(model, LogisticRegression | Ridge | SGDClassifier | SGDRegressor):
        return
    missing = missing_numbers(pipeline["columns"], rows)
    if missing:
        named = ", ".join(f"{name} ({count:,} rows)" for name, count in [*missing.items()][:5])
        raise BadData(
            f"{type(model).__name__} takes no missing numbers, and there are some in {named}; set "
            "retraining.estimator.preprocessing.numericImputation to Median or Mean"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and np.isfinite(value))


def one_line(said: object) -> str:
    """Return what a library says in one line that is not too long."""
    return " ".join(str(said).split())[:300]
