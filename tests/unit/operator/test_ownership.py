"""Objects of other owners are left alone, those of a predecessor are waited for, our own are adopted."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator.gateway import Conflict, Unavailable
from support.monitors import check
from unit.operator.first_check import first_check
from unit.operator.in_memory_cluster import InMemoryCluster


@pytest.fixture
def cluster() -> InMemoryCluster:
    return InMemoryCluster()


async def test_a_cron_job_of_another_owner_is_not_changed(cluster: InMemoryCluster) -> None:
    cluster.add()
    foreign = {
        "metadata": {"namespace": "demo", "name": "flights-check", "uid": "x", "resourceVersion": "1"},
        "spec": {"schedule": "1 1 * * *"},
    }
    cluster.cron_jobs["flights-check"] = foreign
    await cluster.settle()
    assert cluster.cron_jobs["flights-check"] == foreign
    assert cluster.condition("Stalled") == ("True", "NameCollision")
    assert cluster.condition("Ready") == ("False", "NameCollision")
    assert cluster.jobs == {}
    del cluster.cron_jobs["flights-check"]
    await cluster.settle()
    assert cluster.condition("Ready") == ("True", "Accepted")


async def test_a_cron_job_of_a_deleted_predecessor_is_waited_for(cluster: InMemoryCluster) -> None:
    cluster.add()
    await cluster.settle()
    cron_job = cluster.cron_jobs["flights-check"]
    cron_job["metadata"]["ownerReferences"][0]["uid"] = "of the monitor before"
    del cluster.monitors["flights"]["status"]
    with pytest.raises(Unavailable, match="not been collected yet"):
        await cluster.reconcile()
    assert "status" not in cluster.monitors["flights"]
    del cluster.cron_jobs["flights-check"]
    await cluster.settle()
    assert cluster.condition("Ready") == ("True", "Accepted")


@pytest.mark.parametrize("collected", [False, True])
async def test_a_cron_job_that_the_garbage_collector_has_changed_meanwhile_is_not_taken_back(
    cluster: InMemoryCluster, monkeypatch: pytest.MonkeyPatch, *, collected: bool
) -> None:
    """The monitor is deleted while a pass updates its CronJob, which is orphaned or collected."""
    cluster.add()
    await cluster.settle()
    seen = copy.deepcopy(cluster.cron_jobs["flights-check"])
    cluster.monitors["flights"]["spec"]["schedule"] = "1 1 * * *"
    if collected:
        del cluster.cron_jobs["flights-check"]
    else:
        metadata = cluster.cron_jobs["flights-check"]["metadata"]
        del metadata["ownerReferences"]
        metadata["resourceVersion"] += "1"

    async def late(*_: str) -> Any:
        return seen

    monkeypatch.setattr(cluster, "get_cron_job", late)
    with pytest.raises(Conflict, match="has been modified"):
        await cluster.reconcile()
    left = cluster.cron_jobs.get("flights-check")
    assert (left is None) == collected
    assert left is None or "ownerReferences" not in left["metadata"]


async def test_a_job_of_another_owner_is_not_changed(cluster: InMemoryCluster) -> None:
    cluster.add()
    await cluster.settle()
    uid = cluster.monitors["flights"]["metadata"]["uid"]
    name = names.training_job_name("flights", uid, 1)
    metadata = {"namespace": "demo", "name": name, "uid": "x", "resourceVersion": "1", "labels": {}}
    foreign = {"metadata": metadata | {"creationTimestamp": "2013-01-01T00:00:00Z"}}
    cluster.jobs[name] = foreign
    [job] = cluster.of_role(Role.CHECK)
    cluster.finish(job["metadata"]["name"], check(time=cluster.now, champion=None))
    await cluster.settle()
    assert cluster.condition("Stalled") == ("True", "NameCollision")
    assert cluster.jobs[name] == foreign
    assert "lastTraining" not in cluster.status()


async def test_a_training_that_another_operator_has_created_is_adopted(cluster: InMemoryCluster) -> None:
    """Two operators decide the same at once: the one that comes second meets the Job of the first."""
    await first_check(cluster)
    [first] = cluster.of_role(Role.TRAIN)
    name = first["metadata"]["name"]
    other = cluster.monitors["flights"]
    del other["status"]["lastTraining"], other["status"]["trainings"]
    real, cluster.jobs = cluster.jobs, {k: v for k, v in cluster.jobs.items() if k != name}

    async def taken(job: dict[str, Any]) -> dict[str, Any]:
        cluster.jobs = real
        raise Conflict(f"{job['metadata']['name']} already exists")

    cluster.create_job = taken  # type: ignore[method-assign]  # the race itself
    await cluster.reconcile()
    assert cluster.status()["lastTraining"]["jobName"] == name
    assert len(cluster.of_role(Role.TRAIN)) == 1
