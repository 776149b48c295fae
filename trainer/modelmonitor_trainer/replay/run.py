"""One setting over a range of the past: all checks, trainings, promotions and rollbacks, as a list of events."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modelmonitor_api.messages import Answer, CheckVerdict, MonitorRef, PromoteRequest, RunVerdict
from modelmonitor_api.names import Role
from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.status import ModelMonitorStatus
from modelmonitor_policy import Decision, PlannedJob, plan_scheduled_check
from modelmonitor_policy.schedule import next_time
from modelmonitor_trainer.check.publish import write_check
from modelmonitor_trainer.errors import ModelMonitorError, failure_of
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.manual import handle_promotion
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.replay.jobs import MACHINE_ERRORS, read_back, run_job
from modelmonitor_trainer.replay.journal import Journal
from modelmonitor_trainer.replay.lookahead import DueCheck, Lookahead
from modelmonitor_trainer.replay.past_store import PastStore
from modelmonitor_trainer.replay.settings import Setting
from modelmonitor_trainer.replay.simulation import Event, SimulatedMonitor
from modelmonitor_trainer.replay.workers import Workers

#: Receives each event when it has happened.
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Range:
    """The simulated time.

    Attributes
    ----------
    first, last
        First and last day, both included; days are those of UTC.
    """

    first: dt.date
    last: dt.date

    @property
    def start(self) -> dt.datetime:
        """When it starts."""
        return dt.datetime.combine(self.first, dt.time(), dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """When it ends, exclusive."""
        return dt.datetime.combine(self.last + dt.timedelta(days=1), dt.time(), dt.UTC)


@dataclass(frozen=True)
class SettingRun:
    """What a setting did.

    Attributes
    ----------
    setting, monitor
        The setting, and the monitor with the spec that ran.
    events
        All Jobs, in order.
    status
        The status at the end.
    decision
        What the condition Training would show at the end.
    seconds
        Processor seconds of all Jobs.
    """

    setting: Setting
    monitor: MonitorRef
    events: tuple[Event, ...]
    status: ModelMonitorStatus
    decision: Decision
    seconds: float


def run_setting(
    setting: Setting,
    monitor: MonitorRef,
    period: Range,
    store: PastStore,
    folder: Path,
    workers: Workers,
    on_event: OnEvent = lambda _: None,
) -> SettingRun:
    """Run a setting over a range, or the rest of it after an interrupted run.

    Parameters
    ----------
    setting, monitor, period
        The setting, the monitor, and the range.
    store
        The store of the past. The results of the setting go below its ``resultsURI``.
    folder
        Local folder of the run, with its journal.
    workers
        Processes that compute checks ahead.
    on_event
        Called after each event.
    """
    runner = _Runner(setting, monitor, period, store, folder, workers)
    simulated = SimulatedMonitor(monitor, setting.spec, runner.run)
    events = []
    for event in simulate(simulated, period):
        events.append(event)
        on_event(event)
    return SettingRun(setting, monitor, tuple(events), simulated.status, simulated.decision(period.end), runner.seconds)


def simulate(monitor: SimulatedMonitor, period: Range) -> Iterator[Event]:
    """Yield everything that happens to a monitor in a range."""
    yield from monitor.reconcile(period.start)
    now = period.start
    while True:
        now, is_check = monitor.next_event(now)
        if now >= period.end:
            return
        yield from monitor.check(now) if is_check else monitor.reconcile(now)


class _Runner:
    """Runs the Jobs of one setting: from the journal, from the lookahead, or in this process."""

    def __init__(
        self, setting: Setting, monitor: MonitorRef, period: Range, store: PastStore, folder: Path, workers: Workers
    ) -> None:
        self._setting, self._monitor, self._period = setting, monitor, period
        self._store = store
        self._journal = Journal(folder / "journal.jsonl")
        self._lookahead = Lookahead(workers, self._upcoming)
        # The other cores compute checks ahead meanwhile.
        self._threads = max(1, workers.processes // 2)
        self._champion_uri = ResultsLayout.of(setting.spec, monitor).champion
        self._last_verdict: str | None = None
        #: Processor seconds of all Jobs.
        self.seconds = 0.0

    def run(self, job: PlannedJob, now: dt.datetime) -> Answer:
        """Return the answer of a Job."""
        recorded = self._journal.take(job, now)
        if recorded is None:
            recorded = self._check(job, now) if self._is_scheduled(job, now) else self._run_here(job, now)
            self._journal.add(job, now, *recorded)
        answer, seconds = recorded
        self.seconds += seconds
        if isinstance(answer, CheckVerdict):
            self._last_verdict = answer.verdict
        return answer

    def _is_scheduled(self, job: PlannedJob, now: dt.datetime) -> bool:
        return job.name == plan_scheduled_check(self._monitor, self._setting.spec, now).name

    def _check(self, job: PlannedJob, now: dt.datetime) -> tuple[Answer, float]:
        """Return the answer of a scheduled check; its page is kept where the verdict differs from the one before."""
        pointer = self._store.head(self._champion_uri)
        outcome = self._lookahead.check(DueCheck(job, now), pointer.etag if pointer else "")
        result = outcome.result
        if isinstance(result, MACHINE_ERRORS):
            raise result
        if isinstance(result, ModelMonitorError):
            return failure_of(result), outcome.seconds
        if result.verdict.verdict == self._last_verdict:
            result = result.without_page()
        write_check(self._store, result)
        return read_back(result.verdict), outcome.seconds

    def _run_here(self, job: PlannedJob, now: dt.datetime) -> tuple[Answer, float]:
        store, started = self._store.at(now), time.process_time()
        answer = run_job(store, job, now, self._threads)
        if job.role is Role.TRAIN and not self._setting.gated and isinstance(answer, RunVerdict):
            answer = self._promote(store, answer, job, now)
        return answer, time.process_time() - started

    def _promote(self, store: PastStore, verdict: RunVerdict, job: PlannedJob, now: dt.datetime) -> RunVerdict:
        """Promote the version of a training that the gate did not promote."""
        if verdict.outcome == RunOutcome.PROMOTED or verdict.version is None:
            return verdict
        spec = self._setting.spec
        if ModelRegistry.of(store, spec, self._monitor).find_version(verdict.version) is None:
            return verdict
        request = PromoteRequest(
            monitor=self._monitor, spec=spec, version=verdict.version, comment="this setting has no gate"
        )
        promoted = handle_promotion(store, request, job=f"{job.name}-promote", now=now)
        return verdict.model_copy(update={"outcome": promoted.outcome, "champion": promoted.champion})

    def _upcoming(self, after: dt.datetime, count: int) -> Iterator[DueCheck]:
        return islice(self._due_checks(after), count)

    def _due_checks(self, after: dt.datetime) -> Iterator[DueCheck]:
        spec, due = self._setting.spec, after
        while (due := next_time(spec.schedule, spec.time_zone, due)) < self._period.end:
            yield DueCheck(plan_scheduled_check(self._monitor, spec, due), due)
