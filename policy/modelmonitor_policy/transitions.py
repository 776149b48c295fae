"""Transitions of the status: pure functions from a status and what has happened to the next status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import Reason, Role
from modelmonitor_api.outcomes import RunOutcome, TrainingOutcome, Verdict
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.status import (
    FAILED,
    MAX_HISTORY,
    MAX_RECENT_JOBS,
    Champion,
    ChampionWatch,
    HistoryEntry,
    LastCheck,
    LastCheckFailure,
    LastTraining,
    ModelMonitorStatus,
    RecentCheck,
    RecentJob,
)
from modelmonitor_policy.intents import (
    AutoRollback,
    Intent,
    RollbackCause,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
)
from modelmonitor_policy.observations import Answer, JobObservation
from modelmonitor_policy.recent_checks import add_recent_check
from modelmonitor_policy.training_results import compare_scores, count_rejections, learn_from
from modelmonitor_policy.waiting import explain_missing_start, find_lost_jobs

#: Reasons of trainings whose data or model were known before.
_NOTHING_NEW = frozenset({GateReason.SAME_DATA, GateReason.SAME_MODEL, GateReason.LEFT_BY_ROLLBACK})
#: Reasons of trainings that count neither against the budget nor for the cooldown: they trained nothing.
_UNCOUNTED = _NOTHING_NEW | {GateReason.TOO_FEW_ROWS}
#: The retraining budget counts trainings, and its period can be long.
MAX_TRAININGS = 100


def apply_job_results(status: ModelMonitorStatus, jobs: Iterable[JobObservation]) -> ModelMonitorStatus:
    """Return the status after the results of Jobs, each of which is applied once.

    Parameters
    ----------
    status
        The status before.
    jobs
        Jobs in the order of their ends; those that have not ended come last.
    """
    for job in jobs:
        status = _record_training_start(status, job)
        if job.finished is not None and not _is_known(status, job.uid, job.finished):
            status = _apply_end(status, job, job.finished)
    return status


def known_jobs(status: ModelMonitorStatus) -> frozenset[str]:
    """Return the UIDs of the Jobs whose results are part of the status."""
    return frozenset(job.uid for job in status.recent_jobs)


def fail_lost_training(
    status: ModelMonitorStatus, jobs: Iterable[JobObservation], now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status with the current training failed if its Job has been deleted.

    One that was for an older spec and had not started counts for nothing: the trigger that started it is active again.
    """
    last, jobs = status.last_training, tuple(jobs)
    if last is None or last.completion_time is not None or any(job.number == last.number for job in jobs):
        return status
    lost = find_lost_jobs(status, jobs, status.observed_generation or 0)
    if any(waiting.job_name == last.job_name for waiting in lost):
        return _withdraw_training(status, last, now)
    message = f"Job {last.job_name} was deleted before it ended"
    update = {
        "outcome": TrainingOutcome.FAILED.value,
        "message": message,
        "failures": last.failures + 1,
        "completion_time": now,
    }
    entry = HistoryEntry(time=now, action=Reason.TRAINING_FAILED, reason=Reason.JOB_DELETED, message=message)
    return _add_history(_update(status, last_training=last.model_copy(update=update)), entry)


def _withdraw_training(status: ModelMonitorStatus, last: LastTraining, now: dt.datetime) -> ModelMonitorStatus:
    message = f"Job {last.job_name} was for an older spec and is replaced: it had not started"
    update = {"outcome": TrainingOutcome.NOT_STARTED.value, "message": message, "completion_time": now}
    entry = HistoryEntry(time=now, action=Reason.NOT_STARTED, reason=last.reason, message=message)
    trainings = [start for start in status.trainings if start != last.start_time]
    return _add_history(_update(status, last_training=last.model_copy(update=update), trainings=trainings), entry)


def record_intent(
    status: ModelMonitorStatus, intent: Intent, job: JobObservation, now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status after an intent has been executed, so that the next plan does not contain it again.

    Parameters
    ----------
    status
        The status before.
    intent
        The intent.
    job
        The Job that was started for it, or that an earlier execution of the same intent had started.
    now
        The time.
    """
    match intent:
        case StartTraining():
            return apply_job_results(status, [job])
        case StartCheck(token=token, requested=True):
            return _mark_handled(status, check=token)
        case StartRollback(token=token):
            return _mark_handled(status, rollback=token)
        case StartPromotion(token=token):
            return _mark_handled(status, promote=token)
        case AutoRollback(cause=RollbackCause.WATCH):
            entry = HistoryEntry(
                time=now,
                action=Reason.ROLLBACK_STARTED,
                reason=intent.reason,
                message=intent.message[:1024],
                version=intent.version,
            )
            return _add_history(_mark_handled(status, watch=intent.promotion), entry)
    return status  # the Job of an initial check or of a rollback after a failed rollout is record enough


def _is_known(status: ModelMonitorStatus, uid: str, finished: dt.datetime) -> bool:
    """Whether the result of a Job has been applied, or the Job ended before all Jobs that are remembered."""
    if uid in known_jobs(status):
        return True
    full = len(status.recent_jobs) == MAX_RECENT_JOBS
    return full and (finished, uid) < min(map(_order, status.recent_jobs))


def _order(job: RecentJob) -> tuple[dt.datetime, str]:
    """Return what orders Jobs by age; times have whole seconds, so that several can end at the same time."""
    return job.time, job.uid


def _record_training_start(status: ModelMonitorStatus, job: JobObservation) -> ModelMonitorStatus:
    """Record a new training, even if the operator stopped right after it had created the Job."""
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
        rejections=last.rejections if last is not None else 0,
        generation=status.observed_generation,
        newest_day=status.last_check.newest_day if status.last_check is not None else None,
    )
    entry = HistoryEntry(time=job.started, action=Reason.TRAINING_STARTED, reason=reason, message=message)
    trainings = [job.started, *status.trainings][:MAX_TRAININGS]
    if job.token is not None:
        status = _mark_handled(status, retrain=job.token)
    return _add_history(_update(status, last_training=training, trainings=trainings), entry)


def _apply_end(status: ModelMonitorStatus, job: JobObservation, finished: dt.datetime) -> ModelMonitorStatus:
    recent = [RecentJob(uid=job.uid, time=finished), *status.recent_jobs]
    recent = sorted(recent, key=_order, reverse=True)[:MAX_RECENT_JOBS]
    status = _update(status, recent_jobs=recent)
    job = explain_missing_start(status, job)
    match job.role:
        case Role.CHECK:
            return _apply_check(status, job, finished)
        case Role.TRAIN:
            return _apply_training(status, job, finished)
        case Role.ROLLBACK | Role.PROMOTE:
            return _apply_rollback_or_promotion(status, job, finished)


def _apply_check(status: ModelMonitorStatus, job: JobObservation, finished: dt.datetime) -> ModelMonitorStatus:
    verdict = job.answer
    if not isinstance(verdict, CheckVerdict):
        return _apply_check_failure(status, job, finished)
    champion = _later_champion(status.champion, verdict.champion)
    effect = verdict.largest_effect
    recent = RecentCheck(time=verdict.time, job_name=job.name, verdict=verdict.verdict, largest_effect=effect)
    status = add_recent_check(status, recent)
    before, failed = status.last_check, status.last_check_failure
    if before is not None and _is_newer(before.start_time, job):
        return _update(status, champion=champion)
    if failed is not None and not _is_newer(failed.start_time, job):
        failed = None
    if before is not None and _version(champion) != _version(status.champion):
        before = _start_over(before)  # a person has changed the champion on a command line
    # A check that began before a promotion compared with the previous champion, so it starts no count.
    counts = verdict.champion is None or _version(verdict.champion) == _version(champion)
    drifts = before.consecutive_drifts if before is not None else 0
    inconclusive = before.consecutive_inconclusive if before is not None else 0
    check = LastCheck(
        start_time=job.started,
        generation=job.generation,
        time=verdict.time,
        completion_time=finished,
        job_name=job.name,
        verdict=verdict.verdict,
        reason=verdict.reason,
        message=verdict.message,
        performance_dropped=verdict.performance_dropped,
        champion_problem=verdict.champion_problem,
        rows=verdict.rows,
        new_rows=verdict.new_rows,
        data_end=verdict.data_end,
        drift_onset=_drift_onset(before, verdict) if counts else None,
        first_training=verdict.first_training,
        top_features=verdict.top_features,
        drifted_features=verdict.drifted_features,
        largest_effect=verdict.largest_effect,
        performance=verdict.performance,
        report_uri=verdict.report_uri,
        watch=verdict.watch or _previous_watch(status, verdict.champion),
        consecutive_drifts=drifts + 1 if counts and verdict.verdict == Reason.DRIFT.value else 0,
        consecutive_inconclusive=inconclusive + 1 if counts and verdict.verdict == Reason.INCONCLUSIVE.value else 0,
    )
    return _update(status, last_check=check, last_check_failure=failed, champion=champion)


def _apply_check_failure(status: ModelMonitorStatus, job: JobObservation, finished: dt.datetime) -> ModelMonitorStatus:
    """Return the status after a failed check; one that began before the newest result says nothing new."""
    status = add_recent_check(status, RecentCheck(time=finished, job_name=job.name, verdict=FAILED))
    check, before = status.last_check, status.last_check_failure
    if check is not None and _is_newer(check.start_time, job):
        return status
    if before is not None and _is_newer(before.start_time, job):
        return status
    reason, message = _failure(job.answer)
    failure = LastCheckFailure(
        time=finished,
        job_name=job.name,
        reason=reason,
        message=message,
        start_time=job.started,
        generation=job.generation,
        failures=before.failures + 1 if before is not None else 1,
    )
    return _update(status, last_check_failure=failure)


def _is_newer(start: dt.datetime | None, job: JobObservation) -> bool:
    """Whether a result is of a Job that was created after `job`: Jobs can end in another order."""
    return start is not None and start > job.started


def _drift_onset(before: LastCheck | None, verdict: CheckVerdict) -> dt.date | None:
    """Return the first day after a change; the earlier one where an earlier check has found the same change.

    The live window moves on, so that later checks can no longer see its first day. A check without a finding of its own
    does not revoke it, only NoDrift does.
    """
    known = before.drift_onset if before is not None else None
    if verdict.verdict is Verdict.NO_DRIFT:
        return None
    if known is None or verdict.drift_onset is None:
        return verdict.drift_onset or known
    return min(known, verdict.drift_onset)


def _previous_watch(status: ModelMonitorStatus, champion: Champion | None) -> ChampionWatch | None:
    """Return an earlier result of the watch for the same promotion: a day of corrupted data does not revoke it."""
    watch = status.last_check.watch if status.last_check is not None else None
    if watch is None or champion is None:
        return None
    return watch if (watch.champion, watch.since) == (champion.version, champion.since) else None


def _apply_training(status: ModelMonitorStatus, job: JobObservation, finished: dt.datetime) -> ModelMonitorStatus:
    last, verdict = status.last_training, job.answer
    if last is None or job.number != last.number:
        return status
    update: dict[str, Any]
    action: str
    outcome: str
    if isinstance(verdict, RunVerdict):
        action = outcome = verdict.outcome
        reason, message, version = verdict.reason, verdict.message, verdict.version
        update = {
            "failures": 0,
            "version": version,
            "report_uri": verdict.report_uri,
            "comparison": compare_scores(verdict),
            "train_end": verdict.train_end,
            "peak_memory_bytes": verdict.peak_memory_bytes,
            "rejections": count_rejections(last, verdict),
        }
        status = _update(status, comparisons=learn_from(status, verdict, finished))
        status = _with_champion(status, verdict.champion)
        if version is not None and verdict.outcome is not RunOutcome.NOTHING_NEW:
            status = _update(status, last_model_time=finished)
        counts = reason not in _UNCOUNTED
    else:
        reason, message = _failure(verdict)
        action, outcome, version = Reason.TRAINING_FAILED, TrainingOutcome.FAILED.value, None
        update = {"failures": last.failures + 1}
        # Without a champion there is nothing to wait for: the delays between failed attempts are limit enough.
        counts = status.champion is not None
    if not counts:
        status = _update(status, trainings=[start for start in status.trainings if start != last.start_time])
    update |= {
        "outcome_reason": reason,
        "completion_time": finished,
        "outcome": outcome,
        "message": message,
        "image_id": job.image_id,
    }
    entry = HistoryEntry(time=finished, action=action, reason=reason, message=message, version=version)
    return _add_history(_update(status, last_training=last.model_copy(update=update)), entry)


def _apply_rollback_or_promotion(
    status: ModelMonitorStatus, job: JobObservation, finished: dt.datetime
) -> ModelMonitorStatus:
    verdict = job.answer
    if isinstance(verdict, RunVerdict):
        entry = HistoryEntry(
            time=finished,
            action=verdict.outcome,
            reason=verdict.reason,
            message=verdict.message,
            version=verdict.version,
        )
        return _add_history(_with_champion(status, verdict.champion), entry)
    reason, message = _failure(verdict)
    action = Reason.ROLLBACK_FAILED if job.role is Role.ROLLBACK else Reason.PROMOTION_FAILED
    return _add_history(status, HistoryEntry(time=finished, action=action, reason=reason, message=message))


def _with_champion(status: ModelMonitorStatus, champion: Champion | None) -> ModelMonitorStatus:
    """Return the status with the champion after a training, rollback or promotion, which run one at a time.

    A new champion has its own reference window, so what was counted and found against the old one starts over.
    """
    if champion is None:
        return status
    before, check = status.champion, status.last_check
    if check is not None and (before is None or before.version != champion.version):
        check = _start_over(check)
    return _update(status, champion=champion, last_check=check)


def _start_over(check: LastCheck) -> LastCheck:
    """Return a check without what was counted and found against a champion that has been replaced."""
    return check.model_copy(update={"consecutive_drifts": 0, "consecutive_inconclusive": 0, "drift_onset": None})


def _version(champion: Champion | None) -> str | None:
    return champion.version if champion is not None else None


def _later_champion(one: Champion | None, other: Champion | None) -> Champion | None:
    """Return the later champion: a check that began before a promotion reports the previous one."""
    if one is None or other is None:
        return other or one
    return other if other.since >= one.since else one


def _failure(answer: Answer | None) -> tuple[str, str]:
    """Return the reason and the message of a Job without a verdict of its kind."""
    if isinstance(answer, Failure):
        return answer.reason.value, answer.message
    message = f"The pod returned a {type(answer).__name__}, which its Job was not asked for"
    return Reason.UNEXPECTED_ANSWER.value, message


def _mark_handled(status: ModelMonitorStatus, **tokens: str) -> ModelMonitorStatus:
    """Return the status with tokens recorded under their names in ``handledRequests``."""
    return _update(status, handled_requests=status.handled_requests.model_copy(update=tokens))


def _add_history(status: ModelMonitorStatus, entry: HistoryEntry) -> ModelMonitorStatus:
    return _update(status, history=[entry, *status.history][:MAX_HISTORY])


def _update(status: ModelMonitorStatus, **fields: Any) -> ModelMonitorStatus:
    return status.model_copy(update=fields)
