"""A controller that runs on a cluster in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Object, Unavailable
from modelmonitor_operator.notifications.notifier import Sink
from modelmonitor_operator.watches import Sight
from support import monitors
from support.asynchronous import wait_until
from unit.operator.in_memory_cluster import SETTINGS, InMemoryCluster


class CountingCluster(InMemoryCluster):
    """A cluster that counts the requests of each method."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self.unreachable = False

    async def _answer(self, act: Any, method: str = "") -> Any:
        if self.unreachable:
            raise Unavailable("the API server cannot be reached")
        return await super()._answer(act, method)

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        self.requests["get"] += 1
        return await super().get_monitor(namespace, name)

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        self.requests["list"] += 1
        return await super().list_jobs(namespace, selector)


@asynccontextmanager
async def running(cluster: InMemoryCluster, sink: Sink | None = None, **settings: Any) -> AsyncIterator[Controller]:
    """Run a controller; resyncs are as frequent as the test allows."""
    given = SETTINGS if not settings else type(SETTINGS)(trainer_image="trainer", rollouts=True, **settings)
    controller = Controller(given, cluster, lambda: cluster.now, sink=sink)
    await controller.start()
    try:
        yield controller
    finally:
        await controller.stop()


def is_ready(cluster: InMemoryCluster, name: str = "flights") -> bool:
    return any(each["type"] == "Ready" for each in cluster.status(name).get("conditions", ()))


async def idle(controller: Controller) -> None:
    """Wait until nothing is in the queue and nothing is processed."""
    await wait_until(lambda: len(controller.queue) == 0 and not controller.queue._active, "an empty queue")


def show(controller: Controller, cluster: InMemoryCluster, name: str = "flights") -> None:
    """Show a monitor to the controller, as its watch does."""
    controller._monitors[0]._put(cluster.monitors[name], Sight.CHANGED)


def end(cluster: InMemoryCluster, job: Object, answer: Any) -> None:
    """End a Job, so that the watch shows it."""
    cluster.finish(job["metadata"]["name"], answer)
    job["metadata"]["resourceVersion"] = str(next(cluster._numbers))


def end_check(cluster: InMemoryCluster, name: str) -> None:
    """End the first check of a monitor without a champion, upon which a training is due."""
    [job] = [job for job in cluster.of_role(Role.CHECK) if job["metadata"]["labels"][names.LABEL_MONITOR] == name]
    end(cluster, job, monitors.check("Inconclusive"))
