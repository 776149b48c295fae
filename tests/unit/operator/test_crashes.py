"""The operator is killed at every single call to the API server and started anew: the outcome is the same."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest

from modelmonitor_api.names import (
    ANNOTATION_CHECK_REQUESTED,
    ANNOTATION_RETRAIN_REQUESTED,
    ANNOTATION_ROLLBACK_TO,
    Role,
)
from support.monitors import champion, check, run
from unit.operator.world import Killed, World

Side = Literal["before", "after"]


def at(world: World) -> dict[str, Any]:
    """Return the times of a check in the time of `world`."""
    return {"time": world.now, "data_end": world.now}


async def survive(world: World) -> None:
    """Look until there is nothing to write, starting the operator anew where it is killed."""
    try:
        await world.settle()
    except Killed:
        world.kill_at = None
        await world.settle()


async def story(kill_at: int | None, side: Side) -> World:
    """First check, first training, drift, a second training, a rollback and requests, with one death in between."""
    world = World()
    world.kill_at, world.kill_side = kill_at, side
    world.add()
    await survive(world)
    world.pass_time(minutes=5)
    [job] = world.of_role(Role.CHECK)
    world.finish(job["metadata"]["name"], check(**at(world), champion=None))
    await survive(world)
    world.pass_time(minutes=5)
    [job] = world.of_role(Role.TRAIN)
    first = champion("v1-00000000").model_copy(update={"since": world.now, "data_end": world.now})
    world.finish(job["metadata"]["name"], run("Promoted", "v1-00000000", champion=first))
    await survive(world)
    world.pass_time(minutes=5)
    name = world.scheduled_check("scheduled")
    world.annotate(ANNOTATION_RETRAIN_REQUESTED, "please")
    await survive(world)
    world.pass_time(minutes=5)
    world.finish(name, check("Drift", **at(world), champion=first))
    second = world.of_role(Role.TRAIN)[-1]["metadata"]["name"]
    world.finish(second, run("Rejected", "v2-00000000"))
    world.annotate(ANNOTATION_CHECK_REQUESTED, "please")
    world.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    await survive(world)
    world.pass_time(minutes=5)
    for job in world.of_role(Role.ROLLBACK):
        world.finish(job["metadata"]["name"], run("RolledBack", "v0-00000000", champion=first))
    await survive(world)
    return world


def outcome(world: World) -> tuple[list[str], dict[str, Any]]:
    """Return what must not depend on when the operator died: the Jobs, and the status but for random UIDs."""
    status = dict(world.status())
    status["recentJobs"] = len(status["recentJobs"])
    status["lastTraining"] = {**status["lastTraining"]}
    status["conditions"] = [(c["type"], c["status"], c["reason"], c["message"]) for c in status["conditions"]]
    return sorted(re.sub(r"-[0-9a-f]{8}", "-#", name) for name in world.jobs), status


async def test_the_story_without_a_death() -> None:
    world = await story(None, "before")
    jobs, status = outcome(world)
    assert len(world.of_role(Role.TRAIN)) == 2
    assert len(jobs) == 6, jobs
    assert status["handledRequests"] == {"check": "please", "retrain": "please", "rollback": "previous"}
    assert world.calls < 200


@pytest.mark.parametrize("side", ["before", "after"])
async def test_killed_at_every_call(side: Side) -> None:
    quiet = await story(None, side)
    expected = outcome(quiet)
    for call in range(1, quiet.calls + 1):
        world = await story(call, side)
        assert world.kill_at is None, f"the operator was not killed at call {call}"
        assert outcome(world) == expected, f"killed {side} call {call} of {quiet.calls}"
