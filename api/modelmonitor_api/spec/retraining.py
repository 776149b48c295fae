"""When to train, with what, and within which limits."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from modelmonitor_api.resource import MAX_COUNT, Resource, Rule
from modelmonitor_api.spec.detection import RateLimit


class Triggers(Resource):
    """What starts a training, beside the annotation modelmonitor.io/retrain-requested-at."""

    on_drift: bool = Field(True, description="Train when a check says Drift.")
    on_performance: bool = Field(True, description="Train when the champion's score has dropped.")
    every_days: int | None = Field(
        None, description="Train when this many days have passed since the last training.", ge=1, le=3650
    )
    every_new_rows: int | None = Field(
        None,
        description="Train when this many rows have arrived since the champion's training data.",
        ge=1,
        le=MAX_COUNT,
    )


class RetrainingMode(StrEnum):
    """Whether a trigger trains."""

    AUTO = "Auto"
    DRY_RUN = "DryRun"
    MANUAL = "Manual"


class Strategy(StrEnum):
    """What a training keeps of the champion."""

    REFIT = "Refit"
    RETRAIN = "Retrain"
    WARM_START = "WarmStart"


_STARTING_WARM = ("RandomForestClassifier", "RandomForestRegressor", "SGDClassifier", "SGDRegressor")


class EstimatorName(StrEnum):
    """Estimators of scikit-learn that the built-in trainer fits."""

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
        """Whether a fitted one can learn from further rows alone.

        Linear models by stochastic gradient descent take steps from where they are; forests take further trees. The
        others solve for given rows anew. HistGradientBoosting has a warm start of its own, and it is valid on the
        same rows only: its bins are cut again for every fit.
        """
        return self.value in _STARTING_WARM

    @property
    def is_classifier(self) -> bool:
        """Whether the estimator predicts classes."""
        return self.value.endswith("Classifier") or self is EstimatorName.LOGISTIC_REGRESSION


class NumericImputation(StrEnum):
    """What stands for a missing number."""

    NONE = "None"
    MEDIAN = "Median"
    MEAN = "Mean"


class Scaling(StrEnum):
    """How numbers are scaled."""

    NONE = "None"
    STANDARD = "Standard"


class CategoricalEncoding(StrEnum):
    """How categories become numbers."""

    ORDINAL = "Ordinal"
    ONE_HOT = "OneHot"
    TARGET = "Target"


class ClassWeights(StrEnum):
    """How much the rows of a class count."""

    NONE = "None"
    BALANCED = "Balanced"


class Calibration(StrEnum):
    """How scores are made probabilities."""

    NONE = "None"
    SIGMOID = "Sigmoid"
    ISOTONIC = "Isotonic"


class SearchMethod(StrEnum):
    """How a search space is searched."""

    GRID = "Grid"
    RANDOM = "Random"
    SUCCESSIVE_HALVING = "SuccessiveHalving"


class Preprocessing(Resource):
    """Steps before the estimator, fitted on the training window only and stored with the model."""

    numeric_imputation: NumericImputation = Field(
        NumericImputation.NONE,
        description="What stands for a missing number. None: the estimator sees NaN, which the HistGradientBoosting "
        "and RandomForest estimators accept.",
    )
    scaling: Scaling = Field(Scaling.NONE, description="Standard: zero mean and unit variance.")
    categorical_encoding: CategoricalEncoding = Field(
        CategoricalEncoding.ORDINAL,
        description="Ordinal: one number a category. OneHot: one column a category. Target: "
        "the mean outcome of its training rows, drawn towards the mean of all where they are few; for features of "
        "many categories.",
    )
    max_categories: int = Field(
        50,
        description="Categories kept of each feature; rarer ones share a code. Target keeps all.",
        ge=2,
        le=255,
    )


class Parameter(Resource):
    """A parameter of an estimator."""

    name: str = Field(
        description="Name, as in scikit-learn.", min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"
    )
    value: str = Field(
        description='Value in JSON: 150, 0.05, true, null, "balanced" (text may leave its quotes out).', max_length=253
    )

    def decoded(self) -> Any:
        """Return the value as Python data."""
        try:
            return json.loads(self.value)
        except json.JSONDecodeError:
            return self.value


#: A value in JSON; text may leave its quotes out.
JSONText = Annotated[str, Field(max_length=253)]


class SearchedParameter(Resource):
    """Values of one parameter that a search tries."""

    name: str = Field(
        description="Name, as in scikit-learn.", min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"
    )
    values: list[JSONText] = Field(
        description="Values in JSON, as of estimator.parameters.", min_length=1, max_length=32
    )


class Search(Resource):
    """Parameters that a training chooses itself, by the score of later days of its training window."""

    method: SearchMethod = Field(
        SearchMethod.RANDOM,
        description="Grid: every combination. Random: so many of them as candidates. SuccessiveHalving: so many, of "
        "which the better third goes on to three times as many rows until one is left.",
    )
    space: list[SearchedParameter] = Field(
        description="What is tried.",
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    candidates: int = Field(
        20,
        description="Combinations that Random and SuccessiveHalving draw; the most that Grid may have.",
        ge=2,
        le=500,
    )
    folds: int = Field(
        3,
        description="How many times a combination is scored, each time on the days after those it was fitted to. The "
        "score is promotion.metric; the hold-out is not touched.",
        ge=2,
        le=10,
    )


class Estimator(Resource):
    """A scikit-learn pipeline, fitted by the built-in trainer."""

    name: EstimatorName = Field(description="Class of the estimator.")
    parameters: list[Parameter] = Field(
        default_factory=list,
        description="Parameters of the estimator that differ from scikit-learn's defaults.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    preprocessing: Preprocessing = Field(Preprocessing(), description="Steps before the estimator.")
    class_weights: ClassWeights = Field(
        ClassWeights.NONE,
        description="Balanced: the rows of each class together count the same, so that a rare class is not passed "
        "over. Probabilities are then too high for the rare class; calibration puts them right.",
    )
    calibration: Calibration = Field(
        Calibration.NONE,
        description="Sigmoid, Isotonic: the estimator is fitted to the first four fifths of the days of the training "
        "window, and its scores are made probabilities by the last fifth.",
    )
    search: Search | None = Field(
        None,
        description="Parameters to choose from. Refit searches for the first model and keeps what was found; Retrain "
        "searches every time. Absent: the declared parameters are all.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.name.endsWith('Classifier') || self.name == 'LogisticRegression' "
            "|| (self.calibration == 'None' && self.classWeights == 'None')",
            message="calibration and classWeights are for classifiers; remove them, or change the estimator",
            holds=lambda self: self.name.is_classifier or (self.calibration == "None" and self.class_weights == "None"),
        ),
    )


#: A Kubernetes quantity such as 500m or 2Gi.
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]


class ResourceList(Resource):
    """Amounts of processor and memory."""

    cpu: Quantity | None = Field(None, description="Cores, for example 500m.")
    memory: Quantity | None = Field(None, description="Memory, for example 2Gi.")


class ResourceRequirements(Resource):
    """What a pod asks for and may use."""

    requests: ResourceList = Field(ResourceList(), description="What the scheduler sets aside.")
    limits: ResourceList = Field(ResourceList(), description="What the pod may not exceed.")


#: Value of an environment variable or a label; bounded so that the resource stays small.
ShortText = Annotated[str, Field(max_length=1024)]


class EnvVar(Resource):
    """An environment variable of a trainer of the user's own."""

    name: str = Field(description="Name.", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
    value: ShortText = Field("", description="Value; not a place for secrets.")


class Trainer(Resource):
    """The pod that trains."""

    image: str | None = Field(
        None,
        description="Image of a trainer of your own, best pinned by digest; it must speak the trainer protocol. "
        "Absent: the built-in trainer, which fits retraining.estimator.",
        min_length=1,
        max_length=512,
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        description="Environment of your own trainer.",
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    resources: ResourceRequirements = Field(
        ResourceRequirements(requests=ResourceList(cpu="500m", memory="1Gi"), limits=ResourceList(memory="2Gi")),
        description="Processor and memory of the pod.",
    )
    active_deadline_seconds: int = Field(
        7200, description="Time after which the training is stopped and counts as failed.", ge=60, le=604800
    )
    backoff_limit: int = Field(2, description="How many times a failed pod is started again.", ge=0, le=10)


class WarmStart(Resource):
    """How the strategy WarmStart goes on from the champion."""

    full_refit_every: int = Field(
        4,
        description="After so many warm starts in a row, a model is fitted to the whole training window beside the "
        "next one. Where it is better beyond chance, it takes the place of the other: slow forgetting shows.",
        ge=1,
        le=100,
    )
    batch_rows: int = Field(2000, description="Rows of a mini-batch, for the SGD estimators.", ge=10, le=1000000)
    new_trees: int = Field(
        20,
        description="Trees that a forest is given for the new rows; so many of its oldest go.",
        ge=1,
        le=1000,
    )


class Retention(Resource):
    """How much of what trainings and checks leave is kept."""

    versions: int = Field(
        50,
        description="Newest versions of the model that are kept. The champion, the one before it, and versions that "
        "await approval are kept besides.",
        ge=2,
        le=1000,
    )
    report_days: int = Field(
        365,
        description="Days for which reports of checks and trainings are kept; those of versions that are kept, and "
        "the newest checks, for longer.",
        ge=7,
        le=3650,
    )
    checks: int = Field(
        2000,
        description="Newest reports of checks that are kept at most, young as they may be.",
        ge=10,
        le=100000,
    )
    profile_days: int = Field(
        180,
        description="Days for which profiles of partitions are kept. One that is still needed is made again.",
        ge=7,
        le=3650,
    )


class Retraining(Resource):
    """When to train, with what, and within which limits."""

    mode: RetrainingMode = Field(
        RetrainingMode.AUTO,
        description="Auto: triggers train. DryRun: triggers are reported and nothing is trained. Manual: only the "
        "annotation modelmonitor.io/retrain-requested-at trains.",
    )
    strategy: Strategy = Field(
        Strategy.REFIT,
        description="Refit: the declared hyperparameters and those that the champion's search has found, fitted to new "
        "data. Retrain: estimator.search is run again. WarmStart: the champion learns from the rows since its own "
        "training window; where it cannot, as the first one, Refit. A trainer of your own is told.",
    )
    warm_start: WarmStart = Field(WarmStart(), description="How the strategy WarmStart goes on from the champion.")
    window_days: int = Field(90, description="How many days of data to train on.", ge=1, le=3650)
    min_new_rows: int = Field(
        0,
        description="A training waits until so many rows have arrived since the champion's training data.",
        ge=0,
        le=MAX_COUNT,
    )
    cooldown_seconds: int = Field(86400, description="Time between the starts of two trainings.", ge=0, le=31536000)
    budget: RateLimit = Field(
        RateLimit(count=4, per_days=30), description="How many trainings may be started in how many days."
    )
    trainer: Trainer = Field(Trainer(), description="The pod that trains.")
    estimator: Estimator | None = Field(
        None, description="What the built-in trainer fits. Absent where trainer.image names your own."
    )
    random_seed: int = Field(
        0, description="Seed of everything random in training and comparison.", ge=0, le=2147483647
    )
    retention: Retention = Field(
        Retention(), description="How much of what trainings and checks leave is kept. A training tidies up."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.estimator) != (has(self.trainer) && has(self.trainer.image))",
            message="set either retraining.estimator (built-in trainer) or retraining.trainer.image (your own)",
            holds=lambda self: (self.estimator is not None) != (self.trainer.image is not None),
        ),
        Rule(
            cel="self.strategy != 'Retrain' || !has(self.estimator) || has(self.estimator.search)",
            message="the strategy Retrain runs a search again; set retraining.estimator.search, or the strategy Refit",
            holds=lambda self: (
                self.strategy is not Strategy.RETRAIN or self.estimator is None or self.estimator.search is not None
            ),
        ),
        Rule(
            cel="self.strategy != 'WarmStart' || !has(self.estimator) || (self.estimator.calibration == 'None' && "
            f"self.estimator.name in {list(_STARTING_WARM)})",
            message=f"the strategy WarmStart is for {', '.join(_STARTING_WARM)} without calibration; the others solve "
            "for given rows anew, so use the strategy Refit",
            holds=lambda self: (
                self.strategy is not Strategy.WARM_START
                or self.estimator is None
                or (self.estimator.name.starts_warm and self.estimator.calibration is Calibration.NONE)
            ),
        ),
    )


class CheckPod(Resource):
    """The pod that checks."""

    resources: ResourceRequirements = Field(
        ResourceRequirements(requests=ResourceList(cpu="100m", memory="256Mi"), limits=ResourceList(memory="512Mi")),
        description="Processor and memory of the pod.",
    )
    active_deadline_seconds: int = Field(
        900, description="Time after which a check is stopped and counts as failed.", ge=30, le=86400
    )
    backoff_limit: int = Field(2, description="How many times a failed pod is started again.", ge=0, le=10)
