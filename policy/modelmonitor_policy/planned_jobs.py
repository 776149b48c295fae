"""Planned Jobs: the name, the role and the request by which an intent is executed.

The operator turns a planned Job into a Job of Kubernetes; a replay runs its request in process. Names are derived
from what the Job is for, so that a second execution of the same intent is recognized by the name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest, MonitorRef, PromoteRequest, Request, RollbackRequest, TrainRequest
from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.intents import (
    AutoRollback,
    Intent,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
)
from modelmonitor_policy.schedule import per_day

_MAX_MESSAGE = 1024


@dataclass(frozen=True)
class PlannedJob:
    """A Job to start.

    Attributes
    ----------
    name, role
        Name and purpose.
    request
        What its pod is asked to do.
    number
        Number of a training.
    token
        Token of the request or the rollback that it serves, if any.
    trigger
        Why it starts, as "Reason: message"; empty where a user or the schedule asks for it.
    """

    name: str
    role: Role
    request: Request
    number: int | None = None
    token: str | None = None
    trigger: str = ""


def plan_job(intent: Intent, monitor: MonitorRef, spec: ModelMonitorSpec, trainer_image: str = "") -> PlannedJob:
    """Return the Job that executes an intent; the same intent always gives a Job of the same name.

    Parameters
    ----------
    intent
        The intent.
    monitor, spec
        The monitor and its spec.
    trainer_image
        Image of a training whose monitor declares none, recorded with the version.
    """
    match intent:
        case StartCheck(token=token):
            return _with_token(monitor, Role.CHECK, check_request(monitor, spec), token)
        case StartTraining():
            return _training(intent, monitor, spec, trainer_image)
        case StartRollback(version=version, token=token):
            return _with_token(monitor, Role.ROLLBACK, RollbackRequest(monitor=monitor, spec=spec, to=version), token)
        case StartPromotion(version=version, token=token, comment=comment):
            promotion = PromoteRequest(monitor=monitor, spec=spec, version=version, comment=comment)
            return _with_token(monitor, Role.PROMOTE, promotion, token)
        case AutoRollback():
            return _auto_rollback(intent, monitor, spec)


def plan_scheduled_check(monitor: MonitorRef, spec: ModelMonitorSpec, due: dt.datetime) -> PlannedJob:
    """Return the Job that the CronJob controller creates for a check that is due at a time."""
    name = f"{names.cron_job_name(monitor.name)}-{int(due.timestamp()) // 60}"
    return PlannedJob(name, Role.CHECK, check_request(monitor, spec))


def check_request(monitor: MonitorRef, spec: ModelMonitorSpec) -> CheckRequest:
    """Return the request of a check."""
    return CheckRequest(monitor=monitor, spec=spec, checks_per_day=per_day(spec.schedule))


def _training(intent: StartTraining, monitor: MonitorRef, spec: ModelMonitorSpec, trainer_image: str) -> PlannedJob:
    request = TrainRequest(
        monitor=monitor,
        spec=spec,
        number=intent.number,
        reason=intent.reason,
        message=intent.message[:_MAX_MESSAGE],
        trainer_image=spec.retraining.trainer.image or trainer_image,
        drift_onset=intent.drift_onset,
        pinned=intent.pinned,
    )
    return PlannedJob(
        names.training_job_name(monitor.name, monitor.uid, intent.number),
        Role.TRAIN,
        request,
        intent.number,
        intent.token,
        f"{intent.reason}: {intent.message}",
    )


def _auto_rollback(intent: AutoRollback, monitor: MonitorRef, spec: ModelMonitorSpec) -> PlannedJob:
    request = RollbackRequest(
        monitor=monitor,
        spec=spec,
        to=intent.version,
        instead_of=intent.instead_of,
        reason=intent.reason.value,
        message=intent.message[:_MAX_MESSAGE],
    )
    return _with_token(monitor, Role.ROLLBACK, request, intent.token, f"{intent.reason}: {intent.message}")


def _with_token(monitor: MonitorRef, role: Role, request: Request, token: str, trigger: str = "") -> PlannedJob:
    name = names.requested_job_name(monitor.name, monitor.uid, role, token)
    return PlannedJob(name, role, request, token=token, trigger=trigger)
