"""Wiring of Kopf: what is watched, what is enqueued, and when the operator is unhealthy."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
import pytest

from modelmonitor_api import names
from modelmonitor_operator.__main__ import main
from modelmonitor_operator.gateway import Unavailable
from modelmonitor_operator.main import Operator, configure
from modelmonitor_operator.settings import Settings
from unit.operator.in_memory_cluster import NAMESPACE, InMemoryCluster


def test_jobs_of_others_stay_on_the_server() -> None:
    """The form of the key matters: one that Kopf does not understand is ignored without a word."""
    settings = kopf.OperatorSettings()
    configure(settings)
    for plural in ("jobs", "cronjobs"):
        resource = kopf.Resource("batch", "v1", plural)
        assert list(settings.watching.label_selectors.collect(resource)) == [
            f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}"
        ]
    monitors = kopf.Resource(names.GROUP, names.VERSION, names.PLURAL)
    assert list(settings.watching.label_selectors.collect(monitors)) == []
    assert settings.scanning.disabled
    assert not settings.posting.enabled


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_monitor_is_reconciled_without_any_event() -> None:
    cluster, applied = InMemoryCluster(), asyncio.Event()
    cluster.add()
    apply = cluster.apply_cron_job

    async def notify(cron_job: dict[str, Any]) -> dict[str, Any]:
        applied.set()
        return await apply(cron_job)

    cluster.apply_cron_job = notify  # type: ignore[method-assign]  # tells the test that it has been called
    operator = Operator(Settings(trainer_image="trainer", namespaces=(NAMESPACE,)), cluster, Clock())
    await operator._start(settings=kopf.OperatorSettings())
    try:
        await applied.wait()
        assert await operator._resync_age() == 0
    finally:
        await operator._stop()


async def test_an_operator_without_a_successful_resync_becomes_unhealthy() -> None:
    cluster, clock, tried = InMemoryCluster(), Clock(), asyncio.Event()

    async def away(namespace: str | None) -> list[Any]:
        tried.set()
        raise Unavailable(f"no monitors of {namespace}")

    cluster.list_monitors = away  # type: ignore[method-assign]  # an API server that is away
    operator = Operator(Settings(trainer_image="trainer", resync_seconds=60), cluster, clock)
    await operator._start(settings=kopf.OperatorSettings())
    try:
        await tried.wait()
        clock.seconds = 240
        assert await operator._resync_age() == 240
        clock.seconds = 241
        with pytest.raises(kopf.PermanentError, match="no resync for 241 s"):
            await operator._resync_age()
    finally:
        await operator._stop()


def test_no_handler_leaves_a_trace_on_objects() -> None:
    """Handlers of changes would write annotations, timers and daemons finalizers; events do neither."""
    registry = Operator(Settings(trainer_image="trainer"), InMemoryCluster()).registry()
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
