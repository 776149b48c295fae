"""Detectors of a check, and their sensitivity."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from modelmonitor_api.resource import ColumnName, Decimal, Fraction, Resource, Rule


class DetectorType(StrEnum):
    """Types of detectors."""

    FEATURE_DRIFT = "FeatureDrift"
    TARGET_DRIFT = "TargetDrift"
    PREDICTION_DRIFT = "PredictionDrift"
    PREDICTION_BIAS = "PredictionBias"
    CORRELATION_DRIFT = "CorrelationDrift"
    ABLATION = "Ablation"
    DATA_QUALITY = "DataQuality"
    PERFORMANCE = "Performance"


#: Detectors that can be restricted to some features with ``columns``.
_OF_FEATURES = (
    DetectorType.FEATURE_DRIFT,
    DetectorType.DATA_QUALITY,
    DetectorType.CORRELATION_DRIFT,
    DetectorType.ABLATION,
)
_OF_FEATURES_IN_WORDS = f"{', '.join(_OF_FEATURES[:-1])} and {_OF_FEATURES[-1]}"


class Metric(StrEnum):
    """Metrics of a model. Higher is better, except for errors and losses."""

    ROC_AUC = "ROCAUC"
    AVERAGE_PRECISION = "AveragePrecision"
    ACCURACY = "Accuracy"
    BALANCED_ACCURACY = "BalancedAccuracy"
    F1 = "F1"
    LOG_LOSS = "LogLoss"
    BRIER_SCORE = "BrierScore"
    R2 = "R2"
    MEAN_ABSOLUTE_ERROR = "MeanAbsoluteError"
    ROOT_MEAN_SQUARED_ERROR = "RootMeanSquaredError"

    @property
    def in_units_of_target(self) -> bool:
        """Whether its values have the units of the target, so that a margin or a price is a share of an error."""
        return self in {Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}


class Detector(Resource):
    """A detector of a check."""

    name: str = Field(
        description="Name of the detector, unique within the monitor.",
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    )
    type: DetectorType = Field(
        description="Type of the detector. FeatureDrift: distributions and NULL rates of features. TargetDrift: "
        "distribution of the target. PredictionDrift: distribution of model.predictionColumn since the champion's "
        "promotion. PredictionBias: mean prediction compared with mean outcome on rows with mature labels, overall and "
        "per slice; for regression models and models that predict probabilities. CorrelationDrift: correlations "
        "between numeric features, on a sample of rows. Ablation: scores of small models on single features and "
        "without each feature, to find which relationship with the target changed; needs labels. DataQuality: "
        "violations of the feature contract, which block training. Performance: score of the champion on rows with "
        "mature labels."
    )
    columns: list[ColumnName] | None = Field(
        None,
        description=f"Features to test, for {_OF_FEATURES_IN_WORDS}. Defaults to all features.",
        min_length=1,
        max_length=500,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    metric: Metric | None = Field(None, description="Metric to monitor, for Performance. Defaults to promotion.metric.")
    max_drop: Fraction | None = Field(
        None,
        description="Largest tolerated drop of the champion's score since its promotion, for Performance. In units of "
        "the metric; for MeanAbsoluteError and RootMeanSquaredError, as a share of the error at promotion. Defaults "
        "to 0.02.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type == 'Performance' || (!has(self.metric) && !has(self.maxDrop))",
            message="metric and maxDrop are for detectors of type Performance; remove them or change the type",
            holds=lambda self: self.type == DetectorType.PERFORMANCE or (self.metric is None and self.max_drop is None),
        ),
        Rule(
            cel=f"self.type in {[kind.value for kind in _OF_FEATURES]} || !has(self.columns)",
            message=f"columns is for detectors of type {_OF_FEATURES_IN_WORDS}; remove it or change the type",
            holds=lambda self: self.type in _OF_FEATURES or self.columns is None,
        ),
    )


class RateLimit(Resource):
    """A limit on how often something happens within a number of days."""

    count: int = Field(description="Maximum number within the period.", ge=1, le=100)
    per_days: int = Field(description="Length of the period in days.", ge=1, le=3650)


class Sensitivity(Resource):
    """False-alarm budget of checks, and the smallest change that matters."""

    false_alarms: RateLimit = Field(
        RateLimit(count=1, per_days=90),
        description="False-alarm budget of the monitor, over all checks and all columns together. Together with the "
        "schedule it determines the significance level of one check.",
    )
    minimum_effect: Fraction = Field(
        "0.03",
        description="Smallest effect that counts as drift, from 0 to 1; smaller ones are ignored even if they are "
        "significant. The effect is the largest difference between the shares of rows that both windows have in the "
        "same part of the values of a column, or without a value.",
    )
    detectable_effect: Fraction = Field(
        "0.15",
        description="Effect that must be ruled out for the verdict NoDrift, from 0 to 1: with 95 % confidence, no "
        "column has changed by that much. If that cannot be shown for a column, the verdict is Inconclusive.",
    )
    independent_rows: bool = Field(
        False,
        description="Whether rows are independent of each other, so that partitions differ by chance alone. By default "
        "the rows of a partition are assumed to be alike, and the variation between partitions is estimated.",
    )
    minimum_coverage: Fraction = Field(
        "0.9",
        description="Smallest share of the objects, days and columns on each side that must have been compared for "
        "the verdict NoDrift, from 0 to 1. Below it, the verdict is Inconclusive and names what was left out.",
    )
    consecutive_checks: int = Field(
        1, description="Number of consecutive checks that must report drift before a training starts.", ge=1, le=10
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="double(self.minimumEffect) <= double(self.detectableEffect)",
            message="detectableEffect must not be smaller than minimumEffect",
            holds=lambda self: float(self.minimum_effect) <= float(self.detectable_effect),
        ),
    )


DEFAULT_MAX_DROP: Decimal = "0.02"
