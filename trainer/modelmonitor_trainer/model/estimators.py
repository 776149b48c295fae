"""Estimators that a spec can declare: their parameters, and the unfitted pipeline of one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline

from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.spec import CategoricalEncoding, Estimator, EstimatorName, Feature, FeatureType
from modelmonitor_policy.estimator_parameters import validate_parameters
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.columns import columns_step
from modelmonitor_trainer.text import one_line

#: Allow-list of estimators: no other class is instantiated from a spec.
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
#: Losses with which SGDClassifier predicts probabilities.
_PROBABILISTIC_LOSSES = ("log_loss", "modified_huber")


def build(estimator: Estimator, features: Sequence[Feature], *, seed: int) -> Pipeline:
    """Return the unfitted pipeline of a declared estimator.

    Numeric features are imputed, then scaled, as declared in ``preprocessing``. Categories become codes or columns;
    rare ones share one, and a category that was not in the training rows counts as missing. The boosting estimators
    get the list of columns that are codes, so that they treat them as unordered.

    Raises
    ------
    BadConfiguration
        If a parameter is unknown, reserved, or has a value that the estimator rejects.
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
    if (
        estimator.name is EstimatorName.SGD_CLASSIFIER
        and parameters.setdefault("loss", "log_loss") not in _PROBABILISTIC_LOSSES
    ):
        raise BadConfiguration(
            f"retraining.estimator.parameters: SGDClassifier predicts no probabilities with loss "
            f"{parameters['loss']!r}, which metrics and comparisons need; use {' or '.join(_PROBABILISTIC_LOSSES)}"
        )
    kind = ESTIMATORS[estimator.name]
    if "random_state" in inspect.signature(kind).parameters:
        parameters["random_state"] = seed
    model = kind(**parameters)
    try:
        # The only way to make scikit-learn validate values without fitting; otherwise an invalid value would only
        # fail after the data are read.
        model._validate_params()  # noqa: SLF001 - public methods validate in fit, which needs rows
    except ValueError as error:
        raise BadConfiguration(f"retraining.estimator: {one_line(error)}") from error
    columns = columns_step(
        steps,
        features,
        takes_nan=estimator.name not in _LINEAR,
        classifies=estimator.name.is_classifier,
        seed=seed,
    )
    return Pipeline([("columns", columns), ("model", model)])


def checked_parameters(estimator: Estimator) -> dict[str, Any]:
    """Return the declared parameters as Python values.

    Raises
    ------
    BadConfiguration
        If a parameter is unknown, reserved or repeated.
    """
    try:
        validate_parameters(estimator)
    except InvalidSpec as error:
        raise BadConfiguration(str(error)) from error
    return {parameter.name: parameter.decoded() for parameter in estimator.parameters}
