"""The monitored model: task, target and feature contract."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from modelmonitor_api.resource import ColumnName, Decimal, Resource, Rule


class Task(StrEnum):
    """Type of prediction task."""

    BINARY_CLASSIFICATION = "BinaryClassification"
    MULTICLASS_CLASSIFICATION = "MulticlassClassification"
    REGRESSION = "Regression"


class FeatureType(StrEnum):
    """Type of a feature, which determines how it is compared."""

    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"


class Feature(Resource):
    """Contract of one feature."""

    name: ColumnName = Field(description="Name of the column in the live rows.")
    type: FeatureType = Field(description="Type of the feature: Numeric or Categorical.")
    nullable: bool = Field(
        True, description="Whether NULL is allowed. If false, a single NULL violates the feature contract."
    )
    minimum: Decimal | None = Field(
        None, description="Smallest allowed value, inclusive, for Numeric features. If omitted, unbounded."
    )
    maximum: Decimal | None = Field(
        None, description="Largest allowed value, inclusive, for Numeric features. If omitted, unbounded."
    )
    allowed_values: list[Annotated[str, Field(max_length=253)]] | None = Field(
        None,
        description="Allowed values, for Categorical features. If omitted, any value is allowed.",
        min_length=1,
        max_length=256,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type == 'Numeric' || (!has(self.minimum) && !has(self.maximum))",
            message="minimum and maximum are for Numeric features; remove them or change the type",
            holds=lambda self: self.type == FeatureType.NUMERIC or (self.minimum is None and self.maximum is None),
        ),
        Rule(
            cel="self.type == 'Categorical' || !has(self.allowedValues)",
            message="allowedValues is for Categorical features; remove it or change the type",
            holds=lambda self: self.type == FeatureType.CATEGORICAL or self.allowed_values is None,
        ),
        Rule(
            cel="!has(self.minimum) || !has(self.maximum) || double(self.minimum) <= double(self.maximum)",
            message="minimum must not be greater than maximum",
            holds=lambda self: (
                self.minimum is None or self.maximum is None or float(self.minimum) <= float(self.maximum)
            ),
        ),
    )


class Model(Resource):
    """The monitored model."""

    task: Task = Field(description="Type of prediction task.")
    target: ColumnName = Field(
        description="Column with the true outcome, in the labels if data.labels is set, otherwise in the live rows. "
        "For BinaryClassification, the larger of the two values is the positive class, as in true/false or 1/0."
    )
    prediction_column: ColumnName | None = Field(
        None,
        description="Column of the live rows with the served prediction; for classifiers, a score. If omitted, logged "
        "predictions are not compared.",
    )
    features: list[Feature] = Field(
        description="Features of the model, in order, with their contract.",
        min_length=1,
        max_length=500,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    slices: list[ColumnName] = Field(
        default_factory=list,
        description="Categorical columns whose values define slices. Each slice is scored separately, so that a good "
        "average cannot hide a bad slice.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.features.exists(f, f.name == self.target)",
            message="the target must not be one of the features, because it would leak the outcome",
            holds=lambda self: all(feature.name != self.target for feature in self.features),
        ),
        Rule(
            cel="!has(self.predictionColumn) || (self.predictionColumn != self.target "
            "&& !self.features.exists(f, f.name == self.predictionColumn))",
            message="predictionColumn must be neither the target nor one of the features, because it is the output of "
            "the model",
            holds=lambda self: (
                self.prediction_column is None
                or self.prediction_column not in {self.target, *(feature.name for feature in self.features)}
            ),
        ),
        Rule(
            cel="",  # list type map: the API server itself rejects duplicates
            message="feature names must be unique",
            holds=lambda self: len({feature.name for feature in self.features}) == len(self.features),
        ),
    )
