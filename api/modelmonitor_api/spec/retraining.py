"""Retraining: triggers, strategy, estimator, limits and retention."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from modelmonitor_api.resource import MAX_COUNT, Fraction, NonNegative, Resource, Rule
from modelmonitor_api.spec.detection import RateLimit
from modelmonitor_api.spec.estimator import WARM_STARTABLE, Calibration, Estimator
from modelmonitor_api.spec.pods import Trainer


class Triggers(Resource):
    """Conditions that start a training, in addition to the annotation modelmonitor.io/retrain-requested-at."""

    on_drift: bool = Field(True, description="Whether to train when checks report drift.")
    after_inconclusive_checks: int | None = Field(
        None,
        description="Number of consecutive Inconclusive checks after which a training starts, because drift could not "
        "be ruled out for so long. If omitted, Inconclusive checks start none.",
        ge=1,
        le=1000,
    )
    on_performance: bool = Field(True, description="Whether to train when the champion's score has dropped.")
    every_days: int | None = Field(
        None,
        description="Number of days after the last training at which a new one starts. If omitted, trainings are not "
        "periodic.",
        ge=1,
        le=3650,
    )
    every_new_rows: int | None = Field(
        None,
        description="Number of rows since the champion's training data at which a training starts. If omitted, new "
        "rows alone do not start one.",
        ge=1,
        le=MAX_COUNT,
    )
    on_expected_gain: bool = Field(
        False,
        description="Whether to train when the gain expected from a newer model exceeds the price of a training. How "
        "fast a model loses with age is learnt from the comparisons of this monitor's own trainings; spec.costs has "
        "the prices.",
    )


class Costs(Resource):
    """Prices, in any currency.

    A point is 0.01 of promotion.metric, or 1 % of the champion's error where the metric has the units of the target.
    """

    training: NonNegative = Field(description="Price of a training.")
    metric_point_day: NonNegative = Field(
        description="Price of a point of promotion.metric that the served model lacks for a day."
    )


class RetrainingMode(StrEnum):
    """Effect of an active trigger."""

    AUTO = "Auto"
    DRY_RUN = "DryRun"
    MANUAL = "Manual"


class Strategy(StrEnum):
    """What a training reuses from the champion."""

    REFIT = "Refit"
    RETRAIN = "Retrain"
    WARM_START = "WarmStart"


class TrainingWindow(StrEnum):
    """Where the training window begins."""

    AUTO = "Auto"
    DAYS = "Days"
    SINCE_DRIFT = "SinceDrift"


class WarmStart(Resource):
    """Settings of the strategy WarmStart."""

    full_refit_every: int = Field(
        4,
        description="Number of consecutive warm starts after which the next one is compared with a full refit on the "
        "training window. The refit replaces it if it is significantly better, which corrects gradual forgetting.",
        ge=1,
        le=100,
    )
    batch_rows: int = Field(
        2000, description="Number of rows per mini-batch, for the SGD estimators.", ge=10, le=1000000
    )
    new_trees: int = Field(
        20,
        description="Number of trees that a forest gets for the new rows; the same number of its oldest trees is "
        "removed.",
        ge=1,
        le=1000,
    )


class Retention(Resource):
    """Retention of model versions, reports and profiles."""

    versions: int = Field(
        50,
        description="Number of model versions to keep, newest first. The champion, its predecessor, the best champion "
        "so far and versions that await approval are always kept.",
        ge=2,
        le=1000,
    )
    report_days: int = Field(
        365,
        description="Number of days to keep reports of checks and trainings. Reports of the newest checks and of kept "
        "versions are kept longer.",
        ge=7,
        le=3650,
    )
    checks: int = Field(
        2000,
        description="Maximum number of check reports to keep, newest first, regardless of age.",
        ge=10,
        le=100000,
    )
    profile_days: int = Field(
        180,
        description="Number of days to keep profiles of partitions. A profile that is needed again is recomputed.",
        ge=7,
        le=3650,
    )


class Retraining(Resource):
    """Retraining: triggers, strategy, estimator, limits and retention."""

    mode: RetrainingMode = Field(
        RetrainingMode.AUTO,
        description="Effect of an active trigger. Auto: a training starts. DryRun: the trigger is only reported. "
        "Manual: trainings start only by the annotation modelmonitor.io/retrain-requested-at.",
    )
    strategy: Strategy = Field(
        Strategy.REFIT,
        description="Training strategy. Refit: fit the declared hyperparameters, and those found by the champion's "
        "search, to new data. Retrain: run estimator.search again. WarmStart: continue training the champion on the "
        "rows since its own training window. Falls back to Refit where that is impossible, e.g. for the first model. "
        "Custom trainers receive the strategy in their request.",
    )
    warm_start: WarmStart = Field(WarmStart(), description="Settings of the strategy WarmStart.")
    window_days: int = Field(90, description="Length of the training window in days.", ge=1, le=3650)
    window: TrainingWindow = Field(
        TrainingWindow.AUTO,
        description="Where the training window begins after drift. Days: windowDays before the hold-out, so that it "
        "can hold days from before the change. SinceDrift: at the first day after the change, if that is later; for "
        "data that do not change back. Auto: as Days, or as SinceDrift if a model of the days since the change is "
        "significantly better on the last of them; custom trainers, warm starts and trainings in batches take it as "
        "Days.",
    )
    min_new_share: Fraction = Field(
        "0.2",
        description="Share of windowDays that must be days from after a change before drift or a drop of the score "
        "starts a training. A training on older days could not learn what started it. Days count once they are before "
        "the hold-out and have labels. The next training for the same change waits for twice as many days.",
    )
    min_new_rows: int = Field(
        0,
        description="Minimum number of new rows, since the champion's training data, before a training starts.",
        ge=0,
        le=MAX_COUNT,
    )
    cooldown_seconds: int = Field(
        86400, description="Cooldown: minimum time in seconds between the starts of two trainings.", ge=0, le=31536000
    )
    budget: RateLimit = Field(
        RateLimit(count=4, per_days=30),
        description="Retraining budget: maximum number of trainings that start within a period.",
    )
    trainer: Trainer = Field(Trainer(), description="Training pod.")
    estimator: Estimator | None = Field(
        None,
        description="Scikit-learn pipeline of the built-in trainer. Required if trainer.image is omitted, otherwise "
        "forbidden.",
    )
    random_seed: int = Field(0, description="Random seed of training and comparison.", ge=0, le=2147483647)
    retention: Retention = Field(
        Retention(), description="Retention of results. Each training deletes what is no longer kept."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.estimator) != (has(self.trainer) && has(self.trainer.image))",
            message="set either retraining.estimator (built-in trainer) or retraining.trainer.image (custom trainer)",
            holds=lambda self: (self.estimator is not None) != (self.trainer.image is not None),
        ),
        Rule(
            cel="self.strategy != 'Retrain' || !has(self.estimator) || has(self.estimator.search)",
            message="the strategy Retrain needs a search; set retraining.estimator.search, or use the strategy Refit",
            holds=lambda self: (
                self.strategy is not Strategy.RETRAIN or self.estimator is None or self.estimator.search is not None
            ),
        ),
        Rule(
            cel="self.strategy != 'WarmStart' || !has(self.estimator) || (self.estimator.calibration == 'None' && "
            f"self.estimator.name in {list(WARM_STARTABLE)})",
            message=f"the strategy WarmStart is for {', '.join(WARM_STARTABLE)} without calibration; other "
            "estimators cannot continue training, so set the strategy Refit",
            holds=lambda self: (
                self.strategy is not Strategy.WARM_START
                or self.estimator is None
                or (self.estimator.name.starts_warm and self.estimator.calibration is Calibration.NONE)
            ),
        ),
    )
