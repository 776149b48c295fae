"""Jobs that have not started: what the status remembers of them, and what becomes of them at their deadline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from modelmonitor_api.messages import Failure
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_api.status import MAX_WAITING_JOBS, ModelMonitorStatus, WaitingJob
from modelmonitor_policy.intents import RollbackCause
from modelmonitor_policy.observations import JobObservation, JobWait

#: Ends of a Job that say nothing of a pod that never ran: the Job controller deletes it at the deadline.
_SILENT = frozenset({FailureReason.DEADLINE_EXCEEDED, FailureReason.NO_VERDICT})


def record_waiting_jobs(status: ModelMonitorStatus, jobs: Iterable[JobObservation]) -> ModelMonitorStatus:
    """Return the status with the Jobs of which a container cannot start, oldest first.

    A training is also recorded while nothing is wrong, so that the condition Training can state that nothing runs yet.
    A check that starts within seconds is not worth two more writes.
    """
    before = {waiting.uid: waiting for waiting in status.waiting_jobs}
    waiting = [
        _remember(before.get(job.uid), job)
        for job in sorted(jobs, key=lambda job: (job.started, job.name))
        if job.finished is None and job.waiting is not None and (job.waiting.blocked or job.role is Role.TRAIN)
    ]
    return status.model_copy(update={"waiting_jobs": waiting[-MAX_WAITING_JOBS:]})


def find_waiting(status: ModelMonitorStatus, role: Role) -> WaitingJob | None:
    """Return the newest waiting Job of a role."""
    return next((job for job in reversed(status.waiting_jobs) if job.role == role), None)


def find_stale_jobs(
    status: ModelMonitorStatus, jobs: Iterable[JobObservation], generation: int
) -> tuple[JobObservation, ...]:
    """Return the Jobs to replace: created for an older spec, and not started yet.

    Only Jobs that the status remembers count, so that an operator that is stopped after the deletion knows of it.
    """
    remembered = {waiting.uid for waiting in status.waiting_jobs}
    return tuple(
        job
        for job in jobs
        if job.uid in remembered
        and job.finished is None
        and job.waiting is not None
        and job.generation is not None
        and job.generation < generation
    )


def find_lost_jobs(
    status: ModelMonitorStatus, jobs: Iterable[JobObservation], generation: int
) -> tuple[WaitingJob, ...]:
    """Return the Jobs for an older spec that the status remembers as waiting, and that do not exist any more."""
    existing = {job.uid for job in jobs}
    return tuple(
        waiting
        for waiting in status.waiting_jobs
        if waiting.uid not in existing and waiting.generation is not None and waiting.generation < generation
    )


def restore_requests(status: ModelMonitorStatus, lost: Iterable[WaitingJob]) -> ModelMonitorStatus:
    """Return the status with the requests pending again that lost Jobs served; lost checks are repeated instead."""
    handled = status.handled_requests
    for job in lost:
        field = {Role.TRAIN: "retrain", Role.ROLLBACK: "rollback", Role.PROMOTE: "promote"}.get(Role(job.role))
        if field is not None and job.token is not None and getattr(handled, field) == job.token:
            handled = handled.model_copy(update={field: None})
        if handled.watch is not None and (job.token or "").endswith(f"#{RollbackCause.WATCH}-of-{handled.watch}"):
            handled = handled.model_copy(update={"watch": None})
    return status if handled == status.handled_requests else status.model_copy(update={"handled_requests": handled})


def explain_missing_start(status: ModelMonitorStatus, job: JobObservation) -> JobObservation:
    """Return an ended Job with the cause that kept it from starting, where its end alone does not name one."""
    answer = job.answer
    waiting = next((waiting for waiting in status.waiting_jobs if waiting.uid == job.uid), None)
    if waiting is None or not isinstance(answer, Failure) or answer.reason not in _SILENT:
        return job
    if not JobWait(waiting.reason, waiting.message).blocked:
        return job
    message = f"It did not start before its deadline. {waiting.message}"[:1024]
    return dataclasses.replace(job, answer=Failure(reason=FailureReason(waiting.reason), message=message))


def _remember(before: WaitingJob | None, job: JobObservation) -> WaitingJob:
    assert job.waiting is not None
    waiting = WaitingJob(
        job_name=job.name,
        uid=job.uid,
        role=job.role,
        token=job.token,
        generation=job.generation,
        reason=job.waiting.reason,
        message=job.waiting.message,
    )
    # The kubelet alternates between the cause of a failed pull and the mere fact that it waits to pull again.
    pulled_before = before is not None and before.reason == waiting.reason == FailureReason.IMAGE_NOT_PULLED
    return before if before is not None and pulled_before and len(before.message) > len(waiting.message) else waiting
