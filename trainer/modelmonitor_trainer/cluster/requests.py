"""Requests to a monitor on a cluster, and how far they have come.

A request is an annotation, as in the how-to guides: the operator serves each token once, and shows in the status which
it has served. Names of Jobs follow from tokens, so that a request can be followed without a right on Jobs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import ConditionType, Reason, Role
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_policy.requests import MAX_COMMENT
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.layout import is_version_name

_ANNOTATIONS = {
    Role.CHECK: names.ANNOTATION_CHECK_REQUESTED,
    Role.TRAIN: names.ANNOTATION_RETRAIN_REQUESTED,
    Role.ROLLBACK: names.ANNOTATION_ROLLBACK_TO,
    Role.PROMOTE: names.ANNOTATION_PROMOTE,
}
_FAILURES = frozenset({Reason.ROLLBACK_FAILED.value, Reason.PROMOTION_FAILED.value, Reason.TRAINING_FAILED.value})


class Stage(StrEnum):
    """How far a request has come."""

    WAITING = "Waiting"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"


@dataclass(frozen=True)
class Progress:
    """How far a request has come, and what there is to say about it.

    Attributes
    ----------
    stage
        The stage.
    reason
        A verdict, an outcome, or the reason for a wait, in one CamelCase word.
    message
        In a sentence.
    """

    stage: Stage
    reason: str = ""
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.stage in {Stage.DONE, Stage.FAILED}


@dataclass(frozen=True)
class Request:
    """A request of a person.

    Attributes
    ----------
    role
        What is requested.
    token
        Its token, different in each request.
    """

    role: Role
    token: str
    reason: str = ""

    def patch(self) -> dict[str, Any]:
        """Return the change of the monitor that makes the request."""
        annotations: dict[str, str | None] = {_ANNOTATIONS[self.role]: self.token}
        if self.role is Role.PROMOTE:  # the reason of an earlier promotion must not be recorded with this one
            annotations[names.ANNOTATION_PROMOTE_REASON] = self.reason[:MAX_COMMENT] or None
        return {"metadata": {"annotations": annotations}}


def request_check(now: dt.datetime) -> Request:
    """Return the request of a check."""
    return Request(Role.CHECK, _stamp(now))


def request_training(now: dt.datetime) -> Request:
    """Return the request of a training."""
    return Request(Role.TRAIN, _stamp(now))


def request_rollback(version: str, now: dt.datetime) -> Request:
    """Return the request of a rollback to a version, or to the previous one.

    Raises
    ------
    BadConfiguration
        If a version cannot have this name.
    """
    return Request(Role.ROLLBACK, f"{_version(version)}#{_stamp(now)}")


def request_promotion(version: str, reason: str, now: dt.datetime) -> Request:
    """Return the request of a promotion, with the reason for the record.

    Raises
    ------
    BadConfiguration
        If a version cannot have this name.
    """
    return Request(Role.PROMOTE, f"{_version(version)}#{_stamp(now)}", reason)


def version_to_promote(monitor: ObservedMonitor) -> str:
    """Return the version that awaits approval.

    Raises
    ------
    BadConfiguration
        If none does.
    """
    last = monitor.status.last_training
    if last is not None and last.outcome == TrainingOutcome.AWAITING_APPROVAL and last.version is not None:
        return last.version
    outcome = f"the outcome of the last training is {last.outcome}" if last is not None else "there was no training"
    raise BadConfiguration(f"no version awaits approval ({outcome}); choose one with --version")


def _version(name: str) -> str:
    if not is_version_name(name) or len(name) > 64:
        raise BadConfiguration(f"{name!r} is not a valid name of a version, such as v2-0badcafe")
    return name


def _stamp(now: dt.datetime) -> str:
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def refuse_useless(monitor: ObservedMonitor, role: Role, resume: str) -> None:
    """Refuse a request that nothing would serve.

    Parameters
    ----------
    monitor
        The monitor.
    role
        What is requested.
    resume
        Command that resumes the monitor.

    Raises
    ------
    BadConfiguration
        With what to do first.
    """
    if role in {Role.CHECK, Role.TRAIN} and monitor.spec is not None and monitor.spec.suspend:
        raise BadConfiguration(f"{monitor.namespace}/{monitor.name} is paused, so nothing would start; run: {resume}")
    ready = monitor.condition(ConditionType.READY)
    if ready is not None and ready.status == "False" and ready.observed_generation == monitor.generation:
        raise BadConfiguration(f"{monitor.namespace}/{monitor.name} is not ready ({ready.reason}): {ready.message}")


def follow(request: Request, monitor: ObservedMonitor) -> Progress:
    """Return how far a request has come, by the status of the monitor after it."""
    if request.role is Role.CHECK:
        return _follow_check(request, monitor)
    if request.role is Role.TRAIN:
        return _follow_training(request, monitor)
    return _follow_manual(request, monitor)


def _follow_check(request: Request, monitor: ObservedMonitor) -> Progress:
    status, job = monitor.status, names.requested_job_name(monitor.name, monitor.uid, request.role, request.token)
    check, failure = status.last_check, status.last_check_failure
    if check is not None and check.job_name == job:
        return Progress(Stage.DONE, check.verdict, check.message)
    if failure is not None and failure.job_name == job:
        return Progress(Stage.FAILED, failure.reason, failure.message)
    if status.handled_requests.check != request.token:
        return Progress(Stage.WAITING, "", "The operator has not seen the request yet.")
    ended = _ended_job(monitor, job)
    if ended:
        return Progress(Stage.FAILED, "Superseded", "A later check has ended before this one.")
    return _waiting(monitor, job) or Progress(Stage.RUNNING, "", f"Job {job} runs.")


def _follow_training(request: Request, monitor: ObservedMonitor) -> Progress:
    status, last = monitor.status, monitor.status.last_training
    if status.handled_requests.retrain != request.token or last is None:
        return _why_not_started(request, monitor)
    if last.completion_time is None:
        return _waiting(monitor, last.job_name) or Progress(Stage.RUNNING, "", f"Job {last.job_name} trains.")
    outcome = last.outcome or ""
    failed = outcome in {TrainingOutcome.FAILED, TrainingOutcome.NOT_STARTED}
    return Progress(Stage.FAILED if failed else Stage.DONE, outcome, last.message)


def _why_not_started(request: Request, monitor: ObservedMonitor) -> Progress:
    """Return what a requested training waits for."""
    condition, queued = monitor.condition(ConditionType.TRAINING), monitor.status.queued_training
    if condition is not None and condition.status == "False" and request.token in condition.message:
        return Progress(Stage.WAITING, condition.reason, condition.message)
    if queued is not None:
        return Progress(Stage.WAITING, Reason.TRAINING_QUEUED, queued.message)
    return _waiting_for_other(monitor) or Progress(Stage.WAITING, "", "The operator has not started it yet.")


def _waiting_for_other(monitor: ObservedMonitor) -> Progress | None:
    """Return that a request waits for a Job that can change the champion; None if there is none."""
    other = next((job for job in monitor.jobs if job.may_change_champion), None)
    if other is None:
        return None
    return Progress(Stage.WAITING, Reason.IN_FLIGHT, f"It waits for Job {other.name} ({other.role.value}).")


def _follow_manual(request: Request, monitor: ObservedMonitor) -> Progress:
    status, job = monitor.status, names.requested_job_name(monitor.name, monitor.uid, request.role, request.token)
    handled: Mapping[Role, str | None] = {
        Role.ROLLBACK: status.handled_requests.rollback,
        Role.PROMOTE: status.handled_requests.promote,
    }
    if handled[request.role] != request.token:
        return _waiting_for_other(monitor) or Progress(Stage.WAITING, "", "The operator has not started it yet.")
    ended = _ended_job(monitor, job)
    if ended is None:
        return _waiting(monitor, job) or Progress(Stage.RUNNING, "", f"Job {job} runs.")
    entry = next((entry for entry in status.history if entry.time == ended), None)
    if entry is None:
        return Progress(Stage.RUNNING, "", f"Job {job} has ended.")
    if entry.action in _FAILURES:
        return Progress(Stage.FAILED, entry.action, f"{entry.reason}: {entry.message}")
    return Progress(Stage.DONE, entry.action, entry.message)


def _ended_job(monitor: ObservedMonitor, name: str) -> dt.datetime | None:
    """Return when a Job has ended whose result is part of the status."""
    job = next((job for job in monitor.jobs if job.name == name), None)
    if job is None:
        return None
    return next((recent.time for recent in monitor.status.recent_jobs if recent.uid == job.uid), None)


def _waiting(monitor: ObservedMonitor, job_name: str) -> Progress | None:
    """Return why a Job has not started; None if it has."""
    job = next((job for job in monitor.status.waiting_jobs if job.job_name == job_name), None)
    return Progress(Stage.WAITING, job.reason, job.message) if job is not None else None
