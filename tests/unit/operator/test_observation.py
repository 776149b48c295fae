"""How a Job ended, and what its pod returned: only conditions and trusted containers count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, encode_answer
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_operator.observation import observe_jobs
from modelmonitor_policy import JobObservation
from support.monitors import check, failure, run
from unit.operator.in_memory_cluster import NAMESPACE, InMemoryCluster

CUSTOM_TRAINER = {"estimator": None, "trainer": {"image": "example/trainer:1"}}


async def checked(cluster: InMemoryCluster) -> str:
    """Return the name of the first check's Job."""
    cluster.add()
    await cluster.settle()
    return str(cluster.of_role(Role.CHECK)[0]["metadata"]["name"])


async def observed(cluster: InMemoryCluster, role: Role = Role.CHECK) -> JobObservation:
    """Return the observation of the only Job of a role."""
    monitor = await cluster.get_monitor(NAMESPACE, "flights")
    assert monitor is not None
    [observation] = [
        observation for observation in await observe_jobs(cluster, monitor, (), cluster.now) if observation.role is role
    ]
    return observation


@pytest.mark.parametrize(
    ("statuses", "image"),
    [
        ({}, "sha256:5eed"),
        ({"initContainerStatuses": [{"name": "train", "imageID": "theirs@sha256:1", "state": {}}]}, "theirs@sha256:1"),
        ({"containerStatuses": []}, None),
    ],
)
async def test_the_image_that_did_the_work(statuses: dict[str, Any], image: str | None) -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), check())
    cluster.pods[-1]["status"] |= statuses
    assert (await observed(cluster)).image_id == image


async def test_a_verdict() -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), check("Drift"))
    observation = await observed(cluster)
    assert isinstance(observation.answer, CheckVerdict)
    assert observation.answer.verdict == "Drift"
    assert observation.finished == cluster.now


@pytest.mark.parametrize(
    ("answer", "failed", "terminated", "reason", "words"),
    [
        pytest.param(
            failure(FailureReason.CREDENTIALS_REFUSED),
            "BackoffLimitExceeded",
            {},
            "CredentialsRefused",
            "",
            id="reported",
        ),
        pytest.param(failure(FailureReason.BAD_DATA), None, {}, "BadData", "", id="a failure that ended well"),
        pytest.param(None, None, {}, "NoVerdict", "left no verdict", id="completed in silence"),
        pytest.param(None, "BackoffLimitExceeded", {}, "NoVerdict", "kubectl logs job/", id="failed in silence"),
        pytest.param("not JSON", None, {}, "NoVerdict", "not a verdict", id="nonsense"),
        pytest.param("x" * 5000, None, {}, "NoVerdict", "longer than 4096", id="too long"),
        pytest.param('{"kind":"Check"}', None, {}, "NoVerdict", "not a verdict", id="half a verdict"),
        pytest.param(
            None,
            "DeadlineExceeded",
            {},
            "DeadlineExceeded",
            "raise spec.check.activeDeadlineSeconds",
            id="deadline",
        ),
        pytest.param(
            None,
            "BackoffLimitExceeded",
            {"reason": "OOMKilled", "exitCode": 137},
            "OutOfMemory",
            "limit of 512Mi; raise spec.check.resources.limits.memory",
            id="memory",
        ),
    ],
)
async def test_no_verdict_is_a_failure_that_says_what_to_do(
    answer: Any, failed: str | None, terminated: dict[str, Any], reason: str, words: str
) -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), answer, failed=failed, **terminated)
    observation = await observed(cluster)
    assert isinstance(observation.answer, Failure)
    assert observation.answer.reason == reason
    assert words in observation.answer.message
    await cluster.settle()
    assert cluster.condition("DriftDetected") == ("Unknown", "CheckFailed")
    assert cluster.status()["lastCheckFailure"]["reason"] == reason


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"conditions": None},
        {"active": 1},
        {"conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": "2013-04-02T12:00:00Z"}]},
        {
            "conditions": [
                {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2013-04-02T12:00:00Z"}
            ]
        },
        {"conditions": [{"type": "FailureTarget", "status": "True", "lastTransitionTime": "2013-04-02T12:00:00Z"}]},
        {"conditions": [{"type": "Failed", "status": "False", "lastTransitionTime": "2013-04-02T12:00:00Z"}]},
        {"failed": 3},
    ],
)
async def test_a_job_that_waits_is_queued_or_is_about_to_end_has_not_ended(status: dict[str, Any]) -> None:
    cluster = InMemoryCluster()
    name = await checked(cluster)
    cluster.jobs[name]["status"] = status
    observation = await observed(cluster)
    assert observation.finished is None
    assert observation.answer is None


async def test_the_pod_of_the_last_attempt_counts() -> None:
    cluster = InMemoryCluster()
    name = await checked(cluster)
    cluster.finish(name, failure(FailureReason.STORAGE_UNAVAILABLE), failed="later overwritten")
    cluster.pass_time(minutes=1)
    cluster.finish(name, check("NoDrift"))
    observation = await observed(cluster)
    assert isinstance(observation.answer, CheckVerdict)


async def test_the_output_of_a_custom_trainer_is_no_result() -> None:
    cluster = InMemoryCluster()
    cluster.add(retraining=CUSTOM_TRAINER)
    await cluster.settle()
    cluster.finish(cluster.of_role(Role.CHECK)[0]["metadata"]["name"], check(champion=None))
    await cluster.settle()
    [job] = cluster.of_role(Role.TRAIN)
    name = job["metadata"]["name"]
    forged = {"exitCode": 0, "message": encode_answer(run("Promoted", "v1-deadbeef"))}
    cluster.finish(name, None)
    cluster.pods[-1]["status"]["initContainerStatuses"] = [{"name": "train", "state": {"terminated": forged}}]
    observation = await observed(cluster, Role.TRAIN)
    assert isinstance(observation.answer, Failure)
    assert observation.answer.reason == FailureReason.NO_VERDICT


@pytest.mark.parametrize(
    ("container", "terminated", "reason", "words"),
    [
        ("train", {"exitCode": 7}, "NoVerdict", "--container train"),
        ("train", {"exitCode": 137, "reason": "OOMKilled"}, "OutOfMemory", "spec.retraining.trainer.resources"),
        (
            "prepare",
            {"exitCode": 2, "message": encode_answer(failure(FailureReason.BAD_CONFIGURATION))},
            "BadConfiguration",
            "",
        ),
    ],
)
async def test_the_step_that_failed_is_named(
    container: str, terminated: dict[str, Any], reason: str, words: str
) -> None:
    cluster = InMemoryCluster()
    cluster.add(retraining=CUSTOM_TRAINER)
    await cluster.settle()
    cluster.finish(cluster.of_role(Role.CHECK)[0]["metadata"]["name"], check(champion=None))
    await cluster.settle()
    [job] = cluster.of_role(Role.TRAIN)
    cluster.finish(job["metadata"]["name"], None, failed="BackoffLimitExceeded")
    cluster.pods[-1]["status"] = {
        "containerStatuses": [{"name": names.CONTAINER_NAME, "state": {"waiting": {"reason": "PodInitializing"}}}],
        "initContainerStatuses": [{"name": container, "state": {"terminated": terminated}}],
    }
    observation = await observed(cluster, Role.TRAIN)
    assert isinstance(observation.answer, Failure)
    assert observation.answer.reason == reason
    assert words in observation.answer.message


async def test_a_result_of_another_kind_is_no_result() -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), run("Promoted"))
    await cluster.settle()
    assert cluster.condition("DriftDetected") == ("Unknown", "CheckFailed")
    assert "champion" not in cluster.status()


async def test_pods_are_listed_only_for_jobs_that_have_changed() -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), check("NoDrift", champion=None))
    await cluster.settle()
    for job in cluster.of_role(Role.TRAIN):
        cluster.finish(job["metadata"]["name"], run("Rejected"))
    await cluster.settle()

    async def never(namespace: str, selector: str) -> list[Any]:
        raise AssertionError(f"pods of {namespace} were listed by {selector}")

    cluster.list_pods = never  # type: ignore[method-assign]  # must not be called
    await cluster.reconcile()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
async def test_no_message_crashes_the_operator(text: str) -> None:
    cluster = InMemoryCluster()
    cluster.finish(await checked(cluster), text or None)
    await cluster.settle()
    assert cluster.condition("DriftDetected") == ("Unknown", "CheckFailed")


async def test_a_pod_that_never_started_is_explained_while_it_waits_and_at_its_deadline() -> None:
    cluster = InMemoryCluster()
    name = await checked(cluster)
    job = cluster.jobs[name]
    job["status"] = {"startTime": "2013-04-02T12:00:00Z", "active": 1, "ready": 0}
    state = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s3" not found'}}
    cluster.pods = [
        {
            "metadata": {"name": "p", "labels": job["metadata"]["labels"], "ownerReferences": [job["metadata"]]},
            "spec": job["spec"]["template"]["spec"],
            "status": {"containerStatuses": [{"name": names.CONTAINER_NAME, "state": state}]},
        }
    ]
    await cluster.settle()
    assert cluster.condition("DriftDetected") == ("Unknown", "CheckNotStarted")
    cluster.pods.clear()  # as the Job controller does at the deadline
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    job["status"] = {"failed": 1, "conditions": [failed | {"lastTransitionTime": "2013-04-02T12:15:00Z"}]}
    await cluster.reconcile()
    assert cluster.status()["lastCheckFailure"]["reason"] == "ContainerConfigError"
    assert "the Secret 's3' does not exist" in cluster.status()["lastCheckFailure"]["message"]
    assert cluster.condition("DriftDetected") == ("Unknown", "CheckFailed")


async def test_the_events_of_a_job_without_pods_are_read_at_its_deadline() -> None:
    cluster = InMemoryCluster()
    name = await checked(cluster)
    job = cluster.jobs[name]
    message = 'Error creating: pods "x" is forbidden: exceeded quota: small'
    cluster.job_events = [
        {"reason": "FailedCreate", "involvedObject": {"uid": job["metadata"]["uid"]}, "message": message}
    ]
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    job["status"] = {"conditions": [failed | {"lastTransitionTime": "2013-04-02T12:15:00Z"}]}
    observation = await observed(cluster)
    assert isinstance(observation.answer, Failure)
    assert observation.answer.reason == FailureReason.POD_REFUSED


async def test_a_program_that_cannot_be_executed_is_no_malformed_verdict() -> None:
    cluster = InMemoryCluster()
    name = await checked(cluster)
    cluster.finish(name, "exec: no such file", failed="BackoffLimitExceeded", reason="StartError", exitCode=128)
    observation = await observed(cluster)
    assert isinstance(observation.answer, Failure)
    assert observation.answer.reason == FailureReason.CONTAINER_NOT_STARTED
    assert "exec: no such file" in observation.answer.message
