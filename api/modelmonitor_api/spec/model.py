"""The model under watch: its task, its target and the contract of its features."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from modelmonitor_api.resource import ColumnName, Decimal, Resource, Rule


class Task(StrEnum):
    """What the model predicts."""

    BINARY_CLASSIFICATION = "BinaryClassification"
    MULTICLASS_CLASSIFICATION = "MulticlassClassification"
    REGRESSION = "Regression"


class FeatureType(StrEnum):
    """How a feature is compared."""

    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"


class Feature(Resource):
    """One input of the model, and what its values may be."""

    name: ColumnName = Field(description="Column of the live rows.")
    type: FeatureType = Field(description="Numeric or Categorical.")
    nullable: bool = Field(
        True, description="Whether NULL is a legitimate value; where not, one NULL breaks the contract."
    )
    minimum: Decimal | None = Field(None, description="Smallest legitimate value, included. Numeric features only.")
    maximum: Decimal | None = Field(None, description="Largest legitimate value, included. Numeric features only.")
    allowed_values: list[Annotated[str, Field(max_length=253)]] | None = Field(
        None, description="All legitimate values. Categorical features only.", min_length=1, max_length=256
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
    """The model under watch."""

    task: Task = Field(description="What the model predicts.")
    target: ColumnName = Field(
        description="Column with the true outcome: of the labels where there are any, otherwise of the live rows. "
        "For BinaryClassification true/false or 1/0; the larger value is the positive class."
    )
    prediction_column: ColumnName | None = Field(
        None, description="Column of the live rows with the prediction that was served (a score for classifiers)."
    )
    features: list[Feature] = Field(
        description="Inputs of the model, in order.",
        min_length=1,
        max_length=500,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    slices: list[ColumnName] = Field(
        default_factory=list,
        description="Categorical columns whose values are scored one by one, so that a good average hides no bad part.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.features.exists(f, f.name == self.target)",
            message="the target must not be one of the features: the model would be given the answer",
            holds=lambda self: all(feature.name != self.target for feature in self.features),
        ),
        Rule(
            cel="!has(self.predictionColumn) || (self.predictionColumn != self.target "
            "&& !self.features.exists(f, f.name == self.predictionColumn))",
            message="predictionColumn must be neither the target nor one of the features: it is what the model says",
            holds=lambda self: (
                self.prediction_column is None
                or self.prediction_column not in {self.target, *(feature.name for feature in self.features)}
            ),
        ),
        Rule(
            cel="",  # list type map: the API server refuses duplicates by itself
            message="each feature must have a name of its own",
            holds=lambda self: len({feature.name for feature in self.features}) == len(self.features),
        ),
    )
