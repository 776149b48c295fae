"""Kopf's wiring: events put keys into the queue, the queue calls the loop. Nothing is decided here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import kopf

from modelmonitor_api import names
from modelmonitor_operator.gateway import Gateway, GatewayError
from modelmonitor_operator.kubernetes_gateway import KubernetesGateway, connect
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.workqueue import WorkQueue

_log = logging.getLogger(__name__)

Key = tuple[str, str]

#: A resync that has not come round for so many of its periods means that the operator is stuck.
_MISSED_RESYNCS = 4


class Operator:
    """The queue, the resync, and the handlers that feed them.

    Parameters
    ----------
    settings
        Of the operator.
    gateway
        The way to the API server.
    """

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self._settings = settings
        self._gateway = gateway
        reconciler = Reconciler(gateway, settings)
        self._queue: WorkQueue[Key] = WorkQueue(lambda key: reconciler.reconcile(*key), expected=(GatewayError,))
        self._last_resync = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers, in a registry of their own."""
        registry = kopf.OperatorRegistry()
        ours = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry)(self._stop)
        kopf.on.login(registry=registry)(_login)
        kopf.on.probe(registry=registry, id="resync_age_seconds")(self._resync_age)
        kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(self._monitor_seen)
        for plural in ("cronjobs", "jobs"):
            kopf.on.event("batch", "v1", plural, registry=registry, labels=ours)(self._child_seen)
        if self._settings.rollouts:
            told = {names.LABEL_MONITOR: kopf.PRESENT}
            kopf.on.event("apps", "v1", "deployments", registry=registry, labels=told)(self._child_seen)
        return registry

    async def _start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        self._tasks = [asyncio.create_task(self._queue.run()), asyncio.create_task(self._resync())]

    async def _stop(self, **_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _monitor_seen(self, namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:
            self._queue.add((namespace, name))

    async def _child_seen(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        monitor = labels.get(names.LABEL_MONITOR)
        if namespace and monitor:
            self._queue.add((namespace, monitor))

    async def _resync(self) -> None:
        """Look at every monitor now and then: for lost watches, and for periods that have elapsed."""
        while True:
            try:
                for namespace in self._settings.namespaces or (None,):
                    for monitor in await self._gateway.list_monitors(namespace):
                        self._queue.add((monitor["metadata"]["namespace"], monitor["metadata"]["name"]))
                self._last_resync = time.monotonic()
            except GatewayError as error:
                _log.warning("the monitors could not be listed, the next try is at the next resync: %s", error)
            await asyncio.sleep(self._settings.resync_seconds)

    async def _resync_age(self, **_: Any) -> float:
        """Return the age of the last resync; fail the probe where it is too old."""
        age = time.monotonic() - self._last_resync
        if age > _MISSED_RESYNCS * self._settings.resync_seconds:
            # Any other exception would leave the probe hanging while Kopf tries again.
            raise kopf.PermanentError(f"no resync for {age:.0f} s")
        return round(age, 1)


def configure(settings: kopf.OperatorSettings) -> None:
    """Set Kopf's settings, each for a reason."""
    # A request that hangs must not hold a watch for Kopf's default of five minutes.
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    # Watches end and begin anew, whatever a load balancer on the way does to silent connections.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    # Jobs and CronJobs of others stay on the server.
    selector = f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}"
    settings.watching.label_selectors["jobs.batch"] = selector
    settings.watching.label_selectors["cronjobs.batch"] = selector
    settings.watching.label_selectors["deployments.apps"] = names.LABEL_MONITOR
    # The initial lists in pages, for memory at the start.
    settings.watching.chunk_size = 500
    # Neither CRDs nor namespaces are watched, which would need rights over the whole cluster.
    settings.scanning.disabled = True
    # Events are ours, on transitions only; Kopf's would repeat each log line.
    settings.posting.enabled = False
    # Kopf tells of every handler that succeeded, and its server of every probe: our own lines would drown.
    for chatty in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # One replica without peering: a deterministic name is the lock, not a leader.
    settings.peering.standalone = True


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in as ourselves: Kopf would otherwise borrow from whatever client library it finds."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def run(settings: Settings, liveness: str = "http://0.0.0.0:8080/healthz") -> None:
    """Run until stopped."""
    operator = Operator(settings, KubernetesGateway(connect()))
    kopf.run(
        registry=operator.registry(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=liveness,
    )
