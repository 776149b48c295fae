"""Wiring of Kopf: what it runs, and when the operator is alive and ready."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import kopf
import pytest

from modelmonitor_api import names
from modelmonitor_operator import controller, watches
from modelmonitor_operator.__main__ import main
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Kind, Page, Unavailable
from modelmonitor_operator.main import Operator, configure
from modelmonitor_operator.settings import Settings
from support.asynchronous import wait_until
from support.processes import PATIENCE, free_port
from unit.operator.in_memory_cluster import NAMESPACE, InMemoryCluster


def test_kopf_neither_scans_the_cluster_nor_posts_events() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    assert settings.scanning.disabled
    assert not settings.posting.enabled


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def make_operator(cluster: InMemoryCluster, clock: Clock, **settings: Any) -> Operator:
    """Return an operator of a cluster, which is not started."""
    given = replace(Settings(trainer_image="trainer", metrics_port=0, health_port=0), **settings)
    return Operator(given, Controller(given, cluster, lambda: cluster.now, clock))


async def test_a_monitor_is_reconciled_once_the_operator_has_started() -> None:
    cluster, applied = InMemoryCluster(), asyncio.Event()
    cluster.add()
    apply = cluster.apply_cron_job

    async def notify(cron_job: dict[str, Any]) -> dict[str, Any]:
        applied.set()
        return await apply(cron_job)

    cluster.apply_cron_job = notify  # type: ignore[method-assign]  # notifies the test of the call
    operator = make_operator(cluster, Clock(), namespaces=(NAMESPACE,))
    await operator._start(settings=kopf.OperatorSettings())
    try:
        async with asyncio.timeout(PATIENCE):
            await applied.wait()
    finally:
        await operator._stop()


@asynccontextmanager
async def probed(operator: Operator, port: int) -> AsyncIterator[Callable[[str], Awaitable[tuple[int, str]]]]:
    """Start an operator; yield what sends it a probe and returns the response's status and text."""
    await operator._start(settings=kopf.OperatorSettings())
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def probe(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, await response.text()

        try:
            yield probe
        finally:
            await operator._stop()


async def test_the_operator_is_alive_without_the_api_server_and_ready_once_it_has_listed_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watches, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(watches, "MAX_DELAY", 0.001)
    cluster, clock, port = InMemoryCluster(), Clock(), free_port()
    pages = cluster.list_pages
    away = {Kind.MONITOR, Kind.JOB}

    async def fail(kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if kind in away:
            raise Unavailable(f"no {kind.plural}")
        async for page in pages(kind, namespace, metadata_only=metadata_only):
            yield page

    monkeypatch.setattr(cluster, "list_pages", fail)
    operator = make_operator(cluster, clock, health_port=port)
    async with probed(operator, port) as probe:
        clock.seconds = 600  # ten minutes of an outage
        assert await probe("/healthz") == (200, "ok")
        assert await probe("/readyz") == (503, "the watch of modelmonitors has not read its first list")
        away.discard(Kind.MONITOR)
        await wait_until(operator._controller._monitors[0].synced.is_set, "the list of the monitors")
        assert await probe("/readyz") == (503, "the watch of jobs has not read its first list")
        away.clear()
        await wait_until(lambda: operator._controller.why_not_ready() is None, "all lists")
        assert await probe("/readyz") == (200, "ok")


async def test_an_operator_whose_watch_is_silent_is_alive_but_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, port = InMemoryCluster(), free_port()
    operator = make_operator(cluster, Clock(), health_port=port)
    async with probed(operator, port) as probe:
        await wait_until(lambda: operator._controller.why_not_ready() is None, "all lists")
        monkeypatch.setattr(controller, "STALE_SECONDS", -1.0)
        status, reason = await probe("/readyz")
        assert status == 503
        assert reason.startswith("the watch of modelmonitors has received nothing for")
        assert await probe("/healthz") == (200, "ok")


async def test_an_operator_whose_resync_hangs_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, clock, port = InMemoryCluster(), Clock(), free_port()
    operator = make_operator(cluster, clock, health_port=port, resync_seconds=60)
    async with probed(operator, port) as probe:
        await wait_until(lambda: operator._controller.why_not_ready() is None, "all lists")
        clock.seconds = 60 + controller.STUCK_SECONDS
        assert await probe("/healthz") == (200, "ok")
        clock.seconds += 1
        assert await probe("/healthz") == (503, "the resync has made no step for 3661 s")


def test_kopf_sends_no_requests() -> None:
    """Where its list or watch fails in some ways, it ends the process; handlers of changes would also write."""
    registry = make_operator(InMemoryCluster(), Clock()).registry()
    resource = kopf.Resource(names.GROUP, names.VERSION, names.PLURAL)
    for kind in (registry._watching, registry._changing, registry._spawning, registry._indexing):
        assert not kind.has_handlers(resource)


async def test_kopf_runs_without_an_api_server_and_stops_when_it_is_told() -> None:
    """Its scan of the API waits for a login that never ends."""
    cluster, stop = InMemoryCluster(), asyncio.Event()
    cluster.add()
    operator = make_operator(cluster, Clock())
    running = asyncio.create_task(
        kopf.operator(registry=operator.registry(), standalone=True, clusterwide=True, stop_flag=stop)
    )
    await wait_until(lambda: bool(cluster.cron_jobs), "a CronJob")
    assert not running.done()
    stop.set()
    async with asyncio.timeout(PATIENCE):
        await running
    assert all(task.done() for task in operator._controller._tasks)


def test_the_operator_refuses_to_start_with_invalid_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAINER_IMAGE", raising=False)
    assert main() == 2
    assert capsys.readouterr().err.startswith("modelmonitor-operator: TRAINER_IMAGE is not set")


@pytest.mark.parametrize("name", ["metrics_port", "health_port"])
async def test_a_port_that_is_taken_stops_the_operator_with_a_sentence(name: str) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        given = replace(Settings(trainer_image="trainer", metrics_port=0, health_port=0), **{name: port})
        operator = Operator(given, Controller(given, InMemoryCluster()))
        with pytest.raises(kopf.PermanentError, match=rf"{name.upper()}={port} cannot be used"):
            await operator._start(settings=kopf.OperatorSettings())
        await operator._stop()
