"""The two views of the API: the cache alone, and the API server with the cache kept up to date."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.cached_gateway import CachedGateway, RecordingGateway, Unsettled
from modelmonitor_operator.gateway import Gateway, Kind, Object
from unit.operator.in_memory_cluster import NAMESPACE, InMemoryCluster

OBJECT: Object = {"metadata": {"namespace": NAMESPACE, "name": "x"}, "reason": "R"}


@pytest.mark.parametrize(
    "call",
    [
        lambda gateway: gateway.get_monitor(NAMESPACE, "x"),
        lambda gateway: gateway.get_cron_job(NAMESPACE, "x"),
        lambda gateway: gateway.get_job(NAMESPACE, "x"),
        lambda gateway: gateway.get_deployment(NAMESPACE, "x"),
        lambda gateway: gateway.list_pods(NAMESPACE, "a=b"),
        lambda gateway: gateway.list_events(NAMESPACE, "u"),
        lambda gateway: gateway.delete_job(NAMESPACE, "x", "u"),
        lambda gateway: gateway.apply_cron_job(OBJECT),
        lambda gateway: gateway.apply_deployment(OBJECT),
        lambda gateway: gateway.create_job(OBJECT),
        lambda gateway: gateway.patch_status(NAMESPACE, "x", "1", {}),
        lambda gateway: gateway.create_event(OBJECT),
    ],
)
async def test_the_cache_neither_invents_nor_writes(call: Callable[[CachedGateway], Any]) -> None:
    with pytest.raises(Unsettled):
        await call(CachedGateway(ObjectCache()))


@pytest.mark.parametrize("view", [CachedGateway, RecordingGateway])
def test_both_views_have_every_method_of_a_gateway(view: type) -> None:
    methods = {name for name, _ in inspect.getmembers(Gateway, inspect.isfunction) if not name.startswith("_")}
    assert methods <= set(vars(view))


async def test_what_was_read_and_written_is_in_the_cache() -> None:
    cluster, cache = InMemoryCluster(), ObjectCache()
    cluster.add()
    await cluster.settle()
    gateway = RecordingGateway(cluster, cache)
    monitor = await gateway.get_monitor(NAMESPACE, "flights")
    assert monitor is not None
    selector = f"{names.LABEL_MONITOR_UID}={monitor['metadata']['uid']}"
    [job] = await gateway.list_jobs(NAMESPACE, selector)
    await gateway.get_cron_job(NAMESPACE, "flights-check")
    assert gateway.writes == 0
    patched = await gateway.patch_status(
        NAMESPACE, "flights", monitor["metadata"]["resourceVersion"], {"champion": None}
    )
    assert gateway.writes == 1
    settled = CachedGateway(cache)
    known = await settled.get_monitor(NAMESPACE, "flights")
    assert known is not None
    assert known["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"]
    assert [each["metadata"]["uid"] for each in await settled.list_jobs(NAMESPACE, selector)] == [
        job["metadata"]["uid"]
    ]
    assert await settled.get_cron_job(NAMESPACE, "flights-check") is not None
    del cluster.monitors["flights"]
    assert await gateway.get_monitor(NAMESPACE, "flights") is None
    with pytest.raises(Unsettled):
        await settled.get_monitor(NAMESPACE, "flights")


async def test_a_foreign_cron_job_is_not_cached_because_no_watch_shows_it() -> None:
    cluster, cache = InMemoryCluster(), ObjectCache()
    cluster.add()
    await cluster.settle()
    foreign = copy.deepcopy(cluster.cron_jobs["flights-check"])
    foreign["metadata"]["labels"] = {}
    cluster.cron_jobs["flights-check"] = foreign
    assert await RecordingGateway(cluster, cache).get_cron_job(NAMESPACE, "flights-check") == foreign
    assert cache.keys(Kind.CRON_JOB) == []


async def test_jobs_of_a_predecessor_are_not_those_of_a_monitor() -> None:
    cluster, cache = InMemoryCluster(), ObjectCache()
    cluster.add()
    await cluster.settle()
    [job] = cluster.of_role(Role.CHECK)
    cache.put(Kind.JOB, job)
    assert await CachedGateway(cache).list_jobs(NAMESPACE, f"{names.LABEL_MONITOR_UID}=another") == []
