"""The loop: old status → facts → decision → objects → status if changed → events."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from modelmonitor_api import names
from modelmonitor_api.names import Reason, Role
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.status import HistoryEntry, ModelMonitorStatus, parse_time
from modelmonitor_operator import conditions, manifests
from modelmonitor_operator.diff import is_up_to_date, merge_patch
from modelmonitor_operator.events import events_between
from modelmonitor_operator.gateway import Conflict, Forbidden, Gateway, GatewayError, Invalid, Object, Unavailable
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.observation import belongs_to, belongs_to_predecessor, job_observation, observe_jobs
from modelmonitor_operator.rollout import blocked, next_step
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.validation import validate_monitor
from modelmonitor_policy import (
    Action,
    AutoRollback,
    ChampionObservation,
    CheckObservation,
    Decision,
    Facts,
    JobInFlight,
    JobObservation,
    TrainingObservation,
    WatchObservation,
    decide,
    find_auto_rollback,
    schedule,
)
from modelmonitor_policy.transitions import apply_job_results, handled, known_jobs, lost_training, remember

_log = logging.getLogger(__name__)

#: What an annotation asks for: (annotation, name in status.handledRequests, role of the Job that answers).
_REQUESTS = (
    (names.ANNOTATION_CHECK_REQUESTED, "check", Role.CHECK),
    (names.ANNOTATION_ROLLBACK_TO, "rollback", Role.ROLLBACK),
    (names.ANNOTATION_PROMOTE, "promote", Role.PROMOTE),
)
#: A token goes into names and status: longer ones are cut.
_MAX_TOKEN = 253
#: The token of the check that a new monitor begins with, so that nobody waits for the schedule.
INITIAL = "initial"
NO_ROLLOUTS = (
    "The operator has no right to change Deployments: install the chart with rollouts.enabled=true, or remove "
    "spec.promotion.rollout"
)


class NameCollision(Exception):
    """An object that is not ours has the name of one that we need."""


class Reconciler:
    """Brings what there is to what a monitor wants; keeps nothing in memory.

    Parameters
    ----------
    gateway
        The way to the API server.
    settings
        Of the operator.
    clock
        Returns the time, with its time zone.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._clock = clock

    async def reconcile(self, namespace: str, name: str) -> None:
        """Look at one monitor, do what is to be done, and write down what was seen.

        Raises
        ------
        GatewayError
            Where the API server could not be reached, or the monitor changed meanwhile: try again.
        """
        found = await self._gateway.get_monitor(namespace, name)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return
        now = self._clock().replace(microsecond=0)
        generation = found["metadata"].get("generation", 1)
        old = _status_of(found)
        jobs = await observe_jobs(self._gateway, found, known_jobs(old))
        # The generation first: a training is recorded with the one that it is started for.
        status = apply_job_results(old.model_copy(update={"observed_generation": generation}), jobs)
        status = lost_training(status, jobs, now)
        suspended = (found.get("spec") or {}).get("suspend") is True
        try:
            status, decision = await self._act(found, status, jobs, now)
            findings = [*conditions.accepted(), *conditions.training(status, decision)]
        except InvalidSpec as error:
            findings = [*conditions.refused(Reason.INVALID_SPEC, str(error)), *conditions.training(status, None)]
        except NameCollision as error:
            findings = [*conditions.refused(Reason.NAME_COLLISION, str(error)), *conditions.training(status, None)]
        except (Invalid, Forbidden) as error:
            sentence = f"The API server refuses an object of this monitor: {error}"
            findings = [*conditions.refused(Reason.OBJECT_REFUSED, sentence), *conditions.training(status, None)]
        findings += [conditions.suspension(suspended), *conditions.observed(status), *conditions.rolled_out(status)]
        findings += conditions.champion_healthy(status)
        await self._write(found, old, conditions.set_conditions(status, findings, generation, now), now)

    async def _act(
        self, found: Object, status: ModelMonitorStatus, jobs: list[JobObservation], now: dt.datetime
    ) -> tuple[ModelMonitorStatus, Decision]:
        """Apply what the spec wants and the policy decides; return the status with what was started."""
        monitor = validate_monitor(found)
        await self._ensure_cron_job(monitor, found)
        if monitor.spec.suspend:
            status = status.model_copy(update={"next_check_time": None})
        else:
            due = schedule.next_time(monitor.spec.schedule, monitor.spec.time_zone, now)
            status = status.model_copy(update={"next_check_time": due})
        status, jobs = await self._answer_requests(monitor, found, status, jobs)
        status, jobs = await self._step_back(monitor, found, status, jobs, now)
        decision = decide(facts_of(monitor, found, status, jobs), now)
        if decision.action is Action.TRAIN:
            status = await self._train(monitor, found, status, jobs, decision)
        return await self._roll_out(monitor, found, status, jobs, now), decision

    async def _ensure_cron_job(self, monitor: Monitor, found: Object) -> None:
        wanted = manifests.cron_job(monitor, self._settings)
        name = wanted["metadata"]["name"]
        live = await self._gateway.get_cron_job(monitor.namespace, name)
        if live is not None and belongs_to_predecessor(live, found):
            raise Unavailable(f"CronJob {name} of a deleted monitor of the same name has not been collected yet")
        if live is not None and not belongs_to(live, found):
            raise NameCollision(f"CronJob {name} exists and is not this monitor's; rename the monitor or delete it")
        if live is None or not is_up_to_date(live, wanted):
            await self._gateway.apply_cron_job(wanted)

    async def _answer_requests(
        self, monitor: Monitor, found: Object, status: ModelMonitorStatus, jobs: list[JobObservation]
    ) -> tuple[ModelMonitorStatus, list[JobObservation]]:
        """Start what annotations ask for, and the first check of a new monitor.

        A suspended monitor does not check; its model can still be rolled back.
        """
        suspended = monitor.spec.suspend
        unchecked = status.last_check is None and status.last_check_failure is None and not _of_role(jobs, Role.CHECK)
        if unchecked and not suspended:
            job = manifests.requested_job(monitor, self._settings, Role.CHECK, INITIAL)
            jobs = [*jobs, await self._create_or_adopt(job, found)]
        done = status.handled_requests.to_wire()
        for annotation, field, role in _REQUESTS:
            token = _token(found, annotation)
            if token is None or token == done.get(field) or (suspended and role is Role.CHECK):
                continue
            if role is not Role.CHECK and _running(jobs) is not None:
                continue  # two that move the champion wait for each other
            job = manifests.requested_job(monitor, self._settings, role, token)
            jobs = [*jobs, await self._create_or_adopt(job, found)]
            status = handled(status, **{field: token})
        return status, jobs

    async def _step_back(
        self, monitor: Monitor, found: Object, status: ModelMonitorStatus, jobs: list[JobObservation], now: dt.datetime
    ) -> tuple[ModelMonitorStatus, list[JobObservation]]:
        """Start the rollback that the watch on a new champion calls for."""
        step = find_auto_rollback(facts_of(monitor, found, status, jobs))
        if step is None:
            return status, jobs
        job = await self._create_or_adopt(manifests.auto_rollback_job(monitor, self._settings, step, "watch"), found)
        entry = HistoryEntry(
            time=now,
            action=Reason.ROLLBACK_STARTED,
            reason=step.reason,
            message=step.message[:1024],
            version=step.to,
        )
        return remember(handled(status, watch=step.token), entry), [*jobs, job]

    async def _train(
        self,
        monitor: Monitor,
        found: Object,
        status: ModelMonitorStatus,
        jobs: list[JobObservation],
        decision: Decision,
    ) -> ModelMonitorStatus:
        """Start a training. Its number is the lock: whoever decides the same asks for the same name."""
        numbers = [job.number for job in jobs if job.number is not None]
        last = status.last_training.number if status.last_training is not None else 0
        token = _pending_retrain(found, status) if decision.reason is Reason.REQUESTED else None
        job = manifests.training_job(
            monitor, self._settings, 1 + max([last, *numbers]), decision.reason, decision.message, token
        )
        return apply_job_results(status, [await self._create_or_adopt(job, found)])

    async def _roll_out(
        self, monitor: Monitor, found: Object, status: ModelMonitorStatus, jobs: list[JobObservation], now: dt.datetime
    ) -> ModelMonitorStatus:
        """Tell the Deployment that serves the champion which it is; go one step back where it does not come up.

        What is wrong with the Deployment is told in its own condition, and stops neither checks nor trainings.
        """
        declared, champion, before = monitor.spec.promotion.rollout, status.champion, status.rollout
        if declared is None or champion is None:
            return status.model_copy(update={"rollout": None})
        if not self._settings.rollouts:
            return status.model_copy(update={"rollout": blocked(monitor, champion, before, NO_ROLLOUTS, now)})
        try:
            deployment = await self._gateway.get_deployment(monitor.namespace, declared.deployment_ref.name)
            step = next_step(monitor, champion, deployment, before, now)
            if step.apply is not None:
                await self._gateway.apply_deployment(step.apply)
        except (Invalid, Forbidden) as error:
            return status.model_copy(update={"rollout": blocked(monitor, champion, before, str(error), now)})
        if step.go_back_to is not None and _running(jobs) is None:
            # The token is of this version: each rollout that fails is answered by one rollback.
            failed = Reason(step.status.reason)
            back = AutoRollback(step.go_back_to, champion.version, champion.version, failed, step.status.message)
            await self._create_or_adopt(manifests.auto_rollback_job(monitor, self._settings, back, "rollout"), found)
        return status.model_copy(update={"rollout": step.status})

    async def _create_or_adopt(self, job: Object, found: Object) -> JobObservation:
        try:
            return job_observation(await self._gateway.create_job(job))
        except Conflict:
            metadata = job["metadata"]
            there = await self._gateway.get_job(metadata["namespace"], metadata["name"])
        if there is None:
            raise Unavailable(f"Job {metadata['name']} existed and is gone again")
        if not belongs_to(there, found):
            raise NameCollision(
                f"Job {metadata['name']} exists and is not this monitor's; rename the monitor or delete it"
            )
        return job_observation(there)

    async def _write(self, found: Object, old: ModelMonitorStatus, new: ModelMonitorStatus, now: dt.datetime) -> None:
        """Write the status if it changed, and then tell what has changed."""
        wire = new.to_wire()
        if wire == found.get("status"):
            return
        metadata, patch = found["metadata"], merge_patch(found.get("status") or {}, wire)
        await self._gateway.patch_status(metadata["namespace"], metadata["name"], metadata["resourceVersion"], patch)
        for event in events_between(old, new, found, now):
            try:
                await self._gateway.create_event(event)
            except GatewayError as error:  # the status is what counts; an event is told once or not at all
                _log.warning("event %s was not posted: %s", event["reason"], error)


def facts_of(monitor: Monitor, found: Object, status: ModelMonitorStatus, jobs: list[JobObservation]) -> Facts:
    """Return what the policy decides from."""
    check, last = status.last_check, status.last_training
    running, watch = _running(jobs), conditions.watched(status)
    return Facts(
        spec=monitor.spec,
        generation=monitor.generation,
        created=parse_time(found["metadata"]["creationTimestamp"]),
        check=CheckObservation(
            time=check.completion_time or check.time,
            verdict=check.verdict,
            performance_dropped=check.performance_dropped,
            new_rows=check.new_rows,
            current_rows=check.rows.current if check.rows is not None else None,
            consecutive_drifts=check.consecutive_drifts,
            message=check.message,
        )
        if check is not None
        else None,
        training=TrainingObservation(
            reason=last.reason,
            start=last.start_time,
            completion=last.completion_time,
            failures=last.failures,
            generation=last.generation,
            message=last.message,
        )
        if last is not None
        else None,
        trainings=tuple(status.trainings),
        champion=ChampionObservation(status.champion.version, status.champion.since)
        if status.champion is not None
        else None,
        in_flight=JobInFlight(running.role, running.name) if running is not None else None,
        request=_pending_retrain(found, status),
        watch=WatchObservation(
            champion=watch.champion,
            since=watch.since,
            predecessor=watch.predecessor,
            worse=watch.worse,
            message=conditions.watch_sentence(watch),
        )
        if watch is not None
        else None,
        watch_answered=status.handled_requests.watch,
    )


def _running(jobs: list[JobObservation]) -> JobObservation | None:
    """Return the Job that trains or moves the champion, where there is one."""
    return next((job for job in jobs if job.role is not Role.CHECK and job.finished is None), None)


def _of_role(jobs: list[JobObservation], role: Role) -> list[JobObservation]:
    return [job for job in jobs if job.role is role]


def _token(found: Object, annotation: str) -> str | None:
    token = found["metadata"].get("annotations", {}).get(annotation)
    return token[:_MAX_TOKEN] if token else None


def _pending_retrain(found: Object, status: ModelMonitorStatus) -> str | None:
    token = _token(found, names.ANNOTATION_RETRAIN_REQUESTED)
    return None if token == status.handled_requests.retrain else token


def _status_of(found: Object) -> ModelMonitorStatus:
    """Return the status, empty where somebody has made it unreadable: it is a cache."""
    raw: dict[str, Any] = found.get("status") or {}
    try:
        return ModelMonitorStatus.model_validate(raw)
    except ValidationError as error:
        _log.warning("the status of %s is rebuilt, it cannot be read: %s", found["metadata"]["name"], error)
        return ModelMonitorStatus()
