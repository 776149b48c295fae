"""A corrected spec: Jobs that have not started are replaced, failed verdicts are asked for again."""

from __future__ import annotations

from typing import Literal

import pytest

from modelmonitor_api.messages import CheckRequest, Request, decode_request
from modelmonitor_api.names import (
    ANNOTATION_REQUEST,
    ANNOTATION_RETRAIN_REQUESTED,
    ANNOTATION_ROLLBACK_TO,
    FailureReason,
    Role,
)
from modelmonitor_api.status import RowCounts
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_policy.repetition import FIRST_DELAY
from support.monitors import check, failure
from unit.operator.first_check import first_check
from unit.operator.in_memory_cluster import NAMESPACE, SETTINGS, InMemoryCluster, Killed


def request_of(job: Object) -> Request:
    return decode_request(job["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REQUEST])


def block(cluster: InMemoryCluster, job: Object) -> None:
    """Let the API server refuse the pods of a Job."""
    cluster.jobs[job["metadata"]["name"]]["status"] = {"startTime": "2013-04-02T12:00:00Z"}
    cluster.job_events.append(
        {"reason": "FailedCreate", "involvedObject": {"uid": job["metadata"]["uid"]}, "message": "exceeded quota: q"}
    )


async def blocked(cluster: InMemoryCluster, role: Role) -> Object:
    """Return the only Job of a role, of which no pod can be created."""
    [job] = cluster.of_role(role)
    block(cluster, job)
    await cluster.settle()
    assert [waiting["uid"] for waiting in cluster.status()["waitingJobs"]] == [job["metadata"]["uid"]]
    return job


async def test_a_first_check_that_cannot_start_is_replaced() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    await cluster.settle()
    old = await blocked(cluster, Role.CHECK)
    cluster.edit(check={"resources": {"requests": {"cpu": "100m"}}})
    await cluster.settle()
    [new] = cluster.of_role(Role.CHECK)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert request_of(new).monitor.generation == 2
    assert cluster.condition("DriftDetected") == ("Unknown", "NotCheckedYet")
    assert "waitingJobs" not in cluster.status() or cluster.status()["waitingJobs"] == []


async def test_a_later_check_that_cannot_start_is_replaced() -> None:
    cluster = InMemoryCluster()
    await first_check(cluster, verdict="Corrupted")
    name = cluster.scheduled_check("later")
    block(cluster, cluster.jobs[name])
    await cluster.settle()
    cluster.edit(data={"live": {"windowDays": 7}})
    await cluster.settle()
    assert name not in cluster.jobs
    newest = cluster.of_role(Role.CHECK)[-1]
    request = request_of(newest)
    assert isinstance(request, CheckRequest)
    assert request.spec.data.live.window_days == 7
    assert len(cluster.of_role(Role.CHECK)) == 2


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_training_that_cannot_start_is_replaced_and_counts_for_nothing(
    side: Literal["before", "after"],
) -> None:
    quiet = await replaced_training(None, side)
    for call in range(1, quiet.calls + 1):
        cluster = await replaced_training(call, side)
        assert cluster.kill_at is None
        [job] = cluster.of_role(Role.TRAIN)
        assert getattr(request_of(job), "number", None) == 2, f"killed {side} call {call}"
        status = cluster.status()
        assert status["lastTraining"]["number"] == 2
        assert status["lastTraining"]["failures"] == 0
        assert len(status["trainings"]) == 1
        assert [entry["action"] for entry in status["history"]][:2] == ["TrainingStarted", "NotStarted"]


async def replaced_training(kill_at: int | None, side: Literal["before", "after"]) -> InMemoryCluster:
    """Correct the spec while a training cannot start; the operator is killed at one of its calls from then on."""
    cluster = InMemoryCluster()
    await first_check(cluster)
    await blocked(cluster, Role.TRAIN)
    cluster.edit(retraining={"windowDays": 30})
    cluster.calls, cluster.kill_at, cluster.kill_side = 0, kill_at, side
    for _ in range(2):
        try:
            await cluster.settle()
        except Killed:
            cluster.kill_at = None
    return cluster


async def test_a_requested_training_and_a_rollback_are_asked_for_again() -> None:
    cluster = InMemoryCluster()
    await first_check(cluster, verdict="Inconclusive", rows=RowCounts(reference=0, current=0))
    cluster.annotate(ANNOTATION_RETRAIN_REQUESTED, "please")
    await cluster.settle()
    await blocked(cluster, Role.TRAIN)
    cluster.edit(retraining={"windowDays": 30})
    await cluster.settle()
    [job] = cluster.of_role(Role.TRAIN)
    assert getattr(request_of(job), "reason", None) == "Requested"
    cluster.finish(job["metadata"]["name"], failure(), failed="PodFailurePolicy")
    cluster.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    await cluster.settle()
    old = await blocked(cluster, Role.ROLLBACK)
    cluster.edit(retraining={"windowDays": 60})
    await cluster.settle()
    [new] = cluster.of_role(Role.ROLLBACK)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert cluster.status()["handledRequests"]["rollback"] == "previous"


async def test_a_job_that_runs_is_not_replaced() -> None:
    cluster = InMemoryCluster()
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    cluster.jobs[job["metadata"]["name"]]["status"] = {"startTime": "2013-04-02T12:00:00Z", "active": 1, "ready": 1}
    cluster.edit(retraining={"windowDays": 30})
    await cluster.settle()
    assert [each["metadata"]["uid"] for each in cluster.of_role(Role.TRAIN)] == [job["metadata"]["uid"]]


async def test_a_failed_check_is_repeated_for_a_new_spec_at_once_and_without_one_later() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    await cluster.settle()
    [first] = cluster.of_role(Role.CHECK)
    cluster.finish(first["metadata"]["name"], failure(FailureReason.CREDENTIALS_REFUSED), failed="PodFailurePolicy")
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 1
    cluster.edit(storage={"credentialsSecretRef": {"name": "other"}})
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 2
    second = next(job for job in cluster.of_role(Role.CHECK) if job["metadata"]["uid"] != first["metadata"]["uid"])
    cluster.finish(second["metadata"]["name"], failure(FailureReason.NOT_FOUND), failed="PodFailurePolicy")
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 2
    cluster.pass_time(minutes=11)
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 3
    third = cluster.of_role(Role.CHECK)[-1]
    cluster.finish(third["metadata"]["name"], check("NoDrift", champion=None))
    await cluster.settle()
    assert "lastCheckFailure" not in cluster.status()


async def test_a_failed_check_makes_the_monitor_due_again_when_it_is_repeated() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    await cluster.settle()
    [first] = cluster.of_role(Role.CHECK)
    cluster.finish(first["metadata"]["name"], failure(FailureReason.STORAGE_UNAVAILABLE), failed="BackoffLimitExceeded")
    await cluster.settle()
    due = await Reconciler(cluster, SETTINGS, lambda: cluster.now).reconcile(NAMESPACE, "flights")
    assert due == cluster.now + FIRST_DELAY
