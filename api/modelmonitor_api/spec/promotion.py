"""How a challenger is compared with the champion before it replaces it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from modelmonitor_api.resource import MAX_COUNT, Fraction, NonNegative, ObjectName, OpenFraction, Resource
from modelmonitor_api.spec.data import LocalObjectReference
from modelmonitor_api.spec.detection import Metric


class PromotionMode(StrEnum):
    """Who promotes."""

    AUTO = "Auto"
    MANUAL = "Manual"


class Requirement(StrEnum):
    """What a challenger must show."""

    NOT_WORSE = "NotWorse"
    BETTER = "Better"


class RolloutTarget(Resource):
    """A Deployment that serves the champion."""

    deployment_ref: LocalObjectReference = Field(
        description="Deployment in the namespace of the monitor. The operator sets the annotation "
        "modelmonitor.io/champion on its pod template, and MODELMONITOR_MODEL_VERSION and MODELMONITOR_MODEL_URI in "
        "one of its containers; the chart's rollouts.enabled gives it the right to."
    )
    container: ObjectName | None = Field(None, description="Container that is told. Absent: the first.")


class WatchAction(StrEnum):
    """What follows where a new champion turns out worse than the version before it."""

    NONE = "None"
    REPORT = "Report"
    ROLLBACK = "Rollback"


class Watch(Resource):
    """How a new champion is watched."""

    action: WatchAction = Field(
        WatchAction.REPORT,
        description="Report: the condition ChampionHealthy and an event say that the champion is worse than the one "
        "before it. Rollback: that version becomes the champion again, too, once a promotion. None: nobody looks.",
    )
    days: int = Field(
        28,
        description="Days after the hold-out rows of its promotion on which both versions are scored, as their labels "
        "come.",
        ge=1,
        le=366,
    )


class Promotion(Resource):
    """How a challenger is compared with the champion before it replaces it."""

    mode: PromotionMode = Field(
        PromotionMode.AUTO,
        description="Auto: a challenger that passes becomes the champion. Manual: it waits for the annotation "
        "modelmonitor.io/promote with its version.",
    )
    metric: Metric = Field(description="Score that decides.")
    requirement: Requirement = Field(
        Requirement.NOT_WORSE,
        description="NotWorse: the interval of the difference lies above minus the margin. Better: above zero.",
    )
    non_inferiority_margin: NonNegative = Field(
        "0.005",
        description="How much worse a challenger may be and still count as not worse, in units of the metric; of "
        "MeanAbsoluteError and RootMeanSquaredError as a share of the champion's error.",
    )
    confidence: OpenFraction = Field("0.95", description="Confidence of the interval of the difference.")
    holdout_days: int = Field(
        14,
        description="Days after the training window on which both models are scored; neither has seen them.",
        ge=1,
        le=366,
    )
    min_holdout_rows: int = Field(
        500, description="With fewer rows the comparison is Inconclusive.", ge=20, le=MAX_COUNT
    )
    max_slice_drop: Fraction = Field(
        "0.02",
        description="How much worse a challenger may be on any slice, in units of the metric; of MeanAbsoluteError and "
        "RootMeanSquaredError as a share of the champion's error there.",
    )
    min_slice_rows: int = Field(
        200, description="Slices with fewer rows are reported and do not decide.", ge=20, le=MAX_COUNT
    )
    watch: Watch = Field(
        Watch(),
        description="How a new champion is watched: the version before it is scored on the same labelled rows, and "
        "worse is what the whole interval of the difference says, by more than nonInferiorityMargin where the "
        "requirement is NotWorse.",
    )
    rollout: RolloutTarget | None = Field(
        None,
        description="Deployment that is told of every new champion. Where it does not become available within its own "
        "progressDeadlineSeconds, the version that it served before becomes the champion again. Absent: whoever serves "
        "the model reads the champion pointer.",
    )
