"""What people ask for: checks, trainings, promotions and rollbacks by annotation, and Jobs of their own making."""

from __future__ import annotations

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import PromoteRequest, RollbackRequest, TrainRequest
from modelmonitor_api.names import ConditionType, FailureReason, Reason, Role
from modelmonitor_api.times import parse_time
from support import monitors
from support.jobs import create_from_cron_job, pod_of, request_of
from support.jobs import names as names_of
from support.monitors import monitor
from support.scene import Scene, with_champion


def test_a_requested_check_runs_once_per_token(scene: Scene) -> None:
    with_champion(scene)
    checked = scene.request_check("2013-04-01", monitors.check("NoDrift", champion=monitors.champion()))
    assert checked["metadata"]["annotations"][names.ANNOTATION_TOKEN] == "2013-04-01"
    scene.wait_handled("check", "2013-04-01")
    scene.patch({"spec": {"timeZone": "Europe/Berlin"}})
    scene.wait_ready()
    scene.settle()
    assert len(scene.jobs(Role.CHECK)) == 2, names_of(scene.jobs())
    assert scene.monitor()["metadata"]["annotations"][names.ANNOTATION_CHECK_REQUESTED] == "2013-04-01"


def test_a_requested_training_ignores_cooldown_and_budget(scene: Scene) -> None:
    limits = {"mode": "Manual", "cooldownSeconds": 86400, "minNewRows": 99999, "budget": {"count": 1, "perDays": 30}}
    with_champion(scene, retraining=limits)
    for number, token in enumerate(("first", "second"), start=1):
        scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, token)
        request = request_of(scene.running_job(Role.TRAIN), TrainRequest)
        assert (request.number, request.reason) == (number, Reason.REQUESTED)
        scene.wait_handled("retrain", token)
        scene.finish(Role.TRAIN, monitors.run("Rejected"))
        scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    scene.settle()
    assert len(scene.jobs(Role.TRAIN)) == 2


def test_a_challenger_that_awaits_approval_is_promoted_manually(scene: Scene) -> None:
    with_champion(scene, promotion={"mode": "Manual"})
    scene.request_check("1", monitors.check("Drift", champion=monitors.champion()))
    scene.finish(Role.TRAIN, monitors.run("AwaitingApproval", "v1-22222222"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.AWAITING_APPROVAL)
    scene.wait_event(Reason.AWAITING_APPROVAL)
    assert scene.settle()["status"]["champion"]["version"] == monitors.champion().version
    scene.annotate(names.ANNOTATION_PROMOTE, "v1-22222222")
    job = scene.running_job(Role.PROMOTE)
    request = request_of(job, PromoteRequest)
    assert request.version == "v1-22222222"
    scene.finish(Role.PROMOTE, monitors.run("Promoted", "v1-22222222"))
    scene.wait(lambda: scene.status()["champion"]["version"] == "v1-22222222", "promoted champion")
    status = scene.settle()["status"]
    assert status["history"][0]["action"] == "Promoted"
    assert status["handledRequests"]["promote"] == "v1-22222222"
    assert len(scene.jobs(Role.PROMOTE)) == 1


def test_a_rollback_to_the_previous_version(scene: Scene) -> None:
    with_champion(scene)
    scene.annotate(names.ANNOTATION_ROLLBACK_TO, "previous")
    request = request_of(scene.running_job(Role.ROLLBACK), RollbackRequest)
    assert request.to == "previous"
    scene.finish(Role.ROLLBACK, monitors.run("RolledBack", "v0-33333333"))
    scene.wait(lambda: scene.status()["champion"]["version"] == "v0-33333333", "earlier champion")
    scene.wait_event(Reason.ROLLED_BACK)
    assert scene.settle()["status"]["history"][0]["action"] == "RolledBack"
    assert len(scene.jobs(Role.ROLLBACK)) == 1


def test_a_failed_rollback_is_reported(scene: Scene) -> None:
    with_champion(scene)
    scene.annotate(names.ANNOTATION_ROLLBACK_TO, "v9-99999999")
    scene.finish(Role.ROLLBACK, monitors.failure(FailureReason.NOT_FOUND, "there is no version v9-99999999"))
    event = scene.wait_event(Reason.ROLLBACK_FAILED)
    assert event["type"] == "Warning"
    assert "no version v9-99999999" in event["message"]
    assert scene.settle()["status"]["champion"]["version"] == monitors.champion().version


def test_a_rollback_waits_for_the_training_that_runs(scene: Scene) -> None:
    with_champion(scene)
    scene.request_check("1", monitors.check("Drift", champion=monitors.champion()))
    scene.running_job(Role.TRAIN)
    scene.annotate(names.ANNOTATION_ROLLBACK_TO, "previous")
    scene.settle()
    assert scene.jobs(Role.ROLLBACK) == []
    scene.finish(Role.TRAIN, monitors.run("Rejected"))
    scene.running_job(Role.ROLLBACK)


def test_a_job_that_is_created_manually_from_the_cron_job_counts(scene: Scene) -> None:
    scene.create(monitor(suspend=True))
    scene.wait_ready()
    create_from_cron_job(scene.cluster, "flights", scene.namespace, "by-hand")
    scene.finish(Role.CHECK, monitors.check("Drift", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "True", Reason.DRIFT)
    status = scene.settle()["status"]
    assert status["lastCheck"]["jobName"] == "by-hand"
    assert "spec.suspend" in scene.condition(ConditionType.TRAINING)["message"]
    assert scene.jobs(Role.TRAIN) == []


def test_a_job_of_another_owner_with_the_same_name_is_not_changed(scene: Scene) -> None:
    created = scene.create(monitor(suspend=True))
    scene.wait_ready()
    name = names.training_job_name("flights", created["metadata"]["uid"], 1)
    pod = {"restartPolicy": "Never", "containers": [{"name": "theirs", "image": "theirs:1"}]}
    theirs = scene.cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"suspend": True, "template": {"spec": pod}},
        },
        scene.namespace,
    )
    scene.patch({"spec": {"suspend": False}})
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    stalled = scene.wait_condition(ConditionType.STALLED, "True", Reason.NAME_COLLISION)
    assert name in stalled["message"]
    scene.settle()
    existing = scene.cluster.get("Job", name, scene.namespace)
    assert existing["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert "lastTraining" not in scene.status()


def test_a_queued_training_is_waited_for(scene: Scene) -> None:
    """Kueue suspends a Job until there is room; that is no failure, and no reason for another."""
    with_champion(scene)
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "1")
    training = scene.running_job(Role.TRAIN)
    scene.cluster.patch("Job", training["metadata"]["name"], scene.namespace, {"spec": {"suspend": True}})
    scene.wait(lambda: scene.cluster.list("Pod", scene.namespace, **{names.LABEL_ROLE: "train"}) == [], "no pods")
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "2")
    scene.settle()
    assert len(scene.jobs(Role.TRAIN)) == 1
    queued = scene.wait_condition(ConditionType.TRAINING, "False", Reason.QUEUED)
    assert "until a queue admits it" in queued["message"]
    scene.cluster.patch("Job", training["metadata"]["name"], scene.namespace, {"spec": {"suspend": False}})
    scene.wait_condition(ConditionType.TRAINING, "True", Reason.REQUESTED)
    scene.finish(Role.TRAIN, monitors.run("Rejected"))
    assert request_of(scene.running_job(Role.TRAIN), TrainRequest).number == 2


def test_the_history_is_short_and_the_newest_comes_first(scene: Scene) -> None:
    with_champion(scene, retraining={"budget": {"count": 100, "perDays": 1}})
    for number in range(1, 7):
        scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, str(number))
        scene.finish(Role.TRAIN, monitors.run("Rejected", f"v{number}-00000000"))
    scene.wait(lambda: scene.status()["history"][0].get("version") == "v6-00000000", "newest entry")
    history = scene.settle()["status"]["history"]
    assert len(history) == 10
    assert [entry.get("version") for entry in history if entry["action"] == "Rejected"] == [
        f"v{number}-00000000" for number in (6, 5, 4, 3, 2)
    ]
    times = [parse_time(entry["time"]) for entry in history]
    assert times == sorted(times, reverse=True)


def test_a_custom_trainer_never_gets_the_credentials(scene: Scene) -> None:
    trainer = {"image": "registry.invalid/own:1", "env": [{"name": "DEPTH", "value": "6"}]}
    with_champion(scene, retraining={"estimator": None, "trainer": trainer})
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "1")
    pod = pod_of(scene.cluster, scene.running_job(Role.TRAIN))["spec"]
    theirs = [each for each in pod["initContainers"] if each["image"] == trainer["image"]]
    assert [each["args"][0] for each in theirs] == ["train", "predict", "predict"]
    assert all("envFrom" not in each and {"name": "DEPTH", "value": "6"} in each["env"] for each in theirs)
    ours = [each for each in (*pod["initContainers"], *pod["containers"]) if each not in theirs]
    assert [each["args"][0] for each in ours] == ["train-prepare", "train-conclude"]
    assert all(each["envFrom"] == [{"secretRef": {"name": "s3"}}] for each in ours)


@pytest.mark.parametrize("token", ["2013-04-01T06:00:00Z", "Zürich/ñ, bitte\nsofort " + "é" * 400], ids=["time", "odd"])
def test_a_token_is_opaque(scene: Scene, token: str) -> None:
    with_champion(scene)
    for annotation, role in (
        (names.ANNOTATION_CHECK_REQUESTED, Role.CHECK),
        (names.ANNOTATION_ROLLBACK_TO, Role.ROLLBACK),
        (names.ANNOTATION_RETRAIN_REQUESTED, Role.TRAIN),
    ):
        scene.annotate(annotation, token)
        scene.finish(role, monitors.failure())
    scene.wait_condition(ConditionType.TRAINING, "False")
    status = scene.settle()["status"]
    handled = status["handledRequests"]
    assert all(token.startswith(handled[field]) for field in ("check", "rollback", "retrain"))
    assert [len(scene.jobs(role)) for role in (Role.CHECK, Role.ROLLBACK, Role.TRAIN)] == [2, 1, 1]
