"""How the end of a Job changes the status: pure, each Job once, in the order of their ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import Reason, Role
from modelmonitor_api.status import (
    MAX_HISTORY,
    MAX_RECENT_JOBS,
    Champion,
    ChampionWatch,
    HistoryEntry,
    LastCheck,
    LastCheckFailure,
    LastTraining,
    ModelMonitorStatus,
    RecentJob,
    ScoreComparison,
)
from modelmonitor_policy.observations import JobObservation

#: The budget counts trainings, and its period may be long.
MAX_TRAININGS = 100


def apply_job_results(status: ModelMonitorStatus, jobs: Iterable[JobObservation]) -> ModelMonitorStatus:
    """Return the status after `jobs`, which come in the order of their ends, running ones last."""
    for job in jobs:
        status = _started(status, job)
        if job.finished is not None and not _known(status, job):
            status = _ended(status, job)
    return status


def known_jobs(status: ModelMonitorStatus) -> frozenset[str]:
    """Return the UIDs of the Jobs whose end has been taken into account."""
    return frozenset(job.uid for job in status.recent_jobs)


def remember(status: ModelMonitorStatus, entry: HistoryEntry) -> ModelMonitorStatus:
    """Return the status with one more decision in its history."""
    return _with(status, history=[entry, *status.history][:MAX_HISTORY])


def handled(status: ModelMonitorStatus, **tokens: str) -> ModelMonitorStatus:
    """Return the status after requests were acted on: `tokens` by their names in ``handledRequests``."""
    return _with(status, handled_requests=status.handled_requests.model_copy(update=tokens))


def lost_training(status: ModelMonitorStatus, jobs: Iterable[JobObservation], now: dt.datetime) -> ModelMonitorStatus:
    """Return the status after the Job of a running training was deleted by somebody."""
    last = status.last_training
    if last is None or last.completion_time is not None or any(job.number == last.number for job in jobs):
        return status
    message = f"Job {last.job_name} was deleted before it ended"
    update = {
        "outcome": "Failed",
        "message": message,
        "failures": last.failures + 1,
        "completion_time": now,
    }
    entry = HistoryEntry(time=now, action=Reason.TRAINING_FAILED, reason="JobDeleted", message=message)
    return remember(_with(status, last_training=last.model_copy(update=update)), entry)


def _known(status: ModelMonitorStatus, job: JobObservation) -> bool:
    """Whether a Job's end has been taken into account, or happened before all that is remembered."""
    if job.uid in known_jobs(status):
        return True
    full = len(status.recent_jobs) == MAX_RECENT_JOBS
    assert job.finished is not None
    return full and job.finished < min(recent.time for recent in status.recent_jobs)


def _started(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    """Take note of a training, also of one that was created just before the operator was stopped."""
    last = status.last_training
    if job.role is not Role.TRAIN or job.number is None or (last is not None and job.number <= last.number):
        return status
    reason, _, message = job.trigger.partition(": ")
    training = LastTraining(
        number=job.number,
        job_name=job.name,
        reason=reason,
        start_time=job.started,
        message=message,
        failures=last.failures if last is not None else 0,
        generation=status.observed_generation,
    )
    entry = HistoryEntry(time=job.started, action=Reason.TRAINING_STARTED, reason=reason, message=message)
    trainings = [job.started, *status.trainings][:MAX_TRAININGS]
    if job.token is not None:
        status = handled(status, retrain=job.token)
    return remember(_with(status, last_training=training, trainings=trainings), entry)


def _ended(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    assert job.finished is not None
    recent = [RecentJob(uid=job.uid, time=job.finished), *status.recent_jobs]
    recent = sorted(recent, key=lambda item: item.time, reverse=True)[:MAX_RECENT_JOBS]
    status = _with(status, recent_jobs=recent)
    endings: dict[Role, Callable[[ModelMonitorStatus, JobObservation], ModelMonitorStatus]] = {
        Role.CHECK: _checked,
        Role.TRAIN: _trained,
        Role.ROLLBACK: _moved,
        Role.PROMOTE: _moved,
    }
    return endings[job.role](status, job)


def _checked(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    assert job.finished is not None
    answer = job.answer
    if not isinstance(answer, CheckVerdict):
        failure = _why(answer)
        return _with(
            status,
            last_check_failure=LastCheckFailure(
                time=job.finished, job_name=job.name, reason=failure[0], message=failure[1]
            ),
        )
    before = status.last_check.consecutive_drifts if status.last_check is not None else 0
    check = LastCheck(
        time=answer.time,
        completion_time=job.finished,
        job_name=job.name,
        verdict=answer.verdict,
        reason=answer.reason,
        message=answer.message,
        performance_dropped=answer.performance_dropped,
        rows=answer.rows,
        new_rows=answer.new_rows,
        data_end=answer.data_end,
        top_features=answer.top_features,
        report_uri=answer.report_uri,
        watch=answer.watch or _still_watched(status, answer.champion),
        consecutive_drifts=before + 1 if answer.verdict == Reason.DRIFT.value else 0,
    )
    status = _with(status, last_check=check, last_check_failure=None)
    return _with(status, champion=_newer(status.champion, answer.champion))


def _still_watched(status: ModelMonitorStatus, champion: Champion | None) -> ChampionWatch | None:
    """Return what an earlier check found of the same promotion: broken data on one day do not unsay it."""
    found = status.last_check.watch if status.last_check is not None else None
    if found is None or champion is None:
        return None
    return found if (found.champion, found.since) == (champion.version, champion.since) else None


def _trained(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    assert job.finished is not None
    last, answer = status.last_training, job.answer
    action: str
    outcome: str
    if last is None or job.number != last.number:
        return status
    if isinstance(answer, RunVerdict):
        outcome, reason, message, version = answer.outcome, answer.reason, answer.message, answer.version
        update: dict[str, Any] = {"failures": 0, "version": version, "report_uri": answer.report_uri}
        update["comparison"] = _comparison(answer)
        status = _crowned(status, answer.champion)
        action = outcome
    else:
        reason, message = _why(answer)
        outcome, action, version = "Failed", Reason.TRAINING_FAILED, None
        update = {"failures": last.failures + 1}
    update |= {"completion_time": job.finished, "outcome": outcome, "message": message, "image_id": job.image_id}
    entry = HistoryEntry(time=job.finished, action=action, reason=reason, message=message, version=version)
    return remember(_with(status, last_training=last.model_copy(update=update)), entry)


def _comparison(answer: RunVerdict) -> ScoreComparison | None:
    """Return the figures of a verdict as text: the API has no floating-point numbers."""
    found = answer.comparison
    if found is None:
        return None
    figures = {name: getattr(found, name) for name in ("challenger", "champion", "difference", "low", "high")}
    return ScoreComparison(
        metric=found.name,
        train_rows=answer.train_rows,
        holdout_rows=answer.holdout_rows,
        **{name: f"{value:.4f}" for name, value in figures.items() if value is not None},
    )


def _moved(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    """Take note of the end of a rollback or a promotion by hand."""
    assert job.finished is not None
    answer = job.answer
    if isinstance(answer, RunVerdict):
        status = _crowned(status, answer.champion)
        entry = HistoryEntry(
            time=job.finished,
            action=answer.outcome,
            reason=answer.reason,
            message=answer.message,
            version=answer.version,
        )
    else:
        reason, message = _why(answer)
        action = Reason.ROLLBACK_FAILED if job.role is Role.ROLLBACK else Reason.PROMOTION_FAILED
        entry = HistoryEntry(time=job.finished, action=action, reason=reason, message=message)
    return remember(status, entry)


def _crowned(status: ModelMonitorStatus, champion: Champion | None) -> ModelMonitorStatus:
    """Return the status with the champion that a training, rollback or promotion left; they run one at a time.

    A new champion has a reference of its own, so that checks in a row are counted anew.
    """
    if champion is None:
        return status
    before, check = status.champion, status.last_check
    if check is not None and (before is None or before.version != champion.version):
        check = check.model_copy(update={"consecutive_drifts": 0})
    return _with(status, champion=champion, last_check=check)


def _newer(one: Champion | None, other: Champion | None) -> Champion | None:
    """Return the later champion: a check that began before a promotion reports the one before."""
    if one is None or other is None:
        return other or one
    return other if other.since >= one.since else one


def _why(answer: object) -> tuple[str, str]:
    """Return why there is no verdict."""
    if isinstance(answer, Failure):
        return answer.reason.value, answer.message
    return "UnexpectedAnswer", f"The pod answered with a {type(answer).__name__}, which its Job was not asked for"


def _with(status: ModelMonitorStatus, **update: Any) -> ModelMonitorStatus:
    return status.model_copy(update=update)
