"""The loop against a Kubernetes API in memory: what it makes, what it leaves alone, what it says."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import decode_request
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_operator.gateway import Conflict, Forbidden, Invalid, Unavailable
from support.monitors import champion, check, failure, run
from unit.operator.world import NAMESPACE, World

CONDITIONS = {"Ready", "Stalled", "Reconciling", "DriftDetected", "Training", "Suspended"}


@pytest.fixture
def world() -> World:
    return World()


async def first_check(world: World, **verdict: Any) -> str:
    """Apply a monitor and let its first check end; return the name of that check's Job."""
    if not world.monitors:
        world.add()
    await world.settle()
    [job] = world.of_role(Role.CHECK)
    world.pass_time(minutes=1)
    world.finish(job["metadata"]["name"], check(**{"time": world.now, "champion": None, **verdict}))
    await world.settle()
    return str(job["metadata"]["name"])


async def champion_promoted(world: World, **fields: Any) -> None:
    """Go on to a first champion."""
    await first_check(world)
    [job] = world.of_role(Role.TRAIN)
    world.pass_time(minutes=9)
    served = champion("v1-0a1b2c3d").model_copy(update={"since": world.now})
    world.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=served, **fields))
    await world.settle()
    world.pass_time(hours=1)


async def later_check(world: World, suffix: str, verdict: Any, **fields: Any) -> None:
    """Let a scheduled check end."""
    name = world.scheduled_check(suffix)
    world.pass_time(minutes=1)
    served = champion(world.status()["champion"]["version"]) if "champion" in world.status() else None
    world.finish(name, check(verdict, time=world.now, **{"champion": served, **fields}))
    await world.settle()


async def test_a_new_monitor_has_its_cron_job_a_first_check_and_all_conditions(world: World) -> None:
    world.add()
    await world.settle()
    assert list(world.cron_jobs) == ["flights-check"]
    [job] = world.jobs.values()
    assert job["metadata"]["labels"][names.LABEL_ROLE] == "check"
    status = world.status()
    assert {condition["type"] for condition in status["conditions"]} == CONDITIONS
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {1}
    assert status["observedGeneration"] == 1
    assert world.condition("Ready") == ("True", "Accepted")
    assert world.condition("DriftDetected") == ("Unknown", "NotCheckedYet")
    assert world.condition("Training") == ("False", "NotTriggered")
    assert status["nextCheckTime"] == "2013-04-03T06:00:00Z"


async def test_nothing_is_written_when_nothing_changes(world: World) -> None:
    await champion_promoted(world)
    await later_check(world, "a", "NoDrift")
    written, told = len(world.writes), len(world.events)
    for _ in range(3):
        world.pass_time(minutes=2)
        await world.reconcile()
    assert world.writes[written:] == []
    assert len(world.events) == told


async def test_from_the_first_check_to_a_champion(world: World) -> None:
    await first_check(world)
    [job] = world.of_role(Role.TRAIN)
    uid = world.monitors["flights"]["metadata"]["uid"]
    assert job["metadata"]["name"] == names.training_job_name("flights", uid, 1)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert (request.kind, getattr(request, "number", None)) == ("Train", 1)
    assert world.condition("Training")[0] == "True"
    assert world.status()["lastTraining"]["reason"] == "NoChampion"
    world.pass_time(minutes=9)
    world.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=champion("v1-0a1b2c3d")))
    await world.settle()
    status = world.status()
    assert status["champion"]["version"] == "v1-0a1b2c3d"
    assert status["lastTraining"]["outcome"] == "Promoted"
    assert status["lastTraining"]["imageID"] == "sha256:5eed"
    assert status["lastTraining"]["comparison"] == {
        "metric": "ROCAUC",
        "challenger": "0.8200",
        "champion": "0.8100",
        "difference": "0.0100",
        "low": "0.0020",
        "high": "0.0180",
        "trainRows": 90000,
        "holdoutRows": 14000,
    }
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"]
    assert world.condition("Training")[0] == "False"
    assert [event["reason"] for event in world.events].count("Promoted") == 1
    assert len(world.of_role(Role.TRAIN)) == 1


async def test_drift_trains_once_and_what_the_last_training_left_is_gone(world: World) -> None:
    await champion_promoted(world, report_uri="s3://monitors/report.html")
    await later_check(world, "a", "Drift")
    assert world.condition("DriftDetected") == ("True", "Drift")
    assert len(world.of_role(Role.TRAIN)) == 2
    running = world.status()["lastTraining"]
    assert running["number"] == 2
    assert not {"completionTime", "outcome", "version", "reportURI"} & set(running)
    world.finish(world.of_role(Role.TRAIN)[1]["metadata"]["name"], run("Rejected", "v2-0a1b2c3d"))
    await world.settle()
    world.pass_time(days=2)
    await world.settle()
    assert len(world.of_role(Role.TRAIN)) == 2
    assert world.status()["champion"]["version"] == "v1-0a1b2c3d"
    assert world.status()["history"][0]["action"] == "Rejected"


async def test_broken_data_hold_even_a_request_back(world: World) -> None:
    await champion_promoted(world)
    await later_check(world, "a", "Corrupted")
    world.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "now")
    await world.settle()
    assert world.condition("Training") == ("False", "CorruptedData")
    assert len(world.of_role(Role.TRAIN)) == 1
    await later_check(world, "b", "NoDrift")
    assert len(world.of_role(Role.TRAIN)) == 2
    assert world.status()["handledRequests"]["retrain"] == "now"
    assert world.status()["lastTraining"]["reason"] == "Requested"


async def test_a_failed_training_is_tried_again_after_an_hour_or_with_a_new_spec(world: World) -> None:
    await first_check(world)
    [job] = world.of_role(Role.TRAIN)
    world.finish(job["metadata"]["name"], failure(FailureReason.BAD_DATA), failed="BackoffLimitExceeded")
    await world.settle()
    assert world.condition("Training") == ("False", "BackingOff")
    assert world.status()["lastTraining"]["failures"] == 1
    world.pass_time(minutes=59)
    await world.settle()
    assert len(world.of_role(Role.TRAIN)) == 1
    world.pass_time(minutes=2)
    await world.settle()
    assert [job["metadata"]["labels"][names.LABEL_NUMBER] for job in world.of_role(Role.TRAIN)] == ["1", "2"]
    world.finish(world.of_role(Role.TRAIN)[1]["metadata"]["name"], None, failed="BackoffLimitExceeded")
    await world.settle()
    assert world.status()["lastTraining"]["failures"] == 2
    world.edit(retraining={"windowDays": 30})
    await world.settle()
    assert len(world.of_role(Role.TRAIN)) == 3
    world.finish(world.of_role(Role.TRAIN)[2]["metadata"]["name"], None, failed="BackoffLimitExceeded")
    await world.settle()
    assert len(world.of_role(Role.TRAIN)) == 3, "the wait begins anew with the training of the new spec"


async def test_a_job_from_the_cron_job_by_hand_is_honoured_once(world: World) -> None:
    await champion_promoted(world)
    await later_check(world, "by-hand", "Inconclusive")
    assert world.status()["lastCheck"]["jobName"] == "flights-check-by-hand"
    assert world.condition("DriftDetected") == ("Unknown", "Inconclusive")


async def test_requests_by_annotation_are_answered_once_each(world: World) -> None:
    await champion_promoted(world)
    world.annotate(names.ANNOTATION_CHECK_REQUESTED, "monday")
    world.annotate(names.ANNOTATION_ROLLBACK_TO, "previous")
    world.annotate(names.ANNOTATION_PROMOTE, "v9-0a1b2c3d")
    await world.settle()
    assert len(world.of_role(Role.CHECK)) == 2
    [rollback] = world.of_role(Role.ROLLBACK)
    assert world.of_role(Role.PROMOTE) == [], "one Job at a time moves the champion"
    before = champion("v0-0a1b2c3d").model_copy(update={"since": world.now})
    world.pass_time(minutes=1)
    world.finish(rollback["metadata"]["name"], run("RolledBack", "v0-0a1b2c3d", champion=before))
    await world.settle()
    assert world.status()["champion"]["version"] == "v0-0a1b2c3d"
    [promote] = world.of_role(Role.PROMOTE)
    world.finish(promote["metadata"]["name"], failure(FailureReason.NOT_FOUND), failed="PodFailurePolicy")
    await world.settle()
    handled = {"check": "monday", "rollback": "previous", "promote": "v9-0a1b2c3d"}
    assert world.status()["handledRequests"] == handled
    actions = [entry["action"] for entry in world.status()["history"]]
    assert actions[:2] == ["PromotionFailed", "RolledBack"]
    assert len(world.of_role(Role.ROLLBACK)) == len(world.of_role(Role.PROMOTE)) == 1


async def test_a_champion_that_is_not_the_newest_version_is_still_the_champion(world: World) -> None:
    """A rollback may leave the time at which the old version first became the champion."""
    await champion_promoted(world)
    world.annotate(names.ANNOTATION_ROLLBACK_TO, "v0-0a1b2c3d")
    await world.settle()
    [rollback] = world.of_role(Role.ROLLBACK)
    world.pass_time(minutes=1)
    world.finish(rollback["metadata"]["name"], run("RolledBack", "v0-0a1b2c3d", champion=champion("v0-0a1b2c3d")))
    await world.settle()
    assert world.status()["champion"]["version"] == "v0-0a1b2c3d"


async def test_suspended_neither_checks_nor_trains_but_rolls_back(world: World) -> None:
    await champion_promoted(world)
    world.edit(suspend=True)
    for annotation in (names.ANNOTATION_CHECK_REQUESTED, names.ANNOTATION_RETRAIN_REQUESTED):
        world.annotate(annotation, "now")
    world.annotate(names.ANNOTATION_ROLLBACK_TO, "v0-0a1b2c3d")
    await world.settle()
    assert world.cron_jobs["flights-check"]["spec"]["suspend"] is True
    assert world.condition("Suspended") == ("True", "Suspended")
    assert "nextCheckTime" not in world.status()
    assert len(world.of_role(Role.CHECK)) == len(world.of_role(Role.TRAIN)) == 1
    assert len(world.of_role(Role.ROLLBACK)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"schedule": "@daily"}, "five fields"),
        ({"schedule": "0 0 30 2 *"}, "spec.schedule"),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone"),
        ({"storage": {"resultsURI": "file:///tmp/"}}, "s3://"),
        ({"promotion": {"metric": "R2"}}, "promotion.metric"),
        ({"nonsense": 1}, "spec.nonsense"),
    ],
)
async def test_an_invalid_spec_is_a_sentence_and_the_last_good_cron_job_stays(
    world: World, change: dict[str, Any], words: str
) -> None:
    world.add()
    await world.settle()
    before = world.cron_jobs["flights-check"]
    world.edit(**change)
    await world.settle()
    assert world.condition("Stalled") == ("True", "InvalidSpec")
    assert world.condition("Ready") == ("False", "InvalidSpec")
    [sentence] = [c["message"] for c in world.status()["conditions"] if c["type"] == "Stalled"]
    assert words in sentence
    assert world.cron_jobs["flights-check"] == before
    assert world.status()["observedGeneration"] == 2


async def test_a_spec_that_was_never_valid_has_all_conditions(world: World) -> None:
    world.add(timeZone="Mars/Olympus")
    await world.settle()
    assert {condition["type"] for condition in world.status()["conditions"]} == CONDITIONS
    assert world.jobs == world.cron_jobs == {}


async def test_a_cron_job_that_was_changed_or_deleted_is_put_right(world: World) -> None:
    world.add()
    await world.settle()
    world.cron_jobs["flights-check"]["spec"]["schedule"] = "0 0 * * *"
    await world.settle()
    assert world.cron_jobs["flights-check"]["spec"]["schedule"] == "0 6 * * *"
    del world.cron_jobs["flights-check"]
    await world.settle()
    assert "flights-check" in world.cron_jobs
    world.edit(schedule="0 7 * * *")
    await world.settle()
    assert world.cron_jobs["flights-check"]["spec"]["schedule"] == "0 7 * * *"


async def test_a_cron_job_of_somebody_else_is_left_alone(world: World) -> None:
    world.add()
    foreign = {
        "metadata": {"name": "flights-check", "uid": "x", "resourceVersion": "1"},
        "spec": {"schedule": "1 1 * * *"},
    }
    world.cron_jobs["flights-check"] = foreign
    await world.settle()
    assert world.cron_jobs["flights-check"] == foreign
    assert world.condition("Stalled") == ("True", "NameCollision")
    assert world.condition("Ready") == ("False", "NameCollision")
    assert world.jobs == {}
    del world.cron_jobs["flights-check"]
    await world.settle()
    assert world.condition("Ready") == ("True", "Accepted")


async def test_a_cron_job_of_a_deleted_predecessor_is_waited_for(world: World) -> None:
    world.add()
    await world.settle()
    cron_job = world.cron_jobs["flights-check"]
    cron_job["metadata"]["ownerReferences"][0]["uid"] = "of the monitor before"
    del world.monitors["flights"]["status"]
    with pytest.raises(Unavailable, match="not been collected yet"):
        await world.reconcile()
    assert "status" not in world.monitors["flights"]
    del world.cron_jobs["flights-check"]
    await world.settle()
    assert world.condition("Ready") == ("True", "Accepted")


async def test_a_job_of_somebody_else_is_left_alone(world: World) -> None:
    world.add()
    await world.settle()
    uid = world.monitors["flights"]["metadata"]["uid"]
    name = names.training_job_name("flights", uid, 1)
    foreign = {"metadata": {"name": name, "uid": "x", "labels": {}, "creationTimestamp": "2013-01-01T00:00:00Z"}}
    world.jobs[name] = foreign
    [job] = world.of_role(Role.CHECK)
    world.finish(job["metadata"]["name"], check(time=world.now, champion=None))
    await world.settle()
    assert world.condition("Stalled") == ("True", "NameCollision")
    assert world.jobs[name] == foreign
    assert "lastTraining" not in world.status()


async def test_a_training_that_another_operator_has_created_is_adopted(world: World) -> None:
    """Two operators decide the same at once: the one that comes second meets the Job of the first."""
    await first_check(world)
    [first] = world.of_role(Role.TRAIN)
    name = first["metadata"]["name"]
    other = world.monitors["flights"]
    del other["status"]["lastTraining"], other["status"]["trainings"]
    real, world.jobs = world.jobs, {k: v for k, v in world.jobs.items() if k != name}

    async def taken(job: dict[str, Any]) -> dict[str, Any]:
        world.jobs = real
        raise Conflict(f"{job['metadata']['name']} already exists")

    world.create_job = taken  # type: ignore[method-assign]  # the race itself
    await world.reconcile()
    assert world.status()["lastTraining"]["jobName"] == name
    assert len(world.of_role(Role.TRAIN)) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Invalid("cronjobs.batch is invalid: spec.schedule: bad"), "ObjectRefused"),
        (Forbidden("cronjobs.batch is forbidden: exceeded quota"), "ObjectRefused"),
    ],
)
async def test_a_refused_object_is_told_with_the_servers_own_words(world: World, error: Exception, reason: str) -> None:
    world.add()
    world.refuse["apply_cron_job"] = error
    await world.settle()
    assert world.condition("Ready") == ("False", reason)
    [sentence] = [c["message"] for c in world.status()["conditions"] if c["type"] == "Ready"]
    assert str(error) in sentence
    del world.refuse["apply_cron_job"]
    await world.settle()
    assert world.condition("Ready") == ("True", "Accepted")


async def test_an_event_that_cannot_be_posted_stops_nothing(world: World) -> None:
    world.refuse["create_event"] = Unavailable("no events today")
    await champion_promoted(world)
    assert world.status()["champion"]["version"] == "v1-0a1b2c3d"


async def test_a_conflict_of_the_status_is_for_the_next_look(world: World) -> None:
    world.add()
    world.refuse["patch_status"] = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await world.reconcile()
    assert world.events == []
    del world.refuse["patch_status"]
    await world.settle()
    assert len(world.of_role(Role.CHECK)) == 1


async def test_a_lost_status_is_rebuilt_from_the_jobs(world: World) -> None:
    await champion_promoted(world)
    await later_check(world, "a", "Drift")
    before = world.status()
    del world.monitors["flights"]["status"]
    await world.settle()
    after = world.status()
    for field in ("champion", "lastTraining", "trainings", "lastCheck"):
        assert after[field] == before[field], field
    assert len(world.of_role(Role.TRAIN)) == 2
    assert len(world.of_role(Role.CHECK)) == 2


async def test_a_status_that_cannot_be_read_is_rebuilt(world: World) -> None:
    world.add()
    await world.settle()
    world.monitors["flights"]["status"] = {"lastTraining": {"number": "nonsense"}}
    await world.settle()
    assert world.condition("Ready") == ("True", "Accepted")
    assert "lastTraining" not in world.status()


async def test_a_training_whose_job_was_deleted_has_failed(world: World) -> None:
    await first_check(world)
    [job] = world.of_role(Role.TRAIN)
    del world.jobs[job["metadata"]["name"]]
    await world.settle()
    assert world.status()["lastTraining"]["outcome"] == "Failed"
    assert world.condition("Training") == ("False", "BackingOff")
    world.pass_time(hours=2)
    await world.settle()
    [job] = world.of_role(Role.TRAIN)
    assert job["metadata"]["labels"][names.LABEL_NUMBER] == "2", "a number is never used twice"


async def test_a_check_that_began_before_a_promotion_does_not_bring_the_old_champion_back(world: World) -> None:
    await first_check(world)
    late = world.scheduled_check("late")
    [job] = world.of_role(Role.TRAIN)
    world.pass_time(minutes=9)
    served = champion("v1-0a1b2c3d").model_copy(update={"since": world.now})
    world.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=served))
    await world.settle()
    world.pass_time(minutes=1)
    world.finish(late, check(time=world.now, champion=None))
    await world.settle()
    assert world.status()["champion"]["version"] == "v1-0a1b2c3d"
    assert len(world.of_role(Role.TRAIN)) == 1


async def test_a_monitor_on_its_way_out_is_left_alone(world: World) -> None:
    world.add()
    world.monitors["flights"]["metadata"]["deletionTimestamp"] = "2013-04-02T12:00:00Z"
    await world.reconcile()
    await world.reconcile("never-was")
    assert world.writes == []


async def test_a_consecutive_count_begins_anew_with_a_new_champion(world: World) -> None:
    world.add(sensitivity={"consecutiveChecks": 2})
    await champion_promoted(world)
    await later_check(world, "a", "Drift")
    assert world.condition("Training") == ("False", "WaitingForConsecutiveChecks")
    await later_check(world, "b", "Drift")
    assert len(world.of_role(Role.TRAIN)) == 2
    served = champion("v2-0a1b2c3d").model_copy(update={"since": world.now})
    world.pass_time(minutes=5)
    world.finish(world.of_role(Role.TRAIN)[1]["metadata"]["name"], run("Promoted", "v2-0a1b2c3d", champion=served))
    await world.settle()
    world.pass_time(hours=1)
    await later_check(world, "c", "Drift", champion=served)
    assert world.status()["lastCheck"]["consecutiveDrifts"] == 1
    assert len(world.of_role(Role.TRAIN)) == 2


def test_names_are_those_of_the_monitor() -> None:
    assert NAMESPACE not in names.cron_job_name("flights")
