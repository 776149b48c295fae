"""The status of a ModelMonitor: a cache, rebuilt from children and from verdicts on S3."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from modelmonitor_api.resource import Message


def format_time(time: dt.datetime) -> str:
    """Return `time` as Kubernetes writes it, in UTC and whole seconds."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> dt.datetime:
    """Return the time that Kubernetes wrote as `text`."""
    return dt.datetime.fromisoformat(text)


def _time(value: Any) -> Any:
    return parse_time(value) if isinstance(value, str) else value


#: A time on the wire, in UTC and whole seconds.
Time = Annotated[
    dt.datetime,
    BeforeValidator(_time),
    PlainSerializer(format_time, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]

Text = Annotated[str, Field(max_length=1024)]

#: How much is kept of what happened.
MAX_HISTORY = 10
MAX_RECENT_JOBS = 20
MAX_TOP_FEATURES = 5


class Condition(Message):
    """One aspect of the state, as every Kubernetes tool understands it."""

    type: str = Field(description="Aspect.", max_length=316)
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(description="Why, in one CamelCase word.", max_length=1024)
    message: str = Field(description="Why, in a sentence.", max_length=32768)
    last_transition_time: Time = Field(description="When the status last changed.")
    observed_generation: int | None = Field(None, description="Generation of the spec that it speaks of.")


class FeatureEvidence(Message):
    """What a check found in one feature."""

    name: Text = Field(description="Column.")
    effect: Text = Field(description="Size of the change, 0 to 1.")
    p_value: Text = Field(description="Probability of such a change by chance, adjusted for the number of tests.")
    drifted: bool = Field(False, description="Whether it counts as drift.")


class RowCounts(Message):
    """How many rows were compared."""

    reference: int = Field(description="Rows of the reference.", ge=0)
    current: int = Field(description="Rows of the live window.", ge=0)


class ChampionWatch(Message):
    """The champion beside the version before it, on rows that neither has seen and that came after its promotion."""

    champion: Text = Field(description="Version of the champion.")
    since: Time = Field(description="When it became the champion.")
    predecessor: Text = Field(description="The version before it.")
    metric: Text = Field(description="Score that decides.")
    days: int = Field(description="Days that were looked at.", ge=1)
    rows: int = Field(description="Labelled rows that both have scored.", ge=0)
    difference: Text = Field(description="How much better the champion is; negative is worse.")
    low: Text = Field(description="Lower end of the interval of the difference.")
    high: Text = Field(description="Upper end of the interval of the difference.")
    worse: bool = Field(False, description="Whether it is worse beyond chance and beyond what promotion tolerates.")


class LastCheck(Message):
    """The newest check."""

    time: Time = Field(description="When it was due.")
    completion_time: Time | None = Field(None, description="When its Job ended.")
    job_name: Text = Field(description="Its Job.")
    verdict: Text = Field(description="NoDrift, Drift, Corrupted or Inconclusive.")
    reason: Text = Field("", description="Why, in one word.")
    message: Text = Field("", description="Why, in a sentence.")
    performance_dropped: bool = Field(False, description="Whether the champion's score has dropped.")
    rows: RowCounts | None = Field(None, description="How many rows were compared.")
    new_rows: int | None = Field(None, description="Rows since the champion's training data.")
    data_end: Time | None = Field(None, description="End of the live window.")
    top_features: list[FeatureEvidence] = Field(
        default_factory=list, description="The features with most evidence of drift.", max_length=MAX_TOP_FEATURES
    )
    report_uri: Text | None = Field(None, description="Report page.")
    watch: ChampionWatch | None = Field(
        None, description="The champion beside the version before it, while spec.promotion.watch asks for it."
    )
    consecutive_drifts: int = Field(0, description="How many checks in a row have said Drift.")


class LastCheckFailure(Message):
    """A check that gave no verdict, after the newest that did."""

    time: Time = Field(description="When its Job ended.")
    job_name: Text = Field(description="Its Job.")
    reason: Text = Field(description="Why, in one word.")
    message: Text = Field(description="Why, in a sentence.")


class RecentJob(Message):
    """A Job whose end has been taken into account."""

    uid: Text = Field(description="UID of the Job.")
    time: Time = Field(description="When it ended.")


class ScoreComparison(Message):
    """The scores of challenger and champion on the same later rows."""

    metric: Text = Field(description="The score that decided.")
    challenger: Text = Field(description="Score of the challenger.")
    champion: Text | None = Field(None, description="Score of the champion; absent where there was none.")
    difference: Text | None = Field(None, description="How much better the challenger is; negative is worse.")
    low: Text | None = Field(None, description="Lower end of the interval of the difference.")
    high: Text | None = Field(None, description="Upper end of the interval of the difference.")
    train_rows: int | None = Field(None, description="Rows that the challenger was trained on.", ge=0)
    holdout_rows: int | None = Field(None, description="Rows that both were scored on.", ge=0)


class LastTraining(Message):
    """The newest training."""

    number: int = Field(description="Number of the decision; the lock against starting it twice.", ge=1)
    job_name: Text = Field(description="Its Job.")
    reason: Text = Field("", description="What triggered it, in one word.")
    start_time: Time = Field(description="When it was started.")
    completion_time: Time | None = Field(None, description="When its Job ended.")
    outcome: Text | None = Field(
        None, description="Promoted, Rejected, Inconclusive, AwaitingApproval or Failed; absent while it runs."
    )
    message: Text = Field("", description="Why, in a sentence.")
    version: Text | None = Field(None, description="Version of the model that it made.")
    image_id: Text | None = Field(None, description="Image that trained, by its digest, as the node names it.")
    comparison: ScoreComparison | None = Field(None, description="How the challenger did beside the champion.")
    report_uri: Text | None = Field(None, description="Report page.")
    failures: int = Field(0, description="How many trainings in a row have failed.", ge=0)
    generation: int | None = Field(None, description="Generation of the spec that it was started for.")


class Champion(Message):
    """The model in production."""

    version: Text = Field(description="Version.")
    since: Time = Field(description="When it became the champion.")
    metric: Text | None = Field(None, description="Name of the score.")
    score: Text | None = Field(None, description="Its score on the hold-out rows of its promotion.")
    data_end: Time | None = Field(None, description="End of its training window.")


class Rollout(Message):
    """How the champion gets to the Deployment that serves it."""

    deployment: Text = Field(description="Deployment.")
    version: Text = Field(description="Version that it was told to serve.")
    reason: Text = Field(
        description="RolloutProgressing, RolloutAvailable, RolloutFailed, or RolloutBlocked where it cannot be told."
    )
    message: Text = Field("", description="The same in a sentence.")
    time: Time = Field(description="Since when.")
    available_version: Text | None = Field(
        None, description="The version with which it last became available: where a failed rollout goes back to."
    )


class HistoryEntry(Message):
    """One decision and its outcome."""

    time: Time = Field(description="When.")
    action: Text = Field(description="What was done.")
    reason: Text = Field("", description="Why, in one word.")
    message: Text = Field("", description="Why, in a sentence.")
    version: Text | None = Field(None, description="Version concerned.")


class HandledRequests(Message):
    """Tokens of the annotations that have been acted on."""

    check: Text | None = Field(None, description="Of modelmonitor.io/check-requested-at.")
    retrain: Text | None = Field(None, description="Of modelmonitor.io/retrain-requested-at.")
    rollback: Text | None = Field(None, description="Of modelmonitor.io/rollback-to.")
    promote: Text | None = Field(None, description="Of modelmonitor.io/promote.")
    watch: Text | None = Field(
        None, description="Version and time of the promotion that spec.promotion.watch has answered by a rollback."
    )


class ModelMonitorStatus(Message):
    """What the operator has seen and done."""

    observed_generation: int | None = Field(None, description="Generation of the spec that this speaks of.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready: the spec is accepted and the CronJob in place. Stalled: the spec must be changed. "
        "Reconciling: the operator is at work. DriftDetected, Training and Suspended: as they say. "
        "RolledOut: whether the Deployment of spec.promotion.rollout serves the champion. ChampionHealthy: whether a "
        "new champion is no worse than the version before it.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    next_check_time: Time | None = Field(None, description="When the next check is due.")
    last_check: LastCheck | None = Field(None, description="The newest check.")
    last_check_failure: LastCheckFailure | None = Field(
        None, description="A check that gave no verdict, after the newest that did; gone with the next verdict."
    )
    recent_jobs: list[RecentJob] = Field(
        default_factory=list,
        description="Jobs whose end has been taken into account, newest first.",
        max_length=MAX_RECENT_JOBS,
    )
    last_training: LastTraining | None = Field(None, description="The newest training.")
    trainings: list[Time] = Field(
        default_factory=list,
        description="When trainings were started, newest first; the budget counts them.",
        max_length=100,
    )
    champion: Champion | None = Field(None, description="The model in production.")
    rollout: Rollout | None = Field(None, description="How the champion gets to the Deployment that serves it.")
    handled_requests: HandledRequests = Field(
        HandledRequests(), description="Tokens of the annotations that have been acted on."
    )
    history: list[HistoryEntry] = Field(
        default_factory=list, description="The newest decisions, newest first.", max_length=MAX_HISTORY
    )
