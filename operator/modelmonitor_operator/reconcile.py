"""The reconcile loop.

Each pass goes from the old status to the new one::

    old status ─► observe Jobs ─► apply results ─► roll out ─► plan ─► execute intents ─► write status ─► post events

Whatever is decided is decided by :mod:`modelmonitor_policy`. Here objects are read and written.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.status import ModelMonitorStatus, Notified, QueuedTraining, Rollout, WaitingJob
from modelmonitor_operator import conditions, manifests
from modelmonitor_operator.cache import Key
from modelmonitor_operator.conditions import Finding
from modelmonitor_operator.diff import is_up_to_date, merge_patch
from modelmonitor_operator.events import events_between
from modelmonitor_operator.gateway import Conflict, Forbidden, Gateway, GatewayError, Invalid, Object, Unavailable
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.observation import belongs_to, belongs_to_predecessor, observe_jobs, observe_started_job
from modelmonitor_operator.pages import page_url
from modelmonitor_operator.rollout import blocked, next_step
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.training_slots import TrainingSlots
from modelmonitor_operator.untrusted import mapping, status_of
from modelmonitor_operator.validation import validate_monitor
from modelmonitor_policy import (
    Decision,
    Facts,
    Intent,
    JobObservation,
    Requests,
    StartTraining,
    apply_job_results,
    decide,
    facts_of,
    fail_lost_training,
    known_jobs,
    plan,
    record_intent,
    record_waiting_jobs,
)
from modelmonitor_policy.decision_record import record_decisions
from modelmonitor_policy.repetition import repeat_at
from modelmonitor_policy.schedule import next_time
from modelmonitor_policy.training_days import training_days
from modelmonitor_policy.waiting import find_lost_jobs, find_stale_jobs, restore_requests

_log = logging.getLogger(__name__)

ROLLOUTS_DISABLED = (
    "The operator is not allowed to change Deployments: install the chart with rollouts.enabled=true, or remove "
    "spec.promotion.rollout"
)


#: After this time it is tried again what another owner or the API server stands in the way of.
_REFUSED_AGAIN = dt.timedelta(minutes=5)

#: Conditions whose changes are logged: the decisions about a monitor, and what they are based on.
_LOGGED = frozenset(
    {
        ConditionType.READY.value,
        ConditionType.DRIFT_DETECTED.value,
        ConditionType.TRAINING.value,
        ConditionType.SUSPENDED.value,
        ConditionType.ROLLED_OUT.value,
        ConditionType.PINNED.value,
        ConditionType.CHAMPION_HEALTHY.value,
    }
)


class NameCollision(Exception):
    """An object of another owner has the name of one that the monitor needs."""


@dataclass(frozen=True)
class _State:
    """A monitor in the course of one pass.

    Attributes
    ----------
    resource
        The ModelMonitor as the API server returned it.
    status
        Its status as far as the pass has come.
    jobs
        Its Jobs, including those that the pass has started.
    lost
        Jobs for an older spec that were deleted before they could start.
    wake_at
        When time alone can change what the pass has decided; None where only an event can.
    """

    resource: Object
    status: ModelMonitorStatus
    jobs: tuple[JobObservation, ...]
    lost: tuple[WaitingJob, ...] = ()
    wake_at: dt.datetime | None = None

    @classmethod
    def observed(
        cls, resource: Object, status: ModelMonitorStatus, jobs: tuple[JobObservation, ...], now: dt.datetime
    ) -> _State:
        """Return the state with what follows from the Jobs that exist, and from those that do not any more."""
        lost = find_lost_jobs(status, jobs, resource["metadata"].get("generation", 1))
        # Before the results: the next training, which can exist already, replaces the lost one in the status.
        status = restore_requests(fail_lost_training(status, jobs, now), lost)
        status = apply_job_results(status, jobs)
        return cls(resource, record_waiting_jobs(status, jobs), jobs, lost)

    def with_status(self, **fields: Any) -> _State:
        """Return the state with some fields of the status replaced."""
        return dataclasses.replace(self, status=self.status.model_copy(update=fields))

    def after(self, intent: Intent, job: JobObservation, now: dt.datetime) -> _State:
        """Return the state after an intent has been executed by starting `job`."""
        status, jobs = record_intent(self.status, intent, job, now), (*self.jobs, job)
        return dataclasses.replace(self, status=record_waiting_jobs(status, jobs), jobs=jobs)

    def facts(self, monitor: Monitor) -> Facts:
        """Return the facts to plan from."""
        requests = Requests.from_annotations(monitor.annotations)
        return facts_of(monitor.spec, monitor.generation, requests, self.status, self.jobs, self.lost)


class Reconciler:
    """Brings the objects of a monitor to the state that its spec and the plan ask for; keeps nothing in memory.

    Parameters
    ----------
    gateway
        Access to the API server.
    settings
        Settings of the operator.
    clock
        Returns the time, with its time zone.
    slots
        Slots of concurrent trainings; without them, their number is not limited.
    on_change
        Is called with a monitor's namespace and name and two versions of its status, once the new one is written.
    notified
        Returns what was delivered to the sink of notifications about a monitor, given its status; without it, no
        status takes note of that.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        slots: TrainingSlots | None = None,
        on_change: Callable[[Key, ModelMonitorStatus, ModelMonitorStatus], None] | None = None,
        notified: Callable[[Key, ModelMonitorStatus], Notified] | None = None,
    ) -> None:
        self._slots = slots
        self._notified = notified
        self._on_change = on_change
        self._gateway = gateway
        self._settings = settings
        self._clock = clock

    async def reconcile(self, namespace: str, name: str) -> dt.datetime | None:
        """Reconcile one monitor; return when to do so again if nothing happens until then, None if never.

        Raises
        ------
        GatewayError
            If the API server could not be reached, or the monitor has changed in the meantime: try again.
        """
        resource = await self._gateway.get_monitor(namespace, name)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return None
        now = self._clock().replace(microsecond=0)
        old = _read_status(resource)
        state = await self._observe(resource, old, now)
        state, findings = await self._act(state, now)
        generation = resource["metadata"].get("generation", 1)
        new = conditions.set_conditions(state.status, findings, generation, now)
        notified = self._notified((namespace, name), old) if self._notified is not None else None
        new = new.model_copy(
            update={"notified": notified, "page_url": page_url(self._settings.pages_url, namespace, name)}
        )
        await self._write(resource, old, new, now)
        return _next_pass(state, now)

    async def _observe(self, resource: Object, old: ModelMonitorStatus, now: dt.datetime) -> _State:
        """Return the monitor with the results of its Jobs in its status."""
        jobs = await observe_jobs(self._gateway, resource, known_jobs(old), now)
        # The generation first: a training is recorded with the one that it is started for.
        generation = resource["metadata"].get("generation", 1)
        status = old.model_copy(update={"observed_generation": generation})
        return _State.observed(resource, status, jobs, now)

    async def _act(self, state: _State, now: dt.datetime) -> tuple[_State, list[Finding]]:
        """Execute what is due; return the state with the conditions. A refusal is a condition, not an error."""
        try:
            state, decision = await self._execute(state, now)
            findings = [*conditions.of_valid_monitor(), conditions.of_training(state.status, decision)]
        except InvalidSpec as error:
            findings = conditions.of_rejected_monitor(state.status, Reason.INVALID_SPEC, str(error))
        except NameCollision as error:
            state = dataclasses.replace(state, wake_at=now + _REFUSED_AGAIN)
            findings = conditions.of_rejected_monitor(state.status, Reason.NAME_COLLISION, str(error))
        except (Invalid, Forbidden) as error:
            state = dataclasses.replace(state, wake_at=now + _REFUSED_AGAIN)
            message = f"The API server rejected an object of this monitor: {error}"
            findings = conditions.of_rejected_monitor(state.status, Reason.OBJECT_REFUSED, message)
        suspended = mapping(state.resource.get("spec")).get("suspend") is True
        requests = Requests.from_annotations(state.resource["metadata"].get("annotations") or {})
        findings += [conditions.of_suspension(suspended), *conditions.of_pin(state.status, requests)]
        return state, [*findings, *conditions.of_status(state.status)]

    async def _execute(self, state: _State, now: dt.datetime) -> tuple[_State, Decision]:
        """Validate the spec, apply the CronJob and the rollout, and execute the plan."""
        decisions = tuple(state.status.decisions)
        monitor = dataclasses.replace(validate_monitor(state.resource), decisions=decisions)
        await self._apply_cron_job(monitor, state.resource)
        spec = monitor.spec
        due = None if spec.suspend else next_time(spec.schedule, spec.time_zone, now)
        state = state.with_status(next_check_time=due, rollout=await self._roll_out(monitor, state.status, now))
        state = await self._delete_stale_jobs(state, now)
        state = self._queue_training(state, monitor, now)
        for intent in plan(state.facts(monitor), now):
            job = manifests.job_of(monitor, self._settings, intent)
            state = state.after(intent, await self._create_or_adopt(job, state.resource), now)
        # Decided again after the execution: the condition names the Jobs that have just been started.
        facts = state.facts(monitor)
        decision = decide(facts, now)
        times = [time for time in (due, decision.wake_at, repeat_at(facts)) if time is not None]
        state = dataclasses.replace(state, wake_at=min(times, default=None))
        state = state.with_status(training_windows=training_days(facts))
        return dataclasses.replace(state, status=record_decisions(state.status, decision, now)), decision

    def _queue_training(self, state: _State, monitor: Monitor, now: dt.datetime) -> _State:
        """Record a training that is due and must wait for others; forget one that may start or is no longer due."""
        before = state.status.queued_training
        state = state.with_status(queued_training=None)
        due = any(isinstance(intent, StartTraining) for intent in plan(state.facts(monitor), now))
        if self._slots is None or not due:
            return state
        since = before.time if before is not None else now
        if self._slots.take((monitor.namespace, monitor.name), since):
            return state
        return state.with_status(queued_training=QueuedTraining(time=since, message=self._slots.limits.describe()))

    async def _delete_stale_jobs(self, state: _State, now: dt.datetime) -> _State:
        """Delete Jobs that were created for an older spec and have not started, so that others can replace them."""
        metadata = state.resource["metadata"]
        stale = find_stale_jobs(state.status, state.jobs, metadata.get("generation", 1))
        for job in stale:
            await self._gateway.delete_job(metadata["namespace"], job.name, job.uid)
        if not stale:
            return state
        jobs = tuple(job for job in state.jobs if job not in stale)
        after = _State.observed(state.resource, state.status, jobs, now)
        return dataclasses.replace(after, lost=(*state.lost, *after.lost))

    async def _apply_cron_job(self, monitor: Monitor, resource: Object) -> None:
        wanted = manifests.cron_job(monitor, self._settings)
        name = wanted["metadata"]["name"]
        live = await self._gateway.get_cron_job(monitor.namespace, name)
        if live is not None and belongs_to_predecessor(live, resource):
            raise Unavailable(f"CronJob {name} of a deleted monitor of the same name has not been collected yet")
        if live is not None and not belongs_to(live, resource):
            raise NameCollision(_collision("CronJob", name))
        if live is None:
            await self._gateway.apply_cron_job(wanted)
        elif not is_up_to_date(live, wanted):
            # Its monitor may have been deleted in the meantime: it must be neither adopted nor created again.
            unchanged = {key: live["metadata"][key] for key in ("uid", "resourceVersion") if key in live["metadata"]}
            await self._gateway.apply_cron_job({**wanted, "metadata": wanted["metadata"] | unchanged})

    async def _roll_out(self, monitor: Monitor, status: ModelMonitorStatus, now: dt.datetime) -> Rollout | None:
        """Make the Deployment that serves the champion use its version; return the progress.

        A problem with the Deployment has its own condition, and stops neither checks nor trainings.
        """
        declared, champion, before = monitor.spec.promotion.rollout, status.champion, status.rollout
        if declared is None or champion is None:
            return None
        if not self._settings.rollouts:
            return blocked(monitor, champion, before, ROLLOUTS_DISABLED, now)
        try:
            deployment = await self._gateway.get_deployment(monitor.namespace, declared.deployment_ref.name)
            step = next_step(monitor, champion, deployment, before, now)
            if step.apply is not None:
                await self._gateway.apply_deployment(step.apply)
        except (Invalid, Forbidden) as error:
            return blocked(monitor, champion, before, str(error), now)
        return step.status

    async def _create_or_adopt(self, job: Object, resource: Object) -> JobObservation:
        """Create a Job, or adopt the one that an earlier pass has created under the same name."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        try:
            return observe_started_job(await self._gateway.create_job(job))
        except Conflict:
            existing = await self._gateway.get_job(namespace, name)
        if existing is None:
            raise Unavailable(f"Job {name} existed a moment ago and is gone")
        if "deletionTimestamp" in existing["metadata"]:
            raise Unavailable(f"Job {name} is being deleted")
        if not belongs_to(existing, resource):
            raise NameCollision(_collision("Job", name))
        return observe_started_job(existing)

    async def _write(
        self, resource: Object, old: ModelMonitorStatus, new: ModelMonitorStatus, now: dt.datetime
    ) -> None:
        """Write the status if it has changed, then post events about the changes."""
        wire = new.to_wire()
        if wire == resource.get("status"):
            return
        metadata, patch = resource["metadata"], merge_patch(status_of(resource), wire)
        await self._gateway.patch_status(metadata["namespace"], metadata["name"], metadata["resourceVersion"], patch)
        if self._on_change is not None:
            self._on_change((metadata["namespace"], metadata["name"]), old, new)
        _log_changes(f"{metadata['namespace']}/{metadata['name']}", old, new)
        for event in events_between(old, new, resource, now):
            try:
                await self._gateway.create_event(event)
            except GatewayError as error:  # events are best effort: the status is what counts
                _log.warning("event %s was not posted: %s", event["reason"], error)


def _next_pass(state: _State, now: dt.datetime) -> dt.datetime | None:
    """Return when the monitor is due again: soon while a Job has not ended."""
    if any(job.finished is None for job in state.jobs):
        return now
    return state.wake_at


def _log_changes(monitor: str, old: ModelMonitorStatus, new: ModelMonitorStatus) -> None:
    """Log what was decided and why, with the facts: one line for each decision, none while nothing changes."""
    recorded = {(entry.time, entry.action) for entry in old.history}
    for entry in reversed(new.history):
        if (entry.time, entry.action) not in recorded:
            version = f" {entry.version}" if entry.version else ""
            _log.info("%s: %s%s (%s): %s", monitor, entry.action, version, entry.reason, entry.message)
    before = {condition.type: (condition.status, condition.reason, condition.message) for condition in old.conditions}
    for condition in new.conditions:
        kind = condition.type
        if kind not in _LOGGED or before.get(kind) == (condition.status, condition.reason, condition.message):
            continue
        _log.info("%s: %s=%s (%s): %s", monitor, kind, condition.status, condition.reason, condition.message)


def _collision(kind: str, name: str) -> str:
    return f"{kind} {name} exists and belongs to another owner; rename the monitor, or delete the {kind}"


def _read_status(resource: Object) -> ModelMonitorStatus:
    """Return the status; empty if it cannot be parsed, because it can be rebuilt from the Jobs."""
    try:
        return ModelMonitorStatus.model_validate(status_of(resource))
    except ValidationError as error:
        _log.warning("the status of %s is invalid and is rebuilt: %s", resource["metadata"]["name"], error)
        return ModelMonitorStatus()
