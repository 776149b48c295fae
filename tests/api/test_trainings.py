"""What follows from verdicts: trainings, promotions, and why there are none."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import TrainRequest
from modelmonitor_api.names import ConditionType, FailureReason, Reason, Role
from support import monitors
from support.jobs import finish, pod_of, request_of
from support.monitors import monitor
from support.scene import Scene, with_champion


def held(scene: Scene, reason: Reason) -> str:
    """Wait until the condition Training states why no training runs, and return its message."""
    condition = scene.wait_condition(ConditionType.TRAINING, "False", reason)
    scene.settle()
    return str(condition["message"])


def test_from_the_first_check_to_the_first_champion(scene: Scene) -> None:
    created = scene.create(monitor())
    check = scene.finish(Role.CHECK, monitors.check("Inconclusive"))
    training = scene.running_job(Role.TRAIN)
    assert training["metadata"]["name"] == names.training_job_name("flights", created["metadata"]["uid"], 1)
    assert training["metadata"]["labels"][names.LABEL_NUMBER] == "1"
    request = request_of(training, TrainRequest)
    assert (request.number, request.reason) == (1, Reason.NO_CHAMPION)
    assert request.trainer_image.startswith("modelmonitor/trainer:")
    running = scene.wait_condition(ConditionType.TRAINING, "True", Reason.NO_CHAMPION)
    assert training["metadata"]["name"] in running["message"]
    scene.wait_event(Reason.TRAINING_STARTED)

    scene.finish(Role.TRAIN, monitors.run("Promoted"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED)
    status = scene.settle()["status"]
    assert status["champion"]["version"] == "v1-0a1b2c3d"
    assert status["lastTraining"]["number"] == 1
    assert status["lastTraining"]["outcome"] == "Promoted"
    assert status["lastCheck"]["jobName"] == check["metadata"]["name"]
    assert status["lastCheck"]["verdict"] == "Inconclusive"
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"]
    assert len(status["trainings"]) == 1
    scene.wait_event(Reason.PROMOTED)
    assert scene.condition(ConditionType.READY)["status"] == "True"
    assert len(scene.jobs(Role.TRAIN)) == 1


def test_drift_starts_one_training_and_one_verdict_never_two(scene: Scene) -> None:
    with_champion(scene)
    scene.request_check("1", monitors.check("Drift", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "True", Reason.DRIFT)
    scene.wait_event(Reason.DRIFT)
    scene.wait_condition(ConditionType.TRAINING, "True", Reason.DRIFT_DETECTED)
    scene.finish(Role.TRAIN, monitors.run("Rejected", "v1-11111111"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    status = scene.settle()["status"]
    assert len(scene.jobs(Role.TRAIN)) == 1, "a rejected training must not be tried again on the same verdict"
    assert status["champion"]["version"] == monitors.champion().version
    assert status["history"][0]["action"] == "Rejected"
    assert "0.002" in status["history"][0]["message"]
    # The next verdict of drift is a new reason.
    scene.request_check("2", monitors.check("Drift", champion=monitors.champion()))
    training = scene.running_job(Role.TRAIN)
    assert request_of(training, TrainRequest).number == 2


def test_no_drift_trains_nothing(scene: Scene) -> None:
    with_champion(scene)
    scene.request_check("1", monitors.check("NoDrift", champion=monitors.champion()))
    assert scene.settle()["status"]["lastCheck"]["verdict"] == "NoDrift"
    scene.request_check("2", monitors.check("Inconclusive", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.INCONCLUSIVE)
    scene.settle()
    assert scene.jobs(Role.TRAIN) == []


def test_a_drop_of_the_score_starts_a_training(scene: Scene) -> None:
    with_champion(scene)
    dropped = monitors.check("PerformanceDrop", champion=monitors.champion(), performance_dropped=True)
    scene.request_check("1", dropped)
    assert request_of(scene.running_job(Role.TRAIN), TrainRequest).reason == Reason.PERFORMANCE_DROP


def test_corrupted_data_block_every_training(scene: Scene) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("Corrupted"))
    corrupted = scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CORRUPTED)
    assert "above its maximum" in corrupted["message"]
    assert "above its maximum" in held(scene, Reason.CORRUPTED_DATA)
    scene.wait_event(Reason.CORRUPTED)
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "please")
    scene.settle()
    assert scene.jobs(Role.TRAIN) == [], "not even by hand"
    # Once the data are fixed, the requested training starts.
    scene.request_check("repaired", monitors.check("NoDrift"))
    assert request_of(scene.running_job(Role.TRAIN), TrainRequest).reason == Reason.REQUESTED


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        pytest.param({"retraining": {"mode": "DryRun"}}, Reason.DRY_RUN, "retraining.mode is DryRun", id="dry run"),
        pytest.param({"retraining": {"mode": "Manual"}}, Reason.MANUAL_MODE, "retrain-requested-at", id="manual"),
        pytest.param(
            {"retraining": {"minNewRows": 99999}},
            Reason.TOO_FEW_NEW_ROWS,
            "28000, and retraining.minNewRows is 99999",
            id="new rows",
        ),
        pytest.param(
            {"sensitivity": {"consecutiveChecks": 2}},
            Reason.WAITING_FOR_CONSECUTIVE_CHECKS,
            "1 of the 2 consecutive checks",
            id="consecutive",
        ),
    ],
)
def test_holds_report_why_drift_does_not_train(
    scene: Scene, changes: dict[str, Any], reason: Reason, sentence: str
) -> None:
    with_champion(scene, **changes)
    scene.request_check("1", monitors.check("Drift", champion=monitors.champion()))
    assert sentence in held(scene, reason)
    assert scene.jobs(Role.TRAIN) == []


def test_cooldown_and_budget(scene: Scene) -> None:
    with_champion(scene, retraining={"cooldownSeconds": 3600, "budget": {"count": 1, "perDays": 30}})
    scene.request_check("1", monitors.check("Drift", champion=monitors.champion()))
    scene.finish(Role.TRAIN, monitors.run("Rejected"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    scene.request_check("2", monitors.check("Drift", champion=monitors.champion()))
    assert "retraining.cooldownSeconds is 3600" in held(scene, Reason.COOLING_DOWN)
    scene.patch({"spec": {"retraining": {"cooldownSeconds": 0}}})
    assert "retraining.budget allows 1" in held(scene, Reason.BUDGET_EXHAUSTED)
    assert len(scene.jobs(Role.TRAIN)) == 1


def test_a_failed_training_backs_off_until_the_spec_is_changed(scene: Scene) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    scene.finish(Role.TRAIN, monitors.failure())
    message = held(scene, Reason.BACKING_OFF)
    assert "Backing off until" in message
    assert "failed 1 time" in message
    status = scene.status()
    assert status["lastTraining"]["outcome"] == "Failed"
    assert "lacks the column temp" in status["lastTraining"]["message"]
    event = scene.wait_event(Reason.TRAINING_FAILED)
    assert event["type"] == "Warning"
    assert "lacks the column temp" in event["message"]
    assert len(scene.jobs(Role.TRAIN)) == 1
    scene.patch({"spec": {"retraining": {"windowDays": 30}}})
    training = scene.running_job(Role.TRAIN)
    assert request_of(training, TrainRequest).number == 2
    assert request_of(training, TrainRequest).spec.retraining.window_days == 30
    # The changed spec has its own try, and no more than one.
    finish(scene.cluster, training, monitors.failure())
    assert "failed 2 times" in scene.wait_condition(ConditionType.TRAINING, "False", Reason.BACKING_OFF)["message"]
    scene.settle()
    assert len(scene.jobs(Role.TRAIN)) == 2


@pytest.mark.parametrize(
    ("ending", "reason", "sentence"),
    [
        pytest.param(
            {"exit_code": 137, "reason": "OOMKilled"},
            FailureReason.OUT_OF_MEMORY,
            "spec.retraining.trainer.resources.limits.memory",
            id="out of memory",
        ),
        pytest.param({"exit_code": 1}, FailureReason.NO_VERDICT, "left no", id="silent crash"),
        pytest.param({"exit_code": 0}, FailureReason.NO_VERDICT, "left no", id="silent success"),
        pytest.param(
            {"answer": '{"kind": "Run", "outcome": "Promoted"}', "exit_code": 0},
            FailureReason.NO_VERDICT,
            "not a verdict",
            id="not a verdict",
        ),
        pytest.param(
            {"answer": "x" * 5000, "exit_code": 0}, FailureReason.NO_VERDICT, "longer than 4096", id="too long"
        ),
        pytest.param(
            {"answer": monitors.check("NoDrift"), "exit_code": 0}, "UnexpectedAnswer", "not asked", id="other's answer"
        ),
    ],
)
def test_pods_that_leave_no_verdict(scene: Scene, ending: dict[str, Any], reason: str, sentence: str) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    scene.finish(Role.TRAIN, **ending)
    waiting = held(scene, Reason.BACKING_OFF)
    entry = scene.status()["history"][0]
    assert (entry["action"], entry["reason"]) == (Reason.TRAINING_FAILED, str(reason))
    assert sentence in entry["message"]
    assert sentence in waiting, "the condition says what to change, not only that it waits"
    assert "champion" not in scene.status()


def test_a_training_that_exceeds_its_deadline_is_stopped_and_reported(scene: Scene) -> None:
    scene.create(monitor(retraining={"trainer": {"activeDeadlineSeconds": 60}}))
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    training = scene.running_job(Role.TRAIN)
    pod_of(scene.cluster, training)
    # As the Job controller does after the deadline, without the minute.
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {
        "status": "True",
        "reason": "DeadlineExceeded",
        "message": "Job was active longer than specified deadline",
        "lastProbeTime": now,
        "lastTransitionTime": now,
    }
    conditions = [ended | {"type": "FailureTarget"}, ended | {"type": "Failed"}]
    status = {"conditions": conditions, "active": 0, "terminating": 0, "failed": 1, "ready": 0}
    path = f"/apis/batch/v1/namespaces/{scene.namespace}/jobs/{training['metadata']['name']}/status"
    scene.cluster.call("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
    held(scene, Reason.BACKING_OFF)
    entry = scene.status()["history"][0]
    assert entry["reason"] == FailureReason.DEADLINE_EXCEEDED
    assert "60 seconds" in entry["message"]


def test_a_training_whose_job_is_deleted_has_failed(scene: Scene) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    training = scene.running_job(Role.TRAIN)
    scene.wait_condition(ConditionType.TRAINING, "True")
    scene.cluster.delete("Job", training["metadata"]["name"], scene.namespace)
    scene.wait(lambda: scene.status()["lastTraining"].get("outcome") == "Failed", "failed training")
    status = scene.settle()["status"]
    assert "deleted" in status["lastTraining"]["message"]
    assert scene.jobs(Role.TRAIN) == []


def test_a_failed_check_is_reported_and_trains_nothing(scene: Scene) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.failure(FailureReason.CREDENTIALS_REFUSED, "the key is not known; correct it"))
    failed = scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CHECK_FAILED)
    assert "the key is not known" in failed["message"]
    event = scene.wait_event(Reason.CHECK_FAILED)
    assert event["type"] == "Warning"
    scene.settle()
    assert scene.jobs(Role.TRAIN) == []
    assert scene.condition(ConditionType.READY)["status"] == "True"
    scene.request_check("again", monitors.check("NoDrift", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "False", Reason.NO_DRIFT)
