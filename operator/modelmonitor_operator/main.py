"""Wiring of Kopf: its watch of the monitors, its probes and its life cycle drive the controller."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import kopf

from modelmonitor_api import names
from modelmonitor_operator import __version__
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.kubernetes_gateway import KubernetesGateway, connect, identify_cluster
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.server import MetricsServer
from modelmonitor_operator.metrics.state import StateCollector
from modelmonitor_operator.notifications.http_sink import HTTPSink
from modelmonitor_operator.settings import Settings

#: The operator counts as stuck when no resync has succeeded for this many of its periods.
_MISSED_RESYNCS = 4


class Operator:
    """The handlers of Kopf.

    Parameters
    ----------
    settings
        Settings of the operator.
    controller
        The controller that they drive.
    """

    def __init__(self, settings: Settings, controller: Controller) -> None:
        self._settings = settings
        self._controller = controller
        activity = controller.activity
        self._metrics = MetricsServer(
            controller.cache, activity.registry, activity.training_seconds, features=settings.feature_metrics
        )

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers."""
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry)(self._stop)
        kopf.on.login(registry=registry)(_login)
        kopf.on.probe(registry=registry, id="resync_age_seconds")(self._resync_age)
        # The children are watched by the controller, at a tenth of the cost: ADR 36.
        kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(self._on_monitor)
        return registry

    async def _start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        if self._settings.metrics_port:
            try:
                await self._metrics.start(self._settings.metrics_port)
            except OSError as error:
                message = f"METRICS_PORT={self._settings.metrics_port} cannot be used: {error}"
                raise kopf.PermanentError(message) from error
        await self._controller.start()

    async def _stop(self, **_: Any) -> None:
        await self._metrics.stop()
        await self._controller.stop()

    async def _on_monitor(self, event: kopf.RawEvent, **_: Any) -> None:
        kind, resource = event["type"], event["object"]
        self._controller.see_monitor(dict(resource), deleted=kind == "DELETED", listed=kind is None)

    async def _resync_age(self, **_: Any) -> float:
        """Return the age of the last resync; fail the probe if it is too old."""
        try:
            age = self._controller.resync_age()
        except RuntimeError as error:
            # With any other exception the probe would hang while Kopf retries.
            raise kopf.PermanentError(str(error)) from error
        if age > _MISSED_RESYNCS * self._settings.resync_seconds:
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
    # To save memory at the start, the list is read in pages, and the task of each object ends soon after its event.
    settings.watching.chunk_size = 100
    settings.queueing.idle_timeout = 0.5
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
    activity = Activity()
    gateway = KubernetesGateway(api, activity.count_request)
    sink = HTTPSink(settings.notifications_url, settings.notifications_token) if settings.notifications_url else None
    controller = Controller(settings, gateway, activity=activity, sink=sink)
    state = StateCollector(__version__, settings.resync_seconds, controller.queue, controller.watch_times)
    activity.registry.register(state)
    operator = Operator(settings, controller)
    kopf.run(
        registry=operator.registry(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=liveness,
    )
