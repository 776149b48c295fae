"""The controller on a cluster in memory: what costs a request, what a lost watch costs, and what comes first."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator import controller as controller_module
from modelmonitor_operator import watches
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Change, Expired, Forbidden, Kind, NotFound, Object, Page, Unavailable
from modelmonitor_operator.watches import Sight
from modelmonitor_policy import TrainingLimits
from support import monitors
from support.asynchronous import wait_until
from support.processes import PATIENCE
from unit.operator.first_check import first_check
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
async def running(cluster: InMemoryCluster, **settings: Any) -> AsyncIterator[Controller]:
    """Run a controller; resyncs are as frequent as the test allows."""
    given = SETTINGS if not settings else type(SETTINGS)(trainer_image="trainer", rollouts=True, **settings)
    controller = Controller(given, cluster, lambda: cluster.now)
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


async def test_a_settled_monitor_costs_no_request() -> None:
    cluster = CountingCluster()
    cluster.add()
    async with running(cluster) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        await idle(controller)
        cluster.requests.clear()
        cluster.writes.clear()
        for _ in range(3):
            await controller.process(("demo", "flights"))
        assert cluster.requests == {}
        assert cluster.writes == []


async def test_a_new_monitor_costs_one_read() -> None:
    cluster = CountingCluster()
    cluster.add()
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        await idle(controller)
    assert cluster.requests == {}, "its CronJob is read, which another owner may have created"


async def test_a_monitor_whose_status_is_lost_is_read_from_the_api_server() -> None:
    cluster = CountingCluster()
    cluster.add()
    await cluster.settle()
    cluster.pass_time(hours=1)
    del cluster.monitors["flights"]["status"]
    async with running(cluster, resync_seconds=3600):
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
    assert cluster.requests["list"] >= 1


async def test_a_restart_writes_nothing_and_reads_lists_alone() -> None:
    cluster = CountingCluster()
    for number in range(20):
        cluster.add(f"monitor-{number}")
    async with running(cluster) as controller:
        await wait_until(lambda: all(is_ready(cluster, name) for name in cluster.monitors), "ready monitors")
        await idle(controller)
    cluster.requests.clear()
    cluster.writes.clear()
    async with running(cluster) as controller:
        await wait_until(lambda: len(controller.cache.keys(Kind.MONITOR)) == 20, "all monitors")
        await idle(controller)
    assert cluster.requests == {}
    assert cluster.writes == []


async def test_the_end_of_a_job_reaches_the_status_through_the_watch() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        await idle(controller)
        [job] = cluster.of_role(Role.CHECK)
        cluster.finish(job["metadata"]["name"], monitors.check("NoDrift", champion=monitors.champion()))
        job["metadata"]["resourceVersion"] = str(next(cluster._numbers))
        await wait_until(lambda: cluster.status().get("lastCheck") is not None, "the verdict in the status")


async def test_a_monitor_that_no_watch_has_shown_is_found_by_the_resync() -> None:
    cluster = InMemoryCluster()
    cluster.add("known")
    async with running(cluster, resync_seconds=0.01):
        await wait_until(lambda: is_ready(cluster, "known"), "the first monitor")
        cluster.add("unknown")
        cluster.edit("known", schedule="0 7 * * *")
        await wait_until(lambda: is_ready(cluster, "unknown"), "a monitor without an event")
        await wait_until(
            lambda: cluster.cron_jobs["known-check"]["spec"]["schedule"] == "0 7 * * *", "an edit without an event"
        )


async def test_a_monitor_that_was_deleted_without_an_event_is_forgotten() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    async with running(cluster, resync_seconds=0.01) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        del cluster.monitors["flights"]
        await wait_until(lambda: controller.cache.keys(Kind.MONITOR) == [], "a forgotten monitor")


async def test_a_late_deletion_does_not_hide_the_successor() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    old = cluster.monitors["flights"]
    cluster.add()
    controller = Controller(SETTINGS, cluster, lambda: cluster.now)
    show(controller, cluster)
    controller._monitors[0]._delete(old)
    assert controller.cache.keys(Kind.MONITOR) == [("demo", "flights")]
    controller._monitors[0]._delete(cluster.monitors["flights"])
    assert controller.cache.keys(Kind.MONITOR) == []


async def test_an_elapsed_schedule_makes_a_monitor_due_and_nothing_else_does() -> None:
    cluster = CountingCluster()
    cluster.add()
    async with running(cluster, resync_seconds=0.01) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        [job] = cluster.of_role(Role.CHECK)
        cluster.finish(job["metadata"]["name"], monitors.check("NoDrift", champion=monitors.champion()))
        job["metadata"]["resourceVersion"] = str(next(cluster._numbers))
        await wait_until(lambda: cluster.status().get("lastCheck") is not None, "the verdict in the status")
        await idle(controller)
        due = cluster.status()["nextCheckTime"]
        wake = dt.datetime.fromtimestamp(controller._agenda._times["demo", "flights"], dt.UTC)
        assert wake <= cluster.now + controller._agenda._longest
        cluster.pass_time(days=2)
        await wait_until(lambda: cluster.status()["nextCheckTime"] != due, "the next check time")


async def test_what_no_watch_shows_is_found_by_the_next_resync() -> None:
    cluster = InMemoryCluster()
    cluster.add(promotion={"metric": "ROCAUC", "rollout": {"deploymentRef": {"name": "scorer"}}})
    async with running(cluster, resync_seconds=0.01) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        end_check(cluster, "flights")
        await wait_until(lambda: cluster.of_role(Role.TRAIN) != [], "a training")
        end(cluster, cluster.of_role(Role.TRAIN)[0], monitors.run("Promoted"))
        await wait_until(lambda: "rollout" in cluster.status(), "a champion to roll out")
        assert cluster.status()["rollout"]["reason"] == "RolloutBlocked"
        await idle(controller)
        cluster.deploy()  # without the operator's label, so that the watch does not show it
        await wait_until(lambda: cluster.status()["rollout"]["reason"] != "RolloutBlocked", "a rollout")


async def test_a_refused_object_is_not_tried_again_at_each_resync() -> None:
    cluster = InMemoryCluster()
    cluster.refuse["apply_cron_job"] = Forbidden("exceeded quota")
    cluster.add()
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "a condition")
        await idle(controller)
        assert cluster.condition("Ready") == ("False", "ObjectRefused")
        assert controller._agenda.due([("demo", "flights")], cluster.now) == []
        cluster.pass_time(minutes=4)
        assert controller._agenda.due([("demo", "flights")], cluster.now) == []
        cluster.pass_time(minutes=4)  # five minutes, and up to a half more
        assert controller._agenda.due([("demo", "flights")], cluster.now) == [("demo", "flights")]


async def test_a_watch_that_fails_or_expires_is_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "FIRST_DELAY", 0.001)
    cluster = InMemoryCluster()
    cluster.add()
    errors: list[Exception] = [Unavailable("cut"), Expired("410"), Unavailable("cut"), Unavailable("cut")]
    watch = cluster.watch

    async def failing(kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        if kind is Kind.JOB and errors:
            raise errors.pop(0)
        async for change in watch(kind, namespace, version):
            yield change

    monkeypatch.setattr(cluster, "watch", failing)
    async with running(cluster, resync_seconds=3600):
        await wait_until(lambda: is_ready(cluster) and not errors, "a ready monitor, and all failures")
        [job] = cluster.of_role(Role.CHECK)
        cluster.finish(job["metadata"]["name"], monitors.check("NoDrift", champion=monitors.champion()))
        job["metadata"]["resourceVersion"] = str(next(cluster._numbers))
        await wait_until(lambda: cluster.status().get("lastCheck") is not None, "the verdict in the status")


async def test_the_work_is_counted_and_watches_have_times() -> None:
    """A monitor without a champion trains after its first check; its training ends well."""
    cluster = InMemoryCluster()
    await first_check(cluster)
    async with running(cluster, resync_seconds=3600) as controller:
        [job] = cluster.of_role(Role.TRAIN)
        cluster.pass_time(minutes=10)
        cluster.finish(job["metadata"]["name"], monitors.run("Promoted"))
        controller.queue.add(("demo", "flights"))
        await wait_until(lambda: cluster.status().get("champion") is not None, "a champion")
        await idle(controller)
        count = controller.activity.registry.get_sample_value
        assert count("modelmonitor_decisions_total", {"action": "Promoted", "reason": "Promoted"}) == 1
        assert count("modelmonitor_training_duration_seconds_sum", {"outcome": "Promoted"}) == 600
        assert controller.activity.training_seconds(("demo", "flights")) == 600
        assert (count("modelmonitor_reconcile_duration_seconds_count", {"source": "api_server"}) or 0) > 0
        times = {kind: (namespace, seen) for kind, namespace, seen in controller.watch_times()}
        assert times.keys() == {Kind.MONITOR, Kind.CRON_JOB, Kind.JOB, Kind.DEPLOYMENT}
        assert all(namespace is None and time.time() - seen < PATIENCE for namespace, seen in times.values())
        controller._monitors[0]._delete(cluster.monitors["flights"])
        assert controller.activity.training_seconds(("demo", "flights")) == 0, "nothing of a deleted monitor is kept"


async def test_what_was_deleted_while_a_watch_was_down_is_noticed_by_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = InMemoryCluster()
    cluster.add()

    async def blind(kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        await asyncio.Event().wait()
        yield Change(kind.kind, {"namespace": namespace, "version": version})

    monkeypatch.setattr(cluster, "watch", blind)
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        await idle(controller)
        cluster.cron_jobs.clear()
        for watch in controller._watches:
            await watch._list()
        await wait_until(lambda: "flights-check" in cluster.cron_jobs, "the CronJob again")


async def test_the_operator_works_without_a_complete_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "SYNC_SECONDS", 0.01)
    cluster = InMemoryCluster()
    cluster.add()
    pages = cluster.list_pages

    async def without_jobs(kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if kind is Kind.JOB:
            raise Unavailable("no Jobs")
        async for page in pages(kind, namespace, metadata_only=metadata_only):
            yield page

    monkeypatch.setattr(cluster, "list_pages", without_jobs)
    async with running(cluster):
        await wait_until(lambda: is_ready(cluster), "a ready monitor")


async def test_a_part_that_ends_makes_the_operator_unhealthy() -> None:
    cluster = InMemoryCluster()
    async with running(cluster) as controller:
        controller._tasks[0].cancel()
        await asyncio.gather(controller._tasks[0], return_exceptions=True)
        assert "a task of the controller has ended" in (controller.why_stuck() or "")


@pytest.mark.parametrize(
    "error",
    [Expired("410"), Forbidden("403"), NotFound("404"), Unavailable("401 Unauthorized"), ValueError("a defect")],
    ids=lambda error: f"{type(error).__name__} {error}",
)
async def test_no_failure_of_a_list_or_a_watch_ends_the_watch_of_the_monitors(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kopf's watch ended the process upon each of them."""
    monkeypatch.setattr(watches, "FIRST_DELAY", 0.001)
    cluster, failures = InMemoryCluster(), Counter[str]()
    pages, watch = cluster.list_pages, cluster.watch

    async def failing_list(kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if kind is Kind.MONITOR and not metadata_only and failures["list"] < 3:
            failures["list"] += 1
            raise error
        async for page in pages(kind, namespace, metadata_only=metadata_only):
            yield page

    async def failing_watch(kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        if kind is Kind.MONITOR and failures["watch"] < 3:
            failures["watch"] += 1
            raise error
        async for change in watch(kind, namespace, version):
            yield change

    monkeypatch.setattr(cluster, "list_pages", failing_list)
    monkeypatch.setattr(cluster, "watch", failing_watch)
    with caplog.at_level("INFO", "modelmonitor_operator.watches"):
        async with running(cluster, resync_seconds=3600) as controller:
            await wait_until(lambda: failures == {"list": 3, "watch": 3}, "all failures")
            cluster.add()
            await wait_until(lambda: is_ready(cluster), "a monitor that was created afterwards")
            again = "the watch of modelmonitors works again after 6 failures"
            await wait_until(lambda: again in caplog.text, "the first event")
            assert controller.why_stuck() is None
    assert "the watch of modelmonitors failed 2 times and has received nothing for 0 s" in caplog.text


async def test_a_pass_that_failed_in_an_outage_is_repeated_soon_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(controller_module, "CATCH_UP_SECONDS", 0.01)
    cluster = CountingCluster()
    cluster.add()
    watch = cluster.watch

    async def cut(kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        async for change in watch(kind, namespace, version):
            if cluster.unreachable:
                raise Unavailable("cut")
            yield change

    monkeypatch.setattr(cluster, "watch", cut)
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "a ready monitor")
        await idle(controller)
        cluster.unreachable = True
        controller.queue._failures["demo", "flights"] = 100  # the next delay is one of minutes
        cluster.edit(schedule="0 7 * * *")
        show(controller, cluster)
        await wait_until(lambda: ("demo", "flights") in controller.queue._retries, "a failed pass")
        cluster.annotate("touched", "true")
        await wait_until(lambda: controller._monitors[0]._failures > 1, "a watch that fails")
        cluster.unreachable = False
        await wait_until(lambda: cluster.cron_jobs["flights-check"]["spec"]["schedule"] == "0 7 * * *", "the edit")


async def test_a_server_that_ends_its_streams_at_once_is_not_hammered(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            await asyncio.Event().wait()

    cluster = InMemoryCluster()

    async def empty(kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        assert kind is Kind.MONITOR, (namespace, version)
        changes: list[Change] = []
        for change in changes:
            yield change

    monkeypatch.setattr(cluster, "watch", empty)
    monkeypatch.setattr(asyncio, "sleep", pause)
    watch = Controller(SETTINGS, cluster)._monitors[0]
    running = asyncio.create_task(watch.run())
    while len(waits) < 8:
        await asyncio.get_running_loop().run_in_executor(None, int)
    running.cancel()
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits[:6]))
    assert all(30 <= wait <= 60 for wait in waits[6:])


async def test_an_object_that_cannot_be_read_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    cluster = InMemoryCluster()
    cluster.add("broken")
    cluster.add("healthy")
    cluster.monitors["broken"]["metadata"]["resourceVersion"] = "not a number"
    async with running(cluster, resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster, "healthy"), "the healthy monitor")
        assert controller.cache.keys(Kind.MONITOR) == [("demo", "healthy")]
    assert "the watch of modelmonitors skips ('demo', 'broken')" in caplog.text


async def test_a_namespace_that_cannot_be_read_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = InMemoryCluster()
    cluster.add()
    pages = cluster.list_pages

    async def forbid(kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if namespace == "gone":
            raise Forbidden("no role in this namespace")
        async for page in pages(kind, namespace, metadata_only=metadata_only):
            yield page

    monkeypatch.setattr(cluster, "list_pages", forbid)
    monkeypatch.setattr(controller_module, "SYNC_SECONDS", 0.01)
    async with running(cluster, namespaces=("gone", "demo"), resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster), "the monitor of the other namespace")
        assert controller.why_not_ready() == "the watch of modelmonitors in gone has not read its first list"


def trainings(cluster: InMemoryCluster) -> list[str]:
    """Return the monitors of the training Jobs, in the order in which they were created."""
    jobs = sorted(cluster.of_role(Role.TRAIN), key=lambda job: str(job["metadata"]["uid"]))
    return [job["metadata"]["labels"][names.LABEL_MONITOR] for job in jobs]


def end(cluster: InMemoryCluster, job: Object, answer: Any) -> None:
    """End a Job, so that the watch shows it."""
    cluster.finish(job["metadata"]["name"], answer)
    job["metadata"]["resourceVersion"] = str(next(cluster._numbers))


def end_check(cluster: InMemoryCluster, name: str) -> None:
    """End the first check of a monitor without a champion, upon which a training is due."""
    [job] = [job for job in cluster.of_role(Role.CHECK) if job["metadata"]["labels"][names.LABEL_MONITOR] == name]
    end(cluster, job, monitors.check("Inconclusive"))


def is_queued(cluster: InMemoryCluster, name: str) -> bool:
    return bool(
        cluster.condition("Training", name) == ("False", "TrainingQueued") and cluster.status(name)["queuedTraining"]
    )


def is_decided(cluster: InMemoryCluster, name: str) -> bool:
    return name in trainings(cluster) or is_queued(cluster, name)


def have_started(cluster: InMemoryCluster, expected: list[str]) -> bool:
    return trainings(cluster) == expected


async def test_trainings_beyond_the_limit_are_queued_and_start_in_their_order() -> None:
    cluster = InMemoryCluster()
    for name in ("c", "a", "b"):
        cluster.add(name)
    limits = {"training_limits": TrainingLimits(total=1), "resync_seconds": 3600}
    async with running(cluster, **limits) as controller:
        await wait_until(lambda: all(is_ready(cluster, name) for name in cluster.monitors), "ready monitors")
        for name in ("c", "a", "b"):
            cluster.pass_time(seconds=1)
            end_check(cluster, name)
            await wait_until(partial(is_decided, cluster, name), name)
            await idle(controller)
        assert trainings(cluster) == ["c"]
        assert is_queued(cluster, "a")
        assert is_queued(cluster, "b")
    # A restart changes neither the order nor what runs.
    cluster.writes.clear()
    async with running(cluster, **limits) as controller:
        await wait_until(lambda: len(controller.cache.keys(Kind.MONITOR)) == 3, "all monitors")
        await idle(controller)
        assert cluster.writes == []
        for expected in (["c", "a"], ["c", "a", "b"]):
            [job] = [job for job in cluster.of_role(Role.TRAIN) if "status" not in job]
            end(cluster, job, monitors.run("Promoted"))
            await wait_until(partial(have_started, cluster, expected), f"trainings of {expected}")
            await idle(controller)
            started = expected[-1]
            assert "queuedTraining" not in cluster.status(started)
            assert cluster.condition("Training", started)[0] == "True"


async def test_trainings_that_are_decided_at_once_respect_the_limit() -> None:
    cluster = InMemoryCluster()
    for number in range(10):
        cluster.add(f"monitor-{number}")
    async with running(cluster, training_limits=TrainingLimits(per_namespace=3), resync_seconds=3600) as controller:
        await wait_until(lambda: all(is_ready(cluster, name) for name in cluster.monitors), "ready monitors")
        for name in cluster.monitors:
            end_check(cluster, name)
        await wait_until(lambda: sum(is_queued(cluster, name) for name in cluster.monitors) == 7, "queued trainings")
        await idle(controller)
        assert len(trainings(cluster)) == 3


async def test_a_queued_training_that_is_no_longer_due_leaves_the_queue() -> None:
    cluster = InMemoryCluster()
    for name in ("a", "b"):
        cluster.add(name)
    async with running(cluster, training_limits=TrainingLimits(total=1), resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster, "a") and is_ready(cluster, "b"), "ready monitors")
        end_check(cluster, "a")
        await wait_until(lambda: trainings(cluster) == ["a"], "the training of a")
        end_check(cluster, "b")
        await wait_until(lambda: is_queued(cluster, "b"), "a queued training")
        cluster.edit("b", suspend=True)
        show(controller, cluster, "b")
        await wait_until(lambda: "queuedTraining" not in cluster.status("b"), "an empty queue")
        assert cluster.condition("Training", "b") == ("False", "Suspended")
