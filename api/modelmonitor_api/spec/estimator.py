"""The estimator of the built-in trainer: preprocessing, hyperparameters, search and calibration."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from modelmonitor_api.resource import Resource, Rule

#: Estimators that the strategy WarmStart supports.
WARM_STARTABLE = ("RandomForestClassifier", "RandomForestRegressor", "SGDClassifier", "SGDRegressor")


class EstimatorName(StrEnum):
    """Scikit-learn estimators of the built-in trainer."""

    HIST_GRADIENT_BOOSTING_CLASSIFIER = "HistGradientBoostingClassifier"
    HIST_GRADIENT_BOOSTING_REGRESSOR = "HistGradientBoostingRegressor"
    LOGISTIC_REGRESSION = "LogisticRegression"
    RANDOM_FOREST_CLASSIFIER = "RandomForestClassifier"
    RANDOM_FOREST_REGRESSOR = "RandomForestRegressor"
    RIDGE = "Ridge"
    SGD_CLASSIFIER = "SGDClassifier"
    SGD_REGRESSOR = "SGDRegressor"

    @property
    def starts_warm(self) -> bool:
        """Whether a fitted estimator can continue training on new rows alone.

        Linear models trained by stochastic gradient descent take further steps, and forests get further trees. The
        others are refitted to all rows. The ``warm_start`` of HistGradientBoosting is valid for the same rows only,
        because every fit bins the features again.
        """
        return self.value in WARM_STARTABLE

    @property
    def is_classifier(self) -> bool:
        """Whether the estimator is a classifier."""
        return self.value.endswith("Classifier") or self is EstimatorName.LOGISTIC_REGRESSION


class NumericImputation(StrEnum):
    """Imputation of missing numbers."""

    NONE = "None"
    MEDIAN = "Median"
    MEAN = "Mean"


class Scaling(StrEnum):
    """Scaling of numeric features."""

    NONE = "None"
    STANDARD = "Standard"


class CategoricalEncoding(StrEnum):
    """Encoding of categorical features."""

    ORDINAL = "Ordinal"
    ONE_HOT = "OneHot"
    TARGET = "Target"


class ClassWeights(StrEnum):
    """Weights of classes in the fit."""

    NONE = "None"
    BALANCED = "Balanced"


class Calibration(StrEnum):
    """Probability calibration of classifier scores."""

    NONE = "None"
    SIGMOID = "Sigmoid"
    ISOTONIC = "Isotonic"


class SearchMethod(StrEnum):
    """Method of a hyperparameter search."""

    GRID = "Grid"
    RANDOM = "Random"
    SUCCESSIVE_HALVING = "SuccessiveHalving"


class Preprocessing(Resource):
    """Preprocessing steps before the estimator, fitted on the training window only and stored with the model."""

    numeric_imputation: NumericImputation = Field(
        NumericImputation.NONE,
        description="Imputation of missing numbers. None: the estimator receives NaN, which the HistGradientBoosting "
        "and RandomForest estimators support. Median, Mean: of the training rows.",
    )
    scaling: Scaling = Field(
        Scaling.NONE, description="Scaling of numeric features. Standard: zero mean and unit variance."
    )
    categorical_encoding: CategoricalEncoding = Field(
        CategoricalEncoding.ORDINAL,
        description="Encoding of categorical features. Ordinal: one integer per category. OneHot: one column per "
        "category. Target: the mean target of the category's training rows, shrunk towards the overall mean for rare "
        "categories; for features with many categories.",
    )
    max_categories: int = Field(
        50,
        description="Maximum number of categories per feature; rarer ones share a code. Ignored by Target.",
        ge=2,
        le=255,
    )


class Parameter(Resource):
    """A hyperparameter of an estimator."""

    name: str = Field(
        description="Name of the hyperparameter in scikit-learn.",
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
    )
    value: str = Field(
        description='Value as JSON, for example 150, 0.05, true, null or "balanced". Strings can be unquoted.',
        max_length=253,
    )

    def decoded(self) -> Any:
        """Return the value as a Python object."""
        try:
            return json.loads(self.value)
        except json.JSONDecodeError:
            return self.value


#: A value as JSON; strings can be unquoted.
JSONText = Annotated[str, Field(max_length=253)]


class SearchedParameter(Resource):
    """Candidate values of one hyperparameter in a search."""

    name: str = Field(
        description="Name of the hyperparameter in scikit-learn.",
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
    )
    values: list[JSONText] = Field(
        description="Candidate values as JSON, as in estimator.parameters.", min_length=1, max_length=32
    )


class Search(Resource):
    """Hyperparameter search, scored by time-ordered cross-validation within the training window."""

    method: SearchMethod = Field(
        SearchMethod.RANDOM,
        description="Search method. Grid: all combinations. Random: a random sample of candidates. SuccessiveHalving: "
        "a random sample of candidates, of which the best third continues with three times as many rows until one is "
        "left.",
    )
    space: list[SearchedParameter] = Field(
        description="Search space: hyperparameters with their candidate values.",
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    candidates: int = Field(
        20,
        description="Number of combinations to draw for Random and SuccessiveHalving, and the maximum number for Grid.",
        ge=2,
        le=500,
    )
    folds: int = Field(
        3,
        description="Number of cross-validation folds. In each fold, a combination is scored on the days after those "
        "it was fitted to, by promotion.metric. The hold-out is not used.",
        ge=2,
        le=10,
    )


class Estimator(Resource):
    """Scikit-learn pipeline of the built-in trainer."""

    name: EstimatorName = Field(description="Class name of the scikit-learn estimator.")
    parameters: list[Parameter] = Field(
        default_factory=list,
        description="Hyperparameters that differ from the defaults of scikit-learn.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    preprocessing: Preprocessing = Field(Preprocessing(), description="Preprocessing steps before the estimator.")
    class_weights: ClassWeights = Field(
        ClassWeights.NONE,
        description="Weights of classes in the fit. Balanced: all classes have the same total weight, so that a rare "
        "class is not ignored. This biases the probabilities of rare classes upwards; set calibration to correct them.",
    )
    calibration: Calibration = Field(
        Calibration.NONE,
        description="Probability calibration. Sigmoid, Isotonic: the estimator is fitted to the first four fifths of "
        "the training window's days, and its scores are calibrated on the last fifth.",
    )
    search: Search | None = Field(
        None,
        description="Hyperparameter search. The strategy Refit searches for the first model and keeps the result; "
        "Retrain searches every time. If omitted, only the declared parameters are used.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.name.endsWith('Classifier') || self.name == 'LogisticRegression' "
            "|| (self.calibration == 'None' && self.classWeights == 'None')",
            message="calibration and classWeights are for classifiers; remove them or change the estimator",
            holds=lambda self: self.name.is_classifier or (self.calibration == "None" and self.class_weights == "None"),
        ),
    )
