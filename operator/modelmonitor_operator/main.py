"""Wiring of Kopf, which runs the process: its start, its signals, its end and its log."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import kopf

from modelmonitor_operator import __version__
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.health import HealthServer
from modelmonitor_operator.kubernetes_gateway import KubernetesGateway, connect, identify_cluster
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.server import MetricsServer
from modelmonitor_operator.metrics.state import StateCollector
from modelmonitor_operator.notifications.http_sink import HTTPSink
from modelmonitor_operator.settings import Settings


class Operator:
    """The handlers of Kopf.

    Parameters
    ----------
    settings
        Settings of the operator.
    controller
        The controller that they start and stop.
    """

    def __init__(self, settings: Settings, controller: Controller) -> None:
        self._settings = settings
        self._controller = controller
        activity = controller.activity
        self._metrics = MetricsServer(
            controller.cache, activity.registry, activity.training_seconds, features=settings.feature_metrics
        )
        self._health = HealthServer(controller.why_stuck, controller.why_not_ready)

    def registry(self) -> kopf.OperatorRegistry:
        """Return the handlers.

        There are none of resources: Kopf would watch them with a client that ends the process where a list or a watch
        fails in one of several ways. ADR 44.
        """
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry)(self._stop)
        kopf.on.login(registry=registry)(_stay_logged_out)
        return registry

    async def _start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        await _listen("HEALTH_PORT", self._settings.health_port, self._health.start)
        await _listen("METRICS_PORT", self._settings.metrics_port, self._metrics.start)
        await self._controller.start()

    async def _stop(self, **_: Any) -> None:
        await self._health.stop()
        await self._metrics.stop()
        await self._controller.stop()


async def _listen(name: str, port: int, start: Callable[[int], Awaitable[None]]) -> None:
    """Start a server, unless its port is 0."""
    if not port:
        return
    try:
        await start(port)
    except OSError as error:
        raise kopf.PermanentError(f"{name}={port} cannot be used: {error}") from error


async def _stay_logged_out(**_: Any) -> NoReturn:
    """Keep Kopf from sending requests: it scans the API at its start, and ends the process if that fails."""
    await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


def configure(settings: kopf.OperatorSettings) -> None:
    """Set Kopf's settings."""
    # CRDs and namespaces are not watched, which would need cluster-wide permissions.
    settings.scanning.disabled = True
    # The reconcile loop posts its own events; Kopf would post one for each log line.
    settings.posting.enabled = False
    # Kopf logs every successful handler, and the start and the end of a login.
    for chatty in ("kopf.objects", "kopf._core.engines.activities"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("kopf.activities.authentication").setLevel(logging.ERROR)
    # No leader election: deterministic names of Jobs serve as locks.
    settings.peering.standalone = True


def run(settings: Settings) -> None:
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
    # Which namespaces are watched is the controller's business.
    kopf.run(registry=operator.registry(), standalone=True, clusterwide=True)
