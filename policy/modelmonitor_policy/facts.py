"""Everything that a plan depends on, apart from the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from modelmonitor_api.names import Reason, Role
from modelmonitor_api.scores import parse_number
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import (
    AgeComparison,
    Champion,
    LastCheck,
    LastCheckFailure,
    LastTraining,
    ModelMonitorStatus,
    QueuedTraining,
    WaitingJob,
)
from modelmonitor_api.times import day_before
from modelmonitor_policy.champion_watch import current_watch, describe_watch
from modelmonitor_policy.observations import (
    ChampionObservation,
    CheckFailureObservation,
    CheckObservation,
    JobInFlight,
    JobObservation,
    RolloutFailure,
    TrainingObservation,
    WatchObservation,
)
from modelmonitor_policy.requests import Requests


@dataclass(frozen=True)
class Facts:
    """What is known of a monitor when its plan is made.

    Attributes
    ----------
    spec, generation
        The spec and its generation.
    ever_checked
        Whether a check has been started.
    check
        The newest check that returned a verdict.
    check_failure
        The newest check, if it has failed.
    checking
        Whether a check has not ended.
    lost_check
        Name of the Job of a check that was deleted before it could start; None if there is none.
    training
        The newest training.
    last_number
        Number of the newest training; 0 if there has been none.
    trainings
        Start times of trainings, in any order; the retraining budget counts them.
    comparisons
        What trainings learnt about age, newest first.
    champion
        The model in production.
    in_flight
        The Job that can change the champion and has not ended, if any.
    requests
        Pending requests of users.
    watch
        Newest result of the champion watch.
    watch_answered
        Token of the promotion that a rollback has undone, see
        :func:`modelmonitor_policy.auto_rollback.promotion_token`.
    rollout_failure
        The failed rollout of the champion, where there is a version to go back to.
    rollback_tokens
        Tokens of the rollback Jobs that exist.
    queued
        The training that waits for others to end, if any.
    """

    spec: ModelMonitorSpec
    generation: int
    ever_checked: bool = True
    check: CheckObservation | None = None
    check_failure: CheckFailureObservation | None = None
    checking: bool = False
    lost_check: str | None = None
    training: TrainingObservation | None = None
    last_number: int = 0
    trainings: tuple[dt.datetime, ...] = ()
    comparisons: tuple[AgeComparison, ...] = ()
    champion: ChampionObservation | None = None
    in_flight: JobInFlight | None = None
    requests: Requests = field(default_factory=Requests)
    watch: WatchObservation | None = None
    watch_answered: str | None = None
    rollout_failure: RolloutFailure | None = None
    rollback_tokens: frozenset[str] = frozenset()
    queued: QueuedTraining | None = None

    @property
    def pin(self) -> str | None:
        """Why the champion is pinned, by annotation or in the registry; None if it is not."""
        return self.requests.pin or (self.champion.pinned if self.champion is not None else None)


def facts_of(
    spec: ModelMonitorSpec,
    generation: int,
    requests: Requests,
    status: ModelMonitorStatus,
    jobs: Iterable[JobObservation],
    lost: Iterable[WaitingJob] = (),
) -> Facts:
    """Return the facts of a monitor.

    Parameters
    ----------
    spec, generation
        The spec and its generation.
    requests
        All requests of users, handled ones included.
    status
        The status, after the results of `jobs` have been applied to it.
    jobs
        The monitor's Jobs.
    lost
        Jobs that were deleted before they could start.
    """
    jobs = tuple(jobs)
    return Facts(
        spec=spec,
        generation=generation,
        ever_checked=_ever_checked(status, jobs),
        check=_check(status.last_check),
        check_failure=_check_failure(status.last_check_failure),
        checking=any(job.role is Role.CHECK and job.finished is None for job in jobs),
        lost_check=next((job.job_name for job in lost if job.role == Role.CHECK), None),
        training=_training(status.last_training),
        last_number=_last_number(status, jobs),
        trainings=tuple(status.trainings),
        comparisons=tuple(status.comparisons),
        champion=_champion(status.champion),
        in_flight=next((JobInFlight(job.role, job.name) for job in jobs if job.may_change_champion), None),
        requests=requests.pending(status.handled_requests),
        watch=_watch(status),
        watch_answered=status.handled_requests.watch,
        rollout_failure=_rollout_failure(status),
        rollback_tokens=frozenset(job.token for job in jobs if job.role is Role.ROLLBACK and job.token is not None),
        queued=status.queued_training,
    )


def _ever_checked(status: ModelMonitorStatus, jobs: tuple[JobObservation, ...]) -> bool:
    recorded = status.last_check is not None or status.last_check_failure is not None
    return recorded or any(job.role is Role.CHECK for job in jobs)


def _check(check: LastCheck | None) -> CheckObservation | None:
    if check is None:
        return None
    return CheckObservation(
        time=check.completion_time or check.time,
        verdict=check.verdict,
        performance_dropped=check.performance_dropped,
        new_rows=check.new_rows,
        current_rows=check.rows.current if check.rows is not None else None,
        consecutive_drifts=check.consecutive_drifts,
        consecutive_inconclusive=check.consecutive_inconclusive,
        message=check.message,
        newest_day=check.newest_day,
        first_training=check.first_training,
        drift_onset=check.drift_onset,
        job_name=check.job_name,
        generation=check.generation,
    )


def _check_failure(failure: LastCheckFailure | None) -> CheckFailureObservation | None:
    if failure is None:
        return None
    return CheckFailureObservation(failure.time, failure.job_name, failure.reason, failure.failures, failure.generation)


def _champion(champion: Champion | None) -> ChampionObservation | None:
    if champion is None:
        return None
    train_end = day_before(champion.data_end)
    return ChampionObservation(
        version=champion.version,
        since=champion.since,
        train_end=train_end,
        change_point=champion.change_point,
        pinned=champion.pinned,
        score=parse_number(champion.score),
    )


def _training(training: LastTraining | None) -> TrainingObservation | None:
    if training is None:
        return None
    return TrainingObservation(
        reason=training.reason,
        start=training.start_time,
        completion=training.completion_time,
        failures=training.failures,
        generation=training.generation,
        message=training.message,
        outcome=training.outcome,
        train_end=training.train_end,
        rejections=training.rejections,
        outcome_reason=training.outcome_reason,
        newest_day=training.newest_day,
    )


def _last_number(status: ModelMonitorStatus, jobs: tuple[JobObservation, ...]) -> int:
    """Return the highest number of a training; the Jobs know it, too, where the status has been lost."""
    recorded = status.last_training.number if status.last_training is not None else 0
    return max([recorded, *(job.number for job in jobs if job.number is not None)])


def _watch(status: ModelMonitorStatus) -> WatchObservation | None:
    watch = current_watch(status)
    if watch is None:
        return None
    return WatchObservation(
        champion=watch.champion,
        since=watch.since,
        predecessor=watch.predecessor,
        worse=watch.worse,
        message=describe_watch(watch),
    )


def _rollout_failure(status: ModelMonitorStatus) -> RolloutFailure | None:
    rollout, champion = status.rollout, status.champion
    if rollout is None or champion is None or rollout.reason != Reason.ROLLOUT_FAILED:
        return None
    if rollout.version != champion.version or rollout.available_version is None:
        return None
    return RolloutFailure(rollout.version, rollout.available_version, rollout.message)
