"""Wiring of Kopf: what is watched, what is enqueued, and when the operator is unhealthy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest

from modelmonitor_api import names
from modelmonitor_operator.__main__ import main
from modelmonitor_operator.controller import Controller
from modelmonitor_operator.gateway import Kind, Page, Unavailable
from modelmonitor_operator.main import Operator, configure
from modelmonitor_operator.settings import Settings
from support.asynchronous import wait_until
from support.processes import PATIENCE
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
    given = Settings(trainer_image="trainer", metrics_port=0, **settings)
    return Operator(given, Controller(given, cluster, lambda: cluster.now, clock))


async def test_a_monitor_is_reconciled_without_any_event() -> None:
    cluster, clock, applied = InMemoryCluster(), Clock(), asyncio.Event()
    cluster.add()
    apply = cluster.apply_cron_job

    async def notify(cron_job: dict[str, Any]) -> dict[str, Any]:
        applied.set()
        return await apply(cron_job)

    cluster.apply_cron_job = notify  # type: ignore[method-assign]  # notifies the test of the call
    operator = make_operator(cluster, clock, namespaces=(NAMESPACE,))
    clock.seconds = 100  # the age is 0 again only after a resync
    assert await operator._resync_age() == 100
    await operator._start(settings=kopf.OperatorSettings())
    try:
        async with asyncio.timeout(PATIENCE):
            await applied.wait()
        await wait_until(lambda: operator._controller.resync_age() == 0, "the end of the resync")
        assert await operator._resync_age() == 0
    finally:
        await operator._stop()


async def test_an_operator_without_a_successful_resync_becomes_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, clock, tried = InMemoryCluster(), Clock(), asyncio.Event()

    async def fail(kind: Kind, namespace: str | None, **_: bool) -> AsyncIterator[Page]:
        for part in ("monitors", "children"):
            tried.set()
            raise Unavailable(f"no {kind.plural} of {namespace}: {part}")
        yield Page([], "1")

    monkeypatch.setattr(cluster, "list_pages", fail)
    operator = make_operator(cluster, clock, resync_seconds=3600)
    await operator._start(settings=kopf.OperatorSettings())
    try:
        async with asyncio.timeout(PATIENCE):
            await tried.wait()
        clock.seconds = 4 * 3600
        assert await operator._resync_age() == 4 * 3600
        clock.seconds += 1
        with pytest.raises(kopf.PermanentError, match="no resync for 14401 s"):
            await operator._resync_age()
    finally:
        await operator._stop()


def test_no_handler_writes_to_objects() -> None:
    """Handlers of changes would write annotations, timers and daemons finalizers; events do neither."""
    registry = make_operator(InMemoryCluster(), Clock()).registry()
    resource = kopf.Resource(names.GROUP, names.VERSION, names.PLURAL)
    assert registry._watching.has_handlers(resource)
    for kind in (registry._changing, registry._spawning, registry._indexing):
        assert not kind.has_handlers(resource)


def test_the_operator_refuses_to_start_with_invalid_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAINER_IMAGE", raising=False)
    assert main() == 2
    assert capsys.readouterr().err.startswith("modelmonitor-operator: TRAINER_IMAGE is not set")


async def test_a_metrics_port_that_is_taken_stops_the_operator_with_a_sentence() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        given = Settings(trainer_image="trainer", metrics_port=port)
        operator = Operator(given, Controller(given, InMemoryCluster()))
        with pytest.raises(kopf.PermanentError, match=rf"METRICS_PORT={port} cannot be used"):
            await operator._start(settings=kopf.OperatorSettings())
        await operator._stop()
