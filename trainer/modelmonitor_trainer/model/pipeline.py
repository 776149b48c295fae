"""The built-in trainer: a declared estimator as a scikit-learn pipeline, fitted the same way every time.

The same rows, parameters and seed give the same model, bit for bit in its predictions.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from modelmonitor_api.spec import (
    CategoricalEncoding,
    Estimator,
    EstimatorName,
    Feature,
    FeatureType,
    NumericImputation,
    Preprocessing,
    Scaling,
    Task,
)
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.failures import BadConfiguration, BadData

#: The allow-list: nothing else is ever instantiated from a spec.
ESTIMATORS: Mapping[EstimatorName, type[Any]] = {
    EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER: HistGradientBoostingClassifier,
    EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR: HistGradientBoostingRegressor,
    EstimatorName.LOGISTIC_REGRESSION: LogisticRegression,
    EstimatorName.RANDOM_FOREST_CLASSIFIER: RandomForestClassifier,
    EstimatorName.RANDOM_FOREST_REGRESSOR: RandomForestRegressor,
    EstimatorName.RIDGE: Ridge,
}
_BOOSTING = frozenset({EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER, EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR})
_LINEAR = frozenset({EstimatorName.LOGISTIC_REGRESSION, EstimatorName.RIDGE})

#: Parameters that come from elsewhere in the spec, and from where.
_NOT_HERE = {
    "random_state": "set retraining.randomSeed",
    "categorical_features": "the declared types of the features and preprocessing.categoricalEncoding say it",
    "warm_start": "every training starts from nothing",
    "verbose": "the log is the pod's",
}

#: What stands for a missing or unknown category where the estimator takes no NaN.
_NO_CATEGORY = -1


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
        _refuse_missing(self.pipeline, rows)
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

    Raises
    ------
    BadConfiguration
        If the parameters do not go together, with scikit-learn's own words.
    BadData
        If there are missing numbers and the estimator takes none, or no feature has any value.
    """
    used = [feature for feature in features if _has_values(arrays[feature.name])]
    if not used:
        raise BadData("no feature has any value in the training window; check what is written to spec.data.live.uri")
    pipeline = build(estimator, used, seed=seed)
    rows = frame(arrays, features)
    _refuse_missing(pipeline, rows)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            pipeline.fit(rows, truth)
        except ValueError as error:
            raise BadConfiguration(
                f"{estimator.name} cannot be fitted: {_one_line(error)}. Change retraining.estimator, or the data"
            ) from error
    if "n_jobs" in pipeline["model"].get_params():
        # Sums of several threads depend on which is first; a prediction must not.
        pipeline["model"].set_params(n_jobs=None)
    ignored = tuple(feature.name for feature in features if feature not in used)
    notes = tuple(dict.fromkeys(_one_line(warning.message) for warning in said))
    return Model(pipeline, tuple(features), task, tuple(classes), ignored, notes)


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
    numeric = [feature.name for feature in features if feature.type is FeatureType.NUMERIC]
    categorical = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    codes = steps.categorical_encoding is CategoricalEncoding.ORDINAL
    parameters = checked_parameters(estimator)
    if estimator.name in _BOOSTING:
        first = len(numeric)
        parameters["categorical_features"] = list(range(first, first + len(categorical))) if codes else None
        bins = parameters.get("max_bins", 255)
        if codes and categorical and steps.max_categories > bins:
            raise BadConfiguration(
                f"retraining.estimator: preprocessing.maxCategories is {steps.max_categories} and max_bins {bins}; "
                "the estimator needs a bin for each category, so lower the first or raise the second"
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
        raise BadConfiguration(f"retraining.estimator: {_one_line(error)}") from error
    columns = ColumnTransformer(
        [
            ("numeric", _numeric_steps(steps), numeric),
            ("categorical", _encoder(steps, takes_nan=estimator.name not in _LINEAR), categorical),
        ],
        remainder="drop",
        sparse_threshold=0.0,
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
    return {name: value for name, value in model.pipeline["model"].get_params(deep=False).items() if _is_plain(value)}


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that make a model what it is."""
    named = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")
    return {name: importlib.metadata.version(name) for name in named}


def frame(arrays: Mapping[str, Array], features: Sequence[Feature]) -> pd.DataFrame:
    """Return features as a data frame: float columns with NaN for what is not finite, object columns with None."""
    return pd.DataFrame({feature.name: _column(arrays[feature.name], feature) for feature in features})


def _column(values: Array, feature: Feature) -> pd.Series[Any]:
    if feature.type is FeatureType.CATEGORICAL:
        return pd.Series(values, dtype=object)
    numbers = np.asarray(values, dtype=np.float64)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))


def _has_values(values: Array) -> bool:
    return bool(pd.notna(values).any())


def _numeric_steps(steps: Preprocessing) -> Any:
    chain: list[tuple[str, Any]] = []
    if steps.numeric_imputation is not NumericImputation.NONE:
        chain.append(("impute", SimpleImputer(strategy=steps.numeric_imputation.value.lower())))
    if steps.scaling is Scaling.STANDARD:
        chain.append(("scale", StandardScaler()))
    return Pipeline(chain) if chain else "passthrough"


def _encoder(steps: Preprocessing, *, takes_nan: bool) -> Any:
    if steps.categorical_encoding is CategoricalEncoding.ONE_HOT:
        return OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=steps.max_categories, sparse_output=False
        )
    missing = np.nan if takes_nan else _NO_CATEGORY
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=missing,
        encoded_missing_value=missing,
        max_categories=steps.max_categories,
        dtype=np.float64,
    )


def _refuse_missing(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    """Refuse missing numbers before an estimator that takes none does so in words of its own."""
    columns, model = pipeline["columns"], pipeline["model"]
    _, steps, numeric = columns.transformers[0]
    imputed = isinstance(steps, Pipeline) and "impute" in steps.named_steps
    if imputed or not isinstance(model, LogisticRegression | Ridge):
        return
    missing = rows[numeric].isna().sum()
    if missing.any():
        named = ", ".join(f"{name} ({count:,} rows)" for name, count in missing[missing > 0].head(5).items())
        raise BadData(
            f"{type(model).__name__} takes no missing numbers, and there are some in {named}; set "
            "retraining.estimator.preprocessing.numericImputation to Median or Mean"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and np.isfinite(value))


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:300]
