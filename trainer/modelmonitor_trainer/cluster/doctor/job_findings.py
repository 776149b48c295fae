"""Findings about the Jobs of a monitor: what does not start, fails, or does not answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from modelmonitor_api.names import ConditionType, FailureReason, Reason, Role, cron_job_name
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.times import parse_time
from modelmonitor_policy import JobObservation
from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.doctor.evidence import Evidence
from modelmonitor_trainer.cluster.doctor.findings import Finding, fine, problem, warning
from modelmonitor_trainer.cluster.errors import ClusterError
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import duration, full_stop

#: Waiting reasons of containers that end only when something is changed.
_STUCK = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}
)
#: Reasons of events by which the controllers of CronJobs and Jobs explain that nothing starts, and for how long.
_WARNINGS = frozenset(
    {"FailedCreate", "UnparseableSchedule", "UnParseableCronJobSchedule", "UnknownTimeZone", "TooManyMissedTimes"}
    | {"InvalidSchedule", "FailedNeedsStart", "MissSchedule"}
)
_RECENT = dt.timedelta(hours=1)
#: Share of its deadline after which a Job that has not ended is worth a look.
_LATE = 0.5


def find_in_jobs(monitor: ObservedMonitor, evidence: Evidence, now: dt.datetime, caller: Caller) -> Iterator[Finding]:
    """Yield what is wrong with the checks and the trainings of a monitor."""
    blocked = [job for job in monitor.status.waiting_jobs if job.reason not in {Reason.PENDING, Reason.QUEUED}]
    for job in blocked:
        fix = fix_of(job.reason, monitor, job.job_name, caller)
        yield problem(f"Job {job.job_name}", f"It cannot start ({job.reason}). {full_stop(job.message)}", fix)
    yield from _stuck_pods(evidence, {job.job_name for job in blocked}, caller)
    yield from _warnings(monitor, evidence, {job.job_name for job in blocked}, now, caller)
    yield from _failed_checks(monitor, caller)
    yield from _failed_training(monitor, caller)
    for running in monitor.jobs:
        if running.finished is None and running.name not in {job.job_name for job in blocked}:
            yield from _slow(monitor, running, now, caller)
    yield from _rollout(monitor, caller)


def fix_of(reason: str, monitor: ObservedMonitor, job: str, caller: Caller) -> str:
    """Return the command that fixes a failure, or the one that shows its cause."""
    describe = caller.kubectl("describe", "job", job)
    return {
        FailureReason.IMAGE_NOT_PULLED.value: caller.kubectl("describe", "pod", "-l", f"job-name={job}"),
        FailureReason.CONTAINER_CONFIG_ERROR.value: caller.kubectl("get", "secret"),
        FailureReason.UNSCHEDULABLE.value: caller.kubectl("describe", "pod", "-l", f"job-name={job}"),
        FailureReason.POD_REFUSED.value: caller.kubectl("get", "resourcequota,limitrange,serviceaccount"),
        FailureReason.CREDENTIALS_REFUSED.value: renew_credentials(monitor, caller),
        FailureReason.NOT_FOUND.value: caller.kubectl("edit", "mmon", monitor.name),
        FailureReason.BAD_CONFIGURATION.value: caller.kubectl("edit", "mmon", monitor.name),
        FailureReason.OUT_OF_MEMORY.value: caller.kubectl("edit", "mmon", monitor.name),
        FailureReason.DEADLINE_EXCEEDED.value: caller.kubectl("edit", "mmon", monitor.name),
        FailureReason.NO_VERDICT.value: caller.kubectl("logs", f"job/{job}", "--all-containers"),
        FailureReason.CRASHED.value: caller.kubectl("logs", f"job/{job}", "--all-containers"),
        FailureReason.STORAGE_UNAVAILABLE.value: caller.kubectl("logs", f"job/{job}"),
    }.get(reason, describe)


def renew_credentials(monitor: ObservedMonitor, caller: Caller) -> str:
    """Return the command that replaces refused credentials."""
    reference = monitor.spec.storage.credentials_secret_ref if monitor.spec is not None else None
    if reference is None:
        return "give the service account of spec.storage.serviceAccountName access to the buckets"
    change = '{"stringData": {"AWS_ACCESS_KEY_ID": "VALUE", "AWS_SECRET_ACCESS_KEY": "VALUE"}}'
    return caller.kubectl("patch", "secret", reference.name, "-p", change)


def _stuck_pods(evidence: Evidence, known: set[str], caller: Caller) -> Iterator[Finding]:
    """Yield pods that cannot start of which the status does not tell, for example because the operator is down."""
    if isinstance(evidence.pods, ClusterError):
        return
    for pod in evidence.pods:
        job = str((pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", ""))
        status = pod.get("status") or {}
        states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        waiting = [state["state"]["waiting"] for state in states if (state.get("state") or {}).get("waiting")]
        stuck = next((item for item in waiting if item.get("reason") in _STUCK), None)
        if stuck is not None and job not in known:
            known.add(job)
            name = str(pod["metadata"]["name"])
            message = f"It cannot start ({stuck['reason']}). {full_stop(str(stuck.get('message') or 'no cause given'))}"
            yield problem(f"Pod {name}", message, caller.kubectl("describe", "pod", name))


def _warnings(
    monitor: ObservedMonitor, evidence: Evidence, known: set[str], now: dt.datetime, caller: Caller
) -> Iterator[Finding]:
    """Yield what the controllers of CronJobs and Jobs warn of, once for each object and reason."""
    if isinstance(evidence.events, ClusterError):
        return
    own = {cron_job_name(monitor.name), *(job.name for job in monitor.jobs if job.finished is None)} - known
    newest: dict[tuple[str, str], str] = {}
    for event in evidence.events:
        about, reason = event.get("involvedObject") or {}, str(event.get("reason", ""))
        time = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
        if about.get("name") not in own or reason not in _WARNINGS or time is None:
            continue
        if now - parse_time(str(time)) < _RECENT:
            newest[f"{about.get('kind')} {about['name']}", reason] = str(event.get("message", ""))
    for (subject, reason), message in newest.items():
        kind, _, name = subject.partition(" ")
        fix = caller.kubectl("describe", kind.lower(), name)
        yield problem(subject, f"{reason}: {full_stop(message or 'no cause given')}", fix)


def _failed_checks(monitor: ObservedMonitor, caller: Caller) -> Iterator[Finding]:
    failure, check = monitor.status.last_check_failure, monitor.status.last_check
    if failure is not None:
        times = f" {failure.failures} times in a row" if failure.failures > 1 else ""
        message = f"They have failed{times} ({failure.reason}). {full_stop(failure.message)}"
        yield problem("Checks", message, fix_of(failure.reason, monitor, failure.job_name, caller))
    elif check is not None and check.verdict == Reason.CORRUPTED:
        message = f"The newest found corrupted data, which blocks training. {full_stop(check.message)}"
        yield problem("Checks", message, caller.mmon("report", monitor.name))
    elif check is not None:
        yield fine("Checks", f"The newest has returned a verdict: {check.verdict}.")
    else:
        fix = caller.mmon("check", monitor.name, "--wait")
        yield warning("Checks", "None has returned a verdict yet.", fix)


def _failed_training(monitor: ObservedMonitor, caller: Caller) -> Iterator[Finding]:
    last = monitor.status.last_training
    if last is None or last.completion_time is None:
        return
    if last.outcome == TrainingOutcome.FAILED:
        reason = last.outcome_reason or FailureReason.NO_VERDICT.value
        times = f", {last.failures} times in a row" if last.failures > 1 else ""
        message = f"Training {last.number} failed ({reason}){times}. {full_stop(last.message or 'no cause given')}"
        yield problem("Training", message, fix_of(reason, monitor, last.job_name, caller))
    elif last.outcome == TrainingOutcome.AWAITING_APPROVAL:
        message = f"Training {last.number} made {last.version}, which waits for your approval."
        yield warning("Training", message, caller.mmon("promote", monitor.name))
    else:
        yield fine("Training", f"Training {last.number} has ended: {last.outcome}.")


def _slow(monitor: ObservedMonitor, job: JobObservation, now: dt.datetime, caller: Caller) -> Iterator[Finding]:
    """Yield a Job that runs for a large part of its deadline."""
    if monitor.spec is None:
        return
    pod = monitor.spec.retraining.trainer if job.role is Role.TRAIN else monitor.spec.check
    age, deadline = (now - job.started).total_seconds(), pod.active_deadline_seconds
    if age > _LATE * deadline:
        message = f"It has not answered for {duration(age)}; its deadline is {duration(deadline)}."
        yield warning(f"Job {job.name}", message, caller.kubectl("logs", f"job/{job.name}", "--all-containers"))


def _rollout(monitor: ObservedMonitor, caller: Caller) -> Iterator[Finding]:
    rollout = monitor.status.rollout
    condition = monitor.condition(ConditionType.ROLLED_OUT)
    if rollout is None or condition is None or condition.status == "True":
        return
    if condition.reason in {Reason.ROLLOUT_BLOCKED, Reason.ROLLOUT_FAILED}:
        fix = caller.kubectl("rollout", "status", f"deployment/{rollout.deployment}")
        yield problem("Rollout", f"{condition.reason}: {full_stop(condition.message)}", fix)
