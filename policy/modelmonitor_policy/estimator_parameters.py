"""Names of the parameters of estimators: the operator, which has no scikit-learn, knows them as the trainer does.

A test compares them with scikit-learn. Only scikit-learn can validate their values, which the command line does.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from modelmonitor_api.resource import InvalidSpec, Path, Problem
from modelmonitor_api.spec import Estimator, EstimatorName

#: Parameters that cannot be set in estimator.parameters, and what to use instead.
RESERVED: Mapping[str, str] = {
    "random_state": "set retraining.randomSeed",
    "categorical_features": "it follows from the types of the features and preprocessing.categoricalEncoding",
    "warm_start": "set retraining.strategy to WarmStart",
    "class_weight": "set retraining.estimator.classWeights",
    "verbose": "the log belongs to the pod",
}
_NAMES: Mapping[EstimatorName, str] = {
    EstimatorName.HIST_GRADIENT_BOOSTING_CLASSIFIER: (
        "early_stopping interaction_cst l2_regularization learning_rate loss max_bins max_depth max_features "
        "max_iter max_leaf_nodes min_samples_leaf monotonic_cst n_iter_no_change scoring tol "
        "validation_fraction"
    ),
    EstimatorName.HIST_GRADIENT_BOOSTING_REGRESSOR: (
        "early_stopping interaction_cst l2_regularization learning_rate loss max_bins max_depth max_features "
        "max_iter max_leaf_nodes min_samples_leaf monotonic_cst n_iter_no_change quantile scoring tol "
        "validation_fraction"
    ),
    EstimatorName.LOGISTIC_REGRESSION: (
        "C dual fit_intercept intercept_scaling l1_ratio max_iter n_jobs penalty solver tol"
    ),
    EstimatorName.RANDOM_FOREST_CLASSIFIER: (
        "bootstrap ccp_alpha criterion max_depth max_features max_leaf_nodes max_samples "
        "min_impurity_decrease min_samples_leaf min_samples_split min_weight_fraction_leaf monotonic_cst "
        "n_estimators n_jobs oob_score"
    ),
    EstimatorName.RANDOM_FOREST_REGRESSOR: (
        "bootstrap ccp_alpha criterion max_depth max_features max_leaf_nodes max_samples "
        "min_impurity_decrease min_samples_leaf min_samples_split min_weight_fraction_leaf monotonic_cst "
        "n_estimators n_jobs oob_score"
    ),
    EstimatorName.RIDGE: ("alpha copy_X fit_intercept max_iter positive solver tol"),
    EstimatorName.SGD_CLASSIFIER: (
        "alpha average early_stopping epsilon eta0 fit_intercept l1_ratio learning_rate loss max_iter "
        "n_iter_no_change n_jobs penalty power_t shuffle tol validation_fraction"
    ),
    EstimatorName.SGD_REGRESSOR: (
        "alpha average early_stopping epsilon eta0 fit_intercept l1_ratio learning_rate loss max_iter "
        "n_iter_no_change penalty power_t shuffle tol validation_fraction"
    ),
}
#: The parameters of each estimator that a spec can set.
PARAMETERS: Mapping[EstimatorName, frozenset[str]] = {name: frozenset(text.split()) for name, text in _NAMES.items()}


def validate_parameters(estimator: Estimator) -> None:
    """Reject parameters that an estimator does not have, that cannot be set, or that are set twice.

    Raises
    ------
    InvalidSpec
        With the field, and what to change.
    """
    _validate_names(estimator, "parameters", [parameter.name for parameter in estimator.parameters])
    if estimator.search is not None:
        _validate_names(estimator, "search.space", [parameter.name for parameter in estimator.search.space])


def _validate_names(estimator: Estimator, field: str, parameters: list[str]) -> None:
    known = PARAMETERS[estimator.name]
    for index, name in enumerate(parameters):
        path: Path = ("retraining", "estimator", *field.split("."), index, "name")
        if name in RESERVED:
            raise _invalid(path, f"{name} cannot be set here; {RESERVED[name]}")
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known))}"
            raise _invalid(path, f"{estimator.name} has no parameter {name!r}; {hint}")
        if name in parameters[:index]:
            raise _invalid(path, f"{name} is set twice; remove one")


def _invalid(path: Path, message: str) -> InvalidSpec:
    problem = Problem(path, message)
    return InvalidSpec(str(problem), [problem])
