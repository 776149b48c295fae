"""The loop of a replay: what the operator does at a time, with Jobs that end when they start.

It is the cycle of :mod:`modelmonitor_policy.plan`: plan, execute, apply the results, until nothing is left to start.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from modelmonitor_api.messages import Answer, MonitorRef
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus
from modelmonitor_policy import (
    Decision,
    Facts,
    JobObservation,
    PlannedJob,
    Requests,
    apply_job_results,
    decide,
    facts_of,
    plan,
    plan_job,
    plan_scheduled_check,
    record_intent,
    wake_at,
)
from modelmonitor_policy.schedule import next_time
from modelmonitor_policy.training_days import training_days

#: Runs a Job at a time, and returns its answer.
JobRunner = Callable[[PlannedJob, dt.datetime], Answer]

#: More passes at one time than any monitor needs: a plan that never ends is a bug.
_MAX_PASSES = 50


@dataclass(frozen=True)
class Event:
    """A Job that has run.

    Attributes
    ----------
    time
        When it started and ended.
    job
        What was planned.
    answer
        Its answer.
    """

    time: dt.datetime
    job: PlannedJob
    answer: Answer


@dataclass
class SimulatedMonitor:
    """A monitor on a simulated clock.

    Attributes
    ----------
    monitor, spec
        The monitor and its spec.
    run
        Runs its Jobs.
    status
        Its status as the operator would write it, without conditions.
    jobs
        All Jobs that have run.
    """

    monitor: MonitorRef
    spec: ModelMonitorSpec
    run: JobRunner
    status: ModelMonitorStatus = field(default_factory=ModelMonitorStatus)
    jobs: list[JobObservation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = self.status.model_copy(update={"observed_generation": self.monitor.generation})

    def facts(self) -> Facts:
        """Return the facts to plan from."""
        return facts_of(self.spec, self.monitor.generation, Requests(), self.status, self.jobs)

    def decision(self, now: dt.datetime) -> Decision:
        """Return what the condition Training would show."""
        return decide(self.facts(), now)

    def check(self, due: dt.datetime) -> Iterator[Event]:
        """Run the check that is due, then everything that follows from it."""
        job = plan_scheduled_check(self.monitor, self.spec, due)
        yield self._end(job, self._start(job, due), due)
        yield from self.reconcile(due)

    def reconcile(self, now: dt.datetime) -> Iterator[Event]:
        """Run everything that is due at a time, in the order in which the operator would."""
        for _ in range(_MAX_PASSES):
            started: list[tuple[PlannedJob, JobObservation]] = []
            for intent in plan(self.facts(), now):
                job = plan_job(intent, self.monitor, self.spec)
                observed = self._start(job, now)
                self.status = record_intent(self.status, intent, observed, now)
                started.append((job, observed))
            if not started:
                self._finish(now)
                return
            for job, observed in started:
                yield self._end(job, observed, now)
        raise RuntimeError(f"the plan of {self.monitor.name} at {now} never ends")

    def next_event(self, now: dt.datetime) -> tuple[dt.datetime, bool]:
        """Return when something can happen next, and whether that is a scheduled check.

        The CronJob of a suspended monitor starts no checks; what is due otherwise is looked for at its times.
        """
        due = next_time(self.spec.schedule, self.spec.time_zone, now)
        wake = wake_at(self.facts(), now)
        if wake is not None and now < wake < due:
            return wake, False
        return due, not self.spec.suspend

    def _start(self, job: PlannedJob, now: dt.datetime) -> JobObservation:
        observed = JobObservation(
            name=job.name,
            uid=job.name,
            role=job.role,
            started=now,
            number=job.number,
            token=job.token,
            trigger=job.trigger,
            generation=self.monitor.generation,
        )
        self.jobs.append(observed)
        return observed

    def _end(self, job: PlannedJob, observed: JobObservation, now: dt.datetime) -> Event:
        answer = self.run(job, now)
        ended = replace(observed, finished=now, answer=answer)
        self.jobs[self.jobs.index(observed)] = replace(ended, answer=None)
        self.status = apply_job_results(self.status, [ended])
        return Event(now, job, answer)

    def _finish(self, now: dt.datetime) -> None:
        due = None if self.spec.suspend else next_time(self.spec.schedule, self.spec.time_zone, now)
        windows = training_days(self.facts())
        self.status = self.status.model_copy(update={"next_check_time": due, "training_windows": windows})
