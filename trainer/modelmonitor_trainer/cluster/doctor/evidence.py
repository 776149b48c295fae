"""What a diagnosis is based on: objects of the cluster, each read separately, because a caller may not read all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from modelmonitor_api.names import LABEL_MONITOR, cron_job_name
from modelmonitor_trainer.cluster.errors import ClusterError
from modelmonitor_trainer.cluster.kubectl import Kubectl, in_parallel
from modelmonitor_trainer.cluster.observed import ObservedMonitor

Object = Mapping[str, Any]
#: An object or a list of them, or the error instead of it; None was not asked for.
OneRead = Object | ClusterError | None
ListRead = list[Object] | ClusterError


@dataclass(frozen=True)
class Evidence:
    """Objects of a cluster that concern a monitor.

    Attributes
    ----------
    operators
        Deployments of the operator, in all namespaces.
    cron_job
        The CronJob of the checks.
    secret, service_account
        What the spec refers to; None if it refers to none.
    quotas
        ResourceQuotas of the namespace.
    pods
        Pods of the monitor.
    events
        Warnings in the namespace.
    permissions
        Whether the caller has a permission, by what it is needed for.
    """

    operators: ListRead = field(default_factory=list)
    cron_job: OneRead = None
    secret: OneRead = None
    service_account: OneRead = None
    quotas: ListRead = field(default_factory=list)
    pods: ListRead = field(default_factory=list)
    events: ListRead = field(default_factory=list)
    permissions: Mapping[str, bool | ClusterError] = field(default_factory=dict)


def gather_evidence(kubectl: Kubectl, monitor: ObservedMonitor) -> Evidence:
    """Read what a diagnosis needs; each refusal is part of the evidence."""
    core = f"/api/v1/namespaces/{monitor.namespace}"
    batch = f"/apis/batch/v1/namespaces/{monitor.namespace}"
    storage = monitor.spec.storage if monitor.spec is not None else None
    secret = storage.credentials_secret_ref.name if storage and storage.credentials_secret_ref else None
    account = storage.service_account_name if storage else None

    def maybe(path: str, name: str | None) -> Callable[[], Object | None]:
        return lambda: kubectl.get(f"{core}/{path}/{quote(name, safe='')}") if name else None

    calls: dict[str, Callable[[], Any]] = {
        "operators": lambda: kubectl.items(
            "/apis/apps/v1/deployments", labelSelector="app.kubernetes.io/part-of=modelmonitor"
        ),
        "cron_job": lambda: kubectl.get(f"{batch}/cronjobs/{cron_job_name(monitor.name)}"),
        "secret": maybe("secrets", secret),
        "service_account": maybe("serviceaccounts", account),
        "quotas": lambda: kubectl.items(f"{core}/resourcequotas"),
        "pods": lambda: kubectl.items(f"{core}/pods", labelSelector=f"{LABEL_MONITOR}={monitor.name}"),
        "events": lambda: kubectl.items(f"{core}/events", fieldSelector="type=Warning"),
    }
    permissions: dict[str, Callable[[], bool]] = {
        "check, retrain, promote, rollback, pin, pause": lambda: kubectl.is_permitted(
            "patch", "modelmonitors", monitor.namespace, group="modelmonitor.io", name=monitor.name
        ),
    }
    results = in_parallel([*calls.values(), *permissions.values()])
    read = dict(zip(calls, results, strict=False))
    return Evidence(**read, permissions=dict(zip(permissions, results[len(calls) :], strict=True)))
