"""Trainings beyond the limits of the operator: they are queued, and start in the order of their decisions."""

from __future__ import annotations

from functools import partial
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator.gateway import Kind
from modelmonitor_policy import TrainingLimits
from support import monitors
from support.asynchronous import wait_until
from unit.operator.in_memory_cluster import InMemoryCluster
from unit.operator.running_controller import end, end_check, idle, is_ready, running, show


def trainings(cluster: InMemoryCluster) -> list[str]:
    """Return the monitors of the training Jobs, in the order in which they were created."""
    jobs = sorted(cluster.of_role(Role.TRAIN), key=lambda job: str(job["metadata"]["uid"]))
    return [job["metadata"]["labels"][names.LABEL_MONITOR] for job in jobs]


def is_queued(cluster: InMemoryCluster, name: str) -> bool:
    return bool(
        cluster.condition("Training", name) == ("False", "TrainingQueued") and cluster.status(name)["queuedTraining"]
    )


def is_decided(cluster: InMemoryCluster, name: str) -> bool:
    return name in trainings(cluster) or is_queued(cluster, name)


def have_started(cluster: InMemoryCluster, expected: list[str]) -> bool:
    return trainings(cluster) == expected


async def test_trainings_beyond_the_limit_are_queued_and_start_in_their_order() -> None:
    cluster = InMemoryCluster()
    for name in ("c", "a", "b"):
        cluster.add(name)
    limits: dict[str, Any] = {"training_limits": TrainingLimits(total=1), "resync_seconds": 3600}
    async with running(cluster, **limits) as controller:
        await wait_until(lambda: all(is_ready(cluster, name) for name in cluster.monitors), "ready monitors")
        for name in ("c", "a", "b"):
            cluster.pass_time(seconds=1)
            end_check(cluster, name)
            await wait_until(partial(is_decided, cluster, name), name)
            await idle(controller)
        assert trainings(cluster) == ["c"]
        assert is_queued(cluster, "a")
        assert is_queued(cluster, "b")
    # A restart changes neither the order nor what runs.
    cluster.writes.clear()
    async with running(cluster, **limits) as controller:
        await wait_until(lambda: len(controller.cache.keys(Kind.MONITOR)) == 3, "all monitors")
        await idle(controller)
        assert cluster.writes == []
        for expected in (["c", "a"], ["c", "a", "b"]):
            [job] = [job for job in cluster.of_role(Role.TRAIN) if "status" not in job]
            end(cluster, job, monitors.run("Promoted"))
            await wait_until(partial(have_started, cluster, expected), f"trainings of {expected}")
            await idle(controller)
            started = expected[-1]
            assert "queuedTraining" not in cluster.status(started)
            assert cluster.condition("Training", started)[0] == "True"


async def test_trainings_that_are_decided_at_once_respect_the_limit() -> None:
    cluster = InMemoryCluster()
    for number in range(10):
        cluster.add(f"monitor-{number}")
    async with running(cluster, training_limits=TrainingLimits(per_namespace=3), resync_seconds=3600) as controller:
        await wait_until(lambda: all(is_ready(cluster, name) for name in cluster.monitors), "ready monitors")
        for name in cluster.monitors:
            end_check(cluster, name)
        await wait_until(lambda: sum(is_queued(cluster, name) for name in cluster.monitors) == 7, "queued trainings")
        await idle(controller)
        assert len(trainings(cluster)) == 3


async def test_a_queued_training_that_is_no_longer_due_leaves_the_queue() -> None:
    cluster = InMemoryCluster()
    for name in ("a", "b"):
        cluster.add(name)
    async with running(cluster, training_limits=TrainingLimits(total=1), resync_seconds=3600) as controller:
        await wait_until(lambda: is_ready(cluster, "a") and is_ready(cluster, "b"), "ready monitors")
        end_check(cluster, "a")
        await wait_until(lambda: trainings(cluster) == ["a"], "the training of a")
        end_check(cluster, "b")
        await wait_until(lambda: is_queued(cluster, "b"), "a queued training")
        cluster.edit("b", suspend=True)
        show(controller, cluster, "b")
        await wait_until(lambda: "queuedTraining" not in cluster.status("b"), "an empty queue")
        assert cluster.condition("Training", "b") == ("False", "Suspended")
