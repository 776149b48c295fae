"""A thousand broken monitors beside a few healthy ones: who waits for whom, and what it costs the API server."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

from modelmonitor_api import names
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Change, Forbidden, Kind, Object
from modelmonitor_operator.watches import Sight
from support.virtual_time import run_in_virtual_time
from unit.operator.in_memory_cluster import NAMESPACE, SETTINGS, START, InMemoryCluster

#: Of each of four kinds.
BROKEN = 250
HEALTHY = [f"healthy-{number}" for number in range(8)]
#: Seconds that the API server takes for a request.
LATENCY = 0.02


class SlowCluster(InMemoryCluster):
    """A cluster whose time is that of the event loop, and whose API server needs a moment and counts its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.minutes: Counter[int] = Counter()

    @property
    def now(self) -> dt.datetime:
        """The time."""
        return START + dt.timedelta(seconds=asyncio.get_running_loop().time())

    @now.setter
    def now(self, _: dt.datetime) -> None:
        """Keep the time of the loop."""

    async def _answer(self, act: Any, method: str = "") -> Any:
        self.minutes[int(asyncio.get_running_loop().time() // 60)] += 1
        await asyncio.sleep(LATENCY)
        return await super()._answer(act, method)

    async def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        # The test shows what changes.
        await asyncio.Event().wait()
        yield Change("BOOKMARK", {"kind": kind.kind, "namespace": namespace, "version": version})

    async def create_job(self, job: Object) -> Object:
        if job["metadata"]["labels"][names.LABEL_MONITOR].startswith("refused"):
            await self._answer(lambda: None)
            raise Forbidden("exceeded quota: compute")
        return await super().create_job(job)

    def _objects(self, kind: Kind) -> Iterable[Object]:
        labels = [(each, each["metadata"].get("labels") or {}) for each in super()._objects(kind)]
        # As the selector of the list and the watch has it.
        return [each for each, own in labels if kind is not Kind.CRON_JOB or names.LABEL_MANAGED_BY in own]

    def break_many(self) -> None:
        """Add monitors that no operator can help."""
        for number in range(BROKEN):
            self.add(f"invalid-{number}", promotion={"metric": "NoSuchMetric"})
            self.add(f"refused-{number}")
            self._add_with_cron_job(f"foreign-{number}", {"kind": "Workflow", "name": "theirs"}, {})
            # Of a predecessor that is never collected.
            predecessor = {"kind": names.KIND, "name": f"collected-{number}"}
            self._add_with_cron_job(f"collected-{number}", predecessor, {names.LABEL_MANAGED_BY: names.FIELD_MANAGER})

    def _add_with_cron_job(self, monitor: str, owner: Object, labels: Object) -> None:
        """Add a monitor, and a CronJob of its name that belongs to another owner."""
        self.add(monitor)
        name = names.cron_job_name(monitor)
        owners = [owner | {"apiVersion": "v1", "uid": "other", "controller": True}]
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": owners}
        self.cron_jobs[name] = {"metadata": {**metadata, **self._meta()}, "spec": {}}

    def is_ready(self, name: str) -> bool:
        """Whether a monitor is ready."""
        conditions = self.status(name).get("conditions", ())
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


async def seconds_until(condition: Any) -> float:
    """Return the seconds until a condition holds, at most ten minutes."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not condition() and loop.time() - start < 600:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.1)
    return loop.time() - start


def test_a_thousand_broken_monitors_delay_no_other_and_cost_a_bounded_number_of_requests() -> None:
    async def live() -> None:
        cluster = SlowCluster()
        cluster.break_many()
        for name in HEALTHY:
            cluster.add(name)
        controller = Controller(SETTINGS, cluster, lambda: cluster.now)
        await controller.start()
        everything = await seconds_until(lambda: len(controller.queue) == 0 and controller._monitors[0].synced.is_set())
        assert everything < 120
        assert all(map(cluster.is_ready, HEALTHY))
        for minute, name in enumerate(HEALTHY):
            await asyncio.sleep(60 + minute)
            cluster.edit(name, schedule="7 7 * * *")
            controller._monitors[0]._put(cluster.monitors[name], Sight.CHANGED)
            cron_job = cluster.cron_jobs[names.cron_job_name(name)]["metadata"]["name"]
            took = await seconds_until(lambda key=cron_job: cluster.cron_jobs[key]["spec"]["schedule"] == "7 7 * * *")
            assert took < 3, f"{name}: {took} s"
        last = int(asyncio.get_running_loop().time() // 60)
        steady = [cluster.minutes[minute] for minute in range(3, last)]
        # Those that have been refused something are tried again after 5 to 7.5 minutes, with three requests each.
        once = 2 * BROKEN * 3
        assert max(steady) < 0.6 * once, f"not all at once: {steady}"
        assert sum(steady) < 1.1 * once * (len(steady) / 5 + 1), steady
        reasons = Counter(
            cluster.condition("Ready", name)[1] for name in cluster.monitors if not name.startswith("coll")
        )
        assert reasons == {
            "InvalidSpec": BROKEN, "ObjectRefused": BROKEN, "NameCollision": BROKEN, "Accepted": len(HEALTHY)
        }  # fmt: skip
        await controller.stop()

    run_in_virtual_time(live())
