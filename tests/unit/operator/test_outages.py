"""An API server that fails: no watch ends, the server is not hammered, and what can be read is read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from modelmonitor_operator import controller as controller_module
from modelmonitor_operator import watches
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Change, Expired, Forbidden, Kind, NotFound, Page, Unavailable
from support.asynchronous import wait_until
from unit.operator.in_memory_cluster import SETTINGS, InMemoryCluster
from unit.operator.running_controller import CountingCluster, idle, is_ready, running, show


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
