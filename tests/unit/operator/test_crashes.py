"""The operator is killed at every single call to the API server and restarted: the outcome is the same."""

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
from unit.operator.in_memory_cluster import InMemoryCluster, Killed

Side = Literal["before", "after"]


def at(cluster: InMemoryCluster) -> dict[str, Any]:
    """Return the times of a check in the time of `cluster`."""
    return {"time": cluster.now, "data_end": cluster.now}


async def survive(cluster: InMemoryCluster) -> None:
    """Reconcile until nothing is written, restarting the operator where it is killed."""
    try:
        await cluster.settle()
    except Killed:
        cluster.kill_at = None
        await cluster.settle()


async def story(kill_at: int | None, side: Side) -> InMemoryCluster:
    """First check, first training, drift, a second training, a rollback and requests, with one death in between."""
    cluster = InMemoryCluster()
    cluster.kill_at, cluster.kill_side = kill_at, side
    cluster.add()
    await survive(cluster)
    cluster.pass_time(minutes=5)
    [job] = cluster.of_role(Role.CHECK)
    cluster.finish(job["metadata"]["name"], check(**at(cluster), champion=None))
    await survive(cluster)
    cluster.pass_time(minutes=5)
    [job] = cluster.of_role(Role.TRAIN)
    first = champion("v1-00000000").model_copy(update={"since": cluster.now, "data_end": cluster.now})
    cluster.finish(job["metadata"]["name"], run("Promoted", "v1-00000000", champion=first))
    await survive(cluster)
    cluster.pass_time(minutes=5)
    name = cluster.scheduled_check("scheduled")
    cluster.annotate(ANNOTATION_RETRAIN_REQUESTED, "please")
    await survive(cluster)
    cluster.pass_time(minutes=5)
    cluster.finish(name, check("Drift", **at(cluster), champion=first))
    second = cluster.of_role(Role.TRAIN)[-1]["metadata"]["name"]
    cluster.finish(second, run("Rejected", "v2-00000000"))
    cluster.annotate(ANNOTATION_CHECK_REQUESTED, "please")
    cluster.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    await survive(cluster)
    cluster.pass_time(minutes=5)
    for job in cluster.of_role(Role.ROLLBACK):
        cluster.finish(job["metadata"]["name"], run("RolledBack", "v0-00000000", champion=first))
    await survive(cluster)
    return cluster


def outcome(cluster: InMemoryCluster) -> tuple[list[str], dict[str, Any]]:
    """Return what must not depend on when the operator died: the Jobs, and the status but for random UIDs."""
    status = dict(cluster.status())
    status["recentJobs"] = len(status["recentJobs"])
    status["lastTraining"] = {**status["lastTraining"]}
    status["conditions"] = [(c["type"], c["status"], c["reason"], c["message"]) for c in status["conditions"]]
    return sorted(re.sub(r"-[0-9a-f]{8}", "-#", name) for name in cluster.jobs), status


async def test_the_scenario_without_a_crash() -> None:
    cluster = await story(None, "before")
    jobs, status = outcome(cluster)
    assert len(cluster.of_role(Role.TRAIN)) == 2
    assert len(jobs) == 6, jobs
    assert status["handledRequests"] == {"check": "please", "retrain": "please", "rollback": "previous"}
    assert cluster.calls < 200


@pytest.mark.parametrize("side", ["before", "after"])
async def test_killed_at_every_call(side: Side) -> None:
    quiet = await story(None, side)
    expected = outcome(quiet)
    for call in range(1, quiet.calls + 1):
        cluster = await story(call, side)
        assert cluster.kill_at is None, f"the operator was not killed at call {call}"
        assert outcome(cluster) == expected, f"killed {side} call {call} of {quiet.calls}"
