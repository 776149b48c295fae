"""A monitor without Kubernetes: plans are executed in memory, as a replay of past data would execute them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus
from modelmonitor_policy import (
    AutoRollback,
    Facts,
    Intent,
    JobObservation,
    Requests,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
    apply_job_results,
    facts_of,
    plan,
    record_intent,
)
from modelmonitor_policy.observations import Answer
from unit.policy.factories import NOW


def role_of(intent: Intent) -> Role:
    """Return the role of the Job that executes an intent."""
    match intent:
        case StartCheck():
            return Role.CHECK
        case StartTraining():
            return Role.TRAIN
        case StartPromotion():
            return Role.PROMOTE
        case StartRollback() | AutoRollback():
            return Role.ROLLBACK


def key_of(intent: Intent) -> str:
    """Return what identifies an intent: two executions with the same key are one."""
    key = str(intent.number) if isinstance(intent, StartTraining) else intent.token
    return f"{role_of(intent)}/{key}"


class SimulatedMonitor:
    """A monitor whose Jobs end when the test ends them.

    Attributes
    ----------
    now, status, jobs, annotations
        The state, which tests can change.
    executed
        All intents, in the order of their execution.
    """

    def __init__(self, spec: ModelMonitorSpec) -> None:
        self.spec = spec
        self.now = NOW
        self.status = ModelMonitorStatus(observed_generation=1)
        self.jobs: list[JobObservation] = []
        self.annotations: dict[str, str] = {}
        self.executed: list[Intent] = []

    def facts(self) -> Facts:
        """Return the facts of now."""
        return facts_of(self.spec, 1, Requests.from_annotations(self.annotations), self.status, self.jobs)

    def step(self) -> tuple[Intent, ...]:
        """Plan, execute the plan, and return it."""
        self.status = apply_job_results(self.status, self._in_order())
        intents = plan(self.facts(), self.now)
        for intent in intents:
            job = self._start(intent)
            self.status = record_intent(self.status, intent, job, self.now)
            self.executed.append(intent)
        return intents

    def scheduled_check(self) -> JobObservation:
        """Start a check as the schedule does, and return its Job."""
        name = f"scheduled-{len(self.jobs)}"
        job = JobObservation(name=name, uid=f"uid-of-{name}", role=Role.CHECK, started=self.now)
        self.jobs.append(job)
        return job

    def running(self, *roles: Role) -> list[JobObservation]:
        """Return the Jobs of some roles that have not ended."""
        return [job for job in self.jobs if job.role in roles and job.finished is None]

    def finish(self, job: JobObservation, answer: Answer) -> None:
        """End a Job."""
        self.jobs[self.jobs.index(job)] = replace(job, finished=self.now, answer=answer)

    def pass_time(self, **duration: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(**duration)

    def request(self, **tokens: str) -> None:
        """Set annotations, by the names of the fields of Requests."""
        annotations: Mapping[str, str] = {
            "check": names.ANNOTATION_CHECK_REQUESTED,
            "retrain": names.ANNOTATION_RETRAIN_REQUESTED,
            "rollback": names.ANNOTATION_ROLLBACK_TO,
            "promote": names.ANNOTATION_PROMOTE,
        }
        self.annotations |= {annotations[kind]: token for kind, token in tokens.items()}

    def _start(self, intent: Intent) -> JobObservation:
        fields: dict[str, Any] = {"token": intent.token}
        if isinstance(intent, StartTraining):
            fields |= {"number": intent.number, "trigger": f"{intent.reason}: {intent.message}"}
        name = key_of(intent)
        job = JobObservation(name=name, uid=f"uid-of-{name}", role=role_of(intent), started=self.now, **fields)
        self.jobs.append(job)
        return job

    def _in_order(self) -> list[JobObservation]:
        return sorted(self.jobs, key=lambda job: (job.finished is None, job.finished or job.started))
