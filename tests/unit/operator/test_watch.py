"""A champion that turns out worse than the version before it: said, and sent back once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from modelmonitor_api.messages import RollbackRequest, decode_request
from modelmonitor_api.names import ANNOTATION_REQUEST, ANNOTATION_ROLLBACK_TO, Role
from modelmonitor_api.status import Champion, ChampionWatch
from modelmonitor_operator.builders import TTL_SECONDS
from support.monitors import champion, check, failure, run
from unit.operator.world import Killed, World

WORSE = {"difference": "-0.0400", "low": "-0.0600", "high": "-0.0200", "worse": True}


def found(served: Champion, **fields: Any) -> ChampionWatch:
    """Return what a check finds of a champion beside v1."""
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


def served(world: World, version: str = "v2-22222222") -> Champion:
    """Return a champion as of now."""
    return champion(version).model_copy(update={"since": world.now})


async def checked(world: World, suffix: str, **fields: Any) -> None:
    """Let a scheduled check end."""
    name = world.scheduled_check(suffix)
    world.pass_time(minutes=1)
    world.finish(name, check(**{"time": world.now, **fields}))
    await world.settle()


async def watched(action: str) -> tuple[World, Champion]:
    """Return a world whose first check finds the champion v2."""
    world = World()
    world.add(promotion={"watch": {"action": action}}, triggers={"onDrift": False, "onPerformance": False})
    await world.settle()
    now = served(world)
    [job] = world.of_role(Role.CHECK)
    world.pass_time(minutes=1)
    world.finish(job["metadata"]["name"], check(time=world.now, champion=now))
    await world.settle()
    return world, now


def rollbacks(world: World) -> list[Any]:
    return world.of_role(Role.ROLLBACK)


async def test_without_a_look_there_is_no_condition() -> None:
    world, _ = await watched("Rollback")
    assert "ChampionHealthy" not in {condition["type"] for condition in world.status()["conditions"]}


async def test_a_champion_that_is_not_worse() -> None:
    world, now = await watched("Rollback")
    await checked(world, "a", champion=now, watch=found(now))
    assert world.condition("ChampionHealthy") == ("True", "NotWorseThanPredecessor")
    assert rollbacks(world) == []
    assert not [event for event in world.events if "Predecessor" in event["reason"]]


async def test_report_says_so_and_does_nothing() -> None:
    world, now = await watched("Report")
    await checked(world, "a", champion=now, watch=found(now, **WORSE))
    assert world.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")
    [event] = [event for event in world.events if event["reason"] == "WorseThanPredecessor"]
    assert event["type"] == "Warning"
    assert "-0.0400 (-0.0600 to -0.0200) on 4000 rows of 4 days" in event["message"]
    assert rollbacks(world) == []


async def test_rollback_starts_one_job_and_says_why() -> None:
    world, now = await watched("Rollback")
    await checked(world, "a", champion=now, watch=found(now, **WORSE))
    [job] = rollbacks(world)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REQUEST])
    assert isinstance(request, RollbackRequest)
    assert (request.to, request.instead_of, request.reason) == ("v1-11111111", "v2-22222222", "WorseThanPredecessor")
    assert "v2-22222222 is worse than v1-11111111" in request.message
    before = world.status()["history"][0]
    assert (before["action"], before["reason"], before["version"]) == (
        "RollbackStarted",
        "WorseThanPredecessor",
        "v1-11111111",
    )
    # Neither another look nor another check asks again.
    await checked(world, "b", champion=now, watch=found(now, **WORSE, days=8))
    world.pass_time(minutes=5)
    back = served(world, "v1-11111111")
    verdict = run("RolledBack", "v1-11111111", champion=back, reason="WorseThanPredecessor")
    world.finish(job["metadata"]["name"], verdict)
    await world.settle()
    assert world.status()["champion"]["version"] == "v1-11111111"
    entry = world.status()["history"][0]
    assert (entry["action"], entry["reason"]) == ("RolledBack", "WorseThanPredecessor")
    assert "ChampionHealthy" not in {condition["type"] for condition in world.status()["conditions"]}
    await checked(world, "c", champion=back)
    assert len(rollbacks(world)) == 1


async def test_a_rollback_that_failed_is_not_tried_for_ever() -> None:
    world, now = await watched("Rollback")
    await checked(world, "a", champion=now, watch=found(now, **WORSE))
    [job] = rollbacks(world)
    world.finish(job["metadata"]["name"], failure(), failed="BackoffLimitExceeded")
    await world.settle()
    assert world.status()["history"][0]["action"] == "RollbackFailed"
    assert world.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")
    world.pass_time(seconds=TTL_SECONDS + 1)
    del world.jobs[job["metadata"]["name"]]
    await checked(world, "b", champion=now, watch=found(now, **WORSE))
    assert rollbacks(world) == []


async def test_what_was_found_outlives_a_day_of_broken_data() -> None:
    world, now = await watched("Report")
    await checked(world, "a", champion=now, watch=found(now, **WORSE))
    await checked(world, "b", champion=now, verdict="Corrupted")
    assert world.condition("ChampionHealthy") == ("False", "WorseThanPredecessor")


async def test_another_champion_is_not_blamed() -> None:
    world, now = await watched("Rollback")
    world.pass_time(hours=1)
    # The check began under v2 and ended under v3.
    await checked(world, "a", champion=served(world, "v3-33333333"), watch=found(now, **WORSE))
    assert rollbacks(world) == []


@pytest.mark.parametrize("side", ["before", "after"])
async def test_an_operator_that_dies_while_it_starts_the_rollback_starts_it_once(side: Any) -> None:
    for call in range(1, 12):
        world, now = await watched("Rollback")
        name = world.scheduled_check("a")
        world.pass_time(minutes=1)
        world.finish(name, check(time=world.now, champion=now, watch=found(now, **WORSE)))
        world.calls, world.kill_at, world.kill_side = 0, call, side
        with suppress(Killed):
            await world.reconcile()
        world.kill_at = None
        await world.settle()
        assert len(rollbacks(world)) == 1, call


async def test_a_rollback_by_hand_goes_first() -> None:
    world, now = await watched("Rollback")
    world.annotate(ANNOTATION_ROLLBACK_TO, "v1-11111111")
    await checked(world, "a", champion=now, watch=found(now, **WORSE))
    assert len(rollbacks(world)) == 1
