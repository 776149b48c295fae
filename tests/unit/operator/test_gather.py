"""How a Job ended, and what its pod said: the operator believes conditions and our containers, nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, encode_answer
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_operator.gather import JobFact, gather_jobs
from support.monitors import check, failure, run
from unit.operator.world import NAMESPACE, World

OWN_TRAINER = {"estimator": None, "trainer": {"image": "example/trainer:1"}}


async def checked(world: World) -> str:
    """Return the name of the first check's Job."""
    world.add()
    await world.settle()
    return str(world.of_role(Role.CHECK)[0]["metadata"]["name"])


async def gathered(world: World, role: Role = Role.CHECK) -> JobFact:
    """Return what the operator makes of the only Job of a role."""
    monitor = await world.get_monitor(NAMESPACE, "flights")
    assert monitor is not None
    [fact] = [fact for fact in await gather_jobs(world, monitor, ()) if fact.role is role]
    return fact


@pytest.mark.parametrize(
    ("statuses", "image"),
    [
        ({}, "sha256:5eed"),
        ({"initContainerStatuses": [{"name": "train", "imageID": "theirs@sha256:1", "state": {}}]}, "theirs@sha256:1"),
        ({"containerStatuses": []}, None),
    ],
)
async def test_the_image_that_did_the_work(statuses: dict[str, Any], image: str | None) -> None:
    world = World()
    world.finish(await checked(world), check())
    world.pods[-1]["status"] |= statuses
    assert (await gathered(world)).image_id == image


async def test_a_verdict() -> None:
    world = World()
    world.finish(await checked(world), check("Drift"))
    fact = await gathered(world)
    assert isinstance(fact.answer, CheckVerdict)
    assert fact.answer.verdict == "Drift"
    assert fact.finished == world.now


@pytest.mark.parametrize(
    ("answer", "failed", "terminated", "reason", "words"),
    [
        pytest.param(
            failure(FailureReason.CREDENTIALS_REFUSED), "BackoffLimitExceeded", {}, "CredentialsRefused", "", id="told"
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
            "its limit of 512Mi; raise spec.check.resources.limits.memory",
            id="memory",
        ),
    ],
)
async def test_no_verdict_is_a_failure_that_says_what_to_do(
    answer: Any, failed: str | None, terminated: dict[str, Any], reason: str, words: str
) -> None:
    world = World()
    world.finish(await checked(world), answer, failed=failed, **terminated)
    fact = await gathered(world)
    assert isinstance(fact.answer, Failure)
    assert fact.answer.reason == reason
    assert words in fact.answer.message
    await world.settle()
    assert world.condition("DriftDetected") == ("Unknown", "CheckFailed")
    assert world.status()["lastCheckFailure"]["reason"] == reason


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
    world = World()
    name = await checked(world)
    world.jobs[name]["status"] = status
    fact = await gathered(world)
    assert fact.finished is None
    assert fact.answer is None


async def test_the_pod_of_a_second_attempt_has_the_last_word() -> None:
    world = World()
    name = await checked(world)
    world.finish(name, failure(FailureReason.STORAGE_UNAVAILABLE), failed="later overwritten")
    world.pass_time(minutes=1)
    world.finish(name, check("NoDrift"))
    fact = await gathered(world)
    assert isinstance(fact.answer, CheckVerdict)


async def test_a_trainer_of_the_users_own_does_not_speak_for_us() -> None:
    world = World()
    world.add(retraining=OWN_TRAINER)
    await world.settle()
    world.finish(world.of_role(Role.CHECK)[0]["metadata"]["name"], check(champion=None))
    await world.settle()
    [job] = world.of_role(Role.TRAIN)
    name = job["metadata"]["name"]
    forged = {"exitCode": 0, "message": encode_answer(run("Promoted", "v1-deadbeef"))}
    world.finish(name, None)
    world.pods[-1]["status"]["initContainerStatuses"] = [{"name": "train", "state": {"terminated": forged}}]
    fact = await gathered(world, Role.TRAIN)
    assert isinstance(fact.answer, Failure)
    assert fact.answer.reason == FailureReason.NO_VERDICT


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
    world = World()
    world.add(retraining=OWN_TRAINER)
    await world.settle()
    world.finish(world.of_role(Role.CHECK)[0]["metadata"]["name"], check(champion=None))
    await world.settle()
    [job] = world.of_role(Role.TRAIN)
    world.finish(job["metadata"]["name"], None, failed="BackoffLimitExceeded")
    world.pods[-1]["status"] = {
        "containerStatuses": [{"name": names.CONTAINER_NAME, "state": {"waiting": {"reason": "PodInitializing"}}}],
        "initContainerStatuses": [{"name": container, "state": {"terminated": terminated}}],
    }
    fact = await gathered(world, Role.TRAIN)
    assert isinstance(fact.answer, Failure)
    assert fact.answer.reason == reason
    assert words in fact.answer.message


async def test_an_answer_to_another_question_is_no_answer() -> None:
    world = World()
    world.finish(await checked(world), run("Promoted"))
    await world.settle()
    assert world.condition("DriftDetected") == ("Unknown", "CheckFailed")
    assert "champion" not in world.status()


async def test_pods_are_asked_for_only_where_a_job_has_news() -> None:
    world = World()
    world.finish(await checked(world), check("NoDrift", champion=None))
    await world.settle()
    for job in world.of_role(Role.TRAIN):
        world.finish(job["metadata"]["name"], run("Rejected"))
    await world.settle()

    async def never(namespace: str, selector: str) -> list[Any]:
        raise AssertionError(f"pods of {namespace} were listed by {selector}")

    world.list_pods = never  # type: ignore[method-assign]  # a look that must not happen
    await world.reconcile()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
async def test_any_message_is_survived(text: str) -> None:
    world = World()
    world.finish(await checked(world), text or None)
    await world.settle()
    assert world.condition("DriftDetected") == ("Unknown", "CheckFailed")
