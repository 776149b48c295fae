"""The endpoint of the metrics with a fleet in which there is something of everything."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import threading
from collections.abc import Iterator

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import LastCheckFailure, ModelMonitorStatus, RecordedDecision
from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.gateway import Conflict, Kind
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.server import MetricsServer
from modelmonitor_operator.metrics.state import StateCollector
from modelmonitor_operator.workqueue import WorkQueue
from support.monitored import NOW, condition, monitored, status
from support.processes import PATIENCE, free_port

_KEY = ("demo", "flights")


@dataclasses.dataclass(frozen=True)
class Fleet:
    """A fleet whose metrics are served.

    Attributes
    ----------
    port
        Port of the endpoint on loopback.
    """

    port: int
    activity: Activity

    def work(self) -> None:
        """Do something of everything that is counted."""
        before = status()
        assert before.last_training is not None
        held = RecordedDecision(time=NOW, action="Held", reason=Reason.COOLING_DOWN)
        end = {"number": 5, "start_time": NOW, "completion_time": NOW + dt.timedelta(hours=1), "outcome": "Promoted"}
        after = before.model_copy(
            update={"decisions": [held], "last_training": before.last_training.model_copy(update=end)}
        )
        self.activity.count_changes(_KEY, before, after)
        self.activity.count_request("get", "200")
        with self.activity.measure_pass("cache"):
            pass
        with contextlib.suppress(Conflict), self.activity.count_errors():
            raise Conflict


def _statuses() -> dict[str, ModelMonitorStatus]:
    """Return the status of each monitor, by its name."""
    plain = status()
    assert plain.last_check is not None
    corrupted = plain.last_check.model_copy(update={"verdict": "Corrupted"})
    failure = LastCheckFailure(time=NOW, job_name="x", reason="BadData", message="")
    invalid = [condition(ConditionType.READY, "False", Reason.INVALID_SPEC)]
    return {
        "flights": plain,
        "corrupted": status(last_check=corrupted),
        "failing": status(last_check_failure=failure),
        "invalid": ModelMonitorStatus(conditions=invalid),
    }


@contextlib.contextmanager
def served_fleet() -> Iterator[Fleet]:
    """Serve the metrics of a fleet from a thread."""
    activity, cache = Activity(), ObjectCache()
    for name, state in _statuses().items():
        cache.put(Kind.MONITOR, monitored(name, "demo", state))

    async def work(_: tuple[str, str]) -> None:
        """Nothing is processed."""

    watches = [(Kind.MONITOR, None, NOW.timestamp()), (Kind.JOB, None, NOW.timestamp())]
    activity.registry.register(StateCollector("1", 60.0, WorkQueue(work), lambda: watches))
    loop, port = asyncio.new_event_loop(), free_port()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    fleet = Fleet(port, activity)
    fleet.work()  # so that the counters exist, and can increase

    async def make_server() -> MetricsServer:
        server = MetricsServer(cache, activity.registry, activity.training_seconds, features=True)
        await server.start(port)
        return server

    server = asyncio.run_coroutine_threadsafe(make_server(), loop).result(PATIENCE)
    try:
        yield fleet
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
