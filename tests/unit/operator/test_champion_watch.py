"""A champion that is worse than its predecessor: reported, and rolled back once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from modelmonitor_api.messages import RollbackRequest, decode_request
from modelmonitor_api.names import ANNOTATION_REQUEST, ANNOTATION_ROLLBACK_TO, Role
from modelmonitor_api.status import Champion, ChampionWatch
from modelmonitor_operator.manifests.job import TTL_SECONDS
from support.monitors import champion, check, failure, run
from unit.operator.in_memory_cluster import InMemoryCluster, Killed

WORSE = {"difference": "-0.0400", "low": "-0.0600", "high": "-0.0200", "worse": True}


def watch(served: Champion, **fields: Any) -> ChampionWatch:
    """Return the result of the champion watch: a champion compared with v1."""
    given: dict[str, Any] = {
        "champion": served.version,
        "since": served.since,
        "predecessor": "v1-11111111",
        "metric": "ROCAUC",
        "days": 4,
        "rows": 4000,
        "difference": "0.0010",
        "low": "-0.0200",
        "high": "0.0200",
    }
    return ChampionWatch(**(given | fields))


def served(cluster: InMemoryCluster, version: str = "v2-22222222") -> Champion:
    """Return a champion as of now."""
    return champion(version).model_copy(update={"since": cluster.now})


async def checked(cluster: InMemoryCluster, suffix: str, **fields: Any) -> None:
    """Let a scheduled check end."""
    name = cluster.scheduled_check(suffix)
    cluster.pass_time(minutes=1)
    cluster.finish(name, check(**{"time": cluster.now, **fields}))
    await cluster.settle()


async def watched(action: str) -> tuple[InMemoryCluster, Champion]:
    """Return a cluster whose first check finds the champion v2."""
    cluster = InMemoryCluster()
    cluster.add(promotion={"watch": {"action": action}}, triggers={"onDrift": False, "onPerformance": False})
    await cluster.settle()
    now = served(cluster)
    [job] = cluster.of_role(Role.CHECK)
    cluster.pass_time(minutes=1)
    cluster.finish(job["metadata"]["name"], check(time=cluster.now, champion=now))
    await cluster.settle()
    return cluster, now


def rollbacks(cluster: InMemoryCluster) -> list[Any]:
    return cluster.of_role(Role.ROLLBACK)


async def test_without_a_result_there_is_no_condition() -> None:
    cluster, _ = await watched("Rollback")
    assert "ChampionHealthy" not in {condition["type"] for condition in cluster.status()["conditions"]}


async def test_a_champion_that_is_not_worse() -> None:
    cluster, now = await watched("Rollback")
    await checked(cluster, "a", champion=now, watch=watch(now))
    assert cluster.condition("ChampionHealthy") == ("True", "NotWorseThanPredecessor")
    assert rollbacks(cluster) == []
    assert not [event for event in cluster.events if "Predecessor" in event["reason"]]


async def test_report_reports_and_starts_nothing() -> None:
    cluster, now = await watched("Report")
    await checked(cluster, "a", champion=now, watch=watch(now, **WORSE))
    assert cluster.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")
    [event] = [event for event in cluster.events if event["reason"] == "WorseThanPredecessor"]
    assert event["type"] == "Warning"
    assert "-0.0400 (-0.0600 to -0.0200) on 4000 rows of 4 days" in event["message"]
    assert rollbacks(cluster) == []


async def test_rollback_starts_one_job_with_its_reason() -> None:
    cluster, now = await watched("Rollback")
    await checked(cluster, "a", champion=now, watch=watch(now, **WORSE))
    [job] = rollbacks(cluster)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REQUEST])
    assert isinstance(request, RollbackRequest)
    assert (request.to, request.instead_of, request.reason) == ("v1-11111111", "v2-22222222", "WorseThanPredecessor")
    assert "v2-22222222 is worse than v1-11111111" in request.message
    before = cluster.status()["history"][0]
    assert (before["action"], before["reason"], before["version"]) == (
        "RollbackStarted",
        "WorseThanPredecessor",
        "v1-11111111",
    )
    # Neither another reconciliation nor another check starts a second one.
    await checked(cluster, "b", champion=now, watch=watch(now, **WORSE, days=8))
    cluster.pass_time(minutes=5)
    back = served(cluster, "v1-11111111")
    verdict = run("RolledBack", "v1-11111111", champion=back, reason="WorseThanPredecessor")
    cluster.finish(job["metadata"]["name"], verdict)
    await cluster.settle()
    assert cluster.status()["champion"]["version"] == "v1-11111111"
    entry = cluster.status()["history"][0]
    assert (entry["action"], entry["reason"]) == ("RolledBack", "WorseThanPredecessor")
    assert "ChampionHealthy" not in {condition["type"] for condition in cluster.status()["conditions"]}
    await checked(cluster, "c", champion=back)
    assert len(rollbacks(cluster)) == 1


async def test_a_failed_rollback_is_not_repeated() -> None:
    cluster, now = await watched("Rollback")
    await checked(cluster, "a", champion=now, watch=watch(now, **WORSE))
    [job] = rollbacks(cluster)
    cluster.finish(job["metadata"]["name"], failure(), failed="BackoffLimitExceeded")
    await cluster.settle()
    assert cluster.status()["history"][0]["action"] == "RollbackFailed"
    assert cluster.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")
    cluster.pass_time(seconds=TTL_SECONDS + 1)
    del cluster.jobs[job["metadata"]["name"]]
    await checked(cluster, "b", champion=now, watch=watch(now, **WORSE))
    assert rollbacks(cluster) == []


async def test_the_result_outlives_a_day_of_corrupted_data() -> None:
    cluster, now = await watched("Report")
    await checked(cluster, "a", champion=now, watch=watch(now, **WORSE))
    await checked(cluster, "b", champion=now, verdict="Corrupted")
    assert cluster.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")


async def test_the_result_is_not_applied_to_another_champion() -> None:
    cluster, now = await watched("Rollback")
    cluster.pass_time(hours=1)
    # The check began under v2 and ended under v3.
    await checked(cluster, "a", champion=served(cluster, "v3-33333333"), watch=watch(now, **WORSE))
    assert rollbacks(cluster) == []


@pytest.mark.parametrize("side", ["before", "after"])
async def test_an_operator_that_dies_while_it_starts_the_rollback_starts_it_once(side: Any) -> None:
    for call in range(1, 12):
        cluster, now = await watched("Rollback")
        name = cluster.scheduled_check("a")
        cluster.pass_time(minutes=1)
        cluster.finish(name, check(time=cluster.now, champion=now, watch=watch(now, **WORSE)))
        cluster.calls, cluster.kill_at, cluster.kill_side = 0, call, side
        with suppress(Killed):
            await cluster.reconcile()
        cluster.kill_at = None
        await cluster.settle()
        assert len(rollbacks(cluster)) == 1, call


async def test_a_requested_rollback_goes_first() -> None:
    cluster, now = await watched("Rollback")
    cluster.annotate(ANNOTATION_ROLLBACK_TO, "v1-11111111")
    await checked(cluster, "a", champion=now, watch=watch(now, **WORSE))
    assert len(rollbacks(cluster)) == 1
