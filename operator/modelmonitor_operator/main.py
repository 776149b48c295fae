"""Wiring of Kopf: watch events add keys to the work queue, and the work queue calls the reconcile loop."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from modelmonitor_api import names
from modelmonitor_operator.gateway import Gateway, GatewayError
from modelmonitor_operator.kubernetes_gateway import KubernetesGateway, connect, identify_cluster
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.workqueue import WorkQueue

_log = logging.getLogger(__name__)

Key = tuple[str, str]

#: The operator counts as stuck when no resync has succeeded for this many of its periods.
_MISSED_RESYNCS = 4


class Operator:
    """The work queue, the resync, and the handlers of watch events.

    Parameters
    ----------
    settings
        Settings of the operator.
    gateway
        Access to the API server.
    monotonic
        Clock for the age of the last resync, in seconds.
    """

    def __init__(self, settings: Settings, gateway: Gateway, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._gateway = gateway
        self._monotonic = monotonic
        reconciler = Reconciler(gateway, settings)
        self._queue: WorkQueue[Key] = WorkQueue(lambda key: reconciler.reconcile(*key), expected=(GatewayError,))
        self._last_resync = monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers."""
        registry = kopf.OperatorRegistry()
        managed = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry)(self._stop)
        kopf.on.login(registry=registry)(_login)
        kopf.on.probe(registry=registry, id="resync_age_seconds")(self._resync_age)
        kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(self._on_monitor)
        for plural in ("cronjobs", "jobs"):
            kopf.on.event("batch", "v1", plural, registry=registry, labels=managed)(self._on_child)
        if self._settings.rollouts:
            serving = {names.LABEL_MONITOR: kopf.PRESENT}
            kopf.on.event("apps", "v1", "deployments", registry=registry, labels=serving)(self._on_child)
        return registry

    async def _start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        self._tasks = [asyncio.create_task(self._queue.run()), asyncio.create_task(self._resync())]

    async def _stop(self, **_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_monitor(self, namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:
            self._queue.add((namespace, name))

    async def _on_child(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        monitor = labels.get(names.LABEL_MONITOR)
        if namespace and monitor:
            self._queue.add((namespace, monitor))

    async def _resync(self) -> None:
        """Enqueue every monitor periodically, because watches can be lost and time alone can change a plan."""
        while True:
            try:
                for namespace in self._settings.namespaces or (None,):
                    for monitor in await self._gateway.list_monitors(namespace):
                        self._queue.add((monitor["metadata"]["namespace"], monitor["metadata"]["name"]))
                self._last_resync = self._monotonic()
            except GatewayError as error:
                _log.warning("the monitors could not be listed, next attempt at the next resync: %s", error)
            await asyncio.sleep(self._settings.resync_seconds)

    async def _resync_age(self, **_: Any) -> float:
        """Return the age of the last resync; fail the probe if it is too old."""
        age = self._monotonic() - self._last_resync
        if age > _MISSED_RESYNCS * self._settings.resync_seconds:
            # With any other exception the probe would hang while Kopf retries.
            raise kopf.PermanentError(f"no resync for {age:.0f} s")
        return round(age, 1)


def configure(settings: kopf.OperatorSettings) -> None:
    """Set Kopf's settings."""
    # A hanging request must not block a watch for Kopf's default of five minutes.
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    # Watches are renewed regularly, in case a load balancer drops idle connections silently.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    # Only objects of this operator are sent by the server.
    selector = f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}"
    settings.watching.label_selectors["jobs.batch"] = selector
    settings.watching.label_selectors["cronjobs.batch"] = selector
    settings.watching.label_selectors["deployments.apps"] = names.LABEL_MONITOR
    # Initial lists are read in pages, to save memory at the start.
    settings.watching.chunk_size = 500
    # CRDs and namespaces are not watched, which would need cluster-wide permissions.
    settings.scanning.disabled = True
    # The reconcile loop posts its own events; Kopf would post one for each log line.
    settings.posting.enabled = False
    # Kopf logs every successful handler and every probe.
    for chatty in ("kopf.objects", "kopf.activities.probe", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # No leader election: deterministic names of Jobs serve as locks.
    settings.peering.standalone = True


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in explicitly; by default, Kopf takes the credentials of any client library that is installed."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def run(settings: Settings, liveness: str = "http://0.0.0.0:8080/healthz") -> None:
    """Run the operator until it is stopped."""
    api = connect()
    settings = dataclasses.replace(settings, cluster=identify_cluster(api))
    operator = Operator(settings, KubernetesGateway(api))
    kopf.run(
        registry=operator.registry(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=liveness,
    )
