"""The controller on a cluster in memory: what costs a request, what a lost watch costs, and what comes first."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator

import pytest

from modelmonitor_api.names import Role
from modelmonitor_operator import controller as controller_module
from modelmonitor_operator import watches
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Change, Expired, Forbidden, Kind, Page, Unavailable
from support import monitors
from support.asynchronous import wait_until
from support.processes import PATIENCE
from unit.operator.first_check import first_check
from unit.operator.in_memory_cluster import SETTINGS, InMemoryCluster
from unit.operator.running_controller import CountingCluster, end, end_check, idle, is_ready, running, show


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
