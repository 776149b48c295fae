"""Findings about the cluster: the operator, the CronJob, the Secret, quotas, and what the caller may do."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.times import parse_time
from modelmonitor_policy.schedule import next_time, shortest_interval, validate_schedule
from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.doctor.evidence import Evidence
from modelmonitor_trainer.cluster.doctor.findings import Finding, fine, problem, unknown, warning
from modelmonitor_trainer.cluster.errors import ClusterError, Missing
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import duration, full_stop, relative
from modelmonitor_trainer.cluster.results import KEYS, REQUIRED_KEYS
from modelmonitor_trainer.text import listed

#: A check that is due later than this is hardly intended: schedules such as 0 0 29 2 *.
_SCHEDULE_WARNING = dt.timedelta(days=400)
#: Limits of a quota that can keep a check or a training from starting.
_OF_PODS = re.compile(
    r"(count/)?(pods|jobs\.batch|cronjobs\.batch)$|(requests\.|limits\.)?(cpu|memory|ephemeral-storage)$"
)
_KEYS_OF_SECRET = [f"--from-literal={key}=VALUE" for key in REQUIRED_KEYS]


def find_in_cluster(
    monitor: ObservedMonitor, evidence: Evidence, now: dt.datetime, caller: Caller
) -> Iterator[Finding]:
    """Yield what is wrong with the objects around a monitor, and what is fine."""
    yield from _operator(monitor, evidence, caller)
    yield from _spec(monitor, evidence, caller)
    yield from _schedule(monitor, evidence, now, caller)
    yield from _secret(monitor, evidence, caller)
    yield from _service_account(monitor, evidence, caller)
    yield from _quotas(evidence, caller)
    yield from _permissions(evidence, caller)


def _operator(monitor: ObservedMonitor, evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    subject, operators = "Operator", evidence.operators
    processed = monitor.status.observed_generation
    if isinstance(operators, ClusterError):
        message = f"its Deployment cannot be read: {full_stop(str(operators))}"
        if processed == monitor.generation:
            yield unknown(subject, f"{message} It has processed the newest spec, so it has run since.")
        else:
            yield unknown(subject, f"{message} It has not processed the newest spec: ask whoever installed it.")
        return
    if not operators:
        install = "helm install modelmonitor charts/modelmonitor -n modelmonitor-system --create-namespace"
        yield problem(subject, "No Deployment of the operator exists in this cluster.", install)
        return
    watching = [each for each in operators if _watches(each, monitor.namespace)]
    if not watching:
        first = operators[0]["metadata"]
        watched = _watched(operators[0])
        yield problem(
            subject,
            f"It does not watch the namespace {monitor.namespace}, only {listed(watched, 5)}.",
            f"helm upgrade {first['name']} charts/modelmonitor -n {first['namespace']} --reuse-values "
            f"--set watchNamespaces='{{{','.join([*watched, monitor.namespace])}}}'",
        )
        return
    running = [each for each in watching if (each.get("status") or {}).get("availableReplicas")]
    if not running:
        metadata = watching[0]["metadata"]
        wanted = (watching[0].get("spec") or {}).get("replicas", 1)
        where = f"deployment/{metadata['name']}"
        if wanted == 0:
            fix = caller.cluster_wide("scale", where, "--replicas=1", "-n", metadata["namespace"])
            yield problem(subject, "It has been scaled to zero, so it decides and starts nothing.", fix)
        else:
            fix = caller.cluster_wide("describe", where, "-n", metadata["namespace"])
            yield problem(subject, "None of its pods is available, so it decides and starts nothing.", fix)
        return
    if processed != monitor.generation:
        metadata = running[0]["metadata"]
        fix = caller.cluster_wide("logs", f"deployment/{metadata['name']}", "--tail=50", "-n", metadata["namespace"])
        state = "has never processed this monitor" if processed is None else "has not processed the newest spec"
        yield warning(subject, f"It runs and {state}. If that lasts for a minute, its log has the cause.", fix)
        return
    yield fine(subject, "It runs, watches this namespace, and has processed the newest spec.")


def _watched(deployment: Mapping[str, Any]) -> list[str]:
    """Return the namespaces that an operator watches; empty for all."""
    containers = ((deployment.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or [{}]
    for item in containers[0].get("env") or []:
        if item.get("name") == "WATCH_NAMESPACES":
            return [name.strip() for name in str(item.get("value", "")).split(",") if name.strip()]
    return []


def _watches(deployment: Mapping[str, Any], namespace: str) -> bool:
    watched = _watched(deployment)
    return not watched or namespace in watched


def _spec(monitor: ObservedMonitor, evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    edit = caller.kubectl("edit", "mmon", monitor.name)
    ready = monitor.condition(ConditionType.READY)
    if ready is not None and ready.status != "True":
        fix = {
            Reason.NAME_COLLISION.value: caller.kubectl("get", "cronjob,job"),
            Reason.OBJECT_REFUSED.value: _fix_of_refusal(monitor, ready.message, evidence, caller),
        }.get(ready.reason, edit)
        yield problem("Spec", f"{ready.reason}: {full_stop(ready.message)}", fix)
    elif monitor.spec is None:
        message = "This version of the command cannot read it"
        yield warning("Spec", f"{message}: {full_stop(monitor.spec_problem)}", edit)
    else:
        yield fine("Spec", "It is valid.")
    if monitor.spec is not None and monitor.spec.suspend:
        yield warning(
            "Paused", "spec.suspend is true: neither checks nor trainings start.", caller.mmon("resume", monitor.name)
        )


def _fix_of_refusal(monitor: ObservedMonitor, message: str, evidence: Evidence, caller: Caller) -> str:
    """Return the command for an object that the API server refuses: whether the operator lacks a permission."""
    operators = [] if isinstance(evidence.operators, ClusterError) else evidence.operators
    if "forbidden" not in message or "cannot" not in message or not operators:
        return caller.kubectl("describe", "mmon", monitor.name)
    namespace = operators[0]["metadata"]["namespace"]
    account = operators[0]["spec"]["template"]["spec"].get("serviceAccountName", "default")
    return caller.kubectl("auth", "can-i", "--list", f"--as=system:serviceaccount:{namespace}:{account}")


def _schedule(monitor: ObservedMonitor, evidence: Evidence, now: dt.datetime, caller: Caller) -> Iterator[Finding]:
    spec = monitor.spec
    if spec is None:
        return
    edit = caller.kubectl("edit", "mmon", monitor.name)
    written = f'"{spec.schedule}" ({spec.time_zone})'
    try:
        validate_schedule(spec.schedule, spec.time_zone)
    except InvalidSpec as error:
        yield problem("Schedule", f"{written} is never due, or is not a schedule: {error}", edit)
        return
    due = next_time(spec.schedule, spec.time_zone, now)
    if due - now > _SCHEDULE_WARNING:
        yield warning("Schedule", f"{written} is next due {relative(due, now)}.", edit)
    cron_job = evidence.cron_job
    if isinstance(cron_job, Missing):
        fix = caller.kubectl("describe", "mmon", monitor.name)
        yield problem("Schedule", "The CronJob of the checks does not exist; the operator creates it.", fix)
    elif isinstance(cron_job, ClusterError):
        yield unknown("Schedule", f"The CronJob cannot be read: {full_stop(str(cron_job))}")
    elif cron_job is not None and not spec.suspend:
        yield from _missed(monitor, cron_job, now, caller, written)
    if not spec.suspend and due - now <= _SCHEDULE_WARNING:
        here = due.astimezone()
        local = f", {here:%Y-%m-%d %H:%M %Z} here" if here.utcoffset() else ""
        yield fine("Schedule", f"{written}: next {relative(due, now)}{local}.")


def _missed(
    monitor: ObservedMonitor, cron_job: Mapping[str, Any], now: dt.datetime, caller: Caller, written: str
) -> Iterator[Finding]:
    """Yield a problem if the CronJob controller has not started what was due."""
    assert monitor.spec is not None
    status, metadata = cron_job.get("status") or {}, cron_job["metadata"]
    last = status.get("lastScheduleTime") or metadata.get("creationTimestamp")
    if last is None or (cron_job.get("spec") or {}).get("suspend"):
        return
    # A schedule can have gaps, so that what was due after the last start is decided by the schedule itself.
    due = next_time(monitor.spec.schedule, monitor.spec.time_zone, parse_time(last))
    if now - due > max(dt.timedelta(minutes=10), shortest_interval(monitor.spec.schedule)):
        fix = caller.kubectl("describe", "cronjob", str(metadata["name"]))
        late = duration((now - due).total_seconds())
        yield problem("Schedule", f"{written}: a check was due {late} ago, and the CronJob has not started it.", fix)


def _secret(monitor: ObservedMonitor, evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    storage = monitor.spec.storage if monitor.spec is not None else None
    if storage is None or storage.credentials_secret_ref is None:
        return
    name, secret, subject = storage.credentials_secret_ref.name, evidence.secret, "Credentials"
    if isinstance(secret, Missing):
        fix = caller.kubectl("create", "secret", "generic", name, *_KEYS_OF_SECRET)
        yield problem(subject, f"The Secret {name!r} does not exist in namespace {monitor.namespace}.", fix)
    elif isinstance(secret, ClusterError):
        yield unknown(subject, f"The Secret {name!r} cannot be read: {full_stop(str(secret))}")
    elif secret is not None:
        yield from _keys(name, secret.get("data") or {}, caller)


def _keys(name: str, data: Mapping[str, str], caller: Caller) -> Iterator[Finding]:
    subject = "Credentials"
    missing = [key for key in REQUIRED_KEYS if not data.get(key)]
    if missing:
        others = sorted(set(data) - KEYS)
        hint = f" It has {listed(others, 3)}, which pods do not read as credentials." if others else ""
        patch = ", ".join(f'"{key}": "VALUE"' for key in missing)
        fix = caller.kubectl("patch", "secret", name, "-p", f'{{"stringData": {{{patch}}}}}')
        yield problem(subject, f"The Secret {name!r} has no key {' and no key '.join(missing)}.{hint}", fix)
    padded = [key for key in REQUIRED_KEYS if key not in missing and _is_padded(data[key])]
    if padded:
        patch = ", ".join(f'"{key}": "VALUE"' for key in padded)
        fix = caller.kubectl("patch", "secret", name, "-p", f'{{"stringData": {{{patch}}}}}')
        message = f"{' and '.join(padded)} of the Secret {name!r} begins or ends with blanks or a line break"
        yield problem(subject, f"{message}, as echo writes without -n; the object store refuses it.", fix)
    if not missing and not padded:
        yield fine(subject, f"The Secret {name!r} has the keys that pods read.")


def _is_padded(value: str) -> bool:
    try:
        text = base64.b64decode(value).decode()
    except ValueError:
        return True
    return text != text.strip()


def _service_account(monitor: ObservedMonitor, evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    storage = monitor.spec.storage if monitor.spec is not None else None
    if storage is None or storage.service_account_name is None:
        return
    name = storage.service_account_name
    if isinstance(evidence.service_account, Missing):
        fix = caller.kubectl("create", "serviceaccount", name)
        yield problem("Service account", f"{name!r} does not exist in namespace {monitor.namespace}.", fix)
    elif isinstance(evidence.service_account, ClusterError):
        yield unknown("Service account", full_stop(str(evidence.service_account)))
    else:
        yield fine("Service account", f"{name!r} exists.")


def _quotas(evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    if isinstance(evidence.quotas, ClusterError):
        yield unknown("Quota", full_stop(str(evidence.quotas)))
        return
    for quota in evidence.quotas:
        status, name = quota.get("status") or {}, str(quota["metadata"]["name"])
        hard, used = status.get("hard") or {}, status.get("used") or {}
        full = sorted(key for key, limit in hard.items() if _OF_PODS.match(key) and limit == used.get(key))
        if full:
            fix = caller.kubectl("describe", "resourcequota", name)
            yield warning("Quota", f"The ResourceQuota {name!r} is used up: {listed(full, 4)}. New pods wait.", fix)
        else:
            yield fine("Quota", f"The ResourceQuota {name!r} has room.")


def _permissions(evidence: Evidence, caller: Caller) -> Iterator[Finding]:
    for purpose, permitted in evidence.permissions.items():
        if isinstance(permitted, ClusterError):
            yield unknown("Your permissions", full_stop(str(permitted)))
        elif permitted:
            yield fine("Your permissions", f"You may {purpose}.")
        else:
            fix = caller.kubectl("create", "rolebinding", "modelmonitor-users", "--clusterrole=edit", "--user=NAME")
            yield warning(
                "Your permissions", f"You may not {purpose}: that needs the verb patch on modelmonitors.", fix
            )
