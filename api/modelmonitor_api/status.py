"""The status of a ModelMonitor: a cache that can be rebuilt from Jobs and from results on S3."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from modelmonitor_api.names import ConditionType
from modelmonitor_api.resource import Message, Text
from modelmonitor_api.scores import ScoreComparison, ServedScore
from modelmonitor_api.times import Time, day_before

#: Maximum lengths of the lists in a status.
MAX_HISTORY = 10
MAX_RECENT_JOBS = 20
MAX_RECENT_CHECKS = 30
MAX_COMPARISONS = 12
MAX_TOP_FEATURES = 5
MAX_WAITING_JOBS = 5
MAX_DECISIONS = 20
#: In the place of the verdict, for a check that failed.
FAILED = "Failed"


class Condition(Message):
    """A condition, as in the Kubernetes API conventions."""

    type: str = Field(description="Type of the condition.", max_length=316)
    status: Literal["True", "False", "Unknown"] = Field(description="Status of the condition: True, False or Unknown.")
    reason: str = Field(description="Reason for the status, in one CamelCase word.", max_length=1024)
    message: str = Field(description="Explanation in one sentence.", max_length=32768)
    last_transition_time: Time = Field(description="Time of the last change of the status.")
    observed_generation: int | None = Field(None, description="Generation of the spec that the condition is based on.")


class FeatureEvidence(Message):
    """Evidence of drift in one feature."""

    name: Text = Field(description="Name of the column.")
    effect: Text = Field(description="Effect: the size of the change, from 0 to 1.")
    p_value: Text = Field(description="P-value, adjusted for multiple testing.")
    drifted: bool = Field(False, description="Whether the change counts as drift.")


class RowCounts(Message):
    """Numbers of rows that a check compared."""

    reference: int = Field(description="Number of rows in the reference window.", ge=0)
    current: int = Field(description="Number of rows in the live window.", ge=0)


class FirstTrainingData(Message):
    """What a first training would find, as far as a check can see it."""

    first_day: dt.date | None = Field(None, description="First day with rows.")
    newest_labels: dt.date | None = Field(
        None, description="Newest day with labels; absent if there is none, or if labels are columns of the rows."
    )
    train_rows: int | None = Field(
        None, description="Number of rows in the training window; absent if that begins before the live window.", ge=0
    )
    holdout_rows: int | None = Field(None, description="Number of rows in the hold-out; absent likewise.", ge=0)


class ChampionWatch(Message):
    """A new champion compared with its predecessor on later rows that neither was trained on."""

    champion: Text = Field(description="Version of the champion.")
    since: Time = Field(description="Time at which the version became the champion.")
    predecessor: Text = Field(description="Version of the previous champion.")
    metric: Text = Field(description="Metric of the comparison.")
    days: int = Field(description="Number of days compared.", ge=1)
    rows: int = Field(description="Number of labelled rows scored by both versions.", ge=0)
    difference: Text = Field(description="Improvement of the champion over its predecessor; negative if it is worse.")
    low: Text = Field(description="Lower bound of the confidence interval of the difference.")
    high: Text = Field(description="Upper bound of the confidence interval of the difference.")
    worse: bool = Field(
        False, description="Whether it is significantly worse, by more than the non-inferiority margin."
    )


class LastCheck(Message):
    """The newest check that has a verdict."""

    time: Time = Field(description="Time at which the check was due.")
    start_time: Time | None = Field(None, description="Time at which the Job was created; a later Job is newer.")
    completion_time: Time | None = Field(None, description="Time at which the Job ended.")
    generation: int | None = Field(None, description="Generation of the spec that was checked.")
    job_name: Text = Field(description="Name of the Job.")
    verdict: Text = Field(
        description="Verdict: NoDrift, Drift, Corrupted, ChampionUnusable, PerformanceDrop or Inconclusive."
    )
    reason: Text = Field("", description="Reason for the verdict, in one CamelCase word.")
    message: Text = Field("", description="Explanation in one sentence.")
    performance_dropped: bool = Field(False, description="Whether the champion's score has dropped significantly.")
    champion_problem: Text = Field(
        "", description="Why the champion cannot be loaded or scored; empty if it can, or if that was not tested."
    )
    rows: RowCounts | None = Field(None, description="Numbers of rows compared.")
    new_rows: int | None = Field(
        None, description="Number of rows that have arrived since the champion's training data."
    )
    data_end: Time | None = Field(None, description="End of the live window, exclusive.")
    drift_onset: dt.date | None = Field(
        None,
        description="First day after the change that the newest checks have found: the earliest estimate since the "
        "last NoDrift.",
    )
    first_training: FirstTrainingData | None = Field(
        None, description="What a first training would find, until there is a champion."
    )
    top_features: list[FeatureEvidence] = Field(
        default_factory=list, description="Features with the strongest evidence of drift.", max_length=MAX_TOP_FEATURES
    )
    drifted_features: int | None = Field(
        None, description="Number of columns that have drifted; absent if none were compared.", ge=0
    )
    largest_effect: Text | None = Field(
        None, description="Largest effect of a column, from 0 to 1; absent if none were compared."
    )
    performance: ServedScore | None = Field(
        None, description="Score of the champion on the labelled rows; absent if it was not scored."
    )
    report_uri: Text | None = Field(None, description="URI of the report page.")
    watch: ChampionWatch | None = Field(
        None, description="New champion compared with its predecessor, while spec.promotion.watch is active."
    )
    consecutive_drifts: int = Field(0, description="Number of consecutive checks with the verdict Drift.")
    consecutive_inconclusive: int = Field(0, description="Number of consecutive checks with the verdict Inconclusive.")

    @property
    def newest_day(self) -> dt.date | None:
        """Last day of the live window; None where the check could not determine it."""
        return day_before(self.data_end)


class LastCheckFailure(Message):
    """A failed check after the newest check that has a verdict."""

    time: Time = Field(description="Time at which the Job ended.")
    job_name: Text = Field(description="Name of the Job.")
    reason: Text = Field(description="Reason for the failure, in one CamelCase word.")
    message: Text = Field(description="Explanation in one sentence.")
    start_time: Time | None = Field(None, description="Time at which the Job was created.")
    generation: int | None = Field(None, description="Generation of the spec that the Job was created for.")
    failures: int = Field(1, description="Number of consecutive failed checks.", ge=1)


class WaitingJob(Message):
    """A Job of which a container cannot start, or none has started yet."""

    job_name: Text = Field(description="Name of the Job.")
    uid: str = Field(description="UID of the Job.", max_length=64)
    role: Text = Field(description="Purpose of the Job: check, train, rollback or promote.")
    token: Text | None = Field(None, description="Token of the request that the Job serves.")
    generation: int | None = Field(None, description="Generation of the spec that the Job was created for.")
    reason: Text = Field(
        description="Cause, in one CamelCase word; Pending where none is known, Queued while a queue suspends the Job."
    )
    message: Text = Field(description="Cause, and what to change.")


class RecentJob(Message):
    """An ended Job whose result is part of the status."""

    uid: Text = Field(description="UID of the Job.")
    time: Time = Field(description="Time at which the Job ended.")


class RecentCheck(Message):
    """A check that has ended."""

    time: Time = Field(description="Time at which the check was due; of a failed one, at which its Job ended.")
    job_name: Text = Field(description="Name of the Job.")
    verdict: Text = Field(description="Verdict, or Failed.")
    largest_effect: Text | None = Field(None, description="Largest effect of a column, from 0 to 1.")


class AgeComparison(Message):
    """What a training learnt about age: a newer model against a champion with older data."""

    time: Time = Field(description="Time at which the training ended.")
    days: int = Field(description="How many days later the challenger's training window ended.", ge=1)
    difference: Text = Field(description="Improvement of the challenger over the champion; negative if it is worse.")
    low: Text = Field(description="Lower bound of the confidence interval of the difference.")
    high: Text = Field(description="Upper bound of the confidence interval of the difference.")


class LastTraining(Message):
    """The newest training."""

    number: int = Field(
        description="Number of the training, counted from 1. Part of the Job's name, so that it starts only once.", ge=1
    )
    job_name: Text = Field(description="Name of the Job.")
    reason: Text = Field("", description="Trigger, as a CamelCase reason.")
    start_time: Time = Field(description="Time at which the training started.")
    completion_time: Time | None = Field(None, description="Time at which the Job ended.")
    outcome: Text | None = Field(
        None,
        description="Outcome: Promoted, Rejected, Inconclusive, AwaitingApproval, NothingNew or Failed. Absent while "
        "it runs.",
    )
    message: Text = Field("", description="Explanation in one sentence.")
    version: Text | None = Field(None, description="Model version that the training created.")
    image_id: Text | None = Field(
        None, description="Image of the training container with its digest, as reported by the node."
    )
    comparison: ScoreComparison | None = Field(None, description="Scores of challenger and champion.")
    report_uri: Text | None = Field(None, description="URI of the report page.")
    train_end: dt.date | None = Field(None, description="Last day of its training window, included.")
    outcome_reason: Text | None = Field(None, description="Reason of the outcome, in one CamelCase word.")
    newest_day: dt.date | None = Field(None, description="Newest day with rows when the training started.")
    peak_memory_bytes: int | None = Field(None, description="Peak memory of the training.", ge=0)
    failures: int = Field(0, description="Number of consecutive failed trainings.", ge=0)
    rejections: int = Field(
        0, description="Number of consecutive trainings whose models did not pass; failed ones do not count.", ge=0
    )
    generation: int | None = Field(None, description="Generation of the spec when the training started.")


class TrainingDays(Message):
    """The days that a training would use now; all included."""

    train_start: dt.date = Field(description="First day of the training window.")
    train_end: dt.date = Field(description="Last day of the training window.")
    holdout_start: dt.date = Field(description="First day of the hold-out.")
    holdout_end: dt.date = Field(description="Last day of the hold-out; before its first day if no day is left for it.")
    newest: dt.date = Field(description="Newest day with rows; days after the hold-out await their labels.")
    response_time: Time | None = Field(
        None, description="Time from which a training can respond to the change of lastCheck.driftOnset."
    )


class QueuedTraining(Message):
    """A training that has been decided and waits for others to end."""

    time: Time = Field(description="Time of the decision; trainings start in this order.")
    message: Text = Field(description="The limits that it waits for.")


class Champion(Message):
    """The model version in production."""

    version: Text = Field(description="Version of the model.")
    since: Time = Field(description="Time at which the version became the champion.")
    metric: Text | None = Field(None, description="Metric of the score.")
    score: Text | None = Field(None, description="Score on the hold-out of its promotion.")
    data_end: Time | None = Field(None, description="End of its training window, exclusive.")
    change_point: dt.date | None = Field(
        None, description="First day after a change within its training window; absent if there is none."
    )
    pinned: Text | None = Field(
        None, description="Why it is pinned with modelmonitor pin; absent if it is not. See the condition Pinned."
    )


class Rollout(Message):
    """The rollout of the champion to the Deployment that serves it."""

    deployment: Text = Field(description="Name of the Deployment.")
    version: Text = Field(description="Version that the Deployment was updated to.")
    reason: Text = Field(
        description="State of the rollout: RolloutProgressing, RolloutAvailable, RolloutFailed, or RolloutBlocked if "
        "the Deployment cannot be updated."
    )
    message: Text = Field("", description="Explanation in one sentence.")
    time: Time = Field(description="Time at which the rollout entered this state.")
    available_version: Text | None = Field(
        None, description="Version with which the Deployment last became available. A failed rollout returns to it."
    )


class HistoryEntry(Message):
    """An entry of the history: one decision or outcome."""

    time: Time = Field(description="Time of the entry.")
    action: Text = Field(description="Action or outcome, in one CamelCase word.")
    reason: Text = Field("", description="Reason, in one CamelCase word.")
    message: Text = Field("", description="Explanation in one sentence.")
    version: Text | None = Field(None, description="Model version concerned.")


class RecordedDecision(Message):
    """A decision about a monitor, or an outcome, for the ledger on S3."""

    time: Time = Field(description="Time of the decision.")
    action: Text = Field(description="What was decided, or the outcome; Held for a training that was held back.")
    reason: Text = Field("", description="Reason, in one CamelCase word.")
    message: Text = Field("", description="The facts, in a sentence.")
    version: Text | None = Field(None, description="Model version concerned.")
    seconds: int | None = Field(
        None,
        description="Cost: how long the Job of the training existed. Of a training that was held back, as long as the "
        "newest one took.",
        ge=0,
    )


class Notified(Message):
    """What the sink of notifications has received about a monitor."""

    entry: Text | None = Field(None, description="Newest entry of the history, as time, action and version.")
    check: Text | None = Field(None, description="Newest check with another verdict, as time and Job.")


class HandledRequests(Message):
    """Tokens of the requests by annotation that have been handled."""

    check: Text | None = Field(None, description="Token of modelmonitor.io/check-requested-at.")
    retrain: Text | None = Field(None, description="Token of modelmonitor.io/retrain-requested-at.")
    rollback: Text | None = Field(None, description="Token of modelmonitor.io/rollback-to.")
    promote: Text | None = Field(None, description="Token of modelmonitor.io/promote.")
    watch: Text | None = Field(
        None, description="Version and time of the promotion that spec.promotion.watch has rolled back."
    )


class ModelMonitorStatus(Message):
    """Observed state of the monitor."""

    observed_generation: int | None = Field(None, description="Generation of the spec that the operator has processed.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Conditions: " + ", ".join(ConditionType) + ". DriftDetected does not affect Ready.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    reason: Text | None = Field(
        None,
        description="Why the monitor does not check or train, in one CamelCase word: the reason of Ready if that is "
        "not True, else Suspended, else why there is no verdict, else the reason of Training.",
    )
    next_check_time: Time | None = Field(None, description="Time at which the next check is due.")
    last_check: LastCheck | None = Field(None, description="Newest check that has a verdict.")
    last_check_failure: LastCheckFailure | None = Field(
        None, description="Failed check after the newest verdict. Removed with the next verdict."
    )
    waiting_jobs: list[WaitingJob] = Field(
        default_factory=list,
        description="Jobs of which a container cannot start, and trainings of which none has started yet.",
        max_length=MAX_WAITING_JOBS,
    )
    recent_jobs: list[RecentJob] = Field(
        default_factory=list,
        description="Ended Jobs whose result is part of the status, newest first.",
        max_length=MAX_RECENT_JOBS,
    )
    recent_checks: list[RecentCheck] = Field(
        default_factory=list, description="Checks that have ended, newest first.", max_length=MAX_RECENT_CHECKS
    )
    last_training: LastTraining | None = Field(None, description="Newest training.")
    last_model_time: Time | None = Field(None, description="Time at which a training last made a model.")
    trainings: list[Time] = Field(
        default_factory=list,
        description="Start times of trainings, newest first; counted by spec.retraining.budget.",
        max_length=100,
    )
    comparisons: list[AgeComparison] = Field(
        default_factory=list,
        description="Comparisons of newer with older models, newest first; triggers.onExpectedGain learns from them.",
        max_length=MAX_COMPARISONS,
    )
    training_windows: TrainingDays | None = Field(
        None, description="Days that a training would use now; absent before the first check."
    )
    queued_training: QueuedTraining | None = Field(
        None, description="Training that waits because as many run as the operator permits."
    )
    champion: Champion | None = Field(None, description="Model version in production.")
    rollout: Rollout | None = Field(None, description="Rollout of the champion to its Deployment.")
    handled_requests: HandledRequests = Field(
        HandledRequests(), description="Tokens of the requests by annotation that have been handled."
    )
    history: list[HistoryEntry] = Field(
        default_factory=list, description="Latest decisions and outcomes, newest first.", max_length=MAX_HISTORY
    )
    decisions: list[RecordedDecision] = Field(
        default_factory=list,
        description="Newest decisions, suppressed ones included, newest first. The next pod writes them to the ledger "
        "under storage.resultsURI, which keeps all.",
        max_length=MAX_DECISIONS,
    )
    notified: Notified | None = Field(
        None, description="What the sink of notifications has received; absent while none is configured."
    )
    page_url: Text | None = Field(
        None, description="Address of the monitor's page, if the chart's ui.externalURL is set."
    )
