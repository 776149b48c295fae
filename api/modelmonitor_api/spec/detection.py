"""What a check looks for, and how sensitive it is."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from modelmonitor_api.resource import ColumnName, Decimal, Fraction, Resource, Rule


class DetectorType(StrEnum):
    """Kinds of detectors."""

    FEATURE_DRIFT = "FeatureDrift"
    TARGET_DRIFT = "TargetDrift"
    PREDICTION_DRIFT = "PredictionDrift"
    PREDICTION_BIAS = "PredictionBias"
    CORRELATION_DRIFT = "CorrelationDrift"
    ABLATION = "Ablation"
    DATA_QUALITY = "DataQuality"
    PERFORMANCE = "Performance"


_OF_FEATURES = frozenset(
    {
        DetectorType.FEATURE_DRIFT,
        DetectorType.DATA_QUALITY,
        DetectorType.CORRELATION_DRIFT,
        DetectorType.ABLATION,
    }
)


class Metric(StrEnum):
    """Scores of a model. All but the errors and losses are better when larger."""

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


class Detector(Resource):
    """One thing that a check looks for."""

    name: str = Field(
        description="Name of the detector, unique in the monitor.",
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    )
    type: DetectorType = Field(
        description="FeatureDrift: distributions and NULL rates of features. TargetDrift: distribution of the target. "
        "PredictionDrift: distribution of model.predictionColumn since the champion serves. PredictionBias: mean "
        "prediction against mean outcome on mature rows, overall and by model.slices; for models whose scores are "
        "probabilities, and regressions. CorrelationDrift: correlations of numeric features, on a sample. Ablation: "
        "small models on single features and without each feature tell which relationship to the target broke; needs "
        "labels. DataQuality: the contract of the features, blocks training. Performance: the score of the champion, "
        "once labels are mature."
    )
    columns: list[ColumnName] | None = Field(
        None,
        description="Features to look at. Absent: all. FeatureDrift, DataQuality, CorrelationDrift and Ablation only.",
        min_length=1,
        max_length=500,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    metric: Metric | None = Field(None, description="Score to follow. Absent: promotion.metric. Performance only.")
    max_drop: Fraction | None = Field(
        None,
        description="How much worse than at its promotion the champion may score before it counts as a drop, in units "
        "of the metric; of MeanAbsoluteError and RootMeanSquaredError as a share of the error at its promotion. "
        "Absent: 0.02. Performance only.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type == 'Performance' || (!has(self.metric) && !has(self.maxDrop))",
            message="metric and maxDrop are for detectors of type Performance; remove them or change the type",
            holds=lambda self: self.type == DetectorType.PERFORMANCE or (self.metric is None and self.max_drop is None),
        ),
        Rule(
            cel="self.type in ['FeatureDrift', 'DataQuality', 'CorrelationDrift', 'Ablation'] || !has(self.columns)",
            message="columns is for detectors of type FeatureDrift and DataQuality, and for CorrelationDrift and "
            "Ablation; remove it or change the type",
            holds=lambda self: self.type in _OF_FEATURES or self.columns is None,
        ),
    )


class RateLimit(Resource):
    """So many in so many days."""

    count: int = Field(description="How many.", ge=1, le=100)
    per_days: int = Field(description="In how many days.", ge=1, le=3650)


class Sensitivity(Resource):
    """How much a check may cry wolf, and how small a change it cares about."""

    false_alarms: RateLimit = Field(
        RateLimit(count=1, per_days=90),
        description="False-alarm budget over all features and all checks together. With the schedule it gives the "
        "significance level of one check.",
    )
    minimum_effect: Fraction = Field(
        "0.03",
        description="Smallest change that counts as drift however significant it is: Kolmogorov-Smirnov distance, "
        "total variation, or difference of NULL rates.",
    )
    detectable_effect: Fraction = Field(
        "0.15",
        description="Change that a check must have been able to see to say NoDrift; where it had too few rows for that "
        "it says Inconclusive.",
    )
    consecutive_checks: int = Field(
        1, description="How many checks in a row must say Drift before it triggers a training.", ge=1, le=10
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="double(self.minimumEffect) <= double(self.detectableEffect)",
            message="detectableEffect must not be smaller than minimumEffect",
            holds=lambda self: float(self.minimum_effect) <= float(self.detectable_effect),
        ),
    )


DEFAULT_MAX_DROP: Decimal = "0.02"
