"""Promotion gate: how a challenger is compared with the champion before it can replace it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from modelmonitor_api.resource import MAX_COUNT, Decimal, Fraction, NonNegative, ObjectName, OpenFraction, Resource
from modelmonitor_api.spec.data import LocalObjectReference
from modelmonitor_api.spec.detection import Metric


class PromotionMode(StrEnum):
    """Who promotes a challenger that passes the gate."""

    AUTO = "Auto"
    MANUAL = "Manual"


class Requirement(StrEnum):
    """What a challenger must show to pass the gate."""

    NOT_WORSE = "NotWorse"
    BETTER = "Better"


class FinalFit(StrEnum):
    """What the model that serves is fitted to, once a challenger has passed the gate."""

    NONE = "None"
    WITH_HOLDOUT = "WithHoldout"


class RolloutTarget(Resource):
    """Deployment that serves the champion."""

    deployment_ref: LocalObjectReference = Field(
        description="Deployment in the namespace of the monitor. For each new champion, the operator sets the "
        "annotation modelmonitor.io/champion on its pod template and the environment variables "
        "MODELMONITOR_MODEL_VERSION and MODELMONITOR_MODEL_URI of one container. Requires rollouts.enabled in the Helm "
        "chart."
    )
    container: ObjectName | None = Field(
        None, description="Container whose environment is updated. Defaults to the first container."
    )


class WatchAction(StrEnum):
    """Action if a new champion is worse than its predecessor."""

    NONE = "None"
    REPORT = "Report"
    ROLLBACK = "Rollback"


class Watch(Resource):
    """Champion watch: monitoring of a new champion against its predecessor."""

    action: WatchAction = Field(
        WatchAction.REPORT,
        description="Action if the new champion is worse than its predecessor. Report: set the condition "
        "ChampionHealthy to False and create an event. Rollback: also restore the predecessor, at most once per "
        "promotion. None: disable the watch.",
    )
    days: int = Field(
        28,
        description="Length of the watch in days. It starts after the hold-out of the promotion; both versions are "
        "scored on each day once its labels are mature.",
        ge=1,
        le=366,
    )


class Promotion(Resource):
    """Promotion gate: how a challenger is compared with the champion before it can replace it."""

    mode: PromotionMode = Field(
        PromotionMode.AUTO,
        description="Who promotes a challenger that passes the gate. Auto: the training Job. Manual: a user, by "
        "setting the annotation modelmonitor.io/promote to its version.",
    )
    metric: Metric = Field(description="Metric that decides.")
    requirement: Requirement = Field(
        Requirement.NOT_WORSE,
        description="What the challenger must show. NotWorse: the confidence interval of the improvement lies above "
        "-nonInferiorityMargin. Better: it lies above 0.",
    )
    non_inferiority_margin: NonNegative = Field(
        "0.005",
        description="Largest deficit of a challenger that still counts as not worse. In units of the metric; for "
        "MeanAbsoluteError and RootMeanSquaredError, as a share of the champion's error.",
    )
    minimum_score: Decimal | None = Field(
        None,
        description="Score on the hold-out that a challenger must reach, whatever the champion scores, in units of the "
        "metric. For LogLoss, BrierScore, MeanAbsoluteError and RootMeanSquaredError, the largest error. If omitted, "
        "there is no such limit.",
    )
    confidence: OpenFraction = Field(
        "0.95", description="Confidence level of the interval of the difference, between 0 and 1."
    )
    holdout_days: int = Field(
        14,
        description="Length of the hold-out in days. It follows the training window, and both models are scored on it "
        "without having been trained on it.",
        ge=1,
        le=366,
    )
    final_fit: FinalFit | None = Field(
        None,
        description="What the model that serves is fitted to. WithHoldout: once the challenger has passed, the same "
        "recipe and seed are fitted once more to a window of the same length that ends with the hold-out, so that the "
        "newest labelled days are not lost. The comparison then speaks of the recipe, and the champion watch judges "
        "the model that serves. None: the training window, as the model that was compared. If omitted, WithHoldout "
        "with retraining.estimator, and None with a custom trainer.",
    )
    min_holdout_positives: int = Field(
        10,
        description="Minimum number of hold-out rows of the rarer class of a binary task. With fewer, the outcome is "
        "Inconclusive: many rows of the other class do not show which model is better.",
        ge=1,
        le=1_000_000,
    )
    min_holdout_rows: int = Field(
        500,
        description="Minimum number of labelled rows in the hold-out. With fewer, the comparison is Inconclusive.",
        ge=20,
        le=MAX_COUNT,
    )
    max_slice_drop: Fraction = Field(
        "0.02",
        description="Largest tolerated deficit of a challenger on any slice. In units of the metric; for "
        "MeanAbsoluteError and RootMeanSquaredError, as a share of the champion's error on the slice.",
    )
    min_slice_rows: int = Field(
        200,
        description="Minimum number of rows in a slice that can fail the gate. Smaller slices are only reported.",
        ge=20,
        le=MAX_COUNT,
    )
    watch: Watch = Field(
        Watch(),
        description="Champion watch: a new champion and its predecessor are scored on the same labelled rows after the "
        "promotion. The champion is worse if the whole confidence interval of the difference says so, by more than "
        "nonInferiorityMargin if the requirement is NotWorse.",
    )
    rollout: RolloutTarget | None = Field(
        None,
        description="Deployment that is updated for each new champion. If it does not become available within its "
        "progressDeadlineSeconds, the version that it served before becomes the champion again. If omitted, no "
        "Deployment is updated, and the serving application reads the champion pointer.",
    )
