"""Kopf's wiring: what is watched, what is enqueued, when the operator counts as ill, what it is told at its start."""

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


async def test_a_monitor_is_looked_at_without_any_event(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = InMemoryCluster()
    cluster.add()
    operator = Operator(Settings(trainer_image="trainer", namespaces=(NAMESPACE,), resync_seconds=0.02), cluster)
    await operator._start(settings=kopf.OperatorSettings())
    try:
        async with asyncio.timeout(5):
            while "flights-check" not in cluster.cron_jobs:  # noqa: ASYNC110 - the cluster knows of no event
                await asyncio.sleep(0.01)
        assert await operator._resync_age() < 1
    finally:
        await operator._stop()


async def test_an_operator_that_does_not_come_round_is_ill() -> None:
    cluster = InMemoryCluster()

    async def away(namespace: str | None) -> list[Any]:
        raise Unavailable(f"no monitors of {namespace}")

    cluster.list_monitors = away  # type: ignore[method-assign]  # an API server that is away
    operator = Operator(Settings(trainer_image="trainer", resync_seconds=0.02), cluster)
    await operator._start(settings=kopf.OperatorSettings())
    try:
        await asyncio.sleep(0.2)
        with pytest.raises(kopf.PermanentError, match="no resync for"):
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


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "TRAINER_IMAGE is not set"),
        ({"TRAINER_IMAGE": "x", "RESYNC_SECONDS": "0"}, "RESYNC_SECONDS"),
        ({"TRAINER_IMAGE": "x", "RESYNC_SECONDS": "often"}, "RESYNC_SECONDS"),
        ({"TRAINER_IMAGE": "x", "JOB_IMAGE_PULL_POLICY": "Sometimes"}, "JOB_IMAGE_PULL_POLICY"),
        ({"TRAINER_IMAGE": "x", "LOG_FORMAT": "yaml"}, "LOG_FORMAT"),
        ({"TRAINER_IMAGE": "x", "LOG_LEVEL": "chatty"}, "LOG_LEVEL"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_a_sentence(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("TRAINER_IMAGE", "RESYNC_SECONDS", "JOB_IMAGE_PULL_POLICY", "LOG_FORMAT", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main() == 2
    assert words in capsys.readouterr().err


def test_settings() -> None:
    found = Settings.from_environment(
        {
            "TRAINER_IMAGE": "trainer:1",
            "WATCH_NAMESPACES": " demo, other,",
            "IMAGE_PULL_SECRETS": "a,b",
            "JOB_IMAGE_PULL_POLICY": "Never",
            "RESYNC_SECONDS": "15",
        }
    )
    assert found == Settings("trainer:1", ("demo", "other"), "Never", ("a", "b"), 15.0)
    assert Settings.from_environment({"TRAINER_IMAGE": "x", "WATCH_NAMESPACES": ""}).namespaces == ()
